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
end)
