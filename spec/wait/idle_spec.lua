-- WaitForIdle (contract 4).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local uv = require "luv"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForIdle, WaitForIO = tasklet.WaitForIdle, tasklet.WaitForIO
local now = tasklet.mainloop.now

local function within(body)
    return function() helper.within_loop(body) end
end

-- A tasklet that writes "idle" into `trace` when the loop has nothing else to do.
local function idler(trace, what, options)
    return tasklet.run(function()
        tasklet.wait(WaitForIdle(options))
        trace[#trace + 1] = what or "idle"
    end)
end

describe("WaitForIdle", function()
    it("4 fires when the loop has nothing else to do", within(function()
        local idle = WaitForIdle()
        assert.is_true(tasklet.wait(idle) == idle)
    end))

    it("4 fires from the loop, not at once", within(function()
        local trace = {}
        local t = idler(trace)
        trace[#trace + 1] = "busy"
        tasklet.join(t, 30)
        assert.same({ "busy", "idle" }, trace)
    end))

    it("4 fires though something is far off", within(function()
        local idle, begun = WaitForIdle(), now()
        local far = tasklet.run(function() tasklet.sleep(60) end)
        assert.is_true(tasklet.wait(idle, WaitForTimeout(30000)) == idle)
        assert.equal(begun, now())
        far:kill()
    end))

    it("4 fires again at each yield", within(function()
        local idle, begun = WaitForIdle(), now()
        for _ = 1, 200 do
            assert.is_true(tasklet.wait(idle, WaitForTimeout(30000)) == idle)
        end
        assert.equal(begun, now())
    end))

    it("4 comes after tasklets that are ready", within(function()
        local trace = {}
        local t = idler(trace)
        local busy = tasklet.run(function()
            for _ = 1, 10 do
                tasklet.yield_()
            end
            trace[#trace + 1] = "busy"
        end)
        tasklet.join(busy, 30)
        tasklet.join(t, 30)
        assert.same({ "busy", "idle" }, trace)
    end))

    it("4 comes after timeouts that are due", within(function()
        local trace = {}
        local all = { idler(trace) }
        for i = 1, 3 do
            all[#all + 1] = tasklet.run(function()
                tasklet.wait(WaitForTimeout(i))
                trace[#trace + 1] = "timeout"
            end)
        end
        helper.compute(3)
        for _, t in ipairs(all) do
            tasklet.join(t, 30)
        end
        assert.same({ "timeout", "timeout", "timeout", "idle" }, trace)
    end))

    it("4 comes after descriptors that are ready", within(function()
        local trace, pipe = {}, uv.pipe()
        local t = idler(trace)
        local reader = tasklet.run(function()
            tasklet.wait(WaitForIO(pipe.read))
            trace[#trace + 1] = "io"
        end)
        uv.fs_write(pipe.write, "x")
        tasklet.join(reader, 30)
        tasklet.join(t, 30)
        assert.same({ "io", "idle" }, trace)
        uv.fs_close(pipe.read)
        uv.fs_close(pipe.write)
    end))

    it("4 does not fire while others keep the loop busy", within(function()
        local trace = {}
        local t = idler(trace)
        local function busy()
            for _ = 1, 5000 do
                tasklet.yield_()
            end
        end
        local a, b = tasklet.run(busy), tasklet.run(busy)
        tasklet.join(a, 30)
        assert.same({}, trace)
        tasklet.join(b, 30)
        tasklet.join(t, 30)
        assert.same({ "idle" }, trace)
    end))

    it("4 goes by priority among its like, first come, first served within one",
        within(function()
            local trace, all = {}, {}
            for i, priority in ipairs { 300, 200, -100, 0, 200, 300, 0 } do
                all[i] = idler(trace, priority .. "/" .. i, { priority = priority })
            end
            for _, t in ipairs(all) do
                tasklet.join(t, 30)
            end
            assert.same({ "-100/3", "0/4", "0/7", "200/2", "200/5", "300/1", "300/6" }, trace)
        end))

    it("4 has PRIORITY_DEFAULT_IDLE where none is given", within(function()
        local trace, all = {}, {}
        all[1] = idler(trace, "low", { priority = tasklet.PRIORITY_DEFAULT_IDLE + 1 })
        all[2] = idler(trace, "default")
        all[3] = idler(trace, "high", { priority = tasklet.PRIORITY_DEFAULT_IDLE - 1 })
        for _, t in ipairs(all) do
            tasklet.join(t, 30)
        end
        assert.same({ "high", "default", "low" }, trace)
    end))

    it("4 left out of a wait list wakes nobody", within(function()
        local idle, call, trace = WaitForIdle(), WaitForCall(), {}
        local t = tasklet.run(function()
            trace[1] = tasklet.wait(idle, call) == call
            trace[2] = tasklet.wait(call) == call
        end)
        call()
        tasklet.sleep(0.005)
        tasklet.wait(WaitForIdle())
        assert.same({ true }, trace)
        call()
        tasklet.join(t, 30)
        assert.same({ true, true }, trace)
    end))

    it("4 of several tasklets serves each", within(function()
        local count, all = 0, {}
        for i = 1, 20 do
            all[i] = tasklet.run(function()
                local idle = WaitForIdle()
                for _ = 1, 5 do
                    tasklet.wait(idle)
                    count = count + 1
                end
            end)
        end
        for _, t in ipairs(all) do
            tasklet.join(t, 30)
        end
        assert.equal(100, count)
    end))

    it("4 raises for an unknown option, naming it and the known one", function()
        local ok, err = pcall(function() return (WaitForIdle { hurry = 1 }) end)
        assert.is_false(ok)
        assert.truthy(err:find("hurry", 1, true), err)
        assert.truthy(err:find("priority", 1, true), err)
        assert.is_false((pcall(WaitForIdle, { priority = {} })))
    end)
end)
