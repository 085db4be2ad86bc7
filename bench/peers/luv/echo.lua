-- An echo server by luv's callbacks. Prints its port.
local uv = require "luv"

local server = uv.new_tcp()
server:bind("127.0.0.1", 0)
server:listen(1024, function()
    local stream = uv.new_tcp()
    server:accept(stream)
    stream:nodelay(true)
    stream:read_start(function(_, data)
        if not data then
            stream:close()
        elseif stream:try_write(data) ~= #data then
            error("a request was not sent as a whole")
        end
    end)
end)
print(server:getsockname().port)
io.stdout:flush()
uv.run()
