-- ring.lua WHAT T N: a number goes round a ring of T coroutines, N times handed on. cqueues has no
-- mailboxes: each coroutine has a place in a table and a condition variable. WHAT `messages`: the
-- number is in a table that says from whom and to whom, too, as messages of ours do.

package.path = arg[0]:gsub("[^/]*/[^/]*$", "") .. "?.lua;" .. package.path
local cqueues, condition = require "cqueues", require "cqueues.condition"
local peer = require "peer"

local messages = peer.passes_messages(1)
local count, hops = peer.count(2, "coroutines"), peer.count(3, "hops")
local queue, conditions, places = cqueues.new(), {}, {}
local last

local function member(mine, next_one)
    while true do
        while not places[mine] do
            if last then
                return
            end
            conditions[mine]:wait()
        end
        local hop = places[mine]
        places[mine] = false
        if messages then
            hop = hop.value
        end
        if hop == hops then
            last = hop
            for i = 1, count do
                conditions[i]:signal()
            end
            return
        end
        if messages then
            places[next_one] = {name = "ball", dest = next_one, sender = mine, value = hop + 1}
        else
            places[next_one] = hop + 1
        end
        conditions[next_one]:signal()
    end
end

for i = 1, count do
    conditions[i] = condition.new()
    places[i] = false
end
for i = 1, count do
    queue:wrap(member, i, i % count + 1)
end
assert(queue:step(0)) -- all of them wait now
local start = cqueues.monotime()
places[1] = messages and {value = 1} or 1
conditions[1]:signal()
assert(queue:loop())
local elapsed = cqueues.monotime() - start

peer.check(last == hops, "the number was handed on so many times")
peer.report("message", elapsed * 1e9 / hops, "ns")
