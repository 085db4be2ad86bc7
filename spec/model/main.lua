-- Runs random programs on the real thing and on the model, and compares.
--
--   lua5.4 spec/model/main.lua [--seed N] [--programs N] [--progress FILE] [--without FAMILY]
--                              [--only FAMILIES] [--go-on] [--show] [--no-shrink]
--
-- --progress: the seed that runs is written into FILE, for the sake of whoever finds us crashed.
-- --go-on: not only the first failure. --show: the program and its traces, in any case.
-- Status 0: the traces are equal. 1: they differ, and what is printed tells.
local compare = require "spec.model.compare" -- before the module, for the sake of stock coroutines
local generator = require "spec.model.generator"
local shrink = require "spec.model.shrink"

local tasklet = require "tasklet"
local real = require "spec.model.real"

local MOST_LINES = 30 -- shown, from where two traces differ

local MOST_LINES = 30 -- shown, from where two traces differ

local options = { seed = 1, programs = 1 }
local on = generator.families(tasklet)

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
        elseif name == "--without" then
            for family in value:gmatch("%w+") do
                on[family] = false
            end
        elseif name == "--only" then
            for family in pairs(on) do
                on[family] = family == "core" or value:find(family, 1, true) ~= nil
            end
        elseif name == "--go-on" or name == "--show" or name == "--no-shrink" then
            options[name:sub(3)] = true
            i = i - 1
        else
            error("unknown option " .. name)
        end
    end
end

local function side_by_side(left, right)
    local width, lines = 4, {}
    for _, line in ipairs(left) do
        width = math.max(width, math.min(#line, 70))
    end
    local length, differ = math.max(#left, #right), 0
    for i = 1, length do
        local a, b = left[i] or "", right[i] or ""
        differ = differ + (a == b and 0 or 1)
        if differ > MOST_LINES then
            lines[i] = ("  ... %d lines more"):format(length - i + 1)
            break
        end
        lines[i] = ("%s %-" .. width .. "s | %s"):format(a == b and " " or "*", a, b)
    end
    return ("  %-" .. width .. "s | the model\n"):format("the real thing")
        .. table.concat(lines, "\n") .. "\n"
end

---@return boolean same
---@return string[] trace of the real thing
---@return string[] trace of the model
---@return integer runs of the model
local function try(program)
    local trace = real.run(program)
    local same, own, runs = compare.explain(program, trace)
    return same, trace, own, runs
end

local function show(seed, program, trace, own)
    io.write(("seed %d\n%s\n%s\n"):format(seed, shrink.text(program), side_by_side(trace, own)))
end

local function run_all()
    local failures, runs, lines = 0, 0, 0
    for seed = options.seed, options.seed + options.programs - 1 do
        if options.progress then
            options.progress:seek("set")
            options.progress:write(seed, "\n")
        end
        local program = generator.make(seed, on)
        local same, trace, own, model_runs = try(program)
        runs, lines = runs + model_runs, lines + #trace
        if options.show then
            show(seed, program, trace, own)
        end
        if not same then
            failures = failures + 1
            if not options["no-shrink"] then
                program = shrink.shrink(program, function(smaller) return not try(smaller) end)
                same, trace, own = try(program)
            end
            if same then
                io.write(("seed %d: it does not differ any more when run again\n"):format(seed))
            else
                show(seed, program, trace, own)
            end
            if not options["go-on"] then
                break
            end
        end
    end
    io.write(("%d programs from seed %d, %d differ; %d lines, the model ran %d times\n"):format(
        options.programs, options.seed, failures, lines, runs))
    return failures == 0
end

read_arguments()
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
    end)
    tasklet.mainloop.run()
end
os.exit(well and 0 or 1, true)
