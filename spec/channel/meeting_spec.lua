-- The rendezvous: who sends and who receives meet (contract 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, sender, receiver = util.within, util.sender, util.receiver

-- What may be sent. A list, for nil is one of them.
local function values()
    return table.pack(nil, false, true, 0, -0.5, "", "text", {}, print, io.stdout,
        tasklet.current(), tasklet.channel(), coroutine.create(print), math.huge)
end

describe("a rendezvous", function()
    it("7.4 hands over any value, as it is, to one that was waiting", within(function()
        local all = values()
        for i = 1, all.n do
            local ch = tasklet.channel()
            local t = receiver(ch, "r")
            assert.equal(0, select("#", ch:send(all[i])))
            local got = table.pack(tasklet.join(t))
            assert.equal(1, got.n)
            assert.is_true(rawequal(all[i], got[1]))
        end
    end))

    it("7.4 takes any value, as it is, from one that was waiting", within(function()
        local all = values()
        for i = 1, all.n do
            local ch = tasklet.channel()
            local t = util.start("s", function() return select("#", ch:send(all[i])) end)
            local got = table.pack(ch:receive())
            assert.equal(1, got.n)
            assert.is_true(rawequal(all[i], got[1]))
            assert.equal(0, tasklet.join(t))
        end
    end))

    it("7.4 hands over NaN, and numbers of each type", within(function()
        local ch = tasklet.channel()
        local t = util.start("s", function()
            ch:send(0 / 0)
            ch:send(1)
            ch:send(1.0)
        end)
        local nan = ch:receive()
        assert.is_true(nan ~= nan)
        assert.equal("integer", math.type(ch:receive()))
        assert.equal("float", math.type(ch:receive()))
        tasklet.join(t)
    end))

    it("7.4 hands over one value for each send, in order", within(function()
        local ch, got = tasklet.channel(), {}
        local t = util.start("s", function()
            for i = 1, 1000 do
                ch:send(i)
            end
        end)
        for i = 1, 1000 do
            got[i] = ch:receive()
        end
        tasklet.join(t)
        for i = 1, 1000 do
            assert.equal(i, got[i])
        end
        assert.equal(0, ch.balance)
    end))

    it("7.4 hands over the very table, which both have then", within(function()
        local ch, list = tasklet.channel(), {}
        local t = receiver(ch, "r")
        ch:send(list)
        local got = tasklet.join(t)
        got.mark = true
        assert.is_true(list.mark)
    end))

    it("7.4 serves receivers in the order in which they came", within(function()
        local ch, trace = tasklet.channel(), {}
        local all = {}
        for i = 1, 20 do
            all[i] = util.start("r" .. i, function()
                local value = ch:receive()
                trace[#trace + 1] = {i, value}
            end)
        end
        assert.equal(-20, ch.balance)
        for i = 1, 20 do
            ch:send(10 * i)
        end
        util.join_each(all)
        for i = 1, 20 do
            assert.same({i, 10 * i}, trace[i])
        end
    end))

    it("7.4 serves senders in the order in which they came", within(function()
        local ch, all = tasklet.channel(), {}
        for i = 1, 20 do
            all[i] = sender(ch, "s" .. i, i)
        end
        assert.equal(20, ch.balance)
        for i = 1, 20 do
            assert.equal(i, ch:receive())
            assert.equal(20 - i, ch.balance)
        end
        util.join_each(all)
    end))

    it("7.4 serves verbs and WaitForChannel in one line", within(function()
        local ch = tasklet.channel()
        local all = {
            sender(ch, "a", 1), util.waiter(ch, "send", "b", 2), sender(ch, "c", 3),
            util.waiter(ch, "send", "d", 4),
        }
        assert.equal("a b c d", util.line(ch))
        for i = 1, 4 do
            assert.equal(i, ch:receive())
        end
        util.join_each(all)
        all = {
            util.waiter(ch, "receive", "a"), receiver(ch, "b"), util.waiter(ch, "receive", "c"),
        }
        assert.equal("a b c", util.line(ch))
        for i = 1, 3 do
            ch:send(i)
        end
        for i = 1, 3 do
            assert.equal(i, tasklet.join(all[i]))
        end
    end))

    it("7.4 lets many send to many", within(function()
        local ch, sum, all = tasklet.channel(), 0, {}
        for i = 1, 50 do
            all[#all + 1] = util.start("s", function()
                for k = 1, 20 do
                    ch:send(i * k)
                end
            end)
            all[#all + 1] = util.start("r", function()
                for _ = 1, 20 do
                    local value = ch:receive()
                    sum = sum + value
                end
            end)
        end
        util.join_each(all)
        assert.equal((50 * 51 // 2) * (20 * 21 // 2), sum)
        assert.equal(0, ch.balance)
        assert.is_nil(ch.queue)
    end))

    it("7.4 leaves the wait list of the tasklet alone", within(function()
        local ch, call = tasklet.channel(), tasklet.WaitForCall()
        local t = util.start("t", function()
            assert(tasklet.wait(call) == call)
            local value = ch:receive()
            assert(tasklet.wait(call) == call)
            return value, call.args[1]
        end)
        call(1)
        call(2) -- it is kept
        assert.equal(-1, ch.balance)
        ch:send("value")
        assert.same({"value", 2}, {tasklet.join(t)})
    end))

    it("7.4 works in every place where one may wait", within(function()
        local ch = tasklet.channel()
        local t = util.start("s", function()
            for i = 1, 5 do
                ch:send(i)
            end
        end)
        assert.same({true, 1}, {pcall(ch.receive, ch)})
        assert.equal(2, coroutine.wrap(function() return ch:receive() end)())
        local mt = {__add = function(a) return a.ch:receive() end}
        assert.equal(3, setmetatable({ch = ch}, mt) + 1)
        local got
        do
            local _ <close> = setmetatable({}, {__close = function() got = ch:receive() end})
        end
        assert.equal(4, got)
        for value in function(_, last) return not last and ch:receive() or nil end do
            assert.equal(5, value)
        end
        tasklet.join(t)
    end))

    it("7.4 yields to a generator's user what the generator got", within(function()
        local ch = tasklet.channel()
        local t = util.start("s", function()
            for i = 1, 3 do
                ch:send(i)
            end
        end)
        local got = {}
        local function pairs_of()
            for _ = 1, 3 do
                coroutine.yield(ch:receive())
            end
        end
        for value in coroutine.wrap(pairs_of) do
            got[#got + 1] = value
        end
        assert.same({1, 2, 3}, got)
        tasklet.join(t)
    end))
end)

describe("a channel tells of itself:", function()
    it("7.4 what a new one is", within(function()
        local ch = tasklet.channel()
        assert.same({0, nil, -1, false, false, false},
            {ch.balance, ch.queue, ch.preference, ch.schedule_all, ch.closing, ch.closed})
    end))

    it("7.4 its balance is senders without receivers", within(function()
        local ch, all = tasklet.channel(), {}
        for i = 1, 3 do
            all[i] = sender(ch, "s", i)
            assert.equal(i, ch.balance)
        end
        all[4] = util.waiter(ch, "send", "w", 4)
        assert.equal(4, ch.balance)
        for i = 3, 0, -1 do
            ch:receive()
            assert.equal(i, ch.balance)
        end
        util.join_each(all)
        for i = 1, 3 do
            all[i] = receiver(ch, "r")
            assert.equal(-i, ch.balance)
        end
        all[4] = util.waiter(ch, "receive", "w")
        assert.equal(-4, ch.balance)
        for i = -3, 0 do
            ch:send(i)
            assert.equal(i, ch.balance)
        end
        util.join_each(all)
    end))

    it("7.4 its queue is the first that is blocked", within(function()
        local ch = tasklet.channel()
        assert.is_nil(ch.queue)
        local a, b = sender(ch, "a", 1), sender(ch, "b", 2)
        assert.equal(a, ch.queue)
        ch:receive()
        assert.equal(b, ch.queue)
        ch:receive()
        assert.is_nil(ch.queue)
        util.join_each{a, b}
        local c = receiver(ch, "c")
        assert.equal(c, ch.queue)
        ch:send(1)
        assert.is_nil(ch.queue)
        tasklet.join(c)
    end))

    it("7.2 next and prev of those who are blocked walk its line", within(function()
        local ch, other = tasklet.channel(), tasklet.channel()
        local a, b = sender(ch, "a", 1), sender(ch, "b", 2)
        local x = sender(other, "x", 1)
        local c = util.waiter(ch, "send", "c", 3)
        assert.same({b, c, nil}, {a.next, b.next, c.next})
        assert.same({nil, a, b}, {a.prev, b.prev, c.prev})
        assert.is_nil(x.next)
        assert.is_nil(x.prev)
        b:kill()
        assert.equal(c, a.next)
        assert.equal(a, c.prev)
        assert.is_nil(b.next)
        assert.is_nil(b.prev)
        for _ = 1, 2 do
            ch:receive()
        end
        other:receive()
        util.join_each{a, c, x}
        assert.is_nil(a.next)
    end))

    it("7.2 who stands on it is blocked, alive and scheduled, not paused", within(function()
        local ch = tasklet.channel()
        for _, t in ipairs{receiver(ch, "r"), util.waiter(ch, "receive", "w")} do
            assert.same({true, true, true, false}, {t.blocked, t.alive, t.scheduled, t.paused})
            assert.equal(tasklet.Tasklet.STATE_SUSPENDED, t.state)
            ch:send(1)
            tasklet.join(t)
        end
    end))

    it("7.2 who has been met but has not gone on is not blocked", within(function()
        local ch = tasklet.channel{preference = 0}
        local r, w = receiver(ch, "r"), util.waiter(ch, "receive", "w")
        ch:send(1)
        ch:send(2)
        for _, t in ipairs{r, w} do
            assert.same({false, true, false, true}, {t.blocked, t.scheduled, t.paused, t.alive})
        end
        assert.equal(w, r.next)
        assert.same({1, 2}, {tasklet.join(r), tasklet.join(w)})
    end))

    it("7.4 its preference is clamped to a sign", within(function()
        for value, expected in pairs{
            [-1] = -1, [0] = 0, [1] = 1, [5] = 1, [-7] = -1, [math.maxinteger] = 1,
            [math.mininteger] = -1,
        } do
            assert.equal(expected, tasklet.channel{preference = value}.preference)
            local ch = tasklet.channel()
            ch.preference = value
            assert.equal(expected, ch.preference)
        end
        for _, value in ipairs{2.0, -2.0} do
            local ch = tasklet.channel{preference = value}
            assert.equal(value / 2, ch.preference)
            assert.equal("integer", math.type(ch.preference))
            ch.preference = -value
            assert.equal(-value / 2, ch.preference)
        end
    end))

    it("7.4 its attributes may be set while others stand on it", within(function()
        local ch = tasklet.channel()
        local r = receiver(ch, "r")
        ch.preference = 1
        ch.schedule_all = true
        assert.is_true(ch.schedule_all)
        assert.equal(-1, ch.balance)
        ch.schedule_all = false
        ch:send(1)
        assert.is_false(r:has_finished()) -- it was the sender that went on
        assert.equal(1, tasklet.join(r))
    end))

    it("1.7 its tostring says who stands on it and that it is closed", within(function()
        local ch = tasklet.channel()
        local text = tostring(ch)
        assert.is_truthy(text:find("^channel: .*0 sending, 0 receiving"), text)
        assert.is_nil(text:find("closed", 1, true))
        local r = receiver(ch, "r")
        assert.is_truthy(tostring(ch):find("0 sending, 1 receiving", 1, true))
        ch:send(1)
        local s = sender(ch, "s", 1)
        assert.is_truthy(tostring(ch):find("1 sending, 0 receiving", 1, true))
        ch:close()
        assert.is_truthy(tostring(ch):find("closed", 1, true))
        ch:receive()
        util.join_each{r, s}
    end))
end)
