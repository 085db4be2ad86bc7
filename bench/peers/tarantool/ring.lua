-- ring.lua T N: a number goes round a ring of T fibers, N times handed on, through a fiber.channel
-- with one place for each of them.

package.path = arg[0]:gsub("[^/]*/[^/]*$", "") .. "?.lua;" .. package.path
local fiber, clock = require "fiber", require "clock"
local peer = require "peer"

local count, hops = peer.count(1, "fibers"), peer.count(2, "hops")
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

for i = 1, count do
    boxes[i] = fiber.channel(1)
end
for i = 1, count do
    fiber.create(member, boxes[i], boxes[i % count + 1])
end
local start = clock.monotonic()
boxes[1]:put(1)
local last = done:get()
local elapsed = clock.monotonic() - start

peer.check(last == hops, "the number was handed on so many times")
peer.report("message", elapsed * 1e9 / hops, "ns")
os.exit(0)
