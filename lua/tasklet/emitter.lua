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

local function check_self(self, verb)
    if not core.is_source(self) then
        error(("calling '%s' on bad self (Emitter expected, got %s)"):format(verb, type(self)), 3)
    end
end

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

--- Connects a function, which gets what is emitted. Returns an id for `disconnect`.
function methods:connect(name, f)
    check(self, name, "connect")
    local mt = getmetatable(f)
    if type(f) ~= "function" and not (type(mt) == "table" and mt.__call) then
        error(("bad argument #2 to 'connect' (function expected, got %s)"):format(
            type(f)), 2)
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

--- Takes a connected function off. An unknown id raises.
function methods:disconnect(id)
    check_self(self, "disconnect")
    local handlers = handlers_of[self]
    if not (handlers and id ~= nil and handlers[id]) then
        error(M.TaskletError(("%sunknown connection %s"):format(core.where(2), tostring(id))), 0)
    end
    handlers[id] = nil
end

--- Ends the emitter: those who wait for one of its signals hear of it, and nothing can be emitted
--- any more.
function methods:destroy()
    check_self(self, "destroy")
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

-- The operating system's signals. Connected functions are called by a daemon for each signal.
local listeners = {}
local signal_methods = setmetatable({}, { __index = methods })

function signal_methods:emit()
    error(M.TaskletError(core.where(2) .. "the operating system's signals cannot be emitted"), 0)
end

signal_methods.destroy = signal_methods.emit

function signal_methods:connect(name, f)
    local id = methods.connect(self, name, f)
    if not listeners[name] then
        listeners[name] = core.daemon(function()
            local signal = M.WaitForSignal(M.signals, name)
            while next(handlers_of[self] or {}) do
                M.wait(signal)
                for _, handler in ipairs(collect(self, name)) do
                    if handler.handlers[handler.id] then
                        handler.f(name)
                    end
                end
            end
            listeners[name] = nil
        end)
    end
    return id
end

setmetatable(M.signals, {
    __index = signal_methods,
    __name = "Emitter",
    __tostring = function() return "signals of the operating system" end,
})
