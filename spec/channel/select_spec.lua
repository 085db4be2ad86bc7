-- Several channels, and anything else, in one yield (contract 4, 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, start = util.within, util.start
local WaitForChannel, WaitForCall = tasklet.WaitForChannel, tasklet.WaitForCall
local WaitForTimeout, WaitForMessages = tasklet.WaitForTimeout, tasklet.WaitForMessages

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
        local timeout, messages = WaitForTimeout(60000), WaitForMessages{accept = "m"}
        local order = {}
        local t = start("t", function()
            for i = 1, 4 do
                if i == 4 then
                    timeout = WaitForTimeout(1)
                end
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
