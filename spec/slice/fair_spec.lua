-- Time slices: nobody who spins keeps others from running.

local helper = require "spec.helper"

---Runs a script up to `tries` times until it prints `expected` and ends well: other programs on the
---machine may take the processor away for any time. What it prints of its last try is compared.
---@param script string
---@param expected string
---@param tries integer
local function settles(script, expected, tries)
    local result
    for _ = 1, tries do
        result = helper.run_file(script, {timeout = 30})
        if result.status == 0 and result.stdout == expected then
            break
        end
    end
    assert.equal(expected, result.stdout, result.stderr)
    assert.equal(0, result.status, result.stderr)
end

describe("with a slice", function()
    it("7.6 sleepers wake in time while others spin", function()
        settles([[
            local tasklet = require "tasklet"
            local now = tasklet.mainloop.now
            tasklet.set_timeslice(5)
            local stop = false
            local function spin()
                while not stop do
                end
            end
            local lates = {}
            local function sleeper()
                for _ = 1, 10 do
                    local due = now() + 1
                    tasklet.sleep(0.001)
                    lates[#lates + 1] = now() - due
                end
            end
            local spinners = {tasklet.new(spin)(), tasklet.new(spin)()}
            local sleepers = {}
            for i = 1, 200 do
                sleepers[i] = tasklet.new(sleeper)()
            end
            for i = 1, 200 do
                tasklet.join(sleepers[i])
            end
            stop = true
            tasklet.join_all(spinners)
            table.sort(lates)
            print(#lates, lates[#lates] < 20)
            if lates[#lates] >= 20 then
                io.stderr:write(("most %.1f ms, median %.1f ms\n"):format(lates[#lates],
                    lates[#lates // 2]))
            end
        ]], "2000\ttrue\n", 10)
    end)

    it("7.6 the smallest one leaves time for work", function()
        for _, slice in ipairs{"0.2", "0.01", "0.0001", "1e-9"} do
            local result = helper.run_file(([[
                local tasklet = require "tasklet"
                if not pcall(tasklet.set_timeslice, %s) then
                    print "refused"
                    return
                end
                local n = 0
                for _ = 1, 1e6 do
                    n = n + 1
                end
                print "done"
            ]]):format(slice), {timeout = 10})
            assert.equal(0, result.status, slice)
            assert.is_truthy(result.stdout == "done\n" or result.stdout == "refused\n")
        end
    end)
end)
