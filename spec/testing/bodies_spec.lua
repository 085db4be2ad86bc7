-- The bodies of specs as tasklets: all of them may wait, errors pass as ever, and one that cannot
-- end fails (contract 12.1, 12.4).

local support = require "spec.testing.support"

describe("bodies wait:", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local order = {}
        local function note(what)
            local me = tasklet.current()
            return function()
                assert(tasklet.current() ~= me, "not a tasklet of its own")
                tasklet.sleep(1)
                order[#order + 1] = what
            end
        end
        tasklet.sleep(1) -- the file
        describe("all", function()
            tasklet.sleep(1)
            lazy_setup(note "lazy_setup")
            setup(note "setup")
            before_each(note "before_each")
            after_each(note "after_each")
            teardown(note "teardown")
            lazy_teardown(note "lazy_teardown")
            it("one", function()
                finally(note "finally")
                tasklet.sleep(1)
                order[#order + 1] = "it"
            end)
            it("two", function()
                assert.equal("setup lazy_setup before_each it finally after_each before_each",
                    table.concat(order, " "))
            end)
        end)
        it("in the end", function()
            assert.equal("after_each lazy_teardown teardown",
                table.concat(order, " ", #order - 2))
        end)
        it("one that is its own", function()
            local me = tasklet.current()
            assert.is_true(tasklet.Tasklet.current() == me)
            assert.equal("one that is its own", me.name)
            tasklet.yield_()
            assert.equal(me, tasklet.current())
        end)
        spec("an alias", function() tasklet.sleep(1) end)
    ]], {}, {
        ["all one"] = "success",
        ["all two"] = "success",
        ["in the end"] = "success",
        ["one that is its own"] = "success",
        ["an alias"] = "success",
    }) do
        it(name, check)
    end
end)

describe("errors pass:", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local function deep()
            tasklet.sleep(1)
            assert.equal(1, 2)
        end
        it("a failure", function() tasklet.sleep(1) assert.equal("a", "b") end)
        it("a failure below", function() deep() end)
        it("a failure in another tasklet", function()
            tasklet.join(tasklet.run(function() tasklet.sleep(1) error("other") end))
        end)
        it("an error", function() tasklet.sleep(1) error("boom") end)
        it("an error without a place", function() tasklet.sleep(1) error("boom", 0) end)
        it("an error that is a table", function() tasklet.sleep(1) error({code = 7}) end)
        it("an error of ours", function() tasklet.sleep(1) error(tasklet.TimeoutError("late")) end)
        it("pending", function() tasklet.sleep(1) pending("not yet") end)
        pending("pending as a whole", function() end)
        it("a kill", function() tasklet.current():kill() end)
        it("an expected error", function()
            assert.has_error(function() tasklet.sleep(1) error("x", 0) end, "x")
        end)
        describe("in before_each:", function()
            before_each(function() tasklet.sleep(1) error("before") end)
            it("not run", function() end)
        end)
        describe("in finally:", function()
            it("fails", function()
                finally(function() tasklet.sleep(1) error("at last") end)
            end)
        end)
    ]], {}, {
        ["a failure"] = "failure: x_spec.lua:6: Expected objects to be equal.*",
        ["a failure below"] = "failure: x_spec.lua:4: Expected objects to be equal.*",
        ["a failure in another tasklet"] = "error: tasklet 'x_spec.lua:9' failed: "
            .. "x_spec.lua:9: other",
        ["an error"] = "error: x_spec.lua:11: boom",
        ["an error without a place"] = "error: x_spec.lua:12: boom",
        ["an error that is a table"] = "error: x_spec.lua:13: {\n  code = 7\n}",
        ["an error of ours"] = "error: x_spec.lua:14: late",
        ["pending"] = "pending: x_spec.lua:15: not yet",
        ["pending as a whole"] = "pending",
        ["a kill"] = "error: x_spec.lua:17: killed",
        ["an expected error"] = "success",
        ["in before_each: before_each"] = "error: x_spec.lua:22: before",
        ["in finally: fails"] = "error: x_spec.lua:27: at last",
    }) do
        it(name, check)
    end
end)

