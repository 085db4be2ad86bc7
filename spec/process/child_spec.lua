-- tasklet.process.spawn: a child with its streams, its end, and who ends it.

local tasklet = require "tasklet"
local support = require "spec.process.support"

local run, process = support.run, tasklet.process

-- A child that says when it is there, and its pid.
local function shell(script, options)
    local t = { "sh", "-c", script, table.unpack(options or {}) }
    for key, value in pairs(options or {}) do
        t[key] = t[key] or value
    end
    return assert(process.spawn(t))
end

describe("a child", function()
    it("has a pid and three streams", run(function()
        local child <close> = assert(process.spawn { "cat" })
        assert.is_true(support.is_alive(child.pid))
        child.stdin:write("one\ntwo\n")
        assert.same({ "one", "two" }, { child.stdout:read("l", "l") })
        child.stdin:close()
        assert.is_nil(child.stdout:read())
        assert.is_nil(child.stderr:read())
        assert.same({ true, "exit", 0 }, { child:wait() })
    end))

    it("says what it is", run(function()
        local child <close> = assert(process.spawn { "cat" })
        assert.equal(("child %d 'cat' (running)"):format(child.pid), tostring(child))
        child:kill("KILL")
        child:wait()
        assert.equal(("child %d 'cat' (signal 9)"):format(child.pid), tostring(child))
    end))

    it("is waited for as os.execute says how a command ended", run(function()
        assert.same({ nil, "exit", 3 }, { shell("exit 3"):wait() })
        assert.same({ nil, "signal", 9 }, { shell("kill -9 $$"):wait() })
        local child = shell("exit 0")
        assert.same({ true, "exit", 0 }, { child:wait() })
        assert.same({ true, "exit", 0 }, { child:wait() })
    end))

    it("is waited for by several at once, and no longer than they say", run(function()
        local child <close> = shell("read x; exit 5")
        local ends = {}
        for i = 1, 3 do
            tasklet.run(function() ends[i] = { child:wait() } end)
        end
        assert.same({ nil, "the child is still running", "timeout" }, { child:wait(0.01) })
        child.stdin:close()
        assert.same({ nil, "exit", 5 }, { child:wait(-1) })
        support.await(function() return #ends == 3 end)
        for i = 1, 3 do
            assert.same({ nil, "exit", 5 }, ends[i])
        end
    end))

    it("is a wait condition, with others", run(function()
        local child <close> = shell("read x; exit 6")
        local timeout = tasklet.WaitForTimeout(1)
        assert.equal(timeout, tasklet.wait(child, timeout))
        assert.is_nil(child.reason)
        child.stdin:close()
        local event = tasklet.wait(child, tasklet.WaitForTimeout(60000))
        assert.equal(child, event)
        assert.same({ "exit", 6 }, { child.reason, child.status })
        assert.equal(child, tasklet.wait(child)) -- it fires again
    end))

    it("that ended before is a condition that fires", run(function()
        local child = shell("exit 0")
        child:wait()
        assert.equal(child, tasklet.wait(child, tasklet.WaitForTimeout(60000)))
        assert.same({ "exit", 0 }, { child.reason, child.status })
    end))

    it("4.2 that ended before can be waited for by its pid", run(function()
        local child, killed = shell("exit 7"), shell("kill -9 $$")
        child:wait()
        killed:wait()
        for _ = 1, 2 do
            local event = tasklet.wait(tasklet.WaitForProcess(child.pid))
            assert.same({ "exit", 7 }, { event.reason, event.status })
            event = tasklet.wait(tasklet.WaitForProcess(killed.pid))
            assert.same({ "signal", 9 }, { event.reason, event.status })
        end
    end))

    it("4.2 is known by its pid no longer than by its object", run(function()
        local child = shell("exit 7")
        local pid = child.pid
        child:wait()
        child = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        assert.is_false((pcall(tasklet.wait, tasklet.WaitForProcess(pid))))
    end))

    it("gets signals by number and by name", run(function()
        for _, signal in ipairs { 10, 10.0, "USR1", "SIGUSR1" } do
            local child <close> = assert(process.spawn { "sleep", 60 })
            assert.is_true(child:kill(signal))
            assert.same({ nil, "signal", 10 }, { child:wait() })
            assert.same({ nil, "the child has ended", "ESRCH" }, { child:kill() })
        end
        local child <close> = shell("sleep 60")
        child:kill()
        assert.same({ nil, "signal", 15 }, { child:wait() })
        assert.has_error(function() child:kill("NONESUCH") end)
        assert.has_error(function() child:kill(65) end)
        assert.has_error(function() child:kill(1.5) end)
        assert.has_error(function() child.kill({}) end)
    end))

    it("gets signals together with those that it has started", run(function()
        local child <close> = shell("sleep 60 & echo $!; wait")
        local pid = child.stdout:read("n")
        child:kill("KILL")
        child:wait()
        support.await(function() return not support.is_alive(pid) end)
    end))

    it("has no descriptors but its three", run(function()
        local file <close> = assert(io.open("/dev/null"))
        local a, b = tasklet.net.pair()
        local child <close> = assert(process.spawn { "sh", "-c", "ls /proc/$$/fd" })
        assert.equal("0\n1\n2\n", (child.stdout:read("a"):gsub("1[0-9]\n", "")))
        assert.truthy(file)
        a:close()
        b:close()
    end))

    it("has all signals in their default state", run(function()
        local child <close> = assert(process.spawn { "cat", "/proc/self/status" })
        local text = child.stdout:read("a")
        for _, name in ipairs { "SigBlk", "SigIgn", "SigCgt" } do
            assert.equal("0000000000000000", text:match(name .. ":%s*(%x+)"))
        end
    end))

    it("leads a process group of its own", run(function()
        local child <close> = shell("sleep 60")
        assert.equal(child.pid, support.processes()[child.pid].group)
    end))

    it("has its ends where the options say", run(function()
        local child <close> = shell(
            "readlink /proc/$$/fd/0 /proc/$$/fd/1; readlink /proc/$$/fd/2 >&2",
            { stdin = "null", stderr = "stdout" })
        assert.is_nil(child.stdin)
        assert.is_nil(child.stderr)
        local text = child.stdout:read("a")
        assert.truthy(text:find("^/dev/null\npipe:"))
        local silent <close> = shell("echo nothing", { stdin = "null", stdout = "null",
            stderr = "null" })
        assert.same({ nil, nil, nil }, { silent.stdin, silent.stdout, silent.stderr })
        assert.is_true(silent:wait())
    end))

    it("takes a stream as its end", run(function()
        local a, b = tasklet.net.pair()
        local child <close> = assert(process.spawn { "cat", stdin = a, stdout = "pipe" })
        a:close()
        b:write("by a socket\n")
        b:close()
        assert.equal("by a socket\n", child.stdout:read("a"))
        local first <close> = assert(process.spawn { "echo", "from the first" })
        local second <close> = assert(process.spawn { "tr", "a-z", "A-Z", stdin = first.stdout })
        assert.equal("FROM THE FIRST\n", second.stdout:read("a"))
    end))

    it("that closes its output lives on", run(function()
        local child <close> = shell("exec >&- 2>&-; read x; exit 8")
        assert.is_nil(child.stdout:read())
        assert.is_nil(child.stderr:read())
        assert.same({ nil, "the child is still running", "timeout" }, { child:wait(0.01) })
        child.stdin:close()
        assert.same({ nil, "exit", 8 }, { child:wait() })
    end))
end)

describe("a child ends", function()
    it("with the tasklet that started it", run(function()
        local child
        local t = tasklet.run(function()
            child = shell("sleep 60 & echo $!; wait")
            tasklet.sleep(60)
        end)
        local other = child.stdout:read("n")
        t:kill()
        assert.same({ nil, "signal", 15 }, { child:wait() })
        support.await(function() return not support.is_alive(other) end)
    end))

    it("also if that returns, or fails", run(function()
        local child
        tasklet.run(function() child = shell("sleep 60") end)
        assert.same({ nil, "signal", 15 }, { child:wait() })
        local t = tasklet.run(function()
            child = shell("sleep 60")
            error("on purpose")
        end)
        assert.is_false(pcall(tasklet.join, t))
        assert.same({ nil, "signal", 15 }, { child:wait() })
    end))

    it("with what it has left behind", run(function()
        local pid
        local t = tasklet.run(function()
            local child = shell("sleep 60 >/dev/null 2>&1 & echo $!")
            pid = child.stdout:read("n")
            child:wait()
            tasklet.sleep(60)
        end)
        support.await(function() return pid end)
        tasklet.sleep(0.05)
        assert.is_true(support.is_alive(pid))
        t:kill()
        support.await(function() return not support.is_alive(pid) end)
    end))

    it("by KILL if TERM does not end it", run(function()
        local child
        local t = tasklet.run(function()
            child = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done",
                { grace = 0.05 })
            child.stdout:read("l")
        end)
        tasklet.join(t)
        assert.same({ nil, "signal", 9 }, { child:wait() })
    end))

    it("even if it is stopped", run(function()
        local child = shell("kill -STOP $$; echo never")
        support.await(function() return support.processes()[child.pid].state == "T" end)
        child:close()
        support.await(function() return not support.is_alive(child.pid) end)
    end))

    it("when it is closed; whoever waits for it hears of that", run(function()
        local child = shell("trap '' TERM; echo ready; while :; do sleep 0.01; done",
            { grace = 0.05 })
        child.stdout:read("l")
        local said, event
        tasklet.run(function() said = { child:wait() } end)
        tasklet.run(function() event = tasklet.wait(child) end)
        child:close()
        child:close()
        tasklet.yield_()
        assert.same({ nil, "the child was closed", "closed" }, said)
        assert.same({ nil, "closed" }, { child.stdout:read(), select(3, child.stdout:read()) })
        support.await(function() return event end)
        assert.equal("signal", event.reason)
        assert.same({ nil, "signal", 9 }, { child:wait() })
        support.await(function() return support.zombies() == 0 end)
    end))

    it("at the end of a block", run(function()
        local pid
        do
            local child <close> = shell("sleep 60")
            pid = child.pid
        end
        support.await(function() return not support.is_alive(pid) end)
    end))

    it("but not if it is detached", run(function()
        local child
        tasklet.run(function() child = shell("exec sleep 60", { detached = true }) end)
        tasklet.sleep(0.02)
        assert.is_true(support.is_alive(child.pid))
        child:close()
        tasklet.sleep(0.02)
        assert.is_true(support.is_alive(child.pid))
        assert(os.execute("kill " .. child.pid))
        support.await(function() return support.zombies() == 0 and
            not support.is_alive(child.pid) end)
    end))

    it("and is collected, also if nobody waits and its object is gone", run(function()
        for _ = 1, 20 do
            shell("exit 0")
        end
        collectgarbage()
        collectgarbage()
        support.await(function() return support.zombies() == 0 end)
    end))

    it("by a kill of who waits, a deadline and a scope, wherever that is", run(function()
        local waits = {
            wait = function(child) child:wait() end,
            condition = function(child) tasklet.wait(child) end,
            read = function(child) child.stdout:read("a") end,
            write = function(child)
                child.stdin:write(("x"):rep(1 << 20))
                child.stdin:flush()
            end,
            expect = function(child) child:expect { "never" } end,
        }
        for name, wait in pairs(waits) do
            local child
            local t = tasklet.run(function()
                child = shell("sleep 60")
                wait(child)
            end)
            t:kill()
            assert.same({ nil, "signal", 15 }, { child:wait() }, name)
            local ok, err = pcall(tasklet.scope, function(s)
                s:run(function()
                    child = shell("sleep 60")
                    wait(child)
                end)
                s:run(function()
                    tasklet.sleep(0.01)
                    error("sibling")
                end)
            end)
            assert.is_false(ok)
            assert.truthy(tostring(err):find("sibling"))
            assert.same({ nil, "signal", 15 }, { child:wait() }, name)
            if name ~= "condition" then
                ok, err = pcall(tasklet.with_deadline, 0.02, function()
                    child = shell("sleep 60")
                    wait(child)
                end)
                assert.is_false(ok)
                assert.is_true(tasklet.TimeoutError:is(err), name)
                child:close()
                support.await(function() return not support.is_alive(child.pid) end)
            end
        end
    end))
end)

