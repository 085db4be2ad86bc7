-- Drawn orders in specs (contract 12.3).

local support = require "spec.testing.support"

-- Prints the order in which eight tasklets run, some numbers, and times since the test began.
local orders = [[
    local tasklet = require "tasklet"
    local function orders()
        local begun, words = tasklet.mainloop.now(), {}
        for i = 1, 8 do
            tasklet.new(function()
                for _ = 1, 3 do
                    words[#words + 1] = i
                    tasklet.yield_()
                end
                tasklet.sleep(i / 3)
                words[#words + 1] = tasklet.mainloop.now() - begun
            end)()
        end
        tasklet.sleep(10)
        words[#words + 1] = math.random(1000000)
        print(table.concat(words, " "))
    end
    describe("orders", function()
        before_each(orders)
        it("first", orders)
        it("second", orders)
    end)
]]

local function lines_of(text)
    local lines = {}
    for line in text:gmatch("[^\n]+") do
        lines[#lines + 1] = line
    end
    return lines
end

describe("a seed", function()
    it("makes a hundred runs the same", function()
        local result = support.run_host(orders, {"--seed=7", "--repeat=100"})
        local lines = lines_of(result.printed)
        local compared = 0
        for i = #lines, 1, -1 do
            if not lines[i]:find("^%d+ %d+ %d+ ") then
                table.remove(lines, i) -- busted's own
            end
        end
        assert.equal(400, #lines)
        for i = 5, #lines do
            assert.equal(lines[i - 4], lines[i])
            compared = compared + 1
        end
        assert.equal(396, compared)
        assert.not_equal(lines[2], lines[4]) -- another test, another order
    end)

    it("makes processes the same, in both ways of running", function()
        local first = support.run(orders, {"--seed=7"})
        assert.equal(first.host.printed, first.plain.printed)
        local second = support.run(orders, {"--seed=7"})
        assert.equal(first.host.printed, second.host.printed)
        assert.equal(first.plain.printed, second.plain.printed)
        assert.not_equal(first.host.printed, support.run_host(orders, {"--seed=8"}).printed)
    end)

    it("gives a test that runs alone the same order", function()
        local lines = lines_of(support.run_host(orders, {"--seed=7"}).printed)
        local alone = support.run_host(orders, {"--seed=7", "--filter=second"})
        local some = lines_of(alone.printed)
        assert.equal(2, #some)
        assert.equal(lines[4], some[2])
    end)

    it("is busted's, and shuffles its tests as ever", function()
        local text = [[
            for i = 1, 10 do
                it("test " .. i, function() io.write(i, " ") end)
            end
        ]]
        local directory = support.directory{["x_spec.lua"] = text}
        local arguments = {"--seed=5", "--shuffle", "x_spec.lua"}
        local helper = require "spec.helper"
        local stock = helper.plain(support.busted, {cwd = directory, args = arguments})
        local ours = support.host(directory, arguments)
        support.remove(directory)
        local order = stock.stdout:match("^[%d +]+")
        assert.equal(order, ours.stdout:match("^[%d +]+"))
        assert.not_matches("^1 %+2 %+3", order)
    end)

    it("may be absent: then the order is that of being ready", function()
        for _, line in ipairs(lines_of(support.run_host(orders).printed)) do
            assert.matches("^1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8 ", line)
        end
    end)

    it("set by a test ends with it", function()
        local result = support.run_host([[
            local tasklet = require "tasklet"
            it("draws", function() tasklet.set_seed(3) end)
            it("does not", function()
                local order = {}
                for i = 1, 12 do
                    tasklet.new(function() order[#order + 1] = i end)()
                end
                tasklet.sleep(1)
                for i = 1, 12 do
                    assert.equal(i, order[i])
                end
            end)
        ]])
        assert.equal("success", result.tests["does not"].status)
    end)
end)

describe("a race", function()
    -- The total is wrong if the last of four reads before the first has written.
    local race = [[
        local tasklet = require "tasklet"
        describe("a bank", function()
            it("adds up", function()
                local balance = 0
                local function deposit(amount)
                    local seen = balance
                    if amount == 40 then
                        tasklet.yield_() -- somebody may come in between
                    end
                    balance = seen + amount
                end
                local tasks = {}
                for i = 1, 4 do
                    tasks[i] = tasklet.new(deposit)(i * 10)
                end
                tasklet.join_all(tasks)
                assert.equal(100, balance)
            end)
            it("is something else", function() tasklet.sleep(1) end)
        end)
    ]]

    it("is not seen without a seed, is found by one, and comes again with it", function()
        local quiet = support.run_host(race)
        assert.equal("success", quiet.tests["a bank adds up"].status)
        assert.equal("", quiet.stderr)
        local found, first
        for seed = 1, 200 do
            first = support.run_host(race, {"--seed=" .. seed})
            if first.tests["a bank adds up"].status ~= "success" then
                found = seed
                break
            end
            assert.equal("", first.stderr)
        end
        assert.is_truthy(found)
        assert.equal("failure", first.tests["a bank adds up"].status)
        assert.equal(("seed %d: repeat with --seed %d\n"):format(found, found), first.stderr)
        local both = support.run(race, {"--seed=" .. found, "--filter=adds up"})
        for _, again in pairs(both) do
            assert.equal(first.tests["a bank adds up"].message,
                again.tests["a bank adds up"].message)
            assert.equal(first.stderr, again.stderr)
        end
    end)
end)
