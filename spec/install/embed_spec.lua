-- Every program in examples/embed/ compiles against what is installed, and against nothing else of
-- ours; it prints what the file .expected beside it says, and ends with 0. The comment at its
-- beginning may name the packages, as pkg-config knows them, that it needs besides:
--   Needs: lua5.4 libuv

local helper = require "spec.helper"
local lfs = require "lfs"
local place = require "spec.install.place"

local directory = helper.root .. "/examples/embed/"
local compilers = {c = "cc", cc = "c++"}
local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1

---@param source string
---@return string # packages, "" if there is no such line
local function needs_of(source)
    local comment = source:match("^%s*/%*(.-)%*/")
    if not comment then
        local lines = {}
        for line in source:gmatch("([^\n]*)\n") do
            if not line:find("^//") then
                break
            end
            lines[#lines + 1] = line
        end
        comment = table.concat(lines, "\n")
    end
    local needs = comment:match("%f[%a]Needs:([^\n]*)") or ""
    assert(not needs:find("[^%w%s.+-]"), "Needs: not a list of packages:" .. needs)
    return needs
end

local names, expected = {}, {}
for name in lfs.dir(directory) do
    local base, suffix = name:match("^(.*)%.(%w+)$")
    if compilers[suffix] then
        names[#names + 1] = name
        expected[base] = expected[base] or false
    elseif suffix == "expected" then
        expected[base] = true
    else
        assert(name == "." or name == "..", "examples/embed/" .. name .. " is no program")
    end
end
table.sort(names)

describe("the program that embeds", function()
    local top
    local words = {}

    -- What was built is installed into a directory. Nothing of it depends on where that is but what
    -- pkg-config reads.
    setup(function()
        top = place.temporary_directory()
        words.build = helper.bin:match("^(.*)/src/host/tasklet$")
        words.destination = top .. "/installed"
        place.run("meson install --no-rebuild --destdir $destination -C $build", words)
        words.pc = place.lines("find $destination -name tasklet.pc", words)[1]
        local text, count = place.slurp(words.pc):gsub("^prefix=",
            function() return "prefix=" .. words.destination end)
        assert(count == 1, text)
        place.spill(words.pc, text)
        words.pkgconfig, words.libraries = words.pc:match("^((.*)/pkgconfig)/")
    end)

    teardown(function()
        place.run("rm -rf $top", {top = top})
    end)

    for _, name in ipairs(names) do
        it(name .. " prints what it should", function()
            local base, suffix = name:match("^(.*)%.(%w+)$")
            local source = place.slurp(directory .. name)
            assert(expected[base], "there is no examples/embed/" .. base .. ".expected")
            assert.is_nil(source:find('#%s*include%s*"'), "it includes a header by quotes")
            words.source, words.program, words.errors = directory .. name, top .. "/" .. name,
                top .. "/errors"
            words.packages, words.compiler = needs_of(source), compilers[suffix]
            words.seconds = ("%d"):format(20 * patience)
            -- From where it is compiled no header of the tree can be found.
            local said = place.run([[
                cd $destination
                export PKG_CONFIG_PATH=$pkgconfig
                flags=$(pkg-config --cflags --libs tasklet ${packages})
                ${compiler} -Wall -Wextra -Werror -o $program $source $flags
            ]], words)
            assert.equal("", said)
            local ok, output = place.try([[
                cd $destination
                LD_LIBRARY_PATH=$libraries timeout -k 5 ${seconds} $program 2>$errors
            ]], words)
            local place_of_it = "examples/embed/" .. name .. ": " .. place.slurp(words.errors)
            assert.equal(place.slurp(directory .. base .. ".expected"), output, place_of_it)
            assert.is_true(ok, place_of_it)
        end)
    end

    it("is there, and so is what each expectation is for", function()
        assert.is_true(#names >= 2)
        for base in pairs(expected) do
            assert(lfs.attributes(directory .. base .. ".c")
                or lfs.attributes(directory .. base .. ".cc"), base .. ".expected is for nothing")
        end
    end)
end)
