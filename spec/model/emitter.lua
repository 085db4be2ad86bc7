-- The model's emitters (contract 4.3).

---@param S spec.model.Scheduler
---@param kinds table<string, table>
---@param fail fun(class: string, message: string)
---@return fun(): table # makes a class whose instances share the signal "s"
return function(S, kinds, fail)
    local ids = 0

    kinds.signal = { stands = true, repeats = true }

    function kinds.signal.arm(self)
        if self.source.is_destroyed then
            fail("TaskletError", "the emitter is destroyed")
        end
        table.insert(self.source.waits, self)
    end

    function kinds.signal.disarm(self)
        S.remove(self.source.waits, self)
    end

    function kinds.signal.event(self, payload)
        self.signal_args, self.object = payload.args, payload.object
        self.destroyed = payload.destroyed and self.pending == 0
        return self
    end

    local methods = {}
    methods.__index = methods

    local function check(self)
        if self.is_destroyed then
            fail("TaskletError", "the emitter is destroyed")
        end
    end

    function methods:emit(name, ...)
        check(self)
        local first
        for _, handler in ipairs({ table.unpack(self.handlers) }) do
            if not handler.gone then
                local ok, err = pcall(handler.f, ...)
                if not ok and not first then
                    first = { err }
                end
            end
        end
        if not self.is_destroyed then
            local payload = { args = table.pack(...), object = self }
            for _, source in ipairs{ self, self.class } do
                for _, wait in ipairs({ table.unpack(source.waits) }) do
                    if wait.name == name then
                        S:fire_now(wait, payload)
                    end
                end
            end
            S:hand_over()
        end
        if first then
            error(first[1], 0)
        end
    end

    function methods:connect(_, f)
        check(self)
        ids = ids + 1
        table.insert(self.handlers, { f = f, id = ids })
        return ids
    end

    function methods:disconnect(id)
        for i, handler in ipairs(self.handlers) do
            if handler.id == id then
                handler.gone = true
                table.remove(self.handlers, i)
                return
            end
        end
        fail("TaskletError", "unknown connection")
    end

    function methods:destroy()
        if self.is_destroyed then
            return
        end
        self.is_destroyed = true
        self.handlers = {}
        for _, wait in ipairs({ table.unpack(self.waits) }) do
            S:fire_now(wait, { args = table.pack(), object = self, destroyed = true })
        end
        S:hand_over()
    end

    return function()
        return setmetatable({ waits = {} }, {
            __call = function(class)
                return setmetatable({ class = class, waits = {}, handlers = {} }, methods)
            end,
        })
    end
end
