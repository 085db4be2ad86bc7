-- Random numbers that depend on nothing but their seed: splitmix64.

local M = {}

---@class spec.model.Random
---@field state integer
local Random = {}
Random.__index = Random

---@param seed integer
---@return spec.model.Random
function M.new(seed)
    return setmetatable({ state = seed }, Random)
end

---@return integer # any 64 bits
function Random:bits()
    self.state = self.state + 0x9e3779b97f4a7c15
    local z = self.state
    z = (z ~ (z >> 30)) * 0xbf58476d1ce4e5b9
    z = (z ~ (z >> 27)) * 0x94d049bb133111eb
    return z ~ (z >> 31)
end

---@param low integer
---@param high integer
---@return integer # low to high, both included
function Random:int(low, high)
    return low + (self:bits() >> 1) % (high - low + 1)
end

---@param percent integer
---@return boolean # true so often
function Random:chance(percent)
    return self:int(1, 100) <= percent
end

---@generic T
---@param list T[]
---@return T
function Random:pick(list)
    return list[self:int(1, #list)]
end

---Picks from a list of `{weight, value}`.
---@param list {[1]: integer, [2]: any}[]
---@param total integer the sum of the weights
---@return any
function Random:weighted(list, total)
    local left = self:int(1, total)
    for _, entry in ipairs(list) do
        left = left - entry[1]
        if left <= 0 then
            return entry[2]
        end
    end
end

return M
