-- Two tasklets: a counter sends each number to a printer as a message.
-- A receiver that accepts a message runs before the sender goes on.

local tasklet = require "tasklet"

local printer = tasklet.task(function()
    local msgwait = tasklet.WaitForMessages{accept = {"quit", "print"}}
    while true do
        coroutine.yield(msgwait)
        local msg = tasklet.get_event()
        if msg.name == "quit" then
            print("the printer ends")
            return
        end
        assert(msg.name == "print")
        print(">>> ", msg.value)
    end
end)

local simple_counter = tasklet.task(function(numbers, task)
    local timeout = tasklet.WaitForTimeout(10)
    for x = 0, numbers - 1 do
        coroutine.yield(tasklet.Message("print", {dest = task, value = x}))
        coroutine.yield(timeout)
        tasklet.get_event()
    end
    coroutine.yield(tasklet.Message("quit", {dest = task}))
    print("the counter ends")
end)

local task = printer()
simple_counter(10, task)
