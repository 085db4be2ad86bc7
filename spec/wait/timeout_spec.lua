-- WaitForTimeout (contract 4; how it is armed is in spec/bind/arming_spec.lua).
local helper = require "spec.helper"
local tasklet = require "tasklet"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local now = tasklet.mainloop.now

local function within(body)
    return function() helper.within_loop(body) end
end

-- With the system's clock.
local function really(body)
    return function() helper.within_real_time(body) end
end

describe("WaitForTimeout", function()
    it("4 fires when the time is over, in milliseconds, and never early", really(function()
        for _, ms in ipairs { 0, 0.25, 1, 1.5, 3, 10.7, 25 } do
            local timeout = WaitForTimeout(ms)
            local begun = now()
            assert.is_true(tasklet.wait(timeout) == timeout)
            local elapsed = now() - begun
            assert.is_true(elapsed >= ms, ms .. " ms took " .. elapsed)
            assert.is_true(elapsed < ms + 15000, ms .. " ms took " .. elapsed)
        end
    end))

    it("4 fires at the very time by a virtual clock", within(function()
        for _, ms in ipairs { 0, 0.25, 1, 1.5, 3, 25, 2592000000 } do
            local timeout = WaitForTimeout(ms)
            local begun = now()
            assert.is_true(tasklet.wait(timeout) == timeout)
            assert.equal(ms, now() - begun)
        end
    end))

    it("4 is not early after a long stretch of Lua", really(function()
        for _, busy in ipairs { 1, 10, 30 } do
            helper.compute(busy)
            local begun = now()
            tasklet.wait(WaitForTimeout(10))
            assert.is_true(now() - begun >= 10)
        end
    end))

    it("4 is not early in a tasklet that the loop has just woken late", really(function()
        local early, all = 0, {}
        for i = 1, 10 do
            all[i] = tasklet.run(function()
                tasklet.wait(WaitForTimeout(1))
                helper.compute(3)
                local begun = now()
                tasklet.wait(WaitForTimeout(5))
                if now() - begun < 5 then
                    early = early + 1
                end
            end)
        end
        for _, t in ipairs(all) do
            tasklet.join(t, 30)
        end
        assert.equal(0, early)
    end))

    it("4 of zero fires at the next turn of the loop, not at once", within(function()
        local fired = false
        local t = tasklet.run(function()
            tasklet.wait(WaitForTimeout(0))
            fired = true
        end)
        assert.is_false(fired)
        tasklet.join(t, 30)
        assert.is_true(fired)
    end))

    it("4 of a very long time does not fire", within(function()
        for _, ms in ipairs { 1e9, 1e12, 2 ^ 53, 1e18 } do
            local long, short = WaitForTimeout(ms), WaitForTimeout(2)
            assert.is_true(tasklet.wait(long, short) == short)
            assert.is_true(tasklet.wait(long, short) == short)
        end
    end))

    it("4 in any number, each in its time and in order", really(function()
        local trace, all, early = {}, {}, 0
        local seed = 42
        for i = 1, 2000 do
            seed = (seed * 1103515245 + 12345) % 2147483648
            local ms = seed // 65536 % 60
            -- When it is due: at the earliest, and at the latest.
            local due = { from = now() + ms, to = nil }
            all[i] = tasklet.run(function()
                tasklet.wait(WaitForTimeout(ms))
                if now() < due.from then
                    early = early + 1
                end
                trace[#trace + 1] = due
            end)
            due.to = now() + ms
        end
        for _, t in ipairs(all) do
            tasklet.join(t, 10)
        end
        assert.equal(0, early)
        assert.equal(2000, #trace)
        -- Nobody comes before another one that was due sooner.
        local latest = 0
        for i, due in ipairs(trace) do
            assert.is_true(due.to >= latest, "number " .. i)
            latest = math.max(latest, due.from)
        end
    end))

    it("4 with the same time fires in order of arming", within(function()
        local trace, all = {}, {}
        for i = 1, 50 do
            all[i] = tasklet.run(function()
                tasklet.wait(WaitForTimeout(3))
                trace[#trace + 1] = i
            end)
        end
        for _, t in ipairs(all) do
            tasklet.join(t, 30)
        end
        for i = 1, 50 do
            assert.equal(i, trace[i])
        end
    end))

    it("4 is one of several in one wait list: the shortest fires, wherever it stands",
        within(function()
            local short = WaitForTimeout(2)
            local a, b = WaitForTimeout(60000), WaitForTimeout(70000)
            assert.is_true(tasklet.wait(a, b, short) == short)
            assert.is_true(tasklet.wait(short, a, b) == short)
            assert.is_true(tasklet.wait(a, short, b) == short)
        end))
end)

describe("restart", function()
    it("4 counts again from zero", within(function()
        local timeout, restarted = WaitForTimeout(40), nil
        local t = tasklet.run(function()
            tasklet.wait(timeout)
            return now()
        end)
        for _ = 1, 2 do
            tasklet.sleep(0.015)
            restarted = now()
            timeout:restart()
        end
        assert.equal(40, tasklet.join(t, 30) - restarted)
    end))

    it("4 counts again from zero for the tasklet's next yield, too", within(function()
        local timeout, call = WaitForTimeout(40), WaitForCall()
        call()
        assert(tasklet.wait(timeout, call) == call)
        helper.compute(20)
        local restarted = now()
        timeout:restart()
        assert(tasklet.wait(timeout) == timeout)
        assert.equal(40, now() - restarted)
    end))

    it("4 over and over keeps it from firing", within(function()
        local timeout, restarted = WaitForTimeout(30), nil
        local t = tasklet.run(function() tasklet.wait(timeout) end)
        for _ = 1, 6 do
            tasklet.sleep(0.029)
            restarted = now()
            timeout:restart()
            assert.is_false(t:has_finished())
        end
        tasklet.join(t, 30)
        assert.equal(30, now() - restarted)
    end))

    it("4 does nothing before it is armed", within(function()
        local timeout = WaitForTimeout(30)
        timeout:restart()
        tasklet.sleep(0.02)
        timeout:restart()
        tasklet.sleep(0.02)
        local begun = now()
        assert.is_true(tasklet.wait(timeout) == timeout)
        assert.equal(30, now() - begun)
    end))

    it("4 does nothing after it was disarmed", within(function()
        local timeout, call, trace = WaitForTimeout(5), WaitForCall(), {}
        local t = tasklet.run(function()
            trace[1] = tasklet.wait(timeout, call) == call
            trace[2] = tasklet.wait(call) == call
        end)
        call()
        timeout:restart()
        tasklet.sleep(0.015)
        assert.same({ true }, trace)
        call()
        tasklet.join(t, 30)
        timeout:restart()
        tasklet.sleep(0.015)
        assert.same({ true, true }, trace)
    end))

    it("4 does nothing after its tasklet was killed", within(function()
        local timeout = WaitForTimeout(5)
        local t = tasklet.run(function() tasklet.wait(timeout) end)
        t:kill()
        timeout:restart()
        tasklet.sleep(0.01)
        assert.is_true(t:has_finished())
        assert.is_true(tasklet.wait(timeout) == timeout)
    end))

    it("4 concerns that one alone", within(function()
        local restarted, other = WaitForTimeout(60), WaitForTimeout(30)
        local t = tasklet.run(function()
            local first = tasklet.wait(restarted, other)
            return first == other
        end)
        tasklet.sleep(0.005)
        restarted:restart()
        assert.is_true(tasklet.join(t, 30))
    end))
end)

describe("the constructor", function()
    it("4 raises for a negative time, at the caller's line", function()
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, err = pcall(function() return (WaitForTimeout(-1)) end)
        assert.is_false(ok)
        assert.truthy(err:find("timeout_spec.lua:" .. line .. ":", 1, true), err)
        assert.truthy(err:find("bad argument #1 to 'WaitForTimeout'", 1, true), err)
        assert.is_false((pcall(WaitForTimeout, -0.001)))
    end)

    it("4 raises for what is no number", function()
        local ok, err = pcall(function() return (WaitForTimeout()) end)
        assert.is_false(ok)
        assert.truthy(err:find("bad argument #1 to 'WaitForTimeout' (number expected, got ", 1,
            true), err)
        for _, wrong in ipairs { "soon", {}, true } do
            assert.is_false((pcall(WaitForTimeout, wrong)))
        end
    end)

    it("4 raises for an unknown option, naming it and the known ones", function()
        local ok, err = pcall(function() return (WaitForTimeout(1, { hurry = 1 })) end)
        assert.is_false(ok)
        assert.truthy(err:find("hurry", 1, true), err)
        assert.truthy(err:find("priority", 1, true), err)
        assert.is_false((pcall(WaitForTimeout, 1, { priority = "high" })))
        assert.is_false((pcall(WaitForTimeout, 1, 7)))
    end)
end)
