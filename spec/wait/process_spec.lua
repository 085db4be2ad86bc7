-- WaitForProcess (contract 4 and 4.2).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local lfs = require "lfs"
local uv = require "luv"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForProcess = tasklet.WaitForProcess

-- With the system's clock: children take the time that they take, also where nobody waits for them.
local function within(body)
    return function() helper.within_real_time(body) end
end

-- Starts a shell by luv. `stdin` is a descriptor. `on_exit` is told of its end, as luv does.
local function spawn(script, stdin, on_exit)
    local handle, pid
    handle, pid = uv.spawn("sh", { args = { "-c", script }, stdio = { stdin } },
        function(code, signal)
            handle:close()
            if on_exit then
                on_exit(code, signal)
            end
        end)
    assert(handle, pid)
    return pid
end

-- Starts a shell that luv does not know. The file is to be closed some time.
local function popen(script)
    local file = assert(io.popen("echo $$; " .. script))
    return file:read("n"), file
end

-- The state letter of a process and its parent's pid, nil if there is none.
local function state_of(pid)
    local file = io.open("/proc/" .. pid .. "/stat")
    if not file then
        return nil
    end
    local text = file:read("a") or ""
    file:close()
    local state, parent = text:match("^.*%) (%a) (%d+)")
    return state, tonumber(parent)
end

-- By how much a checker that runs all this stretches time.
local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1

-- Returns once the child is dead, but nobody has waited for it, without turning the loop.
local function until_zombie(pid)
    local limit = tasklet.mainloop.now() + 10000 * patience
    while state_of(pid) ~= "Z" do
        assert(tasklet.mainloop.now() < limit, "it does not end")
    end
end

-- How many children of this process are dead and have not been waited for.
local function zombies()
    local count, own = 0, uv.os_getpid()
    for name in lfs.dir("/proc") do
        if name:find("^%d+$") then
            local state, parent = state_of(name)
            if state == "Z" and parent == own then
                count = count + 1
            end
        end
    end
    return count
end

-- Waits for the child's end, and gives reason and status.
local function ended(pid)
    local condition, timeout = WaitForProcess(pid), WaitForTimeout(30000 * patience)
    local event = tasklet.wait(condition, timeout)
    assert.is_true(event == condition, "it did not end")
    return event.reason, event.status
end

-- How to start a child. Each gives the pid, and a function to be called in the end.
local ways = {
    { "by io.popen", function(script)
        local pid, file = popen(script)
        return pid, function() file:close() end
    end },
    { "by luv", function(script)
        local done = WaitForCall()
        local pid = spawn(script, nil, done)
        return pid, function() tasklet.wait(done) end
    end },
}

for _, way in ipairs(ways) do
    local start = way[2]

    describe("a child started " .. way[1], function()
        it("4.2 that exits: reason and status as os.execute says them", within(function()
            for _, status in ipairs { 0, 3, 255 } do
                local pid, finish = start("sleep 0.01; exit " .. status)
                local reason, got = ended(pid)
                assert.same({ "exit", status }, { reason, got })
                assert.same({ select(2, os.execute("exit " .. status)) }, { reason, got })
                finish()
            end
            assert.equal(0, zombies())
        end))

        it("4.2 that a signal ends", within(function()
            for name, number in pairs { TERM = 15, KILL = 9, USR1 = 10 } do
                local pid, finish = start("sleep 0.01; kill -" .. name .. " $$; sleep 5")
                assert.same({ "signal", number }, { ended(pid) })
                finish()
            end
            assert.equal(0, zombies())
        end))

        it("4.2 that ended before the yield", within(function()
            local pid, finish = start("exit 7")
            until_zombie(pid)
            assert.same({ "exit", 7 }, { ended(pid) })
            finish()
            assert.equal(0, zombies())
        end))

        it("4.2 that is stopped has not ended", within(function()
            local pid, finish = start("exec sleep 5")
            assert(uv.kill(pid, "sigstop"))
            local condition, timeout = WaitForProcess(pid), WaitForTimeout(20)
            assert.is_true(tasklet.wait(condition, timeout) == timeout)
            assert(uv.kill(pid, "sigcont"))
            assert.is_true(tasklet.wait(condition, timeout) == timeout)
            assert(uv.kill(pid, "sigkill"))
            assert.is_true(tasklet.wait(condition, WaitForTimeout(5000)) == condition)
            assert.same({ "signal", 9 }, { condition.reason, condition.status })
            finish()
        end))

        it("4.2 fires again when it is yielded again, with the same", within(function()
            local pid, finish = start("exit 4")
            local condition, timeout = WaitForProcess(pid), WaitForTimeout(30000 * patience)
            for _ = 1, 3 do
                assert.is_true(tasklet.wait(condition, timeout) == condition)
                assert.same({ "exit", 4 }, { condition.reason, condition.status })
            end
            tasklet.sleep(0)
            assert.is_true(tasklet.wait(condition, timeout) == condition)
            assert.same({ "exit", 4 }, { condition.reason, condition.status })
            finish()
        end))

        it("4.2 that several tasklets wait for", within(function()
            local pid, finish = start("sleep 0.02; exit 6")
            local all = {}
            for i = 1, 5 do
                all[i] = tasklet.run(function() return ended(pid) end)
            end
            for _, t in ipairs(all) do
                assert.same({ "exit", 6 }, { tasklet.join(t, 30) })
            end
            finish()
            assert.equal(0, zombies())
        end))
    end)
