-- WaitForCall (contract 4; that it keeps its calls is in spec/bind/arming_spec.lua, too).
local helper = require "spec.helper"
local tasklet = require "tasklet"
local uv = require "luv"

local WaitForCall, WaitForTimeout = tasklet.WaitForCall, tasklet.WaitForTimeout

local function within(body)
    return function() helper.within_loop(body) end
end

describe("WaitForCall", function()
    it("4 fires when the object is called, with the arguments", within(function()
        local call = WaitForCall()
        local t = tasklet.run(function()
            local event = tasklet.wait(call)
            return event == call, event.args
        end)
        tasklet.sleep(0)
        assert.is_false(t:has_finished())
        call(1, nil, "three", nil)
        local same, args = tasklet.join(t, 30)
        assert.is_true(same)
        assert.same({ n = 4, 1, nil, "three" }, args)
    end))

    it("4 without arguments has an empty list", within(function()
        local call = WaitForCall()
        call()
        assert.same({ n = 0 }, tasklet.wait(call).args)
        call(nil)
        assert.same({ n = 1 }, tasklet.wait(call).args)
    end))

    it("4 hands over arguments as they are, in any number", within(function()
        local call, object = WaitForCall(), {}
        call(object, print)
        local args = tasklet.wait(call).args
        assert.is_true(rawequal(object, args[1]))
        assert.is_true(rawequal(print, args[2]))
        local many = {}
        for i = 1, 200 do
            many[i] = i
        end
        call(table.unpack(many))
        args = tasklet.wait(call).args
        assert.equal(200, args.n)
        assert.equal(200, args[200])
    end))

    it("4 returns nothing but nil when no return_value is given", within(function()
        local call = WaitForCall()
        assert.is_nil((call()))
        tasklet.run(function() tasklet.wait(call) end)
        assert.is_nil((call()))
    end))

    it("4 returns return_value", within(function()
        local object = {}
        for _, value in ipairs { 42, "text", false, object } do
            local call = WaitForCall { return_value = value }
            assert.is_true(rawequal(value, call.return_value))
            assert.is_true(rawequal(value, (call())))
            local t = tasklet.run(function()
                tasklet.wait(call)
                tasklet.wait(call)
                tasklet.wait(call)
            end)
            assert.is_true(rawequal(value, (call())))
            t:kill()
            assert.is_true(rawequal(value, (call())))
        end
    end))

    it("4 returns what the tasklet sets while it handles the event", within(function()
        local square = WaitForCall()
        local t = tasklet.run(function()
            while true do
                tasklet.wait(square)
                square.return_value = square.args[1] ^ 2
            end
        end)
        assert.equal(9, square(3))
        assert.equal(16, square(4))
        assert.equal(25, square(5))
        t:kill()
    end))

    it("4 returns what the tasklet sets before it ends, and keeps that", within(function()
        local call = WaitForCall { return_value = "first" }
        tasklet.run(function()
            tasklet.wait(call)
            call.return_value = "second"
        end)
        assert.equal("second", (call()))
        assert.equal("second", (call()))
        assert.equal("second", call.return_value)
        call.return_value = nil
        assert.is_nil((call()))
    end))

    it("4 returns when the tasklet waits again, not when it is done", within(function()
        local call = WaitForCall { return_value = "before" }
        local t = tasklet.run(function()
            tasklet.wait(call)
            call.return_value = "handled"
            tasklet.sleep(0)
            call.return_value = "later"
        end)
        assert.equal("handled", (call()))
        tasklet.join(t, 30)
        assert.equal("later", (call()))
    end))

    it("4 fires for each call, and each event has its own arguments", within(function()
        local call, trace = WaitForCall(), {}
        call("kept 1")
        call("kept 2")
        local t = tasklet.run(function()
            for i = 1, 5 do
                trace[i] = tasklet.wait(call).args[1]
                if i == 3 then
                    call("own") -- while it handles one
                end
            end
        end)
        call("waited for")
        call("last")
        assert.is_true(t:has_finished())
        assert.same({ "kept 1", "kept 2", "waited for", "own", "last" }, trace)
    end))

    it("4 may be called by the tasklet that waits for it, through another", within(function()
        local call, trace = WaitForCall { return_value = "returned" }, {}
        local inner
        local t = tasklet.run(function()
            table.insert(trace, tasklet.wait(call).args[1])
            inner = tasklet.run(function()
                trace[#trace + 1] = call("from inside")
            end)
            table.insert(trace, tasklet.wait(call).args[1])
        end)
        call("from outside")
        assert.is_true(t:has_finished())
        assert.is_true(inner:has_finished())
        assert.same({ "from outside", "returned", "from inside" }, trace)
    end))

    it("4 called after its tasklet was killed is harmless", within(function()
        local call = WaitForCall { return_value = 1 }
        local t = tasklet.run(function() tasklet.wait(call) end)
        t:kill()
        assert.equal(1, (call("kept")))
        assert.equal("kept", tasklet.wait(call).args[1])
    end))

    it("4 keeps the error of its tasklet from the caller", within(function()
        local call = WaitForCall { return_value = "fine" }
        local t = tasklet.run(function()
            tasklet.wait(call)
            error("on purpose", 0)
        end)
        assert.equal("fine", (call()))
        local ok, err = pcall(tasklet.join, t, 2)
        assert.is_false(ok)
        assert.equal("on purpose", err.cause)
    end))

    it("4 tells which of several was called", within(function()
        local calls, trace = {}, {}
        for i = 1, 5 do
            calls[i] = WaitForCall()
        end
        local t = tasklet.run(function()
            for i = 1, 4 do
                local event = tasklet.wait(calls)
                for k = 1, 5 do
                    if event == calls[k] then
                        trace[i] = k
                    end
                end
            end
        end)
        for _, k in ipairs { 3, 5, 1, 3 } do
            calls[k]()
        end
        tasklet.join(t, 30)
        assert.same({ 3, 5, 1, 3 }, trace)
    end))

    it("4 in great number is kept in order", within(function()
        local call = WaitForCall()
        for i = 1, 10000 do
            call(i)
        end
        for i = 1, 10000 do
            if tasklet.wait(call).args[1] ~= i then
                error("out of order at " .. i)
            end
        end
        local timeout = WaitForTimeout(1)
        assert.is_true(tasklet.wait(call, timeout) == timeout)
    end))

    it("4 serves as a callback of luv", within(function()
        local call, timer = WaitForCall(), uv.new_timer()
        for _ = 1, 3 do
            timer:start(0, 0, call)
            assert.is_true(tasklet.wait(call, WaitForTimeout(2000)) == call)
        end
        timer:close(call)
        tasklet.wait(call)
        local stat = WaitForCall()
        uv.fs_stat("/", stat)
        local args = tasklet.wait(stat).args
        assert.is_nil(args[1])
        assert.equal("directory", args[2].type)
        uv.fs_stat("/no/such/thing", stat)
        args = tasklet.wait(stat).args
        assert.truthy(args[1]:find("ENOENT", 1, true))
    end))

    it("4 serves as a function to Lua's library", within(function()
        local call = WaitForCall { return_value = "kept" }
        local ok, result = pcall(call, 1)
        assert.same({ true, "kept" }, { ok, result })
        local adder = setmetatable({}, { __add = call })
        assert.equal("kept", adder + 2)
        for value in call, "state" do
            assert.equal("kept", value)
            call.return_value = nil -- ends the loop
        end
        assert.equal(1, tasklet.wait(call).args[1])
        assert.equal(2, tasklet.wait(call).args[2])
        assert.equal("state", tasklet.wait(call).args[1])
        assert.equal("kept", tasklet.wait(call).args[2])
    end))

    it("4 may be called outside any tasklet, and keeps that", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            local call = tasklet.WaitForCall { return_value = 42 }
            print(call("before"))
            local t = tasklet.run(function()
                for _ = 1, 3 do
                    print("got", tasklet.wait(call).args[1])
                end
            end)
            print(call("between"))
            tasklet.run(function()
                tasklet.sleep(0.001)
                call("later")
            end)
            tasklet.mainloop.run()
        ]]
        assert.equal("42\ngot\tbefore\ngot\tbetween\n42\ngot\tlater\n", result.stdout)
        assert.equal("", result.stderr)
        assert.equal(0, result.status)
    end)

    it("4 lets go of its arguments once they are delivered", within(function()
        local call, weak = WaitForCall(), setmetatable({}, { __mode = "k" })
        local t = tasklet.run(function()
            tasklet.wait(call)
            tasklet.wait(call)
            tasklet.wait(call)
        end)
        for _ = 1, 2 do
            (function()
                local object = {}
                weak[object] = true
                call(object)
            end)()
        end
        call()
        assert.is_true(t:has_finished())
        collectgarbage()
        collectgarbage()
        assert.is_nil((next(weak)))
    end))

    it("4 raises for an unknown option, naming it and the known one", function()
        local ok, err = pcall(function() return (WaitForCall { result = 1 }) end)
        assert.is_false(ok)
        assert.truthy(err:find("result", 1, true), err)
        assert.truthy(err:find("return_value", 1, true), err)
        assert.is_false((pcall(WaitForCall, 42)))
    end)
end)
