-- Two tools made of a channel: a semaphore, which lets in so many at once, and a limiter, which
-- lets in so many a second.

local tasklet = require "tasklet"

-- A semaphore: the number of free places, and a channel on which those wait whom it keeps out.
local Semaphore = {}
Semaphore.__index = Semaphore

local function semaphore(free)
    return setmetatable({free = free, line = tasklet.channel()}, Semaphore)
end

function Semaphore:acquire(timeout)
    if self.free > 0 then
        self.free = self.free - 1
    else
        self.line:receive(timeout) -- first come, first served
    end
end

-- The place goes from hand to hand, and is never free in between: so nobody overtakes. In a tasklet
-- that was killed every send raises; the shield holds that back.
function Semaphore:release()
    tasklet.shield(function()
        if self.line.balance < 0 then
            self.line:send(true)
        else
            self.free = self.free + 1
        end
    end)
end

-- Holds a place as long as `f` runs, however that ends.
function Semaphore:within(f, ...)
    self:acquire()
    local _ <close> = setmetatable({}, {__close = function() self:release() end})
    return f(...)
end

local bridge = semaphore(2)
local crossing, most, crossed = 0, 0, {}

local function cross(name)
    crossing = crossing + 1
    most = math.max(most, crossing)
    for _ = 1, 3 do
        tasklet.yield_()
    end
    crossing = crossing - 1
    crossed[#crossed + 1] = name
end

tasklet.scope(function(s)
    for _, name in ipairs{"ant", "bee", "cow", "dog", "elk"} do
        s:run(bridge.within, bridge, cross, name)
    end
    print("on the bridge", crossing, "waiting", -bridge.line.balance)
end)
print("crossed", table.concat(crossed, " "))
print("at once, at most", most, "free now", bridge.free)

-- One that is killed gives its place back. One that is killed in the line, or is tired of waiting,
-- leaves the line, and those behind it move up.
local on_it = tasklet.run(bridge.within, bridge, tasklet.sleep, 60)
local beside = tasklet.run(bridge.within, bridge, tasklet.sleep, 60)
local in_line = tasklet.run(bridge.acquire, bridge)
local next_one = tasklet.run(bridge.within, bridge, print, "the next one is on the bridge")
print(pcall(bridge.acquire, bridge, 0.002))
in_line:kill()
on_it:kill()
print("waiting", -bridge.line.balance, next_one:has_finished(), "free", bridge.free)
beside:kill()

-- A limiter: a daemon that hands out a permit every 2 ms. If nobody waits for it, it is gone:
-- permits are not saved up, so that no burst follows a pause.
local permits = tasklet.channel()
tasklet.interval(0.002, function()
    if permits.balance < 0 then
        permits:send(true)
    end
end, {daemon = true, name = "limiter"})()

local start, done = tasklet.mainloop.now(), 0
tasklet.scope(function(s)
    for _ = 1, 5 do
        s:run(function()
            permits:receive()
            done = done + 1
        end)
    end
end)
print("done", done, "with four pauses in between", tasklet.mainloop.now() - start >= 8)
