local tasklet = require "tasklet"
local helper = require "spec.helper"
local uv = require "luv"

local Tasklet, TaskletExit = tasklet.Tasklet, tasklet.TaskletExit

--- A value for a variable marked <close>.
local function closing(f)
    return setmetatable({}, {__close = f})
end

--- How `t` ended: "returned", "failed" or "killed".
local function ending(t)
    local ok, err = pcall(tasklet.join, t)
    if ok then
        return "returned"
    end
    assert.is_true(tasklet.JoinError:is(err), tostring(err))
    return TaskletExit:is(err.cause) and "killed" or "failed"
end

describe("killing a suspended tasklet", function()
    it("6.4 ends it at once, with its close methods run", function()
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                local _ <close> = closing(function() log[#log + 1] = "outer" end)
                local _ <close> = closing(function(_, err)
                    log[#log + 1] = TaskletExit:is(err)
                    log[#log + 1] = "inner"
                end)
                tasklet.sleep(60)
                log[#log + 1] = "went on"
            end)
            t:kill()
            log[#log + 1] = "killer"
            assert.same({true, "inner", "outer", "killer"}, log)
            assert.equal(Tasklet.STATE_ZOMBIE, t.state)
            assert.is_nil(t.return_value)
            assert.equal("killed", ending(t))
        end)
    end)

    it("6.4 lets it run up to its next wait only, then the killer goes on", function()
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                pcall(tasklet.sleep, 60)
                log[#log + 1] = "killed"
                tasklet.survive()
                tasklet.yield_()
                log[#log + 1] = "later"
            end)
            t:kill()
            log[#log + 1] = "killer"
            tasklet.join(t)
            assert.same({"killed", "killer", "later"}, log)
        end)
    end)

    it("6.4 is heard by joiners, waiters and join callbacks", function()
        helper.within_loop(function()
            local heard = {}
            local t = tasklet.run(function() tasklet.sleep(60) end)
            local joiner = tasklet.run(function()
                local ok, err = pcall(tasklet.join, t)
                heard.joiner = not ok and tasklet.JoinError:is(err) and TaskletExit:is(err.cause)
                    and err.tasklet == t
            end)
            local waiter = tasklet.run(function()
                local event = tasklet.wait(t)
                heard.waiter = TaskletExit:is(event.error) and event.retval == nil
            end)
            t:add_join_callback(function(target, retval)
                heard.callback = target == t and retval == nil
            end)
            t:kill()
            tasklet.join(joiner)
            tasklet.join(waiter)
            assert.same({joiner = true, waiter = true, callback = true}, heard)
        end)
    end)

    it("6.4 passes through a generator, whose close methods run too", function()
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                local _ <close> = closing(function() log[#log + 1] = "body" end)
                local generator = coroutine.wrap(function()
                    local _ <close> = closing(function() log[#log + 1] = "generator" end)
                    coroutine.yield("value")
                    tasklet.sleep(60)
                end)
                log[#log + 1] = generator()
                generator()
            end)
            t:kill()
            assert.same({"value", "generator", "body"}, log)
            assert.equal("killed", ending(t))
        end)
    end)

    it("6.4 leaves what it started alone", function()
        helper.within_loop(function()
            local child
            local t = tasklet.run(function()
                child = tasklet.run(function()
                    tasklet.sleep(0.005)
                    return "child"
                end)
                tasklet.join(child)
            end)
            t:kill()
            assert.equal("killed", ending(t))
            assert.equal("child", tasklet.join(child))
        end)
    end)
end)

describe("a kill that is caught", function()
    it("6.4 is raised again by the next wait, until survive", function()
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                for i = 1, 3 do
                    local ok, err = pcall(tasklet.sleep, 60)
                    log[i] = not ok and TaskletExit:is(err)
                end
                log[#log + 1] = "not waiting"
                tasklet.survive()
                tasklet.sleep(0)
                tasklet.yield_()
                log[#log + 1] = "survived"
                return "result"
            end)
            t:kill()
            assert.same({true, true, true, "not waiting"}, log)
            assert.equal("result", tasklet.join(t))
            assert.equal("survived", log[5])
        end)
    end)

    it("6.4 is raised again by every kind of wait", function()
        helper.within_loop(function()
            local call = tasklet.WaitForCall()
            local never = tasklet.run(function() tasklet.sleep(60) end)
            local waits = {
                function() tasklet.sleep(0) end,
                function() tasklet.yield_() end,
                function() coroutine.yield(tasklet.WaitForTimeout(0)) end,
                function() tasklet.wait(call) end,
                function() tasklet.wait(tasklet.WaitForMessages{accept = "name"}) end,
                function() tasklet.join(never) end,
                function() tasklet.current().mailbox:popleft() end,
            }
            local caught = 0
            local t = tasklet.run(function()
                pcall(tasklet.sleep, 60)
                for _, wait in ipairs(waits) do
                    local ok, err = pcall(wait)
                    if not ok and TaskletExit:is(err) then
                        caught = caught + 1
                    end
                end
            end)
            t:kill()
            assert.equal(#waits, caught)
            assert.equal("returned", ending(t))
            never:kill()
        end)
    end)

    it("6.4 leaves the tasklet with the result that it returns", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                pcall(tasklet.sleep, 60)
                return "swallowed", nil, 3
            end)
            t:kill()
            assert.equal("swallowed", t.return_value)
            assert.same({"swallowed", nil, 3}, {tasklet.join(t)})
        end)
    end)

    it("6.4 leaves the tasklet with the error that it raises instead", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                pcall(tasklet.sleep, 60)
                error("my own", 0)
            end)
            t:kill()
            local ok, err = pcall(tasklet.join, t)
            assert.is_false(ok)
            assert.equal("my own", err.cause)
        end)
    end)

    it("6.4 may come again after survive", function()
        helper.within_loop(function()
            local kills = 0
            local t = tasklet.run(function()
                for _ = 1, 3 do
                    if not pcall(tasklet.sleep, 60) then
                        kills = kills + 1
                        tasklet.survive()
                    end
                end
                tasklet.sleep(60)
            end)
            for i = 1, 3 do
                t:kill()
                assert.equal(i, kills)
                assert.equal(Tasklet.STATE_SUSPENDED, t.state)
            end
            t:kill()
            assert.equal("killed", ending(t))
        end)
    end)

    it("6.4 leaves survive harmless where there was none", function()
        helper.within_loop(function()
            tasklet.survive()
            tasklet.sleep(0)
            local t = tasklet.run(function()
                tasklet.survive()
                tasklet.sleep(60)
            end)
            t:kill()
            assert.equal("killed", ending(t))
        end)
    end)
end)

describe("killing oneself", function()
    it("6.4 ends the tasklet there", function()
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                local _ <close> = closing(function() log[#log + 1] = "closed" end)
                tasklet.current():kill()
                log[#log + 1] = "went on"
            end)
            assert.same({"closed"}, log)
            assert.equal(Tasklet.STATE_ZOMBIE, t.state)
            assert.equal("killed", ending(t))
        end)
    end)

    it("6.4 can be caught and survived as any kill", function()
        helper.within_loop(function()
            local log = {}
            local t = tasklet.run(function()
                local me = tasklet.current()
                local ok, err = pcall(me.kill, me)
                log[1] = not ok and TaskletExit:is(err)
                ok, err = pcall(tasklet.sleep, 0)
                log[2] = not ok and TaskletExit:is(err)
                tasklet.survive()
                tasklet.sleep(0)
                return "survived"
            end)
            assert.equal("survived", tasklet.join(t))
            assert.same({true, true}, log)
        end)
    end)
end)

describe("killing a finished tasklet", function()
    it("6.4 does nothing", function()
        helper.within_loop(function()
            local t = tasklet.run(function() return "result" end)
            t:kill()
            t:kill()
            assert.equal("result", tasklet.join(t))
            local failed = tasklet.run(error, "failed", 0)
            failed:kill()
            assert.equal("failed", ending(failed))
            local killed = tasklet.run(function() tasklet.sleep(60) end)
            killed:kill()
            killed:kill()
            assert.equal("killed", ending(killed))
        end)
    end)
end)

describe("killing a tasklet that stands behind another", function()
    it("6.4 reaches a sender whose message is being received", function()
        helper.within_loop(function()
            local log = {}
            local receiver = tasklet.run(function()
                local message = tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                message.sender:kill()
                tasklet.yield_()
                return "receiver"
            end)
            local sender = tasklet.run(function()
                local _ <close> = closing(function() log[#log + 1] = "closed" end)
                tasklet.send(receiver, "go")
                tasklet.sleep(60)
                log[#log + 1] = "went on"
            end)
            assert.equal("receiver", tasklet.join(receiver))
            assert.equal("killed", ending(sender))
            assert.same({"closed"}, log)
        end)
    end)

    it("6.4 reaches a starter whose tasklet is being started", function()
        helper.within_loop(function()
            local child
            local parent = tasklet.run(function()
                local me = tasklet.current()
                child = tasklet.run(function()
                    me:kill()
                    tasklet.yield_()
                    return "child"
                end)
                tasklet.sleep(60)
            end)
            assert.equal("killed", ending(parent))
            if child then
                assert.equal("child", tasklet.join(child))
            end
        end)
    end)

    it("6.4 works in a ring where each kills the other", function()
        helper.within_loop(function()
            local a, b
            a = tasklet.run(function()
                local _ <close> = closing(function() b:kill() end)
                tasklet.sleep(60)
            end)
            b = tasklet.run(function()
                local _ <close> = closing(function() a:kill() end)
                tasklet.sleep(60)
            end)
            a:kill()
            assert.equal("killed", ending(a))
            assert.equal("killed", ending(b))
        end)
    end)
end)

describe("killing what waits", function()
    local function plain_waits()
        return {
            sleep = function() tasklet.sleep(60) end,
            yield_ = function() tasklet.yield_() end,
            popleft = function() tasklet.current().mailbox:popleft() end,
            ["popleft with a timeout"] = function() tasklet.current().mailbox:popleft(60) end,
            ["a function"] = function() coroutine.yield(function() tasklet.sleep(0) end) end,
        }
    end

    for name, wait in pairs(plain_waits()) do
        it("6.4 on " .. name .. " is seen there", function()
            helper.within_loop(function()
                local seen
                local t = tasklet.run(function()
                    local ok, err = pcall(wait)
                    seen = not ok and TaskletExit:is(err)
                    error(err, 0)
                end)
                t:kill()
                assert.is_true(seen)
                assert.equal("killed", ending(t))
            end)
        end)
    end

    --- Kills a tasklet that waits on `condition`, which must then serve another one.
    local function check_disarmed(condition)
        local t = tasklet.run(function() coroutine.yield(condition) end)
        t:kill()
        assert.equal("killed", ending(t))
        local other = tasklet.run(function()
            coroutine.yield(condition, tasklet.WaitForTimeout(60000))
        end)
        assert.equal(Tasklet.STATE_SUSPENDED, other.state)
        other:kill()
        assert.equal("killed", ending(other))
    end

    it("6.4 on a timeout disarms it", function()
        helper.within_loop(function()
            local timeout = tasklet.WaitForTimeout(10)
            check_disarmed(timeout)
            tasklet.sleep(0.02)
            assert.is_falsy(timeout.triggered)
        end)
    end)

    it("6.4 on idle disarms it", function()
        helper.within_loop(function() check_disarmed(tasklet.WaitForIdle()) end)
    end)

    it("6.4 on a call disarms it", function()
        helper.within_loop(function()
            local call = tasklet.WaitForCall{return_value = "returned"}
            check_disarmed(call)
            assert.equal("returned", call())
        end)
    end)

    it("6.4 on a signal disarms it", function()
        helper.within_loop(function()
            local emitter = tasklet.Emitter{"go"}
            local condition = tasklet.WaitForSignal(emitter, "go")
            check_disarmed(condition)
            emitter:emit("go")
            emitter:destroy()
        end)
    end)

    it("6.4 on messages disarms them", function()
        helper.within_loop(function()
            check_disarmed(tasklet.WaitForMessages{accept = "go", discard = "noise"})
        end)
    end)

    it("6.4 on a tasklet disarms it", function()
        helper.within_loop(function()
            local target = tasklet.run(function() tasklet.sleep(60) end)
            check_disarmed(tasklet.WaitForTasklet(target))
            local joiner = tasklet.run(function() tasklet.join(target) end)
            joiner:kill()
            assert.equal("killed", ending(joiner))
            target:kill()
        end)
    end)

    it("6.4 on a descriptor disarms it", function()
        helper.within_loop(function()
            local pipe = uv.pipe()
            check_disarmed(tasklet.WaitForIO(pipe.read, tasklet.IO_IN))
            uv.fs_write(pipe.write, "x")
            local again = tasklet.WaitForIO(pipe.read, tasklet.IO_IN)
            assert.equal(again, tasklet.wait(again))
            tasklet.sleep(0)
            uv.fs_close(pipe.read)
            uv.fs_close(pipe.write)
        end)
    end)

    it("6.4 on a process disarms it", function()
        helper.within_loop(function()
            local ended = tasklet.WaitForCall()
            local handle, pid = uv.spawn("sleep", {args = {"60"}}, function() ended() end)
            check_disarmed(tasklet.WaitForProcess(pid))
            handle:kill("sigkill")
            tasklet.wait(ended)
            handle:close()
        end)
    end)

    it("6.4 on several things disarms them all", function()
        helper.within_loop(function()
            local call = tasklet.WaitForCall()
            local timeout = tasklet.WaitForTimeout(5)
            local emitter = tasklet.Emitter{"go"}
            local signal = tasklet.WaitForSignal(emitter, "go")
            local t = tasklet.run(function() coroutine.yield{call, timeout, signal} end)
            t:kill()
            check_disarmed(call)
            check_disarmed(timeout)
            check_disarmed(signal)
        end)
    end)

    it("6.4 on a condition of one's own disarms it once", function()
        helper.within_loop(function()
            local log = {}
            local Mine = tasklet.WaitCondition:subclass("Mine")
            function Mine.init() end
            function Mine.arm() log[#log + 1] = "armed" end
            function Mine.disarm() log[#log + 1] = "disarmed" end
            local t = tasklet.run(function() tasklet.wait(Mine()) end)
            t:kill()
            assert.same({"armed", "disarmed"}, log)
        end)
    end)
end)
