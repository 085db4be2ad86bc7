-- What the specs of this directory share.
local helper = require "spec.helper"
local tasklet = require "tasklet"

local M = {}

---Runs `f` in a tasklet with a directory of its own, which is gone afterwards.
---@param f fun(dir: string)
---@return function
function M.within(f)
    return function()
        helper.within_loop(function()
            local dir = assert(tasklet.fs.tempdir("tasklet-spec-"))
            local ok, err = xpcall(f, debug.traceback, dir)
            assert(tasklet.fs.remove(dir, { recursive = true }))
            assert(ok, err)
        end)
    end
end

return M
