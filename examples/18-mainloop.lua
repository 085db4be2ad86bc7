-- The main loop by hand. In plain lua5.4 a script must call run; with the host it may.
-- Here quit ends it although one tasklet would go on for ever.
-- exit: 7

local tasklet = require "tasklet"
local mainloop = tasklet.mainloop

local ticks = 0
tasklet.run(function()
    local tick = tasklet.WaitForTimeout(2)
    while true do
        tasklet.wait(tick)
        ticks = ticks + 1
    end
end)

tasklet.run(function()
    tasklet.wait(tasklet.WaitForTimeout(100))
    mainloop.quit(7)
end)

local start = mainloop.now()
local status = mainloop.run()
print("status", status)
print("at least 100 ms", mainloop.now() - start >= 100)
print("the other one ticked", ticks > 1)
