-- Runs a program, which is data, on the real thing or on the model; writes down what happens.
--
-- A program is {conditions=, scripts=}. A script is a list of steps, the body of the tasklet of its
-- number. The first is started at the beginning, the others by steps. A step is a list: a verb and
-- its arguments, nested lists of steps among them. What a step refers to and is not there, such as
-- a tasklet that was not started, makes it a step that does nothing, so any step can be left out.

local M = {}

---@class spec.model.World
---@field api table
---@field program table
---@field trace string[]
---@field tasks table[] by number
---@field conditions table<any, table> made when first used
---@field numbers table<table, integer> of conditions
---@field emitters table[] by number; 0: their class
---@field handles table[] of join callbacks
---@field ids table[] of connections

---@class spec.model.Context
---@field world spec.model.World
---@field name string of who runs, for the trace
---@field own? integer number of the tasklet
---@field inner? boolean in a generator: its yields are its own

local run_steps
local steps = {}

local RETURN = {}

local function log(ctx, text, ...)
    local trace = ctx.world.trace
    trace[#trace + 1] = ("%s: " .. text):format(ctx.name, ...)
end

-- ---- words for the trace ----

local function number_of(world, t)
    for number in pairs(world.program.scripts) do
        if t ~= nil and world.tasks[number] == t then
            return "t" .. number
        end
    end
    return t == nil and "nobody" or "a stranger"
end

local error_classes = { "TaskletExit", "TimeoutError", "ChannelError" }

local function describe(world, err)
    local api = world.api
    if type(err) == "string" then
        -- Generators put positions before the strings that they pass on, and where a join callback
        -- fails a traceback stands behind.
        err = err:match("^[^\n]*")
        if err:find("attempt to yield", 1, true) then
            return "TaskletError" -- in a variable of a dropped body that is closed: Lua says it
        end
        return err:find("bad argument", 1, true) and "bad argument"
            or err:match("^%S+:%d+: .*(e%d+)$") or err
    elseif api.JoinError:is(err) then
        local also = {}
        for _, other in ipairs(err.others or {}) do
            also[#also + 1] = " and " .. describe(world, other)
        end
        return ("JoinError of %s (%s)%s"):format(number_of(world, err.tasklet),
            describe(world, err.cause), table.concat(also))
    end
    for _, name in ipairs(error_classes) do
        if api[name]:is(err) then
            return name
        end
    end
    if api.TaskletError:is(err) then
        return "TaskletError"
    end
    return type(err) == "table" and err.error_number and "object " .. err.error_number
        or tostring(err)
end

local function list_of(values)
    local words = {}
    for i = 1, values.n do
        words[i] = tostring(values[i])
    end
    return "(" .. table.concat(words, ", ") .. ")"
end

local function describe_event(ctx, event)
    local world = ctx.world
    local number = world.numbers[event]
    if number then
        local kind = world.program.conditions[number][1]
        local text = "condition " .. number .. (event.triggered and "" or " NOT TRIGGERED")
        if kind == "call" then
            text = text .. " called with " .. list_of(event.args)
        elseif kind == "signal" then
            text = ("%s %s by %s%s"):format(text, list_of(event.signal_args),
                event.object == world.emitters[1] and "e1" or "e2",
                event.destroyed and " destroyed" or "")
        elseif kind == "channel" then
            text = ("%s of a channel: %s%s"):format(text, tostring(event.value),
                event.closed and " closed" or "")
        elseif kind == "tasklet" then
            text = ("%s ended (%s, %s)"):format(text, tostring(event.retval),
                describe(world, event.error))
        end
        return text
    end
    if event.dest ~= nil then
        return ("message %s (%s) from %s"):format(event.name, tostring(event.value),
            number_of(world, event.sender))
    end
    return ("end (%s, %s)"):format(tostring(event.retval), describe(world, event.error))
end

-- ---- what steps refer to ----

local makers = {}

function makers.call(world, spec)
    return world.api.WaitForCall({ return_value = spec[2] })
end

function makers.timeout(world, spec)
    return world.api.WaitForTimeout(spec[2], { priority = spec[3] })
end

function makers.idle(world, spec)
    return world.api.WaitForIdle({ priority = spec[2] })
end

function makers.signal(world, spec)
    return world.api.WaitForSignal(world.emitters[spec[2]], "s")
end

function makers.messages(world, spec)
    return world.api.WaitForMessages({ accept = spec[2], defer = spec[3], discard = spec[4] })
end

function makers.tasklet(world, spec)
    local t = world.tasks[spec[2]]
    return t and world.api.WaitForTasklet(t)
end

function makers.own(world)
    return world.own()
end

-- Where the object of a condition is kept. Of a timeout that fires each tasklet has one of its own:
-- whether one that has fired is still taken is not told.
local function key_of(ctx, number)
    local world = ctx.world
    local spec = world.program.conditions[number]
    if spec[1] == "timeout" and spec[2] == 0 then
        return number .. " of " .. number_of(world, world.api.current())
    end
    return number
end

---@return table? # nil: what it is about is not there yet
local function condition(ctx, number)
    local world, key = ctx.world, key_of(ctx, number)
    local c = world.conditions[key]
    if c == nil then
        local spec = world.program.conditions[number]
        c = makers[spec[1]](world, spec)
        world.conditions[key] = c
        if c ~= nil then
            world.numbers[c] = number
        end
    end
    return c
end

---A tasklet by its number; 0 is one's own.
local function task(ctx, number)
    if number == 0 then
        return ctx.own and ctx.world.tasks[ctx.own]
    end
    return ctx.world.tasks[number]
end

---@param which? integer the script, if it is not that of the number
local function body(world, number, which)
    local script = world.program.scripts[which or number]
    return function(...)
        world.tasks[number] = world.api.current()
        local ctx = { world = world, name = "t" .. number, own = number }
        log(ctx, "begins %s", list_of(table.pack(...)))
        local _ <close> = setmetatable({}, { __close = function(_, err)
            log(ctx, "closes with %s", describe(world, err))
        end })
        local result = run_steps(ctx, script)
        if result == RETURN then
            return table.unpack(ctx.results)
        end
        return "end of " .. (which or number)
    end
end

-- A tasklet's number is taken by whoever starts it first.
local function take_number(world, number)
    if world.taken[number] then
        return false
    end
    world.taken[number] = true
    return true
end

-- ---- the steps ----

function steps.run(ctx, number)
    local world = ctx.world
    if take_number(world, number) then
        world.tasks[number] = world.api.run(body(world, number), "argument")
        log(ctx, "has run t%d", number)
    end
end

-- What a wait's item means, or nil.
local function item_value(ctx, item)
    local world = ctx.world
    if type(item) == "number" then
        return condition(ctx, item)
    elseif item[1] == "task" then
        return task(ctx, item[2])
    elseif item[1] == "func" then
        return take_number(world, item[2]) and body(world, item[2]) or nil
    elseif item[1] == "message" then
        return world.api.Message("m", {})
    end
    return item[2]
end

-- Yields the values; returns the event, or nothing if it is not to be read.
local function yield_values(ctx, values, form)
    local api = ctx.world.api
    if form == "wait" or ctx.inner then
        return api.wait(table.unpack(values))
    elseif form == "list" then
        api.yield(values)
    else
        api.yield(table.unpack(values))
    end
    if form ~= "forget" then
        return api.get_event()
    end
end

-- After a yield that raised, timeouts are made anew: from when one that has fired counts its next
-- period then is not told.
local function forget_timeouts(ctx, items)
    for _, item in ipairs(items) do
        local key = type(item) == "number" and key_of(ctx, item)
        if key ~= item then
            ctx.world.conditions[key] = nil
        end
    end
end

local function has_timeout(ctx, items)
    for _, item in ipairs(items) do
        if type(item) == "number" and key_of(ctx, item) ~= item then
            return #items > 1
        end
    end
end

---{"wait", items, form}: form is "wait", "yield", "list" or "forget" (the event is not read).
function steps.wait(ctx, items, form)
    local values = {}
    for _, item in ipairs(items) do
        local value = item_value(ctx, item)
        if value ~= nil then
            values[#values + 1] = value
        end
    end
    if #values == 0 and #items > 0 then
        return
    end
    local event
    if has_timeout(ctx, items) then
        local ok, result = pcall(yield_values, ctx, values, form)
        if not ok then
            forget_timeouts(ctx, items)
            error(result, 0)
        end
        event = result
    else
        event = yield_values(ctx, values, form)
    end
    log(ctx, "got %s", event == nil and "something" or describe_event(ctx, event))
end

function steps.get_event(ctx)
    log(ctx, "read %s", describe_event(ctx, ctx.world.api.get_event()))
end

function steps.call(ctx, number, value)
    local result = condition(ctx, number)(value)
    log(ctx, "called condition %d: %s", number, tostring(result))
end

function steps.return_value(ctx, number, value)
    condition(ctx, number).return_value = value
end

function steps.fire(ctx, number)
    local c = condition(ctx, number)
    if c.owner then
        local armed = c.owner:wait_condition_fired(c)
        log(ctx, "fired condition %d: %s", number, armed and "armed" or "not armed")
    end
end

-- Not of one that has fired and is being handled: whether that is armed is not told.
function steps.restart(ctx, number)
    local c = condition(ctx, number)
    if not c.triggered then
        c:restart()
    end
end

function steps.triggered(ctx, number)
    local c = ctx.world.conditions[key_of(ctx, number)]
    if c ~= nil then
        log(ctx, "condition %d is %striggered", number, c.triggered and "" or "not ")
    end
end

function steps.emit(ctx, number, value)
    ctx.world.emitters[number]:emit("s", value, nil)
    log(ctx, "emitted e%d", number)
end

function steps.connect(ctx, number, inner)
    local world, left = ctx.world, 3 -- it may emit what it is told of
    table.insert(world.ids, { number, world.emitters[number]:connect("s", function(value)
        local handler = { world = world, name = ctx.name .. " handler", own = ctx.own,
            inner = true }
        log(handler, "was told %s", tostring(value))
        left = left - 1
        if left > 0 then
            run_steps(handler, inner)
        end
    end) })
end

function steps.disconnect(ctx, index)
    local entry = ctx.world.ids[index]
    if entry then
        ctx.world.emitters[entry[1]]:disconnect(entry[2])
        log(ctx, "disconnected %d", index)
    end
end

function steps.destroy(ctx, number)
    ctx.world.emitters[number]:destroy()
    log(ctx, "destroyed e%d", number)
end

function steps.send(ctx, number, name, value, form)
    local api, dest = ctx.world.api, task(ctx, number)
    if not dest then
        return
    elseif form == "send" then
        api.send(dest, name, value)
    else
        local message = api.Message(name, { dest = dest, value = value })
        if form == "append" then
            dest.mailbox:append(message)
        elseif form == "send_message" then
            dest:send_message(message)
        elseif form == "wait" or ctx.inner then
            api.wait(message)
        else
            api.yield(message)
        end
    end
    log(ctx, "sent %s (%s)", name, value)
end

function steps.popleft(ctx, number, seconds)
    local owner = task(ctx, number)
    if owner then
        log(ctx, "took %s", describe_event(ctx, owner.mailbox:popleft(seconds)))
    end
end

function steps.mail(ctx, number)
    local owner = task(ctx, number)
    if owner then
        local names = {}
        for message in owner.mailbox:iter() do
            names[#names + 1] = message.name
        end
        log(ctx, "t%d has %d messages: %s", number, #owner.mailbox, table.concat(names, " "))
    end
end

function steps.sleep(ctx)
    ctx.world.api.sleep(0)
    log(ctx, "slept")
end

function steps.yield_(ctx)
    ctx.world.api.yield_()
    log(ctx, "gave way")
end

function steps.join(ctx, number, seconds)
    local t = task(ctx, number)
    if t then
        log(ctx, "joined t%d: %s", number, list_of(table.pack(t:join(seconds))))
    end
end

function steps.kill(ctx, number)
    local t = task(ctx, number)
    if t then
        t:kill()
        log(ctx, "killed t%d", number)
    end
end

function steps.survive(ctx)
    ctx.world.api.survive()
end

function steps.callback(ctx, number, inner)
    local world, t = ctx.world, task(ctx, number)
    if t then
        local index = #world.handles + 1
        local handle = t:add_join_callback(function(who, retval, extra)
            local inside = { world = world, name = "callback " .. index, inner = true }
            log(inside, "%s ended with %s, %s", number_of(world, who), tostring(retval), extra)
            run_steps(inside, inner)
        end, "extra")
        world.handles[index] = { t, handle }
    end
end

function steps.uncallback(ctx, index)
    local entry = ctx.world.handles[index]
    if entry then
        entry[1]:remove_join_callback(entry[2])
        log(ctx, "removed callback %d", index)
    end
end

---What is raised: a number stands for a table, "exit" for a TaskletExit.
local function error_value(ctx, value)
    local errors = ctx.world.errors
    if type(value) == "number" then
        errors[value] = errors[value] or { error_number = value }
        return errors[value]
    end
    return value == "exit" and ctx.world.api.TaskletExit("exit") or value
end

function steps.error(ctx, value)
    error(error_value(ctx, value), 0)
end

steps["return"] = function(ctx, ...)
    ctx.results = { ... }
    return RETURN
end

function steps.pcall(ctx, inner)
    local ok, err = pcall(run_steps, ctx, inner)
    log(ctx, "pcall: %s", ok and "well" or describe(ctx.world, err))
end

steps["repeat"] = function(ctx, times, inner)
    for _ = 1, times do
        if run_steps(ctx, inner) == RETURN then
            return RETURN
        end
    end
end

---{"close", closer, inner}: runs `inner`, with `closer` in a variable marked <close>.
function steps.close(ctx, closer, inner)
    local _ <close> = setmetatable({}, { __close = function(_, err)
        log(ctx, "close method, %s", describe(ctx.world, err))
        run_steps(ctx, closer)
    end })
    return run_steps(ctx, inner)
end

---{"generator", bodies}: a generator that runs each of the lists of steps and yields in between.
function steps.generator(ctx, bodies)
    local inside = setmetatable({ inner = true }, { __index = ctx })
    local generator = ctx.world.api.wrap(function()
        for i, inner in ipairs(bodies) do
            run_steps(inside, inner)
            coroutine.yield(i)
        end
    end)
    for i in generator do
        log(ctx, "generated %d", i)
    end
end

---{"sort", inner}: where Lua cannot yield.
function steps.sort(ctx, inner)
    local inside, done = setmetatable({ inner = true }, { __index = ctx }), false
    table.sort({ 1, 2 }, function(a, b)
        if not done then
            done = true
            run_steps(inside, inner)
        end
        return a < b
    end)
    log(ctx, "sorted")
end

local states = { "STATE_RUNNING", "STATE_SUSPENDED", "STATE_MSGSEND", "STATE_ZOMBIE" }

function steps.state(ctx, number)
    local t = task(ctx, number)
    if t then
        for _, name in ipairs(states) do
            if ctx.world.api.Tasklet[name] == t.state then
                log(ctx, "t%d is in %s", number, name)
            end
        end
    end
end

---Waits until all that can happen now has happened.
function steps.settle(ctx)
    local api = ctx.world.api
    api.wait(api.WaitForIdle({ priority = 1000000 }))
    log(ctx, "settled")
end

function run_steps(ctx, list)
    for _, step in ipairs(list) do
        if steps[step[1]](ctx, table.unpack(step, 2)) == RETURN then
            return RETURN
        end
    end
end

local for_steps = {
    steps = steps,
    run_steps = run_steps,
    log = log,
    task = task,
    body = body,
    take_number = take_number,
    number_of = number_of,
    error_value = error_value,
}
require "spec.model.queue_steps"(for_steps)
require "spec.model.limit_steps"(for_steps)
require "spec.model.channel_steps"(for_steps)

function makers.channel(world, spec)
    return world.api.WaitForChannel(for_steps.channel({ world = world }, spec[2]), spec[3], spec[4])
end

-- ---- the whole ----

-- Until a whole turn of the loop brings nothing new.
local function settle(ctx)
    local before
    repeat
        before = #ctx.world.trace
        steps.settle(ctx)
    until #ctx.world.trace == before + 1
end

-- Kills what is left, in order, until all have ended, and tells how. What a shield holds back for
-- ever is thrown instead.
local function finish(ctx)
    local world = ctx.world
    for round = 1, 30 do
        settle(ctx)
        local left = false
        for number in ipairs(world.program.scripts) do
            local t = world.tasks[number]
            if t and not t:has_finished() then
                left = true
                if round % 3 > 0 then
                    t:kill()
                else
                    t:throw(world.api.TaskletExit("the end"))
                end
                log(ctx, "killed t%d", number)
            end
        end
        if not left then
            break
        end
    end
    for number in ipairs(world.program.scripts) do
        local t = world.tasks[number]
        if t and not t:has_finished() then
            log(ctx, "t%d is left", number)
        elseif t then
            local results = table.pack(pcall(t.join, t))
            log(ctx, "t%d %s %s", number, results[1] and "returned" or "failed",
                results[1] and list_of(table.pack(table.unpack(results, 2, results.n)))
                or describe(world, results[2]))
        end
    end
    for number in ipairs(world.program.conditions) do
        local counts = world.counts[world.conditions[number] or world]
        if counts and counts.armed ~= counts.disarmed then
            log(ctx, "condition %d was armed %d times, disarmed %d times", number, counts.armed,
                counts.disarmed)
        end
    end
end

---@param api table
---@param program table
---@param trace string[] is filled
---@return function # the body of a tasklet that starts the first, waits, and ends what is left
function M.supervisor(api, program, trace)
    local world = {
        api = api,
        program = program,
        trace = trace,
        tasks = {},
        taken = {},
        conditions = {},
        numbers = {},
        emitters = {},
        handles = {},
        ids = {},
        errors = {},
        counts = {},
        channels = {},
    }
    local Class = api.emitter_class()
    world.emitters[0] = Class
    for i = 1, 2 do
        world.emitters[i] = Class()
    end
    local own = api.own_class({
        arm = function(c, t)
            local counts = world.counts[c] or { armed = 0, disarmed = 0 }
            world.counts[c] = counts
            c.owner = t
            counts.armed = counts.armed + 1
        end,
        disarm = function(c)
            c.owner = nil
            world.counts[c].disarmed = world.counts[c].disarmed + 1
        end,
    })
    world.own = own
    for number, spec in ipairs(program.conditions) do
        if spec[1] == "signal" then
            condition({ world = world, name = "beginning" }, number) -- while there is an emitter
        end
    end
    return function()
        local ctx = { world = world, name = "supervisor" }
        steps.run(ctx, 1)
        finish(ctx)
    end
end

return M
