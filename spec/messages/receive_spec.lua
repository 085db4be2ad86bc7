-- luacheck: ignore 512 111 631
local tasklet = require "tasklet"
local helper = require "spec.helper"

--- What calling `f` raises, with what it was.
local function failure(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    return err
end

--- A spec's body that runs as a tasklet.
local function within(f)
    return function() helper.within_loop(f) end
end

-- So many that the loop has turned a few times before, unless its turns are starved.
local ENDLESS = 3000000

--- Sends the current tasklet so many messages, whose values count them.
local function fill(count)
    for i = 1, count do
        tasklet.send(tasklet.current(), "name " .. i % 3, i)
    end
end

local function values(list)
    local found = {}
    for i, message in ipairs(list) do
        found[i] = message.value
    end
    return found
end

describe("receive", function()
    it("5.5 gives each message, whatever its name, in order", within(function()
        local got = {}
        fill(5)
        for message in tasklet.receive() do
            got[#got + 1] = message.name .. "=" .. message.value
            if message.value == 5 then
                break
            end
        end
        assert.same({"name 1=1", "name 2=2", "name 0=3", "name 1=4", "name 2=5"}, got)
    end))

    it("5.5 takes only what the loop has come to", within(function()
        fill(3)
        assert.equal(1, tasklet.receive()().value)
        assert.equal(2, #tasklet.current().mailbox)
    end))

    it("5.5 waits, and runs at once when a message comes", within(function()
        local log = {}
        local t = tasklet.run(function()
            for message in tasklet.receive() do
                log[#log + 1] = message.value
            end
        end)
        tasklet.send(t, "a", 1)
        log[#log + 1] = "sent"
        tasklet.send(t, "b", 2)
        assert.same({1, "sent", 2}, log)
        t:kill()
    end))

    it("5.5 counts the timeout anew for each message", within(function()
        local got = 0
        local t = tasklet.run(function()
            local ok, err = pcall(function()
                for _ in tasklet.receive(0.2) do
                    got = got + 1
                end
            end)
            return not ok and tasklet.TimeoutError:is(err)
        end)
        for _ = 1, 6 do -- longer than the timeout altogether
            tasklet.sleep(0.04)
            tasklet.send(t, "name")
        end
        assert.is_true((tasklet.join(t, 20)))
        assert.equal(6, got)
    end))

    it("5.5 raises TimeoutError when there is none in time", within(function()
        for _, timeout in ipairs{0, 0.005} do
            local err = failure(function()
                for _ in tasklet.receive(timeout) do
                    error("a message")
                end
            end)
            assert.is_true(tasklet.TimeoutError:is(err))
        end
    end))

    it("5.5 gives what is there with a timeout of 0", within(function()
        local got = 0
        fill(3)
        pcall(function()
            for _ in tasklet.receive(0) do
                got = got + 1
            end
        end)
        assert.equal(3, got)
    end))

    it("5.5 goes on after a timeout", within(function()
        local me = tasklet.current()
        local next_one = tasklet.receive(0.005)
        assert.is_true(tasklet.TimeoutError:is(failure(next_one)))
        fill(1)
        assert.equal(1, next_one().value)
        assert.equal(0, #me.mailbox)
    end))

    it("1.2 waits for ever with a negative timeout", within(function()
        local t = tasklet.run(function()
            return tasklet.receive(-1)().value
        end)
        tasklet.sleep(0.01)
        tasklet.send(t, "name", 5)
        assert.equal(5, tasklet.join(t))
    end))

    it("6.6 takes the tasklet's own deadline where it has no timeout", within(function()
        local t = tasklet.run(function()
            tasklet.current().timeout = 0.02
            local first
            local ok, err = pcall(function()
                for message in tasklet.receive() do
                    first = message.value
                end
            end)
            return first, not ok and tasklet.TimeoutError:is(err)
        end)
        tasklet.send(t, "name", 5)
        assert.same({5, true}, {tasklet.join(t, 20)})
    end))

    it("6.6 leaves the deadline alone with a timeout of its own", within(function()
        tasklet.current().timeout = 0
        fill(1)
        local next_one = tasklet.receive(-1)
        assert.equal(1, next_one().value)
        local sender = tasklet.current()
        local later = tasklet.run(function()
            tasklet.sleep(0.005)
            tasklet.send(sender, "name", 2)
        end)
        assert.equal(2, next_one().value)
        tasklet.current().timeout = nil
        tasklet.join(later)
    end))

    it("3.9 waits inside a generator", within(function()
        local t = tasklet.run(function()
            local sums = coroutine.wrap(function()
                local sum = 0
                for message in tasklet.receive() do
                    sum = sum + message.value
                    coroutine.yield(sum)
                end
            end)
            return {sums(), sums(), sums()}
        end)
        for i = 1, 3 do
            tasklet.send(t, "name", i)
        end
        assert.same({1, 3, 6}, tasklet.join(t))
    end))

    it("3.9 passes from generator to generator", within(function()
        local got = {}
        local t = tasklet.run(function()
            local each = coroutine.wrap(function()
                for message in tasklet.receive() do
                    coroutine.yield(message)
                end
            end)
            for message in each do
                got[#got + 1] = message.sender.name .. " " .. message.value[1]
            end
        end)
        local sender = tasklet.new(function()
            local sent = coroutine.wrap(function()
                for i = 1, 3 do
                    tasklet.send(t, "name", {i})
                    coroutine.yield(#got)
                end
            end)
            return {sent(), sent(), sent()}
        end, {name = "sender"})
        sender:start()
        assert.same({1, 2, 3}, tasklet.join(sender))
        assert.same({"sender 1", "sender 2", "sender 3"}, got)
        t:kill()
    end))

    it("3.8 runs at once, the sender then, in a chain longer than a turn", within(function()
        local count, order, ring = 3000, {}, {}
        for i = count, 1, -1 do
            ring[i] = tasklet.run(function()
                local message = tasklet.receive()()
                assert(message.sender == (ring[i - 1] or tasklet.getmain()) or i == 1)
                assert(message.dest == ring[i])
                order[#order + 1] = i
                if i < count then
                    tasklet.send(ring[i + 1], "ball", message.value + 1)
                end
                order[#order + 1] = -i
                return message.value
            end)
        end
        tasklet.send(ring[1], "ball", 1)
        for i = 1, count do
            assert.equal(i, tasklet.join(ring[i]))
            assert.equal(i, order[i])
            assert.equal(i - 1 - count, order[count + i])
        end
    end))

    it("5.5 keeps nothing of what it has handed out", within(function()
        local kept = setmetatable({}, {__mode = "k"})
        local t = tasklet.run(function()
            for message in tasklet.receive() do
                kept[message], kept[message.value] = true, true
            end
        end)
        for _ = 1, 3 do
            tasklet.send(t, "name", {})
        end
        t:kill()
        collectgarbage()
        collectgarbage()
        assert.is_nil(next(kept))
    end))

    it("10.2 leaves a message to one whose deadline is over at the same time", really(function()
        local t = tasklet.run(function()
            local _, err = pcall(tasklet.with_deadline, 0.01, function()
                for _ in tasklet.receive() do
                    error("a message")
                end
            end)
            assert(tasklet.TimeoutError:is(err), err)
            return tasklet.current().mailbox:popleft(0).value
        end)
        local sender = tasklet.run(function()
            tasklet.sleep(0.005)
            tasklet.send(t, "name", "a value")
        end)
        local before = tasklet.mainloop.now()
        while tasklet.mainloop.now() < before + 20 do
            local _ = 0 -- until both are due
        end
        assert.equal("a value", tasklet.join(t))
        tasklet.join(sender)
    end))

    it("6.4 ends with its tasklet, and sees each kill", within(function()
        local kills = 0
        local t = tasklet.run(function()
            for _ = 1, 3 do
                local _, err = pcall(function()
                    for _ in tasklet.receive() do
                        error("a message")
                    end
                end)
                kills = kills + (tasklet.TaskletExit:is(err) and 1 or 0)
            end
        end)
        t:kill()
        assert.equal(3, kills)
        assert.is_true(t:has_finished())
    end))

    it("6.4 raises in one that was killed though messages are there", within(function()
        local seen
        local t = tasklet.run(function()
            pcall(tasklet.sleep, 60)
            seen = select(2, pcall(tasklet.receive()))
        end)
        tasklet.send(t, "name")
        t:kill()
        assert.is_true(tasklet.TaskletExit:is(seen))
    end))

    it("5.5 and WaitForMessages take turns", within(function()
        local wanted = tasklet.WaitForMessages{accept = "name 0", defer = {"name 1", "name 2"}}
        local next_one = tasklet.receive()
        fill(6)
        assert.equal(1, next_one().value)
        assert.equal(3, tasklet.wait(wanted).value)
        assert.equal(2, next_one().value)
        assert.equal(6, tasklet.wait(wanted).value)
        assert.equal(4, next_one().value)
    end))

    it("3.8 does not starve timers when messages never end", within(function()
        local late, count = false, 0
        local t = tasklet.run(function()
            local me = tasklet.current()
            tasklet.send(me, "name")
            for _ in tasklet.receive() do
                count = count + 1
                if late or count == ENDLESS then
                    return late
                end
                tasklet.send(me, "name")
            end
        end)
        tasklet.sleep(0)
        late = true
        assert.is_true((tasklet.join(t)))
    end))

    it("1.4 names the caller's line when the timeout is wrong", function()
        local chunk = assert(load("local tasklet = ...\ntasklet.receive 'soon'", "=there"))
        local err = failure(chunk, tasklet)
        assert.matches("^there:2: bad argument #1 to 'receive' %(number expected, got string%)",
            err)
        err = failure(tasklet.receive, 0 / 0)
        assert.matches("not a number", err)
    end)

    it("1.4 raises outside any tasklet", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local next_one = tasklet.receive()
            print(pcall(next_one))
            local batch = tasklet.receive_batch(2)
            print(pcall(batch))
        ]]
        assert.equal("", result.stderr)
        for line in result.stdout:gmatch "[^\n]+" do
            assert.matches("^false\t.*cannot wait outside a tasklet", line)
        end
    end)
end)

describe("receive_batch", function()
    it("5.5 gives lists of up to max_size", within(function()
        fill(7)
        local sizes = {}
        for list in tasklet.receive_batch(3, 0) do
            sizes[#sizes + 1] = #list
            if #list < 3 then
                assert.same({7}, values(list))
                break
            end
            assert.same({#sizes * 3 - 2, #sizes * 3 - 1, #sizes * 3}, values(list))
        end
        assert.same({3, 3, 1}, sizes)
    end))

    it("5.5 gives a full list at once", within(function()
        fill(2)
        local next_list = tasklet.receive_batch(2, 60)
        assert.same({1, 2}, values(next_list()))
        next_list = tasklet.receive_batch(1)
        fill(1)
        assert.same({1}, values(next_list()))
    end))

    it("5.5 waits for the first message, then up to batch_timeout for more", within(function()
        local t = tasklet.run(function()
            return tasklet.receive_batch(10, 0.05)()
        end)
        tasklet.sleep(0.08) -- nothing has come yet: it waits on
        assert.is_false(t:has_finished())
        tasklet.send(t, "name", 1)
        tasklet.send(t, "name", 2)
        assert.is_false(t:has_finished())
        assert.same({1, 2}, values(tasklet.join(t, 20)))
    end))

    it("5.5 gives a list that fills up before its time is over", within(function()
        local t = tasklet.run(function()
            return tasklet.receive_batch(3, 60)()
        end)
        for i = 1, 3 do
            assert.is_false(t:has_finished())
            tasklet.send(t, "name", i)
        end
        assert.same({1, 2, 3}, values(tasklet.join(t, 20)))
    end))

    it("5.5 waits for a full list without batch_timeout", within(function()
        local t = tasklet.run(function()
            return tasklet.receive_batch(3)()
        end)
        tasklet.send(t, "name", 1)
        tasklet.sleep(0.02)
        tasklet.send(t, "name", 2)
        tasklet.sleep(0.02)
        assert.is_false(t:has_finished())
        tasklet.send(t, "name", 3)
        assert.same({1, 2, 3}, values(tasklet.join(t, 20)))
    end))

    it("5.5 never gives an empty list", within(function()
        local t = tasklet.run(function()
            return tasklet.receive_batch(10, 0.02)()
        end)
        tasklet.send(t, "name", 1)
        assert.equal(1, t.mailbox:popleft(0).value) -- somebody else takes it
        tasklet.sleep(0.04)
        assert.is_false(t:has_finished())
        tasklet.send(t, "name", 2)
        assert.same({2}, values(tasklet.join(t, 20)))
    end))

    it("5.5 takes nothing out while it waits for more", within(function()
        local t = tasklet.run(function()
            local next_list = tasklet.receive_batch(3)
            local _, err = pcall(next_list)
            tasklet.survive()
            return tasklet.TaskletExit:is(err), #tasklet.current().mailbox, next_list()
        end)
        tasklet.send(t, "name", 1)
        tasklet.send(t, "name", 2)
        assert.equal(2, #t.mailbox)
        t:kill()
        tasklet.send(t, "name", 3)
        local exit, count, list = tasklet.join(t, 20)
        assert.same({true, 2, {1, 2, 3}}, {exit, count, values(list)})
    end))

    it("6.6 the tasklet's deadline ends a list that was begun, then raises", within(function()
        local t = tasklet.run(function()
            tasklet.current().timeout = 0.03
            local next_list = tasklet.receive_batch(3)
            local list = next_list()
            local _, err = pcall(next_list)
            return list, tasklet.TimeoutError:is(err)
        end)
        tasklet.send(t, "name", 1)
        local list, late = tasklet.join(t, 20)
        assert.same({{1}, true}, {values(list), late})
    end))

    it("3.9 waits inside a generator", within(function()
        local t = tasklet.run(function()
            local flat = coroutine.wrap(function()
                for list in tasklet.receive_batch(2) do
                    for _, message in ipairs(list) do
                        coroutine.yield(message.value)
                    end
                end
            end)
            return {flat(), flat(), flat(), flat()}
        end)
        for i = 1, 4 do
            tasklet.send(t, "name", i)
        end
        assert.same({1, 2, 3, 4}, tasklet.join(t))
    end))

    for text, message in pairs {
        ["tasklet.receive_batch()"] = "#1 .*number expected, got no value",
        ["tasklet.receive_batch({})"] = "#1 .*number expected, got table",
        ["tasklet.receive_batch(0)"] = "#1 .*at least 1",
        ["tasklet.receive_batch(-1)"] = "#1 .*at least 1",
        ["tasklet.receive_batch(1.5)"] = "#1 .*integer",
        ["tasklet.receive_batch(1, {})"] = "#2 .*number expected, got table",
        ["tasklet.receive_batch(1, 0/0)"] = "#2 .*not a number",
    } do
        it("1.4 names the caller's line: " .. text, function()
            local err = failure(assert(load("local tasklet = ...\n" .. text, "=there")), tasklet)
            assert.matches("^there:2: bad argument " .. message, err)
        end)
    end
end)

describe("popleft", function()
    --- A tasklet that does nothing but own a mailbox, and takers that wait on it, in order.
    local function crowd(count, owner)
        owner = owner or tasklet.run(function() tasklet.sleep(60) end)
        local got, takers = {}, {}
        for i = 1, count do
            takers[i] = tasklet.run(function()
                local message = owner.mailbox:popleft()
                got[#got + 1] = i .. " took " .. message.name
            end)
        end
        return owner, takers, got
    end

    it("5.3 serves those who wait in order", within(function()
        local owner, _, got = crowd(3)
        for _, name in ipairs{"a", "b", "c"} do
            tasklet.send(owner, name)
        end
        assert.same({"1 took a", "2 took b", "3 took c"}, got)
        owner:kill()
    end))

    it("5.3 gives nothing to one that was killed while it waited", within(function()
        local owner, takers, got = crowd(3)
        takers[2]:kill()
        tasklet.send(owner, "a")
        tasklet.send(owner, "b")
        assert.same({"1 took a", "3 took b"}, got)
        owner:kill()
    end))

    it("5.3 passes on what one was woken for that was killed before it ran", within(function()
        local watched = tasklet.run(function() tasklet.sleep(60) end)
        local takers, got
        -- The end of `watched` wakes both at once: the killer, and behind it the first taker.
        local killer = tasklet.run(function()
            watched:monitor()
            tasklet.wait(tasklet.WaitForMessages{accept = "down"})
            takers[1]:kill()
        end)
        local owner = tasklet.run(function()
            watched:monitor()
            tasklet.sleep(60)
        end)
        owner, takers, got = crowd(2, owner)
        watched:kill()
        tasklet.join(killer, 20)
        tasklet.join(takers[2], 20)
        assert.is_true(takers[1]:has_finished())
        assert.same({"2 took down"}, got)
        owner:kill()
    end))

    it("5.3 what a killed one was woken for is the first again", within(function()
        local watched = tasklet.run(function() tasklet.sleep(60) end)
        local taker
        local killer = tasklet.run(function()
            watched:monitor()
            tasklet.wait(tasklet.WaitForMessages{accept = "down"})
            taker:kill()
        end)
        local owner = tasklet.run(function()
            watched:monitor()
            tasklet.sleep(60)
        end)
        taker = tasklet.run(function() owner.mailbox:popleft() end)
        watched:kill()
        tasklet.send(owner, "later")
        assert.is_true(killer:has_finished())
        assert.equal("down", owner.mailbox:popleft(0).name)
        assert.equal("later", owner.mailbox:popleft(0).name)
        owner:kill()
    end))

    it("5.3 raises when the mailbox goes with its tasklet", within(function()
        local owner = tasklet.run(function() tasklet.sleep(60) end)
        local box = owner.mailbox
        local taker = tasklet.run(function() return select(2, pcall(box.popleft, box, 30)) end)
        owner:kill()
        local err = tasklet.join(taker, 20)
        assert.is_true(tasklet.TaskletError:is(err))
        assert.matches("finished", tostring(err))
    end))

    it("6.6 takes the tasklet's own deadline where it has no timeout", within(function()
        local me = tasklet.current()
        me.timeout = 0.01
        local err = failure(me.mailbox.popleft, me.mailbox)
        assert.is_true(tasklet.TimeoutError:is(err))
        me.timeout = nil
    end))

    it("3.8 does not starve timers when messages never end", within(function()
        local late = false
        local t = tasklet.run(function()
            local me = tasklet.current()
            local box = me.mailbox
            for _ = 1, ENDLESS do
                tasklet.send(me, "name")
                box:popleft()
                if late then
                    break
                end
            end
            return late
        end)
        tasklet.sleep(0)
        late = true
        assert.is_true((tasklet.join(t)))
    end))
end)
