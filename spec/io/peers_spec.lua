-- Streams that talk to programs which others have written (contract 11.1, 11.2): netcat, curl,
-- Redis. TLS has its own in tls_spec.lua, terminals in spec/process.

local helper = require "spec.helper"
local tasklet = require "tasklet"
local support = require "spec.io.support"

local fs, net, process = tasklet.fs, tasklet.net, tasklet.process
local within = support.within

---A server that answers each connection by `f`, until the body is over; its port.
local function serving(f)
    local server = assert(net.listen { host = "127.0.0.1", port = 0 })
    tasklet.new(function() server:serve(f) end, { daemon = true }):start()
    return server, select(2, server:sockname())
end

-- With the first child there is one who minds all of them, and a descriptor for that.
setup(function()
    helper.within_loop(function() process.run { "true" } end)
end)

describe("netcat", function()
    it("11.2 talks to a server, and ends when that does", within(function()
        local server <close>, port = serving(function(stream)
            stream:write("you said: ", (stream:read("L")))
        end)
        local result = process.run { "nc", "127.0.0.1", tostring(port), input = "hello\n" }
        assert.is_true(result.ok)
        assert.equal("you said: hello\n", result.stdout)
        server:close()
    end))

    it("11.2 half closes, and gets the rest", within(function()
        local server <close>, port = serving(function(stream)
            stream:write(#stream:read("a"), " bytes\n")
        end)
        local result = process.run {
            "nc", "-N", "127.0.0.1", tostring(port), input = ("x"):rep(1000000),
        }
        assert.equal("1000000 bytes\n", result.stdout)
        server:close()
    end))

    it("11.2 listens, at a path", within(function()
        local dir = assert(fs.tempdir("tasklet-spec-"))
        local path = dir .. "/socket"
        local watch <close> = assert(fs.watch(dir))
        local nc <close> = assert(process.spawn {
            "nc", "-lU", path, stdin = "pipe", stdout = "pipe",
        })
        watch:next()
        local stream
        repeat -- it is bound, and listens soon
            stream = net.connect { path = path }
        until stream
        local s <close> = stream
        assert(s:write("to netcat\n"))
        assert.equal("to netcat", nc.stdout:read("l"))
        assert(nc.stdin:write("from netcat\n"))
        assert.equal("from netcat", s:read("l"))
        s:close()
        assert.is_true(nc:wait(10))
        nc:close()
        assert(fs.remove(dir, { recursive = true }))
    end))
end)

describe("curl", function()
    it("11.2 posts a body in pieces, and reads the answer to its end", within(function()
        local server <close>, port = serving(function(stream)
            local length
            repeat
                local line = stream:read("l"):gsub("\r$", "")
                length = length or tonumber(line:lower():match("^content%-length: (%d+)$"))
                if line:lower() == "expect: 100-continue" then
                    stream:write("HTTP/1.1 100 Continue\r\n\r\n")
                end
            until line == ""
            local body = stream:read(length)
            stream:write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body:reverse())
        end)
        local body = ("0123456789"):rep(100000)
        local result = process.run {
            "curl", "-sS", "--data-binary", "@-", ("http://127.0.0.1:%d/"):format(port),
            input = body, timeout = 60,
        }
        assert.equal("", result.stderr)
        assert.is_true(result.stdout == body:reverse())
        server:close()
    end))
end)

describe("Redis", function()
    it("11.2 answers a thousand commands that are sent at once", within(function()
        local dir = assert(fs.tempdir("tasklet-spec-"))
        local server <close> = assert(process.spawn {
            "redis-server", "--port", "0", "--unixsocket", dir .. "/socket", "--save", "",
            "--dir", dir, stdout = "pipe",
        })
        for line in server.stdout:lines() do
            if line:find("ready to accept connections at", 1, true) then
                break
            end
        end
        local s <close> = assert(net.connect { path = dir .. "/socket" })
        for _ = 1, 1000 do
            assert(s:write("INCR counter\r\n"))
        end
        for i = 1, 1000 do
            assert.equal((":%d\r"):format(i), s:read("l"))
        end
        s:close()
        server:close()
        server:wait()
        assert(fs.remove(dir, { recursive = true }))
    end))
end)
