-- What plain Lua runs before a script of the specs, by LUA_INIT: the module comes with a virtual
-- clock. The host has an option for that.
local find = package.searchers[3]

package.searchers[3] = function(name)
    local load, path = find(name)
    if name ~= "tasklet" or type(load) ~= "function" then
        return load, path
    end
    return function(...)
        local tasklet = load(...)
        tasklet.set_virtual_time(true)
        return tasklet
    end, path
end
