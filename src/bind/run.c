/*
 * Running: resuming coroutines, ending tasklets, giving way, nesting, raising into a tasklet.
 *
 * A tasklet's coroutine runs the function `body_main`, whose frame holds, beneath the script's
 * function, the tasklet, the function that started it and the line; it calls the function
 * protected, so that <close> variables can wait when an error passes.
 *
 * What must hold: a coroutine gives way only through tk_give_way (bind->gave_way is set, the task's
 * state says how) or through Lua's own coroutine.yield in the body itself (body->stock).
 */
#include <stdlib.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/module.h"

#define POOL_SIZE 256

enum { FRAME_TASK = 1, FRAME_STARTER, FRAME_LINE, FRAME_HANDLER, FRAME_BODY };

/* ---- the body's frame ---- */

/* Drops the last lines of a traceback that are this file's frames. */
static size_t script_part(const char *trace, size_t length)
{
    static const char tail[] = "\n\t[C]: in ?";
    size_t n = sizeof tail - 1;

    while (length >= n && memcmp(trace + length - n, tail, n) == 0) {
        length -= n;
    }
    return length;
}

/* Pushes the traceback from `level` on. */
static void push_trace(lua_State *L, int level)
{
    size_t length;
    const char *trace;

    luaL_traceback(L, L, NULL, level);
    trace = lua_tolstring(L, -1, &length);
    lua_pushlstring(L, trace, script_part(trace, length));
    lua_remove(L, -2);
}

/* The error at 1 may have been caught and raised again: then its first traceback was left, with it,
 * in the table of traces at 2 for the tasklet at 3. Pushes that. */
static bool push_earlier(lua_State *L)
{
    int top = lua_gettop(L);

    lua_pushvalue(L, 3);
    if (lua_rawget(L, 2) == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        if (lua_rawequal(L, -2, 1) && lua_isstring(L, -1)) {
            lua_replace(L, top + 1);
            lua_settop(L, top + 1);
            return true;
        }
    }
    lua_settop(L, top);
    return false;
}

/* The message handler: the traceback goes aside, so that handlers see the error as it was raised.
 */
static int handler(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body == NULL || tk_error_is(L, 1, bind, "TaskletExit")) {
        return 1;
    }
    tk_push_table(L, bind, TABLE_TRACES);
    tk_push_body(L, bind, body);
    lua_pushvalue(L, 3);
    if (!push_earlier(L)) {
        push_trace(L, 1);
    }
    lua_rawset(L, 2);
    lua_settop(L, 1);
    return 1;
}

/* Adds to the traceback who it was and where it was started. */
static void add_origin(lua_State *L, struct tk_bind *bind, const struct tk_body *body)
{
    tk_push_table(L, bind, TABLE_TRACES);
    lua_pushvalue(L, FRAME_TASK);
    lua_rawget(L, -2);
    if (!lua_isstring(L, -1)) {
        lua_pop(L, 2);
        return;
    }
    lua_pushfstring(L, "\n\tin tasklet '%s' #%d", tk_push_name(L, bind, FRAME_TASK),
                    (int)body->number);
    lua_remove(L, -2);
    if (lua_isfunction(L, FRAME_STARTER)) {
        lua_Debug ar;

        lua_pushvalue(L, FRAME_STARTER);
        lua_getinfo(L, ">S", &ar);
        lua_pushfstring(L, " (started at %s:%d)", ar.short_src, (int)lua_tointeger(L, FRAME_LINE));
    } else {
        lua_pushliteral(L, "");
    }
    lua_concat(L, 3);
    lua_pushvalue(L, FRAME_TASK);
    lua_insert(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static int body_done(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = lua_touserdata(L, FRAME_TASK);

    (void)context;
    if (status == LUA_OK || status == LUA_YIELD) {
        return lua_gettop(L) - FRAME_HANDLER;
    }
    body->failed = true;
    add_origin(L, bind, body);
    return 1;
}

static int body_main(lua_State *L)
{
    int status =
        lua_pcallk(L, lua_gettop(L) - FRAME_BODY, LUA_MULTRET, FRAME_HANDLER, 0, body_done);

    return body_done(L, status, 0);
}

/* ---- reports ---- */

int tk_traceback(lua_State *L)
{
    size_t length;
    const char *trace;

    if (lua_type(L, 1) == LUA_TSTRING) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
        trace = lua_tolstring(L, -1, &length);
        lua_pushlstring(L, trace, script_part(trace, length));
    }
    return 1;
}

/* Pushes an error as text, in lua.c's words where it is no string. */
static const char *push_text(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (lua_isstring(L, index)) {
        lua_pushvalue(L, index);
    } else if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, index);
        if (lua_pcall(L, 1, 1, 0) != LUA_OK || lua_type(L, -1) != LUA_TSTRING) {
            lua_pop(L, 1);
            lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
        }
    } else {
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
    }
    return lua_tostring(L, -1);
}

