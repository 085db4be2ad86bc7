local tasklet = require "tasklet"
local helper = require "spec.helper"

local Message = tasklet.Message

--- The values of what waits in `mailbox`.
local function values(mailbox)
    local found = {}
    for message in mailbox:iter() do
        found[#found + 1] = message.value
    end
    return found
end

describe("a mailbox", function()
    it("5.3 is one for each tasklet", function()
        helper.within_loop(function()
            local me = tasklet.current()
            local other = tasklet.run(function() tasklet.sleep(60) end)
            assert.equal(me.mailbox, me.mailbox)
            assert.not_equal(me.mailbox, other.mailbox)
            tasklet.send(other, "name")
            assert.equal(1, #other.mailbox)
            assert.equal(0, #me.mailbox)
            other:kill()
        end)
    end)

    it("5.3 is first in, first out", function()
        helper.within_loop(function()
            local mailbox = tasklet.current().mailbox
            for i = 1, 5 do
                tasklet.send(tasklet.current(), i % 2 == 0 and "even" or "odd", i)
            end
            assert.equal(5, #mailbox)
            for i = 1, 5 do
                assert.equal(i, mailbox:popleft().value)
                assert.equal(5 - i, #mailbox)
            end
        end)
    end)

    it("5.3 is iterated over without being emptied", function()
        helper.within_loop(function()
            local mailbox = tasklet.current().mailbox
            assert.same({}, values(mailbox))
            for i = 1, 3 do
                mailbox:append(Message("name", {value = i}))
            end
            assert.same({1, 2, 3}, values(mailbox))
            assert.same({1, 2, 3}, values(mailbox))
            assert.equal(3, #mailbox)
            for _ = 1, 3 do
                mailbox:popleft(0)
            end
            assert.same({}, values(mailbox))
        end)
    end)

    it("5.3 keeps the very message that was appended", function()
        helper.within_loop(function()
            local mailbox = tasklet.current().mailbox
            local message = Message("name")
            mailbox:append(message)
            assert.is_true(message == mailbox:iter()())
            assert.is_true(message == mailbox:popleft())
        end)
    end)
end)

describe("popleft", function()
    it("5.3 waits for a message, whatever its name", function()
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                local mailbox = tasklet.current().mailbox
                for _ = 1, 2 do
                    local message = mailbox:popleft()
                    log[#log + 1] = message.name
                end
            end)
            assert.same({}, log)
            tasklet.send(t, "one")
            log[#log + 1] = "sent"
            tasklet.send(t, "two")
            tasklet.join(t)
            assert.same({"one", "sent", "two"}, log)
        end)
    end)

    it("5.3 raises TimeoutError when nothing comes in time", function()
        helper.within_loop(function()
            local mailbox = tasklet.current().mailbox
            for _, timeout in ipairs {0, 0.005} do
                local ok, err = pcall(mailbox.popleft, mailbox, timeout)
                assert.is_false(ok)
                assert.is_true(tasklet.TimeoutError:is(err))
            end
            mailbox:append(Message("late"))
            assert.equal("late", mailbox:popleft(0).name)
        end)
    end)

    it("5.3 with a timeout takes what comes in time", function()
        helper.within_loop(function()
            local me = tasklet.current()
            local sender = tasklet.run(function()
                tasklet.sleep(0.005)
                tasklet.send(me, "in time")
            end)
            assert.equal("in time", me.mailbox:popleft(30).name)
            tasklet.join(sender)
        end)
    end)

    it("5.3 leaves no timeout behind", function()
        helper.within_loop(function()
            local me = tasklet.current()
            local sender = tasklet.run(function() tasklet.sleep(0) tasklet.send(me, "name") end)
            me.mailbox:popleft(0.03)
            tasklet.join(sender)
            tasklet.sleep(0.06)
            assert.equal(0, #me.mailbox)
        end)
    end)

    it("5.3 takes messages that WaitForMessages deferred", function()
        helper.within_loop(function()
            local me = tasklet.current()
            tasklet.send(me, "later", 1)
            tasklet.send(me, "now", 2)
            tasklet.send(me, "later", 3)
            tasklet.wait(tasklet.WaitForMessages{accept = "now", defer = "later"})
            assert.equal(1, me.mailbox:popleft().value)
            assert.equal(3, me.mailbox:popleft().value)
        end)
    end)

    it("5.3 and WaitForMessages may take turns", function()
        helper.within_loop(function()
            local me = tasklet.current()
            local wanted = tasklet.WaitForMessages{accept = "b", defer = {"a", "c"}}
            for i, name in ipairs {"a", "b", "c", "a", "b"} do
                tasklet.send(me, name, i)
            end
            assert.equal(1, me.mailbox:popleft().value)
            assert.equal(2, tasklet.wait(wanted).value)
            assert.equal(3, me.mailbox:popleft().value)
            assert.equal(5, tasklet.wait(wanted).value)
            assert.same({4}, values(me.mailbox))
            assert.equal(4, me.mailbox:popleft().value)
        end)
    end)
end)

describe("append", function()
    it("5.3 wakes the tasklet that waits for such a message", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                local first = tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                return first.value, tasklet.current().mailbox:popleft().value
            end)
            t.mailbox:append(Message("go", {value = 1}))
            t.mailbox:append(Message("anything", {value = 2}))
            assert.same({1, 2}, {tasklet.join(t)})
        end)
    end)

    it("5.4 is subject to what the tasklet waits for", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages{
                    accept = "go", defer = "later", discard = "noise",
                })
                return values(tasklet.current().mailbox)
            end)
            t.mailbox:append(Message("noise", {value = 1}))
            t.mailbox:append(Message("later", {value = 2}))
            t.mailbox:append(Message("go", {value = 3}))
            assert.same({2}, tasklet.join(t))
        end)
    end)
end)
