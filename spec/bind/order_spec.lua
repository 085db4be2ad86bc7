-- Who runs when (contract 3.8).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local uv = require "luv"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForSignal, WaitForIO = tasklet.WaitForSignal, tasklet.WaitForIO
local WaitForIdle, WaitForMessages = tasklet.WaitForIdle, tasklet.WaitForMessages

local function within(body)
    return function() helper.within_loop(body) end
end

local function join_each(list)
    for _, t in ipairs(list) do
        tasklet.join(t, 30)
    end
end

describe("what Lua code triggers is delivered at once:", function()
    it("3.8 run starts the tasklet up to its first wait, then the caller goes on", within(function()
        local trace = {}
        local t = tasklet.run(function()
            trace[#trace + 1] = "begun"
            tasklet.sleep(0)
            trace[#trace + 1] = "woken"
        end)
        trace[#trace + 1] = "caller"
        tasklet.join(t, 30)
        assert.same({ "begun", "caller", "woken" }, trace)
    end))

    it("3.8 a Message resumes its receiver up to its next wait, then the sender", within(function()
        local trace = {}
        local receiver = tasklet.run(function()
            local messages = WaitForMessages { accept = "m" }
            for _ = 1, 2 do
                table.insert(trace, "got " .. tasklet.wait(messages).value)
            end
        end)
        coroutine.yield(tasklet.Message("m", { dest = receiver, value = 1 }))
        trace[#trace + 1] = "sent 1"
        tasklet.send(receiver, "m", 2)
        trace[#trace + 1] = "sent 2"
        assert.same({ "got 1", "sent 1", "got 2", "sent 2" }, trace)
    end))

    it("3.8 calling a WaitForCall", within(function()
        local trace, call = {}, WaitForCall()
        local t = tasklet.run(function()
            for _ = 1, 2 do
                table.insert(trace, "called " .. tasklet.wait(call).args[1])
            end
        end)
        call(1)
        trace[#trace + 1] = "back 1"
        call(2)
        trace[#trace + 1] = "back 2"
        assert.same({ "called 1", "back 1", "called 2", "back 2" }, trace)
        assert.is_true(t:has_finished())
    end))

    it("3.8 emit, to each that waits, in order of arming", within(function()
        local trace, emitter = {}, tasklet.Emitter { "s" }
        for _, name in ipairs { "a", "b", "c" } do
            tasklet.run(function()
                tasklet.wait(WaitForSignal(emitter, "s"))
                trace[#trace + 1] = name
                tasklet.sleep(0)
                trace[#trace + 1] = name .. " later"
            end)
        end
        emitter:emit("s")
        trace[#trace + 1] = "emitted"
        assert.same({ "a", "b", "c", "emitted" }, trace)
        tasklet.sleep(0.005)
        assert.same({ "a", "b", "c", "emitted", "a later", "b later", "c later" }, trace)
    end))

    it("3.8 kill", within(function()
        local trace = {}
        local t = tasklet.run(function()
            local ok, err = pcall(tasklet.sleep, 60)
            trace[#trace + 1] = "killed"
            trace[#trace + 1] = ok
            error(err, 0)
        end)
        t:kill()
        trace[#trace + 1] = "killer"
        assert.same({ "killed", false, "killer" }, trace)
        assert.is_true(t:has_finished())
    end))

    it("3.8 wait_condition_fired of a condition written in Lua", within(function()
        local Own = tasklet.WaitCondition:subclass("Own")
        function Own:arm(t) self.owner = t end
        function Own.disarm() end
        local own, trace = Own(), {}
        local t = tasklet.run(function()
            tasklet.wait(own)
            trace[#trace + 1] = "woken"
        end)
        own.owner:wait_condition_fired(own)
        trace[#trace + 1] = "fired"
        assert.same({ "woken", "fired" }, trace)
        assert.is_true(t:has_finished())
    end))

    it("3.8 each in a chain, before the one that triggered it goes on", within(function()
        local trace = {}
        local a, b = WaitForCall(), WaitForCall()
        local emitter = tasklet.Emitter { "s" }
        tasklet.run(function()
            tasklet.wait(a)
            trace[#trace + 1] = "a"
            b()
            trace[#trace + 1] = "a goes on"
            tasklet.sleep(0)
            trace[#trace + 1] = "a later"
        end)
        tasklet.run(function()
            tasklet.wait(b)
            trace[#trace + 1] = "b"
            emitter:emit("s")
            trace[#trace + 1] = "b goes on"
        end)
        local last = tasklet.run(function()
            tasklet.wait(WaitForSignal(emitter, "s"))
            trace[#trace + 1] = "c"
            tasklet.run(function() trace[#trace + 1] = "d" end)
            trace[#trace + 1] = "c goes on"
        end)
        a()
        trace[#trace + 1] = "back"
        assert.same({ "a", "b", "c", "d", "c goes on", "b goes on", "a goes on", "back" }, trace)
        assert.is_true(last:has_finished())
        tasklet.sleep(0.005)
        assert.equal("a later", trace[#trace])
    end))

    it("3.8 from a luv callback, too", within(function()
        local trace, call, done = {}, WaitForCall(), WaitForCall()
        local timer = uv.new_timer()
        tasklet.run(function()
            tasklet.wait(call)
            trace[#trace + 1] = "woken"
        end)
        timer:start(0, 0, function()
            call()
            trace[#trace + 1] = "callback goes on"
            timer:close()
            done()
        end)
        tasklet.wait(done)
        assert.same({ "woken", "callback goes on" }, trace)
    end))
end)

describe("what the loop triggers is delivered from the loop:", function()
    it("3.8 a timeout of zero", within(function()
        local trace = {}
        local t = tasklet.run(function()
            tasklet.wait(WaitForTimeout(0))
            trace[#trace + 1] = "timeout"
        end)
        helper.compute(2)
        tasklet.run(function() end)
        trace[#trace + 1] = "busy"
        tasklet.join(t, 30)
        assert.same({ "busy", "timeout" }, trace)
    end))

    it("3.8 a join", within(function()
        local trace, gate = {}, WaitForCall()
        local target = tasklet.run(function() tasklet.wait(gate) end)
        local joiner = tasklet.run(function()
            tasklet.join(target)
            trace[#trace + 1] = "joined"
        end)
        local waiter = tasklet.run(function()
            tasklet.wait(target)
            trace[#trace + 1] = "waited"
        end)
        gate()
        assert.is_true(target:has_finished())
        trace[#trace + 1] = "ended"
        join_each { joiner, waiter }
        assert.same({ "ended", "joined", "waited" }, trace)
    end))

    it("3.8 readiness of a descriptor", within(function()
        local trace, pipe = {}, uv.pipe()
        local t = tasklet.run(function()
            tasklet.wait(WaitForIO(pipe.read))
            trace[#trace + 1] = "ready"
        end)
        uv.fs_write(pipe.write, "x")
        tasklet.run(function() end)
        trace[#trace + 1] = "written"
        tasklet.join(t, 30)
        assert.same({ "written", "ready" }, trace)
        uv.fs_close(pipe.read)
        uv.fs_close(pipe.write)
    end))
end)

describe("what is ready in one turn goes by priority:", function()
    it("3.8 the constants", function()
        assert.equal(-100, tasklet.PRIORITY_HIGH)
        assert.equal(0, tasklet.PRIORITY_DEFAULT)
        assert.equal(100, tasklet.PRIORITY_HIGH_IDLE)
        assert.equal(200, tasklet.PRIORITY_DEFAULT_IDLE)
        assert.equal(300, tasklet.PRIORITY_LOW)
    end)

    it("3.8 smaller first", within(function()
        local trace, all = {}, {}
        for _, priority in ipairs { 300, 0, 7, -100, 200, -101, 100, -1 } do
            all[#all + 1] = tasklet.run(function()
                tasklet.wait(WaitForTimeout(1, { priority = priority }))
                trace[#trace + 1] = priority
            end)
        end
        join_each(all)
        assert.same({ -101, -100, -1, 0, 7, 100, 200, 300 }, trace)
    end))

    it("3.8 first come, first served within one priority", within(function()
        local trace, all = {}, {}
        for i = 1, 20 do
            all[i] = tasklet.run(function()
                local priority = i % 2 == 0 and tasklet.PRIORITY_LOW or nil
                tasklet.wait(WaitForTimeout(1, { priority = priority }))
                trace[#trace + 1] = i
            end)
        end
        join_each(all)
        assert.same({ 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 },
            trace)
    end))

    it("3.8 the one due first comes first within one priority", within(function()
        local trace, all = {}, {}
        for _, ms in ipairs { 9, 3, 7, 1, 5 } do
            all[#all + 1] = tasklet.run(function()
                tasklet.wait(WaitForTimeout(ms))
                trace[#trace + 1] = ms
            end)
        end
        helper.compute(9)
        join_each(all)
        assert.same({ 1, 3, 5, 7, 9 }, trace)
    end))

    it("3.8 across kinds", within(function()
        local pipe = uv.pipe()
        uv.fs_write(pipe.write, "x")
        local function ready_together(io_priority, timeout_priority)
            local trace = {}
            local all = {
                tasklet.run(function()
                    tasklet.wait(WaitForIO(pipe.read, tasklet.IO_IN, { priority = io_priority }))
                    trace[#trace + 1] = "io"
                end),
                tasklet.run(function()
                    tasklet.wait(WaitForTimeout(1, { priority = timeout_priority }))
                    trace[#trace + 1] = "timeout"
                end),
            }
            helper.compute(1)
            join_each(all)
            return trace
        end
        assert.same({ "io", "timeout" }, ready_together(-100, 300))
        assert.same({ "timeout", "io" }, ready_together(300, -100))
        assert.same({ "io", "timeout" }, ready_together(-1, nil))
        assert.same({ "timeout", "io" }, ready_together(1, nil))
        uv.fs_close(pipe.read)
        uv.fs_close(pipe.write)
    end))

    it("3.8 of two conditions of one tasklet that are ready, the smaller first", within(function()
        local low = WaitForTimeout(1, { priority = tasklet.PRIORITY_LOW })
        local high = WaitForTimeout(2, { priority = tasklet.PRIORITY_HIGH })
        local go, trace = WaitForCall(), {}
        local t = tasklet.run(function()
            local names = { [low] = "low", [high] = "high", [go] = "go" }
            for i = 1, 2 do
                trace[i] = names[tasklet.wait(low, high, go)]
                if trace[i] == "high" then
                    high = go
                end
            end
        end)
        helper.compute(2)
        tasklet.join(t, 30)
        assert.same({ "high", "low" }, trace)
    end))
end)

describe("nothing starves:", function()
    -- Runs the tasklets made from `endless`, which go on while the argument function says so, until
    -- `body` is done. Each time they ask they have computed a little, so that time passes. A body
    -- that is not done when they have asked so often was starved.
    local function against(endless, body)
        local done, left = false, 100000
        local function going()
            helper.compute(0.005)
            left = left - 1
            return not done and left > 0
        end
        local all = {}
        for i, f in ipairs(endless) do
            all[i] = tasklet.run(f, going)
        end
        local t = tasklet.run(function()
            body()
            done = left > 0
        end)
        tasklet.join(t)
        assert.is_true(done, "starved")
        for _, other in ipairs(all) do
            tasklet.join(other)
        end
    end

    local function yielder(going)
        while going() do
            tasklet.yield_()
        end
    end

    local function idler(going)
        local idle = WaitForIdle { priority = tasklet.PRIORITY_HIGH }
        while going() do
            tasklet.wait(idle)
        end
    end

    local function timer(going)
        local timeout = WaitForTimeout(0, { priority = tasklet.PRIORITY_HIGH })
        while going() do
            tasklet.wait(timeout)
        end
    end

    local pipe
    local function reader(going)
        local ready = WaitForIO(pipe.read, tasklet.IO_IN, { priority = tasklet.PRIORITY_HIGH })
        while going() do
            tasklet.wait(ready)
        end
    end

    -- Two tasklets that send each other messages for ever.
    local function sender(going)
        local messages = WaitForMessages { accept = { "there", "back" } }
        local partner = tasklet.run(function()
            while true do
                local message = tasklet.wait(messages)
                coroutine.yield(tasklet.Message("back", { dest = message.sender }))
            end
        end)
        local back = WaitForMessages { accept = "back" }
        while going() do
            coroutine.yield(tasklet.Message("there", { dest = partner }))
            tasklet.wait(back)
        end
        partner:kill()
    end

    -- Each starts the next and ends.
    local function breeder(going)
        local link = WaitForCall()
        local function child()
            tasklet.yield_()
            if going() then
                tasklet.run(child)
            else
                link()
            end
        end
        tasklet.run(child)
        tasklet.wait(link)
    end

    local endless = {
        { "tasklets that yield_", { yielder, yielder } },
        { "tasklets that send each other messages", { sender } },
        { "tasklets that start others", { breeder } },
        { "timeouts of zero and high priority", { timer, timer } },
        { "descriptors always ready, of high priority", { reader } },
        { "all of these but messages", { yielder, breeder, timer, reader } },
    }

    before_each(function()
        pipe = uv.pipe()
        uv.fs_write(pipe.write, "x")
    end)

    after_each(function()
        uv.fs_close(pipe.read)
        uv.fs_close(pipe.write)
    end)

    for _, case in ipairs(endless) do
        it("3.8 timeouts of low priority beside " .. case[1], within(function()
            against(case[2], function()
                local timeout = WaitForTimeout(2, { priority = tasklet.PRIORITY_LOW })
                for _ = 1, 3 do
                    tasklet.wait(timeout)
                end
            end)
        end))

        it("3.8 descriptors of low priority beside " .. case[1], within(function()
            local own = uv.pipe()
            local low = { priority = tasklet.PRIORITY_LOW }
            against(case[2], function()
                local read = WaitForIO(own.read, tasklet.IO_IN, low)
                local writer = tasklet.run(function()
                    for _ = 1, 3 do
                        tasklet.wait(WaitForTimeout(1))
                        uv.fs_write(own.write, "x")
                    end
                end)
                for _ = 1, 3 do
                    tasklet.wait(read)
                    uv.fs_read(own.read, 1)
                end
                tasklet.join(writer, 30)
            end)
            uv.fs_close(own.read)
            uv.fs_close(own.write)
        end))

        it("3.8 ready tasklets beside " .. case[1], within(function()
            against(case[2], function()
                for _ = 1, 50 do
                    tasklet.yield_()
                end
            end)
        end))

        it("3.8 joins beside " .. case[1], within(function()
            against(case[2], function()
                for _ = 1, 5 do
                    tasklet.join(tasklet.run(tasklet.yield_))
                end
            end)
        end))
    end

    it("3.8 timeouts and descriptors beside tasklets that wait to be idle", within(function()
        against({ idler, idler }, function()
            tasklet.wait(WaitForTimeout(2, { priority = tasklet.PRIORITY_LOW }))
            tasklet.wait(WaitForIO(pipe.read, tasklet.IO_IN, { priority = tasklet.PRIORITY_LOW }))
            for _ = 1, 10 do
                tasklet.yield_()
            end
        end)
    end))

    it("3.8 luv's handles beside all of these but messages", within(function()
        against({ yielder, breeder, timer, reader }, function()
            local ticks, done = 0, WaitForCall()
            local handle = uv.new_timer()
            handle:start(1, 1, function()
                ticks = ticks + 1
                if ticks == 3 then
                    handle:close()
                    done()
                end
            end)
            tasklet.wait(done)
        end)
    end))
end)
