-- Deadlines: with_deadline (contract 10.2) and a tasklet's timeout (6.6).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local TimeoutError, TaskletExit = tasklet.TimeoutError, tasklet.TaskletExit
local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local with_deadline, now = tasklet.with_deadline, tasklet.mainloop.now

local function within(body)
    return function() helper.within_loop(body) end
end

--- Whether `wait` raises a TimeoutError.
local function times_out(wait, ...)
    local ok, err = pcall(wait, ...)
    return not ok and TimeoutError:is(err)
end

local function endless()
    return tasklet.run(function() tasklet.sleep(600) end)
end

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text)
    local chunk = assert(load("local tasklet = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

describe("with_deadline", function()
    it("10.2 calls its function with the arguments and returns its results", within(function()
        local function echo(...)
            tasklet.sleep(0)
            return "result", ...
        end
        assert.same({"result", 1, nil, "x", nil, n = 5},
            table.pack(with_deadline(60, echo, 1, nil, "x", nil)))
        assert.same({"result", n = 1}, table.pack(with_deadline(60, echo)))
        assert.equal(0, select("#", with_deadline(60, function() end)))
    end))

    it("10.2 runs its function in the same tasklet", within(function()
        local me = tasklet.current()
        assert.equal(me, with_deadline(60, function()
            tasklet.sleep(0)
            return tasklet.current()
        end))
    end))

    it("10.2 raises TimeoutError when the time is over, not before", within(function()
        local before = now()
        local ok, err = pcall(with_deadline, 0.02, tasklet.sleep, 600)
        assert.is_false(ok)
        assert.is_true(TimeoutError:is(err))
        assert.equal(20, now() - before)
        assert.equal("string", type(err.message))
    end))

    it("10.2 counts no more once it is left", within(function()
        assert.is_true(times_out(with_deadline, 0.002, tasklet.sleep, 600))
        tasklet.sleep(0.003)
        tasklet.yield_()
        local timeout = WaitForTimeout(3)
        assert.equal(timeout, tasklet.wait(timeout))
        with_deadline(0.01, function() end)
        tasklet.sleep(0.02)
    end))

    it("10.2 raises nothing in what never waits", within(function()
        assert.equal("result", with_deadline(0, function() return "result" end))
        assert.equal("result", with_deadline(0.001, function()
            helper.compute(5)
            return "result"
        end))
        tasklet.sleep(0)
    end))

    it("10.2 raises at the next wait if the time ran out in between", within(function()
        local seen
        assert.is_true(times_out(with_deadline, 0.002, function()
            tasklet.sleep(0)
            helper.compute(5)
            seen = "before the wait"
            tasklet.sleep(0)
            seen = "after it"
        end))
        assert.equal("before the wait", seen)
    end))

    it("10.2 of 0 raises at the first wait", within(function()
        for _, wait in ipairs{
            function() tasklet.sleep(0) end,
            function() tasklet.yield_() end,
            function() tasklet.wait(WaitForTimeout(0)) end,
        } do
            assert.is_true(times_out(with_deadline, 0, wait))
        end
    end))

    it("10.2 is none if negative", within(function()
        assert.equal("result", with_deadline(-1, function()
            tasklet.sleep(0.005)
            return "result"
        end))
        assert.is_true(times_out(with_deadline, 0.005, function()
            with_deadline(-1, tasklet.sleep, 600)
        end))
    end))

    it("10.2 lets an error of its function pass as it is", within(function()
        local cause = {}
        for _, wait in ipairs{false, true} do
            local ok, err = pcall(with_deadline, 60, function()
                if wait then
                    tasklet.sleep(0)
                end
                error(cause)
            end)
            assert.is_false(ok)
            assert.is_true(rawequal(cause, err))
        end
    end))

    it("10.2 lets a kill pass", within(function()
        local t = tasklet.run(with_deadline, 60, tasklet.sleep, 600)
        t:kill()
        local ok, err = pcall(tasklet.join, t, 10)
        assert.is_false(ok)
        assert.is_true(TaskletExit:is(err.cause))
    end))

    it("10.2 closes variables when it passes", within(function()
        local log = {}
        pcall(with_deadline, 0.002, function()
            local _ <close> = setmetatable({}, {__close = function(_, err)
                log[1] = TimeoutError:is(err)
                log[2] = times_out(tasklet.sleep, 0)
            end})
            tasklet.sleep(600)
        end)
        assert.same({true, true}, log)
    end))

    it("10.2 does not end those that are waited for", within(function()
        local t = endless()
        assert.is_true(times_out(with_deadline, 0.002, tasklet.join, t))
        assert.is_false(t:has_finished())
        t:kill()
    end))

    it("10.2 leaves what was started by other means alone", within(function()
        local t
        assert.is_true(times_out(with_deadline, 0.005, function()
            t = tasklet.run(function()
                tasklet.sleep(0.02)
                return "result"
            end)
            tasklet.sleep(600)
        end))
        assert.equal("result", tasklet.join(t, 10))
    end))

    it("10.2 counts for verbs with timeouts of their own", within(function()
        local t = endless()
        local me = tasklet.current()
        for name, wait in pairs{
            join = function() tasklet.join(t, 600) end,
            ["join, for ever"] = function() tasklet.join(t, -1) end,
            join_all = function() tasklet.join_all({t}, 600) end,
            popleft = function() me.mailbox:popleft(600) end,
            receive = function() for _ in tasklet.receive(600) do error("came") end end,
        } do
            assert.is_true(times_out(with_deadline, 0.002, wait), name)
        end
        t:kill()
    end))

    it("10.2 is not taken for the timeout of a verb, nor that for it", within(function()
        local t = endless()
        local result = with_deadline(60, function()
            for _ = 1, 3 do
                assert(times_out(tasklet.join, t, 0.001))
            end
            tasklet.sleep(0.001)
            return "result"
        end)
        assert.equal("result", result)
        t:kill()
    end))

    it("10.2 keeps the wait list of its tasklet", within(function()
        local call, timeout = WaitForCall(), WaitForTimeout(60000)
        local t = tasklet.run(function()
            tasklet.wait(call, timeout)
            pcall(with_deadline, 0.001, tasklet.sleep, 600)
            tasklet.wait(call, timeout)
            return call.args[1]
        end)
        call(1)
        call(2)
        assert.equal(2, tasklet.join(t, 10))
    end))

    it("10.2 passes through generators", within(function()
        local seen = {}
        assert.is_true(times_out(with_deadline, 0.005, function()
            local generator = coroutine.wrap(function()
                coroutine.yield("value")
                seen[2] = times_out(tasklet.sleep, 600)
                tasklet.sleep(600)
            end)
            seen[1] = generator()
            generator()
        end))
        assert.same({"value", true}, seen)
    end))

    it("10.2 leaves no timer behind", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local before = tasklet.mainloop.now()
            tasklet.with_deadline(600, function() tasklet.sleep(0.001) end)
            tasklet.scope(function(s) s:run(tasklet.sleep, 0.001) end, {deadline = 600})
            pcall(tasklet.with_deadline, 600, error, "on purpose")
            tasklet.current().timeout = 600
            print(tasklet.mainloop.now() - before < 300000)
        ]]
        assert.same({"true\n", "", 0}, {result.stdout, result.stderr, result.status})
    end)

    it("1.4 raises for a wrong argument at the caller's line", within(function()
        for _, row in ipairs{
            {"tasklet.with_deadline('x', print)", 1}, {"tasklet.with_deadline({}, print)", 1},
            {"tasklet.with_deadline(0/0, print)", 1}, {"tasklet.with_deadline(1)", 2},
            {"tasklet.with_deadline(1, nil)", 2}, {"tasklet.with_deadline(1, 5)", 2},
        } do
            local err = raised(row[1])
            assert.equal("string", type(err), tostring(err))
            local pattern = ("^there:2: bad argument #%d to 'with_deadline' "):format(row[2])
            assert.is_truthy(err:match(pattern), err)
        end
    end))
end)

