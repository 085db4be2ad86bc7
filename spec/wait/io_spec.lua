-- WaitForIO (contract 4 and 4.1).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local lfs = require "lfs"
local socket = require "socket"
local uv = require "luv"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitForIO = tasklet.WaitForIO
local IO_IN, IO_OUT, IO_PRI = tasklet.IO_IN, tasklet.IO_OUT, tasklet.IO_PRI
local IO_ERR, IO_HUP = tasklet.IO_ERR, tasklet.IO_HUP

local function within(body)
    return function() helper.within_loop(body) end
end

-- How often the loop turns while `f` runs.
local function turns_of(f, ...)
    local handle, count = uv.new_check(), 0
    handle:start(function() count = count + 1 end)
    handle:unref()
    f(...)
    handle:close()
    return count
end

-- Descriptors that the current spec has open.
local open = {}

local function close(fd)
    if open[fd] then
        open[fd] = nil
        assert(uv.fs_close(fd))
    end
end

-- A pipe that never blocks: the descriptors to read from and to write to.
local function new_pipe()
    local pipe = assert(uv.pipe({ nonblock = true }, { nonblock = true }))
    open[pipe.read], open[pipe.write] = true, true
    return pipe.read, pipe.write
end

-- Two connected sockets.
local function new_pair()
    local pair = assert(uv.socketpair("stream", nil, { nonblock = true }, { nonblock = true }))
    open[pair[1]], open[pair[2]] = true, true
    return pair[1], pair[2]
end

-- Writes until no more fits.
local function fill(fd)
    local block = ("x"):rep(4096)
    while uv.fs_write(fd, block) do end
    while uv.fs_write(fd, "x") do end
end

-- Reads until nothing is there.
local function drain(fd)
    local data
    repeat
        data = uv.fs_read(fd, 65536)
    until not data or data == ""
end

after_each(function()
    for fd in pairs(open) do
        close(fd)
    end
end)

-- Waits for `condition` of `file`, and gives what occurred; fails if nothing does for long.
local function occurs(file, condition)
    local io_event, timeout = WaitForIO(file, condition), WaitForTimeout(20000)
    local event = tasklet.wait(io_event, timeout)
    assert.is_true(event == io_event, "nothing occurred")
    return event.condition
end

-- Whether nothing occurs in a short time.
local function nothing_occurs(file, condition)
    local timeout = WaitForTimeout(10)
    return tasklet.wait(timeout, WaitForIO(file, condition)) == timeout
end

