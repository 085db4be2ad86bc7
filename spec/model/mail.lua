-- The model's messages and mailboxes (contract 5).

---@param S spec.model.Scheduler
---@param kinds table<string, table>
---@param fail fun(class: string, message: string)
---@param warn fun(text: string)
return function(S, kinds, fail, warn)
    kinds.messages = { stands = true, repeats = true }
    function kinds.messages.arm() end
    function kinds.messages.disarm() end
    function kinds.messages.event(_, payload) return payload end

    -- What the wait list says of a name, and which condition does: the first that names it. The
    -- third: is there any WaitForMessages at all?
    local function judge(task, name)
        local any = false
        for _, condition in ipairs(task.waits) do
            if condition.kind == kinds.messages then
                any = true
                local verdict = condition.verdicts[name]
                if verdict then
                    return verdict, condition, true
                end
            end
        end
        return nil, nil, any
    end

    local function warn_unnamed(message)
        warn("implicitly discarding message '" .. message.name .. "'")
    end

    local function find(task)
        for i, message in ipairs(task.mail) do
            local verdict, filter = judge(task, message.name)
            if verdict == "accept" then
                return i, filter
            end
        end
    end

    ---At a wait: drops what is to be dropped. Is there one to be delivered?
    function S:judge_mail(task)
        for i = #task.mail, 1, -1 do
            local verdict, _, any = judge(task, task.mail[i].name)
            if any and (verdict == nil or verdict == "discard") then
                local message = table.remove(task.mail, i)
                if not verdict then
                    warn_unnamed(message)
                end
            end
        end
        return find(task) ~= nil
    end

    ---@return table? message
    ---@return table? filter that accepted it
    function S:take_mail(task)
        local at, filter = find(task)
        if at then
            return table.remove(task.mail, at), filter
        end
    end

    local function call_taker(taker, now)
        S.remove(taker.owner.takers, taker)
        taker.pending = true
        if taker.task.state == "blocked" then
            if now then
                S:wake(taker.task)
            else
                S:make_ready(taker.task, 0)
            end
        end
    end

    -- Gives messages to those that wait in a verb for any, first come, first served.
    local function offer(owner, now)
        while #owner.mail > 0 and #owner.takers > 0 do
            local taker = owner.takers[1]
            taker.message = table.remove(owner.mail, 1)
            call_taker(taker, now)
        end
    end

    -- It goes; what it was given and has not taken is the next one's.
    local function leave(taker)
        local owner = taker.owner
        S.remove(owner.takers, taker)
        if taker.message and owner.state ~= "ended" then
            table.insert(owner.mail, 1, taker.message)
            offer(owner, false)
        end
    end

    local function deliver(dest, message)
        if dest.state == "ended" then
            fail("TaskletError", "sent to a finished tasklet")
        end
        if dest.state == "waiting" then
            local verdict, filter, any = judge(dest, message.name)
            if any and (verdict == nil or verdict == "discard") then
                if not verdict then
                    warn_unnamed(message)
                end
                return
            elseif verdict == "accept" and not find(dest) then
                S:fire_now(filter, message)
                return
            end
        end
        table.insert(dest.mail, message)
        offer(dest, true)
    end

    -- Those that wait for something of a mailbox whose owner has ended.
    function S:close_mail(task)
        task.mail = {}
        while #task.takers > 0 do
            call_taker(task.takers[1], false)
        end
    end

    ---Sends it; `sender` is set by those verbs that do.
    function S:send(dest, message)
        local sender = self.current
        deliver(dest, message)
        if sender and #self.batch > 0 then
            sender.sending = true
        end
        self:hand_over()
        if sender then
            sender.sending = false
        end
    end

    ---@param seconds? number
    function S:popleft(owner, seconds)
        local deadline = seconds and seconds >= 0 and self:now() + seconds * 1000
        if self.current and self:is_stopped(self.current) then
            self:check_wait() -- also where there is a message
        end
        while true do
            if #owner.mail > 0 then
                return table.remove(owner.mail, 1)
            elseif deadline and deadline <= self:now() then
                fail("TimeoutError", "no message in time")
            end
            self:check_wait()
            if owner.state == "ended" then
                fail("TaskletError", "the mailbox of a finished tasklet")
            end
            self:check_trap()
            local timer = deadline and self:verb_timer(deadline)
            local taker = self:verb({ owner = owner, leave = leave })
            table.insert(owner.takers, taker)
            local message
            self:block(function()
                message, taker.message = taker.message, nil
            end)
            message = message or table.remove(owner.mail, 1)
            if message then
                return message
            elseif timer and timer.pending then
                fail("TimeoutError", "no message in time")
            end
        end
    end
end
