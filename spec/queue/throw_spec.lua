-- luacheck: ignore 631
local tasklet = require "tasklet"
local helper = require "spec.helper"

local TaskletExit, JoinError = tasklet.TaskletExit, tasklet.JoinError

--- What `t` failed with; nil if it did not fail.
local function cause(t)
    local ok, err = pcall(tasklet.join, t)
    if ok then
        return nil
    end
    assert.is_true(JoinError:is(err), tostring(err))
    return err.cause
end

--- A value for a variable marked <close>.
local function closing(f)
    return setmetatable({}, {__close = f})
end

local function nothing() end

-- Ways to be suspended.
local places = {
    {"sleep", function() tasklet.sleep(60) end},
    {"wait", function() tasklet.wait(tasklet.WaitForTimeout(60000)) end},
    {"a yield", function() coroutine.yield(tasklet.WaitForIdle(), tasklet.WaitForCall()) end},
    {"popleft", function() tasklet.getcurrent().mailbox:popleft() end},
    {"join", function() tasklet.join(tasklet.new(nothing)) end},
    {"schedule", function() tasklet.schedule() end},
    {"schedule_remove", function() tasklet.schedule_remove() end},
    {"a generator", function() coroutine.wrap(function() tasklet.sleep(60) end)() end},
    {"a channel's send", function() tasklet.channel():send("value") end},
    {"a channel's receive", function() tasklet.channel():receive() end},
    {"a WaitForChannel", function()
        tasklet.wait(tasklet.WaitForChannel(tasklet.channel(), "receive"))
    end},
    {"a metamethod", function()
        return setmetatable({}, {__index = function() tasklet.sleep(60) end}).field
    end},
}