describe("a deadline that is over", function()
    it("10.2 is raised again by every further wait, until it is left", within(function()
        local never = endless()
        local count = 0
        local result = with_deadline(0.002, function()
            assert(times_out(tasklet.sleep, 600))
            for _, wait in ipairs{
                function() tasklet.sleep(0) end,
                function() tasklet.yield_() end,
                function() tasklet.wait(WaitForTimeout(0)) end,
                function() coroutine.yield(WaitForTimeout(0)) end,
                function() tasklet.wait(WaitForCall(), WaitForTimeout(0)) end,
                function() tasklet.wait(tasklet.WaitForMessages{accept = "name"}) end,
                function() tasklet.join(never) end,
                function() tasklet.join(never, 0) end,
                function() tasklet.current().mailbox:popleft() end,
                function() tasklet.current().mailbox:popleft(0) end,
            } do
                if times_out(wait) then
                    count = count + 1
                end
            end
            return "swallowed"
        end)
        assert.equal(10, count)
        assert.equal("swallowed", result)
        tasklet.sleep(0)
        never:kill()
    end))

    it("10.2 is not lifted by survive", within(function()
        assert.is_true(with_deadline(0.002, function()
            tasklet.survive()
            local first = times_out(tasklet.sleep, 600)
            tasklet.survive()
            return first and times_out(tasklet.sleep, 0)
        end))
    end))

    it("10.2 is not lifted by a longer one inside", within(function()
        assert.is_true(with_deadline(0.002, function()
            local first = times_out(tasklet.sleep, 600)
            return first and times_out(with_deadline, 600, tasklet.sleep, 0)
        end))
    end))

    it("10.2 lets those go on that have swallowed it and wait no more", within(function()
        assert.same({"one", 2}, {with_deadline(0.002, function()
            pcall(tasklet.sleep, 600)
            return "one", 2
        end)})
    end))

    it("10.2 still lets messages be sent and tasklets be started", within(function()
        local got
        local receiver = tasklet.run(function()
            got = tasklet.wait(tasklet.WaitForMessages{accept = "name"}).value
        end)
        with_deadline(0.002, function()
            pcall(tasklet.sleep, 600)
            tasklet.send(receiver, "name", "sent")
        end)
        assert.equal("sent", got)
    end))
end)

