-- The command line of the program: that of `lua`, run side by side with it, and what comes on top.

local PROGRAM = os.getenv("TASKLET_BIN") or "build/src/host/tasklet"

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a shell command, for 20 seconds at most.
---@return { status: integer, out: string, err: string }
local function run(command)
    local errors = os.tmpname()
    local line = ("exec 2>%s; exec timeout 20 sh -c %s"):format(errors, quote(command))
    local pipe = assert(io.popen(line))
    local out = pipe:read("a")
    local _, how, status = pipe:close()
    local file = assert(io.open(errors))
    local err = file:read("a")
    file:close()
    os.remove(errors)
    return { status = how == "signal" and 128 + status or status, out = out, err = err }
end

--- What the shell makes of a command, without the newline.
local function shell(command)
    local result = run(command)
    assert(result.status == 0, result.err)
    return (result.out:gsub("\n$", ""))
end

local folder -- where the scripts are; `ours/lua` and `theirs/lua` in it are what is compared

local files = {
    ["args.lua"] = [[
        print("parameters", ...)
        local low, high = 0, 0
        for key in pairs(arg) do
            low, high = math.min(low, key), math.max(high, key)
        end
        for i = low, high do
            print(i, arg[i])
        end
    ]],
    ["shebang.lua"] = "#!/no/such/program\nprint('shebang', ...)\n",
    ["mymod.lua"] = "print('mymod', ...) return {value = 'v'}",
    ["bad_module.lua"] = "x = = 1",
    ["syntax.lua"] = "print('never')\nx = = 1\n",
    ["error.lua"] = "local function f()\n    error('boom')\nend\nf()\nprint('never')\n",
    ["error_table.lua"] = "error({})",
    ["error_nil.lua"] = "error(nil)",
    ["init.lua"] = "print('init', ...)",
    ["-"] = "print('a file named dash', ...)",
    ["-x"] = "print('a file named like an option', ...)",
    ["test"] = "print('a file named test', ...)",
}

--- Runs a command in the folder with `lua` being the program of that name in `which`.
local function run_in(which, command)
    local path = ("PATH=%s/%s:$PATH; export PATH; "):format(folder, which)
    return run(("cd %s; unset LUA_INIT LUA_INIT_5_4; %s%s"):format(folder, path, command))
end

