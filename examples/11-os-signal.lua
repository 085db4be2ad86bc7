-- The signals of the operating system: a tasklet reads its settings again on SIGHUP.
-- The script sends the signals to itself; from a shell it would be: kill -HUP PID

local tasklet = require "tasklet"
local uv = require "luv"

local settings = tasklet.run(function()
    local hup = tasklet.WaitForSignal(tasklet.signals, "SIGHUP")
    for round = 1, 3 do
        coroutine.yield(hup)
        tasklet.get_event()
        print("settings read again", round)
    end
end)

while settings.state ~= tasklet.Tasklet.STATE_ZOMBIE do
    uv.kill(uv.os_getpid(), "sighup")
    tasklet.sleep(0.05)
end
print("done")
