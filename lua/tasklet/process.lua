-- Child processes: tasklet.process. What must be done in C is in src/process.c; here is the policy:
-- what is checked, who ends with whom, how an end comes about.
--
-- A child's state is apart from the object that scripts hold: the child goes its way if that is
-- dropped. Two tasklets of the library's own serve it: the reaper from the beginning, which notes
-- how it ended; the ender from the moment when it is to end.
local M, core = ...

local sys, open_stream = core.children, M.stream
local checks = core.process_checks
local bad, type_name = checks.bad, checks.type_name

local Process = {}
M.process = Process

-- Seconds between TERM and KILL, unless the option `grace` says otherwise.
local GRACE = 2
-- Seconds that those may take to go who have been killed.
local LAST = 1
-- Milliseconds after which a group is looked at again whose members cannot be watched, where the
-- system has no pidfds.
local AGAIN = 20
local STDIO = { "stdin", "stdout", "stderr" }

---@class ChildState
---@field pid integer
---@field name string the program
---@field detached boolean?
---@field terminal boolean?
---@field grace number
---@field owner Tasklet? it ends with that one
---@field reaper Tasklet has ended when the child has
---@field latch Tasklet? has ended when the child has, or was closed
---@field linger WaitForCall? called when what it has left behind is to end
---@field ender Tasklet? has ended when the whole group has
---@field over boolean? the child has ended
---@field reason string?
---@field status integer?
---@field closed boolean?
---@field released boolean? its group is of no interest any more

local states = setmetatable({}, { __mode = "k" }) -- by the object
local owned = setmetatable({}, { __mode = "k" }) -- by tasklet: a set of states
local ending = {} -- a set of states that have an ender, and of which something is left

local function name_of(state)
    return ("child %d '%s'"):format(state.pid, state.name)
end

-- ---- how a child ends ----

local function release(state)
    if not state.released then
        state.released = true
        sys.release(state.pid)
        ending[state] = nil
        local set = state.owner and owned[state.owner]
        if set then
            set[state] = nil
        end
    end
end

-- Waits until one of those who are left in the group of a child that has ended ends. False: nobody
-- is left. Nil: somebody is, and `limit` has fired.
local function await_member(state, limit)
    local member = sys.alive(state.pid) and sys.member(state.pid)
    if not member then
        return false
    end
    local ended = member == true and M.WaitForTimeout(AGAIN) or M.WaitForIO(member)
    local event = M.wait(ended, limit)
    if member ~= true then
        sys.close(member)
    end
    return event ~= limit or nil
end

-- Waits until nobody is left. False: somebody is, and `limit` has fired.
local function await_group(state, limit)
    local more
    repeat
        more = await_member(state, limit)
    until not more
    return more == false
end

-- What a child leaves behind is its group's, and ends with the tasklet as it would have.
local function linger(state)
    state.linger = M.WaitForCall()
    if await_group(state, state.linger) then
        release(state)
    end
end

local function reap(state)
    local ended = M.WaitForProcess(state.pid)
    M.wait(ended)
    state.reason, state.status, state.over = ended.reason, ended.status, true
    if not state.ender then
        if not state.detached and sys.alive(state.pid) then
            core.daemon(function() linger(state) end)
        else
            release(state)
        end
    end
end

-- TERM, a while, KILL.
local function end_group(state)
    local pid = state.pid
    M.current().daemon = false -- the program goes on until this is over
    local limit = M.WaitForTimeout(state.grace * 1000)
    local late = false
    if not state.over then
        late = M.wait(M.WaitForTasklet(state.reaper), limit) == limit
    end
    if not late and not await_group(state, limit) then
        late = true
    end
    if late then
        sys.send(pid, sys.signal_number("KILL"))
        core.await(state.reaper)
        await_group(state, M.WaitForTimeout(LAST * 1000))
    end
    release(state)
end

