-- `tasklet test` and the helper: how they are called, and what they say (contract 12.1).

local helper = require "spec.helper"
local support = require "spec.testing.support"

---Runs `f` with a new directory that has these files.
---@param files table<string, string>
---@param f fun(directory: string)
local function within(files, f)
    local directory = support.directory(files)
    local ok, err = pcall(f, directory)
    support.remove(directory)
    assert(ok, err)
end

local waiting = [[
    local tasklet = require "tasklet"
    it("waits", function() tasklet.sleep(86400) end)
]]

local failing = "it('fails', function() error('boom', 0) end)\n"

describe("tasklet test", function()
    it("runs what is in spec/", function()
        within({["spec/a_spec.lua"] = waiting, ["spec/b_spec.lua"] = waiting}, function(directory)
            local result = helper.run({"test"}, {cwd = directory})
            assert.equal("", result.stderr)
            assert.matches("^%+%+\n2 successes / 0 failures / 0 errors / 0 pending", result.stdout)
            assert.equal(0, result.status)
        end)
    end)

    it("ends with 1 if a test fails, an error is in a file, or a leak is found", function()
        for _, text in ipairs{failing, "error('x')", "x = = 1",
            "it('leaks', function() io.open('x_spec.lua') end)"} do
            within({["x_spec.lua"] = text}, function(directory)
                assert.equal(1, support.host(directory, {"x_spec.lua"}).status, text)
            end)
        end
    end)

    it("takes options of a helper as its own, too, and leaves them where they are", function()
        within({["x_spec.lua"] = waiting, ["y_spec.lua"] = failing}, function(directory)
            local args = {"test", "-o", "TAP", "-Xhelper", "--virtual-limit=5,-x", "x_spec.lua"}
            local result = helper.run(args, {cwd = directory})
            assert.equal("", result.stderr)
            assert.matches("limit of 5 s of virtual time", result.stdout, 1, true)
            assert.matches("\n1..1\n$", result.stdout)
            result = helper.run({"test", "-Xhelper", "--limit=x", "x_spec.lua"}, {cwd = directory})
            assert.equal("tasklet: --limit needs a number\n", result.stderr)
            assert.equal(1, result.status)
        end)
    end)

    it("takes options of the program before, and busted's behind", function()
        within({["x_spec.lua"] = waiting .. failing}, function(directory)
            local result = helper.run({"-e", "print('first')", "test", "-o", "TAP",
                "--filter-out=fails", "x_spec.lua"}, {cwd = directory})
            assert.equal("", result.stderr)
            assert.equal("first\nok 1 - waits\n1..1\n", result.stdout)
        end)
    end)

    it("runs the project's own helper, too, and does not start another Lua", function()
        within({
            [".busted"] = [[return {default = {helper = "h.lua", lua = "/no/lua", ROOT = {"."}}}]],
            ["h.lua"] = "print('helper', pcall(require, 'tasklet.testing'))",
            ["x_spec.lua"] = waiting,
        }, function(directory)
            local result = support.host(directory, {})
            assert.equal("", result.stderr)
            assert.matches("^helper\ttrue\ttable: ", result.stdout)
            assert.matches("1 success", result.stdout, 1, true)
        end)
    end)

    it("knows a seed in the configuration", function()
        within({
            [".busted"] = [[return {default = {seed = 12, ROOT = {"."}}}]],
            ["x_spec.lua"] = failing,
        }, function(directory)
            local result = support.host(directory, {})
            assert.equal("seed 12: repeat with --seed 12\n", result.stderr)
        end)
    end)

    it("lists without running", function()
        within({["x_spec.lua"] = failing}, function(directory)
            local result = support.host(directory, {"--list", "x_spec.lua"})
            assert.equal("fails\n", result.stdout)
            assert.equal(0, result.status)
        end)
    end)

    it("says what is wrong with its options", function()
        for _, words in ipairs{{"--limit", "x"}, {"--limit=x"}, {"--virtual-limit"}} do
            local result = helper.run{"test", table.unpack(words)}
            assert.matches("^tasklet: %-%-[%l-]*limit needs a number\n$", result.stderr)
            assert.equal(1, result.status)
        end
        local result = helper.run{"test", "--no-such"}
        assert.matches("unknown/bad flag: --no-such", result.stderr, 1, true)
    end)

    it("says that busted is not there", function()
        local result = helper.run({"test"}, {env = {LUA_PATH = "/no/?.lua"}})
        assert.equal("tasklet: busted is not installed (Debian: lua-busted; LuaRocks: busted)\n",
            result.stderr)
        assert.equal(1, result.status)
    end)

    it("leaves scripts of that name to ./test and --", function()
        within({["test"] = "print('a script', ...)"}, function(directory)
            for _, words in ipairs{{"./test", "a"}, {"--", "test", "a"}} do
                assert.equal("a script\ta\n", helper.run(words, {cwd = directory}).stdout)
            end
        end)
    end)

    it("is in the help", function()
        local text = helper.run{"--help"}.stdout
        assert.matches("%[options%] test %[busted's arguments%]\n", text)
        assert.matches("./test", text, 1, true)
    end)

    it("ends on a signal, and says what it has", function()
        within({["x_spec.lua"] = [[
            local tasklet = require "tasklet"
            local testing = require "tasklet.testing"
            it("hangs", function()
                io.stdout:write("ready\n"):flush()
                testing.real(tasklet.sleep, 3600)
            end)
            it("is not run", function() print("never") end)
        ]]}, function(directory)
            local result = helper.run({"test", "x_spec.lua"},
                {cwd = directory, after = "ready", signal = "TERM"})
            assert.equal(143, result.status)
            assert.not_matches("never", result.stdout)
            assert.matches("hangs\nx_spec.lua:[45]: %l+\n", result.stdout)
        end)
    end)
end)

