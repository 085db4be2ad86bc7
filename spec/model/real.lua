-- The real thing, as the interpreter wants it, and how a program is run on it.
local tasklet = require "tasklet"
local interpreter = require "spec.model.interpreter"

local M = {}

local api = setmetatable({
    wrap = coroutine.wrap,
    yield = coroutine.yield,
    own_class = function(hooks)
        local class = tasklet.WaitCondition:subclass("Own")
        function class:arm(task)
            hooks.arm(self, task)
        end
        function class:disarm()
            hooks.disarm(self)
        end
        return class
    end,
}, { __index = tasklet })

M.api = api

---Runs a program in the current tasklet.
---@param program table
---@return string[] trace
function M.run(program)
    local trace = {}
    -- It begins with a turn of the loop, so that it has a whole turn's budget.
    tasklet.wait(tasklet.WaitForTimeout(0))
    local supervisor = tasklet.run(interpreter.supervisor(api, program, trace))
    local ok, err = pcall(tasklet.join, supervisor)
    if not ok then
        trace[#trace + 1] = "the supervisor failed: " .. tostring(err)
    end
    return trace
end

return M
