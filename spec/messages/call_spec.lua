local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet = tasklet.Tasklet

local function within(f)
    return function() helper.within_loop(f) end
end

local function failure(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return err
end

--- A tasklet that handles every message by `f`.
local function server(f)
    return tasklet.run(function()
        for message in tasklet.receive() do
            f(message)
        end
    end)
end

describe("call", function()
    it("5.6 sends a message and returns the answer", within(function()
        local seen
        local doubler = server(function(message)
            seen = message
            message:reply(message.value * 2)
        end)
        assert.equal(42, tasklet.call(doubler, "double", 21))
        assert.equal("double", seen.name)
        assert.equal(21, seen.value)
        assert.equal(doubler, seen.dest)
        assert.equal(tasklet.current(), seen.sender)
        assert.equal(44, doubler:call("double", 22))
        doubler:kill()
    end))

    it("5.6 returns the very value, nil too", within(function()
        local echo = server(function(message) message:reply(message.value) end)
        local value = {}
        assert.equal(value, tasklet.call(echo, "echo", value))
        assert.is_false(tasklet.call(echo, "echo", false))
        assert.equal(1, select("#", tasklet.call(echo, "echo")))
        assert.is_nil((tasklet.call(echo, "echo")))
        echo:kill()
    end))

    it("5.6 returns one value", within(function()
        local t = server(function(message) message:reply(1, 2, 3) end)
        assert.same({1}, {tasklet.call(t, "name")})
        t:kill()
    end))

    it("5.6 waits for an answer that comes later, from anybody", within(function()
        local asked
        local t = server(function(message) asked = message end)
        local answerer = tasklet.run(function()
            tasklet.sleep(0.01)
            return asked:reply("late")
        end)
        assert.equal("late", tasklet.call(t, "name"))
        assert.is_true((tasklet.join(answerer)))
        t:kill()
    end))

    it("5.6 works through a message that was forwarded", within(function()
        local worker = server(function(message) message:reply("worker got " .. message.value) end)
        local front = server(function(message)
            message.dest = worker
            coroutine.yield(message)
        end)
        assert.equal("worker got 5", tasklet.call(front, "name", 5))
        front:kill()
        worker:kill()
    end))

    it("5.6 can be answered from outside any tasklet", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local asked
            local t = tasklet.run(function()
                asked = tasklet.current().mailbox:popleft()
                tasklet.sleep(60)
            end)
            tasklet.run(function() print(tasklet.call(t, "name")) end)
            print(asked:reply("from outside"))
            print(asked:reply("again"))
            t:kill()
        ]]
        assert.equal("", result.stderr)
        assert.equal("from outside\ntrue\nfalse\n", result.stdout)
    end)

    it("5.6 raises TimeoutError when there is no answer in time", within(function()
        local silent = server(function() end)
        for _, timeout in ipairs{0, 0.005} do
            local err = failure(tasklet.call, silent, "name", nil, timeout)
            assert.is_true(tasklet.TimeoutError:is(err))
        end
        silent:kill()
    end))

    it("5.6 takes an answer that is given at once with a timeout of 0", within(function()
        local t = server(function(message) message:reply("at once") end)
        assert.equal("at once", tasklet.call(t, "name", nil, 0))
        t:kill()
    end))

    it("6.6 takes the tasklet's own deadline where it has no timeout", within(function()
        local silent = server(function() end)
        tasklet.current().timeout = 0.01
        assert.is_true(tasklet.TimeoutError:is(failure(tasklet.call, silent, "name")))
        tasklet.current().timeout = nil
        silent:kill()
    end))

    for what, body in pairs{
        ["returns"] = function() end,
        ["fails"] = function() error("broken", 0) end,
        ["is killed"] = function() tasklet.current():kill() end,
    } do
        it("5.6 raises TaskletError when the receiver " .. what, within(function()
            local t = tasklet.run(function()
                tasklet.current().mailbox:popleft()
                tasklet.sleep(0.005)
                body()
            end)
            t:add_join_callback(function() end) -- its failure is looked at
            local err = failure(assert(load("local tasklet, t = ...\ntasklet.call(t, 'name')",
                "=there")), tasklet, t)
            assert.is_true(tasklet.TaskletError:is(err))
            assert.is_false(tasklet.TimeoutError:is(err))
            assert.matches("^there:2: .*ended without answering 'name'", err.message)
            assert.equal(t, err.tasklet)
            if what == "fails" then
                assert.equal("broken", err.cause)
            end
        end))
    end

    it("5.6 raises TaskletError when the receiver ends with the message unread", within(function()
        local t = tasklet.run(function() tasklet.sleep(0.005) end)
        local err = failure(tasklet.call, t, "name")
        assert.is_true(tasklet.TaskletError:is(err))
    end))

    it("5.6 a failed receiver is reported though somebody called it", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                tasklet.current().mailbox:popleft()
                tasklet.sleep(0)
                error("broken", 0)
            end)
            print(pcall(tasklet.call, t, "name"))
        ]]
        assert.matches("broken", result.stderr)
        assert.matches("^false\t.*ended without answering", result.stdout)
        assert.equal(1, result.status)
    end)

    it("5.8 raises at once when the receiver has ended", within(function()
        local t = tasklet.run(function() end)
        local err = failure(assert(load("local tasklet, t = ...\ntasklet.call(t, 'name')",
            "=there")), tasklet, t)
        assert.is_true(tasklet.TaskletError:is(err))
        assert.matches("^there:2: .*finished tasklet", err.message)
    end))

    it("5.6 waits on though its message was dropped", within(function()
        local t = tasklet.run(function()
            tasklet.wait(tasklet.WaitForMessages{accept = "end", discard = "noise"})
        end)
        assert.is_true(tasklet.TimeoutError:is(failure(tasklet.call, t, "noise", nil, 0.01)))
        local caller = tasklet.run(function() tasklet.call(t, "noise") end)
        caller:add_join_callback(function() end)
        tasklet.send(t, "end")
        tasklet.sleep(0.001)
        assert.is_true(caller:has_finished())
    end))

    it("5.2 shows the caller in STATE_MSGSEND to a receiver that accepts it", within(function()
        local t = server(function(message) message:reply(message.sender.state) end)
        assert.equal(Tasklet.STATE_MSGSEND, tasklet.call(t, "name"))
        t:kill()
    end))

    it("3.8 resumes the caller at once on the answer, then the one who answers", within(function()
        local log = {}
        local t = server(function(message)
            log[#log + 1] = "asked " .. message.value
            local waited = message:reply()
            log[#log + 1] = tostring(waited)
        end)
        local caller = tasklet.run(function()
            for i = 1, 2 do
                tasklet.call(t, "name", i)
                log[#log + 1] = "answered " .. i
            end
            tasklet.yield_()
            log[#log + 1] = "next turn"
        end)
        log[#log + 1] = "called"
        tasklet.join(caller)
        assert.same({"asked 1", "answered 1", "true", "asked 2", "answered 2", "true", "called",
            "next turn"}, log)
        t:kill()
    end))

    it("3.6 leaves the caller's wait list and its unread event alone", within(function()
        local t = server(function(message) message:reply(5) end)
        local timeout = tasklet.WaitForTimeout(0)
        coroutine.yield(timeout)
        assert.equal(5, tasklet.call(t, "name"))
        assert.equal(timeout, tasklet.get_event())
        t:kill()
    end))

    it("3.9 waits inside a generator and across pcall", within(function()
        local t = server(function(message)
            tasklet.sleep(0)
            message:reply(message.value + 1)
        end)
        local each = coroutine.wrap(function()
            for i = 1, 3 do
                coroutine.yield(select(2, pcall(tasklet.call, t, "name", i)))
            end
        end)
        assert.same({2, 3, 4}, {each(), each(), each()})
        t:kill()
    end))

    it("2.7 goes down a chain of 10,000 calls", within(function()
        local last = server(function(message) message:reply(0) end)
        local chain = {last}
        for _ = 1, 10000 do
            local next_one = last
            last = server(function(message)
                message:reply(tasklet.call(next_one, "name") + 1)
            end)
            chain[#chain + 1] = last
        end
        assert.equal(10000, tasklet.call(last, "name"))
        for _, t in ipairs(chain) do
            t:kill()
        end
    end))

    it("5.6 a tasklet cannot call itself", within(function()
        local err = failure(assert(load("local tasklet = ...\ntasklet.call(tasklet.current(), 'x')",
            "=there")), tasklet)
        assert.is_true(tasklet.TaskletError:is(err))
        assert.matches("^there:2: .*itself", err.message)
    end))

    it("5.6 raises outside any tasklet", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function() tasklet.sleep(60) end)
            local ok, err = pcall(tasklet.call, t, "name")
            print(ok, tasklet.TaskletError:is(err), #t.mailbox)
            t:kill()
        ]]
        assert.equal("", result.stderr)
        assert.equal("false\ttrue\t0\n", result.stdout)
    end)

    for text, message in pairs{
        ["tasklet.call()"] = "#1 .*Tasklet expected",
        ["tasklet.call({}, 'name')"] = "#1 .*Tasklet expected",
        ["tasklet.call(t, 5)"] = "#2 .*string expected",
        ["tasklet.call(t, 'name', nil, 'soon')"] = "#4 .*number expected",
        ["tasklet.call(t, 'name', nil, 0/0)"] = "#4 .*not a number",
    } do
        it("1.4 names the caller's line: " .. text, within(function()
            local t = tasklet.run(function() tasklet.sleep(60) end)
            local err = failure(assert(load("local tasklet, t = ...\n" .. text, "=there")),
                tasklet, t)
            assert.matches("^there:2: bad argument " .. message, err)
            t:kill()
        end))
    end
end)

describe("reply", function()
    --- A tasklet that keeps the messages that it gets.
    local function keeper()
        local kept = {}
        return server(function(message) kept[#kept + 1] = message end), kept
    end

    it("5.6 tells whether somebody still waited", within(function()
        local t, kept = keeper()
        local answer
        local caller = tasklet.run(function() answer = tasklet.call(t, "name") end)
        assert.is_true(kept[1]:reply("first"))
        assert.equal("first", answer)
        assert.is_false(kept[1]:reply("second"))
        assert.equal("first", answer)
        assert.is_true(caller:has_finished())
        t:kill()
    end))

    it("5.6 a late one harms nobody, not the next call either", within(function()
        local t, kept = keeper()
        assert.is_true(tasklet.TimeoutError:is(failure(tasklet.call, t, "one", nil, 0)))
        local answers = {}
        local helper_one = tasklet.run(function()
            tasklet.sleep(0)
            answers[1] = kept[1]:reply("for the first call")
            answers[2] = kept[2]:reply("for the second call")
        end)
        assert.equal("for the second call", tasklet.call(t, "two"))
        tasklet.join(helper_one)
        assert.same({false, true}, answers)
        t:kill()
    end))

    it("5.6 to a message that was not called is false", within(function()
        local t, kept = keeper()
        tasklet.send(t, "sent")
        coroutine.yield(tasklet.Message("yielded", {dest = t}))
        t:send_message(tasklet.Message("from outside"))
        assert.equal(3, #kept)
        for _, message in ipairs(kept) do
            assert.is_false(message:reply(5))
        end
        assert.is_false(tasklet.Message("never sent"):reply(5))
        t:kill()
    end))

    it("5.6 to a caller that was killed is false", within(function()
        local t, kept = keeper()
        local caller = tasklet.run(function() tasklet.call(t, "name") end)
        caller:kill()
        assert.is_false(kept[1]:reply(5))
        local survivor = tasklet.run(function()
            pcall(tasklet.call, t, "name")
            tasklet.survive()
            tasklet.sleep(60)
        end)
        survivor:kill()
        assert.is_false(survivor:has_finished())
        assert.is_false(kept[2]:reply(5))
        survivor:kill()
        t:kill()
    end))

    it("6.4 in the <close> of a caller that is killed is false", within(function()
        local t, kept = keeper()
        local during
        local caller = tasklet.run(function()
            local _ <close> = setmetatable({}, {__close = function()
                during = kept[1]:reply(5)
            end})
            tasklet.call(t, "name")
        end)
        caller:kill()
        assert.is_false(during)
        t:kill()
    end))

    it("5.6 is taken though the time is over, if nobody has noticed yet", within(function()
        local t, kept = keeper()
        local answer, accepted
        local caller = tasklet.run(function() answer = tasklet.call(t, "name", nil, 0.001) end)
        caller:add_join_callback(function() end)
        helper.compute(1) -- the timeout has no chance to fire
        accepted = kept[1]:reply("just in time")
        assert.is_true(accepted)
        assert.equal("just in time", answer)
        t:kill()
    end))

    it("5.6 is lost on a caller that is killed in the same breath", within(function()
        local watched = tasklet.run(function() tasklet.sleep(60) end)
        local t, kept = keeper()
        local result
        local caller = tasklet.run(function() result = {pcall(tasklet.call, t, "name")} end)
        local killer = tasklet.run(function()
            watched:monitor()
            tasklet.wait(tasklet.WaitForMessages{accept = "down"})
            caller:kill()
            result.reply = kept[1]:reply("too late")
        end)
        watched:kill()
        tasklet.join(killer, 20)
        assert.is_true(tasklet.TaskletExit:is(result[2]))
        assert.is_false(result.reply)
        t:kill()
    end))

    it("5.6 cannot be forged by the message's fields", within(function()
        local t, kept = keeper()
        local other = tasklet.run(function() tasklet.sleep(60) end)
        local answer
        tasklet.run(function() answer = tasklet.call(t, "name") end)
        local forged = tasklet.Message("name", {sender = kept[1].sender, dest = kept[1].dest})
        for _, key in ipairs{"serial", "asker", "anchor", 1, 5} do
            forged[key] = kept[1][key] or 1
        end
        assert.is_false(forged:reply("forged"))
        kept[1].sender, kept[1].dest, kept[1].name, kept[1].value = other, nil, {}, print
        assert.is_nil(answer)
        assert.is_true(kept[1]:reply("true"))
        assert.equal("true", answer)
        other:kill()
        t:kill()
    end))

    it("1.4 wants a message", function()
        local reply = tasklet.Message("name").reply
        for _, value in ipairs{5, "name", {}, print, tasklet.WaitForTimeout(1)} do
            assert.matches("bad argument #1 to '.*' %(Message expected", failure(reply, value))
        end
    end)

    it("leaves nothing behind when the program ends in the middle of a call", function()
        for _, run in ipairs{helper.plain, helper.run_file} do
            local result = run [[
                local tasklet = require "tasklet"
                local kept
                local t = tasklet.run(function()
                    kept = tasklet.current().mailbox:popleft()
                    tasklet.sleep(60)
                end)
                tasklet.run(function() tasklet.call(t, "name", {}, 60) end)
                os.exit(0, true)
            ]]
            assert.equal("", result.stderr)
            assert.equal(0, result.status)
        end
    end)
end)
