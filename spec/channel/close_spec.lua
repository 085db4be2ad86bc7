-- close and open, in every constellation (contract 7.4).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, raises, start = util.within, util.raises, util.start
local ChannelError, WaitForChannel = tasklet.ChannelError, tasklet.WaitForChannel

local function closed_channel()
    local ch = tasklet.channel()
    ch:close()
    return ch
end

describe("a closed channel", function()
    it("7.4 says that it is closing, and closed when it is empty", within(function()
        local ch = closed_channel()
        assert.same({true, true}, {ch.closing, ch.closed})
        ch:open()
        assert.same({false, false}, {ch.closing, ch.closed})
        local all = {util.sender(ch, "a", 1), util.waiter(ch, "send", "b", 2)}
        ch:close()
        assert.same({true, false}, {ch.closing, ch.closed})
        ch:receive()
        assert.same({true, false}, {ch.closing, ch.closed})
        ch:receive()
        assert.same({true, true}, {ch.closing, ch.closed})
        util.join_each(all)
    end))

    it("7.4 refuses whatever would block", within(function()
        local ch = closed_channel()
        for _, f in ipairs{
            function() ch:send(1) end, function() ch:send(1, 0) end, function() ch:send(nil, 5) end,
            function() ch:receive() end, function() ch:receive(0) end,
            function() ch:receive(5) end, function() ch:send_exception("error") end,
            function() ch:send_sequence{1} end,
        } do
            local err = raises(ChannelError, f)
            assert.is_true(tasklet.TaskletError:is(err))
            assert.is_truthy(err.message:find("close_spec.lua:%d+: the channel is closed$"),
                err.message)
            assert.equal(err.message, tostring(err))
            assert.equal(0, ch.balance)
        end
    end))

    it("7.4 refuses so at once", within(function()
        local ch, other_ran = closed_channel(), false
        local t = tasklet.new(function() other_ran = true end)()
        raises(ChannelError, ch.send, ch, 1)
        raises(ChannelError, ch.receive, ch)
        assert.is_nil(ch())
        assert.is_false(other_ran)
        tasklet.join(t)
    end))

    it("7.4 refuses so outside any tasklet, too", within(function()
        local ch, done, timer = closed_channel(), tasklet.WaitForCall(), require("luv").new_timer()
        timer:start(0, 0, function()
            timer:close()
            done(select(2, pcall(ch.send, ch, 1)), select(2, pcall(ch.receive, ch)), ch())
        end)
        local args = tasklet.wait(done).args
        assert.is_true(ChannelError:is(args[1]))
        assert.is_true(ChannelError:is(args[2]))
        assert.is_nil(args[3])
    end))

    it("7.4 gives what its senders hold, in order, then raises", within(function()
        local ch = tasklet.channel()
        local all = {
            util.sender(ch, "a", 1), start("b", function() ch:send_exception("error") end),
            util.waiter(ch, "send", "c", 3), util.sender(ch, "d", nil),
        }
        ch:close()
        assert.equal("a b c d", util.line(ch))
        assert.equal(1, ch:receive())
        assert.same({false, "error"}, {pcall(ch.receive, ch)})
        assert.equal(3, ch:receive(0))
        assert.is_nil(ch:receive())
        raises(ChannelError, ch.receive, ch)
        util.join_each(all)
    end))

    it("7.4 lets its senders give up in time", within(function()
        local ch = tasklet.channel()
        local t = start("t", function() return pcall(ch.send, ch, 1, 0.002) end)
        ch:close()
        local ok, err = tasklet.join(t)
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        assert.is_true(ch.closed)
    end))

    it("7.4 may be closed again, and opened again", within(function()
        local ch = tasklet.channel()
        ch:open()
        assert.is_false(ch.closing)
        ch:close()
        ch:close()
        assert.is_true(ch.closing)
        ch:open()
        ch:open()
        assert.is_false(ch.closing)
        local r = util.receiver(ch, "r")
        ch:send(1)
        assert.equal(1, tasklet.join(r))
    end))

    it("7.4 opened again, is as it was", within(function()
        local ch = tasklet.channel{preference = 1}
        ch.schedule_all = true
        local a, b = util.sender(ch, "a", 1), util.sender(ch, "b", 2)
        ch:close()
        assert.equal(1, ch:receive())
        ch:open()
        local c = util.sender(ch, "c", 3)
        assert.equal("b c", util.line(ch))
        assert.same({1, true}, {ch.preference, ch.schedule_all})
        assert.equal(2, ch:receive())
        assert.equal(3, ch:receive())
        util.join_each{a, b, c}
    end))

    it("7.4 returns nothing from close and open", within(function()
        local ch = tasklet.channel()
        assert.equal(0, select("#", ch:close()))
        assert.equal(0, select("#", ch:open()))
    end))
end)

