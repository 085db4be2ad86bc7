-- A function among what is yielded is started; one that `new` made and nobody has called was taken
-- for it, and the process died.
local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("yielding a function and a tasklet that has not been called", function()
    it("3.1 starts the function alone", function()
        helper.within_loop(function()
            local trace = {}
            local bound = tasklet.new(function() trace[#trace + 1] = "bound" end)
            for _, other in ipairs { bound, tasklet.WaitForTasklet(bound) } do
                local event = tasklet.wait(other, function()
                    trace[#trace + 1] = "function"
                    return "result"
                end)
                assert.equal("result", event.retval)
            end
            assert.same({ "function", "function" }, trace)
            assert.is_false(bound.alive)
            bound:kill()
        end)
    end)
end)
