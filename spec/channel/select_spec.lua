-- WaitForChannel: several channels, and anything else, in one yield (contract 4, 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, start = util.within, util.start
local WaitForChannel, WaitForCall = tasklet.WaitForChannel, tasklet.WaitForCall
local WaitForTimeout, WaitForMessages = tasklet.WaitForTimeout, tasklet.WaitForMessages

describe("a WaitForChannel", function()
    it("4 says what it is, and what it was given", within(function()
        local ch, list = tasklet.channel(), {}
        local send = WaitForChannel(ch, "send", list)
        assert.same({ch, "send", false, false},
            {send.channel, send.direction, send.closed, send.triggered})
        assert.is_true(rawequal(list, send.value))
        local receive = WaitForChannel(ch, "receive")
        assert.equal("receive", receive.direction)
        assert.is_nil(receive.value)
        assert.is_truthy(tostring(send):find("WaitForChannel.*send"), tostring(send))
        assert.is_truthy(tostring(receive):find("WaitForChannel.*receive"), tostring(receive))
        assert.equal(0, ch.balance) -- it is not on offer yet
    end))

    it("4 takes any value, also a table that could be one of options", within(function()
        for _, value in ipairs{false, 0, "text", print, {priority = 5}, {wrong = 1}, {}} do
            local ch = tasklet.channel()
            local t = start("t", function()
                tasklet.wait(WaitForChannel(ch, "send", value))
            end)
            assert.is_true(rawequal(value, ch:receive()))
            tasklet.join(t)
            t = start("t", function()
                tasklet.wait(WaitForChannel(ch, "receive", value))
            end)
            ch:send(1)
            tasklet.join(t)
        end
    end))

    it("4 sends nil if it is given none", within(function()
        local ch = tasklet.channel()
        local t = start("t", function() tasklet.wait(WaitForChannel(ch, "send")) end)
        assert.same({n = 1}, table.pack(ch:receive()))
        tasklet.join(t)
    end))

    it("4 sends the value that it has when it is met", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "send", "first")
        local t = start("t", function() return tasklet.wait(c).value end)
        c.value = "second"
        assert.equal("second", ch:receive())
        assert.equal("second", tasklet.join(t))
        c.value = nil
        t = start("t", function() return tasklet.wait(c).value end)
        assert.is_nil(ch:receive())
        assert.is_nil(tasklet.join(t))
    end))

    it("7.4 is the event, also of a yield", within(function()
        local ch = tasklet.channel()
        local c, call = WaitForChannel(ch, "receive"), WaitForCall()
        local t = start("t", function()
            coroutine.yield(call, c)
            local event = tasklet.get_event()
            return event == c, event.value, event.triggered
        end)
        ch:send("value")
        assert.same({true, "value", true}, {tasklet.join(t)})
        assert.is_false(c.triggered)
    end))

    it("7.4 acts again each time that it is yielded", within(function()
        local ch, got = tasklet.channel(), {}
        local s = start("s", function()
            local c = WaitForChannel(ch, "send")
            for i = 1, 10 do
                c.value = i
                tasklet.wait(c)
            end
        end)
        local c = WaitForChannel(ch, "receive")
        for i = 1, 10 do
            tasklet.wait(c)
            got[i] = c.value
        end
        tasklet.join(s)
        assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, got)
    end))

    it("7.4 twice in a list, acts once", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "send", "value")
        local t = start("t", function() tasklet.wait(c, c, WaitForCall()) end)
        assert.equal(1, ch.balance)
        assert.equal("value", ch:receive())
        assert.equal(0, ch.balance)
        tasklet.join(t)
    end))

    it("7.4 for one channel, two of them act one after the other", within(function()
        local ch = tasklet.channel()
        local a, b = WaitForChannel(ch, "send", "a"), WaitForChannel(ch, "send", "b")
        local t = start("t", function()
            local first = tasklet.wait(a, b)
            return first, tasklet.wait(a, b)
        end)
        assert.equal(2, ch.balance)
        assert.equal("a", ch:receive())
        assert.equal(0, ch.balance)
        tasklet.yield_()
        assert.equal("a", ch:receive()) -- the first in the list, again
        assert.same({a, a}, {tasklet.join(t)})
    end))

    it("7.4 does not meet itself", within(function()
        local ch = tasklet.channel()
        local send, receive = WaitForChannel(ch, "send", 1), WaitForChannel(ch, "receive")
        local timeout = WaitForTimeout(2)
        local t = start("t", function() return tasklet.wait(send, receive, timeout) end)
        assert.equal(0, ch.balance) -- one that sends and one that receives
        assert.equal(timeout, tasklet.join(t))
        t = start("t", function() return tasklet.wait(send, receive) end)
        assert.equal(t, ch.queue)
        assert.equal(1, ch:receive())
        assert.equal(0, ch.balance)
        assert.is_nil(ch.queue)
        assert.equal(send, tasklet.join(t))
        t = start("t", function() return tasklet.wait(send, receive) end)
        ch:send(2)
        assert.equal(receive, tasklet.join(t))
        assert.equal(2, receive.value)
    end))

    it("7.4 goes to the run queue with its own priority", within(function()
        local ch, log = tasklet.channel(), {}
        local function wait(name, options)
            return start(name, function()
                tasklet.wait(WaitForChannel(ch, "receive", nil, options))
                log[#log + 1] = name
            end)
        end
        local all = {
            wait("low", {priority = tasklet.PRIORITY_LOW}), wait("default"),
            wait("high", {priority = tasklet.PRIORITY_HIGH}),
        }
        for i = 1, 3 do
            ch:send(i)
        end
        assert.same({}, log)
        util.join_each(all)
        assert.same({"high", "default", "low"}, log)
    end))

    it("3.7 held by a tasklet, raises in another one, and is not offered twice", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "receive")
        local t = start("t", function() return tasklet.wait(c).value end)
        util.raises(tasklet.TaskletError, tasklet.wait, c)
        assert.equal(-1, ch.balance)
        ch:send("value")
        assert.equal("value", tasklet.join(t))
    end))
