-- Checks of arguments, in Lua's own words. What is wrong is said at the nearest line of a script,
-- however the library was called from there: by a method, through `pcall`, by a tail call.
local M, core = ...

local function type_name(value)
    local mt = getmetatable(value)
    local name = type(mt) == "table" and rawget(mt, "__name")
    return type(name) == "string" and name or type(value)
end

core.type_name = type_name

--- Raises a string at the line of the script's that has called.
function core.misuse(format, ...)
    error(core.caller() .. format:format(...), 0)
end

--- Raises a TaskletError there.
function core.raise_state(format, ...)
    error(M.TaskletError(core.caller() .. format:format(...)), 0)
end

--- Raises: `value`, on which the method `name` was called, is no `expected`.
function core.bad_self(name, expected, value)
    core.misuse("calling '%s' on bad self (%s expected, got %s)", name, expected,
        value == nil and "no value" or type_name(value))
end

--- Raises: argument `n` of the function `name` is wrong.
local function bad(n, name, message)
    core.misuse("bad argument #%d to '%s' (%s)", n, name, message)
end

core.bad_argument = bad

--- Raises unless the value is a number that is not negative (if `positive`), and no NaN.
function core.check_number(n, name, value, least)
    if type(value) ~= "number" then
        bad(n, name, "number expected, got " .. (value == nil and "no value" or type_name(value)))
    elseif value ~= value or least and value < least then
        bad(n, name, least and "time must not be negative" or "not a number")
    end
    return value
end

--- Raises unless the value can be a path.
function core.check_path(n, name, value)
    if type(value) ~= "string" and type(value) ~= "number" then
        bad(n, name, "string expected, got " .. (value == nil and "no value" or type_name(value)))
    elseif type(value) == "string" and value:find("\0", 1, true) then
        bad(n, name, "path contains zeros")
    end
    return value
end

--- Raises unless the value is a tasklet.
function core.check_tasklet(n, name, value)
    if not core.is_tasklet(value) then
        bad(n, name, "Tasklet expected, got " .. (value == nil and "no value" or type_name(value)))
    end
    return value
end

--- Raises unless the value can be called.
function core.check_callable(n, name, value)
    local mt = getmetatable(value)
    if type(value) ~= "function" and not (type(mt) == "table" and mt.__call) then
        bad(n, name, "function expected, got " .. (value == nil and "no value" or type_name(value)))
    end
    return value
end

--- What is wrong with an option that is not among the keys of `known`.
function core.unknown_option(key, known)
    local names = {}
    for option in pairs(known) do
        names[#names + 1] = option
    end
    table.sort(names)
    return ("unknown option '%s' (known: %s)"):format(tostring(key), table.concat(names, ", "))
end

--- Raises unless the value is a table of options that are all known; nil is none. `known` maps
--- names to types.
function core.check_options(n, name, options, known)
    if options == nil then
        return {}
    elseif type(options) ~= "table" then
        bad(n, name, "table expected, got " .. type_name(options))
    end
    for key, value in pairs(options) do
        local expected = known[key]
        if not expected then
            bad(n, name, core.unknown_option(key, known))
        elseif type(value) ~= expected then
            bad(n, name, ("option '%s': %s expected, got %s"):format(key, expected,
                type_name(value)))
        elseif value ~= value then
            bad(n, name, ("option '%s': not a number"):format(key))
        end
    end
    return options
end

--- The options of `tasklet.new`.
core.new_options = { name = "string", daemon = "boolean", max_mailbox_len = "number" }

--- Raises unless the value is a list, each element of which `test` accepts.
function core.check_list(n, name, list, what, test)
    if type(list) ~= "table" then
        bad(n, name, ("list of %ss expected, got %s"):format(what, type_name(list)))
    end
    for i = 1, #list do
        if not test(list[i]) then
            bad(n, name, ("%s expected at %d, got %s"):format(what, i, type_name(list[i])))
        end
    end
    return list
end

--- Raises unless the value, on which the method `name` was called, is a channel.
function core.check_channel(name, value)
    if not core.is_channel(value) then
        core.bad_self(name, "channel", value)
    end
end

--- Raises unless the value is a list or can be called.
function core.check_sequence(n, name, value)
    if type(value) ~= "table" and not core.is_callable(value) then
        bad(n, name, "list or iterator expected, got " .. (value == nil and "no value"
            or type_name(value)))
    end
end
