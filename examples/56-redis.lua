-- A client of Redis, in less than a hundred lines: commands are arrays of strings, replies have a
-- letter in front. Several tasklets share a connection: commands go out as they come, and replies
-- come back in the same order, so that a line of those who wait is all that is needed.

local tasklet = require "tasklet"
local fs, net, process = tasklet.fs, tasklet.net, tasklet.process

local read_reply

local replies = {
    ["+"] = function(line) return line end,
    ["-"] = function(line) return nil, line end,
    [":"] = function(line) return math.tointeger(line) end,
    ["$"] = function(line, stream)
        local count = math.tointeger(line)
        if count < 0 then
            return false -- there is none
        end
        local data = assert(stream:read(count))
        assert(stream:read(2) == "\r\n")
        return data
    end,
    ["*"] = function(line, stream)
        local list = {}
        for i = 1, math.tointeger(line) do
            list[i] = read_reply(stream)
        end
        return list
    end,
}

function read_reply(stream)
    local line = assert(stream:read("l")):gsub("\r$", "")
    return replies[line:sub(1, 1)](line:sub(2), stream)
end

--- Connects, and returns a client; each command is a method of it: `redis:set("key", "value")`.
local function connect(options)
    local stream, waiting = assert(net.connect(options)), {}
    local reader = tasklet.new(function()
        while true do
            local value, message = read_reply(stream)
            table.remove(waiting, 1):reply { value, message }
        end
    end, { name = "redis reader", daemon = true }):start()
    local writer = tasklet.new(function()
        for message in tasklet.receive() do
            waiting[#waiting + 1] = message
            stream:write("*", #message.value, "\r\n")
            for _, word in ipairs(message.value) do
                stream:write("$", #word, "\r\n", word, "\r\n")
            end
        end
    end, { name = "redis writer", daemon = true }):start()
    return setmetatable({ reader = reader }, {
        __index = function(_, name)
            return function(_, ...)
                local words = { name }
                for i = 1, select("#", ...) do
                    words[i + 1] = tostring((select(i, ...)))
                end
                return table.unpack(tasklet.call(writer, "command", words, 5), 1, 2)
            end
        end,
    })
end

-- ---- a server of our own to talk to ----

local dir = assert(fs.tempdir("redis-"))
local server <close> = assert(process.spawn {
    "redis-server", "--port", "0", "--unixsocket", dir .. "/socket", "--save", "", "--dir", dir,
    stdout = "pipe",
})
for line in server.stdout:lines() do
    if line:find("ready to accept connections at", 1, true) then
        break
    end
end

local redis = connect { path = dir .. "/socket" }
print((redis:set("greeting", "hello")))
print((redis:get("greeting")))
print(redis:incr("greeting"))

-- A thousand tasklets count at once, over one connection.
local counters = {}
for i = 1, 1000 do
    counters[i] = tasklet.run(function() return redis:incr("counter") end)
end
tasklet.join_all(counters)
print((redis:get("counter")))
print((redis:rpush("list", "a", "b", "c")), table.concat(redis:lrange("list", 0, -1), " "))

redis.reader:kill()
server:kill("TERM")
server:wait()
assert(fs.remove(dir, { recursive = true }))