void tk_report_error(lua_State *L, struct tk_bind *bind, const char *where)
{
    const char *text = push_text(L, -1);

    if (where != NULL) {
        text = lua_pushfstring(L, "%s\n\tin %s", text, where);
        lua_remove(L, -2);
    }
    bind->failures++;
    if (bind->hooks->error != NULL) {
        bind->hooks->error(bind->context, text);
    }
    lua_pop(L, 2);
}

/* For the Lua part: log(error, traceback) reports an error that has been dealt with. */
static int log_error(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const char *text;

    lua_settop(L, 2);
    text = push_text(L, 1);
    if (lua_isstring(L, 2)) {
        text = lua_pushfstring(L, "%s\n%s", text, lua_tostring(L, 2));
    }
    if (tk_current(bind) != NULL) {
        tk_push_body(L, bind, tk_current(bind));
        text = lua_pushfstring(L, "%s\n\tin tasklet '%s' #%d", text, tk_push_name(L, bind, -1),
                               (int)tk_current(bind)->number);
    }
    if (bind->hooks->error != NULL) {
        bind->hooks->error(bind->context, text);
    }
    return 0;
}

/* traceback(): that of the error, for a message handler. */
static int traceback(lua_State *L)
{
    push_trace(L, 2);
    return 1;
}

static void report_body(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    const char *text;

    lua_getiuservalue(L, -1, UV_OUTCOME);
    lua_rawgeti(L, -1, 1);
    text = push_text(L, -1);
    lua_rawgeti(L, -3, 2);
    if (lua_isstring(L, -1)) {
        text = lua_pushfstring(L, "%s\n%s", text, lua_tostring(L, -1));
    }
    (void)body;
    if (bind->hooks->error != NULL) {
        bind->hooks->error(bind->context, text);
    }
}

void tk_report(struct tk_bind *bind)
{
    lua_State *L = bind->main;
    int top = lua_gettop(L);

    while (bind->reports > 0) {
        int count = bind->reports;

        bind->reports = 0;
        bind->L = L;
        if (!lua_checkstack(L, 20)) {
            return;
        }
        tk_push_table(L, bind, TABLE_FAILED);
        for (int i = 1; i <= count; i++) {
            struct tk_body *body;

            lua_rawgeti(L, -1, i);
            body = tk_to_body(L, -1, bind);
            lua_pushnil(L);
            lua_rawseti(L, -3, i);
            if (body != NULL && body->unobserved) {
                report_body(L, bind, body);
            }
            lua_settop(L, top + 1);
        }
        lua_settop(L, top);
    }
}

/* ---- ending ---- */

void tk_call_callbacks(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body)
{
    lua_Integer last;
    int list;

    if (!body->callbacks || !lua_checkstack(L, MAX_CALLBACK_ARGS + 20)) {
        return;
    }
    body->callbacks = false;
    tk_push_table(L, bind, TABLE_CALLBACKS);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    list = lua_gettop(L);
    last = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; i <= last; i++) {
        int count;

        if (lua_rawgeti(L, list, i) == LUA_TTABLE) {
            int entry = lua_gettop(L);

            lua_pushboolean(L, 0); /* called once */
            lua_rawseti(L, list, i);

            lua_getfield(L, entry, "n");
            count = (int)lua_tointeger(L, -1); /* at most MAX_CALLBACK_ARGS */
            lua_pop(L, 1);
            lua_rawgeti(L, entry, 1);
            lua_pushvalue(L, index);
            tk_push_result(L, index, body);
            for (int k = 2; k <= count; k++) {
                lua_rawgeti(L, entry, k);
            }
            tk_call_guarded(L, bind, count + 1, 0, "a join callback");
        }
        lua_settop(L, list);
    }
    lua_settop(L, list - 1);
}

