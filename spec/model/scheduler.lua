-- The model's scheduler: who runs when (contract 3.8), in the simplest words. Plain Lua; it knows
-- nothing of the module.
--
-- A tasklet is a table with a coroutine. It is in one place at a time: it runs; it stands in a
-- chain (woken by what a script triggered, or having triggered it); it stands in the run queue; or
-- it waits. The loop takes whoever is next in the run queue and runs the chain that comes of it
-- until nobody is left in it.

local co_create, co_resume = coroutine.create, coroutine.resume
local co_yield, co_isyieldable = coroutine.yield, coroutine.isyieldable

local GIVE_WAY = setmetatable({}, { __name = "give way" })

---@class spec.model.Task
---@field id integer
---@field co thread
---@field state string new, ready, running, handed, waiting, blocked, paused, ended
---@field priority integer
---@field chain? spec.model.Task[] where it stands when handed
---@field round? spec.model.Task[] where it stands when queued
---@field waits table[] its wait list
---@field fired table[] what fired and is not delivered
---@field verbs table[] what a blocking verb waits for
---@field mail table[] its mailbox

---@class spec.model.Scheduler
---@field current? spec.model.Task
---@field chain spec.model.Task[]
---@field batch spec.model.Task[] woken and not yet in a chain
---@field frames {chain: spec.model.Task[], current: spec.model.Task?}[] put aside by nested runs
local Scheduler = {}
Scheduler.__index = Scheduler

---@param choose fun(): boolean at a point where the loop may look at its timers or go on: look?
---@return spec.model.Scheduler
local function new(choose)
    return setmetatable({
        choose = choose,
        current = nil,
        chain = {},
        batch = {},
        frames = {},
        untold = {}, -- those that have ended while join callbacks were called
        now_round = {},
        next_round = {},
        timers = {},
        idles = {},
        time = 0.0, -- milliseconds
        armed = 0,
        tasks = 0,
        barrier = 0,
        looks = 0, -- at the timers: turns of the loop
        reports = { surely = 0, maybe = 0 }, -- of errors that nobody takes
        finish = nil, -- set by ending.lua
    }, Scheduler)
end

-- ---- the clock ----

---Time goes on between any two looks at it, by too little to matter to a timeout but a zero one.
---@return number
function Scheduler:now()
    self.time = self.time + 1e-6
    return self.time
end

---@param timer table `due` says when `fire` is to be called
function Scheduler:add_timer(timer)
    self.armed = self.armed + 1
    timer.order = self.armed
    table.insert(self.timers, timer)
end

local function remove(list, value)
    for i, v in ipairs(list) do
        if v == value then
            return table.remove(list, i)
        end
    end
end

Scheduler.remove = remove

---@param timer table
function Scheduler:drop_timer(timer)
    remove(self.timers, timer)
end

function Scheduler:any_due()
    for _, timer in ipairs(self.timers) do
        if timer.due <= self.time then
            return true
        end
    end
    return false
end

