-- An echo server, a controller's coroutine for each connection. Prints its port.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local server = socket.listen { host = "127.0.0.1", port = 0, nodelay = true }
server:listen()
print((select(3, server:localname())))
io.stdout:flush()

local loop = cqueues.new()
loop:wrap(function()
    for stream in server:clients() do
        stream:setmode("b", "bn")
        loop:wrap(function()
            while true do
                local data = stream:read(-65536)
                if not data then
                    break
                end
                stream:write(data)
                stream:flush()
            end
            stream:close()
        end)
    end
end)
assert(loop:loop())