end)

describe("an offer", function()
    it("7.4 stands only while its tasklet waits in that yield", within(function()
        local ch, call, go = tasklet.channel(), WaitForCall(), WaitForCall()
        local c = WaitForChannel(ch, "receive")
        local trace = {}
        local function note(text) trace[#trace + 1] = text .. ch.balance end
        local t = start("t", function()
            assert(tasklet.wait(c, call) == call)
            note "runs "
            tasklet.run(function() note "child " end)
            tasklet.join(tasklet.run(function() tasklet.wait(go) end))
            note "joined "
            assert(tasklet.wait(call) == call)
            note "left out "
            assert(tasklet.wait(c, call) == c)
            return c.value
        end)
        note "stands "
        call()
        note "in a verb "
        assert.is_nil(ch.queue)
        go()
        tasklet.yield_()
        tasklet.yield_()
        note "in another wait "
        call()
        note "stands again "
        ch:send("value")
        assert.equal("value", tasklet.join(t))
        assert.same({
            "stands -1", "runs 0", "child 0", "in a verb 0", "joined 0", "in another wait 0",
            "left out 0", "stands again -1",
        }, trace)
    end))

    it("7.4 is gone as soon as its tasklet is woken by anything", within(function()
        local emitter, target = tasklet.Emitter{"go"}, WaitForCall()
        local other = tasklet.channel()
        for name, case in pairs{
            call = function() local c = WaitForCall() return c, c end,
            signal = function()
                return tasklet.WaitForSignal(emitter, "go"), function() emitter:emit("go") end
            end,
            message = function()
                return WaitForMessages{accept = "go"}, function(t) tasklet.send(t, "go") end
            end,
            timeout = function() return WaitForTimeout(1), function() end end,
            tasklet = function()
                return tasklet.run(function() tasklet.wait(target) end), function() target() end
            end,
            channel = function()
                return WaitForChannel(other, "receive"), function() other:send(1) end
            end,
            idle = function() return tasklet.WaitForIdle(), function() end end,
        } do
            local ch, condition, fire = tasklet.channel(), case()
            local balance
            local t = start("t", function()
                tasklet.wait(WaitForChannel(ch, "send", 1), condition)
                balance = ch.balance
            end)
            assert.equal(1, ch.balance, name)
            fire(t)
            tasklet.join(t)
            assert.equal(0, balance, name)
            assert.equal(0, ch.balance, name)
        end
    end))

    it("7.4 is gone before its tasklet goes on, so nothing is given to it", within(function()
        local ch, call = tasklet.channel(), WaitForCall()
        local done, timer = WaitForCall(), require("luv").new_timer()
        local t = start("t", function()
            return tasklet.wait(WaitForChannel(ch, "receive"), WaitForTimeout(1)).value
        end)
        -- From a callback: the timeout is due, and its tasklet may be in the run queue.
        timer:start(3, 0, function()
            timer:close()
            done(pcall(ch.send, ch, "value"))
        end)
        local args = tasklet.wait(done, call).args
        assert.equal(0, ch.balance)
        assert.equal(args[1] and "value" or nil, tasklet.join(t))
    end))

    it("7.4 counts from when it stands: one that was woken in between comes last", within(function()
        local ch, call = tasklet.channel(), WaitForCall()
        local a = start("a", function()
            local c = WaitForChannel(ch, "receive")
            while tasklet.wait(c, call) == call do end
            return c.value
        end)
        local b = util.receiver(ch, "b")
        assert.equal("a b", util.line(ch))
        call()
        assert.equal("b a", util.line(ch))
        ch:send(1)
        ch:send(2)
        assert.same({2, 1}, {tasklet.join(a), tasklet.join(b)})
    end))

    it("7.4 met, is delivered before all that fires meanwhile", within(function()
        local ch, call = tasklet.channel(), WaitForCall()
        local c, messages = WaitForChannel(ch, "receive"), WaitForMessages{accept = "m"}
        local trace = {}
        local t = start("t", function()
            local high = WaitForTimeout(1, {priority = tasklet.PRIORITY_HIGH})
            for i = 1, 4 do
                local event = tasklet.wait(messages, high, call, c)
                trace[i] = event == c and "channel" or event == call and "call"
                    or event == high and "timeout" or event.name
            end
        end)
        ch:send(1)
        tasklet.send(t, "m")
        -- By hand, so that it goes on at once; but what was met comes first.
        call()
        assert.equal("channel", trace[1])
        tasklet.join(t)
        table.sort(trace)
        assert.same({"call", "channel", "m", "timeout"}, trace)
    end))

    it("7.4 met, is kept while its tasklet is thrown something that it catches", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "receive")
        local t = start("t", function()
            local ok, err = pcall(tasklet.wait, c)
            assert(not ok and err == "thrown")
            return tasklet.wait(c).value
        end)
        ch:send("value")
        t:throw("thrown")
        assert.equal("value", tasklet.join(t))
        assert.equal(0, ch.balance)
    end))
