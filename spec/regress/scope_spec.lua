local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("a scope", function()
    -- It killed the first of them, and went round for ever looking for the second.
    it("10.1 ends with several members that nobody has called", function()
        helper.within_loop(function()
            local members = {}
            local result = tasklet.scope(function(s)
                for i = 1, 3 do
                    members[i] = s:new(print)
                end
                s:run(tasklet.yield_)
                return "result"
            end)
            assert.equal("result", result)
            for i = 1, 3 do
                assert.is_true(members[i]:has_finished())
            end
        end)
    end)

    -- It waited for a member that had ended, and whose callback it stood in the way of.
    it("10.1 is left by an owner that a member's join callback kills", function()
        helper.within_loop(function()
            local failure
            local owner = tasklet.run(function()
                failure = select(2, pcall(tasklet.scope, function(s)
                    s:run(function()
                        local me, owner = tasklet.current(), tasklet.current():parent()
                        me:add_join_callback(function() owner:kill() end)
                        tasklet.yield_()
                    end)
                end))
            end)
            tasklet.join(owner)
            assert.is_true(tasklet.TaskletExit:is(failure), tostring(failure))
        end)
    end)
end)
