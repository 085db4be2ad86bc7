-- Wounds of numbers that scripts choose: stacks and lists that were longer than was thought.
local tasklet = require "tasklet"
local helper = require "spec.helper"

local function within(f)
    return function() helper.within_loop(f) end
end

describe("a number that a script chooses", function()
    it("5.4 may be a list's false length", within(function()
        local list = setmetatable({ "a" }, { __len = function() return -1 end })
        assert.equal("WaitForMessages(accept a)",
            tostring(tasklet.WaitForMessages { accept = list }))
    end))

    it("6.5 may be too many arguments for a join callback", within(function()
        local t = tasklet.run(function() tasklet.sleep(0.001) end)
        assert.has_error(function() t:add_join_callback(print, table.unpack({}, 1, 100000)) end)
        tasklet.join(t, 30)
    end))

    it("6.2 may be more results than a stack has room for", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local t = tasklet.run(function()
                tasklet.sleep(0.001)
                return table.unpack({}, 1, 999900)
            end)
            local function deep(n) -- the stack below has its share, too
                if n > 0 then return (select("#", deep(n - 1))) end
                tasklet.join(t)
                return 1
            end
            print(pcall(deep, 150))
        ]])
        assert.equal(0, result.status)
    end)

    it("3.7 may be more calls than are taken in one go, and they stay in order", within(function()
        local call, seen, n = tasklet.WaitForCall(), {}, 700
        local t = tasklet.run(function()
            for i = 1, n do call(i) end
            for i = 1, n + 1 do
                seen[i] = tasklet.wait(call).args[1]
            end
        end)
        call(n + 1)
        tasklet.join(t, 30)
        for i = 1, n + 1 do
            assert.equal(i, seen[i])
        end
    end))
end)
