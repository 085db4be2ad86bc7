-- What the specs of this directory share.
local helper = require "spec.helper"
local tasklet = require "tasklet"
local assert = require "luassert"
local lfs = require "lfs"

local M = {}

local made = {}

--- A body that runs in a loop, and leaves no descriptor behind.
---@param body fun(...)
function M.within(body)
    return function()
        helper.within_loop(function()
            local before = M.descriptors()
            body()
            for _, stream in ipairs(made) do
                stream:close()
            end
            made = {}
            collectgarbage()
            collectgarbage()
            -- What is closed sends what is left first.
            local due = tasklet.mainloop.now() + 10000
            while M.descriptors() > before and tasklet.mainloop.now() < due do
                tasklet.sleep(0.01)
                collectgarbage()
            end
            assert.is_true(M.descriptors() <= before,
                ("%d descriptors, %d before"):format(M.descriptors(), before))
        end)
    end
end

-- The library's own come and stay: an epoll set, an event for the loop.
local function is_own(target)
    return not target or target:find("^anon_inode:") ~= nil or target == "/dev/null"
end

--- How many sockets, pipes and files this process has open.
function M.descriptors()
    local count = 0
    for name in lfs.dir("/proc/self/fd") do
        if name:find("^%d") then
            local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
            count = count + (is_own(target) and 0 or 1)
        end
    end
    return count
end

--- Two connected streams of a sort: "unix" or "tcp"; they are closed after the body.
function M.pair(sort)
    local one, other
    if sort ~= "tcp" then
        one, other = tasklet.net.pair()
    else
        local server <close> = assert.is_truthy(tasklet.net.listen { host = "127.0.0.1", port = 0 })
        local _, port = server:sockname()
        one = assert.is_truthy(tasklet.net.connect { port = port })
        other = assert.is_truthy(server:accept(10))
    end
    made[#made + 1] = one
    made[#made + 1] = other
    return one, other
end

--- A stream that nothing more can be written to without a wait.
function M.fill(stream)
    local t = tasklet.run(function() stream:write(("x"):rep(16000000)) end)
    assert.is_false(t:has_finished())
    t:kill()
end

return M
