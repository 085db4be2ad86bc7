-- tasklet.dump and SIGUSR1: the tree of all tasklets, to the letter under virtual time.
-- luacheck: ignore 631

local tasklet = require "tasklet"
local helper = require "spec.helper"
local support = require "spec.explain.support"

local preamble = 'local tasklet = require "tasklet"\n'

---@param script string
---@param expected string
local function dumps(script, expected)
    local result = support.run(preamble .. script .. "\ntasklet.dump(io.stdout) os.exit(0)\n")
    local indent = expected:match("^ *")
    expected = ("\n" .. expected):gsub("\n" .. indent, "\n"):gsub("^\n", ""):gsub(" *$", "")
    assert.equal("", result.stderr)
    assert.equal(expected, result.stdout)
end

describe("tasklet.dump", function()
    it("8.4 shows the tree, what each waits for, where, and for how long", function()
        dumps([[
            local parent = tasklet.new(function()
                tasklet.new(tasklet.sleep, {name = "child"}):start(60)
                tasklet.new(function() tasklet.wait(tasklet.WaitForCall()) end,
                    {name = "other"}):start()
                tasklet.new(print, {name = "never"})
                tasklet.join_children()
            end, {name = "parent"}):start()
            tasklet.new(function()
                tasklet.sleep(1.2)
                tasklet.wait(tasklet.WaitForTimeout(5000), tasklet.WaitForTasklet(parent))
            end, {name = "late"})()
            tasklet.new(tasklet.schedule_remove, {name = "paused"}):start()
            tasklet.new(function() for _ in tasklet.receive() do end end,
                {name = "watch", daemon = true}):start()
            tasklet.sleep(3.23)
            tasklet.new(print, {name = "called"})()]], [[
            8 tasklets
            main #1       running         s.lua:18
              parent #2   waiting  3.2 s  s.lua:7        join: the end of 'child' #3
                child #3  waiting  3.2 s  from s.lua:3   sleep: 60000 ms
                other #4  waiting  3.2 s  s.lua:4        WaitForCall
                never #5  new
              late #6     waiting  2.0 s  s.lua:11       WaitForTimeout(5000 ms) or WaitForTasklet('parent' #2)
              paused #7   paused   3.2 s  from s.lua:13
              called #9   ready           from s.lua:17
            1 daemon
            watch #8      waiting  3.2 s  s.lua:14       receive: a message
        ]])
    end)

    it("8.4 shows what waits in mailboxes, and who waits for room in them", function()
        dumps([[
            local t = tasklet.new(function()
                tasklet.wait(tasklet.WaitForMessages{accept = "go", defer = {"a", "b"}})
            end, {name = "t", max_mailbox_len = 3}):start()
            tasklet.run(function()
                for _, name in ipairs{"a", "b", "a"} do tasklet.send(t, name) end
            end)
            local function send() tasklet.send(t, "b") end
            tasklet.new(send, {name = "u"}):start()
            tasklet.new(send, {name = "v"}):start()
            tasklet.sleep(7200 + 61)]], [[
            4 tasklets
            main #1  running             s.lua:12
              t #2   waiting  2 h 1 min  s.lua:3   WaitForMessages(accept go; defer a, b)
                  mailbox 3: a 2, b 1; 2 senders wait for room
              u #4   waiting  2 h 1 min  s.lua:8   send: room in the mailbox of 't' #2
              v #5   waiting  2 h 1 min  s.lua:8   send: room in the mailbox of 't' #2
        ]])
    end)

    it("8.4 has no line longer than 100 columns, whatever the names", function()
        local result = support.run(preamble .. [[
            local list = {}
            for i = 1, 30 do
                list[i] = tasklet.WaitForTimeout(1000 + i)
            end
            local function nest(level)
                if level == 0 then
                    tasklet.wait(list)
                end
                tasklet.new(nest, {name = ("n\u{e4}me "):rep(level) .. "\n"}):start(level - 1)
                tasklet.sleep(1)
            end
            tasklet.new(nest, {name = ("x"):rep(300)}):start(12)
            tasklet.dump(io.stdout)
            os.exit(0)
        ]])
        local count = 0
        for line in result.stdout:gmatch("[^\n]+") do
            assert.is_truthy(utf8.len(line), line)
            assert.is_true(utf8.len(line) <= 100, line)
            count = count + 1
        end
        assert.equal(15, count, result.stdout)
        assert.is_truthy(result.stdout:find("or WaitForTim%.%.%.\n"), result.stdout)
        assert.is_truthy(result.stdout:find("\n  x+%.%.%. #2 +waiting "), result.stdout)
    end)

    it("8.4 shows who uses the processor", function()
        local result = helper.run_file(preamble .. [[
            local function spin(ms)
                local till = tasklet.mainloop.now() + ms
                while tasklet.mainloop.now() < till do end
            end
            local done = 0
            for _, name in ipairs{"busy", "other"} do
                tasklet.new(function()
                    for _ = 1, 40 do
                        spin(2)
                        tasklet.yield_()
                    end
                    done = done + 1
                    tasklet.sleep(60)
                end, {name = name}):start()
            end
            tasklet.new(tasklet.sleep, {name = "idle"}):start(60)
            while done < 2 do
                tasklet.sleep(0.005)
            end
            tasklet.dump(io.stdout)
            os.exit(0)
        ]], {real_time = true}) -- a virtual clock has no shares
        assert.equal("", result.stderr)
        for _, name in ipairs{"busy", "other"} do
            local share = result.stdout:match(name .. " #%d  .- (%d+) %% ")
            assert.is_truthy(share and tonumber(share) >= 2, result.stdout)
        end
        assert.is_falsy(result.stdout:match("idle #%d[^\n]*%%"), result.stdout)
    end)

    it("8.4 shows who of several in a turn uses the processor, also if a message wakes it", function()
        local result = helper.run_file(preamble .. [[
            local function spin(ms)
                local till = tasklet.mainloop.now() + ms
                while tasklet.mainloop.now() < till do end
            end
            local function each_time(name, f)
                tasklet.new(function()
                    while true do
                        tasklet.sleep(0.004)
                        f()
                    end
                end, {name = name}):start()
            end
            local server = tasklet.new(function()
                for _ in tasklet.receive() do
                    spin(8)
                end
            end, {name = "server"}):start()
            each_time("busy", function() spin(8) end)
            each_time("client", function() tasklet.send(server, "go") end)
            each_time("light", function() end)
            tasklet.sleep(0.3)
            tasklet.dump(io.stdout)
            os.exit(0)
        ]], {real_time = true})
        assert.equal("", result.stderr)
        for name, least in pairs{busy = 20, server = 20, client = 0, light = 0} do
            local share = result.stdout:match(name .. " #%d[^\n]- (%d+) %% ") or "0"
            assert.equal(least == 20, tonumber(share) >= 20, result.stdout)
        end
    end)

    it("8.4 shows how much one has used that never waits", function()
        local result = helper.run_file(preamble .. [[
            tasklet.new(function()
                local till = tasklet.mainloop.now() + 100
                while tasklet.mainloop.now() < till do end
                require "luv".kill(require "luv".getpid(), "sigusr1")
                till = tasklet.mainloop.now() + 20
                while tasklet.mainloop.now() < till do end
            end, {name = "spin"}):start()
        ]], {real_time = true})
        local share = result.stderr:match("spin #2 +running +(%d+) %% ")
        assert.is_truthy(share and tonumber(share) >= 50, result.stderr)
    end)

    it("8.4 writes to anything that has a method write", function()
        local parts = {}
        local out = {write = function(self, ...)
            parts[#parts + 1] = table.concat{...}
            return self, "result"
        end}
        local first, second = tasklet.dump(out)
        assert.equal(out, first)
        assert.equal("result", second)
        assert.equal(1, #parts)
        assert.is_truthy(parts[1]:find("^%d+ tasklets?\n"), parts[1])
        assert.is_falsy(parts[1]:find("\27", 1, true))
        for _, bad in ipairs{1, "text", true, {}} do
            local ok, err = pcall(tasklet.dump, bad)
            assert.is_false(ok)
            assert.is_truthy(err:find("bad argument #1 to 'dump' (object with a method 'write' "
                .. "expected, got " .. type(bad) .. ")", 1, true), err)
        end
    end)

    it("8.4 is coloured on a terminal, unless that is not wanted", function()
        local path = os.tmpname()
        local file <close> = assert(io.open(path, "w"))
        assert(file:write(preamble .. "tasklet.dump(io.stdout)"))
        file:close()
        local cases = {
            {"TERM=xterm", true}, {"TERM=xterm NO_COLOR=1", false}, {"TERM=dumb", false},
            {"TERM=xterm NO_COLOR=", true}, {"-u TERM", false},
        }
        for _, case in ipairs(cases) do
            local pipe <close> = assert(io.popen(
                ("env -u NO_COLOR %s script -qec '%s %s' /dev/null </dev/null"):format(case[1],
                    helper.bin, path)))
            local text = pipe:read("a")
            assert.is_truthy(text:find("main #1", 1, true), text)
            assert.equal(case[2], text:find("\27[32mrunning", 1, true) ~= nil, case[1])
        end
        os.remove(path)
    end)
end)

describe("SIGUSR1", function()
    local signals = preamble .. [[
        local function ask()
            io.popen("kill -USR1 $PPID"):close()
        end
        -- Has the signal come in a while. When its dump is there, so is the file, and a line.
        local function ask_later()
            local name = os.tmpname()
            os.remove(name)
            return name, io.popen("sleep 0.1; kill -USR1 $PPID; " ..
                "until grep -q tasklet /proc/$PPID/fd/2; do sleep 0.01; done; " ..
                "touch " .. name .. "; echo end")
        end
        local function is_there(name)
            local file = io.open(name)
            return file and file:close() and os.remove(name)
        end
    ]]

    ---@param script string
    ---@return spec.Result
    local function run(script, options)
        return helper.run_file(signals .. script, options)
    end

    ---@param result spec.Result
    ---@param count integer
    local function check_dumps(result, count)
        local _, found = result.stderr:gsub("%d+ tasklets?\n", "")
        assert.equal(count, found, result.stderr)
    end

    it("8.4 has the host write the dump while all wait", function()
        local result = run [[
            local name, pipe = ask_later()
            tasklet.wait(tasklet.WaitForIO(pipe))
            print(pipe:read("l"))
            os.remove(name)
        ]]
        assert.equal("end\n", result.stdout)
        assert.equal(0, result.status)
        check_dumps(result, 1)
        assert.is_truthy(result.stderr:find("main #1 +waiting .* WaitForIO%(descriptor %d+ IN%)\n"), result.stderr)
    end)

    it("8.4 does not wait for one that never waits, with or without time slices", function()
        local function state_of(options)
            local result = run([[
                local name, _ = ask_later()
                while not is_there(name) do end
                io.stderr:write("end\n")
            ]], {options = options})
            assert.equal(0, result.status)
            check_dumps(result, 1)
            return result.stderr:match("main #1 +(%l+).*\nend\n$") or result.stderr
        end
        assert.equal("running", state_of{})
        local state = state_of{"--slice", "5"} -- it may just have been preempted
        assert.is_true(state == "running" or state == "ready", state)
    end)

    it("8.4 leaves a script's own hook as it was", function()
        local result = run [[
            local uv = require "luv"
            local count = 0
            debug.sethook(function() count = count + 1 end, "", 1000)
            for _ = 1, 5 do
                uv.kill(uv.os_getpid(), "sigusr1") -- it has come when this returns
                local stop = os.clock() + 0.02
                while os.clock() < stop do end
            end
            local before = count
            for i = 1, 100000 do local _ = i end
            local hook, mask, step = debug.gethook()
            print(count - before >= 100, type(hook), mask, step)
        ]]
        assert.equal("true\tfunction\t\t1000\n", result.stdout)
        check_dumps(result, 5)
    end)

    it("8.4 does not disturb slices, pump, or a kill of one that was preempted", function()
        local result = run([[
            local done = false
            local t = tasklet.run(function()
                local ok, err = pcall(function() while true do end end)
                print(ok, tasklet.TaskletExit:is(err))
                done = true
            end)
            for _ = 1, 20 do
                ask()
                tasklet.yield_()
            end
            t:kill()
            print(done)
            local u = tasklet.new(function() ask() while true do end end)()
            print(tasklet.pump(1000000) == u)
            u:remove()
        ]], {options = {"--slice", "2", "--blocking-io"}}) -- `ask` is not to wait
        assert.equal("false\ttrue\ntrue\ntrue\n", result.stdout, result.stderr)
        assert.equal(0, result.status)
    end)

    it("8.4 finds the line in a generator that runs", function()
        local result = run [[
            for _ in coroutine.wrap(function()
                local name, _ = ask_later()
                while not io.open(name) do end -- line 19
                os.remove(name)
            end) do end
        ]]
        check_dumps(result, 1)
        assert.equal("19", result.stderr:match("running[^\n]*:(%d+)"), result.stderr)
    end)

    it("8.4 is left to a script that waits for it", function()
        local result = run [[
            local t = tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(tasklet.signals, "SIGUSR1"))
                print("mine")
            end)
            ask()
            t:join()
            ask()
        ]]
        assert.equal("mine\n", result.stdout)
        check_dumps(result, 1)
    end)
end)
