-- Scopes, deadlines and shields. What stops a wait lies in the core (a limit); here is who belongs
-- to a scope, and that its block is left only when all of them have ended. The idea is that of
-- Trio's nurseries.
local M, core = ...

--- Runs `f` under a deadline: a wait inside, however deep, and in every tasklet of the scopes that
--- are opened inside, raises TimeoutError when the time is over. Of nested deadlines the nearest
--- counts.
---@param seconds number negative: no deadline
---@param f function
---@return any ... what `f` returns
function M.with_deadline(seconds, f, ...)
    core.check_number(1, "with_deadline", seconds)
    core.check_callable(2, "with_deadline", f)
    if not M.current() then
        core.raise_state("no tasklet is running")
    end
    local _ <close> = core.limit(seconds)
    return f(...)
end

--- Runs `f`, in which a kill, or a deadline that was set outside, is held back until `f` returns or
--- the seconds, counted from now, are over.
---@param f function
---@param seconds number? absent or negative: as long as it takes
---@return any ... what `f` returns
function M.shield(f, seconds, ...)
    core.check_callable(1, "shield", f)
    if seconds ~= nil then
        core.check_number(2, "shield", seconds)
    end
    if not M.current() then
        core.raise_state("no tasklet is running")
    end
    local _ <close> = core.limit(seconds or -1, true)
    return f(...)
end

-- ---- members ----

---@class Scope
---@field members table a ring of entries, one a tasklet that has not ended; this is its head
---@field limit table
---@field owner Tasklet
---@field failure table? the JoinError to raise
---@field stopping boolean? all are killed
---@field killed boolean? by `kill`
---@field broken boolean? the body has failed
local Scope = {}
Scope.__index = Scope
Scope.__name = "scope"

local function join_error(t, err, trace)
    local name = t.name
    return M.JoinError(("tasklet '%s' failed: %s"):format(name, core.shown(err)),
        { cause = err, tasklet = t, traceback = trace, others = {} })
end

-- Puts all of them, and the body, to their end; they run when the caller hands over.
local function stop(scope)
    if scope.stopping then
        return
    end
    scope.stopping = true
    local entry = scope.members.next
    while entry ~= scope.members do
        core.kill(entry.task)
        entry = entry.next -- one that is out of the ring still leads back to its head
    end
    if not scope.left then
        scope.limit:cut()
    end
end

local function fail(scope, err, trace, t)
    if scope.broken or scope.over or not scope.limit:in_force() then
        if not (M.TimeoutError:is(err) and scope.limit:over()) then
            core.log(err, trace) -- what the scope raises is something else
        end
    elseif scope.failure then
        table.insert(scope.failure.others, join_error(t, err, trace))
    else
        scope.failure = join_error(t, err, trace)
        stop(scope)
    end
end

local function unlink(entry)
    entry.prev.next, entry.next.prev = entry.next, entry.prev
end

--- Called when a member has ended, or has been bound anew.
function core.left_scope(t, entry)
    local scope = entry.scope
    unlink(entry)
    local failed, err, trace = core.outcome(t)
    if scope.judge then
        scope.judge(scope, t, failed, err, trace)
    elseif failed and not M.TaskletExit:is(err) then
        fail(scope, err, trace, t)
    end
end

local function add(scope, t)
    local head = scope.members
    local entry = { task = t, scope = scope, prev = head.prev, next = head }
    scope.limit:adopt(t, entry) -- first: if there is no memory for it, it is no member
    head.prev.next, head.prev = entry, entry
    return t
end

local function check(scope, verb)
    if getmetatable(scope) ~= Scope then
        core.bad_self(verb, "scope", scope)
    elseif scope.over or not scope.limit:in_force() then
        core.raise_state("the scope has ended")
    end
end

--- Starts a tasklet that belongs to the scope; it runs at once, up to its first wait.
---@param f function
---@return Tasklet
function Scope:run(f, ...)
    check(self, "run")
    if not core.is_startable(f) then
        core.bad_argument(1, "run", "function or fresh coroutine expected, got " .. type(f))
    end
    local t = add(self, M.new(f)):start(...)
    if self.stopping then
        t:kill() -- too late: all are being ended
    end
    return t
