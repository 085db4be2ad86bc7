-- What becomes of children when the program ends: in good order, by a signal, by SIGKILL.

local helper = require "spec.helper"

-- Starts children that would run for a minute, some with children of their own, and says the pids.
local PREAMBLE = [[
    local tasklet = require "tasklet"
    local function start(options)
        options = options or {}
        local child = assert(tasklet.process.spawn {
            "sh", "-c", options.script or "sleep 60 & echo $!; sleep 60; true",
            stderr = not options.pty and "null" or nil, grace = options.grace,
            detached = options.detached, pty = options.pty,
        })
        print(child.pid)
        print((child.stdout:read("n")))
        io.stdout:flush()
        return child
    end
]]

---@param text string pids, a line each
---@return integer # how many of them are alive
local function alive(text)
    local count = 0
    for pid in text:gmatch("%d+") do
        local file = io.open("/proc/" .. pid .. "/stat")
        local state = file and file:read("a"):match("%) (%a)")
        if file then
            file:close()
        end
        if state and state ~= "Z" and state ~= "X" then
            count = count + 1
        end
    end
    return count
end

-- All of them are gone soon.
local function all_gone(text)
    for _ = 1, 400 do
        if alive(text) == 0 then
            return true
        end
        os.execute("sleep 0.05")
    end
    return false
end

local function check(script, expected, runner)
    local result = (runner or helper.run_file)(PREAMBLE .. script, { timeout = 30 })
    assert.same({ expected, "" }, { result.status, result.stderr })
    local _, count = result.stdout:gsub("%d+", "")
    assert.is_true(count >= 2, result.stdout)
    assert.is_true(all_gone(result.stdout))
end

describe("when the program ends its children end", function()
    it("at the end of the script", function()
        check("start()", 0)
    end)

    it("in plain Lua", function()
        check("start = tasklet.task(start) start() tasklet.mainloop.run()", 0, helper.plain)
    end)

    it("in plain Lua that does not run the loop to its end", function()
        check([[
            tasklet.run(start)
            tasklet.run(function()
                tasklet.sleep(0.3)
                tasklet.mainloop.quit()
            end)
            tasklet.mainloop.run()
        ]], 0, helper.plain)
    end)

    it("by os.exit", function()
        check("start() os.exit(7)", 7)
    end)

    it("by mainloop.quit", function()
        check([[
            local child = start()
            tasklet.run(child.wait, child)
            tasklet.mainloop.quit(6)
            tasklet.sleep(60)
        ]], 6)
    end)

    it("by an error", function()
        local result = helper.run_file(PREAMBLE .. "start() error('on purpose')")
        assert.equal(1, result.status)
        assert.is_true(all_gone(result.stdout))
    end)

    it("that do not end by themselves, after a while", function()
        check([[
            start { script = "trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.1; done",
                grace = 0.2 }
        ]], 0)
    end)

    it("and are given that while", function()
        check([[
            local file = assert(io.open(arg[1], "w"))
            local child = assert(tasklet.process.spawn {
                "sh", "-c", "trap 'sleep 0.5; echo done; exit' TERM; echo ready >&2; "
                    .. "while :; do sleep 0.01; done",
                stdout = file, grace = 60,
            })
            child.stderr:read("l")
            print(child.pid)
            print(child.pid)
        ]], 0, function(script, options)
            local path = os.tmpname()
            options.args = { path }
            local result = helper.run_file(script, options)
            local file <close> = assert(io.open(path))
            assert.equal("done\n", file:read("a"))
            os.remove(path)
            return result
        end)
    end)

    it("by os.exit, also those that do not end by themselves", function()
        check([[
            start { script = "trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.1; done" }
            os.exit(3)
        ]], 3)
    end)

    for _, signal in ipairs { "INT", "TERM" } do
        it("by SIG" .. signal, function()
            local result = helper.run_file(PREAMBLE .. [[
                local child = start()
                print("ready")
                io.stdout:flush()
                child:wait()
            ]], { after = "ready", signal = signal })
            assert.equal(signal == "INT" and 130 or 143, result.status)
            assert.is_true(all_gone(result.stdout))
        end)
    end

    it("by SIGKILL, with what they have started", function()
        local result = helper.run_file(PREAMBLE .. [[
            local list = {}
            for i = 1, 5 do
                list[i] = start()
            end
            list[6] = start { script = "trap '' TERM HUP INT; sleep 60 & echo $!; sleep 60; true" }
            start { script = "sleep 60 & echo $!; sleep 60; true", pty = true }
            print("ready")
            io.stdout:flush()
            list[1]:wait()
        ]], { after = "ready", signal = "KILL" })
        assert.equal(137, result.status)
        assert.is_true(all_gone(result.stdout))
    end)

    it("by SIGKILL in plain Lua", function()
        local result = helper.plain(PREAMBLE .. [[
            tasklet.run(function()
                local child = start()
                print("ready")
                io.stdout:flush()
                child:wait()
            end)
            tasklet.mainloop.run()
        ]], { after = "ready", signal = "KILL" })
        assert.equal(137, result.status)
        assert.is_true(all_gone(result.stdout))
    end)

    it("but not those that are detached", function()
        local result = helper.run_file(PREAMBLE .. [[
            start { script = "sleep 60 >/dev/null & echo $!; exec >/dev/null; exec sleep 60",
                detached = true }
        ]])
        assert.equal(0, result.status)
        assert.equal(2, alive(result.stdout))
        for pid in result.stdout:gmatch("%d+") do
            os.execute("kill -9 " .. pid)
        end
        assert.is_true(all_gone(result.stdout))
    end)

    it("and it goes on until those are gone that it ended", function()
        local result = helper.run_file(PREAMBLE .. [[
            tasklet.run(start, { script = "trap '' TERM; sleep 60 & echo $!; sleep 60; true",
                grace = 0.1 })
        ]])
        assert.equal(0, result.status)
        assert.equal(0, alive(result.stdout))
    end)
end)
