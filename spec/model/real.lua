-- The real thing, as the interpreter wants it, and how a program is run on it.
local tasklet = require "tasklet"
local interpreter = require "spec.model.interpreter"

local M = {}

-- Seconds that a program may take. It is done in a thousandth of that.
local PATIENCE = 2 * (tonumber(os.getenv "TASKLET_PATIENCE") or 1)

local Own = tasklet.WaitCondition:subclass("Own")

function Own:init(hooks)
    self.hooks = hooks
end

function Own:arm(task)
    self.hooks.arm(self, task)
end

function Own:disarm()
    self.hooks.disarm(self)
end

local Emitting = tasklet.Emitter:subclass("Emitting", { "s" })

local api = setmetatable({
    wrap = coroutine.wrap,
    yield = coroutine.yield,
    own_class = function(hooks)
        return function() return Own(hooks) end
    end,
    emitter_class = function() return Emitting end,
}, { __index = tasklet })

M.api = api

---Runs a program in the current tasklet.
---@param program table
---@return string[] trace
function M.run(program)
    local trace = {}
    -- It begins with a turn of the loop, so that it has a whole turn's budget.
    tasklet.wait(tasklet.WaitForTimeout(0))
    local supervisor = tasklet.new(interpreter.supervisor(api, program, trace))()
    local ok, err = pcall(tasklet.join, supervisor, PATIENCE)
    if not ok and tasklet.TimeoutError:is(err) then
        trace[#trace + 1] = "the supervisor hangs"
        supervisor:kill()
    elseif not ok then
        trace[#trace + 1] = "the supervisor failed: " .. tostring(err)
    end
    return trace
end

return M
