/*
 * Those who run too long without waiting, where the program has set a limit: in time, which a
 * watchdog tells from a signal handler (slice.c), or in instructions, which hooks count (the same
 * as those of `pump`). One that is over is killed or preempted.
 *
 * Killing is not raising: a script could catch that and go on. At an instruction of the script the
 * coroutine is made to yield, is never resumed, and is closed. Where it cannot yield (a callback;
 * under table.sort) an error is raised at each instruction until all is unwound to where it can.
 *
 * What must hold, so that nothing escapes: hooks are not called in finalizers, nor in a message
 * handler while a hook raises. So metatables with __gc are refused, and xpcall calls no handler of
 * the script's for what is raised here. A coroutine that such an error has ended cannot be closed
 * any more: its variables would be closed without hooks.
 */
#include <stdio.h>

#include "bind/bind.h"

/* Has `why` been seen to, but for the coroutine's end? */
#define CAUGHT 8U

static void hook(lua_State *L, lua_Debug *ar);

static void push_reason(lua_State *L, const struct tk_bind *bind)
{
    char text[100];

    luaL_where(L, 0);
    switch (bind->runaway) {
    case TK_TOO_LONG:
        snprintf(text, sizeof text, "the tasklet has run for more than %g s without waiting",
                 (double)bind->max_time / 1e9);
        break;
    case TK_TOO_MANY:
        snprintf(text, sizeof text,
                 "the tasklet has run more than %llu instructions without waiting",
                 (unsigned long long)bind->max_count);
        break;
    default:
        snprintf(text, sizeof text, "the program has ended");
    }
    lua_pushstring(L, text);
    lua_concat(L, 2);
}

RAISES static void push_error(lua_State *L, struct tk_bind *bind)
{
    push_reason(L, bind);
    tk_push_error(L, bind, bind->runaway == TK_HALTED ? "TaskletExit" : "TaskletError",
                  lua_tostring(L, -1));
    lua_remove(L, -2);
}

/* The tasklet that runs on L gives way, never to be resumed; its error is put aside. */
static void give_up(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    if (bind->runaway == TK_HALTED) {
        tk_task_blocked(bind->sched, &body->task);
    } else {
        tk_push_table(L, bind, TABLE_TRACES);
        tk_push_body(L, bind, body);
        tk_push_trace(L, 0);
        lua_rawset(L, -3);
        lua_pop(L, 1);
        push_error(L, bind);
        tk_put_raise(L, bind, body);
    }
    bind->runaway |= CAUGHT;
    bind->gave_way = true;
    lua_sethook(L, NULL, 0, 0);
    lua_yield(L, 0);
}

RAISES void tk_runaway_stop(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = bind->sched == NULL ? NULL : tk_current(bind);
    lua_Debug ar;

    if (lua_getstack(L, 0, &ar) && lua_getinfo(L, "S", &ar) && tk_is_own_source(ar.source)) {
        return; /* the library's own Lua comes to its end first */
    }
    luaL_checkstack(L, 20, NULL);
    if (body != NULL && tk_can_give_way(L, bind)) {
        give_up(L, bind, body);
        return;
    }
    push_error(L, bind);
    lua_error(L);
}

static void hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind = tk_bind_in(L);

    (void)ar;
    if (bind->runaway == 0) {
        lua_sethook(L, NULL, 0, 0);
        if (bind->pump != NULL) {
            tk_pump_watch(bind, L);
        }
    } else {
        tk_runaway_stop(L, bind);
    }
}

void tk_runaway_watch(struct tk_bind *bind, lua_State *co)
{
    if (bind->runaway != 0) {
        lua_sethook(co, hook, LUA_MASKCOUNT, 1);
    }
}

void tk_runaway_tell(struct tk_bind *bind, enum tk_runaway why)
{
    lua_State *running = bind->running != NULL ? bind->running : bind->callback;

    bind->runaway = why;
    if (running != NULL) {
        tk_runaway_watch(bind, running);
    }
}

void tk_stint_begin(struct tk_bind *bind)
{
    if (bind->max_time > 0 && bind->stint != NULL && bind->stint->since == 0) {
        bind->stint->since = bind->hooks->system_now(bind->context);
    }
}

void tk_stint_look(struct tk_bind *bind)
{
    if (bind->max_time > 0 && !bind->preempts && bind->stint != NULL && bind->stint->since != 0 &&
        bind->hooks->system_now(bind->context) - bind->stint->since >= bind->max_time) {
        tk_runaway_tell(bind, TK_TOO_LONG);
    }
}

/* Closes a coroutine, and before it those that wait with it, the innermost first. */
static void close_all(lua_State *L, struct tk_bind *bind, lua_State *co)
{
    lua_State *inner = tk_inner_coroutine(co);

    if (inner != NULL && lua_status(inner) == LUA_YIELD) {
        close_all(L, bind, inner);
    }
    if (tk_close_thread(L, bind, co) != LUA_OK && lua_checkstack(L, 4)) {
        lua_xmove(co, L, 1);
        tk_report_error(L, bind, "a <close> variable of a tasklet that was ended");
    }
}

