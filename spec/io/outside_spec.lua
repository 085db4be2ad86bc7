-- Streams and the rest of the system: deadlocks, virtual time, the end of a program, garbage.
local helper = require "spec.helper"
local tasklet = require "tasklet"
local support = require "spec.io.support"

local within, pair = support.within, support.pair

describe("who waits for a stream", function()
    it("7.7 is no deadlock", within(function()
        local a, b = pair()
        local t = tasklet.run(function() return b:read() end)
        tasklet.later(0.05, function() a:write("x\n") end)()
        assert.equal("x", tasklet.join(t))
    end))

    it("7.7 but one that is only open keeps nobody from being one", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local a, b = tasklet.net.pair()
            local server = tasklet.net.listen { host = "127.0.0.1", port = 0 }
            b:write("x") b:flush()
            a:read(1) -- it goes on reading ahead
            tasklet.channel():receive()
        ]])
        assert.equal(3, result.status)
        assert.matches("deadlock", result.stderr)
    end)

    it("8.1 one that is only open does not keep the program going", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            a, b = tasklet.net.pair()
            server = tasklet.net.listen { host = "127.0.0.1", port = 0 }
            udp = tasklet.net.udp()
            b:write("x") b:flush()
            a:read(1)
            print("end")
        ]])
        assert.equal(0, result.status)
        assert.equal("end\n", result.stdout)
    end)

    it("8.1 what is unsent is sent before the program ends", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local server = tasklet.net.listen { host = "127.0.0.1", port = 0 }
            local _, port = server:sockname()
            local pid = tasklet.net.connect { port = port }
            local other = server:accept()
            local reader = tasklet.new(function()
                local count = 0
                while true do
                    local data = other:read_some()
                    if not data then break end
                    count = count + #data
                end
                print(count)
            end)
            local writer = tasklet.run(function()
                local s = pid
                s:write(("x"):rep(5000000))
            end)
            reader()
            tasklet.join(writer)
            pid:close()
        ]])
        assert.equal("5000000\n", result.stdout)
        assert.equal(0, result.status)
    end)

    it("8.4 is in the dump, with its line", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local a, b = tasklet.net.pair()
            local t = tasklet.run(function()
                return a:read()
            end)
            tasklet.run(function() b:write(("x"):rep(10000000)) end)
            tasklet.dump(io.stdout)
            os.exit(0)
        ]])
        assert.matches("reading from unix %d+", result.stdout)
        assert.matches(":4", result.stdout)
        assert.matches("writing to unix %d+", result.stdout)
    end)

    it("12.2 is outside for a virtual clock: it does not jump past what comes", within(function()
        local a, b = pair()
        local begun = tasklet.mainloop.now()
        local late = tasklet.WaitForTimeout(3600000)
        tasklet.run(function()
            helper.compute(20)
            a:write("x")
        end)
        local r = b:readable()
        assert.equal(r, tasklet.wait(r, late))
        assert.is_true(tasklet.mainloop.now() - begun < 3600000)
    end))
end)

describe("a stream that nobody refers to", function()
    it("is closed, and the other side sees it", within(function()
        local a, b
        do
            local uv = require "luv"
            local fds = uv.socketpair()
            a, b = tasklet.stream(fds[1]), tasklet.stream(fds[2])
        end
        assert(b)
        b = nil -- luacheck: ignore
        collectgarbage()
        collectgarbage()
        assert.is_nil(a:read())
        a:close()
    end))

    it("lives as long as somebody waits on it", within(function()
        local uv = require "luv"
        local fds = uv.socketpair()
        local a = tasklet.stream(fds[1])
        local t = tasklet.run(function()
            return tasklet.stream(fds[2]):read()
        end)
        local u = tasklet.run(function()
            local c, d = tasklet.net.pair()
            local event = tasklet.wait(c:readable(), tasklet.WaitForTimeout(100))
            d:close()
            return event
        end)
        collectgarbage()
        collectgarbage()
        a:write("still here\n")
        assert.equal("still here", tasklet.join(t, 10))
        tasklet.join(u, 10)
        a:close()
    end))
end)

describe("the end of a program", function()
    for what, code in pairs {
        ["with streams that are waited for"] = [[
            local a, b = tasklet.net.pair()
            tasklet.run(function() a:read() end)
            tasklet.run(function() b:write(("x"):rep(10000000)) end)
            local server = tasklet.net.listen { host = "127.0.0.1", port = 0 }
            tasklet.run(function() server:accept() end)
            tasklet.run(function() tasklet.net.resolve("localhost") end)
            tasklet.run(function() tasklet.net.udp():receive() end)
        ]],
        ["with streams that are closed and have something to send"] = [[
            local a, b = tasklet.net.pair()
            local t = tasklet.run(function() b:write(("x"):rep(10000000)) end)
            b:close()
            tasklet.join(t)
        ]],
        ["with streams that <close> variables use"] = [[
            local a, b = tasklet.net.pair()
            tasklet.run(function()
                local _ <close> = setmetatable({}, { __close = function()
                    a:write("bye")
                    a:close()
                    pcall(b.read, b)
                end })
                b:read()
            end)
        ]],
    } do
        it("is in order " .. what, function()
            for _, ending in ipairs { "os.exit(0, true)", "tasklet.mainloop.quit(0)" } do
                local result = helper.run_file("local tasklet = require 'tasklet'\n" .. code
                    .. ending)
                assert.equal("", result.stderr)
                assert.equal(0, result.status)
            end
        end)
    end

    it("is in order in plain Lua, where the state goes after the loop or before", function()
        local result = helper.plain([[
            local tasklet = require "tasklet"
            keep = { tasklet.net.pair() }
            local a, b = tasklet.net.pair()
            local t = tasklet.run(function() return a:read() end)
            tasklet.later(0.01, function() b:write("x\n") end)()
            tasklet.mainloop.run()
            print(t.return_value)
        ]])
        assert.equal("x\n", result.stdout)
        assert.equal("", result.stderr)
        assert.equal(0, result.status)
    end)
end)
