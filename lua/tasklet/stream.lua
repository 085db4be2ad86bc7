-- What streams do beyond reading and writing.
local M, core = ...

local methods = core.stream_methods

-- Three results with nil first are a failure if the code is one: formats read at the end give one
-- nil, and nothing after it.
local function checked(first, message, code, ...)
    if first == nil and code ~= nil then
        error(M.TaskletError(core.caller() .. message, { code = code }), 0)
    end
    return first, message, code, ...
end

--- For a loop over lines, or over what `formats` say; a failure raises, as with `io.lines`.
function methods:lines(...)
    core.check_stream("lines", self)
    local read = methods.read
    local formats, count = { ... }, select("#", ...)
    return function()
        return checked(read(self, table.unpack(formats, 1, count)))
    end
end

--- The hosts that streams were connected to: whom TLS has to be with, if it comes to that.
core.hosts = setmetatable({}, { __mode = "k" })

--- Has the stream speak TLS from now on: as a server if its peer has connected, else as a client.
---@param options table|true?
---@return stream?, string?, string?
function methods:starttls(options)
    core.check_stream("starttls", self)
    return core.starttls(self, options)
end

--- Raises unless the value, on which the method `name` was called, is a stream.
function core.check_stream(name, value)
    if not core.is_stream(value) then
        core.bad_self(name, "stream", value)
    end
end

--- Opens one of the process' own streams and keeps it in the module.
function core.standard_stream(name, fd)
    local stream, message = core.open_standard(fd)
    if not stream then
        core.raise_state("cannot open %s: %s", name, message)
    end
    rawset(M, name, stream)
    return stream
end
