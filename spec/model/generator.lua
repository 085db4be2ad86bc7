-- Makes random programs. Families of steps are switched on by name, so that a program has only what
-- the module has.
local random = require "spec.model.random"

local M = {}

---@class spec.model.Generator
---@field random spec.model.Random
---@field count integer of scripts
---@field conditions table[]
---@field of table<string, integer[]> the conditions of each kind, by number
---@field values integer
local G = {}
G.__index = G

local names = { "a", "b", "c" }

function G:value(letter)
    self.values = self.values + 1
    return letter .. self.values
end

-- The number of a tasklet; now and then 0, oneself.
function G:tasklet()
    if self.random:chance(10) then
        return 0
    end
    return self.random:int(1, self.count)
end

function G:other()
    return self.random:int(1, self.count)
end

-- ---- conditions ----

local makers = {}

function makers.call(g)
    return { "call", g:value("r") }
end

function makers.timeout(g)
    local never = g.random:chance(30)
    return { "timeout", never and 1000000000 or 0, g.random:chance(70) and 0
        or g.random:pick{ -100, 100, 300 } }
end

function makers.idle(g)
    return { "idle", g.random:pick{ 200, 200, 100, -100, 300 } }
end

function makers.signal(g)
    return { "signal", g.random:pick{ 0, 1, 1, 1, 2, 2 } }
end

function makers.messages(g)
    local lists = { {}, {}, {} }
    for _, name in ipairs(names) do
        -- The fourth: in none of them.
        local place = g.random:weighted({ { 5, 1 }, { 3, 2 }, { 1, 3 }, { 1, 4 } }, 10)
        if place <= 3 then
            table.insert(lists[place], name)
        end
    end
    return { "messages", lists[1], lists[2], lists[3] }
end

function makers.tasklet(g)
    return { "tasklet", g:other() }
end

function makers.own()
    return { "own" }
end

function makers.channel(g)
    local side = g.random:pick{ "send", "receive" }
    return { "channel", g.random:int(1, 2), side, side == "send" and g:value("w") or nil }
end

-- A condition of the kind, if there is one.
function G:condition(kind)
    local list = self.of[kind]
    return list and self.random:pick(list)
end

-- ---- steps ----

-- By family: weight, and a function that gives a step, or nil.
local families = {}

local function family(name)
    families[name] = {}
    return function(weight, make)
        table.insert(families[name], { weight, make })
    end
end

local add = family("core")

add(6, function(g) return { "run", g:other() } end)

