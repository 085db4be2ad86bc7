-- WaitForProcess: how a child process ended. Any child of this process will do, however it was
-- started; here luv starts them.

local tasklet = require "tasklet"
local uv = require "luv"

local function spawn(command)
    local handle, pid
    handle, pid = assert(uv.spawn("/bin/sh", {args = {"-c", command}}, function()
        handle:close()
    end))
    return pid
end

-- The words are those of os.execute: "exit" and the code, or "signal" and its number.
local event = tasklet.wait(tasklet.WaitForProcess(spawn("exit 3")))
print(event.reason, event.status)

event = tasklet.wait(tasklet.WaitForProcess(spawn("kill -KILL $$")))
print(event.reason, event.status)

-- With a time limit.
local pid = spawn("exec sleep 60")
local ended, limit = tasklet.WaitForProcess(pid), tasklet.WaitForTimeout(50)
if tasklet.wait(ended, limit) == limit then
    print("takes too long")
    uv.kill(pid, "sigterm")
    event = tasklet.wait(ended)
end
print(event.reason, event.status)

-- Many at once.
local count = 0
local waiters = {}
for i = 1, 20 do
    waiters[i] = tasklet.run(function()
        local code = tasklet.wait(tasklet.WaitForProcess(spawn("exit 1"))).status
        count = count + code -- in one line it would add to the count of before the wait
    end)
end
for _, waiter in ipairs(waiters) do
    tasklet.join(waiter)
end
print("ended", count)
