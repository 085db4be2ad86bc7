-- What are they all doing? tasklet.dump writes the tree of all tasklets: what each waits for, where
-- and for how long. From outside, `kill -USR1` has the program write the same to standard error.

local tasklet = require "tasklet"

tasklet.set_virtual_time(true)

local printer = tasklet.new(function()
    tasklet.wait(tasklet.WaitForMessages{accept = "go", defer = "page"})
end, {name = "printer"}):start()

tasklet.new(function()
    for line in coroutine.wrap(function()
        tasklet.new(tasklet.sleep, {name = "network"}):start(60)
        tasklet.join_children() -- in a generator: the line is found all the same
        coroutine.yield("line")
    end) do
        tasklet.send(printer, line)
    end
end, {name = "reader"}):start()

for _ = 1, 3 do
    tasklet.send(printer, "page")
end
tasklet.new(function()
    while true do
        tasklet.sleep(3600)
    end
end, {name = "clock", daemon = true}):start()
tasklet.sleep(4.2)

-- The dump goes to standard error unless it is given something with a method `write`. This one
-- takes the path of the script, and what it leaves of the columns, away.
tasklet.dump({write = function(_, text)
    io.write((text:gsub("%S*43%-dump%.lua", "43-dump.lua"):gsub("(%S)  +", "%1  ")))
end})

print(printer.waiting_for)
os.exit(0) -- nobody sends it
