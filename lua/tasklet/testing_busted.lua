-- Between busted and the bodies of specs. Each body (of `it`, `setup`, `describe`, ...) runs as a
-- tasklet of its own, under a limit of time, with the clock and the order of the ready that were
-- asked for; what a test leaves behind fails it.
--
-- Busted calls every body through one function, `safe`, which catches what it raises and looks at
-- the stack for the place. That function as a whole is called in the tasklet: so errors, pending
-- and busted's own objects pass as ever. The event "test end" is held back until what after_each
-- does has been done, so that a leak can make it a failure.
local M, core, T, leaks = ...

local B = {}

local runner -- busted's core, once we are in between; nil before
local real_time = false
local seed -- of the order of the ready; nil: first come, first served
local interrupted = false
local failures = 0

-- ---- running something as a tasklet ----

local body -- the tasklet of the body that runs now
local joiner -- who waits for its end; nil in plain Lua
local reports = 0 -- of deadlocks, in this body

-- A body that waits for ever however often it is told so is given up at last.
local MANY = 100

local function alive()
    return body and not body:has_finished()
end

--- Called by the core when nothing can go on: does a body take the report?
local function on_deadlock()
    reports = reports + 1
    if not alive() or reports > MANY then
        return false
    end
    body:throw(core.deadlock(joiner), true)
    return true
end

--- Called by the core when the body's time is over, in the loop or in whatever runs.
local function on_late(is_virtual)
    if not alive() then
        return
    end
    local message = ("took longer than the limit of %g s%s"):format(
        is_virtual and T.virtual_limit or T.limit, is_virtual and " of virtual time" or "")
    local current = M.current()
    local where = current and core.script_place(2)
    if current == body then
        error(M.TimeoutError(where .. ": " .. message), 0)
    end
    body:throw(M.TimeoutError(message .. (current
        and ("; tasklet '%s' runs at %s"):format(current.name, where) or "")), true)
    if current then
        error(M.TimeoutError(where .. ": runs longer than the test may take"), 0)
    end
end

-- The loop is not the body's: were it to end the program it would end the tests, and well.
local quit = M.mainloop.quit

local function quit_unless_testing(status)
    if not alive() then
        quit(status)
    end
end

-- So often in a row may a body stop the uv loop.
local STOPS = 100

-- In plain Lua: runs the loop until the task has ended.
local function run_loop(task)
    local looping = false
    task:add_join_callback(function()
        if looping then
            quit(0)
        end
    end)
    task:start()
    looping = true
    local idle = 0
    while not task:has_finished() do
        -- A loop that ends of itself, and not because a spec has stopped it, has nothing left, not
        -- even a deadlock: the body has left the run queue.
        idle = M.mainloop.run() == nil and idle + 1 or 0
        if idle > STOPS and not task:has_finished() and not on_deadlock() then
            error("the loop has ended, but not the test", 0)
        end
    end
end

-- The program is to end: after this test, which has been killed as well.
local function note_interrupt()
    interrupted = true
    runner.skipAll = true
    M.survive()
end

local function turn()
    M.wait(M.WaitForTimeout(0))
end

-- Has the program been told to end? The loop knows, once it has turned.
local function is_interrupted()
    if M.current() and not interrupted and not pcall(turn) then
        note_interrupt()
    end
    return interrupted
end

-- Runs f as a tasklet to its end, and lets the loop run for it in plain Lua.
local function inside(f, name)
    local task = M.new(function()
        M.sleep(0) -- a turn of its own: how much others have run before must not cut it in two
        f()
    end, { name = name })
    local outer = body
    body, reports = task, 0
    joiner = M.current()
    if joiner then
        task:start()
        local ok, err = pcall(M.join, task)
        if not ok and M.TaskletExit:is(err) then
            note_interrupt()
            ok, err = pcall(M.join, task)
        end
        if not ok then
            body = outer
            error(M.JoinError:is(err) and err.cause or err, 0)
        end
    else
        run_loop(task)
        local failed, err = core.outcome(task)
        if failed then
            body = outer
            error(err, 0)
        end
    end
    body = outer
end

-- ---- a body ----

