-- Are sleeps exact, and what do they cost?
--
-- timers.lua N [wait]: N tasklets sleep three times, each time for a pseudo-random 0 .. 1000 ms;
-- with `wait` each sleep is a WaitForTimeout of its own. None may be woken early by the clock that
-- it reads itself. Prints how late they are, and the CPU seconds of the whole program up to the
-- last wake-up.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local count = support.count(1, "tasklets")

local function sleep(ms)
    tasklet.sleep(ms / 1000)
end

local function wait(ms)
    tasklet.wait(tasklet.WaitForTimeout(ms))
end

local done = tasklet.WaitForCall()
local body, latencies = support.sleeper(count, arg[2] == "wait" and wait or sleep,
    tasklet.mainloop.now, done)
for i = 1, count do
    tasklet.run(body, i)
end
tasklet.wait(done)

latencies:report(3 * count)
io.stdout:flush()
support.report("cpu", os.clock(), "s")
io.stdout:flush()
os.exit(0, false)
