-- What does a message cost?
--
-- message.lua T N: a message goes round a ring of T tasklets, N times handed on. With T = 2 that is
-- two tasklets playing ping-pong. Each tasklet waits on a WaitForMessages and yields a Message.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local count = support.count(1, "tasklets")
local hops = support.count(2, "messages")
local now, yield, get_event = tasklet.mainloop.now, coroutine.yield, tasklet.get_event
local Message = tasklet.Message

local ring = {}
local last = 0
local done = tasklet.WaitForCall()

local function member(i)
    local mine = tasklet.WaitForMessages{accept = "ball"}
    while true do
        yield(mine)
        local hop = get_event().value
        if hop == hops then
            last = hop
            done()
            return
        end
        yield(Message("ball", {dest = ring[i % count + 1], value = hop + 1}))
    end
end

for i = 1, count do
    ring[i] = tasklet.run(member, i)
end
local start = now()
tasklet.send(ring[1], "ball", 1)
tasklet.wait(done)
local elapsed = now() - start

support.check(last == hops, "the ball was handed on so many times")
support.report("message", elapsed * 1e6 / hops, "ns")
for i = 1, count do
    ring[i]:kill()
end
