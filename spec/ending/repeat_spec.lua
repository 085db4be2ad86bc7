-- Doing something later, again and again, or for each message (contract 6.3).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local now = tasklet.mainloop.now

local function within(body)
    return function() helper.within_loop(body) end
end

--- Waits until `f` is true; fails after ten seconds.
local function eventually(f, what)
    local limit = now() + 10000
    while not f() do
        assert(now() < limit, what or "it never came")
        tasklet.sleep(0.001)
    end
end

--- Runs `text` as line 2 of a chunk named "there" and returns what it raised.
local function raised(text, ...)
    local chunk = assert(load("local tasklet, a, b = ...\n" .. text, "=there"))
    local ok, err = pcall(chunk, tasklet, ...)
    assert.is_false(ok, "did not raise: " .. text)
    return err
end

-- How each is made so that it calls `f` soon, and (but for `later`) again and again. `feed` does
-- what makes it be called once more.
local makers = {
    later = {make = function(f, opts) return tasklet.later(0.002, f, opts) end, once = true},
    interval = {make = function(f, opts) return tasklet.interval(0.002, f, opts) end},
    ["interval, immediate"] = {make = function(f, opts)
        local copy = {immediate = true}
        for k, v in pairs(opts or {}) do
            copy[k] = v
        end
        return tasklet.interval(0.002, f, copy)
    end},
    rate = {make = function(f, opts)
        return tasklet.rate(500, function(_, ...) return f(...) end, opts)
    end},
    loop = {make = function(f, opts)
        return tasklet.loop(function(...)
            tasklet.sleep(0.001)
            return f(...)
        end, opts)
    end},
    receiver = {
        make = function(f, opts)
            return tasklet.receiver(function(_, ...) return f(...) end, opts)
        end,
        feed = function(t) tasklet.send(t, "name") end,
    },
}

local function feed(maker, t)
    if maker.feed and not t:has_finished() then
        maker.feed(t)
    end
end

--- Feeds until `f` is true.
local function fed(maker, t, f)
    eventually(function()
        feed(maker, t)
        return f()
    end)
end

