-- The orderings that Stackless' own documents and tutorials show, and what people build of channels
-- (contract 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"

local within = util.within

--- Has each of the functions run as a tasklet of its own, in this order, until nobody is runnable.
---@return table[] # the tasklets
local function run(...)
    local all = {}
    for i, f in ipairs{...} do
        all[i] = tasklet.new(f)()
    end
    tasklet.pump()
    return all
end

describe("the tutorials' example of", function()
    it("7.4 one that receives, one that sends and one that is just there", within(function()
        local ch, log = tasklet.channel(), {}
        local function say(text) log[#log + 1] = text end
        local all = run(function()
            say "receiver started"
            say(ch:receive())
            say "receiver finished"
        end, function()
            say "sender started"
            ch:send "sent"
            say "sender finished"
        end, function() say "another one" end)
        assert.same({
            "receiver started", "sender started", "sent", "receiver finished", "another one",
            "sender finished",
        }, log)
        util.join_each(all)
    end))

    it("7.4 one that sends while nobody receives yet", within(function()
        local ch, log = tasklet.channel(), {}
        local function say(text) log[#log + 1] = text end
        run(function()
            say "sender started"
            ch:send "sent"
            say "sender finished"
        end, function() say "another one" end)
        assert.same({"sender started", "another one"}, log)
        run(function() say "still another one" end)
        assert.same({"sender started", "another one", "still another one"}, log)
        run(function()
            say "receiver started"
            local value = ch:receive()
            say(value)
            say "receiver finished"
        end)
        assert.same({
            "sender started", "another one", "still another one", "receiver started", "sent",
            "receiver finished", "sender finished",
        }, log)
    end))

    it("7.4 ping and pong", within(function()
        local ping, pong, log = tasklet.channel(), tasklet.channel(), {}
        local function player(word, from, to)
            return function()
                while from:receive() do
                    log[#log + 1] = word
                    if #log >= 6 then
                        to:send(false)
                        return
                    end
                    to:send(word)
                end
            end
        end
        local all = run(player("PING", ping, pong), player("PONG", pong, ping),
            function() ping:send "startup" end)
        assert.equal("PING PONG PING PONG PING PONG", table.concat(log, " "))
        util.join_each(all)
    end))

    it("7.4 sending to all who wait, the sender first", within(function()
        local ch, log = tasklet.channel{preference = 1}, {}
        local all = {}
        for i = 1, 4 do
            all[i] = util.start("r" .. i, function()
                for _ = 1, 2 do
                    local value = ch:receive()
                    log[#log + 1] = i .. value
                end
            end)
        end
        local count = -ch.balance
        assert.equal(4, count)
        for _ = 1, count do
            ch:send "a"
            assert.same({}, log)
        end
        assert.equal(0, ch.balance)
        tasklet.schedule()
        assert.same({"1a", "2a", "3a", "4a"}, log)
        assert.equal(-4, ch.balance)
        while ch.balance < 0 do -- ends, for none of them receives again meanwhile
            ch:send "b"
        end
        util.join_each(all)
        assert.same({"1a", "2a", "3a", "4a", "1b", "2b", "3b", "4b"}, log)
    end))

    it("7.4 sending to all who wait, the receivers first", within(function()
        local ch, log = tasklet.channel(), {}
        local all = {}
        for i = 1, 3 do
            all[i] = util.start("r" .. i, function()
                local value = ch:receive()
                log[#log + 1] = i .. value
            end)
        end
        while ch.balance < 0 do
            ch:send "a"
            log[#log + 1] = "sent"
        end
        util.join_each(all)
        assert.same({"1a", "sent", "2a", "sent", "3a", "sent"}, log)
    end))

    it("7.4 one that is started only when it receives: the same in both orders", within(function()
        for _, receiver_first in ipairs{true, false} do
            local ch, got = tasklet.channel(), {}
            local function receive()
                for i = 1, 3 do
                    local value = ch:receive()
                    got[i] = value
                end
            end
            local function send()
                for i = 1, 3 do
                    ch:send(i)
                end
            end
            if receiver_first then
                run(receive, send)
            else
                run(send, receive)
            end
            assert.same({1, 2, 3}, got)
            assert.equal(0, ch.balance)
        end
    end))
end)

--- As the tutorials write it: a count, and a channel for those who wait.
local function semaphore(count)
    local s, waiting = {}, tasklet.channel()
    function s.acquire()
        if count > 0 then
            count = count - 1
        else
            waiting:receive()
        end
    end
    function s.release()
        if waiting.balance < 0 then
            waiting:send(nil)
        else
            count = count + 1
        end
    end
    function s.waiting() return -waiting.balance end
    return s
end

describe("made of channels,", function()
    it("7.4 a semaphore lets in so many, in the order in which they came", within(function()
        local s, inside, most, log, all = semaphore(3), 0, 0, {}, {}
        for i = 1, 30 do
            all[i] = util.start("t" .. i, function()
                s.acquire()
                inside = inside + 1
                most = math.max(most, inside)
                log[#log + 1] = i
                for _ = 1, i % 4 do
                    tasklet.yield_()
                end
                inside = inside - 1
                s.release()
            end)
        end
        util.join_each(all)
        assert.equal(3, most)
        assert.equal(0, inside)
        assert.equal(0, s.waiting())
        for i = 1, 30 do
            assert.equal(i, log[i])
        end
    end))

    it("7.4 a semaphore is not lost with one that is killed while it waits", within(function()
        local s = semaphore(1)
        s.acquire()
        local a = util.start("a", s.acquire)
        local b = util.start("b", s.acquire)
        assert.equal(2, s.waiting())
        a:kill()
        assert.equal(1, s.waiting())
        s.release()
        tasklet.join(b)
        assert.equal(0, s.waiting())
    end))

    it("7.4 a queue between those who put and those who take", within(function()
        local put, take, size = tasklet.channel(), tasklet.channel(), 4
        local most, got, all = 0, {}, {}
        local manager = util.start("manager", function()
            local items, sent = {}, 0
            local receive = tasklet.WaitForChannel(put, "receive")
            while sent < 100 do
                local list = {}
                if #items < size then
                    list[1] = receive
                end
                local send = #items > 0 and tasklet.WaitForChannel(take, "send", items[1])
                list[#list + 1] = send or nil
                local event = tasklet.wait(list)
                if event == receive then
                    items[#items + 1] = event.value
                    most = math.max(most, #items)
                else
                    table.remove(items, 1)
                    sent = sent + 1
                end
            end
        end)
        for i = 1, 10 do
            all[#all + 1] = util.start("p" .. i, function()
                for k = 1, 10 do
                    put:send(10 * (i - 1) + k)
                end
            end)
        end
        for _ = 1, 5 do
            all[#all + 1] = util.start("c", function()
                for _ = 1, 20 do
                    local value = take:receive()
                    got[#got + 1] = value
                end
            end)
        end
        util.join_each(all)
        tasklet.join(manager)
        assert.is_true(most <= size)
        table.sort(got)
        for i = 1, 100 do
            assert.equal(i, got[i])
        end
    end))

    it("7.4 workers that a manager hands jobs to, each to the one that is free", within(function()
        local jobs, results, all, done = tasklet.channel(), tasklet.channel(), {}, {}
        for w = 1, 3 do
            all[w] = util.start("w" .. w, function()
                local count = 0
                for job in jobs do
                    tasklet.yield_()
                    results:send(job * job)
                    count = count + 1
                end
                return count
            end)
        end
        local manager = util.start("manager", function()
            for i = 1, 20 do
                jobs:send(i)
            end
            jobs:close()
        end)
        for i = 1, 20 do
            done[i] = results:receive()
        end
        table.sort(done)
        for i = 1, 20 do
            assert.equal(i * i, done[i])
        end
        tasklet.join(manager)
        local sum = 0
        for _, w in ipairs(all) do
            sum = sum + tasklet.join(w)
        end
        assert.equal(20, sum)
    end))

    it("7.4 a sieve of primes", within(function()
        local first, primes, all = tasklet.channel(), {}, {}
        all[1] = util.start("source", function()
            for i = 2, 200 do
                first:send(i)
            end
            first:close()
        end)
        local ch = first
        local prime = ch:receive()
        while prime do
            primes[#primes + 1] = prime
            local from, to, divisor = ch, tasklet.channel(), prime
            all[#all + 1] = util.start("filter", function()
                for i in from do
                    if i % divisor ~= 0 then
                        to:send(i)
                    end
                end
                to:close()
            end)
            ch = to
            prime = ch()
        end
        util.join_each(all)
        assert.equal(46, #primes)
        assert.equal(199, primes[46])
    end))
end)
