-- What a tasklet may yield and what get_event gives it (contract 3.1 to 3.5).
local helper = require "spec.helper"
local tasklet = require "tasklet"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForMessages, Message = tasklet.WaitForMessages, tasklet.Message

local function within(body)
    return function() helper.within_loop(body) end
end

-- The line of the caller, to be compared with the one that an error names.
local function here()
    return debug.getinfo(2, "l").currentline
end

local function assert_raised_at(line, err)
    assert.truthy(tostring(err):find("yield_spec.lua:" .. line .. ":", 1, true),
        "not raised at line " .. line .. ": " .. tostring(err))
end

local function assert_same_object(expected, got)
    assert.is_true(rawequal(expected, got),
        "expected " .. tostring(expected) .. ", got " .. tostring(got))
end

describe("what may be yielded", function()
    it("3.1 a wait condition", within(function()
        local call = WaitForCall()
        local t = tasklet.run(function()
            coroutine.yield(call)
            return tasklet.get_event()
        end)
        assert.is_false(t:has_finished())
        call()
        assert_same_object(call, tasklet.join(t, 30))
    end))

    it("3.1 several wait conditions as several values, whichever of them fires", within(function()
        for which = 1, 3 do
            local calls = { WaitForCall(), WaitForCall(), WaitForCall() }
            local t = tasklet.run(function()
                coroutine.yield(calls[1], calls[2], calls[3])
                return tasklet.get_event()
            end)
            calls[which]()
            assert_same_object(calls[which], tasklet.join(t, 30))
        end
    end))

    it("3.1 several wait conditions as one list, whichever of them fires", within(function()
        for which = 1, 3 do
            local calls = { WaitForCall(), WaitForCall(), WaitForCall() }
            local t = tasklet.run(function()
                coroutine.yield(calls)
                return tasklet.get_event()
            end)
            calls[which]()
            assert_same_object(calls[which], tasklet.join(t, 30))
        end
    end))

    it("3.1 a list of a single one, and a long one", within(function()
        for _, length in ipairs { 1, 300 } do
            local calls = {}
            for i = 1, length do
                calls[i] = WaitForCall()
            end
            local t = tasklet.run(function()
                coroutine.yield(calls)
                return tasklet.get_event()
            end)
            calls[length]()
            assert_same_object(calls[length], tasklet.join(t, 30))
        end
    end))

    it("3.1 a Tasklet, which is the same as WaitForTasklet of it", within(function()
        local gate = WaitForCall()
        local target = tasklet.run(function()
            tasklet.wait(gate)
            return "result"
        end)
        local t = tasklet.run(function()
            coroutine.yield(target)
            local event = tasklet.get_event()
            return event.retval, event.error, tostring(event)
        end)
        gate()
        local retval, err, text = tasklet.join(t, 30)
        assert.equal("result", retval)
        assert.is_nil(err)
        assert.truthy(text:find("WaitForTasklet", 1, true), text)
    end))

    it("3.1 a Tasklet that has ended already", within(function()
        local target = tasklet.run(function() return "early" end)
        assert.is_true(target:has_finished())
        coroutine.yield(target)
        assert.equal("early", tasklet.get_event().retval)
    end))

    it("3.1 a function, started as a tasklet and then waited for", within(function()
        local own = tasklet.current()
        local inside
        coroutine.yield(function()
            inside = tasklet.current()
            tasklet.sleep(0)
            return "from the function"
        end)
        local event = tasklet.get_event()
        assert.equal("from the function", event.retval)
        assert.is_not_nil(inside)
        assert.is_false(rawequal(own, inside))
        assert.is_true(inside:has_finished())
    end))

    it("3.1 a fresh coroutine, started as a tasklet and then waited for", within(function()
        local inside
        coroutine.yield(coroutine.create(function()
            inside = tasklet.current()
            tasklet.sleep(0)
            return "from the coroutine"
        end))
        assert.equal("from the coroutine", tasklet.get_event().retval)
        assert.is_true(inside:has_finished())
    end))

    it("3.1 functions are started at once, in order, before the yield suspends", within(function()
        local trace, gate = {}, WaitForCall()
        local function child(name)
            return function()
                trace[#trace + 1] = name
                tasklet.wait(gate)
            end
        end
        local never = WaitForTimeout(60000)
        local t = tasklet.run(function()
            coroutine.yield(child "a", function() trace[#trace + 1] = "b" end, never)
            tasklet.get_event()
        end)
        trace[#trace + 1] = "suspended"
        assert.same({ "a", "b", "suspended" }, trace)
        gate()
        tasklet.join(t, 30)
    end))

    it("3.1 a function that is not the first to end goes on by itself", within(function()
        local gate, first, child = WaitForCall(), WaitForCall(), nil
        local t = tasklet.run(function()
            coroutine.yield(first, function()
                child = tasklet.current()
                tasklet.wait(gate)
                return "late"
            end)
            return tasklet.get_event()
        end)
        first()
        assert_same_object(first, tasklet.join(t, 30))
        assert.is_false(child:has_finished())
        gate()
        assert.equal("late", tasklet.join(child, 30))
    end))

    it("3.1 conditions, tasklets and functions mixed in one list", within(function()
        local gate, call = WaitForCall(), WaitForCall()
        local target = tasklet.run(function() tasklet.wait(gate) end)
        local t = tasklet.run(function()
            local never = WaitForTimeout(60000)
            coroutine.yield { never, call, target, function() return "quick" end }
            return tasklet.get_event().retval
        end)
        assert.equal("quick", tasklet.join(t, 30))
        gate()
        tasklet.join(target, 30)
    end))

    it("3.1 a Message, which is sent", within(function()
        local receiver = tasklet.run(function()
            coroutine.yield(WaitForMessages { accept = "hello" })
            return tasklet.get_event().value
        end)
        coroutine.yield(Message("hello", { dest = receiver, value = 42 }))
        assert.equal(42, tasklet.join(receiver, 30))
    end))

    it("3.1 the list is copied: changing it during the wait changes nothing", within(function()
        local first, second, late = WaitForCall(), WaitForCall(), WaitForCall()
        local list = { first, second }
        local t = tasklet.run(function()
            coroutine.yield(list)
            return tasklet.get_event()
        end)
        list[1], list[2] = late, nil
        late()
        assert.is_false(t:has_finished())
        second()
        assert_same_object(second, tasklet.join(t, 30))
    end))

    it("3.1 the list is copied: the same one yielded again counts as it then is", within(function()
        local first, second, third = WaitForCall(), WaitForCall(), WaitForCall()
        local list, trace = { first, second }, {}
        local names = { [first] = "first", [second] = "second", [third] = "third" }
        local t = tasklet.run(function()
            for i = 1, 2 do
                coroutine.yield(list)
                trace[i] = names[tasklet.get_event()]
                list[2] = third
            end
        end)
        first()
        second()
        assert.same({ "first" }, trace)
        third()
        assert.same({ "first", "third" }, trace)
        tasklet.join(t, 30)
    end))

    it("3.1 the same condition twice in one list counts once", within(function()
        local call, other = WaitForCall(), WaitForCall()
        local trace = {}
        local t = tasklet.run(function()
            coroutine.yield(call, call)
            trace[1] = tasklet.get_event() == call
            coroutine.yield(call, other)
            trace[2] = tasklet.get_event() == other
        end)
        call()
        assert.same({ true }, trace)
        other()
        assert.same({ true, true }, trace)
        tasklet.join(t, 30)
    end))

    it("3.1 an empty list raises at the yield", within(function()
        local line = here() + 1
        local ok, err = pcall(function() coroutine.yield({}) end)
        assert.is_false(ok)
        assert_raised_at(line, err)
    end))

    it("3.1 a Message inside a list raises, and is not sent", within(function()
        local got = 0
        local receiver = tasklet.run(function()
            tasklet.wait(WaitForMessages { accept = "hello" })
            got = got + 1
        end)
        local message = Message("hello", { dest = receiver })
        local yields = {
            function() coroutine.yield({ message }) end,
            function() coroutine.yield({ WaitForTimeout(0), message }) end,
            function() coroutine.yield({ message, WaitForTimeout(0) }) end,
            function() coroutine.yield(WaitForTimeout(0), message) end,
            function() coroutine.yield(message, WaitForTimeout(0)) end,
        }
        for i, yield in ipairs(yields) do
            local ok, err = pcall(yield)
            assert.is_false(ok, "yield number " .. i)
            assert.truthy(tostring(err):find("Message", 1, true), tostring(err))
        end
        assert.equal(0, got)
        coroutine.yield(message)
        assert.equal(1, got)
    end))
end)

describe("get_event", function()
    it("3.2 the tasklet is suspended until one of them fires", within(function()
        local a, b, elsewhere = WaitForCall(), WaitForCall(), WaitForCall()
        local t = tasklet.run(function()
            coroutine.yield(a, b)
            return tasklet.get_event()
        end)
        elsewhere()
        tasklet.sleep(0)
        tasklet.yield_()
        assert.is_false(t:has_finished())
        assert.equal(tasklet.Tasklet.STATE_SUSPENDED, t.state)
        b()
        assert.is_true(t:has_finished())
        assert_same_object(b, tasklet.join(t, 30))
    end))

    it("3.2 gives the very condition, so that == tells which it was", within(function()
        local timeout, never = WaitForTimeout(0), WaitForTimeout(60000)
        coroutine.yield(never, timeout)
        local event = tasklet.get_event()
        assert.is_true(event == timeout)
        assert.is_false(event == never)
    end))

    it("3.2 keeps fields that a script has put into a condition of its own", within(function()
        local Own = tasklet.WaitCondition:subclass("Own")
        function Own:init(value) self.value = value end
        function Own:arm(t) self.owner = t end
        function Own.disarm() end
        local own = Own("mine")
        local t = tasklet.run(function()
            coroutine.yield(own)
            return tasklet.get_event().value
        end)
        own.owner:wait_condition_fired(own)
        assert.equal("mine", tasklet.join(t, 30))
    end))

    it("3.2 gives the Message itself for a WaitForMessages", within(function()
        local message
        local t = tasklet.run(function()
            coroutine.yield(WaitForMessages { accept = "hello" })
            return tasklet.get_event()
        end)
        message = Message("hello", { dest = t })
        coroutine.yield(message)
        assert_same_object(message, tasklet.join(t, 30))
    end))

    it("3.2 two that are due give one event each, at one yield each", within(function()
        local a, b, never = WaitForTimeout(1), WaitForTimeout(2), WaitForTimeout(60000)
        local others = WaitForCall()
        others()
        coroutine.yield(a, b, others)
        assert_same_object(others, tasklet.get_event())
        helper.compute(2)
        coroutine.yield(a, b, never)
        assert_same_object(a, tasklet.get_event())
        coroutine.yield(b, never)
        assert_same_object(b, tasklet.get_event())
    end))

    it("3.3 a second call raises a TaskletError at its line", within(function()
        coroutine.yield(WaitForTimeout(0))
        tasklet.get_event()
        local line = here() + 1
        local ok, err = pcall(function() return (tasklet.get_event()) end)
        assert.is_false(ok)
        assert.is_true(tasklet.TaskletError:is(err))
        assert_raised_at(line, err)
    end))

    it("3.3 a call before the first yield raises", within(function()
        local t = tasklet.run(function()
            return pcall(tasklet.get_event)
        end)
        local ok, err = tasklet.join(t, 30)
        assert.is_false(ok)
        assert.is_true(tasklet.TaskletError:is(err))
    end))

    it("3.3 after a yield of a Message there is no event", within(function()
        local receiver = tasklet.run(function()
            tasklet.wait(WaitForMessages { accept = "hello" })
        end)
        coroutine.yield(WaitForTimeout(0))
        tasklet.get_event()
        coroutine.yield(Message("hello", { dest = receiver }))
        local ok, err = pcall(tasklet.get_event)
        assert.is_false(ok)
        assert.is_true(tasklet.TaskletError:is(err))
        tasklet.join(receiver, 30)
    end))

    it("3.3 a blocking verb leaves no event", within(function()
        tasklet.sleep(0)
        assert.is_false((pcall(tasklet.get_event)))
        tasklet.join(tasklet.run(function() end), 2)
        assert.is_false((pcall(tasklet.get_event)))
        tasklet.yield_()
        assert.is_false((pcall(tasklet.get_event)))
    end))

    it("3.3 each tasklet has its own event", within(function()
        local call = WaitForCall()
        local inner_ok, event
        local t = tasklet.run(function()
            coroutine.yield(call)
            local inner = tasklet.run(function()
                inner_ok = pcall(tasklet.get_event)
                tasklet.wait(WaitForTimeout(0))
            end)
            event = tasklet.get_event()
            tasklet.join(inner, 30)
        end)
        call()
        assert.is_false(inner_ok)
        assert_same_object(call, event)
        tasklet.join(t, 30)
    end))

    it("3.3 a tasklet that ends without reading its event disturbs nobody", within(function()
        local call, again = WaitForCall(), WaitForCall()
        local t = tasklet.run(function()
            coroutine.yield(call)
            return "ended"
        end)
        local other = tasklet.run(function()
            return tasklet.wait(again)
        end)
        call()
        assert.equal("ended", tasklet.join(t, 30))
        again()
        assert_same_object(again, tasklet.join(other, 30))
    end))

    it("3.3 raises outside any tasklet", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            print(pcall(tasklet.get_event))
        ]]
        assert.truthy(result.stdout:find("^false\t"), result.stdout)
        assert.equal(0, result.status)
    end)
end)

describe("an event left unread", function()
    -- Prints whether the second event is right; the warning goes to standard error.
    local careless = [[
        warn("@on")
        local tasklet = require "tasklet"
        local first, second = tasklet.WaitForTimeout(0), tasklet.WaitForTimeout(1)
        local t = tasklet.run(function()
            coroutine.yield(first)
            NEXT -- line 6
            print(event == second)
        end)
        tasklet.mainloop.run()
        print(t.name)
    ]]

    local function assert_warned(result)
        local name = result.stdout:match("^true\n(.+)\n$")
        assert.truthy(name, result.stdout)
        assert.truthy(result.stderr:find(name, 1, true), result.stderr)
        assert.truthy(result.stderr:find("forgot to read an event", 1, true), result.stderr)
        assert.truthy(result.stderr:find(":6%f[%D]"), result.stderr)
        local _, count = result.stderr:gsub("forgot to read", "")
        assert.equal(1, count)
    end

    it("3.3 warns at the next yield with name and line, and the next event is right", function()
        for _, next_yield in ipairs {
            "coroutine.yield(second) local event = tasklet.get_event()",
            "local event = tasklet.wait(second)",
        } do
            local result = helper.plain((careless:gsub("NEXT", next_yield)))
            assert_warned(result)
            assert.equal(0, result.status)
        end
    end)

    it("3.3 that has been read warns of nothing", function()
        local result = helper.plain [[
            warn("@on")
            local tasklet = require "tasklet"
            tasklet.run(function()
                local timeout = tasklet.WaitForTimeout(0)
                for _ = 1, 3 do
                    coroutine.yield(timeout)
                    tasklet.get_event()
                    tasklet.sleep(0)
                end
                for _ = 1, 3 do
                    tasklet.wait(timeout)
                end
            end)
            tasklet.mainloop.run()
        ]]
        assert.equal("", result.stderr)
        assert.equal(0, result.status)
    end)

    it("3.3 does not poison later events of any tasklet", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local timeout = tasklet.WaitForTimeout(0)
            tasklet.run(function()
                for _ = 1, 3 do
                    coroutine.yield(timeout)
                end
                print("careless", tasklet.get_event() == timeout)
            end)
            local own = tasklet.WaitForTimeout(0)
            tasklet.run(function()
                for _ = 1, 3 do
                    coroutine.yield(own)
                    assert(tasklet.get_event() == own)
                end
                print("careful")
            end)
            tasklet.mainloop.run()
        ]]
        local lines = {}
        for line in result.stdout:gmatch("[^\n]+") do
            lines[#lines + 1] = line
        end
        table.sort(lines)
        assert.same({ "careful", "careless\ttrue" }, lines)
        assert.equal(0, result.status)
    end)
end)

describe("wait", function()
    it("3.4 is yield and get_event in one", within(function()
        local timeout, never = WaitForTimeout(0), WaitForTimeout(60000)
        assert_same_object(timeout, tasklet.wait(timeout))
        assert_same_object(timeout, tasklet.wait(never, timeout))
        assert_same_object(timeout, tasklet.wait { never, timeout })
        assert.is_false((pcall(tasklet.get_event)))
    end))

    it("3.4 returns one value", within(function()
        assert.equal(1, select("#", tasklet.wait(WaitForTimeout(0))))
    end))

    it("3.4 takes a Tasklet, a function and a fresh coroutine", within(function()
        local target = tasklet.run(function()
            tasklet.sleep(0)
            return 1
        end)
        assert.equal(1, tasklet.wait(target).retval)
        assert.equal(2, tasklet.wait(function() return 2 end).retval)
        assert.equal(3, tasklet.wait(coroutine.create(function() return 3 end)).retval)
    end))

    it("3.4 given a Message sends it and returns nothing", within(function()
        local receiver = tasklet.run(function()
            return tasklet.wait(WaitForMessages { accept = "hello" }).value
        end)
        assert.equal(0, select("#",
            tasklet.wait(Message("hello", { dest = receiver, value = "sent" }))))
        assert.equal("sent", tasklet.join(receiver, 30))
    end))

    it("3.4 gives the Message for a WaitForMessages", within(function()
        local t = tasklet.run(function()
            local event = tasklet.wait(WaitForTimeout(60000), WaitForMessages { accept = "hello" })
            return event.name, event.value
        end)
        tasklet.send(t, "hello", 42)
        assert.same({ "hello", 42 }, { tasklet.join(t, 30) })
    end))

    it("3.4 keeps what 3.6 says of conditions that are waited for again", within(function()
        local call, trace = WaitForCall(), {}
        local t = tasklet.run(function()
            for i = 1, 3 do
                trace[i] = tasklet.wait(call).args[1]
            end
        end)
        call("a")
        call("b")
        call("c")
        assert.same({ "a", "b", "c" }, trace)
        tasklet.join(t, 30)
    end))

    it("3.4 raises outside any tasklet", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            print(pcall(tasklet.wait, tasklet.WaitForTimeout(0)))
            print("going on")
        ]]
        assert.truthy(result.stdout:find("^false\t.-\ngoing on\n$"), result.stdout)
        assert.equal(0, result.status)
    end)
