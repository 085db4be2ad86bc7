local tasklet = require "tasklet"
local helper = require "spec.helper"

--- What `f` raises when it is called with the rest.
local function caught(f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok, "did not raise")
    return err
end

local function timed_out()
    return caught(function() tasklet.current().mailbox:popleft(0) end)
end

local function join_failed(f, ...)
    return caught(tasklet.join, tasklet.run(f, ...))
end

describe("error classes", function()
    it("1.7 tell their own values from other values", function()
        helper.within_loop(function()
            local timeout = timed_out()
            local join = join_failed(error, "because", 0)
            assert.is_true(tasklet.TimeoutError:is(timeout))
            assert.is_true(tasklet.JoinError:is(join))
            assert.is_false(tasklet.TimeoutError:is(join))
            assert.is_false(tasklet.JoinError:is(timeout))
            assert.is_false(tasklet.TaskletExit:is(timeout))
            assert.is_false(tasklet.TaskletExit:is(join))
            for _, class in ipairs {"TaskletError", "TimeoutError", "JoinError", "TaskletExit"} do
                local strangers = {
                    false, true, 1, "text", {}, print, tasklet.Tasklet, {message = ""},
                }
                for _, stranger in ipairs(strangers) do
                    assert.is_false(tasklet[class]:is(stranger), class .. " " .. type(stranger))
                end
                assert.is_false(tasklet[class]:is(nil), class .. " nil")
            end
        end)
    end)

    it("1.7 have TaskletError as their base", function()
        helper.within_loop(function()
            assert.is_true(tasklet.TaskletError:is(timed_out()))
            local join = join_failed(function() tasklet.current():kill() end)
            assert.is_true(tasklet.TaskletError:is(join))
            assert.is_true(tasklet.TaskletExit:is(join.cause))
            assert.is_true(tasklet.TaskletError:is(join.cause))
        end)
    end)

    it("1.7 give a TimeoutError a message that tostring shows", function()
        helper.within_loop(function()
            local err = timed_out()
            assert.equal("string", type(err.message))
            assert.is_true(#err.message > 0)
            assert.is_truthy(tostring(err):find(err.message, 1, true))
        end)
    end)

    it("1.7 give a JoinError the very value that was raised", function()
        helper.within_loop(function()
            local value = setmetatable({}, {__tostring = function() return "my own error" end})
            local t = tasklet.run(error, value)
            local err = caught(tasklet.join, t)
            assert.is_true(rawequal(value, err.cause))
            assert.equal(t, err.tasklet)
            assert.is_truthy(tostring(err):find("my own error", 1, true))
        end)
    end)

    it("1.7 give a JoinError the text and the traceback of the failure", function()
        helper.within_loop(function()
            local fails = assert(load("\n\nerror('because')", "=there"))
            local err = join_failed(function()
                tasklet.sleep(0)
                fails()
            end)
            assert.equal("there:3: because", err.cause)
            assert.is_truthy(tostring(err):find("there:3: because", 1, true))
            assert.equal("string", type(err.traceback))
            assert.is_truthy(err.traceback:find("there:3:", 1, true))
        end)
    end)

    it("1.7 read well when a tasklet was killed", function()
        helper.within_loop(function()
            local t = tasklet.run(function() tasklet.sleep(60) end)
            t:kill()
            local err = caught(tasklet.join, t)
            assert.equal(t, err.tasklet)
            for _, value in ipairs {err, err.cause} do
                assert.is_nil(tostring(value):find("0x", 1, true), tostring(value))
                assert.is_true(#tostring(value) > 0)
                assert.equal("string", type(value.message))
            end
        end)
    end)

    it("1.7 stand for causes that are no strings", function()
        helper.within_loop(function()
            for _, value in ipairs {false, 42, {}, print} do
                local err = join_failed(error, value)
                assert.is_true(tasklet.JoinError:is(err))
                assert.is_true(rawequal(value, err.cause))
                assert.equal("string", type(tostring(err)))
            end
            local err = join_failed(error, nil)
            assert.is_true(tasklet.JoinError:is(err))
            assert.is_nil(err.cause)
            assert.equal("string", type(tostring(err)))
        end)
    end)

    it("1.7 stand for causes that tostring cannot show", function()
        helper.within_loop(function()
            local methods = {
                function() error("no text") end,
                function() return 5 end,
                function() tasklet.sleep(0.001) return "slept" end,
            }
            for _, method in ipairs(methods) do
                local value = setmetatable({}, { __tostring = method })
                local err = join_failed(error, value)
                assert.is_true(tasklet.JoinError:is(err))
                assert.is_true(rawequal(value, err.cause))
                assert.equal("string", type(tostring(err)))
                err = tasklet.join_all({ tasklet.run(error, value) })[1]
                assert.is_true(rawequal(value, err.cause))
                err = caught(tasklet.scope, function(s) s:run(error, value) end)
                assert.is_true(tasklet.JoinError:is(err))
                assert.is_true(rawequal(value, err.cause))
                err = caught(tasklet.any, { function() error(value) end })
                assert.is_true(rawequal(value, err.cause))
            end
        end)
    end)
end)