describe("close wakes those who wait to receive:", function()
    it("7.4 receive raises ChannelError", within(function()
        local ch = tasklet.channel()
        local all = {}
        for i, timeout in ipairs{-1, 600, 0} do
            all[i] = start("r", function() return pcall(ch.receive, ch, timeout) end)
        end
        ch:close()
        assert.equal(0, ch.balance)
        assert.is_nil(ch.queue)
        for _, t in ipairs(all) do
            local ok, err = tasklet.join(t)
            assert.is_false(ok)
            assert.is_true(ChannelError:is(err))
            assert.is_truthy(tostring(err):find("the channel is closed", 1, true))
        end
    end))

    it("7.4 that error has the line of the receive", within(function()
        local ch = tasklet.channel()
        local chunk = assert(load("local ch = ...\nlocal v = ch:receive()\nreturn v", "=there"))
        local r = start("r", function() return select(2, pcall(chunk, ch)) end)
        ch:close()
        assert.equal("there:2: the channel is closed", tasklet.join(r).message)
    end))

    it("7.4 an iteration ends", within(function()
        local ch, got = tasklet.channel(), {}
        local r = start("r", function()
            for value in ch do
                got[#got + 1] = value
            end
            return "ended"
        end)
        ch:send(1)
        ch:close()
        assert.equal("ended", tasklet.join(r))
        assert.same({1}, got)
    end))

    it("7.4 a WaitForChannel fires, with closed", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "receive")
        assert.is_false(c.closed)
        local r = start("r", function()
            local event = tasklet.wait(c)
            return event, event.closed, event.value, event.triggered
        end)
        ch:close()
        assert.same({c, true, nil, true}, {tasklet.join(r)})
    end))

    it("7.4 in order, from the run queue, the closer first", within(function()
        local ch, log, all = tasklet.channel(), {}, {}
        for i = 1, 6 do
            local body = i % 3 == 0 and function()
                tasklet.wait(WaitForChannel(ch, "receive"))
                log[#log + 1] = i
            end or i % 3 == 1 and function()
                pcall(ch.receive, ch)
                log[#log + 1] = i
            end or function()
                ch()
                log[#log + 1] = i
            end
            all[i] = start("r" .. i, body)
        end
        local b = tasklet.new(function() log[#log + 1] = "bystander" end)()
        ch:close()
        log[#log + 1] = "closed"
        all[7] = b
        util.join_each(all)
        assert.same({"closed", "bystander", 1, 2, 3, 4, 5, 6}, log)
    end))

    it("7.4 opened again at once, they have heard of it all the same", within(function()
        local ch = tasklet.channel()
        local r = start("r", function() return pcall(ch.receive, ch) end)
        local w = util.start("w", function()
            return tasklet.wait(WaitForChannel(ch, "receive")).closed
        end)
        ch:close()
        ch:open()
        assert.equal(0, ch.balance)
        local ok, err = tasklet.join(r)
        assert.is_false(ok)
        assert.is_true(ChannelError:is(err))
        assert.is_true(tasklet.join(w))
    end))

    it("7.4 one that was met before is not concerned", within(function()
        local ch = tasklet.channel{preference = 1}
        local r, w = util.receiver(ch, "r"), util.waiter(ch, "receive", "w")
        ch:send(1)
        ch:send(2)
        ch:close()
        assert.same({1, 2}, {tasklet.join(r), tasklet.join(w)})
    end))

    it("7.4 one whose time is over in the same turn hears of the closing", within(function()
        local ch = tasklet.channel()
        local r = start("r", function() return pcall(ch.receive, ch, 0.001) end)
        ch:close()
        helper.compute(1)
        local ok, err = tasklet.join(r)
        assert.is_false(ok)
        assert.is_true(ChannelError:is(err), tostring(err))
    end))

    it("7.4 one that is killed in the same turn is killed", within(function()
        local ch = tasklet.channel()
        local r = start("r", function() ch:receive() end)
        ch:close()
        r:kill()
        local err = raises(tasklet.JoinError, tasklet.join, r)
        assert.is_true(tasklet.TaskletExit:is(err.cause))
    end))

    it("7.4 from outside any tasklet, and from a callback", within(function()
        local ch, timer = tasklet.channel(), require("luv").new_timer()
        local r = start("r", function()
            for _ in ch do
                error("there was a value")
            end
            return "ended"
        end)
        timer:start(0, 0, function()
            timer:close()
            ch:close()
        end)
        assert.equal("ended", tasklet.join(r))
    end))
end)

describe("WaitForChannel on a closed channel", function()
    it("7.4 fires at the yield, at the end of the run queue", within(function()
        for _, side in ipairs{"send", "receive"} do
            local ch, log = closed_channel(), {}
            local t = tasklet.new(function() log[#log + 1] = "other" end)()
            local c = WaitForChannel(ch, side, "value")
            local event = tasklet.wait(c)
            log[#log + 1] = "fired"
            assert.equal(c, event)
            assert.is_true(c.closed)
            assert.equal(side == "send" and "value" or nil, c.value)
            assert.same({"other", "fired"}, log)
            tasklet.join(t)
        end
    end))

    it("7.4 takes from senders first", within(function()
        local ch = tasklet.channel()
        local all = {util.sender(ch, "a", 1), util.waiter(ch, "send", "b", 2)}
        ch:close()
        local c = WaitForChannel(ch, "receive")
        for i = 1, 2 do
            assert.equal(c, tasklet.wait(c))
            assert.same({i, false}, {c.value, c.closed})
        end
        tasklet.wait(c)
        assert.same({nil, true}, {c.value, c.closed})
        util.join_each(all)
    end))

    it("7.4 is not fired by an action elsewhere that is possible", within(function()
        local open, shut = tasklet.channel(), closed_channel()
        local s = util.sender(open, "s", 1)
        local a, b = WaitForChannel(shut, "receive"), WaitForChannel(open, "receive")
        assert.equal(b, tasklet.wait(a, b))
        assert.same({1, false, false}, {b.value, b.closed, a.closed})
        assert.equal(a, tasklet.wait(a, b))
        assert.is_true(a.closed)
        assert.equal(0, open.balance)
        tasklet.join(s)
    end))

    it("7.4 of several on closed channels, the first in the list fires", within(function()
        local open = tasklet.channel()
        local none = WaitForChannel(open, "receive")
        local a, b = WaitForChannel(closed_channel(), "send", 1),
            WaitForChannel(closed_channel(), "receive")
        assert.equal(a, tasklet.wait(none, a, b))
        assert.same({true, false}, {a.closed, b.closed})
        assert.equal(b, tasklet.wait(none, b, a))
        assert.same({false, true}, {a.closed, b.closed})
        assert.equal(0, open.balance)
    end))

    it("7.4 an offer to send that stands is still taken", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "send", "value")
        local t = start("t", function() return tasklet.wait(c).closed end)
        ch:close()
        tasklet.yield_()
        assert.is_false(t:has_finished())
        assert.same({1, false}, {ch.balance, ch.closed})
        assert.equal("value", ch:receive())
        assert.is_false(tasklet.join(t))
        assert.is_true(ch.closed)
    end))

    it("7.4 an offer to send that is yielded again is refused", within(function()
        local ch, call = tasklet.channel(), tasklet.WaitForCall()
        local c = WaitForChannel(ch, "send", "value")
        local t = start("t", function()
            assert(tasklet.wait(c, call) == call)
            return tasklet.wait(c, call) == c and c.closed
        end)
        ch:close()
        call()
        assert.is_true(tasklet.join(t))
        assert.equal(0, ch.balance)
    end))

    it("7.4 fires again at each yield, and no more once it is open", within(function()
        local ch, timeout = closed_channel(), tasklet.WaitForTimeout(2)
        local c = WaitForChannel(ch, "receive")
        for _ = 1, 3 do
            assert.equal(c, tasklet.wait(c))
            assert.is_true(c.closed)
        end
        ch:open()
        assert.equal(timeout, tasklet.wait(c, timeout))
        assert.is_false(c.closed)
        local s = start("s", function() ch:send(5) end)
        assert.equal(c, tasklet.wait(c))
        assert.same({5, false}, {c.value, c.closed})
        tasklet.join(s)
    end))

    it("7.4 fires for one of its channels, and its other offers are gone", within(function()
        local a, b = tasklet.channel(), tasklet.channel()
        local ca, cb = WaitForChannel(a, "receive"), WaitForChannel(b, "receive")
        local t = start("t", function()
            assert(tasklet.wait(ca, cb) == cb)
            return ca.closed, cb.closed
        end)
        b:close()
        assert.same({0, 0}, {a.balance, b.balance})
        a:close() -- nothing stands there any more
        assert.same({false, true}, {tasklet.join(t)})
    end))
end)
