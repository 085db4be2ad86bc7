-- Nobody starves, and nothing is lost (contract 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within, start = util.within, util.start
local WaitForChannel, WaitForCall = tasklet.WaitForChannel, tasklet.WaitForCall
local WaitForMessages = tasklet.WaitForMessages

--- Starts one that sends on the channel until it is closed.
local function source(ch, value)
    return start("source", function()
        while true do
            if not pcall(ch.send, ch, value) then
                return
            end
        end
    end)
end

--- Closes the channel and takes what is still offered on it, so that its source ends.
local function stop(ch)
    ch:close()
    for _ in ch do end
end

-- So many that the loop has turned a few times before, unless its turns are starved.
local ENDLESS = 1000000

describe("fairness:", function()
    it("7.4 two channels that are always ready each get half", within(function()
        local a, b = tasklet.channel(), tasklet.channel()
        local all = {source(a, "a"), source(b, "b")}
        local count = {a = 0, b = 0}
        local list = {WaitForChannel(a, "receive"), WaitForChannel(b, "receive")}
        for _ = 1, 1000 do
            local value = tasklet.wait(list).value
            count[value] = count[value] + 1
        end
        assert.same({a = 500, b = 500}, count)
        stop(a)
        stop(b)
        util.join_each(all)
    end))

    it("7.4 sending and receiving that are always possible each get half", within(function()
        local a, b = tasklet.channel(), tasklet.channel()
        local all = {source(a, "a"), start("sink", function() for _ in b do end end)}
        local count = {a = 0, b = 0}
        local list = {WaitForChannel(a, "receive"), WaitForChannel(b, "send", "b")}
        for _ = 1, 1000 do
            local value = tasklet.wait(list).value
            count[value] = count[value] + 1
        end
        assert.same({a = 500, b = 500}, count)
        stop(a)
        b:close()
        util.join_each(all)
    end))

    it("7.4 a flood of messages and a channel each get half", within(function()
        local ch = tasklet.channel()
        local s = source(ch, "value")
        local count = {message = 0, channel = 0}
        local c, messages = WaitForChannel(ch, "receive"), WaitForMessages{accept = "m"}
        local me = tasklet.current()
        for _ = 1, 600 do
            tasklet.send(me, "m")
        end
        for _ = 1, 1000 do
            local event = tasklet.wait(messages, c)
            local what = event == c and "channel" or "message"
            count[what] = count[what] + 1
        end
        assert.same({message = 500, channel = 500}, count)
        for _ = 1, 100 do
            tasklet.wait(messages)
        end
        stop(ch)
        tasklet.join(s)
    end))

    it("7.4 messages alone, or a channel that nobody is at, go on undisturbed", within(function()
        local ch, me = tasklet.channel(), tasklet.current()
        local c, messages = WaitForChannel(ch, "receive"), WaitForMessages{accept = "m"}
        for i = 1, 100 do
            tasklet.send(me, "m", i)
        end
        for i = 1, 100 do
            assert.equal(i, tasklet.wait(c, messages).value)
            assert.equal(0, ch.balance)
        end
    end))

    it("7.4 calls that do not end leave the channel its share", within(function()
        local ch, call, over = tasklet.channel(), WaitForCall(), false
        local s = source(ch, "value")
        local caller = start("caller", function()
            while not over do
                call()
                tasklet.yield_()
            end
        end)
        local count = {call = 0, channel = 0}
        local c = WaitForChannel(ch, "receive")
        for _ = 1, 1000 do
            local event = tasklet.wait(call, c)
            local what = event == c and "channel" or "call"
            count[what] = count[what] + 1
        end
        assert.is_true(count.call >= 300 and count.channel >= 300,
            ("%d calls, %d values"):format(count.call, count.channel))
        over = true
        stop(ch)
        util.join_each{s, caller}
    end))

    it("7.4 a flood on a channel does not keep the loop from turning", within(function()
        local ch, over, count = tasklet.channel(), false, 0
        local s = start("s", function()
            while not over and count < ENDLESS do
                ch:send(1)
            end
            ch:close()
        end)
        local r = start("r", function()
            for _ in ch do
                count = count + 1
            end
        end)
        tasklet.sleep(0)
        over = true
        util.join_each{s, r}
        assert.is_true(count > 0 and count < ENDLESS, tostring(count))
    end))

    it("7.4 a select that is always possible does not keep the loop from turning", within(function()
        local ch, over = tasklet.channel(), false
        ch:close()
        local t = start("t", function()
            local c = WaitForChannel(ch, "receive")
            for _ = 1, ENDLESS do
                tasklet.wait(c)
                if over then
                    break
                end
            end
            return over
        end)
        tasklet.sleep(0)
        over = true
        assert.is_true(tasklet.join(t))
    end))
end)

-- A generator of numbers of its own, so that a seed gives the same steps everywhere.
local function random(seed)
    local state = seed
    return function(n)
        state = (state * 1103515245 + 12345) % 2147483648
        return state // 65536 % n + 1
    end
end

-- What a step may be. Each returns what was sent or received, or nothing.
local steps = {
    function(w, ch) ch:send(w.make()) w.sent() end,
    function(w, ch) w.got(ch:receive()) end,
    function(w, ch)
        local value = w.make()
        if pcall(ch.send, ch, value, 0) then
            w.sent()
        end
    end,
    function(w, ch)
        local ok, value = pcall(ch.receive, ch, 0)
        if ok then
            w.got(value)
        end
    end,
    function(w)
        local list, value = {}, w.make()
        for i = 1, 1 + w.pick(4) do
            local side = w.pick(2) == 1 and "send" or "receive"
            list[i] = WaitForChannel(w.channels[w.pick(#w.channels)], side, value)
        end
        if w.pick(2) == 1 then
            list[#list + 1] = tasklet.WaitForTimeout(w.pick(2) - 1)
        end
        local event = tasklet.wait(list)
        if event.channel then
            if event.direction == "send" then
                w.sent()
            else
                w.got(event.value)
            end
        end
    end,
    function(w, ch)
        ch.preference = w.pick(3) - 2
        ch.schedule_all = w.pick(4) == 1
    end,
    function() tasklet.yield_() end,
}

describe("in random sequences", function()
    --- `count` tasklets take `length` steps each; some are killed. Checks that what was sent is
    --- what was received, each once, but for what the killed ones were about.
    local function play(seed, count, length, kills)
        local pick = random(seed)
        local channels, sent, got, all = {}, {}, {}, {}
        for i = 1, 5 do
            channels[i] = tasklet.channel{preference = pick(3) - 2}
        end
        local number, doubled = 0, 0
        for i = 1, count do
            local w = {channels = channels, pick = pick}
            local last
            function w.make()
                number = number + 1
                last = number
                return number
            end
            function w.sent() sent[last] = true end
            function w.got(value)
                if got[value] then
                    doubled = doubled + 1
                end
                got[value] = true
            end
            all[i] = tasklet.new(function()
                for _ = 1, length do
                    steps[pick(#steps)](w, channels[pick(#channels)])
                end
            end)()
        end
        local nurse = start("nurse", function()
            -- Whoever is left alone is killed in the end.
            local idle = tasklet.WaitForIdle()
            for _ = 1, kills do
                tasklet.yield_()
                all[pick(count)]:kill()
            end
            while true do
                tasklet.wait(idle)
                local busy = false
                for _, t in ipairs(all) do
                    busy = busy or t.scheduled and not t.blocked
                end
                if not busy then
                    break
                end
            end
            for _, ch in ipairs(channels) do
                while ch.queue do
                    ch.queue:kill()
                end
            end
        end)
        tasklet.join(nurse)
        for _, t in ipairs(all) do
            pcall(tasklet.join, t)
        end
        for _, ch in ipairs(channels) do
            assert.equal(0, ch.balance, "seed " .. seed)
            assert.is_nil(ch.queue)
        end
        assert.equal(0, doubled, "seed " .. seed)
        local lost, invented, arrived = 0, 0, 0
        for value in pairs(sent) do
            lost = lost + (got[value] and 0 or 1)
        end
        for value in pairs(got) do
            invented = invented + (sent[value] and 0 or 1)
            arrived = arrived + 1
        end
        return lost, invented, arrived
    end

    it("7.4 what was sent is what was received, each once", within(function()
        local all = 0
        for seed = 1, 100 do
            local lost, invented, arrived = play(seed, 20, 50, 0)
            assert.same({0, 0}, {lost, invented}, "seed " .. seed)
            all = all + arrived
        end
        assert.is_true(all > 10000, tostring(all))
    end))

    it("7.4 a kill loses at most the one value that was under way to the killed", within(function()
        for seed = 101, 160 do
            local lost, invented = play(seed, 20, 50, 10)
            assert.is_true(lost <= 10 and invented <= 10,
                ("seed %d: %d lost, %d from nowhere"):format(seed, lost, invented))
        end
    end))
end)
