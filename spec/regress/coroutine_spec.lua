-- Wounds of coroutines that scripts had in their hands while tasklets ran in them: crashes, all.
local tasklet = require "tasklet"
local helper = require "spec.helper"

local function within(f)
    return function() helper.within_loop(f) end
end

describe("a tasklet's coroutine", function()
    it("2.1 cannot be resumed or closed by a script, if it was given", within(function()
        local co = coroutine.create(function()
            tasklet.sleep(0.005)
            return "its own"
        end)
        local t = tasklet.run(co)
        assert.is_false((coroutine.resume(co)))
        assert.has_error(function() coroutine.close(co) end)
        assert.equal("its own", tasklet.join(t, 30))
        assert.equal("dead", coroutine.status(co))
    end))

    it("2.1 cannot be resumed by a script that got it from coroutine.running", within(function()
        local co
        local t = tasklet.run(function()
            co = coroutine.running()
            tasklet.wait(tasklet.WaitForTimeout(5))
            return "its own"
        end)
        assert.is_false((coroutine.resume(co, 1, 2, 3)))
        assert.equal("its own", tasklet.join(t, 30))
    end))

    it("3.1 cannot be started twice by one yield", within(function()
        local count = 0
        local co = coroutine.create(function() count = count + 1 end)
        local ok, err = pcall(tasklet.wait, co, co)
        assert.is_false(ok)
        assert.matches("bad argument #2 to '[%a.]*wait'", err)
        assert.equal(0, count)
        assert.is_true(coroutine.resume(co))
        assert.equal(1, count)
    end))

    it("3.9 does not lose a generator that waits in it to coroutine.close", within(function()
        local co = coroutine.create(function() tasklet.sleep(0.005) return "done" end)
        local t = tasklet.run(function() return select(2, coroutine.resume(co)) end)
        assert.has_error(function() coroutine.close(co) end)
        assert.equal("done", tasklet.join(t, 30))
    end))
end)
