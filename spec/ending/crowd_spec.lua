-- Very many tasklets in scopes, ended at once: no stack is used up, and none is left (contract 10).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local TaskletExit, WaitForCall = tasklet.TaskletExit, tasklet.WaitForCall

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

describe("a hundred thousand tasklets #slow", function()
    local COUNT = 100000

    --- Starts them in a scope and returns the scope, the tasklet that it is in, and the log.
    local function crowd(final)
        local log, opened = {closed = 0, ended = 0}, nil
        local outer = tasklet.run(function()
            local ok, err = pcall(tasklet.scope, function(s)
                opened = s
                for _ = 1, COUNT do
                    s:run(function()
                        local _ <close> = closing(function() log.closed = log.closed + 1 end)
                        tasklet.sleep(600)
                        log.ended = log.ended + 1
                    end)
                end
                final(s)
                tasklet.sleep(600)
            end)
            return ok, err
        end)
        return opened, outer, log
    end

    local function check(before, log)
        assert.same({closed = COUNT, ended = 0}, log)
        assert.equal(before, tasklet.count())
        collectgarbage()
    end

    it("10.1 of one scope are killed at once by s:kill()", within(function()
        local before = tasklet.count()
        local s, outer, log = crowd(function() end)
        assert.equal(before + COUNT + 1, tasklet.count())
        s:kill()
        assert.is_true((tasklet.join(outer, 60)))
        check(before, log)
    end))

    it("10.1 of one scope are killed at once when one fails", within(function()
        local before, gate = tasklet.count(), WaitForCall()
        local _, outer, log = crowd(function(s)
            s:run(function()
                tasklet.wait(gate)
                error("because", 0)
            end)
        end)
        gate()
        local ok, err = tasklet.join(outer, 60)
        assert.is_false(ok)
        assert.is_true(tasklet.JoinError:is(err), tostring(err))
        assert.equal("because", err.cause)
        assert.equal(0, #(err.others or {}))
        check(before, log)
    end))

    it("10.1 of one scope are killed at once with its tasklet", within(function()
        local before = tasklet.count()
        local _, outer, log = crowd(function() end)
        outer:kill()
        local ok, err = tasklet.join(outer, 60)
        assert.is_false(ok)
        assert.is_true(TaskletExit:is(err))
        check(before, log)
    end))

    it("10.2 of one scope are ended at once by a deadline", within(function()
        local before, count = tasklet.count(), 0
        assert.is_false((pcall(tasklet.with_deadline, 2, tasklet.scope, function(s)
            for _ = 1, COUNT do
                s:run(function()
                    local _ <close> = closing(function() count = count + 1 end)
                    tasklet.sleep(600)
                end)
            end
        end)))
        assert.equal(COUNT, count)
        assert.equal(before, tasklet.count())
    end))

    -- Each scope stands in a member of the one around it.
    it("10.1 each in a scope of its own, nested, are killed from outside", within(function()
        local before, closed, deep = tasklet.count(), 0, COUNT // 10
        local function nest(level)
            local _ <close> = closing(function() closed = closed + 1 end)
            tasklet.scope(function(s)
                if level < deep then
                    s:run(nest, level + 1)
                end
                tasklet.sleep(600)
            end)
        end
        local outer = tasklet.run(nest, 1)
        assert.equal(before + deep, tasklet.count())
        outer:kill()
        local err = error_of(tasklet.join, outer, 60)
        assert.is_true(TaskletExit:is(err.cause))
        assert.equal(deep, closed)
        assert.equal(before, tasklet.count())
    end))
end)
