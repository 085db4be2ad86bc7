-- WaitForTimeout: once, the first of several, periodic, and restarted.

local tasklet = require "tasklet"
local now = tasklet.mainloop.now

-- Once.
local start = now()
coroutine.yield(tasklet.WaitForTimeout(20))
tasklet.get_event()
print("20 ms are over", now() - start >= 20)

-- The first of several. tasklet.wait is yield and get_event in one.
local short, long = tasklet.WaitForTimeout(10), tasklet.WaitForTimeout(60000)
print("the short one came first", tasklet.wait(long, short) == short)

-- Periodic: the same object, yielded again after it fired, starts its next period at the
-- moment when it fired. What the body does in between does not move the ticks.
local tick = tasklet.WaitForTimeout(20)
start = now()
for _ = 1, 5 do
    tasklet.wait(tick)
    tasklet.sleep(0.010) -- seconds: half of each period goes to work
end
-- Five periods and the last piece of work: 110 ms. Counted after the work it would be 150.
print("five ticks", now() - start >= 110)

-- Interrupted: yielded again after something else fired, it keeps counting ...
local deadline = tasklet.WaitForTimeout(50)
start = now()
local others = 0
while tasklet.wait(deadline, tasklet.WaitForTimeout(15)) ~= deadline do
    others = others + 1
end
print("kept counting", others >= 1, now() - start >= 50)

-- ... unless it is restarted: then it counts from zero.
start = now()
deadline = tasklet.WaitForTimeout(50)
tasklet.wait(deadline, tasklet.WaitForTimeout(20))
deadline:restart()
tasklet.wait(deadline)
print("restarted after 20 ms", now() - start >= 70)
