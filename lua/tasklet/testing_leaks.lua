-- What a test leaves behind: tasklets, handles of luv, files and other descriptors, children,
-- unread messages; and where it was made. A snapshot says what there was; what has come since is
-- found, named, and ended.
--
-- Where a file or a handle was made is known because io's and luv's functions that make them are
-- wrapped while specs run. The wrappers hold what they make, so that whether a forgotten file is
-- found does not depend on the collector.
local M, core = ...

local L = {}

-- Turns of the loop that what ends by itself may take, and those that what is ended may take.
local TURNS = 10

-- What was made, and its place.
local files, handles, numbers, pids, watches = {}, {}, {}, {}, {}
local wrapped = {} -- lists of {table, key, function}

-- ---- wrapping ----

local function finish_call(name, note, ok, result, ...)
    if not ok then
        if type(result) == "string" then
            result = result:gsub("'%?'", "'" .. name .. "'", 1)
            return error(result, 2) -- the wrapper has left by a tail call
        end
        return error(result, 0)
    end
    if result ~= nil then
        note(result, ...)
    end
    return result, ...
end

local function wrap(t, name, note)
    local f = t[name]
    if type(f) == "function" then
        wrapped[#wrapped + 1] = { t, name, f }
        t[name] = function(...)
            return finish_call(name, note, pcall(f, ...))
        end
    end
end

local known_children = {}

-- The child that has come last.
local function note_child(where)
    for pid in pairs(core.child_processes()) do
        if not known_children[pid] then
            known_children[pid] = true
            pids[pid] = where
        end
    end
end

local function note_handle(handle, pid)
    if type(handle) == "userdata" then
        local where = core.script_place(3)
        handles[handle] = where
        if type(pid) == "number" then
            pids[pid] = where
            known_children[pid] = true
        end
    end
end

local wrapped_luv

local function wrap_luv(luv)
    if type(luv) ~= "table" or luv == wrapped_luv then
        return
    end
    wrapped_luv = luv
    local names = {}
    for name in pairs(luv) do
        if type(name) == "string" and name:find("^new_") then
            names[#names + 1] = name
        end
    end
    for _, name in ipairs(names) do
        wrap(luv, name, note_handle)
    end
    wrap(luv, "spawn", note_handle)
    wrap(luv, "fs_open", function(fd)
        if type(fd) == "number" then
            numbers[fd] = core.script_place(3)
        end
    end)
end

-- Luv is wrapped whenever a spec requires it.
local function wrap_preload(name)
    local load = package.preload[name]
    if type(load) == "function" then
        wrapped[#wrapped + 1] = { package.preload, name, load }
        package.preload[name] = function(...)
            local luv = load(...)
            wrap_luv(luv)
            return luv
        end
    end
end

--- From now on it is noted where things are made.
function L.open()
    local function note_file(file)
        files[file] = core.script_place(3)
    end
    wrap(io, "open", note_file)
    wrap(io, "tmpfile", note_file)
    wrap(io, "popen", function(file)
        local where = core.script_place(3)
        files[file] = where
        note_child(where)
    end)
    wrap_preload("luv")
    wrap_preload("uv")
    wrap_luv(package.loaded.luv)
    function core.note_child(pid)
        pids[pid] = core.script_place(4)
        known_children[pid] = true
    end
    function core.note_watch(watch)
        watches[watch] = core.script_place(3)
    end
    core.note_messages(true)
end

--- Puts everything back.
function L.close()
    for i = #wrapped, 1, -1 do
        local t, name, f = table.unpack(wrapped[i])
        t[name] = f
        wrapped[i] = nil
    end
    wrapped_luv = nil
    files, handles, numbers, pids, watches = {}, {}, {}, {}, {}
    for object in pairs(core.made) do
        core.made[object] = nil
    end
    core.note_child, core.note_watch = nil, nil
    core.note_messages(false)
end

-- ---- snapshots ----

-- Those of `made` that `is_open` says are; the others are forgotten.
local function open_ones(made, is_open)
    local set = {}
    for object in pairs(made) do
        if is_open(object) then
            set[object] = true
        else
            made[object] = nil
        end
    end
    return set
end

local function is_open_file(file)
    return io.type(file) == "file"
end

local function is_open_handle(handle)
    return not handle:is_closing()
end

-- A stream, a server, a socket of datagrams.
local function is_open_socket(object)
    return object:fileno() ~= nil
end

--- What there is now.
function L.snapshot()
    local shot = {
        tasklets = {}, mail = {},
        files = open_ones(files, is_open_file),
        handles = open_ones(handles, is_open_handle),
        sockets = open_ones(core.made, is_open_socket),
        watches = open_ones(watches, core.is_open_watch),
        descriptors = core.descriptors(),
        children = core.child_processes(),
    }
    for _, t in ipairs(core.tasklets()) do
        shot.tasklets[t] = true
        shot.mail[t] = #t.mailbox
    end
    return shot
end

local function at(where)
    return where and ", made at " .. where or ""
end

local function find_tasklets(shot, found)
    local current = M.current()
    for _, t in ipairs(core.tasklets()) do
        if not shot.tasklets[t] and not t.daemon and t ~= current then
            local waits = t.waiting_for
            local origin = core.origin(t)
            found[#found + 1] = {
                text = ("tasklet '%s' #%d%s%s"):format(t.name, core.number(t),
                    origin and ", started at " .. origin or "",
                    waits and (", waits (%s)"):format(waits) or ""),
                number = core.number(t),
                finish = function() t:kill() end,
            }
        end
    end
    table.sort(found, function(a, b) return a.number < b.number end)
end

-- The messages that have come to a mailbox since.
local function find_mail(t, before, found)
    local i = 0
    for message in t.mailbox:iter() do
        i = i + 1
        if i > before then
            local where = core.noted(message)
            found[#found + 1] = {
                text = ("unread message '%s' for tasklet '%s' #%d%s"):format(message.name, t.name,
                    core.number(t), at(where)),
            }
        end
    end
end

--- The unread messages of the current tasklet.
function L.unread()
    local found = {}
    find_mail(M.current(), 0, found)
    return found
end

local function find_messages(shot, found)
    local alive = core.tasklets()
    table.sort(alive, function(a, b) return core.number(a) < core.number(b) end)
    for _, t in ipairs(alive) do
        if shot.tasklets[t] and t ~= M.current() and #t.mailbox > shot.mail[t] then
            find_mail(t, shot.mail[t], found)
        end
    end
end

-- Adds what is found by `each`, in the order of its text.
local function add_sorted(found, list)
    table.sort(list, function(a, b) return a.text < b.text end)
    table.move(list, 1, #list, #found + 1, found)
end

local function find_handles(shot, found, owned)
    local list = {}
    for handle in pairs(open_ones(handles, is_open_handle)) do
        if not shot.handles[handle] then
            -- "uv_timer_t: 0x..."
            local kind = tostring(handle):match("^uv_(%w+)_t") or "handle"
            local _, fd = pcall(handle.fileno, handle)
            if type(fd) == "number" then
                owned[fd] = true
            end
            list[#list + 1] = {
                text = ("%s of luv%s"):format(kind, at(handles[handle])),
                finish = function()
                    if is_open_handle(handle) then
                        handle:close()
                    end
                end,
            }
        end
    end
    add_sorted(found, list)
end

-- The process' own streams stay.
local function is_standard(object)
    for _, name in ipairs { "stdin", "stdout", "stderr" } do
        if rawget(M, name) == object then
            return true
        end
    end
end

local function find_sockets(shot, found, owned)
    local list = {}
    for object in pairs(open_ones(core.made, is_open_socket)) do
        if not shot.sockets[object] then
            owned[object:fileno()] = true
            if not is_standard(object) then
                -- "file:line: "
                local where = core.made[object]:match("^(.*): $")
                list[#list + 1] = {
                    text = tostring(object) .. at(where),
                    finish = function() object:close() end,
                }
            end
        end
    end
    add_sorted(found, list)
end

local function find_watches(shot, found)
    local list = {}
    for watch in pairs(open_ones(watches, core.is_open_watch)) do
        if not shot.watches[watch] then
            list[#list + 1] = {
                text = tostring(watch) .. at(watches[watch]),
                finish = function() watch:close() end,
            }
        end
    end
    add_sorted(found, list)
end

local function find_files(shot, found, owned)
    local list = {}
    for file in pairs(open_ones(files, is_open_file)) do
        if not shot.files[file] then
            local fd = core.fileno(file)
            owned[fd] = true
            list[#list + 1] = {
                text = ("file (descriptor %d: %s)%s"):format(fd, core.descriptors()[fd] or "?",
                    at(files[file])),
                finish = function() file:close() end,
            }
        end
    end
    add_sorted(found, list)
end

local function find_children(shot, found)
    local list = {}
    for pid, command in pairs(core.child_processes()) do
        if not shot.children[pid] then
            list[#list + 1] = {
                text = ("child %d (%s)%s"):format(pid, command, at(pids[pid])),
                finish = function() core.end_child(pid) end,
            }
        end
    end
    add_sorted(found, list)
end

-- The library's and libuv's own come and go: what has no file, socket or pipe behind it, and what
-- libuv keeps for the day when there are too many.
local function is_own(target)
    return target:find("^anon_inode:") or target == "/dev/null" or target == "/"
end

local function find_descriptors(shot, found, owned)
    local list = {}
    for fd, target in pairs(core.descriptors()) do
        if shot.descriptors[fd] ~= target and not owned[fd] and not is_own(target) then
            list[#list + 1] = {
                text = ("descriptor %d (%s)%s"):format(fd, target, at(numbers[fd])),
                finish = function() core.close_descriptor(fd) end,
            }
        end
    end
    add_sorted(found, list)
end

--- All that has come since a snapshot: a list of {text=, finish=}. What is ended first comes first.
local function find(shot)
    local found, owned = {}, {}
    find_tasklets(shot, found)
    find_messages(shot, found)
    find_handles(shot, found, owned)
    find_sockets(shot, found, owned)
    find_watches(shot, found)
    find_children(shot, found)
    find_files(shot, found, owned)
    find_descriptors(shot, found, owned)
    return found
end

-- A turn of the loop, in which no virtual time passes.
local function turn()
    M.wait(M.WaitForTimeout(0))
end

--- What has come since a snapshot and does not go by itself, in text; and ends it. For a tasklet.
function L.collect(shot)
    if rawget(core, "await_children") then
        core.await_children() -- those that end with a tasklet which has ended
    end
    local found = find(shot)
    for i = 1, TURNS do
        if #found == 0 then
            return {}
        elseif i == 2 then
            collectgarbage() -- what only the collector closes is a leak if a wrapper knows it
        end
        turn()
        found = find(shot)
    end
    local texts = {}
    for _, entry in ipairs(found) do
        texts[#texts + 1] = "leak: " .. entry.text
    end
    for _ = 1, TURNS do
        local busy = false
        for _, entry in ipairs(found) do
            if entry.finish then
                busy = true
                entry.finish()
            end
        end
        if not busy then
            break
        end
        turn()
        found = find(shot)
    end
    return texts
end

-- ---- the test under way ----

local test_shot

--- A test begins.
function L.begin_test()
    numbers = {}
    test_shot = L.snapshot()
    known_children = {}
    for pid in pairs(test_shot.children) do
        known_children[pid] = true
    end
    core.forget_sent()
    return test_shot
end

function L.end_test()
    test_shot = nil
end

--- The lines of what has come since the test began.
function L.since_test()
    local texts = {}
    if test_shot then
        for _, entry in ipairs(find(test_shot)) do
            texts[#texts + 1] = "leak: " .. entry.text
        end
        for _, entry in ipairs(L.unread()) do
            texts[#texts + 1] = "leak: " .. entry.text
        end
    end
    return texts
end

return L
