-- A chat server. The tasklet of a connection waits for lines from its peer and for messages from
-- the others, in one yield: so it alone writes to its stream, and there is nothing to lock.

local tasklet = require "tasklet"
local net = tasklet.net

local members = {} -- by tasklet: the name

local function tell_all(text, but)
    for member in pairs(members) do
        if member ~= but then
            tasklet.send(member, "line", text)
        end
    end
end

local function attend(stream)
    local self = tasklet.current()
    stream:write("your name?\n")
    local name = stream:read()
    if not name then
        return
    end
    tell_all(name .. " has come")
    members[self] = name
    stream:write("welcome, ", name, "\n")

    local readable = stream:readable()
    local others = tasklet.WaitForMessages { accept = "line" }
    while true do
        local event = tasklet.wait(readable, others)
        if event ~= readable then
            stream:write(event.value, "\n")
        else
            local line = stream:read()
            if not line then
                break
            end
            tell_all(name .. ": " .. line, self)
        end
    end
    members[self] = nil
    tell_all(name .. " has gone")
end

local server = assert(net.listen { host = "127.0.0.1", port = 0 })
local serving = tasklet.run(function() server:serve(attend) end)
local _, port = server:sockname()

-- Two who chat. Each line is awaited before the next one is written, so that all is in order.
local function join_chat(name)
    local stream = assert(net.connect { port = port })
    assert(stream:read() == "your name?")
    stream:write(name, "\n")
    print(name .. " reads", stream:read())
    return stream
end

local ann = join_chat("Ann")
local bob = join_chat("Bob")
print("Ann reads", ann:read())
bob:write("hello, Ann\n")
print("Ann reads", ann:read())
ann:write("hello, Bob\nI have to go\n")
print("Bob reads", bob:read())
print("Bob reads", bob:read())
ann:close()
print("Bob reads", bob:read())
bob:close()

server:close()
tasklet.join(serving)
