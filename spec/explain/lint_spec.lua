-- Warnings of running programs: set_warn_slow and --warn-slow.

local tasklet = require "tasklet"
local support = require "spec.explain.support"

local preamble = [[
local tasklet = require "tasklet"
local function named(name, f, ...) return tasklet.new(f, {name = name})(...) end
local function spin(seconds)
    local stop = os.clock() + seconds
    while os.clock() < stop do end
end
]]

---@param script string
---@param options? string[]
---@return string[] # the warnings, sorted
local function warnings_of(script, options)
    -- A virtual clock does not jump before what has happened has been looked at.
    local result = support.run(preamble .. script, {args = options})
    assert.equal(0, result.status, result.stderr)
    local found = {}
    for line in result.stderr:gmatch("[^\n]+") do
        found[#found + 1] = assert(line:match("^Lua warning: (.*)$"), result.stderr)
    end
    table.sort(found)
    return found
end

-- So long that nothing is slow.
local quiet = "tasklet.set_warn_slow(1e6)\n"

describe("a warning", function()
    it("7.7 is given of one that runs too long, once for each place", function()
        local warnings = warnings_of([[
            named("slow", function()
                for _ = 1, 3 do
                    spin(0.2)
                    tasklet.sleep(0)
                end
                spin(0.2)
            end)
        ]], {"--warn-slow", "30"})
        assert.equal(1, #warnings, table.concat(warnings, "\n"))
        local ms, line = warnings[1]:match(
            "^tasklet 'slow' #2 has run for (%d+) ms without waiting, at s%.lua:(%d+)$")
        assert.is_truthy(ms, warnings[1])
        assert.is_true(tonumber(ms) >= 30, ms)
        assert.equal("5", line)
    end)

    it("7.7 goes together with time slices", function()
        for _, slow in ipairs{30, 100} do
            local warnings = warnings_of(([[
                tasklet.set_warn_slow(%d)
                local turns, stop = 0, false
                named("counts", function()
                    while not stop do turns = turns + 1 tasklet.sleep(0) end
                end)
                named("slow", function() spin(0.5) stop = turns > 1 end)
            ]]):format(slow), {"--slice", "60"})
            assert.equal(slow == 30 and 1 or 0, #warnings, table.concat(warnings, "\n"))
        end
    end)

    it("7.7 is given of one that only wakes itself", function()
        local warnings = warnings_of(quiet .. [[
            named("yields", function() for _ = 1, 3000 do tasklet.yield_() end end)
            named("zero", function()
                local timeout = tasklet.WaitForTimeout(0)
                for _ = 1, 3000 do
                    tasklet.wait(timeout)
                end
            end)
            local ended = tasklet.run(function() end)
            named("ended", function()
                local wait = tasklet.WaitForTasklet(ended)
                for _ = 1, 3000 do
                    tasklet.wait(wait)
                end
            end)
            named("again", function() for _ = 1, 3000 do tasklet.wait(ended) end end)
            local channel = tasklet.channel()
            named("polls", function()
                for _ = 1, 3000 do
                    pcall(channel.receive, channel, 0)
                end
            end)
        ]])
        local text = " has woken itself 1000 times in a row, and waits for nothing else, at s.lua:"
        assert.same({
            "tasklet 'again' #6" .. text .. 22,
            "tasklet 'ended' #5" .. text .. 19,
            "tasklet 'polls' #7" .. text .. 26,
            "tasklet 'yields' #2" .. text .. 8,
            "tasklet 'zero' #3" .. text .. 12,
        }, warnings)
    end)

    it("7.7 is not given of one that others wake, or that waits now and then", function()
        assert.same({}, warnings_of(quiet .. [[
            named("sometimes", function()
                for i = 1, 3000 do
                    tasklet.yield_()
                    if i % 900 == 0 then
                        tasklet.sleep(0.001)
                    end
                end
            end)
            local server = named("server", function()
                for message in tasklet.receive() do
                    message:reply(true)
                end
            end)
            named("client", function()
                for _ = 1, 3000 do
                    tasklet.call(server, "ask")
                end
                server:kill()
            end)
            named("joins", function()
                for _ = 1, 3000 do
                    tasklet.wait(tasklet.run(function() end))
                end
            end)
        ]]))
    end)

    it("7.7 is given of one that waits for the end of what cannot end", function()
        assert.same({
            "tasklet 'a' #5 waits for the end of 'new' #2, which has not been called, at s.lua:12",
            "tasklet 'b' #6 waits for the end of 'paused' #3, which is paused, at s.lua:13",
            "tasklet 'c' #7 waits for the end of 'unbound' #4, which has no function, at s.lua:14",
        }, warnings_of(quiet .. [[
            local new = tasklet.new(print, {name = "new"})
            local paused = named("paused", print):remove()
            local unbound = tasklet.new(nil, {name = "unbound"})
            local list = {
                named("a", function() tasklet.join(new) end),
                named("b", function() tasklet.wait(tasklet.WaitForTimeout(1e6), paused) end),
                named("c", function() tasklet.join(unbound) end),
            }
            tasklet.sleep(0.1)
            for _, t in ipairs(list) do
                t:kill()
            end
        ]]))
    end)

    it("7.7 is given of a mailbox that only grows", function()
        local script = quiet .. [[
            local t = named("t", function()
                tasklet.wait(tasklet.WaitForMessages{accept = "go", defer = "item"})
            end)
            for i = 1, 40000 do
                if i %% 1000 == 0 then
                    tasklet.sleep(1)
                end
                tasklet.send(t, "item")
                %s
            end
            tasklet.send(t, "go")
        ]]
        local warnings = warnings_of(script:format(""))
        assert.equal(1, #warnings, table.concat(warnings, "\n"))
        assert.is_truthy(warnings[1]:find("^tasklet 't' #2 has 32999 messages in its mailbox, "
            .. "and takes none out, at s%.lua:9$"), warnings[1])
        assert.same({}, warnings_of(script:format("if i == 30000 then t.mailbox:popleft() end")))
    end)

    it("7.7 is not given when they are off", function()
        assert.same({}, warnings_of [[
            tasklet.set_warn_slow(10)
            tasklet.set_warn_slow(0)
            spin(0.1)
            for _ = 1, 3000 do
                tasklet.yield_()
            end
        ]])
    end)
end)

describe("set_warn_slow", function()
    it("1.4 raises for what is no time", function()
        for _, bad in ipairs{-1, "x", 1e9, 0 / 0, {}} do
            local ok, err = pcall(tasklet.set_warn_slow, bad)
            assert.is_false(ok)
            assert.is_truthy(err:find("bad argument #1 to 'tasklet.set_warn_slow'", 1, true), err)
        end
    end)

    it("8.3 is an option that must have a time", function()
        local helper = require "spec.helper"
        for _, bad in ipairs{"x", "-1", ""} do
            local result = helper.run({"--warn-slow", bad, "-e", ""})
            assert.equal(1, result.status)
            assert.is_truthy(result.stderr:find("'--warn-slow' needs argument", 1, true))
        end
    end)
end)
