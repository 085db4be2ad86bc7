-- Every verb and every attribute in every state in which a tasklet can be.
-- luacheck: ignore 631 431 613

local stock_yield = coroutine.yield -- that of Lua, if the module has not been loaded before
local tasklet = require "tasklet"
local helper = require "spec.helper"

local function nothing() end

--- Each state calls `check(t)` once, with a tasklet that is in it.
---@type table<string, fun(check: fun(t: Tasklet))>
local states = {}

function states.unbound(check)
    check(tasklet.new())
end

function states.bound(check)
    check(tasklet.new(nothing))
end

states["set up"] = function(check)
    check(tasklet.new(nothing)())
end

states["gave way"] = function(check)
    check(tasklet.run(tasklet.schedule))
end

function states.current(check)
    tasklet.run(function() check(tasklet.getcurrent()) end)
end

states["asleep"] = function(check)
    check(tasklet.run(tasklet.sleep, 60))
end

states["in a wait"] = function(check)
    check(tasklet.run(function() tasklet.wait(tasklet.WaitForTimeout(60000)) end))
end

states["in a yield"] = function(check)
    check(tasklet.run(function() stock_yield(tasklet.WaitForTimeout(60000)) end))
end

states["in popleft"] = function(check)
    check(tasklet.run(function() tasklet.getcurrent().mailbox:popleft() end))
end

states["in join"] = function(check)
    local other = tasklet.run(tasklet.sleep, 60)
    check(tasklet.run(tasklet.join, other))
    other:kill()
end

states["on a channel"] = function(check)
    local ch = tasklet.channel()
    check(tasklet.run(ch.receive, ch))
    assert(ch.balance == 0)
end

states["in a wait for a channel"] = function(check)
    local ch = tasklet.channel()
    check(tasklet.run(function() tasklet.wait(tasklet.WaitForChannel(ch, "send")) end))
    assert(ch.balance == 0)
end

states["met on a channel"] = function(check)
    local ch = tasklet.channel{preference = 0}
    local t = tasklet.run(ch.receive, ch)
    ch:send("value")
    check(t)
end

states["in a generator"] = function(check)
    check(tasklet.run(function()
        coroutine.wrap(function() tasklet.sleep(60) end)()
    end))
end

states["about to have an event"] = function(check)
    local first = tasklet.new(nothing)
    local t = tasklet.run(function() tasklet.wait(first) end)
    first:start()
    check(t)
end

states["paused itself"] = function(check)
    check(tasklet.run(tasklet.schedule_remove))
end

states["removed before it began"] = function(check)
    check(tasklet.new(nothing)():remove())
end

states["removed"] = function(check)
    check(tasklet.run(tasklet.schedule):remove())
end

states["switched away"] = function(check)
    local other = tasklet.new(nothing)()
    check(tasklet.run(function() other:switch() end))
end

states["over its budget"] = function(check)
    local t = tasklet.new(function()
        for _ = 1, 1000000 do -- spins for a while
        end
    end)()
    assert(tasklet.pump(100) == t)
    check(t)
end

function states.finished(check)
    check(tasklet.run(nothing))
end

function states.failed(check)
    local t = tasklet.run(error, "failed")
    pcall(tasklet.join, t)
    check(t)
end

function states.killed(check)
    local t = tasklet.run(tasklet.sleep, 60)
    t:kill()
    check(t)
end

states["handed over"] = function(check)
    tasklet.run(function()
        tasklet.run(check, tasklet.getcurrent())
    end)
end

states["sending"] = function(check)
    local go = tasklet.WaitForMessages{accept = "go"}
    local receiver = tasklet.run(function() check(tasklet.wait(go).sender) end)
    tasklet.run(function() tasklet.send(receiver, "go") end)
    receiver:join()
end

states["running others nested"] = function(check)
    tasklet.run(function()
        local me = tasklet.getcurrent()
        tasklet.new(check)(me)
        tasklet.pump()
    end)
end

-- ---- attributes -------------------------------------------------------------------------------

