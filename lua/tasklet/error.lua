-- Error values: objects of classes, so that a script can ask what an error is and read its fields.
local M, errors = ...

local function tostring_error(self)
    return self.message or self.name
end

--- `Class:is(value)`: is the value an error of this class, or of one derived from it?
local function is(class, value)
    local mt = type(value) == "table" and getmetatable(value)
    while mt do
        if mt == class then
            return true
        end
        mt = type(mt) == "table" and mt.base
    end
    return false
end

--- Makes a class of errors. Calling it makes an error: `Class(message, fields)`.
local function class(name, base)
    local c = { name = name, base = base, is = is, __tostring = tostring_error, __name = name }
    c.__index = c
    setmetatable(c, {
        __index = base,
        __tostring = function() return name end,
        __call = function(_, message, fields)
            local object = setmetatable({}, c)
            if type(fields) == "table" then
                for k, v in pairs(fields) do
                    object[k] = v
                end
            end
            object.message = message
            return object
        end,
    })
    errors[name] = c
    M[name] = c
    return c
end

local base = class("TaskletError")
class("TimeoutError", base)
class("JoinError", base)
class("ChannelError", base)
class("TaskletExit", base)
