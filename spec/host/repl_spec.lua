-- The prompt, driven through a pipe with -i, and through a terminal.

local PROGRAM = os.getenv("TASKLET_BIN") or "build/src/host/tasklet"
local BANNER = "^tasklet %d+%.%d+%.%d+  Lua 5%.4%.%d+  Copyright [^\n]*\n"

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a shell command, for 20 seconds at most. The banner, if any, is taken off the output.
---@return { status: integer, out: string, err: string, banner: string|nil }
local function run(command)
    local errors = os.tmpname()
    local line = ("exec 2>%s; exec timeout --foreground 20 sh -c %s"):format(errors, quote(command))
    local pipe = assert(io.popen(line))
    local out = pipe:read("a")
    local _, how, status = pipe:close()
    local file = assert(io.open(errors))
    local err = file:read("a")
    file:close()
    os.remove(errors)
    local banner = out:match(BANNER)
    return {
        status = how == "signal" and 128 + status or status,
        out = banner and out:sub(#banner + 1) or out,
        err = err,
        banner = banner,
    }
end

--- Types lines at the prompt, which is set to nothing first so that only results are seen.
local function type_in(...)
    local lines = table.concat({ ... }, "\n") .. "\n"
    local quiet = quote("_PROMPT, _PROMPT2 = '', ''")
    return run(("printf %%s %s | %s --virtual-time -i -e %s"):format(quote(lines), quote(PROGRAM),
        quiet))
end

describe("the prompt", function()
    it("begins with a banner, and ends with the input, a newline and status 0", function()
        local result = run(quote(PROGRAM) .. " -i </dev/null")
        assert.truthy(result.banner)
        assert.same({ 0, "> \n", "" }, { result.status, result.out, result.err })
    end)

    it("has prompts that a script may set", function()
        local result = run("printf 'x = \\n1\\n_PROMPT = 5\\n_PROMPT2 = \"more \"\\nx =\\n2' | "
            .. quote(PROGRAM) .. " -i")
        assert.equal("> >> > 55more 5\n", result.out)
        assert.equal("", result.err)
    end)

    it("prints what an expression gives, nothing for a statement", function()
        local result = type_in("1 + 1", "= 2, nil", "x = 3", "x", "=x", "nil", "", "return x, x")
        assert.equal("2\n2\tnil\n3\n3\nnil\n3\t3\n\n", result.out)
        assert.same({ 0, "" }, { result.status, result.err })
    end)

    it("prints by the global print, and says so where that fails", function()
        local result = type_in("print = function(...) io.write('<', ..., '>\\n') end", "5",
            "print = function() error('no', 0) end", "6", "io.write('on\\n') and nil")
        assert.matches("^<5>\n", result.out)
        assert.matches("^error calling 'print' %(no%)\n", result.err)
        assert.equal(0, result.status)
    end)

    it("reads on until a statement is whole", function()
        local result = type_in("for i = 1, 2 do", "  print(i)", "end", "print(", "'a'", ")")
        assert.equal("1\n2\na\n\n", result.out)
        assert.equal("", result.err)
    end)

    it("tells errors with a traceback that ends with the line, and goes on", function()
        local result = type_in("local function f() error('boom') end f()", "'still here'")
        assert.equal("still here\n\n", result.out)
        assert.equal(0, result.status)
        assert.equal("stdin:1: boom\nstack traceback:\n\t[C]: in function 'error'\n"
            .. "\tstdin:1: in local 'f'\n\tstdin:1: in main chunk\n\t[C]: in ?\n", result.err)
    end)

    it("tells errors that are not strings", function()
        local result = type_in("error({})", "error()",
            "error(setmetatable({}, {__tostring = function() return 'pretty' end}))", "error(12)")
        assert.matches("^%(error object is a table value%)\nstack traceback:\n", result.err)
        assert.matches("\n%(error object is a nil value%)\nstack traceback:\n", result.err)
        assert.matches("\npretty\n12\n", result.err, 1, true)
    end)

    it("tells what does not compile, and goes on", function()
        local result = type_in("x = = 1", "2", "for")
        assert.equal("2\n\n", result.out)
        assert.equal(0, result.status)
        assert.matches("^stdin:1: unexpected symbol near '='\nstdin:1: [^\n]*<eof>\n$", result.err)
    end)

    it("comes after LUA_INIT, -e, -l and the script", function()
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write("y = x + 1 print(...)")
        file:close()
        local result = run(("echo 'y, #arg' | LUA_INIT='x = 1' %s -i %s a b"):format(
            quote(PROGRAM), path))
        os.remove(path)
        assert.equal("a\tb\n> 2\t2\n> \n", result.out)
        assert.equal("", result.err)
    end)

    it("does not come after an error", function()
        local result = run("echo 'print(1)' | " .. quote(PROGRAM) .. " -i -e 'error(\"boom\")'")
        assert.truthy(result.banner)
        assert.same({ 1, "" }, { result.status, result.out })
        assert.matches("boom\nstack traceback:\n", result.err, 1, true)
    end)

    it("ends with os.exit", function()
        local result = type_in("os.exit(3)", "print('never')")
        assert.same({ 3, "", "" }, { result.status, result.out, result.err })
    end)
end)

describe("waiting at the prompt", function()
    it("lets a line wait", function()
        local result = type_in("tasklet = require('tasklet')",
            "tasklet.sleep(0.01) print('slept')", "tasklet.sleep(0.01), 'twice'",
            "tasklet.join(tasklet.run(function() tasklet.sleep(0.01) return 4 end))",
            "tasklet.sleep(0.01) error('after')", "'end'")
        assert.matches("^slept\n.*twice\n4\nend\n\n$", result.out)
        assert.matches("^stdin:1: after\nstack traceback:\n", result.err)
        assert.equal(0, result.status)
    end)

    -- The second line is only typed when the tasklet of the first has made a file.
    it("leaves the wait list, the event and the deadline of the main tasklet alone", function()
        local result = type_in("T = require 'tasklet'", "call = T.WaitForCall()",
            "call(1)", "call(2)", "coroutine.yield(call)", "T.get_event().args[1]",
            "T.wait(call).args[1]", "T.current().timeout = 0", "T.count()")
        assert.equal("nil\nnil\n1\n2\n1\n\n", result.out)
        assert.same({ 0, "" }, { result.status, result.err })
    end)

    it("lets others go on while it waits for a line", function()
        local path = os.tmpname()
        os.remove(path)
        local first = ([[tasklet = require("tasklet") t = tasklet.run(function()
            for i = 1, 3 do tasklet.sleep(0.01) end
            io.open(%q, "w"):close() return "made" end)]]):format(path):gsub("\n *", " ")
        local feeder = ("printf '%%s\\n' %s; n=0; until [ -e %s ] || [ $n = 500 ]; "
            .. "do n=$((n + 1)); sleep 0.01; done; echo 'tasklet.join(t)'; echo 'os.remove(%q)'")
            :format(quote(first), path, path)
        local result = run(("{ %s; } | %s -i -e %s"):format(feeder, quote(PROGRAM),
            quote("_PROMPT = ''")))
        assert.equal("", result.err)
        assert.equal("made\ntrue\n\n", result.out)
    end)

    it("tells of a tasklet that failed, and goes on", function()
        local result = type_in("tasklet = require('tasklet')",
            "t = tasklet.run(function() error('unseen') end)", "tasklet.sleep(0.01)", "t ~= nil")
        assert.matches("true\n\n$", result.out)
        assert.matches("unseen\n", result.err, 1, true)
        assert.equal(0, result.status)
    end)

    it("ends the others with what they have to close at the end of the input", function()
        local result = type_in("tasklet = require('tasklet')",
            "function close() print('closed') end",
            "function wait() local x <close> = setmetatable({}, {__close = close}) "
                .. "tasklet.sleep(60) end", "t = tasklet.run(wait)")
        assert.same({ 0, "\nclosed\n", "" }, { result.status, result.out, result.err })
    end)

    it("ends with 130 by SIGINT", function()
        local fifo = os.tmpname()
        os.remove(fifo)
        assert(os.execute("mkfifo " .. fifo))
        -- The shell sends the signal as soon as the program sleeps, waiting for a line.
        local stat = [[shell = io.popen("until grep -q '^State:.S' /proc/$PPID/status; ]]
            .. [[do :; done; kill -INT $PPID")]]
        local result = run(("exec %s -i -e %s <>%s"):format(quote(PROGRAM), quote(stat), fifo))
        os.remove(fifo)
        assert.same({ 130, "> ", "" }, { result.status, result.out, result.err })
    end)

    it("ends a line that never waits by SIGINT", function()
        local result = type_in([[io.popen("kill -INT $PPID"):close() while true do end]],
            "print('never')")
        assert.same({ 130, "", "" }, { result.status, result.out, result.err })
    end)
end)

describe("on a terminal", function()
    it("a prompt is shown where there is no script, and the terminal's end ends it", function()
        local command = ("script -qec %s /dev/null"):format(quote(quote(PROGRAM)))
        local result = run("printf '6 * 7\\nrequire(\"tasklet\").sleep(0)\\n' | " .. command)
        local text = ((result.banner or "") .. result.out):gsub("\r", "")
        assert.matches("tasklet %d+%.%d+%.%d+  Lua 5%.4", text)
        assert.matches("42\n> ", text)
        assert.equal(0, result.status)
    end)

    it("none is shown with -e", function()
        local command = ("script -qec %s /dev/null"):format(
            quote(quote(PROGRAM) .. " -e " .. quote("print(1)")))
        assert.equal("1\r\n", run(command .. " </dev/null").out)
    end)
end)