end

describe("a child started by luv", function()
    it("4.2 has its own callback called as well, once, with the same", within(function()
        local trace, done = {}, WaitForCall()
        local function on_exit(...)
            trace[#trace + 1] = { ... }
            done()
        end
        local pid = spawn("sleep 0.01; exit 3", nil, on_exit)
        assert.same({ "exit", 3 }, { ended(pid) })
        tasklet.wait(done)
        pid = spawn("kill -TERM $$; sleep 5", nil, on_exit)
        until_zombie(pid)
        assert.same({ "signal", 15 }, { ended(pid) })
        tasklet.wait(done)
        tasklet.sleep(0.005)
        assert.same({ { 3, 0 }, { 0, 15 } }, trace)
    end))

    it("4.2 keeps its callback when others are waited for", within(function()
        local done, all = WaitForCall(), {}
        for i = 1, 10 do
            -- Every second one is waited for.
            local pid = spawn("sleep 0.0" .. i % 3 .. "; exit " .. i, nil, done)
            if i % 2 == 0 then
                all[#all + 1] = tasklet.run(function() return select(2, ended(pid)) end)
            end
        end
        local codes = {}
        for _ = 1, 10 do
            codes[#codes + 1] = tasklet.wait(done).args[1]
        end
        table.sort(codes)
        assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, codes)
        for i, t in ipairs(all) do
            assert.equal(2 * i, tasklet.join(t, 30))
        end
        assert.equal(0, zombies())
    end))
end)

describe("WaitForProcess", function()
    it("4.2 is for one child: of several, the first to end", within(function()
        local pipes, conditions, finish = {}, {}, WaitForCall()
        for i = 1, 3 do
            pipes[i] = uv.pipe()
            conditions[i] = WaitForProcess(spawn("read x; exit " .. i, pipes[i].read, finish))
        end
        for _, i in ipairs { 2, 3, 1 } do
            uv.fs_close(pipes[i].write)
            local list = { WaitForTimeout(5000) }
            for _, condition in pairs(conditions) do
                list[#list + 1] = condition
            end
            assert.is_true(tasklet.wait(list) == conditions[i])
            assert.equal(i, conditions[i].status)
            conditions[i] = nil
            uv.fs_close(pipes[i].read)
        end
        for _ = 1, 3 do
            tasklet.wait(finish)
        end
        assert.equal(0, zombies())
    end))

    it("4.2 leaves other children to whoever waits for them", within(function()
        local other, file = popen("exit 5")
        until_zombie(other)
        local pid, own_file = popen("exit 3")
        assert.same({ "exit", 3 }, { ended(pid) })
        assert.equal("Z", (state_of(other)))
        assert.same({ nil, "exit", 5 }, { file:close() })
        own_file:close()
    end))

    it("4.2 leaves os.execute alone while it waits", within(function()
        local pid, file = popen("sleep 0.03; exit 3")
        local t = tasklet.run(function() return ended(pid) end)
        for _ = 1, 3 do
            tasklet.sleep(0)
            assert.same({ nil, "exit", 9 }, { os.execute("exit 9") })
        end
        assert.same({ "exit", 3 }, { tasklet.join(t, 30) })
        file:close()
    end))

    it("4.2 given up, leaves the child as it is, to be waited for again", within(function()
        local pipe = uv.pipe()
        local done = WaitForCall()
        local pid = spawn("read x; exit 8", pipe.read, done)
        local t = tasklet.run(function() return ended(pid) end)
        tasklet.sleep(0)
        t:kill()
        local condition, timeout = WaitForProcess(pid), WaitForTimeout(2)
        assert.is_true(tasklet.wait(condition, timeout) == timeout)
        tasklet.wait(timeout)
        assert(uv.kill(pid, 0))
        uv.fs_close(pipe.write)
        assert.same({ "exit", 8 }, { ended(pid) })
        tasklet.wait(done)
        uv.fs_close(pipe.read)
    end))

    it("4.2 given up, does not take the child's end from others", within(function()
        local pid, file, t
        for _ = 1, 20 do
            pid, file = popen("sleep 0.01; exit 3")
            t = tasklet.run(function() return ended(pid) end)
            tasklet.sleep(0)
            if not t:has_finished() then
                break
            end
            file:close() -- the machine stood still: the child has ended, and was waited for
        end
        assert.is_false(t:has_finished())
        t:kill()
        until_zombie(pid)
        tasklet.sleep(0.005)
        assert.same({ nil, "exit", 3 }, { file:close() })
    end))

    it("4.2 raises at the yield for a pid that is not a child", within(function()
        local gone, file = popen("exit 0")
        file:close()
        for _, pid in ipairs { 1, uv.os_getpid(), uv.os_getppid(), gone, 0x3fffffff } do
            local condition = WaitForProcess(pid)
            local line = debug.getinfo(1, "l").currentline + 1
            local ok, err = pcall(function() tasklet.wait(condition, WaitForTimeout(1000)) end)
            assert.is_false(ok, "process " .. pid)
            assert.truthy(tostring(err):find("process_spec.lua:" .. line .. ":", 1, true),
                tostring(err))
            assert.truthy(tostring(err):find(("%d"):format(pid), 1, true), tostring(err))
        end
    end))

    it("4.2 raises at the yield for a child's child", within(function()
        local file = assert(io.popen("sleep 5 >/dev/null & echo $!"))
        local pid = file:read("n")
        assert.is_false((pcall(tasklet.wait, WaitForProcess(pid), WaitForTimeout(1000))))
        assert(uv.kill(pid, "sigkill"))
        file:close()
    end))

    it("4.2 raises for what is no pid", within(function()
        for _, wrong in ipairs { 0, -1, -4711, 1.5, "me", {}, true, math.maxinteger } do
            assert.is_false((pcall(function()
                tasklet.wait(WaitForProcess(wrong), WaitForTimeout(1000))
            end)))
        end
        local ok, err = pcall(function() return (WaitForProcess()) end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("bad argument #1 to 'WaitForProcess'", 1, true), err)
    end))

    it("4.2 for a thousand at once, each with its own status, and no zombie is left",
        within(function()
            local count = 1000
            local pipe, done, all = uv.pipe(), WaitForCall(), {}
            for i = 1, count do
                local last = i % 3 == 0 and "kill -TERM $$" or "exit " .. i % 100
                local pid = spawn("read x; " .. last, pipe.read, done)
                all[i] = tasklet.run(function() return ended(pid) end)
            end
            tasklet.sleep(0)
            for _, t in ipairs(all) do
                assert(not t:has_finished())
            end
            uv.fs_close(pipe.write) -- they all go on now
            for i, t in ipairs(all) do
                local reason, status = tasklet.join(t, 40 * patience)
                assert.equal(i % 3 == 0 and "signal" or "exit", reason)
                assert.equal(i % 3 == 0 and 15 or i % 100, status)
            end
            for _ = 1, count do
                tasklet.wait(done)
            end
            uv.fs_close(pipe.read)
            assert.equal(0, zombies())
        end))
end)
