-- What does a request cost a server? echo.lua listens, prints its port, and sends back what comes,
-- each connection in a tasklet of its own. limits/load.c starts it, asks, and measures.

local tasklet = require "tasklet"

local server = assert(tasklet.net.listen { host = "127.0.0.1", port = 0 })
print((select(2, server:sockname())))
io.stdout:flush()

server:serve(function(stream)
    while true do
        local data = stream:read_some()
        if not data then
            break
        end
        stream:write(data)
    end
end)
