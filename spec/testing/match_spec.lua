-- The assertions of tasklet.testing: resolves, receives, no_leaks.

local support = require "spec.testing.support"

describe("the assertion", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        it("resolves holds", function()
            assert.resolves(5, function() tasklet.sleep(4.999) end)
            assert.resolves(0, function() end)
            assert.not_resolves(5, function() tasklet.sleep(5.001) end)
        end)
        it("resolves fails", function()
            assert.resolves(5, function()
                tasklet.sleep(6)
            end)
        end)
        it("not resolves fails", function()
            assert.is_not.resolves(5, function() end)
        end)
        it("resolves leaves errors alone", function()
            assert.resolves(5, function()
                error("boom")
            end)
        end)
        it("resolves leaves a timeout inside alone", function()
            assert.resolves(5, function()
                tasklet.join(tasklet.new(function() end), 1)
            end)
        end)
        it("resolves wants a number", function() assert.resolves("5", function() end) end)
        it("resolves wants a function", function() assert.resolves(5, 5) end)
        local function server()
            while true do
                tasklet.wait(tasklet.WaitForMessages{accept = "go"})
            end
        end
        it("receives holds", function()
            local t = tasklet.run(server)
            assert.not_receives(t, "go")
            tasklet.later(5, function() tasklet.send(t, "go") end)()
            assert.not_receives(t, "go", 4)
            assert.receives(t, "go", 1)
            assert.receives(t, "go")
            assert.not_receives(tasklet.current(), "go")
            t:kill()
        end)
        it("receives sees what is about to be sent", function()
            local t = tasklet.run(server)
            tasklet.new(function() tasklet.yield_() tasklet.send(t, "go") end)()
            assert.receives(t, "go")
            t:kill()
        end)
        it("receives sees messages of monitors", function()
            tasklet.new(function() end, {name = "short"})():monitor()
            assert.receives(tasklet.current(), "down")
            tasklet.current().mailbox:popleft(0)
        end)
        it("receives fails", function()
            local t <close> = setmetatable({}, {__close = function(self) self.t:kill() end})
            t.t = tasklet.new(server, {name = "server"})()
            assert.receives(t.t, "go", 60)
        end)
        it("receives forgets the test before", function()
            assert.not_receives(tasklet.current(), "down")
        end)
        it("receives wants a tasklet", function() assert.receives("go") end)
        it("no_leaks holds", function()
            assert.no_leaks()
            local file <close> = io.open("x_spec.lua")
            assert.has_error(function() assert.no_leaks() end)
            file:close()
            assert.no_leaks()
        end)
        it("no_leaks fails", function()
            local t = tasklet.new(server, {name = "server"})()
            finally(function() t:kill() end)
            tasklet.send(tasklet.current(), "hello")
            finally(function() t:kill() end)
            assert.no_leaks()
        end)
        it("resolves holds for what takes just so long", function()
            for _, seconds in ipairs{0, 0.1, 5, 30 * 86400} do
                assert.resolves(seconds, function() tasklet.sleep(seconds) end)
            end
        end)
    ]], {}, {
        ["resolves holds for what takes just so long"] = "success",
        ["resolves holds"] = "success",
        ["resolves fails"] =
            "failure: x_spec.lua:8: did not return within 5 s: it waited at x_spec.lua:9\n.*",
        ["not resolves fails"] = "failure: x_spec.lua:13: .*",
        ["resolves leaves errors alone"] = "error: x_spec.lua:17: boom",
        ["resolves leaves a timeout inside alone"] = "error: x_spec.lua:21: join took too long",
        ["resolves wants a number"] =
            "error: x_spec.lua:25: bad argument #1 to 'resolves' %(number expected, got string%)",
        ["resolves wants a function"] =
            "error: x_spec.lua:26: bad argument #2 to 'resolves' %(function expected, got number%)",
        ["receives holds"] = "success",
        ["receives sees what is about to be sent"] = "success",
        ["receives sees messages of monitors"] = "success",
        ["receives fails"] =
            "failure: x_spec.lua:56: Tasklet 'server' #%d+ %(%l+%) was sent no message 'go'\n.*",
        ["receives forgets the test before"] = "success",
        ["receives wants a tasklet"] =
            "error: x_spec.lua:61: bad argument #1 to 'receives' %(Tasklet expected, got string%)",
        ["no_leaks holds"] = "success",
        ["no_leaks fails"] = "failure: x_spec.lua:74: leak: tasklet 'server' #%d+, "
            .. "started at x_spec.lua:70[^\n]*\n"
            .. "leak: unread message 'hello' [^\n]*x_spec.lua:72\n.*",
    }) do
        it(name, check)
    end
end)
