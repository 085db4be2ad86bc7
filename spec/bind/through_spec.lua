-- Waits pass through everything that Lua lets them (contract 3.9).
local helper = require "spec.helper"
local tasklet = require "tasklet"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout

local function within(body)
    return function() helper.within_loop(body) end
end

-- Ways to wait. Each returns its argument.
local ways = {
    ["tasklet.wait"] = function(value)
        tasklet.wait(WaitForTimeout(0))
        return value
    end,
    ["tasklet.sleep"] = function(value)
        tasklet.sleep(0)
        return value
    end,
    ["tasklet.yield_"] = function(value)
        tasklet.yield_()
        return value
    end,
    ["a channel's receive"] = function(value)
        local ch = tasklet.channel()
        tasklet.new(ch.send, { daemon = true })(ch, value)
        return ch:receive()
    end,
    ["tasklet.join"] = function(value)
        return (tasklet.join(tasklet.run(function()
            tasklet.sleep(0)
            return value
        end), 2))
    end,
}
local names_of_ways = {
    "tasklet.wait", "tasklet.sleep", "tasklet.yield_", "tasklet.join", "a channel's receive",
}

-- Waits, and returns its argument.
local waiting = ways["tasklet.wait"]

describe("a generator", function()
    for _, name in ipairs(names_of_ways) do
        local way = ways[name]

        it("3.9 still yields its values to the body, with " .. name .. " in it", within(function()
            local generator = coroutine.wrap(function(first)
                local argument = first
                for i = 1, 3 do
                    argument = coroutine.yield(way(i), argument)
                    way()
                end
                return "end", argument
            end)
            assert.same({ 1, "a" }, { generator("a") })
            assert.same({ 2, "b" }, { generator("b") })
            assert.same({ 3, "c" }, { generator("c") })
            assert.same({ "end", "d" }, { generator("d") })
        end))

        it("3.9 under coroutine.resume, with " .. name .. " in it", within(function()
            local co = coroutine.create(function(...)
                way()
                local count = select("#", ...)
                way()
                count = count + select("#", coroutine.yield(count, nil, way("x"), nil))
                way()
                return count
            end)
            assert.equal("suspended", coroutine.status(co))
            assert.same({ n = 5, true, 3, nil, "x", nil },
                table.pack(coroutine.resume(co, nil, 1, nil)))
            assert.equal("suspended", coroutine.status(co))
            assert.same({ true, 5 }, { coroutine.resume(co, nil, nil) })
            assert.equal("dead", coroutine.status(co))
            assert.is_false((coroutine.resume(co)))
        end))

        it("3.9 in a for loop, with " .. name .. " in it", within(function()
            local sum = 0
            for value in coroutine.wrap(function()
                for i = 1, 10 do
                    coroutine.yield(way(i))
                end
            end) do
                sum = way(value) + sum
            end
            assert.equal(55, sum)
        end))
    end

    it("3.9 suspends the whole tasklet while it waits", within(function()
        local gate, trace = WaitForCall(), {}
        local t = tasklet.run(function()
            local generator = coroutine.wrap(function()
                tasklet.wait(gate)
                coroutine.yield("value")
            end)
            table.insert(trace, (generator()))
            trace[#trace + 1] = "after"
        end)
        tasklet.sleep(0)
        assert.same({}, trace)
        assert.equal(tasklet.Tasklet.STATE_SUSPENDED, t.state)
        gate()
        assert.same({ "value", "after" }, trace)
        assert.is_true(t:has_finished())
    end))

    it("3.9 nested ten deep, each of them waiting", within(function()
        local function nest(depth)
            return coroutine.wrap(function()
                waiting()
                if depth == 0 then
                    for i = 1, 3 do
                        coroutine.yield(waiting(i))
                    end
                else
                    for value in nest(depth - 1) do
                        waiting()
                        coroutine.yield(value + 1)
                    end
                end
                waiting()
            end)
        end
        local trace = {}
        for value in nest(9) do
            trace[#trace + 1] = value
        end
        assert.same({ 10, 11, 12 }, trace)
    end))

    it("3.9 may yield a wait condition as a value, which waits for nothing", within(function()
        local never = WaitForTimeout(60000)
        local generator = coroutine.wrap(function()
            coroutine.yield(never)
            coroutine.yield(42)
            coroutine.yield()
            return "end"
        end)
        assert.is_true(rawequal(never, generator()))
        assert.equal(42, generator())
        assert.equal(0, select("#", generator()))
        assert.equal("end", generator())
    end))

    it("3.9 has its own tasklet as the current one", within(function()
        local own, other = tasklet.current(), nil
        local generator = coroutine.wrap(function()
            coroutine.yield(tasklet.current())
            waiting()
            other = tasklet.run(function()
                tasklet.sleep(0)
                return tasklet.current()
            end)
            coroutine.yield(tasklet.current())
        end)
        assert.is_true(rawequal(own, generator()))
        assert.is_true(rawequal(own, generator()))
        assert.is_true(rawequal(other, (tasklet.join(other, 30))))
    end))

    it("3.9 waits for whoever resumes it", within(function()
        local gate, trace = WaitForCall(), {}
        local generator = coroutine.wrap(function()
            coroutine.yield("first")
            trace[#trace + 1] = tasklet.current().name
            tasklet.wait(gate)
            trace[#trace + 1] = tasklet.current().name
            coroutine.yield("second")
            coroutine.yield("third")
        end)
        assert.equal("first", generator())
        local function other()
            table.insert(trace, (generator()))
        end
        local t = tasklet.run(other)
        assert.is_false(t:has_finished())
        gate()
        assert.is_true(t:has_finished())
        assert.same({ t.name, t.name, "second" }, trace)
        assert.equal("third", generator())
    end))

    it("3.9 cannot be resumed by another tasklet while it waits", within(function()
        local gate = WaitForCall()
        local co = coroutine.create(function()
            tasklet.wait(gate)
            return "its own"
        end)
        local t = tasklet.run(function()
            return select(2, coroutine.resume(co))
        end)
        local ok = coroutine.resume(co, "stolen")
        assert.is_false(ok)
        gate()
        assert.equal("its own", tasklet.join(t, 30))
    end))

    it("3.9 hands errors to its user after a wait", within(function()
        local value = {}
        local generator = coroutine.wrap(function()
            waiting()
            error(value)
        end)
        local ok, err = pcall(generator)
        assert.is_false(ok)
        assert.is_true(rawequal(value, err))
        local co = coroutine.create(function()
            waiting()
            error("text", 0)
        end)
        assert.same({ false, "text" }, { coroutine.resume(co) })
        assert.equal("dead", coroutine.status(co))
        waiting()
    end))

    it("3.9 that has waited can be closed, and may wait in that", within(function()
        local trace = {}
        local co = coroutine.create(function()
            local _ <close> = setmetatable({}, { __close = function()
                trace[#trace + 1] = "closed"
            end })
            waiting()
            coroutine.yield(1)
        end)
        assert.same({ true, 1 }, { coroutine.resume(co) })
        assert.is_true(coroutine.close(co))
        assert.same({ "closed" }, trace)
        assert.equal("dead", coroutine.status(co))
        waiting()
    end))

    it("3.9 gets the kill of its tasklet where it waits", within(function()
        local trace = {}
        local t = tasklet.run(function()
            local generator = coroutine.wrap(function()
                local _ <close> = setmetatable({}, { __close = function()
                    trace[#trace + 1] = "generator closed"
                end })
                local ok, err = pcall(tasklet.sleep, 60)
                trace[#trace + 1] = not ok and tasklet.TaskletExit:is(err)
                error(err, 0)
            end)
            local ok, err = pcall(generator)
            trace[#trace + 1] = not ok and tasklet.TaskletExit:is(err)
            error(err, 0)
        end)
        t:kill()
        assert.is_true(t:has_finished())
        assert.same({ true, "generator closed", true }, trace)
    end))

    it("3.9 gets the event of a yield through wait, in the tasklet's wait list", within(function()
        local a, b = WaitForCall(), WaitForCall()
        local t = tasklet.run(function()
            local generator = coroutine.wrap(function()
                coroutine.yield(tasklet.wait(a, b))
                coroutine.yield(tasklet.wait(b))
            end)
            return generator() == b, generator() == b
        end)
        b()
        b()
        assert.same({ true, true }, { tasklet.join(t, 30) })
    end))

    it("3.9 sees a coroutine library that is Lua's", within(function()
        assert.is_true(coroutine.isyieldable())
        local outer, main = coroutine.running()
        assert.is_false(main)
        local co
        co = coroutine.create(function()
            local inner = coroutine.running()
            assert(inner == co and inner ~= outer)
            assert(coroutine.isyieldable())
            assert(coroutine.status(co) == "running")
            assert(coroutine.status(outer) == "normal")
            waiting()
            assert(coroutine.running() == co)
            assert(coroutine.status(co) == "running")
            assert(not coroutine.resume(co))
            return "fine"
        end)
        assert.same({ true, "fine" }, { coroutine.resume(co) })
        assert.is_true(outer == coroutine.running())
        local ok, err = pcall(coroutine.wrap(function() end), 1)
        assert.is_true(ok, err)
        assert.is_false((pcall(coroutine.resume, 42)))
        assert.is_false((pcall(coroutine.wrap, 42)))
        assert.is_false((pcall(coroutine.create, 42)))
        local ended = coroutine.wrap(function() end)
        ended()
        ok, err = pcall(ended)
        assert.is_false(ok)
        assert.truthy(err:find("cannot resume dead coroutine", 1, true), err)
    end))

    it("3.9 works outside tasklets as ever", function()
        local result = helper.plain [[
            require "tasklet"
            local generator = coroutine.wrap(function(...)
                local got = coroutine.yield(1, ...)
                coroutine.yield(got)
                return "end"
            end)
            print(generator("a"))
            print(generator("b"))
            print(generator())
            print(pcall(generator))
        ]]
        local expected = "1\ta\nb\nend\nfalse\tcannot resume dead coroutine\n"
        assert.equal(expected, (result.stdout:gsub("%S*:%d+: ", "")))
        assert.equal(0, result.status)
    end)
end)

describe("a wait passes through", function()
    it("3.9 pcall, with results and errors", within(function()
        for _, name in ipairs(names_of_ways) do
            local way = ways[name]
            assert.same({ true, 1, 2 }, { pcall(function()
                return way(1), way(2)
            end) })
            local value = {}
            local ok, err = pcall(function()
                way()
                error(value)
            end)
            assert.is_false(ok)
            assert.is_true(rawequal(value, err))
        end
        assert.is_true((pcall(tasklet.sleep, 0)))
        assert.is_true((pcall(tasklet.wait, WaitForTimeout(0))))
        assert.is_true((pcall(pcall, tasklet.sleep, 0)))
    end))

    it("3.9 pcall around coroutine.yield", within(function()
        local timeout = WaitForTimeout(0)
        assert.is_true((pcall(coroutine.yield, timeout)))
        assert.is_true(rawequal(timeout, tasklet.get_event()))
    end))

    it("3.9 xpcall, with the handler called where the error is", within(function()
        local ok, text, extra = xpcall(function(argument)
            waiting()
            return argument, waiting("more")
        end, debug.traceback, "argument")
        assert.same({ true, "argument", "more" }, { ok, text, extra })
        local function the_culprit()
            waiting()
            error("on purpose")
        end
        ok, text = xpcall(function()
            the_culprit()
            return nil
        end, debug.traceback)
        assert.is_false(ok)
        assert.truthy(text:find("on purpose", 1, true), text)
        assert.truthy(text:find("the_culprit", 1, true), text)
    end))

    local metamethods = {
        { "__index", function(o) return o.key end },
        { "__newindex", function(o)
            local got
            rawset(getmetatable(o), "put", function(value) got = value end)
            o.key = "result"
            return got
        end },
        { "__call", function(o) return (o()) end },
        { "__add", function(o) return o + 1 end },
        { "__sub", function(o) return 1 - o end },
        { "__mul", function(o) return o * 1 end },
        { "__div", function(o) return o / 1 end },
        { "__mod", function(o) return o % 1 end },
        { "__pow", function(o) return o ^ 1 end },
        { "__unm", function(o) return -o end },
        { "__idiv", function(o) return o // 1 end },
        { "__band", function(o) return o & 1 end },
        { "__bor", function(o) return o | 1 end },
        { "__bxor", function(o) return o ~ 1 end },
        { "__shl", function(o) return o << 1 end },
        { "__shr", function(o) return o >> 1 end },
        { "__bnot", function(o) return ~o end },
        { "__concat", function(o) return "a" .. o end },
        { "__len", function(o) return #o end },
        { "__eq", function(o, other) return o == other end, true },
        { "__lt", function(o, other) return o < other end, true },
        { "__le", function(o, other) return o <= other end, true },
    }

    for _, case in ipairs(metamethods) do
        local name, use, expected = case[1], case[2], case[3] or "result"
        it("3.9 the metamethod " .. name, within(function()
            local count = 0
            local class = {}
            class[name] = function()
                waiting()
                count = count + 1
                if class.put then
                    class.put("result")
                end
                return "result"
            end
            local object, other = setmetatable({}, class), setmetatable({}, class)
            assert.equal(expected, use(object, other))
            assert.equal(1, count)
        end))
    end

    it("3.9 the metamethod __pairs, and an iterator", within(function()
        local class = {}
        function class.__pairs(o)
            waiting()
            return function(_, key)
                waiting()
                return next(o, key)
            end, o, nil
        end
        local sum = 0
        for _, value in pairs(setmetatable({ 1, 2, a = 3 }, class)) do
            sum = waiting(value) + sum
        end
        assert.equal(6, sum)
    end))

    it("3.9 an iterator function, the loop's body, and break", within(function()
        local count = 0
        for i in function(_, last)
            waiting()
            last = (last or 0) + 1
            return last <= 100 and last or nil
        end do
            waiting()
            count = i
            if i == 5 then
                break
            end
        end
        assert.equal(5, count)
    end))

    local function closing(trace, name)
        return setmetatable({}, { __close = function(_, err)
            trace[#trace + 1] = "closing " .. name
            waiting()
            trace[#trace + 1] = "closed " .. name .. (err and ": " .. tostring(err) or "")
        end })
    end

    it("3.9 <close>, at the end of a block", within(function()
        local trace = {}
        do
            local _ <close> = closing(trace, "a")
            local _ <close> = closing(trace, "b")
            waiting()
        end
        assert.same({ "closing b", "closed b", "closing a", "closed a" }, trace)
    end))

    it("3.9 <close>, at return, break and error", within(function()
        local trace = {}
        local function returns()
            local _ <close> = closing(trace, "a")
            return waiting(1), 2
        end
        assert.same({ 1, 2 }, { returns() })
        for i = 1, 3 do
            local _ <close> = closing(trace, "b")
            if i == 1 then
                break
            end
        end
        local ok, err = pcall(function()
            local _ <close> = closing(trace, "c")
            error("on purpose", 0)
        end)
        assert.same({ false, "on purpose" }, { ok, err })
        assert.same({ "closing a", "closed a", "closing b", "closed b", "closing c",
            "closed c: on purpose" }, trace)
    end))

    it("3.9 <close>, of a generic for", within(function()
        local trace = {}
        for i in function(_, i) return (i or 0) + 1 end, nil, nil, closing(trace, "a") do
            if i == 2 then
                break
            end
        end
        assert.same({ "closing a", "closed a" }, trace)
    end))

    it("3.9 <close>, at the end of the tasklet, which ends after it", within(function()
        local gate, trace = WaitForCall(), {}
        local t = tasklet.run(function()
            local _ <close> = setmetatable({}, { __close = function()
                tasklet.wait(gate)
                trace[#trace + 1] = "closed"
            end })
            return "result"
        end)
        assert.is_false(t:has_finished())
        gate()
        assert.equal("result", tasklet.join(t, 30))
        assert.same({ "closed" }, trace)
    end))

    it("3.9 dofile and load", within(function()
        local path = os.tmpname()
        local file = assert(io.open(path, "w"))
        file:write("require('tasklet').sleep(0) return 'from the file'\n")
        file:close()
        local ok, result = pcall(dofile, path)
        os.remove(path)
        assert.same({ true, "from the file" }, { ok, result })
        assert.equal("loaded", load("require('tasklet').sleep(0) return 'loaded'")())
    end))

    it("3.9 select, table.unpack and tail calls beside it", within(function()
        local function tail(n)
            if n == 0 then
                return waiting("end")
            end
            return tail(n - 1)
        end
        assert.equal("end", tail(1000))
        assert.same({ 1, 2 }, { table.unpack { waiting(1), waiting(2) } })
        assert.equal(3, select("#", waiting(), waiting(), waiting()))
    end))

    it("3.9 deep recursion", within(function()
        local function deep(n)
            if n == 0 then
                return waiting(0)
            end
            return deep(n - 1) + 1
        end
        assert.equal(5000, deep(5000))
    end))

    it("3.9 many pcalls", within(function()
        local function deep(n)
            if n == 0 then
                return waiting("bottom")
            end
            return select(2, pcall(deep, n - 1))
        end
        assert.equal("bottom", deep(50))
    end))
end)

describe("require", function()
    local directory, path

    before_each(function()
        directory = os.tmpname()
        os.remove(directory)
        assert(os.execute("mkdir " .. directory))
        path = package.path
        package.path = directory .. "/?.lua;" .. path
    end)

    after_each(function()
        package.path = path
        os.execute("rm -r " .. directory)
        for _, name in ipairs { "spec_waits_a", "spec_waits_b", "spec_waits_c" } do
            package.loaded[name] = nil
            package.preload[name] = nil
        end
    end)

    local function write_module(name, text)
        local file = assert(io.open(directory .. "/" .. name .. ".lua", "w"))
        file:write("local tasklet = require 'tasklet'\n", text)
        file:close()
    end

    it("3.9 of a module that waits at its top level", within(function()
        write_module("spec_waits_a", [[
            local name, where = ...
            tasklet.sleep(0)
            assert(tasklet.wait(tasklet.WaitForTimeout(0)))
            return { name = name, where = where }
        ]])
        local result, where = require "spec_waits_a"
        assert.equal("spec_waits_a", result.name)
        assert.equal(directory .. "/spec_waits_a.lua", result.where)
        assert.equal(result.where, where)
        assert.is_true(rawequal(result, require "spec_waits_a"))
        assert.is_true(rawequal(result, package.loaded.spec_waits_a))
    end))

    it("3.9 suspends its tasklet until the module has its value", within(function()
        local gate = WaitForCall()
        package.preload.spec_waits_a = function()
            return tasklet.wait(gate).args[1]
        end
        local t = tasklet.run(function() return (require "spec_waits_a") end)
        assert.is_false(t:has_finished())
        gate("the module")
        assert.equal("the module", tasklet.join(t, 30))
    end))

    it("3.9 of modules that require others that wait", within(function()
        write_module("spec_waits_a", "tasklet.sleep(0) return 'a' .. require 'spec_waits_b'")
        write_module("spec_waits_b", "tasklet.sleep(0) return 'b' .. require 'spec_waits_c'")
        write_module("spec_waits_c", "tasklet.sleep(0) return 'c'")
        assert.equal("abc", (require "spec_waits_a"))
    end))

    it("3.9 of a module that returns nothing, nil and false", within(function()
        write_module("spec_waits_a", "tasklet.sleep(0)")
        write_module("spec_waits_b", "tasklet.sleep(0) package.loaded[...] = 'set' return nil")
        write_module("spec_waits_c", "tasklet.sleep(0) return false")
        assert.equal(true, (require "spec_waits_a"))
        assert.equal("set", (require "spec_waits_b"))
        assert.equal(false, (require "spec_waits_c"))
    end))

    it("3.9 raises what a module raises after a wait, and can be tried again", within(function()
        write_module("spec_waits_a", "tasklet.sleep(0) error('on purpose')")
        local ok, err = pcall(require, "spec_waits_a")
        assert.is_false(ok)
        assert.truthy(tostring(err):find("on purpose", 1, true), tostring(err))
        assert.is_nil(package.loaded.spec_waits_a)
        write_module("spec_waits_a", "tasklet.sleep(0) return 'second try'")
        assert.equal("second try", (require "spec_waits_a"))
    end))

    it("3.9 of luv, for the first time, in a tasklet that ends before luv's callbacks", function()
        local script = [[
            local tasklet = require "tasklet"
            for _ = 1, 3 do
                tasklet.run(function() require "luv" end)
                collectgarbage()
            end
            tasklet.run(function()
                local done, timer = tasklet.WaitForCall(), require("luv").new_timer()
                timer:start(0, 0, function()
                    timer:close()
                    done("from luv")
                end)
                print(tasklet.wait(done).args[1])
            end)
            tasklet.mainloop.run()
        ]]
        for _, run in ipairs { helper.plain, helper.run_file } do
            local result = run(script)
            assert.equal("", result.stderr)
            assert.equal("from luv\n", result.stdout)
            assert.equal(0, result.status)
        end
    end)

    it("3.9 names where it looked for a module that is not there", within(function()
        local ok, err = pcall(require, "spec_waits_a")
        assert.is_false(ok)
        assert.truthy(err:find("module 'spec_waits_a' not found:", 1, true), err)
        assert.truthy(err:find("no field package.preload['spec_waits_a']", 1, true), err)
        assert.truthy(err:find(directory .. "/spec_waits_a.lua", 1, true), err)
    end))
end)

describe("where stock Lua cannot yield, a wait raises and names", function()
    -- `through(f)` calls a C function that calls f, across which Lua cannot yield.
    local function assert_named(name, through)
        for _, way in ipairs(names_of_ways) do
            local inner_ok, inner_err
            local ok, err = pcall(through, function()
                inner_ok, inner_err = pcall(ways[way])
                error(inner_err, 0)
            end)
            assert.is_false(inner_ok, way)
            assert.truthy(tostring(inner_err):find(name, 1, true),
                way .. ": " .. tostring(inner_err))
            assert.is_false(ok)
            assert.equal(tostring(inner_err), tostring(err))
            -- The tasklet can go on waiting.
            assert.equal(way, ways[way](way))
        end
    end

    it("3.9 table.sort, for a comparator", within(function()
        assert_named("sort", function(f) table.sort({ 3, 1, 2 }, f) end)
    end))

    it("3.9 gsub, for a callback", within(function()
        assert_named("gsub", function(f) string.gsub("abc", "b", f) end)
        assert_named("gsub", function(f) return (("abc"):gsub("b", f)) end)
    end))

    it("3.9 tostring, for a __tostring", within(function()
        assert_named("tostring", function(f)
            tostring(setmetatable({}, { __tostring = f }))
        end)
    end))

    it("3.9 load, for a reader", within(function()
        local ok, reason
        load(function()
            ok, reason = pcall(tasklet.sleep, 0)
            return nil
        end)
        reason = tostring(reason)
        assert.is_false(ok)
        assert.truthy(reason:find("load", 1, true), reason)
    end))

    it("3.9 it for coroutine.yield as well", within(function()
        local timeout = WaitForTimeout(0)
        local reason
        pcall(table.sort, { 3, 1, 2 }, function(a, b)
            local ok, err = pcall(function() coroutine.yield(timeout) end)
            reason = reason or (not ok and tostring(err))
            return a < b
        end)
        assert.truthy(reason and reason:find("sort", 1, true), tostring(reason))
        assert.is_true(rawequal(timeout, tasklet.wait(timeout)))
    end))

    it("3.9 it out of a generator inside, too", within(function()
        local reason
        string.gsub("abc", "b", function()
            local generator = coroutine.wrap(function()
                local ok, err = pcall(tasklet.sleep, 0)
                reason = not ok and tostring(err)
                coroutine.yield("value")
            end)
            return generator()
        end)
        assert.truthy(reason and reason:find("gsub", 1, true), tostring(reason))
    end))

    it("3.9 it and the comparator still sorts what does not wait", within(function()
        local list = { 3, 1, 2 }
        table.sort(list, function(a, b)
            pcall(tasklet.sleep, 0)
            return a < b
        end)
        assert.same({ 1, 2, 3 }, list)
    end))

    it("3.9 while starting tasklets and waking others works there", within(function()
        local call, trace = WaitForCall(), {}
        local woken = tasklet.run(function()
            table.insert(trace, tasklet.wait(call).args[1])
        end)
        local started
        string.gsub("abc", "b", function(b)
            call(b)
            started = tasklet.run(function()
                tasklet.sleep(0)
                trace[#trace + 1] = "started"
            end)
            trace[#trace + 1] = "back"
        end)
        assert.is_true(woken:has_finished())
        tasklet.join(started, 30)
        assert.same({ "b", "back", "started" }, trace)
    end))
end)
