-- What the benchmarks share: the line that a measurement is printed as, the resident size, and the
-- sleeper of timers.lua with its record of latencies. Plain Lua: limits/timers.c runs it as well.

local M = {}

---Prints one measurement as `name value unit`.
---@param name string
---@param value number
---@param unit string
function M.report(name, value, unit)
    print(("%s %.3f %s"):format(name, value, unit))
end

---Ends the program with status 1 unless `holds`: a wrong result is not a measurement.
---@param holds any
---@param what string
function M.check(holds, what)
    if not holds then
        io.stderr:write("wrong: ", what, "\n")
        os.exit(1)
    end
end

---The n-th argument of the script, a positive count.
---@param n integer
---@param name string
---@return integer
function M.count(n, name)
    local value = math.tointeger(tonumber(arg[n]))
    M.check(value and value > 0, ("argument %d, %s, is a positive count"):format(n, name))
    return value
end

---The resident size of this process, in bytes.
---@return integer
function M.rss()
    local file <close> = assert(io.open("/proc/self/statm"))
    local _, resident = file:read("n", "n")
    return resident * 4096
end

---@class Latencies
---@field early integer wake-ups before the time
---@field n integer all wake-ups
---@field max number
---@field buckets table<integer, integer> counts, by tenths of a millisecond
local Latencies = {}
Latencies.__index = Latencies

---@param p number a fraction
---@return number # milliseconds
function Latencies:percentile(p)
    local indexes = {}
    for index in pairs(self.buckets) do
        indexes[#indexes + 1] = index
    end
    table.sort(indexes)
    local wanted, seen = self.n * p, 0
    for _, index in ipairs(indexes) do
        seen = seen + self.buckets[index]
        if seen >= wanted then
            return index / 10
        end
    end
    return self.max
end

---@param expected integer how many wake-ups there must have been
function Latencies:report(expected)
    M.check(self.n == expected, ("%d wake-ups instead of %d"):format(self.n, expected))
    M.report("early", self.early, "wake-ups")
    M.report("late_p50", self:percentile(0.5), "ms")
    M.report("late_p99", self:percentile(0.99), "ms")
    M.report("late_max", self.max, "ms")
end

---What each tasklet of timers.lua does: three pseudo-random sleeps of 0 .. 1000 ms.
---@param count integer how many of them there will be
---@param sleep fun(time: number)
---@param now fun(): number milliseconds, with fractions
---@param done fun() called by the last one
---@param unit number? what a millisecond is for `sleep`; 1 if absent
---@return fun(seed: integer) body
---@return Latencies latencies filled while bodies run
function M.sleeper(count, sleep, now, done, unit)
    unit = unit or 1
    local buckets = {}
    local latencies = setmetatable({early = 0, n = 0, max = 0, buckets = buckets}, Latencies)
    local function body(seed)
        for _ = 1, 3 do
            seed = seed * 48271 % 2147483647
            local ms = seed % 1001
            local start = now()
            sleep(ms * unit)
            local late = now() - start - ms
            latencies.n = latencies.n + 1
            if late < 0 then
                latencies.early = latencies.early + 1
            elseif late > latencies.max then
                latencies.max = late
            end
            local index = late * 10 // 1
            buckets[index] = (buckets[index] or 0) + 1
        end
        count = count - 1
        if count == 0 then
            done()
        end
    end
    return body, latencies
end

return M