/* Puts what the coroutine left, `count` values on L, into the tasklet at `index`. */
static void keep_outcome(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body,
                         int count)
{
    if (body->failed) {
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        tk_push_table(L, bind, TABLE_TRACES);
        lua_pushvalue(L, index);
        lua_rawget(L, -2);
        lua_rawseti(L, -3, 2);
        lua_pop(L, 1);
    } else if (count != 1) {
        lua_createtable(L, count, 1);
        lua_insert(L, -count - 1);
        for (int i = count; i > 0; i--) {
            lua_rawseti(L, -i - 1, i);
        }
        lua_pushinteger(L, count);
        lua_setfield(L, -2, "n");
        body->packed = true;
    }
    lua_setiuservalue(L, index, UV_OUTCOME);
    lua_pushnil(L);
    lua_setiuservalue(L, index, UV_HELD);
}

/* Gives a coroutine back to the pool. */
static void reuse(lua_State *L, struct tk_bind *bind, struct tk_body *body, bool sound)
{
    lua_State *co = body->co;

    if (!body->pooled) {
        tk_own_coroutine(L, bind, co, false);
    }
    if (!body->pooled || !sound || bind->pool >= POOL_SIZE || !lua_checkstack(co, 1)) {
        return;
    }
    lua_settop(co, 0);
    if (lua_gethook(co) != NULL) {
        lua_sethook(co, NULL, 0, 0);
    }
    tk_push_table(L, bind, TABLE_POOL);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    lua_rawseti(L, -2, ++bind->pool);
    lua_pop(L, 1);
}

static bool is_exit(lua_State *L, int index, struct tk_bind *bind)
{
    bool is;

    lua_getiuservalue(L, index, UV_OUTCOME);
    lua_rawgeti(L, -1, 1);
    is = tk_error_is(L, -1, bind, "TaskletExit");
    lua_pop(L, 2);
    return is;
}

static void note_failure(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body,
                         bool observed)
{
    if (!body->failed || observed || is_exit(L, index, bind)) {
        return;
    }
    body->unobserved = true;
    bind->failures++;
    tk_push_table(L, bind, TABLE_FAILED);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, ++bind->reports);
    lua_pop(L, 1);
}

/* The coroutine is over: `count` values are on its stack. */
static void finish(lua_State *L, struct tk_bind *bind, struct tk_body *body, int count, bool sound)
{
    bool observed = body->callbacks || body->monitored || body->task.watchers != NULL;
    int top = lua_gettop(L), index = top + 1;

    if (body->co != NULL && !lua_checkstack(L, count + 20)) {
        lua_settop(body->co, 0);
        lua_pushliteral(body->co, "too many results");
        body->failed = true;
        count = 1;
    }
    tk_push_body(L, bind, body);
    if (body->co != NULL) {
        lua_xmove(body->co, L, count);
    } else {
        lua_pushvalue(L, top); /* never begun: see tk_end_unbegun */
    }
    tk_verb_done(bind, body);
    tk_task_clear(bind->sched, &body->task); /* before the conditions may be collected */
    keep_outcome(L, bind, index, body, count);
    if (body->co != NULL) {
        reuse(L, bind, body, sound);
    }
    body->co = NULL;
    if (body->event || body->task.raise == TK_RAISE_GIVEN) {
        tk_push_table(L, bind, TABLE_EVENTS);
        lua_pushnil(L);
        lua_rawseti(L, -2, body->anchor);
        lua_pushnil(L);
        lua_rawseti(L, -2, -(lua_Integer)body->anchor);
        lua_pop(L, 1);
        body->event = false;
    }
    body->task.raise = TK_RAISE_NOTHING;
    tk_task_end(bind->sched, &body->task);
    if (body->anchor != LUA_NOREF) {
        tk_unanchor(L, bind, body->anchor);
        body->anchor = LUA_NOREF;
    }
    note_failure(L, bind, index, body, observed);
    tk_call_callbacks(L, bind, index, body);
    if (body->monitored) {
        tk_tell_monitors(L, bind, index, body);
    }
    lua_settop(L, top);
}

