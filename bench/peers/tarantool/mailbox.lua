-- mailbox.lua WHAT LIMIT N: one fiber puts N numbers into a fiber.channel of LIMIT places, another
-- one takes them out. WHAT `messages`: each in a table that says from whom and to whom, too, as
-- messages of ours do.

package.path = arg[0]:gsub("[^/]*/[^/]*$", "") .. "?.lua;" .. package.path
local fiber, clock = require "fiber", require "clock"
local peer = require "peer"

local messages = peer.passes_messages(1)
local limit, count = peer.count(2, "places"), peer.count(3, "numbers")
local box = fiber.channel(limit)
local sum = 0

local function produce()
    for i = 1, count do
        box:put(i)
    end
end

local function consume()
    for _ = 1, count do
        sum = sum + box:get()
    end
end

local function produce_messages()
    local me = fiber.self()
    for i = 1, count do
        box:put{name = "item", dest = box, sender = me, value = i}
    end
end

local function consume_messages()
    for _ = 1, count do
        sum = sum + box:get().value
    end
end

local consumer = fiber.new(messages and consume_messages or consume)
local producer = fiber.new(messages and produce_messages or produce)
consumer:set_joinable(true)
producer:set_joinable(true)
local start = clock.monotonic()
producer:join()
consumer:join()
local elapsed = clock.monotonic() - start

peer.check(sum == count * (count + 1) / 2, "each number has come, once")
peer.report("mailbox", elapsed * 1e9 / count, "ns")
os.exit(0)
