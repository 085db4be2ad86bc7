-- Writing to streams (contract 11.1): order, bounds, half close, peers that vanish.
local helper = require "spec.helper"
local tasklet = require "tasklet"
local uv = require "luv"
local support = require "spec.io.support"

local within, pair = support.within, support.pair

local function results(...)
    return { n = select("#", ...), ... }
end

for _, sort in ipairs { "unix", "tcp" } do
    describe("writing to a stream, " .. sort, function()
        it("11.1 writes strings and numbers, and returns the stream", within(function()
            local a, b = pair(sort)
            assert.equal(a, a:write("a", 1, 2.5, "", "b\n"))
            assert.equal(a, a:write())
            assert.equal("a12.5b", b:read())
        end))

        it("11.1 writes all of what is large, in order", within(function()
            local a, b = pair(sort)
            local text = {}
            for i = 1, 200000 do
                text[i] = tostring(i)
            end
            text = table.concat(text, ",")
            tasklet.run(function()
                a:write("head", text, "tail")
                a:write("more")
                a:close()
            end)
            assert.equal("head" .. text .. "tailmore", b:read("a"))
        end))

        it("11.1 keeps apart what several tasklets write", within(function()
            local a, b = pair(sort)
            local all = {}
            for i = 0, 4 do
                all[i + 1] = tasklet.run(function()
                    a:write(tostring(i):rep(3000000), "\n")
                    if i % 2 == 0 then
                        a:flush()
                    end
                    a:write("after " .. i .. "\n")
                end)
            end
            local closing = tasklet.run(function()
                tasklet.join_all(all)
                a:close()
            end)
            local seen = {}
            for line in b:lines() do
                local digit = line:match("^(%d)%d*$")
                if digit then
                    assert.is_true(line == digit:rep(3000000))
                    seen[#seen + 1] = digit
                else
                    assert.matches("^after %d$", line)
                end
            end
            assert.equal("01234", table.concat(seen))
            tasklet.join(closing)
        end))

        it("11.1 shutdown: the other side reads to the end, and can still write", within(function()
            local a, b = pair(sort)
            local t = tasklet.run(function()
                local all = b:read("a")
                b:write("you sent ", #all)
                b:shutdown()
                return b:read()
            end)
            a:write(("x"):rep(1000000))
            assert.equal(a, a:shutdown())
            assert.equal("you sent 1000000", a:read("a"))
            local none, message, code = a:write("more")
            assert.is_nil(none)
            assert.equal("string", type(message))
            assert.equal("EPIPE", code)
            assert.equal(a, a:shutdown(), "once more") -- it is so already, and all has gone
            assert.equal(a, a:flush())
            assert.is_nil(tasklet.join(t, 10))
        end))

        it("says it when the peer has gone, and raises no signal", within(function()
            local a, b = pair(sort)
            b:close()
            local code
            for _ = 1, 1000 do
                code = select(3, a:write("x")) or select(3, a:flush())
                if code then
                    break
                end
                tasklet.sleep(0.001)
            end
            assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
            assert.same({ n = 3, nil, results(a:write("y"))[2], code }, results(a:write("y")))
            assert.equal(code, select(3, a:flush()))
            assert.equal(code, select(3, a:shutdown()))
        end))

        it("lets go on who writes when the peer vanishes", within(function()
            local a, b = pair(sort)
            local all = {}
            for i = 1, 3 do
                all[i] = tasklet.run(function()
                    return select(3, a:write(("x"):rep(20000000)))
                end)
                assert.is_false(all[i]:has_finished())
            end
            assert.matches("^writing to " .. sort, all[1].waiting_for)
            b:close()
            for i = 1, 3 do
                local code = tasklet.join(all[i], 10)
                assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
            end
        end))

        it("sends what was written before the close", within(function()
            local a, b = pair(sort)
            local block = ("x"):rep(60000)
            local count = 0
            local t = tasklet.run(function()
                while a:write(block) do
                    count = count + #block
                end
            end)
            assert.is_false(t:has_finished())
            a:close()
            tasklet.join(t, 10)
            local all = b:read("a")
            assert.is_true(#all >= count, #all)
        end))
    end)
end

describe("a verb that writes", function()
    it("sends what one turn writes in one piece", within(function()
        -- A socket that keeps the pieces apart.
        local fds = assert(uv.socketpair("seqpacket", nil, nil, { nonblock = true }))
        local a = assert(tasklet.stream(fds[1]))
        local function pieces()
            local list = {}
            while true do
                local data = uv.fs_read(fds[2], 65536)
                if not data then
                    return list
                end
                list[#list + 1] = data
            end
        end
        local expected = {}
        for i = 1, 50 do
            a:write("line ", i, "\n")
            expected[i] = "line " .. i .. "\n"
        end
        assert.same({}, pieces())
        tasklet.wait(tasklet.WaitForTimeout(0))
        assert.same({ table.concat(expected) }, pieces())
        -- To wait for an answer does not send it before others who are ready have run.
        a:write("request")
        local t = tasklet.run(function() return a:read_some() end)
        assert.same({}, pieces())
        a:write(" and more")
        tasklet.wait(tasklet.WaitForTimeout(0))
        assert.same({ "request and more" }, pieces())
        t:kill()
        a:close()
        uv.fs_close(fds[2])
    end))

    it("sends it though others are always ready", within(function()
        local a, b = pair()
        local count, sent = 0, nil
        a:write("request")
        for _ = 1, 3 do
            tasklet.run(function()
                while not sent do
                    tasklet.yield_()
                    count = count + 1
                    sent = sent or uv.fs_read(b:fileno(), 100)
                end
            end)
        end
        tasklet.wait(a:readable(), tasklet.WaitForTimeout(0))
        while not sent do
            tasklet.yield_()
        end
        assert.equal("request", sent)
        assert.is_true(count < 200, count)
        a:close()
        b:close()
    end))

    it("to very many streams sends what was written to the first", within(function()
        local near, far = {}, {}
        for i = 1, 100 do
            near[i], far[i] = pair()
        end
        local function count_sent()
            local count = 0
            for i = 1, 100 do
                if uv.fs_read(far[i]:fileno(), 100) then
                    count = count + 1
                end
            end
            return count
        end
        for i = 1, 100 do
            near[i]:write("request ", i)
        end
        local count = count_sent()
        assert.is_true(count > 0 and count < 100, count)
        tasklet.wait(tasklet.WaitForTimeout(0))
        assert.equal(100, count + count_sent())
        for i = 1, 100 do
            near[i]:close()
            far[i]:close()
        end
    end))

    it("11 fails by the stream's timeout", within(function()
        local a, _ = pair()
        a:set_timeout(0.02)
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(a:write(("x"):rep(16000000))))
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(a:flush()))
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(a:shutdown()))
    end))

    it("6.4, 6.6, 10.2 is interrupted by kills and deadlines, in the line too", within(function()
        local a, b = pair()
        local first = tasklet.run(function() a:write(("x"):rep(16000000), "end\n") end)
        local second = tasklet.run(function() a:write("second\n") end)
        local third = tasklet.run(function() a:write("third\n") end)
        second:kill()
        assert.is_true(second:has_finished())
        local ok, err = pcall(tasklet.with_deadline, 0.02, function() a:write("fourth\n") end)
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        tasklet.current().timeout = 0.02
        ok, err = pcall(a.flush, a)
        tasklet.current().timeout = nil
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        local reader = tasklet.run(function()
            return #b:read(), b:read()
        end)
        assert.same({ n = 2, 16000003, "third" }, results(tasklet.join(reader, 30)))
        tasklet.join(first)
        tasklet.join(third)
    end))

    it("6.4 the first of the line killed, the next one goes on", within(function()
        local a, b = pair()
        local first = tasklet.run(function() a:write(("x"):rep(16000000)) end)
        local second = tasklet.run(function() a:write("!") a:flush() a:close() end)
        first:kill()
        local all = b:read("a")
        assert.equal("!", all:sub(-1))
        tasklet.join(second, 10)
    end))

    it("11 goes on with \"closed\" when the stream is closed by another", within(function()
        local a, b = pair()
        local all = {}
        for i, verb in ipairs { "write", "write", "flush", "shutdown" } do
            all[i] = tasklet.run(function()
                return results(a[verb](a, verb == "write" and ("x"):rep(16000000) or nil))
            end)
        end
        a:close()
        for i = 1, #all do
            assert.same({ n = 3, nil, "closed", "closed" }, tasklet.join(all[i], 10))
        end
        for _, verb in ipairs { "write", "flush", "shutdown" } do
            assert.same({ n = 3, nil, "closed", "closed" }, results(a[verb](a)))
        end
        b:close()
    end))

    it("1.4 raises for what is no string", within(function()
        local a, b = pair()
        for _, wrong in ipairs { {}, true, print } do
            local ok, err = pcall(function() a:write("x", wrong) end)
            assert.is_false(ok)
            assert.matches("write_spec.lua:%d+: bad argument #2 to 'write'", err)
        end
        a:write("y\n")
        assert.equal("y", b:read()) -- nothing of the others
    end))

    it("writable: fires when there is room again", within(function()
        local a, b = pair()
        local room = a:writable()
        assert.equal(room, tasklet.wait(room, tasklet.WaitForTimeout(1000)))
        support.fill(a)
        local timeout = tasklet.WaitForTimeout(20)
        assert.equal(timeout, tasklet.wait(room, timeout))
        local reader = tasklet.run(function()
            while b:read_some() do end
        end)
        assert.equal(room, tasklet.wait(room, tasklet.WaitForTimeout(10000)))
        a:close()
        assert.equal(room, tasklet.wait(room, tasklet.WaitForTimeout(1000)))
        tasklet.join(reader, 10)
    end))

    -- Not under valgrind, which tells of all that a process has when a signal ends it.
    it("to a pipe that nobody reads: EPIPE, and SIGPIPE is as it was #slow", function()
        local result = helper.run_file([[
            local tasklet, uv = require "tasklet", require "luv"
            local pipe = uv.pipe()
            uv.fs_close(pipe.read)
            local s = tasklet.stream(pipe.write)
            print(s:write("x"), select(3, s:flush()))
            os.execute("kill -PIPE $PPID")
            print("not reached")
        ]])
        assert.matches("EPIPE", result.stdout)
        assert.not_matches("not reached", result.stdout)
    end)

    it("a pipe: bytes go, and are back-pressed", within(function()
        local pipe = uv.pipe()
        local w, r = tasklet.stream(pipe.write), tasklet.stream(pipe.read)
        local t = tasklet.run(function()
            w:write(("x"):rep(1000000))
            w:close()
        end)
        assert.is_false(t:has_finished())
        assert.matches("^writing to pipe", t.waiting_for)
        assert.equal(1000000, #r:read("a"))
        assert.equal("ENOTSOCK", select(3, r:shutdown()))
    end))

    it("a pipe: ends what is written, for which the stream need not be closed", within(function()
        local pipe = uv.pipe()
        local w, r = tasklet.stream(pipe.write), tasklet.stream(pipe.read)
        local writable = w:writable()
        local t = tasklet.run(r.read, r, "a")
        w:write(("x"):rep(1000000))
        assert.equal(w, w:shutdown())
        assert.equal(1000000, #t:join())
        assert.equal("EPIPE", select(3, w:write("more")))
        assert.equal(writable, tasklet.wait(writable))
        assert.equal("EBADF", select(3, w:read()))
        assert.equal(pipe.write, w:fileno())
        assert.is_true(w:close())
    end))
end)

describe("descriptors over a Unix socket", function()
    it("go with their streams", within(function()
        local a, b = pair()
        local x, y = pair("tcp")
        a:write("before")
        assert.equal(a, a:send_stream(x))
        a:write("after")
        x:close()
        local z <close> = assert(b:receive_stream())
        assert.equal("beforeafter", b:read(11))
        z:write("hello\n")
        assert.equal("hello", y:read())
        a:close()
        assert.is_nil(b:receive_stream())
        assert.is_nil(b:read())
    end))

    it("that nobody takes are closed with the stream", within(function()
        local a, b = pair()
        for _ = 1, 20 do
            local x, _ = pair()
            a:send_stream(x)
        end
        a:write("\n")
        assert.equal("", b:read())
    end))

    it("are refused by other streams, and with unread bytes", within(function()
        local a, b = pair("tcp")
        local c, d = pair()
        assert.equal("ENOTSUP", select(3, a:send_stream(b)))
        assert.equal("ENOTSUP", select(3, a:receive_stream()))
        a:write("x\nunread")
        b:read()
        tasklet.wait(b:readable())
        assert.has_error(function() c:send_stream(b) end)
        assert.has_error(function() c:send_stream(1) end)
        d:close()
    end))
end)

describe("close", function()
    it("11 returns true, as that of Lua's files does, however often", within(function()
        local a, b = pair()
        for _, object in ipairs {
            a, b, assert(tasklet.net.listen { port = 0 }), assert(tasklet.net.udp {}),
            assert(tasklet.fs.open("/dev/null")), assert(tasklet.fs.watch("/dev/null")),
        } do
            assert.is_true(object:close())
            assert.is_true(object:close())
        end
    end))
end)
