-- Very many children: none is left behind, and no descriptor.

local tasklet = require "tasklet"
local support = require "spec.process.support"

local run, process = support.run, tasklet.process

describe("a thousand children at once #slow", function()
    it("are killed at random, and all are collected", run(function()
        process.run { "true" } -- what is made once is there
        local before = support.descriptors()
        local random = 12345
        local ended = { exit = 0, signal = 0 }
        local all = {}
        for i = 1, 1000 do
            all[i] = tasklet.run(function()
                local child <close> = assert(process.spawn {
                    "sleep", i % 3 == 0 and 0.2 or 60, stdin = "null", stdout = "null",
                    stderr = "null",
                })
                tasklet.run(function()
                    random = (random * 1103515245 + 12345) % 2147483648
                    tasklet.sleep(random / 2147483648)
                    if i % 3 ~= 0 then
                        child:kill(i % 2 == 0 and "TERM" or "KILL")
                    end
                end)
                local _, how = child:wait()
                ended[how] = ended[how] + 1
            end)
        end
        tasklet.join_all(all)
        assert.same({ exit = 333, signal = 667 }, ended)
        assert.equal(0, support.zombies())
        collectgarbage()
        support.await(function() return support.descriptors() <= before end)
    end))

    it("are ended with their tasklets", run(function()
        local pids = {}
        local all = {}
        for i = 1, 1000 do
            all[i] = tasklet.run(function()
                local child = assert(process.spawn { "sleep", 60, stdin = "null", stdout = "null",
                    stderr = "null" })
                pids[#pids + 1] = child.pid
                tasklet.sleep(60)
            end)
        end
        for i = 1, 1000 do
            all[i]:kill()
        end
        support.await(function()
            local list = support.processes()
            for _, pid in ipairs(pids) do
                if list[pid] then
                    return false
                end
            end
            return true
        end, 60)
        assert.equal(1000, #pids)
    end))
end)

describe("a hundred runs", function()
    it("leave no descriptor and no process behind", run(function()
        process.run { "true" }
        local before = support.descriptors()
        local list = {}
        for i = 1, 100 do
            list[i] = function()
                return process.run({ "sh", "-c", "cat; echo " .. i, input = "in " }).stdout
            end
        end
        local results = tasklet.all(list)
        for i = 1, 100 do
            assert.equal("in " .. i .. "\n", results[i])
        end
        assert.equal(0, support.zombies())
        support.await(function() return support.descriptors() <= before end)
    end))
end)
