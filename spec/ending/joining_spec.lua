-- Joining several at once, and those that were killed (contract 6.2).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local WaitForCall = tasklet.WaitForCall

local function within(body)
    return function() helper.within_loop(body) end
end

--- A tasklet that returns the values when the second result is called.
local function target(...)
    local gate, results = WaitForCall(), table.pack(...)
    return tasklet.run(function()
        tasklet.wait(gate)
        return table.unpack(results, 1, results.n)
    end), gate
end

local function failing(cause)
    local gate = WaitForCall()
    return tasklet.run(function()
        tasklet.wait(gate)
        error(cause, 0)
    end), gate
end

local function endless()
    return tasklet.run(function() tasklet.sleep(600) end)
end

local function is_join_error(value, t)
    return tasklet.JoinError:is(value) and value.tasklet == t
end

--- The values of a list, without what else is in it.
local function values(list)
    return {table.unpack(list)}
end

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text, ...)
    local chunk = assert(load("local tasklet, a, b = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet, ...)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

describe("join", function()
    it("6.2 raises JoinError if it was killed, before and after", within(function()
        local t = endless()
        local joiner = tasklet.run(function() return select(2, pcall(tasklet.join, t)) end)
        t:kill()
        local seen = {tasklet.join(joiner, 30)}
        for _ = 1, 2 do
            seen[#seen + 1] = select(2, pcall(tasklet.join, t, 5))
        end
        assert.equal(3, #seen)
        for _, err in ipairs(seen) do
            assert.is_true(is_join_error(err, t))
            assert.is_true(tasklet.TaskletExit:is(err.cause))
            assert.equal("string", type(err.message))
        end
    end))

    it("6.2 finds it neither alive nor among the children when it returns", within(function()
        local me, mine = tasklet.current(), 0
        for how, finish in pairs{
            returned = function(_, gate) gate() end,
            killed = function(t) t:kill() end,
        } do
            local t, gate = target()
            local function is_child()
                local found = false
                for _, child in ipairs(me:children()) do
                    found = found or child == t
                end
                return found
            end
            assert.is_true(is_child())
            local other = tasklet.run(function()
                tasklet.sleep(0)
                finish(t, gate)
            end)
            pcall(tasklet.join, t, 5)
            assert.is_falsy(t.alive, how)
            assert.is_true(t:has_finished(), how)
            assert.is_false(is_child(), how)
            tasklet.join(other, 30)
            mine = mine + 1
        end
        assert.equal(2, mine)
    end))

    it("6.2 goes on for the others when one of the joiners is killed", within(function()
        local t, gate = target("result")
        local joiners = {}
        for i = 1, 5 do
            joiners[i] = tasklet.run(function() return tasklet.join(t) end)
        end
        joiners[1]:kill()
        joiners[3]:kill()
        joiners[5]:kill()
        gate()
        assert.equal("result", tasklet.join(joiners[2], 30))
        assert.equal("result", tasklet.join(joiners[4], 30))
        for _, i in ipairs{1, 3, 5} do
            local ok, err = pcall(tasklet.join, joiners[i], 5)
            assert.is_false(ok)
            assert.is_true(tasklet.TaskletExit:is(err.cause))
        end
    end))

    it("6.2 leaves the target alone when the joiner is killed or gives up", within(function()
        local t, gate = target("result")
        local joiner = tasklet.run(function() tasklet.join(t) end)
        joiner:kill()
        assert.is_false((pcall(tasklet.join, t, 0.001)))
        assert.is_false(t:has_finished())
        gate()
        assert.equal("result", tasklet.join(t, 30))
    end))

    it("6.2 works in a chain of a thousand", within(function()
        local first, gate = target("result")
        local last = first
        for _ = 1, 1000 do
            local previous = last
            last = tasklet.run(function() return tasklet.join(previous) end)
        end
        gate()
        assert.equal("result", tasklet.join(last, 10))
    end))

    it("6.2 tells of a failure through a chain, each in the cause of the next", within(function()
        local first, gate = failing("because")
        local second = tasklet.run(function() tasklet.join(first) end)
        local third = tasklet.run(function() tasklet.join(second) end)
        gate()
        local ok, err = pcall(tasklet.join, third, 5)
        assert.is_false(ok)
        assert.is_true(is_join_error(err, third))
        assert.is_true(is_join_error(err.cause, second))
        assert.is_true(is_join_error(err.cause.cause, first))
        assert.equal("because", err.cause.cause.cause)
    end))

    it("6.2 may be called with several timeouts, the earliest first", within(function()
        local t, log = endless(), {}
        local joiners = {}
        for i, seconds in ipairs{0.03, 0.01, 0.02} do
            joiners[i] = tasklet.run(function()
                local ok, err = pcall(tasklet.join, t, seconds)
                log[#log + 1] = not ok and tasklet.TimeoutError:is(err) and i
            end)
        end
        for i = 1, 3 do
            tasklet.join(joiners[i], 10)
        end
        assert.same({2, 3, 1}, log)
        t:kill()
    end))
end)

describe("join_all", function()
    it("6.2 returns the first results in the order of the list", within(function()
        local list, gates = {}, {}
        for i = 1, 4 do
            list[i], gates[i] = target("result " .. i, "second")
        end
        local joiner = tasklet.run(function() return tasklet.join_all(list) end)
        for _, i in ipairs{3, 1, 4, 2} do
            assert.is_false(joiner:has_finished())
            gates[i]()
        end
        assert.same({"result 1", "result 2", "result 3", "result 4"},
            values(tasklet.join(joiner, 30)))
    end))

    it("6.2 returns at once when all have ended, any number of times", within(function()
        local list = {
            tasklet.run(function() return 1 end), tasklet.run(function() return 2 end),
        }
        for _ = 1, 3 do
            assert.same({1, 2}, values(tasklet.join_all(list, 0)))
        end
    end))

    it("6.2 of an empty list returns an empty one", within(function()
        local results = tasklet.join_all{}
        assert.equal(0, #results)
        assert.is_nil(results[1])
        assert.equal(0, #tasklet.join_all({}, 0))
    end))

    it("6.2 leaves a hole for one without results, and keeps false", within(function()
        local results = tasklet.join_all{
            tasklet.run(function() return 1 end), tasklet.run(function() end),
            tasklet.run(function() return false end), tasklet.run(function() return nil, 2 end),
            tasklet.run(function() return 5 end),
        }
        assert.same({1, nil, false, nil, 5},
            {results[1], results[2], results[3], results[4], results[5]})
    end))

    it("6.2 has a JoinError stand for each failure", within(function()
        local cause = {}
        local good, gate = target("good")
        local bad, fail = failing(cause)
        local victim = endless()
        local unbegun = tasklet.new(function() end)
        local joiner = tasklet.run(function()
            return tasklet.join_all{bad, good, victim, unbegun}
        end)
        fail()
        victim:kill()
        unbegun:kill()
        tasklet.sleep(0)
        assert.is_false(joiner:has_finished())
        gate()
        local results = tasklet.join(joiner, 30)
        assert.is_true(is_join_error(results[1], bad))
        assert.is_true(rawequal(cause, results[1].cause))
        assert.equal("good", results[2])
        assert.is_true(is_join_error(results[3], victim))
        assert.is_true(tasklet.TaskletExit:is(results[3].cause))
        assert.is_true(is_join_error(results[4], unbegun))
        assert.is_true(tasklet.TaskletExit:is(results[4].cause))
    end))

    it("6.2 may have a tasklet in its list twice", within(function()
        local t, gate = target("result")
        local joiner = tasklet.run(function() return tasklet.join_all{t, t} end)
        gate()
        assert.same({"result", "result"}, values(tasklet.join(joiner, 30)))
    end))

    it("6.2 leaves the list as it is", within(function()
        local one, two = tasklet.run(function() return 1 end), tasklet.run(function() end)
        local list = {one, two}
        assert.not_equal(list, tasklet.join_all(list))
        assert.equal(one, list[1])
        assert.equal(two, list[2])
        assert.equal(2, #list)
    end))

    it("6.2 raises TimeoutError when it takes longer; all go on", within(function()
        local list, gates = {}, {}
        for i = 1, 3 do
            list[i], gates[i] = target(i)
        end
        gates[2]()
        for _, timeout in ipairs{0, 0.01} do
            local before = tasklet.mainloop.now()
            local ok, err = pcall(tasklet.join_all, list, timeout)
            assert.is_false(ok)
            assert.is_true(tasklet.TimeoutError:is(err), tostring(err))
            assert.is_false(tasklet.JoinError:is(err))
            assert.equal(timeout * 1000, tasklet.mainloop.now() - before)
        end
        assert.is_false(list[1]:has_finished())
        assert.is_false(list[3]:has_finished())
        gates[1]()
        gates[3]()
        assert.same({1, 2, 3}, values(tasklet.join_all(list, 5)))
    end))

    -- Sixty that end one after the other: each is in time, were the time counted for each.
    it("6.2 has one timeout for all", within(function()
        local list = {}
        for i = 1, 60 do
            list[i] = tasklet.run(function() tasklet.sleep(0.08 * i) end)
        end
        local ok, err = pcall(tasklet.join_all, list, 0.1)
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        assert.is_false(list[60]:has_finished())
        for _, t in ipairs(list) do
            t:kill()
        end
    end))

    it("6.2 waits for ever if the timeout is negative", within(function()
        local t = tasklet.run(function()
            tasklet.sleep(0.02)
            return "came"
        end)
        assert.same({"came"}, values(tasklet.join_all({t}, -1)))
    end))

    it("6.2 of oneself raises", within(function()
        local ended = tasklet.run(function() end)
        for _, text in ipairs{
            "tasklet.join_all{tasklet.current()}", "tasklet.join_all({a, tasklet.current()}, 0)",
        } do
            local err = raised(text, ended)
            assert.is_true(tasklet.TaskletError:is(err), tostring(err))
            assert.is_false(tasklet.TimeoutError:is(err))
            assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
        end
    end))

    it("6.2 killed leaves those that it waits for alone", within(function()
        local one, finish_one = target(1)
        local two, finish_two = target(2)
        local joiner = tasklet.run(function() tasklet.join_all{one, two} end)
        joiner:kill()
        assert.is_true(joiner:has_finished())
        finish_one()
        finish_two()
        assert.same({1, 2}, values(tasklet.join_all({one, two}, 5)))
    end))

    it("6.2 takes ten thousand", within(function()
        local list, gate = {}, tasklet.Emitter{"go"}
        for i = 1, 10000 do
            list[i] = tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(gate, "go"))
                return i
            end)
        end
        local joiner = tasklet.run(function() return tasklet.join_all(list) end)
        gate:emit("go")
        local results = tasklet.join(joiner, 30)
        assert.equal(10000, #results)
        for i = 1, 10000 do
            if results[i] ~= i then
                assert.equal(i, results[i])
            end
        end
    end))

    it("6.2 does not disturb the wait list", within(function()
        local call, timeout = WaitForCall(), tasklet.WaitForTimeout(60000)
        local t = tasklet.run(function()
            tasklet.wait(call, timeout)
            tasklet.join_all{tasklet.run(function() tasklet.sleep(0) end)}
            tasklet.wait(call, timeout)
            return call.args[1]
        end)
        call(1)
        call(2)
        assert.equal(2, tasklet.join(t, 30))
    end))

    for _, text in ipairs{
        "tasklet.join_all(nil)", "tasklet.join_all(5)", "tasklet.join_all('x')",
        "tasklet.join_all{5}", "tasklet.join_all{a, 'x'}", "tasklet.join_all{{}}",
        "tasklet.join_all({}, 'x')", "tasklet.join_all({}, {})",
    } do
        it("1.4 raises at the caller's line: " .. text, within(function()
            local err = raised(text, tasklet.run(function() end))
            assert.equal("string", type(err), tostring(err))
            assert.is_truthy(err:match("^there:2: bad argument #%d to 'join_all' "), err)
        end))
    end
end)

describe("join_children", function()
    --- What `f` returns, run in a tasklet that has no children yet.
    local function alone(f)
        return tasklet.join(tasklet.run(f), 10)
    end

    it("6.2 returns the first results of the current tasklet's children", within(function()
        local results = alone(function()
            local gates = {}
            for i = 1, 3 do
                gates[i] = select(2, target(i, "second"))
            end
            tasklet.run(function()
                tasklet.sleep(0)
                for i = 3, 1, -1 do
                    gates[i]()
                end
                return 4
            end)
            return tasklet.join_children()
        end)
        table.sort(results)
        assert.same({1, 2, 3, 4}, values(results))
    end))

    it("6.2 without children returns an empty list", within(function()
        assert.equal(0, #alone(function() return tasklet.join_children() end))
        assert.equal(0, #alone(function()
            tasklet.run(function() end)
            return tasklet.join_children(0)
        end))
    end))

    it("6.2 does not wait for those of others, nor for daemons", within(function()
        local mine = endless()
        local daemon, grandchild
        local results = alone(function()
            daemon = tasklet.new(function() tasklet.sleep(600) end, {daemon = true})
            daemon:start()
            tasklet.run(function()
                grandchild = endless()
            end)
            tasklet.run(function()
                tasklet.sleep(0)
                return "child"
            end)
            return tasklet.join_children()
        end)
        assert.same({"child"}, values(results))
        for _, t in ipairs{mine, daemon, grandchild} do
            assert.is_false(t:has_finished())
            t:kill()
        end
    end))

    it("6.2 has a JoinError stand for each failure", within(function()
        local bad, victim
        local results = alone(function()
            bad = tasklet.run(function()
                tasklet.sleep(0)
                error("because", 0)
            end)
            victim = endless()
            tasklet.run(function()
                tasklet.sleep(0)
                victim:kill()
                return "good"
            end)
            return tasklet.join_children()
        end)
        assert.equal(3, #results)
        local found = {}
        for _, result in ipairs(results) do
            if tasklet.JoinError:is(result) then
                found[result.tasklet] = result.cause
            else
                found[result] = true
            end
        end
        assert.equal("because", found[bad])
        assert.is_true(tasklet.TaskletExit:is(found[victim]))
        assert.is_true(found.good)
    end))

    it("6.2 raises TimeoutError when it takes longer; they go on", within(function()
        local child
        local err = alone(function()
            child = endless()
            for _, timeout in ipairs{0, 0.01} do
                local ok, err = pcall(tasklet.join_children, timeout)
                if ok or not tasklet.TimeoutError:is(err) then
                    return err
                end
            end
            return tasklet.TimeoutError
        end)
        assert.equal(tasklet.TimeoutError, err)
        assert.is_false(child:has_finished())
        child:kill()
    end))

    it("1.4 raises at the caller's line", within(function()
        local err = raised("tasklet.join_children('x')")
        assert.is_truthy(tostring(err):match("^there:2: bad argument #1 to 'join_children' "),
            tostring(err))
    end))
end)

describe("what was joined", function()
    --- Runs `script` in the host; nothing may be reported.
    local function silent(script)
        local result = helper.run_file("local tasklet = require 'tasklet'\n" .. script)
        assert.same({"", 0}, {result.stderr, result.status})
    end

    it("2.6 by join_all is not reported when it fails", function()
        silent [[
            local function fail(seconds)
                tasklet.sleep(seconds)
                error("because")
            end
            tasklet.join_all{
                tasklet.run(fail, 0.01), tasklet.run(fail, 0.03), tasklet.run(fail, 0.02),
            }
        ]]
    end)

    it("2.6 by join_all in the turn in which it failed is not reported", function()
        silent [[
            tasklet.join_all{tasklet.run(tasklet.sleep, 0.01), tasklet.run(error, "at once")}
        ]]
    end)

    it("2.6 by two join_alls, one of which gives up, is not reported when it fails", function()
        for _, ending in ipairs{
            "tasklet.join_all(list, 0.001)", "tasklet.with_deadline(0.001, both)",
        } do
            silent(([[
                local slow_gate, failing_gate = tasklet.WaitForCall(), tasklet.WaitForCall()
                local slow = tasklet.run(function() tasklet.wait(slow_gate) end)
                local failing = tasklet.run(function()
                    tasklet.wait(failing_gate)
                    error("because", 0)
                end)
                local list = {slow, failing, failing}
                local function both() return tasklet.join_all(list) end
                local other = tasklet.run(both)
                local ok, err = pcall(function() %s end)
                assert(not ok and tasklet.TimeoutError:is(err))
                failing_gate()
                tasklet.sleep(0.001) -- when the turn ends, it would be reported
                slow_gate()
                assert(tasklet.join(other)[3].cause == "because")
            ]]):format(ending))
        end
    end)

    it("2.6 by a join_all that gives up is reported when it fails", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local slow = tasklet.run(tasklet.sleep, 600)
            local gate = tasklet.WaitForCall()
            local failing = tasklet.run(function()
                tasklet.wait(gate)
                error("because", 0)
            end)
            pcall(tasklet.join_all, {slow, failing, failing}, 0.001)
            gate()
            tasklet.sleep(0.001)
            slow:kill()
        ]]
        assert.is_truthy(result.stderr:find("because", 1, true), result.stderr)
        assert.equal(1, result.status)
    end)

    it("2.6 by join_children is not reported when it fails", function()
        silent [[
            for i = 1, 3 do
                tasklet.run(function()
                    tasklet.sleep(0.01 * (4 - i))
                    error("because")
                end)
            end
            tasklet.join_children()
        ]]
    end)
end)
