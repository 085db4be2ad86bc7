-- Ending a tasklet from outside: kill, and what the tasklet may do about it.

local tasklet = require "tasklet"

local function guard(text)
    return setmetatable({}, {__close = function() print(text) end})
end

-- kill raises a TaskletExit where the tasklet waits. Its <close> variables run.
local worker = tasklet.run(function()
    local lock <close> = guard("the lock is released") -- luacheck: ignore lock
    tasklet.sleep(60)
    print("never reached")
end)
worker:kill()
print("killed", worker.state == tasklet.Tasklet.STATE_ZOMBIE)
local ok, err = pcall(tasklet.join, worker)
print(ok, tasklet.JoinError:is(err), tasklet.TaskletExit:is(err.cause))
worker:kill() -- does nothing any more

-- pcall sees a kill once; the next wait raises it again ...
local careless = tasklet.run(function()
    local first = pcall(tasklet.sleep, 60)
    local second = pcall(tasklet.sleep, 60)
    print("slept", first, second)
    return "done"
end)

-- ... until the tasklet says that it survives.
local stubborn = tasklet.run(function()
    local slept, why = pcall(tasklet.sleep, 60)
    print(slept, tasklet.TaskletExit:is(why))
    tasklet.survive()
    tasklet.sleep(0.005)
    return "still here"
end)

stubborn:kill()
print(stubborn:join())

careless:add_join_callback(function(_, retval) print("returned", retval) end)
careless:kill()
