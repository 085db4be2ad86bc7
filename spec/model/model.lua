-- The model: what a script sees of the module, made anew from the contract in the simplest way.
-- Plain Lua, with no use of the module. It has what the interpreter of programs calls, no more.

local scheduler = require "spec.model.scheduler"

local M = {}

local function classes()
    local names = { "TaskletError", "TimeoutError", "JoinError", "ChannelError", "TaskletExit" }
    local made = {}
    for _, name in ipairs(names) do
        local class = {}
        class.__index = class
        local base = made.TaskletError
        function class.is(_, value)
            local mt = type(value) == "table" and getmetatable(value)
            return mt == class or class == made.TaskletError and mt and mt.base == class
        end
        class.base = base
        made[name] = setmetatable(class, {
            __call = function(_, message) return setmetatable({ message = message }, class) end,
        })
    end
    return made
end

---@param choose fun(): boolean see scheduler.lua
---@return table api what `require "tasklet"` gives, as far as programs use it
---@return spec.model.Scheduler
---@return string[] warnings
function M.new(choose)
    local S = scheduler(choose)
    local api = classes()
    local warnings = {}

    local function fail(class, message, only_make)
        local err = setmetatable({ message = message }, api[class])
        return only_make and err or error(err, 0)
    end

    local function exit()
        return fail("TaskletExit", "killed", true)
    end

    local function warn(text)
        warnings[#warnings + 1] = text
    end

    local kinds, condition = require "spec.model.waiting"(S, fail)
    require "spec.model.mail"(S, kinds, fail, warn)
    require "spec.model.ending"(S, fail, exit, function(value)
        return api.TaskletExit:is(value)
    end)
    require "spec.model.queue"(S, fail, function(value)
        return api.TaskletExit:is(value)
    end)
    require "spec.model.limits"(S, api, fail, exit, function(value)
        return api.TaskletExit:is(value)
    end)
    api.emitter_class = require "spec.model.emitter"(S, kinds, fail)

    -- ---- tasklets ----

    local Tasklet = { STATE_RUNNING = 0, STATE_SUSPENDED = 1, STATE_MSGSEND = 2, STATE_ZOMBIE = 3 }
    local getters = {}
    local faces = {
        __index = function(face, key)
            if Tasklet[key] then
                return Tasklet[key]
            end
            return getters[key] and getters[key](face.task)
        end,
        __newindex = function(face, key, value)
            assert(key == "tempval" or key == "block_trap")
            face.task[key] = value
        end,
        __call = function(face, ...)
            return face:setup(...)
        end,
    }
    api.Tasklet = Tasklet

    local function is_tasklet(value)
        return type(value) == "table" and getmetatable(value) == faces
    end

    local function make(f, ...)
        local task = S:make(f)
        task.args = table.pack(...)
        task.face = setmetatable({ task = task }, faces)
        return task
    end

    function api.run(f, ...)
        if is_tasklet(f) then
            return S:run_by_hand(f.task)
        end
        local task = make(f, ...)
        S:add_to_batch(task)
        S:hand_over()
        return task.face
    end

    function api.current()
        return S.current and S.current.face
    end

    function getters.state(task)
        if task.state == "ended" then
            return Tasklet.STATE_ZOMBIE
        elseif task.sending then
            return Tasklet.STATE_MSGSEND
        elseif task.state == "running" or task.state == "handed" and not task.waiting then
            return Tasklet.STATE_RUNNING
        end
        return Tasklet.STATE_SUSPENDED
    end

    function getters.return_value(task)
        return task.results and task.results[1]
    end

    function Tasklet:has_finished()
        return self.task.state == "ended"
    end

    function Tasklet:kill()
        S:kill(self.task)
    end

    function Tasklet:join(seconds)
        return S:join(self.task, seconds)
    end

    function Tasklet:add_join_callback(f, ...)
        return S:add_callback(self.task, f, ...)
    end

    function Tasklet:remove_join_callback(handle)
        S:remove_callback(self.task, handle)
    end

    function Tasklet:send_message(message)
        message.dest = message.dest or self
        S:send(self.task, message)
    end

    function Tasklet:wait_condition_fired(c)
        S:fire_now(c)
        S:hand_over()
        return c.task == self.task
    end

    api.join = Tasklet.join

    -- ---- the run queue by hand ----

    function api.new(f)
        return make(f).face
    end

    function Tasklet:bind(f)
        S:rebind(self.task, f)
        return self
    end

    function Tasklet:setup(...)
        S:begin(self.task, table.pack(...), false)
        return self
    end

    function Tasklet:start(...)
        S:begin(self.task, table.pack(...), true)
        return self
    end

    function Tasklet:insert()
        S:insert(self.task)
        return self
    end

    function Tasklet:remove()
        S:remove_by_hand(self.task)
        return self
    end

    function Tasklet:switch()
        return S:switch(self.task)
    end

    function Tasklet:throw(err, pending)
        S:throw(self.task, err, pending)
    end

    function Tasklet:raise_exception(value, ...)
        if type(value) == "table" and rawequal(value, value.__index) then
            value = fail("TimeoutError", ..., true)
        end
        S:throw(self.task, value)
    end

    Tasklet.run = api.run

    function api.schedule(...)
        return S:schedule(table.pack(...), false)
    end

    function api.schedule_remove(...)
        return S:schedule(table.pack(...), true)
    end

    function api.getruncount()
        return S:count_runnable()
    end

    function getters.alive(task)
        return S.is_alive(task)
    end

    function getters.paused(task)
        return task.state == "paused"
    end

    function getters.blocked(task)
        return S.is_blocked(task)
    end

    function getters.scheduled(task)
        return S.is_alive(task) and task.state ~= "paused"
    end

    function getters.is_current(task)
        return task == S.current
    end

    function getters.tempval(task)
        return task.tempval
    end

    function getters.next(task)
        local found = S:neighbour(task, 1)
        return found and found.face
    end

    function getters.prev(task)
        local found = S:neighbour(task, -1)
        return found and found.face
    end

    function getters.nesting_level(task)
        return task == S.current and #S.frames or 0
    end

    function api.survive()
        S:survive()
    end

    function api.yield_()
        S:yield_()
    end

    function api.sleep(seconds)
        assert(seconds == 0)
        S:yield_()
    end

    function api.wrap(f)
        return S:wrap(f)
    end

    -- ---- conditions ----

    local methods = {}
    local conditions = {
        __index = function(c, key)
            if key == "retval" and c.target then
                return c.target.results and c.target.results[1]
            elseif key == "error" and c.target then
                return c.target.error
            elseif key == "triggered" then
                return c.handled or false
            end
            return methods[key]
        end,
        __call = function(c, ...)
            S:fire_now(c, table.pack(...))
            S:hand_over()
            return c.return_value
        end,
    }

    function methods:restart()
        kinds.timeout.restart(self)
    end

    local function new_condition(kind, fields)
        return setmetatable(condition(kind, fields), conditions)
    end

    require "spec.model.channel"(S, api, kinds, fail, new_condition)

    function api.WaitForCall(options)
        return new_condition(kinds.call, { return_value = options and options.return_value })
    end

    function api.WaitForTimeout(ms, options)
        return new_condition(kinds.timeout, { timeout = ms, priority = options.priority })
    end

    function api.WaitForIdle(options)
        return new_condition(kinds.idle, { priority = options.priority or 200 })
    end

    function api.WaitForTasklet(t)
        return new_condition(kinds.tasklet, { target = t.task })
    end

    function api.WaitForSignal(source, name)
        if source.is_destroyed then
            fail("TaskletError", "the emitter is destroyed")
        end
        return new_condition(kinds.signal, { source = source, name = name })
    end

    function api.WaitForMessages(options)
        local verdicts = {}
        for _, verdict in ipairs{ "accept", "defer", "discard" } do
            for _, name in ipairs(options[verdict] or {}) do
                if verdicts[name] and verdicts[name] ~= verdict then
                    error("bad argument", 0)
                end
                verdicts[name] = verdict
            end
        end
        return new_condition(kinds.messages, { verdicts = verdicts })
    end

    ---A class of conditions written by the script.
    function api.own_class(hooks)
        return function()
            return new_condition(kinds.own, { hooks = hooks })
        end
    end

    -- ---- yield, wait, get_event ----

    local function is_condition(value)
        return type(value) == "table" and getmetatable(value) == conditions
    end

    local messages = {}

    local function is_message(value)
        return type(value) == "table" and getmetatable(value) == messages
    end

    local function check_read(task)
        if task.event then
            task.event = nil
            warn("forgot to read an event")
        end
    end

    local function wait(values)
        local task = S:check_wait()
        if values.n == 1 and is_message(values[1]) then
            check_read(task)
            if not values[1].dest then
                fail("TaskletError", "the message has no destination")
            end
            values[1].sender = task.face
            S:send(values[1].dest.task, values[1])
            return nil, true
        end
        S:check_trap()
        if values.n == 1 and type(values[1]) == "table" and getmetatable(values[1]) == nil then
            values = table.pack(table.unpack(values[1]))
        end
        if values.n == 0 then
            error("bad argument", 0)
        end
        check_read(task)
        for i = 1, values.n do
            local value = values[i]
            if not is_condition(value) and not is_tasklet(value) and type(value) ~= "function" then
                error("bad argument", 0)
            end
        end
        local list, fresh = {}, {}
        for i = 1, values.n do
            local value = values[i]
            if type(value) == "function" then
                value = make(value).face
                fresh[#fresh + 1] = value.task
            end
            list[i] = is_tasklet(value) and api.WaitForTasklet(value) or value
        end
        return S:wait_for(list, fresh)
    end

    function api.wait(...)
        return (wait(table.pack(...)))
    end

    function api.yield(...)
        local event, sent = wait(table.pack(...))
        if not sent then
            S.current.event = { event }
        end
    end

    function api.get_event()
        local task = S.current
        if not task or not task.event then
            fail("TaskletError", "there is no event to read")
        end
        local event = task.event[1]
        task.event = nil
        return event
    end

    -- ---- messages ----

    function api.Message(name, options)
        return setmetatable({ name = name, dest = options.dest, value = options.value }, messages)
    end

    function api.send(dest, name, value)
        local message = api.Message(name, { dest = dest, value = value })
        message.sender = api.current()
        S:send(dest.task, message)
    end

    local mailboxes = {}
    mailboxes.__index = mailboxes
    function mailboxes:__len()
        return #self.task.mail
    end
    function mailboxes:popleft(seconds)
        return S:popleft(self.task, seconds)
    end
    function mailboxes:append(message)
        message.dest = message.dest or self.task.face
        S:send(self.task, message)
    end
    function mailboxes:iter()
        local i, list = 0, { table.unpack(self.task.mail) }
        return function()
            i = i + 1
            return list[i]
        end
    end
    function getters.mailbox(task)
        return setmetatable({ task = task }, mailboxes)
    end

    return api, S, warnings
end

return M
