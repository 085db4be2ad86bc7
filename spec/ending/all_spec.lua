-- Functions run together: all of them, or whichever succeeds first (contract 10.5).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local JoinError, TaskletExit = tasklet.JoinError, tasklet.TaskletExit
local WaitForCall = tasklet.WaitForCall

local function within(body)
    return function() helper.within_loop(body) end
end

local function closing(f)
    return setmetatable({}, {__close = f})
end

--- What `f` raises, which it must.
local function error_of(f, ...)
    local result = table.pack(pcall(f, ...))
    assert.is_false(result[1])
    return result[2]
end

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text)
    local chunk = assert(load("local tasklet = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

--- What was raised: `others` may hold it as it is or in a JoinError.
local function cause_of(value)
    return JoinError:is(value) and value.cause or value
end

local function causes(list)
    local found = {}
    for i, value in ipairs(list or {}) do
        found[i] = tostring(cause_of(value))
    end
    table.sort(found)
    return found
end

--- That it is a JoinError because of `cause`.
local function check_failure(err, cause)
    assert.is_true(JoinError:is(err), tostring(err))
    assert.is_true(rawequal(cause, err.cause), tostring(err.cause))
end

--- A function that waits, and notes that it was killed.
local function victim(log, name)
    return function()
        local _ <close> = closing(function(_, err)
            log[#log + 1] = TaskletExit:is(err) and name .. " killed" or name .. " ended"
        end)
        tasklet.sleep(600)
    end
end

describe("all", function()
    it("10.5 returns the first results in order", within(function()
        local results = tasklet.all{
            function()
                tasklet.sleep(0.01)
                return "slow", "second"
            end,
            function() return "fast" end,
            function()
                tasklet.sleep(0)
                return "between"
            end,
        }
        assert.same({"slow", "fast", "between"}, results)
    end))

    it("10.5 runs them at the same time", within(function()
        local gate = WaitForCall()
        local t = tasklet.run(function()
            return tasklet.all{
                function() return tasklet.wait(gate).args[1] end,
                function()
                    tasklet.sleep(0)
                    gate("from the second")
                    return "second"
                end,
            }
        end)
        assert.same({"from the second", "second"}, tasklet.join(t, 30))
    end))

    it("10.5 leaves holes for those without results, and keeps false", within(function()
        local results = tasklet.all{
            function() return 1 end, function() end, function() return false end,
            function() return nil, 4 end,
        }
        assert.same({1, nil, false, nil}, results)
    end))

    it("10.5 of nothing is an empty list", within(function()
        assert.same({}, tasklet.all{})
    end))

    it("10.5 raises JoinError when one fails; the others are killed", within(function()
        local cause, log = {}, {}
        local err = error_of(tasklet.all, {
            victim(log, "one"),
            function()
                tasklet.sleep(0.001)
                error(cause)
            end,
            victim(log, "two"),
        })
        check_failure(err, cause)
        assert.same({}, causes(err.others))
        table.sort(log)
        assert.same({"one killed", "two killed"}, log)
        tasklet.sleep(0)
    end))

    it("10.5 tells further failures in others", within(function()
        local err = error_of(tasklet.all, {
            function()
                tasklet.sleep(0.001)
                error("first", 0)
            end,
            function()
                pcall(tasklet.sleep, 600)
                error("second", 0)
            end,
        })
        check_failure(err, "first")
        assert.same({"second"}, causes(err.others))
    end))

    it("10.5 is killed with its tasklet", within(function()
        local log = {}
        local t = tasklet.run(function()
            tasklet.all{victim(log, "one"), victim(log, "two")}
        end)
        t:kill()
        local err = error_of(tasklet.join, t, 5)
        assert.is_true(TaskletExit:is(err.cause))
        table.sort(log)
        assert.same({"one killed", "two killed"}, log)
    end))

    it("10.5 takes ten thousand", within(function()
        local list = {}
        for i = 1, 10000 do
            list[i] = function()
                tasklet.yield_()
                return i
            end
        end
        local results = tasklet.all(list)
        assert.equal(10000, #results)
        for i = 1, 10000 do
            if results[i] ~= i then
                assert.equal(i, results[i])
            end
        end
    end))
end)

describe("any", function()
    it("10.5 returns the first success; the others are killed and have ended", within(function()
        local log, before = {}, tasklet.count()
        local result = tasklet.any{
            victim(log, "one"),
            function()
                tasklet.sleep(0.001)
                return "fast", "second"
            end,
            function()
                local _ <close> = closing(function()
                    tasklet.shield(function()
                        tasklet.sleep(0.005)
                        log[#log + 1] = "three cleaned up"
                    end)
                end)
                tasklet.sleep(600)
            end,
        }
        assert.equal("fast", result)
        assert.same({"one killed", "three cleaned up"}, log)
        assert.equal(before, tasklet.count())
        tasklet.sleep(0)
    end))

    it("10.5 takes no result, nil and false for a success, too", within(function()
        for _, f in ipairs{
            function() end, function() return nil end, function() return false end,
            function() tasklet.sleep(0.001) end,
        } do
            local log = {}
            local result = tasklet.any{victim(log, "one"), f}
            assert.is_true(result == nil or result == false)
            assert.same({"one killed"}, log)
        end
    end))

    it("10.5 may end at once", within(function()
        local result = tasklet.any{
            function() return "first" end,
            function()
                tasklet.sleep(600)
                return "second"
            end,
        }
        assert.equal("first", result)
    end))

    it("10.5 passes over failures before the first success", within(function()
        local result = tasklet.any{
            function() error("at once") end,
            function()
                tasklet.sleep(0.001)
                error("soon")
            end,
            function()
                tasklet.sleep(0.01)
                return "result"
            end,
        }
        assert.equal("result", result)
        tasklet.sleep(0)
    end))

    it("10.5 raises JoinError if none succeeds; others tells of all", within(function()
        local err = error_of(tasklet.any, {
            function() error("at once", 0) end,
            function()
                tasklet.sleep(0.001)
                error("soon", 0)
            end,
            function()
                tasklet.sleep(0.01)
                error("late", 0)
            end,
        })
        assert.is_true(JoinError:is(err), tostring(err))
        -- The one that is the cause may be among the others or not.
        local found = {[tostring(cause_of(err))] = true}
        for _, text in ipairs(causes(err.others)) do
            found[text] = true
        end
        assert.same({["at once"] = true, soon = true, late = true}, found)
        assert.is_true(#err.others >= 2)
        tasklet.sleep(0)
    end))

    it("10.5 is killed with its tasklet", within(function()
        local log = {}
        local t = tasklet.run(function()
            tasklet.any{victim(log, "one"), victim(log, "two")}
        end)
        t:kill()
        local err = error_of(tasklet.join, t, 5)
        assert.is_true(TaskletExit:is(err.cause))
        table.sort(log)
        assert.same({"one killed", "two killed"}, log)
    end))

    it("10.5 nests with all", within(function()
        local log = {}
        local result = tasklet.any{
            function() return tasklet.all{victim(log, "one"), victim(log, "two")} end,
            function()
                return tasklet.all{
                    function()
                        tasklet.sleep(0.001)
                        return 1
                    end,
                    function()
                        return tasklet.any{victim(log, "three"), function() return 2 end}
                    end,
                }
            end,
        }
        assert.same({1, 2}, result)
        table.sort(log)
        assert.same({"one killed", "three killed", "two killed"}, log)
    end))
end)

describe("a wrong list of functions", function()
    for _, name in ipairs{"all", "any"} do
        for _, list in ipairs{"nil", "5", "print", "{5}", "{print, 'x'}", "{{}}"} do
            it(("1.4 raises at the caller's line: %s(%s)"):format(name, list), within(function()
                local err = raised(("tasklet.%s(%s)"):format(name, list))
                assert.equal("string", type(err), tostring(err))
                assert.is_truthy(err:match("^there:2: bad argument #1 to '" .. name .. "' "), err)
            end))
        end
    end

    it("1.4 starts none of them", within(function()
        local count = 0
        for _, name in ipairs{"all", "any"} do
            assert.is_false((pcall(tasklet[name], {function() count = count + 1 end, 5})))
        end
        assert.equal(0, count)
    end))
end)
