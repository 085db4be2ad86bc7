-- Children in specs that `tasklet test` runs: what is left behind is told, what ends by itself is
-- waited for, and virtual time waits for the world.

local helper = require "spec.helper"

---Runs the text as the body of a test.
---@param body string
---@return spec.Result, string # and what it wrote, to be searched
local function run_test(body)
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
    local path = directory .. "/one_spec.lua"
    local file = assert(io.open(path, "w"))
    file:write([[
        local tasklet = require "tasklet"
        local process = tasklet.process
        local quiet = { stdin = "null", stdout = "null", stderr = "null" }
        local function start(t)
            for k, v in pairs(quiet) do
                t[k] = t[k] or v
            end
            return process.spawn(t)
        end
        it("one", function()
            ]] .. body .. "\nend)\n")
    file:close()
    local result = helper.run({ "test", path }, { timeout = 60 })
    os.remove(path)
    os.remove(directory)
    return result, result.stdout .. result.stderr
end

describe("under tasklet test", function()
    it("a child that ends with the body is no leak", function()
        for _, body in ipairs {
            [[start { "sleep", 60 }]],
            [[local child <close> = process.spawn { "sleep", 60 }]],
            [[local child = start { "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.01; done",
                stdout = "pipe", grace = 0.05 }
              child.stdout:read("l")
              child.stdout:close()]],
            [[process.run { "true" }]],
        } do
            local result, text = run_test(body)
            assert.equal(0, result.status, text)
        end
    end)

    it("one that is detached is, and so is one of a tasklet that is left", function()
        local _, text = run_test [[start { "sleep", 60, detached = true }]]
        assert.truthy(text:find("leak: child %d+ %(sleep 60%), made at .-one_spec.lua:11"), text)
        _, text = run_test [[
            tasklet.run(function()
                start { "sleep", 60 }
                tasklet.sleep(60)
            end)
        ]]
        assert.truthy(text:find("leak: child %d+ %(sleep 60%), made at .-one_spec.lua:12"), text)
    end)

    it("a virtual clock does not jump while a child runs", function()
        local result, text = run_test [[
            tasklet.sleep(3600)
            assert.is_true(process.run({ "sleep", 0.05, timeout = 1000 }).ok)
            assert.is_true(process.run({ "sleep", 60, timeout = 0.1 }).timed_out)
        ]]
        assert.equal(0, result.status, text)
    end)
end)
