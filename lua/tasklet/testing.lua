-- The module tasklet.testing: specs whose bodies are tasklets, in virtual time. Here is what a spec
-- calls; testing_busted.lua puts itself between busted and the bodies, testing_leaks.lua looks for
-- what a test has left behind.
local M, core, load_part = ...

local T = {}

--- So many real seconds may a body take; negative: for ever.
T.limit = 10

--- So many seconds of virtual time may a body take; negative: any number.
T.virtual_limit = -1

local function check_inside(name)
    if not M.current() then
        core.raise_state("'%s' is for tasklets: none is running", name)
    end
end

-- Behind all others that wait for idleness.
local LAST = 2147483647

local function wait_idle()
    M.wait(M.WaitForIdle({ priority = LAST }))
end

-- Waits until nobody is ready. It is another tasklet that does it, so that the wait list of the
-- caller is left alone.
local function settle()
    repeat
        M.join(core.daemon(wait_idle))
    until M.getruncount() <= 1
end

--- Waits until nothing more can run without time passing.
function T.settle()
    check_inside("settle")
    settle()
end

--- Lets so much virtual time pass, even if something is under way outside, with all that is due in
--- it; then settles. With real time it waits so long.
---@param seconds number
function T.advance(seconds)
    core.check_number(1, "advance", seconds, 0)
    check_inside("advance")
    core.leap(seconds)
    if seconds > 0 then
        M.sleep(seconds)
    end
    settle()
end

-- Puts the clock back to what it was.
local clock_mt = { __close = function(guard) M.set_virtual_time(guard.before) end }

local function with_clock(is_virtual, f, ...)
    local _ <close> = setmetatable({ before = M.set_virtual_time(is_virtual) }, clock_mt)
    return f(...)
end

--- Calls `f` with the virtual clock.
---@param f function
---@return any ... what `f` returns
function T.virtual(f, ...)
    core.check_callable(1, "virtual", f)
    return with_clock(true, f, ...)
end

--- Calls `f` with the real clock.
---@param f function
---@return any ... what `f` returns
function T.real(f, ...)
    core.check_callable(1, "real", f)
    return with_clock(false, f, ...)
end

--- The place in the script, "file:line", that has called us: the nearest from a level on.
function core.script_place(level)
    for at = level + 1, 200 do
        local info = debug.getinfo(at, "Sl")
        if not info then
            break
        elseif info.currentline > 0 and not info.source:find("^=tasklet/")
            and not info.source:find("luassert[/\\]") then
            return info.short_src .. ":" .. info.currentline
        end
    end
    return "?"
end

local leaks = load_part("testing_leaks")(M, core)

--- What there is that was not there when the test began, one line each.
---@return string[]
function T.leaks()
    check_inside("leaks")
    return leaks.since_test()
end

-- If busted is about to run specs: it runs them our way from now on.
local busted = load_part("testing_busted")(M, core, T, leaks)
core.attach_busted = busted.attach
load_part("testing_match")(M, core, T)

--- Runs busted with these arguments, as `tasklet test` does. Ends the program, as busted does, if a
--- test fails.
---@param arguments string[]
function T.main(arguments)
    return busted.main(arguments)
end

return T
