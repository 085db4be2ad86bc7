-- A mailbox with a limit: a fast reader and a slow writer, with never more than a few lines in
-- memory. Who sends to a full mailbox waits until there is room.

local tasklet = require "tasklet"

local LIMIT = 3
local most = 0

local writer = tasklet.new(function()
    local count = 0
    for message in tasklet.receive() do
        most = math.max(most, #tasklet.current().mailbox)
        if message.name == "end" then
            return count
        end
        tasklet.sleep(0.001) -- as if it were a slow disk
        count = count + 1
    end
end, { name = "writer", max_mailbox_len = LIMIT })
writer:start()

local reader = tasklet.run(function()
    for i = 1, 20 do
        tasklet.send(writer, "line", i) -- waits if need be
    end
    tasklet.send(writer, "end")
end)
print("read all at once", reader:has_finished())
print("written", writer:join())
print("at most in the mailbox", most)

-- Callbacks cannot wait. What they send is refused when the mailbox is full.
local busy = tasklet.new(function() tasklet.sleep(0.02) end, { name = "busy", max_mailbox_len = 1 })
busy:start()
busy:send_message(tasklet.Message("one"))
local ok, err = pcall(busy.send_message, busy, tasklet.Message("two"))
print(ok, (err.message:gsub("^.-: ", "")))

-- A receiver that ends leaves nobody waiting.
local late = tasklet.run(function() return pcall(tasklet.send, busy, "three") end)
busy:join()
ok, err = late:join()
print(ok, tasklet.TaskletError:is(err))