describe("a body that cannot end fails:", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        it("a deadlock", function()
            local ch = tasklet.channel()
            ch:receive()
        end)
        it("one with another", function()
            local me = tasklet.current()
            tasklet.join(tasklet.run(function()
                tasklet.join(me)
            end))
        end)
        it("one that is caught", function()
            local ok, err = pcall(tasklet.wait, tasklet.WaitForCall())
            assert.is_false(ok)
            assert.is_true(tasklet.TaskletError:is(err))
            assert.matches("^deadlock", tostring(err))
            tasklet.sleep(1)
        end)
        it("one after a while", function()
            tasklet.later(3600, function() end)()
            tasklet.wait(tasklet.WaitForCall())
        end)
        it("one that leaves the run queue", function()
            tasklet.schedule_remove()
        end)
        describe("in setup:", function()
            setup(function()
                tasklet.channel():receive()
            end)
            it("not run", function() end)
        end)
        it("goes on with the next", function() tasklet.sleep(1) end)
    ]], {}, {
        ["a deadlock"] = "error: x_spec.lua:4: deadlock: "
            .. "nothing can ever wake the tasklet that waits\n"
            .. "\t'a deadlock' #%d+, started at [^\n]*\n"
            .. "\t\thas waited 0.0 s at x_spec.lua:4: receive: a sender on channel: 0x%x+",
        ["one with another"] = "error: x_spec.lua:8: deadlock.*",
        ["one that is caught"] = "success",
        ["one after a while"] = "error: x_spec.lua:21: deadlock.*",
        ["one that leaves the run queue"] = "error: x_spec.lua:24: deadlock.*",
        ["in setup: setup"] = "error: x_spec.lua:28: deadlock.*",
        ["goes on with the next"] = "success",
    }) do
        it(name, check)
    end
end)

describe("a body that takes too long fails where it is:", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local testing = require "tasklet.testing"
        it("a loop", function()
            while true do end
        end)
        it("a loop that gives way", function()
            while true do
                tasklet.yield_()
            end
        end)
        it("a loop elsewhere", function()
            tasklet.new(function()
                while true do end
            end)()
            tasklet.sleep(1)
        end)
        it("in virtual time", function()
            while true do
                tasklet.sleep(3600)
            end
        end)
        it("in real time", function()
            testing.real(function()
                tasklet.sleep(3600)
            end)
        end)
        it("goes on with the next", function() tasklet.sleep(1) end)
    ]], {"--limit=0.3", "--virtual-limit=86400"}, {
        ["a loop"] = "error: x_spec.lua:4: took longer than the limit of 0.3 s",
        ["a loop that gives way"] = "error: x_spec.lua:8: took longer than the limit of 0.3 s",
        ["a loop elsewhere"] = "error: x_spec.lua:15: took longer than the limit of 0.3 s; "
            .. "tasklet 'x_spec.lua:12' runs at x_spec.lua:13",
        ["in virtual time"] =
            "error: x_spec.lua:19: took longer than the limit of 86400 s of virtual time",
        ["in real time"] = "error: x_spec.lua:24: took longer than the limit of 0.3 s",
        ["goes on with the next"] = "success",
    }) do
        it(name, check)
    end
end)

describe("a traceback", function()
    local text = [[
        local tasklet = require "tasklet"
        local function deep()
            tasklet.sleep(1)
            error("boom")
        end
        it("fails", function()
            deep()
        end)
    ]]

    it("is that of the spec, and ends with it", function()
        for way, result in pairs(support.run(text)) do
            assert.equal("\nstack traceback:\n\tx_spec.lua:4: in upvalue 'deep'\n"
                .. "\tx_spec.lua:7: in function <x_spec.lua:6>\n",
                result.tests["fails"].traceback, way)
        end
    end)
end)

describe("a body that calls mainloop.quit", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local begun = false
        it("goes on", function()
            begun = true
            tasklet.run(function() tasklet.mainloop.quit(0) end)
            tasklet.sleep(1)
            tasklet.mainloop.quit(3)
            tasklet.sleep(1)
        end)
        it("is followed by the next", function()
            tasklet.sleep(1)
            assert.is_true(begun)
        end)
    ]], {}, {
        ["goes on"] = "success",
        ["is followed by the next"] = "success",
    }) do
        it(name, check)
    end
end)
