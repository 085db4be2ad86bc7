# process.py N MB: as bench/process.lua, by asyncio's subprocesses.
import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL

count, megabytes = int(sys.argv[1]), int(sys.argv[2])


async def one():
    child = await asyncio.create_subprocess_exec("true", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    if await child.wait() != 0:
        sys.exit("wrong: every program runs to its end")


async def measure(name):
    await one()  # what is made once is there
    times = []
    for _ in range(count):
        start = time.monotonic_ns()
        await one()
        times.append(time.monotonic_ns() - start)
    print(f"{name} {sorted(times)[count // 2] / 1e3:.3f} us")


async def main():
    await measure("process_small")
    ballast = b"x" * (megabytes << 20)
    await measure("process_large")
    if len(ballast) != megabytes << 20:
        sys.exit("wrong: the memory is still in use")


asyncio.run(main())
