-- tasklet.net: connections, servers, datagrams, names. What waits is in C; here are options and
-- policies.
local M, core = ...

local net = {}
M.net = net

local LOOPBACK, ANY = "127.0.0.1", "0.0.0.0"
local BACKLOG = 1024

-- ---- options ----

-- Raises a wrong argument, the first if it is not said which.
local function bad(name, message, n)
    core.bad_argument(n or 1, name, message)
end

local function check(name, options, known)
    if type(options) ~= "table" then
        bad(name, "table expected, got " .. (options == nil and "no value" or type(options)))
    end
    for key, value in pairs(options) do
        local expected = known[key]
        if not expected then
            bad(name, core.unknown_option(key, known))
        elseif expected ~= "any" and math.type(value) ~= expected and type(value) ~= expected then
            bad(name, ("option '%s': %s expected, got %s"):format(key, expected,
                type(value)))
        end
    end
    if options.port and (options.port < 0 or options.port > 65535) then
        bad(name, "option 'port': not a port")
    end
    return options
end

-- Either a path, or a port and perhaps a host.
local function check_target(name, options, needs_port)
    if options.path then
        if options.host or options.port then
            bad(name, "option 'path' goes with neither 'host' nor 'port'")
        elseif #options.path == 0 or #options.path > 107 or options.path:find("\0", 1, true) then
            bad(name, "option 'path': not a path of a socket")
        end
    elseif needs_port and not options.port then
        bad(name, "option 'port' or 'path' is missing")
    end
end

-- ---- names ----

-- The seconds that are left until a time; nil: there is none.
local function left(due)
    return due and math.max(0, due - core.now() / 1000)
end

local function due_in(seconds)
    return seconds and seconds >= 0 and core.now() / 1000 + seconds or nil
end

