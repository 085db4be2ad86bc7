local tasklet = require "tasklet"
local helper = require "spec.helper"

local WaitForMessages = tasklet.WaitForMessages

--- Puts messages of these names into the current tasklet's mailbox; their values count them.
local function fill(...)
    local me = tasklet.current()
    for i, name in ipairs {...} do
        tasklet.send(me, name, i)
    end
end

--- The names in the current tasklet's mailbox.
local function waiting()
    local found = {}
    for message in tasklet.current().mailbox:iter() do
        found[#found + 1] = message.name
    end
    return found
end

describe("WaitForMessages", function()
    it("5.4 delivers the first accepted message of the mailbox", function()
        helper.within_loop(function()
            fill("a", "b", "c", "b")
            local wanted = WaitForMessages{accept = "b", defer = {"a", "c"}}
            assert.equal(2, tasklet.wait(wanted).value)
            assert.equal(4, tasklet.wait(wanted).value)
            assert.same({"a", "c"}, waiting())
            local rest = WaitForMessages{accept = {"c", "a"}}
            assert.equal("a", tasklet.wait(rest).name)
            assert.equal("c", tasklet.wait(rest).name)
        end)
    end)

    it("5.4 delivers a message that was there without waiting for the loop", function()
        helper.within_loop(function()
            local log = {}
            local ready = tasklet.run(function()
                tasklet.yield_()
                log[#log + 1] = "other"
            end)
            fill("a")
            tasklet.wait(WaitForMessages{accept = "a"})
            log[#log + 1] = "message"
            tasklet.join(ready)
            assert.same({"message", "other"}, log)
        end)
    end)

    it("5.4 takes a name or a list of names for each action", function()
        helper.within_loop(function()
            fill("a", "b", "c", "d", "e", "f")
            local wanted = WaitForMessages{
                accept = {"f"}, defer = {"a", "b"}, discard = {"c", "d", "e"},
            }
            assert.equal("f", tasklet.wait(wanted).name)
            assert.same({"a", "b"}, waiting())
            local second = WaitForMessages{accept = "b", discard = "a"}
            assert.equal("b", tasklet.wait(second).name)
            assert.same({}, waiting())
        end)
    end)

    it("5.4 keeps deferred messages, those that come later too, in order", function()
        helper.within_loop(function()
            local order = {}
            local t = tasklet.run(function()
                tasklet.wait(WaitForMessages{accept = "go", defer = "item"})
                local items = WaitForMessages{accept = "item"}
                for i = 1, 3 do
                    order[i] = tasklet.wait(items).value
                end
            end)
            tasklet.send(t, "item", 1)
            tasklet.send(t, "item", 2)
            assert.equal(2, #t.mailbox)
            assert.same({}, order)
            tasklet.send(t, "go")
            tasklet.send(t, "item", 3)
            assert.same({1, 2, 3}, order)
        end)
    end)

    it("5.4 drops discarded messages, those that come later too", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                tasklet.sleep(0)
                tasklet.wait(WaitForMessages{accept = "go", discard = "noise"})
                return #tasklet.current().mailbox
            end)
            tasklet.send(t, "noise")
            assert.equal(1, #t.mailbox)
            tasklet.sleep(0.005)
            assert.equal(0, #t.mailbox)
            tasklet.send(t, "noise")
            assert.equal(0, #t.mailbox)
            tasklet.send(t, "go")
            assert.equal(0, tasklet.join(t))
        end)
    end)

    it("5.4 drops a name in none of the lists", function()
        local result = helper.run_file [[
            warn "@off"
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                tasklet.sleep(0.01)
                local first = tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                print(first.name, #tasklet.current().mailbox)
                local next_one = tasklet.wait(tasklet.WaitForMessages{accept = {"go", "stranger"}})
                print(next_one.name, next_one.value)
            end)
            tasklet.send(t, "stranger", 1)
            tasklet.send(t, "go")
            tasklet.sleep(0.03)
            tasklet.send(t, "stranger", 2)
        ]]
        assert.equal("", result.stderr)
        assert.equal("go\t0\nstranger\t2\n", result.stdout)
    end)

    it("5.4 lets every message be while nobody waits on one", function()
        helper.within_loop(function()
            local me = tasklet.current()
            fill("a", "b")
            tasklet.sleep(0)
            tasklet.wait(tasklet.WaitForTimeout(0))
            tasklet.yield_()
            tasklet.join(tasklet.run(function() tasklet.send(me, "c") end))
            tasklet.wait(tasklet.WaitForIdle())
            assert.same({"a", "b", "c"}, waiting())
            local all = WaitForMessages{accept = {"a", "b", "c"}}
            for _, name in ipairs {"a", "b", "c"} do
                assert.equal(name, tasklet.wait(all).name)
            end
        end)
    end)

    it("5.4 does not judge what comes while its tasklet sleeps", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                local wanted = WaitForMessages{accept = "go"}
                tasklet.wait(wanted)
                tasklet.sleep(0.005)
                local before = #tasklet.current().mailbox
                local later = tasklet.wait(WaitForMessages{accept = "later"})
                return before, later.value
            end)
            tasklet.send(t, "go")
            tasklet.send(t, "later", "kept")
            assert.same({1, "kept"}, {tasklet.join(t)})
        end)
    end)

    it("5.4 is one wait condition among others", function()
        helper.within_loop(function()
            local wanted = WaitForMessages{accept = "go"}
            local timeout = tasklet.WaitForTimeout(0)
            assert.equal(timeout, tasklet.wait(wanted, timeout))
            fill("go")
            local message = tasklet.wait(tasklet.WaitForTimeout(60000), wanted)
            assert.equal("go", message.name)
        end)
    end)

    it("4.6 is triggered, and not the event, when a message came", function()
        helper.within_loop(function()
            local wanted = WaitForMessages{accept = "go"}
            local other = WaitForMessages{accept = "other"}
            assert.is_falsy(wanted.triggered)
            fill("go")
            coroutine.yield(other, wanted)
            local event = tasklet.get_event()
            assert.not_equal(wanted, event)
            assert.equal("go", event.name)
            assert.is_true(wanted.triggered)
            assert.is_falsy(other.triggered)
        end)
    end)
end)

describe("several WaitForMessages in one wait list", function()
    it("5.4 let the first one that names the message decide", function()
        helper.within_loop(function()
            local first = WaitForMessages{accept = "a", discard = "b", defer = "c"}
            local second = WaitForMessages{accept = {"b", "c", "d"}, discard = "a"}
            fill("b", "c", "a", "d")
            coroutine.yield(first, second)
            assert.equal("a", tasklet.get_event().name)
            assert.is_true(first.triggered)
            coroutine.yield(first, second)
            assert.equal("d", tasklet.get_event().name)
            assert.is_true(second.triggered)
            assert.same({"c"}, waiting())
        end)
    end)

    it("5.4 decide the other way round in the other order", function()
        helper.within_loop(function()
            local first = WaitForMessages{accept = "a", discard = "b"}
            local second = WaitForMessages{accept = "b", discard = "a"}
            fill("a", "b")
            assert.equal("b", tasklet.wait(second, first).name)
            assert.equal(0, #tasklet.current().mailbox)
        end)
    end)

    it("5.4 decide alike when the message comes during the wait", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                local first = WaitForMessages{accept = "a", discard = "b", defer = "c"}
                local second = WaitForMessages{accept = {"b", "c", "d"}, discard = "a"}
                local names = {}
                for i = 1, 2 do
                    names[i] = tasklet.wait{first, second}.name
                end
                names[3] = tasklet.wait(second).name
                return names
            end)
            for _, name in ipairs {"b", "c", "a", "d"} do
                tasklet.send(t, name)
            end
            assert.same({"a", "d", "c"}, tasklet.join(t))
        end)
    end)

    it("5.4 do not forget the names of one when another leaves the list", function()
        helper.within_loop(function()
            local both = WaitForMessages{accept = {"a", "b"}}
            local one = WaitForMessages{accept = "a"}
            local t = tasklet.run(function()
                local names = {tasklet.wait(both, one).name}
                names[2] = tasklet.wait(both).name
                names[3] = tasklet.wait(one, both).name
                names[4] = tasklet.wait(one).name
                return names
            end)
            for _, name in ipairs {"a", "a", "b", "a"} do
                tasklet.send(t, name)
            end
            assert.same({"a", "a", "b", "a"}, tasklet.join(t))
        end)
    end)

    it("5.4 are judged anew at every wait", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                local names = {}
                for i = 1, 50 do
                    local odd = i % 2 == 1
                    local wanted = WaitForMessages{
                        accept = odd and "odd" or "even", defer = odd and "even" or "odd",
                    }
                    names[i] = tasklet.wait(wanted).value
                end
                return names
            end)
            local expected = {}
            for i = 2, 50, 2 do
                tasklet.send(t, "even", i)
            end
            for i = 1, 49, 2 do
                tasklet.send(t, "odd", i)
            end
            for i = 1, 50 do
                expected[i] = i
            end
            assert.same(expected, tasklet.join(t))
        end)
    end)
end)

describe("a name in two lists of one WaitForMessages", function()
    for text in pairs {
        ["accept = 'name', defer = 'name'"] = true,
        ["accept = 'name', discard = {'other', 'name'}"] = true,
        ["defer = {'name'}, discard = {'name'}"] = true,
    } do
        it("5.4 raises: " .. text, function()
            local make = load("local W = ...\nlocal w = W{" .. text .. "}\nreturn w", "=there")
            local ok, err = pcall(make, WaitForMessages)
            assert.is_false(ok)
            assert.is_truthy(tostring(err):match("^there:2: "), tostring(err))
            assert.is_truthy(tostring(err):find("name", 1, true), tostring(err))
        end)
    end
end)