void tk_end_unbegun(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    body->failed = true;
    if (body->co == NULL) {
        finish(L, bind, body, 1, true);
        lua_pop(L, 1);
        return;
    }
    lua_settop(body->co, 0);
    lua_xmove(L, body->co, 1);
    finish(L, bind, body, 1, true);
}

/* ---- resuming ---- */

/* Raises, from a hook at the next instruction, in a body that gave way through Lua's own yield. */
static void raise_hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind;

    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
    bind = lua_touserdata(L, -1);
    lua_pop(L, 1);
    tk_check_raise(L, bind);
}

static void drop_event(lua_State *L, struct tk_bind *bind)
{
    bind->event.wait = NULL;
    if (bind->event.payload != NULL) {
        tk_push_payload(L, bind, bind->event.payload);
        lua_pop(L, 1);
    }
}

static void resume(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    struct tk_sched *sched = bind->sched;
    lua_State *co = body->co, *running = bind->running;
    int status, count = 0, barrier = bind->barrier, args = 0;

    if (!body->begun) {
        args = lua_gettop(co) - 1;
        body->begun = true;
    } else if (body->stock) {
        tk_stock_event(bind, body);
        if (body->task.raise != TK_RAISE_NOTHING) {
            lua_sethook(co, raise_hook, LUA_MASKCOUNT, 1);
        }
        body->stock = false;
    }
    sched->current = &body->task;
    body->task.state = TK_RUNNING;
    body->task.sending = false;
    bind->running = co;
    bind->barrier = 0;
    bind->gave_way = false;
    status = lua_resume(co, L, args, &count);
    bind->L = L;
    bind->running = running;
    bind->barrier = barrier;
    if (bind->event.wait != NULL) {
        drop_event(L, bind); /* what waited for it was closed meanwhile */
    }
    if (status == LUA_YIELD) {
        if (!bind->gave_way) {
            tk_stock_yield(bind, body);
        }
        sched->current = NULL;
        return;
    }
    sched->current = NULL;
    if (status != LUA_OK) {
        body->failed = true;
        lua_resetthread(co);
        if (lua_gettop(co) == 0) {
            lua_pushliteral(co, "the coroutine was closed");
        }
        count = 1;
    }
    finish(L, bind, body, count, status == LUA_OK);
}

void tk_drive(struct tk_bind *bind)
{
    lua_State *L = bind->L;
    struct tk_task *task;

    while (!bind->stopped && (task = tk_sched_next(bind->sched)) != NULL) {
        struct tk_body *body = tk_container_of(task, struct tk_body, task);

        if (body->waiting) {
            if (task->raise == TK_RAISE_NOTHING && !tk_task_take(bind->sched, task, &bind->event)) {
                task->state = TK_WAITING;
                continue;
            }
            body->waiting = false;
        }
        resume(L, bind, body);
        bind->L = L;
        if (bind->sched->batch != NULL) {
            tk_sched_hand_over(bind->sched, NULL); /* whom its end has woken */
        }
    }
}

/* ---- giving way ---- */

static bool can_give_way(lua_State *L, const struct tk_bind *bind)
{
    return tk_current(bind) != NULL && bind->running == L && bind->barrier == 0 &&
           lua_isyieldable(L);
}

void tk_drop_raise(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    if (body->task.raise == TK_RAISE_GIVEN) {
        tk_push_table(L, bind, TABLE_EVENTS);
        lua_pushnil(L);
        lua_rawseti(L, -2, -(lua_Integer)body->anchor);
        lua_pop(L, 1);
    }
    body->task.raise = TK_RAISE_NOTHING;
}

static void raise_stop(lua_State *L, struct tk_bind *bind, enum tk_raise raise)
{
    if (raise == TK_RAISE_TIMEOUT) {
        tk_push_error(L, bind, "TimeoutError", "the deadline is over");
    } else {
        tk_push_error(L, bind, "TaskletExit", "killed");
    }
    lua_error(L);
}

