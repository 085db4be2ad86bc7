-- What ends with the program: daemons, scopes, shields and deadlines in the host, in plain Lua, and
-- when the program is told to end (contract 6.7, 8.3, 10).
local helper = require "spec.helper"

local preamble = [[
local tasklet = require "tasklet"
local function closing(text)
    return setmetatable({}, {__close = function() print(text) end})
end
local function shielded(text)
    return setmetatable({}, {__close = function()
        tasklet.shield(function()
            tasklet.sleep(0.02)
            print(text)
        end)
    end})
end
]]

--- Runs `script` by `run`; checks its status and that it wrote nothing to standard error, and
--- returns what it printed.
local function output(run, script, status, options)
    local result = run(preamble .. script, options)
    assert.equal("", result.stderr)
    assert.equal(status or 0, result.status)
    return result.stdout
end

-- Tells when all others wait.
local herald = [[
io.stdout:setvbuf "line"
tasklet.run(function()
    tasklet.wait(tasklet.WaitForIdle())
    print("ready")
end)
]]

--- Runs `script` by the host, sends it SIGTERM when all its tasklets wait, and returns the lines
--- that it prints, how often each. It must end with status 143.
local function terminated(script)
    local text = output(helper.run_file, herald .. script, 143,
        {real_time = true, after = "ready", signal = "TERM"}) -- which no virtual clock waits for
    local lines = {}
    for line in text:gmatch("[^\n]+") do
        lines[line] = (lines[line] or 0) + 1
    end
    assert.equal(1, lines.ready)
    lines.ready = nil
    return lines
end

local both = {["the host"] = helper.run_file, ["plain Lua"] = helper.plain}

