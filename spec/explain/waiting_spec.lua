-- What a tasklet says of itself: waiting_for and traceback.

local tasklet = require "tasklet"
local helper = require "spec.helper"

---@param f function
---@param ... any
---@return Tasklet
local function started(f, ...)
    return tasklet.new(f, {name = "t"}):start(...)
end

---What is waited for in `f`, with numbers and addresses left out.
---@param f function
---@return string?
local function waiting_for(f, ...)
    local t = started(f, ...)
    local text = t.waiting_for
    t:kill()
    return text and text:gsub("#%d+", "#n"):gsub("0x%x+", "0x.."):gsub("(%d+) ms", function(ms)
        return (tonumber(ms) > 50000 and "60000" or ms) .. " ms"
    end)
end

---@param name string
---@param f fun()
local function inside(name, f)
    it(name, function()
        helper.within_loop(f)
    end)
end

describe("t.waiting_for", function()
    inside("8.4 is nil for one that does not wait", function()
        assert.is_nil(tasklet.current().waiting_for)
        assert.is_nil(tasklet.new(print).waiting_for)
        assert.is_nil(tasklet.new().waiting_for)
        assert.is_nil(started(function() end).waiting_for)
        assert.is_nil(waiting_for(tasklet.yield_))
        assert.is_nil(waiting_for(tasklet.schedule_remove))
        local fired = tasklet.WaitForTimeout(0)
        local t = started(tasklet.wait, fired, tasklet.WaitForCall())
        assert.equal("WaitForTimeout(0 ms) or WaitForCall", t.waiting_for)
        tasklet.join(t)
        assert.is_nil(t.waiting_for)
    end)

    inside("8.4 is in words for verbs", function()
        local ch = tasklet.channel()
        local other = started(tasklet.sleep, 60)
        assert.equal("sleep: 5000 ms", waiting_for(tasklet.sleep, 5))
        assert.equal("join: the end of 't' #n", waiting_for(tasklet.join, other))
        assert.equal("join: the end of 't' #n or 2500 ms", waiting_for(tasklet.join, other, 2.5))
        assert.equal("send: a receiver on channel: 0x..", waiting_for(ch.send, ch, 1))
        assert.equal("receive: a sender on channel: 0x..", waiting_for(ch.receive, ch))
        assert.equal("receive: a sender on channel: 0x.. or 60000 ms",
            waiting_for(ch.receive, ch, 60))
        assert.equal("receive: a message", waiting_for(tasklet.receive()))
        assert.equal("receive: a message or 60000 ms", waiting_for(tasklet.receive(60)))
        assert.equal("receive_batch: 1 message", waiting_for(tasklet.receive_batch(3)))
        assert.equal("receive: a message in the mailbox of another",
            waiting_for(other.mailbox.popleft, other.mailbox))
        assert.equal("call: an answer of 't' #n", waiting_for(tasklet.call, other, "name"))
        assert.equal("call: an answer of 't' #n or 60000 ms",
            waiting_for(tasklet.call, other, "name", nil, 60))
        assert.equal("scope: the end of 't' #n", waiting_for(tasklet.scope, function(s)
            s:new(tasklet.sleep, {name = "t"}):start(60)
        end))
        other:kill()
    end)

    inside("8.4 tells of a full mailbox", function()
        local other = tasklet.new(tasklet.sleep, {name = "full", max_mailbox_len = 1}):start(60)
        tasklet.send(other, "first")
        assert.equal("send: room in the mailbox of 'full' #n",
            waiting_for(tasklet.send, other, "second"))
        assert.equal("call: an answer of 'full' #n and room in the mailbox of 'full' #n",
            waiting_for(tasklet.call, other, "third"))
        other:kill()
    end)

    inside("8.4 is a list for conditions", function()
        local other = started(tasklet.sleep, 60)
        local emitter = tasklet.Emitter{"done"}
        local Own = tasklet.WaitCondition:subclass("Own")
        local ch = tasklet.channel()
        assert.equal("WaitForTimeout(100 ms) or WaitForCall",
            waiting_for(tasklet.wait, tasklet.WaitForTimeout(100), tasklet.WaitForCall()))
        assert.equal("WaitForTasklet('t' #n)", waiting_for(tasklet.wait, other))
        assert.equal('WaitForSignal("done") or Own or WaitForMessages(accept a, b; defer c)',
            waiting_for(tasklet.wait, tasklet.WaitForSignal(emitter, "done"), Own(),
                tasklet.WaitForMessages{accept = {"a", "b"}, defer = "c"}))
        assert.equal("Own", waiting_for(tasklet.wait, Own()))
        assert.equal("WaitForChannel(receive)",
            waiting_for(tasklet.wait, tasklet.WaitForChannel(ch, "receive")))
        other:kill()
    end)

    it("8.4 is read only", function()
        local ok, err = pcall(function() tasklet.new().waiting_for = "x" end)
        assert.is_false(ok)
        assert.is_truthy(err:find("attribute 'waiting_for' of a tasklet is read-only", 1, true))
    end)
end)