end)

describe("yielding anything else", function()
    local function ended_coroutine()
        local ended = coroutine.create(function() end)
        coroutine.resume(ended)
        return ended
    end

    local function begun_coroutine()
        local begun = coroutine.create(function() coroutine.yield() end)
        coroutine.resume(begun)
        return begun
    end

    -- `named`: one of these words stands in the error.
    local wrong = {
        { what = "a number", value = 42, named = { "number" } },
        { what = "a string", value = "WaitForTimeout", named = { "string" } },
        { what = "a boolean", value = true, named = { "boolean" } },
        { what = "a file", value = io.stdout, named = { "FILE", "userdata" } },
        { what = "a number in a list", value = { 42 }, named = { "number" } },
        { what = "a list in a list", value = { { WaitForTimeout(0) } }, named = { "table" } },
        { what = "a string behind a good one", value = { WaitForTimeout(0), "no" },
            named = { "string" } },
    }

    local function assert_names(words, err)
        for _, word in ipairs(words) do
            if tostring(err):find(word, 1, true) then
                return
            end
        end
        error("not named: " .. words[1] .. " in: " .. tostring(err), 2)
    end

    for _, case in ipairs(wrong) do
        it("3.5 raises at the yield: " .. case.what, within(function()
            local line = here() + 1
            local ok, err = pcall(function() coroutine.yield(case.value) end)
            assert.is_false(ok)
            assert_raised_at(line, err)
            assert_names(case.named, err)
            line = here() + 1
            ok, err = pcall(function() tasklet.wait(case.value) end)
            assert.is_false(ok)
            assert_raised_at(line, err)
            assert_names(case.named, err)
        end))
    end

    it("3.5 raises at the yield: nil, and nothing at all", within(function()
        local line = here() + 1
        local ok, err = pcall(function() coroutine.yield(nil) end)
        assert.is_false(ok)
        assert_raised_at(line, err)
        assert.truthy(tostring(err):find("nil", 1, true), tostring(err))
        line = here() + 1
        ok, err = pcall(function() coroutine.yield() end)
        assert.is_false(ok)
        assert_raised_at(line, err)
        assert.is_false((pcall(tasklet.wait)))
        assert.is_false((pcall(tasklet.wait, nil)))
        assert.is_false((pcall(tasklet.wait, WaitForTimeout(0), nil)))
    end))

    it("3.5 raises at the yield: a coroutine that has begun, or has ended", within(function()
        for _, co in ipairs { begun_coroutine(), ended_coroutine() } do
            local line = here() + 1
            local ok, err = pcall(function() coroutine.yield(co) end)
            assert.is_false(ok)
            assert_raised_at(line, err)
        end
    end))

    it("3.5 names what may be yielded", within(function()
        local _, err = pcall(function() coroutine.yield(42) end)
        local text = tostring(err):lower()
        for _, word in ipairs { "message", "condition", "tasklet", "function", "coroutine" } do
            assert.truthy(text:find(word, 1, true), word .. " is not in: " .. text)
        end
    end))

    it("3.5 raises in the tasklet and in nobody else", within(function()
        local call = WaitForCall()
        local t = tasklet.run(function()
            tasklet.wait(call)
            local ok, err = pcall(coroutine.yield, 42)
            return ok, err ~= nil
        end)
        call() -- resumes it; the error is not the caller's
        assert.same({ false, true }, { tasklet.join(t, 30) })
    end))

    it("3.5 uncaught, it fails the tasklet", within(function()
        local t = tasklet.run(function() coroutine.yield("no such thing") end)
        local ok, err = pcall(tasklet.join, t, 2)
        assert.is_false(ok)
        assert.is_true(tasklet.JoinError:is(err))
        assert.truthy(tostring(err.cause):find("string", 1, true))
    end))

    it("3.5 leaves a tasklet that can go on waiting", within(function()
        local call, timeout = WaitForCall(), WaitForTimeout(1)
        assert.is_false((pcall(coroutine.yield, { timeout, 42 })))
        assert.is_false((pcall(tasklet.get_event)))
        helper.compute(1)
        call("later")
        assert_same_object(call, tasklet.wait(call))
        assert_same_object(timeout, tasklet.wait(timeout))
    end))
end)
