-- The status that the program ends with, and what has been cleaned up by then.

local PROGRAM = os.getenv("TASKLET_BIN") or "build/src/host/tasklet"

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs the program on a script, for 20 seconds at most. `how` tells an exit from a signal.
---@param script string
---@param redirect string|nil # for the shell
---@return { how: string, status: integer, out: string, err: string }
local function run(script, redirect)
    local path, errors = os.tmpname(), os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(script)
    file:close()
    local pipe = assert(io.popen(("exec timeout 20 %s --virtual-time %s 2>%s %s"):format(
        quote(PROGRAM), path, errors, redirect or "</dev/null")))
    local out = pipe:read("a")
    local _, how, status = pipe:close()
    file = assert(io.open(errors))
    local err = file:read("a")
    file:close()
    os.remove(path)
    os.remove(errors)
    return { how = how, status = status, out = out, err = err }
end

-- What the scripts begin with. `announce` gives a value to be closed, which tells of it.
local PREAMBLE = [[
    local tasklet = require("tasklet")
    local function announce(text)
        return setmetatable({}, {__close = function() print(text) end})
    end
    -- Lets a shell send a signal to this program. Not os.execute: it ignores SIGINT meanwhile.
    local function signal(name)
        io.popen("kill -" .. name .. " $PPID"):close()
    end
]]

describe("the exit status", function()
    it("is 0 for a script that ends well", function()
        local result = run("print('fine')")
        assert.same({ how = "exit", status = 0, out = "fine\n", err = "" }, result)
    end)

    it("is 0 after the tasklets that the script leaves have ended", function()
        local result = run(PREAMBLE .. [[
            tasklet.run(function() tasklet.sleep(0.02) print("later") end)
            print("first")
        ]])
        assert.same({ how = "exit", status = 0, out = "first\nlater\n", err = "" }, result)
    end)

    it("is 1 for an error in the script, which is told with its traceback", function()
        local result = run("local function deep()\n error('boom')\nend\ndeep()")
        assert.equal(1, result.status)
        assert.matches("^[^\n]*tasklet[^\n]*: [^\n]*:2: boom\nstack traceback:\n", result.err)
        assert.matches(":2: in [^\n]*'deep'\n", result.err)
        assert.matches(":4: in main chunk\n", result.err)
    end)

    it("is 1 for an error after a wait, too", function()
        local result = run(PREAMBLE .. "tasklet.sleep(0.01) error('boom')")
        assert.equal(1, result.status)
        assert.matches(": boom\nstack traceback:\n", result.err)
    end)

    it("is 1 for an error that is not a string", function()
        local result = run("error({})")
        assert.equal(1, result.status)
        assert.matches("(error object is a table value)", result.err, 1, true)
        result = run("error(setmetatable({}, {__tostring = function() return 'pretty' end}))")
        assert.equal(1, result.status)
        assert.matches(": pretty\n", result.err, 1, true)
    end)

    it("is 1 for a script that does not compile, and there is no traceback", function()
        local result = run("x = = 1")
        assert.equal(1, result.status)
        assert.matches("^[^\n]*: [^\n]*:1: unexpected symbol near '='\n$", result.err)
    end)

    it("is 1 for a script that is not there", function()
        local pipe = io.popen(quote(PROGRAM) .. " /no/such/script.lua 2>&1")
        local text = pipe:read("a")
        local _, how, status = pipe:close()
        assert.matches("^[^\n]*: cannot open /no/such/script.lua[^\n]*\n$", text)
        assert.same({ "exit", 1 }, { how, status })
    end)

    it("is 1 where a tasklet failed and nobody looked, while the others go on", function()
        local result = run(PREAMBLE .. [[
            tasklet.run(function() error("unseen") end)
            tasklet.sleep(0.01)
            print("still here")
        ]])
        assert.same({ "exit", 1 }, { result.how, result.status })
        assert.equal("still here\n", result.out)
        assert.matches(": unseen\n", result.err, 1, true)
        assert.matches("stack traceback:\n", result.err, 1, true)
    end)

    it("is 0 where somebody looked later", function()
        local result = run(PREAMBLE .. [[
            local t = tasklet.run(function() error("seen") end)
            tasklet.sleep(0.01)
            print(pcall(tasklet.join, t))
        ]])
        assert.equal(0, result.status)
        assert.matches("^false\t", result.out)
    end)

    it("is that of mainloop.quit", function()
        local result = run(PREAMBLE .. [[
            tasklet.run(function()
                tasklet.sleep(0.01)
                tasklet.mainloop.quit(4)
            end)
            tasklet.run(function() tasklet.sleep(60) end)
        ]])
        assert.same({ how = "exit", status = 4, out = "", err = "" }, result)
    end)
end)

