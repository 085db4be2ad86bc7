-- What is sent to be raised (contract 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, raises, start = util.within, util.raises, util.start

--- Each way to receive: returns what came, or raises it.
local receivers = {
    ["receive"] = function(ch) return ch:receive() end,
    ["receive with a timeout"] = function(ch) return ch:receive(600) end,
    ["an iteration"] = function(ch) return ch(nil, nil) end, -- a step of `for value in ch do`
    ["a WaitForChannel"] = function(ch)
        return tasklet.wait(tasklet.WaitForChannel(ch, "receive")).value
    end,
    ["a WaitForChannel that is yielded"] = function(ch)
        coroutine.yield(tasklet.WaitForChannel(ch, "receive"), tasklet.WaitForCall())
        return tasklet.get_event().value
    end,
    ["a generator"] = function(ch)
        return coroutine.wrap(function() return ch:receive() end)()
    end,
}

for name, receive in pairs(receivers) do
    describe("an exception that is sent into " .. name, function()
        --- What the receiver caught. Both orders: the receiver is there first, or the sender.
        local function both(send, check)
            for _, receiver_first in ipairs{true, false} do
                local ch = tasklet.channel()
                local s, r
                local function go() s = start("s", send, ch) end
                if not receiver_first then
                    go()
                    assert.equal(1, ch.balance)
                end
                r = start("r", function() return pcall(receive, ch) end)
                if receiver_first then
                    assert.equal(-1, ch.balance)
                    go()
                end
                local ok, err = tasklet.join(r)
                assert.is_false(ok)
                check(err)
                tasklet.join(s)
                assert.equal(0, ch.balance)
            end
        end

        it("7.4 is made of a class and its arguments", within(function()
            both(function(ch) ch:send_exception(tasklet.TaskletError, "message") end,
                function(err)
                    assert.is_true(tasklet.TaskletError:is(err))
                    assert.is_truthy(tostring(err):find("message", 1, true))
                end)
            both(function(ch) ch:send_exception(tasklet.TimeoutError) end,
                function(err) assert.is_true(tasklet.TimeoutError:is(err)) end)
        end))

        it("7.4 is an object, which arrives as it is", within(function()
            local object = tasklet.JoinError("message")
            both(function(ch) ch:send_exception(object) end,
                function(err) assert.is_true(rawequal(object, err)) end)
            local list = {}
            both(function(ch) ch:send_exception(list) end,
                function(err) assert.is_true(rawequal(list, err)) end)
        end))

        it("7.4 is any other value, which arrives as it is", within(function()
            for _, value in ipairs{"text", 42, 0.5, true, print} do
                both(function(ch) ch:send_exception(value) end, function(err)
                    -- An error that passes Lua's own wrapped functions gets their position.
                    if name == "a generator" and value == "text" then
                        err = err:match(": (text)$") or err
                    end
                    assert.equal(value, err)
                end)
            end
        end))

        it("7.4 leaves the channel and both tasklets as a value would", within(function()
            local ch = tasklet.channel()
            local r = start("r", function()
                assert(not pcall(receive, ch))
                return receive(ch)
            end)
            ch:send_exception("error")
            tasklet.yield_()
            assert.equal(-1, ch.balance)
            ch:send("value")
            assert.equal("value", tasklet.join(r))
        end))

        it("7.4 arrives in its turn", within(function()
            local ch = tasklet.channel()
            local all = {
                util.sender(ch, "a", 1),
                start("b", function() ch:send_exception("error") end),
                util.sender(ch, "c", 3),
            }
            assert.equal(1, receive(ch))
            assert.is_false((pcall(receive, ch)))
            assert.equal(3, receive(ch))
            util.join_each(all)
        end))

        it("7.4 that nobody catches fails the receiver, not the sender", within(function()
            local ch = tasklet.channel()
            local r = start("r", receive, ch)
            r:add_join_callback(function() end)
            ch:send_exception(tasklet.TaskletError, "not caught")
            local err = raises(tasklet.JoinError, tasklet.join, r)
            assert.is_true(tasklet.TaskletError:is(err.cause))
            assert.equal(0, ch.balance)
        end))
    end)
end

describe("send_exception", function()
    it("7.4 blocks as send does", within(function()
        local ch, log = tasklet.channel(), {}
        local s = start("s", function()
            ch:send_exception("error")
            log[#log + 1] = "sent"
        end)
        assert.equal(1, ch.balance)
        assert.equal(s, ch.queue)
        tasklet.yield_()
        assert.same({}, log)
        assert.is_false((pcall(ch.receive, ch)))
        tasklet.join(s)
        assert.same({"sent"}, log)
    end))

    it("7.4 is refused by a closed channel and by block_trap", within(function()
        local ch = tasklet.channel()
        local t = start("t", function()
            tasklet.current().block_trap = true
            return pcall(ch.send_exception, ch, "error")
        end)
        local ok, err = tasklet.join(t)
        assert.is_false(ok)
        assert.is_truthy(err.message:find("block_trap", 1, true))
        ch:close()
        raises(tasklet.ChannelError, ch.send_exception, ch, "error")
        assert.equal(0, ch.balance)
    end))

    it("7.4 returns nothing", within(function()
        local ch = tasklet.channel()
        local r = start("r", function() return pcall(ch.receive, ch) end)
        assert.equal(0, select("#", ch:send_exception("error")))
        tasklet.join(r)
    end))

    it("7.4 ends a receiver that does not catch a TaskletExit, quietly", within(function()
        local ch = tasklet.channel()
        local r = start("r", ch.receive, ch)
        ch:send_exception(tasklet.TaskletExit)
        assert.is_true(r:has_finished())
        local err = raises(tasklet.JoinError, tasklet.join, r)
        assert.is_true(tasklet.TaskletExit:is(err.cause))
    end))

    it("7.4 does not make its receiver a killed one", within(function()
        local ch = tasklet.channel()
        local r = start("r", function()
            raises(tasklet.TaskletExit, ch.receive, ch)
            tasklet.sleep(0.001)
            return "went on"
        end)
        ch:send_exception(tasklet.TaskletExit)
        assert.equal("went on", tasklet.join(r))
    end))

    it("7.4 goes by the channel's preference in a verb", within(function()
        for preference, expected in pairs{[-1] = "raised sent", [0] = "sent raised",
            [1] = "sent raised"} do
            local ch, log = tasklet.channel{preference = preference}, {}
            local r = start("r", function()
                pcall(ch.receive, ch)
                log[#log + 1] = "raised"
            end)
            ch:send_exception("error")
            log[#log + 1] = "sent"
            tasklet.join(r)
            assert.equal(expected, table.concat(log, " "))
        end
    end))

    it("7.4 into a WaitForChannel lets the sender go on first", within(function()
        for preference = -1, 1 do
            local ch, log = tasklet.channel{preference = preference}, {}
            local r = start("r", function()
                pcall(tasklet.wait, tasklet.WaitForChannel(ch, "receive"))
                log[#log + 1] = "raised"
            end)
            local b = tasklet.new(function() log[#log + 1] = "bystander" end)()
            ch:send_exception("error")
            log[#log + 1] = "sent"
            util.join_each{r, b}
            assert.equal("sent bystander raised", table.concat(log, " "))
        end
    end))

    it("7.4 takes away the other offers of a wait list", within(function()
        local a, b = tasklet.channel(), tasklet.channel()
        local r = start("r", function()
            return pcall(tasklet.wait, tasklet.WaitForChannel(a, "receive"),
                tasklet.WaitForChannel(b, "receive"))
        end)
        a:send_exception("error")
        assert.same({0, 0}, {a.balance, b.balance})
        assert.same({false, "error"}, {tasklet.join(r)})
    end))

    it("7.4 leaves the wait list of its receiver usable", within(function()
        local ch, call = tasklet.channel(), tasklet.WaitForCall()
        local r = start("r", function()
            local receive = tasklet.WaitForChannel(ch, "receive")
            assert(not pcall(tasklet.wait, receive, call))
            assert(tasklet.wait(receive, call) == receive)
            local value = receive.value
            assert(tasklet.wait(receive, call) == call)
            return value
        end)
        ch:send_exception("error")
        tasklet.yield_()
        ch:send("value")
        tasklet.yield_()
        call()
        assert.equal("value", tasklet.join(r))
    end))

    it("7.4 makes nothing of what is no class of errors", within(function()
        local ch = tasklet.channel()
        local r = start("r", function() return pcall(ch.receive, ch) end)
        local callable = setmetatable({}, {__call = error})
        ch:send_exception(callable, "more")
        local ok, err = tasklet.join(r)
        assert.is_false(ok)
        assert.is_true(rawequal(callable, err))
    end))
end)
