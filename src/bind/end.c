/*
 * Ending: what becomes of a tasklet when its coroutine is over, or is given up; and of all of them
 * when the program ends.
 */
#include "bind/bind.h"
#include "bind/module.h"

#define POOL_SIZE 256

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
    if (!lua_istable(L, list)) {
        lua_settop(L, list - 1);
        return; /* it was taken off before its turn came */
    }
    lua_getfield(L, list, "last");
    last = lua_tointeger(L, -1);
    lua_settop(L, list);
    for (lua_Integer i = 1; i <= last; i++) {
        int count;

        if (lua_rawgeti(L, list, i) == LUA_TTABLE) {
            int entry = lua_gettop(L);

            lua_pushnil(L); /* called once */
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

/* ---- where there may be no memory ---- */

/*
 * A tasklet ends from outside of any script, where nobody would catch an error: what needs memory
 * is done by a protected call. Calls f(bind, the tasklet at `index`, the top `count` values, which
 * are popped); true: it has left one result, or `results` is 0.
 */
static bool try(lua_State *L, struct tk_bind *bind, lua_CFunction f, int index, int count,
                int results)
{
    index = lua_absindex(L, index);
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, bind);
    lua_pushvalue(L, index);
    lua_rotate(L, -count - 3, 3);
    if (lua_pcall(L, count + 2, results, 0) == LUA_OK) {
        return true;
    }
    lua_pop(L, 1);
    bind->L = L;
    return false;
}

static int pack_failure(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, 1);

    lua_createtable(L, 2, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    tk_push_table(L, bind, TABLE_TRACES);
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    lua_rawseti(L, -3, 2);
    lua_pop(L, 1);
    return 1;
}

static int pack_results(lua_State *L)
{
    int count = lua_gettop(L) - 2;

    luaL_checkstack(L, 4, NULL);
    lua_createtable(L, count, 1);
    lua_insert(L, 3);
    for (int i = count; i > 0; i--) {
        lua_rawseti(L, 3, i);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, 3, "n");
    return 1;
}

/* Puts what the coroutine left, `count` values on L, into the tasklet at `index`. */
static void keep_outcome(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body,
                         int count)
{
    if (body->failed || count > 1) {
        if (try(L, bind, body->failed ? pack_failure : pack_results, index, count, 1)) {
            body->packed = !body->failed;
        } else {
            tk_push_table(L, bind, TABLE_NO_MEMORY);
            body->failed = true;
        }
    } else if (count == 0) {
        lua_pushnil(L);
        body->mute = true;
    }
    lua_setiuservalue(L, index, UV_OUTCOME);
    lua_pushnil(L);
    lua_setiuservalue(L, index, UV_HELD);
}

/* The coroutine at 3 goes into the pool, which has not been so large yet. */
static int widen_pool(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, 1);

    tk_push_table(L, bind, TABLE_POOL);
    lua_insert(L, 3);
    lua_rawseti(L, 3, bind->pool + 1);
    bind->pool_room = ++bind->pool;
    return 0;
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
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    if (bind->pool == bind->pool_room) {
        try(L, bind, widen_pool, -1, 1, 0); /* else it is collected */
        return;
    }
    tk_push_table(L, bind, TABLE_POOL);
    lua_insert(L, -2);
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

static int queue_report(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, 1);

    tk_push_table(L, bind, TABLE_UNSEEN);
    lua_pushvalue(L, 2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    tk_push_table(L, bind, TABLE_FAILED);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, bind->reports + 1);
    bind->reports++;
    return 0;
}

static void note_failure(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body,
                         bool observed)
{
    if (!body->failed || observed || is_exit(L, index, bind)) {
        return;
    }
    bind->failures++;
    body->unobserved = true;
    if (!try(L, bind, queue_report, index, 0, 0)) {
        body->unobserved = false;
        tk_report_no_memory(bind);
    }
}

