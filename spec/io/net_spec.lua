-- tasklet.net (contract 11.2): connecting, servers, datagrams, names.
local helper = require "spec.helper"
local lfs = require "lfs"
local tasklet = require "tasklet"
local support = require "spec.io.support"

local net = tasklet.net
local within = support.within

local function results(...)
    return { n = select("#", ...), ... }
end

-- A path for a socket that nobody has.
local function new_path()
    local path = os.tmpname()
    os.remove(path)
    return path
end

local function listening(options)
    options = options or {}
    if not options.path then
        options.host, options.port = options.host or "127.0.0.1", options.port or 0
    end
    local server = assert(net.listen(options))
    return server, select(2, server:sockname())
end

-- A port at which nobody listens.
local function dead_port()
    local server <close>, port = listening()
    server:close()
    return port
end

describe("net.connect and net.listen", function()
    it("11.2 connect through TCP", within(function()
        local server <close>, port = listening()
        local a <close> = assert(net.connect { port = port })
        local b <close> = assert(server:accept(10))
        assert.same({ n = 2, "127.0.0.1", port }, results(a:peername()))
        assert.same({ n = 2, "127.0.0.1", port }, results(b:sockname()))
        assert.same(results(a:sockname()), results(b:peername()))
        assert.equal("tcp 127.0.0.1:" .. port, tostring(a))
        assert.equal("server 127.0.0.1:" .. port, tostring(server))
        assert.equal(a, a:set_nodelay(false))
        assert.equal(a, a:set_nodelay(true))
        a:write("hello\n")
        assert.equal("hello", b:read())
        a:close()
        assert.equal("tcp (closed)", tostring(a))
        for _, verb in ipairs { "sockname", "peername" } do
            assert.same({ n = 3, nil, "closed", "closed" }, results(a[verb](a)))
        end
        assert.is_nil(a:fileno())
    end))

    it("11.2 connect through IPv6, where there is any", within(function()
        local server <close> = net.listen { host = "::1", port = 0 }
        if not server then
            return
        end
        local _, port = server:sockname()
        local a <close> = assert(net.connect { host = "::1", port = port })
        local b <close> = assert(server:accept(10))
        assert.equal("tcp [::1]:" .. port, tostring(a))
        a:write("six\n")
        assert.equal("six", b:read())
    end))

    it("11.2 connect through a path, with a file and without", within(function()
        for _, path in ipairs { new_path(), "@tasklet-spec-" .. math.random(1 << 40) } do
            local server <close> = listening { path = path }
            local a <close> = assert(net.connect { path = path })
            local b <close> = assert(server:accept(10))
            assert.equal("server " .. path, tostring(server))
            assert.equal("unix " .. path, tostring(a))
            assert.same({ n = 1, path }, results(a:peername()))
            assert.same({ n = 1, "" }, results(b:peername()))
            a:write("hello\n")
            assert.equal("hello", b:read())
            os.remove(path)
        end
    end))

    it("a path of something else is never taken: files and links stay", within(function()
        local path, link = os.tmpname(), new_path()
        local file = assert(io.open(path, "w"))
        file:write("precious"):close()
        assert(lfs.link(path, link, true))
        for _, taken in ipairs { path, link } do
            assert.equal("EADDRINUSE", select(3, net.listen { path = taken }))
        end
        assert.equal("link", lfs.symlinkattributes(link, "mode"))
        assert.equal("precious", assert(io.open(path)):read("a"))
        os.remove(link)
        os.remove(path)
    end))

    it("a path at which as many wait as may is in use, and that is told at once", within(function()
        local path = new_path()
        local server <close> = listening { path = path, backlog = 0 }
        local first <close> = assert(net.connect { path = path })
        assert.equal("EADDRINUSE", select(3, net.listen { path = path }))
        assert.is_truthy(server:accept(0))
        assert.is_truthy(first)
        os.remove(path)
    end))

    it("a path that is left over is taken again, one that is in use is not", within(function()
        local path = new_path()
        local first = listening { path = path }
        assert.equal("EADDRINUSE", select(3, net.listen { path = path }))
        first:close()
        local second <close> = listening { path = path }
        local a <close> = assert(net.connect { path = path })
        assert(a)
        os.remove(path)
        second:close()
    end))

    it("11.2 resolve a name; of several addresses one that answers is taken", within(function()
        local server, port = listening()
        local a <close> = assert(net.connect { host = "localhost", port = port, timeout = 20 })
        assert.same({ n = 2, "127.0.0.1", port }, results(a:peername()))
        server:close()
    end))

    it("11.2 of several addresses the next is tried when one has failed, or is slow",
        within(function()
            -- Where the line is full Linux does not answer at all.
            local slow, port = listening { host = "127.0.0.2", backlog = 0 }
            local quick = listening { host = "127.0.0.3", port = port }
            local filling = {}
            for i = 1, 8 do
                filling[i] = net.connect { host = "127.0.0.2", port = port, timeout = 0.1 }
                if not filling[i] then
                    break
                end
            end
            local begun = tasklet.mainloop.now()
            -- Nobody listens at the first.
            local a = assert(net.connect {
                host = { "127.0.0.4", "127.0.0.2", "127.0.0.3" }, port = port, timeout = 30,
            })
            assert.equal("127.0.0.3", (a:peername()))
            assert.is_true(tasklet.mainloop.now() - begun >= 240)
            local b = assert(quick:accept(10))
            -- All of them fail: the last failure counts.
            local none, message, code = net.connect {
                host = { "127.0.0.4", "127.0.0.5" }, port = port,
            }
            assert.is_nil(none)
            assert.matches("^tcp 127.0.0.4:%d+: connection refused$", message)
            assert.equal("ECONNREFUSED", code)
            filling[#filling + 1] = a
            filling[#filling + 1] = b
            for _, stream in ipairs(filling) do
                stream:close()
            end
            slow:close()
            quick:close()
        end))

    it("11 fail with a message and a stable code", within(function()
        local port = dead_port()
        assert.same({ n = 3, nil, ("tcp 127.0.0.1:%d: connection refused"):format(port),
            "ECONNREFUSED" }, results(net.connect { port = port }))
        assert.equal("ENOENT", select(3, net.connect { path = new_path() }))
        local server, taken = listening()
        assert.equal("EADDRINUSE", select(3, net.listen { host = "127.0.0.1", port = taken }))
        server:close()
        assert.equal("EADDRNOTAVAIL", select(3, net.listen { host = "192.0.2.1", port = 0 }))
    end))

    it("11.2 reuse_port shares a port", within(function()
        local one <close>, port = listening { reuse_port = true }
        local two <close> = listening { reuse_port = true, port = port }
        assert(one and two)
    end))

    it("1.4 raise for wrong options at the caller's line", within(function()
        local port = { port = 1 }
        local cases = {
            { net.connect, nil, "table expected, got no value" },
            { net.connect, { port = 1, hots = "x" },
                "unknown option 'hots' %(known: host, path, port, timeout, tls%)" },
            { net.connect, { host = "x" }, "option 'port' or 'path' is missing" },
            { net.connect, { port = "80" }, "option 'port': integer expected, got string" },
            { net.connect, { port = 1, host = 1 }, "option 'host': string or list of strings" },
            { net.connect, { port = 1, host = {} }, "option 'host': string or list of strings" },
            { net.connect, { port = 65536 }, "option 'port': not a port" },
            { net.connect, { port = 1, path = "x" }, "option 'path' goes with neither" },
            { net.connect, { path = ("x"):rep(200) }, "option 'path': not a path" },
            { net.connect, { port = 1, timeout = "1" }, "option 'timeout': number expected" },
            { net.listen, {}, "option 'port' or 'path' is missing" },
            { net.listen, { port = 1, backlog = 1.5 }, "option 'backlog': integer expected" },
            { net.listen, { port = 1, reuse_port = 1 }, "option 'reuse_port': boolean expected" },
            { net.udp, { port = -1 }, "option 'port': not a port" },
            { net.udp, { path = "x" }, "unknown option 'path'" },
            { net.resolve, nil, "string expected" },
        }
        for i, case in ipairs(cases) do
            local ok, err = pcall(function() case[1](case[2]) end)
            assert.is_false(ok, i)
            assert.matches("net_spec.lua:%d+: bad argument #1 to '%l+' %(.*" .. case[3],
                tostring(err))
        end
        assert(port)
    end))

    it("6.4, 10.2 and timeout: connecting can be interrupted, and leaves nothing",
        within(function()
            -- A line of one that is full: Linux does not answer the next.
            local path = new_path()
            local server <close> = listening { path = path, backlog = 0 }
            local waiting = {}
            local t
            for i = 1, 10 do
                t = tasklet.run(function() return net.connect { path = path } end)
                if not t:has_finished() then
                    break
                end
                waiting[i] = t.return_value
            end
            assert.equal("connecting to unix " .. path, t.waiting_for)
            t:kill()
            assert.is_true(t:has_finished())
            assert.same({ n = 3, nil, "unix " .. path .. ": timeout", "timeout" },
                results(net.connect { path = path, timeout = 0.05 }))
            local ok, err = pcall(tasklet.with_deadline, 0.02, function()
                return net.connect { path = path }
            end)
            assert.is_false(ok)
            assert.is_true(tasklet.TimeoutError:is(err))
            local late = tasklet.run(function() return net.connect { path = path } end)
            local one <close> = assert(server:accept())
            local stream <close> = assert(tasklet.join(late, 10))
            for _, other in ipairs(waiting) do
                other:close()
            end
            os.remove(path)
            assert(one and stream)
        end))
end)

describe("7.2 block_trap", function()
    it("makes what would wait raise, and leaves nothing under way", within(function()
        local path = new_path()
        local server = listening { path = path, backlog = 0 }
        local streams = {}
        local a, b = support.pair()
        local t = tasklet.run(function()
            tasklet.current().block_trap = true
            for _, f in ipairs {
                function() return net.resolve("localhost") end,
                function() return server:accept() end,
                function() return a:read() end,
                function() return a:write(("x"):rep(10000000)) end,
            } do
                local ok, err = pcall(f)
                assert.is_false(ok)
                assert.matches("block_trap", tostring(err))
            end
            local ok
            repeat -- until one is not accepted at once
                ok, streams[#streams + 1] = pcall(net.connect, { path = path })
            until not ok
            assert.matches("block_trap", tostring(table.remove(streams)))
        end)
        tasklet.join(t)
        collectgarbage()
        assert(b)
        server:close()
        for _, stream in ipairs(streams) do
            stream:close()
        end
        os.remove(path)
    end))
end)

describe("net.resolve", function()
    it("11.2 returns addresses as strings, of a family", within(function()
        assert.same({ "127.0.0.1" }, net.resolve("127.0.0.1"))
        assert.same({ "::1" }, net.resolve("::1"))
        local all = assert(net.resolve("localhost", { family = "inet" }))
        assert.equal("127.0.0.1", all[1])
        assert.equal("EAI_ADDRFAMILY", select(3, net.resolve("::1", { family = "inet" })))
        assert.has_error(function() net.resolve("x", { family = "ipx" }) end)
    end))

    it("says it when there is no such name", within(function()
        assert.equal("EAI_NONAME", select(3, net.resolve("127.0.0.1\0.example")))
        local none, message, code = net.resolve("no such name")
        assert.is_nil(none)
        assert.matches("^no such name: ", message)
        assert.matches("^EAI_", code)
    end))

    it("6.4 can be killed while it looks", within(function()
        local t = tasklet.run(function() return net.resolve("localhost") end)
        assert.equal("looking up localhost", t.waiting_for)
        t:kill()
        assert.is_true(t:has_finished())
    end))
end)

describe("a server", function()
    it("11.2 accept: waits, at most so long", within(function()
        local server <close>, port = listening()
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(server:accept(0.02)))
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(server:accept(0)))
        local t = tasklet.run(function() return server:accept() end)
        assert.equal("accepting from server 127.0.0.1:" .. port, t.waiting_for)
        local a <close> = assert(net.connect { port = port })
        local b <close> = assert(tasklet.join(t, 10))
        assert(a and b)
    end))

    it("6.4 and 6.6: accept is interrupted by kills and deadlines", within(function()
        local server <close>, port = listening()
        local t = tasklet.run(function() return server:accept() end)
        t:kill()
        assert.is_true(t:has_finished())
        tasklet.current().timeout = 0.02
        local ok, err = pcall(server.accept, server)
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(server:accept(0.01)))
        tasklet.current().timeout = nil
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        local a <close> = assert(net.connect { port = port })
        local b <close> = assert(server:accept(10))
        assert(a and b)
    end))

    it("6.6: the deadline interrupts connections() and serve, full or not", within(function()
        local server <close>, port = listening()
        local function hold(stream) stream:read() end
        for _, verb in ipairs {
            function() for _ in server:connections() do end end,
            function() server:serve(hold) end,
            function() server:serve(hold, { max_connections = 1 }) end,
        } do
            local client <close> = assert(net.connect { port = port })
            local serving = tasklet.run(function()
                tasklet.current().timeout = 0.02
                verb()
            end)
            local ok, err = pcall(serving.join, serving, 10)
            assert.is_false(ok)
            assert.is_true(tasklet.TimeoutError:is(err.cause), tostring(err))
            assert(client)
        end
    end))

    it("11 close wakes whoever accepts, and ends connections()", within(function()
        local server <close> = listening()
        local all = {}
        for i = 1, 3 do
            all[i] = tasklet.run(function() return results(server:accept()) end)
        end
        local loop = tasklet.run(function()
            for _ in server:connections() do end
            return "over"
        end)
        server:close()
        server:close()
        for i = 1, 3 do
            assert.same({ n = 3, nil, "closed", "closed" }, tasklet.join(all[i], 10))
        end
        assert.equal("over", tasklet.join(loop, 10))
        assert.same({ n = 3, nil, "closed", "closed" }, results(server:accept()))
        assert.same({ n = 3, nil, "closed", "closed" }, results(server:sockname()))
        assert.equal("server (closed)", tostring(server))
    end))

    it("11.2 serve: each connection in a tasklet, closed when that ends", within(function()
        local server <close>, port = listening()
        local serving = tasklet.run(function()
            server:serve(function(stream)
                stream:write("you said ", stream:read(), "\n")
            end)
            return "over"
        end)
        local clients = {}
        for i = 1, 20 do
            clients[i] = assert(net.connect { port = port })
        end
        for i = 20, 1, -1 do
            clients[i]:write(i, "\n")
        end
        for i = 1, 20 do
            assert.equal(("you said %d\n"):format(i), clients[i]:read("a"))
            clients[i]:close()
        end
        server:close()
        assert.equal("over", tasklet.join(serving, 10))
    end))

    it("11.2 serve: max_connections", within(function()
        local server <close>, port = listening()
        local now, most = 0, 0
        local serving = tasklet.run(function()
            server:serve(function(stream)
                now = now + 1
                most = math.max(most, now)
                stream:write("hello\n")
                stream:read()
                now = now - 1
            end, { max_connections = 3 })
        end)
        local clients, greeted = {}, 0
        for i = 1, 10 do
            clients[i] = assert(net.connect { port = port })
        end
        for i = 1, 10 do
            assert.equal("hello", clients[i]:read())
            greeted = greeted + 1
            if i > 2 then
                clients[i - 2]:close()
            end
        end
        assert.equal(10, greeted)
        assert.equal(3, most)
        clients[11] = assert(net.connect { port = port })
        assert.equal("hello", clients[11]:read())
        server:close() -- while it serves all that it may
        tasklet.join(serving, 10)
        for _, client in ipairs(clients) do
            client:close()
        end
    end))

    it("11 <close> ends a serve that serves all that it may", within(function()
        local client, serving
        do
            local server <close>, port = listening()
            serving = tasklet.run(function()
                server:serve(function(stream) stream:read() end, { max_connections = 1 })
                return "over"
            end)
            client = assert(net.connect { port = port })
            tasklet.sleep(0.05)
        end
        assert.equal("over", serving:join(10))
        client:close()
    end))

    it("1.4 of who is no server or udp is said at the caller's line", within(function()
        local server <close> = listening()
        local udp <close> = assert(net.udp())
        for _, text in ipairs {
            "server.close(5)", "server.connections(udp)", "server.serve({}, print)",
            "udp.send(server, '', '127.0.0.1', 1)",
        } do
            local chunk = assert(load("local server, udp = ...\n" .. text, "=there"))
            local ok, err = pcall(chunk, server, udp)
            assert.is_false(ok)
            assert.matches("^there:2: calling '%a+' on bad self %(%a+ expected, got ", err)
        end
    end))

    it("1.4 serve raises for wrong arguments", within(function()
        local server <close> = listening()
        assert.has_error(function() server:serve(1) end)
        assert.has_error(function() server:serve(print, { max = 1 }) end)
        assert.has_error(function() server:serve(print, { max_connections = 0 }) end)
    end))

    it("11.2 serve: an error is logged, and the server goes on", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local server = assert(tasklet.net.listen { host = "127.0.0.1", port = 0 })
            local _, port = server:sockname()
            local serving = tasklet.run(function()
                server:serve(function(s)
                    local line = s:read()
                    if line == "bad" then error("on purpose") end
                    s:write(line, "\n")
                end)
            end)
            for _, word in ipairs { "bad", "good" } do
                local s <close> = tasklet.net.connect { port = port }
                s:write(word, "\n")
                print(s:read())
            end
            server:close()
            tasklet.join(serving)
        ]])
        assert.equal("nil\ngood\n", result.stdout)
        assert.matches("on purpose.*stack traceback", result.stderr)
        assert.equal(0, result.status)
    end)

    it("accepts in one turn all that wait", within(function()
        local server <close>, port = listening { backlog = 1024 }
        local clients = {}
        for i = 1, 100 do
            clients[i] = assert(net.connect { port = port })
        end
        local turns, count = 0, 0
        local counting = tasklet.run(function()
            while true do
                tasklet.wait(tasklet.WaitForTimeout(0))
                turns = turns + 1
            end
        end)
        turns = 0
        for stream in server:connections() do
            clients[#clients + 1] = stream
            count = count + 1
            if count == 100 then
                break
            end
        end
        assert.is_true(turns <= 10, turns)
        counting:kill()
        for _, stream in ipairs(clients) do
            stream:close()
        end
    end))

    it("serves 1,000 connections at once", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local net = tasklet.net
            local server = assert(net.listen { host = "127.0.0.1", port = 0 })
            local _, port = server:sockname()
            local open, most = 0, 0
            local serving = tasklet.run(function()
                server:serve(function(s)
                    open = open + 1
                    most = math.max(most, open)
                    for line in s:lines() do s:write(line, "\n") end
                    open = open - 1
                end)
            end)
            local all = {}
            for i = 1, 1000 do
                all[i] = tasklet.run(function()
                    local s <close> = assert(net.connect { port = port })
                    s:write("greeting ", i, "\n")
                    assert(s:read() == "greeting " .. i)
                    while most < 1000 do tasklet.sleep(0.01) end
                    s:write("bye ", i, "\n")
                    return s:read() == "bye " .. i
                end)
            end
            for i = 1, 1000 do assert(tasklet.join(all[i], 300)) end
            print(most)
            server:close()
            tasklet.join(serving)
        ]], { timeout = 60, options = {} })
        assert.equal("", result.stderr)
        assert.equal("1000\n", result.stdout)
    end)