describe("the command line", function()
    setup(function()
        folder = shell("mktemp -d")
        for name, text in pairs(files) do
            local file = assert(io.open(folder .. "/" .. name, "w"))
            file:write(text)
            file:close()
        end
        shell(("cd %s; mkdir ours theirs; ln -s %s ours/lua; ln -s %s theirs/lua"):format(
            folder,
            quote(shell("realpath " .. quote(PROGRAM))),
            quote(shell("command -v lua5.4"))
        ))
    end)

    teardown(function()
        shell("rm -r " .. quote(folder))
    end)

    -- Output and status must be the same to the byte. So must be what is said on standard error,
    -- save the end of a traceback, where a tasklet has more to tell, and the list of options.
    local function compare(command)
        it("does as lua does with: " .. command, function()
            local ours, theirs = run_in("ours", command), run_in("theirs", command)
            assert.equal(theirs.out, ours.out)
            assert.equal(theirs.status, ours.status)
            local common = theirs.err:match("^(.*)\n\t%[C%]: in %?\n$")
                or theirs.err:match("^(.-\nusage: [^\n]*\n)")
            if common then
                assert.equal(common, ours.err:sub(1, #common))
            else
                assert.equal(theirs.err, ours.err)
            end
        end)
    end

    describe("with a script", function()
        compare("lua args.lua")
        compare("lua args.lua a 'b c' ''")
        compare("lua args.lua -e -x --help -V -- - -i")
        compare("lua -W -E args.lua x")
        compare("lua -e 'x = 1' -l mymod args.lua x")
        compare("lua -- args.lua a")
        compare("lua shebang.lua 1 2")
        compare("lua ./test 1 2")
        compare("lua -- test 1 2")
        compare("lua -- -x 1 2")
        compare("lua -- - 1 2")
        compare("lua -e 'arg = {1, 2, n = 3}' args.lua x")
        compare("lua -e 'arg = nil' args.lua x")
        compare("lua syntax.lua")
        compare("lua error.lua")
        compare("lua error_table.lua")
        compare("lua error_nil.lua")
        compare("lua nofile.lua")
        compare("lua ''")
        compare("lua .")
    end)

    describe("with standard input", function()
        compare("lua < args.lua")
        compare("lua - < args.lua")
        compare("lua - a b < args.lua")
        compare("lua < shebang.lua")
        compare("lua < /dev/null")
        compare("lua -E < args.lua")
        compare("lua -W < args.lua")
        compare("lua -- < args.lua")
        compare("lua - < syntax.lua")
        compare("lua - < error.lua")
        compare("cat args.lua | lua - a")
        compare("lua -e 'print(1)' < args.lua")
        compare("lua -l mymod < args.lua")
        compare("echo 'a line' | lua -e 'print(io.read())'")

        it("ends with 1 where the script there fails, as lua forgets to", function()
            assert.equal(1, run_in("ours", "lua < error.lua").status)
            local result = run_in("ours", "lua < syntax.lua")
            assert.equal(1, result.status)
            assert.equal("lua: stdin:2: unexpected symbol near '='\n", result.err)
        end)
    end)

    describe("with -e and -l", function()
        compare("lua -e 'print(1, ...)'")
        compare("lua -e'print(1)' -e 'print(2)' -lmymod -e 'print(mymod.value)' args.lua")
        compare("lua -l mymod -e 'print(mymod.value)' -l mymod")
        compare("lua -l short=mymod -e 'print(short.value, mymod)'")
        compare("lua -l a= -e 'print(1)'")
        compare("lua -l =mymod -e 'print(_G[\"\"].value)'")
        compare("lua -l nope -e 'print(1)'")
        compare("lua -l bad_module")
        compare("lua -e 'require = nil' -l mymod")
        compare("lua -e 'x = ' args.lua")
        compare("lua -e 'error(\"boom\")' -e 'print(1)' args.lua")
        compare("lua -e 'local function f() error(\"boom\") end f()'")
        compare("lua -e 'error({})'")
        compare("lua -e 'error()'")
        compare("lua -e 'return 1, 2'")
        compare("lua -e ''")
        compare("lua -e 'print(#arg, arg[0], arg[1], arg[2])'")

        it("shows a script nothing of ours in a traceback", function()
            local result = run_in("ours", "lua -e 'print(debug.traceback(\"here\"))'")
            local expected = "here\nstack traceback:\n\t(command line):1: in main chunk\n\t[C]: in"
            assert.equal(expected, result.out:sub(1, #expected))
            assert.not_matches("tasklet:", result.out, 1, true)
        end)
    end)

    describe("with an option that there is not", function()
        for _, options in ipairs({
            "-x", "-vx", "-Ex", "-Wx", "-ix", "-e", "-e -v", "-l", "-l --", "--foo",
            "-W -x args.lua", "-lmymod --e",
        }) do
            compare("lua " .. options)
        end

        it("runs nothing and says how it is called", function()
            local result = run_in("ours", "lua -e 'print(1)' -hx args.lua")
            assert.equal(1, result.status)
            assert.equal("", result.out)
            assert.matches("^lua: unrecognized option '%-hx'\nusage: lua ", result.err)
            assert.matches("\n  %-%-no%-warnings ", result.err)
        end)
    end)

    describe("with the environment", function()
        compare("LUA_INIT='print(1, ...)' lua args.lua")
        compare("LUA_INIT='print(1)' LUA_INIT_5_4='print(2)' lua args.lua")
        compare("LUA_INIT=@init.lua lua -e 'print(1)'")
        compare("LUA_INIT_5_4=@init.lua LUA_INIT='x =' lua -e 'print(1)'")
        compare("LUA_INIT=@nofile.lua lua args.lua")
        compare("LUA_INIT='x = = 1' lua args.lua")
        compare("LUA_INIT_5_4='x = = 1' lua args.lua")
        compare("LUA_INIT='error(\"boom\")' lua args.lua")
        compare("LUA_INIT='print(1)' lua -E args.lua")
        compare("LUA_INIT='print(1)' lua -v | tail -n +2")
        compare("lua -e 'print(package.path, package.cpath)'")
        compare("LUA_PATH='a;;' LUA_CPATH='b' lua -e 'print(package.path, package.cpath)'")
        compare("LUA_PATH_5_4='a;;' LUA_PATH=b lua -e 'print(package.path)'")
        compare("LUA_PATH=a LUA_CPATH=b lua -E -e 'print(package.path, package.cpath)'")
    end)

    describe("leaves a script's world alone:", function()
        compare([[lua -e 'local t = {} for k in pairs(_G) do t[#t + 1] = k end
            table.sort(t) print(table.concat(t, " "))']])

        it("the collector stays incremental", function()
            local result = run_in("ours", [[lua -e 'print(collectgarbage("incremental"))']])
            assert.equal("incremental\n", result.out)
        end)
    end)

    describe("on its own account", function()
        for _, option in ipairs({ "-h", "--help" }) do
            it("helps with " .. option, function()
                local result = run_in("ours", "lua " .. option .. " -e 'print(1)' nofile.lua")
                assert.equal(0, result.status)
                assert.equal("", result.err)
                assert.matches("^usage: lua %[options%] %[script %[args%]%]\n", result.out)
                assert.matches("\n  %-e stat   execute string 'stat'\n", result.out, 1)
                assert.matches("\n  %-h, %-%-help +%l", result.out)
                assert.not_matches("\n1\n", result.out)
            end)
        end

        for _, option in ipairs({ "-V", "--version" }) do
            it("tells its version with " .. option, function()
                local result = run_in("ours", "lua " .. option .. " -e 'print(1)' nofile.lua")
                assert.equal(0, result.status)
                assert.matches("^tasklet %d+%.%d+%.%d+ %(Lua 5%.4%.%d+%)\n$", result.out)
            end)
        end

        it("tells its version and Lua's with -v, and goes on", function()
            local result = run_in("ours", "lua -v args.lua")
            assert.equal(0, result.status)
            assert.matches("^tasklet %d+%.%d+%.%d+  Lua 5%.4%.%d+  Copyright", result.out)
            assert.matches("\nparameters\n", result.out, 1, true)
            result = run_in("ours", "lua -v < args.lua")
            assert.matches("^[^\n]*\n$", result.out)
        end)

        it("has warnings on", function()
            local result = run_in("ours", [[lua -e 'warn("a", "b")']])
            assert.equal("Lua warning: ab\n", result.err)
            result = run_in("ours", [[lua -e 'warn("@off") warn("a")']])
            assert.equal("", result.err)
        end)

        it("has them off with --no-warnings, until -W", function()
            local result = run_in("ours", [[lua --no-warnings -e 'warn("a")' -W -e 'warn("b")']])
            assert.equal("Lua warning: b\n", result.err)
            assert.equal(0, result.status)
        end)

        it("takes values of its own options in the next word, or behind a =", function()
            for _, options in ipairs { "--seed 7 --slice 5.5", "--seed=7 --slice=5.5" } do
                local result = run_in("ours",
                    "lua " .. options .. " -e 'print(1)' args.lua --seed=x")
                assert.equal("", result.err)
                assert.matches("^1\nparameters\t%-%-seed=x\n", result.out)
            end
            for _, options in ipairs {
                "--seed", "--seed=", "--seed=x", "--seed x", "--slice=-1",
            } do
                local result = run_in("ours", "lua " .. options)
                assert.equal(1, result.status)
                assert.matches("^lua: '%-%-%l+[^\n]*' needs argument\nusage: lua ", result.err)
            end
            assert.matches("^lua: unrecognized option '%-%-virtual%-time=1'\n",
                run_in("ours", "lua --virtual-time=1").err)
        end)

        it("is an interpreter for #! lines", function()
            local path = folder .. "/program"
            local file = assert(io.open(path, "w"))
            file:write("#!/usr/bin/env -S ", folder, "/ours/lua --no-warnings\n")
            file:write("warn('never') print(arg[-1], arg[0], ...)\n")
            file:close()
            local result = run(("chmod +x %s; %s a -h"):format(path, path))
            assert.equal(("--no-warnings\t%s\ta\t-h\n"):format(path), result.out)
            assert.equal("", result.err)
        end)
    end)

    describe("lets everything wait:", function()
        local wait = "require('tasklet').sleep(0) "

        it("LUA_INIT, -e, a module under -l, the script", function()
            local file = assert(io.open(folder .. "/waits.lua", "w"))
            file:write(wait, "print((...)) return 5")
            file:close()
            local init = "LUA_INIT=" .. quote(wait .. "print('init')")
            local stat = quote(wait .. "print('stat')")
            local result = run_in("ours", init .. " lua -e " .. stat .. " -l w=waits "
                .. "-e 'print(w)' waits.lua script")
            assert.equal("", result.err)
            assert.equal("init\nstat\nwaits\n5\nscript\n", result.out)
        end)

        it("a script from standard input", function()
            local result = run_in("ours", "echo " .. quote(wait .. "print('input')") .. " | lua")
            assert.equal("input\n", result.out)
        end)

        it("a tasklet that -e started goes on while the script waits", function()
            local file = assert(io.open(folder .. "/joins.lua", "w"))
            file:write("print(require('tasklet').join(other))")
            file:close()
            local stat = "other = require('tasklet').run(function() " .. wait .. "return 7 end)"
            local result = run_in("ours", "lua -e " .. quote(stat) .. " joins.lua")
            assert.equal("", result.err)
            assert.equal("7\n", result.out)
        end)
    end)
end)
