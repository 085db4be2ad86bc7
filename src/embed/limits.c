/*
 * What a host's options limit: memory, time, instructions, tasklets, mailboxes; and where the
 * warnings of a private Lua state go.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* ---- warnings ---- */

/* Appends to the warning that has come so far; what there is no memory for is left out. */
static void append(struct tasklet_host *host, const char *text)
{
    size_t length = strlen(text), need = host->warned + length + 1;
    char *grown;

    if (need > host->room_for_warning) {
        grown = realloc(host->warning, need * 2);
        if (grown == NULL) {
            return;
        }
        host->warning = grown;
        host->room_for_warning = need * 2;
    }
    memcpy(host->warning + host->warned, text, length + 1);
    host->warned += length;
}

/* Lua's warnings come in pieces. "@on" and "@off" switch them; other words with an @ are for
 * others. */
static void on_warning(void *context, const char *text, int to_continue)
{
    struct tasklet_host *host = context;
    char *whole;

    if (host->warned == 0 && !to_continue && *text == '@') {
        if (strcmp(text, "@off") == 0) {
            host->silent = true;
        } else if (strcmp(text, "@on") == 0) {
            host->silent = false;
        }
        return;
    }
    append(host, text);
    if (to_continue) {
        return;
    }
    whole = host->warning; /* the program may warn again meanwhile */
    host->warning = NULL;
    host->warned = host->room_for_warning = 0;
    if (!host->silent && !host->freeing && host->options.on_warning != NULL && whole != NULL) {
        host->options.on_warning(host->options.context, whole);
    }
    free(whole);
}

/* ---- limits ---- */

bool tk_limits_are_right(const struct tasklet_options *options)
{
    return (options->capabilities & ~(unsigned)TASKLET_ALL) == 0 &&
           (options->max_memory == 0 || options->lua == NULL) && options->max_time >= 0 &&
           options->max_time < 1e9 &&
           (options->runaway == TASKLET_KILL || options->runaway == TASKLET_PREEMPT);
}

void tk_limits_own(struct tasklet_host *host)
{
    struct tk_pool *pool = tk_state_pool(host->L);

    lua_setwarnf(host->L, on_warning, host);
    if (host->options.max_memory > 0) {
        tk_pool_limit(pool, host->options.max_memory);
    }
}

void tk_limits_open(lua_State *L, struct tasklet_host *host)
{
    const struct tasklet_options *options = &host->options;
    struct tk_bind *bind = host->bind;
    const char *why;

    bind->max_tasklets = options->max_tasklets;
    bind->max_mailbox = options->max_mailbox;
    if (host->owns_lua && options->max_memory > 0) {
        bind->memory = tk_state_pool(L);
    }
    why = tk_runaway_limit(L, bind, (uint64_t)(options->max_time * 1e9), options->max_instructions,
                           options->runaway == TASKLET_PREEMPT, options->no_signals != 0);
    if (why != NULL) {
        luaL_error(L, "time cannot be limited: %s", why);
    }
}

size_t tasklet_host_memory(struct tasklet_host *host)
{
    struct tk_pool *pool = tk_state_pool(host->L);

    if (pool != NULL) {
        return tk_pool_used(pool);
    }
    return (size_t)lua_gc(host->L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(host->L, LUA_GCCOUNTB);
}
