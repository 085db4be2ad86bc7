-- Every way to wait, crossed with what ends the tasklet and with where the wait stands (contract
-- 6.4, 8.3 and 10). The ways and the places are in waits.lua; what ends a tasklet is in `enders`.
local tasklet = require "tasklet"
local helper = require "spec.helper"
local waits = require "spec.ending.waits"
local lfs = require "lfs"
local uv = require "luv"

local WaitForCall = tasklet.WaitForCall

local function within(body)
    return function() helper.within_loop(body) end
end

local function closing(f)
    return setmetatable({}, {__close = f})
end

-- ---- what is left -------------------------------------------------------------------------------

--- What there is of what must not be left behind: tasklets, descriptors, and what the module
--- counts, if it does.
local function left()
    local found = {tasklets = tasklet.count()}
    for name in lfs.dir("/proc/self/fd") do
        local link = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
        -- That of the listing itself is a directory.
        if name:match("^%d+$") and link and not link:match("/fd$") then
            found["descriptor " .. name] = link
        end
    end
    if tasklet.counters then
        for name, value in pairs(tasklet.counters()) do
            if type(value) == "number" then
                found["counter " .. name] = value
            end
        end
    end
    return found
end

local function equal(a, b)
    for key, value in pairs(a) do
        if b[key] ~= value then
            return false
        end
    end
    for key in pairs(b) do
        if a[key] == nil then
            return false
        end
    end
    return true
end

--- Weak keys go a cycle after their finalizers.
local function collect()
    for _ = 1, 4 do
        collectgarbage()
    end
end

--- That nothing is left that was not there before. A turn of the loop may still have to close
--- something, and the collector to take something.
local function check_left(before, what)
    local limit, now = tasklet.mainloop.now() + 20000, left()
    while not equal(before, now) and tasklet.mainloop.now() < limit do
        collect()
        tasklet.sleep(0.005)
        now = left()
    end
    assert.same(before, now, what)
end

-- ---- what ends a tasklet ------------------------------------------------------------------------

--- How `t` ended.
local function ending(t)
    local ok, err = pcall(tasklet.join, t, 10)
    if ok then
        return "returned"
    end
    return tasklet.JoinError:is(err) and waits.class_of(err.cause) or waits.class_of(err)
end

--- That a scope ended because of the member that failed on purpose.
local function check_scope(outer)
    local ok, err = tasklet.join(outer, 10)
    assert.is_false(ok)
    assert.is_true(tasklet.JoinError:is(err), tostring(err))
    assert.equal("on purpose", err.cause)
end

-- An ender:
--   name, clause
--   error    the class of what is raised in the tasklet
--   slow     left out where time is short
--   begin    function(body) that starts the tasklet with that body. It returns
--              strike  ends it; when that returns it has seen the error, unless it is held back
--              check   waits for its end and checks it
local enders = {
    {
        name = "killed by another tasklet",
        clause = "6.4",
        error = "TaskletExit",
        begin = function(body)
            local t = tasklet.run(body)
            return function() t:kill() end, function()
                assert.equal("TaskletExit", ending(t))
            end
        end,
    },
    {
        name = "killed by itself from a callback",
        clause = "6.4",
        error = "TaskletExit",
        begin = function(body)
            local struck = WaitForCall()
            local t = tasklet.run(function()
                local me, timer = tasklet.current(), uv.new_timer()
                timer:start(0, 0, function()
                    timer:close()
                    me:kill()
                    struck()
                end)
                body()
            end)
            return function() tasklet.wait(struck) end, function()
                assert.equal("TaskletExit", ending(t))
            end
        end,
    },
    {
        name = "by with_deadline",
        clause = "10.2",
        error = "TimeoutError",
        deadline = true,
        begin = function(body)
            local t = tasklet.run(function()
                local ok, err = pcall(tasklet.with_deadline, 0.005, body)
                -- It is left, so one can wait again.
                tasklet.sleep(0)
                assert(not ok, "with_deadline returned")
                error(err, 0)
            end)
            t:add_join_callback(function() end) -- so that its failure is not reported
            return function() tasklet.sleep(0.01) end, function()
                assert.equal("TimeoutError", ending(t))
            end
        end,
    },
    {
        name = "as a member of a scope where another fails",
        clause = "10.1",
        error = "TaskletExit",
        begin = function(body)
            local gate, member = WaitForCall(), nil
            local outer = tasklet.run(function()
                return pcall(tasklet.scope, function(s)
                    member = s:run(body)
                    s:run(function()
                        tasklet.wait(gate)
                        error("on purpose", 0)
                    end)
                end)
            end)
            return function() gate() end, function()
                check_scope(outer)
                assert.equal("TaskletExit", ending(member))
            end
        end,
    },
    {
        name = "as the body of a scope where a member fails",
        clause = "10.1",
        error = "TaskletExit",
        slow = true,
        begin = function(body)
            local gate = WaitForCall()
            local outer = tasklet.run(function()
                local ok, err = pcall(tasklet.scope, function(s)
                    s:run(function()
                        tasklet.wait(gate)
                        error("on purpose", 0)
                    end)
                    body()
                end)
                -- The kill has ended with the scope.
                tasklet.sleep(0)
                return ok, err
            end)
            return function() gate() end, function() check_scope(outer) end
        end,
    },
    {
        name = "by the s:kill of its scope",
        clause = "10.1",
        error = "TaskletExit",
        slow = true,
        begin = function(body)
            local scope, member
            local outer = tasklet.run(function()
                tasklet.scope(function(s)
                    scope = s
                    member = s:run(body)
                end)
                tasklet.sleep(0)
            end)
            return function() scope:kill() end, function()
                assert.equal("returned", ending(outer))
                assert.equal("TaskletExit", ending(member))
            end
        end,
    },
}

