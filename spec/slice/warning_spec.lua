-- Where Lua cannot yield nobody is preempted; a warning names the C function that was in the way,
-- luacheck: ignore 631
-- and nothing else.

local helper = require "spec.helper"

-- In front of each script: `spin(ms)` runs so long without waiting, `busy(ms)` does so in a C
-- function's callback. By the processor's time: what other programs take is no slice of ours.
local common = [[
    local tasklet = require "tasklet"
    local function spin(ms)
        local stop = os.clock() + ms / 1000
        while os.clock() < stop do
        end
    end
    local function busy(ms)
        local done = false
        table.sort({2, 1}, function(a, b)
            if not done then
                done = true
                spin(ms)
            end
            return a < b
        end)
    end
]]

---@param text string
---@return string[] warnings the text of each
---@return spec.Result
local function warnings_of(text)
    local result = helper.run_file(common .. text, {real_time = true})
    local found = {}
    for line in result.stderr:gmatch("[^\n]+") do
        found[#found + 1] = line
    end
    return found, result
end

describe("a C function that is in the way of a slice", function()
    it("7.6 is warned of by its name, with the tasklet's", function()
        local warnings, result = warnings_of [[
            tasklet.set_timeslice(5)
            local start = tasklet.mainloop.now()
            tasklet.new(function() busy(300) end, {name = "sorter"}):start()
            print(tasklet.mainloop.now() - start)
        ]]
        assert.equal(1, #warnings, result.stderr)
        local ms = warnings[1]:match("C function 'table.sort' could not be interrupted for (%d+) ms")
        assert.is_truthy(ms, warnings[1])
        -- When the watchdog sees that it is late, is its own affair; when it is over, is not.
        assert.is_true(tonumber(ms) >= 150, warnings[1])
        assert.is_true(tonumber(ms) <= tonumber(result.stdout), warnings[1])
        assert.is_truthy(warnings[1]:find("'sorter'", 1, true), warnings[1])
    end)

    it("7.6 is warned of once each time, and nothing that comes later", function()
        local warnings, result = warnings_of [[
            tasklet.set_timeslice(5)
            tasklet.run(function()
                busy(300)
                for _ = 1, 5 do
                    tasklet.sleep(0.02)
                    math.abs(1)
                    print(select("#", 1, 2))
                end
                busy(300)
                tasklet.sleep(0.02)
                math.abs(1)
            end)
        ]]
        assert.equal(("2\n"):rep(5), result.stdout)
        assert.equal(2, #warnings, result.stderr)
        for _, warning in ipairs(warnings) do
            assert.is_truthy(warning:find("'table.sort'", 1, true), warning)
        end
    end)

    it("7.6 is not warned of when slices are off again", function()
        local warnings = warnings_of [[
            tasklet.set_timeslice(5)
            spin(30)
            tasklet.set_timeslice(0)
            spin(50)
            busy(100)
            math.abs(1)
        ]]
        assert.same({}, warnings)
    end)

    it("7.6 is not warned of where the tasklet is atomic", function()
        local warnings = warnings_of [[
            tasklet.set_timeslice(2)
            local me = tasklet.getcurrent()
            me:set_atomic(true)
            for _ = 1, 20 do
                spin(5)
                for _ = 1, 10000 do
                    math.abs(1)
                end
            end
            me:set_atomic(false)
        ]]
        assert.same({}, warnings)
    end)

    it("7.6 is not warned of if it is below the tasklet, in another one", function()
        local warnings = warnings_of [[
            tasklet.set_timeslice(2)
            local function work()
                for _ = 1, 20 do
                    spin(5)
                    for _ = 1, 10000 do
                        math.abs(1)
                    end
                end
            end
            for _, body in ipairs{work, function() coroutine.wrap(work)() end} do
                local run = tasklet.run
                table.sort({2, 1}, function(a, b)
                    run(body)
                    run = math.type -- once is enough
                    return a < b
                end)
            end
        ]]
        assert.same({}, warnings)
    end)

    it("7.6 is not warned of while nothing is late", function()
        local warnings = warnings_of [[
            tasklet.set_timeslice(100)
            for _ = 1, 20 do
                busy(10)
                tasklet.yield_()
            end
        ]]
        assert.same({}, warnings)
    end)
end)
