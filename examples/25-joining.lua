-- Waiting for several tasklets: join, join_all, join_children, with and without a time limit.

local tasklet = require "tasklet"
local JoinError, TimeoutError = tasklet.JoinError, tasklet.TimeoutError

local function fetch(name, seconds)
    tasklet.sleep(seconds)
    if name == "figs" then
        error("out of figs", 0)
    end
    return name, #name
end

-- join gives all results, join_all the first of each, in the order of the list.
print(tasklet.run(fetch, "apples", 0.005):join())
local results = tasklet.join_all{
    tasklet.run(fetch, "figs", 0.001),
    tasklet.run(fetch, "pears", 0.02),
    tasklet.run(fetch, "plums", 0.01),
}
-- A JoinError stands for one that failed.
for i, result in ipairs(results) do
    print(i, JoinError:is(result) and "failed: " .. result.cause or result)
end

-- Of join_all the timeout is for all of them together. Those that are late go on.
local gate = tasklet.WaitForCall()
local late = tasklet.run(function()
    tasklet.wait(gate)
    return "nuts"
end)
local ok, err = pcall(tasklet.join_all, {tasklet.run(fetch, "grapes", 0.001), late}, 0.02)
print("in time", ok, TimeoutError:is(err), late:has_finished())
gate()
print(late:join())

-- join_children: all that this tasklet has started, and that have not ended.
local shopping = tasklet.run(function()
    for _, name in ipairs{"bread", "milk"} do
        tasklet.run(fetch, name, 0.005)
    end
    return table.concat(tasklet.join_children(), " and ")
end)
print(shopping:join())

-- Any number of tasklets may join one.
local train = tasklet.run(function()
    tasklet.wait(gate)
    return "platform 3"
end)
local travellers = {}
for i, name in ipairs{"Anna", "Bert", "Carla"} do
    travellers[i] = tasklet.run(function()
        return name .. ": " .. train:join()
    end)
end
-- A callback comes before all of them.
train:add_join_callback(function(task, platform, word)
    print(word, platform, task == train)
end, "announced:")
gate()
print(table.concat(tasklet.join_all(travellers), ", "))
