-- Wounds of loops within loops and of ends in odd places.
local tasklet = require "tasklet"
local helper = require "spec.helper"

describe("a uv loop that a script runs", function()
    -- It took over the chain of hand-overs, and whoever stood in it was never resumed.
    it("8.2 in a join callback loses nobody's turn", function()
        local result = helper.run_file([[
            local tasklet, uv = require "tasklet", require "luv"
            local t = tasklet.run(function() tasklet.sleep(0.001) end)
            local go = tasklet.WaitForCall()
            local ending = tasklet.run(function() tasklet.wait(go) end)
            ending:add_join_callback(function() uv.run("nowait") end)
            go()
            print("caller went on")
            tasklet.join(t)
        ]])
        assert.same({ "caller went on\n", "", 0 },
            { result.stdout, result.stderr, result.status })
    end)

    it("8.2 in very many tasklets at once does not use up the stack", function()
        local result = helper.run_file([[
            local tasklet, uv = require "tasklet", require "luv"
            local n = 0
            for _ = 1, 20000 do
                tasklet.run(function()
                    tasklet.yield_()
                    uv.run("nowait")
                    n = n + 1
                end)
            end
            tasklet.mainloop.run()
            print(n)
        ]])
        assert.same({ "20000\n", "", 0 }, { result.stdout, result.stderr, result.status })
    end)
end)

describe("an end in an odd place", function()
    it("8.3 may be os.exit in a condition's arm", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local Own = tasklet.WaitCondition:subclass("Own")
            function Own:arm() os.exit(7) end
            tasklet.wait(Own())
        ]])
        assert.same({ 7, "" }, { result.status, result.stderr })
    end)

    it("4 may be a condition that a finalizer brought back", function()
        local back, ok, err
        helper.within_loop(function()
            do
                local messages = tasklet.WaitForMessages { accept = "x" }
                setmetatable({ messages }, { __gc = function(o) back = o[1] end })
            end
            collectgarbage()
            collectgarbage()
            assert.is_not_nil(back)
            ok, err = pcall(tasklet.wait, back, tasklet.WaitForTimeout(1))
        end)
        assert.is_false(ok)
        assert.matches("bad argument #1", err)
    end)
end)

describe("a wait where Lua itself is in the way", function()
    -- It named the C function '?'.
    it("3.9 says so", function()
        local Own = tasklet.WaitCondition:subclass("Own")
        function Own:arm() tasklet.sleep(0) end
        helper.within_loop(function()
            local _, err = xpcall(error, function()
                return select(2, pcall(tasklet.sleep, 0))
            end)
            assert.matches("cannot wait inside a hook, a message handler", tostring(err))
            _, err = pcall(tasklet.wait, Own())
            assert.matches("a method of a condition", tostring(err))
        end)
    end)
end)

describe("popleft", function()
    -- Woken by a message that somebody else took, it waited without its timeout.
    it("5.3 is not robbed by one that does not wait, and keeps its timeout", function()
        helper.within_loop(function()
            local owner = tasklet.run(function() tasklet.sleep(60) end)
            local box, got, stolen, stop = owner.mailbox, 0, 0, false
            local patient = tasklet.run(function()
                while true do
                    local ok, err = pcall(box.popleft, box, 0.02)
                    if not ok then
                        return tasklet.TimeoutError:is(err)
                    end
                    got = got + 1
                end
            end)
            local thief = tasklet.run(function()
                while not stop do
                    helper.compute(0.02) -- it is always ready: the clock stands but for this
                    stolen = stolen + (pcall(box.popleft, box, 0) and 1 or 0)
                    tasklet.yield_()
                end
            end)
            for _ = 1, 4 do
                tasklet.yield_()
                tasklet.send(owner, "x")
            end
            assert.is_true((tasklet.join(patient, 10)))
            stop = true
            tasklet.join(thief, 10)
            assert.same({4, 0}, {got, stolen})
            owner:kill()
        end)
    end)
end)
