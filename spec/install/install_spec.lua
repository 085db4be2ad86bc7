-- What is installed: where it is, what it shows, and that it works when the tree it came from is
-- gone. A copy of the tree is built and installed by `./dev install`, and then removed.

local helper = require "spec.helper"
local place = require "spec.install.place"

local patience = tonumber(os.getenv "TASKLET_PATIENCE") or 1

-- A program that needs nothing but the header.
local PROGRAM = [[
#include <stdio.h>
#include <string.h>
#include <tasklet.h>

int main(void)
{
    struct tasklet_host *host = NULL;
    int status = tasklet_host_new(NULL, &host);

    if (status == 0) status = tasklet_host_run(host) < 0 && tasklet_host_lua(host) != NULL;
    tasklet_host_free(host);
    printf("%s %d\n", tasklet_version(), status);
    return 0;
}
]]

local SCRIPT = [[
local tasklet, uv = require "tasklet", require "luv"
local timer = uv.new_timer()
timer:start(1, 0, function() print "timer" timer:close() end)
tasklet.run(function(...) tasklet.sleep(0.02) print(...) end, ...)
if not tasklet.current() then
    tasklet.mainloop.run()
end
]]

describe("what is installed", function()
    local top, prefix, libraries, modules
    local words = {root = helper.root}

    setup(function()
        top = place.temporary_directory()
        prefix = top .. "/opt"
        libraries = prefix .. "/lib/" .. place.triplet
        modules = prefix .. "/lib/lua/5.4"
        words.top, words.source, words.prefix = top, top .. "/source", prefix
        words.libraries, words.pkgconfig = libraries, libraries .. "/pkgconfig"
        words.tasklet, words.program = prefix .. "/bin/tasklet", top .. "/program"
        place.copy_tree(words.source)
        place.run("unset DESTDIR; cd /; $source/dev install --prefix $prefix", words)
        -- The same build with other prefixes: nothing of it depends on them but the places.
        place.run([[
            cd $source
            meson configure build-install -Dprefix=/usr
            DESTDIR=$top/system meson install -C build-install
            meson configure build-install -Dprefix=/usr/local
            DESTDIR=$top/local meson install -C build-install
            cd /
            rm -rf $source
        ]], words)
        place.spill(top .. "/program.c", PROGRAM)
        place.spill(top .. "/script.lua", SCRIPT)
    end)

    teardown(function()
        place.run("rm -rf $top", words)
    end)

    -- With nothing of ours in the environment, and in another directory.
    local function run_bare(command)
        return place.run("cd /; timeout ${seconds} env -i PATH=/usr/bin:/bin HOME=$top " .. command,
            setmetatable({seconds = ("%d"):format(20 * patience)}, {__index = words}))
    end

    -- Compiles and links $top/program.c as FLAGS says, and returns what it prints.
    local function build_and_run(compiler, flags, environment)
        place.run("cd /; rm -f $program; export PKG_CONFIG_PATH=$pkgconfig; " .. compiler
            .. " -Wall -Wextra -Werror -o $program $top/program.c " .. flags, words)
        return run_bare((environment or "") .. " $program")
    end

    describe("is found", function()
        it("in the prefix that was given", function()
            assert.same(place.expected_files("opt", "opt/lib/lua/5.4"),
                (function()
                    local files = place.files_below(prefix)
                    for i, file in ipairs(files) do
                        files[i] = "opt/" .. file
                    end
                    return files
                end)())
        end)

        it("where Debian has it, in /usr", function()
            assert.same(place.expected_files("usr", "usr/lib/" .. place.triplet .. "/lua/5.4"),
                place.files_below(top .. "/system"))
        end)

        it("in /usr/local, which is for what is no package", function()
            assert.same(place.expected_files("usr/local", "usr/local/lib/lua/5.4"),
                place.files_below(top .. "/local"))
        end)

        it("by plain Lua in both", function()
            local path = ";" .. run_bare("lua5.4 -e 'io.write(package.cpath)'") .. ";"
            assert.matches(";/usr/lib/" .. place.triplet .. "/lua/5.4/?.so;", path, 1, true)
            assert.matches(";/usr/local/lib/lua/5.4/?.so;", path, 1, true)
        end)

        it("without a word of the tree that it was built in", function()
            local ok, text = place.try("grep -rlF $source $prefix $top/system $top/local", words)
            assert.equal("", text)
            assert.is_false(ok)
        end)
    end)

    describe("the library", function()
        it("has a soname, and the links to it", function()
            assert.matches("Library soname: [libtasklet.so." .. place.soversion .. "]",
                place.run("readelf -dW $libraries/libtasklet.so", words), 1, true)
            assert.same({"libtasklet.so." .. place.soversion, "libtasklet.so." .. place.version},
                place.lines([[cd $libraries; readlink libtasklet.so
                    readlink libtasklet.so.]] .. place.soversion, words))
        end)

        it("shows what the header declares, and nothing else", function()
            local header, declared = place.slurp(prefix .. "/include/tasklet.h"), {}
            for name in header:gmatch("\nTASKLET_API [^;{]-([%w_]+)%(") do
                assert.matches("^tasklet_", name)
                declared[name] = true
            end
            assert.is_true(declared.tasklet_host_new)
            assert.same(declared,
                place.symbols_of("-D --defined-only", libraries .. "/libtasklet.so"))
        end)

        it("shows as little to a program that has it inside", function()
            assert.same(place.symbols_of("-D --defined-only", libraries .. "/libtasklet.so"),
                place.symbols_of("-g --defined-only", libraries .. "/libtasklet.a"))
        end)

        it("has machine code in the static library, and nothing to be compiled again", function()
            assert.is_nil(place.run("readelf -SW $libraries/libtasklet.a", words):find(".gnu.lto",
                1, true))
        end)
    end)

    it("the module shows its openers alone", function()
        for name in pairs(place.symbols_of("-D --defined-only", modules .. "/tasklet.so")) do
            assert.matches("^luaopen_tasklet", name)
        end
    end)

    describe("the header", function()
        -- In a directory of its own, with traps for those that it must do without.
        local function check(compiler, suffix)
            place.run([[
                mkdir -p $top/alone
                cd $top/alone
                cp $prefix/include/tasklet.h .
                for name in lua.h lauxlib.h lualib.h luaconf.h lua.hpp uv.h; do
                    echo '#error "not for the header"' >$name
                done
                printf '%s\n' '#include "tasklet.h"' '#include <tasklet.h>' \
                    'int main(void) { return 0; }' >only.${suffix}
                ${compiler} -pedantic-errors -Wall -Wextra -Werror -I. -fsyntax-only only.${suffix}
            ]], {top = top, prefix = prefix, compiler = compiler, suffix = suffix})
        end

        it("is strict C99", function()
            check("gcc -std=c99", "c")
        end)

        it("is C11 and C17, too", function()
            check("gcc -std=c11", "c")
            check("gcc -std=c17", "c")
        end)

        it("is C++11 and later", function()
            check("g++ -std=c++11", "cc")
            check("g++ -std=c++20", "cc")
        end)
    end)

    describe("pkg-config", function()
        local function pkg_config(options)
            return place.run("PKG_CONFIG_PATH=$pkgconfig pkg-config " .. options, words)
        end

        it("knows the version", function()
            assert.equal(place.version .. "\n", pkg_config "--modversion tasklet")
        end)

        it("has nothing to link but the library", function()
            assert.equal("-L" .. libraries .. " -ltasklet", (pkg_config "--libs tasklet"
                :gsub("%s+$", "")))
        end)

        it("has what a static library needs", function()
            local flags = " " .. pkg_config "--static --libs tasklet":gsub("%s", "  ") .. " "
            for _, flag in ipairs{"-ltasklet", "-llua5.4", "-luv", "-lm"} do
                assert.matches(" " .. flag .. " ", flags, 1, true)
            end
            assert(flags:find(" -pthread ", 1, true) or flags:find(" -lpthread ", 1, true), flags)
        end)
    end)

    describe("a program is built", function()
        local expected = place.version .. " 0\n"

        it("with the shared library", function()
            assert.equal(expected, build_and_run("cc", "$(pkg-config --cflags --libs tasklet)",
                "LD_LIBRARY_PATH=$libraries"))
            assert.is_true(
                place.needed_by(words.program)["libtasklet.so." .. place.soversion])
        end)

        it("with the static one", function()
            -- As the reference has it: the name of the file in place of the library's.
            assert.equal(expected, build_and_run("cc", "$(pkg-config --static --cflags --libs "
                .. "tasklet | sed 's/-ltasklet/-l:libtasklet.a/')"))
            local needed = place.needed_by(words.program)
            assert.is_nil(needed["libtasklet.so." .. place.soversion])
            assert.is_true(needed["libuv.so.1"])
        end)

        it("with the static one, where there is no other", function()
            place.run("mkdir $top/static; cp $libraries/libtasklet.a $top/static", words)
            assert.equal(expected, build_and_run("cc", "$(pkg-config --static --cflags --libs "
                .. "--define-variable=libdir=$top/static tasklet)"))
        end)

        it("by a compiler of C++", function()
            assert.equal(expected, build_and_run("g++ -std=c++11 -x c++",
                "$(pkg-config --cflags --libs tasklet)", "LD_LIBRARY_PATH=$libraries"))
        end)
    end)

    describe("without the tree it came from", function()
        it("the program runs scripts", function()
            assert.equal("timer\none\ttwo\n", run_bare "$tasklet $top/script.lua one two")
            assert.equal("tasklet " .. place.version,
                run_bare("$tasklet --version"):match("^tasklet %S+"))
        end)

        it("plain Lua finds the module", function()
            words.cpath = modules .. "/?.so;;"
            assert.equal("timer\none\ttwo\n",
                run_bare "LUA_CPATH_5_4=$cpath lua5.4 $top/script.lua one two")
        end)

        it("specs are run, by both", function()
            place.run("cp -r $root/examples/testing $top/testing", words)
            local passed = "6 successes / 0 failures / 0 errors / 0 pending"
            assert.matches(passed, run_bare "sh -c 'cd \"$1\" && exec \"$0\" test' \z
                $tasklet $top/testing", 1, true)
            words.cpath = modules .. "/?.so;;"
            assert.matches(passed, run_bare "LUA_CPATH_5_4=$cpath sh -c \z
                'cd \"$0\" && exec lua5.4 \"$1\" --helper=tasklet.testing' \z
                $top/testing \"$(command -v busted)\"", 1, true)
        end)

        it("the page for man is there to read", function()
            assert.matches("TASKLET%(1%).*NAME.*tasklet.*SYNOPSIS",
                (run_bare "mandoc -T ascii $prefix/share/man/man1/tasklet.1":gsub(".\b", "")))
        end)
    end)
end)
