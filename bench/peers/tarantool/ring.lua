-- ring.lua WHAT T N: a number goes round a ring of T fibers, N times handed on, through a
-- fiber.channel with one place for each of them. WHAT `messages`: in a table that says from whom
-- and to whom, too, as messages of ours do.

package.path = arg[0]:gsub("[^/]*/[^/]*$", "") .. "?.lua;" .. package.path
local fiber, clock = require "fiber", require "clock"
local peer = require "peer"

local messages = peer.passes_messages(1)
local count, hops = peer.count(2, "fibers"), peer.count(3, "hops")
local boxes, done = {}, fiber.channel(1)

local function member(mine, next_one)
    while true do
        local hop = mine:get()
        if hop == hops then
            done:put(hop)
            return
        end
        next_one:put(hop + 1)
    end
end

local function messenger(mine, next_one)
    local me = fiber.self()
    while true do
        local hop = mine:get().value
        if hop == hops then
            done:put(hop)
            return
        end
        next_one:put{name = "ball", dest = next_one, sender = me, value = hop + 1}
    end
end

for i = 1, count do
    boxes[i] = fiber.channel(1)
end
for i = 1, count do
    fiber.create(messages and messenger or member, boxes[i], boxes[i % count + 1])
end
local start = clock.monotonic()
boxes[1]:put(messages and {value = 1} or 1)
local last = done:get()
local elapsed = clock.monotonic() - start

peer.check(last == hops, "the number was handed on so many times")
peer.report("message", elapsed * 1e9 / hops, "ns")
os.exit(0)
