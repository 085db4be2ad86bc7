-- What the specs share. `require "spec.helper"` gives the functions; busted also runs this file
-- once, before the specs, as .busted says. It sets no globals. Bodies, and the scripts that they
-- run, have a virtual clock unless they ask for real time.
--
-- From the environment, all optional:
--   TASKLET_BIN       the host binary
--   TASKLET_CPATH     where the C module is, a template as in package.cpath
--   TASKLET_WRAPPER   words to put before each command: a checker
--   TASKLET_PRELOAD   what plain Lua preloads in order to load the module
--   TASKLET_PATIENCE  by how much to stretch timeouts
--   TASKLET_COUNTS    a file that gets the numbers of passed, failed and pending cases

local M = {}

local lfs = require "lfs"

local dir = debug.getinfo(1, "S").source:match("^@(.*)/spec/helper%.lua$") or "."
---The directory of the tree.
M.root = dir:sub(1, 1) == "/" and dir or dir == "." and lfs.currentdir()
    or lfs.currentdir() .. "/" .. dir

---The host binary.
M.bin = os.getenv "TASKLET_BIN" or M.root .. "/build/src/host/tasklet"

---Where plain Lua finds the C module.
M.cpath = os.getenv "TASKLET_CPATH" or M.root .. "/build/lua/?.so"

local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1

if not package.cpath:find(M.cpath, 1, true) then
    package.cpath = M.cpath .. ";" .. package.cpath
end

---@param word string
---@return string # the same for the shell
local function quote(word)
    return "'" .. word:gsub("'", "'\\''") .. "'"
end

---@param path string
---@return string
local function slurp(path)
    local file <close> = assert(io.open(path, "rb"))
    return assert(file:read("a"))
end

---@param text string
---@return string # the path of a new file with that text
local function temporary(text)
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
    return path
end

---@class spec.Options
---@field args? string[] the script's arguments
---@field options? string[] the interpreter's options, before the script
---@field env? table<string, string|false> false: not set
---@field stdin? string absent: /dev/null
---@field timeout? number seconds after which it is ended with status 124; 20 if absent
---@field cwd? string
---@field after? string once this line is on standard output, `signal` is sent
---@field signal? string "TERM"
---@field real_time? boolean with the system's clock, as for within_real_time; if absent, with a
---virtual one. A signal from outside is what that does not wait for

---@class spec.Result
---@field status integer as the shell has it: 128 and the number of the signal if one ended it
---@field stdout string
---@field stderr string
---@field path? string of the script

