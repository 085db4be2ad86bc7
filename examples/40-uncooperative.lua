-- Finding the tasklet that never lets others run. pump(n) runs all that is runnable; the first that
-- runs for n instructions of Lua without waiting is taken off the run queue and returned.

local tasklet = require "tasklet"

local finished = 0

local function polite()
    for _ = 1, 50 do
        for _ = 1, 100 do -- some work
        end
        tasklet.yield_()
    end
    finished = finished + 1
end

local function greedy()
    while true do -- it does not even end
    end
end

for i = 1, 3 do
    tasklet.new(polite, {name = "polite " .. i})()
end
tasklet.new(greedy, {name = "greedy"})()
tasklet.new(polite, {name = "polite 4"})()

local culprit = tasklet.pump(100000)
print("stopped", culprit.name, "paused", culprit.paused, "still alive", culprit.alive)

-- What to do with it is for us to say. Give it another chance, and no third one:
culprit:insert()
culprit = tasklet.pump(100000)
print("again", culprit.name)
culprit:kill()
print("nobody is left over", tasklet.pump(100000))
print("finished", finished)

-- A slow one is not lost: put back each time, it comes to its end.
local slow = tasklet.new(function()
    local sum = 0
    for i = 1, 200000 do
        sum = sum + i
    end
    return sum
end, {name = "slow"})()
local times = 0
local interrupted = tasklet.pump(50000)
while interrupted do
    times = times + 1
    interrupted:insert()
    interrupted = tasklet.pump(50000)
end
print("interrupted more than five times", times > 5, "result", slow:join())

-- One that waits is none of these: pump does not wait for the loop, it returns nil.
local sleeper = tasklet.run(tasklet.sleep, 60)
print(tasklet.pump(1000), sleeper.blocked)
sleeper:kill()
