-- Very many on one channel (contract 7.4).
local tasklet = require "tasklet"
local util = require "spec.channel.util"
local helper = require "spec.helper"

local WaitForChannel = tasklet.WaitForChannel

local COUNT = 100000

--- The processor time that `work(n)` takes, the least of `times` runs.
local function cost(work, n, times)
    local least = math.huge
    for _ = 1, times do
        collectgarbage()
        helper.within_loop(function()
            local measured = work(n)
            local before = os.clock()
            measured()
            least = math.min(least, os.clock() - before)
        end)
    end
    return least
end

--- Work for an eighth must cost about an eighth: linear gives a ratio of 8, quadratic one of 64.
local function check_linear(work)
    local small = cost(work, COUNT // 8, 3)
    local large = cost(work, COUNT, 1)
    local text = ("%.3f s for an eighth, %.3f s for all"):format(small, large)
    assert.is_true(large < 24 * small, text)
end

--- Starts n tasklets that stand on a channel, by each way in turn.
local function crowd(n, side)
    local ch, all = tasklet.channel(), {}
    for i = 1, n do
        if i % 4 == 0 then
            all[i] = tasklet.run(function() tasklet.wait(WaitForChannel(ch, side, i)) end)
        elseif side == "send" then
            all[i] = tasklet.run(function() ch:send(i) end)
        else
            all[i] = tasklet.run(function() return ch() end)
        end
    end
    assert(ch.balance == (side == "send" and n or -n))
    return ch, all
end

describe("100,000 on one channel #slow", function()
    for _, side in ipairs{"send", "receive"} do
        it(("7.4 to %s are killed, the last first"):format(side), function()
            check_linear(function(n)
                local ch, all = crowd(n, side)
                return function()
                    for i = n, 1, -1 do
                        all[i]:kill()
                    end
                    assert(ch.balance == 0)
                end
            end)
        end)

        it(("7.4 to %s are killed from both ends and the middle"):format(side), function()
            check_linear(function(n)
                local ch, all = crowd(n, side)
                return function()
                    for i = 1, n // 2 do
                        all[i % 2 == 0 and i or n + 1 - i]:kill()
                    end
                    for i = 1, n do
                        all[i]:kill()
                    end
                    assert(ch.balance == 0)
                end
            end)
        end)
    end

    it("7.4 are served, one after the other", function()
        check_linear(function(n)
            local ch, all = crowd(n, "receive")
            return function()
                for i = 1, n do
                    ch:send(i)
                end
                util.join_each(all)
            end
        end)
        check_linear(function(n)
            local ch, all = crowd(n, "send")
            return function()
                for i = 1, n do
                    assert(ch:receive() == i)
                end
                util.join_each(all)
            end
        end)
    end)

    it("7.4 hear that it is closed", function()
        check_linear(function(n)
            local ch, all = crowd(n, "receive")
            return function()
                ch:close()
                util.join_each(all)
            end
        end)
    end)

    it("7.4 are there when the program ends", function()
        for _, way in ipairs{"plain", "run_file"} do
            local result = helper[way] [[
                local tasklet = require "tasklet"
                local ch = tasklet.channel()
                for i = 1, 100000 do
                    tasklet.run(function() ch:send(i) end)
                end
                print(ch.balance)
                os.exit(0, true)
            ]]
            assert.equal("", result.stderr)
            assert.equal("100000\n", result.stdout)
            assert.equal(0, result.status)
        end
    end)
end)
