local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet = tasklet.Tasklet

local function sleeper(...)
    return tasklet.run(function(...)
        tasklet.sleep(0.005)
        return ...
    end, ...)
end

describe("join", function()
    it("6.2 returns all results", function()
        helper.within_loop(function()
            assert.same({1, nil, "three", nil, n = 4},
                table.pack(tasklet.join(sleeper(1, nil, "three", nil))))
            assert.same({n = 0}, table.pack(tasklet.join(sleeper())))
            assert.same({nil, n = 1}, table.pack(tasklet.join(sleeper(nil))))
            local many = table.pack(tasklet.join(sleeper(table.unpack({}, 1, 200))))
            assert.equal(200, many.n)
        end)
    end)

    it("6.2 of one that has ended returns at once, any number of times", function()
        helper.within_loop(function()
            local t = tasklet.run(function() return "result", 2 end)
            local log = {}
            local ready = tasklet.run(function()
                tasklet.yield_()
                log[#log + 1] = "other"
            end)
            for _ = 1, 3 do
                assert.same({"result", 2}, {tasklet.join(t, 0)})
            end
            log[#log + 1] = "joined"
            tasklet.join(ready)
            assert.same({"joined", "other"}, log)
        end)
    end)

    it("6.2 raises JoinError with the cause when it failed", function()
        helper.within_loop(function()
            local cause = {}
            local t = tasklet.run(function()
                tasklet.sleep(0)
                error(cause)
            end)
            for _ = 1, 2 do
                local ok, err = pcall(tasklet.join, t)
                assert.is_false(ok)
                assert.is_true(tasklet.JoinError:is(err))
                assert.is_true(rawequal(cause, err.cause))
                assert.equal(t, err.tasklet)
            end
        end)
    end)

    it("6.2 raises TimeoutError when it takes longer", function()
        helper.within_loop(function()
            local call = tasklet.WaitForCall()
            local t = tasklet.run(function()
                tasklet.wait(call)
                return "result"
            end)
            for _, timeout in ipairs {0, 0.005} do
                local ok, err = pcall(tasklet.join, t, timeout)
                assert.is_false(ok)
                assert.is_true(tasklet.TimeoutError:is(err))
                assert.is_false(tasklet.JoinError:is(err))
            end
            assert.equal(Tasklet.STATE_SUSPENDED, t.state)
            call()
            assert.equal("result", tasklet.join(t, 0))
        end)
    end)

    it("6.2 returns in time when there is time", function()
        helper.within_loop(function()
            assert.equal("result", tasklet.join(sleeper("result"), 30))
        end)
    end)

    it("6.2 is for any number of tasklets, first come first served", function()
        helper.within_loop(function()
            local t, log, joiners = sleeper("result", 2), {}, {}
            for i = 1, 5 do
                joiners[i] = tasklet.run(function()
                    local first, second = tasklet.join(t)
                    log[#log + 1] = {i, first, second}
                end)
            end
            for i = 1, 5 do
                tasklet.join(joiners[i])
                assert.same({i, "result", 2}, log[i])
            end
        end)
    end)

    it("6.2 finds the tasklet ended when it returns", function()
        helper.within_loop(function()
            local t = sleeper()
            tasklet.join(t)
            assert.equal(Tasklet.STATE_ZOMBIE, t.state)
        end)
    end)

    it("6.2 of oneself raises", function()
        helper.within_loop(function()
            local ok, err = pcall(tasklet.join, tasklet.current())
            assert.is_false(ok)
            assert.is_true(tasklet.TaskletError:is(err))
            assert.is_false(tasklet.TimeoutError:is(err))
            ok = pcall(tasklet.join, tasklet.current(), 0)
            assert.is_false(ok)
        end)
    end)

    it("6.2 does not disturb the wait list", function()
        helper.within_loop(function()
            local call = tasklet.WaitForCall()
            local timeout = tasklet.WaitForTimeout(60000)
            local t = tasklet.run(function()
                tasklet.wait(call, timeout)
                tasklet.join(sleeper())
                tasklet.wait(call, timeout)
                return call.args[1]
            end)
            call(1)
            call(2)
            assert.equal(2, tasklet.join(t))
        end)
    end)

    it("3.8 goes on from the loop, after the one that ended it", function()
        helper.within_loop(function()
            local log = {}
            local call = tasklet.WaitForCall()
            local t = tasklet.run(function()
                tasklet.wait(call)
                log[#log + 1] = "target ends"
            end)
            local joiner = tasklet.run(function()
                tasklet.join(t)
                log[#log + 1] = "joiner"
            end)
            call()
            log[#log + 1] = "caller"
            tasklet.join(joiner)
            assert.same({"target ends", "caller", "joiner"}, log)
        end)
    end)
end)

describe("a tasklet's result", function()
    it("7.2 is in return_value when it has ended", function()
        helper.within_loop(function()
            local t = sleeper("first", "second")
            assert.is_nil(t.return_value)
            tasklet.join(t)
            assert.equal("first", t.return_value)
            local value = {}
            assert.is_true(rawequal(value, tasklet.run(function() return value end).return_value))
            assert.is_false(tasklet.run(function() return false end).return_value)
            assert.is_nil(tasklet.run(function() end).return_value)
        end)
    end)
end)

describe("a tasklet's state", function()
    it("7.2 has four different names", function()
        local seen = {}
        for _, name in ipairs {"RUNNING", "SUSPENDED", "MSGSEND", "ZOMBIE"} do
            local state = Tasklet["STATE_" .. name]
            assert.is_not_nil(state, name)
            assert.is_nil(seen[state], name)
            seen[state] = true
        end
    end)

    it("7.2 follows its life", function()
        helper.within_loop(function()
            local log, t = {}, nil
            local call = tasklet.WaitForCall()
            local receiver = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                log[#log + 1] = t.state
            end)
            t = tasklet.run(function()
                log[#log + 1] = tasklet.current().state
                tasklet.wait(call)
                tasklet.send(receiver, "go")
                log[#log + 1] = tasklet.current().state
            end)
            log[#log + 1] = t.state
            call()
            log[#log + 1] = t.state
            assert.same({
                Tasklet.STATE_RUNNING, Tasklet.STATE_SUSPENDED, Tasklet.STATE_MSGSEND,
                Tasklet.STATE_RUNNING, Tasklet.STATE_ZOMBIE,
            }, log)
        end)
    end)

    it("7.2 is read only, as the result is", function()
        helper.within_loop(function()
            local t = tasklet.run(function() return "result" end)
            assert.is_false((pcall(function() t.state = Tasklet.STATE_RUNNING end)))
            assert.is_false((pcall(function() t.return_value = "other" end)))
            assert.equal(Tasklet.STATE_ZOMBIE, t.state)
            assert.equal("result", t.return_value)
        end)
    end)
end)

describe("a tasklet's name", function()
    it("6.1 is the place of a function that has none", function()
        local t = assert(load([[
            local tasklet = ...
            -- line 2
            return (tasklet.run(function() end))
        ]], "=there"))(tasklet)
        assert.equal("string", type(t.name))
        assert.is_truthy(t.name:find("there:3", 1, true), t.name)
    end)

    it("6.1 is in what tostring says", function()
        local t = tasklet.run(function() end)
        assert.is_truthy(tostring(t):find(t.name, 1, true), tostring(t))
    end)
end)

describe("current", function()
    it("6.1 is the tasklet that runs", function()
        helper.within_loop(function()
            local me, other = tasklet.current(), nil
            local t = tasklet.run(function()
                other = tasklet.current()
                tasklet.yield_()
                assert(tasklet.current() == other)
            end)
            assert.equal(t, other)
            assert.not_equal(me, other)
            assert.equal(me, tasklet.current())
            tasklet.join(t)
            assert.equal(me, tasklet.current())
            coroutine.wrap(function() assert.equal(me, tasklet.current()) end)()
        end)
    end)
end)
