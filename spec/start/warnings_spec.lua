local helper = require "spec.helper"

local function contains(text, part)
    assert.is_truthy(text:find(part, 1, true), ("%q is not in %q"):format(part, text))
end

describe("forgetting to read an event", function()
    local careless = [[
local tasklet = require "tasklet"
local t = tasklet.run(function()
    print(tasklet.current().name)
    local timeout = tasklet.WaitForTimeout(0)
    coroutine.yield(timeout)
    coroutine.yield(timeout)
    print(tasklet.get_event() == timeout)
end)
local other = tasklet.run(function()
    for _ = 1, 3 do
        local timeout = tasklet.WaitForTimeout(0)
        coroutine.yield(timeout)
        assert(tasklet.get_event() == timeout)
    end
    print("the other one is well")
end)
tasklet.mainloop.run()
]]

    it("3.3 warns with the tasklet's name and line", function()
        local result = helper.run_file(careless)
        contains(result.stderr, "Lua warning: ")
        contains(result.stderr, "forgot to read an event")
        contains(result.stderr, result.stdout:match("^[^\n]+"))
        assert.is_truthy(result.stderr:match(":[56]%D"), result.stderr)
        local _, count = result.stderr:gsub("forgot to read an event", "")
        assert.equal(1, count)
        assert.equal(0, result.status)
    end)

    it("3.3 breaks neither its tasklet nor another", function()
        local result = helper.run_file(careless)
        contains(result.stdout, "true\n")
        contains(result.stdout, "the other one is well\n")
    end)

    it("3.3 warns in plain Lua, where warnings are on", function()
        local result = helper.plain("warn '@on'\n" .. careless)
        contains(result.stderr, "forgot to read an event")
        contains(result.stdout, "the other one is well\n")
    end)

    it("3.3 is not suspected where there is no event to read", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local receiver = tasklet.run(function()
                local m = tasklet.WaitForMessages{accept = "go"}
                for _ = 1, 3 do
                    tasklet.wait(m)
                end
            end)
            coroutine.yield(tasklet.Message("go", {dest = receiver}))
            coroutine.yield(tasklet.Message("go", {dest = receiver}))
            tasklet.sleep(0)
            tasklet.yield_()
            tasklet.wait(tasklet.WaitForTimeout(0))
            coroutine.yield(tasklet.Message("go", {dest = receiver}))
            tasklet.join(receiver)
            coroutine.yield(receiver)
            tasklet.get_event()
            print("done")
        ]]
        assert.equal("", result.stderr)
        assert.equal("done\n", result.stdout)
    end)
end)

describe("implicitly discarding a message", function()
    local count_warnings = function(script)
        local result = helper.run_file('local tasklet = require "tasklet"\n' .. script)
        local _, count = result.stderr:gsub("implicitly discarding message", "")
        assert.equal(0, result.status, result.stderr)
        return count, result
    end

    it("5.4 warns with the message's name", function()
        local count, result = count_warnings [[
            local t = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages{accept = "wanted"})
            end)
            tasklet.send(t, "a-stranger")
            print(#t.mailbox)
            tasklet.send(t, "wanted")
        ]]
        assert.equal(1, count)
        contains(result.stderr, "Lua warning: ")
        contains(result.stderr, "a-stranger")
        assert.equal("0\n", result.stdout)
    end)

    it("5.4 warns of messages that were there before the wait", function()
        local count = count_warnings [[
            local t = tasklet.run(function()
                tasklet.sleep(0.01)
                tasklet.wait(tasklet.WaitForMessages{accept = "wanted"},
                    tasklet.WaitForTimeout(10))
            end)
            for _ = 1, 3 do
                tasklet.send(t, "stranger")
            end
        ]]
        assert.equal(3, count)
    end)

    it("5.4 warns of a deferred message that the next wait does not name", function()
        local count, result = count_warnings [[
            local t = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages{accept = "first", defer = "later"})
                print(#tasklet.current().mailbox)
                tasklet.wait(tasklet.WaitForMessages{accept = "second"})
            end)
            tasklet.send(t, "later")
            tasklet.send(t, "first")
            print(#t.mailbox)
            tasklet.send(t, "second")
        ]]
        assert.equal(1, count)
        assert.equal("1\n0\n", result.stdout)
    end)

    it("5.4 warns in plain Lua, where warnings are on", function()
        local result = helper.plain [[
            warn("@on")
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                tasklet.wait(tasklet.WaitForMessages{accept = "wanted"})
            end)
            t:send_message(tasklet.Message("stranger"))
            t:send_message(tasklet.Message("wanted"))
            tasklet.mainloop.run()
        ]]
        contains(result.stderr, "implicitly discarding message")
        assert.equal(0, result.status)
    end)

    it("5.4 does not warn of messages that are accepted, deferred or discarded", function()
        local count, result = count_warnings [[
            local t = tasklet.run(function()
                local all = {accept = "go", defer = "later", discard = "never"}
                tasklet.wait(tasklet.WaitForMessages(all))
                tasklet.wait(tasklet.WaitForMessages{accept = "later"})
            end)
            tasklet.send(t, "never")
            tasklet.send(t, "later")
            tasklet.send(t, "go")
            tasklet.join(t)
        ]]
        assert.equal(0, count)
        assert.equal("", result.stderr)
    end)

    it("5.4 does not warn while no WaitForMessages is waited on", function()
        local count, result = count_warnings [[
            local t = tasklet.run(function()
                tasklet.sleep(0.01)
                tasklet.wait(tasklet.WaitForTimeout(1))
                tasklet.yield_()
                print(#tasklet.current().mailbox)
            end)
            tasklet.send(t, "stranger")
            tasklet.send(t, "stranger")
        ]]
        assert.equal(0, count)
        assert.equal("2\n", result.stdout)
        assert.equal("", result.stderr)
    end)
end)
