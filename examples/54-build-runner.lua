-- A build runner: jobs that need others wait for those, as many run at once as there are slots, and
-- each has a limit of time. What a job starts ends with it.

local tasklet = require "tasklet"

local SLOTS = 2

local jobs = {
    fetch = { run = { "sh", "-c", "sleep 0.05; echo source" } },
    compile = { needs = { "fetch" }, run = { "sh", "-c", "sleep 0.05; echo object" } },
    document = { needs = { "fetch" }, run = { "sh", "-c", "echo page" } },
    check = { needs = { "compile" }, timeout = 0.2, run = { "sh", "-c", "sleep 60 & wait" } },
    link = { needs = { "compile" }, run = { "sh", "-c", "echo 'undefined: main' >&2; exit 1" } },
    package = { needs = { "link", "document" }, run = { "echo", "never" } },
}

local slots = tasklet.channel()
for _ = 1, SLOTS do
    tasklet.new(function() slots:send(true) end, { daemon = true })()
end

-- Runs a program when there is a slot for it.
local function in_a_slot(job)
    slots:receive()
    local words = table.move(job.run, 1, #job.run, 1, { timeout = job.timeout or 10 })
    local result = tasklet.process.run(words)
    tasklet.new(function() slots:send(true) end, { daemon = true })()
    return result
end

-- What became of a job, in words; and whether those that need it may go on.
local function outcome(result)
    if result.ok then
        return "done: " .. result.stdout:gsub("\n$", ""), true
    elseif result.timed_out then
        return "took too long", false
    end
    return ("failed with code %d: %s"):format(result.code, result.stderr:gsub("\n$", "")), false
end

local tasks, said = {}, {}

local function build(name)
    local job = jobs[name]
    for _, other in ipairs(job.needs or {}) do
        if not tasklet.join(tasks[other]) then
            said[name] = "not run: " .. other .. " is missing"
            return false
        end
    end
    local text, ok = outcome(in_a_slot(job))
    said[name] = text
    return ok
end

local names = {}
for name in pairs(jobs) do
    names[#names + 1] = name
    tasks[name] = tasklet.new(build, { name = name })
end
table.sort(names)
for _, name in ipairs(names) do
    tasks[name](name)
end
for _, name in ipairs(names) do
    tasklet.join(tasks[name])
end
for _, name in ipairs(names) do
    print(name, said[name])
end
