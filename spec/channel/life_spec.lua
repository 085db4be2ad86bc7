-- Collecting channels, and ending with tasklets that stand on them (contract 2.5, 7.4, 8.3).
local tasklet = require "tasklet"
local util = require "spec.channel.util"
local helper = require "spec.helper"

local within, start = util.within, util.start
local WaitForChannel = tasklet.WaitForChannel

--- Weak keys go a cycle after their finalizers.
local function collect()
    for _ = 1, 4 do
        collectgarbage()
    end
end

local function weak_table()
    return setmetatable({}, {__mode = "k"})
end

describe("a channel", function()
    it("7.4 that nobody refers to is collected", within(function()
        local weak = weak_table()
        local function use()
            local ch = tasklet.channel()
            weak[ch] = true
            local t = start("t", function() return ch:receive() end)
            ch:send("value")
            tasklet.join(t)
            weak[WaitForChannel(ch, "send", ch)] = true -- a cycle
            t = start("t", function()
                local c = WaitForChannel(ch, "receive")
                weak[c] = true
                tasklet.wait(c)
            end)
            ch:send(ch)
            tasklet.join(t)
            t = start("t", function() ch:receive() end)
            t:kill()
            pcall(ch.receive, ch, 0)
        end
        tasklet.join(tasklet.run(use))
        collect()
        assert.is_nil((next(weak)))
    end))

    it("2.5 that only those who stand on it refer to is kept, and they, too", within(function()
        local weak = weak_table()
        local all = setmetatable({}, {__mode = "v"})
        local function make()
            local ch = tasklet.channel()
            weak[ch] = true
            all[1] = start("a", function() return ch:receive() end)
            all[2] = start("b", function()
                return tasklet.wait(WaitForChannel(ch, "receive")).value
            end)
            all[3] = start("c", function()
                return coroutine.wrap(function() return ch:receive() end)()
            end)
        end
        make()
        collect()
        local ch = next(weak)
        assert.equal(-3, ch.balance)
        assert.equal("a b c", util.line(ch))
        for i = 1, 3 do
            ch:send(i)
        end
        assert.same({1, 2, 3}, {tasklet.join(all[1]), tasklet.join(all[2]), tasklet.join(all[3])})
    end))

    it("7.4 keeps what is offered on it until it is taken, and no longer", within(function()
        local weak, ch = weak_table(), tasklet.channel()
        local function value()
            local list = {}
            weak[list] = true
            return list
        end
        local all = {
            start("a", function() ch:send(value()) end),
            start("b", function() tasklet.wait(WaitForChannel(ch, "send", value())) end),
            start("c", function() ch:send_exception(value()) end),
        }
        collect()
        local count = 0
        for _ in pairs(weak) do
            count = count + 1
        end
        assert.equal(3, count)
        assert.equal("table", type(ch:receive()))
        assert.equal("table", type(ch:receive()))
        assert.is_false((pcall(ch.receive, ch)))
        util.join_each(all)
        all[1], all[2], all[3] = nil, nil, nil
        collect()
        assert.is_nil((next(weak)))
    end))

    it("7.4 keeps nothing of what was offered by one that was killed", within(function()
        local weak, ch = weak_table(), tasklet.channel()
        local function offer(f)
            local t = start("t", function()
                local list = {}
                weak[list] = true
                f(list)
            end)
            t:kill()
        end
        offer(function(list) ch:send(list) end)
        offer(function(list) tasklet.wait(WaitForChannel(ch, "send", list)) end)
        collect()
        assert.is_nil((next(weak)))
        assert.equal(0, ch.balance)
    end))

    it("7.4 whose values are collected while they pass: nothing is lost", within(function()
        local ch, sum = tasklet.channel(), 0
        local r = start("r", function()
            for list in ch do
                collectgarbage("step")
                sum = sum + list[1]
            end
        end)
        for i = 1, 1000 do
            collectgarbage("step")
            ch:send{i}
        end
        ch:close()
        tasklet.join(r)
        assert.equal(500500, sum)
    end))

    it("7.4 may be used by a finalizer", within(function()
        local ch = tasklet.channel()
        local r = start("r", function() return ch:receive() end)
        do
            local _ = setmetatable({}, {__gc = function() ch:send("collected") end})
        end
        while not r:has_finished() do
            collectgarbage()
            tasklet.yield_()
        end
        assert.equal("collected", tasklet.join(r))
    end))
end)