function Scheduler:fire_timers()
    local now, due = self:now(), {}
    self.looks = self.looks + 1
    for _, timer in ipairs(self.timers) do
        if timer.due <= now then
            due[#due + 1] = timer
        end
    end
    table.sort(due, function(a, b)
        return a.due < b.due or a.due == b.due and a.order < b.order
    end)
    for _, timer in ipairs(due) do
        self:drop_timer(timer)
        timer.due = now -- what is armed again counts from when it fired
        timer:fire()
    end
end

function Scheduler:fire_idles()
    local due = self.idles
    self.idles = {}
    for _, idle in ipairs(due) do
        idle:fire()
    end
end

-- ---- the run queue ----

---What becomes ready during a round waits for the next one, so that nobody starves.
function Scheduler:push(task, priority)
    task.priority = priority
    task.round = self.next_round
    table.insert(task.round, task)
end

function Scheduler:unqueue(task)
    remove(task.round, task)
    task.round = nil
end

function Scheduler:any_ready()
    return #self.now_round > 0 or #self.next_round > 0
end

---@return spec.model.Task
function Scheduler:pop()
    if #self.now_round == 0 then
        self.now_round, self.next_round = self.next_round, self.now_round
    end
    local round, best = self.now_round, 1
    for i = 2, #round do
        if round[i].priority < round[best].priority then
            best = i
        end
    end
    local task = table.remove(round, best)
    task.round = nil
    return task
end

---It is ready because of something of that priority; it moves up if it stands there already.
function Scheduler:make_ready(task, priority)
    self:withdraw_offers(task)
    if task.round then
        if task.priority <= priority then
            return
        end
        self:unqueue(task)
    end
    self:push(task, priority)
end

-- ---- tasklets ----

---@param task spec.model.Task has not begun
---@param f? function nil: it is bound to nothing
function Scheduler:bind(task, f)
    task.co = f and co_create(function(...) return pcall(f, ...) end)
end

---@param f? function
---@return spec.model.Task
function Scheduler:make(f)
    self.tasks = self.tasks + 1
    local task = {
        id = self.tasks,
        state = "new",
        waits = {},
        fired = {},
        verbs = {},
        mail = {},
        takers = {},
        watchers = {},
        callbacks = {},
    }
    self:bind(task, f)
    return task
end

local function prepend(chain, list)
    for i, task in ipairs(list) do
        table.insert(chain, i, task)
        task.chain = chain
    end
end

Scheduler.prepend = prepend

local function resume(self, task, ...)
    self.current = task
    task.state, task.sending, task.begun = "running", false, true
    local barrier = self.barrier
    self.barrier = 0
    local results = table.pack(co_resume(task.co, ...))
    self.barrier = barrier
    self.current = nil
    if coroutine.status(task.co) == "suspended" then
        assert(results[2] == GIVE_WAY, "a tasklet of the model yielded by itself")
        return
    end
    assert(results[1], results[2])
    self:finish(task, results[2], table.pack(table.unpack(results, 3, results.n)))
end

---Runs the chain until it is done.
function Scheduler:drive()
    local chain = self.chain
    while #chain > 0 do
        local task = table.remove(chain, 1)
        task.chain = nil
        if task.raise and not task.begun then
            self:finish(task, false, { task.raise.value })
        elseif not task.waiting then
            resume(self, task, table.unpack(task.args or {}, 1, task.args and task.args.n or 0))
        elseif task.raise or self:take(task) then
            task.waiting = false
            resume(self, task)
        else
            self:wait_on(task) -- what it was woken for is gone
        end
        prepend(chain, self.batch) -- whom its end has woken
        self.batch = {}
    end
end

---The current tasklet is suspended, through any generators that it is in.
function Scheduler:suspend()
    co_yield(GIVE_WAY)
end

---A function as coroutine.wrap gives; waits inside it suspend the whole tasklet.
function Scheduler:wrap(f)
    local co = co_create(f)
    local function returned(ok, ...)
        if ok and ... == GIVE_WAY then
            co_yield(GIVE_WAY)
            return returned(co_resume(co))
        end
        if not ok then
            error((...), 0)
        end
        return ...
    end
    return function(...)
        local blocks = not co_isyieldable()
        self.barrier = self.barrier + (blocks and 1 or 0)
        local results = table.pack(pcall(returned, co_resume(co, ...)))
        self.barrier = self.barrier - (blocks and 1 or 0)
        if not results[1] then
            error(results[2], 0)
        end
        return table.unpack(results, 2, results.n)
    end
end

---@return boolean # may the running code be suspended?
function Scheduler:can_give_way()
    return self.current ~= nil and self.barrier == 0 and co_isyieldable()
end

---Raises what somebody has thrown into the current tasklet.
function Scheduler:check_raise()
    local task = self.current
    if task and task.raise then
        local raised = task.raise
        task.raise = nil
        error(raised.value, 0)
    end
end

---Puts a tasklet into the batch of those that are to run now.
function Scheduler:add_to_batch(task)
    task.state = "handed"
    task.chain = self.batch
    table.insert(self.batch, task)
end

---Wakes one by the hand of a script, wherever it stands.
function Scheduler:wake(task)
    if task.state == "new" or task.state == "running" or task.state == "ended" then
        return
    end
    self:withdraw_offers(task)
    self:leave_queues(task)
    self:add_to_batch(task)
end

function Scheduler:leave_queues(task)
    if task.chain then
        remove(task.chain, task)
        task.chain = nil
    end
    if task.round then
        self:unqueue(task)
    end
end


---Those woken run now, up to their next wait; then the one that woke them goes on.
function Scheduler:hand_over()
    local batch = self.batch
    self.batch = {}
    local current = self.current
    if #batch == 0 then -- those that ran were called: join callbacks
        self:check_raise()
        return
    elseif self:can_give_way() then
        current.state = "handed"
        table.insert(batch, current)
        prepend(self.chain, batch)
        self:suspend()
    else
        local chain, barrier = self.chain, self.barrier
        table.insert(self.frames, { chain = chain, current = current })
        self.chain, self.current, self.barrier = {}, nil, 0
        prepend(self.chain, batch)
        self:drive()
        self.chain, self.current, self.barrier = chain, current, barrier
        table.remove(self.frames)
    end
    self:check_raise()
end

---Suspends the current tasklet after it was put where it waits; those in the batch run first.
function Scheduler:leave()
    local batch = self.batch
    self.batch = {}
    prepend(self.chain, batch)
    self:suspend()
end

-- ---- the loop ----

---Runs those that are ready, until nobody is or the loop looks at its timers.
local function drain(self)
    while self:any_ready() do
        if self:any_due() and self.choose() then
            return
        end
        local task = self:pop()
        task.chain = self.chain
        table.insert(self.chain, task)
        self:drive()
    end
end

---Runs until nothing is left that could happen. It begins in the middle of a turn.
function Scheduler:run()
    repeat
        drain(self)
        self:fire_timers()
        if not self:any_ready() then
            self:fire_idles()
        end
    until not self:any_ready()
end

return new
