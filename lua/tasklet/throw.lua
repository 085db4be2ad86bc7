-- Raising into a tasklet by the class of what is to be raised.
local M, core = ...

--- What `Class, ...` or any other value means as an error: a class of errors is called with the
--- arguments, everything else is raised as it is.
function core.make_error(class, ...)
    local mt = getmetatable(class)
    if type(class) == "table" and type(mt) == "table" and mt.__call and
        rawget(class, "__index") == class then
        return class(...)
    end
    return class
end

--- Raises an error in a tasklet, at once.
---@param task Tasklet
---@param class any a class of errors, called with the other arguments; or any other value
function M.Tasklet.raise_exception(task, class, ...)
    core.check_tasklet(1, "raise_exception", task)
    if class == nil then
        error("bad argument #2 to 'raise_exception' (value expected)", 2)
    end
    return task:throw(core.make_error(class, ...))
end

M.Tasklet.getcurrent = M.Tasklet.current
