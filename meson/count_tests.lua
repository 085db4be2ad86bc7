-- Counts the cases in a log of `meson test` whose tests speak TAP: prints "PASSED FAILED".
--   count_tests.lua TESTLOG.json
-- A test that ended badly without a failed case (a crash) is one failed case, and so is one that
-- ran fewer cases than it said.

local json = require "dkjson"

---@param test table a line of the log
---@return integer, integer
local function count(test)
    local good, bad, planned = 0, 0, 0
    for line in (test.stdout or ""):gmatch("[^\n]+") do
        planned = planned + (math.tointeger(line:match("^1%.%.(%d+)")) or 0)
        good = good + (line:find("^ok ") and 1 or 0)
        bad = bad + (line:find("^not ok ") and 1 or 0)
    end
    if bad == 0 and (test.result ~= "OK" or good == 0 or good < planned) then
        bad = 1
    end
    return good, bad
end

local passed, failed = 0, 0
for line in io.lines(arg[1]) do
    local good, bad = count(assert(json.decode(line)))
    passed, failed = passed + good, failed + bad
end
print(passed, failed)
