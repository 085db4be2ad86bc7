-- Scopes: tasklets that begin and end together. None is left behind, whatever happens.

local tasklet = require "tasklet"

-- Takes so many steps, and says how it ended.
local function fetch(name, steps)
    local _ <close> = setmetatable({}, {__close = function(_, err)
        print("  " .. name, err and tostring(err) or "done")
    end})
    for _ = 1, steps do
        tasklet.sleep(0.002)
    end
    if name == "figs" then
        error("out of figs", 0)
    end
    return name
end

-- The call returns when the body and all tasklets of the scope have ended.
print("returned", tasklet.scope(function(s)
    s:run(fetch, "apples", 3)
    s:run(fetch, "pears", 1)
    return "the body's result"
end))

-- When one fails, the others and the body are killed, and the failure is raised.
local ok, err = pcall(tasklet.scope, function(s)
    s:run(fetch, "nuts", math.huge)
    s:run(fetch, "figs", 1)
    tasklet.sleep(60)
end)
print(ok, tasklet.JoinError:is(err), err.cause)

-- s:kill() ends them all; that is no failure.
tasklet.scope(function(s)
    s:run(fetch, "plums", math.huge)
    tasklet.sleep(0.01)
    s:kill()
end)

-- A scope may belong to a block, too, and end with it.
do
    local s <close> = tasklet.scope()
    s:run(fetch, "grapes", 1)
    print("the end of the block")
end

-- all: the results of several functions, in order.
local sizes = tasklet.all{
    function() return #fetch("bananas", 3) end,
    function() return #fetch("lemons", 1) end,
}
print("all", sizes[1], sizes[2])

-- any: the first success; the others are killed. One that fails does not count.
print("any", tasklet.any{
    function() return fetch("oranges", math.huge) end,
    function() return fetch("figs", 1) end,
    function() return fetch("cherries", 3) end,
})
