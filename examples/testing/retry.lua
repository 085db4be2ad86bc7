-- Tries something again and again, with longer and longer pauses in between.
local tasklet = require "tasklet"

local M = {}

---@class retry.Options
---@field tries? integer 5 if absent
---@field pause? number seconds before the second try; doubled each time; 1 if absent

---Returns what `f` returns; raises what its last try raises.
---@param f function
---@param options? retry.Options
function M.call(f, options)
    local tries, pause = options and options.tries or 5, options and options.pause or 1
    for _ = 1, tries - 1 do
        local results = table.pack(pcall(f))
        if results[1] then
            return table.unpack(results, 2, results.n)
        end
        tasklet.sleep(pause)
        pause = pause * 2
    end
    return f()
end

---A tasklet that tries `f` and sends `dest` what came of it: "done" or "failed", with the value.
---@param dest Tasklet
---@param f function
---@param options? retry.Options
function M.start(dest, f, options)
    return tasklet.run(function()
        local ok, value = pcall(M.call, f, options)
        tasklet.send(dest, ok and "done" or "failed", value)
    end)
end

return M
