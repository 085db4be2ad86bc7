-- Two counters. The first starts the second and gives it a limited time:
-- it either gets the second's result, or asks it by a message to stop.

local tasklet = require "tasklet"

-- Counts numbers, with a pause after each. Stops when it is sent "quit".
local Counter = tasklet.Tasklet:subclass("Counter")

function Counter:run(count, pause)
    local quit = tasklet.WaitForMessages{accept = "quit"}
    for i = 0, count - 1 do
        self.reached = i
        print("  second counts", i)
        coroutine.yield(tasklet.WaitForTimeout(pause), quit)
        local event = tasklet.get_event()
        if event.name == "quit" then
            print("  second was told to quit") -- here would be the place to clean up
            return
        end
    end
    return count * 2
end

local function first_counter(count)
    local timeout = tasklet.WaitForTimeout(200)
    for i = 0, count - 1 do
        print("first counts", i)
        -- Every other one is so slow that the time is over long before it is done.
        local second = Counter(3, i % 2 == 0 and 2 or 60000)
        coroutine.yield(timeout, second)
        local event = tasklet.get_event()
        if event == timeout then
            print(">>> got tired of waiting, cancelling at", second.reached)
            coroutine.yield(tasklet.Message("quit", {dest = second}))
        else
            print(">>> the second returned", event.retval)
            -- Count from zero again. Otherwise the timeout keeps running, and the next
            -- one gets less time than this one had.
            timeout:restart()
        end
    end
end

tasklet.run(first_counter, 4)
