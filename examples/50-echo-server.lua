-- An echo server, and some who talk to it. Each connection has a tasklet of its own, in which code
-- just reads and writes; each waits for its own peer only.

local tasklet = require "tasklet"
local net = tasklet.net

local server = assert(net.listen { host = "127.0.0.1", port = 0 })
local _, port = server:sockname()

local serving = tasklet.run(function()
    server:serve(function(stream)
        for line in stream:lines() do
            stream:write(line, "\n")
        end
    end)
    print("the server is closed")
end)

local function talk(name, words)
    local stream <close> = assert(net.connect { port = port })
    local answers = {}
    for i, word in ipairs(words) do
        stream:write(name, " says ", word, "\n")
        answers[i] = stream:read()
    end
    return table.concat(answers, ", ")
end

for _, answer in ipairs(tasklet.all {
    function() return talk("Ann", { "hello", "how are you" }) end,
    function() return talk("Bob", { "hi" }) end,
}) do
    print(answer)
end

-- What is wrong with the world is a result; the last one is a name that does not change.
local stream = assert(net.connect { port = port })
stream:set_timeout(0.01)
print(stream:read())
stream:close()
print(stream:read())

server:close()
tasklet.join(serving)
print(select(3, net.connect { port = port }))
