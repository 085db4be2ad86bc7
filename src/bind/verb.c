/*
 * Blocking verbs: sleep, yield_, join. A verb arms waits of its own beside the tasklet's wait list,
 * which it leaves alone; they come from a pool and go back when the verb is over, however it ends.
 */
#include <math.h>
#include <stdlib.h>

#include "bind/bind.h"

/* As large as the largest wait that a verb uses. */
#define VERB_SIZE 128

RAISES struct tk_wait *tk_verb_take(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    struct tk_wait *wait = bind->spare;

    if (wait != NULL) {
        bind->spare = wait->as.next;
        return wait;
    }
    wait = malloc(VERB_SIZE);
    if (wait == NULL) {
        tk_verb_done(bind, body);
        lua_pushliteral(L, "not enough memory");
        lua_error(L);
    }
    return wait;
}

RAISES struct tk_wait *tk_verb_wait_args(lua_State *L, struct tk_bind *bind, struct tk_body *body,
                                         const struct tk_kind *kind, const struct tk_arg *args)
{
    struct tk_wait *wait;
    struct tk_fault fault;
    int rc;

    tk_check_trap(L, body);
    wait = tk_verb_take(L, bind, body);
    rc = tk_wait_init(wait, kind, bind->sched, args, &fault);
    if (rc == 0) {
        rc = tk_task_block(bind->sched, &body->task, wait, &fault);
    }
    if (rc < 0) {
        wait->as.next = bind->spare;
        bind->spare = wait;
        tk_verb_done(bind, body);
        tk_raise_fault(L, &fault);
    }
    return wait;
}

RAISES struct tk_wait *tk_verb_wait(lua_State *L, struct tk_bind *bind, struct tk_body *body,
                                    const struct tk_kind *kind, const struct tk_arg *arg)
{
    struct tk_arg args[4] = {{0}};

    args[0] = *arg;
    return tk_verb_wait_args(L, bind, body, kind, args);
}

void tk_verb_done(struct tk_bind *bind, struct tk_body *body)
{
    struct tk_wait *wait;

    while ((wait = tk_task_unblock(bind->sched, &body->task)) != NULL) {
        if ((wait->flags & TK_LENT) == 0) {
            wait->as.next = bind->spare;
            bind->spare = wait;
        }
    }
}

void tk_verb_close(struct tk_bind *bind)
{
    while (bind->spare != NULL) {
        struct tk_wait *wait = bind->spare;

        bind->spare = wait->as.next;
        free(wait);
    }
}

lua_Number tk_seconds_left(lua_State *L, struct tk_bind *bind, int index)
{
    const struct tk_body *body = lua_touserdata(L, index);
    lua_Number left = -1;

    if (body->timed) {
        index = lua_absindex(L, index);
        tk_push_table(L, bind, TABLE_TIMEOUTS);
        lua_pushvalue(L, index);
        lua_rawget(L, -2);
        left = HUGE_VAL;
        if (lua_isinteger(L, -1)) {
            lua_Integer ns = lua_tointeger(L, -1) - (lua_Integer)bind->hooks->now(bind->context);

            left = ns > 0 ? (lua_Number)ns / 1e9 : 0;
        }
        lua_pop(L, 2);
    }
    return left;
}

RAISES lua_Number tk_check_timeout(lua_State *L, struct tk_bind *bind, int arg)
{
    struct tk_body *body = tk_current(bind);
    lua_Number seconds;

    if (lua_isnoneornil(L, arg)) {
        if (body == NULL || !body->timed) {
            return -1;
        }
        tk_push_body(L, bind, body);
        seconds = tk_seconds_left(L, bind, lua_gettop(L));
        lua_pop(L, 1);
        return seconds;
    }
    seconds = luaL_checknumber(L, arg);
    luaL_argcheck(L, seconds == seconds, arg, "not a number");
    return seconds < 0 ? -1 : seconds;
}

/* `context` is the binding: this is the hottest continuation of all. */
static int slept(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = (struct tk_bind *)context;
    struct tk_body *body = tk_current(bind);

    (void)status;
    bind->L = L;
    if (body->task.verbs != NULL) {
        tk_verb_done(bind, body);
    }
    if (body->task.raise != TK_RAISE_NOTHING) {
        tk_check_raise(L, bind);
    }
    return 0;
}

static int give_way(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    tk_task_give_way(bind->sched, &body->task);
    return tk_give_way(L, bind, slept, (lua_KContext)bind);
}

/* yield_(): lets all others that are ready run. */
static int module_yield_(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    return give_way(L, bind, tk_check_wait(L, bind));
}

/* sleep(seconds) */
static int module_sleep(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Number seconds = luaL_checknumber(L, 1);
    struct tk_arg arg = {.given = true, .as.number = seconds * 1000};
    struct tk_body *body;

    luaL_argcheck(L, seconds >= 0, 1, "time must not be negative");
    body = tk_check_wait(L, bind);
    if (seconds == 0) {
        return give_way(L, bind, body);
    }
    tk_verb_wait(L, bind, body, bind->timeout, &arg);
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, slept, (lua_KContext)bind);
}

/* ---- join ---- */

enum join_mode {
    JOIN,     /* returns all results, or raises a JoinError */
    TRY_JOIN, /* returns true and the first result, or false and a JoinError */
    AWAIT,    /* returns nothing */
    WITHIN,   /* returns whether it ended in time */
};

