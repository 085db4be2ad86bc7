-- What does preemption cost while no tasklet runs longer than its slice?
--
-- slice.lua PAIRS [NAME...]: five programs that compute, or those that are named. Each works for
-- about a millisecond at a time and gives way then; that again and again, now without slices, now
-- with slices of 10 ms, in turn. Printed is by how much more processor time it takes with them: the
-- median of as many pairs. A partner counts its turns: one more would be a preemption.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local pairs_wanted = support.count(1, "pairs")
local SLICE = 10
local SPELLS = 40 -- in each half of a pair

---@type table<string, fun(): any>
local works = {}

function works.fib()
    local function fib(n)
        return n < 2 and n or fib(n - 1) + fib(n - 2)
    end
    return fib(19)
end

function works.nbody()
    local bodies = {}
    for i = 1, 5 do
        bodies[i] = {x = i, y = i * i % 7, z = -i, vx = 0, vy = i / 10, vz = 0, mass = 1 / i}
    end
    for _ = 1, 150 do
        for i = 1, 5 do
            local a = bodies[i]
            for j = i + 1, 5 do
                local b = bodies[j]
                local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
                local d2 = dx * dx + dy * dy + dz * dz + 0.01
                local force = 0.001 / (d2 * d2 ^ 0.5)
                a.vx, a.vy, a.vz = a.vx - dx * b.mass * force, a.vy - dy * b.mass * force,
                    a.vz - dz * b.mass * force
                b.vx, b.vy, b.vz = b.vx + dx * a.mass * force, b.vy + dy * a.mass * force,
                    b.vz + dz * a.mass * force
            end
        end
        for i = 1, 5 do
            local a = bodies[i]
            a.x, a.y, a.z = a.x + 0.001 * a.vx, a.y + 0.001 * a.vy, a.z + 0.001 * a.vz
        end
    end
    return ("%.9f"):format(bodies[1].x)
end

function works.strings()
    local parts = {}
    for i = 1, 2500 do
        parts[#parts + 1] = "item " .. i .. (i % 2 == 0 and ";" or ",")
    end
    return #table.concat(parts):upper():gsub("ITEM", "x")
end

function works.sort()
    local list, seed = {}, 42
    for i = 1, 2500 do
        seed = seed * 48271 % 2147483647
        list[i] = seed
    end
    table.sort(list)
    return list[1] .. list[1250] .. list[2500]
end

function works.coroutines()
    local function count(n)
        return coroutine.wrap(function()
            for i = 1, n do
                coroutine.yield(i)
            end
        end)
    end
    local total = 0
    for i in count(80) do
        for j in count(i) do
            total = total + j
        end
    end
    return total
end

-- The partner has a turn whenever the other gives way.
local turns = 0
local partner = tasklet.new(function()
    while true do
        turns = turns + 1
        tasklet.yield_()
    end
end, {daemon = true})
partner()
tasklet.yield_()

---@param work fun(): any
---@param slice number
---@param expected any
---@return number # seconds of processor time
local function half(work, slice, expected)
    tasklet.set_timeslice(slice)
    collectgarbage()
    local before, wrong = turns, 0
    local start = os.clock()
    for _ = 1, SPELLS do
        if work() ~= expected then
            wrong = wrong + 1
        end
        tasklet.yield_()
    end
    local used = os.clock() - start
    tasklet.set_timeslice(0)
    support.check(wrong == 0, "the same results with and without slices")
    support.check(turns - before == SPELLS, "nobody was preempted")
    return used
end

---@param name string
local function measure(name)
    local work = works[name]
    local expected = work()
    local ratios = {}
    half(work, SLICE, expected)
    for i = 1, pairs_wanted do
        local with, without
        if i % 2 == 0 then
            without, with = half(work, 0, expected), half(work, SLICE, expected)
        else
            with, without = half(work, SLICE, expected), half(work, 0, expected)
        end
        ratios[i] = with / without
    end
    table.sort(ratios)
    local median = (ratios[(pairs_wanted + 1) // 2] + ratios[pairs_wanted // 2 + 1]) / 2
    support.report("slice_" .. name, (median - 1) * 100, "%")
end

local names = {table.unpack(arg, 2)}
if #names == 0 then
    names = {"fib", "nbody", "strings", "sort", "coroutines"}
end
for _, name in ipairs(names) do
    support.check(works[name], "a program of that name: " .. name)
    measure(name)
end
