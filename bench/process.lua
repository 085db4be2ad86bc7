-- What does it cost to start a program and to wait for its end?
--
-- process.lua N MB: N times `true`, one after the other, from a small process; then the same when
-- this process has so many megabytes more. What is reported is the median.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local count = support.count(1, "programs")
local megabytes = support.count(2, "megabytes")
local now, spawn = tasklet.mainloop.now, tasklet.process.spawn

local function one()
    local child = spawn { "true", stdin = "null", stdout = "null", stderr = "null" }
    return child:wait()
end

local function measure(name)
    support.check(one(), "the program runs") -- what is made once is there
    local times = {}
    for i = 1, count do
        local start = now()
        support.check(one(), "every program runs to its end")
        times[i] = now() - start
    end
    table.sort(times)
    support.report(name, times[(count + 1) // 2] * 1e3, "us")
end

measure("process_small")
local ballast = ("x"):rep(megabytes << 20)
support.check(support.rss() > megabytes << 20, "the memory is in use")
measure("process_large")
support.check(#ballast == megabytes << 20, "the memory is still in use")
