-- What does a switch cost?
--
-- switch.lua T N [timeout]: T tasklets take turns, N switches in all. Each calls tasklet.yield_()
-- in a loop; with "timeout" each yields a WaitForTimeout(0) and reads its event instead.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local count = support.count(1, "tasklets")
local rounds = support.count(2, "switches") // count
local by_timeout = arg[3] == "timeout"
local now = tasklet.mainloop.now

local function by_yield(n)
    local yield_ = tasklet.yield_
    for _ = 1, n do
        yield_()
    end
end

local function by_zero_timeout(n)
    local yield, get_event = coroutine.yield, tasklet.get_event
    local zero = tasklet.WaitForTimeout(0)
    for _ = 1, n do
        yield(zero)
        get_event()
    end
end

local switch = by_timeout and by_zero_timeout or by_yield

-- Starts `count` tasklets that run f(i) when all of them have been started.
local function start_all(f)
    local tasks, open = {}, false
    for i = 1, count do
        tasks[i] = tasklet.run(function()
            while not open do
                tasklet.yield_()
            end
            f(i)
        end)
    end
    open = true
    return tasks
end

local function join_all(tasks)
    for i = 1, count do
        tasklet.join(tasks[i])
    end
end

-- First unmeasured, with a log: nobody may run again before all others have, and the order stays.
local function check_turns()
    local log, seen = {}, {}
    join_all(start_all(function(i)
        for _ = 1, 3 do
            log[#log + 1] = i
            switch(1)
        end
    end))
    support.check(#log == 3 * count, "every tasklet ran three times")
    for i = 1, count do
        support.check(not seen[log[i]], "everybody runs before anybody runs again")
        seen[log[i]] = true
        local same = log[i + count] == log[i] and log[i + 2 * count] == log[i]
        support.check(same, "they take turns in the same order")
    end
end

check_turns()
collectgarbage()

local switches = 0
local tasks = start_all(function()
    switch(rounds)
    switches = switches + rounds
end)
local start = now()
join_all(tasks)
local elapsed = now() - start

support.check(switches == count * rounds, "all switches were made")
support.report(by_timeout and "switch_timeout" or "switch", elapsed * 1e6 / switches, "ns")