describe("a daemon", function()
    for name, run in pairs(both) do
        it("6.7 does not keep the program alive, in " .. name, function()
            assert.equal("started\nover\n", output(run, [[
                local daemon = tasklet.new(function()
                    while true do
                        tasklet.sleep(60)
                    end
                end, {daemon = true})
                daemon:start()
                print("started")
                tasklet.run(function()
                    tasklet.sleep(0.01)
                    print("over")
                end)
                if not tasklet.current() then
                    tasklet.mainloop.run()
                end
            ]]))
        end)

        it("6.7 is killed when only daemons remain, in " .. name, function()
            local text = output(run, [[
                for i = 1, 2 do
                    tasklet.new(function()
                        local _ <close> = closing("closed " .. i)
                        local ok, err = pcall(tasklet.sleep, 600)
                        print(ok, tasklet.TaskletExit:is(err))
                        tasklet.sleep(600)
                        print("went on")
                    end, {daemon = true}):start()
                end
                tasklet.run(function()
                    tasklet.sleep(0.01)
                    print("over")
                end)
                if not tasklet.current() then
                    tasklet.mainloop.run()
                end
            ]])
            assert.equal("over\n", text:sub(1, 5))
            local lines = {}
            for line in text:gmatch("[^\n]+") do
                lines[#lines + 1] = line
            end
            table.sort(lines)
            assert.same({"closed 1", "closed 2", "false\ttrue", "false\ttrue", "over"}, lines)
        end)
    end

    it("6.7 may be made of one that runs", function()
        assert.equal("over\nclosed\n", output(helper.run_file, [[
            local t = tasklet.run(function()
                local _ <close> = closing("closed")
                tasklet.sleep(600)
            end)
            t.daemon = true
            tasklet.sleep(0.01)
            print("over")
        ]]))
    end)

    it("6.7 may become none again", function()
        assert.equal("over\nended\n", output(helper.run_file, [[
            local t = tasklet.new(function()
                tasklet.sleep(0.03)
                print("ended")
            end, {daemon = true})
            t:start()
            t.daemon = false
            tasklet.sleep(0.001)
            print("over")
        ]]))
    end)

    it("6.7 may make itself one", function()
        assert.equal("over\nclosed\n", output(helper.run_file, [[
            tasklet.run(function()
                tasklet.current().daemon = true
                local _ <close> = closing("closed")
                tasklet.sleep(600)
            end)
            print("over")
        ]]))
    end)

    it("6.7 still serves those that are none", function()
        assert.equal("42\n", output(helper.run_file, [[
            local server = tasklet.receiver(function(message)
                tasklet.sleep(0.005)
                message:reply(message.value * 2)
            end, {daemon = true})
            server()
            print(tasklet.call(server, "double", 21, 10))
        ]]))
    end)

    it("6.7 that repeats something does not keep the program alive", function()
        assert.equal("over\n", output(helper.run_file, [[
            for _, t in ipairs{
                tasklet.interval(0.001, function() end, {daemon = true}),
                tasklet.rate(1000, function() end, {daemon = true}),
                tasklet.loop(function() tasklet.sleep(0.001) end, {daemon = true}),
                tasklet.receiver(function() end, {daemon = true}),
                tasklet.later(600, function() end, {daemon = true}),
            } do
                t()
            end
            tasklet.sleep(0.02)
            print("over")
        ]]))
    end)

    it("6.7 that was called but has not begun does not keep the program alive", function()
        assert.equal("over\n", output(helper.run_file, [[
            tasklet.new(function() tasklet.sleep(600) end, {daemon = true})()
            print("over")
        ]]))
    end)
end)

describe("what does not keep the program alive", function()
    for name, run in pairs(both) do
        it("7.7 is a tasklet that was merely made, in " .. name, function()
            assert.equal("over\n", output(run, [[
                local t = tasklet.new(print)
                tasklet.later(0.001, print)
                print("over")
                tasklet.mainloop.run()
            ]]))
        end)
    end
end)

describe("a program that is told to end", function()
    it("8.3 lets cleanup in shields come to its end", function()
        assert.same({["main cleaned up"] = 1, ["other cleaned up"] = 1, ["callback"] = 1},
            terminated [[
                local t = tasklet.run(function()
                    local _ <close> = shielded("other cleaned up")
                    tasklet.sleep(600)
                    print("went on")
                end)
                t:add_join_callback(function() print("callback") end)
                local _ <close> = shielded("main cleaned up")
                tasklet.sleep(600)
                print("went on")
            ]])
    end)

    it("8.3 lets what is in a shield come to its end", function()
        assert.same({["finished"] = 1, ["then killed"] = 1}, terminated [[
            local gate = tasklet.WaitForCall()
            tasklet.run(function()
                tasklet.shield(function()
                    tasklet.wait(gate)
                    print("finished")
                end)
                local ok, err = pcall(tasklet.sleep, 0)
                print(not ok and tasklet.TaskletExit:is(err) and "then killed")
            end)
            tasklet.run(function()
                pcall(tasklet.sleep, 600)
                tasklet.shield(function() tasklet.sleep(0.01) end)
                gate()
            end)
        ]])
    end)

    it("8.3 waits for cleanup no longer than its shield's seconds", function()
        assert.same({["killed at last"] = 1}, terminated [[
            local _ <close> = setmetatable({}, {__close = function()
                local ok, err = pcall(tasklet.shield, function() tasklet.sleep(600) end, 0.02)
                print(not ok and tasklet.TaskletExit:is(err) and "killed at last")
            end})
            tasklet.sleep(600)
        ]])
    end)

    it("8.3 ends scopes, with their members before them", function()
        local lines = terminated [[
            local ended = 0
            tasklet.run(function()
                local _ <close> = setmetatable({}, {__close = function()
                    print("scope left after " .. ended)
                end})
                tasklet.scope(function(s)
                    for i = 1, 3 do
                        s:run(function()
                            local _ <close> = setmetatable({}, {__close = function()
                                tasklet.shield(function() tasklet.sleep(0.005 * i) end)
                                ended = ended + 1
                            end})
                            tasklet.sleep(600)
                        end)
                    end
                    tasklet.sleep(600)
                end)
                print("went on")
            end)
            local s <close> = tasklet.scope()
            s:run(function()
                local _ <close> = closing("member closed")
                tasklet.sleep(600)
            end)
        ]]
        assert.same({["scope left after 3"] = 1, ["member closed"] = 1}, lines)
    end)

    it("8.3 ends daemons, those not begun, and the repeating ones", function()
        local lines = terminated [[
            tasklet.new(function()
                local _ <close> = closing("daemon closed")
                tasklet.sleep(600)
            end, {daemon = true}):start()
            local t = tasklet.interval(0.001, function() end)
            t()
            local loop = tasklet.loop(function()
                local _ <close> = closing("loop closed")
                tasklet.sleep(600)
            end)
            loop()
            tasklet.rate(100, function() end)()
            tasklet.receiver(function() end)()
            tasklet.later(600, function() print("later") end)()
            tasklet.sleep(600)
        ]]
        assert.same({["daemon closed"] = 1, ["loop closed"] = 1}, lines)
    end)

    it("8.3 raises TaskletExit inside deadlines, too", function()
        assert.same({["killed"] = 1}, terminated [[
            local ok, err = pcall(tasklet.with_deadline, 600, tasklet.sleep, 600)
            print(not ok and tasklet.TaskletExit:is(err) and "killed")
        ]])
    end)

    -- Several times: the signal may come at any instruction.
    it("8.3 raises it once and then at waits only, in a generator that runs, too", function()
        for _ = 1, 6 do
            local text = output(helper.run_file, [[
                io.stdout:setvbuf "line"
                tasklet.run(function()
                    local function spin()
                        while true do
                            tasklet.yield_()
                        end
                    end
                    local ok, err = pcall(function()
                        local generator = coroutine.wrap(function()
                            local ok, err = pcall(spin)
                            print("generator", ok, tasklet.TaskletExit:is(err))
                            spin()
                        end)
                        generator()
                    end)
                    print("body", ok, tasklet.TaskletExit:is(err))
                    local sum = 0
                    for i = 1, 1000 do
                        sum = sum + i
                    end
                    print("sum", sum)
                    ok, err = pcall(tasklet.sleep, 0)
                    print("wait", ok, tasklet.TaskletExit:is(err))
                end)
                print("ready")
                tasklet.sleep(600)
            ]], 143, {real_time = true, after = "ready", signal = "TERM"})
            assert.equal("ready\ngenerator\tfalse\ttrue\nbody\tfalse\ttrue\nsum\t500500\n"
                .. "wait\tfalse\ttrue\n", text)
        end
    end)

    it("8.3 tells monitors of those that were killed", function()
        assert.same({["down true"] = 1}, terminated [[
            local t = tasklet.run(function() tasklet.sleep(600) end)
            t:monitor()
            tasklet.shield(function()
                local message = tasklet.current().mailbox:popleft(60)
                print(message.name .. " " .. tostring(tasklet.TaskletExit:is(message.value.error)))
            end)
        ]])
    end)
end)

describe("os.exit", function()
    it("8.3 in a member of a scope closes the variables of all", function()
        local lines = {}
        local text = output(helper.run_file, [[
            local _ <close> = closing("main closed")
            tasklet.scope(function(s)
                s:run(function()
                    local _ <close> = closing("sleeper closed")
                    tasklet.sleep(600)
                end)
                s:run(function()
                    local _ <close> = closing("leaver closed")
                    tasklet.sleep(0.001)
                    os.exit(7)
                end)
                local _ <close> = closing("body closed")
                tasklet.sleep(600)
            end)
            print("went on")
        ]], 7)
        for line in text:gmatch("[^\n]+") do
            lines[line] = true
        end
        assert.same({
            ["main closed"] = true, ["sleeper closed"] = true, ["leaver closed"] = true,
            ["body closed"] = true,
        }, lines)
    end)

    -- Whatever it stands in, in the middle of it.
    local standing = [[
        local never = tasklet.WaitForCall()
        tasklet.run(function()
            tasklet.scope(function(s)
                s:run(tasklet.sleep, 600)
                s:run(function() tasklet.with_deadline(600, tasklet.sleep, 600) end)
                s:new(function() end)()
                s:new(function() end)
            end, {deadline = 600})
        end)
        tasklet.run(function()
            local s <close> = tasklet.scope()
            s:run(tasklet.sleep, 600)
        end)
        tasklet.run(function() tasklet.shield(function() tasklet.sleep(600) end, 600) end)
        tasklet.run(function() tasklet.all{function() tasklet.sleep(600) end} end)
        tasklet.run(function() tasklet.any{function() tasklet.wait(never) end} end)
        local target = tasklet.run(function() tasklet.sleep(600) end)
        tasklet.run(function()
            tasklet.locals().key = "value"
            target:monitor()
            tasklet.current().timeout = 600
            tasklet.join(target)
        end)
        tasklet.run(function() tasklet.join_all{target, tasklet.current():parent() or target} end)
        tasklet.run(function()
            tasklet.run(function() tasklet.sleep(600) end)
            tasklet.join_children()
        end)
        for _, t in ipairs{
            tasklet.interval(0.001, function() end), tasklet.rate(100, function() end),
            tasklet.loop(function() tasklet.sleep(600) end), tasklet.receiver(function() end),
            tasklet.later(600, function() end),
        } do
            t()
        end
    ]]

    for name, run in pairs(both) do
        it("8.3 in the middle of everything harms nothing, in " .. name, function()
            assert.equal("standing\n", output(run, standing .. [[
                io.write("standing\n")
                os.exit(0, true)
            ]]))
        end)
    end

    it("8.3 after a turn of the loop harms nothing, either", function()
        assert.equal("standing\n", output(helper.run_file, standing .. [[
            tasklet.sleep(0.02)
            io.write("standing\n")
            os.exit(0, true)
        ]]))
    end)

    it("8.1 nor does a plain script that just ends, or a loop that is quit", function()
        assert.equal("standing\n", output(helper.plain, standing .. "print('standing')"))
        local script = standing .. [[
            tasklet.run(function()
                tasklet.sleep(0.02)
                print("standing")
                tasklet.mainloop.quit(0)
            end)
            tasklet.mainloop.run()
        ]]
        for _, run in pairs(both) do
            assert.equal("standing\n", output(run, script))
        end
    end)
end)

describe("failures in a scope", function()
    it("2.6 are not reported, if somebody takes what the scope raises", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local function fail(text)
                tasklet.sleep(0.001)
                error(text)
            end
            print(pcall(tasklet.scope, function(s)
                s:run(fail, "one")
                s:run(fail, "two")
                s:run(function() pcall(tasklet.sleep, 60) error("three") end)
            end) == false)
            print(pcall(tasklet.all, {function() fail("four") end, function() fail("five") end})
                == false)
            print(tasklet.any{
                function() fail("six") end,
                function() tasklet.sleep(0.01) return 7 end,
            })
            print(pcall(tasklet.any, {function() fail("eight") end}) == false)
            tasklet.sleep(0.01)
        ]]
        assert.same({"true\ntrue\n7\ntrue\n", "", 0},
            {result.stdout, result.stderr, result.status})
    end)

    it("2.6 end a main chunk that does not take them, with their text", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            tasklet.scope(function(s)
                s:run(function()
                    tasklet.sleep(0.001)
                    error("because")
                end)
                tasklet.sleep(60)
            end)
        ]]
        assert.equal(1, result.status)
        assert.is_truthy(result.stderr:find("because", 1, true), result.stderr)
    end)
end)
