-- The arrows between the rooms of src/: who may include whom. The table is the one in
-- docs/architecture.md that has the columns "room" and "may include". Its words:
--   core, loop, ...   the headers of that room
--   tasklet.h         the public header
--   lua, uv           Lua's headers, libuv's header
--   libc              all other headers in angle brackets
-- The row "generated" lists headers that are made by the build and that every room may include.

local helper = require "spec.helper"
local lfs = require "lfs"

local LONGEST_FILE = 800

---@param path string of a directory, from the root
---@param pattern string of the file names
---@param found string[]
---@return string[] found paths from the root
local function find_files(path, pattern, found)
    for name in lfs.dir(helper.root .. "/" .. path) do
        local inner = path .. "/" .. name
        if name:find(pattern) then
            found[#found + 1] = inner
        elseif not name:find("^%.") and lfs.attributes(helper.root .. "/" .. inner, "mode")
            == "directory" then
            find_files(inner, pattern, found)
        end
    end
    table.sort(found)
    return found
end

---@param row string of a table in Markdown
---@return string[]
local function cells_of(row)
    local cells = {}
    for cell in row:gmatch("|([^|]*)") do
        cells[#cells + 1] = cell:gsub("`", ""):match("^%s*(.-)%s*$")
    end
    return cells
end

---@param list string
---@return table<string, true>
local function words_of(list)
    local words = {}
    for word in list:gmatch("[^,%s]+") do
        words[word] = true
    end
    return words
end

---@return table<string, table<string, true>> # by room: what it may include
local function read_arrows()
    local arrows, room, may = {}, nil, nil
    for line in io.lines(helper.root .. "/docs/architecture.md") do
        local cells = line:find("^|") and cells_of(line)
        if not cells then
            room, may = nil, nil
        elseif may then
            local name = cells[room]
            if not name:find("^:?%-+:?$") then
                arrows[name:match("^(generated)") or name] = words_of(cells[may])
            end
        else
            for i, cell in ipairs(cells) do
                room = cell == "room" and i or room
                may = cell == "may include" and i or may
            end
        end
    end
    return arrows
end

local lua_headers = {
    ["lua.h"] = true, ["lua.hpp"] = true, ["luaconf.h"] = true, ["lauxlib.h"] = true,
    ["lualib.h"] = true,
}

-- What word in the table an include needs.
---@param quoted boolean
---@param header string
---@return string
local function word_of(quoted, header)
    if lua_headers[header] then
        return "lua"
    elseif header == "uv.h" or header:find("^uv/") then
        return "uv"
    elseif not quoted then
        return "libc"
    end
    return header:match("^(.-)/") or header
end

---@param path string
---@return fun(): integer, boolean, string # line, with quotes, what
local function includes_of(path)
    local number = 0
    local lines = io.lines(helper.root .. "/" .. path)
    return function()
        for line in lines do
            number = number + 1
            local mark, header = line:match('^%s*#%s*include%s*(["<])([^">]+)')
            if header then
                return number, mark == '"', header
            end
        end
    end
end

---@param path string
---@return string # "src" for what lies in no room
local function room_of(path)
    return path:match("^(.*)/")
end

---@param path string
---@param header string
---@return boolean # it is of the same room
local function is_own(path, header)
    local room = room_of(path)
    return (header:match("^(.*)/") or "") == (room:match("^src/(.*)") or "")
        and lfs.attributes(helper.root .. "/src/" .. header) ~= nil
end

describe("the tree", function()
    local sources = find_files("src", "%.[ch]$", {})
    local arrows = read_arrows()
    -- A file that lies in no room may have a row of its own.
    local function arrows_of(path)
        return arrows[path] or arrows[room_of(path)]
    end

    it("has a row for every room", function()
        for _, path in ipairs(sources) do
            assert(arrows_of(path) or path == "src/tasklet.h",
                path .. ": docs/architecture.md has no row for it")
        end
    end)

    it("has a room for every row", function()
        for room in pairs(arrows) do
            assert(room == "generated" or lfs.attributes(helper.root .. "/" .. room),
                "docs/architecture.md: there is no " .. room)
        end
    end)

    it("has no arrow but those of docs/architecture.md", function()
        local wrong = {}
        for _, path in ipairs(sources) do
            local may = arrows_of(path) or {}
            for line, quoted, header in includes_of(path) do
                local word = word_of(quoted, header)
                if not (word == "libc" or may[word] or quoted and
                    (is_own(path, header) or (arrows.generated or {})[header])) then
                    wrong[#wrong + 1] = ("%s:%d: includes %s"):format(path, line, header)
                end
            end
        end
        assert.equal("", table.concat(wrong, "\n"))
    end)

    it("has no wait that includes another", function()
        local wrong = {}
        for _, path in ipairs(find_files("src/wait", "%.[ch]$", {})) do
            local own = path:match("([^/]+)%.[ch]$")
            for line, _, header in includes_of(path) do
                local other = header:match("^wait/([^/]+)%.[ch]$")
                if other and other ~= own
                    and lfs.attributes(helper.root .. "/src/wait/" .. other .. ".c") then
                    wrong[#wrong + 1] = ("%s:%d: includes %s"):format(path, line, header)
                end
            end
        end
        assert.equal("", table.concat(wrong, "\n"))
    end)

    it("has no file of more than " .. LONGEST_FILE .. " lines", function()
        local files = find_files("src", "%.lua$", find_files("src", "%.[ch]$", {}))
        find_files("lua", "%.lua$", files)
        for _, path in ipairs(files) do
            local count = 0
            for _ in io.lines(helper.root .. "/" .. path) do
                count = count + 1
            end
            assert(count <= LONGEST_FILE, path .. " has " .. count .. " lines")
        end
    end)
end)