describe("nested deadlines", function()
    it("10.2 of an outer one that is nearer: it counts inside, too", within(function()
        local log, before = {}, now()
        assert.is_true(times_out(with_deadline, 0.01, function()
            log[1] = times_out(with_deadline, 600, function()
                log[2] = times_out(tasklet.sleep, 600)
                tasklet.sleep(600)
            end)
            log[3] = now() - before
            tasklet.sleep(600)
        end))
        assert.same({true, true, 10}, log)
    end))

    it("10.2 of an inner one that is nearer: after it the outer one counts", within(function()
        local log = {}
        local result = with_deadline(600, function()
            log[1] = times_out(with_deadline, 0.002, tasklet.sleep, 600)
            tasklet.sleep(0.001)
            log[2] = times_out(with_deadline, 0.002, tasklet.sleep, 600)
            tasklet.sleep(0.001)
            return "result"
        end)
        assert.equal("result", result)
        assert.same({true, true}, log)
    end))

    it("10.2 of a hundred: the nearest counts", within(function()
        local before, depth = now(), 0
        local function nest(level)
            depth = level
            if level == 100 then
                tasklet.sleep(600)
            end
            with_deadline(level == 50 and 0.02 or 600, nest, level + 1)
        end
        assert.is_true(times_out(nest, 1))
        assert.equal(100, depth)
        assert.equal(20, now() - before)
        tasklet.sleep(0)
    end))

    it("10.2 leaves an outer one to be met later", within(function()
        local before = now()
        assert.is_true(times_out(with_deadline, 0.03, function()
            with_deadline(600, tasklet.sleep, 0.001)
            pcall(with_deadline, 0.001, tasklet.sleep, 600)
            pcall(with_deadline, 600, error, "on purpose")
            tasklet.sleep(600)
        end))
        assert.equal(30, now() - before)
    end))
end)

