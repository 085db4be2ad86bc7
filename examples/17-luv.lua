-- luv side by side with tasklets, on one loop: a server written with luv's callbacks, and a client
-- that is a tasklet.

local tasklet = require "tasklet"
local uv = require "luv"

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))
assert(server:listen(8, function(err)
    assert(not err, err)
    local peer = uv.new_tcp()
    server:accept(peer)
    peer:read_start(function(_, data)
        if data then
            peer:write(data:upper())
        else
            peer:close()
            server:close()
        end
    end)
end))

-- A WaitForCall serves as the callback: call, wait, go on.
local client = tasklet.run(function()
    local done, got = tasklet.WaitForCall(), tasklet.WaitForCall()
    local socket = uv.new_tcp()
    socket:connect("127.0.0.1", server:getsockname().port, done)
    local err = tasklet.wait(done).args[1]
    assert(not err, err)
    socket:read_start(got)
    for _, word in ipairs{"one", "two", "three"} do
        socket:write(word)
        print(word, tasklet.wait(got).args[2])
    end
    socket:close()
end)

tasklet.join(client)
print("the client is done")
