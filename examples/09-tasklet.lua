-- Waiting for tasklets: WaitForTasklet, the tasklet itself, a function, a coroutine.

local tasklet = require "tasklet"

local function square(x)
    tasklet.sleep(0.005)
    return x * x
end

-- The condition, and the tasklet itself: they mean the same.
local task = tasklet.run(square, 3)
print("condition", tasklet.wait(tasklet.WaitForTasklet(task)).retval)
print("tasklet", tasklet.wait(task).retval) -- also when it has ended already

-- A function or a fresh coroutine is started as a tasklet, then waited for.
print("function", tasklet.wait(function() return square(4) end).retval)
print("coroutine", tasklet.wait(coroutine.create(function() return square(5) end)).retval)

-- The first of several, given as one list.
local slow, quick = tasklet.run(tasklet.sleep, 60), tasklet.run(square, 6)
local for_slow, for_quick = tasklet.WaitForTasklet(slow), tasklet.WaitForTasklet(quick)
coroutine.yield({for_slow, for_quick})
print("the quick one", tasklet.get_event() == for_quick)
slow:kill()

-- One that fails, and one that was killed, say so in the event.
local event = tasklet.wait(function()
    tasklet.sleep(0.005)
    error("no luck", 0)
end)
print("error", event.error)
event = tasklet.wait(slow)
print("killed", tasklet.TaskletExit:is(event.error))
