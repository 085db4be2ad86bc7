-- Waiting for several things at once: two channels, messages and a timeout in one yield. Of all the
-- channel actions in it one happens at most, and no value is lost in the others.

local tasklet = require "tasklet"

local apples, pears = tasklet.channel(), tasklet.channel()

local shop = tasklet.run(function()
    local fruit = tasklet.WaitForChannel(apples, "receive")
    local other = tasklet.WaitForChannel(pears, "receive")
    local orders = tasklet.WaitForMessages{accept = {"price", "close"}}
    local evening = tasklet.WaitForTimeout(60000)
    while true do
        coroutine.yield(fruit, other, orders, evening)
        local event = tasklet.get_event()
        if event == fruit then
            print("an apple:", event.value)
        elseif event == other then
            print("a pear:", event.value)
        elseif event == evening then
            return "it is evening"
        elseif event.name == "price" then
            event:reply(3)
        else
            return "closed early"
        end
    end
end)

apples:send("red")
pears:send("green")
print("the price is", tasklet.call(shop, "price"))
apples:send("yellow")
tasklet.send(shop, "close")
print(shop:join())

-- Sending and receiving in one list: this one hands numbers out and takes results back, whichever
-- is possible.
local jobs, results = tasklet.channel(), tasklet.channel()
for _ = 1, 3 do
    tasklet.run(function()
        for number in jobs do
            tasklet.sleep(0.001) -- here would be the work
            results:send(number * number)
        end
    end)
end

local next_job, received, sum = 1, 0, 0
while received < 10 do
    local give = tasklet.WaitForChannel(jobs, "send", next_job)
    local take = tasklet.WaitForChannel(results, "receive")
    local event
    if next_job <= 10 then
        event = tasklet.wait(give, take)
    else
        event = tasklet.wait(take)
    end
    if event == give then
        next_job = next_job + 1
    else
        received, sum = received + 1, sum + event.value
    end
end
jobs:close() -- the three of them end
print("the sum of ten squares is", sum)

-- With a timeout alone: nobody sends, and afterwards nothing is on offer any more.
local patience = tasklet.WaitForTimeout(5)
print(tasklet.wait(tasklet.WaitForChannel(apples, "receive"), patience) == patience, apples.balance)

-- A closed channel fires, too.
apples:close()
local event = tasklet.wait(tasklet.WaitForChannel(apples, "receive"))
print(event.closed, event.value)
