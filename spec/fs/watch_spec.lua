-- tasklet.fs.watch and tasklet.fs.open (contract 11.4).
local tasklet = require "tasklet"
local support = require "spec.fs.support"

local fs, within = tasklet.fs, support.within

---@return string # "kind name"
local function shown(event)
    return event.kind .. " " .. tostring(event.name)
end

describe("a watch", function()
    it("11.4 tells what happens in a directory, in its order", within(function(dir)
        local w <close> = assert(fs.watch(dir))
        local t = tasklet.run(function()
            local seen = {}
            for event in w do
                seen[#seen + 1] = shown(event)
            end
            return seen
        end)
        assert.equal("watching " .. dir, t.waiting_for)
        assert(fs.write_file(dir .. "/a", "x"))
        assert(fs.rename(dir .. "/a", dir .. "/b"))
        assert(fs.remove(dir .. "/b"))
        assert(fs.mkdir(dir .. "/last"))
        local last <close> = assert(fs.watch(dir))
        assert(fs.write_file(dir .. "/end", ""))
        assert.equal("rename end", shown(last:next()))
        w:close()
        assert.same({ "rename a", "change a", "rename a", "rename b", "rename b", "rename last",
            "rename end" }, t:join())
    end))

    it("11.4 tells what happens to a file", within(function(dir)
        local path = dir .. "/file"
        assert(fs.write_file(path, ""))
        local w <close> = assert(fs.watch(path))
        assert(fs.write_file(path, "more", { append = true }))
        assert.equal("change file", shown(w:next()))
    end))

    it("11.4 keeps what happens while nobody waits", within(function(dir)
        local w <close> = assert(fs.watch(dir))
        local other <close> = assert(fs.watch(dir))
        for i = 1, 5 do
            assert(fs.mkdir(dir .. "/" .. i))
        end
        for i = 1, 5 do
            assert.equal("rename " .. i, shown(other:next()))
        end
        for i = 1, 5 do
            assert.equal("rename " .. i, shown(w:next()))
        end
    end))

    it("11.4 says so when more has happened than it keeps #slow", within(function(dir)
        local w <close> = assert(fs.watch(dir))
        local other <close> = assert(fs.watch(dir))
        for i = 1, 1100 do
            assert(fs.mkdir(dir .. "/" .. i))
            other:next()
        end
        for i = 1, 1023 do
            assert.equal("rename " .. i, shown(w:next()))
        end
        assert.equal("overflow nil", shown(w:next()))
        assert(fs.mkdir(dir .. "/again"))
        assert.equal("rename again", shown(w:next()))
    end))

    it("11.4 is a wait condition among others", within(function(dir)
        local w <close> = assert(fs.watch(dir))
        local call = tasklet.WaitForCall()
        tasklet.run(function() assert(fs.mkdir(dir .. "/a")) end)
        assert.equal(w, tasklet.wait(w, call))
        assert.equal("a", w.name)
        assert.equal("rename", w.kind)
        tasklet.later(0, call)()
        assert.equal(call, tasklet.wait(w, call))
        tasklet.later(0, w.close)(w)
        assert.equal(w, tasklet.wait(w, call))
        assert.is_nil(w.kind)
        assert.is_nil(w:next())
    end))

    it("11 ends at once by a kill, and by its own close twice", within(function(dir)
        local w = assert(fs.watch(dir))
        local t = tasklet.run(w.next, w)
        t:kill()
        assert.is_true(t:has_finished())
        assert(fs.mkdir(dir .. "/a"))
        assert.equal("rename a", shown(w:next()))
        w:close()
        w:close()
        assert.equal("watch(closed)", tostring(w))
    end))

    it("3.6 leaves the wait list of who asks it alone", within(function(dir)
        local w <close> = assert(fs.watch(dir))
        local emitter = tasklet.Emitter { "go" }
        local signal = tasklet.WaitForSignal(emitter, "go")
        local t = tasklet.run(function()
            tasklet.wait(signal, tasklet.WaitForCall())
            local names = w:next().name .. w().name
            return names, tasklet.wait(signal).signal_args[1]
        end)
        emitter:emit("go", "first")
        emitter:emit("go", "kept") -- while it asks
        assert(fs.mkdir(dir .. "/a"))
        assert(fs.mkdir(dir .. "/b"))
        assert.same({ "ab", "kept" }, { t:join() })
    end))

    it("6.6 is interrupted by the deadline of who asks it", within(function(dir)
        local w <close> = assert(fs.watch(dir))
        local me = tasklet.current()
        me.timeout = 0.01
        for _, ask in ipairs { w.next, function() for _ in w do end end } do
            local ok, err = pcall(ask, w)
            assert.is_false(ok)
            assert.is_true(tasklet.TimeoutError:is(err))
        end
        me.timeout = nil
    end))

    it("11.4 tells each of those who ask it another event, and all that it is closed",
        within(function(dir)
            local w = assert(fs.watch(dir))
            local tasks = {}
            for i = 1, 4 do
                tasks[i] = tasklet.run(w.next, w)
            end
            tasks[1]:kill()
            assert(fs.mkdir(dir .. "/a"))
            assert(fs.mkdir(dir .. "/b"))
            assert.equal("a", tasks[2]:join().name)
            assert.equal("b", tasks[3]:join().name)
            w:close()
            assert.is_nil(tasks[4]:join())
        end))

    it("1.4 is told of wrong arguments at the caller's line", within(function()
        local w <close> = assert(fs.watch("/"))
        for _, text in ipairs { "w.next()", "w.next(5)", "w.close({})", "w.next(other)" } do
            local chunk = assert(load("local w, other = ...\n" .. text, "=there"))
            local ok, err = pcall(chunk, w, tasklet.WaitForIdle())
            assert.is_false(ok)
            assert.matches("^there:2: bad argument #1 to '%a+' %(watch expected, got ", err)
        end
    end))

    it("11.4 of what is not there is a failure", within(function(dir)
        local w, message, code = fs.watch(dir .. "/none")
        assert.is_nil(w)
        assert.equal(dir .. "/none: no such file or directory", message)
        assert.equal("ENOENT", code)
    end))

    it("11.4 that nobody refers to any more goes", within(function(dir)
        for _ = 1, 300 do -- more than a user may have
            assert(fs.watch(dir))
        end
        collectgarbage()
        collectgarbage()
        local w <close> = assert(fs.watch(dir))
        assert.equal(("watch(%s)"):format(dir), tostring(w))
    end))
end)

describe("fs.open", function()
    it("11.4 gives a stream on a file", within(function(dir)
        local path = dir .. "/file"
        do
            local out <close> = assert(fs.open(path, "w"))
            assert.equal(out, out:write("one\n", 2, "\n"))
        end
        do
            local out <close> = assert(fs.open(path, "ab"))
            assert(out:write("three\n"))
        end
        local lines = {}
        for line in assert(fs.open(path)):lines() do
            lines[#lines + 1] = line
        end
        assert.same({ "one", "2", "three" }, lines)
        local all <close> = assert(fs.open(path, "r"))
        assert.equal("one\n2\nthree\n", all:read("a"))
        assert.is_nil(all:read("l"))
    end))

    it("11.4 has Lua's modes", within(function(dir)
        local path = dir .. "/file"
        assert.equal("ENOENT", select(3, fs.open(path, "r+")))
        assert(fs.write_file(path, "old"))
        do
            local f <close> = assert(fs.open(path, "r+"))
            assert(f:write("c"))
            f:flush()
            assert.equal("ld", f:read("a"))
        end
        assert.equal("cld", assert(fs.read_file(path)))
        do
            local _ <close> = assert(fs.open(path, "w+"))
        end
        assert.equal("", fs.read_file(path))
        for _, mode in ipairs { "", "x", "rw", "rbb", "r+b+" } do
            assert.is_false(pcall(fs.open, path, mode))
        end
        assert.equal("EISDIR", select(3, fs.open(dir)))
    end))

    it("11.4 reads what a file has got since its end was read", within(function(dir)
        local path = dir .. "/file"
        assert(fs.write_file(path, "one\n"))
        local f <close> = assert(fs.open(path))
        assert.equal("one\n", f:read("a"))
        assert.is_nil(f:read("l"))
        assert(fs.write_file(path, "two\nthr", { append = true }))
        assert.equal("two", f:read("l"))
        assert(fs.write_file(path, "ee\n", { append = true }))
        assert.equal("three\n", f:read("a"))
        assert.equal("", f:read("a"))
    end))

    it("11.4 leaves no descriptor behind when nobody wants it any more", within(function(dir)
        local function count()
            local list = assert(fs.readdir("/proc/self/fd"))
            return #list
        end
        assert(fs.write_file(dir .. "/file", ""))
        fs.open(dir .. "/file"):close()
        local before = count()
        for _ = 1, 50 do
            tasklet.run(fs.open, dir .. "/file"):kill()
        end
        assert(fs.stat(dir))
        repeat
            local settled = count() <= before
            if not settled then
                tasklet.yield_()
            end
        until settled
    end))
end)
