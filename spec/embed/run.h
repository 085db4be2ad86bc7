/* What the tests of the library as a program sees it share: running a script in a host. */
#ifndef TK_EMBED_RUN_H
#define TK_EMBED_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>

#include "tasklet.h"

/* A host whose main tasklet is the script, with `tasklet` as its argument. */
static inline struct tasklet_host *host_with(const struct tasklet_options *options,
                                             const char *script)
{
    struct tasklet_host *host = NULL;
    struct tasklet_start_options start;
    struct tasklet_value values[2];
    lua_State *L;

    assert_int_equal(tasklet_host_new(options, &host), 0);
    L = tasklet_host_lua(host);
    assert_int_equal(luaL_loadstring(L, script), LUA_OK);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tasklet");
    lua_call(L, 1, 1);
    tasklet_start_options_init(&start);
    start.main = 1;
    assert_int_equal(tasklet_at(host, L, -2, &values[0]), 0);
    assert_int_equal(tasklet_at(host, L, -1, &values[1]), 0);
    lua_pop(L, 2);
    assert_int_equal(tasklet_start(host, &start, &values[0], &values[1], 1, NULL), 0);
    tasklet_release(host, &values[0]);
    tasklet_release(host, &values[1]);
    return host;
}

/* Runs a script, which sets the global `result`, a string; that is copied. */
static inline void run(const struct tasklet_options *options, const char *script, char *result,
                       size_t size)
{
    struct tasklet_host *host = host_with(options, script);
    lua_State *L = tasklet_host_lua(host);

    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(lua_getglobal(L, "result"), LUA_TSTRING);
    assert_true(strlen(lua_tostring(L, -1)) < size);
    strcpy(result, lua_tostring(L, -1));
    lua_pop(L, 1);
    tasklet_host_free(host);
}

#endif