end)

describe("without descriptors", function()
    -- The client is in a process of its own, which has enough.
    local script = [[
        local tasklet, uv = require "tasklet", require "luv"
        local net = tasklet.net
        local server = assert(net.listen { path = arg[1] })
        local streams = {}
        local serving = tasklet.run(function()
            server:serve(function(s)
                streams[#streams + 1] = s
                s:write("hello\n")
                s:read()
            end)
        end)
        tasklet.stdout:write("listening\n")
        for line in tasklet.stdin:lines() do
            if line == "free" then
                for _ = 1, 5 do table.remove(streams, 1):close() end
            elseif line == "count" then
                local used = uv.getrusage()
                tasklet.stdout:write(#streams, "\n")
            elseif line == "cpu" then
                tasklet.stdout:write(os.clock(), "\n")
            elseif line == "end" then
                break
            end
        end
        server:close()
        os.exit(0)
    ]]

    it("11.2 a server neither spins nor ends; it goes on when there are some again",
        function()
            helper.within_real_time(function()
                local path, file = new_path(), os.tmpname()
                local out = assert(io.open(file, "w"))
                out:write(script)
                out:close()
                local uv = require "luv"
                local pin, pout = uv.pipe(), uv.pipe()
                local ended = tasklet.WaitForCall()
                local handle = uv.spawn("sh", {
                    args = { "-c", "ulimit -n 40; exec \"$@\"", "sh", helper.bin, file, path },
                    stdio = { pin.read, pout.write, 2 },
                }, ended)
                uv.fs_close(pin.read)
                uv.fs_close(pout.write)
                local to = assert(tasklet.stream(pin.write))
                local from = assert(tasklet.stream(pout.read))
                assert.equal("listening", from:read())
                local clients, greeted = {}, 0
                for i = 1, 60 do
                    clients[i] = assert(net.connect { path = path })
                    tasklet.run(function()
                        if clients[i]:read() == "hello" then
                            greeted = greeted + 1
                        end
                    end)
                end
                local function number(word)
                    to:write(word, "\n")
                    return tonumber(from:read())
                end
                local before
                repeat
                    before = number("count")
                    tasklet.sleep(0.2)
                until number("count") == before and greeted == before
                assert.is_true(before > 5 and before < 40, before)
                local cpu = number("cpu")
                tasklet.sleep(0.5)
                assert.is_true(number("cpu") - cpu < 0.25) -- it does not spin
                assert.equal(before, number("count"))
                to:write("free\n")
                local due = tasklet.mainloop.now() + 20000
                while greeted < before + 5 and tasklet.mainloop.now() < due do
                    tasklet.sleep(0.01)
                end
                assert.equal(before + 5, greeted)
                to:write("end\n")
                tasklet.wait(ended)
                handle:close()
                for _, stream in ipairs(clients) do
                    stream:close()
                end
                to:close()
                from:close()
                os.remove(path)
                os.remove(file)
            end)
        end)
end)

describe("net.udp", function()
    it("11.2 sends and receives, with the address", within(function()
        local a <close> = assert(net.udp { host = "127.0.0.1" })
        local b <close> = assert(net.udp { host = "127.0.0.1" })
        local _, port_a = a:sockname()
        local _, port_b = b:sockname()
        assert.equal("udp 127.0.0.1:" .. port_a, tostring(a))
        assert.equal(a, a:send("one", "127.0.0.1", port_b))
        assert.equal(a, a:send("", "localhost", port_b))
        assert.same({ n = 3, "one", "127.0.0.1", port_a }, results(b:receive()))
        assert.same({ n = 3, "", "127.0.0.1", port_a }, results(b:receive(5)))
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(b:receive(0.02)))
        local t = tasklet.run(function() return b:receive() end)
        assert.equal("receiving from udp 127.0.0.1:" .. port_b, t.waiting_for)
        a:send(("x"):rep(60000), "127.0.0.1", port_b)
        assert.equal(60000, #tasklet.join(t, 10))
        assert.equal("EMSGSIZE", select(3, a:send(("x"):rep(70000), "127.0.0.1", port_b)))
    end))

    it("11 close wakes whoever receives", within(function()
        local a <close> = assert(net.udp { host = "127.0.0.1" })
        local t = tasklet.run(function() return results(a:receive()) end)
        a:close()
        assert.same({ n = 3, nil, "closed", "closed" }, tasklet.join(t, 10))
        assert.same({ n = 3, nil, "closed", "closed" }, results(a:send("x", "127.0.0.1", 1)))
        assert.same({ n = 3, nil, "closed", "closed" }, results(a:join("224.0.0.251")))
        local b <close> = assert(net.udp { host = "127.0.0.1" })
        t = tasklet.run(function() return b:receive() end)
        t:kill()
        assert.is_true(t:has_finished())
    end))

    it("11.2 joins and leaves multicast groups", within(function()
        local group = "239.255.77." .. math.random(254)
        local a <close> = assert(net.udp { reuse_port = true })
        local _, port = a:sockname()
        local ok, _, code = a:join(group, "127.0.0.1")
        if not ok then
            assert.equal("ENODEV", code)
            return
        end
        assert.equal(a, ok)
        local b <close> = assert(net.udp { host = "127.0.0.1" })
        b:send("to all", group, port)
        local data = a:receive(2)
        assert.is_true(data == "to all" or data == nil) -- nil: the machine has no such route
        assert.equal(a, a:leave(group, "127.0.0.1"))
        assert.equal("EADDRNOTAVAIL", select(3, a:leave(group, "127.0.0.1")))
        assert.equal("EINVAL", select(3, a:join("nonsense")))
        assert.equal("ENODEV", select(3, a:join(group, "no-such-interface")))
    end))

    it("1.4 raises for what is no datagram and no address", within(function()
        local a <close> = assert(net.udp())
        local cases = {
            { "#1 to 'send' (string expected, got number)", 1, "127.0.0.1", 1 },
            { "#1 to 'send' (string expected, got no value)" },
            { "#2 to 'send' (string expected, got no value)", "x", nil, 1 },
            { "#3 to 'send' (number expected, got no value)", "x", "127.0.0.1" },
            { "#3 to 'send' (not a port)", "x", "127.0.0.1", 70000 },
            { "#3 to 'send' (number has no integer representation)", "x", "127.0.0.1", 1.5 },
        }
        for _, case in ipairs(cases) do
            local ok, err = pcall(function() a:send(table.unpack(case, 2, 4)) end)
            assert.is_false(ok)
            assert.matches("^[^\n]*net_spec.lua:%d+: bad argument ", err)
            assert.is_truthy(err:find(case[1], 1, true), err)
        end
        assert.has_error(function() a.send(1, "x", "127.0.0.1", 1) end)
        assert.has_error(function() a:receive("x") end)
    end))

    it("11.2 a name is looked up for the socket's own family", within(function()
        local b = net.udp { host = "::1" }
        if b then -- this machine has IPv6, and perhaps a name for it
            local ok, _, code = b:send("x", "localhost", (select(2, b:sockname())))
            assert.is_true(ok == b or code == "EAI_NONAME" or code == "EAI_ADDRFAMILY", code)
            b:close()
        end
        local a <close> = assert(net.udp { host = "127.0.0.1" })
        assert.equal("EAI_NONAME", select(3, a:send("x", "127.0.0.1\0", 1)))
    end))
end)
