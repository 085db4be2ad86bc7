-- Limits of time: for a part of the program, for a tasklet, and cleanup that takes its time.

local tasklet = require "tasklet"

local function work(name)
    local _ <close> = setmetatable({}, {__close = function() print("  " .. name .. " ends") end})
    tasklet.sleep(60)
end

-- with_deadline: for all that the function waits for, however deep, and in all scopes inside.
local ok, err = pcall(tasklet.with_deadline, 0.02, function()
    tasklet.scope(function(s)
        s:run(work, "a")
        s:run(work, "b")
    end)
end)
print(ok, tasklet.TimeoutError:is(err))

-- A scope takes a deadline of its own.
ok, err = pcall(tasklet.scope, function(s)
    s:run(work, "c")
end, {deadline = 0.02})
print(ok, tasklet.TimeoutError:is(err))

-- Of nested deadlines the nearest counts. Where the inner one is left, there is time again.
print(tasklet.with_deadline(60, function()
    local in_time = pcall(tasklet.with_deadline, 0.01, work, "d")
    tasklet.sleep(0.001)
    return "went on", in_time
end))

-- t.timeout: one limit for several verbs of a tasklet that have none of their own.
local me = tasklet.current()
local slow = tasklet.run(tasklet.sleep, 60)
me.timeout = 0.02
print(pcall(tasklet.join, slow))
print("seconds left", me.timeout == 0)
print(pcall(tasklet.join_all, {slow})) -- it stays over until it is set anew
me.timeout = nil
slow:kill()

-- shield: cleanup that may wait. A kill or a deadline is held back until the function returns, here
-- for a second at most.
local writer = tasklet.run(function()
    local _ <close> = setmetatable({}, {__close = function()
        tasklet.shield(function()
            tasklet.sleep(0.01) -- say goodbye to somebody
            print("said goodbye")
        end, 1)
    end})
    tasklet.sleep(60)
end)
writer:kill()
print("killed", "finished", writer:has_finished())
tasklet.wait(writer)
print("killed", "finished", writer:has_finished())