describe("os.exit", function()
    for _, case in ipairs({ { "7", 7 }, { "true", 0 }, { "false", 1 }, { "", 0 } }) do
        local argument, status = case[1], case[2]
        it(("(%s) ends with %d, at once"):format(argument, status), function()
            local result = run(("print('before') os.exit(%s) print('after')"):format(argument))
            assert.same({ how = "exit", status = status, out = "before\n", err = "" }, result)
        end)
    end

    it("ends other tasklets with what they have to close, and closes the state", function()
        local result = run(PREAMBLE .. [[
            collected = setmetatable({}, {__gc = function() print("collected") end})
            local main <close> = announce("main closed")
            tasklet.run(function()
                local waiting <close> = announce("waiting closed")
                tasklet.sleep(60)
            end)
            tasklet.run(function()
                local exiting <close> = announce("exiting closed")
                tasklet.sleep(0.01)
                os.exit(5)
            end)
            tasklet.sleep(60)
        ]])
        assert.same({ "exit", 5, "" }, { result.how, result.status, result.err })
        for _, line in ipairs({ "main closed", "waiting closed", "exiting closed" }) do
            assert.matches(line .. "\n", result.out, 1, true)
        end
        assert.matches("\ncollected\n$", result.out)
    end)

    it("works in a tasklet within its first turn, and in a generator", function()
        local result = run(PREAMBLE .. "tasklet.run(function() os.exit(6) end) print('after')")
        assert.same({ how = "exit", status = 6, out = "", err = "" }, result)
        result = run(PREAMBLE .. [[
            local closes <close> = announce("closed")
            for _ in coroutine.wrap(function() os.exit(8) end) do
                print("after")
            end
        ]])
        assert.same({ how = "exit", status = 8, out = "closed\n", err = "" }, result)
    end)
end)

describe("a signal", function()
    for _, case in ipairs({ { "INT", 130 }, { "TERM", 143 } }) do
        local name, status = case[1], case[2]
        it(("SIG%s ends with %d when cleanup has run"):format(name, status), function()
            local result = run(PREAMBLE .. ([[
                collected = setmetatable({}, {__gc = function() print("collected") end})
                local main <close> = announce("main closed")
                tasklet.run(function()
                    local waiting <close> = announce("waiting closed")
                    tasklet.sleep(60)
                end)
                tasklet.run(function()
                    tasklet.sleep(0.01)
                    signal("%s")
                end)
                tasklet.sleep(60)
            ]]):format(name))
            assert.same({ "exit", status, "" }, { result.how, result.status, result.err })
            assert.matches("main closed\n", result.out, 1, true)
            assert.matches("waiting closed\n", result.out, 1, true)
            assert.matches("\ncollected\n$", result.out)
        end)
    end

    it("is seen as a TaskletExit", function()
        local result = run(PREAMBLE .. [[
            tasklet.run(function() tasklet.sleep(0.01) signal("TERM") end)
            local ok, value = pcall(tasklet.sleep, 60)
            print(ok, tasklet.TaskletExit:is(value))
        ]])
        assert.same({ how = "exit", status = 143, out = "false\ttrue\n", err = "" }, result)
    end)

    it("ends a loop that never waits", function()
        local result = run(PREAMBLE .. [[
            local closes <close> = announce("closed")
            signal("INT")
            while true do end
        ]])
        assert.same({ how = "exit", status = 130, out = "closed\n", err = "" }, result)
    end)

    it("ends a script that is blocked in a read", function()
        local fifo = os.tmpname()
        os.remove(fifo)
        assert(os.execute("mkfifo " .. fifo))
        -- The shell sends the signal as soon as the program sleeps, which it does in read alone.
        local result = run(PREAMBLE .. [[
            local closes <close> = announce("closed")
            local shell = io.popen("until grep -q '^State:.S' /proc/$PPID/status; do :; done; "
                .. "kill -INT $PPID")
            io.read("l")
            print("after")
        ]], "<>" .. fifo)
        os.remove(fifo)
        assert.same({ how = "exit", status = 130, out = "closed\n", err = "" }, result)
    end)

    it("that comes a second time ends the program at once", function()
        local result = run(PREAMBLE .. [[
            local slow <close> = setmetatable({}, {__close = function()
                io.stderr:write("closing\n")
                tasklet.shield(signal, 10, "TERM")
                io.stderr:write("never\n")
            end})
            signal("TERM")
            tasklet.sleep(60)
        ]])
        assert.same({ how = "signal", status = 15, out = "", err = "closing\n" }, result)
    end)
end)
