-- What the standard library needs so that waits can pass: coroutine.resume, wrap, yield and running from the
-- core, and a `require` whose modules may wait at their top level.
local M, core = ...

local loading = {} -- by name: who loads a module now, and who waits for that

-- Runs the searchers, as Lua's own require does. Returns the loader and what it is to be given.
local function find_loader(name)
    local searchers = package.searchers
    if type(searchers) ~= "table" then
        error("'package.searchers' must be a table", 3)
    end
    local messages = {}
    for _, searcher in ipairs(searchers) do
        local loader, extra = searcher(name)
        if type(loader) == "function" then
            return loader, extra
        elseif type(loader) == "string" then
            messages[#messages + 1] = loader:find("^\n") and loader or "\n\t" .. loader
        end
    end
    error(("module '%s' not found:%s"):format(name, table.concat(messages)), 3)
end

local function finish(name, entry)
    loading[name] = nil
    for _, call in ipairs(entry) do
        call()
    end
end

-- As Lua's own. A second tasklet that asks for a module that is being loaded waits for it.
local function require(name)
    if type(name) == "number" then
        name = tostring(name)
    elseif type(name) ~= "string" then
        error(("bad argument #1 to 'require' (string expected, got %s)"):format(
            name == nil and "no value" or type(name)), 2)
    end
    local loaded = core.loaded
    while not loaded[name] and loading[name] and M.current() and
        loading[name].owner ~= M.current() do
        local call = M.WaitForCall()
        table.insert(loading[name], call)
        -- Joining leaves the wait list of the tasklet that requires alone.
        M.join(core.daemon(function() M.wait(call) end))
    end
    local value = loaded[name]
    if value then
        return value
    end
    local loader, extra = find_loader(name)
    local entry = { owner = M.current() }
    local outer = loading[name]
    loading[name] = outer or entry
    local done <close> = setmetatable({}, {
        __close = function()
            if not outer then
                finish(name, entry)
            end
        end,
    })
    local _ = done
    value = loader(name, extra)
    if value ~= nil then
        loaded[name] = value
    elseif loaded[name] == nil then
        loaded[name] = true
    end
    return loaded[name], extra
end

--- Puts these functions into the standard library's tables. Called again when something has put the old ones back.
function core.patch()
    local co = core.loaded.coroutine
    if type(co) == "table" then
        co.resume, co.wrap, co.yield, co.running = core.resume, core.wrap, core.yield, core.running
    end
    core.globals.require = require
end
