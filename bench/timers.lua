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

local function wait(ms)
    tasklet.wait(tasklet.WaitForTimeout(ms))
end

local done = tasklet.WaitForCall()
local by_wait = arg[2] == "wait"
local body, latencies = support.sleeper(count, by_wait and wait or tasklet.sleep,
    tasklet.mainloop.now, done, by_wait and 1 or 0.001)
for i = 1, count do
    tasklet.run(body, i)
end
tasklet.wait(done)

local cpu = os.clock()
latencies:report(3 * count)
io.stdout:flush()
support.report("cpu", cpu, "s")
io.stdout:flush()
os.exit(0, false)
