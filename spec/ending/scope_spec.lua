-- Scopes: tasklets that end together (contract 10.1).
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

local function raises_kill(wait, ...)
    local ok, err = pcall(wait, ...)
    return not ok and TaskletExit:is(err)
end

--- What `f` raises, which it must.
local function error_of(f, ...)
    local result = table.pack(pcall(f, ...))
    assert.is_false(result[1])
    return result[2]
end

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text, ...)
    local chunk = assert(load("local tasklet, a, b = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet, ...)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

--- That it is a JoinError of `t` because of `cause`.
local function check_failure(err, t, cause)
    assert.is_true(JoinError:is(err), tostring(err))
    assert.is_true(rawequal(t, err.tasklet) or t == nil)
    assert.is_true(rawequal(cause, err.cause), tostring(err.cause))
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

--- A function for a member that waits, and notes that it was killed and has been closed.
local function victim(log, name)
    return function()
        local _ <close> = closing(function(_, err)
            log[#log + 1] = TaskletExit:is(err) and name .. " killed" or name .. " ended"
        end)
        tasklet.sleep(600)
    end
end

-- The two forms of a scope, for what holds of both: `form(f, options)` calls `f(s)` in a scope.
local forms = {
    ["scope(f)"] = function(f) return tasklet.scope(f) end,
    ["<close>"] = function(f)
        local s <close> = tasklet.scope()
        return f(s)
    end,
}

for name, scope in pairs(forms) do
    describe(name, function()
        it("10.1 returns the body's results", within(function()
            assert.same({1, nil, "three", nil, n = 4}, table.pack(scope(function()
                return 1, nil, "three", nil
            end)))
            assert.same({"result", nil, n = 2}, table.pack(scope(function(s)
                s:run(tasklet.sleep, 0.002)
                tasklet.sleep(0)
                return "result", nil
            end)))
            assert.equal(0, select("#", scope(function() end)))
        end))

        it("10.1 starts members at once, with their arguments, and returns them", within(function()
            local log = {}
            scope(function(s)
                local t = s:run(function(...)
                    log[#log + 1] = table.pack(...)
                    log[#log + 1] = tasklet.current()
                    tasklet.yield_()
                    log[#log + 1] = "went on"
                    return "result", 2
                end, 1, nil)
                assert.same({1, nil, n = 2}, log[1])
                assert.equal(t, log[2])
                assert.is_nil(log[3])
                assert.same({"result", 2}, {tasklet.join(t, 30)})
            end)
            assert.equal("went on", log[3])
        end))

        it("10.1 waits for members that outlive the body", within(function()
            local log, first, second = {}, nil, nil
            local gate = WaitForCall()
            local outer = tasklet.run(function()
                scope(function(s)
                    first = s:run(function()
                        tasklet.sleep(0.005)
                        log[#log + 1] = "first"
                    end)
                    second = s:run(function()
                        tasklet.wait(gate)
                        log[#log + 1] = "second"
                    end)
                    log[#log + 1] = "body"
                end)
                assert(first:has_finished() and second:has_finished())
                log[#log + 1] = "after"
            end)
            tasklet.sleep(0.02)
            assert.same({"body", "first"}, log)
            assert.is_false(outer:has_finished())
            gate()
            tasklet.join(outer, 30)
            assert.same({"body", "first", "second", "after"}, log)
        end))

        it("10.1 waits for members that members start", within(function()
            local count = 0
            scope(function(s)
                local function member(depth)
                    count = count + 1
                    tasklet.sleep(0.001)
                    if depth < 5 then
                        s:run(member, depth + 1)
                        s:run(member, depth + 1)
                    end
                end
                s:run(member, 1)
            end)
            assert.equal(31, count)
        end))

        it("10.1 takes members from others while it is open", within(function()
            local opened, log
            local outer = tasklet.run(function()
                scope(function(s)
                    opened = s
                    tasklet.sleep(0.01)
                end)
                return log
            end)
            opened:run(function()
                tasklet.sleep(0.02)
                log = "ended"
            end)
            assert.equal("ended", tasklet.join(outer, 10))
        end))

        it("10.1 makes members that begin when they are called", within(function()
            local log = {}
            local t
            scope(function(s)
                t = s:new(function(...)
                    tasklet.sleep(0.002)
                    log[#log + 1] = table.pack(...)
                end, {name = "the name"})
                assert.equal("the name", t.name)
                tasklet.yield_()
                assert.same({}, log)
                t(1, nil, 3)
            end)
            assert.is_true(t:has_finished())
            assert.same({{1, nil, 3, n = 3}}, log)
        end))

        it("10.1 raises JoinError when a member fails; the body and the others are killed",
            within(function()
                local cause, gate, log, failing = {}, WaitForCall(), {}, nil
                local outer = tasklet.run(function()
                    local err = error_of(scope, function(s)
                        s:run(victim(log, "one"))
                        failing = s:run(function()
                            tasklet.wait(gate)
                            error(cause)
                        end)
                        s:run(victim(log, "two"))
                        s:new(victim(log, "three"))()
                        tasklet.yield_()
                        local _ <close> = closing(function(_, err)
                            log[#log + 1] = TaskletExit:is(err) and "body killed" or "body"
                        end)
                        tasklet.sleep(600)
                    end)
                    log[#log + 1] = "raised"
                    tasklet.sleep(0.001)
                    return err
                end)
                tasklet.yield_()
                tasklet.yield_()
                gate()
                local err = tasklet.join(outer, 10)
                check_failure(err, failing, cause)
                assert.same({}, causes(err.others))
                assert.equal("raised", table.remove(log))
                table.sort(log)
                assert.same({"body killed", "one killed", "three killed", "two killed"}, log)
            end))

        -- The body may be killed in s:run or at its next wait.
        it("10.1 raises JoinError when a member fails as it is started", within(function()
            local log, seen = {}, {}
            local err = error_of(scope, function(s)
                s:run(victim(log, "one"))
                seen[1] = raises_kill(function()
                    s:run(function() error("because", 0) end)
                    tasklet.sleep(600)
                end)
                seen[2] = raises_kill(tasklet.sleep, 600)
                tasklet.sleep(600)
                log[#log + 1] = "body went on"
            end)
            check_failure(err, nil, "because")
            assert.same({true, true}, seen)
            assert.same({"one killed"}, log)
            tasklet.sleep(0)
        end))

        it("10.1 raises JoinError when a member fails after the body has returned",
            within(function()
                local log, t = {}, nil
                local err = error_of(scope, function(s)
                    s:run(victim(log, "one"))
                    t = s:run(function()
                        tasklet.sleep(0.002)
                        error("because", 0)
                    end)
                    return "result"
                end)
                check_failure(err, t, "because")
                assert.same({"one killed"}, log)
            end))

        it("10.1 raises JoinError even if the body has swallowed the kill", within(function()
            local t
            local err = error_of(scope, function(s)
                t = s:run(function()
                    tasklet.sleep(0.001)
                    error("because", 0)
                end)
                assert(raises_kill(tasklet.sleep, 600))
                return "result"
            end)
            check_failure(err, t, "because")
        end))

        it("10.1 raises JoinError even if the body never waits again", within(function()
            local t
            local err = error_of(scope, function(s)
                t = s:run(error, "because", 0)
                return "result"
            end)
            check_failure(err, t, "because")
        end))

        it("10.1 leaves the tasklet able to wait, after a failure", within(function()
            for _ = 1, 3 do
                local err = error_of(scope, function(s)
                    s:run(function()
                        tasklet.sleep(0)
                        error("because", 0)
                    end)
                    tasklet.sleep(600)
                end)
                check_failure(err, nil, "because")
                tasklet.sleep(0.001)
                tasklet.yield_()
            end
        end))

        it("10.1 tells further failures in others, but not the killed", within(function()
            local log = {}
            local err = error_of(scope, function(s)
                s:run(function()
                    local _ <close> = closing(function() error("second", 0) end)
                    tasklet.sleep(600)
                end)
                s:run(victim(log, "one"))
                s:run(function()
                    if not pcall(tasklet.sleep, 600) then
                        error("third", 0)
                    end
                end)
                s:run(function()
                    tasklet.sleep(0.001)
                    error("first", 0)
                end)
                tasklet.sleep(600)
            end)
            check_failure(err, nil, "first")
            assert.same({"second", "third"}, causes(err.others))
            assert.same({"one killed"}, log)
        end))

        it("10.1 raises the body's own error as it is, after all members", within(function()
            local cause, log = {}, {}
            local err = error_of(scope, function(s)
                s:run(victim(log, "one"))
                s:run(function()
                    local _ <close> = closing(function()
                        tasklet.shield(function()
                            tasklet.sleep(0.005)
                            log[#log + 1] = "two cleaned up"
                        end)
                    end)
                    tasklet.sleep(600)
                end)
                tasklet.sleep(0)
                error(cause)
            end)
            assert.is_true(rawequal(cause, err))
            assert.same({"one killed", "two cleaned up"}, log)
            tasklet.sleep(0)
        end))

        it("10.1 raises the body's own error, whatever its members raise then", within(function()
            local err = error_of(scope, function(s)
                s:run(function()
                    local _ <close> = closing(function() error("a member's", 0) end)
                    tasklet.sleep(600)
                end)
                error("my own", 0)
            end)
            assert.equal("my own", err)
        end))

        it("10.1 takes a member killed by others for no failure", within(function()
            local log = {}
            local result = scope(function(s)
                local t = s:run(victim(log, "one"))
                local other = s:run(function()
                    tasklet.sleep(0.005)
                    log[#log + 1] = "other"
                end)
                t:kill()
                assert.is_true(t:has_finished())
                assert.is_false(other:has_finished())
                tasklet.sleep(0.001)
                return "result"
            end)
            assert.equal("result", result)
            assert.same({"one killed", "other"}, log)
        end))

        it("10.1 takes a member that kills itself for no failure", within(function()
            assert.equal("result", scope(function(s)
                s:run(function() tasklet.current():kill() end)
                s:run(function()
                    tasklet.sleep(0)
                    tasklet.current():kill()
                end)
                tasklet.sleep(0.001)
                return "result"
            end))
        end))

        it("10.1 killed with its tasklet, kills its members and waits for them", within(function()
            local log = {}
            local outer = tasklet.run(function()
                scope(function(s)
                    s:run(victim(log, "one"))
                    s:run(function()
                        local _ <close> = closing(function()
                            tasklet.shield(function()
                                tasklet.sleep(0.005)
                                log[#log + 1] = "two cleaned up"
                            end)
                        end)
                        tasklet.sleep(600)
                    end)
                    tasklet.sleep(600)
                end)
                log[#log + 1] = "went on"
            end)
            outer:kill()
            local err = error_of(tasklet.join, outer, 10)
            assert.is_true(TaskletExit:is(err.cause), tostring(err.cause))
            assert.same({"one killed", "two cleaned up"}, log)
        end))

        it("10.1 killed while it waits for members, does the same", within(function()
            local log, raised_kill = {}, nil
            local outer = tasklet.run(function()
                raised_kill = raises_kill(scope, function(s)
                    s:run(victim(log, "one"))
                    s:run(victim(log, "two"))
                end)
                tasklet.sleep(0)
            end)
            outer:kill()
            local err = error_of(tasklet.join, outer, 10)
            assert.is_true(TaskletExit:is(err.cause), tostring(err.cause))
            assert.is_true(raised_kill)
            table.sort(log)
            assert.same({"one killed", "two killed"}, log)
        end))

        it("10.1 ends members by s:kill() when the body has returned", within(function()
            local log, opened = {}, nil
            local outer = tasklet.run(function()
                scope(function(s)
                    opened = s
                    s:run(victim(log, "one"))
                    s:run(victim(log, "two"))
                end)
                tasklet.sleep(0)
                return "went on"
            end)
            opened:kill()
            assert.equal("went on", tasklet.join(outer, 10))
            table.sort(log)
            assert.same({"one killed", "two killed"}, log)
        end))

        it("10.1 ends all by a member's s:kill()", within(function()
            local log = {}
            local outer = tasklet.run(function()
                scope(function(s)
                    s:run(victim(log, "one"))
                    s:run(function()
                        tasklet.sleep(0.001)
                        s:kill()
                        tasklet.sleep(600)
                        log[#log + 1] = "went on"
                    end)
                end)
                return "after"
            end)
            assert.equal("after", tasklet.join(outer, 10))
            assert.same({"one killed"}, log)
        end))

        it("10.1 takes no members any more when it has ended", within(function()
            local ended = {}
            scope(function(s) ended[1] = s end)
            pcall(scope, function(s)
                ended[2] = s
                error("on purpose")
            end)
            pcall(scope, function(s)
                ended[3] = s
                s:run(error, "on purpose")
            end)
            for i = 1, 3 do
                local called = false
                local err = raised("a:run(b)", ended[i], function() called = true end)
                assert.is_true(tasklet.TaskletError:is(err), tostring(err))
                assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
                assert.is_false(called)
            end
        end))

        it("10.1 nests", within(function()
            local log = {}
            local result = scope(function(outer)
                outer:run(function()
                    scope(function(inner)
                        inner:run(function()
                            tasklet.sleep(0.002)
                            log[#log + 1] = "inner member"
                        end)
                    end)
                    log[#log + 1] = "outer member"
                end)
                return scope(function(inner)
                    inner:run(tasklet.sleep, 0.001)
                    return "result"
                end)
            end)
            assert.equal("result", result)
            assert.same({"inner member", "outer member"}, log)
        end))

        it("10.1 killed from an outer scope, kills what is within", within(function()
            local log = {}
            local err = error_of(scope, function(outer)
                outer:run(function()
                    scope(function(inner)
                        inner:run(victim(log, "deep member"))
                        inner:run(function()
                            scope(function(innermost)
                                innermost:run(victim(log, "deepest member"))
                            end)
                        end)
                    end)
                end)
                scope(function(inner)
                    inner:run(victim(log, "member beside"))
                    outer:run(function()
                        tasklet.sleep(0.001)
                        error("because", 0)
                    end)
                end)
            end)
            check_failure(err, nil, "because")
            table.sort(log)
            assert.same({
                "deep member killed", "deepest member killed", "member beside killed",
            }, log)
            tasklet.sleep(0)
        end))

        it("10.1 tells of a failure within, as that of its member", within(function()
            local deep, member
            local err = error_of(scope, function(outer)
                member = outer:run(function()
                    scope(function(inner)
                        deep = inner:run(function()
                            tasklet.sleep(0.001)
                            error("because", 0)
                        end)
                    end)
                end)
            end)
            check_failure(err, member, err.cause)
            check_failure(err.cause, deep, "because")
        end))

        it("10.1 keeps the wait list of its tasklet", within(function()
            local call, timeout = WaitForCall(), tasklet.WaitForTimeout(60000)
            local t = tasklet.run(function()
                tasklet.wait(call, timeout)
                scope(function(s) s:run(tasklet.sleep, 0.001) end)
                tasklet.wait(call, timeout)
                return call.args[1]
            end)
            call(1)
            call(2)
            assert.equal(2, tasklet.join(t, 30))
        end))

        it("10.1 is collected with its members", within(function()
            local weak = setmetatable({}, {__mode = "k"})
            local function one(fail)
                pcall(scope, function(s)
                    weak[s] = true
                    weak[s:run(tasklet.sleep, 0.001)] = true
                    weak[s:run(function() tasklet.sleep(fail and 600 or 0.001) end)] = true
                    if fail then
                        s:run(error, "on purpose")
                    end
                end)
            end
            one(false)
            one(true)
            tasklet.yield_()
            for _ = 1, 4 do
                collectgarbage()
            end
            assert.is_nil((next(weak)))
        end))

        it("10.1 does not keep members that have ended", within(function()
            local weak = setmetatable({}, {__mode = "k"})
            scope(function(s)
                local function start()
                    for _ = 1, 10 do
                        weak[s:run(function() tasklet.sleep(0) end)] = true
                    end
                end
                start()
                tasklet.sleep(0.005)
                for _ = 1, 4 do
                    collectgarbage()
                end
                assert.is_nil((next(weak)))
            end)
        end))

        it("10.1 works in a generator", within(function()
            local log = {}
            for value in coroutine.wrap(function()
                coroutine.yield(scope(function(s)
                    s:run(function()
                        tasklet.sleep(0.001)
                        log[#log + 1] = "member"
                    end)
                    return "value"
                end))
            end) do
                log[#log + 1] = value
            end
            assert.same({"member", "value"}, log)
        end))
    end)
end

describe("scope(f)", function()
    it("10.1 ends all by s:kill(), the body too, and returns normally", within(function()
        local log, opened = {}, nil
        local outer = tasklet.run(function()
            local results = table.pack(tasklet.scope(function(s)
                opened = s
                s:run(victim(log, "one"))
                s:run(victim(log, "two"))
                s:new(victim(log, "three"))()
                tasklet.yield_()
                local _ <close> = closing(function(_, err)
                    log[#log + 1] = TaskletExit:is(err) and "body killed" or "body"
                end)
                tasklet.sleep(600)
                return "result"
            end))
            tasklet.sleep(0)
            return results.n
        end)
        tasklet.yield_()
        tasklet.yield_()
        opened:kill()
        assert.equal(0, tasklet.join(outer, 10))
        table.sort(log)
        assert.same({"body killed", "one killed", "three killed", "two killed"}, log)
    end))

    it("10.1 returns nothing after s:kill() in the body, which ends at its next wait",
        within(function()
            local log, seen = {}, {}
            local results = table.pack(tasklet.scope(function(s)
                s:run(victim(log, "one"))
                seen[1] = raises_kill(function()
                    s:kill()
                    tasklet.sleep(600)
                end)
                seen[2] = raises_kill(tasklet.sleep, 600)
                tasklet.sleep(600)
                return "result"
            end))
            assert.equal(0, results.n)
            assert.same({"one killed"}, log)
            assert.same({true, true}, seen)
            tasklet.sleep(0)
        end))

    it("10.1 takes options, and no unknown ones", within(function()
        assert.equal("result", tasklet.scope(function() return "result" end, {deadline = 600}))
        assert.equal("result", tasklet.scope(function() return "result" end, {}))
        local err = raised("tasklet.scope(print, {wrong = 1})")
        assert.equal("string", type(err), tostring(err))
        assert.is_truthy(err:match("^there:2: "), err)
        assert.is_truthy(err:find("wrong", 1, true), err)
        assert.is_truthy(err:find("deadline", 1, true), err)
        err = raised("tasklet.scope(print, {deadline = 'x'})")
        assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
        assert.is_truthy(tostring(err):find("deadline", 1, true), tostring(err))
    end))

    it("1.4 raises for a wrong argument at the caller's line", within(function()
        for _, row in ipairs{
            {"tasklet.scope(5)", 1}, {"tasklet.scope('x')", 1}, {"tasklet.scope(print, 5)", 2},
        } do
            local err = raised(row[1])
            assert.equal("string", type(err), tostring(err))
            local pattern = ("^there:2: bad argument #%d to 'scope' "):format(row[2])
            assert.is_truthy(err:match(pattern), err)
        end
        for _, text in ipairs{
            "tasklet.scope(function(s) s:run(5) end)", "tasklet.scope(function(s) s:run() end)",
            "tasklet.scope(function(s) s:new(5) end)",
            "tasklet.scope(function(s) s:new(print, {wrong = 1}) end)",
        } do
            local err = raised(text)
            assert.equal("string", type(err), tostring(err))
            assert.is_truthy(err:match("^there:2: "), err)
        end
    end))
end)

describe("<close>", function()
    it("10.1 waits where the block ends, however it is left", within(function()
        local log = {}
        local function member(text)
            return function()
                tasklet.sleep(0.001)
                log[#log + 1] = text
            end
        end
        do
            local s <close> = tasklet.scope()
            s:run(member "do")
        end
        log[#log + 1] = "after do"
        for i = 1, 3 do
            local s <close> = tasklet.scope()
            s:run(member("for " .. i))
            if i == 2 then
                break
            end
        end
        log[#log + 1] = "after for"
        local function returns()
            local s <close> = tasklet.scope()
            s:run(member "return")
            return "value", nil
        end
        assert.same({"value", nil, n = 2}, table.pack(returns()))
        assert.same({"do", "after do", "for 1", "for 2", "after for", "return"}, log)
    end))

    -- Whether the block itself is left depends on whether it waits; its members end.
    it("10.1 has its members ended by s:kill() in the block", within(function()
        local log = {}
        pcall(function()
            local s <close> = tasklet.scope()
            s:run(victim(log, "one"))
            s:run(victim(log, "two"))
            s:kill()
        end)
        table.sort(log)
        assert.same({"one killed", "two killed"}, log)
        tasklet.sleep(0)
    end))

    it("10.1 may stand beside another, which ends first", within(function()
        local log = {}
        do
            local first <close> = tasklet.scope()
            local second <close> = tasklet.scope()
            first:run(function()
                tasklet.sleep(0.001)
                log[#log + 1] = "first member"
            end)
            second:run(function()
                tasklet.sleep(0.01)
                log[#log + 1] = "second member"
            end)
            second:run(function()
                tasklet.sleep(0.01)
                assert(pcall(first.run, first, function() log[#log + 1] = "late member" end))
            end)
        end
        table.sort(log)
        assert.same({"first member", "late member", "second member"}, log)
    end))

    it("10.1 that fails in the inner one kills what stands in the outer one", within(function()
        local log = {}
        local err = error_of(function()
            local first <close> = tasklet.scope()
            first:run(victim(log, "outer member"))
            local second <close> = tasklet.scope()
            second:run(function()
                tasklet.sleep(0.001)
                error("because", 0)
            end)
            tasklet.sleep(600)
        end)
        check_failure(err, nil, "because")
        assert.same({"outer member killed"}, log)
        tasklet.sleep(0)
    end))
end)
