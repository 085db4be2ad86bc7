-- TLS on streams (contract 11.2): clients and servers, what is verified, against OpenSSL's own
-- programs and curl.
local helper = require "spec.helper"
local tasklet = require "tasklet"
local support = require "spec.io.support"

local net, fs = tasklet.net, tasklet.fs
local within = support.within

local dir = os.tmpname()
os.remove(dir)

local function sh(command, ...)
    local line = ("cd '%s' && { %s; } >/dev/null 2>&1"):format(dir, command:format(...))
    assert(os.execute(line), line)
end

local function file(name)
    return dir .. "/" .. name
end

-- An authority, what it has signed for a server and a client, and one that nobody trusts.
local function make_certificates()
    assert(os.execute(("mkdir '%s'"):format(dir)))
    local key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    for _, ca in ipairs { "ca", "other" } do
        sh("openssl req -x509 %s -keyout %s.key -out %s.pem -days 30 -subj /CN=%s", key, ca, ca, ca)
    end
    local names = {
        server = { "DNS:localhost,IP:127.0.0.1", 30 }, client = { "DNS:client", 30 },
        expired = { "DNS:localhost", -1 }, by_name = { "DNS:localhost", 30 },
    }
    for name, its in pairs(names) do
        sh("openssl req %s -keyout %s.key -out %s.csr -subj /CN=%s", key, name, name, name)
        sh("printf 'subjectAltName=%s' >ext && openssl x509 -req -in %s.csr -CA ca.pem"
            .. " -CAkey ca.key -CAcreateserial -days %d -extfile ext -out %s.pem", its[1], name,
            its[2], name)
    end
    sh("cat server.pem server.key >both.pem")
end

local function remove_certificates()
    os.execute(("rm -rf '%s'"):format(dir))
end

