-- The process' own streams (contract 11.1): terminals, pipes, files, sockets.
local helper = require "spec.helper"
local tasklet = require "tasklet"

local echo = [[
    local tasklet = require "tasklet"
    for line in tasklet.stdin:lines("L") do
        tasklet.stdout:write("[", line, "]")
    end
    tasklet.stdout:write("\n")
]]

-- What a shell says that runs a script of the host's; "%s" is the command.
local function shell(script, line)
    local file = os.tmpname()
    local out <close> = assert(io.open(file, "w"))
    out:write(script)
    out:close()
    line = line:gsub("%%s", function()
        return ("timeout --foreground 60 '%s' '%s'"):format(helper.bin, file)
    end)
    local pipe = assert(io.popen("exec 2>&1; " .. line))
    local text = pipe:read("a")
    pipe:close()
    os.remove(file)
    return text
end

describe("standard input and output", function()
    it("11.1 are pipes", function()
        assert.equal("[a\n][b]\n", shell(echo, "printf 'a\\nb' | %s | cat"))
    end)

    it("11.1 are files", function()
        local file = os.tmpname()
        assert.equal("[a\n][b]\n",
            shell(echo, ("printf 'a\\nb' >%s; %%s <%s >%s.out; cat %s.out; rm %s*"):format(file,
                file, file, file, file)))
    end)

    it("are /dev/null", function()
        assert.equal("\n", shell(echo, "%s </dev/null"))
        assert.equal("", shell(echo, "%s </dev/null >/dev/null"))
        assert.equal("err\n", shell([[
            require "tasklet".stderr:write("err\n")
        ]], "%s </dev/null >/dev/null"))
    end)

    it("11.1 read each format from a file", function()
        local text = shell([[
            local tasklet = require "tasklet"
            local n, rest, line = tasklet.stdin:read("n", "l", "l")
            print(n, rest, line, tasklet.stdin:read("a"))
        ]], "printf '12\\nline\\nrest' >/tmp/tk-$$; %s </tmp/tk-$$; rm /tmp/tk-$$")
        assert.equal("12\t\tline\trest\n", text)
    end)

    it("are not made non-blocking for others", function()
        local text = shell([[
            local tasklet = require "tasklet"
            tasklet.stdout:write(tasklet.stdin:read(), "\n")
            for _, fd in ipairs { 0, 1 } do
                for line in io.lines("/proc/self/fdinfo/" .. fd) do
                    local flags = line:match("^flags:%s*(%d+)")
                    if flags then
                        tasklet.stdout:write(tonumber(flags, 8) & 2048, "\n") -- O_NONBLOCK
                    end
                end
            end
        ]], "echo x | %s | cat")
        assert.equal("x\n0\n0\n", text)
    end)

    it("what is written is there though the program ends at once", function()
        local script = [[
            local tasklet = require "tasklet"
            tasklet.run(function() tasklet.stdout:write(("x"):rep(1000000)) end)
            %s
        ]]
        for _, last in ipairs { "", "tasklet.sleep(0)" } do
            local text = shell(script:format(last), "%s | (sleep 0.3; wc -c)")
            assert.equal("1000000\n", text)
        end
        -- What stands in the stream's own buffer is written even by os.exit.
        local text = shell([[
            local tasklet = require "tasklet"
            for i = 1, 100000 do
                if not pcall(tasklet.with_deadline, 0, tasklet.stdout.write, tasklet.stdout, "x")
                then break end
            end
            tasklet.stdout:write("y")
            os.exit(0)
        ]], "%s | tail -c 1")
        assert.equal("y", text)
    end)

    it("closed, the other side sees an end", function()
        assert.equal("3\nlate\n", shell([[
            local tasklet = require "tasklet"
            tasklet.stdout:write("abc")
            tasklet.stdout:close()
            tasklet.sleep(0.3)
            tasklet.stderr:write("late\n")
        ]], "%s | wc -c; sleep 0.5"):gsub("^late\n3\n", "3\nlate\n"))
    end)

    it("to one that reads no more: a failure, and no signal", function()
        assert.matches("EPIPE", shell([[
            local tasklet = require "tasklet"
            while true do
                local ok, _, code = tasklet.stdout:write(("x"):rep(1000))
                if not ok then
                    tasklet.stderr:write(code, "\n")
                    break
                end
            end
        ]], "%s | true"))
    end)

    it("wait while others run", function()
        assert.equal("tick\nline\n", shell([[
            local tasklet = require "tasklet"
            local t = tasklet.run(function() return tasklet.stdin:read() end)
            assert(t.waiting_for == "reading from stdin", t.waiting_for)
            tasklet.sleep(0.01)
            tasklet.stdout:write("tick\n")
            tasklet.stdout:write(tasklet.join(t), "\n")
        ]], "(sleep 0.2; echo line) | %s"))
    end)

    it("say what they are", function()
        assert.equal("stdin stdout stderr\n", shell([[
            local tasklet = require "tasklet"
            tasklet.stdout:write(tostring(tasklet.stdin), " ", tostring(tasklet.stdout), " ",
                tostring(tasklet.stderr), "\n")
        ]], "%s </dev/null"))
    end)

    it("closed by who started the program, are /dev/null there", function()
        assert.equal("nil\n", shell([[
            local tasklet = require "tasklet"
            tasklet.stdout:write(tostring(tasklet.stdin:read()), "\n")
        ]], "%s <&-"))
        assert.equal("0\n", shell([[
            local tasklet = require "tasklet"
            print("nowhere")
            tasklet.stdout:write("nowhere")
        ]], "%s >&-; echo $?"))
    end)

    it("are terminals", function()
        local text = shell([[
            local tasklet = require "tasklet"
            tasklet.stdout:write(tostring(tasklet.stdin), " got ", tasklet.stdin:read(), "\n")
        ]], "echo typed | script -qec \"%s\" /dev/null")
        assert.matches("stdin got typed", text)
    end)
end)

describe("tasklet.stream", function()
    it("takes a descriptor, and closes it if it is none", function()
        helper.within_loop(function()
            local none, _, code = tasklet.stream(999)
            assert.is_nil(none)
            assert.equal("EBADF", code)
            assert.has_error(function() tasklet.stream(-1) end)
            assert.has_error(function() tasklet.stream("x") end)
        end)
    end)

    it("on a file: reads and writes", function()
        helper.within_loop(function()
            local uv = require "luv"
            local path = os.tmpname()
            local out = assert(tasklet.stream(uv.fs_open(path, "w", 420)))
            assert.matches("^file %d+$", tostring(out))
            assert.equal(out, out:write("one\n", ("x"):rep(200000), "\n"))
            assert.equal(out, out:flush())
            out:close()
            local into = assert(tasklet.stream(uv.fs_open(path, "r", 0)))
            assert.equal("one", into:read())
            local readable = into:readable()
            assert.equal(readable, tasklet.wait(readable))
            assert.equal(200000, #into:read())
            assert.is_nil(into:read())
            into:close()
            os.remove(path)
        end)
    end)
end)