describe("throw", function()
    it("7.1 of a class throws an error of that class", function()
        helper.within_loop(function()
            local t = tasklet.run(tasklet.sleep, 60)
            t:throw(tasklet.TimeoutError)
            assert.is_true(tasklet.TimeoutError:is(cause(t)))
            t = tasklet.run(tasklet.sleep, 60)
            t:throw(TaskletExit, true)
            assert.is_true(TaskletExit:is(cause(t)))
            t:throw(TaskletExit) -- it is dead already, so that does nothing
            local value = {}
            t = tasklet.run(tasklet.sleep, 60)
            t:throw(value)
            assert.is_true(rawequal(value, cause(t)))
        end)
    end)

    for _, row in ipairs(places) do
        it("7.1 raises at once in one that is in " .. row[1], function()
            helper.within_loop(function()
                local log, value = {}, {}
                local t = tasklet.run(function()
                    local _ <close> = closing(function(_, err) log[#log + 1] = err end)
                    local ok, err = pcall(row[2])
                    log[#log + 1] = not ok and err
                    tasklet.schedule()
                    log[#log + 1] = "on"
                    return "end"
                end)
                assert.equal(0, select("#", t:throw(value)))
                assert.equal(1, #log)
                assert.equal(value, log[1])
                log[2] = "thrower"
                assert.equal("end", tasklet.join(t))
                assert.equal("on", log[3])
            end)
        end)

        it("7.1 fails one that does not catch it in " .. row[1], function()
            helper.within_loop(function()
                local t = tasklet.run(row[2])
                t:add_join_callback(nothing)
                t:throw("thrown")
                assert.is_true(t:has_finished())
                assert.equal("thrown", tostring(cause(t)):match("thrown$"))
            end)
        end)

        it("7.1 leaves it pending in one that is in " .. row[1], function()
            helper.within_loop(function()
                local log = {}
                local t = tasklet.run(function()
                    local ok, err = pcall(row[2])
                    log[#log + 1] = not ok and tostring(err):match("%a+$")
                end)
                t:throw("pending", true)
                log[1] = "thrower"
                assert.is_true(t.alive)
                assert.is_true(t.scheduled)
                assert.is_false(t.blocked)
                tasklet.schedule()
                assert.same({"thrower", "pending"}, log)
                assert.is_true(t:has_finished())
            end)
        end)
    end

    it("7.1 raises any value as it is", function()
        helper.within_loop(function()
            for _, value in ipairs{"text", 5, {}, print, false, tasklet.TimeoutError("late")} do
                local t = tasklet.run(function()
                    return select(2, pcall(tasklet.sleep, 60))
                end)
                t:throw(value)
                assert.equal(value, t.return_value)
            end
            local t = tasklet.run(function() return select("#", pcall(tasklet.sleep, 60)) end)
            t:throw(nil)
            assert.equal(2, t.return_value)
        end)
    end)

    it("7.1 into oneself raises at once, pending or not", function()
        helper.within_loop(function()
            for _, pending in ipairs{false, true} do
                local t = tasklet.run(function()
                    local value = {}
                    local ok, err = pcall(function()
                        tasklet.getcurrent():throw(value, pending)
                    end)
                    tasklet.schedule()
                    return not ok and err == value
                end)
                assert.is_true(tasklet.join(t))
            end
        end)
    end)

    it("7.1 into one that never began fails it without running it", function()
        helper.within_loop(function()
            local ran = false
            local function body() ran = true end
            local bound, queued, paused = tasklet.new(body), tasklet.new(body)(), tasklet.new(body)()
            paused:remove()
            for _, t in ipairs{bound, queued, paused} do
                t:add_join_callback(nothing)
                t:throw("thrown")
                assert.is_true(t:has_finished())
                assert.is_false(t.alive)
                assert.equal("thrown", cause(t))
            end
            tasklet.schedule()
            assert.is_false(ran)
        end)
    end)

    it("7.1 pending into one that never began fails it in its turn", function()
        helper.within_loop(function()
            local ran = false
            local function body() ran = true end
            local queued, paused = tasklet.new(body)(), tasklet.new(body)()
            paused:remove()
            for _, t in ipairs{queued, paused} do
                t:add_join_callback(nothing)
                t:throw("thrown", true)
                assert.is_true(t.alive)
                assert.is_true(t.scheduled)
                tasklet.schedule()
                assert.is_true(t:has_finished())
                assert.equal("thrown", cause(t))
            end
            local bound = tasklet.new(body)
            bound:add_join_callback(nothing)
            bound:throw("thrown", true)
            tasklet.schedule()
            assert.equal("thrown", cause(bound))
            assert.is_false(ran)
        end)
    end)

    it("7.1 into a dead one raises, save a TaskletExit", function()
        helper.within_loop(function()
            local dead = tasklet.run(nothing)
            for _, t in ipairs{dead, tasklet.new()} do
                for _, pending in ipairs{false, true} do
                    local ok, err = pcall(function() t:throw("thrown", pending) end)
                    assert.is_false(ok)
                    assert.is_true(tasklet.TaskletError:is(err))
                    assert.is_truthy(err.message:find(
                        "^spec/queue/throw_spec.lua:%d+: cannot throw to a dead tasklet$"))
                    t:throw(TaskletExit(), pending)
                    t:raise_exception(TaskletExit)
                end
            end
        end)
    end)

    it("7.1 a second pending one replaces the first", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                local seen = {}
                for i = 1, 2 do
                    seen[i] = select(2, pcall(tasklet.schedule_remove))
                end
                return seen
            end)
            t:throw("first", true)
            t:throw("second", true)
            tasklet.schedule()
            assert.is_true(t.paused, "it was one throw")
            t:throw("third")
            assert.same({"second", "third"}, t.return_value)
        end)
    end)

    it("7.1 of a TaskletExit is as a kill that is not repeated", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                local ok, err = pcall(tasklet.sleep, 60)
                tasklet.schedule() -- a kill would be raised again
                return not ok and TaskletExit:is(err)
            end)
            t:throw(TaskletExit())
            assert.is_true(tasklet.join(t))
            t = tasklet.run(tasklet.sleep, 60)
            t:throw(TaskletExit())
            assert.is_true(TaskletExit:is(cause(t)))
        end)
    end)

    it("7.1 lets a queued one keep its place, and a blocked one come before the caller", function()
        helper.within_loop(function()
            local log = {}
            local function body(name)
                tasklet.new(function()
                    log[#log + 1] = name
                end)()
            end
            local t = tasklet.run(function()
                pcall(tasklet.sleep, 60)
                log[#log + 1] = "caught"
                tasklet.schedule()
                log[#log + 1] = "on"
            end)
            body "a"
            t:throw("x")
            log[#log + 1] = "thrower"
            body "b"
            tasklet.join(t)
            assert.same({"caught", "thrower", "a", "on"}, {table.unpack(log, 1, 4)})
        end)
    end)

    it("7.1 into one that handed over is raised there when it goes on", function()
        helper.within_loop(function()
            local caught, log = nil, {}
            local outer = tasklet.run(function()
                local me = tasklet.getcurrent()
                caught = select(2, pcall(tasklet.run, function()
                    me:throw("into the starter")
                    log[#log + 1] = "starter went on first"
                    tasklet.schedule()
                end))
                log[#log + 1] = "caught"
            end)
            tasklet.join(outer)
            assert.equal("into the starter", caught)
            assert.same({"caught", "starter went on first"}, log)
        end)
    end)

    it("7.1 into one that runs others nested is raised when they give way", function()
        helper.within_loop(function()
            local log = {}
            local outer = tasklet.run(function()
                local me = tasklet.getcurrent()
                local ok, err = pcall(table.sort, {2, 1}, function(a, b)
                    tasklet.run(function()
                        me:throw("nested")
                        log[#log + 1] = "thrower"
                    end)
                    log[#log + 1] = "wrong"
                    return a < b
                end)
                return ok, err
            end)
            assert.same({false, "nested"}, {tasklet.join(outer)})
            assert.same({"thrower"}, log)
        end)
    end)

    it("7.1 works from outside any tasklet", function()
        local t = tasklet.run(function()
            local _, err = pcall(tasklet.sleep, 60)
            return err
        end)
        t:throw("outside")
        assert.equal("outside", t.return_value)
    end)

    it("1.4 wants a tasklet and a value", function()
        for text, pattern in pairs{
            ["t:throw()"] = "bad argument",
            ["t.throw()"] = "bad argument #1 to 'throw' %(Tasklet expected, got no value%)",
            ["t.throw(5, 5)"] = "bad argument #1 to 'throw' %(Tasklet expected, got number%)",
            ["t:raise_exception()"] = "bad argument",
            ["t.raise_exception(5, 5)"] = "bad argument #1 to 'raise_exception'",
        } do
            local ok, err = pcall(load("local t = ...\n" .. text .. "\n", "=there"), tasklet.new())
            assert.is_false(ok)
            assert.equal("string", type(err), tostring(err))
            assert.is_truthy(err:find("^there:2: " .. pattern), err)
        end
    end)

    it("7.1 a value that is never raised is not kept", function()
        helper.within_loop(function()
            local weak = setmetatable({}, {__mode = "v"})
            local function victim()
                return tasklet.run(tasklet.sleep, 60)
            end
            local killed, replaced, closed = victim(), victim(), victim()
            for i, t in ipairs{killed, replaced, closed} do
                weak[i] = {}
                t:throw(weak[i], true)
            end
            killed:kill()
            replaced:throw(TaskletExit())
            closed:remove():bind(nil)
            collectgarbage()
            collectgarbage()
            for i = 1, 3 do
                assert.is_nil(weak[i], i)
            end
        end)
    end)
end)

describe("raise_exception", function()
    it("7.1 Class, ... means Class(...)", function()
        helper.within_loop(function()
            local t = tasklet.run(function() return select(2, pcall(tasklet.sleep, 60)) end)
            t:raise_exception(tasklet.TimeoutError, "late")
            assert.is_true(tasklet.TimeoutError:is(t.return_value))
            assert.equal("late", t.return_value.message)

            local Own = {}
            Own.__index = Own
            setmetatable(Own, {__call = function(class, ...)
                return setmetatable({...}, class)
            end})
            t = tasklet.run(function() return select(2, pcall(tasklet.sleep, 60)) end)
            t:raise_exception(Own, 1, 2)
            assert.equal(Own, getmetatable(t.return_value))
            assert.same({1, 2}, {table.unpack(t.return_value)})
        end)
    end)

    it("7.1 any other value is raised as it is", function()
        helper.within_loop(function()
            for _, value in ipairs{"text", 5, {}, tasklet.TimeoutError("late")} do
                local t = tasklet.run(function() return select(2, pcall(tasklet.sleep, 60)) end)
                t:raise_exception(value, "ignored")
                assert.equal(value, t.return_value)
            end
        end)
    end)
end)

describe("one that was interrupted in the middle of a function", function()
    -- A budget of n instructions interrupts it at its n-th one, so that each is tried.
    local bodies = {
        ["before a wait"] = function()
            local a = 1
            local b = a + 1
            tasklet.schedule_remove()
            return b
        end,
        ["before a return"] = function()
            local a = 1
            local b = a + 1
            return b
        end,
        ["before a call"] = function(log)
            local insert = table.insert
            local function note(what)
                insert(log, what)
            end
            note(1)
            insert(log, 2)
            note(3)
        end,
    }

    for where, body in pairs(bodies) do
        for _, way in ipairs{"throw", "pending", "kill"} do
            it(("7.1 goes no further: %s, %s"):format(way, where), function()
                helper.within_loop(function()
                    local interrupted, budget = 0, 1
                    while true do
                        local log = {}
                        local t = tasklet.new(body)(log)
                        t:add_join_callback(nothing)
                        if not tasklet.pump(budget) then
                            t:kill()
                            break
                        end
                        interrupted = interrupted + 1
                        local before = #log
                        if way == "kill" then
                            t:kill()
                        else
                            t:throw("thrown", way == "pending")
                        end
                        tasklet.schedule()
                        local place = ("at instruction %d: "):format(budget)
                        assert.is_true(t:has_finished(), place)
                        local err = cause(t)
                        assert.is_true(way == "kill" and TaskletExit:is(err) or err == "thrown",
                            place .. tostring(err))
                        assert.equal(before, #log, place)
                        budget = budget + 1
                    end
                    assert.is_true(interrupted >= 3)
                end)
            end)
        end
    end

    -- Lua goes on with that instruction before it asks anybody.
    it("7.1 finishes the instruction at which it was interrupted, and no other", function()
        helper.within_loop(function()
            local interrupted, finished = 0, 0
            local function body(log)
                local one = 1
                log[1] = one
                log[2] = 2
                log[3] = 3
            end
            for budget = 1, 20 do
                local log = {}
                local t = tasklet.new(body)(log)
                t:add_join_callback(nothing)
                if not tasklet.pump(budget) then
                    t:kill()
                    break
                end
                interrupted = interrupted + 1
                local before = #log
                t:throw("thrown")
                assert.equal("thrown", cause(t))
                assert.is_true(#log <= before + 1)
                finished = finished + #log - before
            end
            assert.is_true(interrupted >= 3)
            assert.equal(3, finished)
        end)
    end)

    it("7.1 is raised in the innermost generator", function()
        helper.within_loop(function()
            local t = tasklet.new(function()
                local caught
                local generator = coroutine.wrap(function()
                    local inner = coroutine.wrap(function()
                        while true do -- interrupted here
                        end
                    end)
                    caught = select(2, pcall(inner))
                    coroutine.yield("value")
                end)
                return generator(), caught
            end)()
            assert.equal(t, tasklet.pump(5000))
            t:throw("thrown")
            local value, caught = tasklet.join(t)
            assert.equal("value", value)
            assert.is_truthy(caught:find("thrown", 1, true))
        end)
    end)
end)