RAISES void tk_check_raise(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);
    enum tk_raise raise;

    if (body == NULL || body->task.raise == TK_RAISE_NOTHING) {
        return;
    }
    raise = (enum tk_raise)body->task.raise;
    body->task.raise = TK_RAISE_NOTHING;
    if (raise != TK_RAISE_GIVEN) {
        raise_stop(L, bind, raise);
    }
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_rawgeti(L, -1, -(lua_Integer)body->anchor);
    lua_pushnil(L);
    lua_rawseti(L, -3, -(lua_Integer)body->anchor);
    lua_error(L);
}

RAISES int tk_give_way(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context)
{
    bind->gave_way = true;
    return lua_yieldk(L, 0, context, k);
}

static void run_nested(lua_State *L, struct tk_bind *bind)
{
    lua_State *running = bind->running;
    int barrier = bind->barrier;
    struct tk_frame frame;

    luaL_checkstack(L, 20, NULL);
    tk_sched_enter(bind->sched, &frame);
    bind->sched->current = NULL;
    bind->running = NULL;
    bind->L = L;
    tk_drive(bind);
    bind->running = running;
    bind->barrier = barrier;
    tk_sched_leave(bind->sched);
}

RAISES int tk_hand_over(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context)
{
    if (bind->sched->batch != NULL) {
        if (can_give_way(L, bind)) {
            tk_sched_hand_over(bind->sched, bind->sched->current);
            return tk_give_way(L, bind, k, context);
        }
        run_nested(L, bind);
        tk_check_raise(L, bind);
    }
    return k(L, LUA_OK, context);
}

/* Is the function on top found in a loaded module? Pushes "table.sort", or nothing. */
static bool push_global_name(lua_State *L)
{
    int top = lua_gettop(L);

    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    while (lua_next(L, top + 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1)) {
            lua_pushnil(L);
            while (lua_next(L, -2)) {
                if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, top)) {
                    const char *module = lua_tostring(L, -4), *name = lua_tostring(L, -2);

                    if (strcmp(module, "_G") == 0) {
                        lua_pushstring(L, name);
                    } else {
                        lua_pushfstring(L, "%s.%s", module, name);
                    }
                    lua_replace(L, top);
                    lua_settop(L, top);
                    return true;
                }
                lua_pop(L, 1);
            }
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top - 1);
    return false;
}

/* C functions through which a wait passes. */
static bool lets_through(const char *name)
{
    static const char *const names[] = {"pcall", "xpcall", "dofile", "require", "error"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "coroutine.", 10) == 0 || strncmp(name, "tasklet.", 8) == 0;
}

/* Pushes the name of the C function that stops a wait at L. */
static void push_obstacle(lua_State *L, lua_State *at)
{
    lua_Debug ar;

    for (int level = 1; lua_getstack(at, level, &ar); level++) {
        lua_getinfo(at, "Snf", &ar);
        if (*ar.what != 'C') {
            lua_pop(at, 1);
            continue;
        }
        lua_xmove(at, L, 1);
        if (!push_global_name(L)) {
            lua_pushstring(L, ar.name != NULL ? ar.name : "?");
        }
        if (!lets_through(lua_tostring(L, -1))) {
            return;
        }
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "a metamethod or hook");
}

RAISES void tk_check_stopped(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    if (body->task.stopped) {
        tk_drop_raise(L, bind, body);
        raise_stop(L, bind, tk_limit_pending(&body->task));
    }
}

/* Says why the caller cannot wait. */
static struct tk_body *refuse_wait(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body;

    tk_check_open(L, bind);
    body = tk_current(bind);
    if (body == NULL) {
        tk_raise(L, "cannot wait outside a tasklet");
    }
    if (bind->running != L) {
        tk_raise(L, "cannot wait in a coroutine that Lua's own coroutine.resume runs");
    }
    if (bind->barrier > 0 || !lua_isyieldable(L)) {
        luaL_checkstack(L, 20, NULL);
        push_obstacle(L, lua_isyieldable(L) ? bind->blocked_at : L);
        tk_raise(L, "cannot wait inside the C function '%s'", lua_tostring(L, -1));
    }
    tk_check_stopped(L, bind, body);
    return body;
}