-- The shell tells its pid, which `exec` makes that of the program, so that a signal hits that and
-- not `timeout`.
---@param words string[]
---@param options spec.Options
---@param files {stdin: string, stderr: string}
---@return string
local function command_line(words, options, files)
    local line = {
        options.cwd and "cd " .. quote(options.cwd) .. " && exec" or "exec",
        "timeout -k 5", (options.timeout or 20) * patience,
        "sh -c", quote('echo $$; exec "$@"'), "sh env",
    }
    local env = {}
    for name, value in pairs(options.env or {}) do
        -- `env` wants what to unset first.
        table.insert(env, value and #env + 1 or 1,
            value and quote(name .. "=" .. value) or "-u " .. quote(name))
    end
    table.move(env, 1, #env, #line + 1, line)
    line[#line + 1] = os.getenv "TASKLET_WRAPPER"
    for _, word in ipairs(words) do
        line[#line + 1] = quote(word)
    end
    line[#line + 1] = "<" .. quote(files.stdin) .. " 2>" .. quote(files.stderr)
    return table.concat(line, " ")
end

---@param words string[] a program and its arguments
---@param options spec.Options
---@return spec.Result
local function execute(words, options)
    local files = {
        stdin = options.stdin and temporary(options.stdin) or "/dev/null",
        stderr = os.tmpname(),
    }
    local pipe = assert(io.popen(command_line(words, options, files)))
    local pid = pipe:read("l")
    local stdout = {}
    if options.after then
        for line in pipe:lines("L") do
            stdout[#stdout + 1] = line
            if line == options.after .. "\n" then
                assert(os.execute("kill -" .. options.signal .. " " .. pid))
                break
            end
        end
    end
    stdout[#stdout + 1] = pipe:read("a")
    local _, how, status = pipe:close()
    local result = {
        status = how == "signal" and 128 + status or status,
        stdout = table.concat(stdout),
        stderr = slurp(files.stderr),
    }
    os.remove(files.stderr)
    if options.stdin then
        os.remove(files.stdin)
    end
    return result
end

---@param options spec.Options
---@return string[] # the host binary, and which clock it is to have
local function host_words(options)
    return {M.bin, not options.real_time and "--virtual-time" or nil}
end

---@param program string[]
---@param script string a path, or the text of a script
---@param options spec.Options
---@return spec.Result
local function execute_script(program, script, options)
    local is_path = not script:find("\n") and lfs.attributes(script, "mode") == "file"
    local path = is_path and script or temporary(script)
    local words = table.move(options.options or {}, 1, #(options.options or {}), #program + 1,
        {table.unpack(program)})
    words[#words + 1] = path
    table.move(options.args or {}, 1, #(options.args or {}), #words + 1, words)
    local result = execute(words, options)
    result.path = path
    if not is_path then
        os.remove(path)
    end
    return result
end

---Runs the host binary with these arguments.
---@param args string[]
---@param options? spec.Options
---@return spec.Result
function M.run(args, options)
    options = options or {}
    local words = host_words(options)
    return execute(table.move(args, 1, #args, #words + 1, words), options)
end

---Runs a script by the host binary.
---@param script string a path, or the text of a script
---@param options? spec.Options
---@return spec.Result
function M.run_file(script, options)
    options = options or {}
    return execute_script(host_words(options), script, options)
end

---Runs a script by plain Lua, which finds the C module.
---@param script string a path, or the text of a script
---@param options? spec.Options
---@return spec.Result
function M.plain(script, options)
    options = options or {}
    local env = {
        LUA_CPATH_5_4 = M.cpath .. ";;",
        LD_PRELOAD = os.getenv "TASKLET_PRELOAD",
        LUA_INIT_5_4 = not options.real_time and "@" .. M.root .. "/spec/virtual_time.lua" or false,
    }
    for name, value in pairs(options.env or {}) do
        env[name] = value
    end
    local copy = setmetatable({env = env}, {__index = options})
    return execute_script({"lua5.4"}, script, copy)
end

-- Waits for a turn of the loop of its own, so that no turn's budget is used up amid what comes;
-- with a virtual clock for a full millisecond, too, so that differences of times are exact.
local function begin_turn(is_virtual)
    local tasklet = require "tasklet"
    local nanoseconds = math.floor(tasklet.mainloop.now() * 1e6 + 0.5)
    local left = is_virtual and -nanoseconds % 1000000 / 1e6 or 0
    tasklet.wait(tasklet.WaitForTimeout(left))
end

---@param f function
---@param is_virtual boolean the clock meanwhile
local function run_within(f, is_virtual)
    local tasklet = require "tasklet"
    local ok, err
    local ended = false
    local inside = tasklet.current() ~= nil
    local was_virtual = tasklet.set_virtual_time(is_virtual)
    local task = tasklet.run(function()
        begin_turn(is_virtual)
        ok, err = pcall(f)
        ended = true
        if not inside then
            tasklet.mainloop.quit(0)
        end
    end)
    if inside then
        tasklet.join(task)
    else
        tasklet.mainloop.run()
    end
    tasklet.set_virtual_time(was_virtual)
    if not ended then
        error("the loop ended, but not the function", 3)
    elseif not ok then
        error(err, 0)
    end
end

---Runs `f` as a tasklet, and the loop until it has ended. Raises what `f` raises. In the host,
---where the loop runs already, it just waits. The clock is a virtual one: what waits takes no time,
---and times are exact.
---@param f function
function M.within_loop(f)
    run_within(f, true)
end

---As within_loop, with the system's clock. For what cannot do without; the list of that, with the
---reasons, is in spec/tree/real_time_spec.lua.
---@param f function
function M.within_real_time(f)
    run_within(f, false)
end

---Computes for so long, so that nobody else runs meanwhile: a virtual clock flows until then, and
---stands again.
---@param milliseconds number
function M.compute(milliseconds)
    local tasklet = require "tasklet"
    local now = tasklet.mainloop.now
    local was_virtual = tasklet.set_virtual_time(false)
    local due = now() + milliseconds
    while now() < due do end
    tasklet.set_virtual_time(was_virtual)
end

-- busted runs the file without arguments, `require` with the module's name.
local function count_cases()
    local path = os.getenv "TASKLET_COUNTS"
    if not path then
        return
    end
    local busted = require "busted"
    local counts = {success = 0, failure = 0, error = 0, pending = 0}
    busted.subscribe({"test", "end"}, function(_, _, status)
        counts[status] = counts[status] + 1
        return nil, true
    end)
    for _, kind in ipairs{"error", "failure"} do
        busted.subscribe({kind}, function(element)
            -- Of a file, a setup or a teardown.
            if element.descriptor ~= "it" then
                counts.error = counts.error + 1
            end
            return nil, true
        end)
    end
    busted.subscribe({"exit"}, function()
        local file <close> = assert(io.open(path, "w"))
        assert(file:write(("%d %d %d\n"):format(counts.success, counts.failure + counts.error,
            counts.pending)))
        return nil, true
    end)
end

if ... == nil then
    count_cases()
    require("tasklet").set_virtual_time(true)
end

return M
