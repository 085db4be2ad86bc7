-- What a paused tasklet is to the program.

local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("a paused tasklet", function()
    for _, way in ipairs{"", "t.daemon = true t.daemon = false", "t.daemon = false",
        "t:insert() t:remove()", "t:throw('x', true) t:remove()"} do
        it("7.7 does not keep the program alive: " .. way, function()
            local result = helper.run_file([[
                local tasklet = require "tasklet"
                local t = tasklet.run(function() tasklet.schedule_remove() end)
                ]] .. way .. [[

                print(t.paused)
            ]], {timeout = 5})
            assert.equal("true\n", result.stdout)
            assert.equal(0, result.status, result.stderr)
        end)
    end

    it("7.7 keeps it alive when it runs again", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                tasklet.schedule_remove()
                tasklet.sleep(0.02)
                print "on"
            end)
            t.daemon = true
            t.daemon = false
            t:insert()
            t:remove()
            t:insert()
        ]]
        assert.equal("on\n", result.stdout)
    end)

    it("7.3 is not counted among the runnable", function()
        helper.within_loop(function()
            local before = tasklet.getruncount()
            local t = tasklet.new(tasklet.schedule)()
            assert.equal(before + 1, tasklet.getruncount())
            t:remove()
            assert.equal(before, tasklet.getruncount())
            t:insert()
            assert.equal(before + 1, tasklet.getruncount())
            t:kill()
            assert.equal(before, tasklet.getruncount())
        end)
    end)
end)