describe("WaitForIO", function()
    it("4 has conditions that can be ORed", function()
        local union = 0
        for _, bit in ipairs { IO_IN, IO_OUT, IO_PRI, IO_ERR, IO_HUP } do
            assert.equal("integer", math.type(bit))
            assert.is_true(bit > 0 and bit & (bit - 1) == 0)
            assert.equal(0, union & bit)
            union = union | bit
        end
    end)

    it("4 fires when there is something to read, which is what it waits for by default",
        within(function()
            local read, write = new_pipe()
            local t = tasklet.run(function()
                local condition = WaitForIO(read)
                local event = tasklet.wait(condition)
                return event == condition, event.condition
            end)
            tasklet.sleep(0.005)
            assert.is_false(t:has_finished())
            uv.fs_write(write, "x")
            assert.same({ true, IO_IN }, { tasklet.join(t, 30) })
        end))

    it("4 fires when something was there already", within(function()
        local read, write = new_pipe()
        uv.fs_write(write, "x")
        assert.equal(IO_IN, occurs(read))
        assert.equal(IO_IN, occurs(read, IO_IN))
    end))

    it("4 fires when something can be written", within(function()
        local read, write = new_pipe()
        assert.equal(IO_OUT, occurs(write, IO_OUT))
        fill(write)
        assert.is_true(nothing_occurs(write, IO_OUT))
        local t = tasklet.run(function() return occurs(write, IO_OUT) end)
        drain(read)
        assert.equal(IO_OUT, tasklet.join(t, 30))
    end))

    it("4 tells which of several conditions occurred", within(function()
        local near, far = new_pair()
        assert.equal(IO_OUT, occurs(near, IO_IN | IO_OUT))
        uv.fs_write(far, "x")
        assert.equal(IO_IN | IO_OUT, occurs(near, IO_IN | IO_OUT))
        assert.equal(IO_IN, occurs(near, IO_IN))
        assert.equal(IO_OUT, occurs(near, IO_OUT))
        fill(near)
        assert.equal(IO_IN, occurs(near, IO_IN | IO_OUT))
    end))

    it("4 does not fire for what is not there", within(function()
        local near, far = new_pair()
        assert.is_true(nothing_occurs(near, IO_IN))
        assert.is_true(nothing_occurs(near, IO_PRI))
        uv.fs_write(far, "x")
        assert.is_true(nothing_occurs(near, IO_PRI))
    end))

    it("4 fires at each yield as long as something is there", within(function()
        local read, write = new_pipe()
        uv.fs_write(write, "abc")
        local condition, timeout = WaitForIO(read), WaitForTimeout(20000)
        local got = {}
        for i = 1, 3 do
            assert.is_true(tasklet.wait(condition, timeout) == condition)
            assert.equal(IO_IN, condition.condition)
            got[i] = uv.fs_read(read, 1)
        end
        assert.same({ "a", "b", "c" }, got)
        local soon = WaitForTimeout(10)
        assert.is_true(tasklet.wait(condition, soon) == soon)
        uv.fs_write(write, "d")
        assert.is_true(tasklet.wait(condition, timeout) == condition)
    end))

    it("4 left out of a wait list wakes nobody", within(function()
        local read, write = new_pipe()
        local call, trace = WaitForCall(), {}
        local t = tasklet.run(function()
            local condition = WaitForIO(read)
            trace[1] = tasklet.wait(condition, call) == call
            trace[2] = tasklet.wait(call) == call
            trace[3] = tasklet.wait(condition, call) == condition
        end)
        call()
        uv.fs_write(write, "x")
        tasklet.sleep(0.01)
        assert.same({ true }, trace)
        call()
        tasklet.join(t, 30)
        assert.same({ true, true, true }, trace)
    end))

    it("4 for many descriptors at once", within(function()
        local all, writers, count = {}, {}, 0
        for i = 1, 100 do
            local read, write = new_pipe()
            writers[i] = write
            all[i] = tasklet.run(function()
                for _ = 1, 3 do
                    occurs(read)
                    count = count + #uv.fs_read(read, 10)
                end
            end)
        end
        for _ = 1, 3 do
            for _, write in ipairs(writers) do
                uv.fs_write(write, "x")
            end
            tasklet.sleep(0.01)
        end
        for _, t in ipairs(all) do
            tasklet.join(t, 30)
        end
        assert.equal(300, count)
    end))
end)

