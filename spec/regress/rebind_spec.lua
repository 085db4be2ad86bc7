-- A tasklet that is bound anew: who was to be told of its end still is.
local tasklet = require "tasklet"
local helper = require "spec.helper"

local function nothing() end

describe("a tasklet that is bound anew", function()
    it("6.5 keeps the join callbacks of one that was paused", function()
        helper.within_loop(function()
            local told = {}
            local t = tasklet.run(tasklet.schedule_remove)
            local handle = t:add_join_callback(function() told[#told + 1] = "removed" end)
            t:add_join_callback(function(who, retval) told[#told + 1] = who == t and retval end)
            t:bind(function() return "second life" end)
            t:remove_join_callback(handle)
            t:start()
            assert.same({ "second life" }, told)
        end)
    end)

    it("6.5 does not take a callback of its next life for one of the last", function()
        helper.within_loop(function()
            local t = tasklet.new(nothing)
            local old = t:add_join_callback(nothing)
            t:start()
            t:bind(nothing)
            local told = 0
            t:add_join_callback(function() told = told + 1 end)
            assert.is_false((pcall(t.remove_join_callback, t, old)))
            t:start()
            assert.equal(1, told)
        end)
    end)

    it("6.5 has the callbacks called that were to be called at the next turn", function()
        helper.within_loop(function()
            local told = {}
            local function tell(_, retval, name) told[#told + 1] = name .. " " .. retval end
            local t = tasklet.run(function() return "first life" end)
            t:add_join_callback(tell, "late")
            t:bind(function()
                tasklet.schedule()
                return "second life"
            end)
            t:add_join_callback(tell, "early")
            t:start()
            assert.same({ "late first life" }, told)
            tasklet.join(t)
            assert.same({ "late first life", "early second life" }, told)
        end)
    end)

    it("6.5 10.3 by a join callback has the others told of the end that it was", function()
        helper.within_loop(function()
            local told = {}
            local t = tasklet.new(function() return "first life" end)
            local watcher = tasklet.run(function()
                t:monitor()
                return tasklet.wait(tasklet.WaitForMessages { accept = "down" }).value.retval
            end)
            t:add_join_callback(function() t:bind(nothing) end)
            t:add_join_callback(function(_, retval) told[#told + 1] = retval end)
            t:start()
            assert.same({ "first life" }, told)
            assert.is_false(t:has_finished())
            assert.equal("first life", tasklet.join(watcher))
            t:start()
            assert.is_true(t:has_finished())
            assert.equal(1, #told)
        end)
    end)

    for where, wait in pairs { ["in the same turn"] = "", ["later"] = "tasklet.sleep(0.001)" } do
        it("2.6 has its failure reported, once: " .. where, function()
            local result = helper.run_file([[
                local tasklet = require "tasklet"
                local t = tasklet.run(error, "because", 0)
                ]] .. wait .. [[

                t:bind(print)
                tasklet.sleep(0.001)
            ]])
            local _, count = result.stderr:gsub("because", "")
            assert.equal(1, count, result.stderr)
            assert.equal(1, result.status)
        end)
    end
end)
