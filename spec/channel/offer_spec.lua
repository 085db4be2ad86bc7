-- One WaitForChannel: its attributes, and when it is on offer (contract 4, 7.4).
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
            return tasklet.wait(WaitForChannel(ch, "receive"), WaitForTimeout(0)).value
        end)
        -- From a callback: the timeout is due, and its tasklet may be in the run queue.
        timer:start(0, 0, function()
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
