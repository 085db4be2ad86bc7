-- receive_batch: messages in lists. A logger that writes many lines in one go, and does not let a
-- line wait for long.

local tasklet = require "tasklet"

local written = 0
local logger = tasklet.run(function()
    for list in tasklet.receive_batch(4, 0.02) do -- up to 4, or what comes within 20 ms
        local lines = {}
        for i, message in ipairs(list) do
            lines[i] = message.value
        end
        written = written + 1
        print(("write %d: %s"):format(written, table.concat(lines, ", ")))
        if list[#list].name == "last" then
            return
        end
    end
end)

-- A burst fills lists; what is left over is written when its time is over.
for i = 1, 9 do
    tasklet.send(logger, "line", "burst " .. i)
end
tasklet.sleep(0.06)

-- A trickle is not held up.
tasklet.send(logger, "line", "alone")
tasklet.sleep(0.06)
tasklet.send(logger, "last", "the end")
logger:join()
