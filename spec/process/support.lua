-- What the specs of children share.

local tasklet = require "tasklet"
local helper = require "spec.helper"

local M = {}

---Runs `f` in a tasklet, by the system's clock: children take the time they take.
function M.run(f)
    return function()
        helper.within_real_time(f)
    end
end

---The processes of the machine: {[pid] = {pid=, parent=, group=, state=, name=}}.
function M.processes()
    local list, pids = {}, {}
    local names = assert(io.popen("ls /proc"))
    for pid in names:lines() do
        pids[#pids + 1] = pid
    end
    names:close() -- else it is among them
    for _, pid in ipairs(pids) do
        local file = pid:find("^%d+$") and io.open("/proc/" .. pid .. "/stat")
        local text = file and file:read("a")
        if file then
            file:close()
        end
        if text then
            local name, state, parent, group = text:match("%((.*)%) (%a) (%-?%d+) (%-?%d+)")
            list[tonumber(pid)] = {
                pid = tonumber(pid), name = name, state = state, parent = tonumber(parent),
                group = tonumber(group),
            }
        end
    end
    return list
end

---The pid of this process.
function M.own_pid()
    local file <close> = assert(io.open("/proc/self/stat"))
    return file:read("n")
end

---Children of this process that have ended and not been collected.
function M.zombies()
    local own, count = M.own_pid(), 0
    for _, process in pairs(M.processes()) do
        if process.parent == own and process.state == "Z" then
            count = count + 1
        end
    end
    return count
end

---Is there a process of that pid that has not ended?
function M.is_alive(pid)
    local file <close> = io.open("/proc/" .. math.tointeger(pid) .. "/stat")
    local text = file and file:read("a")
    local state = text and text:match("%) (%a)")
    return state ~= nil and state ~= "Z" and state ~= "X"
end

---Waits until `condition` holds; fails if that takes longer than `seconds`, 20 if absent.
function M.await(condition, seconds)
    local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1
    local limit = tasklet.mainloop.now() + (seconds or 20) * patience * 1000
    while not condition() do
        assert(tasklet.mainloop.now() < limit, "it did not come about in time")
        tasklet.sleep(0.005)
    end
end

---How many descriptors this process has open, but for those of the library's own that have nothing
---behind them, which are made when they are first needed.
function M.descriptors()
    local count = 0
    local lines = assert(io.popen("ls -l /proc/" .. M.own_pid() .. "/fd"))
    for line in lines:lines() do
        count = count + (line:find(" -> ") and not line:find("anon_inode:") and 1 or 0)
    end
    lines:close()
    return count
end

return M
