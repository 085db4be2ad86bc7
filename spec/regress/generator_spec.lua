-- A generator in which something was run nested (below a C function that cannot give way) yielded
-- to its user: that was taken for the tasklet's giving way, and the tasklet was lost.
local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("a generator that has run others nested", function()
    it("3.9 still yields to its user", function()
        helper.within_loop(function()
            local gate = tasklet.WaitForCall()
            local got
            local t = tasklet.run(function()
                local generate = coroutine.wrap(function()
                    table.sort({ 1, 2 }, function()
                        tasklet.run(function() tasklet.wait(gate) end)
                        return false
                    end)
                    coroutine.yield("value")
                end)
                got = generate()
            end)
            tasklet.join(t, 30)
            gate()
            assert.equal("value", got)
        end)
    end)
end)