bool tk_runaway_caught(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    unsigned why = bind->runaway;
    struct tk_outside outside;
    lua_State *co = body->co;

    if ((why & CAUGHT) == 0) {
        return false;
    }
    bind->sched->current = NULL;
    if (why == (TK_HALTED | CAUGHT)) {
        return true;
    }
    tk_outside_begin(L, bind, &outside); /* its variables have the same time once more */
    close_all(L, bind, co);
    tk_outside_end(L, bind, &outside);
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_rawgeti(L, -1, -(lua_Integer)body->anchor);
    lua_settop(co, 0);
    lua_xmove(L, co, 1);
    lua_pop(L, 1);
    body->failed = true;
    tk_finish(L, bind, body, 1, false);
    return true;
}

/* ---- outside of any tasklet ---- */

void tk_outside_begin(lua_State *L, struct tk_bind *bind, struct tk_outside *outside)
{
    outside->L = bind->L;
    outside->running = bind->running;
    outside->callback = bind->callback;
    outside->current = bind->sched == NULL ? NULL : bind->sched->current;
    outside->runaway = bind->runaway;
    outside->used = 0;
    if (bind->sched != NULL) {
        bind->sched->current = NULL;
    }
    if (bind->pump != NULL) {
        tk_pump_count(bind, L);
        outside->used = bind->pump->used;
        bind->pump->used = bind->pump->looked = 0;
        tk_pump_watch(bind, L);
    }
    if (bind->memory != NULL) {
        outside->exempt = tk_pool_exempt(bind->memory, false);
    }
    outside->outer = bind->stint;
    outside->stint.since = 0;
    bind->stint = &outside->stint;
    bind->running = NULL;
    bind->callback = L;
    bind->runaway = 0;
    bind->resumes++;
    bind->outside++;
    bind->hooks->busy(bind->context, true);
}

void tk_outside_end(lua_State *L, struct tk_bind *bind, const struct tk_outside *outside)
{
    bind->hooks->busy(bind->context, false);
    bind->outside--;
    bind->resumes++;
    bind->L = outside->L;
    bind->running = outside->running;
    bind->callback = outside->callback;
    bind->runaway = outside->runaway;
    bind->stint = outside->outer;
    tk_runaway_resume(bind);
    if (bind->memory != NULL) {
        tk_pool_exempt(bind->memory, outside->exempt);
    }
    if (bind->sched != NULL) {
        bind->sched->current = outside->current;
    }
    if (bind->pump != NULL) {
        bind->pump->used = bind->pump->looked = outside->used;
        tk_pump_watch(bind, L);
    }
}

int tk_close_thread(lua_State *L, struct tk_bind *bind, lua_State *co)
{
    lua_State *running = bind->running, *blocked_at = bind->blocked_at;
    int status;

    bind->running = co;
    if (bind->barrier++ == 0) {
        bind->blocked_at = co;
    }
    if (bind->pump != NULL) {
        tk_pump_watch(bind, co);
    } else {
        tk_runaway_watch(bind, co);
    }
    status = lua_resetthread(co);
    if (bind->pump != NULL) {
        tk_pump_count(bind, co);
    }
    bind->barrier--;
    bind->running = running;
    bind->blocked_at = blocked_at;
    if (running == L) {
        tk_runaway_watch(bind, L);
    }
    return status;
}

/* ---- what would escape ---- */

/* The message handler of xpcall: the script's own, upvalue 2, unless what runs is to end. */
static int handler(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, lua_upvalueindex(1));

    if (bind->runaway == 0) {
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, 1);
    }
    return 1;
}

static int called(lua_State *L, int status, lua_KContext context)
{
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)context;
}

/* xpcall(f, handler, ...), as Lua's own. */
static int xpcall(lua_State *L)
{
    int count = lua_gettop(L);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handler, 2);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return called(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, called), 2);
}

/* setmetatable(table, metatable), as Lua's own but for finalizers. */
static int set_metatable(lua_State *L)
{
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    lua_settop(L, 2);
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) {
            return tk_raise(L, "no '__gc' where the time of tasklets is limited: finalizers cannot "
                               "be interrupted");
        }
        lua_settop(L, 2);
    }
    lua_setmetatable(L, 1);
    return 1;
}

/* ---- setting the limits ---- */

RAISES const char *tk_runaway_limit(lua_State *L, struct tk_bind *bind, uint64_t max_time,
                                    uint64_t max_count, bool preempts, bool by_counting)
{
    static const luaL_Reg functions[] = {
        {"xpcall", xpcall}, {"setmetatable", set_metatable}, {NULL, NULL}};

    if (max_time == 0 && max_count == 0) {
        return NULL;
    }
    bind->max_time = max_time;
    bind->max_count = max_count;
    bind->preempts = preempts;
    bind->by_counting = by_counting;
    if (max_count > 0 || (max_time > 0 && by_counting)) {
        bind->count_place = tk_count_place();
        bind->quota.place = bind->count_place;
        bind->pump = &bind->quota;
        tk_look_closely(bind);
    }
    if (!preempts) {
        lua_pushglobaltable(L);
        lua_pushvalue(L, -2);
        luaL_setfuncs(L, functions, 1);
        lua_pop(L, 1);
    }
    return max_time > 0 && !by_counting ? tk_slice_watch(bind, bind->slice, bind->slow) : NULL;
}
