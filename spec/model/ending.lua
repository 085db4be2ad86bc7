-- The model's blocking verbs, and how tasklets end (contract 6).

---@param S spec.model.Scheduler
---@param fail fun(class: string, message: string)
---@param exit fun(): table makes a TaskletExit
---@param is_exit fun(value: any): boolean
return function(S, fail, exit, is_exit)
    ---Raises if the running code cannot wait.
    function S:check_wait()
        local task = self.current
        if not task then
            fail("TaskletError", "cannot wait outside a tasklet")
        elseif not self:can_give_way() then
            fail("TaskletError", "cannot wait inside a C function")
        end
        self:check_stopped(task)
        return task
    end

    ---Raises if the current tasklet is not to block. A yield counts as blocking whatever is there;
    ---a verb only where it does.
    function S:check_trap()
        if self.current.block_trap then
            fail("TaskletError", "would block")
        end
    end

    -- ---- verbs: what they wait for stands beside the wait list ----

    ---@param verb table `leave` takes it from where it stands
    function S:verb(verb)
        verb.task = self.current
        table.insert(self.current.verbs, verb)
        return verb
    end

    local function verb_fired(verb)
        verb.pending = true
        if verb.task.state == "blocked" then
            for _, other in ipairs(verb.task.verbs) do
                if other.side then
                    other:leave() -- its time is over: nobody can meet it any more
                end
            end
            S:make_ready(verb.task, 0)
        end
    end

    ---@param due number
    function S:verb_timer(due)
        local verb = self:verb({ due = due, fire = verb_fired })
        function verb.leave()
            self:drop_timer(verb)
        end
        self:add_timer(verb)
        return verb
    end

    function S:verb_done(task)
        for _, verb in ipairs(task.verbs) do
            verb:leave()
        end
        task.verbs = {}
    end

    ---Suspends the current tasklet until one of its verbs' waits has fired. `take` is called before
    ---they are let go of, unless something is to be raised.
    ---@param take? fun()
    function S:block(take)
        local task = self.current
        task.state = "blocked"
        self:leave()
        if take and not task.raise then
            take()
        end
        self:verb_done(task)
        self:check_raise()
    end

    ---Lets all that are ready go first.
    function S:yield_()
        local task = self:check_wait()
        task.state = "ready"
        self:push(task, 0)
        self:leave()
        self:check_raise()
    end

    ---Somebody asks about a tasklet that may have failed, so it is not reported any more; if a turn
    ---of the loop has ended since, it was.
    function S:observe(target)
        if target.unseen then
            local kind = target.unseen == self.looks and "maybe" or "surely"
            self.reports[kind] = self.reports[kind] + 1
            target.unseen = nil
        end
    end

    ---Waits for the end of another, for no result.
    function S:await(target)
        self:check_wait()
        self:check_trap()
        local verb = self:verb({ ended = verb_fired })
        function verb.leave()
            self.remove(target.watchers, verb)
        end
        table.insert(target.watchers, verb)
        self:block()
    end

    local function outcome(target)
        S:observe(target)
        if target.failed then
            local err = fail("JoinError", "joined one that failed", true)
            err.cause, err.tasklet = target.error, target.face
            error(err, 0)
        end
        return table.unpack(target.results, 1, target.results.n)
    end

    ---@param seconds? number
    function S:join(target, seconds)
        if target.state == "ended" then
            return outcome(target)
        end
        local task = self:check_wait()
        if task == target then
            fail("TaskletError", "a tasklet cannot join itself")
        end
        self:check_trap()
        local verb = self:verb({ ended = verb_fired })
        function verb.leave()
            self.remove(target.watchers, verb)
        end
        table.insert(target.watchers, verb)
        if seconds and seconds >= 0 then
            self:verb_timer(self:now() + seconds * 1000)
        end
        self:block()
        if target.state ~= "ended" then
            fail("TimeoutError", "join took too long")
        end
        return outcome(target)
    end

    -- ---- the end ----

    ---Runs `f` as the loop does, outside any tasklet.
    local function outside(f, ...)
        local current = S.current
        S.current = nil
        local ok = pcall(f, ...)
        S.current = current
        if not ok then
            S.reports.surely = S.reports.surely + 1
        end
    end

    function S:call_callbacks(task)
        local list = table.move(task.callbacks, 1, #task.callbacks, 1, {})
        for _, callback in ipairs(list) do
            if not callback.called then
                callback.called = true
                outside(callback.f, task.face, not task.failed and task.results[1] or nil,
                    table.unpack(callback.args, 1, callback.args.n))
            end
        end
    end

    local function any_callback(task)
        for _, callback in ipairs(task.callbacks) do
            if not callback.called then
                return true
            end
        end
        return false
    end

    ---Tells of the end of `task`. Those with callbacks that end meanwhile are told of when the
    ---outermost is over, not inside of it.
    function S:tell_end(task)
        local outermost = any_callback(task) and not self.telling
        self.telling = self.telling or outermost
        task.untold = nil
        self:call_callbacks(task)
        self:leave_scope(task)
        if outermost then
            while #self.untold > 0 do
                local other = table.remove(self.untold, 1)
                if other.state == "ended" then
                    self:tell_end(other)
                end
            end
            self.telling = false
        end
    end

    ---The body of `task` is over.
    function S:finish(task, ok, results)
        local observed = any_callback(task) or #task.watchers > 0 or task.scope ~= nil
        self:leave_limits(task)
        self:verb_done(task)
        self:set_waits(task, {})
        if ok then
            task.results = results
        else
            task.failed, task.error = true, results[1]
        end
        self:leave_queues(task)
        task.taken, task.event, task.raise = nil, nil, nil
        task.state, task.sending, task.waiting = "ended", false, false
        self:close_mail(task)
        local watchers = task.watchers
        task.watchers = {}
        for _, watcher in ipairs(watchers) do
            watcher:ended()
        end
        if task.failed and not observed and not is_exit(task.error) then
            task.unseen = self.looks
        end
        if self.telling and any_callback(task) then
            task.untold = true
            table.insert(self.untold, task)
        else
            self:tell_end(task)
        end
    end

    ---Raises a TaskletExit in it where it stands: it is in the batch then.
    function S:interrupt(task)
        if task == self.current then
            return -- its next wait raises it
        end
        self:verb_done(task)
        self:set_waits(task, {})
        task.raise = { value = exit() }
        self:wake(task)
    end

    ---Kills it; it runs when somebody hands over.
    function S:kill_later(task)
        if task.state == "ended" then
            return
        end
        task.killed = true
        if not task.begun then
            self:finish(task, false, { exit() })
        elseif self:pending(task) == "exit" then
            self:interrupt(task)
        end
    end

    function S:kill(task)
        self:kill_later(task)
        if task == self.current and self:pending(task) == "exit" then
            error(exit(), 0)
        end
        self:hand_over()
    end

    function S:survive()
        local task = self.current
        if not task then
            fail("TaskletError", "no tasklet is running")
        end
        task.killed, task.raise = false, nil
        self:lift_cuts(task)
    end

    ---@return table handle
    function S:add_callback(task, f, ...)
        local callback = { f = f, args = table.pack(...) }
        table.insert(task.callbacks, callback)
        self:observe(task)
        if task.state == "ended" and not task.late and not task.untold then
            task.late = true
            local late = self:make(function()
                task.late = false
                if task.state == "ended" then
                    self:call_callbacks(task)
                end
            end)
            late.state, late.face = "ready", {} -- it is seen as a stranger
            self:push(late, 0)
        end
        return callback
    end

    function S:remove_callback(task, handle)
        for i, callback in ipairs(task.callbacks) do
            if callback == handle and not callback.called then
                callback.called = true
                table.remove(task.callbacks, i)
                return
            end
        end
        fail("TaskletError", "unknown join callback")
    end
end
