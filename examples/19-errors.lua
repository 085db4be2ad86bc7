-- Errors stay with the tasklet. Whoever joins it gets them; one that nobody takes is written to
-- standard error, and the status of the program becomes 1.
-- exit: 1

local tasklet = require "tasklet"

-- run returns the tasklet even if it has failed already.
local failed = tasklet.run(function() error("at once", 0) end)
local ok, err = pcall(tasklet.join, failed)
print(ok, tasklet.JoinError:is(err), err.cause, err.tasklet == failed)

-- Any value may be raised.
local later = tasklet.run(function()
    tasklet.sleep(0.005)
    error({code = 42})
end)
ok, err = pcall(later.join, later)
print(ok, err.cause.code)

-- Waiting too long is an error as well, but not the tasklet's.
local slow = tasklet.run(tasklet.sleep, 0.05)
ok, err = pcall(tasklet.join, slow, 0.01)
print(ok, tasklet.TimeoutError:is(err))
tasklet.join(slow)

-- A join callback takes the error too.
tasklet.run(function()
    tasklet.sleep(0.005)
    error("seen by the callback")
end):add_join_callback(function(task, retval, word)
    print(word, task.state == tasklet.Tasklet.STATE_ZOMBIE, retval)
end, "ended")

-- Nobody asks about this one.
tasklet.run(function()
    tasklet.sleep(0.02)
    error("nobody takes this")
end)
