# process.py N MB: as bench/process.lua, by gevent's subprocesses.
import sys
import time

from gevent.subprocess import DEVNULL, Popen

count, megabytes = int(sys.argv[1]), int(sys.argv[2])


def one():
    if Popen(["true"], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL).wait() != 0:
        sys.exit("wrong: every program runs to its end")


def measure(name):
    one()  # what is made once is there
    times = []
    for _ in range(count):
        start = time.monotonic_ns()
        one()
        times.append(time.monotonic_ns() - start)
    print(f"{name} {sorted(times)[count // 2] / 1e3:.3f} us")


measure("process_small")
ballast = b"x" * (megabytes << 20)
measure("process_large")
if len(ballast) != megabytes << 20:
    sys.exit("wrong: the memory is still in use")
