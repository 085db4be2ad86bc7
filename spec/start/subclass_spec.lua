local tasklet = require "tasklet"
local helper = require "spec.helper"

local Tasklet = tasklet.Tasklet

describe("a subclass of Tasklet", function()
    it("2.4 starts an instance at once when it is called", function()
        helper.within_loop(function()
            local Counter = Tasklet:subclass("Counter")
            local log = {}
            function Counter:run(from, to)
                log[#log + 1] = {self, from, to}
                tasklet.sleep(0)
                return to - from, "second"
            end
            local counter = Counter(10, 130)
            assert.equal(1, #log)
            assert.equal(counter, log[1][1])
            assert.same({10, 130}, {log[1][2], log[1][3]})
            assert.equal(Tasklet.STATE_SUSPENDED, counter.state)
            assert.same({120, "second"}, {counter:join()})
            assert.equal(120, counter.return_value)
        end)
    end)

    it("2.4 gives its body the current tasklet as self", function()
        helper.within_loop(function()
            local Class = Tasklet:subclass("Class")
            local same
            function Class:run()
                tasklet.yield_()
                same = self == tasklet.current()
            end
            Class():join()
            assert.is_true(same)
        end)
    end)

    it("2.4 has methods of its own and those of Tasklet", function()
        helper.within_loop(function()
            local Class = Tasklet:subclass("Class")
            function Class:run(name)
                self.greeting = "hello " .. name
                tasklet.sleep(60)
            end
            function Class:greet() return self.greeting end
            local one, two = Class("one"), Class("two")
            assert.equal("hello one", one:greet())
            assert.equal("hello two", two:greet())
            one:kill()
            assert.equal(Tasklet.STATE_ZOMBIE, one.state)
            assert.equal(Tasklet.STATE_SUSPENDED, two.state)
            two:kill()
        end)
    end)

    it("2.4 can be subclassed in turn", function()
        local Base = Tasklet:subclass("Base")
        function Base:run() return self:value() end
        function Base.value() return "base" end
        local Derived = Base:subclass("Derived")
        function Derived.value() return "derived" end
        assert.equal("base", Base().return_value)
        assert.equal("derived", Derived().return_value)
    end)

    it("2.4 leaves run on an instance to the scheduler", function()
        helper.within_loop(function()
            local Class = Tasklet:subclass("Class")
            local times = 0
            function Class.run()
                times = times + 1
                tasklet.sleep(60)
            end
            local t = Class()
            assert.not_equal(Class.run, t.run)
            local plain = tasklet.run(function() end)
            assert.equal(plain.run, t.run)
            t:kill()
            assert.equal(1, times)
        end)
    end)

    it("2.4 without a body raises when it is called", function()
        local Empty = Tasklet:subclass("Empty")
        local ok, err = pcall(function()
            local t = Empty()
            return t
        end)
        assert.is_false(ok)
        assert.is_truthy(tostring(err):find("run", 1, true), tostring(err))
    end)

    it("2.4 serves wherever a tasklet does", function()
        helper.within_loop(function()
            local Class = Tasklet:subclass("Class")
            function Class.run()
                local message = tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                return message.value
            end
            local t = Class()
            tasklet.send(t, "go", "value")
            local event = tasklet.wait(t)
            assert.equal("value", event.retval)
        end)
    end)

    it("2.4 are shown by their names", function()
        assert.equal("Tasklet", tostring(tasklet.Tasklet))
        assert.equal("Counter", tostring(tasklet.Tasklet:subclass("Counter")))
    end)
end)
