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
        result = helper.run_file(script, {real_time = true, timeout = 30})
        if result.status == 0 and result.stdout == expected then
            break
        end
    end
    assert.equal(expected, result.stdout, result.stderr)
    assert.equal(0, result.status, result.stderr)
end

describe("with a slice", function()
    it("7.6 whom a timer has woken runs before the one that was preempted", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local log, last, stop = {}, nil, false
            local function spin(name)
                while not stop do
                    if last ~= name then
                        last = name
                        log[#log + 1] = name
                    end
                end
            end
            local sleeper = tasklet.run(function()
                tasklet.sleep(0.001)
                log[#log + 1] = "sleeper"
                stop = true
            end)
            tasklet.new(spin)("a")
            tasklet.new(spin)("b")
            tasklet.set_timeslice(20)
            tasklet.join(sleeper)
            print(table.concat(log, " "))
        ]], {real_time = true})
        assert.equal("", result.stderr)
        assert.equal("a b sleeper\n", result.stdout)
    end)

    -- By the processor's time, which runs on like any other while two of them spin, and which does
    -- not count what other programs take.
    if not os.getenv "TASKLET_PATIENCE" then
        it("7.6 sleepers wake in time while others spin #slow", function()
            settles([[
                local tasklet = require "tasklet"
                local clock = os.clock
                tasklet.set_timeslice(5)
                local stop = false
                local function spin()
                    while not stop do
                    end
                end
                local lates = {}
                local function sleeper()
                    for _ = 1, 10 do
                        local due = clock() + 0.001
                        tasklet.sleep(0.001)
                        lates[#lates + 1] = (clock() - due) * 1000
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
            ]], "2000\ttrue\n", 5)
        end)
    end

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
