-- Wounds of killing, each with what was seen.
local tasklet = require "tasklet"
local helper = require "spec.helper"

local function within(f)
    return function() helper.within_loop(f) end
end

describe("a killed tasklet", function()
    -- It was taken for one that still waited for its list, and was never resumed again.
    it("6.4 that was killed in a wait goes on after survive, in verbs too", within(function()
        local trace = {}
        local t = tasklet.run(function()
            trace[1] = pcall(tasklet.wait, tasklet.WaitForTimeout(60000))
            tasklet.survive()
            tasklet.sleep(0.001)
            trace[2] = "slept"
            tasklet.yield_()
            trace[3] = "gave way"
        end)
        t:kill()
        tasklet.join(t, 30)
        assert.same({ false, "slept", "gave way" }, trace)
    end))

    it("6.4 may send a message while its variables are closed", within(function()
        local got, trace
        local receiver = tasklet.run(function()
            got = tasklet.wait(tasklet.WaitForMessages { accept = "bye" }).name
        end)
        local t = tasklet.run(function()
            local _ <close> = setmetatable({}, { __close = function()
                tasklet.send(receiver, "bye")
                trace = "sent"
            end })
            tasklet.wait(tasklet.WaitForTimeout(60000))
        end)
        t:kill()
        assert.same({ "bye", "sent" }, { got, trace })
    end))

    -- The kill came twice: as the error to be raised, and at the next wait.
    it("6.4 survives a kill that came while it ran others", within(function()
        local first, second
        local gate = tasklet.WaitForCall()
        local t = tasklet.run(function()
            tasklet.wait(gate)
            first = pcall(function()
                local self = tasklet.current()
                table.sort({ 1, 2 }, function()
                    tasklet.run(function() self:kill() end)
                    return false
                end)
            end)
            tasklet.survive()
            second = pcall(tasklet.sleep, 0.001)
        end)
        gate()
        tasklet.join(t, 30)
        assert.same({ false, true }, { first, second })
    end))

    it("6.4 is killed at every yield of Lua's own kind, too", function()
        local result = helper.plain([[
            local yield = coroutine.yield
            local tasklet = require "tasklet"
            local trace = {}
            local t = tasklet.run(function()
                for i = 1, 2 do
                    local ok, err = pcall(function() yield(tasklet.WaitForTimeout(60000)) end)
                    trace[i] = not ok and tasklet.TaskletExit:is(err)
                end
            end)
            t:kill()
            tasklet.mainloop.run()
            print(trace[1], trace[2], t:has_finished())
        ]])
        assert.same({ "true\ttrue\ttrue\n", "", 0 },
            { result.stdout, result.stderr, result.status })
    end)
end)
