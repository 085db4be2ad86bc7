-- Emitters: objects with declared signals, which functions are connected to and tasklets wait for.
local M, core = ...

local handlers_of = setmetatable({}, { __mode = "k" })
local class_of = setmetatable({}, { __mode = "k" }) -- of an instance; of a class, its parent
local last_id = 0

local function check_names(names, level)
    if names == nil then
        return {}
    end
    if type(names) ~= "table" then
        error(("bad argument #1 to 'Emitter' (list of names expected, got %s)"):format(type(names)),
            level + 1)
    end
    for i, name in ipairs(names) do
        if type(name) ~= "string" then
            error(("bad argument #1 to 'Emitter' (name expected at %d, got %s)"):format(i,
                type(name)), level + 1)
        end
    end
    return names
end

local methods = {}

-- Called by what the script has called.
local function check(self, name, verb)
    if not core.is_source(self) then
        error(("calling '%s' on bad self (Emitter expected, got %s)"):format(verb, type(self)), 3)
    end
    if type(name) ~= "string" then
        error(("bad argument #1 to '%s' (string expected, got %s)"):format(verb, type(name)), 3)
    end
    if core.source_destroyed(self) then
        error(M.TaskletError(core.where(3) .. "the emitter is destroyed"), 0)
    end
    if not core.source_has(self, name) then
        error(("bad argument #1 to '%s' (unknown signal '%s')"):format(verb, name), 3)
    end
end

-- Handlers of a signal on an emitter and on its classes, in the order in which they were connected.
local function collect(self, name)
    local list = {}
    local object = self
    while object do
        local handlers = rawget(handlers_of, object)
        for id, handler in pairs(handlers or {}) do
            if handler.name == name then
                list[#list + 1] = { id = id, f = handler.f, handlers = handlers }
            end
        end
        object = class_of[object]
    end
    table.sort(list, function(a, b) return a.id < b.id end)
    return list
end

--- Calls the connected functions, then wakes the tasklets that wait for the signal. If a function
--- fails the others are called all the same, and the first error is raised at the end.
function methods:emit(name, ...)
    check(self, name, "emit")
    local failed, first = false, nil
    for _, handler in ipairs(collect(self, name)) do
        if handler.handlers[handler.id] then
            local ok, err = pcall(handler.f, ...)
            if not ok and not failed then
                failed, first = true, err
            end
        end
    end
    if not core.source_destroyed(self) then
        core.source_emit(self, name, ...)
    end
    if failed then
        error(first, 0)
    end
end

-- Called by what the script has called, after `check`.
local function connect(self, name, f)
    local mt = getmetatable(f)
    if type(f) ~= "function" and not (type(mt) == "table" and mt.__call) then
        error(("bad argument #2 to 'connect' (function expected, got %s)"):format(
            type(f)), 3)
    end
    local handlers = handlers_of[self]
    if not handlers then
        handlers = {}
        handlers_of[self] = handlers
    end
    last_id = last_id + 1
    handlers[last_id] = { name = name, f = f }
    return last_id
end

--- Connects a function, which gets what is emitted. Returns an id for `disconnect`.
function methods:connect(name, f)
    check(self, name, "connect")
    local id = connect(self, name, f)
    return id
end

-- Called by what the script has called. Returns what was connected.
local function disconnect(self, id)
    if not core.is_source(self) then
        error(("calling 'disconnect' on bad self (Emitter expected, got %s)"):format(type(self)), 3)
    end
    local handlers = handlers_of[self]
    local handler = handlers and id ~= nil and handlers[id]
    if not handler then
        error(M.TaskletError(("%sunknown connection %s"):format(core.where(3), tostring(id))), 0)
    end
    handlers[id] = nil
    return handler
end

--- Takes a connected function off. An unknown id raises.
function methods:disconnect(id)
    disconnect(self, id)
end

--- Ends the emitter: those who wait for one of its signals hear of it, and nothing can be emitted
--- any more.
function methods:destroy()
    if not core.is_source(self) then
        error(("calling 'destroy' on bad self (Emitter expected, got %s)"):format(type(self)), 2)
    end
    local handlers = handlers_of[self] or {}
    for id in pairs(handlers) do
        handlers[id] = nil -- an emit that is under way calls no more of them
    end
    handlers_of[self] = nil
    core.source_destroy(self)
end

local subclass

local function make_class(parent, name, names)
    local class = { subclass = subclass }
    local instances = { __name = name, __index = class }
    class_of[class] = parent
    instances.__tostring = function(self)
        return ("%s%s"):format(name, core.source_destroyed(self) and " (destroyed)" or "")
    end
    core.source_new(class, parent, names)
    return setmetatable(class, {
        __index = parent or methods,
        __tostring = function() return name end,
        __call = function(_, own)
            local object = setmetatable({}, instances)
            class_of[object] = class
            core.source_new(object, class, parent and {} or check_names(own, 2))
            if class.init then
                class.init(object, own)
            end
            return object
        end,
    })
end

--- Derives a class with its own signals beside those of its parent. Calling it makes an instance.
---@param name string
---@param names string[]
function subclass(parent, name, names)
    if type(name) ~= "string" then
        error(("bad argument #1 to 'subclass' (string expected, got %s)"):format(
            type(name)), 2)
    end
    return make_class(parent, name, check_names(names, 2))
end

--- `Emitter{"name", ...}` makes an emitter with these signals.
M.Emitter = make_class(nil, "Emitter", {})

-- The operating system's signals. Connected functions are called by a daemon for each signal, which
-- is there as long as any is: what else the signal would do is suppressed as long.
local listeners = {}
local signal_methods = setmetatable({}, { __index = methods })

function signal_methods:emit()
    error(M.TaskletError(core.where(2) .. "the operating system's signals cannot be emitted"), 0)
end

function signal_methods:destroy()
    error(M.TaskletError(core.where(2) .. "the operating system's signals cannot be destroyed"), 0)
end

local function trace(err)
    return { err = err, trace = core.traceback() }
end

local function listen(self, name, listener)
    local signal = M.WaitForSignal(self, name)
    local _ <close> = setmetatable({}, { __close = function()
        listeners[name] = nil
    end })
    while #collect(self, name) > 0 do
        M.wait(signal)
        listener.calling = true
        for _, handler in ipairs(collect(self, name)) do
            if handler.handlers[handler.id] then
                local ok, failure = xpcall(handler.f, trace, name)
                if not ok and not M.TaskletExit:is(failure.err) then
                    core.report(failure.err, failure.trace) -- the others are called all the same
                end
            end
        end
        listener.calling = false
    end
end

function signal_methods:connect(name, f)
    check(self, name, "connect")
    core.require_capability("signals")
    local id = connect(self, name, f)
    if not listeners[name] then
        local listener = { calling = false }
        listeners[name] = listener
        listener.task = core.daemon(function()
            listen(self, name, listener)
        end)
    end
    return id
end

function signal_methods:disconnect(id)
    local name = disconnect(self, id).name
    local listener = listeners[name]
    -- One that is calling a function just now looks for itself when it has called all.
    if listener and not listener.calling and #collect(self, name) == 0 then
        listener.task:kill()
    end
end

setmetatable(M.signals, {
    __index = signal_methods,
    __name = "Emitter",
    __tostring = function() return "signals of the operating system" end,
})
