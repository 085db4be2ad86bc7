-- What does a message cost?
--
-- message.lua STYLE T N: a message goes round a ring of T tasklets, N times handed on. With T = 2
-- that is two tasklets playing ping-pong. STYLE `wait`: each tasklet waits on a WaitForMessages and
-- yields a Message. STYLE `receive`: each loops over `receive` and calls `send`.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local count = support.count(2, "tasklets")
local hops = support.count(3, "messages")
local now, yield, get_event = tasklet.mainloop.now, coroutine.yield, tasklet.get_event
local Message, send, receive = tasklet.Message, tasklet.send, tasklet.receive

local ring = {}
local last = 0
local done = tasklet.WaitForCall()

-- What the i-th of the ring does.
local styles = {}

function styles.wait(i)
    local mine, after = tasklet.WaitForMessages{accept = "ball"}, i % count + 1
    while true do
        yield(mine)
        local hop = get_event().value
        if hop == hops then
            last = hop
            done()
            return
        end
        yield(Message("ball", {dest = ring[after], value = hop + 1}))
    end
end

function styles.receive(i)
    local after = i % count + 1
    for message in receive() do
        local hop = message.value
        if hop == hops then
            last = hop
            done()
            return
        end
        send(ring[after], "ball", hop + 1)
    end
end

support.check(styles[arg[1]], "argument 1 is a style")
for i = 1, count do
    ring[i] = tasklet.run(styles[arg[1]], i)
end
local start = now()
send(ring[1], "ball", 1)
tasklet.wait(done)
local elapsed = now() - start

support.check(last == hops, "the ball was handed on so many times")
support.report("message", elapsed * 1e6 / hops, "ns")
for i = 1, count do
    ring[i]:kill()
end