describe("a deadline and scopes", function()
    it("10.2 is raised in every tasklet of the scopes inside", within(function()
        local log = {}
        -- Nobody fails: a scope would kill the others.
        local function member(name)
            return function()
                local ok, err = pcall(tasklet.sleep, 600)
                log[name] = not ok and TimeoutError:is(err)
            end
        end
        assert.is_true(times_out(with_deadline, 0.01, function()
            pcall(tasklet.scope, function(s)
                s:run(member "member")
                s:run(function()
                    pcall(tasklet.scope, function(inner)
                        inner:run(member "deep member")
                        member("deep body")()
                    end)
                end)
                s:new(member "called member")()
                member("body")()
            end)
            tasklet.sleep(0)
        end))
        assert.same({
            member = true, ["deep member"] = true, ["deep body"] = true, ["called member"] = true,
            body = true,
        }, log)
        tasklet.sleep(0)
    end))

    it("10.2 is raised again in a member that swallowed it", within(function()
        local seen = {}
        assert.is_true(times_out(with_deadline, 0.005, function()
            tasklet.scope(function(s)
                s:run(function()
                    for i = 1, 4 do
                        local ok, err = pcall(tasklet.sleep, 600)
                        -- The body may have failed by then, and the scope killed its members.
                        seen[i] = not ok and (TimeoutError:is(err) or i > 1 and TaskletExit:is(err))
                    end
                end)
                tasklet.sleep(600)
            end)
        end))
        assert.same({true, true, true, true}, seen)
    end))

    it("10.2 of a scope is its option", within(function()
        local log, before = {}, now()
        local ok, err = pcall(tasklet.scope, function(s)
            s:run(function() log[1] = times_out(tasklet.sleep, 600) end)
            log[2] = times_out(tasklet.sleep, 600)
            tasklet.sleep(600)
        end, {deadline = 0.02})
        assert.is_false(ok)
        assert.is_true(TimeoutError:is(err), tostring(err))
        assert.is_false(tasklet.JoinError:is(err))
        assert.same({true, true}, log)
        assert.equal(20, now() - before)
        tasklet.sleep(0)
    end))

    it("10.2 of a scope ends members when the body has returned", within(function()
        local seen
        local ok, err = pcall(tasklet.scope, function(s)
            s:run(function()
                seen = times_out(tasklet.sleep, 600)
                tasklet.sleep(600)
            end)
            return "result"
        end, {deadline = 0.005})
        assert.is_false(ok)
        assert.is_true(TimeoutError:is(err), tostring(err))
        assert.is_true(seen)
    end))

    it("10.2 of a scope is none if negative or not over", within(function()
        for _, seconds in ipairs{-1, 600} do
            local result = tasklet.scope(function(s)
                s:run(tasklet.sleep, 0.005)
                return "result"
            end, {deadline = seconds})
            assert.equal("result", result)
        end
    end))

    it("10.2 of an outer scope counts in an inner one", within(function()
        local seen
        local ok, err = pcall(tasklet.scope, function()
            tasklet.scope(function()
                seen = times_out(tasklet.sleep, 600)
                tasklet.sleep(600)
            end, {deadline = 600})
        end, {deadline = 0.005})
        assert.is_false(ok)
        assert.is_true(TimeoutError:is(err), tostring(err))
        assert.is_true(seen)
    end))

    it("10.2 counts in all and any", within(function()
        for _, name in ipairs{"all", "any"} do
            local before = tasklet.count()
            assert.is_true(times_out(with_deadline, 0.005, tasklet[name], {
                function() tasklet.sleep(600) end, function() tasklet.sleep(600) end,
            }), name)
            assert.equal(before, tasklet.count())
        end
    end))

    it("10.2 that is not over disturbs no member", within(function()
        local result = with_deadline(600, function()
            return tasklet.scope(function(s)
                local t = s:run(function()
                    tasklet.sleep(0.002)
                    return "member"
                end)
                return tasklet.join(t)
            end)
        end)
        assert.equal("member", result)
    end))
end)

