-- Being told by a message that a tasklet has ended (contract 10.3).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local WaitForCall, WaitForMessages = tasklet.WaitForCall, tasklet.WaitForMessages

local function within(body)
    return function() helper.within_loop(body) end
end

--- Pops the next message, which must be "down", and returns what it tells.
local function down()
    local message = tasklet.current().mailbox:popleft(5)
    assert.equal("down", message.name)
    assert.equal(tasklet.current(), message.dest)
    return message.value
end

local function target(...)
    local gate, results = WaitForCall(), table.pack(...)
    return tasklet.run(function()
        tasklet.wait(gate)
        return table.unpack(results, 1, results.n)
    end), gate
end

local function collect()
    for _ = 1, 4 do
        collectgarbage()
    end
end

describe("monitor", function()
    it("10.3 sends a message when it returns", within(function()
        local t, gate = target("first", "second")
        t:monitor()
        assert.equal(0, #tasklet.current().mailbox)
        gate()
        local value = down()
        assert.equal(t, value.tasklet)
        assert.equal("first", value.retval)
        assert.is_nil(value.error)
    end))

    it("10.3 sends a message when it fails", within(function()
        local cause, gate = {}, WaitForCall()
        local t = tasklet.run(function()
            tasklet.wait(gate)
            error(cause)
        end)
        t:monitor()
        gate()
        local value = down()
        assert.equal(t, value.tasklet)
        assert.is_nil(value.retval)
        assert.is_true(rawequal(cause, value.error))
        pcall(tasklet.join, t)
    end))

    it("10.3 sends a message when it is killed", within(function()
        local t = target()
        t:monitor()
        t:kill()
        local value = down()
        assert.equal(t, value.tasklet)
        assert.is_nil(value.retval)
        assert.is_true(tasklet.TaskletExit:is(value.error))
    end))

    it("10.3 sends a message when it is killed before it began", within(function()
        for _, call in ipairs{false, true} do
            local t = tasklet.new(function() end)
            t:monitor()
            if call then
                t()
            end
            t:kill()
            local value = down()
            assert.equal(t, value.tasklet)
            assert.is_true(tasklet.TaskletExit:is(value.error))
        end
    end))

    it("10.3 sends a message at once if it has ended", within(function()
        local mailbox = tasklet.current().mailbox
        local t = tasklet.run(function() return "result" end)
        t:monitor()
        assert.equal(1, #mailbox)
        assert.equal("result", down().retval)
        local failed = tasklet.run(error, "because", 0)
        pcall(tasklet.join, failed)
        failed:monitor()
        assert.equal(1, #mailbox)
        assert.equal("because", down().error)
        local killed = target()
        killed:kill()
        killed:monitor()
        assert.equal(1, #mailbox)
        assert.is_true(tasklet.TaskletExit:is(down().error))
    end))

    it("10.3 wakes one that waits for such a message", within(function()
        local t, gate = target("result")
        local watcher = tasklet.run(function()
            t:monitor()
            local message = tasklet.wait(WaitForMessages{accept = "down"})
            return message.value.retval, message.value.tasklet == t
        end)
        gate()
        assert.same({"result", true}, {tasklet.join(watcher, 30)})
    end))

    it("10.3 tells each tasklet that asked", within(function()
        local t, gate = target("result")
        local watchers = {}
        for i = 1, 3 do
            watchers[i] = tasklet.run(function()
                t:monitor()
                return down().retval
            end)
        end
        gate()
        for i = 1, 3 do
            assert.equal("result", tasklet.join(watchers[i], 30))
        end
        assert.equal(0, #tasklet.current().mailbox)
    end))

    it("10.3 of many tells of each, in the order of their ends", within(function()
        local all, gates = {}, {}
        for i = 1, 100 do
            all[i], gates[i] = target(i)
            all[i]:monitor()
        end
        for i = 100, 1, -1 do
            gates[i]()
        end
        for i = 100, 1, -1 do
            local value = down()
            assert.equal(all[i], value.tasklet)
            assert.equal(i, value.retval)
        end
        assert.equal(0, #tasklet.current().mailbox)
    end))

    it("10.3 is kept until it is asked for", within(function()
        local mailbox = tasklet.current().mailbox
        local t, gate = target("result")
        t:monitor()
        gate()
        for _ = 1, 3 do
            tasklet.sleep(0)
        end
        assert.equal(1, #mailbox)
        assert.equal("result", down().retval)
    end))

    it("10.3 goes with joins and join callbacks", within(function()
        local t, gate = target("result")
        local called
        t:add_join_callback(function(_, retval) called = retval end)
        local joiner = tasklet.run(function() return tasklet.join(t) end)
        t:monitor()
        gate()
        assert.equal("result", tasklet.join(joiner, 30))
        assert.equal("result", called)
        assert.equal("result", down().retval)
    end))

    it("10.3 harms nobody when the one that asked has ended", within(function()
        for _, how in ipairs{"returned", "killed", "failed"} do
            local t, gate = target("result")
            local watcher = tasklet.run(function()
                t:monitor()
                if how == "killed" then
                    tasklet.sleep(60)
                elseif how == "failed" then
                    error("on purpose", 0)
                end
            end)
            watcher:kill()
            pcall(tasklet.join, watcher)
            assert.is_true(watcher:has_finished())
            gate()
            assert.equal("result", tasklet.join(t, 30))
        end
    end))

    it("10.3 does not keep the tasklet, nor the one that asked, alive", within(function()
        local weak = setmetatable({}, {__mode = "k"})
        local t, gate = target()
        local function ask()
            weak[tasklet.run(function() t:monitor() end)] = true
        end
        ask()
        collect()
        assert.is_nil((next(weak)), "the one that asked and has ended")
        gate()
        local function watch()
            local other, finish = target()
            weak[other] = true
            other:monitor()
            finish()
            assert.equal(other, down().tasklet)
        end
        watch()
        tasklet.sleep(0)
        collect()
        assert.is_nil((next(weak)), "the one that was asked about and has ended")
    end))

    it("10.3 works on the instances of a subclass", within(function()
        local Class = tasklet.Tasklet:subclass("Class")
        function Class.run()
            tasklet.sleep(0)
            return "result"
        end
        local t = Class()
        t:monitor()
        assert.equal("result", down().retval)
    end))

    it("10.3 outside of any tasklet raises", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function() end)
            local ok, err = pcall(function() t:monitor() end)
            print(ok, tasklet.TaskletError:is(err))
        ]]
        assert.same({"false\ttrue\n", ""}, {result.stdout, result.stderr})
    end)

    it("1.4 raises for what is no tasklet", within(function()
        local t = tasklet.run(function() end)
        assert.is_false((pcall(t.monitor)))
        assert.is_false((pcall(t.monitor, {})))
    end))
end)
