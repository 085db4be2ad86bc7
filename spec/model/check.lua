-- Runs a program, in the current tasklet, on the real thing and on the model, and compares.
--
-- For a regress spec: `assert.is_nil(check.difference(program))`.
local compare = require "spec.model.compare" -- before the module, for the sake of stock coroutines
local shrink = require "spec.model.shrink"

local listen = require "spec.model.listen"
local real = require "spec.model.real"

local M = {}

local MOST_LINES = 30 -- shown, from where two traces differ

---@class spec.model.Result
---@field same boolean
---@field trace string[] of the real thing
---@field own string[] of the model
---@field runs integer of the model
---@field said? string how they differ on standard error

---@param program table
---@return spec.model.Result
function M.try(program)
    listen.said()
    local trace = real.run(program)
    local same, own, runs, said = compare.explain(program, trace)
    local difference = same and listen.difference(listen.said(), said) or nil
    return { same = same and not difference, trace = trace, own = own, runs = runs,
        said = difference }
end

local function side_by_side(left, right)
    local width, lines = 14, {}
    for _, line in ipairs(left) do
        width = math.max(width, math.min(#line, 70))
    end
    local length, differ = math.max(#left, #right), 0
    for i = 1, length do
        local a, b = left[i] or "", right[i] or ""
        differ = differ + (a == b and 0 or 1)
        if differ > MOST_LINES then
            lines[i] = ("  ... %d lines more"):format(length - i + 1)
            break
        end
        lines[i] = ("%s %-" .. width .. "s | %s"):format(a == b and " " or "*", a, b)
    end
    return ("  %-" .. width .. "s | the model\n"):format("the real thing")
        .. table.concat(lines, "\n") .. "\n"
end

---@param program table
---@param result spec.model.Result
---@return string
function M.text(program, result)
    return ("%s\n%s%s"):format(shrink.text(program), side_by_side(result.trace, result.own),
        result.said or "")
end

---@param program table
---@return string? # how the real thing and the model differ
function M.difference(program)
    local result = M.try(program)
    return not result.same and M.text(program, result) or nil
end

return M
