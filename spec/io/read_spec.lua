-- Reading from streams (contract 11.1): formats, ends, timeouts, kills, closing.
local tasklet = require "tasklet"
local support = require "spec.io.support"

local within, pair = support.within, support.pair

-- The results of a call, in a list with `n`.
local function results(...)
    return { n = select("#", ...), ... }
end

for _, sort in ipairs { "unix", "tcp" } do
    describe("reading from a stream, " .. sort, function()
        -- Writes `text` in pieces and closes; returns what `f` returns for the other end.
        local function reading(text, f)
            local a, b = pair(sort)
            tasklet.run(function()
                for piece in text:gmatch("[^|]*") do
                    a:write(piece)
                    a:flush()
                    tasklet.yield_()
                end
                a:close()
            end)
            return results(f(b))
        end

        it("11.1 reads lines without and with their end, and the last one without one",
            within(function()
                assert.same({ n = 1, "one" }, reading("one\ntwo", function(s) return s:read() end))
                assert.same({ n = 4, "one", "t\n", "", "last" },
                    reading("o|ne|\nt|\n\nla|st", function(s)
                        return s:read("l", "L", "l", "l")
                    end))
            end))

        it("11.1 returns nil at the end, and nothing for formats behind that", within(function()
            assert.same({ n = 1 }, reading("", function(s) return s:read() end))
            assert.same({ n = 1 }, reading("", function(s) return s:read(1) end))
            assert.same({ n = 1 }, reading("", function(s) return s:read(0) end))
            assert.same({ n = 1 }, reading("", function(s) return s:read_some() end))
            assert.same({ n = 1, "" }, reading("", function(s) return s:read("a") end))
            assert.same({ n = 2, "x" }, reading("x", function(s) return s:read("l", "l", "l") end))
        end))

        it("11.1 reads so many bytes, fewer at the end", within(function()
            assert.same({ n = 3, "abc", "", "de" },
                reading("a|b|cd|e", function(s) return s:read(3, 0, 10) end))
        end))

        it("11.1 reads all until the end", within(function()
            assert.same({ n = 3, "l", "x\ny", "" },
                reading("l\nx|\ny", function(s) return s:read("l", "a", "a") end))
        end))

        it("11.1 reads numbers as io.read does", within(function()
            assert.same({ n = 5, 12, 31, 350.0, -0.5, 7 },
                reading(" 1|2 0x|1F 3.5|e2\n-.5 7", function(s)
                    return s:read("n", "n", "n", "n", "n")
                end))
            assert.same({ n = 2, 12 }, reading("12 zz", function(s) return s:read("n", "n") end))
            assert.same({ n = 1 }, reading(("1"):rep(300), function(s) return s:read("n") end))
        end))

        it("11.1 read_some returns what is there, at most so much", within(function()
            assert.same({ n = 2, "abc", "def" }, reading("abcdef|", function(s)
                tasklet.wait(s:readable())
                return s:read_some(3), s:read_some()
            end))
        end))

        it("11.1 lines iterates over lines, or over formats", within(function()
            local function all(s, ...)
                local list = {}
                for one, two in s:lines(...) do
                    list[#list + 1] = one
                    list[#list + 1] = two
                end
                return list
            end
            assert.same({ n = 1, { "a", "", "b" } }, reading("a\n\nb", all))
            assert.same({ n = 1, { "a", "b\n", "c", "d" } },
                reading("ab\ncd", function(s) return all(s, 1, "L") end))
        end))

        it("11.1 reads no line beyond its limit; it is unread then", within(function()
            local a, b = pair(sort)
            assert.equal(b, b:set_limit(5))
            a:write("12345\n\n123456\nrest")
            a:close()
            assert.same({ n = 2, "12345", "\n" }, results(b:read("l", "L")))
            for _, format in ipairs { "l", "L", "a" } do
                assert.same({ n = 3, nil, "message too long", "EMSGSIZE" }, results(b:read(format)))
            end
            local ok, err = pcall(b:lines())
            assert.is_false(ok)
            assert.equal("EMSGSIZE", err.code)
            assert.same({ n = 3, "123456\n", "rest", "" }, results(b:read(7, "l", "a")))
            for _, wrong in ipairs { 0, -1, 1.5, "x" } do
                assert.has_error(function() b:set_limit(wrong) end)
            end
        end))

        it("11.1 with a limit does not wait for a line's end, and takes no memory for it",
            within(function()
                local a, b = pair(sort)
                b:set_limit(100000)
                local t = tasklet.run(function()
                    for _ = 1, 100 do
                        a:write(("x"):rep(100000))
                    end
                end)
                assert.equal("EMSGSIZE", select(3, b:read()))
                assert.is_false(t:has_finished())
                assert.equal(b, b:set_limit())
                a:close()
                assert.is_true(#b:read("a") > 100000)
            end))

        it("does not wait when what is wanted is there", within(function()
            local a, b = pair(sort)
            a:write("one\ntwo\nthree")
            assert.equal("one", b:read())
            local others = 0
            tasklet.new(function() others = others + 1 end)()
            assert.equal("two", b:read())
            assert.equal("thr", b:read(3))
            assert.equal("ee", b:read_some())
            assert.equal(0, others)
        end))

        it("serves what came before a reset, then says so", within(function()
            local a, b = pair(sort)
            b:write("unread")
            b:flush()
            tasklet.wait(a:readable())
            a:write("data\npart")
            a:flush()
            tasklet.wait(b:readable())
            a:close() -- with bytes unread: the other side is reset
            assert.equal("data", b:read())
            local first, message, code = b:read()
            if first ~= "part" then
                assert.is_nil(first)
                assert.equal("ECONNRESET", code)
                assert.equal("string", type(message))
                assert.equal("part", b:read_some())
            end
        end))
    end)
end

describe("a verb that reads", function()
    it("11 fails by the stream's timeout, and reads nothing then", within(function()
        local a, b = pair()
        assert.equal(b, b:set_timeout(0.02))
        a:write("one\npart")
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(b:read("l", "l")))
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(b:read(100)))
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(b:read("a")))
        b:set_timeout()
        tasklet.run(function() a:write("ial\n") end)
        assert.same({ n = 2, "one", "partial" }, results(b:read("l", "l")))
    end))

    it("11 leaves what stands before a number unread then, too", within(function()
        local a, b = pair()
        b:set_timeout(0.02)
        a:write(" \n  ")
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(b:read("n")))
        a:write("5x")
        assert.equal(" ", b:read("l"))
        assert.equal(5, b:read("n"))
        assert.equal("x", b:read(1))
    end))

    it("11 counts the timeout for all of it, not for each piece", within(function()
        local a, b = pair()
        local writer = tasklet.run(function()
            while a:write("x") do
                tasklet.sleep(0.01)
            end
        end)
        b:set_timeout(0.1)
        local begun = tasklet.mainloop.now()
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(b:read("a")))
        assert.is_true(tasklet.mainloop.now() - begun >= 100)
        writer:kill()
    end))

    it("6.6 and 10.2 raises when a deadline is over", within(function()
        local a, b = pair()
        local t = tasklet.current()
        t.timeout = 0.02
        local ok, err = pcall(b.read, b)
        t.timeout = nil
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        ok, err = pcall(tasklet.with_deadline, 0.02, function() return b:read() end)
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        b:set_timeout(0.01)
        t.timeout = 30
        assert.same({ n = 3, nil, "timeout", "timeout" }, results(b:read()))
        t.timeout = nil
        a:write("x\n")
        b:set_timeout(-1)
        assert.equal("x", b:read())
    end))

    it("6.4 can be killed, and has read nothing then", within(function()
        local a, b = pair()
        a:write("one\ntwo")
        local t = tasklet.run(function() return b:read("l", "l") end)
        tasklet.wait(b:readable())
        tasklet.yield_()
        assert.is_false(t:has_finished())
        t:kill()
        assert.is_true(t:has_finished())
        a:write("\n")
        assert.same({ n = 2, "one", "two" }, results(b:read("l", "l")))
    end))

    it("11 goes on with \"closed\" when the stream is closed by another", within(function()
        local a, b = pair()
        for _, verb in ipairs { "read", "read_some", "receive_stream" } do
            local one, _ = pair()
            local t = tasklet.run(function() return results(one[verb](one)) end)
            one:close()
            one:close()
            assert.same({ n = 3, nil, "closed", "closed" }, tasklet.join(t, 10))
            assert.same({ n = 3, nil, "closed", "closed" }, results(one[verb](one)))
        end
        local t = tasklet.run(function()
            for _ in b:lines() do end
        end)
        b:close()
        local ok, err = pcall(tasklet.join, t, 10)
        assert.is_false(ok)
        assert.equal("closed", err.cause.code)
        assert.is_nil(a:read())
    end))

    it("is the only one: a second one raises, and says who reads", within(function()
        local a, b = pair()
        local t = tasklet.new(function() return b:read() end, { name = "first" })
        t()
        tasklet.yield_()
        local ok, err = pcall(b.read_some, b)
        assert.is_false(ok)
        assert.is_true(tasklet.TaskletError:is(err))
        assert.matches("read_spec.lua:%d+: tasklet 'first' reads from this stream", tostring(err))
        a:write("line\n")
        assert.equal("line", tasklet.join(t, 10))
        a:write("next\n")
        assert.equal("next", b:read())
    end))

    it("1.4 raises for bad formats at the caller's line", within(function()
        local a, _ = pair()
        for _, wrong in ipairs { "x", "", -1, 1.5, {}, true } do
            local ok, err = pcall(function() a:read("l", wrong) end)
            assert.is_false(ok)
            assert.matches("read_spec.lua:%d+: bad argument #2 to 'read'", err)
        end
        local ok, err = pcall(function() a:read_some(0) end)
        assert.is_false(ok)
        assert.matches("read_spec.lua:%d+: bad argument #1 to 'read_some'", err)
        assert.has_error(function() a.read("l") end)
    end))

    it("8.4 says what it waits for", within(function()
        local a, b = pair("tcp")
        local host, port = b:peername()
        local t = tasklet.run(function() return b:read() end)
        assert.equal(("reading from tcp %s:%d"):format(host, port), t.waiting_for)
        b:set_timeout(5)
        a:write("x\n")
        assert.equal("x", tasklet.join(t, 10))
        t = tasklet.run(function() return b:read() end)
        assert.matches("^reading from tcp .* or 5000 ms$", t.waiting_for)
        t:kill()
        local condition = b:readable()
        assert.equal(("readable(tcp %s:%d)"):format(host, port), tostring(condition))
    end))

    it("waits through a generator and pcall", within(function()
        local a, b = pair()
        tasklet.later(0.01, function() a:write("1\n2\n") a:close() end)()
        local next_line = coroutine.wrap(function()
            while true do
                local ok, line = pcall(b.read, b)
                coroutine.yield(ok and line)
            end
        end)
        assert.equal("1", next_line())
        assert.equal("2", next_line())
    end))