local function full_name(busted, element)
    local names = { element.name or element.descriptor }
    local parent = busted.context.parent(element)
    while parent and (parent.name or parent.descriptor) and parent.descriptor ~= "file" do
        table.insert(names, 1, parent.name or parent.descriptor)
        parent = busted.context.parent(parent)
    end
    return table.concat(names, " ")
end

-- FNV-1a.
local function hash(number, text)
    local h = 0xcbf29ce484222325 ~ number
    for i = 1, #text do
        h = (h ~ text:byte(i)) * 0x100000001b3
    end
    return h
end

local function set_up(busted, element)
    M.set_virtual_time(not real_time)
    core.align()
    if seed then
        local drawn = hash(seed, full_name(busted, element))
        M.set_seed(drawn)
        math.randomseed(drawn)
    else
        M.set_seed(nil)
    end
    core.limit_time(T.limit, T.virtual_limit)
end

local tests = {} -- by element: what is known of a test until its end is told

local function run_body(busted, safe, descriptor, run, element)
    local results
    local name = element.name or descriptor
    inside(function()
        local test = tests[element]
        if descriptor ~= "finally" then
            set_up(busted, element)
            if test then
                test.shot = leaks.begin_test()
            end
        else
            core.limit_time(T.limit, T.virtual_limit)
        end
        results = table.pack(safe(descriptor, run, element))
        core.limit_time(-1, -1)
        if test and descriptor ~= "finally" then
            test.unread = leaks.unread()
        end
    end, type(name) == "string" and name or descriptor)
    return table.unpack(results, 1, results.n)
end

-- ---- a test, and a block ----