local A, P, B, S = "alive", "paused", "blocked", "scheduled"
local STATES = {}
for name, value in pairs(tasklet.Tasklet) do
    if type(name) == "string" and name:find("^STATE_") then
        STATES[value] = name:match("_(.*)$"):lower()
    end
end

-- The flags that are true, and the state.
local attributes = {
    ["unbound"] = {"suspended"},
    ["bound"] = {"suspended"},
    ["set up"] = {"suspended", A, S},
    ["gave way"] = {"suspended", A, S},
    ["current"] = {"running", A, S, "is_current"},
    ["asleep"] = {"suspended", A, B, S},
    ["in a wait"] = {"suspended", A, B, S},
    ["in a yield"] = {"suspended", A, B, S},
    ["in popleft"] = {"suspended", A, B, S},
    ["in join"] = {"suspended", A, B, S},
    ["on a channel"] = {"suspended", A, B, S},
    ["in a wait for a channel"] = {"suspended", A, B, S},
    ["met on a channel"] = {"suspended", A, S},
    ["in a generator"] = {"suspended", A, B, S},
    ["about to have an event"] = {"suspended", A, S},
    ["paused itself"] = {"suspended", A, P},
    ["removed before it began"] = {"suspended", A, P},
    ["removed"] = {"suspended", A, P},
    ["switched away"] = {"suspended", A, P},
    ["over its budget"] = {"suspended", A, P},
    ["finished"] = {"zombie"},
    ["failed"] = {"zombie"},
    ["killed"] = {"zombie"},
    ["handed over"] = {"running", A, S},
    ["sending"] = {"msgsend", A, S},
    ["running others nested"] = {"running", A, S},
}

local flags = {
    "alive", "paused", "blocked", "scheduled", "is_current", "is_main", "restorable", "atomic",
    "ignore_nesting", "block_trap",
}

-- ---- verbs ------------------------------------------------------------------------------------

local DEAD = "cannot throw to a dead tasklet"
local ALIVE = "the tasklet is alive: it has been started already"
local UNBOUND = "the tasklet is not bound to a function"

---@param why string how `insert`, `run` and `switch` put it, with %s for their word
local function refusing(why, more)
    local row = {
        insert = why:format("insert"), run = why:format("run"), switch = why:format("switch to"),
    }
    for verb, text in pairs(more) do
        row[verb] = text
    end
    return row
end

local function started(row)
    row.setup, row.call, row.start = ALIVE, ALIVE, ALIVE
    return row
end

local function dead(why)
    return refusing("cannot %s a tasklet that is " .. why,
        {setup = UNBOUND, call = UNBOUND, start = UNBOUND, throw = DEAD})
end

local function blocked()
    return started(refusing("cannot %s a blocked tasklet", {
        remove = "cannot remove a blocked tasklet",
        bind = "cannot bind a tasklet that is blocked",
        unbind = "cannot bind a tasklet that is blocked",
    }))
end

local function scheduled()
    return started{
        bind = "cannot bind a tasklet that is scheduled",
        unbind = "cannot bind a tasklet that is scheduled",
    }
end

local NESTED = "a tasklet that runs others nested"

-- What each verb raises; one that is not named raises nothing.
local refusals = {
    ["unbound"] = dead "unbound",
    ["bound"] = refusing("cannot %s a tasklet that is not set up", {}),
    ["set up"] = scheduled(),
    ["gave way"] = scheduled(),
    ["current"] = started{
        remove = "cannot remove the current tasklet",
        bind = "cannot bind the current tasklet", unbind = "cannot bind the current tasklet",
    },
    ["asleep"] = blocked(),
    ["in a wait"] = blocked(),
    ["in a yield"] = blocked(),
    ["in popleft"] = blocked(),
    ["in join"] = blocked(),
    ["on a channel"] = blocked(),
    ["in a wait for a channel"] = blocked(),
    ["met on a channel"] = scheduled(),
    ["in a generator"] = blocked(),
    ["about to have an event"] = scheduled(),
    ["paused itself"] = started{},
    ["removed before it began"] = started{},
    ["removed"] = started{},
    ["switched away"] = started{},
    ["over its budget"] = started{},
    ["finished"] = dead "dead",
    ["failed"] = dead "dead",
    ["killed"] = dead "dead",
    ["handed over"] = scheduled(),
    ["sending"] = scheduled(),
    ["running others nested"] = started{
        remove = "cannot remove " .. NESTED, run = "cannot run " .. NESTED,
        switch = "cannot switch to " .. NESTED,
        bind = "cannot bind a tasklet that is scheduled",
        unbind = "cannot bind a tasklet that is scheduled",
    },
}

