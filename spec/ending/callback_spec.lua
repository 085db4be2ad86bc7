local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet = tasklet.Tasklet

--- A tasklet that ends when the second result is called.
local function target(...)
    local call = tasklet.WaitForCall()
    local results = table.pack(...)
    return tasklet.run(function()
        tasklet.wait(call)
        return table.unpack(results, 1, results.n)
    end), call
end

describe("a join callback", function()
    it("6.5 is called once with the tasklet, its first result and the extra arguments", function()
        helper.within_loop(function()
            local t, finish = target("first", "second")
            local calls = {}
            t:add_join_callback(function(...) calls[#calls + 1] = table.pack(...) end, 1, nil, "x")
            t:add_join_callback(function(...) calls[#calls + 1] = table.pack(...) end)
            assert.same({}, calls)
            finish()
            tasklet.join(t)
            tasklet.sleep(0.005)
            assert.equal(2, #calls)
            assert.equal(t, calls[1][1])
            assert.same({"first", 1, nil, "x", n = 5},
                {calls[1][2], calls[1][3], calls[1][4], calls[1][5], n = calls[1].n})
            assert.equal(2, calls[2].n)
            assert.equal("first", calls[2][2])
        end)
    end)

    it("6.5 is called before joiners go on, whoever came first", function()
        helper.within_loop(function()
            local t, finish = target()
            local log = {}
            local joiner = tasklet.run(function()
                tasklet.join(t)
                log[#log + 1] = "joiner"
            end)
            local waiter = tasklet.run(function()
                tasklet.wait(t)
                log[#log + 1] = "waiter"
            end)
            t:add_join_callback(function() log[#log + 1] = "callback 1" end)
            t:add_join_callback(function() log[#log + 1] = "callback 2" end)
            finish()
            tasklet.join(joiner)
            tasklet.join(waiter)
            assert.same({"callback 1", "callback 2", "joiner", "waiter"}, log)
        end)
    end)

    it("6.5 finds the tasklet ended", function()
        helper.within_loop(function()
            local t, finish = target("result")
            local state, value
            t:add_join_callback(function(ended)
                state, value = ended.state, ended.return_value
            end)
            finish()
            tasklet.join(t)
            assert.equal(Tasklet.STATE_ZOMBIE, state)
            assert.equal("result", value)
        end)
    end)

    it("6.5 is called with no result when the tasklet failed or was killed", function()
        helper.within_loop(function()
            local log = {}
            local function note(t, retval, what)
                log[#log + 1] = {t.state, retval == nil, what}
            end
            local failing = tasklet.run(function()
                tasklet.sleep(0)
                error("failed")
            end)
            failing:add_join_callback(note, "failed")
            pcall(tasklet.join, failing)
            local killed = tasklet.run(function() tasklet.sleep(60) end)
            killed:add_join_callback(note, "killed")
            killed:kill()
            tasklet.sleep(0)
            assert.same({
                {Tasklet.STATE_ZOMBIE, true, "failed"}, {Tasklet.STATE_ZOMBIE, true, "killed"},
            }, log)
        end)
    end)

    it("6.5 on a tasklet that has ended is called at the next turn", function()
        helper.within_loop(function()
            local t = tasklet.run(function() return "result" end)
            local log = {}
            t:add_join_callback(function(ended, retval, extra)
                log[#log + 1] = {ended == t, retval, extra}
            end, "extra")
            assert.same({}, log)
            tasklet.sleep(0.005)
            assert.same({{true, "result", "extra"}}, log)
            tasklet.sleep(0.005)
            assert.equal(1, #log)
        end)
    end)

    it("6.5 that was removed is not called", function()
        helper.within_loop(function()
            local t, finish = target()
            local log = {}
            local function note(_, _, name) log[#log + 1] = name end
            local first = t:add_join_callback(note, "first")
            t:add_join_callback(note, "second")
            local third = t:add_join_callback(note, "third")
            assert.is_not_nil(first)
            assert.not_equal(first, third)
            t:remove_join_callback(first)
            t:remove_join_callback(third)
            finish()
            tasklet.join(t)
            assert.same({"second"}, log)
        end)
    end)

    it("6.5 on a tasklet that has ended can be removed before the next turn", function()
        helper.within_loop(function()
            local t = tasklet.run(function() end)
            local called = false
            t:remove_join_callback(t:add_join_callback(function() called = true end))
            tasklet.sleep(0.005)
            assert.is_false(called)
        end)
    end)

    it("6.5 may add one, which is called at the next turn", function()
        helper.within_loop(function()
            local t, finish = target()
            local log = {}
            t:add_join_callback(function(ended)
                log[#log + 1] = "first"
                ended:add_join_callback(function() log[#log + 1] = "added" end)
            end)
            t:add_join_callback(function() log[#log + 1] = "second" end)
            finish()
            tasklet.sleep(0.005)
            assert.same({"first", "second", "added"}, log)
        end)
    end)

    it("6.5 may remove another one that has not been called yet", function()
        helper.within_loop(function()
            local t, finish = target()
            local log, second = {}, nil
            t:add_join_callback(function(ended)
                log[#log + 1] = "first"
                ended:remove_join_callback(second)
            end)
            second = t:add_join_callback(function() log[#log + 1] = "second" end)
            t:add_join_callback(function() log[#log + 1] = "third" end)
            finish()
            tasklet.sleep(0.005)
            assert.same({"first", "third"}, log)
        end)
    end)

    it("6.5 may start and kill tasklets", function()
        helper.within_loop(function()
            local t, finish = target()
            local victim = tasklet.run(function() tasklet.sleep(60) end)
            local started
            t:add_join_callback(function()
                started = tasklet.run(function()
                    tasklet.sleep(0)
                    return "started"
                end)
                victim:kill()
            end)
            finish()
            tasklet.join(t)
            assert.equal("started", tasklet.join(started))
            assert.equal(Tasklet.STATE_ZOMBIE, victim.state)
        end)
    end)

    --- `count` tasklets, each of which has a callback that ends the next by `finish(next)`.
    local function chain(count, finish)
        local list, log = {}, {}
        for i = 1, count do
            list[i] = tasklet.run(function() tasklet.sleep(600) end)
        end
        for i = 1, count do
            list[i]:add_join_callback(function(t)
                log[#log + 1] = t == list[i] and i
                if list[i + 1] then
                    finish(list[i + 1])
                end
            end)
        end
        return list, log
    end

    local finishes = {
        kill = function(t) t:kill() end,
        throw = function(t) t:throw("thrown") end,
        ["a tasklet that kills"] = function(t) tasklet.run(t.kill, t) end,
        ["a generator that kills"] = function(t) coroutine.wrap(t.kill)(t) end,
    }
    for what, finish in pairs(finishes) do
        it("6.5 may end another that has one, which may, and so on: " .. what, function()
            helper.within_loop(function()
                local list, log = chain(1000, finish)
                finish(list[1])
                assert.equal(1000, #log)
                for i = 1, 1000 do
                    assert.equal(i, log[i])
                    assert.is_true(list[i]:has_finished())
                end
            end)
        end)
    end

    it("6.5 may end others that have not begun", function()
        helper.within_loop(function()
            local list, count = {}, 0
            for i = 1, 1000 do
                list[i] = tasklet.new(function() end)
                list[i]:add_join_callback(function()
                    count = count + 1
                    if list[i + 1] then
                        list[i + 1]:kill()
                    end
                end)
            end
            list[1]:kill()
            assert.equal(1000, count)
        end)
    end)

    it("6.5 of one that it ends is called when it is over, and before joiners go on", function()
        helper.within_loop(function()
            local log = {}
            local function note(_, _, what) log[#log + 1] = what end
            local first, second = tasklet.run(tasklet.sleep, 600), tasklet.run(tasklet.sleep, 600)
            local joiners = {}
            for name, t in pairs{first = first, second = second} do
                joiners[#joiners + 1] = tasklet.run(function()
                    pcall(tasklet.join, t)
                    log[#log + 1] = "joiner of the " .. name
                end)
            end
            first:add_join_callback(function()
                note(nil, nil, "begins")
                second:kill()
                note(nil, nil, second:has_finished() and "goes on")
            end)
            first:add_join_callback(note, "other")
            second:add_join_callback(note, "second")
            first:kill()
            tasklet.join_all(joiners)
            assert.same({"begins", "goes on", "other", "second"}, {table.unpack(log, 1, 4)})
            assert.equal(6, #log)
        end)
    end)

    it("6.5 of one that it ends is called before joiners that it lets run", function()
        helper.within_loop(function()
            local uv = require "luv"
            for what, let_run in pairs{
                pump = function() tasklet.pump() end,
                ["a nested loop"] = function() uv.run("nowait") end,
            } do
                local log = {}
                local first = tasklet.run(tasklet.sleep, 600)
                local second = tasklet.run(tasklet.sleep, 600)
                local joiner = tasklet.run(function()
                    pcall(tasklet.join, second)
                    log[#log + 1] = "joiner"
                end)
                second:add_join_callback(function() log[#log + 1] = "second" end)
                first:add_join_callback(function()
                    second:kill()
                    let_run()
                    log[#log + 1] = "goes on"
                end)
                first:kill()
                tasklet.join(joiner)
                assert.same({"second", "joiner", "goes on"}, log, what)
            end
        end)
    end)

    it("6.5 that fails takes none of the others along", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local first, second = tasklet.run(tasklet.sleep, 600), tasklet.run(tasklet.sleep, 600)
            first:add_join_callback(function() second:kill() error("broken", 0) end)
            first:add_join_callback(function() print("first") end)
            second:add_join_callback(function() print("second") error("broken, too", 0) end)
            first:kill()
            local third = tasklet.run(tasklet.sleep, 600)
            third:add_join_callback(function() print("third") end)
            third:kill()
        ]])
        assert.equal("first\nsecond\nthird\n", result.stdout)
        assert.is_truthy(result.stderr:find("broken\n", 1, true), result.stderr)
        assert.is_truthy(result.stderr:find("broken, too\n", 1, true), result.stderr)
        assert.equal(1, result.status)
    end)

    it("6.5 of an unknown handle raises when it is removed", function()
        helper.within_loop(function()
            local t, finish = target()
            local other = target()
            local used = t:add_join_callback(function() end)
            local removed = t:add_join_callback(function() end)
            t:remove_join_callback(removed)
            finish()
            tasklet.join(t)
            local chunk = load("local t, handle = ...\nt:remove_join_callback(handle)", "=there")
            local handles = {used = used, removed = removed, number = 12345, text = "x"}
            for what, handle in pairs(handles) do
                local ok, err = pcall(chunk, t, handle)
                assert.is_false(ok, what)
                assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
            end
            assert.is_false((pcall(other.remove_join_callback, other, nil)))
            other:kill()
        end)
    end)
end)
