local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet = tasklet.Tasklet

--- How a spec sends: each of these must behave alike.
local ways = {
    send = function(dest, name, value) tasklet.send(dest, name, value) end,
    yield = function(dest, name, value)
        coroutine.yield(tasklet.Message(name, {dest = dest, value = value}))
    end,
    wait = function(dest, name, value)
        tasklet.wait(tasklet.Message(name, {dest = dest, value = value}))
    end,
}

for way, send in pairs(ways) do
    describe("a message sent by " .. way, function()
        it("5.2 lets the receiver run at once, up to its next wait", function()
            helper.within_loop(function()
                local log = {}
                local receiver = tasklet.run(function()
                    local wanted = tasklet.WaitForMessages{accept = "name"}
                    for i = 1, 2 do
                        tasklet.wait(wanted)
                        log[#log + 1] = "received " .. i
                    end
                    tasklet.yield_()
                    log[#log + 1] = "next turn"
                end)
                log[#log + 1] = "before"
                send(receiver, "name")
                log[#log + 1] = "between"
                send(receiver, "name")
                log[#log + 1] = "after"
                tasklet.join(receiver)
                assert.same(
                    {"before", "received 1", "between", "received 2", "after", "next turn"}, log)
            end)
        end)

        it("5.2 shows the sender in STATE_MSGSEND to the receiver", function()
            helper.within_loop(function()
                local me, seen = tasklet.current(), nil
                local receiver = tasklet.run(function()
                    local message = tasklet.wait(tasklet.WaitForMessages{accept = "name"})
                    seen = message.sender.state
                end)
                assert.equal(Tasklet.STATE_RUNNING, me.state)
                send(receiver, "name")
                assert.equal(Tasklet.STATE_MSGSEND, seen)
                assert.equal(Tasklet.STATE_RUNNING, me.state)
            end)
        end)

        it("5.2 keeps replies in the sender's mailbox until its next wait", function()
            helper.within_loop(function()
                local me, log = tasklet.current(), {}
                local receiver = tasklet.run(function()
                    local message = tasklet.wait(tasklet.WaitForMessages{accept = "question"})
                    for i = 1, 3 do
                        send(message.sender, "answer", i)
                        log[#log + 1] = #message.sender.mailbox
                    end
                end)
                local answers = tasklet.WaitForMessages{accept = "answer"}
                send(receiver, "question")
                log[#log + 1] = "sent"
                assert.same({1, 2, 3, "sent"}, log)
                assert.equal(3, #me.mailbox)
                for i = 1, 3 do
                    local message = tasklet.wait(answers)
                    assert.equal(i, message.value)
                    assert.equal(receiver, message.sender)
                end
                assert.equal(0, #me.mailbox)
            end)
        end)

        it("5.2 keeps what a third one sends meanwhile", function()
            helper.within_loop(function()
                local me = tasklet.current()
                local receiver = tasklet.run(function()
                    tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                    tasklet.run(function() send(me, "from a third one") end)
                end)
                -- what me waited on before must not judge the message
                tasklet.wait(tasklet.WaitForTimeout(0))
                send(receiver, "go")
                assert.equal(1, #me.mailbox)
                local wanted = tasklet.WaitForMessages{accept = "from a third one"}
                assert.equal("from a third one", tasklet.wait(wanted).name)
            end)
        end)

        it("3.8 nests: the last one woken runs first, then who triggered it", function()
            helper.within_loop(function()
                local log = {}
                local function relay(name, next_one)
                    return tasklet.run(function()
                        tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                        log[#log + 1] = name .. " woken"
                        if next_one then
                            send(next_one, "go")
                            log[#log + 1] = name .. " goes on"
                        end
                        tasklet.yield_()
                        log[#log + 1] = name .. " later"
                    end)
                end
                local bystander = tasklet.run(function()
                    tasklet.yield_()
                    log[#log + 1] = "bystander"
                end)
                local c = relay("c")
                local b = relay("b", c)
                local a = relay("a", b)
                send(a, "go")
                log[#log + 1] = "sender goes on"
                tasklet.join(a)
                tasklet.join(b)
                tasklet.join(c)
                tasklet.join(bystander)
                assert.same({
                    "a woken", "b woken", "c woken", "b goes on", "a goes on", "sender goes on",
                    "bystander", "c later", "b later", "a later",
                }, log)
            end)
        end)

        it("3.8 does not let a ready bystander in between", function()
            helper.within_loop(function()
                local log = {}
                local receiver = tasklet.run(function()
                    tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                    log[#log + 1] = "receiver"
                end)
                local ready = tasklet.run(function()
                    tasklet.yield_()
                    log[#log + 1] = "ready one"
                end)
                send(receiver, "go")
                log[#log + 1] = "sender"
                tasklet.join(ready)
                assert.same({"receiver", "sender", "ready one"}, log)
            end)
        end)

        it("3.8 lets the sender go on when the message only waits", function()
            helper.within_loop(function()
                local log = {}
                local receiver = tasklet.run(function()
                    tasklet.sleep(0.01)
                    log[#log + 1] = tasklet.wait(tasklet.WaitForMessages{accept = "go"}).value
                end)
                send(receiver, "go", "value")
                log[#log + 1] = "sent"
                tasklet.join(receiver)
                assert.same({"sent", "value"}, log)
            end)
        end)
    end)
end

describe("messages back and forth", function()
    it("5.2 arrive in turn", function()
        helper.within_loop(function()
            local log = {}
            local ponger = tasklet.run(function()
                local ping = tasklet.WaitForMessages{accept = "ping"}
                for _ = 1, 3 do
                    local message = tasklet.wait(ping)
                    log[#log + 1] = "ping " .. message.value
                    tasklet.send(message.sender, "pong", message.value)
                end
            end)
            local pong = tasklet.WaitForMessages{accept = "pong"}
            for i = 1, 3 do
                tasklet.send(ponger, "ping", i)
                log[#log + 1] = "pong " .. tasklet.wait(pong).value
            end
            assert.same({"ping 1", "pong 1", "ping 2", "pong 2", "ping 3", "pong 3"}, log)
        end)
    end)

    it("5.2 reach a sender that has gone on to wait", function()
        helper.within_loop(function()
            local me = tasklet.current()
            local answerer = tasklet.run(function()
                local message = tasklet.wait(tasklet.WaitForMessages{accept = "question"})
                tasklet.sleep(0.005)
                tasklet.send(message.sender, "answer")
            end)
            tasklet.send(answerer, "question")
            assert.equal(0, #me.mailbox)
            assert.equal("answer", tasklet.wait(tasklet.WaitForMessages{accept = "answer"}).name)
        end)
    end)
end)
