-- Tasklets that call a function later, or again and again. Each is bound and not scheduled: call it
-- to start it; what it is called with goes to the function.
local M, core = ...

local Tasklet = M.Tasklet

local known = core.new_options
local known_interval = { immediate = "boolean" }
for name, type_name in pairs(known) do
    known_interval[name] = type_name
end

-- Behind by more than this, `rate` gives up what it has missed. Seconds.
local GIVE_UP = 1

-- A tasklet of `body` that is named after `f`.
local function bound(body, f, options)
    local name = options.name or core.function_name(f)
    return M.new(body, {
        name = name, daemon = options.daemon, max_mailbox_len = options.max_mailbox_len,
    })
end

local function handler(err)
    return { err = err, trace = core.traceback() }
end

-- Calls f. An error is logged, and the repetition goes on; the end of the tasklet passes.
local function guarded(f, ...)
    local ok, failure = xpcall(f, handler, ...)
    if not ok then
        if M.TaskletExit:is(failure.err) then
            error(failure.err, 0)
        end
        core.log(failure.err, failure.trace)
    end
    return ok
end

--- Calls `f` once, after some time.
---@param seconds number
---@param f function
---@param options table? as those of `new`
---@return Tasklet
function Tasklet.later(seconds, f, options)
    core.check_number(1, "later", seconds, 0)
    core.check_callable(2, "later", f)
    options = core.check_options(3, "later", options, known)
    return bound(function(...)
        M.sleep(seconds)
        return f(...)
    end, f, options)
end

--- Calls `f` again and again, with a pause between the end of one call and the next.
---@param seconds number the pause
---@param f function
---@param options table? as those of `new`, and `immediate`: the first call comes at once
---@return Tasklet
function Tasklet.interval(seconds, f, options)
    core.check_number(1, "interval", seconds, 0)
    core.check_callable(2, "interval", f)
    options = core.check_options(3, "interval", options, known_interval)
    local immediate = options.immediate
    return bound(function(...)
        if immediate then
            guarded(f, ...)
        end
        while true do
            M.sleep(seconds)
            guarded(f, ...)
        end
    end, f, options)
end

--- Calls `f` so many times a second in the long run, whatever it costs below the period: a call
--- that comes late does not put off those after it. `f` gets the time, in seconds of the clock of
--- mainloop.now(), before its other arguments.
---@param hz number calls a second
---@param f function
---@param options table? as those of `new`
---@return Tasklet
function Tasklet.rate(hz, f, options)
    core.check_number(1, "rate", hz)
    if hz <= 0 or hz == math.huge then
        core.bad_argument(1, "rate", "frequency must be positive")
    end
    core.check_callable(2, "rate", f)
    options = core.check_options(3, "rate", options, known)
    local period = 1 / hz
    return bound(function(...)
        local start, count = core.now() / 1000, 0
        while true do
            count = count + 1
            local time = core.now() / 1000
            local ahead = start + count * period - time
            if ahead > 0 then
                M.sleep(ahead)
            else
                M.yield_()
                if -ahead > math.max(GIVE_UP, period) then
                    start, count = time, 0
                end
            end
            guarded(f, M.mainloop.now() / 1000, ...)
        end
    end, f, options)
end

--- Calls `f` again and again, and lets others run in between. After an error there is a pause of a
--- second.
---@param f function
---@param options table? as those of `new`
---@return Tasklet
function Tasklet.loop(f, options)
    core.check_callable(1, "loop", f)
    options = core.check_options(2, "loop", options, known)
    return bound(function(...)
        while true do
            if guarded(f, ...) then
                M.yield_()
            else
                M.sleep(1)
            end
        end
    end, f, options)
end

--- Calls `f` with each message that the tasklet gets, whatever its name.
---@param f fun(message: Message, ...)
---@param options table? as those of `new`
---@return Tasklet
function Tasklet.receiver(f, options)
    core.check_callable(1, "receiver", f)
    options = core.check_options(2, "receiver", options, known)
    return bound(function(...)
        for message in M.receive() do
            guarded(f, message, ...)
        end
    end, f, options)
end
