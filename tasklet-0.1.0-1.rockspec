-- The module for a plain Lua 5.4, by LuaRocks: `luarocks make` in the tree. Meson builds it; LuaRocks
-- puts it where its own Lua finds it. The program and the library are not part of it.
rockspec_format = "3.0"
package = "tasklet"
version = "0.1.0-1"
source = {
    -- The archive of the release, which lies beside this file.
    url = "file://tasklet-0.1.0.tar.gz",
    dir = "tasklet-0.1.0",
}
description = {
    summary = "Tasklets: small routines that wait for each other and for the world",
    detailed = [[
        Tasklets wait for timeouts, messages, channels, descriptors, processes, signals and each
        other, while others run. They are scheduled in C, on libuv. Needs Linux, and to be built:
        meson, ninja, pkg-config, libuv, OpenSSL and Lua with their headers. If luv is installed, it runs on
        the same loop.
    ]],
    license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.4, < 5.5" }
external_dependencies = { LIBUV = { header = "uv.h" }, OPENSSL = { header = "openssl/ssl.h" } }
build = {
    type = "command",
    build_command = [[
        rm -rf build-rock &&
        meson setup build-rock -Dtests=disabled "-Dlua_cmod_dir=$(LIBDIR)" &&
        ninja -C build-rock lua/tasklet.so
    ]],
    install_command = "meson install -C build-rock --no-rebuild --tags lua-module",
    copy_directories = { "docs", "examples" },
}