void tk_leave_scope(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body)
{
    int top = lua_gettop(L);

    if (!body->member || !lua_checkstack(L, 20)) {
        return;
    }
    body->member = false;
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "left_scope");
    lua_pushvalue(L, index);
    tk_push_table(L, bind, TABLE_MEMBERS);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
    tk_call_guarded(L, bind, 2, 0, "the end of a scope's member");
    tk_push_table(L, bind, TABLE_MEMBERS);
    lua_pushvalue(L, index);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_settop(L, top);
}

void tk_end_children(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body)
{
    if (body->owner && lua_checkstack(L, 20)) {
        body->owner = false;
        tk_push_table(L, bind, TABLE_CORE);
        lua_getfield(L, -1, "end_children");
        lua_pushvalue(L, index);
        tk_call_guarded(L, bind, 1, 0, "the end of child processes");
        lua_pop(L, 1);
    }
}

/* Is there anybody whom its failure will be told? */
static bool is_observed(lua_State *L, struct tk_bind *bind, int index, const struct tk_body *body)
{
    return body->callbacks || body->expected || body->member || body->task.watchers != NULL ||
           (body->monitored && tk_has_monitors(L, bind, index));
}

/*
 * A join callback may end others that have callbacks: those are called when it is over, not inside
 * of it, so that a chain of them costs no C stack.
 */
void tk_tell_end(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body)
{
    bool outermost = body->callbacks && !bind->telling;

    if (outermost) {
        bind->telling = true;
    }
    tk_call_callbacks(L, bind, index, body);
    if (body->monitored) {
        body->monitored = false;
        tk_tell_monitors(L, bind, index, body);
    }
    tk_leave_scope(L, bind, index, body);
    tk_end_children(L, bind, index, body);
    if (outermost) {
        tk_tell_ends(L, bind);
        bind->telling = false;
    }
}

void tk_tell_ends(lua_State *L, struct tk_bind *bind)
{
    int top = lua_gettop(L);

    while (bind->told < bind->untold && lua_checkstack(L, 20)) {
        struct tk_body *body;

        bind->told++;
        tk_push_table(L, bind, TABLE_UNTOLD);
        lua_rawgeti(L, -1, bind->told);
        lua_pushnil(L);
        lua_rawseti(L, -3, bind->told);
        body = lua_touserdata(L, -1);
        if (body->task.state == TK_ENDED) { /* else it has been told of, and bound anew */
            tk_tell_end(L, bind, lua_gettop(L), body);
        }
        lua_settop(L, top);
    }
    if (bind->told == bind->untold) {
        bind->told = bind->untold = 0;
    }
}

/* Tells of the end of the tasklet at 2, or has that done by those who tell now. */
static int tell(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, 1);
    struct tk_body *body = lua_touserdata(L, 2);

    bind->L = L;
    if (body->callbacks && bind->telling) {
        tk_push_table(L, bind, TABLE_UNTOLD);
        lua_pushvalue(L, 2);
        lua_rawseti(L, -2, bind->untold + 1);
        bind->untold++;
    } else {
        tk_tell_end(L, bind, 2, body);
    }
    return 0;
}

/* Its `count` results, or its error, are on its coroutine's stack; or on L's if it has none. It is
 * at `at`; 0: it is anchored. */
static void end(lua_State *L, struct tk_bind *bind, struct tk_body *body, int at, int count,
                bool sound)
{
    int top = lua_gettop(L), index = top + 1;
    bool observed;

    if (body->co != NULL && !lua_checkstack(L, count + 20)) {
        lua_settop(body->co, 0);
        lua_pushliteral(body->co, "too many results");
        body->failed = true;
        count = 1;
    }
    if (at != 0) {
        lua_pushvalue(L, at);
    } else {
        tk_push_body(L, bind, body);
    }
    observed = body->failed && is_observed(L, bind, index, body);
    if (body->co != NULL) {
        lua_xmove(body->co, L, count);
    } else {
        lua_pushvalue(L, top);
    }
    tk_verb_done(bind, body);
    tk_task_clear(bind->sched, &body->task); /* before the conditions may be collected */
    keep_outcome(L, bind, index, body, count);
    if (body->co != NULL) {
        reuse(L, bind, body, sound);
    }
    body->co = NULL;
    body->bound = false;
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
    bind->internals -= body->internal;
    tk_task_end(bind->sched, &body->task);
    if (body->anchor != LUA_NOREF) {
        tk_unanchor(L, bind, body->anchor);
        body->anchor = LUA_NOREF;
    }
    note_failure(L, bind, index, body, observed);
    if (body->callbacks || body->monitored || body->member || body->owner) {
        bool telling = bind->telling;

        if (!try(L, bind, tell, index, 0, 0)) {
            bind->telling = telling;
            bind->failures++;
            tk_report_no_memory(bind);
        }
        bind->L = L;
    }
    lua_settop(L, top);
}

