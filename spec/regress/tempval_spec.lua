local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("the value that schedule returns", function()
    it("7.2 7.3 is used up when it raises instead", function()
        helper.within_loop(function()
            local results = tasklet.run(function()
                local me, other = tasklet.current(), tasklet.new(tasklet.schedule)()
                local caught = not pcall(tasklet.schedule_remove, "stale")
                local left = me.tempval
                return { caught, left, other:run() }
            end)
            results:throw("thrown")
            assert.same({ true }, tasklet.join(results))
        end)
    end)

    it("7.1 7.2 is dropped with what it was for", function()
        helper.within_loop(function()
            local t = tasklet.run(tasklet.schedule_remove, "stale")
            t:bind(function() return tasklet.current().tempval end)
            t:start()
            assert.is_nil(t.return_value)
        end)
    end)
end)

describe("getruncount", function()
    it("7.3 counts one that runs others nested", function()
        helper.within_loop(function()
            local before, inside = tasklet.getruncount(), nil
            table.sort({ 1, 2 }, function(a, b)
                tasklet.run(function() inside = tasklet.getruncount() end)
                return a < b
            end)
            assert.equal(before + 1, inside)
        end)
    end)
end)
