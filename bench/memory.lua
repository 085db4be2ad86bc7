-- What does a waiting tasklet weigh?
--
-- memory.lua N: N tasklets sleep on a WaitForTimeout of an hour, each on its own condition, all
-- with one body. The weight is the growth of the resident size after full collections.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local count = support.count(1, "tasklets")
local now = tasklet.mainloop.now

local begun, ended = 0, 0

local function body()
    begun = begun + 1
    tasklet.wait(tasklet.WaitForTimeout(3600000))
    ended = ended + 1
end

-- A few are kept, to see at the end whether they are what they seem. Nobody keeps the others.
local kept = {}
local every = math.max(1, count // 10)

collectgarbage()
collectgarbage()
local before = support.rss()
local start = now()
for i = 1, count do
    local t = tasklet.run(body)
    if i % every == 0 then
        kept[#kept + 1] = t
    end
end
local elapsed = now() - start
collectgarbage()
collectgarbage()
local grown = support.rss() - before

support.report("memory", grown / count, "B")
support.report("park", elapsed * 1e6 / count, "ns")

support.check(begun == count and ended == 0, "all began and none has ended")
for _, t in ipairs(kept) do
    support.check(t.state == tasklet.Tasklet.STATE_SUSPENDED, "a kept one is asleep")
    t:kill()
    support.check(t.state == tasklet.Tasklet.STATE_ZOMBIE, "a killed one has ended")
end
io.stdout:flush()
os.exit(0, false) -- Waking or closing a million tasklets is not the question.
