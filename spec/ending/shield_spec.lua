-- Cleanup that may wait (contract 6.4, shield).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local TaskletExit, WaitForCall = tasklet.TaskletExit, tasklet.WaitForCall
local now = tasklet.mainloop.now

local function within(body)
    return function() helper.within_loop(body) end
end

local function closing(f)
    return setmetatable({}, {__close = f})
end

--- How `t` ended: "returned", "killed" or the cause.
local function ending(t)
    local ok, err = pcall(tasklet.join, t, 10)
    if ok then
        return "returned"
    elseif tasklet.JoinError:is(err) then
        return TaskletExit:is(err.cause) and "killed" or err.cause
    end
    return err
end

--- Whether waiting raises a kill.
local function raises_kill(wait, ...)
    local ok, err = pcall(wait, ...)
    return not ok and TaskletExit:is(err)
end

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text)
    local chunk = assert(load("local tasklet = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

describe("shield without a kill", function()
    it("6.4 returns all results of its function", within(function()
        assert.same({1, nil, "three", nil, n = 4}, table.pack(tasklet.shield(function()
            return 1, nil, "three", nil
        end)))
        assert.same({1, nil, n = 2}, table.pack(tasklet.shield(function()
            tasklet.sleep(0.001)
            return 1, nil
        end, 10)))
        assert.equal(0, select("#", tasklet.shield(function() end)))
    end))

    it("6.4 lets an error of its function pass as it is", within(function()
        local cause = {}
        for _, wait in ipairs{false, true} do
            local ok, err = pcall(tasklet.shield, function()
                if wait then
                    tasklet.sleep(0)
                end
                error(cause)
            end, 10)
            assert.is_false(ok)
            assert.is_true(rawequal(cause, err))
        end
        tasklet.sleep(0)
    end))

    it("6.4 runs its function in the same tasklet", within(function()
        local me = tasklet.current()
        assert.equal(me, tasklet.shield(function()
            tasklet.sleep(0)
            return tasklet.current()
        end))
    end))

    it("6.4 does nothing when its seconds are over", within(function()
        local gate = WaitForCall()
        local t = tasklet.run(function()
            local result = tasklet.shield(function()
                tasklet.wait(gate)
                tasklet.sleep(0)
                return "result"
            end, 0.005)
            tasklet.sleep(0)
            return result
        end)
        tasklet.sleep(0.02)
        assert.is_false(t:has_finished())
        gate()
        assert.equal("result", tasklet.join(t, 10))
    end))

    it("6.4 leaves the tasklet to be killed after it", within(function()
        local t = tasklet.run(function()
            tasklet.shield(function() tasklet.sleep(0) end)
            pcall(tasklet.shield, function() error("on purpose") end)
            tasklet.sleep(600)
        end)
        tasklet.sleep(0.01)
        t:kill()
        assert.is_true(t:has_finished())
        assert.equal("killed", ending(t))
    end))

    it("1.4 raises for a wrong argument at the caller's line", within(function()
        for _, row in ipairs{
            {"tasklet.shield(nil)", 1}, {"tasklet.shield(5)", 1}, {"tasklet.shield('x')", 1},
            {"tasklet.shield(print, 'x')", 2}, {"tasklet.shield(print, {})", 2},
            {"tasklet.shield(print, 0/0)", 2},
        } do
            local err = raised(row[1])
            assert.equal("string", type(err), tostring(err))
            local pattern = ("^there:2: bad argument #%d to 'shield' "):format(row[2])
            assert.is_truthy(err:match(pattern), err)
        end
    end))
end)

describe("a kill during shield", function()
    it("6.4 is held back until the function returns; the next wait raises it", within(function()
        local log, gate = {}, WaitForCall()
        local t = tasklet.run(function()
            local result = tasklet.shield(function()
                tasklet.wait(gate)
                log[#log + 1] = "finished"
                return "result"
            end)
            log[#log + 1] = result
            log[#log + 1] = "no wait yet"
            log[#log + 1] = raises_kill(tasklet.sleep, 0)
            log[#log + 1] = raises_kill(tasklet.sleep, 0)
            tasklet.sleep(0)
            log[#log + 1] = "went on"
        end)
        t:kill()
        assert.same({}, log)
        assert.is_false(t:has_finished())
        tasklet.sleep(0.005)
        assert.same({}, log)
        gate()
        assert.same({"finished", "result", "no wait yet", true, true}, log)
        assert.equal("killed", ending(t))
    end))

    it("6.4 lets all the waits of the function be", within(function()
        local count = 0
        local t = tasklet.run(function()
            tasklet.shield(function()
                for _ = 1, 3 do
                    tasklet.sleep(0.001)
                    tasklet.yield_()
                    tasklet.wait(tasklet.WaitForTimeout(1))
                    count = count + 1
                end
            end)
            tasklet.sleep(600)
        end)
        t:kill()
        t:kill()
        assert.equal("killed", ending(t))
        assert.equal(3, count)
    end))

    it("6.4 is raised even if it came while the function ran", within(function()
        local t = tasklet.run(function()
            local me = tasklet.current()
            tasklet.shield(function()
                tasklet.run(function() me:kill() end)
                tasklet.sleep(0)
            end)
            tasklet.sleep(600)
        end)
        assert.equal("killed", ending(t))
    end))

    it("6.4 comes after the error of the function", within(function()
        local gate, seen = WaitForCall(), nil
        local t = tasklet.run(function()
            local ok, err = pcall(tasklet.shield, function()
                tasklet.wait(gate)
                error("my own", 0)
            end)
            seen = {ok, err, raises_kill(tasklet.sleep, 0)}
            error(err, 0)
        end)
        t:kill()
        gate()
        assert.same({false, "my own", true}, seen)
        assert.equal("my own", ending(t))
    end))

    it("6.4 leaves the tasklet its result if it waits no more", within(function()
        local gate = WaitForCall()
        local t = tasklet.run(function()
            return tasklet.shield(function()
                tasklet.wait(gate)
                return "saved", 2
            end)
        end)
        t:kill()
        gate()
        assert.same({"saved", 2}, {tasklet.join(t, 10)})
    end))

    it("6.4 may be survived after it", within(function()
        local gate = WaitForCall()
        local t = tasklet.run(function()
            tasklet.shield(function() tasklet.wait(gate) end)
            local first = raises_kill(tasklet.sleep, 0)
            tasklet.survive()
            tasklet.sleep(0.001)
            return first
        end)
        t:kill()
        gate()
        assert.is_true((tasklet.join(t, 10)))
    end))

    it("6.4 does not let joiners go on before the tasklet has ended", within(function()
        local gate, log = WaitForCall(), {}
        local t = tasklet.run(function()
            tasklet.shield(function() tasklet.wait(gate) end)
            tasklet.sleep(600)
        end)
        t:add_join_callback(function() log[#log + 1] = "callback" end)
        local joiner = tasklet.run(function()
            pcall(tasklet.join, t)
            log[#log + 1] = "joiner"
        end)
        t:kill()
        tasklet.sleep(0.005)
        assert.same({}, log)
        gate()
        tasklet.join(joiner, 10)
        assert.same({"callback", "joiner"}, log)
    end))

    it("6.4 is held back in generators, too", within(function()
        local gate, log = WaitForCall(), {}
        local t = tasklet.run(function()
            local generator = coroutine.wrap(function()
                coroutine.yield(tasklet.shield(function()
                    tasklet.wait(gate)
                    return "value"
                end))
                tasklet.sleep(600)
            end)
            log[1] = generator()
            log[2] = raises_kill(generator)
            tasklet.sleep(0)
        end)
        t:kill()
        gate()
        assert.same({"value", true}, log)
        assert.equal("killed", ending(t))
    end))

    it("6.4 of one in a scope lets the scope wait for the cleanup", within(function()
        local log = {}
        local ok, err = pcall(tasklet.scope, function(s)
            s:run(function()
                local _ <close> = closing(function()
                    tasklet.shield(function()
                        tasklet.sleep(0.01)
                        log[#log + 1] = "cleaned up"
                    end)
                end)
                tasklet.sleep(600)
            end)
            s:run(function()
                tasklet.sleep(0.001)
                error("because", 0)
            end)
        end)
        assert.same({"cleaned up"}, log)
        assert.is_false(ok)
        assert.equal("because", err.cause)
    end))
end)

describe("shield in the cleanup of a kill", function()
    it("6.4 lets a <close> variable wait", within(function()
        local log = {}
        local t = tasklet.run(function()
            local _ <close> = closing(function(_, err)
                log[#log + 1] = TaskletExit:is(err)
                log[#log + 1] = raises_kill(tasklet.sleep, 0)
                log[#log + 1] = tasklet.shield(function()
                    tasklet.sleep(0.005)
                    return "waited"
                end)
                log[#log + 1] = raises_kill(tasklet.sleep, 0)
            end)
            tasklet.sleep(600)
            log[#log + 1] = "went on"
        end)
        t:kill()
        assert.same({true, true}, log)
        assert.is_false(t:has_finished())
        assert.equal("killed", ending(t))
        assert.same({true, true, "waited", true}, log)
    end))

    it("6.4 lets each of several <close> variables wait", within(function()
        local log = {}
        local function cleanup(name)
            return closing(function()
                tasklet.shield(function()
                    tasklet.sleep(0.002)
                    log[#log + 1] = name
                end)
            end)
        end
        local t = tasklet.run(function()
            local _ <close> = cleanup "outer"
            pcall(function()
                local _ <close> = cleanup "middle"
                local _ <close> = cleanup "inner"
                tasklet.sleep(600)
            end)
            tasklet.sleep(600)
        end)
        t:kill()
        assert.equal("killed", ending(t))
        assert.same({"inner", "middle", "outer"}, log)
    end))

    it("6.4 lets what caught it wait", within(function()
        local t = tasklet.run(function()
            pcall(tasklet.sleep, 600)
            local result = tasklet.shield(function()
                tasklet.sleep(0.002)
                return "cleaned up"
            end)
            return result, raises_kill(tasklet.sleep, 0)
        end)
        t:kill()
        assert.same({"cleaned up", true}, {tasklet.join(t, 10)})
    end))

    it("6.4 lets it send, call and join", within(function()
        local log = {}
        local server = tasklet.run(function()
            for message in tasklet.receive() do
                tasklet.sleep(0.001)
                message:reply("answer to " .. message.value)
            end
        end)
        local t = tasklet.run(function()
            local _ <close> = closing(function()
                tasklet.shield(function()
                    log[#log + 1] = tasklet.call(server, "name", 5)
                    log[#log + 1] = tasklet.join(tasklet.run(function()
                        tasklet.sleep(0.001)
                        return "joined"
                    end))
                end, 10)
            end)
            tasklet.sleep(600)
        end)
        t:kill()
        assert.equal("killed", ending(t))
        assert.same({"answer to 5", "joined"}, log)
        server:kill()
    end))

    it("6.4 takes further kills as one", within(function()
        local log = {}
        local t = tasklet.run(function()
            local _ <close> = closing(function()
                tasklet.shield(function()
                    tasklet.sleep(0.01)
                    log[#log + 1] = "cleaned up"
                end)
            end)
            tasklet.sleep(600)
        end)
        for _ = 1, 3 do
            t:kill()
            assert.same({}, log)
            assert.is_false(t:has_finished())
            tasklet.yield_()
        end
        assert.equal("killed", ending(t))
        assert.same({"cleaned up"}, log)
    end))
end)

describe("the seconds of shield", function()
    it("6.4 are for ever if negative", within(function()
        local gate = WaitForCall()
        local t = tasklet.run(function()
            local result = tasklet.shield(function()
                tasklet.wait(gate)
                return "result"
            end, -1)
            return result, raises_kill(tasklet.sleep, 0)
        end)
        t:kill()
        tasklet.sleep(0.01)
        assert.is_false(t:has_finished())
        gate()
        assert.same({"result", true}, {tasklet.join(t, 10)})
    end))

    it("6.4 end what is held back too long", within(function()
        local before, seen = now(), nil
        local t = tasklet.run(function()
            tasklet.shield(function()
                local ok, err = pcall(tasklet.sleep, 600)
                seen = {not ok and TaskletExit:is(err), now() - before}
                seen[3] = raises_kill(tasklet.sleep, 0)
                tasklet.sleep(600)
            end, 0.02)
        end)
        t:kill()
        assert.is_nil(seen)
        assert.is_false(t:has_finished())
        assert.equal("killed", ending(t))
        assert.same({true, 20, true}, seen)
    end))

    it("6.4 are counted from the call, not from the kill", within(function()
        local gate, seen = WaitForCall(), false
        local t = tasklet.run(function()
            tasklet.shield(function()
                seen = raises_kill(tasklet.wait, gate)
                error("over", 0)
            end, 0.005)
        end)
        tasklet.sleep(0.02)
        assert.is_false(t:has_finished())
        -- The seconds are over by now.
        t:kill()
        assert.is_true(seen)
        assert.equal("over", ending(t))
    end))

    it("6.4 hold nothing back if they are none", within(function()
        local seen
        local t = tasklet.run(function()
            local _ <close> = closing(function()
                seen = {pcall(tasklet.shield, function() tasklet.sleep(600) end, 0)}
            end)
            tasklet.sleep(600)
        end)
        t:kill()
        assert.equal("killed", ending(t))
        assert.is_false(seen[1])
        assert.is_true(TaskletExit:is(seen[2]))
    end))

    it("6.4 leave no timer behind", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local before = tasklet.mainloop.now()
            tasklet.shield(function() tasklet.sleep(0.001) end, 600)
            local t = tasklet.run(function()
                tasklet.shield(function() tasklet.sleep(0.001) end, 600)
                tasklet.sleep(600)
            end)
            t:kill()
            pcall(tasklet.join, t)
            print(tasklet.mainloop.now() - before < 300000)
        ]])
        assert.same({"true\n", "", 0}, {result.stdout, result.stderr, result.status})
    end)
end)

describe("nested shields", function()
    it("6.4 hold back until the outermost returns", within(function()
        local first, second, log = WaitForCall(), WaitForCall(), {}
        local t = tasklet.run(function()
            tasklet.shield(function()
                tasklet.shield(function() tasklet.wait(first) end)
                log[#log + 1] = "inner"
                tasklet.wait(second)
                log[#log + 1] = "outer"
            end)
            log[#log + 1] = raises_kill(tasklet.sleep, 0)
        end)
        t:kill()
        first()
        assert.same({"inner"}, log)
        second()
        assert.same({"inner", "outer", true}, log)
        assert.is_true(t:has_finished())
    end))

    it("6.4 hold back no more when the inner one's error has left them", within(function()
        local gate, seen = WaitForCall(), nil
        local t = tasklet.run(function()
            pcall(tasklet.shield, function()
                tasklet.shield(function()
                    tasklet.wait(gate)
                    error("on purpose")
                end)
            end)
            seen = raises_kill(tasklet.sleep, 0)
        end)
        t:kill()
        gate()
        assert.is_true(seen)
    end))
end)

describe("a shield that is left in the middle", function()
    it("6.4 by a generator that is closed holds nothing back any more", within(function()
        local t = tasklet.run(function()
            local co = coroutine.create(function()
                tasklet.shield(function() coroutine.yield("value") end)
            end)
            assert(coroutine.resume(co))
            assert(coroutine.close(co))
            tasklet.sleep(600)
        end)
        t:kill()
        assert.is_true(t:has_finished())
        assert.equal("killed", ending(t))
    end))

    it("6.4 by the end of the program harms nothing", function()
        local script = [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                local _ <close> = setmetatable({}, {__close = function() print("closed") end})
                tasklet.shield(function() tasklet.sleep(600) end, 300)
            end)
            t:kill()
            io.write("shielded\n")
            os.exit(0, true)
        ]]
        for _, run in ipairs{helper.plain, helper.run_file} do
            local result = run(script)
            assert.same({"shielded\nclosed\n", "", 0},
                {result.stdout, result.stderr, result.status})
        end
    end)
end)
