-- WaitForTasklet (contract 4).
local helper = require "spec.helper"
local tasklet = require "tasklet"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForTasklet = tasklet.WaitForTasklet

local function within(body)
    return function() helper.within_loop(body) end
end

-- Waits for the end of `t`; gives the event.
local function ended(t)
    local condition, timeout = WaitForTasklet(t), WaitForTimeout(2000)
    local event = tasklet.wait(condition, timeout)
    assert.is_true(event == condition, "it did not end")
    return event
end

describe("WaitForTasklet", function()
    it("4 fires when the tasklet has finished, with its first result", within(function()
        local gate = WaitForCall()
        local t = tasklet.run(function()
            tasklet.wait(gate)
            return "first", "second"
        end)
        local waiter = tasklet.run(function() return ended(t) end)
        tasklet.sleep(0.002)
        assert.is_false(waiter:has_finished())
        gate()
        local event = tasklet.join(waiter, 30)
        assert.equal("first", event.retval)
        assert.is_nil(event.error)
    end))

    it("4 gives any first result as it is", within(function()
        local object = {}
        local results = { object, false, 0, "", print, coroutine.create(print) }
        for _, result in ipairs(results) do
            local event = ended(tasklet.run(function()
                tasklet.sleep(0)
                return result
            end))
            assert.is_true(rawequal(result, event.retval))
            assert.is_nil(event.error)
        end
        assert.is_nil(ended(tasklet.run(function() tasklet.sleep(0) end)).retval)
        assert.is_nil(ended(tasklet.run(function()
            tasklet.sleep(0)
            return nil, "second"
        end)).retval)
    end))

    it("4 fires for one that had finished already", within(function()
        local t = tasklet.run(function() return "early" end)
        assert.is_true(t:has_finished())
        assert.equal("early", ended(t).retval)
        collectgarbage()
        assert.equal("early", ended(t).retval)
    end))

    it("4 for one that failed carries what was raised, as it is", within(function()
        local object = setmetatable({}, { __tostring = function() return "object" end })
        for _, value in ipairs { object, false, 42, "text" } do
            local t = tasklet.run(function()
                tasklet.sleep(0)
                error(value, 0)
            end)
            local event = ended(t)
            assert.is_true(rawequal(value, event.error))
            assert.is_nil(event.retval)
        end
        local event = ended(tasklet.run(function()
            tasklet.sleep(0)
            error("with a place")
        end))
        assert.truthy(event.error:find("tasklet_spec.lua:%d+: with a place"), event.error)
    end))

    it("4 for one that had failed already", within(function()
        local gate = WaitForCall()
        local t = tasklet.run(function()
            tasklet.wait(gate)
            error("before", 0)
        end)
        local first = tasklet.run(function() return ended(t).error end)
        gate()
        assert.equal("before", tasklet.join(first, 30))
        assert.equal("before", ended(t).error)
        collectgarbage()
        assert.equal("before", ended(t).error)
    end))

    it("4 for one that was killed carries a TaskletExit", within(function()
        local t = tasklet.run(function() tasklet.sleep(60) end)
        local waiter = tasklet.run(function() return ended(t) end)
        t:kill()
        local event = tasklet.join(waiter, 30)
        assert.is_true(tasklet.TaskletExit:is(event.error))
        assert.is_nil(event.retval)
        assert.is_true(tasklet.TaskletExit:is(ended(t).error))
    end))

    it("4 sees a result where the kill was survived", within(function()
        local t = tasklet.run(function()
            pcall(tasklet.sleep, 60)
            tasklet.survive()
            tasklet.sleep(0)
            return "alive"
        end)
        t:kill()
        local event = ended(t)
        assert.equal("alive", event.retval)
        assert.is_nil(event.error)
    end))

    it("4 fires again at each yield", within(function()
        local condition = WaitForTasklet(tasklet.run(function() return "result" end))
        for _ = 1, 5 do
            assert.is_true(tasklet.wait(WaitForTimeout(2000), condition) == condition)
            assert.equal("result", condition.retval)
        end
    end))

    it("4 fires for each of many that wait, in order of arming", within(function()
        local gate, trace, all = WaitForCall(), {}, {}
        local t = tasklet.run(function() return tasklet.wait(gate).args[1] end)
        for i = 1, 500 do
            all[i] = tasklet.run(function()
                table.insert(trace, tasklet.wait(WaitForTasklet(t)).retval .. i)
            end)
        end
        gate("result ")
        for _, waiter in ipairs(all) do
            tasklet.join(waiter, 30)
        end
        for i = 1, 500 do
            assert.equal("result " .. i, trace[i])
        end
    end))

    it("4 given up, leaves the tasklet running", within(function()
        local gate, timeout = WaitForCall(), WaitForTimeout(1)
        local t = tasklet.run(function()
            tasklet.wait(gate)
            return "result"
        end)
        local condition = WaitForTasklet(t)
        for _ = 1, 3 do
            assert.is_true(tasklet.wait(condition, timeout) == timeout)
            tasklet.wait(timeout)
        end
        local killed = tasklet.run(function() tasklet.wait(WaitForTasklet(t)) end)
        killed:kill()
        assert.is_false(t:has_finished())
        gate()
        assert.is_true(tasklet.wait(condition, WaitForTimeout(2000)) == condition)
        assert.equal("result", condition.retval)
    end))

    it("4 of several tasklets: the first to end", within(function()
        local gates, targets, conditions = {}, {}, {}
        for i = 1, 3 do
            gates[i] = WaitForCall()
            targets[i] = tasklet.run(function()
                tasklet.wait(gates[i])
                return i
            end)
            conditions[i] = WaitForTasklet(targets[i])
        end
        for _, i in ipairs { 3, 1, 2 } do
            gates[i]()
            local event = tasklet.wait(conditions[1], conditions[2], conditions[3])
            assert.is_true(event == conditions[i])
            assert.equal(i, event.retval)
            -- It would fire again.
            conditions[i] = WaitForTimeout(60000)
        end
    end))

    it("4 of several that end at once: each, in order", within(function()
        local gate, order = WaitForCall(), {}
        local first = tasklet.run(function() tasklet.wait(gate) end)
        local second = tasklet.run(function() tasklet.wait(first) end)
        local a, b = WaitForTasklet(first), WaitForTasklet(second)
        local waiter = tasklet.run(function()
            local event = tasklet.wait(a, b)
            order[1] = event == a and "a" or "b"
            event = tasklet.wait(event == a and b or a)
            order[2] = event == a and "a" or "b"
        end)
        gate()
        tasklet.join(waiter, 30)
        assert.same({ "a", "b" }, order)
    end))

    it("4 waited for in a chain", within(function()
        local gate = WaitForCall()
        local last = tasklet.run(function() return tasklet.wait(gate).args[1] end)
        for _ = 1, 200 do
            local previous = last
            last = tasklet.run(function()
                return tasklet.wait(WaitForTasklet(previous)).retval + 1
            end)
        end
        gate(0)
        assert.equal(200, tasklet.join(last, 30))
    end))

    it("4 keeps errors from being reported when somebody waits", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                tasklet.sleep(0.001)
                error("on purpose")
            end)
            tasklet.run(function()
                print(tasklet.wait(tasklet.WaitForTasklet(t)).error)
            end)
            tasklet.mainloop.run()
        ]]
        assert.truthy(result.stdout:find("on purpose", 1, true), result.stdout)
        assert.equal("", result.stderr)
        assert.equal(0, result.status)
    end)

    it("4 raises for what is no tasklet", function()
        for _, wrong in ipairs { 42, "text", {}, print, WaitForCall() } do
            local line = debug.getinfo(1, "l").currentline + 1
            local ok, err = pcall(function() return (WaitForTasklet(wrong)) end)
            assert.is_false(ok)
            assert.truthy(tostring(err):find("tasklet_spec.lua:" .. line .. ":", 1, true), err)
            assert.truthy(err:find("bad argument #1 to 'WaitForTasklet'", 1, true), err)
        end
        assert.is_false((pcall(WaitForTasklet)))
    end)
end)
