-- When its last callback was removed, a tasklet's handles were given out anew, so that a stale
-- handle took off somebody else's callback.
local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("the handle of a join callback", function()
    it("6.5 is used once", function()
        helper.within_loop(function()
            local called
            local gate = tasklet.WaitForCall()
            local t = tasklet.run(function() tasklet.wait(gate) end)
            local stale = t:add_join_callback(print)
            t:remove_join_callback(stale)
            t:add_join_callback(function() called = true end)
            assert.is_false(pcall(t.remove_join_callback, t, stale))
            gate()
            assert.is_true(called)
        end)
    end)
end)
