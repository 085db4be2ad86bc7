-- WaitForIdle: a long job done in slices, whenever the loop has nothing else to do.

local tasklet = require "tasklet"

local sum, slices = 0, 0

local job = tasklet.run(function()
    local idle = tasklet.WaitForIdle()
    for slice = 1, 100 do
        for i = (slice - 1) * 1000 + 1, slice * 1000 do
            sum = sum + i
        end
        slices = slices + 1
        coroutine.yield(idle)
        tasklet.get_event()
    end
    return sum
end)

-- What is due goes before what is idle.
tasklet.run(function()
    tasklet.wait(tasklet.WaitForTimeout(0))
    print("a timeout in between; the job is not done", slices < 100)
end)

print("sum", tasklet.join(job))
