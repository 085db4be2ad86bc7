-- What matrix_spec.lua crosses: every way to wait, and every place to wait in. A way to wait is a
-- row, made by one call of `condition`, `verb` or `timed` below. The file is a module because the
-- children of that spec, host processes, need it, too.
local M = {}

local tasklet, uv = require "tasklet", require "luv"
local helper = require "spec.helper"

local WaitForCall = tasklet.WaitForCall

---@class spec.Wait an attempt at a row
---@field wait fun(): boolean waits; true if what it waited for came. May be called again
---@field finish fun(t) makes what is waited for come; `t` is the one that waits
---@field cleanup? fun() puts everything away; may wait
---@field after? fun() checks what must hold after the one that waited has ended by something else
---@field abandon? fun() after finish: has those that others wait for end, if they still wait

---@class spec.WaitEnv what a row is made with
---@field brief boolean waits that only time ends are to be short, but repeated until `finish`
---@field note fun(object: any): any for what must be collected in the end; returns it
---@field guard fun(f: function): function the body of a tasklet that is waited for
---@field guard_own fun(f: function): function the body of one that the wait itself starts

---@class spec.WaitRow
---@field name string
---@field make fun(env: spec.WaitEnv): spec.Wait
---@field members? boolean it has tasklets of a scope of its own
---@field timed? boolean only time ends it: it waits again and again
---@field body_only? boolean it is Lua's own yield, which means something else in a generator

---@type spec.WaitRow[]
M.rows = {}

