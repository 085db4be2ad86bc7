-- WaitForCall: a condition that is also a function. Whoever calls it wakes the tasklet.

local tasklet = require "tasklet"
local uv = require "luv"

-- The tasklet may set what the call returns.
local double = tasklet.WaitForCall()

tasklet.run(function()
    for _ = 1, 2 do
        coroutine.yield(double)
        local event = tasklet.get_event()
        event.return_value = event.args[1] * 2
    end
end)

print("double(21)", double(21))
print("double(4)", double(4))

-- As a callback of luv: the tasklet reads like a plain sequence of steps.
local done = tasklet.WaitForCall()
local timer = uv.new_timer()
timer:start(10, 0, done)
tasklet.wait(done)
print("the timer called")
timer:close()

uv.fs_stat("/", done)
local args = tasklet.wait(done).args
print("fs_stat", args[1], args[2].type)

-- Calls are kept, in order, also while nobody waits.
local later = tasklet.WaitForCall()
for i = 1, 3 do
    later("call", i)
end
for _ = 1, 3 do
    args = tasklet.wait(later).args
    print(table.unpack(args, 1, args.n))
end
