-- A counter: it prints a number, waits, and prints the next.
-- The tasklet runs at once up to its first wait; then the script goes on.

local tasklet = require "tasklet"

local function simple_counter(numbers)
    local timeout = tasklet.WaitForTimeout(10) -- milliseconds
    for x = 0, numbers - 1 do
        print(x)
        coroutine.yield(timeout)
        tasklet.get_event()
    end
end

tasklet.run(simple_counter, 10)
print("the script ends here; the loop goes on until nothing is left")
