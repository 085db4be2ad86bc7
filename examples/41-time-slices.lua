-- Time slices: tasklets that never wait are interrupted, so others have their turn.
-- clock: real

local tasklet = require "tasklet"

tasklet.set_timeslice(5) -- milliseconds; for a whole script: tasklet --slice 5 script.lua

-- It spins until the flag is up; without slices nobody could ever put it up.
local flag = false
local spinner = tasklet.run(function()
    local rounds = 0
    while not flag do
        rounds = rounds + 1
    end
    return rounds > 0
end)
print("the spinner was interrupted; the script goes on")
flag = true
print("the spinner has ended", spinner:join())

-- A timer comes to its right, though two tasklets spin.
local done = false
local function spin()
    while not done do
    end
end
local one, two = tasklet.new(spin)(), tasklet.new(spin)()
tasklet.sleep(0.01)
done = true
tasklet.join_all{one, two}
print("slept, with two that spin")

-- What must not be interrupted is put between two calls of set_atomic. Here two counters have to
-- change together: while one is being changed, nobody else looks.
local left, right, torn, stop = 0, 0, 0, false
local function count()
    local me = tasklet.getcurrent()
    while not stop do
        local old = me:set_atomic(true)
        left = left + 1
        for _ = 1, 100 do -- long enough to be caught in the middle now and then
        end
        right = right + 1
        me:set_atomic(old)
        for _ = 1, 1000 do -- here it may be interrupted
        end
    end
    return me.atomic
end
local counter = tasklet.new(count)()
for _ = 1, 5 do
    tasklet.schedule() -- the counter runs for a slice
    torn = torn + (left == right and 0 or 1)
end
stop = true
print("torn", torn, "atomic at the end", counter:join())

tasklet.set_timeslice(0)
