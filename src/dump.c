/*
 * Dumps on demand: tasklet_host_dump, which a program calls from a signal handler to see what its
 * tasklets wait for, even if one of them never does.
 *
 * The loop is woken and makes the text when it gets to it. A tasklet that runs meanwhile is looked
 * at between two of its instructions, by a hook that is set from the signal handler and puts back
 * the one that was there before. Which that was is kept by coroutine: the one that ran may give way
 * before the hook is called, and another signal come. Hooks that were set are found again by the
 * coroutine that they are called in; nothing is ever done to a coroutine that may be gone.
 */
#include <pthread.h>

#include "host.h"

#include <lauxlib.h>

static void make(lua_State *L, struct tasklet_host *host)
{
    struct tk_bind *bind = host->bind;
    lua_State *outer = bind->L;
    struct tk_outside outside;
    int status;

    if (host->options.on_dump == NULL || host->freeing || bind->closing || !lua_checkstack(L, 20)) {
        return;
    }
    if (bind->sched->current != NULL) {
        tk_loop_look(&host->loop); /* it has run until now */
    }
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "dump_text");
    lua_replace(L, -2);
    tk_outside_begin(L, bind, &outside);
    status = lua_pcall(L, 0, 1, 0);
    tk_outside_end(L, bind, &outside);
    if (status == LUA_OK) {
        host->options.on_dump(host->options.context, lua_tostring(L, -1));
        lua_pop(L, 1);
    } else {
        tk_report_error(L, bind, "a dump");
    }
    bind->L = outer;
}

static void dump_hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind = tk_bind_in(L);
    struct tasklet_host *host;

    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    if (bind->sched == NULL) {
        return;
    }
    host = bind->context;
    for (int i = 0; i < TK_HOOKS; i++) {
        struct tk_hook *hook = &host->hooks[i];

        if (hook->co == L) {
            lua_sethook(L, hook->function, hook->mask, hook->count);
            hook->co = NULL;
        }
    }
    if (atomic_exchange(&host->dumping, 0) != 0) {
        make(L, host);
    }
}

/* In a signal handler of the host's thread. The hook may be there already, for a coroutine that had
 * the same address. */
static void set_hook(struct tasklet_host *host, lua_State *co)
{
    struct tk_hook *hook = NULL;

    if (lua_gethook(co) == dump_hook) {
        return;
    }
    for (int i = 0; i < TK_HOOKS; i++) {
        if (host->hooks[i].co == co) {
            hook = &host->hooks[i];
        }
    }
    if (hook == NULL) {
        hook = &host->hooks[host->next_hook++ % TK_HOOKS];
    }
    hook->function = lua_gethook(co);
    hook->mask = lua_gethookmask(co);
    hook->count = lua_gethookcount(co);
    hook->co = co;
    lua_sethook(co, dump_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

void tasklet_host_dump(struct tasklet_host *host)
{
    atomic_store(&host->dumping, 1);
    if (pthread_equal(pthread_self(), host->thread) && host->bind != NULL &&
        host->bind->running != NULL) {
        set_hook(host, host->bind->running);
    }
    tk_loop_wake(&host->loop);
}

void tk_dump_woken(struct tasklet_host *host)
{
    if (atomic_exchange(&host->dumping, 0) != 0) {
        make(host->bind->main, host);
    }
}
