-- tasklet.fs: whole files, directories, and what becomes of an operation that nobody waits for any
-- more (contract 11.4).
local tasklet = require "tasklet"
local support = require "spec.fs.support"
local lfs = require "lfs"

local fs, within = tasklet.fs, support.within

---@param path string
---@return string? # what is in it, by Lua's own means
local function slurp(path)
    local file <close> = io.open(path, "rb")
    return file and file:read("a")
end

---A pipe with a name that has a writer who writes nothing.
local function make_fifo(path)
    assert(os.execute(("mkfifo '%s'"):format(path)))
end

local function open_fifo(path)
    make_fifo(path)
    return assert(io.open(path, "r+"))
end

describe("read_file and write_file", function()
    it("11.4 give back what was written, whatever is in it", within(function(dir)
        local path = dir .. "/file"
        for _, data in ipairs { "", "line\n", "zero\0and\r\n", ("x"):rep(3000001) } do
            assert.is_true(fs.write_file(path, data))
            assert.is_true(data == slurp(path))
            assert.is_true(data == fs.read_file(path))
        end
    end))

    it("11.4 append where that is wanted", within(function(dir)
        local path = dir .. "/file"
        assert.is_true(fs.write_file(path, "one ", { append = true }))
        assert.is_true(fs.write_file(path, "two", { append = true }))
        assert.equal("one two", slurp(path))
    end))

    it("11.4 take the mode of a new file, less the process's mask", within(function(dir)
        local path = dir .. "/file"
        assert.is_true(fs.write_file(path, "", { mode = tonumber("700", 8) }))
        assert.equal("rwx------", lfs.attributes(path, "permissions"))
        assert.is_true(fs.write_file(path .. "2", "", { mode = tonumber("600", 8), atomic = true }))
        assert.equal("rw-------", lfs.attributes(path .. "2", "permissions"))
    end))

    it("11 give nil, a message with the path, and a name of the error", within(function(dir)
        local value, message, code = fs.read_file(dir .. "/none")
        assert.is_nil(value)
        assert.equal(dir .. "/none: no such file or directory", message)
        assert.equal("ENOENT", code)
        assert.equal("EISDIR", select(3, fs.read_file(dir)))
        assert.equal("EISDIR", select(3, fs.write_file(dir, "")))
        assert.equal("ENOENT", select(3, fs.write_file(dir .. "/none/file", "")))
        assert.equal("ENOENT", select(3, fs.write_file(dir .. "/none/file", "", { atomic = true })))
    end))

    it("11.4 tell of a pipe whose reader has gone", within(function(dir)
        local reader <close> = open_fifo(dir .. "/fifo")
        local writer = tasklet.run(fs.write_file, dir .. "/fifo", ("x"):rep(1000000))
        reader:read(1)
        reader:close()
        assert.same({ nil, dir .. "/fifo: broken pipe", "EPIPE" }, { writer:join() })
    end))

    it("11.4 read what is no regular file up to its end", within(function()
        assert.equal("", fs.read_file("/dev/null"))
        assert.is_true(fs.write_file("/dev/null", "gone"))
        assert.truthy(fs.read_file("/proc/self/status"):find("^Name:"))
    end))
end)

describe("write_file with `atomic`", function()
    it("11.4 replaces a file, and keeps its mode", within(function(dir)
        local path = dir .. "/file"
        assert.is_true(fs.write_file(path, "old", { mode = tonumber("640", 8) }))
        local before = fs.stat(path)
        assert.is_true(fs.write_file(path, "new", { atomic = true }))
        local after = fs.stat(path)
        assert.equal("new", slurp(path))
        assert.equal(before.mode, after.mode)
        assert.not_equal(before.ino, after.ino)
        assert.same({ "file" }, fs.readdir(dir))
    end))

    it("11.4 shows readers the old or the new, never a part", within(function(dir)
        local path = dir .. "/file"
        local old, new = ("o"):rep(200000), ("n"):rep(200000)
        assert(fs.write_file(path, old))
        local done = false
        local reader = tasklet.run(function()
            local reads = 0
            repeat
                local data = assert(fs.read_file(path))
                assert.is_true(data == old or data == new)
                reads = reads + 1
            until done
            return reads
        end)
        for i = 1, 20 do
            assert(fs.write_file(path, i % 2 == 0 and old or new, { atomic = true }))
        end
        done = true
        assert.is_true(reader:join() > 0)
    end))

    it("11.4 replaces what a link leads to, and leaves nothing where it fails", within(function(dir)
        assert(fs.mkdir(dir .. "/a"))
        assert(fs.write_file(dir .. "/a/file", "old"))
        assert(lfs.link("a/file", dir .. "/link", true))
        assert.is_true(fs.write_file(dir .. "/link", "new", { atomic = true }))
        assert.equal("link", fs.stat(dir .. "/link", { follow = false }).type)
        assert.equal("new", slurp(dir .. "/a/file"))
        assert.equal("EINVAL", select(3, fs.write_file(dir .. "/a", "", { atomic = true })))
        assert.same({ "a", "link" }, fs.readdir(dir))
    end))
end)

