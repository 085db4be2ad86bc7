-- Calling a function later, or again and again: later, interval, rate, loop. Each gives a tasklet
-- that starts when it is called; a kill ends it.

local tasklet = require "tasklet"

-- later: once.
local reminder = tasklet.later(0.01, function(what)
    print("remember the " .. what)
    return "reminded"
end)
print(reminder("milk"):join())

-- A reminder that is not needed any more is killed.
local alarm = tasklet.later(60, print)("the alarm")
alarm:kill()
print("alarm", alarm:has_finished())

-- interval: with a pause between the end of one call and the next. An error does not end it; it is
-- written to standard error.
local beats = 0
local heart = tasklet.interval(0.005, function()
    beats = beats + 1
    if beats == 5 then
        tasklet.current():kill()
    end
end, {name = "heart", immediate = true}) -- the first call comes at once, not after a pause
heart:start()
print(heart.name, "beats", beats)
tasklet.wait(heart)
print(heart.name, "beats", beats, "finished", heart:has_finished())

-- rate: so many times a second in the long run, whatever a call costs. The function gets the time.
local start, calls = tasklet.mainloop.now() / 1000, 0
local sampler = tasklet.rate(200, function(now)
    tasklet.sleep(0.003) -- the next call is still 5 ms after this one
    calls = calls + 1
    if calls == 10 then
        print("ten calls at 200 Hz", now - start > 0.049)
        tasklet.current():kill()
    end
end)
tasklet.wait(sampler())

-- loop: again and again; others run in between. It waits where its function waits.
local requests = tasklet.Emitter{"request"}
local answered = 0
local server = tasklet.loop(function()
    local event = tasklet.wait(tasklet.WaitForSignal(requests, "request"))
    answered = answered + 1
    print("answered", event.signal_args[1])
end, {name = "server"})
server:start()
requests:emit("request", "how much")
tasklet.yield_() -- the loop comes round
requests:emit("request", "how many")
server:kill()
print(server.name, "answered", answered)

-- As a daemon a repetition does not keep the program alive.
tasklet.interval(60, print, {daemon = true})("tick")
