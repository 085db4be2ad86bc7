-- tasklet.process.pipeline: programs, each with the output of the one before.

local tasklet = require "tasklet"
local support = require "spec.process.support"

local run, process = support.run, tasklet.process

describe("process.pipeline", function()
    it("gives what the last one wrote", run(function()
        local result = process.pipeline { { "seq", 1, 1000 }, { "grep", "7" }, { "wc", "-l" } }
        assert.same({ true, 0, "271\n", "", false }, { result.ok, result.code,
            result.stdout:gsub(" ", ""), result.stderr, result.timed_out })
    end))

    it("can be of one", run(function()
        assert.equal("x", process.pipeline({ { "cat" }, input = "x" }).stdout)
    end))

    it("gives the first one input, much of it", run(function()
        local much = ("0123456789abcdef"):rep(1 << 17)
        local result = process.pipeline { { "cat" }, { "cat" }, { "cat" }, input = much }
        assert.is_true(result.ok)
        assert.is_true(result.stdout == much)
    end))

    it("says which one failed", run(function()
        local result = process.pipeline {
            { "sh", "-c", "echo first >&2; exit 4" }, { "sh", "-c", "cat; echo second >&2" },
        }
        assert.same({ false, 4, "first\nsecond\n" }, { result.ok, result.code, result.stderr })
        assert.same({ 4, 0 }, { result.stages[1].code, result.stages[2].code })
        assert.equal("second\n", result.stages[2].stderr)
        result = process.pipeline { { "true" }, { "sh", "-c", "kill -9 $$" } }
        assert.same({ false, nil, 9 }, { result.ok, result.code, result.signal })
    end))

    it("does not mind one that nobody reads any more", run(function()
        local result = process.pipeline { { "yes" }, { "head", "-n", 2 } }
        assert.same({ true, "y\ny\n", 0 }, { result.ok, result.stdout, result.code })
        assert.equal(13, result.stages[1].signal)
    end))

    it("ends them all when it takes too long", run(function()
        local result = process.pipeline {
            { "sleep", 60 }, { "cat" }, { "sleep", 60 }, timeout = 0.05,
        }
        assert.same({ false, true }, { result.ok, result.timed_out })
        support.await(function() return support.zombies() == 0 end)
    end))

    it("ends those that run if one cannot be run", run(function()
        local before = support.descriptors()
        local result, message, code = process.pipeline { { "sleep", 60 }, { "nonesuch-program" } }
        assert.is_nil(result)
        assert.same({ "nonesuch-program: No such file or directory", "ENOENT" }, { message, code })
        support.await(function()
            local own = support.own_pid()
            for _, p in pairs(support.processes()) do
                if p.parent == own and p.name == "sleep" then
                    return false
                end
            end
            return true
        end)
        support.await(function() return support.descriptors() <= before + 4 end)
    end))

    it("has options for all, and for each", run(function()
        local result = process.pipeline {
            { "sh", "-c", "pwd; echo $A", env = { A = "own" } },
            { "sh", "-c", "cat; pwd; echo $A", cwd = "/" },
            cwd = "/usr", env = { A = "common" },
        }
        assert.equal("/usr\nown\n/\ncommon\n", result.stdout)
    end))

    it("raises if it is to check", run(function()
        local ok, err = pcall(function()
            process.pipeline { { "sh", "-c", "echo why >&2; exit 2" }, { "cat" }, check = true }
        end)
        assert.is_false(ok)
        assert.truthy(err.message:find("pipeline_spec.lua:%d+: 'sh' exited with code 2: why$"))
        assert.equal(2, err.result.stages[1].code)
    end))
end)
