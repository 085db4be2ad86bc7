local tasklet = require "tasklet"
local helper = require "spec.helper"
local uv = require "luv"

describe("luv", function()
    it("8.2 is the same module as uv", function()
        assert.is_true(rawequal(uv, require "uv"))
    end)

    it("8.2 runs its handles side by side with tasklets", function()
        helper.within_loop(function()
            local ticks, sleeps = 0, 0
            local timer = uv.new_timer()
            timer:start(1, 1, function() ticks = ticks + 1 end)
            while ticks < 5 do
                tasklet.sleep(0.001)
                sleeps = sleeps + 1
            end
            timer:close()
            assert.is_true(sleeps > 0)
            assert.is_true(ticks >= 5)
        end)
    end)

    it("8.2 goes on while a tasklet waits for something else", function()
        helper.within_loop(function()
            local log = {}
            local timer = uv.new_timer()
            local call = tasklet.WaitForCall()
            timer:start(1, 0, function()
                log[#log + 1] = "timer"
                call("from the timer")
                log[#log + 1] = "timer goes on"
                timer:close()
            end)
            tasklet.wait(tasklet.WaitForTimeout(60000), call)
            log[#log + 1] = call.args[1]
            tasklet.yield_()
            assert.same({"timer", "from the timer", "timer goes on"}, log)
        end)
    end)

    it("8.2 takes a WaitForCall as a timer's callback", function()
        helper.within_loop(function()
            local timer, call = uv.new_timer(), tasklet.WaitForCall()
            timer:start(1, 1, call)
            for _ = 1, 3 do
                assert.equal(call, tasklet.wait(call))
            end
            timer:stop()
            timer:close(call)
            assert.equal(call, tasklet.wait(call))
        end)
    end)

    it("8.2 takes a WaitForCall as a request's callback, with its arguments", function()
        helper.within_loop(function()
            local call = tasklet.WaitForCall()
            uv.fs_stat("/", call)
            coroutine.yield(call)
            local event = tasklet.get_event()
            assert.equal(call, event)
            assert.is_nil(event.args[1])
            assert.equal("directory", event.args[2].type)
            uv.fs_stat("/does/not/exist", call)
            tasklet.wait(call)
            assert.is_truthy(call.args[1]:find("ENOENT", 1, true))
            assert.is_nil(call.args[2])
            assert.is_true(call.args.n >= 1)
        end)
    end)

    it("8.2 may start tasklets in its callbacks, which may wait", function()
        helper.within_loop(function()
            local log = {}
            local done = tasklet.WaitForCall()
            local timer = uv.new_timer()
            timer:start(0, 0, function()
                timer:close()
                tasklet.run(function()
                    log[#log + 1] = "started"
                    tasklet.sleep(0)
                    log[#log + 1] = "waited"
                    done()
                end)
                log[#log + 1] = "callback goes on"
            end)
            tasklet.wait(done)
            assert.same({"started", "callback goes on", "waited"}, log)
        end)
    end)

    it("8.2 may kill tasklets in its callbacks", function()
        helper.within_loop(function()
            local victim = tasklet.run(function() tasklet.sleep(60) end)
            local timer = uv.new_timer()
            timer:start(0, 0, function()
                victim:kill()
                timer:close()
            end)
            local event = tasklet.wait(victim)
            assert.is_true(tasklet.TaskletExit:is(event.error))
        end)
    end)

    it("8.2 carries a conversation over loopback between its handles and tasklets", function()
        helper.within_loop(function()
            local server = uv.new_tcp()
            server:bind("127.0.0.1", 0)
            local connection, incoming, closed =
                tasklet.WaitForCall(), tasklet.WaitForCall(), tasklet.WaitForCall()
            server:listen(8, connection)
            local serving = tasklet.run(function()
                tasklet.wait(connection)
                local peer = uv.new_tcp()
                server:accept(peer)
                local data = tasklet.WaitForCall()
                peer:read_start(data)
                while true do
                    tasklet.wait(data)
                    if not data.args[2] then
                        break
                    end
                    peer:write(data.args[2]:upper())
                end
                peer:close(closed)
                tasklet.wait(closed)
            end)
            local client, connected = uv.new_tcp(), tasklet.WaitForCall()
            client:connect("127.0.0.1", server:getsockname().port, connected)
            tasklet.wait(connected)
            assert.is_nil(connected.args[1])
            client:read_start(incoming)
            for _, word in ipairs {"one", "two", "three"} do
                client:write(word)
                tasklet.wait(incoming)
                assert.equal(word:upper(), incoming.args[2])
            end
            client:shutdown()
            tasklet.wait(incoming)
            assert.is_nil(incoming.args[2])
            tasklet.join(serving)
            client:close()
            server:close()
            tasklet.sleep(0)
        end)
    end)
end)

describe("luv in a loop of the script's own", function()
    it("8.2 takes nobody for deadlocked as long as it does not wait", function()
        local result = helper.plain [[
            local uv, tasklet = require "luv", require "tasklet"
            local function receive()
                print(tasklet.current().mailbox:popleft().name)
            end
            local t = tasklet.run(receive)
            for _ = 1, 3 do
                uv.run("nowait")
            end
            t:send("key")
            uv.run("nowait")
            tasklet.run(receive)
            print((tostring(select(2, pcall(uv.run, "once"))):match("^deadlock")))
        ]]
        assert.equal("", result.stderr)
        assert.equal("key\ndeadlock\n", result.stdout)
        assert.equal(0, result.status)
    end)
end)

--- Both ways to run a script: in the host, and under plain Lua with the loop run at the end.
local interpreters = {
    ["the host"] = function(script) return helper.run_file(script) end,
    ["plain Lua"] = function(script)
        return helper.plain(script .. "\nrequire('tasklet').mainloop.run()\n")
    end,
}

local orders = {
    ["luv first"] = 'local uv = require "luv"\nlocal tasklet = require "tasklet"\n',
    ["tasklet first"] = 'local tasklet = require "tasklet"\nlocal uv = require "uv"\n',
}

for place, run in pairs(interpreters) do
    for order, preamble in pairs(orders) do
        describe("luv in " .. place .. ", " .. order, function()
            it("8.2 shares the loop", function()
                local result = run(preamble .. [[
                    assert(require "luv" == require "uv")
                    local timer, call = uv.new_timer(), tasklet.WaitForCall()
                    timer:start(5, 0, call)
                    tasklet.run(function()
                        print("waiting")
                        tasklet.wait(call)
                        print("called")
                        timer:start(5, 0, function()
                            print("timer")
                            timer:close()
                        end)
                    end)
                ]])
                assert.equal("", result.stderr)
                assert.equal("waiting\ncalled\ntimer\n", result.stdout)
                assert.equal(0, result.status)
            end)

            it("8.2 keeps the program going by a handle alone", function()
                local result = run(preamble .. [[
                    local timer = uv.new_timer()
                    local count = 0
                    timer:start(2, 2, function()
                        count = count + 1
                        print(count)
                        if count == 3 then
                            timer:close()
                        end
                    end)
                    assert(tasklet)
                ]])
                assert.equal("", result.stderr)
                assert.equal("1\n2\n3\n", result.stdout)
                assert.equal(0, result.status)
            end)

            it("8.2 reports an error in a callback and goes on", function()
                local result = run(preamble .. [[
                    local function fails() error("because") end
                    local failing, timer = uv.new_timer(), uv.new_timer()
                    failing:start(1, 0, function()
                        failing:close()
                        fails()
                    end)
                    local called = tasklet.WaitForCall()
                    timer:start(20, 0, function()
                        print("timer went on")
                        timer:close()
                        called()
                    end)
                    tasklet.run(function()
                        tasklet.wait(called)
                        print("tasklet went on")
                    end)
                ]])
                assert.is_truthy(result.stderr:find("because", 1, true), result.stderr)
                assert.is_truthy(result.stderr:find("stack traceback:", 1, true), result.stderr)
                assert.equal("timer went on\ntasklet went on\n", result.stdout)
                if place == "the host" then
                    assert.equal(1, result.status)
                end
            end)

            it("8.2 reports an error in a request's callback and goes on", function()
                local result = run(preamble .. [[
                    uv.fs_stat("/", function() error("because", 0) end)
                    tasklet.run(function()
                        tasklet.sleep(0.03)
                        print("went on")
                    end)
                ]])
                assert.is_truthy(result.stderr:find("because", 1, true), result.stderr)
                assert.equal("went on\n", result.stdout)
                if place == "the host" then
                    assert.equal(1, result.status)
                end
            end)

            it("8.2 reports a wait in a callback as an error", function()
                local result = run(preamble .. [[
                    local timer = uv.new_timer()
                    timer:start(1, 0, function()
                        timer:close()
                        print(pcall(tasklet.sleep, 0) == false)
                        tasklet.sleep(0)
                        print("slept")
                    end)
                    tasklet.run(function()
                        tasklet.sleep(0.03)
                        print("went on")
                    end)
                ]])
                assert.is_true(#result.stderr > 0)
                assert.equal("true\nwent on\n", result.stdout)
            end)

            it("8.2 runs the loop by uv.run, and stops it by uv.stop", function()
                local result = run(preamble .. [[
                    local timer, ticked = uv.new_timer(), false
                    tasklet.run(function()
                        tasklet.sleep(0)
                        print("slept")
                        timer:start(1, 1, function()
                            if not ticked then -- it may come twice before the loop has stopped
                                ticked = true
                                print("tick")
                                uv.stop()
                            end
                        end)
                    end)
                    print(uv.run())
                    ticked = false
                    print(uv.run("default"))
                    timer:stop()
                    print(uv.run())
                ]])
                assert.equal("", result.stderr)
                assert.equal("slept\ntick\ntrue\ntick\ntrue\nfalse\n", result.stdout)
                assert.equal(0, result.status)
            end)

            it("8.2 does not run the loop within itself by uv.run", function()
                local result = run(preamble .. [[
                    local function try()
                        local ok, err = pcall(uv.run)
                        print(ok, tasklet.TaskletError:is(err))
                        print(pcall(uv.run, "nowait"))
                    end
                    tasklet.run(try)
                    tasklet.run(function()
                        tasklet.sleep(0)
                        try()
                    end)
                    uv.run()
                    print("ends")
                ]])
                assert.equal("", result.stderr)
                assert.equal(("false\ttrue\ntrue\ttrue\n"):rep(2) .. "ends\n", result.stdout)
                assert.equal(0, result.status)
            end)

            it("8.2 may have handles open when the state is closed", function()
                local result = run(preamble .. [[
                    local call = tasklet.WaitForCall()
                    local timer, tcp = uv.new_timer(), uv.new_tcp()
                    local async = uv.new_async(function() end)
                    timer:start(60000, 0, call)
                    tcp:bind("127.0.0.1", 0)
                    tcp:listen(8, call)
                    tasklet.run(function()
                        tasklet.wait(call, tasklet.WaitForTimeout(60000))
                        assert(async)
                    end)
                    print("ends")
                    os.exit(0, true)
                ]])
                assert.equal("", result.stderr)
                assert.equal("ends\n", result.stdout)
                assert.equal(0, result.status)
            end)

            it("8.2 may have handles open when the loop is quit", function()
                local result = run(preamble .. [[
                    local timer = uv.new_timer()
                    timer:start(60000, 0, function() end)
                    uv.new_timer():start(1, 0, function() tasklet.mainloop.quit(0) end)
                    print("ends")
                ]])
                assert.equal("", result.stderr)
                assert.equal("ends\n", result.stdout)
                assert.equal(0, result.status)
            end)
        end)
    end
end

describe("luv in plain Lua", function()
    for order, preamble in pairs(orders) do
        it("8.2 may be left with handles open and no loop run, " .. order, function()
            local result = helper.plain(preamble .. [[
                local timer = uv.new_timer()
                timer:start(60000, 0, function() end)
                tasklet.run(function() tasklet.sleep(60) end)
                print("ends")
            ]])
            assert.equal("", result.stderr)
            assert.equal("ends\n", result.stdout)
            assert.equal(0, result.status)
        end)
    end
end)
