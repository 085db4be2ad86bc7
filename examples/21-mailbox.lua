-- The mailbox by hand, and the short verbs: send, sleep, yield_, join, current.

local tasklet = require "tasklet"

local consumer = tasklet.run(function()
    local mailbox = tasklet.current().mailbox
    tasklet.sleep(0.03) -- messages wait meanwhile
    print("waiting", #mailbox)
    for message in mailbox:iter() do -- looks, and takes nothing
        print("there is", message.name, message.value)
    end
    while true do
        local ok, message = pcall(mailbox.popleft, mailbox, 0.03) -- seconds
        if not ok then
            assert(tasklet.TimeoutError:is(message), message)
            print("nothing more")
            return "consumed"
        end
        print("took", message.name, message.value)
    end
end)

tasklet.send(consumer, "apple", 1)
tasklet.send(consumer, "pear", 2)
consumer.mailbox:append(tasklet.Message("plum", {value = 3}))
print(consumer:join())

-- yield_ lets the others go first.
local turns = {}
local function worker(name)
    for i = 1, 3 do
        turns[#turns + 1] = name .. i
        tasklet.yield_()
    end
end
local a, b = tasklet.run(worker, "a"), tasklet.run(worker, "b")
a:join()
b:join()
print(table.concat(turns, " "))
