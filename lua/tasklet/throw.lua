-- What is raised into a tasklet by its class.
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

M.Tasklet.getcurrent = M.Tasklet.current