local function row(name, flags, make)
    local new = {name = name, make = make}
    for flag in pairs(flags or {}) do
        new[flag] = true
    end
    M.rows[#M.rows + 1] = new
end

--- `f(env)` returns wait, finish, and, if need be, cleanup, after and abandon; as in spec.Wait.
local function verb(name, f, flags)
    row(name, flags, function(env)
        local w = {}
        w.wait, w.finish, w.cleanup, w.after, w.abandon = f(env)
        return w
    end)
end

--- `f(env)` returns a condition, finish, and, if need be, cleanup and after.
local function condition(name, f, flags)
    row(name, flags, function(env)
        local w, c = {}
        c, w.finish, w.cleanup, w.after = f(env)
        env.note(c)
        function w.wait()
            local event = tasklet.wait(c)
            return rawequal(event, c) or event.name == "go"
        end
        return w
    end)
end

--- `f(env)` returns a function that waits for a time; it is repeated until `finish`. `restless`: it
--- waits for no time at all, and a virtual clock would stand; so it computes in between.
local function timed(name, f, restless)
    row(name, {timed = true}, function(env)
        local once, done = f(env), false
        return {
            wait = function()
                repeat
                    if restless then
                        helper.compute(0.005)
                    end
                    once()
                until done
                return true
            end,
            finish = function() done = true end,
        }
    end)
end

--- A tasklet that ends when the second result is called, and what puts it away.
local function target(env, result)
    local gate = env.note(WaitForCall())
    local t = env.note(tasklet.run(env.guard(function()
        tasklet.wait(gate)
        return result or "result"
    end)))
    return t, function() gate() end, function() t:kill() end
end

--- For waits that start tasklets themselves, anew each time: `hold()` is a function that waits
--- until `open` is called, and returns true.
local function gates(env)
    local all, opened = {}, false
    local function hold()
        local gate = env.note(WaitForCall())
        all[#all + 1] = gate
        if opened then
            gate() -- it is kept
        end
        return env.guard_own(function()
            tasklet.wait(gate)
            return true
        end)
    end
    local function open()
        opened = true
        for _, gate in ipairs(all) do
            gate()
        end
    end
    return hold, open
end

--- For waits on a channel: what meets who stands there, by f(ch), and does nothing if nobody does;
--- what puts it away; and what checks that nobody stands there, nor on another one.
local function partner(env, ch, f, other)
    local t
    local function finish()
        if ch.queue then
            t = env.note(tasklet.run(env.guard(function() f(ch) end)))
        end
    end
    local function cleanup()
        if t then
            tasklet.join(t)
        end
    end
    return finish, cleanup, function()
        assert(ch.balance == 0 and not ch.queue, "it still stands on the channel")
        assert(not other or other.balance == 0, "it still stands on another channel")
    end
end

local function receive_value(ch) assert(ch:receive() == "value") end
local function send_value(ch) ch:send("value") end

-- ---- conditions ---------------------------------------------------------------------------------

timed("WaitForTimeout", function(env)
    local c = env.note(tasklet.WaitForTimeout(env.brief and 5 or 600000))
    return function() assert(tasklet.wait(c) == c) end
end)

timed("WaitForIdle", function(env)
    local c = env.note(tasklet.WaitForIdle())
    return function() assert(tasklet.wait(c) == c) end
end, true)

condition("WaitForIO", function()
    local pipe = uv.pipe()
    return tasklet.WaitForIO(pipe.read), function() uv.fs_write(pipe.write, "x") end, function()
        uv.fs_close(pipe.read)
        uv.fs_close(pipe.write)
    end
end)

condition("WaitForProcess", function(env)
    local pipe, done, fired = uv.pipe(), env.note(WaitForCall()), false
    local handle, pid
    handle, pid = uv.spawn("cat", {stdio = {pipe.read}}, function()
        handle:close()
        done()
    end)
    -- The end of its input ends the child.
    local function finish()
        if not fired then
            fired = true
            uv.fs_close(pipe.write)
        end
    end
    return tasklet.WaitForProcess(pid), finish, function()
        finish()
        tasklet.wait(done)
        uv.fs_close(pipe.read)
    end
end)

condition("WaitForTasklet", function(env)
    local t, finish, cleanup = target(env)
    return tasklet.WaitForTasklet(t), finish, cleanup
end)

condition("WaitForSignal", function(env)
    local emitter = env.note(tasklet.Emitter{"go"})
    return tasklet.WaitForSignal(emitter, "go"), function() emitter:emit("go") end,
        function() emitter:destroy() end
end)

condition("WaitForSignal of a class", function(env)
    local Class = tasklet.Emitter:subclass("Class", {"go"})
    return tasklet.WaitForSignal(Class, "go"), function() env.note(Class()):emit("go") end
end)

condition("WaitForSignal of the operating system's", function()
    return tasklet.WaitForSignal(tasklet.signals, "SIGWINCH"),
        function() assert(uv.kill(uv.os_getpid(), "sigwinch")) end
end)

condition("WaitForCall", function()
    local call = WaitForCall()
    return call, function() call() end
end)

condition("WaitForMessages", function()
    return tasklet.WaitForMessages{accept = "go", defer = "later"},
        function(t) tasklet.send(t, "go") end
end)

condition("WaitForChannel to receive", function(env)
    local ch = env.note(tasklet.channel())
    return tasklet.WaitForChannel(ch, "receive"), partner(env, ch, send_value)
end)

condition("WaitForChannel to send", function(env)
    local ch = env.note(tasklet.channel())
    return tasklet.WaitForChannel(ch, "send", "value"), partner(env, ch, receive_value)
end)

condition("a WaitCondition of one's own", function()
    local Own = tasklet.WaitCondition:subclass("Own")
    local armed, owner = 0, nil
    function Own.arm(_, t) armed, owner = armed + 1, t end
    function Own.disarm() armed, owner = armed - 1, nil end
    local c = Own()
    local function finish()
        if owner then
            owner:wait_condition_fired(c)
        end
    end
    return c, finish, nil, function() assert(armed == 0, "it is still armed") end
end)

-- ---- yields -------------------------------------------------------------------------------------

verb("a wait for several conditions", function(env)
    local call, timeout = env.note(WaitForCall()), env.note(tasklet.WaitForTimeout(600000))
    local messages = env.note(tasklet.WaitForMessages{accept = "go"})
    return function() return tasklet.wait(messages, call, timeout) == call end,
        function() call() end
end)

verb("coroutine.yield with get_event", function(env)
    local call, idle = env.note(WaitForCall()), env.note(tasklet.WaitForTimeout(600000))
    return function()
        coroutine.yield{idle, call}
        return tasklet.get_event() == call
    end, function() call() end
end, {body_only = true})

verb("a tasklet that is yielded", function(env)
    local t, finish, cleanup = target(env, "given")
    return function() return tasklet.wait(t).retval == "given" end, finish, cleanup
end)

verb("a function that is yielded", function(env)
    local hold, open = gates(env)
    return function()
        tasklet.wait(hold())
        return true
    end, open, open
end)

-- ---- verbs --------------------------------------------------------------------------------------

timed("sleep", function(env)
    return function() tasklet.sleep(env.brief and 0.005 or 600) end
end)

timed("yield_", function() return tasklet.yield_ end, true)

verb("join", function(env)
    local t, finish, cleanup = target(env)
    return function() return tasklet.join(t) == "result" end, finish, cleanup
end)

verb("join with a timeout", function(env)
    local t, finish, cleanup = target(env)
    return function() return t:join(600) == "result" end, finish, cleanup
end)

verb("join_all", function(env)
    local one, finish_one, cleanup_one = target(env, 1)
    local two, finish_two, cleanup_two = target(env, 2)
    return function() return tasklet.join_all{one, two}[2] == 2 end, function()
        finish_one()
        finish_two()
    end, function()
        cleanup_one()
        cleanup_two()
    end
end)

verb("join_children", function(env)
    local child, finish, cleanup
    return function()
        if not child then
            child, finish, cleanup = target(env)
        end
        tasklet.join_children(600)
        return child:has_finished()
    end, function() finish() end, function()
        if child then
            cleanup()
        end
    end
end)

local function send_go(t) tasklet.send(t, "go") end

--- The first value that an iteration gives.
local function first(next_value, state, value)
    return (next_value(state, value))
end

verb("popleft", function()
    return function() return tasklet.current().mailbox:popleft().name == "go" end, send_go
end)

verb("popleft with a timeout", function()
    return function() return tasklet.current().mailbox:popleft(600).name == "go" end, send_go
end)

verb("receive", function()
    return function() return first(tasklet.receive()).name == "go" end, send_go
end)

verb("receive with a timeout", function()
    return function() return first(tasklet.receive(600)).name == "go" end, send_go
end)

verb("receive_batch", function()
    return function()
        local list = first(tasklet.receive_batch(2, 0.005))
        return #list == 1 and list[1].name == "go"
    end, send_go
end)

--- A tasklet that does nothing until `open` is called, and then `f(message)` with each message
--- named `name`, until that returns true or `stop` is called.
local function server(env, name, f, options)
    local gate, stopped = env.note(WaitForCall()), env.note(WaitForCall())
    local t = env.note(tasklet.new(env.guard(function()
        tasklet.wait(gate)
        local messages = tasklet.WaitForMessages{accept = name}
        repeat
            local event = tasklet.wait(messages, stopped)
        until event == stopped or f(event)
    end), options))
    t:start()
    return t, function() gate() end, function() t:kill() end, function() stopped() end
end

for name, timeout in pairs{call = false, ["call with a timeout"] = 600} do
    verb(name, function(env)
        local answered = false
        local t, open, kill, stop = server(env, "ask", function(message)
            answered = message:reply("answer")
            return answered
        end)
        return function() return tasklet.call(t, "ask", 1, timeout or nil) == "answer" end, open,
            kill, function()
                open()
                assert(not answered, "somebody still waited for the answer")
            end, stop
    end)
end

verb("a send to a full mailbox", function(env)
    local got = {}
    local t, open, kill, stop = server(env, {"first", "second"}, function(message)
        got[#got + 1] = message.name
        return message.name == "second"
    end, {max_mailbox_len = 1})
    t:send_message(tasklet.Message("first"))
    return function()
        tasklet.send(t, "second")
        return #got + #t.mailbox >= 1
    end, open, kill, function()
        assert(#t.mailbox == 1, "what was not sent is there")
        open()
        assert(#got == 1 and got[1] == "first", "what was not sent was received")
    end, stop
end)

-- ---- channels -----------------------------------------------------------------------------------

--- A verb that waits on a channel; `meet(ch)` is what its partner does.
local function on_channel(name, wait, meet)
    verb(name, function(env)
        local ch = env.note(tasklet.channel())
        return function() return wait(ch) end, partner(env, ch, meet)
    end)
end

on_channel("a channel's send", function(ch)
    ch:send("value")
    return true
end, receive_value)

on_channel("a channel's send with a timeout", function(ch)
    ch:send("value", 600)
    return true
end, receive_value)

on_channel("a channel's send_exception", function(ch)
    ch:send_exception("value")
    return true
end, function(ch) assert(not pcall(ch.receive, ch)) end)

on_channel("a channel's send_sequence", function(ch) return ch:send_sequence{"value"} == 1 end,
    receive_value)

on_channel("a channel's receive", function(ch) return ch:receive() == "value" end, send_value)

on_channel("a channel's receive with a timeout", function(ch) return ch:receive(600) == "value" end,
    send_value)

on_channel("an iteration over a channel", function(ch) return first(ch) == "value" end, send_value)

verb("a receive from several channels", function(env)
    local a, b = env.note(tasklet.channel()), env.note(tasklet.channel())
    local send, receive = tasklet.WaitForChannel(a, "send"), tasklet.WaitForChannel(b, "receive")
    return function() return tasklet.wait(send, receive, WaitForCall()) == receive end,
        partner(env, b, send_value, a)
end)

-- ---- scopes -------------------------------------------------------------------------------------

local members = {members = true}

verb("the end of a scope", function(env)
    local hold, open = gates(env)
    return function()
        return tasklet.scope(function(s)
            env.note(s:run(hold()))
            return true
        end)
    end, open
end, members)

verb("the end of a block with a scope", function(env)
    local hold, open = gates(env)
    return function()
        do
            local s <close> = tasklet.scope()
            env.note(s:run(hold()))
        end
        return true
    end, open
end, members)

verb("the body of a scope", function(env)
    local hold, open = gates(env)
    local call = env.note(WaitForCall())
    return function()
        return tasklet.scope(function(s)
            env.note(s:run(hold()))
            return tasklet.wait(call) == call
        end)
    end, function()
        call()
        open()
    end
end, members)

verb("all", function(env)
    local hold, open = gates(env)
    return function()
        return tasklet.all{hold(), function() return "second" end}[1] == true
    end, open
end, members)

verb("any", function(env)
    local hold, open = gates(env)
    local never = gates(env)
    return function() return tasklet.any{never(), hold()} == true end, open
end, members)

verb("with_deadline that is not over", function(env)
    local call = env.note(WaitForCall())
    return function() return tasklet.with_deadline(600, tasklet.wait, call) == call end,
        function() call() end
end)

-- ---- where it stands ----------------------------------------------------------------------------

local classes = {"TaskletExit", "TimeoutError", "JoinError", "ChannelError", "TaskletError"}

---@param value any
---@return string # the name of its class of errors, or the text
function M.class_of(value)
    for _, name in ipairs(classes) do
        if tasklet[name] and tasklet[name]:is(value) then
            return name
        end
    end
    return tostring(value)
end

--- What `f` raises, as class_of has it; "went on" if nothing.
function M.raises(f, ...)
    local ok, err = pcall(f, ...)
    return ok and "went on" or M.class_of(err)
end

local function closing(f)
    return setmetatable({}, {__close = f})
end

---@class spec.Stance
---@field name string
---@field holds? boolean the wait is left to finish
---@field generator? boolean
---@field body fun(w: spec.Wait, trace: string[]) waits, and leaves what it saw in the trace
---@field trace fun(error: string): string[] what it must see if it is ended by that error

---@type spec.Stance[]
M.stances = {
    {
        name = "plain",
        body = function(w, trace)
            local _ <close> = closing(function(_, err)
                trace[1] = M.class_of(err)
                trace[2] = M.raises(w.wait)
            end)
            w.wait()
            trace[3] = "went on"
        end,
        trace = function(error) return {error, error} end,
    },
    {
        name = "inside pcall",
        body = function(w, trace)
            trace[1] = M.raises(w.wait)
            trace[2] = M.raises(w.wait)
            trace[3] = M.raises(tasklet.sleep, 0)
            trace[4] = M.raises(tasklet.wait, tasklet.WaitForTimeout(0))
            w.wait()
            trace[5] = "went on"
        end,
        trace = function(error) return {error, error, error, error} end,
    },
    {
        name = "inside tasklet.shield",
        holds = true,
        body = function(w, trace)
            trace[1] = tasklet.shield(function()
                return w.wait() and "finished" or "finished without what it waited for"
            end)
            trace[2] = M.raises(tasklet.sleep, 0)
            trace[3] = M.raises(tasklet.yield_)
            tasklet.sleep(0)
            trace[4] = "went on"
        end,
        trace = function(error) return {"finished", error, error} end,
    },
    {
        name = "inside a <close> handler",
        body = function(w, trace)
            do
                local _ <close> = closing(function(_, err)
                    trace[1] = tostring(err)
                    trace[2] = M.raises(w.wait)
                    w.wait()
                    trace[3] = "went on"
                end)
            end
            trace[4] = "went on"
        end,
        trace = function(error) return {"nil", error} end,
    },
    {
        name = "inside a coroutine.wrap generator",
        generator = true,
        body = function(w, trace)
            local generator = coroutine.wrap(function()
                local _ <close> = closing(function() trace[3] = "closed" end)
                coroutine.yield("value")
                trace[2] = M.raises(w.wait)
                w.wait()
                trace[4] = "went on"
            end)
            trace[1] = generator()
            generator()
            trace[5] = "went on"
        end,
        trace = function(error) return {"value", error, "closed"} end,
    },
}

---@param r spec.WaitRow
---@param stance spec.Stance
---@return boolean # whether the row can stand there
function M.possible(r, stance)
    return not (r.body_only and stance.generator)
end

-- ---- attempts -----------------------------------------------------------------------------------

local function unguarded(f) return f end

--- `f` goes on to its end, also when it is killed.
local function guarded(f)
    return function() return tasklet.shield(f) end
end

---@param r spec.WaitRow
---@param options {brief: boolean, note?: function, guarded?: boolean, own_guarded?: boolean}
---@return spec.Wait
function M.make(r, options)
    return r.make{
        brief = options.brief,
        note = options.note or function(object) return object end,
        guard = options.guarded and guarded or unguarded,
        guard_own = options.own_guarded and guarded or unguarded,
    }
end

-- ---- in a host of their own ---------------------------------------------------------------------

--- Whether a program that is told to end can be asked about the row there. What waits again and
--- again may be running when it is told; members of a scope are killed, too.
function M.possible_at_end(r, stance)
    return M.possible(r, stance) and not (stance.holds and (r.timed or r.members))
end

--- Has all rows wait in that stance, says "ready", and prints what each of them sees when the
--- program is told to end: its name, how it ended, and its trace.
---@param name string of the stance
function M.stand(name)
    local stance
    for _, s in ipairs(M.stances) do
        stance = s.name == name and s or stance
    end
    local attempts = {}
    for _, r in ipairs(M.rows) do
        if M.possible_at_end(r, stance) then
            local w, trace = M.make(r, {
                brief = stance.holds, guarded = true, own_guarded = stance.holds,
            }), {}
            attempts[#attempts + 1] = w
            w.owner = tasklet.run(function()
                local ok, err = pcall(stance.body, w, trace)
                print(r.name .. "\t" .. (ok and "returned" or M.class_of(err)) .. "\t"
                    .. table.concat(trace, " "))
                error(err, 0)
            end)
        end
    end
    -- What is waited for is guarded, and ends when this lets it. Its being killed is how it hears
    -- of the end of the program.
    tasklet.run(function()
        pcall(tasklet.sleep, 600)
        tasklet.shield(function()
            for _, w in ipairs(attempts) do
                if stance.holds then
                    tasklet.sleep(0.001) -- so that all have been killed
                else
                    pcall(tasklet.join, w.owner)
                end
            end
            for _, w in ipairs(attempts) do
                pcall(w.finish, w.owner) -- one that has ended takes no messages
                if w.abandon and not stance.holds then
                    w.abandon()
                end
            end
        end)
    end)
    print("ready")
    tasklet.sleep(600)
end

return M
