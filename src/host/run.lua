-- What the program `tasklet` does with its command line, in Lua: it turns the plan that cli.c makes
-- of it into functions, one after the other, which main.c calls in the main tasklet. They are not
-- called from here so that the traceback of a script's error ends with the script, as in `lua`.
--
-- Where `lua` has the same option the messages are the same. What is needed of the standard library
-- is taken before any script can change it.

local plan = ...

local globals = _G
local error, exit, getenv = error, os.exit, os.getenv
local getmetatable, traceback = debug.getmetatable, debug.traceback
local load, loadfile, warn = load, loadfile, warn
local pack, pcall, select, tostring, type = table.pack, pcall, select, tostring, type
local unpack, xpcall = table.unpack, xpcall
local stdin, stdout, stderr = io.stdin, io.stdout, io.stderr

--- Ends the program with a message and no traceback: nothing of a script was running.
---@param message string
---@return function, integer # what is to be called
local function fail(message)
    stderr:write(plan.progname, ": ", message, "\n")
    return exit, 1
end

--- Passes a chunk on, or fails as `load` did.
local function checked(chunk, message)
    if not chunk then
        return fail(message)
    end
    return chunk
end

-------------------------------------------------------------------------------------------------
-- The prompt

local tasklet
if plan.interactive then
    tasklet = require("tasklet")
    -- A buffer would hold lines back where no wait can see them.
    stdin:setvbuf("no")
end

local function readable()
    tasklet.wait(tasklet.WaitForIO(stdin))
end

--- Reads a line without its newline; nil at the end of the input. Others go on while it waits. It
--- does so in a tasklet of its own: the wait list and the event of the main one are the script's.
---@param name string # the global that a script may set to its own prompt
---@param default string
---@return string|nil
local function read_line(name, default)
    local prompt = globals[name]
    stdout:write(prompt == nil and default or tostring(prompt))
    stdout:flush()
    tasklet.join(tasklet.new(readable, { name = "prompt", daemon = true }):start(), -1)
    local line = stdin:read("L")
    return line and line:gsub("\n$", "")
end

--- Compiles a line as an expression, or else as a statement that may need more lines.
---@return function|nil chunk # nothing at the end of the input
---@return string|nil message # why it does not compile
local function read_chunk()
    local text = read_line("_PROMPT", "> ")
    if not text then
        return nil
    end
    text = text:gsub("^=", "return ")
    local expression = load("return " .. text .. ";", "=stdin")
    if expression then
        return expression
    end
    while true do
        local chunk, message = load(text, "=stdin")
        if chunk or not message:find("<eof>$") then
            return chunk, message
        end
        local line = read_line("_PROMPT2", ">> ")
        if not line then
            return nil, message
        end
        text = text .. "\n" .. line
    end
end

--- The text of an error with its traceback. Called while the stack of the error still stands.
local function explain(value)
    local message = value
    if type(value) ~= "string" and type(value) ~= "number" then
        local meta = getmetatable(value)
        if meta and meta.__tostring then
            return tostring(value)
        end
        message = ("(error object is a %s value)"):format(type(value))
    end
    -- What stands below the line's chunk is the prompt's own: xpcall as called from this file.
    local trace = traceback(message, 3)
    return (trace:gsub("\n\t%[C%]: in function 'xpcall'\n\ttasklet:%d.*$", "\n\t[C]: in ?"))
end

--- Calls a line's chunk and prints what it returns, or its error. The end of the main tasklet is no
--- error: that goes on its way.
local function call(chunk)
    local ending
    local results = pack(xpcall(chunk, function(value)
        ending = tasklet.TaskletExit:is(value)
        return ending and value or explain(value)
    end))
    if not results[1] then
        if ending then
            error(results[2], 0)
        end
        stderr:write(tostring(results[2]), "\n")
    elseif results.n > 1 then
        local printed, message = pcall(globals.print, unpack(results, 2, results.n))
        if not printed then
            stderr:write("error calling 'print' (", tostring(message), ")\n")
        end
    end
end

local function prompt()
    while true do
        local chunk, message = read_chunk()
        if chunk then
            call(chunk)
        elseif message then
            stderr:write(message, "\n")
        else
            break
        end
    end
    stdout:write("\n")
    stdout:flush()
    exit(0)
end

-------------------------------------------------------------------------------------------------
-- The steps: each returns a function to call, with its arguments, or nothing

local step = {}
local target -- the global that is to hold what the step before returned

function step.init()
    local name = "LUA_INIT_5_4"
    local text = getenv(name)
    if not text then
        name = "LUA_INIT"
        text = getenv(name)
    end
    if not text then
        return
    elseif text:sub(1, 1) == "@" then
        return checked(loadfile(text:sub(2)))
    end
    return checked(load(text, "=" .. name))
end

function step.e(text)
    return checked(load(text, "=(command line)"))
end

function step.l(text)
    local name, module = text:match("^(.-)=(.*)$")
    target = name or text
    return globals.require, module or text
end

function step.W()
    warn("@on")
end

function step.script(name)
    local chunk, message = loadfile(name)
    if not chunk then
        return fail(message)
    end
    local arguments = globals.arg
    if type(arguments) ~= "table" then
        return fail("'arg' is not a table")
    end
    return chunk, unpack(arguments)
end

--- Specs, by busted.
function step.test()
    local testing = globals.require("tasklet.testing")
    return testing.main, { unpack(globals.arg) }
end

function step.input()
    return checked(loadfile())
end

function step.prompt()
    return prompt
end

local position = 0
local next_step

local function give(...)
    if select("#", ...) == 0 then
        return next_step()
    end
    return ...
end

--- What is to be called next, with its arguments; nothing at the end.
---@param result any # the first result of what was called before
function next_step(result)
    if target then
        globals[target] = result
        target = nil
    end
    position = position + 1
    if position == 1 and plan.slice > 0 then
        globals.require("tasklet").set_timeslice(plan.slice)
    end
    if position == 1 and plan.warn_slow > 0 then
        globals.require("tasklet").set_warn_slow(plan.warn_slow)
    end
    local now = plan.steps[position]
    if now then
        return give(step[now[1]](now[2]))
    end
end

return next_step
