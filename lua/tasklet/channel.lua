-- What channels do beyond the rendezvous itself.
local _, core = ...

--- Sends what a list holds, or what an iterator gives, one after the other; returns how many.
---@param values table|function a list; or an iterator, with its state and first value as in `for`
---@return integer
function core.channel_methods:send_sequence(values, state, first)
    core.check_channel("send_sequence", self)
    core.check_sequence(1, "send_sequence", values)
    local count = 0
    if core.is_callable(values) then
        for value in values, state, first do
            self:send(value)
            count = count + 1
        end
    else
        for i = 1, #values do
            self:send(values[i])
            count = i
        end
    end
    return count
end
