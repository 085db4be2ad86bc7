-- WaitForIO: a pipe between two tasklets. The reader waits until there is something to read.

local tasklet = require "tasklet"
local uv = require "luv"

local fds = uv.pipe({nonblock = true}, {nonblock = true})

local reader = tasklet.run(function()
    local readable = tasklet.WaitForIO(fds.read, tasklet.IO_IN)
    while true do
        coroutine.yield(readable)
        local event = tasklet.get_event()
        local data = assert(uv.fs_read(fds.read, 4096))
        if data == "" then
            print("the other end was closed", event.condition & tasklet.IO_HUP ~= 0)
            uv.fs_close(fds.read)
            return
        end
        print("read", data)
    end
end)

for _, word in ipairs{"one", "two", "three"} do
    -- An empty pipe takes a word at once; a full one would make this wait.
    tasklet.wait(tasklet.WaitForIO(fds.write, tasklet.IO_OUT))
    assert(uv.fs_write(fds.write, word))
    tasklet.sleep(0.02)
end
uv.fs_close(fds.write)
tasklet.join(reader)
