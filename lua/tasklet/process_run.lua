-- Child processes that are run to their end: tasklet.process.run and pipeline.
local M, core = ...

local sys = core.children
local checks, start, end_child = core.process_checks, core.process.start, core.process.end_child
local states, Descriptors = core.process.states, core.process.Descriptors

local Runs = {}
core.process_runs = Runs

-- Seconds that are given to output which nobody alive in the group can still write.
local LAST_WORDS = 1
-- Bytes of standard error in the message of an error.
local TAIL = 400

-- Reads all that comes, in a tasklet of its own; the texts are put into a list.
local function collect(stream, texts)
    return core.daemon(function()
        local data = stream:read_some()
        while data do
            texts[#texts + 1] = data
            data = stream:read_some()
        end
    end, "the output of a child")
end

-- Writes all of it, as long as somebody reads, and then there is no more.
local function feed(stream, input)
    return core.daemon(function()
        stream:write(input)
        stream:close()
    end, "the input of a child")
end

-- Have all of them ended, by that time (of core.now)? Without one, as join.
local function all_ended(tasks, limit)
    for _, task in ipairs(tasks) do
        local left = limit and math.max(limit - core.now(), 0) / 1000
        if not core.within(task, left) then
            return false
        end
    end
    return true
end

-- Children that are closed when whoever runs them leaves, however that comes.
local Family = {
    __close = function(family)
        for _, child in ipairs(family) do
            child:close()
        end
    end,
}

-- Lets children run to their end, or to the end of the time: whether they came to their end.
local function run_all(family, tasks, timeout)
    local reapers = {}
    for i, child in ipairs(family) do
        reapers[i] = states[child].reaper
    end
    local limit = timeout and timeout >= 0 and core.now() + timeout * 1000
    if timeout and not limit then
        limit = math.huge
    end
    if all_ended(tasks, limit) and all_ended(reapers, limit) then
        return true
    end
    local enders = {}
    for i, child in ipairs(family) do
        local state = states[child]
        end_child(state)
        enders[#enders + 1] = not state.released and state.ender or state.reaper
        reapers[i] = state.reaper
    end
    all_ended(enders, math.huge)
    all_ended(tasks, core.now() + LAST_WORDS * 1000)
    return false
end

-- What became of one child.
local function result_of(state, out, err)
    local result = { ok = state.reason == "exit" and state.status == 0, timed_out = false }
    if state.reason == "exit" then
        result.code = state.status
    elseif state.reason then
        result.signal = state.status
    end
    result.stdout = out and table.concat(out)
    result.stderr = err and table.concat(err)
    return result
end

-- The end of a text, from the beginning of a line if that can be.
local function tail_of(text)
    text = text:gsub("%s+$", "")
    if #text > TAIL then
        text = text:sub(-TAIL)
        text = text:match("\n(.+)$") or text
    end
    return text
end

local function complaint(name, result, timeout)
    local what
    if result.timed_out then
        what = ("took longer than %g s"):format(timeout)
    elseif result.signal then
        what = ("was ended by signal %d"):format(result.signal)
    elseif result.code then
        what = ("exited with code %d"):format(result.code)
    else
        what = "ended, it is not known how"
    end
    local tail = tail_of(result.stderr or "")
    return ("'%s' %s%s"):format(name, what, tail ~= "" and ": " .. tail or "")
end

-- Fails as the option `check` says.
local function not_started(options, message, code)
    if options.check then
        error(M.TaskletError(core.caller() .. message, { code = code }), 0)
    end
    return nil, message, code
end

local function check_current()
    if not M.current() then
        core.raise_state("no tasklet is running")
    end
end

--- Runs a program to its end: `run{"cmd", "arg", ..., input=, timeout=, cwd=, env=, check=}` gives
--- `{ok=, code=, signal=, stdout=, stderr=, timed_out=}`.
---@param options table
---@return table? result
---@return string? message
---@return string? code
function Runs.run(options)
    local words = checks.words("run", options, checks.run)
    if options.input and options.stdin then
        checks.bad("run", "option 'input': there is an option 'stdin' as well")
    end
    check_current()
    local family <close> = setmetatable({}, Family)
    local child, state, code = start(words, options,
        { stdin = options.input and "pipe" or "null", stdout = "pipe", stderr = "pipe" })
    if not child then
        return not_started(options, state, code)
    end
    family[1] = child
    local out, err = child.stdout and {}, child.stderr and {}
    local tasks = { out and collect(child.stdout, out), err and collect(child.stderr, err) or nil }
    if options.input then
        tasks[#tasks + 1] = feed(child.stdin, options.input)
    elseif child.stdin then
        child.stdin:close()
    end
    local in_time = run_all(family, tasks, options.timeout)
    local result = result_of(state, out, err)
    if not in_time then
        result.ok, result.timed_out = false, true
    end
    if options.check and not result.ok then
        error(M.TaskletError(core.caller() .. complaint(words[1], result, options.timeout),
            { result = result }), 0)
    end
    return result
end

-- Does one stage of a pipeline count as failed? One that wrote to somebody who had read enough does
-- not.
local function stage_failed(stage, last)
    return not stage.ok and (last or stage.signal ~= sys.signal_number("PIPE"))
end

-- Starts the stages. Their states, or nil, a message, a code. What they say on standard error goes
-- to `errors`, the last one's output to `out`.
local function start_stages(stages, options, family, tasks, out, errors)
    local list = {}
    local before -- the reading end of the pipe from the stage before
    local kept <close> = setmetatable({}, Descriptors)
    for i, words in ipairs(stages) do
        local ends = { stdin = before, stdout = "pipe", stderr = "pipe" }
        local reads, writes, code
        if i == 1 then
            ends.stdin = options.input and "pipe" or "null"
        end
        if i < #stages then
            reads, writes, code = sys.pipe()
            if not reads then
                return nil, writes, code
            end
            kept[reads], kept[writes], ends.stdout = true, true, writes
        end
        local child, state, why = start(words, {
            cwd = stages[i].cwd or options.cwd, env = stages[i].env or options.env,
            grace = options.grace,
        }, ends)
        for _, fd in pairs { before = before, writes = writes } do
            sys.close(fd)
            kept[fd] = nil
        end
        if not child then
            return nil, state, why
        end
        before = reads
        family[i], list[i], errors[i] = child, state, {}
        tasks[#tasks + 1] = collect(child.stderr, errors[i])
        if i == 1 and options.input then
            tasks[#tasks + 1] = feed(child.stdin, options.input)
        end
    end
    tasks[#tasks + 1] = collect(family[#stages].stdout, out)
    return list
end

--- Runs programs to their end, each with the output of the one before as its input:
--- `pipeline{{"cmd", ...}, {"cmd", ...}, input=, timeout=, cwd=, env=, check=}`. The result is as
--- that of `run`; `code` or `signal` are those of the last one that failed, and `stages` is a list
--- of each one's own.
---@param options table
---@return table? result
---@return string? message
---@return string? code
function Runs.pipeline(options)
    local given = checks.table("pipeline", options, checks.pipeline, checks.of_type("table"))
    local stages = {}
    for i, stage in ipairs(given) do
        stages[i] = checks.words("pipeline", stage, checks.stage)
        stages[i].cwd, stages[i].env = stage.cwd, stage.env
    end
    check_current()
    local family <close> = setmetatable({}, Family)
    local tasks, out, errors = {}, {}, {}
    local list, message, code = start_stages(stages, options, family, tasks, out, errors)
    if not list then
        return not_started(options, message, code)
    end
    local in_time = run_all(family, tasks, options.timeout)
    local results, all, failed = {}, {}, nil
    for i, state in ipairs(list) do
        results[i] = result_of(state, nil, errors[i])
        all[i] = results[i].stderr
        if stage_failed(results[i], i == #list) then
            failed = i
        end
    end
    local shown = results[failed or #list]
    local result = {
        ok = in_time and not failed, code = shown.code, signal = shown.signal,
        stdout = table.concat(out), stderr = table.concat(all), timed_out = not in_time,
        stages = results,
    }
    if options.check and not result.ok then
        error(M.TaskletError(core.caller() .. complaint(stages[failed or #list][1],
            { timed_out = result.timed_out, code = result.code, signal = result.signal,
                stderr = shown.stderr }, options.timeout), { result = result }), 0)
    end
    return result
end