--- Whether it is said what happens. Nothing says whether a shield holds a deadline back from the
--- members of a scope inside of it, too.
local function possible(row, ender, stance)
    return waits.possible(row, stance) and not (ender.deadline and stance.holds and row.members)
end

-- ---- a case -------------------------------------------------------------------------------------

--- Runs a case. `between` is called before and after the blow; `note` is as in waits.lua.
local function run_case(row, ender, stance, between, note)
    local w, trace, owner = waits.make(row, {brief = stance.holds, note = note}), {}, nil
    -- A case that fails must not spoil those after it.
    local _ <close> = closing(function()
        if owner and not owner:has_finished() then
            owner:kill()
        end
        if w.cleanup then
            w.cleanup()
        end
    end)
    local strike, check = ender.begin(function()
        owner = note and note(tasklet.current()) or tasklet.current()
        stance.body(w, trace)
    end)
    if not ender.deadline then -- which may be over by now
        assert.equal(stance.generator and "value" or "nil", trace[1] or "nil")
        assert.is_nil(trace[2])
    end
    if between then
        between()
    end
    strike()
    if between then
        between()
    end
    if stance.holds then
        assert.same({}, trace)
        w.finish(owner)
    end
    check()
    assert.same(stance.trace(ender.error), trace)
    if w.after and not stance.holds then
        w.after()
    end
end

--- Has `f` run in a tasklet that is gone when it returns.
local function apart(f)
    local ok, err = pcall(tasklet.join, tasklet.run(f))
    if not ok then
        error(tasklet.JoinError:is(err) and err.cause or err, 0)
    end
end

-- What is made at the first use (descriptors of the loop) may stay.
local warm = {}

local function warm_up(row, ender, stance)
    for _, key in ipairs{row, ender} do
        if not warm[key] then
            warm[key] = true
            apart(function() run_case(row, ender, stance) end)
        end
    end
end

for _, row in ipairs(waits.rows) do
    for _, ender in ipairs(enders) do
        local tag = ender.slow and " #slow" or ""
        local title = ("%s, ended %s%s,"):format(row.name, ender.name, tag)
        describe(title .. " #slow", function()
            for _, stance in ipairs(waits.stances) do
                if possible(row, ender, stance) then
                    local name = ("%s %s, leaves nothing"):format(ender.clause, stance.name)
                    it(name, within(function()
                        warm_up(row, ender, stance)
                        local before = left()
                        apart(function() run_case(row, ender, stance) end)
                        check_left(before)
                    end))
                end
            end

            it(ender.clause .. " leaves nothing that is not collected #slow", within(function()
                local weak = setmetatable({}, {__mode = "k"})
                local function note(object)
                    weak[object] = true
                    return object
                end
                for _, stance in ipairs(waits.stances) do
                    if possible(row, ender, stance) then
                        apart(function()
                            run_case(row, ender, stance, collectgarbage, note)
                        end)
                    end
                end
                -- What luv closes is gone a turn of the loop later.
                tasklet.sleep(0.002)
                tasklet.sleep(0.002)
                collect()
                local object = next(weak)
                assert.is_nil(object, tostring(object))
            end))
        end)
    end
