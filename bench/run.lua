-- The runner: compiles the limits, runs each benchmark and its limit in turn, A B A B, and prints
-- the median of each, their ratio, and whether the target is met. Plain Lua 5.4.
--
--   lua5.4 bench/run.lua [--reps N] [--quick] [--peers] [NAME...]
--
-- With --peers it runs the comparisons with other schedulers instead, A B C A B C.
-- TASKLET_BIN is the host to measure (else build/src/host/tasklet). The exit status is 1 if a
-- target is missed or a program fails, 2 if nothing could be measured.

local here = arg[0]:match("^(.*/)") or "./"
local root = here .. "../"
local out = root .. "build/bench/"
local host = os.getenv("TASKLET_BIN") or root .. "build/src/host/tasklet"

local function stop(...)
    io.stderr:write("bench: ", table.concat({...}), "\n")
    os.exit(2)
end

local function quote(word)
    return "'" .. tostring(word):gsub("'", "'\\''") .. "'"
end

---@param words any[]
---@return string
local function command_line(words)
    local quoted = {}
    for i, word in ipairs(words) do
        quoted[i] = quote(word)
    end
    return table.concat(quoted, " ")
end

-- ---------------------------------------------------------------------------------------------
-- The benchmarks.
-- A run is a command line. A row compares one metric of `ours` with the same one of `limit`:
--   max_ratio   ours / limit may be so much
--   max         ours may be so much, in each run
--   median      ours may be so much, in the median of all runs
--   grows       {from, factor, plus}: ours may be `factor` times that metric, or `plus` more
-- A row without any of them is for information. In a comparison each peer is a run of its own, with
-- the same metric, and the target is to be ahead of it.

local function ours(script, ...)
    return {host, here .. script .. ".lua", ...}
end

local function limit(program, ...)
    return {out .. program, ...}
end

---A program in C on the library, in embed/.
local function embedded(program, ...)
    return {out .. "embed_" .. program, ...}
end

