-- Child processes: the checks of what tasklet.process is given, all before anything is started.
local _, core = ...

local Checks = {}
core.process_checks = Checks

local function type_name(value)
    local mt = getmetatable(value)
    local name = type(mt) == "table" and rawget(mt, "__name")
    return type(name) == "string" and name or type(value)
end

-- A check says what it expected instead, or nothing if all is well.
local function of_type(expected)
    return function(value)
        if type(value) ~= expected then
            return ("%s expected, got %s"):format(expected, type_name(value))
        end
    end
end

local function check_text(value)
    if type(value) ~= "string" then
        return "string expected, got " .. type_name(value)
    elseif value:find("\0", 1, true) then
        return "a zero byte in it"
    end
end

local function check_seconds(value)
    if type(value) ~= "number" then
        return "number expected, got " .. type_name(value)
    elseif value ~= value then
        return "not a number"
    end
end

local function check_grace(value)
    return check_seconds(value) or value < 0 and "time must not be negative" or nil
end

local function check_env(value)
    if type(value) ~= "table" then
        return "table expected, got " .. type_name(value)
    end
    for name, content in pairs(value) do
        if type(name) ~= "string" or name == "" or name:find("[=\0]") then
            return ("'%s' cannot be a variable's name"):format(tostring(name))
        elseif type(content) ~= "number" and check_text(content) then
            return ("variable '%s': %s"):format(name, check_text(content))
        end
    end
end

-- The descriptor of a stream or of one of Lua's files; nil.
local function descriptor_of(value)
    if io.type(value) == "file" then
        return core.fileno(value)
    elseif io.type(value) == nil and type(value) == "userdata" or type(value) == "table" then
        local ok, method = pcall(function() return value.fileno end)
        local fd = ok and method and method(value)
        return math.type(fd) == "integer" and fd >= 0 and fd or nil
    end
end

local function check_end(value)
    if value ~= "pipe" and value ~= "inherit" and value ~= "null" and not descriptor_of(value) then
        return ("'pipe', 'inherit', 'null' or an open stream expected, got %s"):format(
            type(value) == "string" and "'" .. value .. "'" or type_name(value))
    end
end

local function check_stderr(value)
    if value ~= "stdout" then
        return check_end(value)
    end
end

local function check_pty(value)
    if type(value) == "boolean" then
        return nil
    elseif type(value) ~= "table" then
        return "boolean or table expected, got " .. type_name(value)
    end
    for name, size in pairs(value) do
        if name ~= "rows" and name ~= "columns" then
            return ("unknown field '%s' (known: columns, rows)"):format(tostring(name))
        elseif math.type(size) ~= "integer" or size < 1 or size > 65535 then
            return ("field '%s': integer from 1 to 65535 expected"):format(name)
        end
    end
end

local common = { cwd = check_text, env = check_env, grace = check_grace }

local function with(more)
    for name, check in pairs(common) do
        more[name] = more[name] or check
    end
    return more
end

Checks.spawn = with {
    stdin = check_end, stdout = check_end, stderr = check_stderr, pty = check_pty,
    detached = of_type("boolean"),
}
Checks.run = with {
    input = of_type("string"), timeout = check_seconds, check = of_type("boolean"),
    stdin = check_end, stdout = check_end, stderr = check_stderr,
}
Checks.pipeline = with {
    input = of_type("string"), timeout = check_seconds, check = of_type("boolean"),
}
Checks.stage = { cwd = check_text, env = check_env }
Checks.expect = { timeout = check_seconds }

-- Raises: the argument of the function `name` is wrong.
local function bad(name, message)
    core.bad_argument(1, name, message)
end

-- Checks a table whose list part has elements that `check` accepts, at least one, and whose other
-- keys are known options. Returns the list alone.
local function check_table(name, t, known, check)
    if type(t) ~= "table" then
        bad(name, "table expected, got " .. (t == nil and "no value" or type_name(t)))
    end
    local list = {}
    for i = 1, #t do
        local wrong = check(t[i])
        if wrong then
            bad(name, ("at %d: %s"):format(i, wrong))
        end
        list[i] = t[i]
    end
    for key, value in pairs(t) do
        if math.type(key) ~= "integer" or key < 1 or key > #list then
            local test = known[key]
            if not test then
                bad(name, core.unknown_option(key, known))
            end
            local wrong = test(value)
            if wrong then
                bad(name, ("option '%s': %s"):format(key, wrong))
            end
        end
    end
    if #list == 0 then
        bad(name, "nothing in the list")
    end
    return list
end

local function check_word(value)
    if math.type(value) then
        return nil
    end
    return check_text(value)
end

function Checks.words(name, t, known)
    local words = check_table(name, t, known, check_word)
    for i, word in ipairs(words) do
        words[i] = tostring(word)
    end
    if words[1] == "" then
        bad(name, "at 1: the program's name is empty")
    end
    return words
end

Checks.table, Checks.bad, Checks.of_type, Checks.type_name = check_table, bad, of_type, type_name
Checks.descriptor_of = descriptor_of