RAISES struct tk_body *tk_check_wait(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    if (body == NULL || bind->running != L || bind->barrier > 0 || bind->closing ||
        body->task.stopped ||
        !lua_isyieldable(L)) {
        return refuse_wait(L, bind);
    }
    if (body->task.verbs != NULL) {
        tk_verb_done(bind, body); /* of a generator that was left in the middle of a verb */
    }
    return body;
}

/* ---- from outside ---- */

RAISES void tk_throw(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_insert(L, -2);
    lua_rawseti(L, -2, -(lua_Integer)body->anchor);
    lua_pop(L, 1);
    body->task.raise = TK_RAISE_GIVEN;
    tk_task_wake(bind->sched, &body->task);
}

int tk_call_guarded(lua_State *L, struct tk_bind *bind, int nargs, int nresults, const char *where)
{
    lua_State *running = bind->running, *outer = bind->L;
    struct tk_task *current = bind->sched == NULL ? NULL : bind->sched->current;
    int at = lua_gettop(L) - nargs, status;

    lua_pushcfunction(L, tk_traceback);
    lua_insert(L, at);
    if (bind->sched != NULL) {
        bind->sched->current = NULL;
    }
    bind->running = NULL;
    status = lua_pcall(L, nargs, nresults, at);
    bind->L = outer;
    bind->running = running;
    if (bind->sched != NULL) {
        bind->sched->current = current;
    }
    if (status != LUA_OK) {
        tk_report_error(L, bind, where);
    }
    lua_remove(L, at);
    return status;
}

RAISES void tk_kill_all(struct tk_bind *bind, bool daemons)
{
    lua_State *L = bind->L = bind->main;
    int top = lua_gettop(L);

    if (!lua_checkstack(L, 30)) {
        return;
    }
    tk_push_table(L, bind, TABLE_ANCHORS);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, top + 1); i++) {
        struct tk_body *body;

        lua_rawgeti(L, top + 1, i);
        body = tk_to_body(L, -1, bind);
        if (body != NULL && body != tk_current(bind) && !body->interrupted &&
            body->task.daemon == daemons && !body->internal) {
            tk_task_count(bind->sched, &body->task, true); /* the loop goes on until it has ended */
            tk_kill(L, bind, body);
        }
        if (body != NULL) {
            body->interrupted = false;
        }
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
    if (bind->sched->batch != NULL) {
        run_nested(L, bind);
    }
}

static void close_body(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    lua_State *co = body->co;

    if (body->task.state == TK_RUNNING || co == NULL) {
        return; /* it is on the C stack: whoever called lua_close from there leaves it as it is */
    }
    tk_verb_done(bind, body);
    tk_task_finish(bind->sched, &body->task);
    body->co = NULL;
    if (lua_status(co) == LUA_YIELD && lua_resetthread(co) != LUA_OK && lua_checkstack(L, 4)) {
        lua_xmove(co, L, 1);
        if (tk_error_is(L, -1, bind, "TaskletExit")) {
            lua_pop(L, 1);
        } else {
            tk_report_error(L, bind, "a <close> variable, at the end of the program");
        }
    }
}

void tk_close_all(struct tk_bind *bind)
{
    lua_State *L = bind->main;
    int top = lua_gettop(L);

    bind->closing = true;
    bind->L = L;
    bind->running = NULL;
    if (!lua_checkstack(L, 20)) {
        return;
    }
    tk_push_table(L, bind, TABLE_ANCHORS);
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, top + 1); i > 0; i--) {
        struct tk_body *body;

        lua_rawgeti(L, top + 1, i);
        body = tk_to_body(L, -1, bind);
        if (body != NULL) {
            close_body(L, bind, body);
        }
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
}

void tk_run_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {{"log", log_error}, {"traceback", traceback}, {NULL, NULL}};
    static const int slots[] = {TABLE_BODY, TABLE_HANDLER};
    static const lua_CFunction functions[] = {body_main, handler};

    for (int i = 0; i < 2; i++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushcclosure(L, functions[i], 1);
        tk_set_table(L, bind, slots[i]);
    }
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
