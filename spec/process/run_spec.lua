-- tasklet.process.run: whole runs, with input, output, limits and checks.

local tasklet = require "tasklet"
local support = require "spec.process.support"

local run, process = support.run, tasklet.process

describe("process.run", function()
    it("gives what a program wrote and how it ended", run(function()
        assert.same({ ok = true, code = 0, stdout = "out\n", stderr = "err\n", timed_out = false },
            process.run { "sh", "-c", "echo out; echo err >&2" })
        assert.same({ ok = false, code = 3, stdout = "", stderr = "", timed_out = false },
            process.run { "sh", "-c", "exit 3" })
        assert.same({ ok = false, signal = 9, stdout = "", stderr = "", timed_out = false },
            process.run { "sh", "-c", "kill -9 $$" })
    end))

    it("passes words on as they are, numbers as well", run(function()
        local result = process.run { "printf", "%s|", "a b", "", "*", "$HOME", "'", 7, 1.5 }
        assert.equal("a b||*|$HOME|'|7|1.5|", result.stdout)
    end))

    it("gives input, and an end after it", run(function()
        assert.equal("hello", process.run({ "cat", input = "hello" }).stdout)
        assert.equal("", process.run({ "cat", input = "" }).stdout)
    end))

    it("gives no input without the option", run(function()
        assert.equal("", process.run({ "cat" }).stdout)
    end))

    it("moves much both ways at once", run(function()
        local much = ("0123456789abcdef"):rep(1 << 17)
        local result = process.run { "sh", "-c", "tee /dev/stderr", input = much }
        assert.is_true(result.ok)
        assert.is_true(result.stdout == much)
        assert.is_true(result.stderr == much)
    end))

    it("does not mind a program that does not read its input", run(function()
        local result = process.run { "true", input = ("x"):rep(1 << 20) }
        assert.is_true(result.ok)
    end))

    it("has zeros and other bytes in input and output", run(function()
        local bytes = {}
        for i = 0, 255 do
            bytes[i + 1] = string.char(i)
        end
        local text = table.concat(bytes)
        assert.equal(text, process.run({ "cat", input = text }).stdout)
    end))

    it("has a directory of its own", run(function()
        assert.equal("/usr\n", process.run({ "pwd", cwd = "/usr" }).stdout)
    end))

    it("looks for a program below that directory if its name has a slash", run(function()
        assert.is_true(process.run({ "./sh", "-c", "true", cwd = "/bin" }).ok)
    end))

    it("has an environment that replaces", run(function()
        assert.equal("A=1\nB=2\n",
            process.run({ "env", env = { B = 2, A = "1" } }).stdout:gsub("PWD=[^\n]*\n", ""))
        local own = process.run({ "sh", "-c", "echo $HOME" }).stdout
        assert.equal((os.getenv "HOME" or "") .. "\n", own)
    end))

    it("looks for a program in the PATH that it gets", run(function()
        local result, message, code = process.run { "ls", env = { PATH = "/nonesuch" } }
        assert.same({ nil, "ls: No such file or directory", "ENOENT" }, { result, message, code })
        assert.is_true(process.run({ "true", env = { PATH = "/nonesuch:/bin:/usr/bin" } }).ok)
    end))

    it("takes what is in the PATH and cannot be looked into for empty", run(function()
        local dir = tasklet.fs.tempdir()
        assert(tasklet.fs.mkdir(dir .. "/closed", { mode = 0 }))
        assert(tasklet.fs.write_file(dir .. "/no-program", "x", { mode = 420 }))
        local path = ("%s/closed:/nonesuch:%s:%s/no-program"):format(dir, dir, dir)
        local codes = {}
        for _, name in ipairs { "nonesuch-program", "no-program", dir .. "/no-program/x" } do
            codes[#codes + 1] = select(3, process.run { name, env = { PATH = path } })
        end
        assert(tasklet.fs.remove(dir, { recursive = true }))
        assert.same({ "ENOENT", "EACCES", "ENOTDIR" }, codes)
    end))

    it("names every error of the system's", run(function()
        local dir = tasklet.fs.tempdir()
        assert(tasklet.fs.write_file(dir .. "/script", "true\n", { mode = 493 }))
        local _, message, code = process.run { dir .. "/script" }
        assert(tasklet.fs.remove(dir, { recursive = true }))
        assert.same({ dir .. "/script: Exec format error", "ENOEXEC" }, { message, code })
    end))

    it("says at once why a program cannot be run", run(function()
        assert.same({ nil, "nonesuch-program: No such file or directory", "ENOENT" },
            { process.run { "nonesuch-program" } })
        local _, message, code = process.run { "/etc/passwd" }
        assert.same({ "/etc/passwd: Permission denied", "EACCES" }, { message, code })
        _, message, code = process.run { "true", cwd = "/nonesuch" }
        assert.same({ "/nonesuch: No such file or directory", "ENOENT" }, { message, code })
    end))

    it("ends a program that takes too long, and says so", run(function()
        local result = process.run { "sleep", 60, timeout = 0.05 }
        assert.same({ ok = false, signal = 15, stdout = "", stderr = "", timed_out = true }, result)
    end))

    it("keeps what came until then, and what is said at the end", run(function()
        local result = process.run {
            "sh", "-c", "trap 'echo bye; exit 4' TERM; echo ready; sleep 60 & wait",
            timeout = 1,
        }
        assert.same({ false, 4, "ready\nbye\n", true },
            { result.ok, result.code, result.stdout, result.timed_out })
    end))

    it("kills one that does not end by itself", run(function()
        local result = process.run {
            "sh", "-c", "trap '' TERM; while :; do sleep 0.01; done", timeout = 0.1, grace = 0.05,
        }
        assert.same({ true, 9 }, { result.timed_out, result.signal })
    end))

    it("ends all of the program's group, and waits for that", run(function()
        local result = process.run {
            "sh", "-c", "sleep 60 & echo $!; sleep 60 & echo $!; wait", timeout = 1,
        }
        assert.is_true(result.timed_out)
        local first, second = result.stdout:match("(%d+)\n(%d+)")
        assert.is_false(support.is_alive(first))
        assert.is_false(support.is_alive(second))
    end))

    it("ends what a program has left behind that still holds its output", run(function()
        local result = process.run { "sh", "-c", "sleep 60 & echo $!", timeout = 1 }
        assert.is_true(result.timed_out)
        assert.same({ 0, false }, { result.code, result.ok })
        assert.is_false(support.is_alive(result.stdout))
    end))

    it("a negative timeout is none", run(function()
        assert.is_true(process.run({ "sleep", 0.05, timeout = -1 }).ok)
    end))

    it("raises if it is to check, with the end of what was said", run(function()
        local ok, err = pcall(function()
            process.run { "sh", "-c", "echo first >&2; echo bad thing >&2; exit 2", check = true }
        end)
        assert.is_false(ok)
        assert.is_true(tasklet.TaskletError:is(err))
        assert.truthy(err.message:find(
            "^[^\n]*run_spec.lua:%d+: 'sh' exited with code 2: first\nbad thing$"))
        assert.equal(2, err.result.code)
        ok, err = pcall(process.run, { "sleep", 60, timeout = 0.05, check = true })
        assert.truthy(not ok and err.message:find("'sleep' took longer than 0.05 s$"))
        ok, err = pcall(process.run, { "sh", "-c", "kill -11 $$", check = true })
        assert.truthy(not ok and err.message:find("'sh' was ended by signal 11$"))
        ok, err = pcall(process.run, { "nonesuch-program", check = true })
        assert.truthy(not ok and err.message:find("nonesuch%-program: No such file"))
        assert.equal("ENOENT", err.code)
        assert.is_true(process.run({ "true", check = true }).ok)
    end))

    it("shows no more than the last lines of much", run(function()
        local _, err = pcall(process.run, { "sh", "-c", "seq 1 10000 >&2; exit 1", check = true })
        assert.truthy(err.message:find("code 1: %d+\n.*\n10000$"))
        assert.is_true(#err.message < 600)
    end))

    it("leaves ends where the options say", run(function()
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        local result = process.run { "sh", "-c", "echo out; echo err >&2", stdout = file,
            stderr = "stdout" }
        file:close()
        assert.is_nil(result.stdout)
        assert.is_nil(result.stderr)
        file = assert(io.open(path))
        assert.equal("out\nerr\n", file:read("a"))
        file:seek("set")
        assert.equal("out\nerr\n", process.run({ "cat", stdin = file }).stdout)
        file:close()
        os.remove(path)
    end))

    it("others go on meanwhile", run(function()
        local ticks = 0
        local ticker = tasklet.run(function()
            while true do
                tasklet.sleep(0.001)
                ticks = ticks + 1
            end
        end)
        process.run { "sleep", 0.1 }
        ticker:kill()
        assert.is_true(ticks > 3)
    end))

    it("leaves the wait list alone", run(function()
        local long = tasklet.WaitForTimeout(0)
        tasklet.wait(long)
        tasklet.run(process.run, { "true" })
        assert.is_true(process.run({ "true" }).ok)
        assert.equal(long, tasklet.wait(long))
    end))

    it("ends with a kill: so does the program", run(function()
        local returned
        local t = tasklet.run(function()
            returned = process.run { "sleep", 60 }
        end)
        local own = support.own_pid()
        local found
        support.await(function()
            for _, p in pairs(support.processes()) do
                if p.parent == own and p.name == "sleep" then
                    found = p.pid
                end
            end
            return found
        end)
        t:kill()
        support.await(function() return not support.is_alive(found) end)
        assert.is_nil(returned)
        support.await(function() return support.zombies() == 0 end)
    end))

    it("ends with a deadline, which raises", run(function()
        local ok, err = pcall(tasklet.with_deadline, 0.05, process.run, { "sleep", 60 })
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        local t = tasklet.run(function()
            tasklet.current().timeout = 0.05
            process.run { "sleep", 60 }
        end)
        local failed
        failed, err = pcall(tasklet.join, t, -1)
        assert.is_false(failed)
        assert.is_true(tasklet.TimeoutError:is(err.cause))
    end))

    it("ends with its scope", run(function()
        local ok, err = pcall(tasklet.scope, function(s)
            s:run(process.run, { "sleep", 60 })
            s:run(function()
                tasklet.sleep(0.02)
                error("sibling")
            end)
        end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("sibling"))
    end))
end)

describe("the arguments of tasklet.process", function()
    local function raises(message, f, ...)
        local args = table.pack(...)
        local ok, err = pcall(function() f(table.unpack(args, 1, args.n)) end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("run_spec.lua:%d+: "), tostring(err))
        assert.truthy(tostring(err):find(message, 1, true), tostring(err))
    end

    it("are checked, all of them, before anything is started", run(function()
        raises("bad argument #1 to 'run' (table expected, got no value)", process.run)
        raises("bad argument #1 to 'spawn' (table expected, got string)", process.spawn, "ls")
        raises("(nothing in the list)", process.run, {})
        raises("at 1: the program's name is empty", process.run, { "" })
        raises("at 2: string expected, got table", process.run, { "ls", {} })
        raises("at 2: a zero byte in it", process.run, { "ls", "a\0b" })
        raises("unknown option 'stdn' (known: cwd, detached, env, grace, pty, stderr, stdin, "
            .. "stdout)", process.spawn, { "ls", stdn = "pipe" })
        raises("unknown option '7' (known", process.run, { "ls", [7] = "x" })
        raises("option 'cwd': string expected, got number", process.run, { "ls", cwd = 1 })
        raises("option 'env': table expected, got string", process.run, { "ls", env = "A=1" })
        raises("option 'env': 'A=B' cannot be a variable's name", process.run,
            { "ls", env = { ["A=B"] = "1" } })
        raises("option 'env': '1' cannot be a variable's name", process.run,
            { "ls", env = { "A" } })
        raises("option 'env': variable 'A': string expected, got boolean", process.run,
            { "ls", env = { A = true } })
        raises("option 'timeout': number expected, got string", process.run,
            { "ls", timeout = "1" })
        raises("option 'timeout': not a number", process.run, { "ls", timeout = 0 / 0 })
        raises("option 'grace': time must not be negative", process.run, { "ls", grace = -1 })
        raises("option 'input': string expected, got number", process.run, { "ls", input = 1 })
        raises("option 'check': boolean expected, got number", process.run, { "ls", check = 1 })
        raises("option 'input': there is an option 'stdin' as well", process.run,
            { "ls", input = "", stdin = "null" })
        raises("option 'stdout': 'pipe', 'inherit', 'null' or an open stream expected, got 'tube'",
            process.spawn, { "ls", stdout = "tube" })
        raises("option 'pty': unknown field 'width'", process.spawn, { "ls", pty = { width = 80 } })
        raises("option 'pty': field 'rows': integer from 1 to 65535 expected", process.spawn,
            { "ls", pty = { rows = 0 } })
        raises("option 'pty': the child's ends are the terminal's", process.spawn,
            { "ls", pty = true, stdout = "null" })
        raises("bad argument #1 to 'pipeline' (at 1: table expected, got string)", process.pipeline,
            { "ls" })
        raises("unknown option 'input' (known: cwd, env)", process.pipeline,
            { { "ls", input = "x" } })
    end))
end)
