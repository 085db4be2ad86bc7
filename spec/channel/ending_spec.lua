-- What ends a wait on a channel from outside: kills, throws, deadlines, scopes (contract 7.4, 6.4,
-- 7.1, 10).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, raises, start = util.within, util.raises, util.start
local WaitForChannel = tasklet.WaitForChannel

-- Each way to stand on a channel. `wait` returns what it received, or "sent"; `meet` returns what
-- it was given.
local ways = {
    send = {side = "send", wait = function(ch, value)
        ch:send(value)
        return "sent"
    end},
    receive = {side = "receive", wait = function(ch) return ch:receive() end},
    ["send with a timeout"] = {side = "send", wait = function(ch, value)
        ch:send(value, 600)
        return "sent"
    end},
    ["receive with a timeout"] = {side = "receive", wait = function(ch)
        return ch:receive(600)
    end},
    iteration = {side = "receive", wait = function(ch) return ch() end},
    ["WaitForChannel to send"] = {side = "send", wait = function(ch, value)
        tasklet.wait(WaitForChannel(ch, "send", value))
        return "sent"
    end},
    ["WaitForChannel to receive"] = {side = "receive", wait = function(ch)
        return tasklet.wait(WaitForChannel(ch, "receive"), tasklet.WaitForCall()).value
    end},
}

-- Each way to end it. begin(f) starts `f` as a tasklet and returns it and a function that strikes.
local enders = {
    kill = {error = tasklet.TaskletExit, begin = function(f)
        local t = start("struck", f)
        return t, function() t:kill() end
    end},
    throw = {error = tasklet.TaskletError, begin = function(f)
        local t = start("struck", f)
        return t, function() t:throw(tasklet.TaskletError("thrown")) end
    end},
    ["raise_exception"] = {error = tasklet.TaskletError, begin = function(f)
        local t = start("struck", f)
        return t, function() t:raise_exception(tasklet.TaskletError, "thrown") end
    end},
    ["a pending throw"] = {error = tasklet.TaskletError, begin = function(f)
        local t = start("struck", f)
        return t, function()
            t:throw(tasklet.TaskletError("thrown"), true)
            assert(not t:has_finished())
        end
    end},
    ["a deadline"] = {error = tasklet.TimeoutError, begin = function(f)
        local t = start("struck", function() return tasklet.with_deadline(0.05, f) end)
        return t, function() pcall(tasklet.join, t) end
    end},
    ["a scope that fails"] = {error = tasklet.TaskletExit, begin = function(f)
        local gate, member = tasklet.WaitForCall(), nil
        start("owner", function()
            pcall(tasklet.scope, function(s)
                member = s:new(f, {name = "struck"})
                member:start()
                s:run(function()
                    tasklet.wait(gate)
                    error("on purpose", 0)
                end)
            end)
        end)
        return member, function() gate() end
    end},
}