describe("t:traceback()", function()
    inside("8.4 is that of the coroutine, with where it was started", function()
        local line = debug.getinfo(1, "l").currentline
        local function inner() tasklet.sleep(60) end
        local t = tasklet.new(function()
            inner()
            return nil
        end, {name = "sleeper"}):start()
        local expected = ("stack traceback:\n\t[C]: in function 'tasklet.sleep'\n"
            .. "\tFILE:%d: in upvalue 'inner'\n\tFILE:%d: in function <FILE:%d>\n"
            .. "\tin tasklet 'sleeper' #n (started at FILE:%d)"):format(line + 1, line + 3,
            line + 2, line + 2)
        local text = t:traceback():gsub("[^\t <(]*waiting_spec%.lua", "FILE"):gsub("#%d+", "#n")
        assert.equal(expected, text)
        t:kill()
    end)

    inside("8.4 includes generators, innermost first", function()
        local t = started(function()
            for _ in coroutine.wrap(function()
                local co = coroutine.create(function() tasklet.sleep(60) end)
                coroutine.resume(co)
            end) do
                error("not reached")
            end
        end)
        local text = t:traceback()
        local _, frames = text:gsub("waiting_spec%.lua:%d+: in ", "")
        assert.equal(3, frames, text)
        local _, heads = text:gsub("stack traceback", "")
        assert.equal(1, heads, text)
        t:kill()
    end)

    inside("8.4 of the current tasklet begins with the caller, in a generator, too", function()
        local line = debug.getinfo(1, "l").currentline + 1
        local text = tasklet.current():traceback()
        assert.is_truthy(text:find("^stack traceback:\n\t[^\n]*waiting_spec%.lua:" .. line), text)
        text = coroutine.wrap(function()
            return tasklet.current():traceback()
        end)()
        assert.is_truthy(text:find("^stack traceback:\n\t[^\n]*waiting_spec%.lua:" .. line + 3),
            text)
        assert.is_truthy(text:find("waiting_spec%.lua:" .. line + 2), text)
    end)

    inside("8.4 of one that failed is the error's; else there is none", function()
        local failed = started(function() error("oops") end)
        pcall(failed.join, failed)
        assert.is_truthy(failed:traceback():find("waiting_spec", 1, true))
        assert.is_truthy(failed:traceback():find("in tasklet 't' #%d+ %(started at "))
        assert.is_nil(started(function() end):traceback())
        assert.is_nil(tasklet.new(print):traceback())
        assert.is_nil(tasklet.new():traceback())
        local called = tasklet.new(function() end)()
        assert.is_nil(called:traceback())
        called:join()
        local killed = started(tasklet.sleep, 60)
        killed:kill()
        assert.is_nil(killed:traceback())
    end)

    inside("8.4 is cut short for a deep recursion", function()
        local function deep(n)
            if n == 0 then
                tasklet.sleep(60)
            end
            return deep(n - 1), nil
        end
        local t = started(deep, 10000)
        local text = t:traceback()
        assert.is_truthy(text:find("(started at", 1, true), text)
        assert.is_true(#text < 5000)
        t:kill()
    end)
end)
