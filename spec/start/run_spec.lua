local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet = tasklet.Tasklet

--- Joins a tasklet that failed, so that nobody reports it, and gives the error.
local function failure(t)
    local ok, err = pcall(tasklet.join, t)
    assert.is_false(ok, "did not fail")
    return err
end

describe("starting", function()
    for name, start in pairs {run = tasklet.run, Tasklet = Tasklet} do
        it("2.1 by " .. name .. " runs at once, up to the first wait", function()
            local log = {}
            local t = start(function(...)
                log[#log + 1] = table.pack(...)
                tasklet.sleep(0)
                log[#log + 1] = "after the wait"
            end, 1, nil, "three", nil)
            assert.same({{1, nil, "three", nil, n = 4}}, log)
            assert.equal(Tasklet.STATE_SUSPENDED, t.state)
            helper.within_loop(function() tasklet.join(t) end)
            assert.equal("after the wait", log[2])
            assert.equal(Tasklet.STATE_ZOMBIE, t.state)
        end)

        it("2.1 by " .. name .. " takes a fresh coroutine", function()
            helper.within_loop(function()
                local log = {}
                local t = start(coroutine.create(function(...)
                    log[#log + 1] = table.pack(...)
                    local timeout = tasklet.WaitForTimeout(0)
                    coroutine.yield(timeout)
                    log[#log + 1] = tasklet.get_event() == timeout
                    return "result", nil
                end), "argument", nil)
                assert.same({{"argument", nil, n = 2}}, log)
                assert.same({"result", nil, n = 2}, table.pack(tasklet.join(t)))
                assert.is_true(log[2])
            end)
        end)
    end

    it("2.1 of one that never waits has it ended when run returns", function()
        local t = tasklet.run(function() return "value", 2 end)
        assert.equal(Tasklet.STATE_ZOMBIE, t.state)
        assert.equal("value", t.return_value)
    end)

    it("2.1 within a tasklet lets the new one run before the old one goes on", function()
        helper.within_loop(function()
            local log = {}
            local bystander = tasklet.run(function()
                tasklet.yield_()
                log[#log + 1] = "bystander"
            end)
            local outer = tasklet.run(function()
                log[#log + 1] = "outer"
                local inner = tasklet.run(function()
                    log[#log + 1] = "inner"
                    tasklet.yield_()
                    log[#log + 1] = "inner again"
                end)
                log[#log + 1] = "outer again"
                tasklet.join(inner)
            end)
            log[#log + 1] = "starter"
            tasklet.join(outer)
            tasklet.join(bystander)
            assert.same({
                "outer", "inner", "outer again", "starter", "bystander", "inner again",
            }, log)
        end)
    end)

    it("2.1 refuses a coroutine that is not fresh", function()
        local begun = coroutine.create(function() coroutine.yield() end)
        coroutine.resume(begun)
        local ended = coroutine.create(function() end)
        coroutine.resume(ended)
        for what, co in pairs {begun = begun, ended = ended, running = coroutine.running()} do
            local ok, err = pcall(function()
                local t = tasklet.run(co)
                return t
            end)
            assert.is_false(ok, what)
            assert.is_truthy(tostring(err):find("'run'", 1, true), tostring(err))
        end
    end)

    it("2.2 by a function of task starts one at each call", function()
        helper.within_loop(function()
            local log = {}
            local count = tasklet.task(function(first, ...)
                log[#log + 1] = first
                tasklet.yield_()
                log[#log + 1] = first .. " again"
                return first, ...
            end)
            assert.equal("function", type(count))
            local a, b = count("a", 1), count("b", nil)
            assert.not_equal(a, b)
            assert.same({"a", "b"}, log)
            assert.same({"a", 1, n = 2}, table.pack(a:join()))
            assert.same({"b", nil, n = 2}, table.pack(b:join()))
            assert.same({"a", "b", "a again", "b again"}, log)
        end)
    end)

    it("2.2 by a function of task serves as a method", function()
        local object = {name = "object"}
        object.start = tasklet.task(function(self, value) return self, value end)
        local t = object:start(5)
        helper.within_loop(function()
            assert.same({object, 5}, {tasklet.join(t)})
        end)
    end)

    it("2.5 needs no reference while something can still happen", function()
        helper.within_loop(function()
            local me, left = tasklet.current(), 5
            local done = tasklet.WaitForCall()
            local function finished()
                left = left - 1
                if left == 0 then
                    done()
                end
            end
            local call = tasklet.WaitForCall()
            local emitter = tasklet.Emitter{"go"}
            tasklet.run(function() tasklet.sleep(0.01) finished() end)
            tasklet.run(function() tasklet.wait(call) finished() end)
            tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(emitter, "go"))
                finished()
            end)
            tasklet.run(function()
                tasklet.send(me, "here I am")
                tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                finished()
            end)
            tasklet.run(function()
                tasklet.join(tasklet.run(function() tasklet.sleep(0.01) end))
                finished()
            end)
            collectgarbage()
            collectgarbage()
            local waiting = me.mailbox:popleft(0).sender
            tasklet.run(function()
                tasklet.sleep(0.01)
                call()
                emitter:emit("go")
                tasklet.send(waiting, "go")
            end)
            collectgarbage()
            collectgarbage()
            tasklet.wait(done)
            assert.equal(0, left)
        end)
    end)
end)

describe("an error", function()
    it("2.6 stays with the tasklet", function()
        helper.within_loop(function()
            local t = tasklet.run(error, "at once", 0)
            assert.equal(Tasklet.STATE_ZOMBIE, t.state)
            assert.is_nil(t.return_value)
            assert.equal("at once", failure(t).cause)
        end)
    end)

    it("2.6 of every way to start stays with the tasklet", function()
        helper.within_loop(function()
            local Failing = Tasklet:subclass("Failing")
            function Failing.run() error("failed", 0) end
            local fail = function() error("failed", 0) end
            for _, t in ipairs {
                tasklet.run(fail), Tasklet(fail), tasklet.task(fail)(), Failing(),
                tasklet.run(coroutine.create(fail)),
            } do
                assert.equal("failed", failure(t).cause)
            end
        end)
    end)

    it("2.6 does not disturb whoever woke the tasklet", function()
        helper.within_loop(function()
            local function ignore() end
            local log = {}
            local emitter = tasklet.Emitter{"go"}
            local call = tasklet.WaitForCall{return_value = "returned"}
            local by_message = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                error("message", 0)
            end)
            local by_call = tasklet.run(function()
                tasklet.wait(call)
                error("call", 0)
            end)
            local by_signal = tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(emitter, "go"))
                error("signal", 0)
            end)
            local other = tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(emitter, "go"))
                log[#log + 1] = "the other one heard it"
            end)
            for _, t in ipairs {by_message, by_call, by_signal} do
                t:add_join_callback(ignore)
            end
            tasklet.send(by_message, "go")
            log[#log + 1] = "sent"
            log[#log + 1] = call()
            emitter:emit("go")
            log[#log + 1] = "emitted"
            tasklet.join(other)
            assert.same({"sent", "returned", "the other one heard it", "emitted"}, log)
            assert.equal("message", failure(by_message).cause)
            assert.equal("call", failure(by_call).cause)
            assert.equal("signal", failure(by_signal).cause)
        end)
    end)

    it("2.6 does not disturb tasklets that wait for the loop", function()
        helper.within_loop(function()
            local good, bad = {}, {}
            for i = 1, 20 do
                bad[i] = tasklet.run(function()
                    tasklet.sleep(0.005)
                    error(i, 0)
                end)
                bad[i]:add_join_callback(function() end)
                good[i] = tasklet.run(function()
                    tasklet.sleep(0.005)
                    return i
                end)
            end
            for i = 1, 20 do
                assert.equal(i, tasklet.join(good[i]))
                assert.equal(i, failure(bad[i]).cause)
            end
        end)
    end)
end)
