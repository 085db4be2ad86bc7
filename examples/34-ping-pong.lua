-- Channels: who sends and who receives meet, and a value goes from hand to hand. Nothing is kept in
-- between: whoever comes first waits for the other.

local tasklet = require "tasklet"

local there, back = tasklet.channel(), tasklet.channel()

local pong = tasklet.run(function()
    for ball in there do -- until the channel is closed
        print("pong", ball)
        back:send(ball + 1)
    end
    return "pong has gone home"
end)

local ball = 1
for _ = 1, 3 do
    there:send(ball)
    ball = back:receive()
    print("ping", ball)
end
there:close()
print(pong:join())

-- The balance is the number of those who wait to send, or, below zero, to receive.
local line = tasklet.channel()
print(line.balance, line.queue)
local first = tasklet.run(line.send, line, "a")
local second = tasklet.run(line.send, line, "b")
print(line.balance, line.queue == first, first.blocked, first.next == second, second.next)
print(line:receive(), line:receive(), line.balance)

-- A sender may raise an error in the receiver instead.
local careful = tasklet.run(function() return pcall(line.receive, line) end)
line:send_exception(tasklet.TaskletError, "no more balls")
local ok, err = careful:join()
print(ok, tasklet.TaskletError:is(err), err)
