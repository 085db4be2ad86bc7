-- A child that somebody else collected was said to have ended with "exit", 0, which nobody knew.
local helper = require "spec.helper"

describe("WaitForProcess", function()
    it("4.2 makes up no status for a child that somebody else collected", function()
        local result = helper.run_file([[
            local tasklet = require "tasklet"
            local file = io.popen("echo $$; exec sleep 60")
            local pid = file:read("n")
            local t = tasklet.run(function()
                local event = tasklet.wait(tasklet.WaitForProcess(pid))
                return event.reason, event.status
            end)
            require "luv".kill(pid, "sigterm")
            file:close() -- collects it, and stops everything meanwhile
            print(tasklet.join(t))
        ]], { options = { "--blocking-io" } })
        assert.same({ "nil\tnil\n", "", 0 }, { result.stdout, result.stderr, result.status })
    end)

    -- The one who closes took the other's watch away.
    it("4.2 and the close of a pipe both wait for one child", function()
        local result = helper.run_file [[
            local tasklet = require "tasklet"
            local file = io.popen("echo $$; exec sleep 60")
            local pid = file:read("n")
            local t = tasklet.run(function()
                local event = tasklet.wait(tasklet.WaitForProcess(pid))
                return event.reason, event.status
            end)
            require "luv".kill(pid, "sigterm")
            print(file:close())
            print(tasklet.join(t))
        ]]
        assert.same({ "nil\tsignal\t15\nsignal\t15\n", "", 0 },
            { result.stdout, result.stderr, result.status })
    end)
end)
