-- luacheck: ignore 631
local tasklet = require "tasklet"
local helper = require "spec.helper"

--- A tasklet in the run queue that uses about `count` instructions and returns `result`.
local function worker(count, result)
    return tasklet.new(function()
        for _ = 1, count do -- an instruction each
        end
        return result
    end)()
end

--- One that never ends by itself.
local function spinner()
    return tasklet.new(function()
        while true do -- spins
        end
    end)()
end

describe("pump", function()
    it("7.6 runs what is runnable until nothing is, and returns nil", function()
        helper.within_loop(function()
            local log = {}
            for i = 1, 3 do
                tasklet.new(function()
                    for turn = 1, 2 do
                        log[#log + 1] = i .. "." .. turn
                        tasklet.schedule()
                    end
                end)()
            end
            assert.is_nil(tasklet.pump())
            assert.same({"1.1", "2.1", "3.1", "1.2", "2.2", "3.2"}, log)
            assert.is_nil(tasklet.pump())
            assert.is_nil(tasklet.pump(1000))
        end)
    end)

    it("7.6 works outside any tasklet", function()
        local t = worker(10, "done")
        assert.is_nil(tasklet.pump())
        assert.equal("done", t.return_value)
        local s = spinner()
        assert.equal(s, tasklet.pump(10000))
        assert.is_true(s.paused)
        s:kill()
    end)

    it("7.6 does not wait for the loop: who waits for it stays", function()
        helper.within_loop(function()
            local sleeping = tasklet.new(function() tasklet.sleep(60) end)()
            local waiting = tasklet.new(function()
                tasklet.wait(tasklet.WaitForTimeout(60000))
            end)()
            local mail = tasklet.new(function() tasklet.current().mailbox:popleft() end)()
            local idle = tasklet.new(function() tasklet.wait(tasklet.WaitForIdle()) end)()
            local start = tasklet.mainloop.now()
            assert.is_nil(tasklet.pump(1000000))
            assert.equal(start, tasklet.mainloop.now())
            for _, t in ipairs{sleeping, waiting, mail, idle} do
                assert.is_true(t.blocked)
                t:kill()
            end
        end)
    end)

    it("7.6 wakes those who wait for what it runs", function()
        helper.within_loop(function()
            local first = worker(10, 1)
            local joiner = tasklet.new(function() return tasklet.join(first) + 1 end)()
            local waiter = tasklet.new(function() return tasklet.wait(joiner).retval + 1 end)()
            assert.is_nil(tasklet.pump())
            assert.equal(3, waiter.return_value)
        end)
    end)

    it("7.6 keeps errors with their tasklets", function()
        helper.within_loop(function()
            local failing = tasklet.new(error)("broken", 0)
            local after = worker(10, "fine")
            assert.is_nil(tasklet.pump(100000))
            assert.equal("fine", after.return_value)
            local ok, err = pcall(tasklet.join, failing)
            assert.is_false(ok)
            assert.equal("broken", err.cause)
        end)
    end)

    it("7.6 leaves what a paused one does alone", function()
        helper.within_loop(function()
            local t = worker(10)
            t:remove()
            assert.is_nil(tasklet.pump())
            assert.is_true(t.paused)
            t:kill()
        end)
    end)

    it("7.6 refuses a budget that is none", function()
        for _, budget in ipairs{0, -1, 1.5, "x", {}, false, 0 / 0, 1e300} do
            local ok, err = pcall(function() tasklet.pump(budget) end)
            assert.is_false(ok)
            assert.is_truthy(err:find("^spec/queue/pump_spec.lua:%d+: bad argument #1 to 'pump'"), err)
        end
    end)

    it("7.6 may be called from a callback of the loop", function()
        helper.within_loop(function()
            local uv = require "luv"
            local t, pumped = worker(100, "done"), nil
            t:remove()
            local called = tasklet.WaitForCall()
            local timer = uv.new_timer()
            timer:start(0, 0, function()
                timer:close()
                t:insert()
                pumped = {tasklet.pump(100000), t.return_value}
                called()
            end)
            tasklet.wait(called)
            assert.same({nil, "done"}, pumped)
        end)
    end)

    it("7.6 goes on for as long as somebody is runnable", function()
        -- Far more resumptions than any bound inside.
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local count = 0
            for _ = 1, 2 do
                tasklet.new(function()
                    for _ = 1, 510000 do
                        count = count + 1
                        tasklet.schedule()
                    end
                end)()
            end
            tasklet.pump()
            print(count)
        ]], {timeout = 8})
        assert.equal(0, result.status, result.stderr)
        assert.equal("1020000\n", result.stdout)
    end)
