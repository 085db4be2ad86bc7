-- What is a deadlock, what becomes of the program, and what is none.

local helper = require "spec.helper"
local support = require "spec.explain.support"

local preamble = 'local tasklet = require "tasklet"\n'
    .. "local function forever() tasklet.wait(tasklet.WaitForCall()) end\n"

---@param result spec.Result
---@param stdout string
---@param reports integer how often a deadlock was told of
---@param status integer
local function check(result, stdout, reports, status)
    assert.equal(stdout, result.stdout, result.stderr)
    local _, count = result.stderr:gsub("deadlock: ", "")
    assert.equal(reports, count, result.stderr)
    assert.equal(status, result.status, result.stderr)
end

---@param script string
---@param options? spec.Options
local function run(script, options)
    return support.run(preamble .. script, options)
end

describe("a deadlock", function()
    it("7.7 ends the program in good order: cleanup runs, and may wait", function()
        check(run [[
            tasklet.run(function()
                local _ <close> = setmetatable({}, {__close = function()
                    tasklet.shield(function() tasklet.sleep(0.01) end)
                    print("cleaned up")
                end})
                forever()
            end)
            local d = tasklet.new(function()
                local _ <close> = setmetatable({}, {__close = function() print("daemon") end})
                forever()
            end, {daemon = true}):start()
        ]], "cleaned up\ndaemon\n", 1, 3)
    end)

    it("7.7 is told once, though cleanup waits for ever", function()
        check(run [[
            tasklet.run(function()
                pcall(forever)
                tasklet.survive()
                forever()
            end)
        ]], "", 1, 3)
    end)

    it("7.7 is raised by mainloop.run, once, with status 3 if nobody catches it", function()
        local result = run [[
            local t = tasklet.new(forever, {name = "t"}):start()
            tasklet.mainloop.run()
            print("not reached")
        ]]
        check(result, "", 1, 3)
        assert.is_truthy(result.stderr:find("[C]: in field 'run'", 1, true), result.stderr)
    end)

    it("7.7 raised by mainloop.run has the tasklets, and may be caught", function()
        check(run [[
            local t = tasklet.new(forever, {name = "t"}):start()
            local call = tasklet.WaitForCall()
            local u = tasklet.new(function() tasklet.wait(call) end, {name = "u"}):start()
            local d = tasklet.new(forever, {daemon = true}):start()
            local ok, err = pcall(tasklet.mainloop.run)
            print(ok, tasklet.TaskletError:is(err), #err.tasklets, err.tasklets[1] == t,
                err.tasklets[2] == u, tostring(err) == err.message)
            call()
            ok, err = pcall(tasklet.mainloop.run)
            print(ok, #err.tasklets)
            t:kill()
            print(tasklet.mainloop.run())
        ]], "false\ttrue\t2\ttrue\ttrue\ttrue\nfalse\t1\nnil\n", 0, 0)
    end)

    it("7.7 is raised by mainloop.run in plain Lua", function()
        local result = helper.plain(preamble .. [[
            tasklet.new(forever, {name = "t"}):start()
            local ok, err = pcall(tasklet.mainloop.run)
            print(ok, tasklet.TaskletError:is(err), err.tasklets[1].name)
            tasklet.run(function() tasklet.sleep(0.01) print("goes on") end)
            print(pcall(tasklet.mainloop.run) == false)
            err.tasklets[1]:kill()
            print(pcall(tasklet.mainloop.run))
        ]])
        assert.equal("", result.stderr)
        assert.equal("false\ttrue\tt\ngoes on\ntrue\ntrue\tnil\n", result.stdout)
    end)

    it("7.7 is raised by luv's run in plain Lua, and in the host", function()
        local script = preamble .. [[
            local uv = require "luv"
            local t = tasklet.run(forever)
            local ok, err = pcall(uv.run)
            print(ok, err.tasklets[1] == t)
            t:kill()
            print(pcall(uv.run))
        ]]
        for _, result in ipairs{helper.plain(script), helper.run_file(script)} do
            assert.equal("", result.stderr)
            assert.equal("false\ttrue\ntrue\tfalse\n", result.stdout)
        end
    end)

    it("7.7 is found after finalizers have had their chance", function()
        local result = run [[
            local call = tasklet.WaitForCall()
            tasklet.run(function()
                tasklet.wait(call)
                print("woken")
                forever()
            end)
            setmetatable({}, {__gc = function() call() end})
        ]]
        check(result, "woken\n", 1, 3)
    end)

    it("7.7 after an interrupt ends with the status of that", function()
        local result = run([[
            tasklet.new(function()
                pcall(tasklet.sleep, 60)
                tasklet.survive()
                forever()
            end, {name = "stubborn"}):start()
            print("ready")
            io.stdout:flush()
        ]], {real_time = true, after = "ready", signal = "TERM"})
        check(result, "ready\n", 1, 143)
        assert.is_truthy(result.stderr:find("'stubborn'", 1, true), result.stderr)
    end)

    it("7.7 does not count one that was told before and has gone on since", function()
        check(run [[
            local call = tasklet.WaitForCall()
            tasklet.run(function() tasklet.wait(call) end)
            print(pcall(tasklet.mainloop.run) == false)
            call()
        ]], "true\n", 0, 0)
    end)
end)

describe("no deadlock", function()
    ---@param name string
    ---@param script string
    ---@param stdout? string
    local function none(name, script, stdout)
        it("7.7 is " .. name, function()
            check(run(script), stdout or "woken\n", 0, 0)
        end)
    end

    none("a wait for a descriptor", [[
        local pipe = io.popen("sleep 0.1; echo")
        tasklet.wait(tasklet.WaitForIO(pipe))
        print("woken")
    ]])

    none("a child that runs", [[
        local uv = require "luv"
        local pid
        local handle
        handle, pid = uv.spawn("sleep", {args = {"0.1"}}, nil)
        handle:close()
        tasklet.wait(tasklet.WaitForProcess(pid))
        print("woken")
    ]])

    none("an active handle of luv, referenced or not", [[
        local uv = require "luv"
        for _, referenced in ipairs{true, false} do
            local timer, call = uv.new_timer(), tasklet.WaitForCall()
            timer:start(5, 0, function()
                timer:close()
                call()
            end)
            if not referenced then
                timer:unref()
            end
            tasklet.wait(call)
        end
        print("woken")
    ]])

    none("a request of luv's", [[
        local uv = require "luv"
        local call = tasklet.WaitForCall()
        uv.fs_stat("/", call)
        tasklet.wait(call)
        print("woken")
    ]])

    none("a timer of a daemon", [[
        local call = tasklet.WaitForCall()
        tasklet.new(function()
            tasklet.sleep(0.1)
            call()
        end, {daemon = true}):start()
        tasklet.wait(call)
        print("woken")
    ]])

    none("a paused tasklet alone", [[
        tasklet.run(tasklet.schedule_remove)
        print("end")
    ]], "end\n")

    none("a main tasklet in mainloop.run", [[
        local d = tasklet.new(forever, {daemon = true}):start()
        print(tasklet.mainloop.run())
    ]], "nil\n")

    it("7.7 is a wait for a signal of the operating system", function()
        check(run([[
            tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(tasklet.signals, "SIGHUP"))
                print("woken")
            end)
            print("ready")
            io.stdout:flush()
        ]], {real_time = true, after = "ready", signal = "HUP"}), "ready\nwoken\n", 0, 0)
    end)

    it("7.7 is found in a loop that runs nested", function()
        check(run [[
            local uv = require "luv"
            local call = tasklet.WaitForCall()
            tasklet.run(function()
                tasklet.run(function() tasklet.wait(call) end)
                for _ = 1, 5 do
                    uv.run("nowait")
                end
                call()
                print("woken")
            end)
        ]], "woken\n", 0, 0)
    end)
end)
