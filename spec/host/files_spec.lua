-- os.execute, io.popen and reading standard input in the host program: the same results as in plain
-- Lua, while other tasklets go on.

local helper = require "spec.helper"

-- `gate()` gives a command that ends when another tasklet has waited a few times: if that stood
-- still, it would never end.
local PREAMBLE = [[
    local tasklet = require "tasklet"
    local function gate()
        local path = os.tmpname()
        os.remove(path)
        tasklet.new(function()
            for _ = 1, 3 do
                tasklet.sleep(0.001)
            end
            assert(io.open(path, "w")):close()
            tasklet.sleep(3600)
        end, { daemon = true })()
        return ("while ! test -e %s; do sleep 0.01; done; rm %s"):format(path, path)
    end
]]

---@param script string
---@param options? table
---@return string # what it wrote
local function output(script, options)
    local result = helper.run_file(PREAMBLE .. script, options)
    assert.same({ "", 0 }, { result.stderr, result.status })
    return result.stdout
end

-- The lines of what a script wrote, whatever its path.
local function lines_of(result)
    local lines = {}
    for line in (result.stdout .. "\n"):gmatch("(.-)\n") do
        lines[#lines + 1] = line:gsub(result.path, "SCRIPT")
    end
    return lines
end

describe("in the host program", function()
    it("others go on while os.execute runs", function()
        assert.equal("nil\texit\t4\n", output [[
            print(os.execute(gate() .. "; exit 4"))
        ]])
    end)

    it("others go on while what io.popen gave is read, by any format", function()
        assert.equal("one\n2\nthr\nee\n4\n5\n\nnil\texit\t3\n", output [[
            local words = "%s; echo one; %s; echo 2; %s; echo three; %s; echo 4; echo 5; exit 3"
            local f = io.popen(words:format(gate(), gate(), gate(), gate()))
            print(f:read("l"))
            print(f:read("n"))
            f:read("l")
            print(f:read(3))
            print(f:read("l"))
            print(f:read("a"))
            print(f:close())
        ]])
    end)

    it("others go on while its lines are read", function()
        assert.equal("one\ntwo\n", output [[
            local f = io.popen(("%s; echo one; %s; echo two; %s"):format(gate(), gate(), gate()))
            for line in f:lines() do
                print(line)
            end
            f:close()
        ]])
    end)

    it("others go on while it is closed", function()
        assert.equal("true\texit\t0\ntrue\n", output [[
            print(io.popen("exec >/dev/null; " .. gate()):close())
            do
                local f <close> = io.popen("exec >/dev/null; " .. gate())
            end
            print(true)
        ]])
    end)

    it("others go on while it is written to, and nobody reads", function()
        assert.equal("true\n1000000\n", output [[
            local f = io.popen(gate() .. "; wc -c", "w")
            print(f:write(("x"):rep(999990), 1234567890) == f)
            io.stdout:flush()
            f:close()
        ]])
    end)

    it("others go on while standard input is read", function()
        local paths = { os.tmpname(), os.tmpname(), os.tmpname() }
        local file <close> = assert(io.open(paths[1], "w"))
        file:write("local first, second = ...\n" .. [[
            local tasklet = require "tasklet"
            local function make(path)
                return tasklet.new(function()
                    for _ = 1, 3 do
                        tasklet.sleep(0.001)
                    end
                    assert(io.open(path, "w")):close()
                    tasklet.sleep(3600)
                end, { daemon = true })()
            end
            make(first)
            print(io.read("n", "l"))
            make(second)
            for line in io.lines() do
                print(line)
            end
            print(io.read("l"))
        ]])
        file:close()
        os.remove(paths[2])
        os.remove(paths[3])
        local gate = "while ! test -e %s; do sleep 0.01; done"
        local words = "(%s; echo 42 rest; echo line; %s; printf end) | %s %s %s %s"
        local pipe = io.popen(words:format(gate:format(paths[2]), gate:format(paths[3]), helper.bin,
            table.unpack(paths)))
        local text = pipe:read("a")
        pipe:close()
        for _, path in ipairs(paths) do
            os.remove(path)
        end
        assert.equal("42\t rest\nline\nend\nnil\n", text)
    end)

    it("a wait ends with a kill, a deadline and a scope", function()
        assert.equal([[
false	killed
false	TimeoutError
false	TimeoutError
true
]], output [[
            local t = tasklet.run(function()
                print(pcall(os.execute, "sleep 60"))
            end)
            tasklet.sleep(0.01)
            t:kill()
            local f = io.popen("sleep 1; echo never")
            local ok, err = pcall(tasklet.with_deadline, 0.05, f.read, f)
            print(ok, tasklet.TimeoutError:is(err) and "TimeoutError" or err)
            tasklet.current().timeout = 0.05
            ok, err = pcall(f.read, f)
            print(ok, tasklet.TimeoutError:is(err) and "TimeoutError" or err)
            tasklet.current().timeout = nil
            print(io.type(f) == "file")
        ]])
    end)

    it("a read that a deadline or a kill ends gives back what it has taken", function()
        local name = os.tmpname()
        assert.equal(table.concat({
            "false", "ab\t c", "false", " \t12\tx\t", "false", "200000\ttrue", "killed",
            "200003\tabc", "end\tnil", "",
        }, "\n"), output([[
            local name, gate = arg[1], 0
            -- Each of the commands waits until it is told to go on.
            local list = {
                "printf 'ab\\n c'",
                "printf 'd\\n \\n 1'",
                "printf '2x\\td'",
                "echo; head -c 200000 /dev/zero | tr '\\0' x",
                "echo",
                "printf %0200000d 0",
                "echo abc; echo end",
            }
            for i, command in ipairs(list) do
                list[i] = ("until test -e %s%d; do sleep 0.01; done; %s"):format(name, i, command)
            end
            local f = io.popen(table.concat(list, "; "))
            local function go_on()
                gate = gate + 1
                assert(io.open(name .. gate, "w")):close()
            end
            local function too_short(...)
                print((pcall(tasklet.with_deadline, 0.3, f.read, f, ...)))
            end
            go_on()
            too_short("l", "l")
            print(f:read("l", 2))
            go_on()
            f:read("l")
            too_short("n")
            go_on()
            print(f:read("l", "n", 2))
            go_on()
            f:read("l")
            too_short("l")
            go_on()
            local line = f:read("l")
            print(#line, line == ("x"):rep(200000))
            go_on()
            local t = tasklet.run(function()
                f:read("a")
            end)
            tasklet.sleep(0.3)
            t:kill()
            print(t:has_finished() and "killed")
            go_on()
            line = f:read("l")
            print(#line, line:sub(-3))
            print(f:read("l", "l"))
            for i = 1, gate do
                os.remove(name .. i)
            end
        ]], {args = {name}}))
        os.remove(name)
    end)

    it("a command that is not waited for any more is ended", function()
        assert.equal("true\nnil\n", output [[
            local t = tasklet.run(os.execute, "exec sleep 4711")
            tasklet.sleep(0.2)
            local list = io.popen("ps -eo args")
            print(list:read("a"):find("sleep 4711", 1, true) ~= nil)
            list:close()
            t:kill()
            tasklet.sleep(0.2)
            list = io.popen("ps -eo args")
            print(list:read("a"):find("sleep 4711", 1, true))
            list:close()
        ]])
    end)

    it("a command that does not mind that is killed", function()
        assert.equal("killed\nnil\n", output [[
            local pause = ("sleep 60.%d"):format(math.random(1 << 30))
            local t = tasklet.run(os.execute, "trap '' TERM; " .. pause .. "; " .. pause)
            tasklet.sleep(0.2)
            t:kill()
            print("killed")
            tasklet.sleep(2.5)
            local list = io.popen("ps -eo args")
            print(list:read("a"):find("\n" .. pause, 1, true))
            list:close()
        ]])
    end)

    it("a file that somebody else closes is waited for no more", function()
        assert.equal(("false\tattempt to use a closed file\n"):rep(4), output [[
            local function closed(mode, f, ...)
                local file = io.popen(mode == "r" and gate()
                    or "exec 3<&0; " .. gate() .. "; cat <&3 >/dev/null", mode)
                local t = tasklet.run(pcall, file[f], file, ...)
                file:close()
                print(t:join())
            end
            closed("r", "read", "a")
            closed("w", "write", ("x"):rep(200000))

            -- the reader is to go on already
            local file = io.popen("echo x; " .. gate())
            local high = { priority = tasklet.PRIORITY_HIGH }
            local ready = tasklet.WaitForIO(file, tasklet.IO_IN, high)
            local t = tasklet.run(pcall, file.read, file, "a")
            tasklet.wait(ready)
            file:close()
            print(t:join())

            -- by one that cannot wait itself
            file = io.popen("echo x")
            t = tasklet.run(pcall, file.read, file, "a")
            pcall(table.sort, { 1, 2 }, function() file:close() end)
            print(t:join())
        ]])
    end)

    it("a file that nobody has any more holds nobody up", function()
        assert.equal("on\n", output [[
            io.popen(gate())
            collectgarbage()
            collectgarbage()
            print("on")
            tasklet.sleep(0.01) -- else the gate is never opened
        ]])
    end)

    it("where a caller cannot wait it is done as ever", function()
        assert.equal("hi\ttrue\texit\t0\nnil\texit\t7\ntrue\n", output [[
            local done = false
            table.sort({ 2, 1 }, function(a, b)
                if not done then
                    done = true
                    local f = io.popen("echo hi")
                    local line = f:read("l")
                    print(line, f:close())
                    print(os.execute("exit 7"))
                end
                return a < b
            end)
            print(done)
        ]])
    end)

    it("commands have a status also if the end of children was to be ignored", function()
        local words = [[bash -c "trap '' CHLD; exec '%s' -e '%s'"]]
        local pipe = assert(io.popen(words:format(helper.bin,
            "print(os.execute([[exit 4]]))"
            .. " print(require([[tasklet]]).process.run({ [[sh]], [[-c]], [[exit 5]] }).code)")))
        assert.equal("nil\texit\t4\n5\n", pipe:read("a"))
        pipe:close()
    end)

    it("--blocking-io leaves Lua's own functions in place", function()
        local result = helper.run({ "--blocking-io", "-e", [[
            local tasklet = require "tasklet"
            local ticks = 0
            tasklet.new(function()
                while true do
                    tasklet.sleep(0.001)
                    ticks = ticks + 1
                end
            end, { daemon = true })()
            print(os.execute("sleep 0.1"))
            print(ticks)
        ]] })
        assert.equal("true\texit\t0\n0\n", result.stdout)
    end)

    it("results, files and errors are those of plain Lua", function()
        local script = [[
            local commands = {
                "echo one; echo two", "printf 'a\\n\\nb'", "printf ''", "exit 9", "kill -15 $$",
                "echo 1 2 3 0x10 1e5 -7 +3 .5 5. 0x.8p1 nan abc", "printf '\\000x\\n\\000'",
                "printf '%0250d' 1", "nonesuch-command 2>/dev/null", "echo 12e echo 0x echo - + .",
            }
            local formats = {
                {}, { "l", "l", "l" }, { "L", "L", "L" }, { "a", "a" }, { "n", "n", "n", "n" },
                { "n", "n", "n", "n", "n", "n", "n", "n", "n", "n", "n", "n" },
                { 1, 2, 3, 0, 100 }, { "n", "l" }, { 0 }, { "*l", "*a" }, { "n", "a" }, { "q" },
            }
            for _, command in ipairs(commands) do
                for _, format in ipairs(formats) do
                    local f = io.popen(command)
                    print(command, pcall(f.read, f, table.unpack(format)))
                    f:read("a")
                    print(f:close())
                    f = io.popen(command)
                    local count = 0
                    print(pcall(function()
                        for a, b, c in f:lines(table.unpack(format, 1, math.min(3, #format))) do
                            count = count + 1
                            if count > 6 then
                                break
                            end
                            print(a, b, c)
                        end
                    end))
                    f:read("a")
                    print(f:close())
                end
            end
            local f = io.popen("cat >/dev/null; exit 5", "w")
            print(f:write("x", 1, 2.5, 3.0, "\n") == f)
            print(f:seek())
            print(f:close())
            print(pcall(f.close, f))
            print(pcall(f.read, f))
            print(pcall(f.lines, f))
            print(io.type(f), tostring(f))
            print(pcall(io.popen))
            print(pcall(io.popen, {}))
            print(pcall(io.popen, "true", "rw"))
            print(pcall(os.execute, {}))
            print(pcall(function() io.read("q") end))
            print(os.execute(), os.execute(""))
            print(os.execute("exit 77"))
            print(os.execute("kill -9 $$"))
            f = io.popen("cat", "r")
            print(f:write("x"))
            f:close()
            f = io.popen("cat >/dev/null", "w")
            print(f:read())
            f:close()
            do
                local g <close> = io.popen("cat", "w")
                g:write("closed\n")
            end
            f = io.popen("echo a; echo b")
            io.input(f)
            print(io.read())
            for line in io.lines() do
                print(line)
            end
            print(io.read("a"), io.read())
            print(io.close(f))
            print(pcall(io.read))
            print(pcall(io.lines))
            f = io.popen("cat", "w")
            io.output(f)
            io.write("to cat\n")
            print(io.close())
            io.output(io.stdout)
            for _, mode in ipairs { "no", "line", "full" } do
                f = io.popen("cat", "w")
                f:setvbuf(mode)
                f:write("un", "buffered\n", ("z"):rep(9000), "\n")
                f:close()
            end
        ]]
        script = "io.stdout:setvbuf('line')\n" .. script
        local plain = helper.plain(script)
        local host = helper.run_file(script)
        local ours, theirs = lines_of(host), lines_of(plain)
        for i = 1, math.max(#ours, #theirs) do
            if ours[i] ~= theirs[i] then
                assert.equal(("%d: %s"):format(i, theirs[i]), ("%d: %s"):format(i, ours[i]))
            end
        end
        assert.equal(plain.stderr, host.stderr)
        assert.equal(plain.status, host.status)
    end)
end)
