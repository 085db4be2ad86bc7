-- TLS: options, and the configurations that come of them. Loaded when TLS is first asked for.
local _, core = ...

local known = {
    ca = "string", cert = "string", key = "string", verify = "boolean", server_name = "string",
    alpn = "table",
}

local function bad(name, message)
    core.bad_argument(1, name, message)
end

-- The names of protocols as they are sent: each with its length before it.
local function encode(name, protocols)
    local encoded = {}
    for i, protocol in ipairs(protocols) do
        if type(protocol) ~= "string" or #protocol == 0 or #protocol > 255 then
            bad(name, "option 'alpn': a list of names expected")
        end
        encoded[i] = ("s1"):pack(protocol)
    end
    if #encoded == 0 then
        bad(name, "option 'alpn': a list of names expected")
    end
    return table.concat(encoded)
end

--- The options that stand in `tls=`, or are given to `starttls`: a table, checked; nil if TLS is
--- not wanted.
---@param name string the function that they were given to
---@param options table|boolean|nil
---@return table?
function core.check_tls(name, options)
    if options == nil or options == false then
        return nil
    elseif options == true then
        return {}
    end
    local where = name == "starttls" and "" or "option 'tls': "
    if type(options) ~= "table" then
        bad(name, where .. "table or true expected, got " .. type(options))
    end
    local copy = {}
    for key, value in pairs(options) do
        local expected = known[key]
        if not expected then
            bad(name, where .. core.unknown_option(key, known))
        elseif type(value) ~= expected then
            bad(name, ("option '%s': %s expected, got %s"):format(key, expected, type(value)))
        elseif expected == "string" and (value == "" or value:find("\0", 1, true)) then
            bad(name, ("option '%s': not a name"):format(key))
        end
        copy[key] = value
    end
    if copy.key and not copy.cert then
        bad(name, "option 'key' goes with 'cert'")
    end
    copy.alpn = copy.alpn and encode(name, copy.alpn)
    return copy
end

-- Clients' configurations, by what they are made of: sessions are remembered in them. A file that
-- has been written anew makes another one.
local clients = setmetatable({}, { __mode = "v" })
local recent -- the one that was used last lives on

local function client(options)
    local parts = {}
    for i, name in ipairs { "verify", "ca", "cert", "key", "alpn" } do
        parts[i] = ("s4"):pack(tostring(options[name]))
    end
    for _, name in ipairs { "ca", "cert", "key" } do
        parts[#parts + 1] = ("s4"):pack(core.file_stamp(options[name]))
    end
    local key = table.concat(parts)
    local config, message, code = clients[key], nil, nil
    if not config then
        config, message, code = core.tls_config(false, options.verify ~= false, options.ca,
            options.cert, options.key, options.alpn)
        clients[key] = config
    end
    recent = config or recent
    return config, message, code
end

--- The configuration of a server. Without a certificate there is none.
---@param name string the function that the options were given to
function core.tls_server(name, options)
    if not options.cert then
        bad(name, "option 'tls': a server needs 'cert'")
    end
    return core.tls_config(true, options.verify == true, options.ca, options.cert, options.key,
        options.alpn)
end

--- Begins TLS as a client; waits for the end of the handshake.
---@param host string? what the certificate has to be for, unless the options say
---@param port integer? if given sessions are resumed
---@param seconds number?
function core.tls_client(stream, options, host, port, seconds)
    local config, message, code = client(options)
    if not config then
        return nil, message, code
    end
    local name = options.server_name or host
    local session = port and ("%s:%d %s"):format(host, port, name) or nil
    return core.begin_tls(stream, config, name, session, seconds)
end

--- `s:starttls(options)`
function core.starttls(stream, options)
    options = core.check_tls("starttls", options == nil or options)
    if not options then
        bad("starttls", "table or true expected, got false")
    end
    local accepted, begun = core.tls_side(stream)
    if begun then
        core.raise_state("the stream speaks TLS already")
    end
    local config, message, code
    if accepted then
        config, message, code = core.tls_server("starttls", options)
    else
        config, message, code = client(options)
    end
    if not config then
        return nil, message, code
    end
    local ok
    ok, message, code = stream:flush() -- what is not to be encrypted
    if not ok then
        return nil, message, code
    end
    return core.begin_tls(stream, config, options.server_name or core.hosts[stream], nil, nil)
end
