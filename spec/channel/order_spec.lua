-- Who goes on when two have met: direction, preference, schedule_all, how the partner waits, where
-- the caller stands (contract 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"
local uv = require "luv"

local within = util.within

local other = {send = "receive", receive = "send"}

---@class spec.Meeting
---@field ch table the channel
---@field log string[]
---@field act fun() what the caller does; notes "caller"
---@field bystander fun() puts another tasklet into the run queue; notes "bystander"

--- Where the caller stands. Each calls `m.bystander` and then has `m.act` called, both before
--- anybody else runs, and returns when everybody has run.
---@type table<string, fun(m: spec.Meeting)>
local places = {}

local function settle(...)
    util.join_each{...}
end

function places.plain(m)
    -- In front of the bystander, and with nobody behind it.
    local caller = tasklet.new(m.act)()
    settle(caller, m.bystander())
end

function places.chain(m)
    local b = m.bystander()
    local middle = tasklet.run(function()
        local caller = tasklet.run(m.act)
        m.log[#m.log + 1] = "starter"
        settle(caller)
    end)
    m.log[#m.log + 1] = "first"
    settle(b, middle)
end

function places.generator(m)
    local caller = tasklet.new(function()
        local next_value = coroutine.wrap(function()
            m.act()
            coroutine.yield("value")
        end)
        assert(next_value() == "value")
    end)()
    settle(caller, m.bystander())
end

function places.sort(m)
    local caller = tasklet.new(function()
        local acted = false
        table.sort({1, 2}, function(a, b)
            if not acted then
                acted = true
                m.act()
            end
            return a < b
        end)
    end)()
    settle(caller, m.bystander())
end

function places.outside(m)
    local done, timer, b = tasklet.WaitForCall(), uv.new_timer(), nil
    timer:start(0, 0, function()
        timer:close()
        assert(tasklet.current() == nil)
        b = m.bystander()
        m.act()
        done()
    end)
    tasklet.wait(done)
    settle(b)
end

-- By what becomes of the two: `now`, the partner runs now and the caller goes to the end; `on`, the
-- caller goes on and the partner is appended; `all`, the partner is appended and the caller behind
-- it.
local orders = {
    plain = {
        now = "partner bystander caller",
        on = "caller bystander partner",
        all = "bystander partner caller",
    },
    chain = {
        now = "partner starter first bystander caller",
        on = "caller starter first bystander partner",
        all = "starter first bystander partner caller",
    },
    sort = {
        now = "partner caller bystander",
        on = "caller bystander partner",
        all = "caller bystander partner",
    },
}
orders.generator = orders.plain
orders.outside = orders.sort

-- By what the caller does, and the preference.
local verb_meets_verb = {
    send = {[-1] = "now", [0] = "on", [1] = "on"},
    receive = {[-1] = "on", [0] = "on", [1] = "now"},
}

local function outcome(direction, preference, schedule_all, waits)
    if waits then
        return schedule_all and "all" or "on"
    end
    return schedule_all and "all" or verb_meets_verb[direction][preference]
end

--- A partner that waits to do `side`, and what it was given.
local function partner(m, side, waits)
    local given = {}
    local t = util.start("partner", function()
        if waits then
            given.value = tasklet.wait(tasklet.WaitForChannel(m.ch, side, "from partner")).value
        elseif side == "send" then
            m.ch:send("from partner")
            given.value = "from partner"
        else
            given.value = m.ch:receive()
        end
        m.log[#m.log + 1] = "partner"
    end)
    return t, given
end

---@return string # the order in which they ran
local function meet(place, direction, preference, schedule_all, waits, caller_waits)
    local m = {ch = tasklet.channel{preference = preference}, log = {}}
    m.ch.schedule_all = schedule_all
    local got
    function m.act()
        if caller_waits then
            got = tasklet.wait(tasklet.WaitForChannel(m.ch, direction, "from caller")).value
        elseif direction == "send" then
            got = m.ch:send("from caller")
        else
            got = m.ch:receive()
        end
        m.log[#m.log + 1] = "caller"
    end
    function m.bystander()
        return tasklet.new(function() m.log[#m.log + 1] = "bystander" end)()
    end
    local t, given = partner(m, other[direction], waits)
    assert(m.ch.balance == (direction == "send" and -1 or 1))
    places[place](m)
    tasklet.join(t, 5)
    assert(m.ch.balance == 0)
    if direction == "receive" then
        assert.equal("from partner", got)
    else
        assert.equal("from caller", given.value)
        assert.equal(caller_waits and "from caller" or nil, got)
    end
    return table.concat(m.log, " ")
end

local names = {}
for name in pairs(places) do
    names[#names + 1] = name
end
table.sort(names)

describe("who goes on:", function()
    for _, place in ipairs(names) do
        for direction in pairs(other) do
            for preference = -1, 1 do
                for _, schedule_all in ipairs{false, true} do
                    for _, waits in ipairs{false, true} do
                        local name = ("7.4 %s, %s, preference %d%s, the partner %s"):format(place,
                            direction, preference, schedule_all and ", schedule_all" or "",
                            waits and "waits by WaitForChannel" or "is in a verb")
                        it(name, within(function()
                            local case = outcome(direction, preference, schedule_all, waits)
                            assert.equal(orders[place][case],
                                meet(place, direction, preference, schedule_all, waits, false))
                        end))
                    end
                end
            end
        end
    end
end)

-- One that acts by a WaitForChannel goes to the end of the run queue, behind its partner, whatever
-- the channel says.
describe("who goes on when the caller acts by a WaitForChannel:", function()
    for _, place in ipairs{"plain", "chain", "generator"} do
        for direction in pairs(other) do
            for preference = -1, 1 do
                for _, schedule_all in ipairs{false, true} do
                    for _, waits in ipairs{false, true} do
                        local name = ("7.4 %s, %s, preference %d%s, the partner %s"):format(place,
                            direction, preference, schedule_all and ", schedule_all" or "",
                            waits and "waits, too" or "is in a verb")
                        it(name, within(function()
                            assert.equal(orders[place].all,
                                meet(place, direction, preference, schedule_all, waits, true))
                        end))
                    end
                end
            end
        end
    end
end)

describe("a partner that runs now", function()
    it("7.4 runs up to its next wait, and that only", within(function()
        local ch, log = tasklet.channel(), {}
        local t = util.start("r", function()
            for i = 1, 3 do
                local value = ch:receive()
                log[#log + 1] = "got " .. value
                log[#log + 1] = "after " .. i
            end
        end)
        for i = 1, 3 do
            ch:send(i)
            log[#log + 1] = "sent " .. i
        end
        tasklet.join(t)
        assert.equal("got 1 after 1 sent 1 got 2 after 2 sent 2 got 3 after 3 sent 3",
            table.concat(log, " "))
    end))

    it("7.4 that ends at once, or fails, harms nobody", within(function()
        local ch = tasklet.channel()
        local t = util.start("r", function() error("failed with " .. ch:receive(), 0) end)
        ch:send(1)
        local ok, err = pcall(tasklet.join, t)
        assert.is_false(ok)
        assert.equal("failed with 1", err.cause)
    end))

    it("7.4 that kills the one that sent to it, kills it where it gave way", within(function()
        local ch, s = tasklet.channel(), nil
        local r = util.start("r", function()
            ch:receive()
            s:kill()
            return s:has_finished()
        end)
        s = tasklet.new(function() ch:send(1) end)
        s:start()
        assert.is_true(tasklet.join(r))
        local err = util.raises(tasklet.JoinError, tasklet.join, s)
        assert.is_true(tasklet.TaskletExit:is(err.cause))
    end))

    it("7.4 that did not run, but is thrown something, has lost the value", within(function()
        local ch = tasklet.channel{preference = 1}
        local r = util.start("r", function() return pcall(ch.receive, ch) end)
        -- The sender goes on, and has handed over already.
        local s = util.start("s", function()
            ch:send("value")
            r:throw("thrown")
            return "sent"
        end)
        assert.equal("sent", tasklet.join(s))
        assert.same({false, "thrown"}, {tasklet.join(r)})
    end))

    it("7.4 under table.sort may start others, which run, too", within(function()
        local ch, log = tasklet.channel(), {}
        local r = util.start("r", function()
            ch:receive()
            tasklet.run(function() log[#log + 1] = "inner" end)
            log[#log + 1] = "partner"
            tasklet.sleep(0)
            log[#log + 1] = "later"
        end)
        table.sort({1, 2}, function(a, b)
            if #log == 0 then
                ch:send(1)
                log[#log + 1] = "caller"
            end
            return a < b
        end)
        tasklet.join(r)
        assert.same({"inner", "partner", "caller", "later"}, log)
    end))

    it("7.4 costs no C stack in a ring of 100,000", within(function()
        local first = tasklet.channel()
        local last, all = first, {}
        for i = 1, 100000 do
            local from, to = last, tasklet.channel()
            last = to
            all[i] = tasklet.run(function() to:send(from:receive() + 1) end)
        end
        first:send(0)
        assert.equal(100000, last:receive())
        util.join_each(all)
    end))
end)
