-- What the build makes: every source takes part, and the results show what they should and need
-- no more than they should.

local helper = require "spec.helper"
local lfs = require "lfs"

local build = helper.bin:match("^(.*)/src/host/tasklet$")

---@param command string
---@return string[] # the lines that it prints
local function lines_of(command)
    local pipe <close> = assert(io.popen(command))
    local lines = {}
    for line in pipe:lines() do
        lines[#lines + 1] = line
    end
    assert(pipe:close(), command)
    return lines
end

---@param path string
---@return string
local function slurp(path)
    local file <close> = assert(io.open(helper.root .. "/" .. path, "rb"))
    return assert(file:read("a"))
end

---@param options string
---@param path string
---@return table<string, true> # the names of symbols, without versions
local function symbols_of(options, path)
    local symbols = {}
    for _, line in ipairs(lines_of(("nm %s '%s/%s'"):format(options, build, path))) do
        local kind, name = line:match(" (%a) ([%w_]+)")
        if kind and kind ~= "A" then
            symbols[name] = true
        end
    end
    assert(next(symbols), "no symbols in " .. path)
    return symbols
end

---@param path string
---@return table<string, true> # the libraries that it is linked with
local function libraries_of(path)
    local libraries = {}
    for _, line in ipairs(lines_of(("readelf -d '%s/%s'"):format(build, path))) do
        local name = line:match("%(NEEDED%).*%[(.-)%.so")
        if name then
            libraries[name] = true
        end
    end
    assert(libraries.libc, "no libraries of " .. path)
    return libraries
end

---@param symbols table<string, true>
---@param pattern string
local function assert_all(symbols, pattern)
    for name in pairs(symbols) do
        assert(name:find(pattern), name .. " should not be there")
    end
end

describe("the build", function()
    it("compiles every source, embeds every Lua file and runs every C test", function()
        local lists = slurp "src/meson.build" .. slurp "src/host/meson.build"
            .. slurp "spec/c/meson.build" .. slurp "spec/embed/meson.build"
        local function named(name)
            assert(lists:find("'" .. name .. "'", 1, true), name .. " is in no list")
        end
        for room in lfs.dir(helper.root .. "/src") do
            for file in lfs.dir(helper.root .. "/src/" .. (room:find("%.") and "." or room)) do
                local name = file:match("^(.*)%.c$")
                if name and room == "wait" then
                    named(name)
                elseif name then
                    named((room:find("%.") or room == "host") and file or room .. "/" .. file)
                end
            end
        end
        for file in lfs.dir(helper.root .. "/lua/tasklet") do
            if file:find("%.lua$") then
                named("../lua/tasklet/" .. file)
            end
        end
        for _, dir in ipairs{"/spec/c", "/spec/embed"} do
            for file in lfs.dir(helper.root .. dir) do
                local name = file:match("^(.*)_test%.c$")
                if name then
                    named(name)
                end
            end
        end
    end)

    it("has the version of the header", function()
        local version = slurp("meson.build"):match("version: '([%d.]+)'")
        local header = slurp "src/tasklet.h"
        local parts = {}
        for i, part in ipairs{"MAJOR", "MINOR", "PATCH"} do
            parts[i] = header:match("#define TASKLET_VERSION_" .. part .. " (%d+)")
        end
        assert.equal(version, table.concat(parts, "."))
    end)

    it("makes a core that needs neither Lua nor libuv", function()
        for name in pairs(symbols_of("-A --undefined-only", "src/libtasklet-core.a")) do
            assert(not name:find("^lua") and not name:find("^uv_"), "the core needs " .. name)
        end
    end)

    it("makes a library that shows tasklet_* alone", function()
        local symbols = symbols_of("-D --defined-only", "src/libtasklet.so")
        assert_all(symbols, "^tasklet_")
        assert.is_true(symbols.tasklet_host_new)
    end)

    it("makes a module that shows its two openers alone and leaves Lua to the program", function()
        assert.same({luaopen_tasklet = true, luaopen_tasklet_testing = true},
            symbols_of("-D --defined-only", "lua/tasklet.so"))
        for name in pairs(libraries_of "lua/tasklet.so") do
            assert(not name:find("^liblua"), "the module is linked with " .. name)
        end
    end)

    it("makes a program that shows all of Lua to C modules", function()
        local symbols = symbols_of("-D --defined-only", "src/host/tasklet")
        local directory = lines_of("pkg-config --variable=includedir lua5.4")[1] .. "/lua5.4/"
        local count = 0
        for _, header in ipairs{"lua.h", "lauxlib.h", "lualib.h"} do
            local file <close> = assert(io.open(directory .. header))
            -- A function's name is in parentheses there, lest it be taken for a macro.
            for name in file:read("a"):gmatch("%((luaL?_%l+)%) %(") do
                assert(symbols[name], name .. " is not there")
                count = count + 1
            end
        end
        assert(count > 100, "few functions in Lua's headers: " .. count)
        for name in pairs(libraries_of "src/host/tasklet") do
            assert(not name:find("^liblua"), "the program is linked with " .. name)
        end
    end)
end)
