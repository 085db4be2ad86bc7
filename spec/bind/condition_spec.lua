-- Conditions written in Lua, and what all conditions have (contract 4.5 and 4.6). That each kind
-- has `triggered` and a tostring is in spec/wait/kinds_spec.lua.
local helper = require "spec.helper"
local tasklet = require "tasklet"
local uv = require "luv"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout
local WaitCondition = tasklet.WaitCondition

local function within(body)
    return function() helper.within_loop(body) end
end

-- A condition that anybody may fire.
local function flag_class()
    local Flag = WaitCondition:subclass("Flag")
    function Flag:init(label)
        self.label = label
    end
    function Flag:arm(owner)
        self.owner = owner
    end
    function Flag:disarm()
        self.owner = nil
    end
    function Flag:raise(value)
        self.value = value
        return self.owner:wait_condition_fired(self)
    end
    return Flag
end

describe("a class made by WaitCondition:subclass", function()
    it("4.5 hands its arguments to init, nils too", within(function()
        local Own = WaitCondition:subclass("Own")
        local got
        function Own:init(...)
            got = table.pack(self, ...)
        end
        local own = Own(1, nil, "three", nil)
        assert.equal(5, got.n)
        assert.is_true(rawequal(own, got[1]))
        assert.same({ 1, nil, "three", nil }, { table.unpack(got, 2, 5) })
    end))

    it("4.5 makes a condition of its own at each call", within(function()
        local Flag = flag_class()
        local a, b = Flag("a"), Flag("b")
        assert.is_false(rawequal(a, b))
        assert.equal("a", a.label)
        assert.equal("b", b.label)
    end))

    it("4.5 has instances that keep fields and find the class's methods", within(function()
        local Flag = flag_class()
        Flag.constant = 42
        function Flag:twice()
            return self.label .. self.label
        end
        local flag = Flag("x")
        flag.extra = "extra"
        assert.equal("xx", flag:twice())
        assert.equal(42, flag.constant)
        assert.equal("extra", flag.extra)
        assert.is_nil(flag.absent)
        assert.is_nil(Flag("y").extra)
    end))

    it("4.5 needs no init", within(function()
        local Own = WaitCondition:subclass("Own")
        local owner
        function Own.arm(_, t) owner = t end
        function Own.disarm() end
        local own = Own()
        local t = tasklet.run(function() return tasklet.wait(own) == own end)
        owner:wait_condition_fired(own)
        assert.is_true(tasklet.join(t, 30))
    end))

    it("4.5 raises what init raises", within(function()
        local Own = WaitCondition:subclass("Own")
        local value = {}
        function Own.init() error(value) end
        local ok, err = pcall(Own)
        assert.is_false(ok)
        assert.is_true(rawequal(value, err))
    end))

    it("4.5 can itself be the base of another class", within(function()
        local Flag = flag_class()
        local Banner = Flag:subclass("Banner")
        function Banner:init(label, colour)
            Flag.init(self, label)
            self.colour = colour
        end
        local banner = Banner("b", "red")
        local t = tasklet.run(function()
            local event = tasklet.wait(banner)
            return event.label, event.colour, event.value
        end)
        banner:raise("up")
        assert.same({ "b", "red", "up" }, { tasklet.join(t, 30) })
        assert.truthy(tostring(banner):find("Banner", 1, true), tostring(banner))
    end))

    it("4.5 wants a name", within(function()
        local ok, err = pcall(function() return WaitCondition:subclass() end)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("string expected", 1, true), tostring(err))
    end))
end)

