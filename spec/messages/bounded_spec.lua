-- Mailboxes with a limit (contract 5.7).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local Message, WaitForMessages = tasklet.Message, tasklet.WaitForMessages
local Tasklet = tasklet.Tasklet

local function within(f)
    return function() helper.within_loop(f) end
end

local function failure(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return err
end

--- Starts `f` with a mailbox of at most `limit` messages.
local function bounded(limit, f, ...)
    local t = tasklet.new(f, {max_mailbox_len = limit})
    t:start(...)
    return t
end

--- One that never looks at its mailbox by itself.
local function owner(limit)
    return bounded(limit, function() tasklet.sleep(60) end)
end

local function values(mailbox)
    local found = {}
    for message in mailbox:iter() do
        found[#found + 1] = message.value
    end
    return found
end

--- How a tasklet sends: each of these must behave alike.
local ways = {
    send = function(dest, name, value) tasklet.send(dest, name, value) end,
    yield = function(dest, name, value)
        coroutine.yield(Message(name, {dest = dest, value = value}))
    end,
    wait = function(dest, name, value)
        tasklet.wait(Message(name, {dest = dest, value = value}))
    end,
    call = function(dest, name, value)
        pcall(tasklet.call, dest, name, value, 0.2)
    end,
}

for way, send in pairs(ways) do
    local calls = way == "call"

    describe("a full mailbox and " .. way, function()
        it("5.7 makes the sender wait until there is room", within(function()
            local t = owner(2)
            local sent = 0
            local sender = tasklet.run(function()
                for i = 1, 4 do
                    if calls then
                        tasklet.run(send, t, "name", i)
                    else
                        send(t, "name", i)
                    end
                    sent = i
                end
            end)
            assert.equal(calls and 4 or 2, sent)
            assert.equal(2, #t.mailbox)
            assert.same({1, 2}, values(t.mailbox))
            assert.equal(1, t.mailbox:popleft().value)
            -- The message is in at once; its sender goes on from the loop.
            assert.same({2, 3}, values(t.mailbox))
            assert.equal(calls and 4 or 2, sent)
            tasklet.yield_()
            assert.equal(calls and 4 or 3, sent)
            assert.equal(2, t.mailbox:popleft().value)
            tasklet.join(sender, 20)
            assert.equal(3, t.mailbox:popleft(5).value)
            assert.equal(4, t.mailbox:popleft(5).value)
            t:kill()
        end))

        it("5.7 lets those who wait in one after the other", within(function()
            local t = owner(1)
            for i = 1, 5 do
                tasklet.run(send, t, "name " .. i % 2, i)
            end
            assert.same({1}, values(t.mailbox))
            local got = {}
            for i = 1, 5 do
                got[i] = t.mailbox:popleft(5).value
            end
            assert.same({1, 2, 3, 4, 5}, got)
            assert.equal(0, #t.mailbox)
            t:kill()
        end))

        it("5.7 takes the message of one that is killed back", within(function()
            local t = owner(1)
            local senders = {}
            for i = 1, 5 do
                senders[i] = tasklet.run(send, t, "name", i)
            end
            senders[3]:kill()
            senders[2]:kill()
            local got = {}
            for i = 1, 3 do
                got[i] = t.mailbox:popleft(5).value
            end
            assert.same({1, 4, 5}, got)
            assert.is_true(tasklet.TimeoutError:is(failure(t.mailbox.popleft, t.mailbox, 0)))
            t:kill()
        end))

        it("5.7 delivers a message that the receiver accepts at that moment", within(function()
            local got
            local t = bounded(1, function()
                got = tasklet.wait(WaitForMessages{accept = "go", defer = "name"}).value
                tasklet.sleep(60)
            end)
            tasklet.send(t, "name", 1)
            tasklet.run(send, t, "go", 2)
            assert.equal(2, got)
            assert.same({1}, values(t.mailbox))
            t:kill()
        end))

        it("5.4 drops what the receiver discards", within(function()
            local t = bounded(1, function()
                tasklet.wait(WaitForMessages{accept = "go", defer = "name", discard = "noise"})
            end)
            tasklet.send(t, "name", 1)
            local sender = tasklet.run(send, t, "noise", 2)
            assert.is_true(calls or sender:has_finished())
            assert.same({1}, values(t.mailbox))
            t:kill()
        end))

        it("5.4 a receiver finds what it accepts among those who wait", within(function()
            local t = bounded(1, function()
                tasklet.sleep(0.01)
                local wanted = WaitForMessages{accept = "go", defer = "name", discard = "noise"}
                local first = tasklet.wait(wanted).value
                return first, tasklet.current().mailbox:popleft().value,
                    tasklet.current().mailbox:popleft(5).value
            end)
            local senders = {}
            for i, name in ipairs{"name", "name", "noise", "go"} do
                senders[i] = tasklet.run(send, t, name, i)
            end
            assert.same({4, 1, 2}, {tasklet.join(t, 20)})
            for _, sender in ipairs(senders) do
                tasklet.join(sender, 20)
            end
        end))

        it("5.7 loses nothing and keeps the order of each sender", within(function()
            local count, each = 20, 50
            local next_of, most, got = {}, 0, 0
            local t = bounded(7, function()
                for message in tasklet.receive() do
                    local from, number = message.value[1], message.value[2]
                    most = math.max(most, #tasklet.current().mailbox)
                    assert(number == (next_of[from] or 0) + 1)
                    next_of[from] = number
                    got = got + 1
                    if got % 13 == 0 then
                        tasklet.yield_()
                    end
                    if calls then
                        message:reply()
                    end
                    if got == count * each then
                        return "all"
                    end
                end
            end)
            for from = 1, count do
                tasklet.run(function()
                    for number = 1, each do
                        send(t, "name", {from, number})
                    end
                end)
            end
            assert.equal("all", tasklet.join(t, 20))
            assert.is_true(most <= 7)
        end))

        if not calls then
            it("5.8 raises in the sender when the receiver ends first", within(function()
                local t = owner(1)
                tasklet.send(t, "name")
                local chunk = assert(load("local send, t = ...\nreturn pcall(send, t, 'name')"))
                local sender = tasklet.run(chunk, send, t)
                local other = tasklet.run(function() return pcall(send, t, "name") end)
                t:kill()
                for _, waiting in ipairs{sender, other} do
                    local ok, err = tasklet.join(waiting, 20)
                    assert.is_false(ok)
                    assert.is_true(tasklet.TaskletError:is(err), tostring(err))
                    assert.matches("^.-bounded_spec.lua:%d+: .*ended", tostring(err))
                end
            end))

            it("7.2 shows the sender as suspended, not as sending", within(function()
                local t = owner(1)
                tasklet.send(t, "name")
                local sender = tasklet.run(send, t, "name")
                assert.equal(Tasklet.STATE_SUSPENDED, sender.state)
                assert.is_true(sender.blocked)
                sender:kill()
                t:kill()
            end))
        end
    end)
end

describe("a call to a full mailbox", function()
    it("5.6 is answered when its message has come in", within(function()
        local t = bounded(1, function()
            tasklet.sleep(0.01)
            for message in tasklet.receive() do
                message:reply(message.value)
            end
        end)
        tasklet.send(t, "name")
        assert.equal(5, tasklet.call(t, "name", 5))
        t:kill()
    end))

    it("5.6 raises TimeoutError when there is no room in time, and is not sent", within(function()
        local t = owner(1)
        tasklet.send(t, "name", 1)
        assert.is_true(tasklet.TimeoutError:is(failure(tasklet.call, t, "name", 2, 0.01)))
        assert.equal(1, t.mailbox:popleft().value)
        assert.equal(0, #t.mailbox)
        t:kill()
    end))

    it("5.6 raises TaskletError when the receiver ends first", within(function()
        local t = owner(1)
        tasklet.send(t, "name")
        local caller = tasklet.run(function()
            return select(2, pcall(tasklet.call, t, "name"))
        end)
        t:kill()
        assert.matches("ended without answering", tostring(tasklet.join(caller, 20)))
    end))
end)

describe("a full mailbox", function()
    it("5.7 may have a limit of 1", within(function()
        local got = {}
        local t = bounded(1, function()
            for message in tasklet.receive() do
                got[#got + 1] = message.value
            end
        end)
        for i = 1, 10 do
            tasklet.send(t, "name", i)
        end
        assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, got)
        t:kill()
    end))

    it("5.7 raises in append and send_message, inside a tasklet too", within(function()
        local t = owner(2)
        t.mailbox:append(Message("name", {value = 1}))
        t:send_message(Message("name", {value = 2}))
        for _, text in ipairs{"t.mailbox:append(message)", "t:send_message(message)"} do
            local chunk = assert(load("local t, message = ...\n" .. text, "=there"))
            local err = failure(chunk, t, Message("name"))
            assert.is_true(tasklet.TaskletError:is(err))
            assert.matches("^there:2: .* is full %(2 messages%)", err.message)
        end
        assert.same({1, 2}, values(t.mailbox))
        t:kill()
    end))

    it("5.7 append and send_message deliver what is accepted at that moment", within(function()
        local got = {}
        local t = bounded(1, function()
            local wanted = WaitForMessages{accept = "go", defer = "name"}
            for i = 1, 2 do
                got[i] = tasklet.wait(wanted).value
            end
        end)
        tasklet.send(t, "name")
        t.mailbox:append(Message("go", {value = 1}))
        t:send_message(Message("go", {value = 2}))
        assert.same({1, 2}, got)
    end))

    it("5.7 raises outside any tasklet", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local t = tasklet.new(function() tasklet.sleep(60) end, {max_mailbox_len = 1})
            t:start()
            local message = tasklet.Message("name", {dest = t})
            tasklet.send(t, "name")
            for _, f in ipairs{
                function() tasklet.send(t, "name") end,
                function() t:send_message(message) end,
                function() t.mailbox:append(message) end,
            } do
                local ok, err = pcall(f)
                print(ok, tasklet.TaskletError:is(err), (err.message:gsub("^.-: ", "")))
            end
            print(#t.mailbox)
            t:kill()
        ]]
        local line = "false\ttrue\tthe mailbox of tasklet '.-' is full %(1 messages%)\n"
        assert.equal("", result.stderr)
        assert.matches("^" .. line:rep(3) .. "1\n$", result.stdout)
    end)

    it("5.7 holds for messages to oneself", within(function()
        local t = bounded(2, function()
            local me = tasklet.current()
            tasklet.send(me, "name", 1)
            tasklet.send(me, "name", 2)
            me.timeout = 0.01
            local ok, err = pcall(tasklet.send, me, "name", 3)
            return ok, tasklet.TimeoutError:is(err), #me.mailbox
        end)
        assert.same({false, true, 2}, {tasklet.join(t, 20)})
    end))

    it("6.6 a deadline ends a send, and the message is not sent", within(function()
        local t = owner(1)
        tasklet.send(t, "name", 1)
        tasklet.current().timeout = 0.01
        assert.is_true(tasklet.TimeoutError:is(failure(tasklet.send, t, "name", 2)))
        tasklet.current().timeout = nil
        assert.equal(1, t.mailbox:popleft().value)
        assert.equal(0, #t.mailbox)
        t:kill()
    end))

    it("3.9 makes a sender wait inside a generator and across pcall", within(function()
        local t = owner(1)
        local sender = tasklet.run(function()
            local each = coroutine.wrap(function()
                for i = 1, 3 do
                    assert(pcall(tasklet.send, t, "name", i))
                    coroutine.yield(i)
                end
            end)
            return {each(), each(), each()}
        end)
        for i = 1, 3 do
            assert.equal(i, t.mailbox:popleft(5).value)
        end
        assert.same({1, 2, 3}, tasklet.join(sender, 20))
        t:kill()
    end))

    it("3.9 raises where a sender cannot wait, and sends nothing", within(function()
        local t = owner(1)
        tasklet.send(t, "name")
        local err = failure(table.sort, {1, 2}, function() tasklet.send(t, "name") end)
        assert.matches("table.sort", tostring(err), 1, true)
        t.mailbox:popleft()
        assert.equal(0, #t.mailbox)
        t:kill()
    end))

    it("7.2 raises where a sender must not block", within(function()
        local t = owner(1)
        tasklet.send(t, "name")
        tasklet.current().block_trap = true
        local err = failure(tasklet.send, t, "name")
        tasklet.current().block_trap = false
        assert.matches("block_trap", tostring(err), 1, true)
        assert.equal(1, #t.mailbox)
        t:kill()
    end))

    it("6.4 raises a kill in a sender, once for each wait", within(function()
        local t = owner(1)
        tasklet.send(t, "name", 1)
        local kills = 0
        local sender = tasklet.run(function()
            for _ = 1, 3 do
                local _, err = pcall(tasklet.send, t, "name", 2)
                kills = kills + (tasklet.TaskletExit:is(err) and 1 or 0)
            end
        end)
        sender:kill()
        assert.equal(3, kills)
        assert.equal(1, t.mailbox:popleft().value)
        assert.equal(0, #t.mailbox)
        t:kill()
    end))

    it("5.7 makes one wait that yields by Lua's own yield", function()
        local result = helper.plain [[
            local yield = coroutine.yield -- before the module puts its own there
            local tasklet = require "tasklet"
            local t = tasklet.new(function() tasklet.sleep(60) end, {max_mailbox_len = 1})
            t:start()
            local function sender(from)
                return tasklet.run(function()
                    for i = 1, 2 do
                        yield(tasklet.Message("name", {dest = t, value = from .. i}))
                        print(from .. i .. " is in")
                    end
                end)
            end
            local a, b, c = sender("a"), sender("b"), sender("c")
            b:kill()
            local failing = tasklet.run(function()
                print(pcall(function()
                    yield(tasklet.Message("name", {dest = t, value = "never"}))
                end))
            end)
            tasklet.run(function()
                for _ = 1, 2 do
                    print(t.mailbox:popleft().value)
                    tasklet.yield_()
                end
                t:kill()
                tasklet.yield_()
                print(a:has_finished(), b:has_finished(), c:has_finished())
                tasklet.mainloop.quit()
            end)
            tasklet.mainloop.run()
        ]]
        assert.matches("ended before there was room", result.stderr) -- of "c2"
        local lines = {}
        for line in result.stdout:gmatch "[^\n]+" do
            lines[#lines + 1] = line
        end
        assert.matches("^false\t.*: message sent to a tasklet that ended before there was room",
            table.remove(lines, #lines - 1))
        assert.same({"a1 is in", "a1", "a2 is in", "a2", "c1 is in", "true\ttrue\ttrue"},
            lines)
    end)

    it("5.7 gives room when the receiver takes by WaitForMessages", within(function()
        local got = {}
        local t = bounded(3, function()
            local wanted = WaitForMessages{accept = {"a", "b"}, discard = "noise"}
            tasklet.sleep(0.005)
            for i = 1, 6 do
                got[i] = tasklet.wait(wanted).value
            end
        end)
        local sender = tasklet.run(function()
            for i, name in ipairs{"a", "noise", "b", "a", "noise", "b", "a", "b"} do
                tasklet.send(t, name, i)
            end
        end)
        tasklet.join(t, 20)
        tasklet.join(sender, 20)
        assert.same({1, 3, 4, 6, 7, 8}, got)
    end))

    it("5.7 gives a batch what there is room for, and then the rest", within(function()
        local t = bounded(2, function() return tasklet.receive_batch(5, 60)() end)
        local sender = tasklet.run(function()
            for i = 1, 5 do
                tasklet.send(t, "name", i)
            end
        end)
        local found = {}
        for i, message in ipairs(tasklet.join(t, 20)) do
            found[i] = message.value
        end
        assert.same({1, 2, 3, 4, 5}, found)
        tasklet.join(sender, 20)
    end))

    it("10.3 lets the word of an end in all the same", within(function()
        local watched = tasklet.run(function() tasklet.sleep(60) end)
        local t = bounded(1, function()
            watched:monitor()
            tasklet.sleep(60)
        end)
        tasklet.send(t, "name", 1)
        local sender = tasklet.run(function() tasklet.send(t, "name", 2) end)
        watched:kill()
        assert.equal(2, #t.mailbox)
        assert.equal(1, t.mailbox:popleft().value)
        assert.is_false(sender:has_finished())
        assert.equal("down", t.mailbox:popleft().name)
        assert.equal(2, t.mailbox:popleft().value)
        tasklet.join(sender, 20)
        t:kill()
    end))

    it("2.7 lets 20,000 wait", within(function()
        local t = owner(1)
        local count = 20000
        for i = 0, count do
            tasklet.run(tasklet.send, t, "name", i)
        end
        for i = 0, count do
            assert(t.mailbox:popleft(5).value == i)
        end
        t:kill()
    end))

    it("leaves nothing behind when the program ends with senders waiting", function()
        for _, run in ipairs{helper.plain, helper.run_file} do
            local result = run [[
                local yield = coroutine.yield
                local tasklet = require "tasklet"
                local t = tasklet.new(function() tasklet.sleep(60) end, {max_mailbox_len = 1})
                t:start()
                for i = 1, 3 do
                    tasklet.run(function() tasklet.send(t, "name", {}) end)
                    tasklet.run(function() tasklet.call(t, "name", {}) end)
                    tasklet.run(function() yield(tasklet.Message("name", {dest = t})) end)
                end
                os.exit(0, true)
            ]]
            assert.equal("", result.stderr)
            assert.equal(0, result.status)
        end
    end)
end)
