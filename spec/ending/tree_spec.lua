-- Who made whom, and how many there are (contract 6.1).
local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet, WaitForCall = tasklet.Tasklet, tasklet.WaitForCall

local function within(body)
    return function() helper.within_loop(body) end
end

--- A tasklet that waits for the call, which is the second result.
local function waiting(f)
    local gate = WaitForCall()
    return (f or tasklet.run)(function() tasklet.wait(gate) end), gate
end

--- A list as a set: how often each value is in it.
local function set(list)
    local found = {}
    for _, value in ipairs(list) do
        found[value] = (found[value] or 0) + 1
    end
    return found
end

--- Weak keys go a cycle after their finalizers.
local function collect()
    for _ = 1, 4 do
        collectgarbage()
    end
end

describe("current", function()
    it("6.1 is the tasklet that runs, before and after its waits", within(function()
        local seen = {}
        local t = tasklet.run(function()
            seen[1] = tasklet.current()
            tasklet.sleep(0)
            seen[2] = tasklet.current()
        end)
        tasklet.join(t)
        assert.equal(t, seen[1])
        assert.equal(t, seen[2])
        assert.not_equal(t, tasklet.current())
    end))

    it("6.1 is the one that was made by new, too", within(function()
        local seen
        local t = tasklet.new(function() seen = tasklet.current() end)
        t()
        tasklet.join(t)
        assert.equal(t, seen)
    end))
end)

describe("a name", function()
    it("6.1 is the one that was given", within(function()
        local t = tasklet.new(function() end, {name = "the name"})
        assert.equal("the name", t.name)
        t:start()
        assert.equal("the name", t.name)
    end))

    it("6.1 is the function's or its place where none was given", within(function()
        local function worker() tasklet.sleep(60) end
        local line = debug.getinfo(worker, "S").linedefined
        for _, make in ipairs{tasklet.run, tasklet.new, tasklet.Tasklet} do
            local t = make(worker)
            assert.is_truthy(t.name:find("tree_spec.lua:" .. line, 1, true)
                or t.name:find("worker", 1, true), t.name)
            t:kill()
        end
    end))

    it("6.1 tells functions apart that were written in different places", within(function()
        local one = tasklet.run(function() end)
        local two = tasklet.run(function()
        end)
        assert.not_equal(one.name, two.name)
    end))

    it("6.1 is in tostring", within(function()
        local t = tasklet.new(function() end, {name = "the name"})
        assert.is_truthy(tostring(t):find("the name", 1, true), tostring(t))
    end))
end)

describe("a parent", function()
    local Class = Tasklet:subclass("Class")
    function Class.run() tasklet.sleep(60) end

    local function body() tasklet.sleep(60) end

    for name, make in pairs{
        run = function() return tasklet.run(body) end,
        Tasklet = function() return tasklet.Tasklet(body) end,
        task = function() return tasklet.task(body)() end,
        ["a subclass"] = function() return Class() end,
        new = function() return tasklet.new(body) end,
        ["new, called"] = function() return tasklet.new(body)() end,
        ["new, started"] = function()
            local t = tasklet.new(body)
            t:start()
            return t
        end,
    } do
        it("6.1 is the tasklet that made it: " .. name, within(function()
            local t = make()
            assert.equal(tasklet.current(), t:parent())
            t:kill()
        end))
    end

    it("6.1 is the tasklet that yielded a function", within(function()
        local me, parent = tasklet.current(), nil
        tasklet.wait(function() parent = tasklet.current():parent() end)
        assert.equal(me, parent)
    end))

    it("6.1 is the one that made it, not the one that called it", within(function()
        local made
        local maker = tasklet.run(function()
            made = tasklet.new(body)
            tasklet.sleep(60)
        end)
        made()
        assert.equal(maker, made:parent())
        tasklet.yield_()
        assert.equal(maker, made:parent())
        assert.equal(1, set(maker:children())[made])
        assert.is_nil(set(tasklet.current():children())[made])
        made:kill()
        maker:kill()
    end))

    it("6.1 stays the same when the child waits and goes on", within(function()
        local me = tasklet.current()
        local t = tasklet.run(function()
            tasklet.sleep(0)
            return tasklet.current():parent()
        end)
        assert.equal(me, tasklet.join(t))
    end))

    for how, finish in pairs{
        returned = function(_, gate) gate() end,
        ["was killed"] = function(t) t:kill() end,
    } do
        it("6.1 is nil once the parent " .. how, within(function()
            local gate, child = WaitForCall(), nil
            local parent = tasklet.run(function()
                child = waiting()
                tasklet.wait(gate)
            end)
            assert.equal(parent, child:parent())
            finish(parent, gate)
            assert.is_true(parent:has_finished())
            assert.is_nil(child:parent())
            assert.is_false(child:has_finished())
            child:kill()
        end))
    end

    it("6.1 is none where no tasklet made it", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            print(tasklet.current(), tasklet.run(function() tasklet.sleep(0) end):parent(),
                tasklet.new(print):parent())
            tasklet.mainloop.run()
        ]]
        assert.equal("", result.stderr)
        assert.equal("nil\tnil\tnil\n", result.stdout)
    end)

    it("6.1 is the main tasklet for those of the main chunk, in the host", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function() tasklet.sleep(0) end)
            local main = tasklet.current()
            print(t:parent() == main, main:parent(), #main:children(), main:children()[1] == t)
        ]]
        assert.equal("", result.stderr)
        assert.equal("true\tnil\t1\ttrue\n", result.stdout)
    end)
