/* Lua states with the pool as allocator. What luaL_newstate adds to a bare state - a panic function
 * and warnings - is here too. */
#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/pool.h"
#include "host.h"
#include "tasklet.h"

static void *allocate(void *pool, void *block, size_t old_size, size_t size)
{
    return tk_pool_realloc(pool, block, block == NULL ? 0 : old_size, size);
}

static int panic(lua_State *L)
{
    const char *text = lua_tostring(L, -1);

    fprintf(stderr, "PANIC: unprotected error in call to Lua API (%s)\n",
            text != NULL ? text : "error object is not a string");
    fflush(stderr);
    return 0; /* Lua aborts */
}

/* Warnings have three states, each a function: off, on between messages, and in the middle of one.
 */
static void warn_off(void *L, const char *text, int to_continue);
static void warn_on(void *L, const char *text, int to_continue);

static void warn_more(void *L, const char *text, int to_continue)
{
    fprintf(stderr, "%s", text);
    if (to_continue) {
        lua_setwarnf(L, warn_more, L);
    } else {
        fprintf(stderr, "\n");
        fflush(stderr);
        lua_setwarnf(L, warn_on, L);
    }
}

/* "@on" and "@off" switch; other words with an @ are for others. */
static bool is_control(lua_State *L, const char *text, int to_continue)
{
    if (to_continue || *text != '@') {
        return false;
    }
    if (strcmp(text, "@off") == 0) {
        lua_setwarnf(L, warn_off, L);
    } else if (strcmp(text, "@on") == 0) {
        lua_setwarnf(L, warn_on, L);
    }
    return true;
}

static void warn_off(void *L, const char *text, int to_continue)
{
    is_control(L, text, to_continue);
}

static void warn_on(void *L, const char *text, int to_continue)
{
    if (!is_control(L, text, to_continue)) {
        fprintf(stderr, "Lua warning: ");
        warn_more(L, text, to_continue);
    }
}

struct tk_pool *tk_state_pool(lua_State *L)
{
    void *pool;

    return lua_getallocf(L, &pool) == allocate ? pool : NULL;
}

struct lua_State *tasklet_newstate(void)
{
    struct tk_pool *pool = tk_pool_new();
    void *hold;
    lua_State *L;

    if (pool == NULL) {
        return NULL;
    }
    hold = tk_pool_realloc(pool, NULL, 0, 1); /* the pool stays while this is there */
    if (hold == NULL) {
        tk_pool_free(pool);
        return NULL;
    }
    L = lua_newstate(allocate, pool);
    tk_pool_realloc(pool, hold, 1, 0);
    if (L == NULL) {
        return NULL;
    }
    lua_atpanic(L, panic);
    lua_setwarnf(L, warn_off, L);
    return L;
}