end)

describe("back-pressure", function()
    for _, sort in ipairs { "unix", "tcp" } do
        it("holds who writes until the other side reads; memory is bounded, " .. sort,
            within(function()
                local a, b = pair(sort)
                local written, block = 0, ("x"):rep(10000)
                local t = tasklet.run(function()
                    for _ = 1, 3000 do
                        a:write(block)
                        written = written + #block
                    end
                    a:close()
                end)
                assert.equal("x", b:read(1))
                -- Nobody reads: what is on its way is in the system and in two buffers.
                for _ = 1, 200 do
                    tasklet.yield_()
                end
                assert.is_false(t:has_finished())
                local stuck = written
                assert.is_true(stuck < 20000000, stuck)
                for _ = 1, 50 do
                    tasklet.yield_()
                end
                assert.equal(stuck, written)
                local count = 1
                while true do
                    local data = b:read_some()
                    if not data then
                        break
                    end
                    count = count + #data
                end
                assert.equal(30000000, count)
            end))
    end
end)

describe("any bytes in any pieces", function()
    -- A generator of its own, so that a failure repeats.
    local function random_of(seed)
        return function(low, high)
            seed = (seed * 1103515245 + 12345) % 2147483648
            return low + (seed >> 8) % (high - low + 1)
        end
    end

    local function text_of(random)
        local parts = {}
        for i = 1, random(0, 40) do
            local kind = random(1, 6)
            parts[i] = kind == 1 and "\n" or kind == 2 and "\0\255"
                or kind == 3 and ("z"):rep(random(0, 5000))
                or kind == 4 and tostring(random(0, 100000)) .. " "
                or kind == 5 and ("%x"):format(random(0, 65535)) or "line\n"
        end
        return table.concat(parts)
    end

    -- What io makes of the same bytes and formats.
    local function as_io(text, formats)
        local file <close> = assert(io.tmpfile())
        file:write(text)
        file:seek("set")
        local list = {}
        for i, format in ipairs(formats) do
            list[i] = results(file:read(format))
        end
        return list
    end

    it("read back the same through each format as from a file", within(function()
        for seed = 1, 60 do
            local random = random_of(seed)
            local text, formats = text_of(random), {}
            for i = 1, random(1, 30) do
                local kind = random(1, 6)
                formats[i] = kind == 1 and "l" or kind == 2 and "L" or kind == 3 and "n"
                    or kind == 4 and random(0, 3000) or "l"
            end
            formats[#formats + 1] = "a"
            local a, b = pair(seed % 2 == 0 and "tcp" or "unix")
            tasklet.run(function()
                local place = 1
                while place <= #text do
                    local size = random(1, 3) == 1 and random(1, 6000) or random(1, 20)
                    a:write(text:sub(place, place + size - 1))
                    place = place + size
                    if random(1, 3) == 1 then
                        a:flush()
                        tasklet.yield_()
                    end
                end
                a:shutdown()
            end)
            local expected = as_io(text, formats)
            for i, format in ipairs(formats) do
                assert.same(expected[i], results(b:read(format)),
                    ("seed %d, format %d: %s"):format(seed, i, format))
            end
        end
    end))
end)