add(22, function(g)
    local items = {}
    for i = 1, g.random:weighted({ { 5, 1 }, { 4, 2 }, { 2, 3 } }, 11) do
        items[i] = g.random:int(1, #g.conditions)
    end
    for _, maker in ipairs(g.items) do
        if g.random:chance(maker[1]) then
            items[g.random:int(1, #items)] = maker[2](g)
        end
    end
    return { "wait", items, g.random:weighted({ { 5, "wait" }, { 4, "yield" }, { 3, "list" },
        { 1, "forget" } }, 13) }
end)

add(8, function(g)
    local c = g:condition("call")
    return c and { "call", c, g:value("v") }
end)

add(2, function(g)
    local c = g:condition("call")
    return c and { "return_value", c, g:value("r") }
end)

add(1, function() return { "get_event" } end)
add(1, function(g) return { "triggered", g.random:int(1, #g.conditions) } end)
add(4, function() return { "yield_" } end)
add(2, function() return { "sleep" } end)
add(1, function(g) return { "return", g:value("x"), g:value("y") } end)
add(2, function(g) return { "state", g:other() } end)
add(2, function(g)
    return { "error", g.random:chance(50) and g:value("e") or g.random:int(1, 3) }
end)
add(4, function(g) return { "pcall", g:inner() } end)
add(4, function(g) return { "repeat", g.random:int(2, 3), g:inner() } end)
add(2, function(g) return not g.generating and { "close", g:inner(), g:inner() } or nil end)

add = family("restart")
add(2, function(g)
    local c = g:condition("timeout")
    return c and { "restart", c }
end)

add = family("signal")
add(6, function(g) return { "emit", g.random:int(1, 2), g:value("s") } end)
add(1, function(g) return { "connect", g.random:int(1, 2), g:inner() } end)
add(1, function(g) return { "disconnect", g.random:int(1, 2) } end)
add(1, function(g) return g.random:chance(40) and { "destroy", g.random:int(1, 2) } or nil end)

add = family("own")
add(4, function(g)
    local c = g:condition("own")
    return c and { "fire", c }
end)

add = family("messages")
add(10, function(g)
    return { "send", g:tasklet(), g.random:pick(names), g:value("m"), g.random:weighted({
        { 4, "send" }, { 3, "yield" }, { 1, "wait" } }, 8) }
end)

add = family("mailbox")
add(2, function(g)
    return { "send", g:tasklet(), g.random:pick(names), g:value("m"),
        g.random:pick{ "append", "send_message" } }
end)
add(3, function(g)
    return { "popleft", g.random:chance(70) and 0 or g:other(),
        g.random:weighted({ { 4, -1 }, { 2, 0 }, { 1, 1000000 } }, 7) }
end)
add(1, function(g) return { "mail", g:other() } end)

add = family("join")
add(4, function(g)
    return { "join", g:tasklet(), g.random:weighted({ { 4, -1 }, { 2, 0 }, { 1, 1000000 } }, 7) }
end)

add = family("callback")
add(2, function(g) return { "callback", g:tasklet(), g:inner() } end)
add(1, function(g) return { "uncallback", g.random:int(1, 2) } end)

add = family("kill")
add(5, function(g) return { "kill", g:tasklet() } end)
add(2, function() return { "survive" } end)
add(2, function(g)
    return { "pcall", { g:step(), { "survive" } } }
end)

add = family("new")
add(4, function(g) return { "new", g:other(), g.random:chance(90) } end)
add(6, function(g)
    return { "begin", g:other(), g.random:pick{ "call", "setup", "start" }, g:value("a") }
end)
add(2, function(g)
    -- What becomes of the members of a scope whose owner is bound anew is not told.
    if g.enabled.scope then
        return nil
    end
    return { "bind", g:tasklet(), g.random:chance(90) and g:other() or 0 }
end)
add(1, function(g) return { "look", g:tasklet() } end)

add = family("queue")
add(10, function(g)
    return { "by_hand", g:tasklet(), g.random:pick{ "insert", "remove", "run", "switch" } }
end)
add(4, function(g)
    return { "schedule", g.random:chance(60) and "schedule" or "schedule_remove",
        g.random:chance(50) and g:value("p") or nil }
end)
add(1, function(g) return { "tempval", g:tasklet(), g:value("q") } end)
add(2, function(g) return { "look", g:tasklet() } end)
add(2, function(g) return { "neighbours", g:tasklet() } end)
add(1, function() return { "runcount" } end)

add = family("throw")
add(5, function(g)
    return { "throw", g:tasklet(), g.random:chance(20) and "exit" or g.random:chance(50)
        and g:value("e") or g.random:int(1, 3), g.random:chance(40) }
end)
add(1, function(g)
    return { "raise", g:tasklet(), g.random:pick{ "class", "exit", g:value("e") } }
end)

add = family("trap")
add(2, function(g) return { "trap", g:tasklet(), g.random:chance(50) } end)

add = family("limit")
local times = { -1, 0, 1000000 }
add(3, function(g) return { "deadline", g.random:pick(times), g:inner() } end)
add(3, function(g) return { "shield", g.random:pick(times), g:inner() } end)

add = family("scope")
add(4, function(g)
    local inner = g:inner()
    table.insert(inner, 1, { "member", 0, g:other(), "run" })
    return { "scope", g.random:weighted({ { 6, -1 }, { 1, 0 }, { 1, 1000000 } }, 8), inner }
end)
add(6, function(g)
    return { "member", g:tasklet(), g:other(), g.random:chance(70) and "run" or "new" }
end)
add(2, function(g) return { "end_scope", g:tasklet() } end)

add = family("channel")
local waits = { { 6, nil }, { 2, 0 }, { 1, 1000000 } }
local function channel_number(g)
    return g.random:chance(70) and 1 or 2
end
add(9, function(g)
    return { "ch_send", channel_number(g), g:value("c"), g.random:weighted(waits, 9) }
end)
add(10, function(g) return { "ch_receive", channel_number(g), g.random:weighted(waits, 9) } end)
add(1, function(g)
    return { "ch_exception", channel_number(g), g.random:pick{ "class", g:value("e"), 1 } }
end)
add(1, function(g) return { "ch_sequence", channel_number(g), g:value("c"), g:value("c") } end)
add(2, function(g) return { "ch_iterate", channel_number(g), g:inner() } end)
add(1, function(g) return { "ch_close", channel_number(g) } end)
add(1, function(g) return { "ch_open", channel_number(g) } end)
add(2, function(g) return { "ch_look", channel_number(g) } end)
add(1, function(g)
    return { "preference", channel_number(g), g.random:int(-1, 1), g.random:chance(20) }
end)

add = family("generator")
add(3, function(g)
    local bodies = {}
    local was = g.generating
    g.generating = true
    for i = 1, g.random:int(1, 2) do
        bodies[i] = g:inner()
    end
    g.generating = was
    return { "generator", bodies }
end)

add = family("sort")
add(1, function(g) return { "sort", g:inner() } end)

-- Items of wait lists beside conditions: percent, function.
local items = {
    join = { 8, function(g) return { "task", g:tasklet() } end },
    functions = { 8, function(g) return { "func", g:other() } end },
    misuse = { 1, function(g)
        return g.random:pick{ { "message" }, { "junk", true }, { "junk", "text" } }
    end },
}

-- Kinds of conditions that come with a family.
local kinds = {
    core = { { 10, "call" }, { 6, "timeout" } },
    signal = { { 6, "signal" } },
    messages = { { 8, "messages" } },
    join = { { 2, "tasklet" } },
    own = { { 3, "own" } },
    idle = { { 3, "idle" } },
    channel = { { 8, "channel" } },
}

---The families that the module has.
---@param tasklet table the module
---@return table<string, boolean>
function M.families(tasklet)
    return {
        core = true,
        restart = true,
        idle = true,
        functions = true,
        generator = true,
        sort = true,
        misuse = true,
        signal = tasklet.Emitter ~= nil,
        own = tasklet.WaitCondition ~= nil,
        messages = tasklet.send ~= nil,
        mailbox = tasklet.send ~= nil,
        join = tasklet.join ~= nil,
        callback = tasklet.Tasklet.add_join_callback ~= nil,
        kill = tasklet.Tasklet.kill ~= nil,
        new = tasklet.new ~= nil,
        queue = tasklet.schedule ~= nil,
        throw = tasklet.Tasklet.throw ~= nil,
        trap = tasklet.Tasklet.throw ~= nil,
        limit = tasklet.with_deadline ~= nil,
        scope = tasklet.scope ~= nil,
        channel = tasklet.channel ~= nil,
    }
end

-- ---- programs ----

local function total(list)
    local sum = 0
    for _, entry in ipairs(list) do
        sum = sum + entry[1]
    end
    return sum
end

function G:step()
    local step
    repeat
        step = self.random:weighted(self.steps, self.total)(self)
    until step
    return step
end

-- One to three steps within another.
function G:inner()
    if self.depth >= 2 then
        return {}
    end
    self.depth = self.depth + 1
    local list = {}
    for i = 1, self.random:int(1, 3) do
        list[i] = self:step()
    end
    self.depth = self.depth - 1
    return list
end

-- Starts the others, with what does not wait in between.
function G:first()
    local script, order = {}, {}
    if self.enabled.channel then
        for number = 1, 2 do
            script[number] = { "preference", number, self.random:pick{ -1, -1, 0, 1 },
                self.random:chance(10) }
        end
    end
    for number = 2, self.count do
        table.insert(order, self.random:int(1, #order + 1), number)
    end
    for _, number in ipairs(order) do
        if number == order[1] or self.random:chance(75) then
            script[#script + 1] = { "run", number }
        end
        if self.random:chance(30) then
            script[#script + 1] = { self.random:pick{ "yield_", "settle" } }
        end
    end
    for _ = 1, self.random:int(3, 8) do
        if self.random:chance(20) then
            script[#script + 1] = { "settle" }
        elseif self.random:chance(70) then
            script[#script + 1] = { "pcall", { self:step() } }
        else
            script[#script + 1] = self:step()
        end
    end
    return script
end

---@param seed integer
---@param on table<string, boolean> families
---@return table program
function M.make(seed, on)
    local g = setmetatable({ random = random.new(seed), values = 0, depth = 0, steps = {},
        items = {}, of = {}, conditions = {} }, G)
    -- Some families are left out at random, so that the rest meet more often.
    local enabled = {}
    for _, name in ipairs(M.names) do
        enabled[name] = on[name] and (name == "core" or g.random:chance(65))
    end
    g.enabled = enabled
    local weighted_kinds = {}
    for _, name in ipairs(M.names) do
        if enabled[name] then
            table.move(families[name] or {}, 1, #(families[name] or {}), #g.steps + 1, g.steps)
            for _, kind in ipairs(kinds[name] or {}) do
                table.insert(weighted_kinds, kind)
            end
            table.insert(g.items, items[name])
        end
    end
    g.total = total(g.steps)
    g.count = g.random:int(3, 6)
    for number = 1, g.random:int(3, 6) do
        local kind = g.random:weighted(weighted_kinds, total(weighted_kinds))
        g.conditions[number] = makers[kind](g)
        g.of[kind] = g.of[kind] or {}
        table.insert(g.of[kind], number)
    end
    local scripts = { {} }
    for number = 2, g.count do
        local script = {}
        for i = 1, g.random:int(2, 8) do
            script[i] = g:step()
        end
        scripts[number] = script
    end
    scripts[1] = g:first()
    return { conditions = g.conditions, scripts = scripts }
end

---All families, in an order of their own, so that the same seed gives the same program.
M.names = { "core", "restart", "idle", "functions", "generator", "sort", "misuse", "signal", "own",
    "messages", "mailbox", "join", "callback", "kill", "new", "queue", "throw", "trap",
    "limit", "scope", "channel" }

return M
