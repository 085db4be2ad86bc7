-- What does it cost to pass a value through a channel?
--
-- channel.lua T N [PREFERENCE]: with T = 2, one tasklet sends N numbers to another one; with more,
-- a number goes round a ring of T tasklets, N times handed on. PREFERENCE is that of the channels.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local count = support.count(1, "tasklets")
local values = support.count(2, "values")
local preference = arg[3] and math.tointeger(tonumber(arg[3]))
local now = tasklet.mainloop.now

local function pair()
    local channel, sum = tasklet.channel{preference = preference}, 0
    local receiver = tasklet.new(function()
        for value in channel do
            sum = sum + value
        end
    end)
    local sender = tasklet.new(function()
        for i = 1, values do
            channel:send(i)
        end
        channel:close()
    end)
    local start = now()
    receiver:start()
    sender:start()
    sender:join()
    receiver:join()
    local elapsed = now() - start

    support.check(sum == values * (values + 1) // 2, "each value has come, once")
    return elapsed
end

local function member(mine, next_one, done)
    for hop in mine do
        if hop == values then
            done:send(hop)
            return
        end
        next_one:send(hop + 1)
    end
end

local function ring()
    local channels, members, done = {}, {}, tasklet.channel()

    for i = 1, count do
        channels[i] = tasklet.channel{preference = preference}
    end
    for i = 1, count do
        members[i] = tasklet.run(member, channels[i], channels[i % count + 1], done)
    end
    local start = now()
    channels[1]:send(1)
    local last = done:receive()
    local elapsed = now() - start

    support.check(last == values, "the value was handed on so many times")
    for i = 1, count do
        members[i]:kill()
    end
    return elapsed
end

local elapsed = count == 2 and pair() or ring()

support.report("channel", elapsed * 1e6 / values, "ns")
