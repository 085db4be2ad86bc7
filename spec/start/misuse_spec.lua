local tasklet = require "tasklet"
local helper = require "spec.helper"

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text, ...)
    local chunk = assert(load("local tasklet, a, b, c = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet, ...)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

--- Whether `err` is Lua's own kind of string for a bad argument of `name` at line 2.
local function check_bad_argument(err, text, index, name, expected)
    assert.equal("string", type(err), text .. ": " .. tostring(err))
    local pattern = ("^there:2: bad argument #%s to '%s' %%(.+%%)$"):format(index, name)
    assert.is_truthy(err:match(pattern), text .. ": " .. err)
    if expected then
        assert.is_truthy(err:find(expected, 1, true), text .. ": " .. err)
    end
end

-- text, index of the bad argument, name of the function, part of the explanation
local functions = {
    {"tasklet.run(nil)", 1, "run", "got nil"},
    {"tasklet.run(5)", 1, "run", "got number"},
    {"tasklet.run('text')", 1, "run", "got string"},
    {"tasklet.Tasklet(nil)", 1, "Tasklet", "got nil"},
    {"tasklet.Tasklet({})", 1, "Tasklet", "got table"},
    {"tasklet.task(nil)", 1, "task", "got nil"},
    {"tasklet.task(true)", 1, "task", "got boolean"},
    {"tasklet.Tasklet:subclass(nil)", 1, "subclass", "string expected, got nil"},
    {"tasklet.Tasklet:subclass({})", 1, "subclass", "string expected, got table"},
    {"tasklet.sleep(nil)", 1, "sleep", "number expected, got nil"},
    {"tasklet.sleep()", 1, "sleep", "number expected"},
    {"tasklet.sleep('soon')", 1, "sleep", "number expected, got string"},
    {"tasklet.sleep(-1)", 1, "sleep"},
    {"tasklet.sleep(0/0)", 1, "sleep"},
    {"tasklet.join(nil)", 1, "join", "got nil"},
    {"tasklet.join(5)", 1, "join", "got number"},
    {"tasklet.join({})", 1, "join", "got table"},
    {"tasklet.join(a, {})", 2, "join", "number expected, got table"},
    {"tasklet.send(nil, 'name')", 1, "send", "got nil"},
    {"tasklet.send({}, 'name')", 1, "send", "got table"},
    {"tasklet.send(a, nil)", 2, "send", "string expected, got nil"},
    {"tasklet.send(a, {})", 2, "send", "string expected, got table"},
    {"tasklet.Tasklet.kill(nil)", 1, "kill", "got nil"},
    {"tasklet.Tasklet.kill('t')", 1, "kill", "got string"},
    {"a:send_message(nil)", "[12]", "send_message", "got nil"},
    {"a:send_message('name')", "[12]", "send_message", "got string"},
    {"a:add_join_callback(nil)", "[12]", "add_join_callback", "got nil"},
    {"a:add_join_callback(5)", "[12]", "add_join_callback", "got number"},
    {"a:set_atomic(0)", "[12]", "set_atomic", "boolean expected, got number"},
    {"a:set_ignore_nesting('x')", "[12]", "set_ignore_nesting", "boolean expected, got string"},
    {"tasklet.set_atomic(0)", 1, "set_atomic", "got number"},
    {"tasklet.Message(nil)", 1, "Message", "string expected, got nil"},
    {"tasklet.Message({})", 1, "Message", "string expected, got table"},
    {"tasklet.Message('name', 5)", 2, "Message", "table expected, got number"},
    {"tasklet.WaitForTimeout(nil)", 1, "WaitForTimeout", "number expected, got nil"},
    {"tasklet.WaitForTimeout('x')", 1, "WaitForTimeout", "number expected, got string"},
    {"tasklet.WaitForTimeout(-1)", 1, "WaitForTimeout"},
    {"tasklet.WaitForTimeout(0/0)", 1, "WaitForTimeout"},
    {"tasklet.WaitForTimeout(1, 5)", 2, "WaitForTimeout", "table expected, got number"},
    {"tasklet.WaitForIdle(5)", 1, "WaitForIdle", "table expected, got number"},
    {"tasklet.WaitForIO(nil)", 1, "WaitForIO", "got nil"},
    {"tasklet.WaitForIO('x')", 1, "WaitForIO", "got string"},
    {"tasklet.WaitForIO({})", 1, "WaitForIO", "got table"},
    {"tasklet.WaitForIO(0, 'in')", 2, "WaitForIO", "got string"},
    {"tasklet.WaitForIO(0, 1, 'x')", 3, "WaitForIO", "table expected, got string"},
    {"tasklet.WaitForProcess(nil)", 1, "WaitForProcess", "number expected, got nil"},
    {"tasklet.WaitForProcess('x')", 1, "WaitForProcess", "number expected, got string"},
    {"tasklet.WaitForTasklet(nil)", 1, "WaitForTasklet", "got nil"},
    {"tasklet.WaitForTasklet({})", 1, "WaitForTasklet", "got table"},
    {"tasklet.WaitForSignal(nil, 'go')", 1, "WaitForSignal", "got nil"},
    {"tasklet.WaitForSignal({}, 'go')", 1, "WaitForSignal", "got table"},
    {"tasklet.WaitForSignal(b, nil)", 2, "WaitForSignal", "string expected, got nil"},
    {"tasklet.WaitForSignal(b, 'unknown')", 2, "WaitForSignal", "unknown"},
    {"tasklet.WaitForSignal(tasklet.signals, 'SIGNONE')", 2, "WaitForSignal", "SIGNONE"},
    {"tasklet.WaitForCall(5)", 1, "WaitForCall", "table expected, got number"},
    {"tasklet.WaitForMessages(5)", 1, "WaitForMessages", "table expected, got number"},
    {"tasklet.WaitForChannel(nil, 'send')", 1, "WaitForChannel", "channel expected, got nil"},
    {"tasklet.WaitForChannel(tasklet.channel(), 1)", 2, "WaitForChannel", "got number"},
    {"tasklet.WaitForChannel(tasklet.channel(), 'x')", 2, "WaitForChannel", "got \"x\""},
    {"tasklet.channel(5)", 1, "channel", "table expected, got number"},
    {"tasklet.channel():send(1, 'x')", 2, "send", "number expected, got string"},
    {"tasklet.channel():receive('x')", 1, "receive", "number expected, got string"},
    {"tasklet.channel():send_exception()", 1, "send_exception", "value expected"},
    {"tasklet.channel():send_sequence(5)", 1, "send_sequence", "got number"},
    {"tasklet.Emitter('go')", 1, "Emitter", "got string"},
    {"tasklet.Emitter{5}", 1, "Emitter"},
    {"b:connect('go', nil)", "[23]", "connect", "function expected, got nil"},
    {"tasklet.WaitCondition:subclass(nil)", 1, "subclass", "string expected, got nil"},
    {"tasklet.mainloop.quit('x')", 1, "quit", "number expected, got string"},
    {"c:popleft('x')", "[12]", "popleft", "number expected, got string"},
    {"c:append(nil)", "[12]", "append", "got nil"},
    {"c:append('name')", "[12]", "append", "got string"},
}

-- text, parts of the explanation: values in option tables
local options = {
    {"tasklet.Message('name', {dest = 5})", "dest", "number"},
    {"tasklet.Message('name', {sender = {}})", "sender", "table"},
    {"tasklet.WaitForTimeout(1, {priority = 'x'})", "priority", "string"},
    {"tasklet.WaitForIdle{priority = {}}", "priority", "table"},
    {"tasklet.WaitForMessages{accept = 5}", "accept", "number"},
    {"tasklet.WaitForMessages{accept = {true}}", "accept", "boolean"},
    {"tasklet.WaitForMessages{defer = print}", "defer", "function"},
    {"tasklet.WaitForMessages{discard = {{}}}", "discard", "table"},
    {"tasklet.scope(print, {deadline = 'x'})", "deadline", "string"},
    {"tasklet.scope(print, {deadline = 0/0})", "deadline", "not a number"},
    {"tasklet.scope({deadline = 0/0})", "deadline", "not a number"},
}

-- assignment, what was expected
local attributes = {
    {"a.daemon = 1", "'daemon' (boolean expected, got number)"},
    {"a.daemon = nil", "'daemon' (boolean expected, got nil)"},
    {"a.block_trap = 1", "'block_trap' (boolean expected, got number)"},
    {"a.block_trap = nil", "'block_trap' (boolean expected, got nil)"},
    {"a.daemon = 'true'", "'daemon' (boolean expected, got string)"},
    {"a.timeout = {}", "'timeout' (number or nil expected, got table)"},
    {"a.timeout = 'soon'", "'timeout' (number or nil expected, got string)"},
    {"a.timeout = 0/0", "'timeout' (number of seconds expected, got NaN)"},
}

describe("a wrong value for an attribute", function()
    for _, row in ipairs(attributes) do
        it("1.4 raises at the assignment, and names it: " .. row[1], function()
            local err = raised(row[1], tasklet.new())
            assert.equal("there:2: bad value for attribute " .. row[2], err)
        end)
    end
end)

describe("a wrong argument", function()
    for _, row in ipairs(functions) do
        local text, index, name, expected = table.unpack(row)
        it("1.4 raises at the caller's line: " .. text, function()
            helper.within_loop(function()
                local me = tasklet.current()
                local emitter = tasklet.Emitter{"go"}
                local err = raised(text, me, emitter, me.mailbox)
                check_bad_argument(err, text, index, name, expected)
            end)
        end)
    end

    for _, row in ipairs(options) do
        it("1.4 in an option raises at the caller's line: " .. row[1], function()
            local err = raised(row[1])
            assert.equal("string", type(err), tostring(err))
            assert.is_truthy(err:match("^there:2: "), err)
            for i = 2, #row do
                assert.is_truthy(err:find(row[i], 1, true), err)
            end
        end)
    end

    -- A tail call leaves no line of its own behind; then that of whoever called from there counts.
    for _, text in ipairs {
        "pcall(tasklet.later, -1, print)",
        "pcall(tasklet.all, {1})",
        "pcall(tasklet.Emitter, {1})",
        "pcall(b.connect, b, 'none', print)",
        "pcall(b.disconnect, b, 77)",
        "pcall(tasklet.signals.emit, tasklet.signals, 'SIGHUP')",
        "pcall(tasklet.join_all, {tasklet.current()})",
        "pcall(tasklet.with_deadline, 1, tasklet.interval, 1)",
        "pcall(tasklet.with_deadline, 1, function() return tasklet.rate(0, print) end)",
        "pcall(tasklet.shield, function() return tasklet.scope(1) end)",
        "pcall(function() return b:disconnect(77) end)",
        "pcall(tasklet.Tasklet.subclass, 1, 'name')",
    } do
        it("1.4 raises at the nearest line of the script: " .. text, function()
            helper.within_loop(function()
                local err = raised("local _, err = " .. text .. " error(err, 0)", nil,
                    tasklet.Emitter{"go"})
                assert.is_truthy(tostring(err):match("^there:2: ."), tostring(err))
            end)
        end)
    end

    it("1.4 of a function leaves everything as it was", function()
        helper.within_loop(function()
            local me = tasklet.current()
            for _, row in ipairs(functions) do
                raised(row[1], me, tasklet.Emitter{"go"}, me.mailbox)
            end
            assert.equal(0, #me.mailbox)
            local timeout = tasklet.WaitForTimeout(0)
            assert.equal(timeout, tasklet.wait(timeout))
        end)
    end)
end)

describe("a wrong self", function()
    it("1.4 raises at the caller's line", function()
        helper.within_loop(function()
            local me = tasklet.current()
            for _, text in ipairs {
                "a.add_join_callback({}, print)", "a.remove_join_callback(5, 1)",
                "a.send_message(nil, nil)", "a.kill()", "a.join()", "b.emit({}, 'go')",
                "b.connect(nil, 'go', print)", "b.disconnect(5, 1)", "b.destroy('x')",
                "c.popleft({})", "c.append(nil, nil)", "c.iter(5)",
                "tasklet.WaitForTimeout(1).restart({})",
            } do
                local err = raised(text, me, tasklet.Emitter{"go"}, me.mailbox)
                assert.equal("string", type(err), text .. ": " .. tostring(err))
                assert.is_truthy(err:match("^there:2: "), text .. ": " .. err)
            end
        end)
    end)
end)

describe("an undeclared signal", function()
    it("4.3 raises at the caller's line", function()
        local emitter = tasklet.Emitter{"go"}
        for _, text in ipairs {
            "a:emit('undeclared')", "a:emit(nil)", "a:connect('undeclared', print)",
            "a:connect(nil, print)", "tasklet.WaitForSignal(a, 'undeclared')",
        } do
            local err = tostring(raised(text, emitter))
            assert.is_truthy(err:match("^there:2: "), text .. ": " .. err)
            if text:find("undeclared", 1, true) then
                assert.is_truthy(err:find("undeclared", 1, true), err)
            end
        end
    end)
end)

describe("an unknown handle", function()
    it("4.3 raises when it is disconnected", function()
        local emitter = tasklet.Emitter{"go"}
        local id = emitter:connect("go", function() end)
        emitter:disconnect(id)
        for _, handle in ipairs {id, 12345, "x", {}} do
            local err = raised("a:disconnect(b)", emitter, handle)
            assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
        end
        local err = raised("a:disconnect(nil)", emitter)
        assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
    end)
end)

-- text that yields, part of the explanation, what that must not say
local yields = {
    {"coroutine.yield()"},
    {"coroutine.yield(nil)", "nil"},
    {"coroutine.yield(5)", "number"},
    {"coroutine.yield(2.5)", "number"},
    {"coroutine.yield('text')", "string"},
    {"coroutine.yield(true)", "boolean"},
    {"coroutine.yield(io.stdout)", ""},
    {"coroutine.yield(tasklet.channel())", "channel"},
    {"coroutine.yield(a, 5)", "number"},
    {"coroutine.yield(a, nil)", "nil"},
    {"coroutine.yield(nil, a)", "nil"},
    {"coroutine.yield({})", "empty"},
    {"coroutine.yield({a, nil, a})", "nil"},
    {"coroutine.yield({nil, a})", "nil"},
    {"coroutine.yield({a, 5})", "number"},
    {"coroutine.yield({a, false})", "boolean"},
    {"coroutine.yield({{a}})", "table"},
    {"coroutine.yield({name = a})", "empty"},
    {"coroutine.yield(tasklet.Tasklet)"},
    {"coroutine.yield(tasklet)"},
    {"coroutine.yield({b})", "Message", "table"},
    {"coroutine.yield({a, b})", "Message", "table"},
    {"coroutine.yield(a, b)", "Message", "table"},
    {"coroutine.yield(b, a)", "Message", "table"},
    {"coroutine.yield(b, b)", "Message", "table"},
    {"tasklet.wait()"},
    {"tasklet.wait(5)", "number"},
    {"tasklet.wait(a, 'text')", "string"},
    {"tasklet.wait({})", "empty"},
    {"tasklet.wait({b})", "Message", "table"},
}

describe("a bad yield", function()
    for _, row in ipairs(yields) do
        local text, part, wrong_part = table.unpack(row)
        it("3.5 raises at the yield: " .. text, function()
            helper.within_loop(function()
                local receiver = tasklet.run(function() tasklet.sleep(60) end)
                local condition = tasklet.WaitForTimeout(0)
                local message = tasklet.Message("name", {dest = receiver})
                local err = tostring(raised(text, condition, message))
                assert.is_truthy(err:match("^there:2: "), err)
                if part then
                    assert.is_truthy(err:find(part, 1, true), err)
                end
                assert.is_nil(wrong_part and err:find(wrong_part, 1, true), err)
                assert.equal(0, #receiver.mailbox)
                receiver:kill()
                -- nothing of it was armed, and the tasklet goes on as before
                local other = tasklet.run(function() return tasklet.wait(condition) end)
                assert.equal(condition, tasklet.join(other))
            end)
        end)
    end

    it("3.5 names what may be yielded", function()
        helper.within_loop(function()
            for _, what in ipairs {"", "5", "{5}"} do
                local err = tostring(raised("coroutine.yield(" .. what .. ")"))
                for _, word in ipairs {"Message", "condition", "[Tt]asklet", "function"} do
                    assert.is_truthy(err:find(word), err)
                end
            end
        end)
    end)

    it("1.4 of a wrong type raises a string, as Lua does", function()
        helper.within_loop(function()
            for _, what in ipairs {"5", "nil", "'text'", "{5}"} do
                local err = raised("coroutine.yield(" .. what .. ")")
                assert.equal("string", type(err), tostring(err))
            end
        end)
    end)

    it("3.5 of a coroutine that is not fresh raises", function()
        helper.within_loop(function()
            local begun = coroutine.create(function() coroutine.yield() end)
            coroutine.resume(begun)
            local ended = coroutine.create(function() end)
            coroutine.resume(ended)
            for _, co in ipairs {begun, ended} do
                local err = raised("coroutine.yield(a)", co)
                assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
            end
        end)
    end)

    it("3.5 that nobody catches fails its tasklet alone", function()
        helper.within_loop(function()
            local good = tasklet.run(function()
                tasklet.sleep(0.01)
                return "good"
            end)
            local bad = tasklet.run(function()
                tasklet.yield_()
                coroutine.yield(5)
            end)
            local ok, err = pcall(tasklet.join, bad)
            assert.is_false(ok)
            assert.is_truthy(tostring(err.cause):find("number", 1, true))
            assert.equal("good", tasklet.join(good))
        end)
    end)

    it("3.5 leaves the wait list as it was", function()
        helper.within_loop(function()
            local call = tasklet.WaitForCall()
            local t = tasklet.run(function()
                local count = 0
                for _ = 1, 3 do
                    tasklet.wait(call)
                    count = count + call.args[1]
                    pcall(coroutine.yield, 5)
                    pcall(coroutine.yield, call, nil)
                end
                return count
            end)
            call(1)
            call(10)
            call(100)
            assert.equal(111, tasklet.join(t))
        end)
    end)
end)
