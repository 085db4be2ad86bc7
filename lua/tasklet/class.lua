-- Classes: Tasklet:subclass and WaitCondition:subclass.
local M, core = ...

local Tasklet = M.Tasklet
local make_class = Tasklet.subclass

--- For all who have `subclass`.
function core.check_subclass(base, name)
    if type(base) ~= "table" then
        core.bad_self("subclass", "class", base)
    elseif type(name) ~= "string" then
        core.bad_argument(1, "subclass", "string expected, got " .. type(name))
    end
end

--- Derives a class of tasklets. Its body is its method `run(self, ...)`; calling it starts an
--- instance.
---@param name string
function Tasklet.subclass(base, name)
    core.check_subclass(base, name)
    local class = setmetatable({ subclass = Tasklet.subclass },
        { __index = base, __name = name, __tostring = function() return name end })
    make_class(class, name)
    return class
end

getmetatable(Tasklet).__tostring = function() return "Tasklet" end

local WaitCondition = {}
M.WaitCondition = WaitCondition

-- The base's own: a class defines what it needs.
function WaitCondition:init() end

function WaitCondition:arm() end

function WaitCondition:disarm() end

--- Derives a class of wait conditions with the methods `init(self, ...)`, `arm(self, tasklet)` and
--- `disarm(self)`. Calling the class makes an instance.
---@param name string
function WaitCondition.subclass(base, name)
    core.check_subclass(base, name)
    local class = setmetatable({ subclass = WaitCondition.subclass }, {
        __index = base,
        __tostring = function() return name end,
        __call = function(class, ...)
            local object = core.script_new(class)
            object:init(...)
            return object
        end,
    })
    core.script_class(class, name)
    return class
end

setmetatable(WaitCondition, {
    __tostring = function() return "WaitCondition" end,
    __call = function()
        core.misuse("WaitCondition is a base class: derive one with WaitCondition:subclass(name)")
    end,
})
