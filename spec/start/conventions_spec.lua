local tasklet = require "tasklet"
local helper = require "spec.helper"

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text, ...)
    local chunk = assert(load("local tasklet, a, b = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet, ...)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

local function contains(text, part)
    assert.is_truthy(text:find(part, 1, true), ("%q is not in %q"):format(part, text))
end

local names = {
    "run", "Tasklet", "task", "current", "sleep", "yield_", "join", "survive", "send", "wait",
    "get_event", "signals", "mainloop", "Message", "Emitter", "WaitCondition", "WaitForTimeout",
    "WaitForIdle", "WaitForIO", "WaitForProcess", "WaitForTasklet", "WaitForSignal",
    "WaitForCall", "WaitForMessages", "WaitForChannel", "channel", "ChannelError", "TaskletError",
    "TaskletExit", "TimeoutError", "JoinError",
    "IO_IN", "IO_OUT", "IO_PRI", "IO_ERR", "IO_HUP", "PRIORITY_HIGH", "PRIORITY_DEFAULT",
    "PRIORITY_HIGH_IDLE", "PRIORITY_DEFAULT_IDLE", "PRIORITY_LOW",
}

describe("the module", function()
    it("1.1 has the same contents in plain Lua and in the host", function()
        local quoted = {}
        for i, name in ipairs(names) do
            quoted[i] = ("%q"):format(name)
        end
        local script = "local names = {" .. table.concat(quoted, ",") .. "}\n" .. [[
            local tasklet = require "tasklet"
            for _, name in ipairs(names) do
                print(name, tasklet[name] ~= nil and type(tasklet[name]) or "MISSING")
            end
        ]]
        local host, plain = helper.run_file(script), helper.plain(script)
        assert.equal(0, host.status, host.stderr)
        assert.equal(0, plain.status, plain.stderr)
        assert.is_nil(host.stdout:match("(%w+)%s+MISSING"))
        assert.equal(host.stdout, plain.stdout)
    end)

    it("1.1 is still one module when it is required afresh", function()
        local first = package.loaded.tasklet
        package.loaded.tasklet = nil
        local second = require "tasklet"
        package.loaded.tasklet = first
        helper.within_loop(function()
            local t = second.run(function()
                second.sleep(0)
                return "result"
            end)
            assert.equal("result", tasklet.join(t))
            assert.equal(tasklet.current(), second.current())
            local forever = second.run(function() second.sleep(60) end)
            local _, err = pcall(second.join, forever, 0)
            assert.is_true(tasklet.TimeoutError:is(err))
            forever:kill()
        end)
    end)
end)

describe("units", function()
    it("1.2 are seconds for verbs and milliseconds for conditions", function()
        helper.within_loop(function()
            local order = {}
            local a = tasklet.run(function()
                tasklet.sleep(0.3)
                order[#order + 1] = "0.3 seconds"
            end)
            local b = tasklet.run(function()
                tasklet.wait(tasklet.WaitForTimeout(30))
                order[#order + 1] = "30 milliseconds"
            end)
            tasklet.join(a)
            tasklet.join(b)
            assert.same({"30 milliseconds", "0.3 seconds"}, order)
        end)
    end)

    it("1.2 are counted in full", function()
        helper.within_loop(function()
            local before = tasklet.mainloop.now()
            tasklet.sleep(0.025)
            local between = tasklet.mainloop.now()
            tasklet.wait(tasklet.WaitForTimeout(25))
            local after = tasklet.mainloop.now()
            assert.equal(25, between - before)
            assert.equal(25, after - between)
        end)
    end)

    it("1.2 are seconds for a timeout argument", function()
        helper.within_loop(function()
            local forever = tasklet.run(function() tasklet.sleep(60) end)
            local before = tasklet.mainloop.now()
            local ok, err = pcall(tasklet.join, forever, 0.02)
            local passed = tasklet.mainloop.now() - before
            forever:kill()
            assert.is_false(ok)
            assert.is_true(tasklet.TimeoutError:is(err))
            assert.equal(20, passed)
        end)
    end)

    for what, timeout in pairs {negative = -1, ["a negative fraction"] = -0.001, absent = false} do
        it("1.2 let a timeout that is " .. what .. " mean for ever", function()
            helper.within_loop(function()
                local t = tasklet.run(function()
                    tasklet.sleep(0.02)
                    return "came"
                end)
                assert.equal("came", tasklet.join(t, timeout or nil))
                local me = tasklet.current()
                local sender = tasklet.run(function()
                    tasklet.sleep(0.02)
                    tasklet.send(me, "late")
                end)
                assert.equal("late", me.mailbox:popleft(timeout or nil).name)
                tasklet.join(sender)
            end)
        end)
    end
end)

describe("options", function()
    it("1.3 are one trailing table", function()
        local t = tasklet.run(function() end)
        local message = tasklet.Message("name", {dest = t, value = 7})
        assert.equal(t, message.dest)
        assert.equal(7, message.value)
    end)

    for text, known in pairs {
        ["tasklet.Message('name', {wrong = 1})"] = {"dest", "value", "sender"},
        ["tasklet.WaitForTimeout(1, {wrong = 1})"] = {"priority"},
        ["tasklet.WaitForIdle{wrong = 1}"] = {"priority"},
        ["tasklet.WaitForIO(0, tasklet.IO_IN, {wrong = 1})"] = {"priority"},
        ["tasklet.WaitForCall{wrong = 1}"] = {"return_value"},
        ["tasklet.channel{wrong = 1}"] = {"preference"},
        ["tasklet.WaitForChannel(tasklet.channel(), 'send', 1, {wrong = 1})"] = {"priority"},
        ["tasklet.WaitForMessages{accept = 'name', wrong = 1}"] = {"accept", "defer", "discard"},
    } do
        it("1.4 that are unknown are named with the known ones: " .. text, function()
            local err = raised(text)
            assert.equal("string", type(err))
            assert.is_truthy(err:match("^there:2: "), err)
            contains(err, "wrong")
            for _, name in ipairs(known) do
                contains(err, name)
            end
        end)
    end
end)

describe("misuse", function()
    it("1.4 is worded as Lua words it", function()
        helper.within_loop(function()
            assert.equal("there:2: bad argument #1 to 'sleep' (number expected, got nil)",
                raised("tasklet.sleep(nil)"))
            assert.equal("there:3: bad argument #1 to 'sleep' (number expected, got table)",
                raised("\ntasklet.sleep({})"))
        end)
    end)

    it("1.4 names the line of the caller, however deep that one is", function()
        helper.within_loop(function()
            local function outer() return (raised("\n\n\nlocal f = a\nf(nil)", tasklet.sleep)) end
            assert.is_truthy(outer():match("^there:6: bad argument #1 to "))
        end)
    end)

    it("1.4 counts arguments of a method as Lua does", function()
        helper.within_loop(function()
            local t = tasklet.run(function() end)
            assert.is_truthy(raised("a:join('x')", t)
                :match("^there:2: bad argument #%d to 'join' %(number expected, got string%)$"))
            assert.is_truthy(raised("tasklet.join(a, 'x')", t)
                :match("^there:2: bad argument #2 to 'join' %(number expected, got string%)$"))
        end)
    end)

    it("1.4 of a wrong state is a TaskletError at the caller's line", function()
        helper.within_loop(function()
            local ended = tasklet.run(function() end)
            local shared = tasklet.WaitForTimeout(60000)
            local holder = tasklet.run(function() coroutine.yield(shared) end)
            for _, text in ipairs {
                "tasklet.send(a, 'name')",
                "coroutine.yield(tasklet.Message('name', {dest = a}))",
                "tasklet.get_event()",
                "tasklet.join(tasklet.current())",
                "coroutine.yield(b)",
                "tasklet.wait(b)",
            } do
                local err = raised(text, ended, shared)
                assert.is_true(tasklet.TaskletError:is(err), text .. ": " .. tostring(err))
                assert.is_truthy(tostring(err):match("^there:2: ."), text .. ": " .. tostring(err))
            end
            holder:kill()
        end)
    end)
end)

describe("class methods", function()
    it("1.5 are functions of the module too", function()
        for _, name in ipairs {"sleep", "yield_", "current", "join"} do
            assert.equal("function", type(tasklet[name]), name)
        end
        for name, f in pairs(tasklet.Tasklet) do
            assert.is_true(type(f) ~= "function" or rawequal(tasklet[name], f), name)
        end
        local Class = tasklet.subclass(tasklet.Tasklet, "Class")
        function Class:run() return self.name end
        assert.equal("Class", Class():join())
    end)

    it("1.5 can be called on a tasklet", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                tasklet.sleep(0)
                return 1, nil, 3
            end)
            local results = table.pack(t:join(2))
            assert.same({1, nil, 3, n = 3}, results)
            assert.same(results, table.pack(tasklet.Tasklet.join(t, 2)))
            assert.same(results, table.pack(tasklet.join(t, 30)))
        end)
    end)
end)

describe("warnings", function()
    local provoke = [[
        local tasklet = require "tasklet"
        local t = tasklet.run(function()
            tasklet.wait(tasklet.WaitForMessages{accept = "wanted"})
        end)
        tasklet.run(function() tasklet.send(t, "unwanted") t:kill() end)
        tasklet.mainloop.run()
    ]]

    it("1.6 are on in the host", function()
        contains(helper.run_file(provoke).stderr, "Lua warning: ")
    end)

    it("1.6 obey warn in the host", function()
        local result = helper.run_file("warn '@off'\n" .. provoke)
        assert.equal("", result.stderr)
        assert.equal(0, result.status)
    end)

    it("1.6 obey warn in plain Lua", function()
        assert.equal("", helper.plain(provoke).stderr)
        contains(helper.plain("warn '@on'\n" .. provoke).stderr, "Lua warning: ")
    end)
end)