for name, way in pairs(ways) do
    --- Three stand in a line; `f` is what the second does. Returns all three, and what strikes it.
    local function stand(ch, begin, f)
        local a = start("a", way.wait, ch, "of a")
        local b, strike = begin(f)
        local c = start("c", way.wait, ch, "of c")
        assert.equal("a struck c", util.line(ch))
        return a, b, c, strike
    end

    --- What those who are left get, or give, is what is right for the first and the second to come.
    local function serve(ch, ...)
        local got = {}
        for i, t in ipairs{...} do
            if way.side == "send" then
                got[i] = ch:receive()
                assert.equal("sent", tasklet.join(t))
            else
                ch:send(i)
                got[i] = tasklet.join(t)
            end
        end
        return got
    end

    for ender_name, ender in pairs(enders) do
        describe(("%s, ended by %s"):format(name, ender_name), function()
            it("7.4 6.4 leaves the line to the others, in order", within(function()
                local ch, seen = tasklet.channel(), nil
                local a, b, c, strike = stand(ch, ender.begin, function()
                    local ok, err = pcall(way.wait, ch, "of b")
                    seen = not ok and err
                    if not ok then
                        error(err, 0)
                    end
                end)
                b:add_join_callback(function() end) -- so that its failure is not reported
                strike()
                assert.equal("a c", util.line(ch))
                assert.equal(way.side == "send" and 2 or -2, ch.balance)
                pcall(tasklet.join, b)
                assert.is_true(ender.error:is(seen), tostring(seen))
                local expected = way.side == "send" and {"of a", "of c"} or {1, 2}
                assert.same(expected, serve(ch, a, c))
                assert.equal(0, ch.balance)
            end))

            it("7.4 loses nobody else's value, whoever comes next", within(function()
                local ch, other = tasklet.channel(), way.side == "send" and "receive" or "send"
                local b, strike = ender.begin(function() way.wait(ch, "of b") end)
                b:add_join_callback(function() end)
                strike()
                assert.equal(0, ch.balance)
                -- One of the other side is not met by it.
                local t = util.waiter(ch, other, "other", "of other")
                assert.equal(other == "send" and 1 or -1, ch.balance)
                local u = start("u", way.wait, ch, "of u")
                tasklet.join(t)
                assert.equal(way.side == "send" and "sent" or "of other", tasklet.join(u))
            end))
        end)
    end

    describe(name, function()
        it("6.4 can be done again after a kill that was survived", within(function()
            local ch = tasklet.channel()
            local t = start("t", function()
                raises(tasklet.TaskletExit, way.wait, ch, "first")
                raises(tasklet.TaskletExit, way.wait, ch, "second") -- it insists
                tasklet.survive()
                return way.wait(ch, "third")
            end)
            t:kill()
            assert.equal(way.side == "send" and 1 or -1, ch.balance)
            if way.side == "send" then
                assert.equal("third", ch:receive())
                assert.equal("sent", tasklet.join(t))
            else
                ch:send("value")
                assert.equal("value", tasklet.join(t))
            end
        end))

        it("6.4 raises in a killed tasklet, also with a partner there", within(function()
            local ch = tasklet.channel()
            local partner = way.side == "send" and util.receiver(ch, "p")
                or util.sender(ch, "p", "value")
            local balance = ch.balance
            local t = start("t", function()
                pcall(tasklet.sleep, 600)
                raises(tasklet.TaskletExit, way.wait, ch, "value")
                assert(ch.balance == balance)
                tasklet.survive()
                return way.wait(ch, "value")
            end)
            t:kill()
            tasklet.join(t)
            tasklet.join(partner)
        end))

        it("6.4 in a shield is left to finish", within(function()
            local ch = tasklet.channel()
            local t = start("t", function()
                return tasklet.shield(function() return way.wait(ch, "value") end)
            end)
            t:kill()
            assert.is_false(t:has_finished())
            assert.equal(way.side == "send" and 1 or -1, ch.balance)
            if way.side == "send" then
                assert.equal("value", ch:receive())
            else
                ch:send("value")
            end
            assert.equal(way.side == "send" and "sent" or "value", tasklet.join(t))
        end))

        it("7.4 killed when it was met but has not gone on, the partner knows nothing",
            within(function()
                local ch = tasklet.channel{preference = 0}
                local t = start("t", way.wait, ch, "value")
                if way.side == "send" then
                    assert.equal("value", ch:receive())
                else
                    ch:send("value")
                end
                assert.is_false(t:has_finished())
                t:kill()
                assert.equal(0, ch.balance)
                local err = raises(tasklet.JoinError, tasklet.join, t)
                assert.is_true(tasklet.TaskletExit:is(err.cause))
            end))

        it("7.1 refuses to be run, inserted, removed or bound", within(function()
            local ch = tasklet.channel()
            local t = start("t", way.wait, ch, "value")
            for _, verb in ipairs{"run", "insert", "remove", "switch"} do
                local err = raises(tasklet.TaskletError, t[verb], t)
                assert.is_truthy(err.message:find("a blocked tasklet", 1, true), err.message)
            end
            raises(tasklet.TaskletError, t.bind, t, print)
            assert.equal(t, ch.queue)
            t:kill()
            assert.is_nil(ch.queue)
        end))

        it("7.1 met, taken off the run queue and put back, goes on", within(function()
            local ch = tasklet.channel{preference = 0}
            local t = start("t", way.wait, ch, "value")
            if way.side == "send" then
                ch:receive()
            else
                ch:send("value")
            end
            t:remove()
            tasklet.yield_()
            assert.is_true(t.paused)
            t:insert()
            assert.equal(way.side == "send" and "sent" or "value", tasklet.join(t))
        end))

        it("7.1 met, taken off the run queue and bound anew, is forgotten", within(function()
            local ch = tasklet.channel{preference = 0}
            local t = start("t", way.wait, ch, "value")
            if way.side == "send" then
                ch:receive()
            else
                ch:send("value")
            end
            t:remove()
            t:bind(function() return "anew" end)
            t:start()
            assert.equal("anew", tasklet.join(t))
            assert.equal(0, ch.balance)
        end))
    end)
end

describe("a tasklet that ends", function()
    it("7.4 in a chain of channels, ends each that closes behind it", within(function()
        local first, all = tasklet.channel(), {}
        local ch = first
        for i = 1, 100 do
            local from, to = ch, tasklet.channel()
            all[i] = start("t", function()
                local _ <close> = setmetatable({}, {__close = function() to:close() end})
                for value in from do
                    to:send(value)
                end
            end)
            ch = to
        end
        for i = 1, 3 do
            first:send(i)
            assert.equal(i, ch:receive())
        end
        all[1]:kill()
        raises(tasklet.ChannelError, ch.receive, ch)
        raises(tasklet.JoinError, tasklet.join, all[1])
        for i = 2, 100 do
            tasklet.join(all[i])
        end
    end))

    it("7.4 all that stand on one channel, each killing the next", within(function()
        local ch, all = tasklet.channel(), {}
        for i = 1, 50 do
            all[i] = start("t", function()
                local _ <close> = setmetatable({}, {__close = function()
                    if all[i + 1] then
                        all[i + 1]:kill()
                    end
                end})
                ch:receive()
            end)
        end
        all[1]:kill()
        assert.equal(0, ch.balance)
        for i = 1, 50 do
            assert.is_true(all[i]:has_finished())
        end
    end))
end)
