-- What the standard library needs so that waits can pass: coroutine.resume, wrap, yield, running
-- and require, all from the core; and who loads which module now.
local M, core = ...

local loading = {} -- by name: the tasklet that loads a module, and those who wait for it

-- Called when the loading is over, well or not.
local function finish(entry)
    loading[entry.name] = nil
    for _, call in ipairs(entry) do
        call()
    end
end

local entry_mt = { __close = finish }
local nested_mt = { __close = function() end }

--- Notes that the current tasklet is about to load a module. Returns what is to be closed after it;
--- or nil and a function that waits until the tasklet that loads it already is done.
function core.loading_begin(name)
    local entry, current = loading[name], M.current()
    if not entry then
        entry = setmetatable({ name = name, owner = current }, entry_mt)
        loading[name] = entry
        return entry
    elseif entry.owner == current or not current then
        return setmetatable({}, nested_mt) -- it requires itself: as Lua, which has no guard either
    end
    return nil, function()
        local call = M.WaitForCall()
        table.insert(entry, call)
        -- Joining leaves the wait list of the tasklet that requires alone.
        M.join(core.daemon(function() M.wait(call) end))
    end
end

--- Puts these functions into the standard library's tables. Called again when something has put the
--- old ones back.
function core.patch()
    local co = core.loaded.coroutine
    if type(co) == "table" then
        co.resume, co.wrap, co.yield = core.resume, core.wrap, core.yield
        co.running, co.close = core.running, core.close
    end
    core.globals.require = core.require
end
