-- A deadline that was over stopped what need not wait only once the loop had noticed: a tasklet
-- that found a message each time went on.
local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("a deadline that is over", function()
    local takes = {
        popleft = function(me) me.mailbox:popleft() end,
        receive = function() tasklet.receive()() end,
        ["a channel's receive"] = function(_, channel) channel:receive() end,
    }
    for name, take in pairs(takes) do
        it("10.2 raises where something is there to be taken, too: " .. name, function()
            helper.within_loop(function()
                local me, channel = tasklet.current(), tasklet.channel()
                local sender = tasklet.run(function() channel:send(1) end)
                me.mailbox:append(tasklet.Message("m"))
                local ok, err = pcall(tasklet.with_deadline, 0, take, me, channel)
                assert.is_false(ok)
                assert.is_true(tasklet.TimeoutError:is(err), tostring(err))
                take(me, channel)
                sender:kill()
            end)
        end)
    end
end)