end

--- Makes a tasklet that belongs to the scope: bound, to be called.
---@param f function
---@param options table? as those of `tasklet.new`
---@return Tasklet
function Scope:new(f, options)
    check(self, "new")
    core.check_options(2, "new", options, core.new_options)
    if not core.is_startable(f) then
        core.bad_argument(1, "new", "function or fresh coroutine expected, got " .. type(f))
    end
    return add(self, M.new(f, options))
end

--- Ends all tasklets of the scope, and its body at its next wait.
function Scope:kill()
    if getmetatable(self) == Scope and self.over then
        return
    end
    check(self, "kill")
    self.killed = true
    stop(self)
    core.hand_over()
end

function Scope:__tostring()
    return self.over and "scope (ended)" or "scope"
end

-- ---- the end ----

-- Lets those run that have been killed. Returns why not, if something came in between.
local function let_run()
    local ok, why = pcall(core.hand_over)
    return not ok and why or nil
end

--- A list of the members of a scope.
function core.members(scope)
    local list, entry = {}, scope.members.next
    while entry ~= scope.members do
        list[#list + 1] = entry.task
        entry = entry.next
    end
    return list
end

-- Waits for all members, if it can. Returns whether nothing came in between, and else what did.
local function wait_for_members(scope, ok, err)
    local head, idle, alone, shield = scope.members, nil, false, nil
    core.awaited[scope.owner] = scope
    while head.next ~= head do
        local entry = head.next
        if entry.task:has_finished() then
            core.leave_scope(entry.task) -- this runs below one of its join callbacks
            if head.next == entry then -- it has left, and there was no memory to say so
                unlink(entry)
            end
        elseif core.has_begun(entry.task) then
            idle, alone = nil, false
            local undisturbed, why = pcall(core.await, entry.task)
            if not undisturbed then
                if ok then
                    ok, err = false, why
                end
                stop(scope)
                let_run()
                if shield then
                    break -- it was no kill, and no deadline: nobody can wait here
                end
                shield = core.limit(-1, true)
            end
        elseif alone or entry == idle or scope.stopping then
            alone = true
            core.kill(entry.task) -- nobody is left who could call it
        else
            -- To the end of the ring; when it comes round again only such are left.
            idle = idle or entry
            head.next, entry.next.prev = entry.next, head
            entry.prev, entry.next = head.prev, head
            head.prev.next, head.prev = entry, entry
        end
    end
    core.awaited[scope.owner] = false
    if shield then
        shield:leave()
    end
    return ok, err
end

-- Ends the scope after its body. Returns whether it went well, and else what to raise.
local function finish(scope, ok, err)
    if not ok then
        scope.broken = not scope.stopping and not M.TaskletExit:is(err)
        stop(scope)
        let_run()
    end
    local broken = not ok and not M.TaskletExit:is(err)
    if M.current() == scope.owner then
        ok, err = wait_for_members(scope, ok, err)
    else
        stop(scope) -- its tasklet is being abandoned
        let_run()
    end
    scope.left = true
    local late = scope.limit:over() -- also that of a deadline around it
    scope.late = late
    scope.limit:leave()
    scope.over = true
    local failure = scope.failure
    if failure and late and M.TimeoutError:is(failure.cause) then
        return false, failure.cause
    elseif failure and not scope.broken then
        if broken then
            table.insert(failure.others, join_error(scope.owner, err))
        end
        return false, failure
    elseif not ok and scope.stopping and (scope.killed or scope.won) and M.TaskletExit:is(err) then
        return true
    end
    return ok, err
end

local function new_scope(options)
    local owner = M.current()
    if not owner then
        core.raise_state("no tasklet is running")
    end
    local scope = setmetatable({ owner = owner, members = {} }, Scope)
    core.awaited[owner] = core.awaited[owner] or false
    scope.members.next, scope.members.prev = scope.members, scope.members
    scope.limit = core.limit(options.deadline or -1)
    return scope
end

function Scope:__close(err)
    if self.over or not core.is_open() then
        return -- or the program ends, and with it everybody
    end
    local library = core.library(true)
    local ok, why = finish(self, err == nil, err)
    core.library(library)
    if not ok then
        error(why, 0)
    end
end

-- Calls the body, which is script code, out of the library's.
local function call_body(body, scope, library)
    core.library(library)
    return body(scope)
end

-- What a body that went well returns; else raises. An error of the body keeps its traceback.
local function run_scope(scope, body)
    local _ <close> = scope -- if an error comes in between
    local library, trace = core.library(true), nil
    local results = table.pack(xpcall(call_body, function(err)
        trace = not M.TaskletExit:is(err) and core.traceback() or nil
        return err
    end, body, scope, library))
    core.library(true)
    local ok, err = finish(scope, results[1], results[2])
    core.library(library)
    if not ok then
        if trace and rawequal(err, results[2]) then
            core.traces[scope.owner] = { err, trace }
        end
        error(err, 0)
    end
    if results[1] then
        return table.unpack(results, 2, results.n)
    end
end

--- Opens a scope for a block: `tasklet.scope(function(s) s:run(f) end)` returns when the body and
--- all tasklets that were started by `s:run` and `s:new` have ended. When one fails the body and
--- the others are killed, and a JoinError is raised. Without a body it returns the scope, to be
--- kept in a to-be-closed variable: `local s <close> = tasklet.scope()`.
---@param body fun(s: Scope): any ...
---@param options table? `deadline`: seconds, for the body and all tasklets
---@return any ... what the body returns
function M.scope(body, options)
    local by_block = body == nil or type(body) == "table" and not core.is_callable(body)
    if by_block then
        options = core.check_options(1, "scope", body, { deadline = "number" })
    else
        core.check_callable(1, "scope", body)
        options = core.check_options(2, "scope", options, { deadline = "number" })
    end
    local scope = new_scope(options)
    if by_block then
        return scope
    end
    return run_scope(scope, body)
end

local function check_functions(name, list)
    return core.check_list(1, name, list, "function", core.is_startable)
end

--- Runs functions as tasklets of one scope. Returns a list of their first results; when one fails
--- the others are killed and a JoinError is raised.
---@param list function[]
---@return table
function M.all(list)
    local functions, tasks = check_functions("all", list), {}
    run_scope(new_scope({}), function(s)
        for i = 1, #functions do
            tasks[i] = s:run(functions[i])
        end
    end)
    local results = {}
    for i = 1, #functions do
        results[i] = tasks[i].return_value
    end
    return results
end

--- Runs functions as tasklets of one scope, and returns the first result of the first that
--- succeeds; the others are killed. If none does, a JoinError with all failures in `others` is
--- raised.
---@param list function[]
---@return any
function M.any(list)
    local functions, failures, result = check_functions("any", list), {}, nil
    if #functions == 0 then
        core.bad_argument(1, "any", "the list is empty")
    end
    local scope = new_scope({})
    function scope.judge(s, t, failed, err, trace)
        if not failed and not s.won then
            s.won, result = true, t.return_value
            stop(s)
        elseif failed and not M.TaskletExit:is(err) then
            if s.won then
                core.log(err, trace) -- of a loser that was killed
            else
                failures[#failures + 1] = join_error(t, err, trace)
            end
        end
    end
    run_scope(scope, function(s)
        for i = 1, #functions do
            if s.won then
                return
            end
            s:run(functions[i])
        end
    end)
    if scope.won then
        return result
    end
    local first = failures[1]
    if scope.late and first and M.TimeoutError:is(first.cause) then
        error(first.cause, 0)
    end
    error(M.JoinError("none of them succeeded" .. (first and ": " .. first.message or ""),
        { cause = first and first.cause, tasklet = first and first.tasklet, others = failures }), 0)
end
