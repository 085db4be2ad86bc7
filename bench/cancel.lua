-- What does a timeout cost that never fires, and does it get dearer with the number of others?
--
-- cancel.lua N LIVE...: with so many other tasklets asleep as each LIVE says (in rising order), two
-- ways to arm and cancel a timeout, N times each:
--   restart: one tasklet waits on 1,000 timeouts; another restarts them, one after the other.
--   cancel: a tasklet waits for a call, each time together with another timeout; the call comes, so
--   that one timeout leaves the wait list and another enters it.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local IN_HAND = 1000

local total = support.count(1, "times")
local now, yield, get_event = tasklet.mainloop.now, coroutine.yield, tasklet.get_event

-- 10,000 .. 69,999 ms, the same sequence in every run.
local state = 1
local function random_ms()
    state = state * 48271 % 2147483647
    return 10000 + state % 60000
end

local function timeouts()
    local list = {}
    for i = 1, IN_HAND do
        list[i] = tasklet.WaitForTimeout(random_ms())
    end
    return list
end

---@return number # nanoseconds for each time
local function measure_restart()
    local list = timeouts()
    local waiter = tasklet.run(function()
        yield(list)
        error("nothing should have fired")
    end)
    local start = now()
    for i = 1, total do
        list[i % IN_HAND + 1]:restart()
    end
    local elapsed = now() - start
    support.check(waiter.state == tasklet.Tasklet.STATE_SUSPENDED, "the waiter still waits")
    waiter:kill()
    return elapsed * 1e6 / total
end

---@return number # nanoseconds for each time
local function measure_cancel()
    local list = timeouts()
    local call = tasklet.WaitForCall()
    local calls = 0
    local waiter = tasklet.run(function()
        for i = 1, total do
            yield(list[i % IN_HAND + 1], call)
            if get_event() ~= call then
                error("a timeout fired")
            end
            calls = i
        end
    end)
    local start = now()
    for _ = 1, total do
        call()
    end
    local elapsed = now() - start
    support.check(calls == total, "every call woke the waiter")
    support.check(waiter.state == tasklet.Tasklet.STATE_ZOMBIE, "the waiter has ended")
    return elapsed * 1e6 / total
end

-- Memory is not the question, but it depends on how much is alive: when the collector runs, and
-- whether the system has to find new pages. So the collector works before, not meanwhile, and a
-- first time goes unmeasured. What that used is free for the second, and stays with the process
-- because the string, made after it, lies behind it.
local kept = {}
local function measure(live, name, way)
    collectgarbage()
    collectgarbage("stop")
    way()
    kept[#kept + 1] = ("%s before %d"):format(name, live):rep(100)
    collectgarbage()
    support.report(("%s_%d"):format(name, live), way(), "ns")
    collectgarbage("restart")
end

local asleep = 0
local function sleeper()
    tasklet.wait(tasklet.WaitForTimeout(3600000 + random_ms()))
    asleep = -1
end

for i = 2, #arg do
    local live = support.count(i, "live")
    while asleep < live do
        asleep = asleep + 1
        tasklet.run(sleeper)
    end
    measure(live, "restart", measure_restart)
    measure(live, "cancel", measure_cancel)
    support.check(asleep == live, "nobody has been woken")
end
io.stdout:flush()
os.exit(0, false)
