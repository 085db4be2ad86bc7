local tasklet = require "tasklet"
local helper = require "spec.helper"

local other

-- What would block; each raises if `block_trap` is set.
local blocking = {
    "tasklet.sleep(0.001)",
    "tasklet.join(other)",
    "tasklet.join(other, 1)",
    "tasklet.wait(tasklet.WaitForTimeout(0))",
    "tasklet.wait(tasklet.WaitForTimeout(1), tasklet.WaitForCall())",
    "tasklet.wait(other)",
    "coroutine.yield(tasklet.WaitForIdle())",
    "coroutine.yield(function() end)",
    "tasklet.current().mailbox:popleft()",
    "tasklet.current().mailbox:popleft(1)",
    "tasklet.join_all({other})",
    "coroutine.wrap(function() tasklet.sleep(1) end)()",
    "tasklet.channel():send(1)",
    "tasklet.channel():send(1, 0)",
    "tasklet.channel():receive()",
    "tasklet.channel():send_exception('error')",
    "tasklet.channel():send_sequence({1})",
    "for _ in tasklet.channel() do end",
    "tasklet.wait(tasklet.WaitForChannel(tasklet.channel(), 'send'))",
}

-- What only gives way.
local harmless = {
    "tasklet.schedule()", "tasklet.yield_()", "tasklet.sleep(0)", "tasklet.run(function() end)",
    "tasklet.new(function() end)():run()", "tasklet.new(function() end)():kill()",
    "tasklet.join(tasklet.run(function() end))", "tasklet.send(other, 'name')", "tasklet.pump()",
    "tasklet.Emitter{'go'}:emit('go')", "tasklet.WaitForCall()()",
    "coroutine.wrap(function() coroutine.yield(1) end)()",
    "local ch = tasklet.channel() tasklet.run(function() ch:receive() end) ch:send(1)",
    "local ch = tasklet.channel() tasklet.run(function() ch:send(1) end) ch:receive()",
    "tasklet.channel():close()",
}

local function with_trap(text)
    local t = tasklet.run(function()
        local f = load("local tasklet, other = ...\n" .. text, "=there")
        tasklet.current().block_trap = true
        local ok, err = pcall(f, tasklet, other)
        tasklet.current().block_trap = false
        tasklet.sleep(0.001) -- nothing of it was left armed
        return {ok, err}
    end)
    return tasklet.join(t, 10)
end

describe("block_trap", function()
    for _, text in ipairs(blocking) do
        it("7.2 raises at the caller's line instead of blocking: " .. text, function()
            helper.within_loop(function()
                other = tasklet.run(tasklet.sleep, 60)
                local result = with_trap(text)
                other:kill()
                assert.is_false(result[1])
                local err = result[2]
                assert.is_true(tasklet.TaskletError:is(err), tostring(err))
                assert.equal("there:2: the tasklet would block, and its block_trap is set",
                    err.message)
            end)
        end)
    end

    for _, text in ipairs(harmless) do
        it("7.2 lets it give way: " .. text, function()
            helper.within_loop(function()
                other = tasklet.run(tasklet.sleep, 60)
                local result = with_trap(text)
                other:kill()
                assert.is_true(result[1], tostring(result[2]))
            end)
        end)
    end

    it("7.2 leaves what is there to be taken", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                local me = tasklet.current()
                me.mailbox:append(tasklet.Message("name"))
                me.block_trap = true
                return me.mailbox:popleft().name
            end)
            assert.equal("name", tasklet.join(t))
        end)
    end)

    it("7.2 may be set from outside, and holds at the next wait", function()
        helper.within_loop(function()
            local t = tasklet.run(function()
                tasklet.sleep(0.001)
                return pcall(tasklet.sleep, 60)
            end)
            t.block_trap = true
            assert.is_false(tasklet.join(t))
        end)
    end)
end)
