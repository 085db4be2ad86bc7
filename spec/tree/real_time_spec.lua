-- The project's specs use virtual time. Bodies and scripts have a virtual clock, unless they say
-- otherwise (spec/helper.lua), so what waits takes no time, and times are exact on any machine.
--
-- This is the list of the files that use real time all the same, with the reason. `means` are the
-- ways to it: whoever uses one must be on the list, and who is on the list must use one.

local helper = require "spec.helper"
local lfs = require "lfs"

-- Patterns, each with what it finds.
local means = {
    ["real_time"] = "the system's clock, by the helper",
    ["set_virtual_time%(false"] = "the system's clock",
    ["testing%.real%("] = "the system's clock, in a body of `tasklet test`",
    ["%-%-real%-time"] = "the system's clock, for `tasklet test`",
    ["TASKLET_BIN"] = "the host, started without the helper",
    ["helper%.bin%f[%s,]"] = "the host, started without the helper",
    ["os%.clock"] = "the processor's time",
    ["os%.time%f[^%w]"] = "the time of day",
    ["hrtime"] = "the system's clock, by luv",
    ["gettime"] = "the time of day",
    ["monotime"] = "the system's clock",
    ["uv%.sleep"] = "a pause of luv's",
    ["socket%.sleep"] = "a pause of LuaSocket's",
    [":start%([%a1-9][%w%.]*, [%w%.]+, "] = "a timer of luv's that is not over at once",
    ["%f[%w]sleep [%d$\"'.]"] = "a child that sleeps",
    ["spawn%(\"sleep\""] = "a child that sleeps",
}

local reasons = {
    ["spec/bind/condition_spec.lua"] = "a condition that is built upon a timer of luv's",
    ["spec/bind/order_spec.lua"] = "luv's timers are not starved",
    ["spec/channel/crowd_spec.lua"] = "what it measures is the cost",
    ["spec/channel/life_spec.lua"] = "a signal from outside ends a program",
    ["spec/docs/blocks_spec.lua"] = "time slices, and one who asks again and again, in documents",
    ["spec/ending/host_spec.lua"] = "a signal from outside ends a program",
    ["spec/ending/kill_spec.lua"] = "a child, which is killed",
    ["spec/ending/matrix_spec.lua"] = "a signal from outside ends a program",
    ["spec/examples_spec.lua"] = "signals from outside, and time slices, in examples",
    ["spec/explain/dump_spec.lua"] = "shares of the processor, signals from outside, a terminal",
    ["spec/explain/lint_spec.lua"] = "--warn-slow is about the processor's time",
    ["spec/explain/stuck_spec.lua"] = "waits for children, timers of luv's, signals from outside",
    ["spec/host/cli_spec.lua"] = "the command line, written out for a shell",
    ["spec/host/exit_spec.lua"] = "the host's exit, as a shell sees it",
    ["spec/host/files_spec.lua"] = "commands that run while others go on",
    ["spec/host/repl_spec.lua"] = "a child types at the prompt while time passes",
    ["spec/install/install_spec.lua"] = "a timer of luv's, with what has been installed",
    ["spec/io/crowd_spec.lua"] = "hosts with a limit of descriptors of their own",
    ["spec/io/net_spec.lua"] = "a server that has run out of descriptors does not spin meanwhile",
    ["spec/io/standard_spec.lua"] = "children at the other end of the standard streams",
    ["spec/io/tls_spec.lua"] = "a peer who says nothing is given up after a while",
    ["spec/loop/interrupt_spec.lua"] = "a signal comes while a script computes",
    ["spec/loop/mainloop_spec.lua"] = "mainloop.now follows the system's clock",
    ["spec/luv/luv_spec.lua"] = "luv's timers on the same loop",
    ["spec/messages/cost_spec.lua"] = "what it measures is the cost",
    ["spec/model/model_spec.lua"] = "the model takes it that each step takes time",
    ["spec/process/child_spec.lua"] = "children, and their ends",
    ["spec/process/host_spec.lua"] = "children when the program ends",
    ["spec/process/run_spec.lua"] = "children, and limits of their time",
    ["spec/process/support.lua"] = "what the specs of children share",
    ["spec/process/terminal_spec.lua"] = "children with a terminal",
    ["spec/process/testing_spec.lua"] = "children in virtual time",
    ["spec/regress/process_spec.lua"] = "a child that runs for a while",
    ["spec/slice/fair_spec.lua"] = "time slices",
    ["spec/slice/warning_spec.lua"] = "time slices",
    ["spec/testing/bodies_spec.lua"] = "the limit of a test by the system's clock",
    ["spec/testing/leaks_spec.lua"] = "children and timers of luv's that are left behind",
    ["spec/testing/program_spec.lua"] = "a signal from outside; --real-time",
    ["spec/testing/time_spec.lua"] = "testing.real, --real-time, and a child in virtual time",
    ["spec/wait/io_spec.lua"] = "a child that writes after a while",
    ["spec/wait/process_spec.lua"] = "children, also such as nobody waits for",
    ["spec/wait/signal_spec.lua"] = "signals from outside",
    ["spec/wait/timeout_spec.lua"] = "a timeout is never early by the system's clock",
}

---@param path string of a directory, from the root
---@param found string[]
---@return string[] found the paths of all files of Lua below it, from the root
local function find_files(path, found)
    for name in lfs.dir(helper.root .. "/" .. path) do
        local inner = path .. "/" .. name
        if name:find("%.lua$") then
            found[#found + 1] = inner
        elseif not name:find("^%.") and lfs.attributes(helper.root .. "/" .. inner, "mode")
            == "directory" then
            find_files(inner, found)
        end
    end
    table.sort(found)
    return found
end

---@param path string
---@return string[] # "file:line: what", for each means that it uses
local function uses_of(path)
    local uses, number = {}, 0
    for line in io.lines(helper.root .. "/" .. path) do
        number = number + 1
        for pattern, what in pairs(means) do
            if line:find(pattern) then
                uses[#uses + 1] = ("%s:%d: %s"):format(path, number, what)
            end
        end
    end
    table.sort(uses)
    return uses
end

describe("real time", function()
    -- The helper offers it, and this file speaks of it.
    local own = {["spec/helper.lua"] = true, ["spec/tree/real_time_spec.lua"] = true}
    local uses = {}
    for _, path in ipairs(find_files("spec", {})) do
        uses[path] = not own[path] and uses_of(path) or {}
    end

    it("is used by no file that is not on the list", function()
        local wrong = {}
        for path, found in pairs(uses) do
            if not reasons[path] then
                table.move(found, 1, #found, #wrong + 1, wrong)
            end
        end
        table.sort(wrong)
        assert.equal("", table.concat(wrong, "\n"))
    end)

    it("is used by all files on the list", function()
        for path in pairs(reasons) do
            assert(uses[path] and #uses[path] > 0, path .. " needs to be on the list no more")
        end
    end)
end)
