-- Virtual time in specs (contract 12.2).

local helper = require "spec.helper"
local support = require "spec.testing.support"

describe("virtual time", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local testing = require "tasklet.testing"
        local now = tasklet.mainloop.now
        it("passes when all wait, exactly", function()
            local before = now()
            tasklet.sleep(30 * 86400)
            assert.equal(30 * 86400 * 1000, now() - before)
            before = now()
            tasklet.sleep(0.07)
            tasklet.sleep(0.1)
            assert.equal(170, now() - before)
            for _ = 1, 1e5 do end
            assert.equal(170, now() - before)
        end)
        it("orders what is due", function()
            local order = {}
            for _, seconds in ipairs{3, 1, 2} do
                tasklet.later(seconds, function() order[#order + 1] = seconds end)()
            end
            tasklet.sleep(2.5)
            assert.same({1, 2}, order)
            tasklet.sleep(1)
            assert.same({1, 2, 3}, order)
        end)
        it("advances", function()
            local calls = 0
            local t = tasklet.interval(1, function() calls = calls + 1 end)()
            local before = now()
            testing.advance(10)
            assert.equal(10, calls)
            assert.equal(10000, now() - before)
            testing.advance(0.5)
            assert.equal(10, calls)
            testing.advance(0)
            assert.equal(10500, now() - before)
            t:kill()
            assert.has_error(function() testing.advance(-1) end)
            assert.has_error(function() testing.advance("1") end)
        end)
        it("advances though something is under way outside", function()
            local pipe <close> = io.popen("exec cat")
            local reader = tasklet.run(function()
                tasklet.wait(tasklet.WaitForIO(pipe), tasklet.WaitForTimeout(3600000))
                return "timeout"
            end)
            testing.advance(3600)
            assert.equal("timeout", tasklet.join(reader))
        end)
        it("settles", function()
            local calls, slept = 0, false
            local before = now()
            tasklet.new(function()
                for _ = 1, 5000 do
                    tasklet.yield_()
                    calls = calls + 1
                end
                tasklet.run(function() tasklet.yield_() calls = calls + 1 end)
                tasklet.sleep(1)
                slept = true
            end)()
            testing.settle()
            assert.equal(5001, calls)
            assert.is_false(slept)
            assert.equal(before, now())
            tasklet.sleep(2)
        end)
        it("settles beside one that waits for idleness again and again", function()
            local t = tasklet.run(function()
                while true do tasklet.wait(tasklet.WaitForIdle()) end
            end)
            testing.settle()
            t:kill()
        end)
        it("settles without touching the wait list", function()
            local timeout = tasklet.WaitForTimeout(100)
            local call = tasklet.WaitForCall()
            tasklet.later(0.05, function() call() end)()
            assert.equal(call, tasklet.wait(timeout, call))
            local before = now()
            testing.settle()
            assert.equal(timeout, tasklet.wait(timeout, call))
            assert.equal(50, now() - before)
        end)
        it("is left for a while", function()
            local system = require "system"
            local before, virtual_before = system.monotime(), now()
            local a, b = testing.real(function(...)
                tasklet.sleep(0.02)
                return ...
            end, 1, 2)
            assert.is_true(system.monotime() - before >= 0.02)
            assert.is_true(now() - virtual_before >= 20)
            assert.same({1, 2}, {a, b})
            local mid = now()
            tasklet.sleep(86400)
            assert.equal(86400, math.floor((now() - mid) / 1000 + 0.5))
            assert.has_error(function() testing.real(error, "out", 0) end, "out")
            tasklet.sleep(86400)
        end)
        it("flows really while something is under way outside", function()
            local pipe <close> = io.popen("sleep 0.05; echo here")
            local timeout = tasklet.WaitForTimeout(3600000)
            local io_wait = tasklet.WaitForIO(pipe)
            local before = now()
            assert.equal(io_wait, tasklet.wait(io_wait, timeout))
            assert.is_true(now() - before < 3600000)
        end)
        it("is there again for each test: first", function()
            tasklet.set_virtual_time(false)
        end)
        it("is there again for each test: second", function()
            tasklet.sleep(86400)
        end)
        it("knows wrong arguments", function()
            assert.has_error(function() testing.real(1) end)
            assert.has_error(function() testing.virtual() end)
        end)
    ]], {}, {
        ["passes when all wait, exactly"] = "success",
        ["orders what is due"] = "success",
        ["advances"] = "success",
        ["advances though something is under way outside"] = "success",
        ["settles"] = "success",
        ["settles beside one that waits for idleness again and again"] = "success",
        ["settles without touching the wait list"] = "success",
        ["is left for a while"] = "success",
        ["flows really while something is under way outside"] = "success",
        ["is there again for each test: first"] = "success",
        ["is there again for each test: second"] = "success",
        ["knows wrong arguments"] = "success",
    }) do
        it(name, check)
    end
end)

describe("with --real-time", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local testing = require "tasklet.testing"
        local system = require "system"
        it("time is the world's", function()
            local before = system.monotime()
            tasklet.sleep(0.02)
            assert.is_true(system.monotime() - before >= 0.02)
        end)
        it("a part may be virtual", function()
            testing.virtual(tasklet.sleep, 86400 * 365)
        end)
        it("advance waits", function()
            local before = system.monotime()
            testing.advance(0.02)
            assert.is_true(system.monotime() - before >= 0.02)
        end)
    ]], {"--real-time"}, {
        ["time is the world's"] = "success",
        ["a part may be virtual"] = "success",
        ["advance waits"] = "success",
    }) do
        it(name, check)
    end
end)

describe("outside of specs", function()
    it("advance and settle are refused where no tasklet runs", function()
        local result = helper.plain [[
            local testing = require "tasklet.testing"
            print(pcall(testing.settle))
            print(pcall(testing.advance, 1))
        ]]
        assert.equal("", result.stderr)
        assert.matches("^false\t.*'settle' is for tasklets: none is running\n"
            .. "false\t.*'advance' is for tasklets: none is running\n$", result.stdout)
    end)

    it("they work in a script, and nothing of busted is needed", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local testing = require "tasklet.testing"
            tasklet.set_virtual_time(true)
            local t = tasklet.interval(60, function() io.write("tick ") end, {daemon = true})()
            testing.advance(180)
            print("three minutes")
        ]])
        assert.equal("", result.stderr)
        assert.equal("tick tick tick three minutes\n", result.stdout)
    end)
end)
