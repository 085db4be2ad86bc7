-- What the specs of channels share.
local M = {}

local helper = require "spec.helper"
local tasklet = require "tasklet"

--- The body of a case, run as a tasklet.
function M.within(body)
    return function() helper.within_loop(body) end
end

--- Starts a tasklet of that name at once.
---@param name string
---@param f function
function M.start(name, f, ...)
    return tasklet.new(f, {name = name}):start(...)
end

--- Starts one that sends `value` and is called `name`.
function M.sender(ch, name, value)
    return M.start(name, function()
        ch:send(value)
        return "sent"
    end)
end

--- Starts one that receives one value, returns it, and is called `name`.
function M.receiver(ch, name)
    return M.start(name, function() return ch:receive() end)
end

--- Starts one that waits by a WaitForChannel, returns the value, and is called `name`.
function M.waiter(ch, side, name, value)
    return M.start(name, function()
        return tasklet.wait(tasklet.WaitForChannel(ch, side, value)).value
    end)
end

--- The names of those who stand on a channel, found by `queue` and `next`; checks `prev` on the
--- way.
---@return string
function M.line(ch)
    local names, t, before = {}, ch.queue, nil
    while t do
        names[#names + 1] = t.name
        assert(t.prev == before, "prev is not whom next came from")
        t, before = t.next, t
    end
    return table.concat(names, " ")
end

--- Joins each.
function M.join_each(list)
    for _, t in ipairs(list) do
        tasklet.join(t)
    end
end

--- Calls f(...), which must raise an object of the class; returns that.
function M.raises(class, f, ...)
    local ok, err = pcall(f, ...)
    assert(not ok, "nothing was raised")
    assert(class:is(err), "another error: " .. tostring(err))
    return err
end

return M
