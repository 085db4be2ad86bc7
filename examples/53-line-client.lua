-- A client of a protocol of lines that connects again when the connection breaks. Requests come as
-- calls from other tasklets, which know nothing of connections: a request that was under way when
-- it broke is simply sent again.

local tasklet = require "tasklet"
local net = tasklet.net

-- Connects, at the latest after some attempts, with a pause that grows.
local function connect(port)
    local pause = 0.001
    for _ = 1, 10 do
        local stream = net.connect { port = port, timeout = 1 }
        if stream then
            stream:set_timeout(1)
            return stream
        end
        tasklet.sleep(pause)
        pause = pause * 2
    end
    error("nobody answers at port " .. port)
end

-- One request and its answer.
local function ask(stream, request)
    local ok, message = stream:write(request, "\n")
    if not ok then
        return nil, message
    end
    local answer, failure = stream:read()
    return answer, failure or "the server has closed the connection"
end

local function client(port)
    local stream
    for message in tasklet.receive() do
        local answer, failure
        repeat
            if not stream then
                stream = connect(port)
                print("connected")
            end
            answer, failure = ask(stream, message.value)
            if not answer then
                print("broken: " .. failure)
                stream:close()
                stream = nil
            end
        until answer
        message:reply(answer)
    end
end

-- A server that hangs up after two requests of each connection.
local server = assert(net.listen { host = "127.0.0.1", port = 0 })
local _, port = server:sockname()
tasklet.new(function()
    server:serve(function(stream)
        for _ = 1, 2 do
            local line = stream:read()
            if not line then
                break
            end
            stream:write(line:reverse(), "\n")
        end
    end)
end, { daemon = true })()

local worker = tasklet.new(client, { daemon = true, name = "client" })
worker(port)
for _, word in ipairs { "one", "two", "three", "four", "five" } do
    print(word, tasklet.call(worker, "request", word))
end
