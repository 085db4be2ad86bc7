-- The friendly face: puts the parts of the module written in Lua together. Called by the library
-- with the module's table, the table of error classes that C raises, a loader of the other parts,
-- and the functions of the core that scripts do not see.
local M, errors, load_part, core = ...

load_part("error")(M, errors)
load_part("check")(M, core)
load_part("class")(M, core)
load_part("channel")(M, core)
load_part("emitter")(M, core)
load_part("coroutine")(M, core)
load_part("joining")(M, core)
load_part("periodic")(M, core)
load_part("scope")(M, core)
load_part("stream")(M, core)
load_part("throw")(M, core)

-- What few programs need is loaded when one of its functions is first asked for, for the sake of
-- all others' start. It finds here what of the standard library a script may have changed by then.
local parts = {
    explain = { "write_dump", "dump_text", "sorted_tasklets", "idle_reasons", "quoted_name",
        "deadlock" },
    lint = { "lint_tell", "lint_scan" },
    process = { "end_command" },
    process_options = { "process_checks" },
    process_run = { "process_runs" },
    tls = { "check_tls", "tls_server", "tls_client", "starttls" },
}
local part_of = {}
for part, names in pairs(parts) do
    for _, name in ipairs(names) do
        part_of[name] = part
    end
end
core.standard = { getenv = os and os.getenv, stderr = io and io.stderr }

setmetatable(core, {
    __index = function(_, name)
        local part = part_of[name]
        if part then
            load_part(part)(M, core)
            return rawget(core, name)
        end
    end,
})

-- Parts of the module that most scripts do without are loaded when they are first asked for. Each
-- sets what it is named after.
local lazy = { fs = "fs", net = "net", process = "process" }
-- The process' own streams are opened then.
local standard = { stdin = 0, stdout = 1, stderr = 2 }

setmetatable(M, {
    __index = function(_, name)
        local part = lazy[name]
        if part then
            load_part(part)(M, core)
            return rawget(M, name)
        elseif standard[name] then
            return core.standard_stream(name, standard[name])
        end
    end,
})

--- Writes the tree of all tasklets: what each waits for, where, and for how long.
---@param out { write: function }? standard error if absent
---@return any ... what `out:write` returns
function M.dump(out)
    return core.write_dump(out)
end

-- The module tasklet.testing, made when it is first asked for.
local testing

function core.testing()
    testing = testing or load_part("testing")(M, core, load_part)
    core.attach_busted()
    return testing
end

--- A function that starts a tasklet of `f` at each call, with the call's arguments, and returns it.
---@param f function
---@return fun(...): Tasklet
function M.task(f)
    if type(f) ~= "function" then
        core.bad_argument(1, "task", "function expected, got " .. type(f))
    end
    local run = M.run
    return function(...)
        return run(f, ...)
    end
end

M.Tasklet.task = M.task

-- What the class offers is also a function of the module.
for name, f in pairs(M.Tasklet) do
    if type(f) == "function" then
        M[name] = f
    end
end
