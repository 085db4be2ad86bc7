-- channel.lua T N: as bench/channel.lua, with fibers and fiber.channel(0), which has no places: who
-- puts waits for one who gets.

package.path = arg[0]:gsub("[^/]*/[^/]*$", "") .. "?.lua;" .. package.path
local fiber, clock = require "fiber", require "clock"
local peer = require "peer"

local count, values = peer.count(1, "fibers"), peer.count(2, "values")

local function start_fiber(...)
    local new = fiber.new(...)
    new:set_joinable(true)
    return new
end

local function pair()
    local channel, sum = fiber.channel(0), 0
    local receiver = start_fiber(function()
        for _ = 1, values do
            sum = sum + channel:get()
        end
    end)
    local sender = start_fiber(function()
        for i = 1, values do
            channel:put(i)
        end
    end)
    local start = clock.monotonic()
    sender:join()
    receiver:join()
    local elapsed = clock.monotonic() - start

    peer.check(sum == values * (values + 1) / 2, "each value has come, once")
    return elapsed
end

local function member(mine, next_one, done)
    while true do
        local hop = mine:get()
        if hop == values then
            done:put(hop)
            return
        end
        next_one:put(hop + 1)
    end
end

local function ring()
    local channels, done = {}, fiber.channel(0)

    for i = 1, count do
        channels[i] = fiber.channel(0)
    end
    for i = 1, count do
        fiber.create(member, channels[i], channels[i % count + 1], done)
    end
    local start = clock.monotonic()
    channels[1]:put(1)
    local last = done:get()
    local elapsed = clock.monotonic() - start

    peer.check(last == values, "the value was handed on so many times")
    return elapsed
end

local elapsed = count == 2 and pair() or ring()

peer.report("channel", elapsed * 1e9 / values, "ns")
os.exit(0)
