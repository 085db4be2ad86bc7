-- Makes a program that fails as small as it will go: leaves out steps, lists of steps and items of
-- waits, as long as it still fails.

local M = {}

local function copy(value)
    if type(value) ~= "table" then
        return value
    end
    local result = {}
    for k, v in pairs(value) do
        result[k] = copy(v)
    end
    return result
end

M.copy = copy

-- Every list in the program, by the path to it, whose elements may be left out: scripts, and lists
-- of steps and items within steps. A step is a list whose first element is a string.
local function collect(value, path, paths)
    if type(value) ~= "table" then
        return
    end
    if type(value[1]) ~= "string" and #value > 0 then
        paths[#paths + 1] = path
    end
    for i, v in ipairs(value) do
        local longer = table.move(path, 1, #path, 1, {})
        longer[#longer + 1] = i
        collect(v, longer, paths)
    end
end

local function follow(value, path)
    for _, i in ipairs(path) do
        value = value[i]
        if value == nil then
            return nil
        end
    end
    return value
end

-- The program without `count` elements of the list at `path`, from `first` on.
local function without(program, path, first, count)
    local smaller = copy(program)
    local list = follow(smaller.scripts, path)
    for _ = 1, count do
        table.remove(list, first)
    end
    return smaller
end

-- Puts the inner steps of a step in its place.
local function unfold(program, path, index)
    local smaller = copy(program)
    local list = follow(smaller.scripts, path)
    local step = list[index]
    if type(step) ~= "table" or type(step[1]) ~= "string" or step[1] == "wait" then
        return nil -- what a wait has in it are items
    end
    for i = #step, 2, -1 do
        local inner = step[i]
        if type(inner) == "table" and type(inner[1]) == "table"
            and type(inner[1][1]) == "string" then
            table.remove(list, index)
            for j, s in ipairs(inner) do
                table.insert(list, index + j - 1, s)
            end
            return smaller
        end
    end
end

local function all_paths(program)
    local paths = {}
    for i, script in ipairs(program.scripts) do
        collect(script, { i }, paths)
    end
    return paths
end

-- Leaves out as much of the list at `path` as will go: halves, quarters, single elements.
local function thin(program, path, fails)
    local list = follow(program.scripts, path)
    local count = #list
    while count >= 1 do
        local first = 1
        while first + count - 1 <= #list do
            local smaller = without(program, path, first, count)
            if fails(smaller) then
                program, list = smaller, follow(smaller.scripts, path)
            else
                first = first + count
            end
        end
        count = count // 2
    end
    for index = #list, 1, -1 do
        local smaller = unfold(program, path, index)
        if smaller and fails(smaller) then
            return smaller
        end
    end
    return program
end

---@param program table
---@param fails fun(program: table): boolean
---@return table # the smallest found that fails
function M.shrink(program, fails)
    local before
    repeat
        before = program
        local index = 1
        local paths = all_paths(program)
        while index <= #paths do
            program = thin(program, paths[index], fails)
            paths = all_paths(program)
            index = index + 1
        end
    until program == before
    return program
end

-- ---- as text ----

local function write(value, indent, out)
    if type(value) ~= "table" then
        out[#out + 1] = type(value) == "string" and ("%q"):format(value) or tostring(value)
        return
    end
    local nested = false
    for _, v in ipairs(value) do
        nested = nested or type(v) == "table" and type(v[1]) == "string" and #v > 0
    end
    out[#out + 1] = "{"
    for i, v in ipairs(value) do
        if nested then
            out[#out + 1] = "\n" .. indent .. "    "
        elseif i > 1 then
            out[#out + 1] = " "
        end
        write(v, indent .. "    ", out)
        if nested or i < #value then
            out[#out + 1] = ","
        end
    end
    out[#out + 1] = nested and "\n" .. indent .. "}" or "}"
end

---@param program table
---@return string # Lua
function M.text(program)
    local out = { "{\n    conditions = " }
    write(program.conditions, "    ", out)
    out[#out + 1] = ",\n    scripts = {"
    for i, script in ipairs(program.scripts) do
        out[#out + 1] = ("\n        -- t%d\n        "):format(i)
        write(script, "        ", out)
        out[#out + 1] = ","
    end
    out[#out + 1] = "\n    },\n}\n"
    return table.concat(out)
end

return M
