local tasklet = require "tasklet"
local helper = require "spec.helper"

--- A tasklet that keeps every message it gets, in a list.
local function collector(...)
    local got, names = {}, {...}
    local t = tasklet.run(function()
        local wanted = tasklet.WaitForMessages{accept = names}
        while true do
            got[#got + 1] = tasklet.wait(wanted)
        end
    end)
    return t, got
end

describe("a message", function()
    it("5.1 has what it was made with", function()
        local t = tasklet.run(function() end)
        local message = tasklet.Message("name", {dest = t, value = "value", sender = t})
        assert.equal("name", message.name)
        assert.equal(t, message.dest)
        assert.equal("value", message.value)
        assert.equal(t, message.sender)
        local bare = tasklet.Message("bare")
        assert.equal("bare", bare.name)
        assert.is_nil(bare.dest)
        assert.is_nil(bare.value)
        assert.is_nil(bare.sender)
    end)

    it("5.1 arrives as the very object that was yielded", function()
        helper.within_loop(function()
            local t, got = collector("name")
            local value = {}
            local message = tasklet.Message("name", {dest = t, value = value})
            coroutine.yield(message)
            assert.equal(1, #got)
            assert.is_true(got[1] == message)
            assert.equal(value, got[1].value)
            assert.equal(tasklet.current(), got[1].sender)
            t:kill()
        end)
    end)

    it("5.1 has its sender set, whatever it was made with", function()
        helper.within_loop(function()
            local t, got = collector("name")
            coroutine.yield(tasklet.Message("name", {dest = t, sender = t}))
            assert.equal(tasklet.current(), got[1].sender)
            t:kill()
        end)
    end)

    it("5.1 is sent by wait too, which returns nothing", function()
        helper.within_loop(function()
            local t, got = collector("name")
            local message = tasklet.Message("name", {dest = t})
            assert.equal(0, select("#", tasklet.wait(message)))
            assert.is_true(got[1] == message)
            t:kill()
        end)
    end)

    it("5.1 is made and sent by send", function()
        helper.within_loop(function()
            local t, got = collector("a", "b", "c")
            tasklet.send(t, "a", 5)
            tasklet.send(t, "b", false)
            tasklet.send(t, "c")
            assert.equal(3, #got)
            assert.same({"a", "b", "c"}, {got[1].name, got[2].name, got[3].name})
            assert.equal(5, got[1].value)
            assert.is_false(got[2].value)
            assert.is_nil(got[3].value)
            assert.equal(tasklet.current(), got[1].sender)
            assert.equal(t, got[1].dest)
            t:kill()
        end)
    end)

    it("5.1 can be sent again, to another", function()
        helper.within_loop(function()
            local a, got_a = collector("name")
            local b, got_b = collector("name")
            local message = tasklet.Message("name", {dest = a})
            coroutine.yield(message)
            coroutine.yield(message)
            message.dest = b
            coroutine.yield(message)
            assert.equal(2, #got_a)
            assert.equal(1, #got_b)
            a:kill()
            b:kill()
        end)
    end)

    it("5.1 without a destination raises in the sender", function()
        helper.within_loop(function()
            local chunk = load("local Message = ...\ncoroutine.yield(Message('name'))", "=there")
            local ok, err = pcall(chunk, tasklet.Message)
            assert.is_false(ok)
            assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
            assert.is_truthy(tostring(err):find("dest", 1, true), tostring(err))
        end)
    end)

    it("5.1 comes from outside any tasklet by send_message", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local message = tasklet.Message("name", {value = 5})
            local t = tasklet.run(function()
                local wanted = tasklet.WaitForMessages{accept = "name"}
                while true do
                    local got = tasklet.wait(wanted)
                    print(got == message, got.value, got.sender, got.dest == tasklet.current())
                end
            end)
            t:send_message(message)
            print("sent")
            t:send_message(message)
            t:kill()
        ]]
        assert.equal("", result.stderr)
        assert.equal("true\t5\tnil\ttrue\nsent\ntrue\t5\tnil\ttrue\n", result.stdout)
    end)

    it("5.1 comes from a callback of luv by send_message", function()
        local uv = require "luv"
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                local message = tasklet.wait(tasklet.WaitForMessages{accept = "name"})
                log[#log + 1] = message.value
                tasklet.yield_()
                log[#log + 1] = "next turn"
            end)
            local timer = uv.new_timer()
            timer:start(0, 0, function()
                t:send_message(tasklet.Message("name", {value = "value"}))
                log[#log + 1] = "sent"
                timer:close()
            end)
            tasklet.join(t)
            assert.same({"value", "sent", "next turn"}, log)
        end)
    end)

    it("5.1 to oneself is there at the next wait", function()
        helper.within_loop(function()
            local me = tasklet.current()
            coroutine.yield(tasklet.Message("name", {dest = me, value = 1}))
            tasklet.send(me, "name", 2)
            assert.equal(2, #me.mailbox)
            local wanted = tasklet.WaitForMessages{accept = "name"}
            assert.equal(1, tasklet.wait(wanted).value)
            assert.equal(2, tasklet.wait(wanted).value)
            assert.equal(0, #me.mailbox)
        end)
    end)
end)

describe("a message to a finished tasklet", function()
    local function check(t)
        for _, text in ipairs {
            "tasklet.send(t, 'name')",
            "coroutine.yield(tasklet.Message('name', {dest = t}))",
            "tasklet.wait(tasklet.Message('name', {dest = t}))",
            "t:send_message(tasklet.Message('name'))",
        } do
            local chunk = assert(load("local tasklet, t = ...\n" .. text, "=there"))
            local ok, err = pcall(chunk, tasklet, t)
            assert.is_false(ok, text)
            assert.is_true(tasklet.TaskletError:is(err), text .. ": " .. tostring(err))
            assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
        end
        tasklet.sleep(0)
    end

    it("5.8 raises in the sender", function()
        helper.within_loop(function()
            check(tasklet.run(function() end))
        end)
    end)

    it("5.8 raises when that one was killed", function()
        helper.within_loop(function()
            local t = collector("name")
            t:kill()
            check(t)
        end)
    end)

    it("5.8 raises when that one failed", function()
        helper.within_loop(function()
            local t = tasklet.run(error, "failed")
            pcall(tasklet.join, t)
            check(t)
        end)
    end)

    it("5.8 raises after it ended because of a message", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages{accept = "last"})
            end)
            tasklet.send(t, "last")
            check(t)
        end)
    end)

    it("5.8 does not raise when the message itself ends it", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                return tasklet.wait(tasklet.WaitForMessages{accept = "last"}).value
            end)
            tasklet.send(t, "last", 5)
            assert.equal(tasklet.Tasklet.STATE_ZOMBIE, t.state)
            assert.equal(5, t.return_value)
        end)
    end)
end)
