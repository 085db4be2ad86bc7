-- tasklet.fs: what is written in Lua of it.
local M, core = ...

local fs, Watch = core.open_fs()
local entries = fs.entries
fs.entries = nil

--- Goes through what is in a directory and below it: for each, its path and its type, a directory
--- before what is in it, the names of one directory in order. Links are not followed. Of a
--- directory that cannot be read the third value says why.
---@param dir string
---@return (fun(): string?, string?, string?)? # nil if `dir` itself cannot be read
---@return string? message
---@return string? code
function fs.walk(dir)
    local names, types, code = entries(core.check_path(1, "walk", dir))
    if not names then
        return nil, types, code
    end
    local levels = { { path = dir:gsub("([^/])/*$", "%1/"), names = names, types = types, at = 0 } }
    return function()
        local level = levels[#levels]
        while level do
            local at = level.at + 1
            local name, kind = level.names[at], level.types[at]
            level.at = at
            if name then
                local path, message = level.path .. name, nil
                if kind == "directory" then
                    local below, their_types = entries(path)
                    if below then
                        levels[#levels + 1] =
                            { path = path .. "/", names = below, types = their_types, at = 0 }
                    else
                        message = their_types
                    end
                end
                return path, kind, message
            end
            levels[#levels] = nil
            level = levels[#levels]
        end
    end
end

-- ---- watches ----

core.is_open_watch = fs.is_open_watch
fs.is_open_watch = nil

Watch.__call = Watch.next
Watch.__close = Watch.close

local new_watch = core.hidden_class("watch", Watch)

--- Watches a file, or what is in a directory, from now on.
---@param path string
---@return Watch?
---@return string? message
---@return string? code
function fs.watch(path)
    local found, message, code = fs.stat(core.check_path(1, "watch", path))
    if not found then
        return nil, message, code
    end
    local ok, watch = pcall(new_watch, path)
    if ok then
        if core.note_watch then
            core.note_watch(watch)
        end
        return watch
    end
    code, message = tostring(watch):match("(%u+) (.*)$")
    return nil, ("%s: %s"):format(path, message), code
end

M.fs = fs
