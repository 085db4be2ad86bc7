-- Messages: accept, defer, discard. A door that does what it is told, each thing in its time.

local tasklet = require "tasklet"

local door = tasklet.run(function()
    local when_closed = tasklet.WaitForMessages{
        accept = {"open", "quit"},
        defer = "knock", -- stays in the mailbox until the door is open
        discard = "close", -- it is closed
    }
    local when_open = tasklet.WaitForMessages{
        accept = {"knock", "close"},
        defer = "quit",
        discard = "open",
    }
    local state = when_closed
    while true do
        coroutine.yield(state)
        local msg = tasklet.get_event()
        if msg.name == "open" then
            print("the door opens")
            state = when_open
        elseif msg.name == "close" then
            print("the door closes")
            state = when_closed
        elseif msg.name == "knock" then
            print("come in,", msg.value)
        else
            print("good night")
            return
        end
    end
end)

-- Yielding a Message and tasklet.send do the same.
coroutine.yield(tasklet.Message("close", {dest = door}))
coroutine.yield(tasklet.Message("knock", {dest = door, value = "Anna"}))
print("waiting at the door", #door.mailbox)
tasklet.send(door, "open")
tasklet.send(door, "knock", "Bert")
tasklet.send(door, "quit")
tasklet.send(door, "close")

-- A message to a tasklet that has ended is an error of the sender.
local ok, err = pcall(tasklet.send, door, "open")
print(ok, tasklet.TaskletError:is(err))