describe("sleep", function()
    it("6.3 lasts its time", within(function()
        for _, seconds in ipairs{0, 0.001, 0.0125, 0.03} do
            local before = now()
            tasklet.sleep(seconds)
            assert.equal(seconds * 1000, now() - before)
        end
    end))

    it("6.3 returns nothing", within(function()
        assert.equal(0, select("#", tasklet.sleep(0)))
        assert.equal(0, select("#", tasklet.sleep(0.001)))
        assert.equal(0, select("#", tasklet.yield_()))
    end))

    it("6.3 of many end in the order of their ends", within(function()
        local order, all = {}, {}
        for i = 1, 20 do
            all[i] = tasklet.run(function()
                tasklet.sleep(0.002 * (21 - i))
                order[#order + 1] = 21 - i
            end)
        end
        tasklet.join_all(all, 10)
        for i = 1, 20 do
            assert.equal(i, order[i])
        end
    end))
end)

describe("yield_", function()
    it("6.3 lets all others that are ready run, in turn", within(function()
        local log, all = {}, {}
        for i = 1, 3 do
            all[i] = tasklet.run(function()
                for round = 1, 3 do
                    log[#log + 1] = round .. "." .. i
                    tasklet.yield_()
                end
            end)
        end
        tasklet.join_all(all, 5)
        assert.same({"1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "3.1", "3.2", "3.3"}, log)
    end))

    it("3.8 keeps neither timers nor descriptors from being served", within(function()
        local uv = require "luv"
        local pipe, stop = uv.pipe(), false
        local spinner = tasklet.run(function()
            for _ = 1, 1000000 do
                tasklet.yield_()
                if stop then
                    break
                end
            end
            return stop
        end)
        tasklet.sleep(0)
        uv.fs_write(pipe.write, "x")
        local input = tasklet.WaitForIO(pipe.read)
        tasklet.wait(input)
        stop = true
        assert.is_true(tasklet.join(spinner))
        uv.fs_close(pipe.read)
        uv.fs_close(pipe.write)
    end))
end)

for name, maker in pairs(makers) do
    describe(name, function()
        it("6.3 returns a tasklet that has not been started", within(function()
            local called = false
            local t = maker.make(function() called = true end)
            feed(maker, t)
            tasklet.sleep(0.02)
            assert.is_false(called)
            assert.is_false(t:has_finished())
            assert.equal(tasklet.current(), t:parent())
            t:kill()
            assert.is_true(t:has_finished())
        end))

        it("6.3 is started by calling it, which returns it", within(function()
            local count = 0
            local t = maker.make(function() count = count + 1 end)
            assert.equal(t, t())
            assert.equal(0, count)
            fed(maker, t, function() return count >= (maker.once and 1 or 3) end)
            if maker.once then
                tasklet.join(t, 30)
                tasklet.sleep(0.01)
                assert.equal(1, count)
            end
            t:kill()
        end))

        it("6.3 gives the arguments of the call to each call", within(function()
            local calls = {}
            local t = maker.make(function(...) calls[#calls + 1] = table.pack(...) end)
            t("one", nil, 3)
            fed(maker, t, function() return #calls >= (maker.once and 1 or 2) end)
            t:kill()
            for _, call in ipairs(calls) do
                assert.same({"one", nil, 3, n = 3}, call)
            end
        end))

        it("6.3 takes the options of new", within(function()
            local t = maker.make(function() end, {name = "the name", daemon = true})
            assert.equal("the name", t.name)
            assert.is_true(t.daemon)
            assert.is_nil(t:parent())
        end))

        it("6.3 killed before it was called, or between calls, ends", within(function()
            local count = 0
            local t = maker.make(function() count = count + 1 end)
            t:kill()
            assert.is_true(t:has_finished())
            t = maker.make(function() count = count + 1 end)
            t()
            t:kill()
            assert.is_true(t:has_finished())
            tasklet.sleep(0.01)
            assert.equal(0, count)
            if not maker.once then
                t = maker.make(function() count = count + 1 end)
                t()
                fed(maker, t, function() return count >= 1 end)
                t:kill()
                assert.is_true(t:has_finished())
                local after = count
                tasklet.sleep(0.01)
                assert.equal(after, count)
            end
        end))

        it("6.3 ends by a kill while its function waits", within(function()
            local count = 0
            local t = maker.make(function()
                count = count + 1
                tasklet.sleep(600)
            end)
            t()
            fed(maker, t, function() return count == 1 end)
            t:kill()
            assert.is_true(t:has_finished())
            tasklet.sleep(0.01)
            assert.equal(1, count)
        end))

        it("6.3 ends by a kill that its function swallows, at the next wait", within(function()
            local count, seen = 0, nil
            local t = maker.make(function()
                count = count + 1
                local ok, err = pcall(tasklet.sleep, 600)
                seen = not ok and tasklet.TaskletExit:is(err)
            end)
            t()
            fed(maker, t, function() return count == 1 end)
            t:kill()
            assert.is_true(seen)
            eventually(function() return t:has_finished() end)
        end))

        it("6.3 ends when its function kills it", within(function()
            local count = 0
            local t = maker.make(function()
                count = count + 1
                tasklet.current():kill()
            end)
            t()
            fed(maker, t, function() return count == 1 end)
            eventually(function() return t:has_finished() end)
            assert.equal(1, count)
        end))

        if not maker.once then
            it("6.3 goes on when its function survives a kill", within(function()
                local count, waiting = 0, false
                local t = maker.make(function()
                    count = count + 1
                    if count == 1 then
                        waiting = true
                        pcall(tasklet.sleep, 600)
                        tasklet.survive()
                    end
                end)
                t()
                fed(maker, t, function() return waiting end)
                t:kill()
                assert.is_false(t:has_finished())
                fed(maker, t, function() return count >= 3 end)
                t:kill()
            end))
        end

        it("6.1 has its function's name or place", within(function()
            local function worker() end
            local line = debug.getinfo(worker, "S").linedefined
            local t
            if name == "later" then
                t = tasklet.later(60, worker)
            elseif name == "loop" then
                t = tasklet.loop(worker)
            elseif name == "receiver" then
                t = tasklet.receiver(worker)
            elseif name == "rate" then
                t = tasklet.rate(1, worker)
            else
                t = tasklet.interval(60, worker)
            end
            assert.is_truthy(t.name:find("repeat_spec.lua:" .. line, 1, true)
                or t.name:find("worker", 1, true), t.name)
        end))
    end)
end

describe("later", function()
    it("6.3 calls its function once, not before its time", within(function()
        local before, called = now(), nil
        local t = tasklet.later(0.02, function() called = now() end)
        t()
        assert.is_nil(called)
        tasklet.join(t, 10)
        assert.equal(20, called - before)
    end))

    it("6.3 counts from when it runs, not from when it was made", within(function()
        local called
        local t = tasklet.later(0.02, function() called = now() end)
        tasklet.sleep(0.03)
        local before = now()
        t:start()
        tasklet.join(t, 10)
        assert.equal(20, called - before)
    end))

    it("6.3 may be put off by killing it", within(function()
        local called = false
        local t = tasklet.later(0.01, function() called = true end)
        t()
        tasklet.yield_()
        t:kill()
        tasklet.sleep(0.02)
        assert.is_false(called)
    end))
end)

describe("interval", function()
    it("6.3 waits first", within(function()
        local before, first = now(), nil
        local t = tasklet.interval(0.02, function() first = first or now() end)
        t:start()
        eventually(function() return first end)
        t:kill()
        assert.equal(20, first - before)
    end))

    it("6.3 calls at once if it is immediate", within(function()
        local count = 0
        local t = tasklet.interval(600, function() count = count + 1 end, {immediate = true})
        t:start()
        assert.equal(1, count)
        tasklet.sleep(0.01)
        assert.equal(1, count)
        t:kill()
    end))

    it("6.3 does not call at once if it is not immediate", within(function()
        local count = 0
        local t = tasklet.interval(600, function() count = count + 1 end, {immediate = false})
        t:start()
        tasklet.sleep(0.01)
        assert.equal(0, count)
        t:kill()
    end))

    for _, immediate in ipairs{true, false} do
        it("6.3 counts from the end of its function, immediate: " .. tostring(immediate),
            within(function()
                local calls = {}
                local t = tasklet.interval(0.01, function()
                    local call = {begun = now()}
                    tasklet.sleep(0.015)
                    call.ended = now()
                    calls[#calls + 1] = call
                end, {immediate = immediate})
                t:start()
                eventually(function() return #calls >= 4 end)
                t:kill()
                for i = 2, 4 do
                    assert.equal(10, calls[i].begun - calls[i - 1].ended)
                end
            end))
    end
end)

describe("rate", function()
    --- Calls at a rate of `hz`. `f(k, lateness)` gets the number of the call, from 0, and by how
    --- many milliseconds it is behind its schedule; it ends all by returning true. Returns the
    --- least lateness of all. The schedule begins when the tasklet is started, with or without a
    --- period before the first call.
    local function run(hz, f)
        local start, k, stopped, least, phase = nil, -1, false, math.huge, nil
        local t = tasklet.rate(hz, function()
            local lateness = now() - start - (k + 1) * 1000 / hz
            k = k + 1
            least = math.min(least, lateness)
            phase = phase or (lateness >= 900 / hz and 1000 / hz or 0)
            if not stopped then
                stopped = f(k, lateness - phase)
            end
        end)
        start = now()
        t:start()
        local limit = now() + 70000
        while not stopped do
            assert(now() < limit and not t:has_finished(), "it is not called any more")
            tasklet.sleep(0.005)
        end
        t:kill()
        return least
    end

    it("6.3 passes the time, which does not go back", within(function()
        local times, args = {}, {}
        local t = tasklet.rate(500, function(time, ...)
            times[#times + 1] = time
            args = {...}
        end)
        t("an argument")
        eventually(function() return #times >= 5 end)
        t:kill()
        for i = 2, 5 do
            assert.equal("number", type(times[i]))
            assert.is_true(times[i] > times[i - 1])
        end
        assert.same({"an argument"}, args)
    end))

    it("6.3 is never ahead of its schedule", within(function()
        local least = run(200, function(k) return k >= 40 end)
        assert.is_true(least >= -0.001 * 40 * 5 - 0.5, tostring(least))
    end))

    it("6.3 catches up after a slow call", within(function()
        local period, slow, lag, caught_up = 5, 8, nil, nil
        local limit = now() + 10000
        run(1000 / period, function(k, lateness)
            if k == 5 then
                tasklet.sleep(slow * period / 1000)
            elseif k == 6 then
                lag = lateness
            elseif k > 6 and lateness < 2.5 * period then
                caught_up = k
            end
            return caught_up or now() > limit
        end)
        assert.is_true(lag >= 5 * period, tostring(lag))
        assert.is_not_nil(caught_up)
    end))

    it("6.3 counts calls that fail, too", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local now, count, start, t = tasklet.mainloop.now, 0, nil, nil
            t = tasklet.rate(200, function()
                count = count + 1
                if count == 20 then
                    print("20 calls", now() - start >= 19 * 5 - 0.5)
                    t:kill()
                end
                error("on purpose")
            end)
            start = now()
            t()
            pcall(tasklet.join, t)
        ]])
        assert.equal("20 calls\ttrue\n", result.stdout, result.stderr)
    end)

    --- Lets calls cost up to 80 % of the period, until one of them, the `least`th or later, is as
    --- near to its schedule as 0.1 % of what has passed. On a loaded machine calls come late; those
    --- cost nothing, so that it can catch up. When the machine stood still, all begins anew.
    local function check_long_run(hz, least, cost)
        local period, found = 1000 / hz, nil
        for _ = 1, 5 do
            local ahead = run(hz, function(k, lateness)
                if k >= least and lateness <= 0.001 * k * period then
                    found = k
                end
                if lateness < period then
                    cost((k * 7 % 11) / 10 * 0.8 * period)
                end
                return found or lateness > 500 or k > 10 * least
            end)
            assert.is_true(ahead >= -0.001 * least * period - 0.5, tostring(ahead))
            if found then
                break
            end
        end
        assert.is_not_nil(found)
    end

    it("6.3 holds its frequency over 1,000 periods while its function computes #slow",
        within(function()
            check_long_run(500, 1000, function(milliseconds)
                helper.compute(milliseconds)
            end)
        end))

    it("6.3 holds its frequency over 1,000 periods while its function sleeps",
        within(function()
            check_long_run(100, 1000, function(milliseconds)
                tasklet.sleep(milliseconds / 1000)
            end)
        end))
end)

describe("receiver", function()
    it("6.3 is called with each message, in order", within(function()
        local got = {}
        local t = tasklet.receiver(function(message, ...)
            got[#got + 1] = {message.name, message.value, ...}
        end)
        tasklet.send(t, "before", 1)
        t("x", "y")
        tasklet.yield_()
        tasklet.send(t, "after", 2)
        tasklet.send(t, "after", 3)
        assert.same({
            {"before", 1, "x", "y"}, {"after", 2, "x", "y"}, {"after", 3, "x", "y"},
        }, got)
        t:kill()
    end))

    it("6.3 gets the message itself, which can be replied to", within(function()
        local t = tasklet.receiver(function(message)
            assert(message.sender)
            message:reply(message.value * 2)
        end)
        t:start()
        assert.equal(42, tasklet.call(t, "double", 21, 5))
        t:kill()
    end))

    it("6.3 keeps what comes while its function waits", within(function()
        local got, gate = {}, tasklet.WaitForCall()
        local t = tasklet.receiver(function(message)
            got[#got + 1] = message.value
            if #got == 1 then
                tasklet.wait(gate)
            end
        end)
        t:start()
        for i = 1, 4 do
            tasklet.send(t, "name", i)
        end
        assert.same({1}, got)
        gate()
        eventually(function() return #got == 4 end)
        assert.same({1, 2, 3, 4}, got)
        t:kill()
    end))
end)

describe("an error in a repeated function", function()
    -- What makes the tasklet `t` of `fail(n)`, n being the number of the call.
    for name, make in pairs{
        interval = "tasklet.interval(0.005, function() fail() end)",
        ["interval, immediate"] =
            "tasklet.interval(0.005, function() fail() end, {immediate = true})",
        rate = "tasklet.rate(200, function() fail() end)",
        receiver = "tasklet.receiver(function() fail() end)",
    } do
        it("6.3 is logged with its traceback, and the repetition goes on: " .. name, function()
            local result = helper.run_file([[
                local tasklet = require "tasklet"
                local count, done = 0, tasklet.WaitForCall()
                local function fail()
                    count = count + 1
                    if count == 4 then
                        done()
                    elseif count == 2 then
                        return
                    end
                    error("failure " .. count)
                end
                local t = ]] .. make .. [[

                t()
                tasklet.yield_()
                if ]] .. tostring(name == "receiver") .. [[ then
                    tasklet.run(function()
                        for _ = 1, 4 do
                            tasklet.sleep(0)
                            tasklet.send(t, "name")
                        end
                    end)
                end
                tasklet.wait(done)
                tasklet.sleep(0)
                print(count >= 4, t:has_finished())
                t:kill()
            ]])
            assert.equal("true\tfalse\n", result.stdout, result.stderr)
            for _, n in ipairs{1, 3, 4} do
                assert.is_truthy(result.stderr:find("failure " .. n, 1, true), result.stderr)
            end
            assert.is_truthy(result.stderr:find("stack traceback:", 1, true), result.stderr)
            assert.is_truthy(result.stderr:find("'fail'", 1, true), result.stderr)
        end)
    end

    it("6.3 is logged, and loop pauses a second after it", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local now = tasklet.mainloop.now
            local count, failed, t = 0, nil, nil
            t = tasklet.loop(function()
                tasklet.sleep(0)
                count = count + 1
                if count == 3 then
                    failed = now()
                    error("because")
                elseif count == 4 then
                    print("again", now() - failed >= 1000)
                    t:kill()
                end
            end)
            t()
            pcall(tasklet.join, t)
        ]])
        assert.equal("again\ttrue\n", result.stdout, result.stderr)
        assert.is_truthy(result.stderr:find(":9: because", 1, true), result.stderr)
        assert.is_truthy(result.stderr:find("stack traceback:", 1, true), result.stderr)
    end)

    it("6.3 may be of any type", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local values = {
                setmetatable({}, {__tostring = function() return "readable" end}), {}, 42, false,
                tasklet.TimeoutError("too late"),
            }
            local count = 0
            local t = tasklet.interval(0.001, function()
                count = count + 1
                if count <= #values then
                    error(values[count], 0)
                elseif count == #values + 1 then
                    error(nil)
                end
            end)
            t()
            while count < #values + 2 do
                tasklet.sleep(0.001)
            end
            print("went on")
            t:kill()
        ]])
        assert.equal("went on\n", result.stdout, result.stderr)
        for _, text in ipairs{"readable", "42", "too late"} do
            assert.is_truthy(result.stderr:find(text, 1, true), result.stderr)
        end
    end)

    it("6.3 lets loop be killed in its pause", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local count = 0
            local t = tasklet.loop(function()
                count = count + 1
                error("because")
            end)
            t:start()
            tasklet.sleep(0.01)
            t:kill()
            print(count, t:has_finished())
        ]]
        assert.equal("1\ttrue\n", result.stdout, result.stderr)
    end)
end)

describe("a wrong argument", function()
    for _, row in ipairs{
        {"tasklet.later('x', print)", 1, "later"},
        {"tasklet.later(nil, print)", 1, "later"},
        {"tasklet.later(0/0, print)", 1, "later"},
        {"tasklet.later(1, nil)", 2, "later"},
        {"tasklet.later(1, 5)", 2, "later"},
        {"tasklet.later(1, print, 5)", 3, "later"},
        {"tasklet.interval('x', print)", 1, "interval"},
        {"tasklet.interval(0/0, print)", 1, "interval"},
        {"tasklet.interval(1, 'x')", 2, "interval"},
        {"tasklet.interval(1, print, 'x')", 3, "interval"},
        {"tasklet.rate('x', print)", 1, "rate"},
        {"tasklet.rate(0, print)", 1, "rate"},
        {"tasklet.rate(-1, print)", 1, "rate"},
        {"tasklet.rate(0/0, print)", 1, "rate"},
        {"tasklet.rate(1, nil)", 2, "rate"},
        {"tasklet.rate(1, print, 5)", 3, "rate"},
        {"tasklet.loop(nil)", 1, "loop"},
        {"tasklet.loop(5)", 1, "loop"},
        {"tasklet.loop(print, 5)", 2, "loop"},
        {"tasklet.receiver(nil)", 1, "receiver"},
        {"tasklet.receiver({})", 1, "receiver"},
        {"tasklet.receiver(print, 5)", 2, "receiver"},
    } do
        local text, index, name = table.unpack(row)
        it("1.4 raises at the caller's line: " .. text, within(function()
            local err = raised(text)
            assert.equal("string", type(err), tostring(err))
            assert.is_truthy(err:match(("^there:2: bad argument #%d to '%s' "):format(index, name)),
                err)
        end))
    end

    for _, text in ipairs{
        "tasklet.later(1, print, {wrong = 1})", "tasklet.interval(1, print, {wrong = 1})",
        "tasklet.rate(1, print, {wrong = 1})", "tasklet.loop(print, {wrong = 1})",
        "tasklet.receiver(print, {wrong = 1})",
    } do
        it("1.4 that is an unknown option is named with the known ones: " .. text,
            within(function()
                local err = raised(text)
                assert.equal("string", type(err), tostring(err))
                assert.is_truthy(err:match("^there:2: "), err)
                local known = {"wrong", "name", "daemon"}
                if text:find("interval", 1, true) then
                    known[#known + 1] = "immediate"
                end
                for _, name in ipairs(known) do
                    assert.is_truthy(err:find(name, 1, true), err)
                end
            end))
    end
end)