/* The tasklet at 1 has ended. */
static int outcome(lua_State *L, struct tk_bind *bind, struct tk_body *body, enum join_mode mode)
{
    lua_Integer count;

    if (mode == AWAIT) {
        return 0;
    }
    if (mode == WITHIN) {
        lua_pushboolean(L, 1);
        return 1;
    }
    tk_observe(bind, body);
    lua_settop(L, 2);
    if (mode == TRY_JOIN) {
        lua_pushboolean(L, !body->failed);
        lua_replace(L, 2);
        if (!body->failed) {
            tk_push_result(L, 1, body);
            return 2;
        }
    }
    lua_getiuservalue(L, 1, UV_OUTCOME);
    if (body->failed) {
        const char *text, *name, *how;

        lua_rawgeti(L, 3, 1);
        how = tk_error_is(L, -1, bind, "TaskletExit") ? "was killed" : "failed";
        text = tk_push_shown(L, -1);
        name = tk_push_name(L, bind, 1);
        text = lua_pushfstring(L, "tasklet '%s' %s: %s", name, how, text);
        tk_push_error(L, bind, "JoinError", text);
        lua_rawgeti(L, 3, 1);
        lua_setfield(L, -2, "cause");
        lua_rawgeti(L, 3, 2);
        lua_setfield(L, -2, "traceback");
        lua_pushvalue(L, 1);
        lua_setfield(L, -2, "tasklet");
        if (mode == TRY_JOIN) {
            lua_pushvalue(L, 2);
            lua_insert(L, -2);
            return 2;
        }
        return lua_error(L);
    }
    if (!body->packed) {
        return body->mute ? 0 : 1;
    }
    lua_getfield(L, -1, "n");
    count = lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, (int)count + 1, "too many results");
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 3, i);
    }
    return (int)count;
}

/* Frame: tasklet, timeout. */
static int joined(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *target = lua_touserdata(L, 1);

    (void)status;
    tk_verb_done(bind, tk_current(bind));
    tk_check_raise(L, bind);
    lua_settop(L, 2);
    if (target->task.state != TK_ENDED && context == WITHIN && !lua_isnil(L, 2)) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (target->task.state != TK_ENDED) {
        return tk_raise_class(L, "TimeoutError", "join took too long");
    }
    return outcome(L, bind, target, (enum join_mode)context);
}

static int join(lua_State *L, struct tk_bind *bind, enum join_mode mode)
{
    struct tk_body *target = tk_check_body(L, 1, bind), *body;
    lua_Number seconds = mode == AWAIT ? -1 : tk_check_timeout(L, bind, 2);
    struct tk_arg arg = {.given = true, .as.task = &target->task};

    lua_settop(L, 2);
    tk_check_open(L, bind);
    if (target->task.state == TK_ENDED) {
        return outcome(L, bind, target, mode);
    }
    body = tk_check_wait(L, bind);
    if (body == target) {
        return tk_raise(L, "a tasklet cannot join itself");
    }
    tk_verb_wait(L, bind, body, bind->ended, &arg);
    if (seconds >= 0) {
        arg.as.number = seconds * 1000;
        tk_verb_wait(L, bind, body, bind->timeout, &arg);
    }
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, joined, (lua_KContext)mode);
}

/* join(t, timeout): all results of t; its failure is a JoinError. */
static int module_join(lua_State *L)
{
    return join(L, tk_bind_of(L), JOIN);
}

/* For the Lua part: try_join(t, timeout), await(t), within(t, timeout). */
static int try_join(lua_State *L)
{
    return join(L, tk_bind_of(L), TRY_JOIN);
}

static int await(lua_State *L)
{
    return join(L, tk_bind_of(L), AWAIT);
}

/* within(t, timeout): has t ended in that time? Without one, or if that is of the tasklet's own
 * deadline, as join. */
static int within(lua_State *L)
{
    return join(L, tk_bind_of(L), WITHIN);
}

/* For the Lua part: expect(t, flag) says whether t is going to be joined, so that its failure is
 * dealt with. */
static int expect(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    body->expected = lua_toboolean(L, 2);
    if (body->expected) {
        tk_observe(bind, body);
    }
    return 0;
}

/* now(): milliseconds, with fractions, of the monotonic clock. */
static int mainloop_now(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_pushnumber(L, (lua_Number)(bind->hooks->now(bind->context) - bind->origin) / 1e6);
    return 1;
}

/* For the Lua part: the same with an origin that never changes. */
static int core_now(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_pushnumber(L, (lua_Number)bind->hooks->now(bind->context) / 1e6);
    return 1;
}

/* The stack's top is the module's table. */
void tk_verb_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {
        {"sleep", module_sleep}, {"yield_", module_yield_}, {"join", module_join}, {NULL, NULL}};
    static const luaL_Reg core[] = {{"try_join", try_join}, {"await", await},  {"within", within},
                                    {"expect", expect},     {"now", core_now}, {NULL, NULL}};
    static const luaL_Reg mainloop[] = {{"now", mainloop_now}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, functions);
    lua_pop(L, 1);
    lua_newtable(L);
    tk_set_functions(L, mainloop);
    lua_setfield(L, -2, "mainloop");
}
