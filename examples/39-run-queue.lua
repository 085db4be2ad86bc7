-- The run queue by hand: everything that a tasklet of Stackless can do.

local tasklet = require "tasklet"

local function say(...)
    print(tasklet.getcurrent().name, ...)
    return ...
end

-- Making one and giving it something to do in four steps, two, or one.
local t = tasklet.new(nil, {name = "t"})
t:bind(say)
print("bound", t.alive, t.scheduled)
t:setup("one") -- its arguments; it goes to the end of the run queue
print("set up", t.alive, t.scheduled, t.paused, tasklet.getruncount())
tasklet.schedule() -- the current one goes to the end; all others have their turn
print("ended", t.alive, t.scheduled)
tasklet.new(say, {name = "u"})("two")
tasklet.new(say, {name = "v"}):start("three") -- at once
tasklet.schedule()

-- The run queue is a ring. The current one stands between its end and its beginning.
local function steps(n)
    for i = 1, n do
        say(i)
        tasklet.schedule()
    end
end
local a = tasklet.new(steps, {name = "a"})(2)
local b = tasklet.new(steps, {name = "b"})(2)
local c = tasklet.new(steps, {name = "c"})(2)
local main = tasklet.getcurrent()
print("the ring:", main.next.name, main.next.next.name, c.next.name, a.prev.name)

-- run: b now, and as the ring goes on from there, c behind it. Then the caller goes on.
b:run()
print("main goes on")
c:remove() -- it is paused: it keeps its place in its function, and has no turn
print("removed", c.paused, c.scheduled, c.alive)
tasklet.schedule()
c:insert() -- to the end of the run queue
tasklet.schedule()

-- switch: as run, but the caller is paused until somebody inserts or runs it.
local other = tasklet.new(function()
    say("main is paused", main.paused)
    main:insert()
end, {name = "other"})()
other:switch()
print("main goes on again")

-- schedule_remove: the current one is paused. What it gave, or what somebody has put into its
-- tempval meanwhile, is what it gets.
local sleeper = tasklet.new(function()
    say(tasklet.schedule_remove("nobody has said anything"))
    say(tasklet.schedule_remove("nobody has said anything"))
end, {name = "sleeper"})
sleeper:start()
sleeper:run()
sleeper.tempval = "good morning"
sleeper:run()

-- raise_exception and throw: an error in it, where it stands.
local victim = tasklet.new(function()
    local ok, err = pcall(tasklet.schedule_remove)
    say(ok, err)
    ok, err = pcall(tasklet.schedule_remove)
    say(ok, err)
end, {name = "victim"})
victim:start()
victim:raise_exception(tasklet.TaskletError, "an error by its class")
victim:throw("an error as it is", true) -- pending: when it next runs
print("not yet", victim.scheduled)
tasklet.schedule()

-- block_trap: nothing that would make it wait is allowed.
main.block_trap = true
local ok, err = pcall(tasklet.sleep, 1)
print(ok, tasklet.TaskletError:is(err))
main.block_trap = false

-- Who is who.
print(main.is_main, main.is_current, a.is_current, main == tasklet.getmain(), main.restorable)
