local tasklet = require "tasklet"
local helper = require "spec.helper"

local LENGTH = 100000

--- Counts who finishes: in a chain the last link goes on first, then the one that woke it.
local function finish_line()
    local line = {count = 0, in_order = true}
    function line.pass(i)
        line.count = line.count + 1
        line.in_order = line.in_order and i == LENGTH + 1 - line.count
    end
    function line.check()
        assert.equal(LENGTH, line.count)
        assert.is_true(line.in_order)
    end
    return line
end

local function starting_chain(line)
    local function link(i)
        if i < LENGTH then
            tasklet.run(link, i + 1)
        end
        line.pass(i)
    end
    return link
end

describe("a chain of 100,000 tasklets #slow", function()
    after_each(function()
        collectgarbage()
    end)

    it("2.7 each starting the next", function()
        helper.within_loop(function()
            local line = finish_line()
            tasklet.run(starting_chain(line), 1)
            line.check()
        end)
    end)

    it("2.7 each starting the next, begun wherever a spec runs", function()
        local line = finish_line()
        tasklet.run(starting_chain(line), 1)
        line.check()
    end)

    it("2.7 each waking the next by a message", function()
        helper.within_loop(function()
            local line, links = finish_line(), {}
            for i = 1, LENGTH do
                links[i] = tasklet.run(function()
                    tasklet.wait(tasklet.WaitForMessages{accept = "go"})
                    if i < LENGTH and i % 2 == 0 then
                        tasklet.send(links[i + 1], "go")
                    elseif i < LENGTH then
                        coroutine.yield(tasklet.Message("go", {dest = links[i + 1]}))
                    end
                    line.pass(i)
                end)
            end
            tasklet.send(links[1], "go")
            line.check()
        end)
    end)

    it("2.7 each waking the next by a call", function()
        helper.within_loop(function()
            local line, calls = finish_line(), {}
            for i = 1, LENGTH do
                calls[i] = tasklet.WaitForCall{return_value = i}
                tasklet.run(function()
                    tasklet.wait(calls[i])
                    if i == LENGTH or calls[i + 1]() == i + 1 then
                        line.pass(i)
                    end
                end)
            end
            assert.equal(1, calls[1]())
            line.check()
        end)
    end)

    it("2.7 each waking the next by a signal", function()
        helper.within_loop(function()
            local line, emitters = finish_line(), {}
            for i = 1, LENGTH do
                emitters[i] = tasklet.Emitter{"go"}
                tasklet.run(function()
                    tasklet.wait(tasklet.WaitForSignal(emitters[i], "go"))
                    if i < LENGTH then
                        emitters[i + 1]:emit("go")
                    end
                    line.pass(i)
                end)
            end
            emitters[1]:emit("go")
            line.check()
        end)
    end)
end)
