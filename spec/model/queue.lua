-- The model's run queue by hand (contract 7.1 to 7.3, 7.5): new, bind, insert, remove, run, switch,
-- schedule, and raising into a tasklet.

---@param S spec.model.Scheduler
---@param fail fun(class: string, message: string)
---@param is_exit fun(value: any): boolean
return function(S, fail, is_exit)
    local function is_alive(task)
        return task.state ~= "new" and task.state ~= "ended"
    end

    ---Does it stand in the run queue or in a chain?
    local function stands(task)
        return task.round ~= nil or task.chain ~= nil
    end

    local function is_blocked(task)
        return (task.state == "waiting" or task.state == "blocked") and not stands(task)
    end

    -- ---- beginning ----

    ---Gives a tasklet that is bound its arguments.
    ---@param now boolean it runs at once
    function S:begin(task, args, now)
        if is_alive(task) then
            fail("TaskletError", "it has been started already")
        elseif task.state == "ended" or not task.co then
            fail("TaskletError", "it is not bound")
        end
        task.args = args
        if now then
            self:add_to_batch(task)
            self:hand_over()
        else
            task.state = "ready"
            self:push(task, 0)
        end
    end

    -- What a paused one was doing is dropped.
    local function drop(task)
        S:verb_done(task)
        S:set_waits(task, {})
        local co, begun = task.co, task.begun
        task.co, task.state, task.raise = nil, "new", nil
        task.waiting, task.taken, task.event = false, nil, nil
        if begun then
            S.barrier = S.barrier + 1
            local ok = coroutine.close(co)
            S.barrier = S.barrier - 1
            if not ok then
                S.reports.surely = S.reports.surely + 1
            end
        end
    end

    ---@param f? function
    function S:rebind(task, f)
        if task.state == "ended" then
            self:tell_end(task) -- callbacks that were to be called later
        end
        if task == self.current then
            fail("TaskletError", "it is the current one")
        elseif is_alive(task) and task.state ~= "paused" then
            fail("TaskletError", "it is scheduled or blocked")
        elseif task.state == "paused" then
            drop(task)
            if task.state ~= "new" then
                fail("TaskletError", "it was started meanwhile")
            end
        elseif task.state == "ended" then
            if task.unseen then
                self.reports.surely = self.reports.surely + 1
            end
            task.unseen, task.failed, task.error, task.results = nil, nil, nil, nil
            task.state = "new"
        end
        task.killed, task.begun, task.tempval = false, false, nil
        self:bind(task, f)
    end

    -- ---- moving them ----

    local function check_runnable(task)
        if not is_alive(task) then
            fail("TaskletError", "it is not alive")
        elseif is_blocked(task) then
            fail("TaskletError", "it is blocked")
        end
    end

    local function check_not_nested(task)
        if task.state == "running" then
            fail("TaskletError", "it runs others nested")
        end
    end

    function S:insert(task)
        check_runnable(task)
        if task.state == "paused" then
            task.state = "ready"
            self:push(task, 0)
        end
    end

    function S:remove_by_hand(task)
        if not is_alive(task) or task.state == "paused" then
            return
        elseif task == self.current then
            fail("TaskletError", "it is the current one")
        end
        check_not_nested(task)
        check_runnable(task)
        self:leave_queues(task)
        task.state = "paused"
    end

    -- The run queue as a ring: those of its priority that stand before it go to the end.
    local function rotate(task)
        local before = {}
        for _, round in ipairs{ S.now_round, S.next_round } do
            for _, other in ipairs(round) do
                if other == task then
                    for _, t in ipairs(before) do
                        S:unqueue(t)
                        S:push(t, t.priority)
                    end
                    return
                elseif other.priority == task.priority then
                    before[#before + 1] = other
                end
            end
        end
    end

    -- It is at the head of the chain.
    local function run_next(task)
        if task.round then
            rotate(task)
        end
        S:leave_queues(task)
        task.state = "handed"
        S.prepend(S.chain, { task })
    end

    local function take_tempval(task)
        local value = task and task.tempval
        if task then
            task.tempval = nil
        end
        return value
    end

    -- Gives way by that method; the value is used up, also if something is raised.
    local function give_way(task, method)
        local ok, err = pcall(S[method], S)
        local value = take_tempval(task)
        if not ok then
            error(err, 0)
        end
        return value
    end

    function S:leave_and_check()
        self:leave()
        self:check_raise()
    end

    -- The current one has been put where it stands now.
    local function leave(task)
        return give_way(task, "leave_and_check")
    end

    function S:run_by_hand(task)
        local current = self.current
        check_runnable(task)
        if task == current then
            return take_tempval(task)
        end
        check_not_nested(task)
        if task.state == "paused" or not self:can_give_way() then
            self:wake(task)
            return give_way(current, "hand_over")
        end
        current.state = "ready"
        self:push(current, 0)
        run_next(task)
        return leave(current)
    end

    function S:switch(task)
        check_runnable(task)
        local current = self:check_wait()
        if task == current then
            return take_tempval(task)
        end
        check_not_nested(task)
        run_next(task)
        current.state = "paused"
        return leave(current)
    end

    ---@param value table packed: nothing in it means the current tasklet
    function S:schedule(value, pause)
        local current = self:check_wait()
        if value.n == 0 then
            value = { current.face }
        end
        current.tempval = value[1]
        if pause then
            current.state = "paused"
        else
            current.state = "ready"
            self:push(current, 0)
        end
        return leave(current)
    end

    -- ---- raising ----

    local function throw_later(task)
        if task.state == "running" or stands(task) then
            return
        end
        S:verb_done(task)
        S:withdraw_offers(task)
        task.state = "ready"
        S:push(task, 0)
    end

    function S:throw(task, value, pending)
        if task == self.current then
            error(value, 0)
        elseif task.state == "ended" or task.state == "new" and not task.co then
            if not is_exit(value) then
                fail("TaskletError", "it is dead")
            end
            return
        end
        if pending and is_alive(task) then
            task.raise = { value = value }
            throw_later(task)
            return
        elseif not task.begun then
            self:finish(task, false, { value })
        else
            if task.state == "blocked" then
                self:verb_done(task)
            end
            task.raise = { value = value }
            self:wake(task)
        end
        self:hand_over()
    end

    -- ---- looking ----

    -- All that stand, in the order in which they will run.
    local function list_all()
        local list = table.move(S.chain, 1, #S.chain, 1, {})
        for _, round in ipairs{ S.now_round, S.next_round } do
            local from = #list + 1
            for _, task in ipairs(round) do
                local at = #list + 1
                while at > from and list[at - 1].priority > task.priority do
                    at = at - 1
                end
                table.insert(list, at, task)
            end
        end
        return list
    end

    ---How many could run; those among whom a nested run has put aside, too.
    function S:count_runnable()
        local count = #list_all() + #self.batch + (self.current and 1 or 0)
        for _, frame in ipairs(self.frames) do
            count = count + #frame.chain + (frame.current and 1 or 0)
        end
        return count
    end

    ---The neighbour of one in the ring, which the current one stands in as well.
    ---@param by integer 1: the next; -1: the one before
    ---@return spec.model.Task?
    function S:neighbour(task, by)
        local on_channel, other = self:channel_neighbour(task, by)
        if on_channel then
            return other
        end
        if task ~= self.current and not stands(task) then
            return nil
        end
        local ring = list_all()
        table.insert(ring, 1, self.current)
        for i, t in ipairs(ring) do
            if t == task then
                return ring[(i - 1 + by) % #ring + 1]
            end
        end
    end

    S.is_alive, S.is_blocked = is_alive, is_blocked
end
