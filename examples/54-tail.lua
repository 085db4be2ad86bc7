-- Follows a log as `tail -F` does: what is added to it, and the new one when the old is moved away.
-- The directory is watched, since the file itself may go; whoever reads is told by messages.

local tasklet = require "tasklet"
local fs = tasklet.fs

--- Sends each line of the file to `reader`, for ever.
local function follow(dir, name, reader)
    local path = dir .. "/" .. name
    local watch <close> = assert(fs.watch(dir))
    local file, inode, rest = nil, nil, ""
    local function read()
        local text = file and file:read("a") or ""
        for line in (rest .. text):gmatch("([^\n]*)\n") do
            tasklet.send(reader, "line", line)
        end
        rest = (rest .. text):match("[^\n]*$")
    end
    repeat
        local found = fs.stat(path)
        if found and found.ino ~= inode then
            read() -- what was written to the old one last
            if file then
                file:close()
                tasklet.send(reader, "rotated")
            end
            file, inode, rest = fs.open(path), found.ino, ""
        end
        read()
    until not watch:next()
end

local dir = assert(fs.tempdir("tail-"))
local log = dir .. "/log"
assert(fs.write_file(log, "first\n"))

local reader = tasklet.current()
local tail = tasklet.new(follow, { name = "tail", daemon = true }):start(dir, "log", reader)

local function next_line()
    local message = reader.mailbox:popleft(5)
    return message.value or "(" .. message.name .. ")"
end

print(next_line())
assert(fs.write_file(log, "second\nthi", { append = true }))
print(next_line())
assert(fs.write_file(log, "rd\n", { append = true }))
print(next_line())
assert(fs.rename(log, log .. ".1"))
assert(fs.write_file(log, "fourth\n"))
print(next_line())
print(next_line())

tail:kill()
assert(fs.remove(dir, { recursive = true }))