describe("child:expect", function()
    it("gives the index of the pattern that matches, and its captures", run(function()
        local child <close> = assert(process.spawn { "cat" })
        child.stdin:write("user 7, group 8\nnext\n")
        assert.same({ 2, "7", "8" }, { child:expect { "nobody", "user (%d+), group (%d+)" } })
        assert.same({ 1, "next" }, { child:expect { "next" } })
    end))

    it("takes the match that comes first in the text", run(function()
        local child <close> = assert(process.spawn { "cat" })
        child.stdin:write("a b c\n")
        support.await(function() return tasklet.wait(child.stdout:readable()) end)
        assert.same({ 2, "a" }, { child:expect { "c", "a" } })
        assert.same({ 1, "b" }, { child:expect { "b", "b c" } })
    end))

    it("leaves unread what stands behind the match", run(function()
        local child <close> = assert(process.spawn { "cat" })
        child.stdin:write("head: rest of the line\nnext\n")
        child:expect { "head:" }
        assert.equal(" rest of the line", child.stdout:read("l"))
        assert.same({ nil, "nothing that was expected has come", "timeout" },
            { child:expect { "never", timeout = 0.05 } })
        assert.equal("next", child.stdout:read("l"))
    end))

    it("waits until the text is there, in whatever pieces", run(function()
        local child <close> = shell("printf ab; sleep 0.05; printf cd; sleep 0.05; echo ef")
        assert.same({ 1, "bcde" }, { child:expect { "bc.e" } })
    end))

    it("says that the output has ended", run(function()
        local child <close> = shell("echo some text")
        assert.same({ nil, "the output has ended", "closed" }, { child:expect { "other" } })
        assert.equal("some text", child.stdout:read("l"))
    end))

    it("checks its arguments, and who reads already", run(function()
        local child <close> = assert(process.spawn { "cat" })
        local function raises(message, ...)
            local args = { ... }
            local ok, err = pcall(function() child:expect(table.unpack(args)) end)
            assert.is_false(ok)
            assert.truthy(tostring(err):find("child_spec.lua:%d+: "), tostring(err))
            assert.truthy(tostring(err):find(message, 1, true), tostring(err))
        end
        raises("bad argument #1 to 'expect' (table expected, got no value)")
        raises("(nothing in the list)", {})
        raises("at 1: malformed pattern", { "[" })
        raises("unknown option 'time' (known: timeout)", { "x", time = 1 })
        tasklet.run(function() child.stdout:read("l") end)
        raises("reads from this stream already", { "x" })
        local mute <close> = assert(process.spawn { "cat", stdout = "null" })
        local ok, err = pcall(mute.expect, mute, { "x" })
        assert.is_false(ok)
        assert.truthy(tostring(err):find("the child's output does not come here"))
    end))
end)
