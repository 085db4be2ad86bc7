-- exit: 3
-- Dining philosophers who hang. Each takes the fork to the left, thinks a while, and waits for the
-- one to the right, which nobody puts down any more. The program finds out by itself and says who
-- waits for whom, on standard error; here mainloop.run raises that, so that it can be printed.

local tasklet = require "tasklet"

tasklet.set_virtual_time(true) -- "for how long" is exact, and nobody waits in earnest

-- A fork is a tasklet that answers when it is free.
local function fork()
    for message in tasklet.receive() do
        message:reply("taken")
        tasklet.join(message.sender) -- until who has it has dined
    end
end

local forks, names = {}, {"Plato", "Kant", "Hegel"}
for i = 1, #names do
    forks[i] = tasklet.new(fork, {name = "fork " .. i, daemon = true}):start()
end
for i, name in ipairs(names) do
    tasklet.new(function()
        local _ <close> = setmetatable({}, {__close = function()
            print(name .. " leaves the table")
        end})
        tasklet.call(forks[i], "take")
        tasklet.sleep(2.5)
        tasklet.call(forks[i % #names + 1], "take")
        print(name .. " dines")
    end, {name = name}):start()
end

local ok, err = pcall(tasklet.mainloop.run)
print(ok, #err.tasklets)
print((err.message:gsub("[^%s]*42%-deadlock%.lua", "42-deadlock.lua")))

-- Nobody has done anything about it, so the program ends: each is killed, cleans up, and the status
-- is 3.
