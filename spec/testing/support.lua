-- What the specs of tasklet.testing share: small spec files, written into a directory of their own
-- and run by `tasklet test` and by stock busted in plain Lua.

local helper = require "spec.helper"
local json = require "dkjson"

local M = {}

local function command(line)
    local pipe <close> = assert(io.popen(line))
    return (assert(pipe:read("a")):gsub("\n$", ""))
end

---The path of busted's script.
M.busted = command("command -v busted")

---A new directory with these files.
---@param files table<string, string> text by name
---@return string
function M.directory(files)
    local path = command("mktemp -d")
    for name, text in pairs(files) do
        local inner = name:match("^(.*)/")
        if inner then
            assert(os.execute(("mkdir -p '%s/%s'"):format(path, inner)))
        end
        local file <close> = assert(io.open(path .. "/" .. name, "w"))
        assert(file:write(text))
    end
    return path
end

---@param path string
function M.remove(path)
    assert(os.execute("rm -r '" .. path .. "'"))
end

-- What busted is to say at its end, in one line.
local handler = [[
local json = require "dkjson"
return function(options)
    local busted = require "busted"
    local handler = require "busted.outputHandlers.base"()
    busted.subscribe({"suite", "end"}, function()
        local outcomes = {}
        for list, status in pairs{successes = "success", failures = "failure", errors = "error",
            pendings = "pending"} do
            for _, entry in ipairs(handler[list]) do
                local message = entry.message ~= nil and tostring(entry.message) or nil
                outcomes[#outcomes + 1] = {status = status, name = entry.name, message = message,
                    traceback = entry.trace and entry.trace.traceback}
            end
        end
        io.stdout:write(json.encode(outcomes), "\n")
        return nil, true
    end)
    return handler
end
]]

---@class spec.Outcome
---@field status string "success", "failure", "error" or "pending"
---@field message? string
---@field traceback? string

---@class spec.Run: spec.Result
---@field tests table<string, spec.Outcome> by name
---@field printed string what stands on standard output before busted's own

---@param result spec.Result
---@return spec.Run
local function read_outcomes(result)
    local printed, text = result.stdout:match("^(.-)([^\n]*)\n?$")
    local report = json.decode(text)
    result.printed, result.tests = printed, {}
    if not report then
        error("no report: " .. result.stdout .. result.stderr)
    end
    for _, outcome in ipairs(report) do
        assert(not result.tests[outcome.name], "told twice: " .. outcome.name)
        result.tests[outcome.name] = outcome
    end
    return result
end

local function concat(a, b)
    return table.move(b, 1, #b, #a + 1, {table.unpack(a)})
end

---@param directory string
---@param arguments string[] of busted
---@param options? spec.Options
---@return spec.Result
function M.host(directory, arguments, options)
    local copy = setmetatable({cwd = directory}, {__index = options})
    return helper.run({"test", table.unpack(arguments)}, copy)
end

---The same by stock busted in plain Lua, with our helper.
function M.plain(directory, arguments, options)
    -- What busted does not know are options of the helper.
    local words = {"--helper=tasklet.testing"}
    for _, word in ipairs(arguments) do
        local own = word:find("^%-%-real%-time") or word:find("^%-%-limit=")
            or word:find("^%-%-virtual%-limit=")
        if own then
            words[#words + 1] = "-Xhelper"
        end
        words[#words + 1] = word
    end
    return helper.plain(M.busted, setmetatable({cwd = directory, args = words},
        {__index = options}))
end

local report = {"-o", "report.lua"}

---Runs one spec file both ways.
---@param text string
---@param arguments? string[]
---@return {host: spec.Run, plain: spec.Run}
function M.run(text, arguments)
    local directory = M.directory{["x_spec.lua"] = text, ["report.lua"] = handler}
    arguments = concat(concat(report, arguments or {}), {"x_spec.lua"})
    local results = {}
    for _, way in ipairs{"host", "plain"} do
        results[way] = read_outcomes(M[way](directory, arguments))
    end
    M.remove(directory)
    return results
end

---Runs one spec file by the host.
---@param text string
---@param arguments? string[]
---@return spec.Run
function M.run_host(text, arguments)
    local directory = M.directory{["x_spec.lua"] = text, ["report.lua"] = handler}
    local result = read_outcomes(M.host(directory,
        concat(concat(report, arguments or {}), {"x_spec.lua"})))
    M.remove(directory)
    return result
end

---@param outcome spec.Outcome?
---@param wanted string
---@param stderr string
local function check(outcome, wanted, stderr)
    assert(outcome, "it was not run: " .. stderr)
    local status, pattern = wanted:match("^(%l+): (.*)$")
    local message = tostring(outcome.message)
    assert(outcome.status == (status or wanted), outcome.status .. ": " .. message)
    assert(not pattern or message:find("^" .. pattern .. "$"), message)
end

---For each test of a spec file and each way of running it, a test that it has the outcome which is
---expected; and one that no others are there. To be given to `it`.
---@param text string
---@param arguments string[]
---@param expected table<string, string> by name: a status, or a status and a pattern of the message
---@return fun(): string?, function?
function M.cases(text, arguments, expected)
    local results
    local function result_of(way)
        results = results or M.run(text, arguments)
        return results[way]
    end

    local names, cases, i = {}, {}, 0
    for name in pairs(expected) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, way in ipairs{"host", "plain"} do
        for _, name in ipairs(names) do
            cases[#cases + 1] = {("%s (%s)"):format(name, way), function()
                local result = result_of(way)
                check(result.tests[name], expected[name], result.stderr)
            end}
        end
        cases[#cases + 1] = {("runs nothing else (%s)"):format(way), function()
            for name, outcome in pairs(result_of(way).tests) do
                assert(expected[name], name .. ": " .. tostring(outcome.message))
            end
        end}
    end
    return function()
        i = i + 1
        if cases[i] then
            return cases[i][1], cases[i][2]
        end
    end
end

return M
