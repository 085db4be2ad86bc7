-- Assertions for luassert: resolves, receives, no_leaks.
local M, core, T = ...

local function check(condition, n, name, expected, value)
    if not condition then
        error(("bad argument #%d to '%s' (%s expected, got %s)"):format(n, name, expected,
            type(value)), 0)
    end
end

-- Calls f under a deadline, a moment after the seconds: what takes just so long is in time. Returns
-- whether it returned; what it raised; the place where it waited when the time was over.
local function call_within(seconds, f)
    local place
    local limit <close> = core.limit(seconds + seconds * 2 ^ -50 + 1e-9)
    local ok, err = xpcall(f, function(err)
        if M.TimeoutError:is(err) and limit:over() then
            place = core.script_place(2)
        end
        return err
    end)
    return ok, err, place
end

-- resolves(within, f): f returns within so many seconds. What it raises passes.
local function resolves(state, arguments)
    local within, f = arguments[1], arguments[2]
    check(type(within) == "number", 1, "resolves", "number", within)
    check(core.is_callable(f), 2, "resolves", "function", f)
    local ok, err, place = call_within(within, f)
    if ok then
        return true
    elseif not place then
        error(err, 0)
    end
    state.failure_message = ("did not return within %g s: it waited at %s"):format(within, place)
    return false
end

-- receives(t, name, within): t is sent a message of that name, in the test so far, or until nothing
-- more can run, or within so many seconds.
local function receives(state, arguments)
    local t, name, within = arguments[1], arguments[2], arguments[3]
    check(core.is_tasklet(t), 1, "receives", "Tasklet", t)
    check(type(name) == "string", 2, "receives", "string", name)
    check(within == nil or type(within) == "number", 3, "receives", "number", within)
    if core.sent(t, name) then
        return true
    end
    T.advance(within or 0)
    if core.sent(t, name) then
        return true
    end
    state.failure_message = ("%s was sent no message '%s'"):format(tostring(t), name)
    return false
end

-- no_leaks(): nothing has been made since the test began that is still there.
local function no_leaks(state)
    local lines = T.leaks()
    if #lines == 0 then
        return true
    end
    state.failure_message = table.concat(lines, "\n")
    return false
end

--- Makes them known to luassert, if there is one.
function core.register_assertions()
    local ok, assert = pcall(require, "luassert")
    if not ok then
        return
    end
    local say = require("say")
    for name, f in pairs({ resolves = resolves, receives = receives, no_leaks = no_leaks }) do
        local positive = "assertion." .. name .. ".positive"
        local negative = "assertion." .. name .. ".negative"
        say:set(positive, "assertion '" .. name .. "' failed")
        say:set(negative, "assertion 'not " .. name .. "' failed")
        assert:register("assertion", name, f, positive, negative)
    end
end