-- Line 2 calls the verb.
local calls = {
    insert = "return t:insert()", remove = "return t:remove()", run = "return t:run()",
    switch = "return t:switch()", setup = "return t:setup()", call = "return t()",
    start = "return t:start()", bind = "return t:bind(print)", unbind = "return t:bind(nil)",
    throw = "return t:throw('thrown')", exit = "return t:throw(tasklet.TaskletExit())",
    raise = "return t:raise_exception(tasklet.TimeoutError, 'thrown')", kill = "return t:kill()",
}
for _, row in pairs(refusals) do
    row.raise = row.throw
end

-- What they return if they raise nothing; the others return nothing, or a tempval.
local returns_itself = {
    insert = true, remove = true, setup = true, call = true, start = true, bind = true,
    unbind = true,
}

local names = {}
for name in pairs(states) do
    names[#names + 1] = name
end
table.sort(names)

local verbs = {}
for verb in pairs(calls) do
    verbs[#verbs + 1] = verb
end
table.sort(verbs)

---@param t Tasklet
---@return boolean[]
local function place_of(t)
    return {t.alive, t.paused, t.blocked, t.scheduled}
end

---@class spec.Try
---@field ok boolean
---@field value any what it returned or raised
---@field after boolean[]? place_of(t) right then
---@field paused boolean? true: it has paused the caller

---Calls `verb` of `t`, from a tasklet of its own unless `t` is the current one.
---@return spec.Try
local function try(t, verb)
    local chunk = assert(load("local tasklet, t = ...\nlocal function f() " .. calls[verb] ..
        " end\nreturn f", "=there"))(tasklet, t)
    local result = {}
    local function f()
        result.ok, result.value = pcall(chunk)
        result.after = place_of(t)
    end
    if t.is_current then
        f()
        tasklet.survive()
        return result
    end
    local caller = tasklet.run(f)
    if not caller:has_finished() then
        tasklet.schedule()
        result.paused = caller.paused or nil
        caller:kill()
    end
    return result
end

---Calls f(t) with a `t` that is in the state, and ends `t`. Raises what `f` raises.
---@param name string
---@param f fun(t: Tasklet)
local function in_state(name, f)
    helper.within_loop(function()
        local ok, err
        states[name](function(t)
            if not t:has_finished() then
                t:add_join_callback(nothing) -- so that nobody reports what is thrown into it
            end
            ok, err = pcall(f, t)
            if t.alive and not t.is_current then
                t:throw(tasklet.TaskletExit(), true)
            end
        end)
        while ok == nil do
            tasklet.schedule()
        end
        if not ok then
            error(err, 0)
        end
    end)
end

describe("a tasklet's attributes", function()
    for _, name in ipairs(names) do
        it("7.2 say that it is " .. name, function()
            in_state(name, function(t)
                local expected = {}
                for _, flag in ipairs(attributes[name]) do
                    expected[flag] = true
                end
                for _, flag in ipairs(flags) do
                    assert.equal(expected[flag] or false, t[flag], flag)
                end
                assert.equal(attributes[name][1], STATES[t.state])
                assert.equal(attributes[name][1] == "zombie", t:has_finished())
                if not t.scheduled or t.blocked then
                    assert.is_nil(t.next)
                    assert.is_nil(t.prev)
                end
                assert.equal("integer", math.type(t.nesting_level))
                assert.equal("integer", math.type(t.recursion_depth))
            end)
        end)
    end

    it("7.2 are not to be set, but for some", function()
        for _, name in ipairs{
            "alive", "paused", "blocked", "scheduled", "restorable", "is_current", "is_main", "prev",
            "next", "atomic", "ignore_nesting", "nesting_level", "recursion_depth", "state",
            "return_value",
        } do
            local ok, err = pcall(load(("local t = ...\nt.%s = true"):format(name), "=there"),
                tasklet.new())
            assert.is_false(ok, name)
            assert.is_truthy(tostring(err):find("^there:2: .*'" .. name .. "'.*read%-only"), err)
        end
        local t = tasklet.new()
        t.block_trap, t.tempval = true, "some"
        assert.is_true(t.block_trap)
        assert.equal("some", t.tempval)
        t.block_trap, t.tempval = false, nil
        assert.is_false(t.block_trap)
        assert.is_nil(t.tempval)
    end)
end)

-- What the current tasklet does to itself so is raised in itself.
local raises = {throw = true, exit = true, raise = true, kill = true}

for _, verb in ipairs(verbs) do
    describe(calls[verb]:match("return (.*)"), function()
        for _, name in ipairs(names) do
            local refusal = refusals[name][verb]
            local what = refusal and "is refused" or "is possible"
            it(("7.1 %s for one that is %s"):format(what, name), function()
                in_state(name, function(t)
                    local before = place_of(t)
                    local try = try(t, verb)
                    if refusal then
                        assert.is_false(try.ok)
                        assert.is_true(tasklet.TaskletError:is(try.value), tostring(try.value))
                        assert.equal("there:2: " .. refusal, try.value.message)
                        assert.equal("there:2: " .. refusal, tostring(try.value))
                        assert.same(before, try.after)
                    elseif name == "current" and raises[verb] then
                        assert.is_false(try.ok)
                        assert.is_nil(tostring(try.value):find("cannot", 1, true))
                    elseif try.paused then
                        assert.equal("switch", verb)
                    else
                        assert.is_true(try.ok, tostring(try.value))
                        assert.equal(returns_itself[verb] and t or nil, try.value)
                    end
                end)
            end)
        end
    end)
end

describe("the main tasklet", function()
    it("7.1 7.2 is a tasklet as any other, while it runs", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local main = tasklet.getmain()
            print(main == tasklet.getcurrent(), main.is_main, main.is_current, main.alive)
            print(main.scheduled, main.paused, main.blocked, main.nesting_level)
            for _, verb in ipairs{"insert", "run", "switch", "remove", "setup", "bind"} do
                local ok, err = pcall(function() return main[verb](main, print) end)
                print(verb, ok, ok and "" or err.message:match(": (.*)"))
            end
        ]])
        assert.equal("", result.stderr)
        assert.equal(0, result.status)
        assert.equal([[
true	true	true	true
true	false	false	0
insert	true	
run	true	
switch	true	
remove	false	cannot remove the current tasklet
setup	false	the tasklet is alive: it has been started already
bind	false	cannot bind the current tasklet
]], result.stdout)
    end)

    it("7.1 7.2 is a tasklet as any other, while others run", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local main = tasklet.getmain()
            local function look(verb)
                local ok, err = pcall(function() return main[verb](main) end)
                print(main.is_main, main.is_current, main.scheduled, main.blocked, main.paused)
                print(tasklet.getmain() == main, tasklet.getcurrent().is_main)
                print(verb, ok, ok and "" or err.message:match(": (.*)"))
            end
            tasklet.new(look)("setup")
            tasklet.schedule()
            tasklet.new(look)("remove")
            tasklet.sleep(0.01)
            tasklet.new(look)("insert")
            tasklet.schedule_remove()
        ]])
        assert.equal("", result.stderr)
        assert.equal(0, result.status)
        assert.equal([[
true	false	true	false	false
true	false
setup	false	the tasklet is alive: it has been started already
true	false	true	true	false
true	false
remove	false	cannot remove a blocked tasklet
true	false	true	false	false
true	false
insert	true	
]], result.stdout)
    end)

    it("7.3 is none in plain Lua", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            print(tasklet.getmain(), tasklet.getcurrent(), tasklet.getruncount())
            tasklet.run(function() print(tasklet.getmain(), tasklet.getcurrent().is_main) end)
        ]]
        assert.equal("nil\tnil\t0\nnil\tfalse\n", result.stdout)
    end)
end)
