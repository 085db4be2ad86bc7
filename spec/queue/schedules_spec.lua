-- Small programs whose results are known, run by `pump` with random small budgets: a preemptor that
-- luacheck: ignore 581
-- interrupts at any instruction and does the same again for the same seed.

local tasklet = require "tasklet"
local helper = require "spec.helper"

-- Schedules of each program, more than 10,000 of all together; a checker that is slow has fewer.
local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1
local SEEDS = math.max(1000 // (patience * patience), 20)

---A generator of its own, so that busted's seed does not matter.
---@param seed integer
---@return fun(low: integer, high: integer): integer
local function generator(seed)
    local state = seed * 2654435761 + 1
    return function(low, high)
        state = state * 6364136223846793005 + 1442695040888963407
        return low + ((state >> 33) % (high - low + 1))
    end
end

---Each starts tasklets and returns them, and what their first results must be.
---@type table<string, fun(): Tasklet[], any[]>
local programs = {}

local function fib(n)
    return n < 2 and n or fib(n - 1) + fib(n - 2)
end

function programs.calculations()
    local made = {}
    for i = 1, 3 do
        made[i] = tasklet.new(fib)(i + 3)
    end
    return made, {3, 5, 8}
end

function programs.generators()
    local function count(n)
        return coroutine.wrap(function()
            for i = 1, n do
                coroutine.yield(i)
            end
        end)
    end
    local function sum()
        local total = 0
        for i in count(4) do
            for j in count(i) do
                total = total + j
            end
        end
        return total
    end
    return {tasklet.new(sum)(), tasklet.new(sum)()}, {20, 20}
end

function programs.metamethods()
    local mt = {}
    local function box(v)
        return setmetatable({v = v}, mt)
    end
    function mt.__add(a, b) local v = a.v + b.v return box(v) end
    function mt.__unm(a) local v = -a.v return box(v) end
    function mt.__lt(a, b) local less = a.v < b.v return less end
    function mt.__le(a, b) local less = a.v <= b.v return less end
    function mt.__eq(a, b) local same = a.v == b.v return same end
    function mt.__concat(a, b)
        local x, y = type(a) == "table" and a.v or a, type(b) == "table" and b.v or b
        return x .. ":" .. y
    end
    function mt.__len(a) local n = a.v return n end
    function mt.__index(a, key) local k = key .. "!" return rawget(a, "v") .. k end
    function mt.__newindex(a, key, value) local v = value * 2 rawset(a, key, v) end
    function mt.__call(a, x) local v = a.v * x return v end
    function mt.__close(a) local v = a.v + 1 rawset(a, "v", v) end
    local function body()
        local a, b = box(2), box(3)
        local c = a + b
        local out = {c.v, (-c).v, a < b, a <= b, a == b, a ~= b, a > b, a >= b, #c}
        out[#out + 1] = "x" .. a .. b
        out[#out + 1] = a.name
        a.field = 4
        out[#out + 1] = rawget(a, "field")
        out[#out + 1] = c(10)
        do
            local closed <close> = b
            out[#out + 1] = closed.v
        end
        out[#out + 1] = b.v
        if not (a < b and not (b < a)) then
            out[#out + 1] = "wrong"
        end
        for i, v in ipairs(out) do
            out[i] = tostring(v)
        end
        return table.concat(out, " ")
    end
    local expected = "5 -5 true true false true false false 5 x2:3 2name! 8 50 3 4"
    return {tasklet.new(body)(), tasklet.new(body)()}, {expected, expected}
end

function programs.errors()
    local function body(what)
        local log = {}
        local function try(f, ...)
            local ok, err = pcall(f, ...)
            log[#log + 1] = ok and "ok" or tostring(err)
        end
        try(error, what)
        try(function()
            local _ <close> = setmetatable({}, {__close = function(_, err)
                log[#log + 1] = "closing after " .. tostring(err)
            end})
            error(what .. what, 0)
        end)
        log[#log + 1] = select(2, xpcall(error, function(m) return "<" .. m .. ">" end, what))
        return table.concat(log, ",")
    end
    local function expected(what)
        return ("%s,closing after %s%s,%s%s,<%s>"):format(what, what, what, what, what, what)
    end
    return {tasklet.new(body)("a"), tasklet.new(body)("b")}, {expected "a", expected "b"}
end

function programs.messages()
    local consumer = tasklet.new(function()
        local total, numbers = 0, tasklet.WaitForMessages{accept = "number", defer = "end"}
        for _ = 1, 6 do
            total = total + tasklet.wait(numbers).value
        end
        return total
    end)()
    local function produce(from)
        for i = from, from + 2 do
            tasklet.send(consumer, "number", i)
        end
        return from
    end
    return {consumer, tasklet.new(produce)(1), tasklet.new(produce)(10)}, {39, 1, 10}
end

function programs.joins()
    local a = tasklet.new(fib)(5)
    local b = tasklet.new(function() return tasklet.join(a) + 1 end)()
    local c = tasklet.new(function()
        local event = tasklet.wait(b)
        return event.retval + tasklet.join(a)
    end)()
    return {a, b, c}, {5, 6, 11}
end

function programs.yields()
    local function body(n)
        local seen = {}
        local call = tasklet.WaitForCall()
        for i = 1, n do
            tasklet.new(function() call(i) end)()
            coroutine.yield(call)
            local event = tasklet.get_event()
            seen[#seen + 1] = event.args[1]
        end
        return table.concat(seen)
    end
    return {tasklet.new(body)(2), tasklet.new(body)(3)}, {"12", "123"}
end

function programs.channels()
    local numbers, squares = tasklet.channel(), tasklet.channel{preference = 1}
    local source = tasklet.new(function()
        local count = numbers:send_sequence{1, 2, 3, 4}
        numbers:close()
        return count
    end)()
    local worker = tasklet.new(function()
        for n in numbers do
            squares:send(n * n)
        end
        squares:send_exception("end")
        return "worked"
    end)()
    local sink = tasklet.new(function()
        local sum, ok, value = 0, true, 0
        local event = tasklet.WaitForChannel(squares, "receive")
        while ok do
            sum = sum + value
            ok, value = pcall(function() return tasklet.wait(event).value end)
        end
        return sum .. value
    end)()
    return {source, worker, sink}, {4, "worked", "30end"}
end

function programs.signals()
    local emitter = tasklet.Emitter{"go"}
    local sum, count = 0, 0
    local id = emitter:connect("go", function(n) sum = sum + n end)
    local waiter = tasklet.new(function()
        local total, go = 0, tasklet.WaitForSignal(emitter, "go")
        while total < 6 do
            total = total + tasklet.wait(go).signal_args[1]
        end
        return total
    end)
    waiter:start()
    local sender = tasklet.new(function()
        for i = 1, 3 do
            emitter:emit("go", i)
        end
        emitter:disconnect(id)
        emitter:emit("go", 4)
        return sum
    end)()
    local other = tasklet.new(function()
        for _ = 1, 3 do
            local own = emitter:connect("go", function() count = count + 1 end)
            emitter:disconnect(own)
        end
        return "other"
    end)()
    return {waiter, sender, other}, {6, 6, "other"}
end

function programs.scopes()
    local function leaf(n)
        tasklet.schedule()
        return n
    end
    local function body(n)
        local a, b
        local got = tasklet.scope(function(s)
            a, b = s:run(leaf, n), s:run(leaf, n + 1)
            return "body"
        end)
        return ("%s %d %d"):format(got, a.return_value, b.return_value)
    end
    local function all()
        local list = tasklet.all{function() return leaf(1) end, function() return leaf(2) end}
        return list[1] + list[2]
    end
    local function any()
        return tasklet.any{
            function() tasklet.schedule_remove() end,
            function() return leaf(7) end,
        }
    end
    local function failing()
        local ok, err = pcall(tasklet.scope, function(s)
            s:run(function() tasklet.schedule_remove() end)
            s:run(function() leaf(1) error("failed", 0) end)
        end)
        return tostring(ok) .. " " .. tostring(err.cause)
    end
    return {tasklet.new(body)(1), tasklet.new(all)(), tasklet.new(any)(), tasklet.new(failing)()},
        {"body 1 2", 3, 7, "false failed"}
end

function programs.orders()
    local turns = {}
    local function body(name)
        local me = tasklet.getcurrent()
        for i = 1, 2 do
            turns[name] = (turns[name] or 0) + 1
            assert(tasklet.schedule(i) == i)
            assert(me.is_current and me.scheduled and not me.paused)
        end
        return turns[name]
    end
    local paused = tasklet.new(function() return tasklet.schedule_remove("out") end)
    paused:start()
    local waker = tasklet.new(function()
        paused.tempval = "in"
        return paused:insert() == paused
    end)()
    return {tasklet.new(body)("a"), tasklet.new(body)("b"), paused, waker}, {2, 2, "in", true}
end

function programs.kills()
    local closed, began = 0, false
    local victim = tasklet.new(function()
        local _ <close> = setmetatable({}, {__close = function() closed = closed + 1 end})
        local n = 0
        began = true
        while true do
            n = n + 1
        end
    end)()
    local killer = tasklet.new(function()
        while not began do
            tasklet.schedule()
        end
        local wrapped = coroutine.wrap(function() victim:kill() coroutine.yield("killed") end)
        return wrapped()
    end)()
    local joiner = tasklet.new(function()
        local ok, err = pcall(tasklet.join, victim)
        return not ok and tasklet.TaskletExit:is(err.cause) and closed
    end)()
    return {killer, joiner}, {"killed", 1}
end

function programs.nesting()
    local function range(n)
        return coroutine.wrap(function()
            for i = 1, n do
                local ok, value = pcall(function()
                    local twice <close> = setmetatable({}, {
                        __mul = function(_, x)
                            local double = coroutine.wrap(function() coroutine.yield(2 * x) end)
                            return double()
                        end,
                        __close = function(_, err)
                            local j = 0
                            while j < 3 do
                                j = j + 1
                            end
                            if err then
                                error("closed " .. err, 0)
                            end
                        end,
                    })
                    if i == 3 then
                        error("three", 0)
                    end
                    return twice * i
                end)
                coroutine.yield(ok and value or tostring(value))
            end
        end), nil, nil, setmetatable({}, {__close = function() local _ = range end})
    end
    local function body()
        local out = {}
        for value in range(4) do
            out[#out + 1] = value
        end
        return table.concat(out, " ")
    end
    return {tasklet.new(body)(), tasklet.new(body)()}, {"2 4 closed three 8", "2 4 closed three 8"}
end

function programs.callbacks()
    local function body(words)
        local list, compared = {}, 0
        local text = words:gsub("%a+", function(word)
            list[#list + 1] = word
            return word:upper()
        end)
        table.sort(list, function(a, b)
            compared = compared + 1
            return a < b
        end)
        return text .. ": " .. table.concat(list, ",") .. (compared > 0 and "" or " unsorted")
    end
    return {tasklet.new(body)("b a c"), tasklet.new(body)("y x")}, {"B A C: a,b,c", "Y X: x,y"}
end

---Runs all that is runnable, interrupted at random.
---@param random fun(low: integer, high: integer): integer
---@return integer # how many times
local function drive(random)
    local most = random(1, 4) == 1 and 3 or random(5, 200)
    for times = 0, 100000 do
        local interrupted = tasklet.pump(random(1, most))
        if not interrupted then
            return times
        end
        interrupted:insert()
    end
    error("it never ends", 0)
end

---@param tasks Tasklet[]
---@param expected any[] their first results
---@param what string
local function check(tasks, expected, what)
    for i, t in ipairs(tasks) do
        local place = ("%s, tasklet %d"):format(what, i)
        assert.is_true(t:has_finished(), place)
        local ok, err = pcall(tasklet.join, t)
        assert.is_true(ok, place .. ": " .. tostring(err))
        assert.equal(expected[i], t.return_value, place)
    end
end

local names = {}
for name in pairs(programs) do
    names[#names + 1] = name
end
table.sort(names)

describe("whenever it is interrupted", function()
    for _, name in ipairs(names) do
        it("7.6 a program has the same results: " .. name, function()
            local whole, wanted = programs[name]()
            drive(function() return 100000 end) -- only who spins for ever
            check(whole, wanted, "not interrupted")
            local times = 0
            for seed = 1, SEEDS do
                local tasks, expected = programs[name]()
                times = times + drive(generator(seed))
                check(tasks, expected, "seed " .. seed)
            end
            assert.is_true(times > 0, "it was interrupted")
        end)
    end
end)

describe("a mixture of programs", function()
    it("7.6 has the results of each, over many schedules", function()
        for seed = 1, SEEDS do
            local random, all, wanted = generator(seed + 1000000), {}, {}
            for _ = 1, 3 do
                local tasks, expected = programs[names[random(1, #names)]]()
                table.move(tasks, 1, #tasks, #all + 1, all)
                table.move(expected, 1, #tasks, #wanted + 1, wanted)
            end
            drive(random)
            check(all, wanted, "seed " .. seed)
        end
    end)
end)

describe("the same seed", function()
    it("7.6 interrupts at the same places", function()
        local function run(seed)
            local random, log = generator(seed), {}
            local numbers = {}
            for i = 1, 3 do
                numbers[tasklet.new(fib)(i + 7)] = i
            end
            for _ = 1, 10000 do
                local t = tasklet.pump(random(20, 60))
                if not t then
                    break
                end
                log[#log + 1] = numbers[t]
                t:insert()
            end
            return table.concat(log)
        end
        helper.within_loop(function()
            for seed = 1, 20 do
                local first = run(seed)
                assert.is_true(#first > 20)
                assert.equal(first, run(seed))
            end
        end)
    end)
end)