end)

describe("of several channels", function()
    it("7.4 the first that is met takes the other offers away", within(function()
        for chosen = 1, 3 do
            local chs, list = {}, {}
            for i = 1, 3 do
                chs[i] = tasklet.channel()
                list[i] = WaitForChannel(chs[i], "receive")
            end
            local t = start("t", function() return tasklet.wait(list) end)
            for i = 1, 3 do
                assert.equal(-1, chs[i].balance)
            end
            chs[chosen]:send("value")
            for i = 1, 3 do
                assert.equal(0, chs[i].balance)
            end
            assert.equal(list[chosen], tasklet.join(t))
            assert.equal("value", list[chosen].value)
        end
    end))

    it("7.4 the partner that has waited longest is served, wherever", within(function()
        local a, b, c = tasklet.channel(), tasklet.channel(), tasklet.channel()
        local all = {
            util.sender(b, "1", 1), util.receiver(c, "2"), util.sender(a, "3", 3),
            util.sender(b, "4", 4), util.waiter(a, "send", "5", 5), util.waiter(c, "receive", "6"),
        }
        local list = {
            WaitForChannel(a, "receive"), WaitForChannel(b, "receive"),
            WaitForChannel(c, "send", "to"),
        }
        local order = {}
        for i = 1, 6 do
            local event = tasklet.wait(list)
            order[i] = event == list[3] and "sent" or event.value
        end
        assert.same({1, "sent", 3, 4, 5, "sent"}, order)
        assert.same({"to", "to"}, {tasklet.join(all[2]), tasklet.join(all[6])})
        util.join_each(all)
    end))

    it("7.4 at most one action happens", within(function()
        local a, b = tasklet.channel(), tasklet.channel()
        local all = {util.sender(a, "sa", 1), util.sender(b, "sb", 2)}
        local event = tasklet.wait(WaitForChannel(b, "receive"), WaitForChannel(a, "receive"))
        assert.equal(1, event.value)
        assert.same({0, 1}, {a.balance, b.balance})
        assert.equal(2, b:receive())
        util.join_each(all)
    end))

    it("7.4 two that wait for each other's meet once", within(function()
        local a, b = tasklet.channel(), tasklet.channel()
        local function both(name)
            return start(name, function()
                local send, receive = WaitForChannel(a, "send", name), WaitForChannel(b, "receive")
                local event = tasklet.wait(send, receive)
                return event.direction, event.value
            end)
        end
        local x = both("x")
        assert.same({1, -1}, {a.balance, b.balance})
        local y = start("y", function()
            local event = tasklet.wait(WaitForChannel(b, "send", "from y"),
                WaitForChannel(a, "receive"))
            return event.direction, event.value
        end)
        assert.same({0, 0}, {a.balance, b.balance})
        local xd, xv = tasklet.join(x)
        local yd, yv = tasklet.join(y)
        assert.equal(xv, yv)
        assert.is_true(xd ~= yd)
        assert.is_true(xv == "x" or xv == "from y")
    end))

    it("7.4 a ring of those who each send to one and receive from another", within(function()
        local n, chs, all = 50, {}, {}
        for i = 1, n do
            chs[i] = tasklet.channel()
        end
        local sends, receives = 0, 0
        for i = 1, n do
            all[i] = start("t" .. i, function()
                local send = WaitForChannel(chs[i], "send", i)
                local receive = WaitForChannel(chs[i % n + 1], "receive")
                for _ = 1, 20 do
                    local event = tasklet.wait(send, receive, WaitForTimeout(20))
                    if event == send then
                        sends = sends + 1
                    elseif event == receive then
                        assert(receive.value == i % n + 1)
                        receives = receives + 1
                    else
                        return
                    end
                end
            end)
        end
        util.join_each(all)
        assert.equal(sends, receives)
        assert.is_true(sends > 0)
        for i = 1, n do
            assert.equal(0, chs[i].balance)
        end
    end))

    it("7.4 a thousand in one wait", within(function()
        local chs, list, got = {}, {}, {}
        for i = 1, 1000 do
            chs[i] = tasklet.channel()
            list[i] = WaitForChannel(chs[i], "receive")
        end
        local t = start("t", function()
            for i = 1, 1000 do
                local event = tasklet.wait(list)
                got[i] = event.value
                assert(event == list[1001 - i])
            end
        end)
        for i = 1000, 1, -1 do
            assert.equal(-1, chs[i].balance)
            chs[i]:send(i)
            tasklet.yield_()
        end
        tasklet.join(t)
        for i = 1, 1000 do
            assert.equal(1001 - i, got[i])
            assert.equal(0, chs[i].balance)
        end
    end))
end)

