-- send_sequence, and iteration (contract 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, raises, start = util.within, util.raises, util.start

--- Starts one that receives until the channel ends; returns it. Its result is a list.
local function collector(ch)
    return start("collector", function()
        local got = {}
        for value in ch do
            got[#got + 1] = value
        end
        return got
    end)
end

--- Sends the sequence, then closes the channel: what was received, and the count.
local function sent(...)
    local ch = tasklet.channel()
    local r = collector(ch)
    local count = ch:send_sequence(...)
    ch:close()
    return tasklet.join(r), count
end

describe("send_sequence", function()
    it("7.4 sends what a list holds and returns how many", within(function()
        local got, count = sent{"a", "b", "c"}
        assert.same({"a", "b", "c"}, got)
        assert.equal(3, count)
        assert.equal("integer", math.type(count))
    end))

    it("7.4 sends nothing of an empty list", within(function()
        local ch = tasklet.channel()
        assert.equal(0, ch:send_sequence{})
        ch:close()
        assert.equal(0, ch:send_sequence{}) -- there is nothing to refuse
    end))

    it("7.4 sends false", within(function()
        local got, count = sent{false, true, false}
        assert.same({false, true, false}, got)
        assert.equal(3, count)
    end))

    it("7.4 takes an iterator", within(function()
        local i = 0
        local got, count = sent(function()
            i = i + 1
            return i <= 5 and i * i or nil
        end)
        assert.same({1, 4, 9, 16, 25}, got)
        assert.equal(5, count)
    end))

    it("7.4 takes an iterator with its state and first value", within(function()
        local got, count = sent(ipairs{"x", "y", "z"})
        assert.same({1, 2, 3}, got)
        assert.equal(3, count)
        got = sent(pairs{only = true})
        assert.same({"only"}, got)
        got = sent(("a b c"):gmatch("%a"))
        assert.same({"a", "b", "c"}, got)
    end))

    it("7.4 takes an iterator that waits, and a generator", within(function()
        local i = 0
        local got = sent(function()
            tasklet.sleep(0.001)
            i = i + 1
            return i <= 3 and i or nil
        end)
        assert.same({1, 2, 3}, got)
        got = sent(coroutine.wrap(function()
            for k = 1, 3 do
                tasklet.yield_()
                coroutine.yield(k)
            end
        end))
        assert.same({1, 2, 3}, got)
    end))

    it("7.4 takes an object that can be called, and that has a length", within(function()
        local i = 0
        local got = sent(setmetatable({}, {__call = function()
            i = i + 1
            return i <= 2 and i or nil
        end}))
        assert.same({1, 2}, got)
        got = sent(setmetatable({}, {
            __len = function() return 3 end,
            __index = function(_, k) return 10 * k end,
        }))
        assert.same({10, 20, 30}, got)
    end))

    it("7.4 takes another channel, until that ends", within(function()
        local from, to = tasklet.channel(), tasklet.channel()
        local r = collector(to)
        local pipe = start("pipe", function()
            local count = to:send_sequence(from)
            to:close()
            return count
        end)
        for i = 1, 10 do
            from:send(i)
        end
        from:close()
        assert.equal(10, tasklet.join(pipe))
        assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, tasklet.join(r))
    end))

    it("7.4 takes another channel, until that gives nil", within(function()
        local from, to = tasklet.channel(), tasklet.channel()
        local r = start("r", function() return {to:receive(), to:receive()} end)
        local pipe = start("pipe", function() return to:send_sequence(from) end)
        from:send(1)
        from:send(2)
        from:send(nil)
        assert.equal(2, tasklet.join(pipe))
        assert.same({1, 2}, tasklet.join(r))
    end))

    it("7.4 raises what its iterator raises, and has sent what came before", within(function()
        local ch, i = tasklet.channel(), 0
        local r = start("r", function() return {ch:receive(), ch:receive()} end)
        local ok, err = pcall(ch.send_sequence, ch, function()
            i = i + 1
            if i == 3 then
                error("on purpose", 0)
            end
            return i
        end)
        assert.same({false, "on purpose"}, {ok, err})
        assert.same({1, 2}, tasklet.join(r))
        assert.equal(0, ch.balance)
    end))

    it("7.4 raises what the channel that it takes from raises", within(function()
        local from, to = tasklet.channel(), tasklet.channel()
        local r = util.receiver(to, "r")
        local pipe = start("pipe", function() return pcall(to.send_sequence, to, from) end)
        from:send(1)
        from:send_exception("on purpose")
        assert.same({false, "on purpose"}, {tasklet.join(pipe)})
        assert.equal(1, tasklet.join(r))
    end))

    it("7.4 raises when the channel is closed midway, at its caller's line", within(function()
        local ch = tasklet.channel()
        local chunk = assert(load("local ch = ...\nch:send_sequence{1, 2, 3, 4}", "=there"))
        local s = start("s", function() return pcall(chunk, ch) end)
        assert.equal(1, ch:receive())
        assert.equal(2, ch:receive())
        tasklet.yield_() -- it offers the third
        ch:close()
        assert.equal(1, ch.balance)
        assert.equal(3, ch:receive())
        local ok, err = tasklet.join(s)
        assert.is_false(ok)
        assert.is_true(tasklet.ChannelError:is(err))
        assert.equal("there:2: the channel is closed", err.message)
    end))

    it("7.4 blocks at each value", within(function()
        local ch = tasklet.channel()
        local s = start("s", function() return ch:send_sequence{1, 2, 3} end)
        for i = 1, 3 do
            assert.equal(1, ch.balance)
            assert.equal(i, ch:receive())
            tasklet.yield_()
        end
        assert.equal(0, ch.balance)
        assert.equal(3, tasklet.join(s))
    end))

    it("7.4 killed midway, has sent so many", within(function()
        local ch = tasklet.channel()
        local s = start("s", function() ch:send_sequence{1, 2, 3} end)
        assert.equal(1, ch:receive())
        tasklet.yield_()
        s:kill()
        assert.equal(0, ch.balance)
        raises(tasklet.JoinError, tasklet.join, s)
    end))
end)

describe("iteration", function()
    it("7.4 is a receive at each step", within(function()
        local ch, got = tasklet.channel(), {}
        local r = start("r", function()
            for value in ch do
                got[#got + 1] = value
            end
            return "ended"
        end)
        for i = 1, 3 do
            assert.equal(-1, ch.balance)
            ch:send(i)
            assert.equal(i, got[i])
        end
        ch:send(nil)
        assert.equal("ended", tasklet.join(r))
        assert.equal(0, ch.balance)
    end))

    it("7.4 ends with nil, and may begin again", within(function()
        local ch = tasklet.channel()
        local s = start("s", function()
            for _ = 1, 2 do
                ch:send_sequence{1, false, 2}
                ch:send(nil)
            end
        end)
        for _ = 1, 2 do
            local got = {}
            for value in ch do
                got[#got + 1] = value
            end
            assert.same({1, false, 2}, got)
        end
        tasklet.join(s)
    end))

    it("7.4 ends at once on a channel that is closed and empty", within(function()
        local ch = tasklet.channel()
        ch:close()
        for _ in ch do
            error("there was a value")
        end
        assert.is_nil(ch())
    end))

    it("7.4 takes what blocked senders have, then ends", within(function()
        local ch = tasklet.channel()
        local all = {util.sender(ch, "a", 1), util.waiter(ch, "send", "b", 2)}
        ch:close()
        local got = {}
        for value in ch do
            got[#got + 1] = value
        end
        assert.same({1, 2}, got)
        util.join_each(all)
    end))

    it("7.4 left by break takes no more", within(function()
        local ch = tasklet.channel()
        local s = start("s", function() return ch:send_sequence{1, 2, 3} end)
        for value in ch do
            if value == 2 then
                break
            end
        end
        tasklet.yield_()
        assert.equal(1, ch.balance)
        assert.equal(3, ch:receive())
        assert.equal(3, tasklet.join(s))
    end))

    it("7.4 by several shares what comes", within(function()
        local ch, all, count = tasklet.channel(), {}, 0
        for i = 1, 3 do
            all[i] = collector(ch)
        end
        ch:send_sequence{1, 2, 3, 4, 5, 6, 7, 8, 9}
        ch:close()
        for i = 1, 3 do
            local got = tasklet.join(all[i])
            count = count + #got
            assert.equal(3, #got)
        end
        assert.equal(9, count)
    end))

    it("7.4 raises an exception that was sent, and may go on", within(function()
        local ch, got = tasklet.channel(), {}
        local r = start("r", function()
            local ok, err = pcall(function()
                for value in ch do
                    got[#got + 1] = value
                end
            end)
            assert(not ok)
            got[#got + 1] = err
            for value in ch do
                got[#got + 1] = value
            end
            return got
        end)
        ch:send(1)
        ch:send_exception("error")
        ch:send(2)
        ch:close()
        assert.same({1, "error", 2}, tasklet.join(r))
    end))
end)
