-- A pool of workers. Each has a mailbox of limited length, so whoever hands out the jobs waits when
-- all are busy. It ends in good order: on SIGTERM no more jobs are handed out, those that were are
-- done, and all results are written. By hand it would be: kill PID
-- signal: TERM after at work

local tasklet = require "tasklet"
io.stdout:setvbuf("line")

local open, written, most = true, 0, 0

-- Prints what it is sent. It has no end of its own, so it is a daemon.
local log = tasklet.receiver(function(message)
    print(table.unpack(message.value))
end, {name = "log", daemon = true}):start()

-- A worker. It gets "job" after "job", and "stop" after the last.
local function work(writer)
    local count = 0
    for message in tasklet.receive() do
        if message.name == "stop" then
            return count
        end
        tasklet.sleep(0.001) -- here would be the work
        count = count + 1
        tasklet.send(writer, "result", message.value ^ 2)
    end
end

-- Writes the results, up to ten at once if they come quickly.
local function write()
    for batch in tasklet.receive_batch(10, 0.005) do
        for _, message in ipairs(batch) do
            if message.name == "stop" then
                return
            end
            written = written + 1
        end
    end
end

-- Hands out jobs, in turn, and returns how many. It waits while the mailbox of the worker is full.
local function hand_out(workers)
    local job = 0
    while open do
        job = job + 1
        local worker = workers[job % #workers + 1]
        tasklet.send(worker, "job", job)
        most = math.max(most, #worker.mailbox)
        if job == 50 then
            tasklet.send(log, "line", {"at work"})
        end
    end
    return job
end

tasklet.scope(function(s)
    local writer = s:new(write, {name = "writer"}):start()
    local workers = {}
    for i = 1, 4 do
        workers[i] = s:new(work, {name = "worker " .. i, max_mailbox_len = 2}):start(writer)
    end
    local source = s:new(hand_out, {name = "source"}):start(workers)

    tasklet.wait(tasklet.WaitForSignal(tasklet.signals, "SIGTERM"))
    tasklet.send(log, "line", {"no more jobs"})
    open = false
    -- When five seconds are not enough, all are killed, and the error leaves the scope.
    tasklet.with_deadline(5, function()
        local handed_out, done = source:join(), 0
        for _, worker in ipairs(workers) do
            tasklet.send(worker, "stop")
        end
        for i, count in ipairs(tasklet.join_all(workers)) do
            tasklet.send(log, "line", {workers[i].name, "worked", count > 0})
            done = done + count
        end
        tasklet.send(log, "line", {"all jobs are done", done == handed_out})
        tasklet.send(writer, "stop")
        tasklet.join(writer)
        tasklet.send(log, "line", {"all results are written", written == done})
    end)
end)
print("jobs that waited for one worker, at most", most)
