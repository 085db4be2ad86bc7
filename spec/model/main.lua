-- Runs random programs on the real thing and on the model, and compares.
--
--   lua5.4 spec/model/main.lua [--seed N] [--programs N] [--progress FILE] [--only FAMILIES]
--                              [--without FAMILIES] [--go-on] [--show] [--no-shrink]
--
-- --progress: the seed that runs is written into FILE, for whoever finds that we crashed. --only,
-- --without: families of steps, see generator.lua; "core" is always there. --go-on: not only the
-- first failure. --show: each program with its traces.
-- Status 0: the traces are equal. 1: they differ, and what is printed tells how.
local check = require "spec.model.check"
local generator = require "spec.model.generator"
local shrink = require "spec.model.shrink"

local tasklet = require "tasklet"

local options = { seed = 1, programs = 1 }
local on = generator.families(tasklet)

local function set_families(names, only)
    local named = {}
    for name in names:gmatch("%w+") do
        assert(on[name] ~= nil, "there is no family " .. name)
        named[name] = true
    end
    for name in pairs(on) do
        if only then
            on[name] = on[name] and (name == "core" or named[name] or false)
        elseif named[name] then
            on[name] = false
        end
    end
end

local function read_arguments()
    local i = 1
    while arg[i] do
        local name, value = arg[i], arg[i + 1]
        i = i + 2
        if name == "--seed" or name == "--programs" then
            options[name:sub(3)] = assert(math.tointeger(tonumber(value)), name)
        elseif name == "--progress" then
            options.progress = assert(io.open(value, "w"))
            options.progress:setvbuf("no")
        elseif name == "--only" or name == "--without" then
            set_families(value, name == "--only")
        elseif name == "--go-on" or name == "--show" or name == "--no-shrink" then
            options[name:sub(3)] = true
            i = i - 1
        else
            error("unknown option " .. name)
        end
    end
end

-- Prints a failure, shrunk.
local function tell(seed, program, result)
    local smaller, again = program, result
    if not options["no-shrink"] then
        smaller = shrink.shrink(program, function(other) return not check.try(other).same end)
        again = check.try(smaller)
    end
    if again.same then
        io.write("It does not differ any more when run again. It was:\n")
        smaller, again = program, result
    end
    io.write(("seed %d\n%s\n"):format(seed, check.text(smaller, again)))
end

local function run_all()
    local done, failures, runs, lines = 0, 0, 0, 0
    for seed = options.seed, options.seed + options.programs - 1 do
        if options.progress then
            options.progress:seek("set")
            options.progress:write(seed, "\n")
        end
        local program = generator.make(seed, on)
        local result = check.try(program)
        done, runs, lines = done + 1, runs + result.runs, lines + #result.trace
        if options.show then
            io.write(("seed %d\n%s\n"):format(seed, check.text(program, result)))
        end
        if not result.same then
            failures = failures + 1
            tell(seed, program, result)
            if not options["go-on"] then
                break
            end
        end
    end
    io.write(("%d programs from seed %d, %d differ; %d lines, the model ran %d times\n"):format(
        done, options.seed, failures, lines, runs))
    return failures == 0
end

read_arguments()
warn("@on")
local well
if tasklet.current() then
    well = run_all()
else
    tasklet.run(function()
        local ok, err = xpcall(run_all, debug.traceback)
        well = ok and err
        if not ok then
            io.stderr:write(err, "\n")
        end
        tasklet.mainloop.quit(0) -- a failure may leave something that would keep the loop going
    end)
    tasklet.mainloop.run()
end
os.exit(well and 0 or 1, true)
