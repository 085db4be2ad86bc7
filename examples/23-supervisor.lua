-- A supervisor. It starts three children, starts again what dies (after a delay that grows), obeys
-- commands from a FIFO, and ends its children on SIGTERM. By hand it would be: echo status >FIFO
-- Here "flaky" dies twice; the third time it lives, and writes commands into the FIFO itself.
-- signal: TERM after web: ended by signal 15

local tasklet = require "tasklet"
local uv = require "luv"
io.stdout:setvbuf("line")

local lives = "[ $1 -gt 2 ] || exit 7; printf 'status\nstop web\n' >$2; exec sleep 60"
local programs = {
    {name = "flaky", command = lives, starts = 0, delay = 5},
    {name = "queue", command = "exec sleep 60", starts = 0, delay = 5},
    {name = "web", command = "exec sleep 60", starts = 0, delay = 5},
}
local dir = os.tmpname()
local fifo = dir .. ".d/commands"
assert(os.execute(("mkdir -m 700 %s.d && mkfifo -m 600 %s"):format(dir, fifo)))
-- Open for writing too, so that the FIFO does not end when a writer closes it.
local fd = assert(uv.fs_open(fifo, uv.constants.O_RDWR | uv.constants.O_NONBLOCK, 0))

local function start(p)
    p.starts = p.starts + 1
    local handle, pid
    handle, pid = assert(uv.spawn("/bin/sh", {
        args = {"-c", p.command, p.name, tostring(p.starts), fifo},
    }, function() handle:close() end))
    p.pid, p.state, p.waits_for = pid, "running", tasklet.WaitForProcess(pid)
    print(p.name .. ": started, number " .. p.starts)
end

local function ended(p, event)
    print(("%s: ended by %s %d"):format(p.name, event.reason, event.status))
    if p.state == "stopping" then
        p.state, p.waits_for = "stopped", nil
        return
    end
    p.delay = math.min(p.delay * 2, 60000)
    p.state, p.waits_for = "dead", tasklet.WaitForTimeout(p.delay)
    print(("%s: again in %d ms"):format(p.name, p.delay))
end

local function stop(p)
    if p.state == "running" then
        p.state = "stopping"
        uv.kill(p.pid, "sigterm")
    elseif p.state == "dead" then
        p.state, p.waits_for = "stopped", nil
    end
end

local function obey(line)
    local verb, name = line:match("^(%S+)%s*(%S*)$")
    for _, p in ipairs(programs) do
        if verb == "status" then
            print(("%s: %s, starts %d"):format(p.name, p.state, p.starts))
        elseif verb == "stop" and name == p.name then
            stop(p)
        end
    end
end

for _, p in ipairs(programs) do
    start(p)
end
local commands = tasklet.WaitForIO(fd)
local term = tasklet.WaitForSignal(tasklet.signals, "SIGTERM")
while true do
    local waits, owner = {commands, term}, {}
    for _, p in ipairs(programs) do
        if p.waits_for then
            waits[#waits + 1], owner[p.waits_for] = p.waits_for, p
        end
    end
    local event = tasklet.wait(waits)
    if event == term then
        break
    elseif event == commands then
        -- A FIFO keeps a short write in one piece, so every line is whole.
        for line in uv.fs_read(fd, 65536):gmatch("[^\n]+") do
            obey(line)
        end
    elseif owner[event].state == "dead" then
        start(owner[event])
    else
        ended(owner[event], event)
    end
end

for _, p in ipairs(programs) do
    stop(p)
    if p.state == "stopping" then
        tasklet.wait(p.waits_for)
    end
end
uv.fs_close(fd)
os.execute(("rm -r %s %s.d"):format(dir, dir))
print("all children have ended, the FIFO is removed")
