local helper = require "spec.helper"

local function contains(text, part)
    assert.is_truthy(text:find(part, 1, true), ("%q is not in %q"):format(part, text))
end

--- Runs `script` in the host.
local function run_script(script)
    return helper.run_file('local tasklet = require "tasklet"\n' .. script)
end

--- Runs `script` in the host; it must end with `status` and write nothing to standard error.
local function silent(script, status)
    local result = run_script(script)
    assert.equal("", result.stderr)
    assert.equal(status or 0, result.status)
    return result.stdout
end

--- Runs `script` in the host; it must end with `status` and report each of `texts`.
local function reported(script, status, ...)
    local result = run_script(script)
    for _, text in ipairs {...} do
        contains(result.stderr, text)
    end
    assert.equal(status, result.status, result.stderr)
    return result
end

describe("a failure that nobody looks at", function()
    local script = [[
local tasklet = require "tasklet"
local function fails()
    error("because")
end

-- line 6
local t = tasklet.run(fails)
print(t.name)
tasklet.mainloop.run()
]]

    it("2.6 is reported with its traceback, its tasklet and where that was started", function()
        local result = helper.run_file(script)
        contains(result.stderr, ":3: because")
        contains(result.stderr, "stack traceback:")
        contains(result.stderr, result.stdout:match("^[^\n]+"))
        contains(result.stderr, ":7")
        assert.equal(1, result.status)
    end)

    it("2.6 is reported in plain Lua too", function()
        local result = helper.plain(script)
        contains(result.stderr, ":3: because")
        contains(result.stderr, "stack traceback:")
        contains(result.stderr, result.stdout:match("^[^\n]+"))
    end)

    it("2.6 is reported at the end of the turn", function()
        local result = reported([[
            tasklet.run(error, "because")
            io.stderr:write("same turn\n")
            tasklet.sleep(0.02)
            io.stderr:write("later turn\n")
        ]], 1, "because")
        local same = result.stderr:find("same turn", 1, true)
        local report = result.stderr:find("because", 1, true)
        local later = result.stderr:find("later turn", 1, true)
        assert.is_true(same < report and report < later, result.stderr)
    end)

    it("2.6 is reported when it came after a wait", function()
        reported([[
            tasklet.run(function()
                tasklet.sleep(0.01)
                error("because")
            end)
        ]], 1, ":4: because", "stack traceback:")
    end)

    it("2.6 is reported once for each", function()
        local result = reported([[
            for i = 1, 3 do
                tasklet.run(function() error("failure " .. i, 0) end)
            end
        ]], 1)
        for i = 1, 3 do
            local _, count = result.stderr:gsub("failure " .. i, "")
            assert.equal(1, count, result.stderr)
        end
    end)

    it("2.6 does not keep other tasklets from going on", function()
        local result = reported([[
            tasklet.run(function()
                tasklet.sleep(0.02)
                print("went on")
            end)
            tasklet.run(error, "because")
        ]], 1, "because")
        assert.equal("went on\n", result.stdout)
    end)

    it("2.6 may be any value", function()
        reported([[
            tasklet.run(error, setmetatable({}, {__tostring = function() return "readable" end}))
        ]], 1, "readable")
        reported("tasklet.run(error, {})", 1, "table")
        reported("tasklet.run(error, nil)", 1, "nil")
        reported("tasklet.run(error, 42)", 1, "42")
        local result = reported([[
            tasklet.run(error, setmetatable({}, {__tostring = function() error("worse") end}))
            tasklet.sleep(0.01)
            print("went on")
        ]], 1)
        assert.equal("went on\n", result.stdout)
        assert.is_true(#result.stderr > 0)
    end)

    it("2.6 is reported for an error in a close method too", function()
        reported([[
            tasklet.run(function()
                local _ <close> = setmetatable({}, {__close = function() error("because", 0) end})
                tasklet.yield_()
            end)
        ]], 1, "because")
    end)
end)

describe("a failure that somebody looks at", function()
    it("2.6 is silent when it is joined in the same turn", function()
        silent [[
            local t = tasklet.run(error, "because")
            pcall(tasklet.join, t)
        ]]
    end)

    it("2.6 is silent when a tasklet joins already", function()
        assert.equal("false\n", silent [[
            local t = tasklet.run(function()
                tasklet.sleep(0.01)
                error("because")
            end)
            print((pcall(tasklet.join, t)))
        ]])
    end)

    it("2.6 is silent when a tasklet waits for it already", function()
        assert.equal("because\n", silent [[
            local t = tasklet.run(function()
                tasklet.sleep(0.01)
                error("because", 0)
            end)
            print(tasklet.wait(t).error)
        ]])
    end)

    it("2.6 is silent when it has a join callback", function()
        assert.equal("called\n", silent [[
            local t = tasklet.run(function()
                tasklet.sleep(0.01)
                error("because", 0)
            end)
            t:add_join_callback(function() print("called") end)
        ]])
    end)

    it("2.6 is reported when its waiter gave up before", function()
        reported([[
            local t = tasklet.run(function()
                tasklet.sleep(0.05)
                error("because", 0)
            end)
            pcall(tasklet.join, t, 0)
        ]], 1, "because")
    end)

    it("2.6 is reported when its join callback was removed before", function()
        reported([[
            local t = tasklet.run(function()
                tasklet.sleep(0.05)
                error("because", 0)
            end)
            t:remove_join_callback(t:add_join_callback(print))
        ]], 1, "because")
    end)

    it("2.6 leaves the status at 0 when it is joined later", function()
        reported([[
            local t = tasklet.run(error, "because", 0)
            tasklet.sleep(0.01)
            pcall(tasklet.join, t)
        ]], 0, "because")
    end)

    it("2.6 leaves the status at 0 when it is waited for later", function()
        local result = reported([[
            local t = tasklet.run(error, "because", 0)
            tasklet.sleep(0.01)
            print(tasklet.wait(t).error)
        ]], 0, "because")
        assert.equal("because\n", result.stdout)
    end)

    it("2.6 leaves the status at 1 when another one is never joined", function()
        reported([[
            local t = tasklet.run(error, "joined", 0)
            tasklet.run(error, "forgotten", 0)
            tasklet.sleep(0.01)
            pcall(tasklet.join, t)
        ]], 1, "joined", "forgotten")
    end)

    it("2.6 does not take a kill for a failure", function()
        silent [[
            local t = tasklet.run(function() tasklet.sleep(60) end)
            t:kill()
            tasklet.run(function() tasklet.current():kill() end)
        ]]
    end)

    it("2.6 leaves the failure of a joiner to be reported", function()
        reported([[
            local t = tasklet.run(function()
                tasklet.sleep(0.01)
                error("because", 0)
            end)
            tasklet.run(function() tasklet.join(t) end)
        ]], 1, "because")
    end)
end)

describe("an error in a callback", function()
    --- The script must go on and report `because`.
    local function goes_on(script)
        local result = run_script(script)
        contains(result.stderr .. result.stdout, "because")
        contains(result.stdout, "went on")
    end

    it("2.6 that is a join callback disturbs nobody", function()
        goes_on [[
            local t = tasklet.run(function() tasklet.sleep(0.01) return "result" end)
            t:add_join_callback(function() error("because") end)
            t:add_join_callback(function(_, retval) assert(retval == "result") print("second") end)
            assert(tasklet.join(t) == "result")
            tasklet.sleep(0.01)
            print("went on")
        ]]
    end)

    it("2.6 that is a join callback of an ended tasklet disturbs nobody", function()
        goes_on [[
            local t = tasklet.run(function() end)
            t:add_join_callback(function() error("because") end)
            tasklet.sleep(0.01)
            print("went on")
        ]]
    end)

    it("2.6 that is a signal's handler is not swallowed", function()
        goes_on [[
            local emitter = tasklet.Emitter{"go"}
            emitter:connect("go", function() error("because") end)
            local t = tasklet.run(function()
                tasklet.wait(tasklet.WaitForSignal(emitter, "go"))
            end)
            print(pcall(emitter.emit, emitter, "go"))
            t:kill()
            emitter:destroy()
            tasklet.sleep(0.01)
            print("went on")
        ]]
    end)

    it("2.6 that arms a condition is raised at the yield", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local Mine = tasklet.WaitCondition:subclass("Mine")
            function Mine.init() end
            function Mine.arm() error("because", 0) end
            function Mine.disarm() end
            print(pcall(coroutine.yield, Mine()))
            local other = tasklet.WaitForTimeout(1)
            print(tasklet.wait(other) == other)
        ]]
        assert.equal("", result.stderr)
        assert.equal("false\tbecause\ntrue\n", result.stdout)
        assert.equal(0, result.status)
    end)

    it("2.6 that disarms a condition is not swallowed", function()
        goes_on [[
            local Mine = tasklet.WaitCondition:subclass("Mine")
            function Mine.init() end
            function Mine.arm() end
            function Mine.disarm() error("because", 0) end
            local t = tasklet.run(function()
                tasklet.wait(Mine(), tasklet.WaitForTimeout(1))
                tasklet.wait(tasklet.WaitForTimeout(1))
            end)
            print(pcall(tasklet.join, t))
            tasklet.sleep(0.01)
            print("went on")
        ]]
    end)

    it("2.6 that disarms a condition of a killed tasklet does not keep it alive", function()
        goes_on [[
            local Mine = tasklet.WaitCondition:subclass("Mine")
            function Mine.init() end
            function Mine.arm() end
            function Mine.disarm() error("because", 0) end
            local t = tasklet.run(function() tasklet.wait(Mine()) end)
            print(pcall(t.kill, t))
            print(pcall(tasklet.join, t))
            assert(t.state == tasklet.Tasklet.STATE_ZOMBIE)
            tasklet.sleep(0.01)
            print("went on")
        ]]
    end)

    it("2.6 that initialises a condition is raised where it is made", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local Mine = tasklet.WaitCondition:subclass("Mine")
            function Mine.init() error("because", 0) end
            function Mine.arm() end
            function Mine.disarm() end
            print(pcall(Mine))
        ]]
        assert.equal("false\tbecause\n", result.stdout)
        assert.equal(0, result.status)
    end)
end)