end

-- ---- races, and life after a kill ---------------------------------------------------------------

for _, row in ipairs(waits.rows) do
    describe(row.name .. " #slow", function()
        --- Starts a tasklet that waits and returns what `f(w)` returns; calls `drive(t, w)`, then
        --- checks that nothing is left.
        local function try(f, drive)
            local function attempt()
                local w = waits.make(row, {brief = true})
                local _ <close> = closing(function()
                    if w.cleanup then
                        w.cleanup()
                    end
                end)
                drive(tasklet.run(f, w), w)
            end
            apart(attempt)
            local before = left()
            apart(attempt)
            check_left(before)
        end

        it("6.4 killed when it has come already, but not gone on, ends", within(function()
            try(function(w) return w.wait() end, function(t, w)
                w.finish(t)
                local ended = t:has_finished()
                t:kill()
                assert.equal(ended and "returned" or "TaskletExit", ending(t))
            end)
        end))

        it("6.4 killed twice in a row, sees it once", within(function()
            local seen
            try(function(w)
                seen = 0
                local _ <close> = closing(function() seen = seen + 1 end)
                w.wait()
            end, function(t)
                t:kill()
                t:kill()
                assert.equal("TaskletExit", ending(t))
                assert.equal(1, seen)
            end)
        end))

        it("6.4 killed and survived, wakes nobody when it would come", within(function()
            try(function(w)
                local first = waits.raises(w.wait)
                tasklet.survive()
                local before = tasklet.mainloop.now()
                tasklet.sleep(0.01)
                return first, tasklet.mainloop.now() - before >= 10
            end, function(t, w)
                t:kill()
                assert.is_false(t:has_finished())
                w.finish(t)
                assert.same({"TaskletExit", true}, {tasklet.join(t, 10)})
            end)
        end))

        it("6.4 killed and survived, can be waited for again", within(function()
            try(function(w)
                local first = waits.raises(w.wait)
                tasklet.survive()
                return first, w.wait()
            end, function(t, w)
                t:kill()
                assert.is_false(t:has_finished())
                w.finish(t)
                assert.same({"TaskletExit", true}, {tasklet.join(t, 10)})
            end)
        end))

        it("10.2 in a deadline that is over, can be waited for after it", within(function()
            try(function(w)
                local first = waits.raises(tasklet.with_deadline, 0.002, w.wait)
                return first, w.wait()
            end, function(t, w)
                tasklet.sleep(0.01)
                assert.is_false(t:has_finished())
                w.finish(t)
                assert.same({"TimeoutError", true}, {tasklet.join(t, 10)})
            end)
        end))

        it("10.2 in a deadline that is not over, comes", within(function()
            try(function(w) return tasklet.with_deadline(600, w.wait) end, function(t, w)
                w.finish(t)
                assert.is_true((tasklet.join(t, 10)))
            end)
        end))
    end)
end

-- ---- the end of the program ---------------------------------------------------------------------

describe("a program that is told to end #slow", function()
    for _, stance in ipairs(waits.stances) do
        it(("8.3 ends every kind of wait: %s"):format(stance.name), function()
            local result = helper.run_file(([[
                io.stdout:setvbuf("line")
                package.path = %q .. package.path
                require("spec.ending.waits").stand(%q)
            ]]):format(helper.root .. "/?.lua;", stance.name),
                {real_time = true, after = "ready", signal = "TERM"})
            local expected, found = {}, {}
            for _, row in ipairs(waits.rows) do
                if waits.possible_at_end(row, stance) then
                    expected[row.name] = "TaskletExit\t"
                        .. table.concat(stance.trace("TaskletExit"), " ")
                end
            end
            for line in result.stdout:gmatch("[^\n]+") do
                local name, rest = line:match("^([^\t]*)\t(.*)$")
                if name then
                    found[name] = rest
                end
            end
            assert.same(expected, found)
            assert.equal("", result.stderr)
            assert.equal(143, result.status)
        end)
    end
end)