describe("a file of WaitForIO may be", function()
    it("4.1 a Lua file: a pipe", within(function()
        local file = assert(io.popen("sleep 0.02; echo hello"))
        local condition, timeout = WaitForIO(file), WaitForTimeout(5000)
        assert.is_true(tasklet.wait(condition, timeout) == condition)
        assert.equal(IO_IN, condition.condition & IO_IN)
        assert.equal("hello", file:read("l"))
        file:close()
    end))

    it("4.1 a Lua file: a regular one, which counts as always ready", within(function()
        local file = assert(io.tmpfile())
        assert.equal(IO_IN, occurs(file))
        assert.equal(IO_OUT, occurs(file, IO_OUT))
        assert.equal(IO_IN | IO_OUT, occurs(file, IO_IN | IO_OUT))
        local condition, timeout = WaitForIO(file), WaitForTimeout(20000)
        for _ = 1, 3 do
            assert.is_true(tasklet.wait(condition, timeout) == condition)
        end
        file:close()
    end))

    it("4.1 the descriptor of a regular file", within(function()
        local fd = assert(uv.fs_open(arg and lfs.attributes(arg[0], "mode") == "file" and arg[0]
            or "/proc/self/exe", "r", 0))
        open[fd] = true
        assert.equal(IO_IN, occurs(fd))
        assert.equal(IO_IN, occurs(fd))
    end))

    it("4.1 a regular file that several tasklets wait for, without starving timeouts",
        within(function()
            local file, done, all = assert(io.tmpfile()), false, {}
            for i = 1, 3 do
                all[i] = tasklet.run(function()
                    local condition, count = WaitForIO(file), 0
                    while not done and count < 100000 do
                        tasklet.wait(condition)
                        count = count + 1
                    end
                    return count
                end)
            end
            for _ = 1, 10 do
                tasklet.sleep(0)
            end
            done = true
            for _, t in ipairs(all) do
                local count = tasklet.join(t)
                assert.is_true(count > 0 and count < 100000, tostring(count))
            end
            file:close()
        end))

    it("4.1 a device that always is ready", within(function()
        local fd = assert(uv.fs_open("/dev/null", "r+", 0))
        open[fd] = true
        assert.equal(IO_IN, occurs(fd))
        assert.equal(IO_OUT, occurs(fd, IO_OUT))
    end))

    it("4.1 an object with fileno or getfd", within(function()
        local read, write = new_pipe()
        uv.fs_write(write, "x")
        for _, name in ipairs { "fileno", "getfd" } do
            local object = { fd = read }
            object[name] = function(self)
                return self.fd
            end
            assert.equal(IO_IN, occurs(object))
            local class = { __index = { [name] = object[name] } }
            assert.equal(IO_IN, occurs(setmetatable({ fd = read }, class)))
        end
    end))

    it("4.1 LuaSocket's sockets", within(function()
        local server = assert(socket.bind("127.0.0.1", 0))
        local _, port = server:getsockname()
        local accepted = tasklet.run(function()
            occurs(server)
            return server:accept()
        end)
        tasklet.sleep(0.005)
        assert.is_false(accepted:has_finished())
        local client = assert(socket.tcp())
        client:settimeout(0)
        client:connect("127.0.0.1", port)
        assert.equal(IO_OUT, occurs(client, IO_OUT))
        local peer = tasklet.join(accepted, 30)
        assert(client:send("hello\n"))
        assert.equal(IO_IN, occurs(peer))
        assert.equal("hello", peer:receive("*l"))
        client:close()
        assert.equal(IO_IN, occurs(peer) & IO_IN)
        peer:close()
        server:close()
        assert.is_false((pcall(occurs, server)))
    end))

    it("4.1 luv's handles", within(function()
        local read, write = new_pipe()
        local handle = uv.new_pipe(false)
        assert(handle:open(read))
        open[read] = nil
        assert.is_true(nothing_occurs(handle))
        uv.fs_write(write, "x")
        assert.equal(IO_IN, occurs(handle))
        handle:close()
    end))

    it("4.1 nothing else", within(function()
        for _, wrong in ipairs { "text", true, {}, print, { fileno = 3 },
            { fileno = function() return "three" end }, { getfd = function() end }, 1.5,
            { fileno = function() return 1e300 end }, { getfd = function() return 0 / 0 end },
            { fileno = function() return 1 << 40 end } } do
            assert.is_false((pcall(function() tasklet.wait(WaitForIO(wrong)) end)))
        end
        local ok, err = pcall(function() return (WaitForIO()) end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("bad argument #1 to 'WaitForIO'", 1, true), err)
    end))

    it("4.1 with wrong conditions or options it raises", within(function()
        local read = new_pipe()
        assert.is_false((pcall(WaitForIO, read, "in")))
        assert.is_false((pcall(WaitForIO, read, true)))
        local ok, err = pcall(WaitForIO, read, IO_IN, { hurry = 1 })
        assert.is_false(ok)
        assert.truthy(err:find("hurry", 1, true), err)
        assert.truthy(err:find("priority", 1, true), err)
    end))
end)

