-- receive: a tasklet that gets every message, whatever its name. It is an account: it holds its
-- balance in a local variable, and all the world can do is to send it messages.

local tasklet = require "tasklet"

local account = tasklet.run(function()
    local balance = 0
    for message in tasklet.receive() do
        if message.name == "deposit" then
            balance = balance + message.value
        elseif message.name == "withdraw" and message.value <= balance then
            balance = balance - message.value
        elseif message.name == "close" then
            return balance
        else
            print("refused: " .. message.name, message.value)
        end
    end
end)

tasklet.send(account, "deposit", 100)
tasklet.send(account, "withdraw", 30)
tasklet.send(account, "withdraw", 80)
tasklet.send(account, "rob", 70)
tasklet.send(account, "close")
print("closed with", account:join())

-- A timeout counts anew for each message.
local patient = tasklet.run(function()
    local count = 0
    local ok, err = pcall(function()
        for _ in tasklet.receive(0.05) do -- seconds
            count = count + 1
        end
    end)
    assert(not ok and tasklet.TimeoutError:is(err), err)
    return count
end)

for _ = 1, 3 do
    tasklet.sleep(0.01)
    tasklet.send(patient, "sign of life")
end
print("heard", patient:join())