local function leak_failure(busted, element, test)
    local lines = {}
    inside(function()
        for _, entry in ipairs(test.unread or {}) do
            lines[#lines + 1] = "leak: " .. entry.text
        end
        local left = leaks.collect(test.shot)
        table.move(left, 1, #left, #lines + 1, lines)
        leaks.end_test()
    end, "search for leaks")
    if #lines > 0 and test.status == "success" then
        busted.publish({ "failure", element.descriptor }, element, test.parent,
            table.concat(lines, "\n"), element.trace)
        return "failure"
    end
    return test.status
end

-- Runs a test with all that goes with it, then tells its end.
local function whole_test(busted, publish, run, element)
    local test = {}
    tests[element] = test
    run()
    local status = test.status
    if test.shot then
        status = leak_failure(busted, element, test)
    end
    tests[element] = nil
    if test.status then
        publish("test", { "test", "end" }, element, test.parent, status)
    end
end

-- Runs a block, then ends what its setups have made.
local function whole_block(run)
    local shot = leaks.snapshot()
    run()
    inside(function() leaks.collect(shot) end, "end of a block")
end

-- ---- busted ----

-- The locals of busted's runner, which is calling us, by name.
local function runner_locals()
    local found = {}
    for level = 2, 200 do
        local info = debug.getinfo(level, "S")
        if not info then
            break
        elseif info.source:find("busted[/\\]runner%.lua$") then
            local i = 1
            while true do
                local name, value = debug.getlocal(level, i)
                if not name then
                    break
                end
                found[name] = value
                i = i + 1
            end
        end
    end
    return found
end

local function subscribe(busted)
    local function count()
        failures = failures + 1
        return nil, true
    end
    busted.subscribe({ "failure" }, count)
    busted.subscribe({ "error" }, count)
    busted.subscribe({ "exit" }, function()
        leaks.close()
        core.on_deadlock, core.on_late = nil, nil
        M.mainloop.quit = quit
        if seed and failures > 0 then
            io.stderr:write(("seed %d: repeat with --seed %d\n"):format(seed, seed))
        end
        if is_interrupted() then
            error(M.TaskletExit("interrupted"), 0)
        end
        return nil, true
    end)
end

-- Busted looks for the place of an error in the first frame that is not its own; nor is it to be
-- ours.
local function wrap_trace(busted)
    local get_trace = busted.getTrace
    function busted.getTrace(element, level, message)
        level = level or 3
        while true do
            local info = debug.getinfo(level, "S")
            if not info or info.what ~= "C" and not info.source:find("^=tasklet/")
                and not info.source:find("luassert[/\\]") then
                break
            end
            level = level + 1
        end
        -- A tail call: it counts from the same frame.
        return get_trace(element, level, message)
    end
end

local function wrap(busted)
    local safe, safe_publish = busted.safe, busted.safe_publish
    local publishing = false

    wrap_trace(busted)

    function busted.safe_publish(descriptor, channel, element, ...)
        local test = tests[element]
        if test and channel[1] == "test" and channel[2] == "end" and not test.status then
            test.parent, test.status = ...
            return true
        end
        publishing = true
        local ok = safe_publish(descriptor, channel, element, ...)
        publishing = false
        return ok
    end

    function busted.safe(descriptor, run, element)
        if publishing then
            return safe(descriptor, run, element)
        elseif run == element.run or descriptor == "finally" then
            return run_body(busted, safe, descriptor, run, element)
        end
        local all = run
        if is_interrupted() then
            all = function() end
        elseif descriptor == "it" then
            all = function() whole_test(busted, safe_publish, run, element) end
        elseif descriptor == "describe" or descriptor == "file" then
            all = function() whole_block(run) end
        end
        return safe(descriptor, all, element)
    end
end

local function attach(busted, cli)
    runner = busted
    seed = math.tointeger(tonumber(cli and cli.seed))
    core.on_deadlock, core.on_late = on_deadlock, on_late
    M.mainloop.quit = quit_unless_testing
    wrap(busted)
    subscribe(busted)
    leaks.open()
    core.register_assertions()
end

-- Takes our own options out of a list of arguments, but for those of a helper, which stay in it.
-- Returns the rest, or nil and what is wrong.
local function take_options(arguments)
    local rest = {}
    local numbers = { ["--limit"] = "limit", ["--virtual-limit"] = "virtual_limit" }
    local i = 1
    while i <= #arguments do
        local word = arguments[i]
        local option, value = word:match("^(%-%-[%w-]+)=(.*)$")
        local name = numbers[option or word]
        if word == "-Xhelper" and arguments[i + 1] then
            local words = {}
            i = i + 1
            for each in arguments[i]:gmatch("[^,]+") do
                words[#words + 1] = each
            end
            local others, wrong = take_options(words)
            if not others then
                return nil, wrong
            end
            table.move({ word, arguments[i] }, 1, 2, #rest + 1, rest)
        elseif word == "--real-time" then
            real_time = true
        elseif name then
            if not option then
                i = i + 1
                value = arguments[i]
            end
            local number = tonumber(value)
            if not number then
                return nil, (option or word) .. " needs a number"
            end
            T[name] = number
        else
            rest[#rest + 1] = word
        end
        i = i + 1
    end
    return rest
end

--- If busted is about to begin, and has called us: from now on bodies run our way.
function B.attach()
    if runner or not package.loaded["busted.core"] then
        return
    end
    local found = runner_locals()
    local busted = found.busted
    -- In a spec it is too late.
    if not busted or not busted.safe or busted.context.get().descriptor ~= "suite" then
        return
    end
    local rest, wrong = take_options(arg or {}) -- a helper's own
    if not rest then
        error("tasklet.testing: " .. wrong, 0)
    elseif #rest > 0 and found.cliArgs.helper == "tasklet.testing" then
        error("tasklet.testing: unknown option " .. rest[1], 0)
    end
    attach(busted, found.cliArgs)
end

local function fail(message)
    io.stderr:write("tasklet: ", message, "\n")
    os.exit(1)
end

--- `tasklet test`.
function B.main(arguments)
    local rest, wrong = take_options(arguments)
    if not rest then
        return fail(wrong)
    end
    if not package.preload["busted.runner"]
        and not package.searchpath("busted.runner", package.path) then
        return fail("busted is not installed (Debian: lua-busted; LuaRocks: busted)")
    end
    -- This interpreter is the one to use, whatever the configuration says.
    table.insert(rest, 1, "--ignore-lua")
    rest[0] = "tasklet test"
    core.globals.arg = rest
    -- Busted's runner hands this what it runs, before the helper that the project may have.
    local name = "busted.modules.output_handler_loader"
    local make = require(name)
    package.loaded[name] = function(...)
        local load = make(...)
        return function(busted, ...)
            local results = table.pack(load(busted, ...))
            if not runner then
                attach(busted, runner_locals().cliArgs)
            end
            return table.unpack(results, 1, results.n)
        end
    end
    require("busted.runner")({ standalone = false })
end

return B
