-- WaitForSignal: objects that emit signals.

local tasklet = require "tasklet"

-- One object with declared signals.
local button = tasklet.Emitter{"pressed", "released"}

tasklet.run(function()
    local pressed = tasklet.WaitForSignal(button, "pressed")
    while true do
        coroutine.yield(pressed)
        local event = tasklet.get_event()
        if event.destroyed then
            print("the button is gone")
            return
        end
        local args = event.signal_args
        print("pressed", args.n, args[1], args[2])
    end
end)

-- A tasklet that waits for the signal runs inside emit, up to its next wait.
button:emit("pressed", "left", 1)
print("back from emit")
button:emit("released") -- nobody waits for that
button:emit("pressed", "right", 2)

-- Functions can be connected as well.
local id = button:connect("released", function(who) print("released by", who) end)
button:emit("released", "a finger")
button:disconnect(id)
button:emit("released", "another finger")
button:destroy()

-- A class of emitters: the condition fires for any instance.
local Door = tasklet.Emitter:subclass("Door", {"opened"})
local front, back = Door(), Door()

tasklet.run(function()
    local opened = tasklet.WaitForSignal(Door, "opened")
    for _ = 1, 2 do
        coroutine.yield(opened)
        local event = tasklet.get_event()
        print(event.object == front and "front door" or "back door", event.signal_args[1])
    end
end)

back:emit("opened", "by the cat")
front:emit("opened", "by the wind")
