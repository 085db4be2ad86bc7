-- WaitForSignal, emitters, and the operating system's signals (contract 4, 4.3 and 4.4).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local uv = require "luv"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForSignal, Emitter = tasklet.WaitForSignal, tasklet.Emitter

local function within(body)
    return function() helper.within_loop(body) end
end

local function assert_raises_naming(name, f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    assert.truthy(tostring(err):find(name, 1, true), tostring(err))
end

describe("WaitForSignal", function()
    it("4.3 fires when the object emits the signal, with its arguments", within(function()
        local emitter = Emitter { "moved", "closed" }
        local condition = WaitForSignal(emitter, "moved")
        local t = tasklet.run(function()
            local event = tasklet.wait(condition)
            return event == condition, event.object, event.signal_args
        end)
        emitter:emit("closed", "not this one")
        assert.is_false(t:has_finished())
        emitter:emit("moved", 1, nil, "three", nil)
        local same, object, args = tasklet.join(t, 30)
        assert.is_true(same)
        assert.is_true(rawequal(emitter, object))
        assert.same({ n = 4, 1, nil, "three" }, args)
    end))

    it("4.3 without arguments has an empty list", within(function()
        local emitter = Emitter { "s" }
        local t = tasklet.run(function()
            return tasklet.wait(WaitForSignal(emitter, "s")).signal_args
        end)
        emitter:emit("s")
        assert.same({ n = 0 }, (tasklet.join(t, 30)))
    end))

    it("4.3 fires for each emission while it is waited for", within(function()
        local emitter, trace = Emitter { "s" }, {}
        local t = tasklet.run(function()
            local condition = WaitForSignal(emitter, "s")
            for i = 1, 3 do
                trace[i] = tasklet.wait(condition).signal_args[1]
            end
        end)
        for i = 1, 5 do
            emitter:emit("s", i * 10)
        end
        assert.same({ 10, 20, 30 }, trace)
        assert.is_true(t:has_finished())
    end))

    it("4.3 hears nothing of what was emitted before, or while left out", within(function()
        local emitter = Emitter { "s" }
        local condition, timeout = WaitForSignal(emitter, "s"), WaitForTimeout(3)
        emitter:emit("s", 1)
        assert.is_true(tasklet.wait(condition, timeout) == timeout)
        tasklet.wait(WaitForTimeout(0))
        emitter:emit("s", 2)
        assert.is_true(tasklet.wait(condition, timeout) == timeout)
    end))

    it("4.3 wakes every tasklet that waits, and each has the arguments", within(function()
        local emitter, count = Emitter { "s" }, 0
        for _ = 1, 50 do
            tasklet.run(function()
                local args = tasklet.wait(WaitForSignal(emitter, "s")).signal_args
                count = count + args[1]
            end)
        end
        emitter:emit("s", 2)
        assert.equal(100, count)
        emitter:emit("s", 2)
        assert.equal(100, count)
    end))

    it("4.3 tells which of several signals and objects it was", within(function()
        local one, two = Emitter { "a", "b" }, Emitter { "a" }
        local names = {}
        local function condition(emitter, name, label)
            local c = WaitForSignal(emitter, name)
            names[c] = label
            return c
        end
        local list = { condition(one, "a", "1a"), condition(one, "b", "1b"),
            condition(two, "a", "2a") }
        local trace = {}
        local t = tasklet.run(function()
            for i = 1, 3 do
                trace[i] = names[tasklet.wait(list)]
            end
        end)
        two:emit("a")
        one:emit("b")
        one:emit("a")
        tasklet.join(t, 30)
        assert.same({ "2a", "1b", "1a" }, trace)
    end))

    it("4.3 one tasklet's emission may come while another handles the same one", within(function()
        local emitter, trace = Emitter { "s" }, {}
        local function waiter(name, action)
            return tasklet.run(function()
                local condition = WaitForSignal(emitter, "s")
                for _ = 1, 2 do
                    local value = tasklet.wait(condition).signal_args[1]
                    trace[#trace + 1] = name .. value
                    if action then
                        action()
                        action = nil
                    end
                end
            end)
        end
        local a = waiter("a", function() emitter:emit("s", 2) end)
        local b = waiter("b")
        emitter:emit("s", 1)
        tasklet.join(a, 30)
        tasklet.join(b, 30)
        table.sort(trace)
        -- Each gets both, whatever the order.
        assert.same({ "a1", "a2", "b1", "b2" }, trace)
    end))

    it("4.3 raises for something that is no emitter", function()
        for _, wrong in ipairs { 42, "text", {}, print, io.stdout, true } do
            local line = debug.getinfo(1, "l").currentline + 1
            local ok, err = pcall(function() return (WaitForSignal(wrong, "s")) end)
            assert.is_false(ok)
            assert.truthy(tostring(err):find("signal_spec.lua:" .. line .. ":", 1, true), err)
        end
        assert.is_false((pcall(WaitForSignal)))
        assert.is_false((pcall(WaitForSignal, nil, "s")))
    end)

    it("4.3 raises a TaskletError for an emitter that is destroyed, as emit does", within(function()
        local emitter = Emitter { "s" }
        local before = WaitForSignal(emitter, "s")
        emitter:destroy()
        for text, argument in pairs {
            ["tasklet.WaitForSignal(a, 's')"] = emitter,
            ["a:emit('s')"] = emitter,
            ["a:connect('s', print)"] = emitter,
            ["tasklet.wait(a)"] = before,
        } do
            local chunk = assert(load("local tasklet, a = ...\n" .. text .. "\n", "=there"))
            local ok, err = pcall(chunk, tasklet, argument)
            assert.is_false(ok, text)
            assert.is_true(tasklet.TaskletError:is(err), text)
            assert.equal("there:2: the emitter is destroyed", tostring(err))
        end
    end))

    it("4.3 raises for an undeclared name, and names it", function()
        local emitter = Emitter { "declared" }
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, err = pcall(function() return (WaitForSignal(emitter, "undeclared")) end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("undeclared", 1, true), tostring(err))
        assert.truthy(tostring(err):find("signal_spec.lua:" .. line .. ":", 1, true), err)
        assert.is_false((pcall(WaitForSignal, emitter)))
        assert.is_false((pcall(WaitForSignal, emitter, 42)))
        assert.is_false((pcall(WaitForSignal, Emitter {}, "s")))
    end)
end)

describe("an emitter", function()
    it("4.3 calls what is connected with what was emitted, in order", function()
        local emitter, trace = Emitter { "a", "b" }, {}
        emitter:connect("a", function(...) trace[#trace + 1] = table.pack("first", ...) end)
        emitter:connect("a", function(...) trace[#trace + 1] = table.pack("second", ...) end)
        emitter:connect("b", function(...) trace[#trace + 1] = table.pack("other", ...) end)
        emitter:emit("a", 1, nil, 3, nil)
        emitter:emit("b")
        assert.same({
            { n = 5, "first", 1, nil, 3, nil },
            { n = 5, "second", 1, nil, 3, nil },
            { n = 1, "other" },
        }, trace)
    end)

    it("4.3 does not call what is disconnected", function()
        local emitter, trace = Emitter { "s" }, {}
        local first = emitter:connect("s", function(v) trace[#trace + 1] = "first " .. v end)
        local second = emitter:connect("s", function(v) trace[#trace + 1] = "second " .. v end)
        assert.is_not_nil(first)
        assert.are_not.equal(first, second)
        emitter:emit("s", 1)
        emitter:disconnect(first)
        emitter:emit("s", 2)
        emitter:disconnect(second)
        emitter:emit("s", 3)
        assert.same({ "first 1", "second 1", "second 2" }, trace)
    end)

    it("4.3 gives the same function an id for each connection", function()
        local emitter, count = Emitter { "s" }, 0
        local function f() count = count + 1 end
        local first, second = emitter:connect("s", f), emitter:connect("s", f)
        emitter:emit("s")
        assert.equal(2, count)
        emitter:disconnect(first)
        emitter:emit("s")
        assert.equal(3, count)
        emitter:disconnect(second)
        emitter:emit("s")
        assert.equal(3, count)
    end)

    it("4.3 raises for an unknown id", function()
        local emitter, other = Emitter { "s" }, Emitter { "s" }
        local id = emitter:connect("s", print)
        for _ = 1, 3 do
            other:connect("s", print)
        end
        local last = other:connect("s", print)
        other:disconnect(last)
        assert.is_false((pcall(other.disconnect, other, last)))
        assert.is_false((pcall(emitter.disconnect, emitter, 4711)))
        assert.is_false((pcall(emitter.disconnect, emitter)))
        assert.is_false((pcall(emitter.disconnect, emitter, "s")))
        emitter:disconnect(id)
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, err = pcall(function() emitter:disconnect(id) end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("signal_spec.lua:" .. line .. ":", 1, true), err)
    end)

    it("4.3 raises for undeclared names", function()
        local emitter = Emitter { "s" }
        assert_raises_naming("undeclared", emitter.emit, emitter, "undeclared")
        assert_raises_naming("undeclared", emitter.connect, emitter, "undeclared", print)
        assert.is_false((pcall(emitter.emit, emitter)))
        assert.is_false((pcall(emitter.connect, emitter, "s")))
        assert.is_false((pcall(emitter.connect, emitter, "s", 42)))
        assert.is_false((pcall(Emitter, { 42 })))
        assert.is_false((pcall(Emitter, "s")))
    end)

    it("4.3 may be disconnected from by what it calls", function()
        local emitter, trace = Emitter { "s" }, {}
        local own
        own = emitter:connect("s", function()
            trace[#trace + 1] = "once"
            emitter:disconnect(own)
        end)
        emitter:connect("s", function() trace[#trace + 1] = "always" end)
        emitter:emit("s")
        emitter:emit("s")
        assert.same({ "once", "always", "always" }, trace)
    end)

    it("4.3 serves callbacks and tasklets alike", within(function()
        local emitter, trace = Emitter { "s" }, {}
        emitter:connect("s", function(value) trace[#trace + 1] = "callback " .. value end)
        local t = tasklet.run(function()
            local args = tasklet.wait(WaitForSignal(emitter, "s")).signal_args
            trace[#trace + 1] = "tasklet " .. args[1]
        end)
        emitter:emit("s", 1)
        assert.is_true(t:has_finished())
        table.sort(trace)
        assert.same({ "callback 1", "tasklet 1" }, trace)
    end))

    it("4.3 destroyed, fires the conditions with destroyed = true", within(function()
        local emitter = Emitter { "a", "b" }
        local trace, all = {}, {}
        for i, name in ipairs { "a", "b", "a" } do
            all[i] = tasklet.run(function()
                local condition, never = WaitForSignal(emitter, name), WaitForTimeout(60000)
                trace[i] = { tasklet.wait(never, condition) == condition, condition.destroyed }
            end)
        end
        emitter:destroy()
        assert.same({ { true, true }, { true, true }, { true, true } }, trace)
        for _, t in ipairs(all) do
            assert.is_true(t:has_finished())
        end
    end))

    it("4.3 destroyed by a connected function, calls no more of them", function()
        local emitter, calls = tasklet.Emitter { "s" }, {}
        emitter:connect("s", function()
            calls[#calls + 1] = "first"
            emitter:destroy()
        end)
        emitter:connect("s", function() calls[#calls + 1] = "second" end)
        emitter:emit("s")
        assert.same({ "first" }, calls)
    end)

    it("4.3 not destroyed, fires them without", within(function()
        local emitter = Emitter { "s" }
        local t = tasklet.run(function()
            return tasklet.wait(WaitForSignal(emitter, "s")).destroyed
        end)
        emitter:emit("s")
        assert.falsy((tasklet.join(t, 30)))
    end))

    it("4.3 destroyed while its tasklet is busy, keeps that as 3.7 says", within(function()
        local emitter, go = Emitter { "s" }, WaitForCall()
        local condition = WaitForSignal(emitter, "s")
        local t = tasklet.run(function()
            assert(tasklet.wait(condition, go) == go)
            emitter:emit("s", "last")
            emitter:destroy()
            local event = tasklet.wait(condition, WaitForTimeout(1000))
            local last = event.signal_args[1]
            local before = event.destroyed
            event = tasklet.wait(condition, WaitForTimeout(1000))
            return last, before or false, event == condition, condition.destroyed
        end)
        go()
        assert.same({ "last", false, true, true }, { tasklet.join(t, 30) })
    end))
end)

describe("a class of emitters", function()
    it("4.3 makes instances that have its signals", within(function()
        local Button = Emitter:subclass("Button", { "clicked", "gone" })
        local a, b = Button(), Button()
        assert.is_false(rawequal(a, b))
        local count = 0
        a:connect("clicked", function(n) count = count + n end)
        a:emit("clicked", 1)
        b:emit("clicked", 10)
        assert.equal(1, count)
        local t = tasklet.run(function()
            return tasklet.wait(WaitForSignal(b, "gone")).signal_args[1]
        end)
        a:emit("gone", "a")
        assert.is_false(t:has_finished())
        b:emit("gone", "b")
        assert.equal("b", tasklet.join(t, 30))
        assert.is_false((pcall(WaitForSignal, a, "undeclared")))
        assert.is_false((pcall(a.emit, a, "undeclared")))
    end))

    it("4.3 given to WaitForSignal fires for any instance, and tells which", within(function()
        local Button = Emitter:subclass("Button", { "clicked" })
        local early = Button()
        local seen = {}
        local t = tasklet.run(function()
            local condition = WaitForSignal(Button, "clicked")
            for i = 1, 3 do
                local event = tasklet.wait(condition)
                seen[i] = { event.object, event.signal_args[1] }
            end
        end)
        local late = Button()
        early:emit("clicked", 1)
        late:emit("clicked", 2)
        early:emit("clicked", 3)
        tasklet.join(t, 30)
        assert.is_true(rawequal(early, seen[1][1]))
        assert.is_true(rawequal(late, seen[2][1]))
        assert.is_true(rawequal(early, seen[3][1]))
        assert.same({ 1, 2, 3 }, { seen[1][2], seen[2][2], seen[3][2] })
    end))

    it("4.3 does not fire for instances of another class", within(function()
        local Button = Emitter:subclass("Button", { "clicked" })
        local Switch = Emitter:subclass("Switch", { "clicked" })
        local button, switch, plain = Button(), Switch(), Emitter { "clicked" }
        local t = tasklet.run(function()
            return tasklet.wait(WaitForSignal(Button, "clicked")).object
        end)
        switch:emit("clicked")
        plain:emit("clicked")
        assert.is_false(t:has_finished())
        button:emit("clicked")
        assert.is_true(rawequal(button, (tasklet.join(t, 30))))
    end))

    it("4.3 is left by a condition that is disarmed", within(function()
        local Button = Emitter:subclass("Button", { "clicked" })
        local button, call, trace = Button(), WaitForCall(), {}
        local t = tasklet.run(function()
            local condition = WaitForSignal(Button, "clicked")
            trace[1] = tasklet.wait(condition, call) == call
            trace[2] = tasklet.wait(call) == call
        end)
        call()
        button:emit("clicked")
        assert.same({ true }, trace)
        call()
        tasklet.join(t, 30)
        assert.same({ true, true }, trace)
    end))

    it("4.3 raises for an undeclared name", function()
        local Button = Emitter:subclass("Button", { "clicked" })
        assert_raises_naming("undeclared", WaitForSignal, Button, "undeclared")
    end)
end)

describe("tasklet.signals", function()
    local function raise(name)
        assert(uv.kill(uv.os_getpid(), name))
    end

    it("4.4 emits the operating system's signals", within(function()
        local condition = WaitForSignal(tasklet.signals, "SIGHUP")
        local t = tasklet.run(function()
            local event = tasklet.wait(condition, WaitForTimeout(5000))
            return event == condition, event.object
        end)
        tasklet.sleep(0.002)
        assert.is_false(t:has_finished())
        raise "sighup"
        local same, object = tasklet.join(t, 30)
        assert.is_true(same)
        assert.is_true(rawequal(tasklet.signals, object))
    end))

    it("4.4 that are raised already, before a virtual clock jumps", within(function()
        local condition, now = WaitForSignal(tasklet.signals, "SIGHUP"), tasklet.mainloop.now
        local t = tasklet.run(function()
            tasklet.wait(condition)
            return now()
        end)
        local before = now()
        raise "sighup"
        assert.equal(before, tasklet.join(t, 30))
    end))

    it("4.4 from outside of the process", within(function()
        local condition = WaitForSignal(tasklet.signals, "SIGHUP")
        local t = tasklet.run(function()
            return tasklet.wait(condition, WaitForTimeout(5000)) == condition
        end)
        tasklet.sleep(0)
        assert(os.execute("kill -HUP $PPID"))
        assert.is_true(tasklet.join(t, 30))
    end))

    it("4.4 again and again, each of them when its time comes", within(function()
        for _, name in ipairs { "SIGUSR2", "SIGWINCH", "SIGHUP", "SIGALRM" } do
            local condition = WaitForSignal(tasklet.signals, name)
            for _ = 1, 3 do
                local t = tasklet.run(function()
                    return tasklet.wait(condition, WaitForTimeout(5000)) == condition
                end)
                raise(name:lower())
                assert.is_true(tasklet.join(t, 30), name)
            end
        end
    end))

    it("4.4 to all that wait, and not to those that wait for others", within(function()
        local all = {}
        for i, name in ipairs { "SIGUSR2", "SIGUSR2", "SIGUSR2", "SIGWINCH" } do
            all[i] = tasklet.run(function()
                tasklet.wait(WaitForSignal(tasklet.signals, name))
            end)
        end
        raise "sigusr2"
        for i = 1, 3 do
            tasklet.join(all[i], 30)
        end
        assert.is_false(all[4]:has_finished())
        raise "sigwinch"
        tasklet.join(all[4], 30)
    end))

    it("4.4 one that arrives while its tasklet is busy is kept", within(function()
        local call = WaitForCall()
        local condition = WaitForSignal(tasklet.signals, "SIGHUP")
        call()
        assert(tasklet.wait(condition, call) == call)
        raise "sighup"
        tasklet.sleep(0.005)
        assert.is_true(tasklet.wait(condition, WaitForTimeout(5000)) == condition)
        local timeout = WaitForTimeout(5)
        assert.is_true(tasklet.wait(condition, timeout) == timeout)
    end))

    it("4.4 to callbacks that are connected", within(function()
        local called = WaitForCall()
        local id = tasklet.signals:connect("SIGUSR2", function() called() end)
        raise "sigusr2"
        local timeout = WaitForTimeout(5000)
        assert.is_true(tasklet.wait(called, timeout) == called)
        tasklet.signals:disconnect(id)
        assert.is_false((pcall(tasklet.signals.disconnect, tasklet.signals, id)))
    end))

    it("4.4 a handle of luv's outlives the wait for the same signal #slow", function()
        for _, first in ipairs { "handle", "wait" } do
            local result = helper.run_file(([[
                local tasklet = require "tasklet"
                local uv = require "luv"
                local handle, count = uv.new_signal(), 0
                local function start()
                    handle:start("sigusr2", function() count = count + 1 end)
                end
                if %q == "handle" then
                    start()
                end
                local waiter = tasklet.run(function()
                    tasklet.wait(tasklet.WaitForSignal(tasklet.signals, "SIGUSR2"))
                end)
                if %q == "wait" then
                    start()
                end
                waiter:kill()
                uv.kill(uv.os_getpid(), "sigusr2")
                tasklet.sleep(0.1)
                print(count)
                io.stdout:flush()
                handle:close()
                uv.kill(uv.os_getpid(), "sigusr2")
                tasklet.sleep(5)
            ]]):format(first, first), { real_time = true })
            assert.same({ "1\n", 128 + 12 }, { result.stdout, result.status })
        end
    end)

    it("4.4 a wait outlives a handle of luv's for the same signal, and the default comes back "
        .. "#slow", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local uv = require "luv"
            local handle = uv.new_signal()
            handle:start("sigusr2", function() end)
            local waiter = tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(tasklet.signals, "SIGUSR2"))
                print "woken"
                io.stdout:flush()
            end)
            handle:close()
            uv.kill(uv.os_getpid(), "sigusr2")
            waiter:join()
            uv.kill(uv.os_getpid(), "sigusr2")
            tasklet.sleep(5)
        ]], { real_time = true })
        assert.same({ "woken\n", 128 + 12 }, { result.stdout, result.status })
    end)

    it("4.4 to the other callbacks when one fails, which shows in the status", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local uv = require "luv"
            local calls = tasklet.WaitForCall()
            tasklet.signals:connect("SIGUSR2", function() error("out of order") end)
            tasklet.signals:connect("SIGUSR2", function(name) calls(name) end)
            for _ = 1, 2 do
                uv.kill(uv.os_getpid(), "sigusr2")
                print(tasklet.wait(calls).args[1])
            end
        ]])
        assert.equal("SIGUSR2\nSIGUSR2\n", result.stdout)
        local _, count = result.stderr:gsub("out of order", "")
        assert.equal(2, count, result.stderr)
        assert.equal(1, result.status)
    end)

    -- Not under valgrind, which tells of all that a process has when a signal ends it.
    it("4.4 no more when the last callback is disconnected #slow", function()
        for _, how in ipairs { "tasklet.signals:disconnect(id)", "raise() tasklet.wait(calls)" } do
            local result = helper.run_file([[
                local tasklet = require "tasklet"
                local uv = require "luv"
                local id
                local calls = tasklet.WaitForCall()
                local function raise() uv.kill(uv.os_getpid(), "sigusr2") end
                local function called()
                    tasklet.signals:disconnect(id)
                    calls()
                end
                for _ = 1, 2 do
                    id = tasklet.signals:connect("SIGUSR2", called)
                    ]] .. how .. [[

                end
                tasklet.sleep(0)
                print "disconnected"
                io.stdout:flush()
                raise()
                tasklet.sleep(60)
            ]])
            assert.equal("disconnected\n", result.stdout)
            assert.equal("", result.stderr)
            assert.is_true(result.status == 128 + 12, result.status)
        end
    end)

    it("4.4 tells a wrong one of connect at the caller's line", function()
        local function connect(...)
            tasklet.signals:connect(...)
        end
        for _, args in ipairs { { "SIGKILL", print }, { "SIGHUP", 5 }, { nil, print } } do
            local ok, err = pcall(connect, table.unpack(args, 1, 2))
            assert.is_false(ok)
            assert.is_truthy(err:find("signal_spec.lua:%d+: bad argument #%d to 'connect'"), err)
        end
    end)

    it("4.4 leaves the next waiter to itself when one is killed", within(function()
        local function waiter()
            local condition = WaitForSignal(tasklet.signals, "SIGHUP")
            return tasklet.run(function()
                return tasklet.wait(condition, WaitForTimeout(5000)) == condition
            end)
        end
        local a, b = waiter(), waiter()
        a:kill()
        raise "sighup"
        assert.is_true(tasklet.join(b, 30))
    end))

    it("4.4 has no others", function()
        assert.is_false((pcall(WaitForSignal, tasklet.signals, "SIGNONSENSE")))
        assert.is_false((pcall(WaitForSignal, tasklet.signals, "hangup")))
        assert_raises_naming("SIGNONSENSE", WaitForSignal, tasklet.signals, "SIGNONSENSE")
    end)

    it("4.4 in plain Lua and in the host, from outside", function()
        local script = [[
            local tasklet = require "tasklet"
            io.stdout:setvbuf("no")
            tasklet.run(function()
                local condition = tasklet.WaitForSignal(tasklet.signals, "SIGHUP")
                print(tasklet.wait(condition, tasklet.WaitForTimeout(10000)) == condition)
                tasklet.mainloop.quit(7)
            end)
            print("ready")
            os.exit(tasklet.mainloop.run(), true)
        ]]
        for _, run in ipairs { helper.plain, helper.run_file } do
            local result = run(script, { real_time = true, after = "ready", signal = "HUP" })
            assert.equal("ready\ntrue\n", result.stdout)
            assert.equal("", result.stderr)
            assert.equal(7, result.status)
        end
    end)
end)