end)

describe("children", function()
    it("6.1 are those that it made and that have not ended", within(function()
        local t = tasklet.run(function()
            local me, gates, made = tasklet.current(), {}, {}
            assert.same({}, me:children())
            for i = 1, 4 do
                made[i], gates[i] = waiting()
            end
            assert.same(set(made), set(me:children()))
            gates[2]()
            assert.same(set{made[1], made[3], made[4]}, set(me:children()))
            made[4]:kill()
            assert.same(set{made[1], made[3]}, set(me:children()))
            local ended = tasklet.run(function() end)
            assert.is_nil(set(me:children())[ended])
            gates[1]()
            gates[3]()
            assert.same({}, me:children())
        end)
        tasklet.join(t)
    end))

    it("6.1 are without one that failed", within(function()
        local t = tasklet.run(function()
            local failing = tasklet.run(error, "failed", 0)
            pcall(tasklet.join, failing)
            return #tasklet.current():children()
        end)
        assert.equal(0, tasklet.join(t))
    end))

    it("6.1 can be asked for by others", within(function()
        local child
        local t = tasklet.run(function()
            child = waiting()
            tasklet.sleep(60)
        end)
        assert.same(set{child}, set(t:children()))
        assert.same({}, child:children())
        child:kill()
        assert.same({}, t:children())
        t:kill()
    end))

    it("6.1 are a list of one's own to change", within(function()
        local t = tasklet.run(function()
            waiting()
            tasklet.sleep(60)
        end)
        local list = t:children()
        local child = table.remove(list)
        list.x = 1
        assert.same(set{child}, set(t:children()))
        assert.is_nil(t:children().x)
        child:kill()
        t:kill()
    end))

    it("6.1 of one that has ended are none", within(function()
        local child
        local t = tasklet.run(function() child = waiting() end)
        assert.same({}, t:children())
        child:kill()
    end))
end)

