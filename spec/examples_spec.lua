-- Every script in examples/ runs, prints what the file .out beside it says, and exits as it should.
-- The comment at its beginning may say what is special:
--   -- exit: 3                    the status, if it is not 0
--   -- stdin: some text           a line of standard input, which is otherwise empty
--   -- signal: TERM after ready   a signal that is sent once the line has been printed
--   -- clock: real                time is to pass while the script runs; it is virtual, unless a
--                                 signal is sent, which a virtual clock does not wait for

local helper = require "spec.helper"
local lfs = require "lfs"

local directory = helper.root .. "/examples/"

---@param path string
---@return string
local function slurp(path)
    local file <close> = assert(io.open(path, "rb"))
    return assert(file:read("a"))
end

---@param script string
---@return spec.Options, integer
local function header_of(script)
    local options, status = {}, 0
    for line in script:gmatch("([^\n]*)\n") do
        local comment = line:match("^%-%-%s*(.*)")
        if not comment then
            break
        end
        local key, value = comment:match("^(%l+):%s*(.*)$")
        if key == "exit" then
            status = assert(math.tointeger(value), "exit: not a number")
        elseif key == "stdin" then
            options.stdin = (options.stdin or "") .. value .. "\n"
        elseif key == "signal" then
            options.signal, options.after = value:match("^(%u+) after (.+)$")
            assert(options.signal, "signal: not of the form NAME after LINE")
            options.real_time = true
        elseif key == "clock" then
            assert(value == "real", "clock: not real")
            options.real_time = true
        end
    end
    return options, status
end

local names = {}
for name in lfs.dir(directory) do
    names[#names + 1] = name:match("^(.*)%.lua$")
end
table.sort(names)

describe("the example", function()
    for _, name in ipairs(names) do
        it(name .. " prints what it should", function()
            local options, status = header_of(slurp(directory .. name .. ".lua"))
            local result = helper.run_file(directory .. name .. ".lua", options)
            local place = "examples/" .. name .. ".lua: " .. result.stderr
            assert.equal(slurp(directory .. name .. ".out"), result.stdout, place)
            assert.equal(status, result.status, place)
        end)
    end

    it("testing passes its own specs, whatever the order", function()
        for _, options in ipairs{{}, {"--seed=1"}, {"--seed=2", "--shuffle"}} do
            local result = helper.run({"test", table.unpack(options)},
                {cwd = directory .. "testing"})
            assert.equal("", result.stderr)
            assert.matches("6 successes / 0 failures / 0 errors / 0 pending", result.stdout, 1,
                true)
            assert.equal(0, result.status)
        end
    end)
end)