---What a request costs an echo server that is started so.
local function load_of(connections, requests, server)
    local command = limit("load", connections, requests, 64)
    table.move(server, 1, #server, #command + 1, command)
    return command
end

---How a peer is started, and the command that says its version, which fails where there is none.
local peers = {
    tarantool = {start = {"tarantool"}, version = {"tarantool", "-v"}},
    cqueues = {
        start = {"lua5.4"},
        version = {"lua5.4", "-e", "print(require('cqueues').VERSION)"},
    },
    luv = {
        start = {"lua5.4"},
        version = {"lua5.4", "-e", "print(require('luv').version_string())"},
    },
    node = {start = {"node"}, version = {"node", "--version"}, suffix = ".js"},
    asyncio = {
        start = {"/usr/bin/python3"},
        version = {"/usr/bin/python3", "--version"},
        suffix = ".py",
    },
    gevent = {
        start = {"/usr/bin/python3"},
        version = {"/usr/bin/python3", "-c", "import gevent; print(gevent.__version__)"},
        suffix = ".py",
    },
}

---@param name string
---@param script string
---@return Peer
local function peer(name, script, ...)
    local command = table.move(peers[name].start, 1, #peers[name].start, 1, {})
    command[#command + 1] = ("%speers/%s/%s%s"):format(here, name, script,
        peers[name].suffix or ".lua")
    table.move({...}, 1, select("#", ...), #command + 1, command)
    return {name = name, label = name, command = command}
end

---Each of the peers twice: once it passes bare numbers, once a message for each.
---@param script string
---@return Peer[]
local function peers_by_what(script, ...)
    local list = {}
    for _, name in ipairs{"tarantool", "cqueues"} do
        for _, what in ipairs{"numbers", "messages"} do
            local each = peer(name, script, what, ...)
            each.label = ("%s, %s"):format(name, what)
            list[#list + 1] = each
        end
    end
    return list
end

---@class Row
---@field metric string
---@field label string? what to print, if not the benchmark's name
---@field max_ratio number?
---@field max number?
---@field median number?
---@field grows table?

---@class Peer
---@field name string
---@field label string what to print
---@field command any[]

---@class Benchmark
---@field name string
---@field limits string[] the programs to compile
---@field embed string[]? those on the library
---@field ours any[]
---@field limit any[]
---@field rows Row[]
---@field peers Peer[]? of a comparison

---@param quick boolean
---@return Benchmark[]
local function benchmarks(quick)
    local part = quick and 10 or 1
    local list = {}
    local function add(benchmark)
        list[#list + 1] = benchmark
    end

    for _, count in ipairs{2, 1000} do
        local n = 10000000 // part
        add{
            name = "switch" .. count,
            limits = {"switch"},
            ours = ours("switch", count, n),
            limit = limit("switch", count, n),
            rows = {{metric = "switch", max_ratio = 1.6}},
        }
    end
    for _, count in ipairs{2, 1000} do
        add{
            name = "timeout0_" .. count,
            limits = {},
            ours = ours("switch", count, count * 1000 // part, "timeout"),
            rows = {{metric = "switch_timeout"}},
        }
    end
    for _, batch in ipairs{1, 1000} do
        for _, kind in ipairs{"pool", "fresh"} do
            local n = 1000000 // part
            add{
                name = ("spawn%d_%s"):format(batch, kind),
                limits = {"spawn"},
                ours = ours("spawn", n, batch),
                limit = limit("spawn", kind, n, batch),
                rows = {{metric = "spawn"}},
            }
        end
    end
    for _, count in ipairs{100000, 1000000} do
        if count == 100000 or not quick then
            add{
                name = "memory" .. count,
                limits = {"memory"},
                ours = ours("memory", count),
                limit = limit("memory", count),
                rows = {
                    {metric = "memory", max = 1500},
                    {metric = "park", label = "  to park one"},
                },
            }
        end
    end
    local sleepers = 100000 // part
    add{
        name = "timers",
        limits = {"timers"},
        ours = ours("timers", sleepers),
        limit = limit("timers", sleepers, here .. "support.lua"),
        rows = {
            {metric = "cpu", label = "timers CPU", max_ratio = 1.5},
            {metric = "early", label = "  early", max = 0},
            {metric = "late_p50", label = "  late, p50"},
            {metric = "late_p99", label = "  late, p99"},
            {metric = "late_max", label = "  late, most"},
        },
    }
    add{
        name = "timers",
        limits = {"timers"},
        ours = ours("timers", sleepers, "wait"),
        limit = limit("timers", sleepers, here .. "support.lua"),
        rows = {
            {metric = "cpu", label = "timers CPU, a condition each"},
            {metric = "early", label = "  early", max = 0},
        },
    }
    local live = quick and {1000, 100000} or {1000, 100000, 1000000}
    local cancel = {
        name = "cancel",
        limits = {"cancel"},
        ours = ours("cancel", 1000000 // part, table.unpack(live)),
        limit = limit("cancel", 1000000 // part, table.unpack(live)),
        rows = {},
    }
    for _, way in ipairs{"restart", "cancel"} do
        for i, n in ipairs(live) do
            local metric = ("%s_%d"):format(way, n)
            local row = {metric = metric, label = metric}
            if i == #live then
                row.grows = {from = ("%s_%d"):format(way, live[1]), factor = 1.5, plus = 30}
            end
            cancel.rows[#cancel.rows + 1] = row
        end
    end
    add(cancel)
    for _, shape in ipairs{{"ping", 2}, {"ring", 1000}} do
        local n = 1000000 // part
        add{
            name = shape[1],
            limits = {"message"},
            ours = ours("message", "wait", shape[2], n),
            limit = limit("message", shape[2], n),
            rows = {{metric = "message"}},
        }
    end
    for _, style in ipairs{"receive", "popleft", "wait", "batch"} do
        local n = 2000000 // part
        add{
            name = "mailbox_" .. style,
            limits = {"mailbox"},
            ours = ours("mailbox", style, 1024, n),
            limit = limit("mailbox", 1024, n),
            rows = {{metric = "mailbox"}},
        }
    end
    add{
        name = "mailbox_handed",
        limits = {"mailbox"},
        ours = ours("mailbox", "receive", 1024, 1000000 // part, "waiting"),
        limit = limit("mailbox", 1, 1000000 // part),
        rows = {{metric = "mailbox"}},
    }
    for _, count in ipairs{2, 1000} do
        local n = 2000000 // part
        add{
            name = "channel" .. count,
            limits = {"channel"},
            ours = ours("channel", count, n),
            limit = limit("channel", count, n),
            rows = {{metric = "channel"}},
        }
    end
    for _, connections in ipairs{64, 1000} do
        local n = 400000 // part
        add{
            name = "echo" .. connections,
            limits = {"load", "echo"},
            ours = load_of(connections, n, ours("echo")),
            limit = load_of(connections, n, limit("echo")),
            rows = {{metric = "echo", label = "echo, " .. connections, max_ratio = 1.18}},
        }
    end
    local slice = {name = "slice", limits = {}, ours = ours("slice", quick and 15 or 40), rows = {}}
    for _, program in ipairs{"fib", "nbody", "strings", "sort", "coroutines"} do
        slice.rows[#slice.rows + 1] = {
            metric = "slice_" .. program, label = "slice, " .. program, median = 3,
        }
    end
    add(slice)
    add{
        name = "process",
        limits = {"process"},
        ours = ours("process", 500 // part, 1024),
        limit = limit("process", 500 // part, 1024),
        rows = {
            {metric = "process_small", label = "process, from a small one", max_ratio = 1.6},
            {
                metric = "process_large", label = "  from one of 1 GB",
                grows = {from = "process_small", factor = 1.3, plus = 200},
            },
        },
    }
    local calls = 20000000 // part
    add{
        name = "invoke",
        limits = {"invoke"},
        embed = {"invoke"},
        ours = embedded("invoke", calls),
        limit = limit("invoke", calls),
        rows = {{metric = "invoke", max_ratio = 2.4}},
    }
    local posts = 1000000 // part
    add{
        name = "post",
        limits = {"post"},
        embed = {"post"},
        ours = embedded("post", posts),
        limit = limit("post", posts),
        rows = {{metric = "port_call", max_ratio = 2}, {metric = "post"}},
    }
    local runs, empty = 200 // part, out .. "empty.lua"
    add{
        name = "startup",
        limits = {"startup"},
        ours = limit("startup", runs, host, empty),
        limit = limit("startup", runs, "lua5.4", empty),
        rows = {{metric = "startup", max_ratio = 1.5}},
    }
    return list
end

---The comparisons with peers.
---@param quick boolean
---@return Benchmark[]
local function comparisons(quick)
    local part = quick and 10 or 1
    local hops, numbers = 1000000 // part, 2000000 // part
    local list = {
        {
            name = "ring",
            limits = {"message"},
            ours = ours("message", "receive", 1000, hops),
            limit = limit("message", 1000, hops),
            rows = {{metric = "message"}},
            peers = peers_by_what("ring", 1000, hops),
        },
        {
            name = "mailbox",
            limits = {"mailbox"},
            ours = ours("mailbox", "receive", 1024, numbers),
            limit = limit("mailbox", 1024, numbers),
            rows = {{metric = "mailbox"}},
            peers = peers_by_what("mailbox", 1024, numbers),
        },
    }
    for _, connections in ipairs{64, 1000} do
        local n, servers = 400000 // part, {}
        for _, name in ipairs{"luv", "cqueues", "node", "gevent", "asyncio"} do
            local each = peer(name, "echo")
            each.command = load_of(connections, n, each.command)
            servers[#servers + 1] = each
        end
        list[#list + 1] = {
            name = "echo" .. connections,
            limits = {"load", "echo"},
            ours = load_of(connections, n, ours("echo")),
            limit = load_of(connections, n, limit("echo")),
            rows = {{metric = "echo"}},
            peers = servers,
        }
    end
    local programs = 100 // part
    for _, size in ipairs{"small", "large"} do
        local starters = {}
        for _, name in ipairs{"luv", "node", "gevent", "asyncio"} do
            starters[#starters + 1] = peer(name, "process", programs, 1024)
        end
        list[#list + 1] = {
            name = "process_" .. size,
            limits = {"process"},
            ours = ours("process", programs, 1024),
            limit = limit("process", programs, 1024),
            rows = {{metric = "process_" .. size}},
            peers = starters,
        }
    end
    for _, shape in ipairs{{2, numbers}, {1000, hops}} do
        local count, n = shape[1], shape[2]
        list[#list + 1] = {
            name = "channel" .. count,
            limits = {"channel"},
            ours = ours("channel", count, n, 0),
            limit = limit("channel", count, n),
            rows = {{metric = "channel"}},
            peers = {peer("tarantool", "channel", count, n)},
        }
    end
    return list
end

-- ---------------------------------------------------------------------------------------------
-- Compiling and running.

---@param words any[]
---@return string
local function output_of(words)
    local pipe = assert(io.popen(command_line(words)))
    local text = pipe:read("a")
    if not pipe:close() then
        stop("failed: ", command_line(words))
    end
    return (text:gsub("%s+$", ""))
end

local flags
local compiled = {}

---@param directory string
---@param name string of the program
---@param more string what else it is made of
local function compile(directory, name, more)
    local program = directory == "limits" and name or directory .. "_" .. name
    if compiled[program] then
        return
    end
    compiled[program] = true
    -- Lua statically, as in the host: calls through a shared library's table cost a tenth.
    flags = flags or {
        compiler = os.getenv("CC") or "cc",
        cflags = output_of{"pkg-config", "--cflags", "lua5.4", "libuv"},
        lua = output_of{"pkg-config", "--variable=libdir", "lua5.4"} .. "/liblua5.4.a",
        libs = output_of{"pkg-config", "--libs", "libuv"},
    }
    local source = ("%s%s/%s.c"):format(here, directory, name)
    local options = "-std=c11 -D_GNU_SOURCE -O2 -fno-lto -Wall -Wextra"
    local line = ("%s %s %s %s -o %s %s %s %s -lm -ldl"):format(flags.compiler, options,
        flags.cflags, quote(source), quote(out .. program), more, quote(flags.lua), flags.libs)
    if not os.execute(line) then
        stop("cannot compile ", source)
    end
end

---Runs a program and reads its lines `name value unit`.
---@param words any[]
---@return table<string, {value: number, unit: string}>? metrics nil if it failed
local function run(words)
    local pipe = assert(io.popen(command_line(words) .. " </dev/null"))
    local metrics = {}
    for line in pipe:lines() do
        local name, value, unit = line:match("^(%S+) (%S+) (%S+)$")
        if name and tonumber(value) then
            metrics[name] = {value = tonumber(value), unit = unit}
        end
    end
    local ok, how, code = pipe:close()
    if not ok then
        print(("%s: %s %d"):format(command_line(words), how, code))
        return nil
    end
    return metrics
end

-- ---------------------------------------------------------------------------------------------
-- Reporting.

---@class Series
---@field median number
---@field min number
---@field max number
---@field unit string

---@param runs table<string, {value: number, unit: string}>[]
---@param metric string
---@return Series?
local function series_of(runs, metric)
    local values, unit = {}, nil
    for _, metrics in ipairs(runs) do
        local measured = metrics[metric]
        if measured then
            values[#values + 1] = measured.value
            unit = measured.unit
        end
    end
    local n = #values
    if n == 0 then
        return nil
    end
    table.sort(values)
    local median = (values[(n + 1) // 2] + values[n // 2 + 1]) / 2
    return {median = median, min = values[1], max = values[n], unit = unit}
end

---@param x number
---@return string
local function number(x)
    local size = math.abs(x)
    local format = (size >= 100 or x == math.floor(x)) and "%.0f" or size >= 10 and "%.1f" or "%.2f"
    return format:format(x)
end

---@param s Series
---@return string
local function show(s)
    return ("%s (%s..%s) %s"):format(number(s.median), number(s.min), number(s.max), s.unit)
end

---What is said about a target, and whether it is met.
---@param row Row
---@param mine Series
---@param theirs Series?
---@param runs table[]
---@return string text, boolean met
local function judge(row, mine, theirs, runs)
    if row.max_ratio then
        local ratio = theirs and mine.median / theirs.median or math.huge
        return ("target %.1f"):format(row.max_ratio), ratio <= row.max_ratio
    elseif row.max then
        -- Of an absolute target every single run has to keep within it.
        return ("target %s %s"):format(number(row.max), mine.unit), mine.max <= row.max
    elseif row.median then
        return ("target %s %s"):format(number(row.median), mine.unit), mine.median <= row.median
    elseif row.grows then
        local base = series_of(runs, row.grows.from)
        local from = base and base.median or 0
        local text = ("%.2f x, %+d %s of %s  target %.1f x or +%d"):format(
            mine.median / from, (mine.median - from + 0.5) // 1 | 0, mine.unit, row.grows.from,
            row.grows.factor, row.grows.plus)
        local allowed = math.max(from * row.grows.factor, from + row.grows.plus)
        return text, mine.median <= allowed
    end
    return "", true
end

---@param benchmark Benchmark
---@param our_runs table[]
---@param limit_runs table[]
---@return boolean met
local function report(benchmark, our_runs, limit_runs)
    local all_met = true
    for _, row in ipairs(benchmark.rows) do
        local label = row.label or benchmark.name
        local mine = series_of(our_runs, row.metric)
        local theirs = series_of(limit_runs, row.metric)
        if not mine then
            print(("%-16s  not measured"):format(label))
            return false
        end
        local parts = {("%-16s  %-30s"):format(label, show(mine))}
        if theirs then
            parts[#parts + 1] = ("limit %-30s"):format(show(theirs))
            if theirs.median > 0 then
                parts[#parts + 1] = ("ratio %.2f"):format(mine.median / theirs.median)
            end
        end
        local text, met = judge(row, mine, theirs, our_runs)
        if text ~= "" then
            parts[#parts + 1] = text
            parts[#parts + 1] = met and "ok" or "MISSED"
        end
        all_met = all_met and met
        print((table.concat(parts, "  "):gsub("%s+$", "")))
    end
    return all_met
end

---How ours compares with the peers.
---@param benchmark Benchmark
---@param our_runs table[]
---@param runs_of table<Peer, table[]>
---@return boolean met
local function report_peers(benchmark, our_runs, runs_of)
    local all_met = true
    local metric = benchmark.rows[1].metric
    local mine = series_of(our_runs, metric)
    for _, each in ipairs(mine and benchmark.peers or {}) do
        local theirs = series_of(runs_of[each], metric)
        local text
        if theirs then
            local met = mine.median < theirs.median
            all_met = all_met and met
            text = ("%-30s  ratio %.2f  target < 1  %s"):format(show(theirs),
                mine.median / theirs.median, met and "ok" or "MISSED")
        else
            text = peers[each.name].installed and "not measured" or "not installed"
        end
        print(("  %-20s  %s"):format(each.label, text))
    end
    return all_met
end

---@param benchmark Benchmark
---@param reps integer
---@return boolean met
local function measure(benchmark, reps)
    local our_runs, limit_runs, runs_of = {}, {}, {}
    local turns = {{command = benchmark.ours, runs = our_runs}}
    if benchmark.limit then
        turns[#turns + 1] = {command = benchmark.limit, runs = limit_runs}
    end
    for _, each in ipairs(benchmark.peers or {}) do
        runs_of[each] = {}
        if peers[each.name].installed then
            turns[#turns + 1] = {command = each.command, runs = runs_of[each]}
        end
    end
    local complete = true
    for _ = 1, reps do
        for _, turn in ipairs(turns) do
            local metrics = run(turn.command)
            turn.runs[#turn.runs + 1] = metrics
            complete = complete and metrics ~= nil
        end
    end
    local met = report(benchmark, our_runs, limit_runs)
    met = report_peers(benchmark, our_runs, runs_of) and met
    io.stdout:flush()
    return met and complete
end

---Finds out which peers are installed, and prints their versions.
local function look_for_peers()
    for _, name in ipairs{"tarantool", "cqueues", "luv", "node", "gevent", "asyncio"} do
        local pipe = assert(io.popen(command_line(peers[name].version) .. " 2>/dev/null"))
        local version = pipe:read("l")
        pipe:read("a")
        peers[name].installed = pipe:close() == true
        print(("%-16s  %s"):format(name, peers[name].installed and version or "not installed"))
    end
end

-- ---------------------------------------------------------------------------------------------

local function options()
    local names, reps, quick, with_peers = {}, nil, false, false
    local i = 1
    while arg[i] do
        if arg[i] == "--reps" then
            i = i + 1
            reps = math.tointeger(tonumber(arg[i]))
            if not reps or reps < 1 then
                stop("--reps wants a positive count")
            end
        elseif arg[i] == "--quick" then
            quick = true
        elseif arg[i] == "--peers" then
            with_peers = true
        elseif arg[i]:sub(1, 1) == "-" then
            stop("unknown option ", arg[i], " (known: --reps N, --quick, --peers)")
        else
            names[#names + 1] = arg[i]
        end
        i = i + 1
    end
    return names, reps or (quick and 2 or 5), quick, with_peers
end

---A name chooses the benchmark of that name, or all whose names begin so.
---@param all Benchmark[]
---@param names string[]
---@return Benchmark[]
local function choose(all, names)
    if #names == 0 then
        return all
    end
    local chosen, known = {}, {}
    for _, benchmark in ipairs(all) do
        known[#known + 1] = benchmark.name
    end
    for _, name in ipairs(names) do
        local before = #chosen
        for _, benchmark in ipairs(all) do
            if benchmark.name == name then
                chosen[#chosen + 1] = benchmark
            end
        end
        for _, benchmark in ipairs(#chosen == before and all or {}) do
            if benchmark.name:sub(1, #name) == name then
                chosen[#chosen + 1] = benchmark
            end
        end
        if #chosen == before then
            stop("no benchmark ", name, " (known: ", table.concat(known, " "), ")")
        end
    end
    return chosen
end

local names, reps, quick, with_peers = options()
local chosen = choose(with_peers and comparisons(quick) or benchmarks(quick), names)
if not os.execute(command_line{host, "-v"} .. " >/dev/null 2>&1") then
    stop("cannot run ", host, " (build it, or set TASKLET_BIN)")
end
if not os.execute(command_line{"mkdir", "-p", out}) then
    stop("cannot make ", out)
end
assert(io.open(out .. "empty.lua", "w")):close()
for _, benchmark in ipairs(chosen) do
    for _, program in ipairs(benchmark.limits) do
        compile("limits", program, "")
    end
    for _, program in ipairs(benchmark.embed or {}) do
        compile("embed", program, "-I" .. quote(root .. "src") .. " "
            .. quote(root .. "build/src/libtasklet.a"))
    end
end

if with_peers then
    look_for_peers()
end
local all_met = true
for _, benchmark in ipairs(chosen) do
    all_met = measure(benchmark, reps) and all_met
end
os.exit(all_met and 0 or 1)
