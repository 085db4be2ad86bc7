-- What does a message cost through a bounded mailbox?
--
-- mailbox.lua STYLE LIMIT N [waiting]: one producer sends N messages to one consumer whose mailbox
-- holds LIMIT of them. STYLE is how the consumer takes them: receive, popleft, wait or batch. With
-- `waiting` the consumer waits before the first message is sent, so that each is handed over to it
-- by itself; else the producer finds the mailbox empty, fills it and waits for room.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local limit = support.count(2, "messages in the mailbox")
local count = support.count(3, "messages")
local waiting = arg[4] == "waiting"
local now = tasklet.mainloop.now

-- Each takes `count` messages and returns the sum of their values.
local styles = {}

function styles.receive()
    local sum, left = 0, count
    for message in tasklet.receive() do
        sum = sum + message.value
        left = left - 1
        if left == 0 then
            return sum
        end
    end
end

function styles.popleft()
    local sum, mailbox = 0, tasklet.current().mailbox
    for _ = 1, count do
        sum = sum + mailbox:popleft().value
    end
    return sum
end

function styles.wait()
    local sum, wait = 0, tasklet.wait
    local items = tasklet.WaitForMessages{accept = "item"}
    for _ = 1, count do
        sum = sum + wait(items).value
    end
    return sum
end

function styles.batch()
    local sum, left = 0, count
    for list in tasklet.receive_batch(256, 0) do
        for i = 1, #list do
            sum = sum + list[i].value
        end
        left = left - #list
        if left == 0 then
            return sum
        end
    end
end

local function produce(consumer)
    local send = tasklet.send
    for i = 1, count do
        send(consumer, "item", i)
    end
end

support.check(styles[arg[1]], "argument 1 is a style")
local consumer = tasklet.new(styles[arg[1]], {max_mailbox_len = limit})
if waiting then
    consumer:start()
else
    consumer()
end
local start = now()
tasklet.run(produce, consumer)
local sum = consumer:join()
local elapsed = now() - start

support.check(sum == count * (count + 1) // 2, "each message has come, once")
support.report("mailbox", elapsed * 1e6 / count, "ns")
