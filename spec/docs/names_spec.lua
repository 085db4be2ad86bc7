-- The reference has an entry for each public name, and no entry for a name that is not there. An
-- entry is a heading, or the first cell of a table's row. The fields of an event are named in the
-- entry of their condition.

local tasklet = require "tasklet"
local testing = require "tasklet.testing"
local helper = require "spec.helper"
local lfs = require "lfs"

local directory = helper.root .. "/docs/reference/"

-- ---- what is documented ----

---@class spec.Entry
---@field place string file:line
---@field text string the heading or the cell, without backquotes
---@field body string[] the lines up to the next heading

---@return spec.Entry[]
local function read_entries()
    local entries, files = {}, {}
    for name in lfs.dir(directory) do
        files[#files + 1] = name:match("^.+%.md$")
    end
    table.sort(files)
    for _, name in ipairs(files) do
        local number, in_block, current, body = 0, false, {}, {}
        for line in io.lines(directory .. name) do
            number = number + 1
            if line:find("^ *```") then
                in_block = not in_block
            end
            local heading = not in_block and line:match("^#+ (.*)$")
            local cell = not in_block and line:match("^| *(`[^|]*`) *|")
            if heading or cell then
                -- Headings that follow each other share what stands below.
                body = (cell or #current > 0) and {} or body
                current = heading and {} or current
                entries[#entries + 1] = {
                    place = ("docs/reference/%s:%d"):format(name, number),
                    text = (heading or cell):gsub("`", ""),
                    body = body,
                }
            end
            if not heading then
                body[#body + 1] = line
                current[#current + 1] = line:find("%S") and line or nil
            end
        end
    end
    return entries
end

local entries = read_entries()

---@param owner string "tasklet", "t", "ch"
---@param name string
---@return spec.Entry?
local function entry_of(owner, name)
    for _, entry in ipairs(entries) do
        for word in entry.text:gmatch("[%w_.:]+") do
            -- What is in a table of the module stands for that.
            local last = word:sub(1, #owner) == owner and word:match("^[.:]([%w_]+)", #owner + 1)
            if last == name then
                return entry
            end
        end
    end
end

-- ---- what is there ----

---The string keys of tables, without those with two underscores; sorted.
---@param ... table
---@return string[]
local function keys_of(...)
    local found, names = {}, {}
    for _, t in ipairs{...} do
        for key in pairs(t) do
            if type(key) == "string" and not key:find("^__") and not found[key] then
                found[key] = true
                names[#names + 1] = key
            end
        end
    end
    table.sort(names)
    return names
end

---What an object answers to: the keys of its `__index`, or of tables that a function there uses.
---@param object any
---@return string[]
local function members_of(object)
    local index = getmetatable(object).__index
    if type(index) == "table" then
        local parent = getmetatable(index) and getmetatable(index).__index
        return keys_of(index, type(parent) == "table" and parent or {})
    end
    local tables, i = {}, 1
    repeat
        local name, value = debug.getupvalue(index, i)
        if type(value) == "table" then
            tables[#tables + 1] = value
        end
        i = i + 1
    until not name
    assert(#tables > 0, "nothing is known of " .. tostring(object))
    return keys_of(table.unpack(tables))
end

local scope, watch
helper.within_loop(function()
    watch = assert(tasklet.fs.watch(helper.root))
    tasklet.scope(function(s) scope = s end)
end)
local some = tasklet.new(function() end)
local channel = tasklet.channel()

local stream = assert(tasklet.stream(assert(require "luv".socketpair())[1]))
local server = assert(tasklet.net.listen{host = "127.0.0.1", port = 0})
local udp = assert(tasklet.net.udp())
local child = assert(tasklet.process.spawn{"true"})

-- By the word that stands for it in the reference.
local objects = {
    watch = watch,
    stream = stream,
    server = server,
    udp = udp,
    child = child,
    t = some,
    ch = channel,
    emitter = tasklet.Emitter{},
    message = tasklet.Message("name"),
    ["t.mailbox"] = some.mailbox,
    s = scope,
    timeout = tasklet.WaitForTimeout(1),
}

local conditions = {
    WaitForTimeout = tasklet.WaitForTimeout(1),
    WaitForIdle = tasklet.WaitForIdle(),
    WaitForIO = tasklet.WaitForIO(0),
    WaitForProcess = tasklet.WaitForProcess(1),
    WaitForTasklet = tasklet.WaitForTasklet(some),
    WaitForSignal = tasklet.WaitForSignal(tasklet.signals, "SIGHUP"),
    WaitForCall = tasklet.WaitForCall(),
    WaitForMessages = tasklet.WaitForMessages{accept = "name"},
    WaitForChannel = tasklet.WaitForChannel(channel, "receive"),
}

-- Tables of functions in the module, loaded when they are first asked for.
local parts = { "fs", "net", "process" }

-- ---- both ways ----

-- An entry of a constructor goes without the module's name.
---@param name string
---@return spec.Entry?
local function constructor_entry(name)
    for _, entry in ipairs(entries) do
        if entry.text:find("^" .. name .. "[({]") then
            return entry
        end
    end
end

describe("the reference", function()
    for _, name in ipairs(keys_of(tasklet)) do
        it("has an entry for tasklet." .. name, function()
            local value = tasklet.Tasklet[name]
            assert.is_truthy(entry_of("tasklet", name) or value and entry_of("t", name)
                or constructor_entry(name))
        end)
    end

    for _, name in ipairs(keys_of(tasklet.Tasklet)) do
        it("has an entry for Tasklet." .. name, function()
            assert.is_truthy(entry_of("Tasklet", name) or entry_of("tasklet", name)
                or entry_of("t", name))
        end)
    end

    for _, name in ipairs(keys_of(tasklet.mainloop)) do
        it("has an entry for mainloop." .. name, function()
            assert.is_truthy(entry_of("tasklet.mainloop", name))
        end)
    end

    for _, part in ipairs(parts) do
        for _, name in ipairs(keys_of(tasklet[part])) do
            it(("has an entry for %s.%s"):format(part, name), function()
                assert.is_truthy(entry_of("tasklet." .. part, name))
            end)
        end
    end

    for _, name in ipairs(keys_of(testing)) do
        it("has an entry for testing." .. name, function()
            assert.is_truthy(entry_of("testing", name))
        end)
    end

    for word, object in pairs(objects) do
        for _, name in ipairs(members_of(object)) do
            -- What classes have is above; a timeout's field is below.
            local elsewhere = word == "t" and tasklet.Tasklet[name] or name == "subclass"
                or word == "timeout" and name == "timeout"
            if not elsewhere then
                it(("has an entry for %s.%s"):format(word, name), function()
                    assert.is_truthy(entry_of(word, name))
                end)
            end
        end
    end

    it("knows all kinds of conditions", function()
        for _, name in ipairs(keys_of(tasklet)) do
            if name:find("^WaitFor") then
                assert.is_truthy(conditions[name], name)
            end
        end
    end)

    for kind, condition in pairs(conditions) do
        it("has the fields of " .. kind, function()
            local text = {}
            for _, entry in ipairs(entries) do
                if entry.text:find("^" .. kind .. "[({]") then
                    table.move(entry.body, 1, #entry.body, #text + 1, text)
                end
            end
            text = table.concat(text, "\n")
            for _, name in ipairs(members_of(condition)) do
                local method = entry_of(kind:match("^WaitFor(.*)$"):lower(), name)
                assert(text:find("`" .. name .. "`", 1, true) or method, name)
            end
        end)
    end

    it("has an entry for each option of the program", function()
        local help, count = helper.run{"--help"}, 0
        for option in (help.stdout .. help.stderr):gmatch("\n%s+(%-[%w-]*)") do
            local found = false
            for _, entry in ipairs(entries) do
                found = found or entry.place:find("host.md", 1, true)
                    and entry.text:find("^" .. option:gsub("%-", "%%-") .. "%f[^%w-]") ~= nil
            end
            assert(found, option)
            count = count + 1
        end
        assert.is_true(count > 10)
    end)

    it("has no entry for a name that is not there", function()
        local known, count = {tasklet = {}, Tasklet = {}, ["tasklet.mainloop"] = {}}, 0
        local function learn(word, names)
            known[word] = known[word] or {}
            for _, name in ipairs(names) do
                known[word][name] = true
            end
        end
        learn("tasklet", keys_of(tasklet))
        learn("Tasklet", keys_of(tasklet.Tasklet))
        learn("tasklet.Emitter", members_of(tasklet.Emitter{}))
        learn("tasklet.Emitter", {"subclass"})
        learn("tasklet.WaitCondition", {"subclass"})
        learn("tasklet.mainloop", keys_of(tasklet.mainloop))
        learn("tasklet", {"stdin", "stdout", "stderr"})
        learn("Class", keys_of(tasklet.TaskletError))
        learn("coroutine", keys_of(coroutine))
        learn("testing", keys_of(testing))
        for _, part in ipairs(parts) do
            learn("tasklet." .. part, keys_of(tasklet[part]))
        end
        learn("assert", {"resolves", "receives", "no_leaks"})
        for word, object in pairs(objects) do
            learn(word, members_of(object))
        end
        for _, entry in ipairs(entries) do
            local owner, name = entry.text:match("^#?([%a_][%w_.]*)[.:]([%a_][%w_]*)%f[^%w_]")
            if owner then
                assert(known[owner] and known[owner][name], entry.place .. ": " .. entry.text)
                count = count + 1
            end
        end
        assert.is_true(count > 100, "few entries: " .. count)
    end)
end)