describe("with other conditions,", function()
    it("7.4 a timeout, a message and several channels in one wait", within(function()
        local a, b = tasklet.channel(), tasklet.channel()
        local ca, cb = WaitForChannel(a, "receive"), WaitForChannel(b, "send", "out")
        local timeout, messages = WaitForTimeout(10), WaitForMessages{accept = "m"}
        local order = {}
        local t = start("t", function()
            for i = 1, 4 do
                local event = tasklet.wait(ca, timeout, messages, cb)
                order[i] = event == ca and "a " .. event.value or event == cb and "b"
                    or event == timeout and "timeout" or event.name
            end
        end)
        a:send(1)
        tasklet.yield_()
        tasklet.send(t, "m")
        assert.equal("out", b:receive())
        tasklet.join(t)
        assert.same({"a 1", "m", "b", "timeout"}, order)
        assert.same({0, 0}, {a.balance, b.balance})
    end))

    it("7.4 what fired before is delivered, and nothing is offered", within(function()
        local ch, call = tasklet.channel(), WaitForCall()
        local s = util.sender(ch, "s", 1)
        call("kept")
        local c = WaitForChannel(ch, "receive")
        assert.equal(call, tasklet.wait(c, call))
        assert.equal(1, ch.balance)
        assert.equal(c, tasklet.wait(c, call))
        tasklet.join(s)
    end))

    it("7.4 a message that is there is delivered first, if the last was none", within(function()
        local ch, me = tasklet.channel(), tasklet.current()
        local s = util.sender(ch, "s", 1)
        tasklet.send(me, "m")
        local c = WaitForChannel(ch, "receive")
        assert.equal("m", tasklet.wait(c, WaitForMessages{accept = "m"}).name)
        assert.equal(1, ch.balance)
        assert.equal(c, tasklet.wait(c, WaitForMessages{accept = "m"}))
        tasklet.join(s)
    end))

    it("7.4 a new tasklet in the same wait is begun, and may meet it", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "receive")
        local event = tasklet.wait(c, function() ch:send("value") end)
        assert.equal(c, event)
        assert.equal("value", c.value)
        assert.equal(0, ch.balance)
    end))

    it("3.5 a wait that is refused offers nothing", within(function()
        local ch = tasklet.channel()
        local c = WaitForChannel(ch, "send", 1)
        for _, list in ipairs{{c, 5}, {c, tasklet.WaitForIO(9999)}} do
            assert.is_false((pcall(tasklet.wait, list)))
            assert.equal(0, ch.balance)
        end
        local t = start("t", function() tasklet.wait(c) end)
        assert.equal(1, ch:receive())
        tasklet.join(t)
    end))

    it("3.5 a yield that is refused leaves the list as it was", within(function()
        local ch, call = tasklet.channel(), WaitForCall()
        local c = WaitForChannel(ch, "receive")
        local t = start("t", function()
            assert(tasklet.wait(c, call) == call)
            assert(not pcall(tasklet.wait, c, 5))
            return tasklet.wait(c, call).value
        end)
        call()
        ch:send("value")
        assert.equal("value", tasklet.join(t))
    end))
end)
