-- The module as a rock: `luarocks make` in a fresh copy of the tree builds it and installs it where
-- LuaRocks' trees have modules, and plain Lua loads it from there.

local place = require "spec.install.place"

describe("the rock", function()
    local top
    local words = {}

    setup(function()
        top = place.temporary_directory()
        words.source, words.home, words.tree = top .. "/source", top .. "/home", top .. "/tree"
        words.rockspec = "tasklet-" .. place.version .. "-1.rockspec"
        place.copy_tree(words.source)
        place.run("mkdir $home", words)
    end)

    teardown(function()
        place.run("rm -rf $top", {top = top})
    end)

    local function luarocks(arguments)
        return place.run("cd $source; export HOME=$home; luarocks --lua-version=5.4 "
            .. arguments, words)
    end

    it("has a rockspec of the version, without mistakes", function()
        local rockspec = {}
        assert(loadfile(words.source .. "/" .. words.rockspec, "t", rockspec))()
        assert.equal(place.version .. "-1", rockspec.version)
        assert.matches(place.version .. ".tar.gz", rockspec.source.url, 1, true)
        assert.equal("", luarocks "lint $rockspec":gsub("%s", ""))
    end)

    it("is made, and plain Lua loads it", function()
        luarocks "--tree=$tree make $rockspec"
        place.run("rm -rf $source", words)
        assert.same({"lib/lua/5.4/tasklet.so"}, place.lines(
            "cd $tree; find . -type f -not -path './lib/luarocks/*' -printf '%P\\n'", words))
        assert.equal("made\n", place.run([[
            cd /
            LUA_CPATH_5_4=$tree/lib/lua/5.4/?.so lua5.4 -e '
                local tasklet = require "tasklet"
                tasklet.run(function() tasklet.sleep(0.001) print "made" end)
                tasklet.mainloop.run()
            '
        ]], words))
    end)
end)
