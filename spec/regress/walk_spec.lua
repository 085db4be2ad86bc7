-- luv's uv.walk ended the process when it came to a handle of the library's.

local helper = require "spec.helper"
local tasklet = require "tasklet"
local uv = require "luv"

describe("uv.walk", function()
    it("shows luv's handles, which may be closed", function()
        helper.within_loop(function()
            local timer, pipe, seen = uv.new_timer(), uv.new_pipe(false), {}
            uv.walk(function(handle)
                seen[handle] = true
                if handle == timer then
                    handle:close()
                end
            end)
            assert.is_true(seen[timer] and seen[pipe])
            assert.is_true(timer:is_closing())
            assert.is_false(pipe:is_closing())
            pipe:close()
            tasklet.sleep(0.001)
        end)
    end)

    it("refuses what is no function", function()
        assert.error_matches(function() uv.walk(5) end, "function expected, got number")
    end)
end)
