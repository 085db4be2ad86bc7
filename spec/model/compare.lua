-- Runs a program on the model, and says whether what the real thing did is what the model would do.
--
-- The contract leaves open when the loop looks at its timers while tasklets are ready. Each such
-- look is a choice of the model's; the usual run makes none. When the traces differ, others are
-- tried: the last choice before the difference is made the other way, then the one before it.
local interpreter = require "spec.model.interpreter"
local model = require "spec.model.model"

local M = {}

-- What is told beside the trace, on standard error.
---@class spec.model.Said
---@field warnings string[] sorted
---@field reports {surely: integer, maybe: integer} errors that nobody took

local MOST = 2000 -- runs of the model for one program

---@param program table
---@param choices boolean[]
---@return string[] trace
---@return integer[] points how long the trace was at each choice
---@return spec.model.Said said
local function run_model(program, choices)
    local trace, points = {}, {}
    local function choose()
        points[#points + 1] = #trace
        return choices[#points] or false
    end
    local api, scheduler, warnings = model.new(choose)
    local supervisor = interpreter.supervisor(api, program, trace)
    local t = api.new(supervisor)()
    scheduler:run()
    if not t:has_finished() then
        trace[#trace + 1] = "the supervisor is left"
    elseif t.task.failed then
        trace[#trace + 1] = "the supervisor failed: " .. tostring(t.task.error)
    end
    table.sort(warnings)
    return trace, points, { warnings = warnings, reports = scheduler.reports }
end

---@param a string[]
---@param b string[]
---@return integer? # the first line that differs
local function difference(a, b)
    for i = 1, math.max(#a, #b) do
        if a[i] ~= b[i] then
            return i
        end
    end
end

---@param program table
---@param trace string[] of the real thing
---@return boolean same
---@return string[] trace of the model, the one that agrees longest
---@return integer runs of the model
---@return spec.model.Said said by the model
function M.explain(program, trace)
    local choices = {}
    local best, best_at, best_said = nil, 0, nil
    for run = 1, MOST do
        local own, points, said = run_model(program, choices)
        local at = difference(trace, own)
        if not at then
            return true, own, run, said
        elseif at > best_at then
            best, best_at, best_said = own, at, said
        end
        -- The last choice that was made before the traces differed, and was made the usual way.
        local last
        for i = #points, 1, -1 do
            if points[i] < at and not choices[i] then
                last = i
                break
            end
        end
        if not last then
            return false, best, run, best_said
        end
        local other = table.move(choices, 1, last - 1, 1, {})
        for i = 1, last - 1 do
            other[i] = other[i] or false
        end
        other[last] = true
        choices = other
    end
    return false, best, MOST, best_said
end

M.run_model = run_model

return M
