local retry = require "retry"
local tasklet = require "tasklet"
local testing = require "tasklet.testing"

-- Fails so many times, then returns its number of calls.
local function failing(times)
    local calls = 0
    return function()
        calls = calls + 1
        if calls <= times then
            error("not yet", 0)
        end
        return calls
    end, function() return calls end
end

describe("retry", function()
    it("returns what the first try returns, at once", function()
        local before = tasklet.mainloop.now()
        assert.equal(1, retry.call((failing(0))))
        assert.equal(0, tasklet.mainloop.now() - before)
    end)

    it("pauses longer each time", function()
        local before = tasklet.mainloop.now()
        assert.equal(4, retry.call((failing(3))))
        assert.equal(1000 + 2000 + 4000, tasklet.mainloop.now() - before)
    end)

    it("gives up after days, which take no time", function()
        assert.not_resolves(86400, function()
            retry.call((failing(100)), {tries = 100, pause = 3600})
        end)
    end)

    it("raises the last error", function()
        assert.has_error(function() retry.call((failing(5))) end, "not yet")
    end)

    it("is looked at in the middle", function()
        local f, calls = failing(3)
        retry.start(tasklet.current(), f)
        assert.equal(1, calls())
        testing.advance(1)
        assert.equal(2, calls())
        testing.advance(1.999)
        assert.equal(2, calls())
        testing.advance(0.001)
        assert.equal(3, calls())
        assert.not_receives(tasklet.current(), "done")
        assert.receives(tasklet.current(), "done", 4)
        assert.equal(4, tasklet.current().mailbox:popleft(0).value)
    end)

    it("tells of a failure", function()
        retry.start(tasklet.current(), (failing(9)), {tries = 3})
        local message = tasklet.current().mailbox:popleft(10)
        assert.equal("failed", message.name)
        assert.equal("not yet", message.value)
    end)
end)
