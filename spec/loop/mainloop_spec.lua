local tasklet = require "tasklet"
local helper = require "spec.helper"

--- Checks what a script of the host or of plain Lua printed, and that it complained of nothing.
local function check(result, stdout, status)
    assert.equal("", result.stderr)
    assert.equal(stdout, result.stdout)
    assert.equal(status or 0, result.status)
end

describe("mainloop.now", function()
    it("8.1 is in milliseconds, with fractions", function()
        local first = tasklet.mainloop.now()
        assert.equal("float", math.type(first))
        local last, fractions = first, 0
        for _ = 1, 1000 do
            local now = tasklet.mainloop.now()
            assert.is_true(now >= last)
            last = now
            if now ~= math.floor(now) then
                fractions = fractions + 1
            end
        end
        assert.is_true(fractions > 0)
    end)

    it("8.1 is read live, not once per turn of the loop", function()
        helper.within_real_time(function()
            local before = tasklet.mainloop.now()
            local stop = os.clock() + 0.01
            repeat until os.clock() >= stop
            -- processor time passes no faster than real time
            assert.is_true(tasklet.mainloop.now() - before >= 9)
        end)
    end)
end)

describe("mainloop.run in plain Lua", function()
    it("8.1 drives tasklets until none is left", function()
        check(helper.plain [[
            local tasklet = require "tasklet"
            tasklet.run(function()
                tasklet.sleep(0.005)
                print("first")
                tasklet.run(function()
                    tasklet.sleep(0.005)
                    print("second")
                end)
            end)
            print("before")
            tasklet.mainloop.run()
            print("after")
        ]], "before\nfirst\nsecond\nafter\n")
    end)

    it("8.1 returns at once when there is nothing to do", function()
        check(helper.plain [[
            local tasklet = require "tasklet"
            tasklet.mainloop.run()
            tasklet.run(function() end)
            tasklet.mainloop.run()
            print("after")
        ]], "after\n")
    end)

    it("8.1 may be called again", function()
        check(helper.plain [[
            local tasklet = require "tasklet"
            for i = 1, 3 do
                tasklet.run(function()
                    tasklet.sleep(0.001)
                    print("tasklet", i)
                end)
                tasklet.mainloop.run()
                print("returned", i)
            end
        ]], "tasklet\t1\nreturned\t1\ntasklet\t2\nreturned\t2\ntasklet\t3\nreturned\t3\n")
    end)

    it("8.1 returns the status that quit was given, whoever still waits", function()
        check(helper.plain [[
            local tasklet = require "tasklet"
            tasklet.run(function()
                tasklet.sleep(0.005)
                tasklet.mainloop.quit(7)
            end)
            tasklet.run(function()
                tasklet.sleep(60)
                print("never")
            end)
            print(tasklet.mainloop.run())
        ]], "7\n")
    end)

    it("8.1 can go on after quit", function()
        check(helper.plain [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                tasklet.sleep(0.02)
                print("went on")
            end)
            tasklet.run(function() tasklet.sleep(0) tasklet.mainloop.quit(3) end)
            print(tasklet.mainloop.run())
            tasklet.mainloop.run()
            print(t.state == tasklet.Tasklet.STATE_ZOMBIE)
        ]], "3\nwent on\ntrue\n")
    end)

    it("8.1 is where tasklets wait, not the main chunk", function()
        local result = helper.plain [[
            local tasklet = require "tasklet"
            for _, wait in ipairs {
                function() tasklet.sleep(0.001) end,
                function() tasklet.yield_() end,
                function() tasklet.wait(tasklet.WaitForTimeout(0)) end,
                function() tasklet.join(tasklet.run(function() tasklet.sleep(0) end)) end,
            } do
                local ok, err = pcall(wait)
                print(ok, #tostring(err) > 0)
            end
            tasklet.mainloop.run()
        ]]
        check(result, ("false\ttrue\n"):rep(4))
    end)
end)

