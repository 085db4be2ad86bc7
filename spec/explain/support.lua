-- Runs scripts whose reports are compared to the letter: each is called s.lua.

local M = {}

local helper = require "spec.helper"
local lfs = require "lfs"
local luassert = require "luassert"

---@param script string
---@param options? spec.Options with `args` for the host itself
---@return spec.Result # without the program's name, and with addresses as 0x..
function M.run(script, options)
    options = options or {}
    local directory = os.tmpname()
    os.remove(directory)
    assert(lfs.mkdir(directory))
    local path = directory .. "/s.lua"
    local file <close> = assert(io.open(path, "w"))
    assert(file:write(script))
    file:close()
    local args = {table.unpack(options.args or {})}
    args[#args + 1] = "s.lua"
    local result = helper.run(args, setmetatable({cwd = directory}, {__index = options}))
    os.remove(path)
    lfs.rmdir(directory)
    local name = helper.bin:gsub("%p", "%%%0")
    result.stderr = result.stderr:gsub(name .. ": ", ""):gsub("0x%x+", "0x..")
    result.stdout = result.stdout:gsub("0x%x+", "0x..")
    return result
end

---What the host says of a program that hangs. It must end with status 3 and print nothing.
---@param script string
---@param options? spec.Options
---@return string
function M.report_of(script, options)
    local result = M.run('local tasklet = require "tasklet"\n' .. script, options)
    luassert.equal("", result.stdout)
    luassert.equal(3, result.status, result.stderr)
    return result.stderr
end

return M
