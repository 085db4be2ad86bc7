-- Every block of Lua in the documents is run by the host, and what it prints is compared with the
-- block `output` that follows it, if one does. A block `lua fragment` is only compiled, and so is
-- one of C unless it is a `c fragment`: each is a whole file, for which tasklet.h is enough. In a
-- block `lua real time` time passes while a script runs, in all others it is virtual.

local helper = require "spec.helper"
local lfs = require "lfs"

---@class spec.Block
---@field info string the words after the fence
---@field line integer of the opening fence
---@field text string
---@field follows boolean nothing but empty lines between the block before and this one

---@param path string
---@return spec.Block[]
local function blocks_of(path)
    local blocks, block, indent = {}, nil, nil
    local follows, number = false, 0
    for line in io.lines(path) do
        number = number + 1
        local spaces, info = line:match("^( *)```%s*(.-)%s*$")
        if block and info == "" then
            block.text = table.concat(block, "\n") .. "\n"
            blocks[#blocks + 1], block, follows = block, nil, true
        elseif block then
            block[#block + 1] = line:gsub("^" .. (" "):rep(#indent, "?") .. "?", "", 1)
        elseif info then
            block, indent = {info = info, line = number, follows = follows}, spaces
        elseif line:find("%S") then
            follows = false
        end
    end
    assert(not block, path .. ": a block is not closed")
    return blocks
end

---@param directory string
---@param found string[]
local function find_documents(directory, found)
    for name in lfs.dir(directory) do
        local path = directory .. "/" .. name
        if name:find("%.md$") then
            found[#found + 1] = path
        elseif not name:find("^%.") and lfs.attributes(path, "mode") == "directory" then
            find_documents(path, found)
        end
    end
    return found
end

---@param place string file:line
---@param path string
---@param block spec.Block
---@param output? spec.Block
local function run_block(place, path, block, output)
    -- Empty lines in front make the numbers in messages those of the document.
    local result = helper.run_file(("\n"):rep(block.line) .. block.text,
        {real_time = block.info == "lua real time"})
    local stderr = result.stderr:gsub(result.path, path, nil)
    assert.equal(0, result.status, place .. ": " .. stderr)
    if output then
        assert.equal(output.text, result.stdout, place .. ": " .. stderr)
    end
end

---@param place string file:line
---@param path string
---@param block spec.Block
local function compile_c(place, path, block)
    local source = os.tmpname()
    local file <close> = assert(io.open(source, "w"))
    file:write(('#line %d "%s"\n'):format(block.line + 1, path), block.text)
    file:close()
    local compiler <close> = io.popen(("cc -std=c99 -D_POSIX_C_SOURCE=200809L -pedantic-errors"
        .. " -Wall -Wextra -Werror -fsyntax-only -x c -I '%s/src' '%s' 2>&1"):format(helper.root,
        source))
    local said = compiler:read("a")
    local ok = compiler:close()
    os.remove(source)
    assert(ok, place .. ": " .. said)
end

---@param block spec.Block
---@return boolean
local function is_run(block)
    return block.info == "lua" or block.info == "lua real time"
end

local documents = find_documents(helper.root .. "/docs", {helper.root .. "/README.md"})
table.sort(documents)

for _, path in ipairs(documents) do
    local name = path:sub(#helper.root + 2)
    describe(name, function()
        local blocks = blocks_of(path)
        for i, block in ipairs(blocks) do
            local place = name .. ":" .. block.line
            local follower = blocks[i + 1]
            local output = follower and follower.follows and follower.info == "output" and follower
            if is_run(block) then
                it("line " .. block.line .. " runs", function()
                    run_block(place, name, block, output or nil)
                end)
            elseif block.info == "lua fragment" then
                it("line " .. block.line .. " compiles", function()
                    local text = ("\n"):rep(block.line) .. block.text
                    assert(load(text, "@" .. name))
                end)
            elseif block.info == "c" then
                it("line " .. block.line .. " compiles", function()
                    compile_c(place, name, block)
                end)
            elseif block.info == "output" and not (block.follows and is_run(blocks[i - 1])) then
                it("line " .. block.line .. " belongs to a block of Lua", function()
                    error(place .. ": no block of Lua before this output", 0)
                end)
            end
        end
    end)
end
