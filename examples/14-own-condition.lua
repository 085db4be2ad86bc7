-- A condition of your own: wait until something in a directory changes. It wraps a watch of luv.

local tasklet = require "tasklet"
local uv = require "luv"

local WaitForChange = tasklet.WaitCondition:subclass("WaitForChange")

function WaitForChange:init(path)
    self.path = path
end

-- Called when the condition comes into the wait list of a tasklet.
function WaitForChange:arm(task)
    self.watch = assert(uv.new_fs_event())
    assert(self.watch:start(self.path, {}, function(err, name)
        self.err, self.name = err, name
        task:wait_condition_fired(self)
    end))
end

-- Called when it leaves the wait list, or when the tasklet ends.
function WaitForChange:disarm()
    self.watch:close()
    self.watch = nil
end

local dir = os.tmpname()
os.remove(dir)
assert(uv.fs_mkdir(dir, tonumber("700", 8)))

local watcher = tasklet.run(function()
    local change = WaitForChange(dir)
    -- It goes together with any other condition.
    coroutine.yield(change, tasklet.WaitForTimeout(60000))
    local event = tasklet.get_event()
    print("changed", event == change, event.name)
end)

tasklet.sleep(0.01)
assert(io.open(dir .. "/hello", "w")):close()
tasklet.join(watcher)

os.remove(dir .. "/hello")
os.remove(dir)
