-- Random programs do on the real thing what they do on a model made from the contract alone.
--
-- The environment may say how many (TASKLET_MODEL_PROGRAMS) and from which seed on
-- (TASKLET_MODEL_SEED). A failure prints the seed and the program, shrunk; main.lua runs it again.
local compare = require "spec.model.compare"
local generator = require "spec.model.generator"
local random = require "spec.model.random"
local shrink = require "spec.model.shrink"

local helper = require "spec.helper"
local tasklet = require "tasklet"

local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1
local programs = math.tointeger(tonumber(os.getenv "TASKLET_MODEL_PROGRAMS")) or 5000 // patience
local seed = math.tointeger(tonumber(os.getenv "TASKLET_MODEL_SEED")) or 1

-- By the kind of interpreter that runs this spec.
local function run_main(...)
    local run = tasklet.current() and helper.run_file or helper.plain
    return run(helper.root .. "/spec/model/main.lua", {
        real_time = true, -- as in the model: of two steps the later one comes at a later time
        args = { ... },
        cwd = helper.root,
        env = { LUA_PATH = "./?.lua;;", LUA_PATH_5_4 = "./?.lua;;" },
        timeout = 100 + programs / 100,
    })
end

describe("random programs", function()
    it("do as the model does", function()
        local progress = os.tmpname()
        local result = run_main("--seed", tostring(seed), "--programs", tostring(programs),
            "--progress", progress)
        local file <close> = assert(io.open(progress))
        local last = file:read("l")
        os.remove(progress)
        if result.status > 1 then
            error(("seed %s ended the process with status %d\n%s"):format(last, result.status,
                result.stderr:sub(-4000)), 0)
        elseif result.status == 1 then
            error(result.stdout, 0)
        end
        assert.matches(programs .. " programs from seed " .. seed .. ", 0 differ", result.stdout)
    end)

    it("are the same for the same seed", function()
        -- splitmix64's own numbers.
        local numbers = random.new(1234567)
        assert.equal(6457827717110365317, numbers:bits())
        assert.equal(3203168211198807973, numbers:bits())
        local on = generator.families(tasklet)
        local different = {}
        for i = 1, 100 do
            local text = shrink.text(generator.make(i, on))
            assert.equal(text, shrink.text(generator.make(i, on)))
            assert.is_nil(different[text])
            different[text] = true
        end
    end)
end)

describe("the comparison", function()
    local program = {
        conditions = { { "timeout", 0, 0 }, { "call", "r" } },
        scripts = {
            { { "run", 2 }, { "yield_" }, { "sleep" }, { "call", 2, "v1" } },
            { { "wait", { 1 }, "wait" }, { "wait", { 2 }, "wait" } },
        },
    }

    local function place(trace, what)
        for i, line in ipairs(trace) do
            if line == what then
                return i
            end
        end
    end

    it("takes each time at which the loop may look at its timers for right", function()
        local usual = compare.run_model(program, {})
        local early = compare.run_model(program, { true })
        assert.is_true(place(usual, "t1: slept") < place(usual, "t2: got condition 1"))
        assert.is_true(place(early, "t1: slept") > place(early, "t2: got condition 1"))
        assert.is_true((compare.explain(program, usual)))
        assert.is_true((compare.explain(program, early)))
    end)

    it("finds every line that is not as it should be", function()
        local trace = compare.run_model(program, {})
        for i = 1, #trace do
            local other = { table.unpack(trace) }
            other[i] = other[i] .. "?"
            assert.is_false((compare.explain(program, other)))
            other[i] = nil
            assert.is_false((compare.explain(program, other)))
        end
    end)

    it("shrinks a program to the steps that matter", function()
        local function count(value, name)
            local n = 0
            for _, v in ipairs(type(value) == "table" and value or {}) do
                n = n + (v == name and 1 or 0) + count(v, name)
            end
            return n
        end
        local big = generator.make(3, generator.families(tasklet))
        table.insert(big.scripts[2], 2, { "pcall", { { "yield_" }, { "sort", { { "mark" } } } } })
        table.insert(big.scripts[3], { "repeat", 2, { { "mark" }, { "yield_" } } })
        local small = shrink.shrink(big, function(p) return count(p.scripts, "mark") >= 2 end)
        assert.same({ { { "mark" } }, { { "mark" } } }, { small.scripts[2], small.scripts[3] })
        for i, script in ipairs(small.scripts) do
            assert.equal((i == 2 or i == 3) and 1 or 0, #script)
        end
        local text = shrink.text(small)
        assert.same(small, load("return " .. text)())
    end)
end)