-- Tasklets that stand on a channel in every way, each with a <close> variable.
local stand = [[
    local tasklet = require "tasklet"
    local ch, other = tasklet.channel(), tasklet.channel()
    local closed = 0
    local function closing()
        return setmetatable({}, {__close = function()
            closed = closed + 1
            if not tasklet.current() then -- the program is over
                other:close()
                assert(other.closing and ch.balance >= 0 and tostring(ch))
                assert(not pcall(ch.send, ch, "too late"))
                assert(not pcall(ch.receive, ch))
            end
        end})
    end
    local function body(f)
        tasklet.run(function()
            local _ <close> = closing()
            f()
        end)
    end
    for _ = 1, 3 do
        body(function() ch:send{} end)
        body(function() ch:send({}, 600) end)
        body(function() ch:send_exception {} end)
        body(function() ch:send_sequence{1, 2} end)
        body(function() tasklet.wait(tasklet.WaitForChannel(ch, "send", {})) end)
        body(function() coroutine.wrap(function() ch:send(1) end)() end)
        body(function() other:receive() end)
        body(function() other:receive(600) end)
        body(function() for _ in other do error "received" end end)
        body(function()
            tasklet.wait(tasklet.WaitForChannel(other, "receive"), tasklet.WaitForTimeout(60000),
                tasklet.WaitForChannel(ch, "send"))
        end)
        body(function()
            coroutine.yield(tasklet.WaitForChannel(other, "receive"))
        end)
    end
    assert(ch.balance == 21 and other.balance == -15)
    -- Some have been met, and have not gone on.
    other.preference = 0
    other:send(1)
    ch:receive()
    io.stdout:setvbuf "no"
    print "standing"
]]

describe("a program that ends with tasklets on channels", function()
    for _, case in ipairs{
        {"at its end in plain Lua", "", {"plain"}},
        {"by os.exit(0, true)", "os.exit(0, true)", {"plain", "run_file"}},
        {"by os.exit(0)", "os.exit(0)", {"run_file"}},
        {"by os.exit inside a tasklet", [[
            tasklet.run(function()
                tasklet.sleep(0.001)
                os.exit(0, true)
            end)
            tasklet.mainloop.run()
        ]], {"plain", "run_file"}},
        {"by mainloop.quit", [[
            tasklet.run(function()
                tasklet.sleep(0.001)
                tasklet.mainloop.quit(0)
            end)
            tasklet.mainloop.run()
        ]], {"plain", "run_file"}},
    } do
        it("7.4 closes them all: " .. case[1], function()
            for _, way in ipairs(case[3]) do
                local result = helper[way](stand .. case[2])
                assert.equal("", result.stderr)
                assert.equal("standing\n", result.stdout)
                assert.equal(0, result.status)
            end
        end)
    end

    it("8.3 by a signal kills them where they stand", function()
        local result = helper.run_file(stand .. [[
            tasklet.run(function()
                local _ <close> = setmetatable({}, {__close = function()
                    tasklet.shield(tasklet.yield_)
                    print(closed, ch.balance, other.balance)
                end})
                print "ready"
                tasklet.channel():receive()
            end)
            tasklet.sleep(600)
        ]], {real_time = true, after = "ready", signal = "TERM"})
        assert.equal("", result.stderr)
        assert.equal("standing\nready\n33\t0\t0\n", result.stdout)
        assert.equal(143, result.status)
    end)

    it("8.1 a channel that outlives the host can be looked at and closed, no more", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local ch = tasklet.channel()
            tasklet.run(function() ch:receive() end)
            KEPT = setmetatable({}, {__gc = function()
                print(select(2, pcall(ch.send, ch, 1)))
                print(select(2, pcall(ch.receive, ch)))
                print(ch.balance, ch.queue, ch.closed, tostring(ch):match("^channel"))
                ch:close()
                print(ch.closed)
                ch:open()
                print(ch.closed)
            end})
            os.exit(0, true)
        ]]
        assert.equal("", result.stderr)
        assert.equal("the tasklet host is closed\nthe tasklet host is closed\n"
            .. "0\tnil\tfalse\tchannel\ntrue\nfalse\n", result.stdout)
        assert.equal(0, result.status)
    end)
end)
