-- call and reply: a tasklet that is asked, and answers. Also what becomes of a call that nobody
-- answers.

local tasklet = require "tasklet"

local numbers = { ann = 4711, bob = 4712 }

local directory = tasklet.run(function()
    local waiting = {} -- by name: those who asked for somebody who is not there yet
    for message in tasklet.receive() do
        local value = message.value
        if message.name == "look up" then
            message:reply(numbers[value])
        elseif message.name == "wait for" and numbers[value] then
            message:reply(numbers[value])
        elseif message.name == "wait for" then
            waiting[value] = waiting[value] or {}
            table.insert(waiting[value], message) -- it is answered later
        elseif message.name == "add" then
            numbers[value.name] = value.number
            for _, question in ipairs(waiting[value.name] or {}) do
                question:reply(value.number)
            end
            message:reply("added")
        elseif message.name == "stop" then
            return
        end
    end
end)

print("ann", tasklet.call(directory, "look up", "ann"))
print("cid", tasklet.call(directory, "look up", "cid"))

local patient = tasklet.run(function()
    print("cid at last", tasklet.call(directory, "wait for", "cid"))
end)
print(tasklet.call(directory, "add", { name = "cid", number = 4713 }))
patient:join()

-- Nobody answers in time.
local ok, err = pcall(tasklet.call, directory, "wait for", "dora", 0.02) -- seconds
print(ok, tasklet.TimeoutError:is(err))

-- Nobody is left to answer.
local hopeful = tasklet.run(function()
    return pcall(tasklet.call, directory, "wait for", "dora")
end)
tasklet.send(directory, "stop")
ok, err = hopeful:join()
print(ok, tasklet.TaskletError:is(err), err.tasklet == directory)