describe("stat", function()
    it("11.4 tells type, size, mode and times", within(function(dir)
        assert(fs.write_file(dir .. "/file", "12345", { mode = tonumber("600", 8) }))
        local s = fs.stat(dir .. "/file")
        assert.equal("file", s.type)
        assert.equal(5, s.size)
        assert.equal(tonumber("600", 8), s.mode)
        assert.equal(lfs.attributes(dir .. "/file", "modification"), math.floor(s.mtime))
        assert.equal("directory", fs.stat(dir).type)
        assert.equal("char device", fs.stat("/dev/null").type)
        assert.equal("ENOENT", select(3, fs.stat(dir .. "/none")))
    end))

    it("11.4 follows links unless it is told not to", within(function(dir)
        assert(lfs.link("none", dir .. "/link", true))
        assert.equal("ENOENT", select(3, fs.stat(dir .. "/link")))
        assert.equal("link", fs.stat(dir .. "/link", { follow = false }).type)
    end))
end)

describe("directories", function()
    it("11.4 are made, listed in order, renamed and removed", within(function(dir)
        assert.is_true(fs.mkdir(dir .. "/b"))
        assert.equal("EEXIST", select(3, fs.mkdir(dir .. "/b")))
        assert.equal("ENOENT", select(3, fs.mkdir(dir .. "/x/y")))
        assert.is_true(fs.mkdir(dir .. "/x/y/", { parents = true }))
        assert.is_true(fs.mkdir(dir .. "/x/y", { parents = true }))
        assert.is_true(fs.write_file(dir .. "/a", ""))
        assert.same({ "a", "b", "x" }, fs.readdir(dir))
        assert.is_true(fs.rename(dir .. "/a", dir .. "/c"))
        assert.same({ "b", "c", "x" }, fs.readdir(dir))
        assert.equal("ENOTEMPTY", select(3, fs.remove(dir .. "/x")))
        assert.is_true(fs.remove(dir .. "/b"))
        assert.is_true(fs.remove(dir .. "/c"))
        assert.is_true(fs.remove(dir .. "/x", { recursive = true }))
        assert.equal("ENOENT", select(3, fs.remove(dir .. "/x", { recursive = true })))
        assert.same({}, fs.readdir(dir))
        assert.equal("ENOENT", select(3, fs.readdir(dir .. "/x")))
    end))

    it("11.4 are removed with all that is in them, but not what links lead to", within(function(dir)
        assert(fs.mkdir(dir .. "/kept"))
        assert(fs.write_file(dir .. "/kept/file", "kept"))
        assert(fs.mkdir(dir .. "/gone/deep/er", { parents = true }))
        assert(lfs.link("../kept", dir .. "/gone/link", true))
        assert.is_true(fs.remove(dir .. "/gone", { recursive = true }))
        assert.equal("kept", slurp(dir .. "/kept/file"))
        assert.same({ "kept" }, fs.readdir(dir))
    end))

    it("11.4 of thousands are listed #slow", within(function(dir)
        local expected = {}
        for i = 1, 2000 do
            expected[i] = ("%05d"):format(i)
            assert(io.open(dir .. "/" .. expected[i], "w")):close()
        end
        assert.same(expected, fs.readdir(dir))
    end))

    it("11.4 tempdir makes a new one each time, where the prefix says", within(function(dir)
        local one, two = fs.tempdir(dir .. "/t-"), fs.tempdir(dir .. "/t-")
        assert.not_equal(one, two)
        assert.equal("directory", fs.stat(one).type)
        assert.equal(tonumber("700", 8), fs.stat(one).mode)
        assert.equal(dir .. "/t-", one:sub(1, #dir + 3))
        assert.equal("ENOENT", select(3, fs.tempdir(dir .. "/none/t-")))
    end))
end)

describe("walk", function()
    it("11.4 gives each path and its type, directories first", within(function(dir)
        assert(fs.mkdir(dir .. "/b/c", { parents = true }))
        assert(fs.write_file(dir .. "/b/d", ""))
        assert(fs.write_file(dir .. "/a", ""))
        assert(lfs.link("b", dir .. "/e", true))
        for _, top in ipairs { dir, dir .. "/", dir .. "//" } do
            local found = {}
            for path, kind in fs.walk(top) do
                found[#found + 1] = path:sub(#dir + 1) .. " " .. kind
            end
            assert.same({ "/a file", "/b directory", "/b/c directory", "/b/d file", "/e link" },
                found)
        end
    end))

    it("11.4 says why a directory cannot be read", within(function(dir)
        assert.equal("ENOENT", select(3, fs.walk(dir .. "/none")))
        assert(fs.mkdir(dir .. "/gone"))
        local walk = fs.walk(dir)
        assert(fs.remove(dir .. "/gone"))
        local path, kind, message = walk()
        assert.equal(dir .. "/gone", path)
        assert.equal("directory", kind)
        assert.equal(dir .. "/gone: no such file or directory", message)
        assert.is_nil(walk())
        assert.is_nil(walk())
    end))
end)

describe("a pipe with a name", function()
    it("11.4 is read up to its end, also if nobody writes to it yet", within(function(dir)
        make_fifo(dir .. "/fifo")
        local reader = tasklet.run(fs.read_file, dir .. "/fifo")
        repeat -- until the reader has opened it
            local written = fs.write_file(dir .. "/fifo", "late")
        until written or not reader.alive
        assert.equal("late", reader:join())
    end))
end)

describe("an operation", function()
    it("11 suspends only its tasklet", within(function(dir)
        local _ <close> = open_fifo(dir .. "/fifo")
        local reader = tasklet.run(fs.read_file, dir .. "/fifo")
        assert.equal("suspended", tostring(reader):match("%((.-)%)"))
        assert.equal("read_file: " .. dir .. "/fifo", reader.waiting_for)
        assert(fs.write_file(dir .. "/other", "done"))
        assert.is_true(reader.alive)
        reader:kill()
        assert.is_false(reader.alive)
    end))

    it("11 ends at once by a kill or a deadline, and leaves nothing behind", within(function(dir)
        local _ <close> = open_fifo(dir .. "/fifo")
        local before = tasklet.mainloop.now()
        local ok, err = pcall(tasklet.with_deadline, 0.02, fs.read_file, dir .. "/fifo")
        assert.is_false(ok)
        assert.is_true(tasklet.TimeoutError:is(err))
        assert.is_true(tasklet.mainloop.now() - before >= 20)
    end))

    it("11 can be one of very many at once", within(function(dir)
        local all = {}
        for i = 1, 500 do
            all[i] = tasklet.run(function()
                assert(fs.write_file(("%s/%d"):format(dir, i), tostring(i)))
                return fs.read_file(("%s/%d"):format(dir, i))
            end)
        end
        for i, t in ipairs(all) do
            assert.equal(tostring(i), t:join())
        end
    end))

    it("11 raises where the caller cannot wait", within(function(dir)
        local ok, err = pcall(table.sort, { 1, 2 }, function() fs.stat(dir) end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("cannot wait inside the C function 'table.sort'", 1, true))
    end))
end)

describe("wrong arguments", function()
    it("11 raise at the caller's line", within(function()
        local cases = {
            { "bad argument #1 to 'read_file' (string expected, got no value)",
                function() fs.read_file() end },
            { "bad argument #1 to 'stat' (path contains zeros)", function() fs.stat("a\0b") end },
            { "bad argument #1 to 'walk' (string expected, got no value)",
                function() for _ in fs.walk() do end end },
            { "bad argument #1 to 'walk' (path contains zeros)", function() fs.walk("a\0b") end },
            { "bad argument #1 to 'watch' (string expected, got table)",
                function() fs.watch({}) end },
            { "bad argument #1 to 'watch' (path contains zeros)", function() fs.watch("\0") end },
            { "bad argument #2 to 'write_file' (string expected, got nil)",
                function() fs.write_file("a", nil) end },
            { "bad argument #3 to 'write_file' (unknown option 'atomc'"
                .. " (known: append, atomic, mode))",
                function() fs.write_file("a", "", { atomc = true }) end },
            { "bad argument #3 to 'write_file' (option 'atomic': boolean expected, got number)",
                function() fs.write_file("a", "", { atomic = 1 }) end },
            { "bad argument #3 to 'write_file' (options 'append' and 'atomic' exclude each other)",
                function() fs.write_file("a", "", { atomic = true, append = true }) end },
            { "bad argument #2 to 'mkdir' (option 'mode': permissions expected)",
                function() fs.mkdir("a", { mode = -1 }) end },
            { "bad argument #2 to 'remove' (table expected, got boolean)",
                function() fs.remove("a", true) end },
        }
        for _, case in ipairs(cases) do
            local line = debug.getinfo(case[2], "S").linedefined
            local ok, err = pcall(case[2])
            assert.is_false(ok)
            assert.equal(("spec/fs/files_spec.lua:%d: %s"):format(line, case[1]),
                (err:gsub("^%./", "")))
        end
    end))
end)
