-- The model's wait lists: arming, firing, keeping, delivering (contract 3.1 to 3.7).
--
-- A condition is a table with `kind`, a table of what is particular to it:
--   arm(condition, again)  makes it fire from now on; may fire at once; may raise
--   disarm(condition)
--   stands                 stays armed when it has fired
--   repeats                each firing is kept, not only the first
--   keeps                  even while nobody holds it
-- `task` is who holds it, `pending` how many of its firings are not delivered.

---@param S spec.model.Scheduler
---@param fail fun(class: string, message: string)
return function(S, fail)
    local remove = S.remove

    local function drop_firings(condition)
        local list = condition.task and condition.task.fired or condition.kept
        for i = #list, 1, -1 do
            if list[i].condition == condition then
                table.remove(list, i)
            end
        end
        condition.pending = 0
    end

    -- It leaves the wait list of its tasklet.
    local function let_go(condition)
        local kept = {}
        if condition.kind.keeps then
            for _, firing in ipairs(condition.task.fired) do
                if firing.condition == condition then
                    kept[#kept + 1] = firing
                end
            end
        end
        drop_firings(condition)
        condition.kept, condition.pending = kept, #kept
        condition.task, condition.armed, condition.handled = nil, false, false
    end

    local function release(condition)
        condition.kind.disarm(condition)
        let_go(condition)
    end

    -- ---- firing ----

    local function note(condition, payload, at)
        if condition.pending > 0 and not condition.kind.repeats then
            return
        end
        condition.pending = condition.pending + 1
        local list = condition.task and condition.task.fired or condition.kept
        table.insert(list, at or #list + 1, { condition = condition, payload = payload })
    end

    -- The place behind those that are as urgent or more.
    local function place_of(list, priority)
        local at = #list + 1
        while at > 1 and not list[at - 1].first and list[at - 1].condition.priority > priority do
            at = at - 1
        end
        return at
    end

    local function is_lost(condition)
        return not condition.task and not condition.kind.keeps
    end

    local function spend(condition)
        if not condition.kind.stands then
            condition.armed = false
        end
    end

    ---From the loop.
    function S:fire(condition, payload)
        if is_lost(condition) then
            return
        end
        spend(condition)
        local task = condition.task
        if not task or task.state ~= "waiting" then
            note(condition, payload)
            return
        end
        note(condition, payload, place_of(task.fired, condition.priority))
        self:make_ready(task, condition.priority)
    end

    ---By the hand of a script: the tasklet is put into the batch.
    function S:fire_now(condition, payload)
        if is_lost(condition) then
            return
        end
        spend(condition)
        local task = condition.task
        if not task or task.state ~= "waiting" then
            note(condition, payload)
            return
        end
        -- It goes first, but not before earlier firings of its own, nor before what has happened
        -- on a channel.
        local first = task.fired[1] and task.fired[1].first and 2 or 1
        note(condition, payload,
            condition.pending > 0 and place_of(task.fired, condition.priority) or first)
        self:wake(task)
    end

    ---Forgets firings that were not delivered.
    function S:forget(condition)
        if condition.task then
            drop_firings(condition)
        end
    end

    -- ---- installing a list ----

    local function arm(condition, again)
        condition.armed = true
        local ok, err = pcall(condition.kind.arm, condition, again)
        if not ok then
            condition.armed = false
            error(err, 0)
        end
    end

    local function hold(condition, task)
        condition.task, condition.handled = task, false
        for _, firing in ipairs(condition.kept) do
            table.insert(task.fired, firing)
        end
        condition.kept = {}
    end

    local function arm_list(task, list)
        local new = {}
        local ok, err = pcall(function()
            for _, condition in ipairs(list) do
                if not condition.task then
                    hold(condition, task)
                    local armed, reason = pcall(arm, condition, false)
                    if not armed then
                        let_go(condition)
                        error(reason, 0)
                    end
                    new[#new + 1] = condition
                elseif condition.armed and condition.kind.verify then
                    condition.kind.verify(condition)
                elseif not condition.armed and condition.pending == 0 then
                    arm(condition, true)
                end
            end
        end)
        if not ok then
            for _, condition in ipairs(new) do
                release(condition)
            end
            error(err, 0)
        end
    end

    local function contains(list, value)
        for _, v in ipairs(list) do
            if v == value then
                return true
            end
        end
        return false
    end

    ---Makes `list` the wait list; those that left it are disarmed.
    function S:set_waits(task, list)
        local old, waits = task.waits, {}
        for _, condition in ipairs(list) do
            if not contains(waits, condition) then
                waits[#waits + 1] = condition
            end
        end
        task.waits = waits
        for _, condition in ipairs(old) do
            condition.handled = false
            if not contains(waits, condition) then
                release(condition)
            end
        end
    end

    ---Takes the next event; false if there is none. It is left in `event`.
    function S:take(task)
        local firing = table.remove(task.fired, 1)
        task.last_mail = not firing
        if firing then
            local condition = firing.condition
            condition.pending = condition.pending - 1
            condition.handled = true
            task.taken = condition.kind.event and condition.kind.event(condition, firing.payload)
                or condition
            return true
        end
        local message, filter = self:take_mail(task)
        if message then
            filter.handled = true
            task.taken = message
        end
        return message ~= nil
    end

    ---Waits for the first of the conditions in `list`; those in `fresh` are tasklets to be started
    ---first. Returns the event.
    function S:wait_for(list, fresh)
        local task = self.current
        local kept = false
        for _, condition in ipairs(list) do
            if condition.task and condition.task ~= task then
                fail("TaskletError", "held by another tasklet")
            end
            kept = kept or condition.pending > 0
        end
        arm_list(task, list)
        self:set_waits(task, list)
        local mail = self:judge_mail(task)
        local there = mail or kept
        if there and not kept and task.last_mail and self:select(task, true) then
            task.waiting = true
            task.state = task.raise and "ready" or "waiting"
            self:push(task, 0)
            for _, other in ipairs(fresh) do
                self:add_to_batch(other)
            end
            return self:waited(task)
        end
        if there and #fresh == 0 then
            self:take(task)
            local event = task.taken
            task.taken = nil
            return event
        end
        task.state, task.waiting = "waiting", true
        if there then
            self:push(task, 0)
        elseif #task.fired > 0 then
            self:push(task, task.fired[1].condition.priority)
        else
            self:wait_on(task)
        end
        for _, other in ipairs(fresh) do
            self:add_to_batch(other)
        end
        return self:waited(task)
    end

    ---It waits, and no event is there.
    function S:wait_on(task)
        task.state = "waiting"
        if self:select(task, false) then
            self:make_ready(task, 0)
        else
            self:stand_offers(task)
        end
    end

    ---The current tasklet gives way and comes back with an event, or raises.
    function S:waited(task)
        self:leave()
        self:check_raise()
        local event = task.taken
        task.taken = nil
        return event
    end

    -- ---- the kinds ----

    local kinds = {}

    local function condition(kind, fields)
        fields.kind, fields.kept, fields.pending = kind, {}, 0
        fields.priority = fields.priority or 0
        return fields
    end

    kinds.call = { stands = true, repeats = true, keeps = true }
    function kinds.call.arm() end
    function kinds.call.disarm() end
    function kinds.call.event(self, payload)
        self.args = payload
        return self
    end

    kinds.timeout = {}
    local function timer_fired(self)
        S:fire(self)
    end
    function kinds.timeout.arm(self, again)
        self.due = (again and self.due or S:now()) + self.timeout
        self.fire = timer_fired
        S:add_timer(self)
    end
    function kinds.timeout.disarm(self)
        S:drop_timer(self)
    end
    function kinds.timeout.restart(self)
        if self.task then
            drop_firings(self)
            S:drop_timer(self)
            self.armed = true
            kinds.timeout.arm(self)
        end
    end

    kinds.idle = {}
    function kinds.idle.arm(self)
        self.fire = timer_fired
        table.insert(S.idles, self)
    end
    function kinds.idle.disarm(self)
        remove(S.idles, self)
    end

    kinds.tasklet = {}
    function kinds.tasklet.arm(self)
        if self.target == self.task then
            fail("TaskletError", "waits for its own end")
        end
        S:observe(self.target)
        if self.target.state == "ended" then
            S:fire(self)
        else
            self.ended = timer_fired
            table.insert(self.target.watchers, self)
        end
    end
    function kinds.tasklet.disarm(self)
        remove(self.target.watchers, self)
    end

    -- Written by the script: `hooks` has its methods arm and disarm.
    kinds.own = { stands = true, repeats = true }
    function kinds.own.arm(self)
        self.hooks.arm(self, self.task.face)
    end
    function kinds.own.disarm(self)
        self.hooks.disarm(self)
    end
    function kinds.own.event(self, payload)
        self.payload = payload
        return self
    end

    return kinds, condition
end
