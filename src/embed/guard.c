/*
 * Calling into Lua from C: protected, in no tasklet, and what went wrong as a code and a text.
 *
 * The state is the main one: it is there as long as the host is, whereas the coroutine that runs
 * may be anybody's. Its stack may be used while a coroutine runs, for it stands in a C function
 * then.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/embed.h"

static const char no_memory[] = "not enough memory";

/* Hosts that this process has had. */
static atomic_ullong hosts;

/* ---- what was wrong ---- */

int tk_set_error(struct tasklet_host *host, int code, const char *format, ...)
{
    struct tk_embed *embed = host->embed;
    char *text = NULL;
    va_list ap;
    int length;

    if (format != NULL) {
        va_start(ap, format);
        length = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        text = length < 0 ? NULL : malloc((size_t)length + 1);
        if (text != NULL) {
            va_start(ap, format);
            vsnprintf(text, (size_t)length + 1, format, ap);
            va_end(ap);
        }
    }
    free(embed->error); /* only now: it may be among the arguments */
    embed->error = text;
    embed->code = code;
    return code;
}

const char *tasklet_host_error(struct tasklet_host *host)
{
    const struct tk_embed *embed = host->embed;

    return embed->error != NULL ? embed->error : tasklet_strerror(embed->code);
}

RAISES int tk_no_memory(lua_State *L)
{
    lua_pushstring(L, no_memory);
    return lua_error(L);
}

/* The error at 1 as text. */
static int to_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

int tk_failed(struct tasklet_host *host, lua_State *L, int status)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    int code = TASKLET_ESCRIPT;

    if (text == NULL && status != LUA_ERRMEM && lua_checkstack(L, 1)) {
        lua_pushcfunction(L, to_text);
        lua_insert(L, -2);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
            text = lua_tostring(L, -1);
        } else {
            tk_set_error(host, code, "(error object is a value that cannot be shown)");
        }
    }
    if (status == LUA_ERRMEM || (text != NULL && strcmp(text, no_memory) == 0)) {
        code = tk_set_error(host, TASKLET_ENOMEM, NULL);
    } else if (text != NULL) {
        tk_set_error(host, code, "%s", text);
    }
    lua_pop(L, 1);
    return code;
}

/* ---- calling ---- */

int tk_check_alive(struct tasklet_host *host)
{
    return host->bind != NULL && !host->bind->closing
               ? 0
               : tk_set_error(host, TASKLET_ECLOSED, "the host is being closed");
}

int tk_guarded(struct tasklet_host *host, lua_CFunction f, void *context)
{
    struct tk_outer outer;
    lua_State *L;
    int status;

    if (host->bind == NULL || host->freeing) {
        return tk_set_error(host, TASKLET_ECLOSED, "the host is closed");
    }
    L = host->bind->main;
    if (!lua_checkstack(L, 3)) {
        return tk_set_error(host, TASKLET_ENOMEM, NULL);
    }
    tk_enter(host, &outer);
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, context);
    status = lua_pcall(L, 1, 0, 0);
    tk_leave(host, &outer);
    status = status == LUA_OK ? 0 : tk_failed(host, L, status);
    return tk_host_settle(host) ? TASKLET_ECLOSED : status;
}

/* ---- with the host ---- */

struct tk_embed *tk_embed_new(void)
{
    struct tk_embed *embed = calloc(1, sizeof *embed);

    if (embed != NULL) {
        embed->number = atomic_fetch_add(&hosts, 1) + 1;
        tk_list_init(&embed->refs);
        tk_traffic_init(&embed->traffic);
        embed->values = embed->given = embed->ids = LUA_NOREF;
    }
    return embed;
}

RAISES void tk_embed_open(lua_State *L, struct tasklet_host *host)
{
    tk_values_open(L, host);
    tk_refs_open(L, host);
}

void tk_embed_close(struct tasklet_host *host)
{
    lua_State *L = host->bind->main;

    tk_traffic_close(host);
    tk_refs_close(host);
    luaL_unref(L, LUA_REGISTRYINDEX, host->embed->values);
    luaL_unref(L, LUA_REGISTRYINDEX, host->embed->given);
    luaL_unref(L, LUA_REGISTRYINDEX, host->embed->ids);
    luaL_unref(L, LUA_REGISTRYINDEX, host->main_anchor);
}

void tk_embed_free(struct tk_embed *embed)
{
    if (embed != NULL) {
        free(embed->error);
        free(embed->slots);
        free(embed);
    }
}
