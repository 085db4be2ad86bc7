-- A port forwarder: what comes at one port goes to another, and back. Each direction is a tasklet
-- of a scope; when one side has written all, the other is told so by `shutdown`. A writer waits
-- while its peer is slow, and so does not read: a fast sender cannot fill the memory.

local tasklet = require "tasklet"
local net = tasklet.net

local function copy(from, to)
    while true do
        local data = from:read_some()
        if not data or not to:write(data) then
            break
        end
    end
    to:shutdown()
end

local function forward(stream, port)
    local other <close> = assert(net.connect { port = port, timeout = 5 })
    tasklet.scope(function(scope)
        scope:run(copy, stream, other)
        scope:run(copy, other, stream)
    end)
end

-- The server behind it: it counts what it gets, and says so at the end.
local counter = assert(net.listen { host = "127.0.0.1", port = 0 })
local _, counter_port = counter:sockname()
tasklet.run(function()
    counter:serve(function(stream)
        local bytes = 0
        while true do
            local data = stream:read_some()
            if not data then
                break
            end
            bytes = bytes + #data
        end
        stream:write(bytes, " bytes\n")
    end)
end)

local forwarder = assert(net.listen { host = "127.0.0.1", port = 0 })
local _, port = forwarder:sockname()
tasklet.run(function()
    forwarder:serve(function(stream)
        forward(stream, counter_port)
    end)
end)

for _, size in ipairs { 0, 1, 5000000 } do
    local stream <close> = assert(net.connect { port = port })
    stream:write(("x"):rep(size))
    stream:shutdown()
    print(stream:read())
end

forwarder:close()
counter:close()
