-- A supervisor. It starts three children, starts again what dies (after a delay that grows), obeys
-- commands from a FIFO, and ends its children on SIGTERM. By hand it would be: echo status >FIFO
-- Here "flaky" dies twice; the third time it lives, and writes commands into the FIFO itself.
-- signal: TERM after web: ended by signal 15

local tasklet = require "tasklet"
local uv = require "luv"
io.stdout:setvbuf("line")

local lives = "[ $1 -gt 2 ] || exit 7; printf 'status\nstop web\n' >$2; exec sleep 60"
local programs = {
    {name = "flaky", command = lives},
    {name = "queue", command = "exec sleep 60"},
    {name = "web", command = "exec sleep 60"},
}
local dir = os.tmpname()
local fifo = dir .. ".d/commands"
assert(os.execute(("mkdir -m 700 %s.d && mkfifo -m 600 %s"):format(dir, fifo)))
-- Open for writing too, so that the FIFO does not end when a writer closes it.
local fd = assert(uv.fs_open(fifo, uv.constants.O_RDWR | uv.constants.O_NONBLOCK, 0))

-- The tasklet of one program. When it is killed it ends the child, and then itself.
local function keep_alive(p)
    local delay = 5
    for starts = 1, math.huge do
        p.state, p.starts = "running", starts
        local handle, pid
        handle, pid = assert(uv.spawn("/bin/sh", {
            args = {"-c", p.command, p.name, tostring(starts), fifo},
        }, function() handle:close() end))
        print(p.name .. ": started, number " .. starts)
        local ended = tasklet.WaitForProcess(pid)
        local alive = pcall(tasklet.wait, ended)
        if not alive then
            uv.kill(pid, "sigterm")
            tasklet.shield(function() tasklet.wait(ended) end)
        end
        if alive or p.state == "stopping" then
            print(("%s: ended by %s %d"):format(p.name, ended.reason, ended.status))
        end
        p.state, delay = "dead", math.min(delay * 2, 60000)
        if alive then print(("%s: again in %d ms"):format(p.name, delay)) end
        tasklet.sleep(delay / 1000) -- raises the kill again
    end
end

local function obey(line)
    local verb, name = line:match("^(%S+)%s*(%S*)$")
    for _, p in ipairs(programs) do
        if verb == "status" then
            local state = p.keeper:has_finished() and "stopped" or p.state
            print(("%s: %s, starts %d"):format(p.name, state, p.starts))
        elseif verb == "stop" and name == p.name then
            p.state = "stopping"
            p.keeper:kill()
        end
    end
end

tasklet.scope(function(s)
    for _, p in ipairs(programs) do
        p.keeper = s:new(keep_alive, {name = p.name}):start(p)
    end
    local commands = tasklet.WaitForIO(fd)
    local term = tasklet.WaitForSignal(tasklet.signals, "SIGTERM")
    while tasklet.wait(commands, term) == commands do
        -- A FIFO keeps a short write in one piece, so every line is whole.
        for line in uv.fs_read(fd, 65536):gmatch("[^\n]+") do
            obey(line)
        end
    end
    s:kill() -- the scope is left when all its tasklets have ended
end)
uv.fs_close(fd)
os.execute(("rm -r %s %s.d"):format(dir, dir))
print("all children have ended, the FIFO is removed")