void tk_finish(lua_State *L, struct tk_bind *bind, struct tk_body *body, int count, bool sound)
{
    end(L, bind, body, 0, count, sound);
}

void tk_end_unbegun(lua_State *L, struct tk_bind *bind, struct tk_body *body, int index)
{
    body->failed = true;
    if (body->co == NULL) {
        end(L, bind, body, index, 1, true);
        lua_pop(L, 1);
        return;
    }
    lua_settop(body->co, 0);
    lua_xmove(L, body->co, 1);
    end(L, bind, body, index, 1, true);
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
            tk_kill(L, bind, body, lua_gettop(L));
            if (body->task.begun && body->task.state != TK_PAUSED) {
                tk_task_count(bind->sched, &body->task, true); /* the loop goes on until it ends */
            }
        }
        if (body != NULL) {
            body->interrupted = false;
        }
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
    if (bind->sched->batch != NULL) {
        tk_run_nested(L, bind);
    }
}

RAISES void tk_abandon(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    lua_State *co = body->co;
    int anchor = body->anchor;
    bool given = !body->pooled;

    lua_pushthread(co);
    lua_xmove(co, L, 1); /* its own variables may be closed only when the tasklet is as new */
    tk_verb_done(bind, body);
    tk_drop_raise(L, bind, body);
    tk_task_reset(bind->sched, &body->task);
    body->co = NULL;
    body->anchor = LUA_NOREF;
    tk_forget(L, bind, body);
    tk_unanchor(L, bind, anchor);
    if (lua_status(co) == LUA_YIELD && tk_close_thread(L, bind, co) != LUA_OK) {
        lua_xmove(co, L, 1);
        tk_report_error(L, bind, "a <close> variable of a tasklet that was bound anew");
    }
    if (given) {
        tk_own_coroutine(L, bind, co, false);
    }
    lua_pop(L, 1);
    tk_leave_scope(L, bind, 1, body);
    tk_end_children(L, bind, 1, body);
}

static void close_body(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    lua_State *co = body->co;
    struct tk_outside outside;
    int status;

    if (body->task.state == TK_RUNNING || co == NULL) {
        return; /* it is on the C stack: whoever called lua_close from there leaves it as it is */
    }
    tk_verb_done(bind, body);
    tk_task_finish(bind->sched, &body->task);
    body->co = NULL;
    if (lua_status(co) != LUA_YIELD) {
        return;
    }
    tk_outside_begin(L, bind, &outside);
    status = tk_close_thread(L, bind, co);
    tk_outside_end(L, bind, &outside);
    if (status != LUA_OK && lua_checkstack(L, 4)) {
        lua_xmove(co, L, 1);
        if (tk_error_is(L, -1, bind, "TaskletExit")) {
            lua_pop(L, 1);
        } else {
            tk_report_error(L, bind, "a <close> variable, at the end of the program");
        }
    }
}

/* Those that have not ended are found no more by the table of anchors at `index`, which a host to
 * come has its own in the place of. */
static void forget_anchors(lua_State *L, struct tk_bind *bind, int index)
{
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, index); i > 0; i--) {
        struct tk_body *body;

        lua_rawgeti(L, index, i);
        body = tk_to_body(L, -1, bind);
        if (body != NULL && body->task.state != TK_RUNNING) {
            body->anchor = LUA_NOREF;
        }
        lua_pop(L, 1);
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
    forget_anchors(L, bind, top + 1);
    lua_settop(L, top);
}
