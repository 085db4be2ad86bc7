-- When conditions are armed and disarmed, and what becomes of those that fire while their tasklet
-- is busy (contract 3.6 and 3.7).
local helper = require "spec.helper"
local tasklet = require "tasklet"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForSignal, Emitter = tasklet.WaitForSignal, tasklet.Emitter

local function within(body)
    return function() helper.within_loop(body) end
end

local now = tasklet.mainloop.now

-- A class whose instances write into `log` when they are armed and disarmed.
local function logging_class(log)
    local Logged = tasklet.WaitCondition:subclass("Logged")
    function Logged:init(label)
        self.label = label
    end
    function Logged:arm(owner)
        self.owner = owner
        log[#log + 1] = "arm " .. self.label
    end
    function Logged:disarm()
        log[#log + 1] = "disarm " .. self.label
    end
    function Logged:fire()
        return self.owner:wait_condition_fired(self)
    end
    return Logged
end

-- What was written since the last call, sorted: which conditions one yield arms and disarms is
-- promised, in which order it does so is not.
local function taken(log)
    table.sort(log)
    local text = table.concat(log, ", ")
    for i = #log, 1, -1 do
        log[i] = nil
    end
    return text
end

-- A tasklet that yields each of `lists` in turn.
local function in_turn(...)
    local lists = { ... }
    return tasklet.run(function()
        for _, list in ipairs(lists) do
            tasklet.wait(list)
        end
    end)
end

describe("a yield", function()
    it("3.6 arms what is new and disarms what is left out", within(function()
        local log = {}
        local Logged = logging_class(log)
        local a, b, c = Logged("a"), Logged("b"), Logged("c")
        assert.equal("", taken(log))
        local t = in_turn({ a, b }, { c }, { a, b, c })
        assert.equal("arm a, arm b", taken(log))
        b:fire()
        assert.equal("arm c, disarm a, disarm b", taken(log))
        c:fire()
        assert.equal("arm a, arm b", taken(log))
        a:fire()
        assert.equal("disarm a, disarm b, disarm c", taken(log))
        tasklet.join(t, 30)
        assert.equal("", taken(log))
    end))

    it("3.6 leaves alone what was there and still is, in whatever place", within(function()
        local log = {}
        local Logged = logging_class(log)
        local a, b, c = Logged("a"), Logged("b"), Logged("c")
        local t = in_turn({ a, b, c }, { c, a, b }, { b, a }, { a, b, c })
        assert.equal("arm a, arm b, arm c", taken(log))
        c:fire()
        assert.equal("", taken(log))
        a:fire()
        assert.equal("disarm c", taken(log))
        b:fire()
        assert.equal("arm c", taken(log))
        a:fire()
        assert.equal("disarm a, disarm b, disarm c", taken(log))
        tasklet.join(t, 30)
    end))

    it("3.6 hands arm the tasklet that yields", within(function()
        local log, own = {}, nil
        local condition = logging_class(log)("a")
        local t = tasklet.run(function()
            own = tasklet.current()
            tasklet.wait(condition)
        end)
        assert.is_true(rawequal(own, condition.owner))
        assert.is_true(rawequal(t, condition.owner))
        condition:fire()
        tasklet.join(t, 30)
    end))

    it("3.6 of a Message in between does not change the wait list", within(function()
        local log = {}
        local condition = logging_class(log)("a")
        local receiver = tasklet.run(function()
            tasklet.wait(tasklet.WaitForMessages { accept = "hello" })
        end)
        local t = tasklet.run(function()
            tasklet.wait(condition)
            coroutine.yield(tasklet.Message("hello", { dest = receiver }))
            tasklet.send(tasklet.current(), "hello")
            tasklet.wait(condition)
        end)
        assert.equal("arm a", taken(log))
        condition:fire()
        assert.equal("", taken(log))
        assert.is_true(receiver:has_finished())
        condition:fire()
        assert.equal("disarm a", taken(log))
        tasklet.join(t, 30)
    end))

    it("3.6 blocking verbs in between do not change the wait list", within(function()
        local log, asleep = {}, {}
        local condition = logging_class(log)("a")
        local t = tasklet.run(function()
            tasklet.wait(condition)
            tasklet.sleep(0.001)
            asleep[1] = taken(log)
            tasklet.yield_()
            asleep[2] = taken(log)
            tasklet.join(tasklet.run(function() tasklet.sleep(0) end), 2)
            asleep[3] = taken(log)
            pcall(tasklet.current().mailbox.popleft, tasklet.current().mailbox, 0)
            asleep[4] = taken(log)
            tasklet.wait(condition)
        end)
        assert.equal("arm a", taken(log))
        condition:fire()
        tasklet.sleep(1)
        assert.same({ "", "", "", "" }, asleep)
        assert.is_false(t:has_finished())
        condition:fire()
        assert.equal("disarm a", taken(log))
        tasklet.join(t, 30)
    end))

    it("3.6 what fires during a blocking verb does not end the verb, and is kept", within(function()
        local log, trace = {}, {}
        local Logged = logging_class(log)
        local a, b = Logged("a"), Logged("b")
        local t = tasklet.run(function()
            tasklet.wait(a, b)
            local begun = now()
            tasklet.sleep(0.02)
            trace[1] = now() - begun
            trace[2] = tasklet.wait(a, b).label
            trace[3] = tasklet.wait(a, b).label
        end)
        a:fire()
        assert.is_true(b:fire())
        assert.is_true(a:fire())
        tasklet.join(t, 30)
        assert.same({ 20, "b", "a" }, trace)
    end))
end)

describe("the end of a tasklet", function()
    it("3.6 disarms what is armed when it returns", within(function()
        local log = {}
        local Logged = logging_class(log)
        local a, b = Logged("a"), Logged("b")
        local t = in_turn({ a, b })
        assert.equal("arm a, arm b", taken(log))
        a:fire()
        assert.is_true(t:has_finished())
        assert.equal("disarm a, disarm b", taken(log))
    end))

    it("3.6 disarms what is armed when it fails", within(function()
        local log = {}
        local a = logging_class(log)("a")
        local t = tasklet.run(function()
            tasklet.wait(a)
            error("on purpose")
        end)
        assert.equal("arm a", taken(log))
        a:fire()
        assert.equal("disarm a", taken(log))
        assert.is_false((pcall(tasklet.join, t, 2)))
    end))

    it("3.6 disarms what is armed when it is killed", within(function()
        local log = {}
        local Logged = logging_class(log)
        local a, b = Logged("a"), Logged("b")
        local t = in_turn({ a, b })
        taken(log)
        t:kill()
        assert.is_true(t:has_finished())
        assert.equal("disarm a, disarm b", taken(log))
    end))

    it("3.6 disarms what is armed when it is killed in a blocking verb", within(function()
        local log = {}
        local a = logging_class(log)("a")
        local t = tasklet.run(function()
            tasklet.wait(a)
            tasklet.sleep(60)
        end)
        a:fire()
        assert.equal("arm a", taken(log))
        t:kill()
        assert.is_true(t:has_finished())
        assert.equal("disarm a", taken(log))
    end))
end)

describe("a timeout", function()
    -- In these specs `order` gets what happened, in order; timers of other tasklets stand for the
    -- times at which a wrong timeout would fire.
    local function after(ms, order, what, action)
        return tasklet.run(function()
            tasklet.wait(WaitForTimeout(ms))
            order[#order + 1] = what
            if action then
                action()
            end
        end)
    end

    local function join_each(list)
        for _, t in ipairs(list) do
            tasklet.join(t, 30)
        end
    end

    it("3.6 a timeout yielded again after another event keeps counting", within(function()
        local order, call = {}, WaitForCall()
        local begun, ended = now(), nil
        local t = tasklet.run(function()
            local timeout = WaitForTimeout(60)
            while tasklet.wait(timeout, call) ~= timeout do end
            ended = now()
            order[#order + 1] = "timeout"
        end)
        join_each { t, after(20, order, "20", call), after(40, order, "40", call),
            after(78, order, "78") }
        assert.same({ "20", "40", "timeout", "78" }, order)
        assert.equal(60, ended - begun)
    end))

    it("3.6 a timeout yielded again after Messages and blocking verbs keeps counting",
        within(function()
            local order, call = {}, WaitForCall()
            local receiver = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages { accept = "hello" })
            end)
            local begun, ended = now(), nil
            local t = tasklet.run(function()
                local timeout = WaitForTimeout(120)
                assert(tasklet.wait(timeout, call) == call)
                tasklet.sleep(0.040)
                coroutine.yield(tasklet.Message("hello", { dest = receiver }))
                tasklet.sleep(0.020)
                assert(tasklet.wait(timeout) == timeout)
                ended = now()
                order[#order + 1] = "timeout"
            end)
            join_each { t, after(20, order, "20", call), after(190, order, "190") }
            assert.same({ "20", "timeout", "190" }, order)
            assert.equal(120, ended - begun)
        end))

    it("3.6 a timeout that is over during a blocking verb is kept", within(function()
        local timeout, call = WaitForTimeout(25), WaitForCall()
        call()
        assert(tasklet.wait(timeout, call) == call)
        tasklet.sleep(0.040)
        local sooner = WaitForTimeout(15)
        assert.is_true(tasklet.wait(timeout, sooner) == timeout)
    end))

    it("3.6 a timeout that fired and is yielded again counts from when it fired", within(function()
        local timeout, begun = WaitForTimeout(40), now()
        for tick = 1, 5 do
            assert.is_true(tasklet.wait(timeout) == timeout)
            assert.equal(tick * 40, now() - begun)
            tasklet.sleep(0.025)
        end
    end))

    it("3.6 a timeout that fired late counts from when it fired, too", within(function()
        local fired = {}
        local t = tasklet.run(function()
            local timeout = WaitForTimeout(40)
            for i = 1, 3 do
                tasklet.wait(timeout)
                fired[i] = now()
            end
        end)
        helper.compute(50)
        local computed = now()
        tasklet.join(t, 30)
        assert.same({ 0, 40, 80 },
            { fired[1] - computed, fired[2] - computed, fired[3] - computed })
    end))

    it("3.6 a timeout left out of one wait list starts from zero the next time", within(function()
        local timeout, call = WaitForTimeout(40), WaitForCall()
        call()
        assert(tasklet.wait(timeout, call) == call)
        tasklet.wait(WaitForTimeout(20))
        local yielded = now()
        assert(tasklet.wait(timeout) == timeout)
        assert.equal(40, now() - yielded)
        -- Long over, but it was not in the wait list.
        tasklet.wait(WaitForTimeout(45))
        yielded = now()
        assert(tasklet.wait(timeout) == timeout)
        assert.equal(40, now() - yielded)
    end))

    it("3.6 a timeout left out of a wait list wakes nobody", within(function()
        local timeout, call, trace = WaitForTimeout(10), WaitForCall(), {}
        local t = tasklet.run(function()
            trace[1] = tasklet.wait(timeout, call) == call
            trace[2] = tasklet.wait(call) == call
        end)
        call()
        tasklet.sleep(0.02)
        assert.same({ true }, trace)
        call()
        tasklet.join(t, 30)
        assert.same({ true, true }, trace)
    end))

    it("3.6 a WaitForTasklet whose target has ended fires again", within(function()
        local target = tasklet.run(function()
            tasklet.sleep(0)
            return "result"
        end)
        local condition = tasklet.WaitForTasklet(target)
        for _ = 1, 3 do
            assert.is_true(tasklet.wait(condition, WaitForTimeout(2000)) == condition)
            assert.equal("result", condition.retval)
        end
        tasklet.sleep(0)
        assert.is_true(tasklet.wait(WaitForTimeout(2000), condition) == condition)
    end))
end)

describe("a condition that fires while its tasklet is running", function()
    -- Waits for `go`, so that the conditions given are armed, and then runs `body` with them armed.
    local function while_armed(body, ...)
        local go = WaitForCall()
        local list = { go, ... }
        local t = tasklet.run(function()
            assert(tasklet.wait(list) == go)
            return body()
        end)
        go()
        return tasklet.join(t, 30)
    end

    it("3.7 is delivered at the next yield", within(function()
        local emitter = Emitter { "s" }
        local s = WaitForSignal(emitter, "s")
        assert.equal("kept", while_armed(function()
            emitter:emit("s", "kept")
            return tasklet.wait(s, WaitForTimeout(2000)).signal_args[1]
        end, s))
    end))

    it("3.7 is delivered once for each firing, in order", within(function()
        local emitter = Emitter { "a", "b" }
        local a, b = WaitForSignal(emitter, "a"), WaitForSignal(emitter, "b")
        local trace = {}
        while_armed(function()
            emitter:emit("a", 1)
            emitter:emit("b", 2)
            emitter:emit("b", 3)
            emitter:emit("a", 4)
            for i = 1, 4 do
                local event = tasklet.wait(a, b)
                trace[i] = { event == a and "a" or "b", event.signal_args[1] }
            end
            local timeout = WaitForTimeout(5)
            trace[5] = tasklet.wait(a, b, timeout) == timeout
        end, a, b)
        assert.same({ { "a", 1 }, { "b", 2 }, { "b", 3 }, { "a", 4 }, true }, trace)
    end))

    it("3.7 is forgotten once the wait list no longer has it", within(function()
        local emitter = Emitter { "a" }
        local a, timeout = WaitForSignal(emitter, "a"), WaitForTimeout(5)
        while_armed(function()
            emitter:emit("a")
            emitter:emit("a")
            tasklet.wait(WaitForTimeout(0))
            assert.is_true(tasklet.wait(a, timeout) == timeout)
        end, a)
    end))

    it("3.7 is forgotten while another one that is kept stays", within(function()
        local emitter = Emitter { "a", "b" }
        local a, b = WaitForSignal(emitter, "a"), WaitForSignal(emitter, "b")
        local timeout = WaitForTimeout(5)
        while_armed(function()
            emitter:emit("a", 1)
            emitter:emit("b", 2)
            emitter:emit("a", 3)
            emitter:emit("b", 4)
            assert.equal(2, tasklet.wait(b, timeout).signal_args[1])
            assert.equal(4, tasklet.wait(a, b, timeout).signal_args[1])
            assert.is_true(tasklet.wait(a, b, timeout) == timeout)
        end, a, b)
    end))

    it("3.7 is kept over several yields that have it and find something else", within(function()
        local emitter = Emitter { "a", "b" }
        local a, b = WaitForSignal(emitter, "a"), WaitForSignal(emitter, "b")
        local trace = {}
        while_armed(function()
            for i = 1, 3 do
                emitter:emit("a", i)
            end
            emitter:emit("b", 4)
            for i = 1, 4 do
                trace[i] = tasklet.wait(a, b).signal_args[1]
            end
        end, a, b)
        assert.same({ 1, 2, 3, 4 }, trace)
    end))

    it("3.7 is kept by a condition written in Lua, too", within(function()
        local log, trace = {}, {}
        local Logged = logging_class(log)
        local a, b = Logged("a"), Logged("b")
        while_armed(function()
            assert.is_true(b:fire())
            assert.is_true(a:fire())
            assert.is_true(b:fire())
            for i = 1, 3 do
                trace[i] = tasklet.wait(a, b).label
            end
        end, a, b)
        assert.same({ "b", "a", "b" }, trace)
        assert.equal("arm a, arm b, disarm a, disarm b", taken(log))
    end))

    it("3.7 is kept for a timeout that is over", within(function()
        local timeout, sooner = WaitForTimeout(15), WaitForTimeout(8)
        while_armed(function()
            helper.compute(20)
            assert.is_true(tasklet.wait(timeout, sooner) == timeout)
        end, timeout)
    end))

    it("3.7 is kept while its tasklet runs another one, which fires it", within(function()
        local emitter = Emitter { "s" }
        local s, trace = WaitForSignal(emitter, "s"), {}
        while_armed(function()
            local inner = tasklet.run(function()
                emitter:emit("s", "inner")
                trace[#trace + 1] = "emitted"
                tasklet.sleep(0)
                emitter:emit("s", "later")
            end)
            trace[#trace + 1] = "running"
            table.insert(trace, tasklet.wait(s).signal_args[1])
            table.insert(trace, tasklet.wait(s).signal_args[1])
            tasklet.join(inner, 30)
        end, s)
        assert.same({ "emitted", "running", "inner", "later" }, trace)
    end))

    it("3.7 is forgotten when the tasklet ends", within(function()
        local emitter = Emitter { "s" }
        local s = WaitForSignal(emitter, "s")
        while_armed(function() emitter:emit("s") end, s)
        local timeout = WaitForTimeout(5)
        assert.is_true(tasklet.wait(s, timeout) == timeout)
    end))
end)

describe("a WaitForCall", function()
    it("3.7 keeps its calls before it is ever armed, in order", within(function()
        local call, trace = WaitForCall(), {}
        for i = 1, 5 do
            call(i)
        end
        for i = 1, 5 do
            trace[i] = tasklet.wait(call).args[1]
        end
        assert.same({ 1, 2, 3, 4, 5 }, trace)
        local timeout = WaitForTimeout(5)
        assert.is_true(tasklet.wait(call, timeout) == timeout)
    end))

    it("3.7 keeps its calls while left out of the wait list", within(function()
        local call, timeout, trace = WaitForCall(), WaitForTimeout(1), {}
        tasklet.wait(call, timeout)
        call(1)
        tasklet.wait(timeout)
        call(2)
        tasklet.wait(timeout)
        call(3)
        for i = 1, 3 do
            trace[i] = tasklet.wait(call).args[1]
        end
        assert.same({ 1, 2, 3 }, trace)
    end))

    it("3.7 keeps its calls over the end of its tasklet", within(function()
        local call = WaitForCall()
        local t = tasklet.run(function() tasklet.wait(call) end)
        call(1)
        tasklet.join(t, 30)
        call(2)
        assert.equal(2, tasklet.wait(call).args[1])
    end))
end)

describe("a condition that a tasklet has armed", function()
    it("3.7 raises in a second one, at the yield, and harms the first in nothing",
        within(function()
            local call = WaitForCall()
            local first = tasklet.run(function() return tasklet.wait(call).args[1] end)
            local line = debug.getinfo(1, "l").currentline + 1
            local ok, err = pcall(function() coroutine.yield(WaitForTimeout(60000), call) end)
            assert.is_false(ok)
            assert.is_true(tasklet.TaskletError:is(err))
            assert.truthy(tostring(err):find("arming_spec.lua:" .. line .. ":", 1, true),
                tostring(err))
            call("for the first")
            assert.equal("for the first", tasklet.join(first, 30))
        end))

    it("3.7 raises in a second one while the first handles another event", within(function()
        local call, go, trace = WaitForCall(), WaitForCall(), {}
        local first = tasklet.run(function()
            tasklet.wait(call, go)
            local second = tasklet.run(function()
                trace[1] = pcall(tasklet.wait, call)
            end)
            trace[2] = second:has_finished()
            tasklet.wait(call)
        end)
        go()
        assert.same({ false, true }, trace)
        call()
        tasklet.join(first, 30)
    end))

    it("3.7 is free for another one once it is left out", within(function()
        local call, go = WaitForCall(), WaitForCall()
        local first = tasklet.run(function()
            tasklet.wait(call, go)
            tasklet.wait(go)
        end)
        go()
        local second = tasklet.run(function() return tasklet.wait(call).args[1] end)
        call("for the second")
        assert.equal("for the second", tasklet.join(second, 30))
        go()
        tasklet.join(first, 30)
    end))

    it("3.7 is free for another one once its tasklet has ended", within(function()
        local call = WaitForCall()
        local endings = {
            function() end,
            function() error("on purpose") end,
            function() tasklet.sleep(60) end,
        }
        for _, ending in ipairs(endings) do
            local go = WaitForCall()
            local first = tasklet.run(function()
                tasklet.wait(call, go)
                ending()
            end)
            go()
            first:kill()
            pcall(tasklet.join, first, 2)
            local second = tasklet.run(function() return tasklet.wait(call).args[1] end)
            call("for the second")
            assert.equal("for the second", tasklet.join(second, 30))
        end
    end))

    it("3.7 may be passed to and fro", within(function()
        local call, trace = WaitForCall(), {}
        local function taker(name, times)
            return tasklet.run(function()
                for _ = 1, times do
                    table.insert(trace, name .. tasklet.wait(call).args[1])
                end
            end)
        end
        for i = 1, 3 do
            local one = taker("one ", 1)
            call(i)
            tasklet.join(one, 30)
            local two = taker("two ", 2)
            call(i)
            call(i)
            tasklet.join(two, 30)
        end
        assert.same({ "one 1", "two 1", "two 1", "one 2", "two 2", "two 2", "one 3", "two 3",
            "two 3" }, trace)
    end))
end)