describe("a deadline and shield", function()
    it("6.4 is held back until its function returns", within(function()
        local gate, log = WaitForCall(), {}
        local t = tasklet.run(function()
            return times_out(with_deadline, 0.005, function()
                log[1] = tasklet.shield(function()
                    tasklet.wait(gate)
                    tasklet.sleep(0.001)
                    return "result"
                end)
                log[2] = times_out(tasklet.sleep, 600)
                log[3] = times_out(tasklet.sleep, 600)
                tasklet.sleep(600)
            end)
        end)
        tasklet.sleep(0.02)
        assert.same({}, log)
        assert.is_false(t:has_finished())
        gate()
        assert.is_true((tasklet.join(t, 10)))
        assert.same({"result", true, true}, log)
    end))

    it("6.4 lets cleanup wait after it", within(function()
        local log = {}
        assert.is_true(times_out(with_deadline, 0.002, function()
            local _ <close> = setmetatable({}, {__close = function()
                log[1] = times_out(tasklet.sleep, 600)
                log[2] = tasklet.shield(function()
                    tasklet.sleep(0.002)
                    return "waited"
                end, 60)
            end})
            tasklet.sleep(600)
        end))
        assert.same({true, "waited"}, log)
    end))

    it("6.4 is raised when the seconds are over", within(function()
        local before = now()
        assert.is_true(times_out(with_deadline, 0.002, function()
            tasklet.shield(function() tasklet.sleep(600) end, 0.02)
        end))
        assert.equal(20, now() - before)
    end))

    it("6.4 inside a shield counts as ever when it is not over before", within(function()
        assert.is_true(tasklet.shield(function() return true end))
        assert.equal("result", with_deadline(600, function()
            return tasklet.shield(function()
                tasklet.sleep(0.001)
                return "result"
            end, 300)
        end))
    end))
end)

