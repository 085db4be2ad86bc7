-- Very many connections at once (contract 11.2): ten thousand that are open, a thousand of them
-- busy, slow readers among them, and peers that vanish; the server goes on, and its memory is
-- bounded.

local helper = require "spec.helper"

-- The server, in a process of its own; it says how much memory it has when it is asked.
local server = [[
local tasklet = require "tasklet"
local net = tasklet.net
local server = assert(net.listen{host = "127.0.0.1", port = 0, backlog = 4096})
local open = 0

local function resident()
    for line in io.lines("/proc/self/status") do
        local kilobytes = line:match("^VmRSS:%s*(%d+)")
        if kilobytes then
            return tonumber(kilobytes)
        end
    end
end

tasklet.new(function()
    server:serve(function(stream)
        open = open + 1
        local _ <close> = setmetatable({}, {__close = function() open = open - 1 end})
        for line in function() return (stream:read("l")) end do
            if line == "stat" then
                collectgarbage()
                stream:write(open, " ", resident(), "\n")
            elseif line == "flood" then
                repeat until not stream:write(("x"):rep(65536))
            elseif not stream:write(line, "\n") then
                break
            end
        end
    end)
end, {daemon = true}):start()
print(select(2, server:sockname()))
io.stdout:flush()
io.read("l") -- until the other end goes
]]

local clients = [[
local tasklet = require "tasklet"
local net, process = tasklet.net, tasklet.process
local COUNT, BUSY = 10000, 1000
local large = os.getenv "TASKLET_PATIENCE" ~= nil -- a checker of memory needs much itself

local host = process.spawn{arg[1], arg[2], stdin = "pipe", stdout = "pipe"}
local port = tonumber((assert(host.stdout:read("l"))))
local control = assert(net.connect{port = port})

local function stat()
    control:write("stat\n")
    local line = assert(control:read("l"))
    return tonumber(line:match("^%d+")), tonumber(line:match(" (%d+)$"))
end

local _, before = stat()
local all = {}
local function connect(from, to)
    for i = from, to do
        all[i] = assert(net.connect{port = port})
    end
end
local tasks = {}
for i = 1, 100 do
    tasks[i] = tasklet.run(connect, (i - 1) * COUNT // 100 + 1, i * COUNT // 100)
end
tasklet.join_all(tasks)

-- A thousand of them talk.
local function talk(i)
    for round = 1, 10 do
        local line = ("%d of %d"):format(round, i)
        assert(all[i]:write(line, "\n"))
        assert(all[i]:read("l") == line)
    end
end
for i = 1, BUSY do
    tasks[i] = tasklet.run(talk, i * COUNT // BUSY)
end
tasklet.join_all(tasks)
local open, after = stat()
print(open, (after - before) * 1024 // COUNT < 8192 or large)

-- Some want very much, and read nothing.
for i = 1, 100 do
    all[i]:write("flood\n")
    all[i]:flush()
end
for _ = 1, 50 do
    stat()
end
local _, flooded = stat()
print((flooded - after) * 1024 // 100 < 1048576 or large)

-- Half of all vanish, the slow ones among them.
for i = 1, COUNT // 2 do
    all[i]:close()
end
repeat
    open = stat()
    tasklet.yield_()
until open == COUNT // 2 + 1
print(open)
for i = COUNT // 2 + 1, COUNT, 50 do
    talk(i)
end
host.stdin:close()
print(host:wait())
]]

---@return string the path of a file with that in it
local function file_of(text)
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
    return path
end

describe("ten thousand connections", function()
    it("11.2 are served, with slow ones and such as vanish #slow", function()
        local one, two = file_of(server), file_of(clients)
        local command = ("ulimit -n 10100 && exec '%s' '%s' '%s' '%s' 2>&1"):format(helper.bin, two,
            helper.bin, one)
        local program <close> = assert(io.popen(("sh -c \"%s\""):format(command)))
        local said = program:read("a")
        os.remove(one)
        os.remove(two)
        assert.equal("10001\ttrue\ntrue\n5001\ntrue\texit\t0\n", said)
    end)
end)
