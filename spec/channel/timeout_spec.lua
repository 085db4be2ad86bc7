-- Waiting on a channel for a time, and not at all (contract 7.4, 6.6, 7.2).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, raises, start = util.within, util.raises, util.start
local now = tasklet.mainloop.now
local TimeoutError = tasklet.TimeoutError

-- Each way to wait with a timeout, and what meets it.
local ways = {
    send = {
        wait = function(ch, timeout) return ch:send("value", timeout) end,
        meet = function(ch) return ch:receive() end,
        balance = 1,
    },
    receive = {
        wait = function(ch, timeout) return ch:receive(timeout) end,
        meet = function(ch) return ch:send("value") end,
        balance = -1,
    },
}

for name, way in pairs(ways) do
    describe(name .. " with a timeout", function()
        it("7.4 raises when nobody has come in time, and leaves the line", within(function()
            local ch = tasklet.channel()
            local before = now()
            raises(TimeoutError, way.wait, ch, 0.02)
            assert.equal(20, now() - before)
            assert.equal(0, ch.balance)
            assert.is_nil(ch.queue)
        end))

        it("7.4 of 0 waits for one turn of the loop", within(function()
            local ch = tasklet.channel()
            local t = start("t", function() raises(TimeoutError, way.wait, ch, 0) end)
            assert.equal(way.balance, ch.balance)
            tasklet.join(t)
            assert.equal(0, ch.balance)
        end))

        it("7.4 of 0 is met by one that comes before the loop turns", within(function()
            local ch = tasklet.channel()
            local t = start("t", function()
                way.wait(ch, 0)
                return "met"
            end)
            way.meet(ch)
            assert.equal("met", tasklet.join(t))
            assert.equal(0, ch.balance)
        end))

        it("7.4 does not look at it if a partner is there", within(function()
            for _, timeout in ipairs{0, 0.0, 1e-9, 60} do
                local ch = tasklet.channel()
                local t = start("t", function() way.meet(ch) end)
                way.wait(ch, timeout)
                tasklet.join(t)
                assert.equal(0, ch.balance)
            end
        end))

        it("7.4 is met in time, and the time is then forgotten", within(function()
            local ch = tasklet.channel()
            local t = start("t", function()
                way.wait(ch, 0.02)
                tasklet.sleep(0.04)
                return "went on"
            end)
            way.meet(ch)
            assert.equal("went on", tasklet.join(t))
        end))

        it("7.4 that is negative waits for ever, and none does, too", within(function()
            for _, timeout in ipairs{-1, -math.huge, false} do
                local ch = tasklet.channel()
                local t = start("t", function()
                    way.wait(ch, timeout or nil)
                    return "met"
                end)
                tasklet.sleep(0.005)
                assert.equal(way.balance, ch.balance)
                way.meet(ch)
                assert.equal("met", tasklet.join(t))
            end
        end))

        it("7.4 that is over keeps the order of the others", within(function()
            local ch, all = tasklet.channel(), {}
            local function add(label, timeout)
                all[#all + 1] = start(label, function() return pcall(way.wait, ch, timeout) end)
            end
            add("a")
            add("b", 0.001)
            add("c")
            add("d", 0.002)
            add("e")
            assert.equal("a b c d e", util.line(ch))
            util.join_each{all[2], all[4]}
            assert.equal("a c e", util.line(ch))
            for _, i in ipairs{1, 3, 5} do
                way.meet(ch)
                assert.is_true((tasklet.join(all[i])))
            end
        end))

        it("7.4 met and over in the same turn, has been met", within(function()
            local ch = tasklet.channel{preference = 0}
            local t = start("t", function()
                way.wait(ch, 0.005)
                return "met"
            end)
            way.meet(ch)
            helper.compute(5) -- its time is over before it goes on
            assert.equal("met", tasklet.join(t))
            assert.equal(0, ch.balance)
        end))

        it("6.6 takes the tasklet's own if it has none", within(function()
            local ch = tasklet.channel()
            local last = tasklet.WaitForCall()
            local t = tasklet.new(function()
                tasklet.current().timeout = 0.01
                raises(TimeoutError, way.wait, ch)
                assert.equal(0, tasklet.current().timeout)
                raises(TimeoutError, way.wait, ch) -- it stays so
                tasklet.sleep(0.005) -- which has a time of its own
                tasklet.current().timeout = nil
                last()
                way.wait(ch)
                return "met"
            end)()
            tasklet.wait(last)
            tasklet.yield_()
            assert.equal(way.balance, ch.balance)
            way.meet(ch)
            assert.equal("met", tasklet.join(t))
        end))

        it("6.6 has its own come first, also a longer one", within(function()
            local ch = tasklet.channel()
            local last = tasklet.WaitForCall()
            local t = tasklet.new(function()
                local before = now()
                tasklet.current().timeout = 0.001
                raises(TimeoutError, way.wait, ch, 0.02)
                assert.equal(20, now() - before)
                last()
                way.wait(ch, 600)
                return "met"
            end)()
            tasklet.wait(last)
            tasklet.yield_()
            way.meet(ch)
            assert.equal("met", tasklet.join(t))
        end))

        it("6.6 does not look at the tasklet's own if a partner is there", within(function()
            local ch = tasklet.channel()
            local t = start("t", function() way.meet(ch) end)
            tasklet.join(start("u", function()
                tasklet.current().timeout = 0
                way.wait(ch)
            end))
            tasklet.join(t)
        end))

        it("10.2 is over with the deadline that it is in", within(function()
            local ch = tasklet.channel()
            raises(TimeoutError, tasklet.with_deadline, 0.005, way.wait, ch)
            assert.equal(0, ch.balance)
            raises(TimeoutError, tasklet.with_deadline, 0.005, way.wait, ch, 60)
            assert.equal(0, ch.balance)
        end))

        it("10.2 raises in a deadline that is over, also with a partner there", within(function()
            local ch = tasklet.channel()
            local t = start("t", function()
                way.meet(ch)
                return "met"
            end)
            tasklet.with_deadline(0.002, function()
                pcall(tasklet.sleep, 60)
                raises(TimeoutError, way.wait, ch)
            end)
            assert.equal(-way.balance, ch.balance)
            way.wait(ch)
            assert.equal("met", tasklet.join(t))
        end))

        it("10.2 over with a deadline, is not met before it has gone on", within(function()
            local ch, balance = tasklet.channel(), nil
            -- Both are due in the same turn, the other one first.
            local other = start("other", function()
                tasklet.sleep(0.002)
                balance = ch.balance
                return pcall(way.meet, ch)
            end)
            other.timeout = 0
            local t = start("t", function()
                raises(TimeoutError, tasklet.with_deadline, 0.002, way.wait, ch)
            end)
            assert.equal(way.balance, ch.balance)
            helper.compute(2)
            tasklet.join(t)
            assert.equal(0, balance)
            assert.is_false((tasklet.join(other)))
        end))

        it("10.2 raises in one that is over before the loop has turned", within(function()
            local ch = tasklet.channel()
            local t = start("t", function()
                way.meet(ch)
                return "met"
            end)
            tasklet.with_deadline(0.002, function()
                helper.compute(2)
                raises(TimeoutError, way.wait, ch)
            end)
            assert.equal(-way.balance, ch.balance)
            way.wait(ch)
            assert.equal("met", tasklet.join(t))
        end))
    end)

    describe(name .. " under block_trap", function()
        local function trapped(f)
            return start("t", function()
                tasklet.current().block_trap = true
                local results = table.pack(pcall(f))
                tasklet.current().block_trap = false
                return table.unpack(results, 1, results.n)
            end)
        end

        it("7.2 raises if it would block", within(function()
            local ch = tasklet.channel()
            for _, timeout in ipairs{false, 0, 1} do
                local t = trapped(function() way.wait(ch, timeout or nil) end)
                local ok, err = tasklet.join(t)
                assert.is_false(ok)
                assert.is_true(tasklet.TaskletError:is(err))
                assert.is_false(tasklet.ChannelError:is(err))
                assert.is_truthy(err.message:find("would block, and its block_trap", 1, true))
                assert.equal(0, ch.balance)
            end
        end))

        it("7.2 raises so on a closed channel, too", within(function()
            local ch = tasklet.channel()
            ch:close()
            local ok, err = tasklet.join(trapped(function() way.wait(ch) end))
            assert.is_false(ok)
            assert.is_truthy(err.message:find("block_trap", 1, true), err.message)
            assert.is_false(tasklet.ChannelError:is(err))
        end))

        it("7.2 meets one that is there", within(function()
            for preference = -1, 1 do
                local ch = tasklet.channel{preference = preference}
                local t = start("t", function() way.meet(ch) end)
                assert.is_true((tasklet.join(trapped(function() way.wait(ch) end))))
                tasklet.join(t)
            end
        end))
    end)
end

describe("iteration", function()
    it("6.6 takes the tasklet's timeout at each step", within(function()
        local ch, got = tasklet.channel(), {}
        local t = start("t", function()
            return pcall(function()
                for value in ch do
                    got[#got + 1] = value
                    if value == 2 then
                        tasklet.current().timeout = 0.005
                    end
                end
            end)
        end)
        ch:send(1)
        ch:send(2)
        local ok, err = tasklet.join(t)
        assert.is_false(ok)
        assert.is_true(TimeoutError:is(err))
        assert.same({1, 2}, got)
        assert.equal(0, ch.balance)
    end))
end)

describe("send_exception and send_sequence", function()
    it("6.6 take the tasklet's timeout", within(function()
        local ch = tasklet.channel()
        local t = start("t", function()
            tasklet.current().timeout = 0.002
            raises(TimeoutError, ch.send_exception, ch, "error")
            tasklet.current().timeout = 0.002
            raises(TimeoutError, ch.send_sequence, ch, {1, 2})
            return "done"
        end)
        assert.equal("done", tasklet.join(t))
        assert.equal(0, ch.balance)
    end))
end)

describe("a TimeoutError of a channel", function()
    it("1.7 says what was waited for", within(function()
        local ch = tasklet.channel()
        local err = raises(TimeoutError, ch.send, ch, 1, 0)
        assert.is_truthy(tostring(err):find("nobody has received in time", 1, true))
        err = raises(TimeoutError, ch.receive, ch, 0)
        assert.is_truthy(tostring(err):find("nobody has sent in time", 1, true))
    end))
end)
