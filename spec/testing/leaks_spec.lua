-- What tests leave behind (contract 12.4).

local support = require "spec.testing.support"

describe("left behind:", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local function endless() tasklet.sleep(1e6) end
        describe("tasklets,", function()
            it("one", function()
                tasklet.new(endless, {name = "worker"})()
            end)
            it("two", function()
                tasklet.run(endless)
                tasklet.run(function() tasklet.channel():receive() end)
            end)
            it("one that cleans up", function()
                tasklet.run(function()
                    local _ <close> = setmetatable({}, {__close = function() tasklet.sleep(0) end})
                    endless()
                end)
            end)
            it("one of after_each", function() end)
            it("a periodic one", function() tasklet.interval(1, function() end)() end)
        end)
        local server
        describe("no leak is", function()
            setup(function() server = tasklet.run(endless) end)
            before_each(function() tasklet.run(endless) end)
            it("a daemon", function() tasklet.new(endless, {daemon = true})() end)
            it("a tasklet that is about to end", function()
                tasklet.new(function() for _ = 1, 100 do tasklet.yield_() end end)()
            end)
            it("one that setup made", function() assert.is_false(server:has_finished()) end)
            it("one that was never started", function() tasklet.new(endless) end)
            it("a file that is closed", function() io.open("x_spec.lua"):close() end)
            it("a child that has been waited for", function() io.popen("true"):close() end)
            it("what finally cleans up", function()
                local t = tasklet.run(endless)
                finally(function() t:kill() end)
            end)
        end)
        describe("after its block", function()
            it("all is gone", function() assert.is_true(server:has_finished()) end)
        end)
        describe("what after_each cleans up", function()
            local t
            after_each(function() t:kill() end)
            it("is none", function() t = tasklet.run(endless) end)
        end)
        describe("what after_each makes", function()
            after_each(function() tasklet.run(endless) end)
            it("is one", function() end)
        end)
        it("a file", function() io.open("x_spec.lua") end)
        it("a temporary file", function() assert(io.tmpfile()) end)
        it("a pipe and a child", function()
            io.popen("exec sleep 1000")
        end)
        it("a message for itself", function()
            tasklet.send(tasklet.current(), "late")
        end)
        describe("a message for", function()
            local server
            setup(function() server = tasklet.new(endless, {name = "server"}):start() end)
            it("another", function()
                tasklet.send(server, "first")
                tasklet.yield_(tasklet.Message("second", {dest = server}))
                server:send_message(tasklet.Message("third"))
            end)
            it("that is not told twice", function() end)
        end)
        it("a failure comes first", function()
            tasklet.run(endless)
            error("boom")
        end)
        it("pending comes first", function()
            tasklet.run(endless)
            pending("later")
        end)
        it("the end", function()
            for fd = 3, 30 do
                local target = io.popen("readlink /proc/$PPID/fd/" .. fd)
                local text = target:read("a")
                target:close()
                assert.not_matches("x_spec", text)
            end
        end)
    ]], {}, {
        ["tasklets, one"] =
            "failure: leak: tasklet 'worker' #%d+, started at x_spec.lua:5, "
            .. "waits %(sleep: 1000000000 ms%)",
        ["tasklets, two"] = "failure: leak: tasklet '[^\n]*started at x_spec.lua:8[^\n]*\n"
            .. "leak: tasklet '[^\n]*started at x_spec.lua:9[^\n]*",
        ["tasklets, one that cleans up"] = "failure: leak: tasklet [^\n]*x_spec.lua:12[^\n]*",
        ["tasklets, one of after_each"] = "success",
        ["tasklets, a periodic one"] = "failure: leak: tasklet [^\n]*x_spec.lua:18[^\n]*",
        ["no leak is a daemon"] = "success",
        ["no leak is a tasklet that is about to end"] = "success",
        ["no leak is one that setup made"] = "success",
        ["no leak is one that was never started"] = "success",
        ["no leak is a file that is closed"] = "success",
        ["no leak is a child that has been waited for"] = "success",
        ["no leak is what finally cleans up"] = "success",
        ["after its block all is gone"] = "success",
        ["what after_each cleans up is none"] = "success",
        ["what after_each makes is one"] = "failure: leak: tasklet [^\n]*x_spec.lua:46[^\n]*",
        ["a file"] =
            "failure: leak: file %(descriptor %d+: [^\n]*x_spec.lua%), made at x_spec.lua:49",
        ["a temporary file"] = "failure: leak: file %([^\n]*%), made at x_spec.lua:50",
        ["a pipe and a child"] = "failure: leak: child %d+ %(sleep 1000%), made at x_spec.lua:52\n"
            .. "leak: file %(descriptor %d+: pipe:[^\n]*%), made at x_spec.lua:52",
        ["a message for itself"] = "failure: leak: unread message 'late' for tasklet "
            .. "'a message for itself' #%d+, made at x_spec.lua:55",
        ["a message for another"] =
            "failure: leak: unread message 'first' for tasklet 'server' #%d+, "
            .. "made at x_spec.lua:61\n"
            .. "leak: unread message 'third' for tasklet 'server' #%d+, made at x_spec.lua:63",
        ["a message for that is not told twice"] = "success",
        ["a failure comes first"] = "error: x_spec.lua:69: boom",
        ["pending comes first"] = "pending: x_spec.lua:73: later",
        ["the end"] = "success",
    }) do
        it(name, check)
    end
