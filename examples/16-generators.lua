-- Generators and coroutines inside tasklets. A generator still yields its values to its caller;
-- a wait inside it suspends the whole tasklet, and the caller of the generator does not notice.

local tasklet = require "tasklet"

local function slowly(...)
    local words = {...}
    return coroutine.wrap(function()
        for _, word in ipairs(words) do
            tasklet.wait(tasklet.WaitForTimeout(15)) -- suspends the tasklet
            coroutine.yield(word) -- goes to the for loop below
        end
    end)
end

local function reader(name, ...)
    for word in slowly(...) do
        print(name, word)
    end
    return name
end

local a = tasklet.run(reader, "a", "one", "two")
tasklet.sleep(0.005)
local b = tasklet.run(reader, "b", "uno", "due")
print("both wait")
print(tasklet.join(a), tasklet.join(b))

-- The same with coroutine.create and resume, and across pcall and metamethods.
local co = coroutine.create(function(x)
    local y = coroutine.yield(x + 1)
    tasklet.sleep(0.005)
    return y * 2
end)
print(coroutine.resume(co, 1))
print(coroutine.resume(co, 21))
print(coroutine.status(co))

local lazy = setmetatable({}, {
    __index = function(_, key)
        tasklet.sleep(0.005)
        return "value of " .. key
    end,
})
print(pcall(function() return lazy.answer end))
