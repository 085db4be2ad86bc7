local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("a pending throw into one that joins", function()
    -- It still counted as somebody who waits for the end, though the end was never told to it.
    it("2.6 7.1 leaves the failure of the one that is joined to be reported", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local gate = tasklet.WaitForCall()
            local t = tasklet.run(function()
                tasklet.wait(gate)
                error("because", 0)
            end)
            local joiner = tasklet.run(tasklet.join, t)
            joiner:throw(tasklet.TaskletExit(), true)
            gate()
            tasklet.sleep(0.001)
            print(joiner:has_finished())
        ]]
        assert.equal("true\n", result.stdout)
        assert.is_truthy(result.stderr:find("because", 1, true))
        assert.equal(1, result.status)
    end)

    it("5.3 7.1 loses no message", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                pcall(function() tasklet.current().mailbox:popleft() end)
                return tasklet.current().mailbox:popleft().name
            end)
            t:throw("thrown", true)
            tasklet.send(t, "message")
            assert.equal("message", tasklet.join(t, 5))
        end)
    end)
end)

describe("a kill that a shield holds back", function()
    -- The throw was forgotten, and the tasklet went on as if it had what it waited for.
    it("6.4 7.1 leaves a pending throw to be raised", function()
        helper.within_loop(function()
            local err
            local t = tasklet.run(function()
                tasklet.shield(function()
                    err = select(2, pcall(tasklet.sleep, 60))
                end)
            end)
            t:throw("thrown", true)
            t:kill()
            tasklet.yield_()
            assert.equal("thrown", err)
        end)
    end)

    it("6.4 7.1 replaces it where nothing holds it back", function()
        helper.within_loop(function()
            local weak = setmetatable({ {} }, { __mode = "v" })
            local t = tasklet.run(tasklet.sleep, 60)
            t:throw(weak[1], true)
            t:kill()
            collectgarbage()
            assert.is_nil(weak[1])
            local ok, err = pcall(tasklet.join, t)
            assert.is_false(ok)
            assert.is_true(tasklet.TaskletExit:is(err.cause))
        end)
    end)
end)
