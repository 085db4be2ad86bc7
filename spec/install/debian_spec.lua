-- Debian's packages: they are built from a fresh copy of the tree, what is in them is where it
-- belongs, they depend on what they need, and what they hold runs.

local place = require "spec.install.place"

local libraries = "usr/lib/" .. place.triplet
local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1

-- What is in each package, without its documents.
local contents = {
    tasklet = {"usr/bin/tasklet", "usr/share/man/man1/tasklet.1.gz"},
    ["lua-tasklet"] = {libraries .. "/lua/5.4/tasklet.so"},
    ["libtasklet" .. place.soversion] = {
        libraries .. "/libtasklet.so." .. place.soversion,
        libraries .. "/libtasklet.so." .. place.version,
    },
    ["libtasklet-dev"] = {
        "usr/include/tasklet.h",
        libraries .. "/libtasklet.a",
        libraries .. "/libtasklet.so",
        libraries .. "/pkgconfig/tasklet.pc",
    },
}

-- What each depends on, beside libc.
local dependencies = {
    tasklet = {"libuv1"},
    ["lua-tasklet"] = {"libuv1"},
    ["libtasklet" .. place.soversion] = {"liblua5.4-0", "libuv1"},
    ["libtasklet-dev"] = {"liblua5.4-dev", "libtasklet" .. place.soversion, "libuv1-dev"},
}

describe("Debian's package", function()
    local top
    local words = {}

    setup(function()
        top = place.temporary_directory()
        words.top, words.source, words.system = top, top .. "/source", top .. "/system"
        place.copy_tree(words.source)
        place.run([[
            cd $source
            # The tests have run.
            export DEB_BUILD_OPTIONS=nocheck
            unset DESTDIR CFLAGS CPPFLAGS LDFLAGS
            dpkg-buildpackage -us -uc -b
            cd $top
            mkdir packages
            mv ./*.deb packages
            rm packages/*-dbgsym_*.deb
            rm -rf $source
        ]], words)
        for name in pairs(contents) do
            place.run("dpkg-deb -x $top/packages/${name}_*.deb $top/${name}; "
                .. "dpkg-deb -e $top/packages/${name}_*.deb $top/${name}.control; "
                .. "dpkg-deb -x $top/packages/${name}_*.deb $system", setmetatable({name = name},
                {__index = words}))
        end
    end)

    teardown(function()
        place.run("rm -rf $top", {top = top})
    end)

    -- A field of a package's control file.
    local function field_of(name, field)
        return place.run("dpkg-deb -f $package ${field}", {field = field, package =
            place.lines("ls $top/packages/${name}_*.deb", {top = top, name = name})[1]})
            :gsub("\n$", "")
    end

    it("is there, and no other", function()
        local expected, found = {}, {}
        for name in pairs(contents) do
            expected[#expected + 1] = name
        end
        for _, file in ipairs(place.files_below(top .. "/packages")) do
            found[#found + 1] = file:match("^[^_]*")
        end
        table.sort(expected)
        assert.same(expected, found)
    end)

    for name, files in pairs(contents) do
        it(name .. " has what it should, where Debian has such things", function()
            local found = {}
            for _, file in ipairs(place.files_below(top .. "/" .. name)) do
                if not file:find("^usr/share/doc/") and not file:find("^usr/share/lintian/") then
                    found[#found + 1] = file
                end
            end
            assert.same(files, found)
            for _, document in ipairs{"copyright", "changelog.gz"} do
                assert(place.run("find $top/${name}/usr/share/doc/${name} -name ${document}",
                    {top = top, name = name, document = document}) ~= "", document)
            end
        end)

        it(name .. " depends on what it needs", function()
            local found = {}
            for package in (", " .. field_of(name, "Depends")):gmatch(", ([%l%d.+-]+)") do
                if package ~= "libc6" then
                    found[#found + 1] = package
                end
            end
            table.sort(found)
            assert.same(dependencies[name], found)
        end)

        it(name .. " is of the version of the project", function()
            assert.equal(place.version, field_of(name, "Version"))
        end)
    end

    it("of the library says since when it has which symbol", function()
        local symbols, found = place.slurp(("%s/libtasklet%s.control/symbols"):format(top,
            place.soversion)), {}
        for symbol in symbols:gmatch("\n (tasklet_[%w_]+)@TASKLET_%d+ %d") do
            found[symbol] = true
        end
        assert.same(place.symbols_of("-D --defined-only", ("%s/%s/libtasklet.so.%s"):format(
            words.system, libraries, place.soversion)), found)
    end)

    it("of the program says what Lua is inside", function()
        assert.matches("^lua5%.4 %(= .+%)$", field_of("tasklet", "Static-Built-Using"))
    end)

    it("has a program that runs, a module that plain Lua loads, a library to link", function()
        place.spill(top .. "/script.lua", [[
            local tasklet = require "tasklet"
            tasklet.run(function() tasklet.sleep(0.001) print "runs" end)
            if not tasklet.current() then
                tasklet.mainloop.run()
            end
        ]])
        words.libraries = words.system .. "/" .. libraries
        words.cpath = words.libraries .. "/lua/5.4/?.so"
        words.seconds = ("%d"):format(60 * patience)
        assert.equal("runs\nruns\nhello\nworld\n", place.run([[
            cd /
            timeout ${seconds} $system/usr/bin/tasklet $top/script.lua
            LUA_CPATH_5_4=$cpath timeout ${seconds} lua5.4 $top/script.lua
            cp $system/usr/share/doc/libtasklet-dev/examples/hello.c $top
            cc -I$system/usr/include -L$libraries -o $top/hello $top/hello.c \
                -ltasklet $(pkg-config --cflags --libs lua5.4)
            LD_LIBRARY_PATH=$libraries timeout ${seconds} $top/hello
        ]], words))
    end)
end)