describe("the helper of stock busted", function()
    it("may stand in .busted", function()
        within({
            [".busted"] = [[return {_all = {helper = "tasklet.testing", ROOT = {"."}}}]],
            ["x_spec.lua"] = waiting,
        }, function(directory)
            local result = helper.plain(support.busted, {cwd = directory})
            assert.equal("", result.stderr)
            assert.matches("1 success", result.stdout, 1, true)
        end)
    end)

    it("takes options by -Xhelper, and refuses others", function()
        within({["x_spec.lua"] = waiting}, function(directory)
            local function run(options)
                return helper.plain(support.busted, {cwd = directory, args = {
                    "--helper=tasklet.testing", "-Xhelper", options, "--filter=nothing",
                    "x_spec.lua"}})
            end
            local result = run "--limit=5,--real-time"
            assert.equal("", result.stderr)
            assert.equal(0, result.status)
            result = run "--limit=x"
            assert.matches("tasklet.testing: --limit needs a number", result.stderr, 1, true)
            result = run "--unreal"
            assert.matches("tasklet.testing: unknown option --unreal", result.stderr, 1, true)
        end)
    end)

    it("is found with package.cpath alone", function()
        local result = helper.plain [[
            package.path = ""
            local testing = require "tasklet.testing"
            assert(testing == require "tasklet.testing")
            print(type(testing.advance), type(require("tasklet").run))
        ]]
        assert.equal("", result.stderr)
        assert.equal("function\tfunction\n", result.stdout)
    end)

    it("changes nothing for specs that require the module without it", function()
        within({["x_spec.lua"] = [[
            local tasklet = require "tasklet"
            local testing = require "tasklet.testing"
            it("is no tasklet", function() assert.is_nil(tasklet.current()) end)
        ]]}, function(directory)
            local result = helper.plain(support.busted, {cwd = directory, args = {"x_spec.lua"}})
            assert.equal("", result.stderr)
            assert.matches("1 success", result.stdout, 1, true)
        end)
    end)
end)
