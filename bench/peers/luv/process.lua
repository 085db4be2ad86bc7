-- process.lua N MB: as bench/process.lua, by luv's uv.spawn.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "../../?.lua;" .. package.path
local uv = require "luv"
local support = require "support"

local count = support.count(1, "programs")
local megabytes = support.count(2, "megabytes")

local function measure(name)
    local ended, times = 0, {}
    local function one()
        local start = uv.hrtime()
        local handle
        handle = uv.spawn("true", { stdio = {} }, function(code)
            handle:close()
            times[#times + 1] = uv.hrtime() - start
            ended = ended + (code == 0 and 1 or 0)
            if ended < count then
                one()
            end
        end)
        support.check(handle, "the program starts")
    end
    one()
    uv.run()
    support.check(ended == count, "every program has run to its end")
    table.sort(times)
    support.report(name, times[(count + 1) // 2] / 1e3, "us")
end

measure("process_small")
local ballast = ("x"):rep(megabytes << 20)
support.check(support.rss() > megabytes << 20, "the memory is in use")
measure("process_large")
support.check(#ballast == megabytes << 20, "the memory is still in use")
