-- Priorities: what the loop finds ready in one turn goes in order, smaller numbers first.

local tasklet = require "tasklet"

local function waiter(name, priority)
    tasklet.wait(tasklet.WaitForTimeout(10, {priority = priority}))
    print(name)
end

tasklet.run(waiter, "low", tasklet.PRIORITY_LOW)
tasklet.run(waiter, "default, asked first", tasklet.PRIORITY_DEFAULT)
tasklet.run(waiter, "default, asked second")
tasklet.run(waiter, "a number between", -5)
tasklet.run(waiter, "high", tasklet.PRIORITY_HIGH)

-- Nothing runs while this lasts. Then all of them are due, in one turn.
os.execute("sleep 0.1")
