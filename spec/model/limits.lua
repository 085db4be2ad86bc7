-- The model's deadlines, shields and scopes (contract 6.4, 10.1, 10.2).
--
-- A tasklet is under limits: those that it has entered itself, a chain from the innermost outward,
-- then the kill, then, if it belongs to a scope, the limit of that and all that it is in.

---@class spec.model.Limit
---@field owner spec.model.Task
---@field outer? spec.model.Limit the next one that the owner has entered
---@field due? number
---@field over? boolean its time is over, and a wait or the loop has noticed
---@field shield? boolean
---@field cut? boolean the owner is to leave it, as if killed

---@param S spec.model.Scheduler
---@param api table
---@param fail fun(class: string, message: string, only_make?: boolean)
---@param exit fun(): table makes a TaskletExit
---@param is_exit fun(value: any): boolean
return function(S, api, fail, exit, is_exit)
    -- Walks outward from a limit of `task`. Calls f(limit, own) for each, and f(nil, true) where
    -- the kill stands, until it returns something.
    local function walk(task, limit, f)
        local t, own = task, true
        while true do
            while limit do
                local found = f(limit, own)
                if found ~= nil then
                    return found
                end
                limit = limit.outer
            end
            local found = nil
            if own then
                found = f(nil, true)
            end
            if found ~= nil or not t.scope then
                return found
            end
            limit, t, own = t.scope.limit, t.scope.owner, false
        end
    end

    ---What a wait of the tasklet raises now: "exit", "timeout" or nothing.
    function S:pending(task)
        return walk(task, task.limit, function(limit, own)
            if not limit then
                return task.killed and "exit" or nil
            elseif limit.shield then
                return not limit.over and "nothing" or nil
            elseif limit.over then
                return "timeout"
            end
            return own and limit.cut and "exit" or nil
        end)
    end

    local function expire(limit)
        limit.over = true
    end

    -- The tasklet is about to wait: what is over by now is noticed.
    local function look(task)
        local now = S:now()
        walk(task, task.limit, function(limit)
            if limit and limit.due and limit.due <= now and not limit.over then
                S:drop_timer(limit)
                expire(limit)
            end
        end)
    end

    ---Would a wait raise?
    function S:is_stopped(task)
        look(task)
        local pending = self:pending(task)
        return pending == "exit" or pending == "timeout"
    end

    ---Raises what is pending.
    function S:check_stopped(task)
        look(task)
        local pending = self:pending(task)
        if pending == "exit" then
            task.raise = nil
            error(exit(), 0)
        elseif pending == "timeout" then
            task.raise = nil
            fail("TimeoutError", "the deadline is over")
        end
    end

    ---Does it, or one around it, set a deadline that is over?
    local function deadline_over(limit)
        return walk(limit.owner, limit, function(l)
            if l and l.shield and not l.over then
                return false
            end
            return l and not l.shield and l.over or nil
        end) or false
    end

    local function enter(seconds, shield)
        local task = S.current
        local limit = { owner = task, outer = task.limit, shield = shield }
        task.limit = limit
        if seconds >= 0 then
            limit.due, limit.fire = S:now() + seconds * 1000, expire
            S:add_timer(limit)
        end
        return limit
    end

    local function leave(limit)
        local task = limit.owner
        S:drop_timer(limit)
        if task.limit == limit then
            task.limit = limit.outer
            return
        end
        local inner = task.limit
        while inner and inner.outer ~= limit do
            inner = inner.outer
        end
        if inner then
            inner.outer = limit.outer
        end
    end

    local function within(limit, f, ...)
        local results = table.pack(pcall(f, ...))
        leave(limit)
        if not results[1] then
            error(results[2], 0)
        end
        return table.unpack(results, 2, results.n)
    end

    local function check_current()
        if not S.current then
            fail("TaskletError", "no tasklet is running")
        end
    end

    function api.with_deadline(seconds, f, ...)
        check_current()
        return within(enter(seconds), f, ...)
    end

    function api.shield(f, seconds)
        check_current()
        return within(enter(seconds or -1, true), f)
    end

    function S:lift_cuts(task)
        local limit = task.limit
        while limit do
            limit.cut = nil
            limit = limit.outer
        end
    end

    -- ---- scopes ----

    local methods = {}
    methods.__index = methods

    local function join_error(task, err)
        local made = fail("JoinError", "failed", true)
        made.cause, made.tasklet, made.others = err, task.face, {}
        return made
    end

    -- The owner leaves the block where it waits, or at its next wait.
    local function cut(scope)
        local task = scope.owner
        scope.limit.cut = true
        if task.state ~= "handed" and task.state ~= "running" and S:pending(task) == "exit" then
            S:interrupt(task)
        end
    end

    local function stop(scope)
        if scope.stopping then
            return
        end
        scope.stopping = true
        for _, task in ipairs({ table.unpack(scope.members) }) do
            S:kill_later(task)
        end
        if not scope.left then
            cut(scope)
        end
    end

    local function member_failed(scope, task, err)
        if scope.broken or scope.over then
            if not (api.TimeoutError:is(err) and deadline_over(scope.limit)) then
                S.reports.surely = S.reports.surely + 1
            end
        elseif scope.failure then
            table.insert(scope.failure.others, join_error(task, err))
        else
            scope.failure = join_error(task, err)
            stop(scope)
        end
    end

    ---A tasklet ends.
    function S:leave_limits(task)
        while task.limit do
            leave(task.limit)
        end
    end

    ---Called when a tasklet has ended.
    function S:leave_scope(task)
        local scope = task.scope
        if scope then
            task.scope = nil
            self.remove(scope.members, task)
            if task.failed and not is_exit(task.error) then
                member_failed(scope, task, task.error)
            end
        end
    end

    local function check(scope)
        if scope.over then
            fail("TaskletError", "the scope has ended")
        end
    end

    function methods:new(f)
        check(self)
        local t = api.new(f)
        t.task.scope = self
        table.insert(self.members, t.task)
        return t
    end

    function methods:run(f, ...)
        check(self)
        local t = self:new(f):start(...)
        if self.stopping then
            t:kill()
        end
        return t
    end

    function methods:kill()
        if not self.over then
            self.killed = true
            stop(self)
            S:hand_over()
        end
    end

    local function first_begun(scope)
        for _, task in ipairs(scope.members) do
            if S.is_alive(task) then
                return task
            end
        end
    end

    local function wait_for_members(scope, ok, err)
        local shield
        while #scope.members > 0 do
            local task = first_begun(scope)
            if task then
                local calm, why = pcall(S.await, S, task)
                if not calm then
                    if ok then
                        ok, err = false, why
                    end
                    stop(scope)
                    pcall(S.hand_over, S)
                    if shield then
                        break
                    end
                    shield = enter(-1, true)
                end
            elseif scope.members[1].state == "ended" then
                S:leave_scope(scope.members[1]) -- this runs below one of its join callbacks
            else
                S:kill_later(scope.members[1]) -- nobody is left who could call it
            end
        end
        if shield then
            leave(shield)
        end
        return ok, err
    end

    -- What the call of the scope does after its body: returns whether it went well, and else what
    -- to raise.
    local function finish(scope, ok, err)
        if not ok then
            scope.broken = not scope.stopping and not is_exit(err)
            stop(scope)
            pcall(S.hand_over, S)
        end
        local broken = not ok and not is_exit(err)
        ok, err = wait_for_members(scope, ok, err)
        scope.left = true
        local late = deadline_over(scope.limit)
        leave(scope.limit)
        scope.over = true
        local failure = scope.failure
        if failure and late and api.TimeoutError:is(failure.cause) then
            return false, failure.cause
        elseif failure and not scope.broken then
            if broken then
                table.insert(failure.others, join_error(scope.owner, err))
            end
            return false, failure
        elseif not ok and scope.stopping and scope.killed and is_exit(err) then
            return true
        end
        return ok, err
    end

    function api.scope(body, options)
        check_current()
        local scope = setmetatable({ owner = S.current, members = {} }, methods)
        scope.limit = enter(options and options.deadline or -1)
        local results = table.pack(pcall(body, scope))
        local ok, err = finish(scope, results[1], results[2])
        if not ok then
            error(err, 0)
        elseif results[1] then
            return table.unpack(results, 2, results.n)
        end
    end
end
