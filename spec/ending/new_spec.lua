-- Tasklets that are made first and begin later (contract 2.3).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet, WaitForCall = tasklet.Tasklet, tasklet.WaitForCall

local function within(body)
    return function() helper.within_loop(body) end
end

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text, ...)
    local chunk = assert(load("local tasklet, a, b = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet, ...)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

--- That it raises a TaskletError at the line of `text`.
local function check_refused(text, ...)
    local err = raised(text, ...)
    assert.is_true(tasklet.TaskletError:is(err), text .. ": " .. tostring(err))
    assert.is_truthy(tostring(err):match("^there:2: ."), text .. ": " .. tostring(err))
end

local function killed(t)
    local ok, err = pcall(tasklet.join, t, 5)
    return not ok and tasklet.JoinError:is(err) and tasklet.TaskletExit:is(err.cause)
end

describe("a new tasklet", function()
    it("2.3 does not run by itself", within(function()
        local log = {}
        local t = tasklet.new(function() log[#log + 1] = "ran" end)
        tasklet.yield_()
        tasklet.sleep(0.005)
        assert.same({}, log)
        assert.is_false(t:has_finished())
        assert.equal(Tasklet.STATE_SUSPENDED, t.state)
        assert.is_nil(t.return_value)
        t:kill()
    end))

    it("2.3 is made by the class, too", function()
        assert.is_true(rawequal(tasklet.new, Tasklet.new))
    end)

    it("2.3 may be made of a fresh coroutine", within(function()
        local t = tasklet.new(coroutine.create(function(...)
            tasklet.sleep(0)
            return ...
        end))
        t(1, nil, 3)
        assert.same({1, nil, 3, n = 3}, table.pack(tasklet.join(t, 30)))
    end))

    it("2.3 that is merely made does not keep the program alive", function()
        local script = [[
            local tasklet = require "tasklet"
            local t = tasklet.new(function() print("ran") end)
            tasklet.new(function() print("ran") end)
            tasklet.mainloop.run()
            print(t:has_finished())
        ]]
        for _, run in ipairs{helper.plain, helper.run_file} do
            local result = run(script)
            assert.same({"false\n", "", 0}, {result.stdout, result.stderr, result.status})
        end
    end)
end)

describe("calling a new tasklet", function()
    it("2.3 gives it its arguments and returns it", within(function()
        local got
        local t = tasklet.new(function(...)
            got = table.pack(...)
            return "result", ...
        end)
        assert.equal(t, t(1, nil, "three", nil))
        assert.is_nil(got)
        assert.same({"result", 1, nil, "three", nil, n = 5}, table.pack(tasklet.join(t, 30)))
        assert.same({1, nil, "three", nil, n = 4}, got)
        local none = tasklet.new(function(...) return select("#", ...) end)
        assert.equal(0, tasklet.join(none(), 5))
    end))

    it("2.3 lets the caller go on; it runs when the caller waits", within(function()
        local log = {}
        local t = tasklet.new(function(name) log[#log + 1] = name end)
        t("called")
        log[#log + 1] = "caller"
        assert.same({"caller"}, log)
        tasklet.yield_()
        assert.same({"caller", "called"}, log)
        assert.is_true(t:has_finished())
    end))

    it("2.3 puts it at the end of the run queue", within(function()
        local log = {}
        local function note(name)
            return function() log[#log + 1] = name end
        end
        local last = tasklet.new(note("last"))
        local ready = tasklet.run(function()
            tasklet.yield_()
            log[#log + 1] = "ready"
        end)
        for i = 1, 3 do
            tasklet.new(note(i))()
        end
        last()
        assert.same({}, log)
        tasklet.join(last, 30)
        assert.same({"ready", 1, 2, 3, "last"}, log)
        assert.is_true(ready:has_finished())
    end))

    it("2.5 needs no reference to it any more", within(function()
        local log = {}
        tasklet.new(function(name)
            tasklet.sleep(0.005)
            log[#log + 1] = name
        end)("ran")
        collectgarbage()
        collectgarbage()
        tasklet.sleep(0.02)
        assert.same({"ran"}, log)
    end))

    it("2.3 outside of any tasklet has it run by the loop, and keeps the program alive", function()
        local script = [[
            local tasklet = require "tasklet"
            tasklet.new(function(...)
                print("first", ...)
                tasklet.sleep(0.01)
                print("second")
            end)(1, nil, 3)
            print("called")
            tasklet.mainloop.run()
        ]]
        for _, run in ipairs{helper.plain, helper.run_file} do
            local result = run(script)
            assert.same({"called\nfirst\t1\tnil\t3\nsecond\n", "", 0},
                {result.stdout, result.stderr, result.status})
        end
    end)

    it("2.3 from a callback of luv works, too", within(function()
        local uv = require "luv"
        local t = tasklet.new(function(...) return ... end)
        local timer = uv.new_timer()
        timer:start(0, 0, function()
            timer:close()
            t("from a callback")
        end)
        assert.equal("from a callback", tasklet.join(t, 30))
    end))

    it("2.3 makes a thousand run, in order", within(function()
        local log, last = {}, nil
        for i = 1, 1000 do
            last = tasklet.new(function(n) log[#log + 1] = n end)
            last(i)
        end
        tasklet.join(last, 30)
        assert.equal(1000, #log)
        for i = 1, 1000 do
            assert.equal(i, log[i])
        end
    end))

    it("7.1 raises if it was called already, waits, or has ended", within(function()
        local gate = WaitForCall()
        local t = tasklet.new(function() tasklet.wait(gate) end)
        t()
        check_refused("a()", t)
        check_refused("a:start()", t)
        tasklet.yield_()
        check_refused("a()", t)
        check_refused("a:start()", t)
        gate()
        assert.is_true(t:has_finished())
        check_refused("a()", t)
        check_refused("a:start()", t)
        check_refused("a()", tasklet.current())
        check_refused("a()", tasklet.run(function() end))
    end))

    it("7.1 raises if it was killed before", within(function()
        local t = tasklet.new(function() error("ran") end)
        t:kill()
        check_refused("a()", t)
        check_refused("a:start()", t)
    end))
end)

describe("start", function()
    it("2.3 gives the arguments and runs it at once, up to its first wait", within(function()
        local log = {}
        local t = tasklet.new(function(...)
            log[#log + 1] = table.pack(...)
            tasklet.yield_()
            log[#log + 1] = "went on"
        end)
        assert.equal(t, t:start(1, nil))
        assert.same({{1, nil, n = 2}}, log)
        tasklet.join(t, 30)
        assert.equal("went on", log[2])
    end))

    it("2.3 returns one that has ended or failed by then", within(function()
        local t = tasklet.new(function() return "result" end)
        t:start()
        assert.is_true(t:has_finished())
        assert.equal("result", t.return_value)
        local failing = tasklet.new(error)
        failing:start("failed", 0)
        assert.is_true(failing:has_finished())
        local ok, err = pcall(tasklet.join, failing)
        assert.is_false(ok)
        assert.equal("failed", err.cause)
    end))

    it("2.3 outside of any tasklet runs it at once, too", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            tasklet.new(function(...)
                print("begins", ...)
                tasklet.sleep(0)
                print("ends")
            end):start(1, 2)
            print("started")
            tasklet.mainloop.run()
        ]]
        assert.same({"begins\t1\t2\nstarted\nends\n", "", 0},
            {result.stdout, result.stderr, result.status})
    end)
end)

describe("an unbound tasklet", function()
    it("2.3 is bound later", within(function()
        local t = tasklet.new()
        assert.is_false(t:has_finished())
        t:bind(function(...) return ... end)
        tasklet.yield_()
        assert.is_false(t:has_finished())
        t("one", "two")
        assert.same({"one", "two"}, {tasklet.join(t, 30)})
        local started = tasklet.new()
        started:bind(function(x) return x end)
        started:start("x")
        assert.equal("x", started.return_value)
    end))

    it("2.3 may have options", within(function()
        local t = tasklet.new(nil, {name = "the name", daemon = true})
        assert.equal("the name", t.name)
        assert.is_true(t.daemon)
    end))

    it("7.1 raises when it is called or started", within(function()
        check_refused("a()", tasklet.new())
        check_refused("a:start()", tasklet.new())
    end))

    it("6.4 just ends when it is killed", within(function()
        local t = tasklet.new()
        t:kill()
        assert.is_true(t:has_finished())
        assert.is_true(killed(t))
    end))
end)

describe("the options of new", function()
    it("2.3 are name, daemon and max_mailbox_len", within(function()
        local t = tasklet.new(function() end, {
            name = "the name", daemon = true, max_mailbox_len = 3,
        })
        assert.equal("the name", t.name)
        assert.is_true(t.daemon)
        assert.is_falsy(tasklet.new(function() end).daemon)
    end))

    it("2.3 are bound to the tasklet when it is made, not to the table", within(function()
        local options = {name = "one"}
        local one = tasklet.new(function() end, options)
        options.name = "two"
        local two = tasklet.new(function() end, options)
        assert.equal("one", one.name)
        assert.equal("two", two.name)
        assert.same({name = "two"}, options)
    end))

    it("1.4 that are unknown are named with the known ones", within(function()
        local err = raised("tasklet.new(print, {wrong = 1})")
        assert.equal("string", type(err), tostring(err))
        assert.is_truthy(err:match("^there:2: "), err)
        for _, name in ipairs{"wrong", "name", "daemon", "max_mailbox_len"} do
            assert.is_truthy(err:find(name, 1, true), err)
        end
    end))

    for _, text in ipairs{
        "tasklet.new(5)",
        "tasklet.new('text')",
        "tasklet.new({})",
        "tasklet.new(print, 5)",
        "tasklet.new(print, 'name')",
        "tasklet.new(print, {name = {}})",
        "tasklet.new(print, {max_mailbox_len = 'x'})",
        "tasklet.new(print, {max_mailbox_len = {}})",
        "tasklet.new(print, {max_mailbox_len = 0})",
        "tasklet.new(print, {max_mailbox_len = -1})",
        "tasklet.new(print, {max_mailbox_len = 1.5})",
    } do
        it("1.4 raises at the caller's line: " .. text, within(function()
            local err = raised(text)
            assert.equal("string", type(err), tostring(err))
            assert.is_truthy(err:match("^there:2: "), err)
        end))
    end
end)

describe("a tasklet that has not begun", function()
    for how, prepare in pairs{
        ["merely bound"] = function() end,
        ["called already"] = function(t) t("argument") end,
    } do
        it("6.4 just ends when it is killed: " .. how, within(function()
            local log = {}
            local t = tasklet.new(function() log[#log + 1] = "ran" end)
            t:add_join_callback(function(...) log[#log + 1] = table.pack(...) end, "extra")
            prepare(t)
            t:kill()
            assert.is_true(t:has_finished())
            assert.is_true(killed(t))
            assert.is_true(killed(t))
            tasklet.sleep(0.005)
            assert.equal(1, #log)
            assert.same({t, nil, "extra", n = 3}, log[1])
        end))

        it("6.2 wakes its joiners when it is killed: " .. how, within(function()
            local t = tasklet.new(function() end)
            local joiners = {}
            for i = 1, 3 do
                joiners[i] = tasklet.run(killed, t)
            end
            local waiter = tasklet.run(function()
                return tasklet.TaskletExit:is(tasklet.wait(t).error)
            end)
            prepare(t)
            t:kill()
            for i = 1, 3 do
                assert.is_true(tasklet.join(joiners[i], 30))
            end
            assert.is_true(tasklet.join(waiter, 30))
        end))

        it("6.4 is collected after it was killed: " .. how, within(function()
            local weak = setmetatable({}, {__mode = "k"})
            local function kill_one()
                local t = tasklet.new(function() end)
                weak[t] = true
                prepare(t)
                t:kill()
            end
            for _ = 1, 3 do
                kill_one()
            end
            tasklet.yield_()
            for _ = 1, 4 do
                collectgarbage()
            end
            assert.is_nil((next(weak)))
        end))
    end

    it("6.2 can be joined in advance", within(function()
        local t = tasklet.new(function(...)
            tasklet.sleep(0)
            return ...
        end)
        local joiner = tasklet.run(function() return tasklet.join(t) end)
        local ok, err = pcall(tasklet.join, t, 0.005)
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        t("result", 2)
        assert.same({"result", 2}, {tasklet.join(joiner, 30)})
    end))

    it("5.4 keeps the messages that it is sent", within(function()
        local t = tasklet.new(function()
            local values = {}
            for i = 1, 3 do
                values[i] = tasklet.current().mailbox:popleft(5).value
            end
            return values
        end)
        tasklet.send(t, "name", 1)
        t.mailbox:append(tasklet.Message("name", {value = 2}))
        assert.equal(2, #t.mailbox)
        t()
        tasklet.send(t, "name", 3)
        assert.same({1, 2, 3}, tasklet.join(t, 30))
    end))

    it("2.3 does no harm when the program ends", function()
        local script = [[
            local tasklet = require "tasklet"
            kept = {tasklet.new(print), tasklet.new(), tasklet.new(print, {daemon = true})}
            local called = tasklet.new(function() end)
            called()
            os.exit(0, true)
        ]]
        for _, run in ipairs{helper.plain, helper.run_file} do
            local result = run(script)
            assert.same({"", "", 0}, {result.stdout, result.stderr, result.status})
        end
    end)
end)

describe("a failure of one that was called", function()
    it("2.6 is reported if nobody looks at it", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.new(function() error("because") end)()
            tasklet.sleep(0.01)
            print("went on")
        ]]
        assert.is_truthy(result.stderr:find(":2: because", 1, true), result.stderr)
        assert.is_truthy(result.stderr:find("stack traceback:", 1, true), result.stderr)
        assert.same({"went on\n", 1}, {result.stdout, result.status})
    end)
end)
