-- Tables of values that belong to a tasklet (contract 10.4).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local locals = tasklet.locals

local function within(body)
    return function() helper.within_loop(body) end
end

--- What `f` returns, run in a tasklet of its own that waits first.
local function child(f, ...)
    return tasklet.join(tasklet.run(function(...)
        tasklet.sleep(0)
        return f(...)
    end, ...), 5)
end

describe("locals", function()
    it("10.4 is a table, the same at each call, before and after waits", within(function()
        local mine = locals()
        assert.equal("table", type(mine))
        mine.key = "value"
        tasklet.sleep(0)
        assert.is_true(rawequal(mine, locals()))
        assert.equal("value", locals().key)
    end))

    it("10.4 is each tasklet's own", within(function()
        locals().key = "mine"
        child(function()
            assert.is_false(rawequal(locals(), nil))
            locals().key = "the child's"
            locals().other = 1
            assert.equal("the child's", locals().key)
        end)
        assert.equal("mine", locals().key)
        assert.is_nil(locals().other)
        local siblings = {}
        for i = 1, 3 do
            siblings[i] = tasklet.run(function()
                locals().number = i
                tasklet.sleep(0)
                return locals().number
            end)
        end
        for i = 1, 3 do
            assert.equal(i, tasklet.join(siblings[i], 30))
        end
        assert.is_nil(locals().number)
    end))

    it("10.4 is that of the tasklet in its generators", within(function()
        locals().key = "value"
        local generator = coroutine.wrap(function()
            coroutine.yield(rawequal(locals(), nil))
            coroutine.yield(locals())
        end)
        generator()
        assert.is_true(rawequal(locals(), generator()))
    end))

    it("10.4 looks a missing key up where the tasklet was started", within(function()
        locals().key, locals().no = "inherited", false
        child(function()
            assert.equal("inherited", locals().key)
            assert.is_false(locals().no)
            assert.is_nil(locals().unknown)
            assert.is_nil(rawget(locals(), "key"))
        end)
    end))

    it("10.4 looks further up, through those that have never asked", within(function()
        locals().key = "from afar"
        local got = child(function()
            return child(function()
                return child(function() return locals().key end)
            end)
        end)
        assert.equal("from afar", got)
    end))

    it("10.4 finds the nearest", within(function()
        locals().a, locals().b, locals().c = 1, 1, 1
        child(function()
            locals().a, locals().b = 2, 2
            child(function()
                locals().a = 3
                assert.same({3, 2, 1}, {locals().a, locals().b, locals().c})
            end)
            assert.same({2, 2, 1}, {locals().a, locals().b, locals().c})
        end)
    end))

    it("10.4 sees what is set there later", within(function()
        local gate = tasklet.WaitForCall()
        local t = tasklet.run(function()
            local mine = locals()
            assert.is_nil(mine.late)
            tasklet.wait(gate)
            return mine.late
        end)
        locals().late = "set later"
        gate()
        assert.equal("set later", tasklet.join(t, 30))
    end))

    it("10.4 inherits again what is set to nil", within(function()
        locals().key = "inherited"
        child(function()
            locals().key = "own"
            locals().key = nil
            assert.equal("inherited", locals().key)
        end)
    end))

    it("10.4 may have keys of any type, and false", within(function()
        local key = {}
        locals()[key], locals()[1], locals().yes, locals()[true] = "table", "one", true, "true"
        child(function()
            assert.same({"table", "one", true, "true"},
                {locals()[key], locals()[1], locals().yes, locals()[true]})
            locals().yes = false
            assert.is_false(locals().yes)
        end)
        assert.is_true(locals().yes)
    end))

    it("10.4 still finds what the starter had, when that has ended", within(function()
        local t
        local starter = tasklet.run(function()
            locals().key = "kept"
            t = tasklet.run(function()
                tasklet.sleep(0.005)
                collectgarbage()
                collectgarbage()
                return locals().key
            end)
        end)
        assert.is_true(starter:has_finished())
        starter = nil -- luacheck: no unused
        assert.equal("kept", tasklet.join(t, 30))
    end))

    for name, start in pairs{
        run = function(f) return tasklet.run(f) end,
        Tasklet = function(f) return tasklet.Tasklet(f) end,
        task = function(f) return tasklet.task(f)() end,
        ["new, called"] = function(f) return tasklet.new(f)() end,
        ["new, started"] = function(f) return tasklet.new(f):start() end,
        ["a subclass"] = function(f)
            local Class = tasklet.Tasklet:subclass("Class")
            Class.run = function() return f() end
            return Class()
        end,
    } do
        it("10.4 is inherited by what is started by " .. name, within(function()
            locals().key = name
            assert.equal(name, tasklet.join(start(function()
                tasklet.sleep(0)
                return locals().key
            end), 5))
        end))
    end

    it("10.4 is inherited by functions that are yielded, and in scopes", within(function()
        locals().key = "value"
        local event = tasklet.wait(function() return locals().key end)
        assert.equal("value", event.retval)
        local member = tasklet.scope(function(s)
            return s:run(function() return locals().key end)
        end)
        assert.equal("value", member.return_value)
        assert.same({"value", "value"}, {table.unpack(tasklet.all{
            function() return locals().key end, function() return locals().key end,
        })})
    end))

    it("10.4 is inherited by daemons", within(function()
        locals().key = "value"
        local daemon = tasklet.new(function()
            tasklet.sleep(0)
            return locals().key
        end, {daemon = true})
        daemon:start()
        assert.equal("value", tasklet.join(daemon, 30))
    end))

    -- A chain of metatables as long would be too long for Lua.
    it("10.4 is found through 10,000 tasklets", within(function()
        locals().key = "from the first"
        local deepest
        local function link(i)
            locals().depth = i
            if i == 10000 then
                deepest = locals().key
            else
                tasklet.run(link, i + 1)
            end
        end
        tasklet.run(link, 1)
        assert.equal("from the first", deepest)
    end))

    it("10.4 goes with its tasklet", within(function()
        local weak, gate = setmetatable({}, {__mode = "k"}), tasklet.WaitForCall()
        local value = {}
        local function start()
            weak[tasklet.run(function()
                locals().value = value
                weak[locals()] = true
                tasklet.wait(gate)
            end)] = true
        end
        local function count()
            local found = 0
            for _ in pairs(weak) do
                found = found + 1
            end
            return found
        end
        start()
        collectgarbage()
        collectgarbage()
        assert.equal(2, count())
        gate()
        for _ = 1, 4 do
            collectgarbage()
        end
        assert.is_nil((next(weak)))
    end))

    it("10.4 does not keep the tasklet that has ended alive for those it started", within(function()
        local weak, gate = setmetatable({}, {__mode = "k"}), tasklet.WaitForCall()
        local function start()
            weak[tasklet.run(function()
                locals().key = "kept"
                tasklet.run(function()
                    local mine = locals()
                    tasklet.wait(gate)
                    assert(mine.key == "kept")
                end)
            end)] = true
        end
        start()
        for _ = 1, 4 do
            collectgarbage()
        end
        assert.is_nil((next(weak)))
        gate()
    end))

    it("10.4 is of the main tasklet in the main chunk of the host", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.locals().key = "main's"
            tasklet.run(function()
                print(tasklet.locals().key)
                tasklet.locals().key = "own"
            end)
            print(tasklet.locals().key)
        ]]
        assert.same({"main's\nmain's\n", "", 0}, {result.stdout, result.stderr, result.status})
    end)
end)