local function end_child(state)
    if state.ender or state.released then
        return
    end
    if state.linger then
        state.linger()
    end
    if state.terminal then
        sys.send(state.pid, sys.signal_number("HUP"))
    end
    sys.send(state.pid, sys.signal_number("TERM"))
    sys.send(state.pid, sys.signal_number("CONT"))
    if not sys.closing() then -- else the teardown does the rest
        state.ender = true -- it may be over when daemon returns
        ending[state] = true
        state.ender = core.daemon(function() end_group(state) end, name_of(state))
    end
end

--- Ends what os.execute has started and nobody waits for any more.
function core.end_command(pid)
    local state = { pid = pid, name = "sh", grace = GRACE }
    state.reaper = core.daemon(function() reap(state) end, name_of(state))
    end_child(state)
end

--- Waits until those are gone that are about to end.
function core.await_children()
    local state = next(ending)
    while state do
        core.await(state.ender)
        state = next(ending)
    end
end

--- Called when a tasklet that owns children has ended.
function core.end_children(t)
    local set = owned[t]
    if set then
        owned[t] = nil
        for state in pairs(set) do
            end_child(state)
        end
    end
end

-- ---- starting ----

local function env_list(env)
    local list = {}
    for name, content in pairs(env) do
        list[#list + 1] = name .. "=" .. content
    end
    table.sort(list)
    return list
end

-- Descriptors that are closed unless they are let go of.
local Descriptors = {
    __close = function(set)
        for fd in pairs(set) do
            sys.close(fd)
        end
    end,
}

-- The ends of a terminal: what the child gets, and the descriptors of this side.
local function make_terminal(pty, kept, lent)
    local size = type(pty) == "table" and pty or {}
    local master, slave, code = sys.terminal(size.rows or 24, size.columns or 80)
    if not master then
        return nil, slave, code
    end
    kept[master], lent[slave] = true, true
    local again, message, why = sys.duplicate(master)
    if not again then
        return nil, message, why
    end
    kept[again] = true
    return { stdin = slave, stdout = slave, stderr = slave },
        { stdin = again, stdout = master }
end

-- The same for pipes and whatever else the options say.
local function make_ends(options, default, kept, lent)
    local given, own = {}, {}
    for i, name in ipairs(STDIO) do
        local how = options[name] or default[name]
        if how == "null" then
            given[name] = -1
        elseif how == "inherit" then
            given[name] = i - 1
        elseif how == "stdout" then
            given[name] = given.stdout
        elseif how == "pipe" then
            local reads, writes, code = sys.pipe()
            if not reads then
                return nil, writes, code
            end
            if i == 1 then
                given[name], own[name] = reads, writes
            else
                given[name], own[name] = writes, reads
            end
            lent[given[name]], kept[own[name]] = true, true
        else
            local fd, message, code
            if math.type(how) == "integer" then
                fd, message, code = sys.duplicate(how)
            else
                fd, message, code = sys.for_child(checks.descriptor_of(how))
            end
            if not fd then
                return nil, message, code
            end
            given[name], lent[fd] = fd, true
        end
    end
    return given, own
end

-- A child that reads the terminal of this process must be in the group that may.
local function place_of(options, given)
    if options.pty then
        return "terminal"
    elseif options.detached then
        return "session"
    elseif given.stdin == 0 and sys.is_terminal(0) then
        return "joined"
    end
    return "group"
end

local new_child -- makes the object

-- Starts a child: the object, or nil, a message, a code. `default` says what its ends are unless
-- the options do.
local function start(words, options, default)
    local kept <close> = setmetatable({}, Descriptors)
    local lent <close> = setmetatable({}, Descriptors)
    local given, own, code
    if options.pty then
        given, own, code = make_terminal(options.pty, kept, lent)
    else
        given, own, code = make_ends(options, default, kept, lent)
    end
    if not given then
        return nil, own, code
    end
    given.place = place_of(options, given)
    given.env = options.env and env_list(options.env)
    given.cwd = options.cwd
    given.outlives = options.detached
    local streams = {}
    for _, name in ipairs(STDIO) do
        local fd = own[name]
        if fd then
            kept[fd] = nil -- it is the stream's from now on, also if that cannot be made
            local stream, message, why = open_stream(fd)
            if not stream then
                return nil, message, why
            end
            streams[name] = stream
        end
    end
    local pid, message, why = sys.start(words, given)
    if not pid then
        for _, stream in pairs(streams) do
            stream:close()
        end
        return nil, message, why
    end
    local state = {
        pid = pid, name = words[1], detached = options.detached, terminal = options.pty and true,
        grace = options.grace or GRACE, owner = not options.detached and M.current() or nil,
    }
    if core.note_child then
        core.note_child(pid)
    end
    local child = new_child(pid, streams.stdin, streams.stdout, streams.stderr)
    states[child] = state
    state.reaper = core.daemon(function() reap(state) end, name_of(state))
    if state.owner and not state.released then
        local set = owned[state.owner]
        if not set then
            set = {}
            owned[state.owner] = set
            core.owns(state.owner)
        end
        set[state] = true
    end
    return child, state
end

-- ---- the object ----

---@class Child : WaitForProcess
---@field pid integer
---@field stdin Stream?
---@field stdout Stream?
---@field stderr Stream?
---@field reason string? how it ended: "exit" or "signal"
---@field status integer? the code, or the signal
local Child = {}

-- The state of what a method was called on.
local function state_of(child, name)
    local state = states[child]
    if not state then
        core.bad_self(name, "child", child)
    end
    return state
end

local function outcome(state)
    if state.over and state.reason then
        return state.reason == "exit" and state.status == 0 or nil, state.reason, state.status
    elseif state.over then
        return nil, "it is not known how the child ended", "ECHILD"
    end
    return nil, "the child was closed", "closed"
end

--- Waits until the child has ended: true or nil, "exit" or "signal", and the code, as os.execute
--- has them.
---@param timeout number? seconds
---@return boolean? ok
---@return string reason
---@return integer|string code
function Child:wait(timeout)
    local state = state_of(self, "wait")
    if timeout ~= nil then
        core.check_number(1, "wait", timeout)
    end
    if not state.over and not state.closed then
        if not state.latch then
            state.close_latch = M.WaitForCall()
            state.latch = core.daemon(function()
                M.wait(M.WaitForTasklet(state.reaper), state.close_latch)
            end, name_of(state))
        end
        if not core.within(state.latch, timeout) then
            return nil, "the child is still running", "timeout"
        end
    end
    return outcome(state)
end

--- Sends a signal to the child's process group.
---@param signal integer|string? a number, "TERM" or "SIGTERM"; TERM if absent
---@return boolean? ok
---@return string? message
---@return string? code
function Child:kill(signal)
    local state = state_of(self, "kill")
    local number
    if signal == nil or type(signal) == "string" then
        number = sys.signal_number(signal or "TERM")
        if not number then
            bad("kill", ("there is no signal '%s'"):format(signal))
        end
    else
        number = type(signal) == "number" and math.tointeger(signal)
        if not number or number < 0 or number > 64 then
            bad("kill", ("signal's name or number expected, got %s"):format(
                math.type(signal) and tostring(signal) or type_name(signal)))
        end
    end
    if state.released or not sys.send(state.pid, number) then
        return nil, "the child has ended", "ESRCH"
    end
    return true
end

--- Closes the child's streams. Unless it is detached it ends: TERM, and KILL after a while; that
--- goes on in the background. Whoever waits for it is told "closed".
function Child:close()
    local state = state_of(self, "close")
    if state.closed then
        return true
    end
    state.closed = true
    for _, name in ipairs(STDIO) do
        if self[name] then
            self[name]:close()
        end
    end
    if state.detached then
        release(state)
    else
        end_child(state)
    end
    if state.close_latch then
        state.close_latch()
    end
    return true
end

-- Finds the pattern that matches first: {index, captures...}, and the place where it ends.
local function match(text, patterns)
    local best, found
    for i, pattern in ipairs(patterns) do
        local result = table.pack(text:find(pattern))
        if result[1] and (not found or result[1] < found[1]) then
            best, found = i, result
        end
    end
    if not found then
        return nil
    elseif found.n == 2 then
        return { best, text:sub(found[1], found[2]), n = 2 }, found[2]
    end
    return { best, n = found.n - 1, table.unpack(found, 3, found.n) }, found[2]
end

-- What has been read and is not used is given back to the stream, however the reading ends.
local Reading = {
    __close = function(reading)
        if not sys.closing() then
            reading.task:kill()
            core.give_back(reading.stream, reading.text)
        end
    end,
}

local function expect(stream, patterns, timeout)
    local reading <close> = setmetatable({ stream = stream, text = "" }, Reading)
    local result, message, code
    reading.task = core.daemon(function()
        repeat
            local data, place
            data, message, code = stream:read_some()
            if data then
                reading.text = reading.text .. data
                result, place = match(reading.text, patterns)
                if result then
                    reading.text = reading.text:sub(place + 1)
                end
            end
        until result or not data
    end, "expect")
    core.expect(reading.task, true)
    if not core.within(reading.task, timeout) then
        return nil, "nothing that was expected has come", "timeout"
    end
    local failed, err = core.outcome(reading.task)
    if failed then -- somebody else reads from it
        error(M.TaskletError(core.caller() .. core.shown(err)), 0)
    elseif not result then
        return nil, message or "the output has ended", code or "closed"
    end
    return table.unpack(result, 1, result.n)
end

--- Reads the child's output until one of the patterns matches: its index and captures, the whole
--- match if there are none. Of several that match, the one that does so first in the text. What
--- stands behind the match stays unread, and so does all if nothing matches in time.
---@param options table patterns, and `timeout`: seconds
---@return integer? index
---@return string ...
function Child:expect(options)
    state_of(self, "expect")
    local patterns = checks.table("expect", options, checks.expect, checks.of_type("string"))
    for i, pattern in ipairs(patterns) do
        local ok, message = pcall(string.find, "", pattern)
        if not ok then
            bad("expect", ("at %d: %s"):format(i, message))
        end
    end
    if not self.stdout then
        core.raise_state("the child's output does not come here")
    end
    return expect(self.stdout, patterns, options.timeout)
end

function Child:__close()
    self:close()
end

function Child:__tostring()
    local state = states[self]
    local how = "running"
    if state.over and state.reason then
        how = ("%s %d"):format(state.reason, state.status)
    elseif state.over then
        how = "ended"
    elseif state.closed then
        how = "closed"
    end
    return ("%s (%s)"):format(name_of(state), how)
end

new_child = core.hidden_class("child", Child)

--- Starts a child: `spawn{"cmd", "arg", ..., cwd=, env=, stdin=, stdout=, stderr=, pty=, detached=,
--- grace=}`. It ends with the tasklet that starts it, unless `detached` is set.
---@param options table
---@return Child? child
---@return string? message
---@return string? code
function Process.spawn(options)
    local words = checks.words("spawn", options, checks.spawn)
    if options.pty and (options.stdin or options.stdout or options.stderr) then
        bad("spawn", "option 'pty': the child's ends are the terminal's, and not to be chosen")
    end
    local child, state, code = start(words, options,
        { stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    if not child then
        return nil, state, code
    end
    return child
end

core.process = {
    start = start, end_child = end_child, states = states, Descriptors = Descriptors,
}

-- Whole runs, and pipelines of them.
Process.run, Process.pipeline = core.process_runs.run, core.process_runs.pipeline