describe("timeout", function()
    --- What `f` returns in a tasklet of its own, which begins without a timeout.
    local function alone(f)
        return tasklet.join(tasklet.run(f), 10)
    end

    it("6.6 is none at first, and when it is nil or negative", within(function()
        alone(function()
            local me = tasklet.current()
            assert.is_nil(me.timeout)
            local t = tasklet.run(function()
                tasklet.sleep(0.02)
                return "result"
            end)
            me.timeout = 0.001
            me.timeout = nil
            assert.is_nil(me.timeout)
            assert.equal("result", tasklet.join(t))
            t = tasklet.run(function()
                tasklet.sleep(0.02)
                return "result"
            end)
            me.timeout = 0.001
            me.timeout = -1
            assert.is_true(me.timeout == nil or me.timeout < 0)
            assert.equal("result", tasklet.join(t))
        end)
    end))

    it("6.6 is read as the seconds left", within(function()
        alone(function()
            local me = tasklet.current()
            me.timeout = 600
            local first = me.timeout
            assert.is_true(first <= 600 and first > 300)
            tasklet.sleep(0.01)
            assert.is_true(me.timeout <= first - 0.01)
            me.timeout = 900
            assert.is_true(me.timeout > 600)
            me.timeout = 0
            assert.equal(0, me.timeout)
        end)
    end))

    it("6.6 interrupts verbs without a timeout of their own", within(function()
        alone(function()
            local me = tasklet.current()
            local never, deaf = endless(), endless()
            for name, wait in pairs{
                join = function() tasklet.join(never) end,
                join_all = function() tasklet.join_all{never} end,
                join_children = function() tasklet.join_children() end,
                popleft = function() me.mailbox:popleft() end,
                receive = function() for _ in tasklet.receive() do error("came") end end,
                receive_batch = function()
                    for _ in tasklet.receive_batch(5) do
                        error("came")
                    end
                end,
                call = function() tasklet.call(deaf, "name") end,
            } do
                me.timeout = 0.005
                local before = now()
                assert.is_true(times_out(wait), name)
                assert.equal(5, now() - before, name)
                assert.equal(0, me.timeout)
            end
            me.timeout = nil
            never:kill()
            deaf:kill()
        end)
    end))

    it("6.6 stays over until it is set anew", within(function()
        alone(function()
            local me, never = tasklet.current(), endless()
            me.timeout = 0.002
            assert.is_true(times_out(tasklet.join, never))
            for _ = 1, 2 do
                assert.equal(0, me.timeout)
                assert.is_true(times_out(tasklet.join, never))
                assert.is_true(times_out(me.mailbox.popleft, me.mailbox))
                tasklet.sleep(0.001)
            end
            local t = tasklet.run(function()
                tasklet.sleep(0.005)
                return "result"
            end)
            me.timeout = 600
            assert.equal("result", tasklet.join(t))
            me.timeout = nil
            assert.is_nil(me.timeout)
            never:kill()
        end)
    end))

    it("6.6 over, still lets verbs return that need not wait", within(function()
        alone(function()
            local me = tasklet.current()
            local ended = tasklet.run(function() return "result" end)
            tasklet.send(me, "name", "value")
            me.timeout = 0
            assert.equal("result", tasklet.join(ended))
            assert.equal("value", me.mailbox:popleft().value)
        end)
    end))

    it("6.6 leaves verbs with a timeout of their own alone", within(function()
        alone(function()
            local me = tasklet.current()
            local function soon()
                return tasklet.run(function()
                    tasklet.sleep(0.02)
                    return "result"
                end)
            end
            me.timeout = 0.002
            assert.equal("result", tasklet.join(soon(), 60))
            assert.equal(0, me.timeout)
            assert.equal("result", tasklet.join(soon(), 60))
            assert.equal("result", tasklet.join_all({soon()}, 60)[1])
            local sender = tasklet.run(function()
                tasklet.sleep(0.01)
                tasklet.send(me, "name", "value")
            end)
            assert.equal("value", me.mailbox:popleft(60).value)
            tasklet.join(sender, 60)
        end)
    end))

    it("6.6 leaves sleep, yields and tasklet.wait alone", within(function()
        alone(function()
            local me, before = tasklet.current(), now()
            me.timeout = 0.002
            tasklet.sleep(0.02)
            assert.equal(20, now() - before)
            tasklet.sleep(0.001)
            local timeout, call = WaitForTimeout(5), WaitForCall()
            assert.equal(timeout, tasklet.wait(call, timeout))
            coroutine.yield(timeout)
            assert.equal(timeout, tasklet.get_event())
            assert.equal(0, me.timeout)
        end)
    end))

    it("6.6 does not end those that are waited for", within(function()
        alone(function()
            local t = endless()
            tasklet.current().timeout = 0.002
            assert.is_true(times_out(tasklet.join, t))
            assert.is_false(t:has_finished())
            t:kill()
        end)
    end))

    it("6.6 is each tasklet's own", within(function()
        alone(function()
            tasklet.current().timeout = 0
            assert.is_nil(alone(function() return tasklet.current().timeout end))
            tasklet.scope(function(s)
                s:run(function()
                    assert.is_nil(tasklet.current().timeout)
                    local t = tasklet.run(function() tasklet.sleep(0.002) end)
                    tasklet.join(t)
                end)
                tasklet.sleep(0.01)
            end)
        end)
    end))

    it("6.6 may be set before a tasklet begins", within(function()
        local never = endless()
        local t = tasklet.new(function()
            return times_out(tasklet.join, never), tasklet.current().timeout
        end)
        t.timeout = 0.002
        assert.is_true(t.timeout <= 0.002)
        t()
        assert.same({true, 0}, {tasklet.join(t, 60)})
        never:kill()
    end))

    it("6.6 is left by TimeoutError, not by a kill", within(function()
        local never = endless()
        local t = tasklet.run(function()
            tasklet.current().timeout = 600
            tasklet.join(never)
        end)
        t:kill()
        local ok, err = pcall(tasklet.join, t, 60)
        assert.is_false(ok)
        assert.is_true(TaskletExit:is(err.cause))
        never:kill()
    end))

    it("1.4 raises for what is no number, at the caller's line", within(function()
        for _, value in ipairs{"'x'", "{}", "true", "0/0"} do
            local err = raised("tasklet.current().timeout = " .. value)
            assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
        end
        assert.is_nil(tasklet.current().timeout)
    end))
end)