describe("the host", function()
    it("8.1 goes on after the main chunk until no tasklet is left", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.run(function()
                tasklet.sleep(0.005)
                print("first")
                tasklet.run(function()
                    tasklet.sleep(0.005)
                    print("second")
                end)
            end)
            print("main chunk")
        ]], "main chunk\nfirst\nsecond\n")
    end)

    it("8.1 lets the main chunk wait, since it is a tasklet", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            local me = tasklet.current()
            print(me.state == tasklet.Tasklet.STATE_RUNNING)
            tasklet.sleep(0.001)
            local timeout = tasklet.WaitForTimeout(1)
            coroutine.yield(timeout)
            print(tasklet.get_event() == timeout)
            tasklet.run(function() tasklet.send(me, "hello", "message") end)
            print(me.mailbox:popleft().value)
            print(tasklet.join(tasklet.run(function() tasklet.yield_() return "joined" end)))
            print(tasklet.current() == me)
        ]], "true\ntrue\nmessage\njoined\ntrue\n")
    end)

    it("8.1 parks the main tasklet in run until nothing else is left", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.run(function()
                tasklet.sleep(0.005)
                print("tasklet")
            end)
            tasklet.mainloop.run()
            print("after")
            tasklet.run(function()
                tasklet.sleep(0.005)
                print("another")
            end)
        ]], "tasklet\nafter\nanother\n")
    end)

    it("8.1 returns from run when there is nothing to do", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.mainloop.run()
            tasklet.mainloop.run()
            print("after")
        ]], "after\n")
    end)

    it("8.1 returns the status of quit from run, and ends with it", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.run(function()
                tasklet.sleep(0.005)
                tasklet.mainloop.quit(7)
            end)
            tasklet.run(function()
                tasklet.sleep(60)
                print("never")
            end)
            print(tasklet.mainloop.run())
        ]], "7\n", 7)
    end)

    it("8.1 returns the status of a quit that came early", function()
        for _, quit in ipairs {
            "tasklet.mainloop.quit(7)",
            "tasklet.run(function() tasklet.mainloop.quit(7) end)",
            "tasklet.run(function() tasklet.yield_() tasklet.mainloop.quit(7) end)",
        } do
            check(helper.run_file([[
                local tasklet = require "tasklet"
                tasklet.run(function() tasklet.sleep(60) end)
            ]] .. quit .. [[

                print(tasklet.mainloop.run())
            ]]), "7\n", 7)
        end
    end)

    it("8.1 takes a negative status as the system does", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.run(function() tasklet.sleep(0) tasklet.mainloop.quit(-1) end)
            print(tasklet.mainloop.run())
        ]], "-1\n", 255)
        check(helper.run_file "os.exit(-2)", "", 254)
    end)

    it("8.1 ends with the status of quit when the main chunk has ended", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.run(function() tasklet.sleep(0.005) tasklet.mainloop.quit(5) end)
            tasklet.run(function() tasklet.sleep(60) print("never") end)
            print("main chunk")
        ]], "main chunk\n", 5)
    end)

    it("8.1 ends with status 0 after a quit without one", function()
        check(helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.run(function() tasklet.sleep(0.005) tasklet.mainloop.quit() end)
            tasklet.run(function() tasklet.sleep(60) print("never") end)
        ]], "", 0)
    end)

    it("8.1 ends with the status of a quit in the main chunk", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.run(function() tasklet.sleep(60) print("never") end)
            tasklet.mainloop.quit(6)
        ]]
        check(result, "", 6)
    end)

    it("8.1 lets any tasklet be the last one", function()
        local lines = {}
        for i = 1, 10 do
            lines[i] = "relay " .. i .. "\n"
        end
        check(helper.run_file [[
            local tasklet = require "tasklet"
            local function relay(i)
                tasklet.sleep(0.001)
                print("relay " .. i)
                if i < 10 then
                    tasklet.run(relay, i + 1)
                end
            end
            tasklet.run(relay, 1)
        ]], table.concat(lines))
    end)
end)