describe("arm and disarm", function()
    it("4.5 are called with the condition, and with the tasklet that yields", within(function()
        local calls = {}
        local Own = WaitCondition:subclass("Own")
        function Own:arm(...)
            calls[#calls + 1] = table.pack("arm", self, ...)
        end
        function Own:disarm(...)
            calls[#calls + 1] = table.pack("disarm", self, ...)
        end
        local own = Own()
        local t = tasklet.run(function() tasklet.wait(own) end)
        assert.equal(1, #calls)
        assert.is_true(rawequal(own, calls[1][2]))
        assert.is_true(rawequal(t, calls[1][3]))
        t:kill()
        assert.equal(2, #calls)
        assert.equal("disarm", calls[2][1])
        assert.is_true(rawequal(own, calls[2][2]))
    end))

    it("4.5 are not called before a yield", within(function()
        local count = 0
        local Own = WaitCondition:subclass("Own")
        function Own.arm() count = count + 1 end
        function Own.disarm() count = count + 1 end
        local own = Own()
        tasklet.sleep(0)
        collectgarbage()
        assert.equal(0, count)
        assert.is_not_nil(own)
    end))

    it("4.5 what arm raises comes out of the yield, and the condition is not armed",
        within(function()
            local Own = WaitCondition:subclass("Own")
            local value, failing, disarmed = {}, true, 0
            function Own:arm(t)
                if failing then
                    error(value)
                end
                self.owner = t
            end
            function Own.disarm() disarmed = disarmed + 1 end
            local own = Own()
            local ok, err = pcall(tasklet.wait, own)
            assert.is_false(ok)
            assert.is_true(rawequal(value, err))
            tasklet.wait(WaitForTimeout(0))
            assert.equal(0, disarmed)
            failing = false
            local t = tasklet.run(function() return tasklet.wait(own) == own end)
            own.owner:wait_condition_fired(own)
            assert.is_true(tasklet.join(t, 30))
            assert.equal(1, disarmed)
        end))

    it("4.5 may build upon other means: a luv timer", within(function()
        local closed = 0
        local Ticks = WaitCondition:subclass("Ticks")
        function Ticks:init(ms)
            self.ms = ms
        end
        function Ticks:arm(owner)
            self.timer = uv.new_timer()
            self.count = 0
            self.timer:start(self.ms, self.ms, function()
                self.count = self.count + 1
                owner:wait_condition_fired(self)
            end)
        end
        function Ticks:disarm()
            self.timer:close()
            closed = closed + 1
        end
        local ticks, trace = Ticks(1), {}
        local t = tasklet.run(function()
            for i = 1, 3 do
                assert(tasklet.wait(ticks, WaitForTimeout(2000)) == ticks)
                trace[i] = ticks.count
            end
        end)
        tasklet.join(t, 30)
        assert.same({ 1, 2, 3 }, trace)
        assert.equal(1, closed)
    end))

    it("4.5 arm may fire at once", within(function()
        local Ready = WaitCondition:subclass("Ready")
        function Ready:arm(owner)
            owner:wait_condition_fired(self)
        end
        function Ready.disarm() end
        local ready = Ready()
        for _ = 1, 3 do
            assert.is_true(tasklet.wait(WaitForTimeout(2000), ready) == ready)
            tasklet.wait(WaitForTimeout(0))
        end
    end))
end)

describe("wait_condition_fired", function()
    it("4.5 wakes the tasklet, with the condition as the event", within(function()
        local flag = flag_class()("f")
        local t = tasklet.run(function()
            local event = tasklet.wait(WaitForTimeout(60000), flag)
            return event == flag, event.value
        end)
        flag:raise("value")
        assert.same({ true, "value" }, { tasklet.join(t, 30) })
    end))

    it("4.5 returns true when the tasklet waits for it again", within(function()
        local flag = flag_class()("f")
        local t = tasklet.run(function()
            tasklet.wait(flag)
            tasklet.wait(flag, WaitForTimeout(60000))
            tasklet.wait(flag)
        end)
        assert.is_true(flag:raise())
        assert.is_true(flag:raise())
        t:kill()
    end))

    it("4.5 returns false when the tasklet has left it out", within(function()
        local flag, call = flag_class()("f"), WaitForCall()
        local t = tasklet.run(function()
            tasklet.wait(flag)
            tasklet.wait(call)
        end)
        assert.is_false(flag:raise())
        call()
        tasklet.join(t, 30)
    end))

    it("4.5 returns false when the tasklet has ended", within(function()
        local flag = flag_class()("f")
        local t = tasklet.run(function() tasklet.wait(flag) end)
        assert.is_false(flag:raise())
        assert.is_true(t:has_finished())
    end))

    it("4.5 returns true while its tasklet is in a blocking verb", within(function()
        local flag = flag_class()("f")
        local t = tasklet.run(function()
            tasklet.wait(flag)
            tasklet.sleep(0.002)
            tasklet.wait(flag)
        end)
        assert.is_true(flag:raise())
        assert.is_true(flag:raise())
        tasklet.join(t, 30)
    end))

    it("4.5 of one that is not armed wakes nobody and returns false", within(function()
        local Flag = flag_class()
        local flag, other = Flag("f"), Flag("other")
        local t = tasklet.run(function() return tasklet.wait(other).label end)
        assert.is_false(t:wait_condition_fired(flag))
        assert.is_false(t:has_finished())
        other:raise()
        assert.equal("other", tasklet.join(t, 30))
        assert.is_false(t:wait_condition_fired(other))
    end))

    it("4.5 of one that another tasklet has armed wakes nobody", within(function()
        local Flag = flag_class()
        local a, b = Flag("a"), Flag("b")
        local first = tasklet.run(function() tasklet.wait(a) end)
        local second = tasklet.run(function() tasklet.wait(b) end)
        pcall(first.wait_condition_fired, first, b)
        assert.is_false(first:has_finished())
        assert.is_false(second:has_finished())
        a:raise()
        b:raise()
        assert.is_true(first:has_finished())
        assert.is_true(second:has_finished())
    end))

    it("4.5 wants a wait condition", within(function()
        local t = tasklet.current()
        for _, wrong in ipairs { 42, "text", true } do
            assert.is_false((pcall(t.wait_condition_fired, t, wrong)))
        end
        assert.is_false((pcall(t.wait_condition_fired, t)))
    end))
end)

describe("triggered", function()
    it("4.6 is true while the tasklet handles it, and only then", within(function()
        local Flag = flag_class()
        local a, b = Flag("a"), Flag("b")
        local trace = {}
        local function note()
            trace[#trace + 1] = (a.triggered and "a" or "-") .. (b.triggered and "b" or "-")
        end
        note()
        local t = tasklet.run(function()
            coroutine.yield(a, b)
            note()
            tasklet.get_event()
            note()
            tasklet.wait(a, b)
            note()
            tasklet.wait(a)
            note()
        end)
        note()
        a:raise()
        note()
        b:raise()
        note()
        a:raise()
        assert.is_true(t:has_finished())
        note()
        assert.same({ "--", "--", "a-", "a-", "--", "-b", "--", "a-", "--" }, trace)
    end))

    it("4.6 is a boolean, from the start", within(function()
        local flag, call = flag_class()("f"), WaitForCall()
        assert.equal(false, flag.triggered)
        assert.equal(false, call.triggered)
        call()
        tasklet.wait(call)
        assert.equal(true, call.triggered)
        tasklet.wait(WaitForTimeout(0))
        assert.equal(false, call.triggered)
    end))

    it("4.6 is seen by others while the tasklet handles it", within(function()
        local call = WaitForCall()
        local seen
        local t = tasklet.run(function()
            tasklet.wait(call)
            tasklet.run(function() seen = call.triggered end)
        end)
        call()
        tasklet.join(t, 30)
        assert.equal(true, seen)
    end))

    it("4.6 is over when the tasklet has failed or was killed", within(function()
        local call = WaitForCall()
        local failed = tasklet.run(function()
            tasklet.wait(call)
            error("on purpose")
        end)
        call()
        assert.equal(false, call.triggered)
        assert.is_false((pcall(tasklet.join, failed, 2)))
        local killed = tasklet.run(function()
            tasklet.wait(call)
            tasklet.sleep(60)
        end)
        call()
        killed:kill()
        assert.equal(false, call.triggered)
    end))
end)

describe("tostring", function()
    it("4.6 of a condition written in Lua has the name of its class", within(function()
        local text = tostring(flag_class()("f"))
        assert.truthy(text:find("Flag", 1, true), text)
    end))
end)