end)

describe("left behind by luv:", function()
    for name, check in support.cases([[
        local uv = require "luv"
        it("a timer", function()
            uv.new_timer():start(1000000, 0, function() end)
        end)
        it("a timer that does nothing", function() uv.new_timer() end)
        it("a server", function()
            local server = uv.new_tcp()
            server:bind("127.0.0.1", 0)
            server:listen(1, function() end)
        end)
        it("a child", function()
            uv.spawn("sleep", {args = {"1000"}}, function() end)
        end)
        it("an open file", function() uv.fs_open("x_spec.lua", "r", 0) end)
        it("none that is closed", function() uv.new_timer():close() end)
        it("none that closes itself", function()
            local timer = uv.new_timer()
            timer:start(0, 0, function() timer:close() end)
        end)
        it("a wrong call is told as ever", function()
            local ok, err = pcall(uv.new_pipe, {})
            assert.is_false(ok)
            assert.not_matches("testing_leaks", err)
        end)
    ]], {}, {
        ["a timer"] = "failure: leak: timer of luv, made at x_spec.lua:3",
        ["a timer that does nothing"] = "failure: leak: timer of luv, made at x_spec.lua:5",
        ["a server"] = "failure: leak: tcp of luv, made at x_spec.lua:7",
        ["a child"] = "failure: leak: process of luv, made at x_spec.lua:12\n"
            .. "leak: child %d+ %(sleep 1000%), made at x_spec.lua:12",
        ["an open file"] =
            "failure: leak: descriptor %d+ %([^\n]*x_spec.lua%), made at x_spec.lua:14",
        ["none that is closed"] = "success",
        ["none that closes itself"] = "success",
        ["a wrong call is told as ever"] = "success",
    }) do
        it(name, check)
    end
end)

describe("left behind of streams:", function()
    for name, check in support.cases([[
        local tasklet = require "tasklet"
        local net = tasklet.net
        it("a pair", function()
            local a = net.pair()
            collectgarbage()
        end)
        it("a server and a connection", function()
            local server = net.listen {host = "127.0.0.1", port = 0}
            local a = net.connect {port = select(2, server:sockname())}
            local b = server:accept()
            a:close()
            b:close()
        end)
        it("datagrams", function() net.udp() end)
        it("a watch", function() tasklet.fs.watch("x_spec.lua") end)
        it("no watch that is closed", function() tasklet.fs.watch("x_spec.lua"):close() end)
        it("none that is closed", function()
            local a, b = net.pair()
            a:write("x")
            a:close()
            b:close()
        end)
        it("none is standard output", function() tasklet.stdout:write("") end)
        it("who waits", function()
            local a <close>, b = net.pair()
            tasklet.run(function() return b:read() end)
        end)
    ]], {}, {
        ["a pair"] = "failure: leak: unix %d+, made at x_spec.lua:4\n"
            .. "leak: unix %d+, made at x_spec.lua:4",
        ["a server and a connection"] =
            "failure: leak: server 127.0.0.1:%d+, made at x_spec.lua:8",
        ["datagrams"] = "failure: leak: udp 0.0.0.0:%d+, made at x_spec.lua:14",
        ["a watch"] = "failure: leak: watch%(x_spec.lua%), made at x_spec.lua:15",
        ["no watch that is closed"] = "success",
        ["none that is closed"] = "success",
        ["none is standard output"] = "success",
        ["who waits"] = "failure: leak: unix %d+, made at x_spec.lua:25",
    }) do
        it(name, check)
    end
end)

describe("the functions of io that are wrapped", function()
    for name, check in support.cases([[
        it("say what is wrong as ever", function()
            local ok, err = pcall(function() io.open() end)
            assert.is_false(ok)
            assert.equal(
                "x_spec.lua:2: bad argument #1 to 'open' (string expected, got no value)", err)
            assert.same({nil, "no/file: No such file or directory", 2}, {io.open("no/file")})
        end)
    ]], {}, {["say what is wrong as ever"] = "success"}) do
        it(name, check)
    end

    it("are put back at the end", function()
        local directory = support.directory{
            ["x_spec.lua"] = "it('does nothing', function() end)",
            ["h.lua"] = [[
                local open = io.open
                require "tasklet.testing"
                local wrapped = tostring(io.open ~= open)
                require "busted".subscribe({"exit"}, function()
                    print("wrapped", wrapped, "back", io.open == open)
                    return nil, true
                end)
            ]],
        }
        local result = support.plain(directory, {"--helper=h.lua", "x_spec.lua"})
        support.remove(directory)
        assert.matches("wrapped\ttrue\tback\ttrue\n", result.stdout)
    end)
end)
