-- The lint of running programs, which set_warn_slow turns on: what is warned of, and the search for
-- tasklets that wait in vain and mailboxes that only grow.
local _, core = ...

local warn = core.warn

local MANY, DOUBLINGS = 1000, 5 -- messages; from there on

local told = setmetatable({}, { __mode = "k" }) -- by tasklet: a set of what was said, with places
-- By tasklet: how many had been taken out of its mailbox, and how many were in it then.
local growing = setmetatable({}, { __mode = "k" })

-- Once for each tasklet and place.
local function tell(t, what, format, ...)
    local place, origin = core.where_is(t)
    local key = what .. (place or "")
    local said = told[t] or {}
    told[t] = said
    if not said[key] then
        said[key] = true
        warn("tasklet " .. core.quoted_name(t) .. format:format(...) .. (place and ", at " .. place
            or origin and ", started at " .. origin or ""))
    end
end

local formats = {
    slow = " has run for %d ms without waiting",
    itself = " has woken itself %d times in a row, and waits for nothing else",
}

--- Called by the core: a tasklet is slow, or does nothing but wake itself.
function core.lint_tell(t, what, n)
    if what == "slow" or core.where_is(t) then -- a loop of the library's own is no mistake
        tell(t, what, formats[what], n)
    end
end

local function look_at_waits(t)
    for _, wait in ipairs(core.waits_of(t)) do
        local reason = wait.target and core.idle_reasons[core.state_of(wait.target)]
        if reason then
            tell(t, "vain " .. core.number(wait.target), " waits for the end of %s, %s",
                core.quoted_name(wait.target), reason)
        end
    end
end

local function look_at_mailbox(t)
    local count, gone = core.mail_flow(t)
    local before = growing[t]
    if not before then
        before = { gone = 0, base = MANY }
        growing[t] = before
    end
    if before.gone ~= gone then
        before.gone, before.base = gone, math.max(count, MANY)
    elseif count >= before.base << DOUBLINGS then
        tell(t, "grows", " has %d messages in its mailbox, and takes none out", count)
    end
end

--- Called by the core after a turn of the loop.
function core.lint_scan()
    for _, t in ipairs(core.tasklets()) do
        look_at_waits(t)
        look_at_mailbox(t)
    end
end
