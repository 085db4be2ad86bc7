-- Misuse of channels raises at the caller's line (contract 1.4, 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"
local helper = require "spec.helper"

local within = util.within

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text, ...)
    local chunk = assert(load("local tasklet, ch = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet, ...)
    assert(not ok, "did not raise: " .. text)
    return err
end

local CHANNEL = "bad argument #1 to '%s' (channel expected, got %s)"
local SELF = "calling 'send_sequence' on bad self (channel expected, got %s)"
local PREFERENCE = "bad value for attribute 'preference' of a channel (integer expected, got %s)"
local OPTION = "bad argument #1 to 'channel' (option 'preference': integer expected, got %s)"
local ALL = "bad value for attribute 'schedule_all' of a channel (boolean expected, got %s)"

-- A text, and what it raises, whole, without the position.
local misuses = {
    {"tasklet.channel(5)", "bad argument #1 to 'channel' (table expected, got number)"},
    {"tasklet.channel('x')", "bad argument #1 to 'channel' (table expected, got string)"},
    {"tasklet.channel{wrong = 1}",
        "bad argument #1 to 'channel' (unknown option 'wrong' (known: preference))"},
    {"tasklet.channel{1}",
        "bad argument #1 to 'channel' (unknown option '1' (known: preference))"},
    {"tasklet.channel{preference = 'x'}", OPTION:format("string")},
    {"tasklet.channel{preference = '1'}", OPTION:format("string")},
    {"tasklet.channel{preference = 0.5}", OPTION:format("number")},
    {"tasklet.channel{preference = 0/0}", OPTION:format("number")},
    {"tasklet.channel{preference = true}", OPTION:format("boolean")},

    {"ch.send()", CHANNEL:format("send", "no value")},
    {"ch.send(5)", CHANNEL:format("send", "number")},
    {"ch.send({}, 1)", CHANNEL:format("send", "table")},
    {"ch.send(io.stdout, 1)", CHANNEL:format("send", "FILE*")},
    {"ch:send()", "bad argument #1 to 'send' (value expected)"},
    {"ch:send(1, 'x')", "bad argument #2 to 'send' (number expected, got string)"},
    {"ch:send(1, {})", "bad argument #2 to 'send' (number expected, got table)"},
    {"ch:send(1, true)", "bad argument #2 to 'send' (number expected, got boolean)"},
    {"ch:send(1, 0/0)", "bad argument #2 to 'send' (not a number)"},

    {"ch.receive()", CHANNEL:format("receive", "no value")},
    {"ch.receive(5)", CHANNEL:format("receive", "number")},
    {"ch:receive('x')", "bad argument #1 to 'receive' (number expected, got string)"},
    {"ch:receive({})", "bad argument #1 to 'receive' (number expected, got table)"},
    {"ch:receive(0/0)", "bad argument #1 to 'receive' (not a number)"},

    {"ch.send_exception()", CHANNEL:format("send_exception", "no value")},
    {"ch.send_exception(tasklet.TaskletError)", CHANNEL:format("send_exception", "table")},
    {"ch.send_exception('x', 'y')", CHANNEL:format("send_exception", "string")},
    {"ch:send_exception()", "bad argument #1 to 'send_exception' (value expected)"},
    {"ch:send_exception(nil)", "bad argument #1 to 'send_exception' (value expected)"},

    {"ch.send_sequence({})", SELF:format("table")},
    {"ch.send_sequence()", SELF:format("no value")},
    {"ch:send_sequence()",
        "bad argument #1 to 'send_sequence' (list or iterator expected, got no value)"},
    {"ch:send_sequence(5)",
        "bad argument #1 to 'send_sequence' (list or iterator expected, got number)"},
    {"ch:send_sequence('abc')",
        "bad argument #1 to 'send_sequence' (list or iterator expected, got string)"},

    {"ch.close()", CHANNEL:format("close", "no value")},
    {"ch.close(5)", CHANNEL:format("close", "number")},
    {"ch.open()", CHANNEL:format("open", "no value")},
    {"ch.open({})", CHANNEL:format("open", "table")},

    {"ch.balance = 1", "attribute 'balance' of a channel is read-only"},
    {"ch.queue = nil", "attribute 'queue' of a channel is read-only"},
    {"ch.closing = true", "attribute 'closing' of a channel is read-only"},
    {"ch.closed = true", "attribute 'closed' of a channel is read-only"},
    {"ch.wrong = 1", "a channel has no attribute 'wrong'"},
    {"ch[1] = 1", "a channel has no attribute '1'"},
    {"ch[nil] = 1", "a channel has no attribute 'nil'"},
    {"ch.preference = 'x'", PREFERENCE:format("string")},
    {"ch.preference = '1'", PREFERENCE:format("string")},
    {"ch.preference = 0.5", PREFERENCE:format("number")},
    {"ch.preference = nil", PREFERENCE:format("nil")},
    {"ch.schedule_all = 1", ALL:format("number")},
    {"ch.schedule_all = nil", ALL:format("nil")},

    {"tasklet.WaitForChannel()", "bad argument #1 to 'WaitForChannel' (channel expected, got nil)"},
    {"tasklet.WaitForChannel({}, 'send')",
        "bad argument #1 to 'WaitForChannel' (channel expected, got table)"},
    {"tasklet.WaitForChannel('send', ch)",
        "bad argument #1 to 'WaitForChannel' (channel expected, got string)"},
    {"tasklet.WaitForChannel(ch)",
        "bad argument #2 to 'WaitForChannel' (string expected, got nil)"},
    {"tasklet.WaitForChannel(ch, 5)",
        "bad argument #2 to 'WaitForChannel' (string expected, got number)"},
    {"tasklet.WaitForChannel(ch, 'x')",
        "bad argument #2 to 'WaitForChannel' (\"send\" or \"receive\" expected, got \"x\")"},
    {"tasklet.WaitForChannel(ch, 'SEND')",
        "bad argument #2 to 'WaitForChannel' (\"send\" or \"receive\" expected, got \"SEND\")"},
    {"tasklet.WaitForChannel(ch, 'send', 1, 5)",
        "bad argument #4 to 'WaitForChannel' (table expected, got number)"},
    {"tasklet.WaitForChannel(ch, 'send', 1, {wrong = 1})",
        "bad argument #4 to 'WaitForChannel' (unknown option 'wrong' (known: priority))"},
    {"tasklet.WaitForChannel(ch, 'send').closed = true",
        "WaitForChannel has no writable attribute 'closed'"},
    {"tasklet.WaitForChannel(ch, 'send').channel = ch",
        "WaitForChannel has no writable attribute 'channel'"},
    {"tasklet.WaitForChannel(ch, 'send').direction = 'receive'",
        "WaitForChannel has no writable attribute 'direction'"},

    {"local m = getmetatable(ch) return m.__index(5, 'balance')",
        CHANNEL:format("__index", "number")},
    {"getmetatable(ch).__newindex(5, 'preference', 1)", CHANNEL:format("__newindex", "number")},
    {"getmetatable(ch).__call(5)", CHANNEL:format("__call", "number")},
    {"local m = getmetatable(ch) return m.__tostring(5)", CHANNEL:format("__tostring", "number")},
}

describe("misuse", function()
    for _, row in ipairs(misuses) do
        it("1.4 raises at the caller's line: " .. row[1], within(function()
            local ch = tasklet.channel()
            local err = raised(row[1], ch)
            assert.equal("string", type(err))
            assert.equal("there:2: " .. row[2], err)
            assert.equal(0, ch.balance)
            assert.same({-1, false, false}, {ch.preference, ch.schedule_all, ch.closing})
        end))
    end

    it("1.4 harms nobody who stands on the channel", within(function()
        for _, side in ipairs{"send", "receive"} do
            local ch = tasklet.channel()
            local all = {util.waiter(ch, side, "a", 1), util.waiter(ch, side, "b", 2)}
            local balance = ch.balance
            for _, row in ipairs(misuses) do
                raised(row[1], ch)
                assert.equal(balance, ch.balance, row[1])
            end
            assert.equal("a b", util.line(ch))
            for i = 1, 2 do
                if side == "send" then
                    assert.equal(i, ch:receive())
                else
                    ch:send(i)
                end
            end
            util.join_each(all)
        end
    end))

    it("1.4 what a channel does not have is nil", within(function()
        local ch = tasklet.channel()
        assert.is_nil(ch.wrong)
        assert.is_nil(ch[1])
        assert.is_nil(ch[nil])
    end))

    it("3.5 a channel is nothing to wait for by itself", within(function()
        for _, text in ipairs{"tasklet.wait(ch)", "tasklet.wait({ch})", "coroutine.yield(ch)"} do
            local err = raised(text, tasklet.channel())
            assert.is_truthy(err:find("^there:2: .*expected, got channel"), err)
        end
    end))
end)

local channel_error = "there:2: the channel is closed"

describe("a wrong state", function()
    it("1.4 has an object with the caller's position", within(function()
        local ch = tasklet.channel()
        ch:close()
        for _, text in ipairs{
            "ch:send(1)", "ch:receive()", "ch:receive(1)", "ch:send_exception('x')",
            "ch:send_sequence{1}", "ch:send_sequence(ipairs{1})",
        } do
            local err = raised(text, ch)
            assert.is_true(tasklet.ChannelError:is(err), text)
            assert.equal(channel_error, err.message)
            assert.equal(channel_error, tostring(err))
        end
    end))

    -- What would block, where nobody can wait. Each is line 2.
    local blocking = {
        "ch:send(1)", "ch:send(1, 0)", "ch:receive()", "ch:receive(0)", "ch()",
        "ch:send_exception('x')", "ch:send_sequence{1}", "for _ in ch do end",
        "tasklet.wait(tasklet.WaitForChannel(ch, 'send', 1))",
    }

    it("1.4 outside any tasklet, what would block is refused", within(function()
        local ch, done, timer = tasklet.channel(), tasklet.WaitForCall(), require("luv").new_timer()
        timer:start(0, 0, function()
            timer:close()
            local errors = {}
            for i, text in ipairs(blocking) do
                errors[i] = select(2, pcall(raised, text, ch))
            end
            done(errors)
        end)
        local errors = tasklet.wait(done).args[1]
        for i, text in ipairs(blocking) do
            assert.is_true(tasklet.TaskletError:is(errors[i]), text .. ": " .. tostring(errors[i]))
            assert.equal("there:2: cannot wait outside a tasklet", errors[i].message)
        end
        assert.equal(0, ch.balance)
    end))

    it("3.9 where Lua cannot yield, what would block names what is in the way", within(function()
        local ch = tasklet.channel()
        for _, text in ipairs(blocking) do
            local err = raised("local function f() " .. text .. " end table.sort({1, 2}, f)", ch)
            assert.equal("there:2: cannot wait inside the C function 'table.sort'", err.message)
            err = raised("string.gsub('x', 'x', function() " .. text .. " end)", ch)
            assert.equal("there:2: cannot wait inside the C function 'string.gsub'", err.message)
        end
        assert.equal(0, ch.balance)
    end))

    it("7.4 the channel of a tasklet that has ended is as any other", within(function()
        local t = tasklet.run(function() return tasklet.channel() end)
        local ch = tasklet.join(t)
        local r = util.receiver(ch, "r")
        ch:send("value")
        assert.equal("value", tasklet.join(r))
    end))

    it("7.4 in plain Lua, outside the loop, sends to those who wait", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local ch = tasklet.channel()
            tasklet.run(function()
                for value in ch do
                    print("got", value)
                end
                print "ended"
            end)
            ch:send(1)
            print "sent"
            print(pcall(ch.receive, ch))
            ch.preference = 1
            ch:send(2)
            print "sent"
            ch:close()
            print(select("#", pcall(ch.send, ch, 3)), ch.closed)
            tasklet.mainloop.run()
        ]]
        assert.equal("", result.stderr)
        assert.equal("got\t1\nsent\nfalse\t" .. result.path
            .. ":11: cannot wait outside a tasklet\nsent\n2\ttrue\ngot\t2\nended\n", result.stdout)
    end)
end)