-- A server that answers each connection by `f`; its port.
local function serving(options, f)
    options = options or {}
    options.cert = options.cert or file("server.pem")
    options.key = options.key or file("server.key")
    local server = assert(net.listen { host = "127.0.0.1", port = 0, tls = options })
    local failures = {}
    tasklet.new(function()
        for stream in server:connections() do
            tasklet.new(function()
                local s <close> = stream
                local ok, message, code = f(s)
                if ok == nil then
                    failures[#failures + 1] = { message, code }
                end
            end, { daemon = true }):start()
        end
    end, { daemon = true }):start()
    return server, select(2, server:sockname()), failures
end

local function echo(s)
    while true do
        local line, message, code = s:read("L")
        if line then
            line, message, code = s:write(line)
        end
        if not line then
            return code == nil or nil, message, code
        end
    end
end

local function connect(port, tls)
    if tls ~= true then
        tls.ca = tls.ca or file("ca.pem")
    end
    return net.connect { host = "localhost", port = port, tls = tls }
end

-- A program that runs beside; reading from what it returns is possible when it has ended.
local function begin(out, command, ...)
    return assert(io.popen(("{ %s; } >'%s' 2>&1 </dev/null; echo done"):format(
        command:format(...), out)))
end

---Runs a program, and returns all that it writes.
local function run(command, ...)
    local out <const> = os.tmpname()
    local program <close> = begin(out, command, ...)
    tasklet.wait(tasklet.WaitForIO(program))
    local text = assert(fs.read_file(out))
    os.remove(out)
    return text
end

setup(make_certificates)
teardown(remove_certificates)

describe("TLS", function()
    it("11.2 carries what is written, both ways", within(function()
        local server <close>, port = serving({}, echo)
        local c <close> = assert(connect(port, {}))
        for i = 1, 100 do
            assert(c:write("line ", i, "\n"))
            assert.equal("line " .. i, c:read("l"))
        end
        assert.equal("tls tcp", tostring(c):match("^%a+ %a+"))
        server:close()
    end))

    it("11.2 carries much at once, and keeps its memory bounded", within(function()
        local big = ("0123456789abcdef"):rep(100000)
        local server <close>, port = serving({}, function(s)
            local got = s:read(#big)
            s:write(got == big and "same\n" or "different\n", big)
            return true
        end)
        local c <close> = assert(connect(port, {}))
        local writer = tasklet.run(function() assert(c:write(big)) end)
        assert.equal("same", c:read("l"))
        assert.is_true(c:read("a") == big)
        writer:join()
        server:close()
    end))

    it("11.2 reads alike however its bytes are cut", within(function()
        local server <close>, port = serving({}, function(s)
            s:write("one\ntwo\n", ("x"):rep(50000), "12.5 end")
            return true
        end)
        local tcp <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        local _, between = tcp:sockname()
        -- Passes bytes on, one to nine at a time.
        local function pump(from, to, n)
            while true do
                local bytes = from:read_some(n)
                if not bytes then
                    break
                end
                to:write(bytes)
                to:flush()
                n = n % 9 + 1
            end
            to:shutdown()
        end
        tasklet.new(function()
            local a <close> = tcp:accept()
            local b <close> = net.connect { port = port }
            tasklet.join_all { tasklet.run(pump, a, b, 1), tasklet.run(pump, b, a, 1) }
        end):start()
        local c <close> = assert(connect(between, {}))
        assert.equal("one", c:read("l"))
        assert.equal("two\n", c:read("L"))
        assert.equal(50000, #c:read(50000))
        assert.equal(12.5, c:read("n"))
        assert.equal(" end", c:read("a"))
        assert.is_nil(c:read(1))
        server:close()
    end))

    it("11.2 ends as it should: half closed, and then the rest", within(function()
        local server <close>, port = serving({}, function(s)
            local all = s:read("a")
            s:write(all:upper())
            return true
        end)
        local c <close> = assert(connect(port, {}))
        c:write("abc")
        c:shutdown()
        assert.equal("ABC", c:read("a"))
        server:close()
    end))

    it("11.2 reads no more when there is nothing to be read any more", within(function()
        local ended = tasklet.WaitForCall()
        local server <close>, port = serving({}, function(s)
            local _, _, code = s:read("a")
            tasklet.wait(ended)
            return true, code
        end)
        local c <close> = assert(net.connect { port = port })
        c:write("\22\3\1\0\5hello") -- no handshake
        c:set_timeout(0.3)
        -- More than the system keeps between the two.
        assert.equal("timeout", select(3, c:write(("x"):rep(100 << 20))))
        ended()
        server:close()
    end))

    it("11.2 tells an end that was cut off from one that was meant", within(function()
        local server <close>, port = serving({}, function(s)
            s:write("begin\n")
            s:flush()
            s:read("l")
            return true
        end)
        local tcp <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        local _, between = tcp:sockname()
        local cut = tasklet.WaitForCall()
        tasklet.new(function()
            local a <close> = tcp:accept()
            local b <close> = net.connect { port = port }
            local function pump(from, to)
                for bytes in function() return from:read_some() end do
                    to:write(bytes)
                    to:flush()
                end
            end
            tasklet.new(pump, { daemon = true }):start(a, b)
            tasklet.new(pump, { daemon = true }):start(b, a)
            tasklet.wait(cut)
        end):start()
        local c <close> = assert(connect(between, {}))
        assert.equal("begin", c:read("l"))
        cut()
        local line, message, code = c:read("l")
        assert.is_nil(line)
        assert.truthy(message:find("unexpected eof", 1, true))
        assert.equal("tls", code)
        server:close()
    end))
end)

describe("a certificate", function()
    it("11.2 is verified by default", within(function()
        local server <close>, port, failures = serving({}, echo)
        local c, message, code = connect(port, true)
        assert.is_nil(c)
        assert.equal("tls", code)
        assert.truthy(message:find("^certificate verify failed: unable to get local issuer"))
        assert.equal("tls", select(3, connect(port, { ca = file("other.pem") })))
        local unverified <close> = assert(connect(port, { verify = false }))
        unverified:write("x\n")
        assert.equal("x", unverified:read("l"))
        assert.equal(2, #failures)
        assert.equal("tls", failures[1][2])
        server:close()
    end))

    it("11.2 is verified by what the files say now", within(function()
        local server <close>, port = serving({}, echo)
        local trusted = file("trusted.pem")
        for _, authority in ipairs { "other", "ca", "other", "ca" } do
            assert(fs.write_file(trusted, fs.read_file(file(authority .. ".pem"))))
            local c = connect(port, { ca = trusted })
            assert.equal(authority == "ca", c ~= nil)
            if c then
                c:close()
            end
        end
        server:close()
    end))

    it("11.2 has to be for the host", within(function()
        local server <close>, port = serving({}, echo)
        local _, message = connect(port, { server_name = "example.org" })
        assert.equal("certificate verify failed: hostname mismatch", message)
        local by_address <close> = assert(net.connect {
            host = "127.0.0.1", port = port, tls = { ca = file("ca.pem") },
        })
        assert.is_nil(by_address:tls_info().server_name)
        server:close()
    end))

    it("11.2 that has expired is refused", within(function()
        local server <close>, port = serving(
            { cert = file("expired.pem"), key = file("expired.key") }, echo)
        local _, message = connect(port, {})
        assert.equal("certificate verify failed: certificate has expired", message)
        server:close()
    end))

    it("11.2 and its key may be in one file; what cannot be read is a failure", within(function()
        local server <close>, port = serving({ cert = file("both.pem"), key = file("both.pem") },
            echo)
        local c <close> = assert(connect(port, {}))
        assert.equal("TLSv1.3", c:tls_info().version)
        local none, message, code = net.listen { port = 0, tls = { cert = file("none") } }
        assert.is_nil(none)
        assert.equal(file("none") .. ": No such file or directory", message)
        assert.equal("tls", code)
        assert.equal("tls", select(3, net.listen {
            port = 0, tls = { cert = file("server.pem"), key = file("client.key") },
        }))
        assert.equal("tls", select(3, connect(port, { ca = file("none") })))
        server:close()
    end))

    it("11.2 of a client is asked for where a server verifies", within(function()
        local server <close>, port, failures = serving(
            { verify = true, ca = file("ca.pem") }, echo)
        local with <close> = assert(connect(port,
            { cert = file("client.pem"), key = file("client.key") }))
        with:write("x\n")
        assert.equal("x", with:read("l"))
        local without <close> = assert(connect(port, {})) -- TLS 1.3 says so afterwards
        local line, message, code = without:read("l")
        assert.is_nil(line)
        assert.truthy(message:find("certificate required", 1, true))
        assert.equal("tls", code)
        assert.equal(1, #failures)
        server:close()
    end))
end)

describe("a handshake", function()
    it("11.2 agrees on a protocol", within(function()
        local server <close>, port, failures = serving({ alpn = { "h2", "http/1.1" } }, echo)
        local c <close> = assert(connect(port, { alpn = { "http/1.1", "spdy" } }))
        assert.equal("http/1.1", c:tls_info().alpn)
        local both <close> = assert(connect(port, { alpn = { "http/1.1", "h2" } }))
        assert.equal("h2", both:tls_info().alpn)
        local plain <close> = assert(connect(port, {}))
        assert.is_nil(plain:tls_info().alpn)
        local none, message = connect(port, { alpn = { "spdy" } })
        assert.is_nil(none)
        assert.truthy(message:find("no application protocol", 1, true))
        assert.equal(1, #failures)
        server:close()
    end))

    it("11.2 resumes a session", within(function()
        local server <close>, port = serving({}, echo)
        local resumed = {}
        for i = 1, 3 do
            local c <close> = assert(connect(port, {}))
            c:write("x\n")
            c:read("l") -- the tickets have come by then
            resumed[i] = c:tls_info().resumed
        end
        assert.same({ false, true, true }, resumed)
        server:close()
    end))

    it("11.2 with one who says nothing ends in time", within(function()
        local server <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        local _, port = server:sockname()
        local c, message, code = net.connect { port = port, tls = true, timeout = 0.05 }
        assert.is_nil(c)
        assert.equal("timeout", message)
        assert.equal("timeout", code)
        local ok, err = pcall(tasklet.with_deadline, 0.05, net.connect, { port = port, tls = true })
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        local t = tasklet.run(net.connect, { port = port, tls = true })
        while not tostring(t.waiting_for):find("beginning TLS with tls tcp", 1, true) do
            tasklet.sleep(0.001)
        end
        t:kill()
    end))

    it("11.2 with one who does not speak TLS fails on both sides", within(function()
        local server <close>, port, failures = serving({}, echo)
        local c <close> = assert(net.connect { port = port })
        c:write("GET / HTTP/1.0\r\n\r\n")
        c:read("a")
        assert.equal("tls", failures[1][2])
        local plain <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        tasklet.new(function()
            local s <close> = plain:accept()
            s:write("220 ready\r\n")
            s:read("l")
        end):start()
        assert.equal("tls", select(3, net.connect {
            port = select(2, plain:sockname()), tls = true,
        }))
        server:close()
    end))

    it("11.2 with one who says nothing is given up when the stream is closed, by and by", function()
        helper.within_real_time(function()
            local server <close>, port = serving({}, function(s) return s:write("hello\n") end)
            local mute <close> = assert(net.connect { port = port })
            assert.is_nil(select(3, mute:set_timeout(20):read()), "an end")
            server:close()
        end)
    end)

    it("11.2 of one does not hold up others", within(function()
        local server <close>, port = serving({}, echo)
        local idle <close> = assert(net.connect { port = port })
        local c <close> = assert(connect(port, {}))
        c:write("x\n")
        assert.equal("x", c:read("l"))
        assert.truthy(idle:fileno())
        server:close()
    end))
end)

describe("starttls", function()
    it("11.2 begins TLS on a stream that is open, on the side that fits", within(function()
        local server <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        local _, port = server:sockname()
        local t = tasklet.run(function()
            local s <close> = server:accept()
            assert.equal("STARTTLS", s:read("l"))
            assert(s:write("go ahead\n"))
            assert.equal(s, s:starttls { cert = file("server.pem"), key = file("server.key") })
            return s:read("l"), s:write("and good bye\n"), s:tls_info().server_name
        end)
        local c <close> = assert(net.connect { host = "localhost", port = port })
        c:write("STARTTLS\n")
        assert.equal("go ahead", c:read("l"))
        assert.equal(c, c:starttls { ca = file("ca.pem"), server_name = "localhost" })
        c:write("secret\n")
        assert.equal("and good bye", c:read("l"))
        local line, _, name = t:join()
        assert.equal("secret", line)
        assert.equal("localhost", name)
        local ok, err = pcall(c.starttls, c, true)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("speaks TLS already", 1, true))
    end))

    it("11.2 verifies the host that the stream was connected to", within(function()
        local server <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        local _, port = server:sockname()
        local function attempt(host, options)
            local t = tasklet.run(function()
                local s <close> = server:accept()
                return s:starttls { cert = file("by_name.pem"), key = file("by_name.key") } ~= nil
            end)
            options.ca = file("ca.pem")
            local c <close> = assert(net.connect { host = host, port = port })
            local ok, message = c:starttls(options)
            c:close()
            return ok ~= nil, t:join(), message
        end
        assert.same({ true, true }, { attempt("localhost", {}) })
        assert.same({ false, false, "certificate verify failed: IP address mismatch" },
            { attempt("127.0.0.1", {}) })
        assert.same({ true, true }, { attempt("127.0.0.1", { server_name = "localhost" }) })
        assert.same({ true, true }, { attempt("127.0.0.1", { verify = false }) })
    end))

    it("11.2 can be all that a program wants of TLS and the net", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local fds = require "luv".socketpair()
            local a, b = tasklet.stream(fds[1]), tasklet.stream(fds[2])
            b:shutdown()
            print(a:starttls())
        ]])
        assert.equal("nil\tTLS: unexpected eof while reading\ttls\n", result.stdout)
    end)

    it("11.2 takes nothing for encrypted that was not", within(function()
        local server <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        local _, port = server:sockname()
        local t = tasklet.run(function()
            local s <close> = server:accept()
            s:read("l")
            return s:starttls { cert = file("server.pem"), key = file("server.key") }
        end)
        local c <close> = assert(net.connect { host = "localhost", port = port })
        c:write("STARTTLS\ninjected\n")
        c:flush()
        local ok, _, code = t:join()
        assert.is_nil(ok)
        assert.equal("tls", code)
    end))

    it("11 wrong options raise at the caller's line", within(function()
        local cases = {
            { "bad argument #1 to 'listen' (option 'tls': a server needs 'cert')",
                function() net.listen { port = 0, tls = true } end },
            { "bad argument #1 to 'connect' (option 'tls': unknown option 'cart' (known: alpn, ca,"
                .. " cert, key, server_name, verify))",
                function() net.connect { port = 1, tls = { cart = "x" } } end },
            { "bad argument #1 to 'connect' (option 'tls': table or true expected, got number)",
                function() net.connect { port = 1, tls = 1 } end },
            { "bad argument #1 to 'starttls' (table or true expected, got number)",
                function() local a <close> = net.pair() a:starttls(1) end },
            { "bad argument #1 to 'starttls' (unknown option 'cart' (known: alpn, ca, cert, key,"
                .. " server_name, verify))",
                function() local a <close> = net.pair() a:starttls { cart = "x" } end },
            { "bad argument #1 to 'connect' (option 'alpn': a list of names expected)",
                function() net.connect { port = 1, tls = { alpn = { "" } } } end },
            { "bad argument #1 to 'connect' (option 'key' goes with 'cert')",
                function() net.connect { port = 1, tls = { key = "x" } } end },
        }
        for _, case in ipairs(cases) do
            local line = debug.getinfo(case[2], "S").linedefined
            local ok, err = pcall(case[2])
            assert.is_false(ok)
            assert.equal(("spec/io/tls_spec.lua:%d: %s"):format(line, case[1]),
                (err:gsub("^%./", "")))
        end
    end))
end)

-- OpenSSL's server for one connection, which gives lines back reversed; its port.
local function s_server(options)
    local probe <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
    local _, port = probe:sockname()
    probe:close()
    return begin("/dev/null", "openssl s_server -quiet -naccept 1 -rev -accept 127.0.0.1:%d"
        .. " -cert '%s' -key '%s' -CAfile '%s' %s", port, file("server.pem"), file("server.key"),
        file("ca.pem"), options or ""), port
end

-- Connects when somebody listens.
local function connect_soon(port, tls)
    local stream, message, code
    repeat
        if tls then
            stream, message, code = connect(port, tls)
        else
            stream, message, code = net.connect { port = port }
        end
        if code == "ECONNREFUSED" then
            tasklet.sleep(0.01)
        end
    until code ~= "ECONNREFUSED"
    return stream, message, code
end

describe("OpenSSL's own programs", function()
    it("11.2 s_client talks to a server", within(function()
        local server <close>, port = serving({}, function(s)
            s:write("hello\n")
            return true
        end)
        local text = run("openssl s_client -quiet -verify_return_error -CAfile '%s' -servername"
            .. " localhost -connect 127.0.0.1:%d", file("ca.pem"), port)
        assert.truthy(text:find("\nhello\n", 1, true), text)
        for _, version in ipairs { "tls1_2", "tls1_3" } do
            text = run("openssl s_client -%s -brief -verify_return_error -CAfile '%s' -connect"
                .. " 127.0.0.1:%d", version, file("ca.pem"), port)
            assert.truthy(text:find("Verification: OK", 1, true), text)
        end
        text = run("openssl s_client -tls1_1 -cipher ALL:@SECLEVEL=0 -brief -connect 127.0.0.1:%d",
            port)
        assert.truthy(text:find("alert protocol version", 1, true), text)
        server:close()
    end))

    it("11.2 s_server talks to a client", within(function()
        local program <close>, port = s_server()
        local stream <close> = assert(connect_soon(port, {}))
        assert(stream:write("abc\n"))
        assert.equal("cba", stream:read("l"))
        stream:close()
        tasklet.wait(tasklet.WaitForIO(program))
    end))

    it("11.2 s_server sends half a message, and is written to meanwhile", within(function()
        local program <close>, port = s_server("-Verify 1 -max_send_frag 512")
        local tcp <close> = assert(net.listen { host = "127.0.0.1", port = 0 })
        local _, between = tcp:sockname()
        local connected, go_on = false, tasklet.WaitForCall()
        -- A ticket has the client's certificate in it, so it comes in two records.
        local function records(from, to)
            repeat
                local head = from:read(5)
                if head then
                    local size = (">I2"):unpack(head, 4)
                    to:write(head, from:read(size))
                    to:flush()
                    if connected and size > 512 then
                        tasklet.wait(go_on)
                        connected = false
                    end
                end
            until not head
        end
        tasklet.new(function()
            local a <close> = tcp:accept()
            local b <close> = assert(connect_soon(port))
            local back = tasklet.run(records, b, a)
            local data = a:read_some()
            while data do
                b:write(data)
                data = a:read_some()
            end
            b:shutdown()
            back:join()
        end):start()
        local c <close> = assert(connect(between,
            { cert = file("client.pem"), key = file("client.key") }))
        connected = true
        local reader = tasklet.run(c.read, c, "l")
        tasklet.sleep(0.1)
        local writer = tasklet.run(function() return c:write("abc\n"):flush() end)
        tasklet.sleep(0.01)
        assert.is_true(writer.alive) -- nothing goes before the rest has come
        go_on()
        assert.equal(c, (writer:join()))
        assert.equal("cba", reader:join())
        c:close()
        tasklet.wait(tasklet.WaitForIO(program))
    end))

    it("11.2 s_server refuses a client that does not verify it", within(function()
        local program <close>, port = s_server("-tls1_2 -Verify 1")
        assert.same({ nil, "TLS: sslv3 alert handshake failure", "tls" },
            { connect_soon(port, { verify = false, ca = file("other.pem") }) })
        tasklet.wait(tasklet.WaitForIO(program))
    end))

    it("11.2 curl fetches from a server", within(function()
        local server <close>, port = serving({ alpn = { "http/1.1" } }, function(s)
            local line
            repeat
                line = s:read("l")
            until not line or line == "\r"
            s:write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            return true
        end)
        local text = run("curl -sS --cacert '%s' https://localhost:%d/", file("ca.pem"), port)
        assert.equal("hello", text)
        text = run("curl -sS https://localhost:%d/", port)
        assert.truthy(text:find("SSL certificate problem", 1, true), text)
        server:close()
    end))
end)
