-- mailbox.lua WHAT LIMIT N: one coroutine puts N numbers into a queue of LIMIT places, another one
-- takes them out. cqueues has no queues: it is a ring in a table with two condition variables. WHAT
-- `messages`: each number is in a table that says from whom and to whom, too, as messages of ours
-- do.

package.path = arg[0]:gsub("[^/]*/[^/]*$", "") .. "?.lua;" .. package.path
local cqueues, condition = require "cqueues", require "cqueues.condition"
local peer = require "peer"

local messages = peer.passes_messages(1)
local limit, count = peer.count(2, "places"), peer.count(3, "numbers")
local queue = cqueues.new()
local not_full, not_empty = condition.new(), condition.new()
local places, used, first, after = {}, 0, 1, 1
local sum = 0

for i = 1, limit do
    places[i] = false
end

queue:wrap(function()
    for i = 1, count do
        while used == limit do
            not_full:wait()
        end
        if messages then
            places[after] = {name = "item", dest = queue, sender = not_empty, value = i}
        else
            places[after] = i
        end
        after = after == limit and 1 or after + 1
        used = used + 1
        if used == 1 then
            not_empty:signal()
        end
    end
end)

queue:wrap(function()
    for _ = 1, count do
        while used == 0 do
            not_empty:wait()
        end
        if messages then
            sum = sum + places[first].value
        else
            sum = sum + places[first]
        end
        places[first] = false
        first = first == limit and 1 or first + 1
        used = used - 1
        if used == limit - 1 then
            not_full:signal()
        end
    end
end)

local start = cqueues.monotime()
assert(queue:loop())
local elapsed = cqueues.monotime() - start

peer.check(sum == count * (count + 1) // 2, "each number has come, once")
peer.report("mailbox", elapsed * 1e9 / count, "ns")
