-- What the specs of installing share: temporary directories, commands, a copy of the tree as a
-- fresh checkout has it, and what an installed tree has in it.

local M = {}

local helper = require "spec.helper"
local lfs = require "lfs"

---@param word string
---@return string # the same for the shell
function M.quote(word)
    return "'" .. word:gsub("'", "'\\''") .. "'"
end

---@param path string
---@return string
function M.slurp(path)
    local file <close> = assert(io.open(path, "rb"))
    return assert(file:read("a"))
end

---@param path string
---@param text string
function M.spill(path, text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
end

-- A command, with `$name` for each of the words given, quoted; `${name}` as it is.
---@param command string
---@param words? table<string, string>
---@return string
local function fill(command, words)
    local function replace(form)
        return function(name)
            local word = words and words[name]
            return word and form(word)
        end
    end
    return (command:gsub("%${([%w_]+)}", replace(function(word) return word end))
        :gsub("%$([%w_]+)", replace(M.quote)))
end

---Runs a command of the shell, which stops at the first that fails.
---@param command string with `$name` for words
---@param words? table<string, string>
---@return boolean, string # all went well; what it wrote, the errors too
function M.try(command, words)
    local line = "set -e; exec 2>&1 </dev/null; " .. fill(command, words)
    local pipe = assert(io.popen(line))
    local text = pipe:read("a")
    return pipe:close() == true, text
end

---The same for what must go well.
---@param command string
---@param words? table<string, string>
---@return string # what it wrote, the errors too
function M.run(command, words)
    local ok, text = M.try(command, words)
    return ok and text or error(fill(command, words) .. "\n" .. text, 2)
end

---@param command string
---@param words? table<string, string>
---@return string[] # the lines that it writes
function M.lines(command, words)
    local lines = {}
    for line in M.run(command, words):gmatch("[^\n]+") do
        lines[#lines + 1] = line
    end
    return lines
end

---@return string # the path of a new directory
function M.temporary_directory()
    return M.lines("mktemp -d")[1]
end

---Copies the tree: the files that are under version control, and nothing else.
---@param directory string is made
function M.copy_tree(directory)
    local names = {}
    for name in M.run("cd $root; git ls-files -z", {root = helper.root}):gmatch("%Z+") do
        -- One that has been removed, but not from version control, is gone.
        if lfs.symlinkattributes(helper.root .. "/" .. name) then
            names[#names + 1] = name .. "\0"
        end
    end
    assert(#names > 0, "no files under version control")
    local list = os.tmpname()
    M.spill(list, table.concat(names))
    M.run([[
        mkdir $directory
        tar -C $root --null -T $list -cf $list.tar
        tar -C $directory -xf $list.tar
        rm $list $list.tar
    ]], {root = helper.root, directory = directory, list = list})
end

---The version of the project.
M.version = M.slurp(helper.root .. "/meson.build"):match("version: '([%d.]+)'")

---What is before the first dot in it.
M.soversion = M.version:match("^%d+")

---Debian's name of the machine, which is that of directories.
M.triplet = M.lines("gcc -print-multiarch")[1]

---@param directory string
---@return string[] # the paths of files and links below it, from there, sorted
function M.files_below(directory)
    local files = M.lines("cd $directory && find . ! -type d -printf '%P\\n'",
        {directory = directory})
    table.sort(files)
    return files
end

---What is installed, from the root.
---@param prefix string "usr"
---@param modules string where the module is
---@return string[] # sorted
function M.expected_files(prefix, modules)
    local libraries = prefix .. "/lib/" .. M.triplet
    local files = {
        prefix .. "/bin/tasklet",
        prefix .. "/include/tasklet.h",
        libraries .. "/libtasklet.a",
        libraries .. "/libtasklet.so",
        libraries .. "/libtasklet.so." .. M.soversion,
        libraries .. "/libtasklet.so." .. M.version,
        libraries .. "/pkgconfig/tasklet.pc",
        modules .. "/tasklet.so",
        prefix .. "/share/man/man1/tasklet.1",
    }
    table.sort(files)
    return files
end

---The names of the symbols that `nm` tells of.
---@param options string
---@param path string
---@return table<string, true> # without versions
function M.symbols_of(options, path)
    local symbols = {}
    for _, line in ipairs(M.lines("nm " .. options .. " $path", {path = path})) do
        local kind, name = line:match(" (%a) ([%w_]+)")
        if kind and kind ~= "A" then
            symbols[name] = true
        end
    end
    assert(next(symbols), "no symbols in " .. path)
    return symbols
end

---The libraries that a program or library is linked with.
---@param path string
---@return table<string, true> # "libuv.so.1"
function M.needed_by(path)
    local needed = {}
    for _, line in ipairs(M.lines("readelf -dW $path", {path = path})) do
        local name = line:match("%(NEEDED%).*%[(.-)%]")
        if name then
            needed[name] = true
        end
    end
    return needed
end

return M