end)

describe("pump with a budget", function()
    it("7.6 returns the one that used it up, taken off the queue and paused", function()
        helper.within_loop(function()
            local t = spinner()
            assert.equal(t, tasklet.pump(5000))
            assert.is_true(t.alive)
            assert.is_true(t.paused)
            assert.is_false(t.scheduled)
            assert.is_false(t.blocked)
            assert.is_nil(tasklet.pump(5000), "it is not in the queue")
            assert.equal(t, t:insert())
            assert.is_true(t.scheduled)
            assert.equal(t, tasklet.pump(5000))
            t:kill()
            assert.is_true(t:has_finished())
        end)
    end)

    it("7.6 returns the first one, and leaves those behind it in the queue", function()
        helper.within_loop(function()
            local before, bad, after = worker(10), spinner(), worker(10)
            local worse = spinner()
            assert.equal(bad, tasklet.pump(5000))
            assert.is_true(before:has_finished())
            assert.is_true(after.scheduled)
            assert.equal(worse, tasklet.pump(5000))
            assert.is_true(after:has_finished())
            bad:kill()
            worse:kill()
        end)
    end)

    it("7.6 counts a slice, not the whole call", function()
        helper.within_loop(function()
            local function body()
                for _ = 1, 50 do
                    for _ = 1, 3000 do -- in one slice
                    end
                    tasklet.schedule()
                end
                return "done"
            end
            local a, b = tasklet.new(body)(), tasklet.new(body)()
            assert.is_nil(tasklet.pump(5000))
            assert.equal("done", a.return_value)
            assert.equal("done", b.return_value)
        end)
    end)

    -- A loop of `for _ = 1, n do end` is an instruction each time round.
    for _, budget in ipairs{1, 10, 100, 999, 1000, 1001, 2500, 10000, 100000} do
        it(("7.6 is exact to 1,000 instructions: %d"):format(budget), function()
            helper.within_loop(function()
                local less = worker(math.max(budget - 1000, 0) // 1 - 20, "less")
                if budget > 1020 then
                    assert.is_nil(tasklet.pump(budget), "it used less")
                    assert.equal("less", less.return_value)
                else
                    less:kill()
                end
                local more = worker(budget + 1020, "more")
                assert.equal(more, tasklet.pump(budget), "it used more")
                more:kill()
            end)
        end)
    end

    it("7.6 finishes what was interrupted, exactly", function()
        helper.within_loop(function()
            local t = worker(100000, "whole")
            local times = 0
            local interrupted = tasklet.pump(10000)
            while interrupted do
                assert.equal(t, interrupted)
                times = times + 1
                t:insert()
                interrupted = tasklet.pump(10000)
            end
            assert.equal("whole", t.return_value)
            assert.is_true(times >= 9 and times <= 11, times)
        end)
    end)

    it("7.6 is that of this call, whatever the last one was", function()
        helper.within_loop(function()
            local t = tasklet.new(function()
                tasklet.schedule_remove()
                for _ = 1, 200000 do -- less than the second budget
                end
                return "done"
            end)()
            assert.is_nil(tasklet.pump(100))
            assert.is_true(t.paused)
            t:insert()
            assert.is_nil(tasklet.pump(1000000))
            assert.equal("done", t.return_value)
        end)
    end)

    it("7.6 is over for a tasklet that runs on in the loop", function()
        helper.within_loop(function()
            local t = spinner()
            assert.equal(t, tasklet.pump(1000))
            t:kill()
            local long = tasklet.new(function()
                tasklet.sleep(0.001)
                for _ = 1, 100000 do -- far more
                end
                return "done"
            end)()
            assert.is_nil(tasklet.pump(1000))
            assert.equal("done", tasklet.join(long))
        end)
    end)

    it("7.6 counts what a generator does", function()
        helper.within_loop(function()
            local function generate()
                while true do
                    for _ = 1, 100 do -- between two values
                    end
                    coroutine.yield(1)
                end
            end
            local t = tasklet.new(function()
                for _ in coroutine.wrap(generate) do -- endless
                end
            end)()
            assert.equal(t, tasklet.pump(20000))
            t:kill()
        end)
    end)

    it("7.6 interrupts inside pcall, metamethods, iterators and generators", function()
        helper.within_loop(function()
            local function spin()
                while true do -- spins
                end
            end
            for name, body in pairs{
                pcall = function() pcall(spin) end,
                xpcall = function() xpcall(spin, print) end,
                metamethod = function()
                    return setmetatable({}, {__index = spin}).field
                end,
                iterator = function()
                    for _ in spin do -- never comes to this
                    end
                end,
                generator = function() coroutine.wrap(spin)() end,
                nested = function()
                    coroutine.wrap(function() pcall(coroutine.wrap(spin)) end)()
                end,
                resume = function() coroutine.resume(coroutine.create(spin)) end,
                close = function() local _ <close> = setmetatable({}, {__close = spin}) end,
            } do
                local t = tasklet.new(body)()
                assert.equal(t, tasklet.pump(5000), name)
                t:insert()
                assert.equal(t, tasklet.pump(5000), name)
                t:kill()
                assert.is_true(t:has_finished() or t.paused == false, name)
            end
        end)
    end)

    it("7.6 interrupts where Lua can yield only, and right after", function()
        helper.within_loop(function()
            local compared = 0
            local t = tasklet.new(function()
                local list = {}
                for i = 1, 100 do
                    list[i] = 100 - i
                end
                table.sort(list, function(a, b)
                    compared = compared + 1
                    for _ = 1, 100 do -- so that the budget is over in here
                    end
                    return a < b
                end)
                compared = -compared
                while true do -- so that it is found
                end
            end)()
            assert.equal(t, tasklet.pump(2000))
            assert.is_true(compared < 0, "the sorting came to its end")
            t:kill()
        end)
    end)

    it("7.2 set_atomic and set_ignore_nesting without a tasklet are of the current one", function()
        helper.within_loop(function()
            local me = tasklet.current()
            assert.is_false(tasklet.set_atomic(true))
            assert.is_true(me.atomic)
            assert.is_true(tasklet.set_atomic(false))
            assert.is_false(me.atomic)
            assert.is_false(me:set_atomic(true))
            assert.is_true(tasklet.set_atomic(nil))
            assert.is_false(me:set_atomic())
            assert.is_false(tasklet.set_ignore_nesting(true))
            assert.is_true(me.ignore_nesting)
            assert.is_true(me:set_ignore_nesting(false))
            assert.is_false(me.ignore_nesting)
        end)
    end)

    it("7.6 does not interrupt inside set_atomic, but right after", function()
        helper.within_loop(function()
            local stage = 0
            local t = tasklet.new(function()
                local me = tasklet.getcurrent()
                assert(me:set_atomic(true) == false)
                for _ = 1, 50000 do -- far more than the budget
                end
                stage = 1
                assert(me:set_atomic(false) == true)
                for _ = 1, 50000 do -- the same
                end
                stage = 2
            end)()
            assert.equal(t, tasklet.pump(5000))
            assert.equal(1, stage)
            t:kill()
        end)
    end)
end)

describe("a budget and nested runs", function()
    it("7.6 leave nobody out of the queue", function()
        helper.within_loop(function()
            local starter, inner
            local outer = tasklet.new(function()
                table.sort({2, 1}, function(a, b)
                    starter = starter or tasklet.run(function()
                        inner = tasklet.new(function()
                            while true do -- spins
                            end
                        end)
                        inner:start() -- goes on when that has waited
                        return "went on"
                    end)
                    return a < b
                end)
                return "sorted"
            end)()
            local list = {}
            for i = 1, 10 do
                local t = tasklet.pump(5000)
                list[i] = t
                if not t then
                    break
                end
            end
            assert.same({inner}, list)
            assert.is_true(inner.paused)
            assert.equal("went on", starter.return_value)
            assert.equal("sorted", outer.return_value)
            inner:kill()
        end)
    end)

    it("7.6 a budget is not that of others that ran meanwhile", function()
        helper.within_loop(function()
            local t = tasklet.new(function()
                table.sort({2, 1}, function(a, b)
                    tasklet.run(function()
                        for _ = 1, 4500 do -- nearly all of the budget
                        end
                    end)
                    return a < b
                end)
                for _ = 1, 2500 do -- has used half of its own
                end
                return "done"
            end)()
            assert.is_nil(tasklet.pump(5000))
            assert.equal("done", t.return_value)
        end)
    end)

    it("7.6 a budget goes on after others have run meanwhile", function()
        helper.within_loop(function()
            local rounds = 0
            local function nothing() end
            local t = tasklet.new(function()
                while rounds < 10000 do
                    table.sort({2, 1}, function(a, b)
                        rounds = rounds + 1
                        tasklet.run(nothing)
                        return a < b
                    end)
                end
            end)()
            assert.equal(t, tasklet.pump(20000))
            t:kill()
        end)
    end)
end)

describe("nested pumps", function()
    it("7.6 of several the outermost budget counts", function()
        helper.within_loop(function()
            local inner_result, work = {}, nil
            local pumping = tasklet.new(function()
                work = worker(20000, "done")
                inner_result = table.pack(tasklet.pump(2000))
                return "pumped"
            end)()
            assert.is_nil(tasklet.pump(100000))
            assert.same({n = 1}, inner_result)
            assert.equal("done", work.return_value)
            assert.equal("pumped", pumping.return_value)
        end)
    end)

    it("7.6 a budget of an inner one counts if the outer has none", function()
        helper.within_loop(function()
            local found, bad
            local pumping = tasklet.new(function()
                bad = spinner()
                found = tasklet.pump(2000)
                return "pumped"
            end)()
            assert.is_nil(tasklet.pump())
            assert.equal(bad, found)
            assert.equal("pumped", pumping.return_value)
            bad:kill()
        end)
    end)

    it("7.6 what an inner one ran is not on the account of who called it", function()
        helper.within_loop(function()
            local bad
            local pumping = tasklet.new(function()
                bad = spinner()
                local found = tasklet.pump()
                for _ = 1, 3000 do -- far less than the budget
                end
                return found == bad and "inner" or "outer"
            end)()
            local found = tasklet.pump(50000)
            assert.is_true(pumping:has_finished(), "it has not used up its budget")
            assert.is_true(bad.paused)
            assert.equal(found == nil and "inner" or "outer", pumping.return_value)
            bad:kill()
        end)
    end)

    it("7.6 may be many, and too many raise", function()
        helper.within_loop(function()
            local depth, refused = 0, nil
            local function go()
                depth = depth + 1
                if depth < 200 then
                    tasklet.new(go)()
                    local ok, err = pcall(function() tasklet.pump() end)
                    refused = refused or not ok and err
                end
            end
            tasklet.new(go)()
            tasklet.pump()
            assert.is_true(depth > 20)
            assert.is_true(tasklet.TaskletError:is(refused), tostring(refused))
            assert.is_truthy(tostring(refused):find("^spec/queue/pump_spec.lua:%d+: .*nested"))
        end)
    end)

    it("7.6 do not run who pumps", function()
        helper.within_loop(function()
            local me, seen = tasklet.getcurrent(), {}
            tasklet.new(function()
                seen.current = me.is_current
                seen.insert = me:insert() == me
                for _, verb in ipairs{"remove", "run", "switch"} do
                    local ok, err = pcall(function() me[verb](me) end)
                    seen[verb] = not ok and tostring(err):match("^[%w_/]+%.lua:%d+: (.*)$")
                end
            end)()
            tasklet.pump()
            assert.same({
                current = false, insert = true,
                remove = "cannot remove a tasklet that runs others nested",
                run = "cannot run a tasklet that runs others nested",
                switch = "cannot switch to a tasklet that runs others nested",
            }, seen)
        end)
    end)

    it("7.6 an error thrown into who pumps is raised when the pump is over", function()
        helper.within_loop(function()
            local after = false
            local pumping
            pumping = tasklet.new(function()
                tasklet.new(function() pumping:throw("thrown") after = true end)()
                local ok, err = pcall(tasklet.pump)
                return ok, err, after
            end)()
            tasklet.schedule()
            assert.same({false, "thrown", true}, {tasklet.join(pumping)})
        end)
    end)
end)

describe("pump with a budget, and coroutines that end soon", function()
    it("7.6 counts what they do", function()
        helper.within_loop(function()
            local made = 0
            local t = tasklet.new(function()
                while true do
                    made = made + 1
                    coroutine.wrap(function()
                        for _ = 1, 900 do -- less than Lua tells of by itself
                        end
                    end)()
                end
            end)()
            assert.equal(t, tasklet.pump(20000))
            t:kill()
            assert.is_true(made >= 20 and made <= 23,
                ("%d generators in 20,000 instructions"):format(made))
        end)
    end)

    local function some()
        for _ = 1, 100 do -- some instructions
        end
    end
    local closing = {__close = some}

    -- Each does the same again each time round.
    local bodies = {
        ["return"] = function() coroutine.wrap(some)() end,
        ["return, resumed"] = function() coroutine.resume(coroutine.create(some)) end,
        ["yield once"] = function()
            coroutine.wrap(function() some() coroutine.yield() end)()
        end,
        ["yield often"] = function()
            for _ in coroutine.wrap(function()
                for i = 1, 5 do
                    some()
                    coroutine.yield(i)
                end
            end) do
                some()
            end
        end,
        ["raise"] = function() pcall(coroutine.wrap(function() some() error("raised") end)) end,
        ["raise, resumed"] = function()
            coroutine.resume(coroutine.create(function() some() error("raised") end))
        end,
        ["raise and close"] = function()
            pcall(coroutine.wrap(function()
                local _ <close> = setmetatable({}, closing)
                error("raised")
            end))
        end,
        ["are closed"] = function()
            local co = coroutine.create(function()
                local _ <close> = setmetatable({}, closing)
                coroutine.yield()
            end)
            coroutine.resume(co)
            coroutine.close(co)
        end,
        ["are nested"] = function()
            coroutine.wrap(function()
                some()
                coroutine.wrap(function() some() coroutine.wrap(some)() some() end)()
                some()
            end)()
        end,
        ["run under a sort"] = function()
            table.sort({2, 1}, function(a, b) coroutine.wrap(some)() return a < b end)
        end,
    }

    --- Does it come to its end with that budget?
    local function ends(body, times, budget)
        local t = tasklet.new(function()
            for _ = 1, times do
                body()
            end
            for _ = 1, 2000 do -- here it can be interrupted
            end
        end)()
        local over = tasklet.pump(budget)
        assert(over == nil or over == t)
        t:kill()
        return over == nil
    end

    --- The least budget with which it does.
    local function least(body, times)
        local low, high = 1, 100000
        while low < high do
            local middle = (low + high) // 2
            if ends(body, times, middle) then
                high = middle
            else
                low = middle + 1
            end
        end
        return low
    end

    for name, body in pairs(bodies) do
        it("7.6 is exact to 1,000 instructions: that " .. name, function()
            helper.within_loop(function()
                local one, two = least(body, 1), least(body, 2)
                local expected = one + 99 * (two - one)
                assert.is_true(two - one > 100, "it does something")
                assert.is_true(ends(body, 100, expected + 1000), "with more")
                assert.is_false(ends(body, 100, expected - 1000), "with less")
            end)
        end)
    end
end)
