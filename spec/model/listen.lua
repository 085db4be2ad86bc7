-- What a program says on standard error: warnings, and errors that nobody took. It can be told if
-- standard error is a file.
local uv = require "luv"

local M = {}

local file, start
local stat = uv.fs_fstat(2)

if stat and stat.type == "file" then
    file = io.open("/proc/self/fd/2", "rb")
    start = file and file:seek("end")
end

---@return {warnings: string[], reports: integer}? # said since the last call
function M.said()
    if not file then
        return nil
    end
    file:seek("set", start)
    local said = { warnings = {}, reports = 0 }
    for line in file:lines() do
        local warning = line:match("^Lua warning: (.*)")
        if warning then
            table.insert(said.warnings, warning:match("forgot to read an event")
                or warning:match("implicitly discarding message '%w+'") or warning)
        elseif not line:find("^\t") and line ~= "stack traceback:" then
            said.reports = said.reports + 1
        end
    end
    start = file:seek()
    table.sort(said.warnings)
    return said
end

---@param said {warnings: string[], reports: integer}?
---@param model spec.model.Said
---@return string? # how they differ
function M.difference(said, model)
    if not said then
        return nil
    end
    local warnings, expected = table.concat(said.warnings, ", "), table.concat(model.warnings, ", ")
    if warnings ~= expected then
        return ("warnings: %s\nthe model's: %s\n"):format(warnings, expected)
    end
    local surely, maybe = model.reports.surely, model.reports.maybe
    if said.reports < surely or said.reports > surely + maybe then
        return ("%d errors were reported; %d to %d should be\n"):format(said.reports, surely,
            surely + maybe)
    end
end

return M