-- The addresses of a host, the families taking turns, as RFC 8305 wants them.
local function interleave(addresses)
    local first = core.is_address(addresses[1])
    local one, other, all = {}, {}, {}
    for _, address in ipairs(addresses) do
        local list = core.is_address(address) == first and one or other
        list[#list + 1] = address
    end
    for i = 1, math.max(#one, #other) do
        all[#all + 1] = one[i]
        all[#all + 1] = other[i]
    end
    return all
end

local families = { inet = "inet", inet6 = "inet6" }

-- nil, message, code if there are none.
local function addresses_of(host, family, seconds)
    if host:find("\0", 1, true) then
        return nil, host .. ": unknown node or service", "EAI_NONAME"
    end
    local is = core.is_address(host)
    if is then
        if family and family ~= is then
            return nil, host .. ": not an address of that family", "EAI_ADDRFAMILY"
        end
        return { host }
    end
    return core.lookup(host, family or "any", seconds)
end

--- The addresses of a host, as a list of strings.
---@param host string
---@param options { family: "inet"|"inet6"|nil, timeout: number? }?
---@return string[]?, string?, string?
function net.resolve(host, options)
    if type(host) ~= "string" then
        bad("resolve", "string expected, got " .. (host == nil and "no value" or type(host)))
    end
    options = options and check("resolve", options, { family = "string", timeout = "number" }) or {}
    if options.family and not families[options.family] then
        bad("resolve", "option 'family': \"inet\" or \"inet6\" expected")
    end
    return addresses_of(host, options.family, options.timeout)
end

-- ---- connections ----

local closes = { __close = function(held) if held.stream then held.stream:close() end end }

-- Passes on what `dial` has given; with TLS, if that is wanted.
local function secure(tls, due, host, port, stream, message, code)
    if not stream then
        return nil, message, code
    elseif not tls then
        core.hosts[stream] = port > 0 and host or nil
        return stream
    end
    local held <close> = setmetatable({ stream = stream }, closes)
    local secured
    secured, message, code = core.tls_client(stream, tls, host, port, left(due))
    if not secured then
        return nil, message, code
    end
    held.stream = nil
    return secured
end

-- The hosts of an option: a list of strings.
local function hosts_of(name, host)
    if type(host) == "string" then
        return { host }
    end
    local count = type(host) == "table" and #host or 0
    for i = 1, count do
        count = type(host[i]) == "string" and count or 0
    end
    if count == 0 then
        bad(name, "option 'host': string or list of strings expected")
    end
    return host
end

-- The addresses of some hosts, those that there are; else nil and the last failure.
local function addresses_of_all(hosts, due)
    local all, message, code = {}, nil, nil
    for _, host in ipairs(hosts) do
        local list
        list, message, code = addresses_of(host, nil, left(due))
        table.move(list or {}, 1, #(list or {}), #all + 1, all)
    end
    if #all == 0 then
        return nil, message, code
    end
    return all
end

--- Connects; of several addresses the first that answers.
---@return stream?, string?, string?
function net.connect(options)
    check("connect", options, {
        host = "any", port = "integer", path = "string", timeout = "number", tls = "any",
    })
    check_target("connect", options, true)
    local tls = options.tls and core.check_tls("connect", options.tls)
    local due = due_in(options.timeout)
    if options.path then
        return secure(tls, due, options.path, 0,
            core.dial({ options.path }, nil, options.timeout, "unix " .. options.path))
    end
    local hosts = hosts_of("connect", options.host or LOOPBACK)
    local addresses, message, code = addresses_of_all(hosts, due)
    if not addresses then
        return nil, message, code
    end
    local name = hosts[1] -- that TLS verifies, too
    return secure(tls, due, name, options.port, core.dial(interleave(addresses), options.port,
        due and left(due) or options.timeout,
        ("tcp %s:%d"):format(name:find(":", 1, true) and "[" .. name .. "]" or name,
            options.port)))
end

--- Two streams that are connected with each other.
---@return stream, stream
function net.pair()
    local one, other, code = core.pair()
    if not one then
        error(M.TaskletError(core.caller() .. other, { code = code }), 0)
    end
    return one, other
end

-- ---- servers ----

--- Listens at a port, or at a path.
---@return server?, string?, string?
function net.listen(options)
    check("listen", options, {
        host = "string", port = "integer", path = "string", backlog = "integer",
        reuse_port = "boolean", tls = "any",
    })
    check_target("listen", options, true)
    local backlog = options.backlog or BACKLOG
    local config
    local tls = options.tls and core.check_tls("listen", options.tls)
    if tls then
        local reason, kind
        config, reason, kind = core.tls_server("listen", tls)
        if not config then
            return nil, reason, kind
        end
    end
    if options.path then
        return core.listen(options.path, nil, backlog, false, config)
    end
    local addresses, message, code = addresses_of(options.host or ANY)
    if not addresses then
        return nil, message, code
    end
    return core.listen(addresses[1], options.port, backlog, options.reuse_port, config)
end

local server = core.server_methods

local function check_server(name, value)
    if not core.is_server(value) then
        core.bad_self(name, "server", value)
    end
end

--- For a loop over connections as they come; it ends when the server is closed.
function server:connections()
    check_server("connections", self)
    local accept = server.accept
    return function()
        local stream, message, code = accept(self)
        if not stream and code ~= "closed" then
            error(M.TaskletError(core.caller() .. message, { code = code }), 0)
        end
        return stream
    end
end

local close = server.close
local weak = { __mode = "k" }
-- For each who serves: where it waits while it has all the connections that it may have.
local serving = setmetatable({}, weak)

--- Closes it; whoever accepts or serves goes on.
function server:close()
    check_server("close", self)
    close(self)
    for room in pairs(serving[self] or {}) do
        room:close()
    end
    return true
end

local function handler(err)
    return { err = err, trace = core.traceback() }
end

-- The body of a connection's tasklet: an error is logged, the end of the tasklet passes.
local function attend(f, stream)
    local connection <close> = stream
    local ok, failure = xpcall(f, handler, connection)
    if not ok then
        if M.TaskletExit:is(failure.err) then
            error(failure.err, 0)
        end
        core.log(failure.err, failure.trace)
    end
end

--- Runs `f(stream)` in a tasklet of its own for each connection, which is closed when that ends; an
--- error is logged. Returns when the server is closed.
---@param f fun(stream: stream)
---@param options { max_connections: integer? }?
function server:serve(f, options)
    check_server("serve", self)
    core.check_callable(1, "serve", f)
    options = core.check_options(2, "serve", options, { max_connections = "number" })
    local most, count = options.max_connections, 0
    if most and most < 1 then
        core.bad_argument(2, "serve", "option 'max_connections': at least 1 expected")
    end
    local room = M.channel({ preference = 0 })
    serving[self] = serving[self] or setmetatable({}, weak)
    serving[self][room] = true

    local function ended()
        count = count - 1
        if room.balance < 0 then
            room:send(true)
        end
    end

    for stream in self:connections() do
        count = count + 1
        local t = M.new(attend, {
            name = "connection " .. tostring(stream), daemon = M.current().daemon,
        })
        t:add_join_callback(ended)
        t(f, stream)
        while most and count >= most and self:fileno() do
            room()
        end
    end
end

-- ---- datagrams ----

--- A socket of datagrams.
---@return udp?, string?, string?
function net.udp(options)
    options = check("udp", options or {}, {
        host = "string", port = "integer", reuse_port = "boolean",
    })
    local addresses, message, code = addresses_of(options.host or ANY)
    if not addresses then
        return nil, message, code
    end
    return core.datagram(addresses[1], options.port or 0, options.reuse_port)
end

local udp = core.udp_methods

local function check_type(n, expected, value)
    if type(value) ~= expected then
        bad("send", ("%s expected, got %s"):format(expected,
            value == nil and "no value" or type(value)), n)
    end
end

--- Sends a datagram. A name is looked up for an address of the socket's own family.
---@param data string
---@param host string
---@param port integer
---@return udp?, string?, string?
function udp:send(data, host, port)
    local family = core.udp_family(self)
    if not family then
        core.bad_self("send", "udp", self)
    end
    check_type(1, "string", data)
    check_type(2, "string", host)
    check_type(3, "number", port)
    port = math.tointeger(port)
    if not port then
        bad("send", "number has no integer representation", 3)
    elseif port < 0 or port > 65535 then
        bad("send", "not a port", 3)
    elseif family == "closed" then
        return nil, "closed", "closed"
    end
    if not core.is_address(host) then
        local addresses, message, code = addresses_of(host, family)
        if not addresses then
            return nil, message, code
        end
        host = addresses[1]
    end
    return core.send_to(self, data, host, port)
end
