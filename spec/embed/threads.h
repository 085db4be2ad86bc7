/* What the tests with threads share: a host that is driven by scripts, and values in and out. */
#ifndef TK_EMBED_THREADS_H
#define TK_EMBED_THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "run.h"

/* How much of some work is done: TASKLET_PATIENCE says how many times slower than usual the program
 * may run. */
static inline int work(int count)
{
    const char *text = getenv("TASKLET_PATIENCE");
    int patience = text == NULL ? 1 : atoi(text);

    return patience > 1 ? count / patience : count;
}

/* Starts a tasklet of the script with `tasklet` as its first argument. */
static inline struct tasklet *start_with(struct tasklet_host *host,
                                         const struct tasklet_start_options *options,
                                         const char *script)
{
    lua_State *L = tasklet_host_lua(host);
    struct tasklet_value function, module;
    struct tasklet *t = NULL;

    assert_int_equal(luaL_loadbuffer(L, script, strlen(script), "=script"), LUA_OK);
    assert_int_equal(tasklet_at(host, L, -1, &function), 0);
    lua_pop(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tasklet");
    lua_call(L, 1, 1);
    assert_int_equal(tasklet_at(host, L, -1, &module), 0);
    lua_pop(L, 1);
    assert_int_equal(tasklet_start(host, options, &function, &module, 1, &t), 0);
    tasklet_release(host, &function);
    tasklet_release(host, &module);
    return t;
}

static inline struct tasklet *start(struct tasklet_host *host, const char *script)
{
    return start_with(host, NULL, script);
}

/* What no test expects is to be seen. */
static inline void show(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "%s\n", text);
}

static inline struct tasklet_host *new_host(const struct tasklet_options *options)
{
    struct tasklet_options defaults;
    struct tasklet_host *host = NULL;

    tasklet_options_init(&defaults);
    defaults.on_error = show;
    assert_int_equal(tasklet_host_new(options != NULL ? options : &defaults, &host), 0);
    return host;
}

static inline lua_Integer global_integer(struct tasklet_host *host, const char *name)
{
    lua_State *L = tasklet_host_lua(host);
    lua_Integer value;

    assert_int_equal(lua_getglobal(L, name), LUA_TNUMBER);
    value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static inline void assert_global(struct tasklet_host *host, const char *name, const char *expected)
{
    lua_State *L = tasklet_host_lua(host);

    lua_getglobal(L, name);
    assert_string_equal(luaL_tolstring(L, -1, NULL), expected);
    lua_pop(L, 2);
}

#endif
