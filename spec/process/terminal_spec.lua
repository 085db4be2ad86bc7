-- Children with a terminal: programs that talk to people.

local tasklet = require "tasklet"
local helper = require "spec.helper"
local support = require "spec.process.support"

local run, process = support.run, tasklet.process

local ENV = { TERM = "dumb", PATH = os.getenv "PATH", HOME = "/nonexistent", LC_ALL = "C" }

-- Long enough for any machine; nothing waits so long if all is well.
local LIMIT = 60

local function spawn(t)
    t.pty = t.pty or true
    t.env = t.env or ENV
    return assert(process.spawn(t))
end

describe("a child with a terminal", function()
    it("has it on all three ends, and leads its session", run(function()
        local child <close> = spawn { "sh", "-c",
            "test -t 0 && test -t 1 && test -t 2 && tty </dev/tty && ps -o sid= -p $$" }
        assert.is_nil(child.stderr)
        local _, session = child:expect { "/dev/tty%s+(%d+)", timeout = LIMIT }
        assert.equal(child.pid, tonumber(session))
        assert.same({ true, "exit", 0 }, { child:wait() })
    end))

    it("finds it as large as was said", run(function()
        local child <close> = spawn { "stty", "size" }
        assert.equal(1, (child:expect { "24 80", timeout = LIMIT }))
        local other <close> = spawn { "stty", "size", pty = { rows = 50, columns = 132 } }
        assert.equal(1, (other:expect { "50 132", timeout = LIMIT }))
    end))

    it("reads to the end when the child has ended", run(function()
        local child <close> = spawn { "echo", "all" }
        assert.equal("all\r\n", child.stdout:read("a"))
    end))

    it("is told of an interrupt that is typed", run(function()
        local child <close> = spawn { "sh", "-c", "echo ready; exec sleep 60" }
        child:expect { "ready", timeout = LIMIT }
        child.stdin:write("\3")
        assert.same({ nil, "signal", 2 }, { child:wait() })
    end))

    it("ends when it is closed: the terminal hangs up", run(function()
        local child = spawn { "bash", "--norc", "--noprofile", "-i", grace = LIMIT }
        child:expect { "[$#] $", timeout = LIMIT }
        child:close()
        support.await(function() return not support.is_alive(child.pid) end)
    end))

    it("can be bash", run(function()
        local env = { PS1 = "ready> " }
        for name, value in pairs(ENV) do
            env[name] = value
        end
        local child <close> = spawn { "bash", "--norc", "--noprofile", "-i", env = env }
        assert.equal(1, (child:expect { "ready> $", timeout = LIMIT }))
        child.stdin:write("echo $((6 * 7))\n")
        assert.same({ 1, "42" }, { child:expect { "\n(%d+)\r\n", timeout = LIMIT } })
        child:expect { "ready> $", timeout = LIMIT }
        child.stdin:write("exit 5\n")
        assert.same({ nil, "exit", 5 }, { child:wait() })
    end))

    it("can be python", run(function()
        local child <close> = spawn { "python3", "-i", "-E" }
        child:expect { ">>> $", timeout = LIMIT }
        child.stdin:write("2 ** 100\n")
        assert.same({ 1, "1267650600228229401496703205376" },
            { child:expect { "\n(%d+)\r?\n", timeout = LIMIT } })
        child:expect { ">>> $", timeout = LIMIT }
        child.stdin:write("exit(3)\n")
        assert.same({ nil, "exit", 3 }, { child:wait() })
    end))

    it("can be sqlite3", run(function()
        local child <close> = spawn { "sqlite3", ":memory:" }
        child:expect { "sqlite> $", timeout = LIMIT }
        child.stdin:write("create table t(a); insert into t values (17), (25);\n")
        child:expect { "sqlite> $", timeout = LIMIT }
        child.stdin:write("select sum(a) from t;\n")
        assert.same({ 1, "42" }, { child:expect { "\n(%d+)\r?\n", timeout = LIMIT } })
        child:expect { "sqlite> $", timeout = LIMIT }
        child.stdin:write(".quit\n")
        assert.same({ true, "exit", 0 }, { child:wait() })
    end))

    it("can be ssh-keygen, which asks for a secret", run(function()
        local path = os.tmpname()
        local child <close> = spawn { "ssh-keygen", "-t", "ed25519", "-f", path }
        assert.equal(1, (child:expect { "Overwrite %(y/n%)%? $", timeout = LIMIT }))
        child.stdin:write("y\n")
        child:expect { "[Pp]assphrase[^:]*: $", timeout = LIMIT }
        child.stdin:write("correct horse\n")
        child:expect { "again: $", timeout = LIMIT }
        child.stdin:write("correct horse\n")
        local index = child:expect { "do not match", "public key has been saved", timeout = LIMIT }
        assert.equal(2, index)
        local echoed = child.stdout:read("a"):find("horse")
        assert.is_nil(echoed)
        assert.same({ true, "exit", 0 }, { child:wait() })
        os.remove(path)
        os.remove(path .. ".pub")
    end))
end)

describe("os.execute on a terminal", function()
    it("ends with its tasklet, and so does what the command has started", run(function()
        local child <close> = spawn { helper.bin, "-e", [[
            local tasklet = require "tasklet"
            local t = tasklet.run(os.execute, "sleep 60 & echo pid $! end; wait")
            io.read()
            t:kill()
            io.read() -- the end of the program would be that of all who have its terminal
        ]] }
        local _, pid = child:expect { "pid (%d+) end", timeout = LIMIT }
        assert.is_true(support.is_alive(pid))
        child.stdin:write("\n")
        support.await(function() return not support.is_alive(pid) end)
        child.stdin:write("\n")
        assert.same({ true, "exit", 0 }, { child:wait(LIMIT) })
    end))
end)
