local tasklet = require "tasklet"
local helper = require "spec.helper"

local WaitForMessages = tasklet.WaitForMessages

local COUNT = 200000

--- The processor time that `work(n)` takes, the least of `times` runs.
local function cost(work, n, times)
    local least = math.huge
    for _ = 1, times do
        collectgarbage()
        local before = os.clock()
        helper.within_loop(function() work(n) end)
        least = math.min(least, os.clock() - before)
    end
    return least
end

--- Work for an eighth of the messages must cost about an eighth: linear gives a ratio of 8, and
--- one rescan of what is deferred at every message gives 64, each time. What others do to the
--- machine's memory passes.
local function check_linear(work)
    local small, large = math.huge, math.huge
    for _ = 1, 5 do
        small = math.min(small, cost(work, COUNT // 8, 3))
        large = math.min(large, cost(work, COUNT, 1))
        if large < 24 * small then
            break
        end
    end
    local text = ("%.3f s for an eighth, %.3f s for all"):format(small, large)
    assert.is_true(large < 24 * small, text)
end

--- Sends `n` messages to `t`: each tenth is "later", the others are "now".
local function send_all(t, n)
    for i = 1, n do
        tasklet.send(t, i % 10 == 1 and "later" or "now", i)
    end
end

describe("deferred messages cost nothing #slow", function()
    it("5.4 while others are received as they come", function()
        check_linear(function(n)
            local t = tasklet.run(function()
                local wanted = WaitForMessages{accept = "now", defer = "later"}
                for _ = 1, n - n // 10 do
                    tasklet.wait(wanted)
                end
                return #tasklet.current().mailbox
            end)
            send_all(t, n)
            assert.equal(n // 10, tasklet.join(t))
        end)
    end)

    it("5.4 while others are received with a new condition each time", function()
        check_linear(function(n)
            local t = tasklet.run(function()
                for _ = 1, n - n // 10 do
                    tasklet.wait(WaitForMessages{accept = "now", defer = "later"})
                end
                return #tasklet.current().mailbox
            end)
            send_all(t, n)
            assert.equal(n // 10, tasklet.join(t))
        end)
    end)

    it("5.4 while others that were there before are received", function()
        check_linear(function(n)
            local t = tasklet.run(function()
                tasklet.sleep(0)
                local wanted = WaitForMessages{accept = "now", defer = "later"}
                local last = 0
                for _ = 1, n - n // 10 do
                    local value = tasklet.wait(wanted).value
                    assert(value > last)
                    last = value
                end
                local later = WaitForMessages{accept = "later"}
                for i = 1, n, 10 do
                    assert(tasklet.wait(later).value == i)
                end
                return #tasklet.current().mailbox
            end)
            send_all(t, n)
            assert.equal(0, tasklet.join(t))
        end)
    end)

    it("5.3 while the oldest are popped", function()
        check_linear(function(n)
            local me = tasklet.current()
            send_all(me, n)
            for i = 1, n do
                assert(me.mailbox:popleft().value == i)
            end
        end)
    end)
end)
