-- Emitters: objects with declared signals, which functions are connected to and tasklets wait for.
local M, core = ...

local handlers_of = setmetatable({}, { __mode = "k" })
local class_of = setmetatable({}, { __mode = "k" }) -- of an instance; of a class, its parent
local last_id = 0

local function check_names(n, verb, names)
    if names == nil then
        return {}
    end
    if type(names) ~= "table" then
        core.bad_argument(n, verb, "list of names expected, got " .. type(names))
    end
    for i, name in ipairs(names) do
        if type(name) ~= "string" then
            core.bad_argument(n, verb, ("name expected at %d, got %s"):format(i, type(name)))
        end
    end
    return names
end

local methods = {}

local function check_self(self, verb)
    if not core.is_source(self) then
        core.bad_self(verb, "Emitter", self)
    end
end

local function check(self, name, verb)
    check_self(self, verb)
    if type(name) ~= "string" then
        core.bad_argument(1, verb, "string expected, got " .. type(name))
    end
    if core.source_destroyed(self) then
        core.raise_state("the emitter is destroyed")
    end
    if not core.source_has(self, name) then
        core.bad_argument(1, verb, ("unknown signal '%s'"):format(name))
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

-- After `check`.
local function connect(self, name, f)
    if not core.is_callable(f) then
        core.bad_argument(2, "connect", "function expected, got " .. type(f))
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

-- Returns what was connected.
local function disconnect(self, id)
    check_self(self, "disconnect")
    local handlers = handlers_of[self]
    local handler = handlers and id ~= nil and handlers[id]
    if not handler then
        core.raise_state("unknown connection %s", tostring(id))
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
    check_self(self, "destroy")
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
            core.source_new(object, class, parent and {} or check_names(1, "Emitter", own))
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
    core.check_subclass(parent, name)
    return make_class(parent, name, check_names(2, "subclass", names))
end

--- `Emitter{"name", ...}` makes an emitter with these signals.
M.Emitter = make_class(nil, "Emitter", {})

-- The operating system's signals. Connected functions are called by a daemon for each signal, which
-- is there as long as any is: what else the signal would do is suppressed as long.
local listeners = {}
local signal_methods = setmetatable({}, { __index = methods })

function signal_methods:emit()
    core.raise_state("the operating system's signals cannot be emitted")
end

function signal_methods:destroy()
    core.raise_state("the operating system's signals cannot be destroyed")
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
