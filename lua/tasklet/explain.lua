-- Why does it hang? The tree of all tasklets with what each waits for, and the report of a
-- deadlock. What is known of a tasklet comes from the core; here is how it is shown.
local M, core = ...

local getenv, stderr = core.standard.getenv, core.standard.stderr

local WIDTH = 100 -- of a dump, in columns
local NAME_WIDTH, PLACE_WIDTH = 32, 28
local MOST_LISTED, MOST_CYCLES = 20, 5 -- in a report of a deadlock

-- ---- texts ----

local function width(text)
    return utf8.len(text) or #text
end

-- Cuts a text that is too long: its end, or the beginning of a place in a file, as the end of that
-- says more.
local function clip(text, most)
    local length = width(text)
    if length <= most then
        return text
    end
    local is_utf8 = utf8.len(text) ~= nil
    if text:find(":%d+$") then
        local from = length - most + 4
        return "..." .. text:sub(is_utf8 and utf8.offset(text, from) or from)
    end
    return text:sub(1, (is_utf8 and utf8.offset(text, most - 2) or most - 2) - 1) .. "..."
end


-- What a script has named must not break a line.
local function clean(text)
    return (text:gsub("%c", "?"))
end

local function duration(seconds)
    if seconds < 60 then
        return ("%.1f s"):format(seconds)
    elseif seconds < 3600 then
        return ("%d min %d s"):format(seconds // 60, seconds % 60 // 1)
    elseif seconds < 86400 then
        return ("%d h %d min"):format(seconds // 3600, seconds % 3600 // 60)
    end
    return ("%d d %d h"):format(seconds // 86400, seconds % 86400 // 3600)
end

local function count_of(n, what)
    return ("%d %s%s"):format(n, what, n == 1 and "" or "s")
end

local function full_name(t)
    return clean(("%s #%d"):format(t.name, core.number(t)))
end

-- "mailbox 5: a 3, b 2"; nil if there is nothing in it.
local function mailbox_text(t)
    local count, outside, names = core.mail_of(t)
    if not count then
        return nil
    end
    local parts = {}
    for i, pair in ipairs(names) do
        parts[i] = clean(("%s %d"):format(pair[1], pair[2]))
    end
    local text = ("mailbox %d: %s"):format(count, table.concat(parts, ", "))
    if outside > 0 then
        text = ("%s; %s for room"):format(text,
            outside == 1 and "1 sender waits" or outside .. " senders wait")
    end
    return text
end

local function by_number(a, b)
    return core.number(a) < core.number(b)
end

function core.sorted_tasklets()
    local list = core.tasklets()
    table.sort(list, by_number)
    return list
end

-- ---- the dump ----

local colours = { running = "\27[32m", ready = "\27[33m", sending = "\27[33m" }
local faint, plain = "\27[2m", "\27[0m"

local function wants_colours(out)
    local term, no = getenv and getenv("TERM"), getenv and getenv("NO_COLOR")
    return core.is_terminal(out) and term and term ~= "dumb" and (no == nil or no == "")
end

-- What one line of the dump is made of.
local function row_of(t, level, shares)
    local state, seconds = core.state_of(t)
    local place, origin = core.where_is(t)
    local share = shares[core.number(t)] or 0
    local indent, number = ("  "):rep(math.min(level, 8)), " #" .. core.number(t)
    return {
        name = indent .. clip(clean(t.name), NAME_WIDTH - #indent - #number) .. number,
        state = state,
        time = seconds and duration(seconds) or "",
        share = share >= 0.01 and ("%d %%"):format(share * 100 // 1) or "",
        place = place or origin and "from " .. clip(origin, PLACE_WIDTH - 5) or "",
        what = clean(t.waiting_for or ""),
        mailbox = mailbox_text(t),
        indent = #indent + 4,
    }
end

local columns = { { "name", NAME_WIDTH }, { "state", 7 }, { "time", 12 }, { "share", 5 },
    { "place", PLACE_WIDTH } }

-- Adds the lines of `rows` to `lines`, in columns as wide as need be.
local function add_rows(lines, rows, widths, coloured)
    for _, row in ipairs(rows) do
        local cells = {}
        for i, column in ipairs(columns) do
            local key = column[1]
            if widths[key] > 0 then
                local cell = clip(row[key], column[2])
                local gap = (" "):rep(widths[key] - width(cell))
                local ahead = key == "time" or key == "share"
                cells[i] = (ahead and gap .. cell or cell .. gap) .. "  "
            else
                cells[i] = ""
            end
        end
        local used = width(table.concat(cells))
        local what = clip(row.what, WIDTH - used)
        if coloured then
            cells[2] = (colours[row.state] or row.state ~= "waiting" and faint or "") .. cells[2] ..
                plain
        end
        lines[#lines + 1] = (table.concat(cells) .. what):gsub("%s+$", "")
        if row.mailbox then
            lines[#lines + 1] = clip((" "):rep(row.indent) .. row.mailbox, WIDTH)
        end
    end
end

--- The text of a dump.
function core.dump_text(coloured)
    local shares, tasklets, daemons = core.shares(), {}, {}
    for _, root in ipairs(core.sorted_tasklets()) do
        if not root:parent() then
            local rows = root.daemon and daemons or tasklets
            for t, level in root:tree() do
                rows[#rows + 1] = row_of(t, level, shares)
            end
        end
    end
    local widths = {}
    for _, column in ipairs(columns) do
        widths[column[1]] = 0
    end
    for _, rows in ipairs { tasklets, daemons } do
        for _, row in ipairs(rows) do
            for _, column in ipairs(columns) do
                local key = column[1]
                widths[key] = math.max(widths[key], math.min(width(row[key]), column[2]))
            end
        end
    end
    local lines = { count_of(#tasklets, "tasklet") }
    add_rows(lines, tasklets, widths, coloured)
    if #daemons > 0 then
        lines[#lines + 1] = count_of(#daemons, "daemon")
        add_rows(lines, daemons, widths, coloured)
    end
    return table.concat(lines, "\n") .. "\n"
end

--- tasklet.dump.
function core.write_dump(out)
    if out == nil then
        core.require_capability("files")
        out = stderr
    end
    local ok, write = pcall(function() return out.write end)
    if not ok or not core.is_callable(write) then
        core.bad_argument(1, "dump", "object with a method 'write' expected, got " .. type(out))
    end
    return out:write(core.dump_text(wants_colours(out)))
end

-- ---- deadlocks ----

--- Why one that is joined does not end, by its state.
core.idle_reasons = { new = "which has not been called", paused = "which is paused",
    unbound = "which has no function" }

function core.quoted_name(t)
    return clean(("'%s' #%d"):format(t.name, core.number(t)))
end

-- Does it wait, other than the main tasklet for the end of the program?
local function hangs(t)
    return core.state_of(t) == "waiting" and not t.daemon and
        not t.waiting_for:find("^mainloop%.run:")
end

-- Adds to `lines` what there is to say about one.
local function add_report(lines, t)
    local place, origin = core.where_is(t)
    local _, seconds = core.state_of(t)
    local notes = {}
    for i, wait in ipairs(core.waits_of(t)) do
        local reason = wait.target and core.idle_reasons[core.state_of(wait.target)]
        notes[i] = (i > 1 and wait.link or "") .. wait.text .. (reason and ", " .. reason or "")
    end
    lines[#lines + 1] = ("\t%s%s"):format(core.quoted_name(t),
        origin and ", started at " .. origin or "")
    lines[#lines + 1] = ("\t\thas waited %s%s: %s"):format(duration(seconds),
        place and " at " .. place or "", clean(table.concat(notes)))
    local mailbox = mailbox_text(t)
    if mailbox then
        lines[#lines + 1] = "\t\t" .. mailbox
    end
end

local function targets_of(t)
    local targets = {}
    for _, wait in ipairs(core.waits_of(t)) do
        targets[#targets + 1] = wait.target
    end
    local others = core.awaited[t] or {}
    others = others.members and core.members(others) or others
    table.move(others, 1, #others, #targets + 1, targets)
    return targets
end

-- "cycle: a #2 -> b #3 -> a #2", from the one that is the oldest on.
local function cycle_text(path, first)
    local names, oldest = {}, first
    for i = first, #path do
        if by_number(path[i].task, path[oldest].task) then
            oldest = i
        end
    end
    local length = #path - first + 1
    for i = 0, length do
        names[#names + 1] = full_name(path[first + (oldest - first + i) % length].task)
    end
    return "\tcycle: " .. table.concat(names, " -> ")
end

-- Adds the cycles of who waits for whom that are met on the way from each of the list.
local function add_cycles(lines, list)
    local seen, found = {}, 0
    for _, start in ipairs(list) do
        local path, place = {}, {} -- from `start` to where we are; where each stands in it
        local function enter(t)
            seen[t] = true
            path[#path + 1] = { task = t, targets = targets_of(t), next = 1 }
            place[t] = #path
        end
        if not seen[start] then
            enter(start)
        end
        while #path > 0 and found < MOST_CYCLES do
            local top = path[#path]
            local target = top.targets[top.next]
            top.next = top.next + 1
            if not target then
                place[top.task] = nil
                path[#path] = nil
            elseif place[target] then
                found = found + 1
                lines[#lines + 1] = cycle_text(path, place[target])
            elseif not seen[target] then
                enter(target)
            end
        end
    end
end

--- The error that says why nothing goes on: `message` is the report, `tasklets` those that wait,
--- save one that may be left out.
function core.deadlock(left_out)
    local list = {}
    for _, t in ipairs(core.sorted_tasklets()) do
        if hangs(t) and t ~= left_out then
            list[#list + 1] = t
        end
    end
    local lines = { #list == 1 and "deadlock: nothing can ever wake the tasklet that waits"
        or ("deadlock: nothing can ever wake the %d tasklets that wait"):format(#list) }
    for i = 1, math.min(#list, MOST_LISTED) do
        add_report(lines, list[i])
    end
    if #list > MOST_LISTED then
        lines[#lines + 1] = ("\tand %d more"):format(#list - MOST_LISTED)
    end
    add_cycles(lines, list)
    return M.TaskletError(table.concat(lines, "\n"), { tasklets = list })
end