describe("a daemon", function()
    it("6.1 is nobody's child and has no parent", within(function()
        local t = tasklet.run(function()
            local daemon = tasklet.new(function() tasklet.sleep(60) end, {daemon = true})
            daemon:start()
            local found = {#tasklet.current():children(), daemon:parent(), daemon.daemon}
            daemon:kill()
            return found
        end)
        assert.same({0, nil, true}, tasklet.join(t))
    end))

    it("6.1 is nobody's child once it has become one", within(function()
        local t = tasklet.run(function()
            local child = waiting()
            assert.is_falsy(child.daemon)
            child.daemon = true
            local found = {#tasklet.current():children(), child:parent() == nil, child.daemon}
            child:kill()
            return found
        end)
        assert.same({0, true, true}, tasklet.join(t))
    end))

    it("6.1 is the parent of what it makes", within(function()
        local child
        local daemon = tasklet.new(function()
            child = waiting()
            tasklet.sleep(60)
        end, {daemon = true})
        daemon:start()
        assert.equal(daemon, child:parent())
        assert.same(set{child}, set(daemon:children()))
        child:kill()
        daemon:kill()
    end))
end)

describe("tree", function()
    --- Starts a tasklet that makes children as `shape` says, a list of shapes, and waits. Puts each
    --- into `known` with its parent and level.
    local function grow(shape, known, level)
        return tasklet.run(function()
            known[tasklet.current()] = {parent = tasklet.current():parent(), level = level}
            for _, sub in ipairs(shape) do
                grow(sub, known, level + 1)
            end
            tasklet.sleep(60)
        end)
    end

    local function fell(known)
        for t in pairs(known) do
            t:kill()
        end
    end

    it("6.1 goes over itself and all beneath it, each after its parent", within(function()
        local known = {}
        local root = grow({{}, {{{}, {}}, {}}, {{}}}, known, 0)
        local path, count = {}, 0
        for t, level in root:tree() do
            count = count + 1
            assert.equal(count == 1, t == root)
            assert.equal(known[t].level, level)
            -- What was last seen one level up is the parent: none is told before its parent or
            -- after its parent's siblings.
            if level > 0 then
                assert.equal(known[t].parent, path[level - 1])
            end
            path[level] = t
            known[t].seen = true
        end
        for _, info in pairs(known) do
            assert.is_true(info.seen)
        end
        assert.equal(9, count)
        fell(known)
    end))

    it("6.1 of one without children is itself", within(function()
        local t = waiting()
        local found = {}
        for task, level in t:tree() do
            found[#found + 1] = {task == t, level}
        end
        assert.same({{true, 0}}, found)
        t:kill()
    end))

    it("6.1 is without daemons and those that have ended", within(function()
        local known, daemon = {}, nil
        local root = tasklet.run(function()
            grow({}, known, 1)
            tasklet.run(function() end)
            daemon = tasklet.new(function() tasklet.sleep(60) end, {daemon = true})
            daemon:start()
            tasklet.sleep(60)
        end)
        local count = 0
        for t, level in root:tree() do
            count = count + 1
            assert.is_true(t == root and level == 0 or known[t] ~= nil and level == 1)
        end
        assert.equal(2, count)
        fell(known)
        root:kill()
        daemon:kill()
    end))

    it("6.1 bears that tasklets end and begin while it is gone over", within(function()
        local known = {}
        local root = grow({{{}, {}}, {{}}, {}}, known, 0)
        local first, seen = true, {}
        for t in root:tree() do
            assert.is_nil(seen[t])
            seen[t] = true
            if first then
                first = false
                for task, info in pairs(known) do
                    if info.level == 2 then
                        task:kill()
                    end
                end
                tasklet.sleep(0)
                tasklet.join(tasklet.run(function() tasklet.sleep(0) end))
            end
        end
        assert.is_true(seen[root])
        fell(known)
    end))

    it("6.1 of 10,000 levels needs no stack", within(function()
        local deepest, depth = nil, 10000
        local function link(i)
            deepest = tasklet.current()
            if i < depth then
                tasklet.run(link, i + 1)
            end
            tasklet.sleep(60)
        end
        local root = tasklet.run(link, 0)
        local count, last, last_level, all = 0, nil, nil, {}
        for t, level in root:tree() do
            count = count + 1
            last, last_level = t, level
            all[count] = t
        end
        for _, t in ipairs(all) do
            t:kill()
        end
        assert.equal(depth + 1, count)
        assert.equal(deepest, last)
        assert.equal(depth, last_level)
    end))
end)

describe("has_finished", function()
    it("6.1 tells whether it has ended, however", within(function()
        local new = tasklet.new(function() end)
        assert.is_false(new:has_finished())
        local t, gate = waiting()
        assert.is_false(t:has_finished())
        gate()
        assert.is_true(t:has_finished())
        local failing = tasklet.run(error, "failed", 0)
        assert.is_true(failing:has_finished())
        pcall(tasklet.join, failing)
        local killed = waiting()
        killed:kill()
        assert.is_true(killed:has_finished())
        new:kill()
        assert.is_true(new:has_finished())
        assert.is_false(tasklet.current():has_finished())
    end))
end)

describe("count", function()
    it("6.1 is of those that have begun and not ended", within(function()
        local before = tasklet.count()
        local t = tasklet.new(function() tasklet.sleep(60) end)
        assert.equal(before, tasklet.count())
        t:start()
        assert.equal(before + 1, tasklet.count())
        local other, gate = waiting()
        assert.equal(before + 2, tasklet.count())
        gate()
        assert.equal(before + 1, tasklet.count())
        tasklet.run(function() end)
        assert.equal(before + 1, tasklet.count())
        t:kill()
        assert.equal(before, tasklet.count())
        assert.is_true(other:has_finished())
    end))

    it("6.1 has the current one in it", within(function()
        local before = tasklet.count()
        assert.equal(before + 1, tasklet.join(tasklet.run(function() return tasklet.count() end)))
    end))

    it("6.1 has daemons in it", within(function()
        local before = tasklet.count()
        local daemon = tasklet.new(function() tasklet.sleep(60) end, {daemon = true})
        daemon:start()
        assert.equal(before + 1, tasklet.count())
        daemon:kill()
        assert.equal(before, tasklet.count())
    end))

    it("6.1 has the main one in it, where there is one", function()
        local script = [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function() tasklet.sleep(0) end)
            print(tasklet.count())
            t:kill()
            print(tasklet.count())
        ]]
        assert.equal("2\n1\n", helper.run_file(script).stdout)
        assert.equal("1\n0\n", helper.plain(script).stdout)
    end)
end)

describe("the tree", function()
    it("6.1 keeps nobody alive", within(function()
        local weak = setmetatable({}, {__mode = "k"})
        local gate, child = WaitForCall(), nil
        local function noted(t)
            weak[t] = true
            return t
        end
        local function make()
            noted(tasklet.run(function() end))
            noted(tasklet.run(function() tasklet.sleep(60) end)):kill()
            noted(tasklet.new(function() end))
        end
        local function begin()
            return tasklet.run(function()
                make()
                tasklet.wait(gate)
                child = waiting()
            end)
        end
        local parents = {begin()}
        collect()
        assert.is_nil((next(weak)), "an ended child, or one that nobody can call any more")
        local function finish()
            noted(parents[1])
            gate()
            assert.is_true(parents[1]:has_finished())
            parents[1] = nil
        end
        finish()
        collect()
        assert.is_nil((next(weak)), "a parent that has ended")
        assert.is_nil(child:parent())
        child:kill()
    end))
end)
