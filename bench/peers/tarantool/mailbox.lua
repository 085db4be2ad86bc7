-- mailbox.lua LIMIT N: one fiber puts N numbers into a fiber.channel of LIMIT places, another one
-- takes them out.

package.path = arg[0]:gsub("[^/]*/[^/]*$", "") .. "?.lua;" .. package.path
local fiber, clock = require "fiber", require "clock"
local peer = require "peer"

local limit, count = peer.count(1, "places"), peer.count(2, "numbers")
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

local consumer, producer = fiber.new(consume), fiber.new(produce)
consumer:set_joinable(true)
producer:set_joinable(true)
local start = clock.monotonic()
producer:join()
consumer:join()
local elapsed = clock.monotonic() - start

peer.check(sum == count * (count + 1) / 2, "each number has come, once")
peer.report("mailbox", elapsed * 1e9 / count, "ns")
os.exit(0)
