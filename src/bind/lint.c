/*
 * The lint of running programs: warns of tasklets that run too long, that do nothing but wake
 * themselves, that wait for what can never come, and of mailboxes that only grow. Off until
 * set_warn_slow turns it on; while it is off nothing here is ever called.
 *
 * What runs too long is found by the watchdog of time slices (slice.c). Who wakes itself is counted
 * at each resumption. The rest is looked for after turns of the loop, by lua/tasklet/lint.lua, and
 * takes a tenth of the time at most.
 */
#include <stdlib.h>

#include "bind/bind.h"

/* Slow ones are told from this many milliseconds on: signals would take all the time. */
#define SHORTEST 0.5

/* Tasklets whose wake-ups are counted at a time; one displaces another. */
#define COUNTERS 256

/* So many wake-ups in a row are suspicious. */
#define MANY 1000

/* A scan takes one part in so many of the time. */
#define SHARE 10

struct counter {
    uint32_t number; /* of the tasklet */
    unsigned count;
    uint32_t ended; /* whose end has woken it last; 0: something else has */
};

struct tk_lint {
    unsigned scanned; /* `resumes` at the last scan */
    uint64_t next;    /* when there may be another one */
    struct counter counters[COUNTERS];
};

void tk_lint_tell(lua_State *L, struct tk_bind *bind, const struct tk_body *body, const char *what,
                  lua_Integer n)
{
    lua_State *outer = bind->L;

    if (!lua_checkstack(L, 20)) {
        return;
    }
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "lint_tell");
    lua_replace(L, -2);
    tk_push_body(L, bind, body);
    lua_pushstring(L, what);
    lua_pushinteger(L, n);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
        tk_report_error(L, bind, "a warning");
    }
    bind->L = outer;
}

/* ---- those that wake themselves ---- */

static bool is_zero(const struct tk_wait *wait)
{
    struct tk_arg arg = {.given = true};

    wait->kind->fields[0].get(wait, &arg);
    return arg.as.number == 0;
}

/* Whose end wakes it, by number; 0: something else does. */
static uint32_t whose_end(const struct tk_bind *bind)
{
    const struct tk_wait *wait = bind->event.wait;

    if (wait == NULL || wait->kind != bind->ended) {
        return 0;
    }
    return tk_container_of(wait->kind->target(wait), struct tk_body, task)->number;
}

/* Is it about to go on by nobody's doing but its own? */
static bool wakes_itself(const struct tk_bind *bind, const struct tk_body *body, uint32_t before)
{
    const struct tk_wait *wait = bind->event.wait, *timeout;

    if (!body->begun || body->preempted || body->task.raise != TK_RAISE_NOTHING) {
        return false;
    }
    if (wait == NULL && body->task.verbs != NULL) {
        timeout = tk_verb_of(body, bind->timeout);
        return timeout != NULL && timeout->pending > 0 && is_zero(timeout);
    } else if (wait == NULL) {
        return body->task.state == TK_READY;
    }
    if (wait->kind == bind->timeout) {
        return is_zero(wait);
    }
    return before != 0 && whose_end(bind) == before; /* that ended but once */
}

void tk_lint_resume(struct tk_bind *bind, const struct tk_body *body)
{
    struct counter *counter = &bind->lint->counters[body->number % COUNTERS];

    if (counter->number != body->number) {
        counter->number = body->number;
        counter->count = 0;
        counter->ended = 0;
    }
    counter->count = wakes_itself(bind, body, counter->ended) ? counter->count + 1 : 0;
    counter->ended = whose_end(bind);
    if (counter->count == MANY) {
        counter->count = 0;
        tk_lint_tell(bind->L, bind, body, "itself", MANY);
    }
}

/* ---- those that wait in vain, and mailboxes that grow ---- */

bool tk_lint_turn(struct tk_bind *bind)
{
    struct tk_lint *lint = bind->lint;
    uint64_t start, took;
    lua_State *L = bind->main, *outer = bind->L;

    if (lint == NULL || lint->scanned == bind->resumes || bind->closing) {
        return false;
    }
    start = bind->hooks->system_now(bind->context);
    if (start < lint->next || !lua_checkstack(L, 20)) {
        return true;
    }
    lint->scanned = bind->resumes;
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "lint_scan");
    lua_replace(L, -2);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
        tk_report_error(L, bind, "a warning");
    }
    bind->L = outer;
    took = bind->hooks->system_now(bind->context) - start;
    lint->next = start + took * SHARE;
    return false;
}

/* mail_flow(t): how many messages are in its mailbox, and how many have ever been taken out. */
static int mail_flow(lua_State *L)
{
    const struct tk_mailbox *mail = tk_check_body(L, 1, tk_bind_of(L))->task.mail;

    lua_pushinteger(L, mail == NULL ? 0 : (lua_Integer)mail->count);
    lua_pushinteger(L, mail == NULL ? 0 : (lua_Integer)tk_mail_gone(mail));
    return 2;
}

/* ---- on and off ---- */

/* set_warn_slow(ms): from now on there are warnings, of a tasklet that runs longer without waiting,
 * too; 0: there are none. */
static int set_warn_slow(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Number ms = luaL_checknumber(L, 1);
    struct tk_lint *lint = bind->lint;
    const char *why;

    tk_check_open(L, bind);
    luaL_argcheck(L, ms >= 0 && ms < 1e9, 1, "time must not be negative");
    ms = ms > 0 && ms < SHORTEST ? SHORTEST : ms;
    if (ms > 0 && lint == NULL) {
        lint = calloc(1, sizeof *lint);
        if (lint == NULL) {
            return luaL_error(L, "not enough memory");
        }
    }
    why = tk_slice_watch(bind, bind->slice, (uint64_t)(ms * 1e6));
    if (ms == 0 || why != NULL) {
        bind->lint = NULL;
        free(lint);
    } else {
        bind->lint = lint;
    }
    tk_look_closely(bind);
    return why == NULL ? 0 : tk_raise(L, "slow tasklets cannot be found: %s", why);
}

void tk_lint_close(struct tk_bind *bind)
{
    free(bind->lint);
    bind->lint = NULL;
}

/* The stack's top is the module's table. */
void tk_lint_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {{"set_warn_slow", set_warn_slow}, {NULL, NULL}};
    static const luaL_Reg core[] = {{"mail_flow", mail_flow}, {NULL, NULL}};

    tk_set_functions(L, functions);
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
