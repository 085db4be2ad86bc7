-- The model's channels (contract 7.4).
--
-- An offer is what a tasklet stands on a channel with: that of a verb until the verb is over, that
-- of a WaitForChannel while its tasklet is suspended in the very yield that lists it.

---@class spec.model.Offer
---@field task spec.model.Task
---@field channel table
---@field side string "send" or "receive"
---@field number integer the smaller, the longer it has stood
---@field condition? table of a WaitForChannel
---@field value any what is sent, or has been received
---@field raises? boolean it is to be raised in the receiver
---@field met? boolean
---@field closed? boolean

---@param S spec.model.Scheduler
---@param api table
---@param kinds table<string, table>
---@param fail fun(class: string, message: string)
---@param new_condition fun(kind: table, fields: table): table
return function(S, api, kinds, fail, new_condition)
    local numbers = 0
    local other_side = { send = "receive", receive = "send" }

    local function stand(offer)
        numbers = numbers + 1
        offer.number = numbers
        table.insert(offer.channel[offer.side], offer)
    end

    local function withdraw(offer)
        S.remove(offer.channel[offer.side], offer)
    end

    ---The tasklet turns to something else: what it has on offer in a wait list stands no more.
    function S:withdraw_offers(task)
        for _, offer in ipairs(task.offers or {}) do
            withdraw(offer)
        end
        task.offers = nil
    end

    ---Whom one that takes this side would meet.
    local function partner_of(channel, side, task)
        for _, offer in ipairs(channel[other_side[side]]) do
            if offer.task ~= task then
                return offer
            end
        end
    end

    local function is_closed_for(channel, side)
        return channel.closing and (side == "send" or #channel.send == 0)
    end

    -- What has happened to an offer of a wait list comes before whatever fires meanwhile. An
    -- exception is as a pending throw.
    local function note(condition, got)
        local task = condition.task
        if got.raises and condition.side == "receive" then
            task.raise, task.state = { value = got.value }, "ready"
            return
        end
        condition.pending = condition.pending + 1
        table.insert(task.fired, 1, { condition = condition, payload = got, first = true })
    end

    -- The value passes between the two, of which `receiver` gets it.
    local function meet(offer, sent)
        offer.met = true
        if offer.side == "receive" then
            offer.value, offer.raises = sent.value, sent.raises
        end
        local task = offer.task
        if offer.condition then
            S:withdraw_offers(task)
            note(offer.condition, offer)
        else
            withdraw(offer)
        end
    end

    local function append(task)
        S:make_ready(task, 0)
    end

    local function caller_to_end()
        local current = S.current
        current.state = "ready"
        S:push(current, 0)
        S:leave()
        S:check_raise()
    end

    -- The two have met; who goes on?
    local function go_on(channel, partner, partner_first)
        if channel.schedule_all then
            append(partner.task)
            if S:can_give_way() then
                caller_to_end()
            end
        elseif partner.condition or not partner_first then
            append(partner.task)
        elseif S:can_give_way() then
            local current = S.current
            current.state = "ready"
            S:push(current, 0)
            S:wake(partner.task)
            S:leave()
            S:check_raise()
        else
            S:wake(partner.task)
            S:hand_over()
        end
    end

    local function block(channel, side, offer, seconds)
        if S.current then
            S:check_trap()
        end
        if channel.closing then
            fail("ChannelError", "the channel is closed")
        end
        S:check_wait()
        local timer = seconds and seconds >= 0 and S:verb_timer(S:now() + seconds * 1000)
        offer = S:verb(offer)
        offer.channel, offer.side, offer.leave = channel, side, withdraw
        stand(offer)
        S:block()
        if offer.closed then
            fail("ChannelError", "the channel is closed")
        elseif not offer.met then
            assert(timer)
            fail("TimeoutError", "nobody came in time")
        end
        return offer
    end

    local function check_caller()
        if S.current and S:is_stopped(S.current) then
            S:check_stopped(S.current)
        end
    end

    local function send(channel, offer, seconds)
        check_caller()
        local partner = partner_of(channel, "send")
        if partner then
            meet(partner, offer)
            go_on(channel, partner, channel.preference < 0)
        else
            block(channel, "send", offer, seconds)
        end
    end

    local function receive(channel, seconds)
        check_caller()
        local got = partner_of(channel, "receive")
        if got then
            meet(got)
            go_on(channel, got, channel.preference > 0)
        else
            got = block(channel, "receive", {}, seconds)
        end
        if got.raises then
            error(got.value, 0)
        end
        return got.value
    end

    -- ---- the verbs ----

    local methods = {}

    function methods:send(value, seconds)
        send(self.channel, { value = value }, seconds)
    end

    function methods:send_exception(value, ...)
        if type(value) == "table" and rawequal(value, value.__index) then
            value = value(...)
        end
        send(self.channel, { value = value, raises = true })
    end

    function methods:receive(seconds)
        return receive(self.channel, seconds)
    end

    function methods:send_sequence(list)
        for _, value in ipairs(list) do
            self:send(value)
        end
        return #list
    end

    function methods:close()
        local channel = self.channel
        channel.closing = true
        -- If there is a sender, too, it is the receiver itself, whom that does not help.
        while channel.receive[1] do -- the first that fires of a wait list takes its others away
            local offer = channel.receive[1]
            offer.closed = true
            if offer.condition then
                S:fire(offer.condition, { closed = true })
            else
                withdraw(offer)
                append(offer.task)
            end
        end
    end

    function methods:open()
        self.channel.closing = false
    end

    local getters = {}

    function getters.balance(channel)
        return #channel.send - #channel.receive
    end

    function getters.queue(channel)
        local first, second = channel.send[1], channel.receive[1]
        if first and second and second.number < first.number then
            first = second
        end
        first = first or second
        return first and first.task.face
    end

    function getters.closing(channel)
        return channel.closing
    end

    function getters.closed(channel)
        return channel.closing and #channel.send == 0
    end

    local faces = {
        __index = function(face, key)
            if methods[key] then
                return methods[key]
            end
            return getters[key](face.channel)
        end,
        __newindex = function(face, key, value)
            assert(key == "preference" or key == "schedule_all")
            face.channel[key] = value
        end,
        -- A step of an iteration.
        __call = function(face)
            local ok, value = pcall(receive, face.channel)
            if not ok and api.ChannelError:is(value) then
                return nil
            elseif not ok then
                error(value, 0)
            end
            return value
        end,
    }

    function api.channel()
        return setmetatable({
            channel = { send = {}, receive = {}, preference = -1, schedule_all = false,
                closing = false },
        }, faces)
    end

    -- ---- as a condition ----

    kinds.channel = { stands = true }
    function kinds.channel.arm() end
    function kinds.channel.disarm() end
    function kinds.channel.event(self, payload)
        self.closed = payload.closed or false
        if self.side == "receive" then
            self.value = payload.value
        end
        return self
    end

    function api.WaitForChannel(face, side, value)
        return new_condition(kinds.channel, { channel = face.channel, side = side, value = value })
    end

    ---The tasklet waits for its list, and no event is there. Does something happen at once?
    ---@param meet_only boolean nothing but meeting somebody counts
    ---@return boolean
    function S:select(task, meet_only)
        local best, condition
        for _, c in ipairs(task.waits) do
            local partner = c.kind == kinds.channel and partner_of(c.channel, c.side, task)
            if partner and (not best or partner.number < best.number) then
                best, condition = partner, c
            end
        end
        if best then
            meet(best, condition)
            note(condition, best)
            append(best.task)
            return true
        end
        for _, c in ipairs(task.waits) do
            if not meet_only and c.kind == kinds.channel and is_closed_for(c.channel, c.side) then
                S:fire(c, { closed = true })
                return true
            end
        end
        return false
    end

    ---What is in its list is on offer from now on.
    function S:stand_offers(task)
        task.offers = {}
        for _, c in ipairs(task.waits) do
            if c.kind == kinds.channel then
                local offer = { task = task, channel = c.channel, side = c.side, value = c.value,
                    condition = c }
                table.insert(task.offers, offer)
                stand(offer)
            end
        end
    end

    ---The neighbour in the line of the first of its offers that stands.
    ---@return boolean # does it stand on a channel?
    ---@return spec.model.Task?
    function S:channel_neighbour(task, by)
        local offer = task.offers and task.offers[1]
        for _, verb in ipairs(task.verbs) do
            offer = verb.side and not verb.met and not verb.closed and verb or offer
        end
        if not offer then
            return false
        end
        local line = offer.channel[offer.side]
        for i, o in ipairs(line) do
            if o == offer then
                return true, line[i + by] and line[i + by].task
            end
        end
        return false
    end
end
