-- What does starting and ending a tasklet cost?
--
-- spawn.lua N B: N tasklets in all. With B = 1 each one ends at once, inside run(). Else each calls
-- tasklet.yield_() once, so that B of them are alive at a time.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path
local tasklet = require "tasklet"
local support = require "support"

local total = support.count(1, "tasklets")
local batch = support.count(2, "batch")
local now, run, yield_ = tasklet.mainloop.now, tasklet.run, tasklet.yield_

local begun, ended = 0, 0

local function at_once()
    begun = begun + 1
    ended = ended + 1
end

local function with_a_yield()
    begun = begun + 1
    yield_()
    ended = ended + 1
end

local body = batch == 1 and at_once or with_a_yield
local start = now()
for done = batch, total, batch do
    for _ = 1, batch do
        run(body)
    end
    support.check(begun == done, "run starts at once")
    while ended < done do
        yield_()
    end
end
local elapsed = now() - start

support.check(begun == total and ended == total, "every tasklet began and ended")
support.report("spawn", elapsed * 1e6 / total, "ns")
