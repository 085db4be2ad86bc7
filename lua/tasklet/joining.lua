-- Joining several tasklets, and walking the tree of tasklets.
local M, core = ...

local Tasklet = M.Tasklet

-- How many join_alls each tasklet is in, where that is more than none.
local expected = setmetatable({}, { __mode = "k" })

local function expect(task, more)
    local count = (expected[task] or 0) + more
    expected[task] = count > 0 and count or nil
    core.expect(task, count > 0)
end

--- By tasklet that waits for the end of several: a list of them, or a scope. False where it
--- does not any more: to wait again takes no memory.
core.awaited = setmetatable({}, { __mode = "k" })

-- Closes a list that is being joined: failures that are still to come are nobody's.
local joining = { __close = function(list)
    if list.owner then
        core.awaited[list.owner] = false
    end
    for _, task in ipairs(list) do
        expect(task, -1)
    end
end }

-- Joins all of a list whose elements are tasklets.
local function join_all(list, timeout)
    local current = M.current()
    for i = 1, #list do
        if list[i] == current then
            core.raise_state("a tasklet cannot join itself")
        end
    end
    list = table.move(list, 1, #list, 1, {}) -- it may be changed meanwhile
    for i = 1, #list do
        expect(list[i], 1)
    end
    list.owner = current
    local _ <close> = setmetatable(list, joining)
    if current then
        core.awaited[current] = list
    end
    local results = {}
    local limit = timeout and timeout >= 0 and core.now() + timeout * 1000
    for i = 1, #list do
        local left = timeout
        if limit then
            left = math.max(limit - core.now(), 0) / 1000
        end
        local _, result = core.try_join(list[i], left)
        results[i] = result
    end
    return results
end

--- The first results of several tasklets, in the order of the list; a JoinError stands for each
--- that failed. Raises TimeoutError if it takes longer than `timeout` seconds altogether.
---@param list Tasklet[]
---@param timeout number? seconds; absent: the current tasklet's own deadline, else for ever
---@return table results
function Tasklet.join_all(list, timeout)
    core.check_list(1, "join_all", list, "Tasklet", core.is_tasklet)
    if timeout ~= nil then
        core.check_number(2, "join_all", timeout)
    end
    return join_all(list, timeout)
end

--- As join_all, for the children of the current tasklet that have begun.
---@param timeout number? seconds
---@return table results
function Tasklet.join_children(timeout)
    if timeout ~= nil then
        core.check_number(1, "join_children", timeout)
    end
    local current = M.current()
    if not current then
        core.raise_state("no tasklet is running")
    end
    local list = {}
    for _, child in ipairs(current:children()) do
        if core.has_begun(child) then
            list[#list + 1] = child
        end
    end
    return join_all(list, timeout)
end

--- Iterates over a tasklet and all below it: `for task, level in t:tree() do`. Parents come before
--- their children; the level of `t` is 0.
---@param task Tasklet
---@return fun(): Tasklet?, integer?
function Tasklet.tree(task)
    core.check_tasklet(1, "tree", task)
    local stack, levels = { task }, { 0 }
    return function()
        local top = #stack
        local current, level = stack[top], levels[top]
        if not current then
            return nil
        end
        stack[top], levels[top] = nil, nil
        local children = current:children()
        for i = #children, 1, -1 do
            stack[#stack + 1], levels[#levels + 1] = children[i], level + 1
        end
        return current, level
    end
end