describe("one descriptor", function()
    it("4.1 may be waited for by two tasklets, one reading and one writing", within(function()
        local near, far = new_pair()
        fill(near)
        local reader = tasklet.run(function() return occurs(near, IO_IN) end)
        local writer = tasklet.run(function() return occurs(near, IO_OUT) end)
        tasklet.sleep(0.005)
        assert.is_false(reader:has_finished())
        assert.is_false(writer:has_finished())
        uv.fs_write(far, "x")
        assert.equal(IO_IN, tasklet.join(reader, 30))
        assert.is_false(writer:has_finished())
        drain(far)
        assert.equal(IO_OUT, tasklet.join(writer, 30))
    end))

    it("4.1 of two tasklets, in the other order", within(function()
        local near, far = new_pair()
        fill(near)
        local writer = tasklet.run(function() return occurs(near, IO_OUT) end)
        local reader = tasklet.run(function() return occurs(near, IO_IN) end)
        drain(far)
        assert.equal(IO_OUT, tasklet.join(writer, 30))
        tasklet.sleep(0.002)
        assert.is_false(reader:has_finished())
        uv.fs_write(far, "x")
        assert.equal(IO_IN, tasklet.join(reader, 30))
    end))

    it("4.1 goes on serving one tasklet when the other is killed", within(function()
        for _, victim in ipairs { "reader", "writer" } do
            local near, far = new_pair()
            fill(near)
            local waiters = {
                reader = tasklet.run(function() return occurs(near, IO_IN) end),
                writer = tasklet.run(function() return occurs(near, IO_OUT) end),
            }
            tasklet.sleep(0)
            waiters[victim]:kill()
            uv.fs_write(far, "x")
            drain(far)
            local other, expected = waiters.reader, IO_IN
            if victim == "reader" then
                other, expected = waiters.writer, IO_OUT
            end
            assert.equal(expected, tasklet.join(other, 30))
        end
    end))

    it("4.1 may be waited for by two tasklets in the same direction", within(function()
        local read, write = new_pipe()
        local trace = {}
        local function waiter(name)
            return tasklet.run(function()
                occurs(read)
                trace[#trace + 1] = name
            end)
        end
        local a, b = waiter("a"), waiter("b")
        uv.fs_write(write, "x")
        tasklet.join(a, 30)
        tasklet.join(b, 30)
        assert.same({ "a", "b" }, trace)
    end))

    it("4.1 may be waited for by one tasklet with two conditions", within(function()
        local near, far = new_pair()
        fill(near)
        local reading, writing = WaitForIO(near, IO_IN), WaitForIO(near, IO_OUT)
        local t = tasklet.run(function()
            local first = tasklet.wait(reading, writing)
            local second = tasklet.wait(writing)
            return first == reading, second == writing
        end)
        tasklet.sleep(0.002)
        uv.fs_write(far, "x")
        tasklet.sleep(0.002)
        drain(far)
        assert.same({ true, true }, { tasklet.join(t, 30) })
    end))

    it("4.1 may be another file under the same number later", within(function()
        local old_read, old_write = new_pipe()
        local number
        for round = 1, 3 do
            assert.is_true(nothing_occurs(old_read))
            number = old_read
            close(old_read)
            close(old_write)
            local read, write = new_pipe()
            assert.equal(number, read) -- the lowest free number
            assert.is_true(nothing_occurs(read))
            uv.fs_write(write, "x")
            assert.equal(IO_IN, occurs(read), "round " .. round)
            drain(read)
            old_read, old_write = read, write
        end
    end))
end)

describe("a hang-up or error", function()
    it("4.1 wakes who waits to read", within(function()
        local read, write = new_pipe()
        local t = tasklet.run(function() return occurs(read, IO_IN) end)
        tasklet.sleep(0.002)
        assert.is_false(t:has_finished())
        close(write)
        assert.equal(IO_HUP, tasklet.join(t, 30) & IO_HUP)
    end))

    it("4.1 that was there before wakes at once", within(function()
        local read, write = new_pipe()
        close(write)
        assert.equal(IO_HUP, occurs(read) & IO_HUP)
        assert.equal(IO_HUP, occurs(read) & IO_HUP)
    end))

    it("4.1 comes with what is left to read", within(function()
        local read, write = new_pipe()
        uv.fs_write(write, "x")
        close(write)
        assert.equal(IO_IN | IO_HUP, occurs(read, IO_IN))
        uv.fs_read(read, 10)
        assert.equal(IO_HUP, occurs(read, IO_IN) & IO_HUP)
    end))

    it("4.1 wakes who did not ask for it", within(function()
        for _, asked in ipairs { IO_PRI, IO_OUT, IO_ERR, IO_HUP } do
            local read, write = new_pipe()
            local t = tasklet.run(function() return occurs(read, asked) end)
            tasklet.sleep(0)
            close(write)
            assert.equal(IO_HUP, tasklet.join(t, 30) & IO_HUP, "asked for " .. asked)
        end
    end))

    it("4.1 wakes who waits to write when nobody can read any more", within(function()
        local read, write = new_pipe()
        fill(write)
        local t = tasklet.run(function() return occurs(write, IO_OUT) end)
        tasklet.sleep(0.002)
        assert.is_false(t:has_finished())
        close(read)
        assert.equal(IO_ERR, tasklet.join(t, 30) & IO_ERR)
    end))

    it("4.1 of a socket wakes both sides' waiters", within(function()
        local near, far = new_pair()
        fill(near)
        local reader = tasklet.run(function() return occurs(near, IO_IN) end)
        local writer = tasklet.run(function() return occurs(near, IO_OUT) end)
        tasklet.sleep(0)
        close(far)
        assert.equal(IO_HUP, tasklet.join(reader, 30) & IO_HUP)
        assert.equal(IO_HUP, tasklet.join(writer, 30) & IO_HUP)
    end))

    it("4.1 of a child's pipe", within(function()
        local file = assert(io.popen("exit 0"))
        assert.equal(IO_HUP, occurs(file) & IO_HUP)
        file:close()
    end))

    it("4.1 does not make the loop spin while its tasklet does something else", within(function()
        local read, write = new_pipe()
        local call = WaitForCall()
        call()
        local condition = WaitForIO(read)
        assert(tasklet.wait(condition, call) == call)
        close(write) -- while it is armed
        local turns = turns_of(tasklet.sleep, 0.05)
        assert.is_true(turns < 20, turns .. " turns")
        assert.is_true(tasklet.wait(condition, WaitForTimeout(20000)) == condition)
        assert.equal(IO_HUP, condition.condition & IO_HUP)
    end))
end)

describe("something to read", function()
    it("4.1 does not make the loop spin while its tasklet does something else", within(function()
        local read, write = new_pipe()
        local call = WaitForCall()
        call()
        local condition = WaitForIO(read)
        assert(tasklet.wait(condition, call) == call)
        uv.fs_write(write, "x")
        local turns = turns_of(tasklet.sleep, 0.05)
        assert.is_true(turns < 20, turns .. " turns")
        assert.is_true(tasklet.wait(condition, WaitForTimeout(20000)) == condition)
        assert.equal(IO_IN, condition.condition)
    end))
end)

describe("a closed or bad descriptor", function()
    local function assert_raises(wait)
        local ok, err = pcall(wait)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("io_spec.lua:%d+:"), tostring(err))
    end

    it("4.1 raises at the yield: closed before", within(function()
        local read = new_pipe()
        assert.is_true(nothing_occurs(read))
        close(read)
        local condition = WaitForIO(read)
        local line = debug.getinfo(1, "l").currentline + 1
        local ok, err = pcall(function() tasklet.wait(condition, WaitForTimeout(1000)) end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("io_spec.lua:" .. line .. ":", 1, true), tostring(err))
        assert_raises(function() coroutine.yield(condition) end)
        assert_raises(function() coroutine.yield(WaitForIO(read, IO_OUT)) end)
    end))

    it("4.1 raises at the yield: never opened", within(function()
        for _, bad in ipairs { -1, -2, 19999, 1 << 20, math.maxinteger, math.mininteger } do
            assert_raises(function() tasklet.wait(WaitForIO(bad), WaitForTimeout(1000)) end)
        end
    end))

    it("4.1 raises at the yield: a Lua file closed since", within(function()
        local file = assert(io.tmpfile())
        local condition = WaitForIO(file)
        file:close()
        assert_raises(function() tasklet.wait(condition, WaitForTimeout(1000)) end)
        assert_raises(function() tasklet.wait(WaitForIO(file), WaitForTimeout(1000)) end)
    end))

    it("4.1 raises at the yield: an object whose fileno is -1", within(function()
        local object = { fileno = function() return -1 end }
        assert_raises(function() tasklet.wait(WaitForIO(object), WaitForTimeout(1000)) end)
    end))

    it("4.1 raises at the yield: closed since the last one", within(function()
        local read, write = new_pipe()
        uv.fs_write(write, "x")
        local condition, timeout = WaitForIO(read), WaitForTimeout(1000)
        assert.is_true(tasklet.wait(condition, timeout) == condition)
        close(read)
        assert_raises(function() tasklet.wait(condition, timeout) end)
    end))

    it("4.1 raises at the next yield: closed while armed, which hinders nothing else",
        within(function()
            local read = new_pipe()
            local condition, timeout = WaitForIO(read), WaitForTimeout(50)
            local t = tasklet.run(function()
                local turns = turns_of(tasklet.wait, condition, timeout)
                return (pcall(tasklet.wait, condition, WaitForTimeout(1000))), turns < 20
            end)
            tasklet.sleep(0)
            close(read)
            assert.same({ false, true }, { tasklet.join(t, 30) })
        end))

    it("4.1 is told of as a hang-up when who owns it closes it", within(function()
        local near, far = tasklet.net.pair()
        local server = assert(tasklet.net.listen { port = 0 })
        for _, owner in ipairs { near, server } do
            local condition = WaitForIO(owner:fileno())
            local t = tasklet.run(function() return tasklet.wait(condition).condition end)
            local other = tasklet.run(tasklet.wait, WaitForIO(far))
            owner:close()
            assert.equal(IO_HUP, tasklet.join(t, 30))
            assert_raises(function() tasklet.wait(condition) end)
            other:kill()
        end
        far:close()
    end))

    it("4.1 leaves a tasklet that can wait for others", within(function()
        local read, write = new_pipe()
        local closed = new_pipe()
        close(closed)
        uv.fs_write(write, "x")
        assert_raises(function() tasklet.wait(WaitForIO(read), WaitForIO(closed)) end)
        assert_raises(function() tasklet.wait(WaitForIO(closed), WaitForIO(read)) end)
        assert.equal(IO_IN, occurs(read))
    end))
end)
