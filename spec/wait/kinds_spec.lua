-- What holds for every kind of wait condition (contract 3.6, 3.7, 4 and 4.6). A kind is a row of
-- the table below; the rest of the file drives each row through arm, fire, disarm, arm again, kill
-- while armed, collect while armed, and closing while armed.
local helper = require "spec.helper"
local tasklet = require "tasklet"
local lfs = require "lfs"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout

-- A row:
--   name    of the kind
--   source  Lua text that makes one. `tasklet` and `uv` are at hand. It returns
--             condition  the condition
--             fire       function(t, condition) that makes it fire from outside, `t` being its
--                        tasklet. It must not keep the condition. nil: it fires by itself
--             says       words that its tostring must have
--             finish     function that puts everything away, nil: nothing to do. Called last, with
--                        whether fire was called
--   stays   having fired once, it fires at each yield from then on
--   keeps   what fires it while it is not armed is not lost
--   message its event is the Message
local rows = {
    {
        name = "WaitForTimeout",
        source = [[
            return tasklet.WaitForTimeout(7), nil, { "WaitForTimeout", "7" }
        ]],
    },
    {
        name = "WaitForIdle",
        source = [[
            return tasklet.WaitForIdle(), nil, { "WaitForIdle" }
        ]],
    },
    {
        name = "WaitForIO",
        stays = true,
        keeps = true,
        source = [[
            local pipe = uv.pipe()
            local function fire() uv.fs_write(pipe.write, "x") end
            local function finish()
                uv.fs_close(pipe.read)
                uv.fs_close(pipe.write)
            end
            return tasklet.WaitForIO(pipe.read), fire,
                { "WaitForIO", tostring(pipe.read) }, finish
        ]],
    },
    {
        name = "readable",
        stays = true,
        keeps = true,
        source = [[
            local a, b = tasklet.net.pair()
            local function fire() b:write("x") b:flush() end
            return a:readable(), fire, { "readable", "unix" }, function() a:close() b:close() end
        ]],
    },
    {
        name = "readable when it is closed",
        stays = true,
        keeps = true,
        source = [[
            local a, b = tasklet.net.pair()
            return a:readable(), function() a:close() end, { "readable", "unix" },
                function() a:close() b:close() end
        ]],
    },
    {
        name = "writable",
        stays = true,
        keeps = true,
        source = [[
            local a, b = tasklet.net.pair()
            local t = tasklet.run(function() a:write(("x"):rep(1000000)) end)
            local reader
            local function fire()
                reader = tasklet.run(function() b:read(1000000) end)
            end
            return a:writable(), fire, { "writable", "unix" }, function()
                a:close()
                b:close()
                t:kill()
            end
        ]],
    },
    {
        name = "WaitForProcess",
        stays = true,
        keeps = true,
        source = [[
            local pipe = uv.pipe()
            local done = tasklet.WaitForCall()
            local handle, pid
            handle, pid = uv.spawn("cat", { stdio = { pipe.read } }, function()
                handle:close()
                done()
            end)
            -- The end of its input ends the child, and so does the end of this process.
            local function fire() uv.fs_close(pipe.write) end
            local function finish(fired)
                if not fired then
                    fire()
                end
                tasklet.wait(done)
                uv.fs_close(pipe.read)
            end
            return tasklet.WaitForProcess(pid), fire,
                { "WaitForProcess", tostring(pid) }, finish
        ]],
    },
    {
        name = "WaitForTasklet",
        stays = true,
        keeps = true,
        source = [[
            local gate = tasklet.WaitForCall()
            local target = tasklet.run(function() tasklet.wait(gate) end)
            local function fire() gate() end
            return tasklet.WaitForTasklet(target), fire,
                { "WaitForTasklet", target.name },
                function() target:kill() end
        ]],
    },
    {
        name = "WaitForSignal",
        source = [[
            local emitter = tasklet.Emitter { "the_signal" }
            local function fire() emitter:emit("the_signal") end
            return tasklet.WaitForSignal(emitter, "the_signal"), fire,
                { "WaitForSignal", "the_signal" }
        ]],
    },
    {
        name = "WaitForSignal of a class",
        source = [[
            local Class = tasklet.Emitter:subclass("Class", { "the_signal" })
            local object = Class()
            local function fire() object:emit("the_signal") end
            return tasklet.WaitForSignal(Class, "the_signal"), fire,
                { "WaitForSignal", "the_signal" }
        ]],
    },
    {
        name = "WaitForSignal of the operating system's",
        source = [[
            local function fire() assert(uv.kill(uv.os_getpid(), "sigwinch")) end
            return tasklet.WaitForSignal(tasklet.signals, "SIGWINCH"), fire,
                { "WaitForSignal", "SIGWINCH" }
        ]],
    },
    {
        name = "WaitForCall",
        keeps = true,
        source = [[
            local function fire(_, condition) condition(42) end
            return tasklet.WaitForCall(), fire, { "WaitForCall" }
        ]],
    },
    {
        name = "WaitForMessages",
        keeps = true,
        message = true,
        source = [[
            local function fire(t) tasklet.send(t, "the_message", 42) end
            return tasklet.WaitForMessages { accept = "the_message" }, fire,
                { "WaitForMessages", "the_message" }
        ]],
    },
    {
        name = "WaitForChannel to receive",
        keeps = true,
        source = [[
            local ch, all = tasklet.channel(), {}
            -- By a tasklet of its own, which waits if nobody receives.
            local function fire()
                all[#all + 1] = tasklet.run(function() ch:send("value") end)
            end
            local function finish()
                for _, t in ipairs(all) do
                    t:kill()
                end
            end
            return tasklet.WaitForChannel(ch, "receive"), fire,
                { "WaitForChannel", "receive" }, finish
        ]],
    },
    {
        name = "WaitForChannel to send",
        keeps = true,
        source = [[
            local ch, all = tasklet.channel(), {}
            local function fire()
                all[#all + 1] = tasklet.run(function() assert(ch:receive() == "value") end)
            end
            local function finish()
                for _, t in ipairs(all) do
                    t:kill()
                end
            end
            return tasklet.WaitForChannel(ch, "send", "value"), fire,
                { "WaitForChannel", "send" }, finish
        ]],
    },
    {
        name = "a WaitCondition of one's own",
        source = [[
            local Own = tasklet.WaitCondition:subclass("Own")
            function Own:arm(t) self.owner = t end
            function Own:disarm() self.owner = nil end
            local function fire(_, condition)
                if condition.owner then
                    condition.owner:wait_condition_fired(condition)
                end
            end
            return Own(), fire, { "Own" }
        ]],
    },
}

local prelude = "local tasklet, uv = require 'tasklet', require 'luv'\n"

-- A condition of that kind, as `source` says.
local function make(row)
    return assert(load(prelude .. row.source, "=" .. row.name))()
end

-- The same, as an object: c.condition, c:fire(t), c:finish().
local function new(row)
    local condition, fire, says, finish = make(row)
    local c = { condition = condition, says = says, fired = false }
    function c:fire(t)
        -- A descriptor, a child, a tasklet that has fired is ready for good.
        if fire and not (row.stays and self.fired) then
            self.fired = true
            fire(t, condition)
        end
    end
    function c:finish()
        if finish then
            finish(self.fired)
        end
    end
    -- Whether `event` is what the condition gives.
    function c.given(_, event)
        if row.message then
            return event.name == "the_message"
        end
        return rawequal(event, condition)
    end
    return c
end

local function within(body)
    return function() helper.within_loop(body) end
end

-- Lets the loop do whatever is to be done, longer than the row's timeout.
local function settle()
    tasklet.sleep(0.012)
    tasklet.yield_()
end

-- Collects all garbage: weak keys go a cycle after their finalizers.
local function collect()
    for _ = 1, 4 do
        collectgarbage()
    end
end

-- How many descriptors this process has open.
local function descriptors()
    local count = 0
    for _ in lfs.dir("/proc/self/fd") do
        count = count + 1
    end
    return count
end

for _, row in ipairs(rows) do
    describe(row.name, function()
        it("4 fires when armed", within(function()
            local c = new(row)
            local t = tasklet.run(function()
                return c:given(tasklet.wait(c.condition))
            end)
            assert.is_false(t:has_finished())
            c:fire(t)
            assert.is_true(tasklet.join(t, 30))
            c:finish()
        end))

        it("4 fires among others, first and last in the wait list", within(function()
            for _, first in ipairs { true, false } do
                local c = new(row)
                local t = tasklet.run(function()
                    local never, call = WaitForTimeout(60000), WaitForCall()
                    if first then
                        return c:given(tasklet.wait(c.condition, never, call))
                    end
                    return c:given(tasklet.wait { call, never, c.condition })
                end)
                c:fire(t)
                assert.is_true(tasklet.join(t, 30))
                c:finish()
            end
        end))

        it("3.6 fires again when it is yielded again", within(function()
            local c, count = new(row), 0
            local t = tasklet.run(function()
                for _ = 1, 3 do
                    assert(c:given(tasklet.wait(c.condition, WaitForTimeout(60000))))
                    count = count + 1
                end
            end)
            for i = 1, 3 do
                c:fire(t)
                local limit = tasklet.mainloop.now() + 20000
                while count < i do
                    assert(tasklet.mainloop.now() < limit)
                    tasklet.sleep(0.001)
                end
            end
            tasklet.join(t, 30)
            c:finish()
        end))

        it("3.6 disarmed, wakes nobody when it would fire", within(function()
            local c, call, trace = new(row), WaitForCall(), {}
            local t = tasklet.run(function()
                local again = WaitForCall()
                trace[1] = tasklet.wait(c.condition, call, again) == call
                trace[2] = tasklet.wait(again, call) == call
            end)
            call()
            assert.same({ true }, trace)
            c:fire(t)
            settle()
            assert.same({ true }, trace)
            call()
            tasklet.join(t, 30)
            assert.same({ true, true }, trace)
            c:finish()
        end))

        it("3.6 armed again after it was left out, fires again", within(function()
            local c, call, trace = new(row), WaitForCall(), {}
            local t = tasklet.run(function()
                trace[1] = tasklet.wait(c.condition, call) == call
                trace[2] = tasklet.wait(call) == call
                trace[3] = c:given(tasklet.wait(c.condition))
            end)
            call()
            c:fire(t)
            settle()
            call()
            if not row.keeps then
                c:fire(t)
            end
            tasklet.join(t, 30)
            assert.same({ true, true, true }, trace)
            c:finish()
        end))

        it("3.7 fired while its tasklet is busy, is delivered at the next yield", within(function()
            local c, call = new(row), WaitForCall()
            local t = tasklet.run(function()
                assert(tasklet.wait(c.condition, call) == call)
                tasklet.sleep(0.02)
                return c:given(tasklet.wait(c.condition, WaitForTimeout(5000)))
            end)
            call()
            c:fire(t)
            assert.is_true(tasklet.join(t, 30))
            c:finish()
        end))

        it("3.7 fired while its tasklet is busy, is forgotten if left out", within(function()
            local c, call, trace = new(row), WaitForCall(), {}
            local t = tasklet.run(function()
                assert(tasklet.wait(c.condition, call) == call)
                tasklet.sleep(0.02)
                trace[1] = tasklet.wait(call) == call
                local soon = WaitForTimeout(2)
                trace[2] = tasklet.wait(soon) == soon
            end)
            call()
            c:fire(t)
            tasklet.sleep(0.03)
            call()
            tasklet.join(t, 30)
            assert.same({ true, true }, trace)
            c:finish()
        end))

        it("6.4 killed while armed, is disarmed and free for another tasklet", within(function()
            local c = new(row)
            local victim = tasklet.run(function()
                tasklet.wait(c.condition, WaitForTimeout(60000))
            end)
            victim:kill()
            assert.is_true(victim:has_finished())
            local other = tasklet.run(function()
                return c:given(tasklet.wait(c.condition))
            end)
            c:fire(other)
            assert.is_true(tasklet.join(other, 30))
            c:finish()
        end))

        it("6.4 killed while armed, wakes nobody when it would fire", within(function()
            local c, seen = new(row), nil
            local victim = tasklet.run(function()
                local ok, err = pcall(tasklet.wait, c.condition)
                seen = not ok and tasklet.TaskletExit:is(err)
                error(err, 0)
            end)
            victim:kill()
            assert.is_true(seen)
            -- A message to a finished tasklet raises in its sender.
            assert.equal(not row.message, (pcall(c.fire, c, victim)))
            settle()
            assert.is_true(victim:has_finished())
            c:finish()
        end))

        it("3.6 its tasklet failing while it is armed, is free for another one", within(function()
            local c, call = new(row), WaitForCall()
            local failing = tasklet.run(function()
                tasklet.wait(call, c.condition)
                error("on purpose", 0)
            end)
            call()
            assert.is_false((pcall(tasklet.join, failing, 5)))
            local other = tasklet.run(function()
                return c:given(tasklet.wait(c.condition))
            end)
            c:fire(other)
            assert.is_true(tasklet.join(other, 30))
            c:finish()
        end))

        it("3.7 held by a tasklet, raises in another one", within(function()
            local c = new(row)
            local holder = tasklet.run(function()
                return c:given(tasklet.wait(c.condition))
            end)
            local ok, err = pcall(function() tasklet.wait(WaitForTimeout(60000), c.condition) end)
            assert.is_false(ok)
            assert.is_true(tasklet.TaskletError:is(err), tostring(err))
            assert.truthy(tostring(err):find("kinds_spec.lua:%d+:"), tostring(err))
            assert.is_false(holder:has_finished())
            c:fire(holder)
            assert.is_true(tasklet.join(holder, 30))
            c:finish()
        end))

        it("2.5 needs no reference while it is armed, and leaves nothing behind", within(function()
            local weak, c = setmetatable({}, { __mode = "k" }), {}
            local function noted()
                local condition
                condition, c.fire, c.says, c.finish = make(row)
                weak[condition] = true
                return condition
            end
            local t = tasklet.run(function()
                coroutine.yield((noted()))
                tasklet.get_event()
                return true
            end)
            collect()
            assert.is_false(t:has_finished())
            local function fire()
                local condition = next(weak)
                assert.is_not_nil(condition)
                if c.fire then
                    c.fire(t, condition)
                end
            end
            fire()
            assert.is_true(tasklet.join(t, 30))
            if c.finish then
                c.finish(true)
            end
            collect()
            assert.is_nil((next(weak)))
        end))

        it("3.6 dropped while armed and its tasklet runs, is collected once disarmed",
            within(function()
                local weak = setmetatable({}, { __mode = "k" })
                local call, trace, finish = WaitForCall(), {}, nil
                local function dropped()
                    local condition, _, _, f = make(row)
                    weak[condition] = true
                    finish = f
                    return condition
                end
                local t = tasklet.run(function()
                    trace[1] = tasklet.wait(call, dropped()) == call
                    collect()
                    tasklet.run(collect)
                    trace[2] = tasklet.wait(call) == call
                end)
                call()
                settle()
                assert.same({ true }, trace)
                call()
                tasklet.join(t, 30)
                assert.same({ true, true }, trace)
                if finish then
                    finish(false)
                end
                collect()
                assert.is_nil((next(weak)))
            end))

        it("3.6 never armed, is collected", within(function()
            local weak = setmetatable({}, { __mode = "k" })
            local function never_armed()
                local condition, _, _, finish = make(row)
                weak[condition] = true
                if finish then
                    finish(false)
                end
            end
            for _ = 1, 3 do
                never_armed()
            end
            collect()
            assert.is_nil((next(weak)))
        end))

        it("3.6 armed and disarmed many times, costs no descriptor", within(function()
            local c, call = new(row), WaitForCall()
            local function times(count)
                local t = tasklet.run(function()
                    for _ = 1, count do
                        assert(tasklet.wait(c.condition, call) == call)
                        tasklet.wait(call)
                    end
                end)
                for _ = 1, 2 * count do
                    call()
                end
                tasklet.join(t, 30)
            end
            times(1)
            local before = descriptors()
            times(300)
            -- Everything that a turn of the loop may still have to close.
            settle()
            assert.is_true(descriptors() <= before)
            c:finish()
        end))

        it("4.6 has `triggered` while its tasklet handles it", within(function()
            local c, trace = new(row), {}
            local call = WaitForCall()
            local function note()
                trace[#trace + 1] = c.condition.triggered
            end
            note()
            local t = tasklet.run(function()
                tasklet.wait(c.condition, call)
                note()
                tasklet.wait(c.condition)
                note()
                tasklet.wait(call)
            end)
            note()
            call()
            note()
            c:fire(t)
            local limit = tasklet.mainloop.now() + 20000
            while #trace < 5 and tasklet.mainloop.now() < limit do
                tasklet.sleep(0.001)
            end
            note()
            call()
            tasklet.join(t, 30)
            note()
            assert.same({ false, false, false, false, true, false, false }, trace)
            c:finish()
        end))

        it("4.6 has a tostring that says what it waits for", within(function()
            local c = new(row)
            local function assert_says()
                local text = tostring(c.condition)
                for _, word in ipairs(c.says) do
                    assert.truthy(text:find(word, 1, true), word .. " is not in: " .. text)
                end
            end
            assert_says()
            local t = tasklet.run(function() tasklet.wait(c.condition) end)
            assert_says()
            t:kill()
            assert_says()
            c:finish()
        end))

        it("8.1 armed while the loop is quit, harms nothing", function()
            local script = prelude .. "local function make()\n" .. row.source .. "\nend\n" .. [[
                local condition = make()
                tasklet.run(function()
                    while true do
                        tasklet.wait(condition, tasklet.WaitForTimeout(60000))
                    end
                end)
                tasklet.run(function()
                    tasklet.sleep(0) -- it is armed now
                    tasklet.mainloop.quit(7)
                end)
                print(tasklet.mainloop.run())
            ]]
            for _, case in ipairs { { helper.plain, 0 }, { helper.run_file, 7 } } do
                local result = case[1](script)
                assert.equal("", result.stderr)
                assert.equal("7\n", result.stdout)
                assert.equal(case[2], result.status)
            end
        end)

        it("4 armed at lua_close, harms nothing", function()
            local script = prelude .. "local function make()\n" .. row.source .. "\nend\n" .. [[
                local condition = make()
                tasklet.run(function()
                    local _ <close> = setmetatable({}, { __close = function() end })
                    tasklet.wait(condition)
                end)
                io.write("armed\n")
            ]]
            local exits = script .. "os.exit(0, true)\n"
            for _, case in ipairs {
                { helper.plain, script }, -- it just ends
                { helper.plain, exits },
                { helper.run_file, exits },
            } do
                local result = case[1](case[2])
                assert.equal("", result.stderr)
                assert.equal("armed\n", result.stdout)
                assert.equal(0, result.status)
            end
        end)
    end)
end

describe("all kinds at once", function()
    -- Defines `armed`: one of each kind in one tasklet, and each in a tasklet of its own.
    local function all_armed()
        local parts = { prelude, "local makers = {}\n" }
        for i, row in ipairs(rows) do
            parts[#parts + 1] = ("makers[%d] = function()\n%s\nend\n"):format(i, row.source)
        end
        parts[#parts + 1] = [[
            local function armed()
                local list = {}
                for i, make in ipairs(makers) do
                    list[i] = make()
                    tasklet.run(function() tasklet.wait((make())) end)
                end
                tasklet.run(function() tasklet.wait(list) end)
                io.write("armed\n")
            end
        ]]
        return table.concat(parts)
    end

    for _, case in ipairs {
        { "at the end of the script", "armed()\n", { "plain" }, "armed\n" },
        { "at os.exit", "armed() os.exit(0, true)\n", { "plain", "run_file" }, "armed\n" },
        { "at os.exit after a turn of the loop", [[
            tasklet.run(function()
                armed()
                tasklet.sleep(0.02)
                tasklet.mainloop.quit(0)
            end)
            tasklet.mainloop.run()
            os.exit(0, true)
        ]], { "plain", "run_file" }, "armed\n" },
        { "at os.exit inside a tasklet", [[
            tasklet.run(function()
                armed()
                tasklet.sleep(0.02)
                os.exit(0, true)
            end)
            tasklet.mainloop.run()
        ]], { "run_file" }, "armed\n" },
    } do
        it("4 armed " .. case[1], function()
            for _, way in ipairs(case[3]) do
                local result = helper[way](all_armed() .. case[2])
                assert.equal("", result.stderr)
                assert.equal(case[4], result.stdout)
                assert.equal(0, result.status)
            end
        end)
    end

    it("3.1 in one wait list: whichever fires is the event", within(function()
        -- All that do not fire by themselves.
        local function waits(row)
            return row.name ~= "WaitForIdle" and row.name ~= "WaitForTimeout"
        end
        for _, chosen in ipairs(rows) do
            local all, list, firing = {}, {}, nil
            for _, row in ipairs(rows) do
                if waits(row) then
                    local c = new(row)
                    all[#all + 1] = c
                    list[#list + 1] = c.condition
                    firing = row == chosen and c or firing
                end
            end
            if firing then
                local t = tasklet.run(function()
                    return firing:given(tasklet.wait(list))
                end)
                firing:fire(t)
                assert.is_true(tasklet.join(t, 30), chosen.name)
            end
            for _, c in ipairs(all) do
                c:finish()
            end
        end
    end))
end)
