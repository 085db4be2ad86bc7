-- Preferences: who goes on when a sender and a receiver have met.
--   -1  the receiver runs at once, the sender goes on later (so it is unless you say otherwise)
--    1  the sender goes on, the receiver runs later
--    0  whoever came last goes on, the other runs later

local tasklet = require "tasklet"

-- Wakes all that wait on a channel, whose balance says how many. With preference 1 none of them
-- runs before all have been served: so one that waits again at once is not served twice.
local function broadcast(channel, value)
    channel.preference = 1
    local count = -channel.balance
    for _ = 1, count do
        channel:send(value)
    end
    return count
end

local news = tasklet.channel()
local function reader(name)
    for item in news do
        print(name, "reads", item)
    end
    print(name, "goes home")
end

for _, name in ipairs{"Anna", "Bert", "Carla"} do
    tasklet.new(reader)(name)
end
tasklet.schedule() -- they run, up to their first receive
for _, item in ipairs{"rain", "sunshine"} do
    print("sent to", broadcast(news, item))
    tasklet.schedule()
end
news:close()
tasklet.schedule()

-- The same three steps under each preference.
for _, preference in ipairs{-1, 0, 1} do
    local channel, steps = tasklet.channel{preference = preference}, {}
    local receiver = tasklet.run(function()
        for value in channel do
            table.insert(steps, "got " .. value)
        end
    end)
    for i = 1, 2 do
        channel:send(i)
        table.insert(steps, "sent " .. i)
    end
    channel:close()
    receiver:join()
    print(("%2d"):format(preference), table.concat(steps, ", "))
end
