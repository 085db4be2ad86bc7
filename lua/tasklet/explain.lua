-- Why does it hang? What tasklets wait for, in words.
local M, core = ...

--- The error that says why nothing goes on.
function core.deadlock()
    return M.TaskletError("deadlock: nothing can ever wake the tasklets that wait")
end
