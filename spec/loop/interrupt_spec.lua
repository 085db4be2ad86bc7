local helper = require "spec.helper"

local preamble = [[
local tasklet = require "tasklet"
local function closing(text)
    return setmetatable({}, {__close = function() print(text) end})
end
local function signal(name)
    io.popen("kill -" .. name .. " $PPID"):close()
end
]]

--- Runs a script whose children can signal it; gives its lines as a set.
local function run(script, status)
    local result = helper.run_file(preamble .. script)
    local lines = {}
    for line in result.stdout:gmatch("[^\n]+") do
        lines[line] = true
    end
    assert.equal(status, result.status, result.stderr)
    return lines, result
end

describe("a signal to the host", function()
    for name, status in pairs {INT = 130, TERM = 143} do
        it("8.3 SIG" .. name .. " raises TaskletExit everywhere and lets cleanup run", function()
            local lines = run(([[
                tasklet.run(function()
                    local _ <close> = closing("tasklet cleaned")
                    tasklet.sleep(60)
                    print("tasklet went on")
                end)
                tasklet.run(function()
                    local ok, err = pcall(tasklet.wait, tasklet.WaitForCall())
                    print("other one", not ok and tasklet.TaskletExit:is(err))
                end)
                local _ <close> = closing("main cleaned")
                local ok, err = pcall(function()
                    signal("%s")
                    tasklet.sleep(60)
                end)
                print("main", not ok and tasklet.TaskletExit:is(err))
                tasklet.sleep(60)
                print("main went on")
            ]]):format(name), status)
            assert.same({
                ["tasklet cleaned"] = true, ["other one\ttrue"] = true, ["main\ttrue"] = true,
                ["main cleaned"] = true,
            }, lines)
        end)

        it("8.3 SIG" .. name .. " ends a host whose main chunk has ended", function()
            local lines = run(([[
                tasklet.run(function()
                    local _ <close> = closing("cleaned")
                    tasklet.sleep(0)
                    signal("%s")
                    tasklet.sleep(60)
                    print("went on")
                end)
            ]]):format(name), status)
            assert.same({cleaned = true}, lines)
        end)

        it("8.3 SIG" .. name .. " gets through to one who was about to go on, and never waits",
            function()
                local lines = run(([[
                    local uv = require "luv"
                    local pipe, poll = uv.pipe()
                    poll = uv.new_poll(pipe.read)
                    poll:start("r", function()
                        poll:stop()
                        uv.kill(uv.os_getpid(), "sig%s")
                    end)
                    uv.fs_write(pipe.write, "x")
                    local _ <close> = closing("cleaned")
                    tasklet.wait(tasklet.WaitForIO(pipe.write, tasklet.IO_OUT)) -- in the same turn
                    local stop = os.clock() + 5
                    while os.clock() < stop do end
                    print("went on")
                ]]):format(name:lower()), status)
                assert.same({cleaned = true}, lines)
            end)

        it("8.3 SIG" .. name .. " gets through to a loop that never waits", function()
            local lines = run(([[
                local _ <close> = closing("cleaned")
                signal("%s")
                local stop = os.clock() + 5
                while os.clock() < stop do end
                print("went on")
            ]]):format(name), status)
            assert.same({cleaned = true}, lines)
        end)
    end

    it("4.4 that a script waits for is the script's affair", function()
        local lines = run([[
            local hup = tasklet.WaitForSignal(tasklet.signals, "SIGHUP")
            tasklet.run(function()
                tasklet.sleep(0)
                signal("HUP")
            end)
            coroutine.yield(hup)
            print(tasklet.get_event() == hup)
        ]], 0)
        assert.same({["true"] = true}, lines)
    end)
end)

describe("os.exit", function()
    for what, start in pairs {
        ["the main chunk"] = "(function(f) f() end)",
        ["a tasklet"] = "tasklet.run",
        ["a tasklet that has waited"] = "(function(f) tasklet.run(function()"
            .. " tasklet.sleep(0) f() end) tasklet.sleep(60) end)",
    } do
        it("8.3 in " .. what .. " closes the state", function()
            for code, status in pairs {["4"] = 4, ["true"] = 0, ["false"] = 1} do
                local lines = run(([[
                    kept = setmetatable({}, {__gc = function() print("collected") end})
                    tasklet.run(function() tasklet.sleep(60) end)
                    ;%s(function()
                        os.exit(%s)
                        print("went on")
                    end)
                ]]):format(start, code), status)
                assert.same({collected = true}, lines)
            end
        end)
    end
end)
