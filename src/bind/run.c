/*
 * Running: resuming coroutines, giving way, nesting, raising into a tasklet.
 *
 * A tasklet's coroutine runs the function `body_main`, whose frame holds, beneath the script's
 * function, the tasklet, the function that started it and the line; it calls the function
 * protected, so that <close> variables can wait when an error passes.
 *
 * What must hold: a coroutine gives way only through tk_give_way (bind->gave_way is set, the task's
 * state says how) or through Lua's own coroutine.yield in the body itself (body->stock).
 */
#include "bind/bind.h"

/* Instructions after which one that goes on when there has been an interrupt is taken for one that
 * does not wait. */
#define PATIENCE 1000

enum { FRAME_TASK = 1, FRAME_STARTER, FRAME_LINE, FRAME_HANDLER, FRAME_BODY };

/* ---- the body's frame ---- */

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
        tk_push_trace(L, 1);
    }
    lua_rawset(L, 2);
    lua_settop(L, 1);
    return 1;
}

/* Pushes "file:line": who started it lies at `index` of `co`, and the line behind that. */
static void push_origin(lua_State *L, lua_State *co, int index)
{
    lua_Debug ar;

    lua_pushvalue(co, index);
    lua_getinfo(co, ">S", &ar);
    lua_pushfstring(L, "%s:%d", ar.short_src, (int)lua_tointeger(co, index + 1));
}

/* The level of the outermost frame, which is that of body_main. */
static int outermost(lua_State *co)
{
    lua_Debug ar;
    int low = 1, high = 1;

    while (lua_getstack(co, high, &ar)) {
        low = high;
        high *= 2;
    }
    while (low < high) {
        int middle = (low + high) / 2;

        if (lua_getstack(co, middle, &ar)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return high - 1;
}

bool tk_push_origin(lua_State *L, const struct tk_body *body)
{
    lua_State *co = body->co;
    int top = lua_gettop(co);
    lua_Debug ar;
    bool is;

    if (!lua_checkstack(co, 4)) {
        return false;
    }
    if (!body->begun) {
        lua_pushvalue(co, FRAME_STARTER + 1); /* above the function that is to be called */
        lua_pushvalue(co, FRAME_LINE + 1);
    } else if (!lua_getstack(co, outermost(co), &ar) ||
               lua_getlocal(co, &ar, FRAME_STARTER) == NULL ||
               lua_getlocal(co, &ar, FRAME_LINE) == NULL) {
        lua_settop(co, top);
        return false;
    }
    is = lua_isfunction(co, -2);
    if (is) {
        push_origin(L, co, lua_gettop(co) - 1);
    }
    if (L != co) {
        lua_settop(co, top);
    } else {
        lua_rotate(co, top + 1, is);
        lua_settop(co, top + is);
    }
    return is;
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
        push_origin(L, L, FRAME_STARTER);
        lua_pushfstring(L, " (started at %s)", lua_tostring(L, -1));
        lua_remove(L, -2);
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

/* Pushes the error object of a kill or a deadline. */
void tk_push_stop(lua_State *L, struct tk_bind *bind, enum tk_raise raise)
{
    if (raise == TK_RAISE_TIMEOUT) {
        tk_push_error(L, bind, "TimeoutError", "the deadline is over");
    } else {
        tk_push_error(L, bind, "TaskletExit", "killed");
    }
}

/* Pushes what is to be raised in it, which is thereby done with. */
static void push_raise(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    enum tk_raise raise = (enum tk_raise)body->task.raise;

    body->task.raise = TK_RAISE_NOTHING;
    if (raise != TK_RAISE_GIVEN) {
        tk_push_stop(L, bind, raise);
        return;
    }
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_rawgeti(L, -1, -(lua_Integer)body->anchor);
    lua_pushnil(L);
    lua_rawseti(L, -3, -(lua_Integer)body->anchor);
    lua_remove(L, -2);
}

RAISES void tk_check_raise(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    if (body != NULL && body->task.raise != TK_RAISE_NOTHING) {
        push_raise(L, bind, body);
        lua_error(L);
    }
}

/* ---- resuming ---- */

static void drop_event(lua_State *L, struct tk_bind *bind)
{
    bind->event.wait = NULL;
    if (bind->event.payload != NULL) {
        tk_push_payload(L, bind, bind->event.payload);
        lua_pop(L, 1);
    }
}

/* What is seldom to be done before a coroutine is resumed. Returns with how many arguments. */
__attribute__((noinline)) static int before_resume(struct tk_bind *bind, struct tk_body *body,
                                                   lua_State *co)
{
    bool raises = body->task.raise != TK_RAISE_NOTHING;
    int args = 0;

    if (bind->lint != NULL) {
        tk_lint_resume(bind, body);
    }
    if (!body->begun) {
        args = lua_gettop(co) - 1;
        body->begun = true;
    } else if (body->stock || body->preempted) {
        if (body->stock) {
            tk_stock_event(bind, body);
            raises = body->task.raise != TK_RAISE_NOTHING; /* it may find that there is something */
        } else {
            bind->raise_by_hook = raises;
        }
        if (raises) {
            lua_sethook(co, tk_raise_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
        }
        body->stock = body->preempted = false;
    }
    if (bind->pump != NULL) {
        bind->pump->used = bind->pump->looked = 0;
        tk_pump_watch(bind, co);
    }
    return args;
}

static void resume(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    struct tk_sched *sched = bind->sched;
    lua_State *co = body->co, *running = bind->running;
    int status, count = 0, barrier = bind->barrier, args = 0;
    unsigned runaway = bind->runaway;
    struct tk_stint stint = {0}, *outer = bind->stint;
    bool ended = false;

    if (!body->begun || body->stock || body->preempted || bind->closely) {
        args = before_resume(bind, body, co);
    }
    bind->resumes++;
    sched->current = &body->task;
    body->task.state = TK_RUNNING;
    body->task.sending = false;
    bind->running = co;
    bind->barrier = 0;
    bind->gave_way = false;
    bind->runaway = 0;
    bind->stint = &stint;
    if (atomic_load(&bind->interrupting) != 0 && lua_gethook(co) != tk_raise_hook) {
        /* it came when nobody ran, and is dealt with when all wait: this one may never do so */
        lua_sethook(co, bind->hooks->interrupt, LUA_MASKCOUNT, PATIENCE);
    }
    if (bind->memory != NULL) {
        tk_pool_exempt(bind->memory, false);
    }
    status = lua_resume(co, L, args, &count);
    if (bind->memory != NULL) {
        tk_pool_exempt(bind->memory, true);
    }
    bind->L = L;
    bind->running = running;
    bind->barrier = barrier;
    bind->last = body;
    if (sched->careful > 0) {
        sched->hooks->resumed(sched->context);
    }
    if (bind->runaway != 0) {
        ended = status == LUA_YIELD && tk_runaway_caught(L, bind, body);
    }
    bind->runaway = runaway;
    bind->stint = outer;
    tk_runaway_resume(bind);
    if (ended) {
        return;
    }
    if (bind->event.wait != NULL) {
        drop_event(L, bind); /* what waited for it was closed meanwhile */
    }
    if (status == LUA_YIELD) {
        body->since = sched->tick;
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
    tk_finish(L, bind, body, count, status == LUA_OK);
}

/*
 * Lua begins a collection when its memory has doubled, which a limit may not let come; and the one
 * that a refusal makes it do calls no finalizers, without which no tasklet goes.
 */
void tk_make_room(lua_State *L, struct tk_bind *bind)
{
    bool exempt;

    if (bind->memory != NULL && tk_pool_presses(bind->memory)) {
        exempt = tk_pool_exempt(bind->memory, false); /* scripts have finalizers as well */
        lua_gc(L, LUA_GCCOLLECT);
        tk_pool_exempt(bind->memory, exempt);
        tk_pool_collected(bind->memory);
    }
}

/* A drive of a host that has limits: what has been used since it began. */
struct stretch {
    bool limited;
    uint64_t since, total;
};

static void begin_stretch(const struct tk_bind *bind, struct stretch *stretch)
{
    stretch->limited = bind->memory != NULL || bind->max_count > 0 || bind->max_time > 0;
    stretch->since = bind->max_time > 0 ? bind->hooks->system_now(bind->context) : 0;
    stretch->total = bind->quota.total;
}

/* Somebody has run. Those of a chain together run no longer than one alone may: then the others
 * come, and the loop. */
static void look_at_stretch(lua_State *L, struct tk_bind *bind, const struct stretch *stretch)
{
    if ((bind->max_count > 0 && bind->quota.total - stretch->total >= bind->max_count) ||
        (bind->max_time > 0 &&
         bind->hooks->system_now(bind->context) - stretch->since >= bind->max_time)) {
        bind->sched->budget = 0;
    }
    tk_make_room(L, bind);
}

void tk_drive(struct tk_bind *bind)
{
    lua_State *L = bind->L;
    struct tk_task *task;
    struct stretch stretch;

    begin_stretch(bind, &stretch);
    while (bind->halt == 0 && (task = tk_sched_next(bind->sched)) != NULL) {
        struct tk_body *body = tk_container_of(task, struct tk_body, task);

        if (task->raise != TK_RAISE_NOTHING) {
            body->waiting = false;
            if (!body->begun) {
                push_raise(L, bind, body);
                tk_end_unbegun(L, bind, body, 0);
                tk_sched_hand_over(bind->sched, NULL);
                continue;
            }
        } else if (body->waiting) {
            if (!tk_task_take(bind->sched, task, &bind->event)) {
                task->state = TK_WAITING;
                if (task->selects) {
                    tk_channel_wait(L, bind, body); /* its offers have been taken away */
                }
                continue;
            }
            body->waiting = false;
        }
        resume(L, bind, body);
        bind->L = L;
        if (stretch.limited) {
            look_at_stretch(L, bind, &stretch);
        }
        if (bind->sched->batch != NULL) {
            tk_sched_hand_over(bind->sched, NULL); /* whom its end has woken */
        }
    }
}

void tk_drive_turn(struct tk_bind *bind)
{
    bool telling = bind->telling;

    if (telling) {
        tk_tell_ends(bind->L, bind);
        bind->telling = false;
    }
    tk_drive(bind);
    bind->telling = telling;
}

/* ---- giving way ---- */

bool tk_can_give_way(lua_State *L, const struct tk_bind *bind)
{
    return tk_current(bind) != NULL && bind->running == L && bind->barrier == 0 &&
           lua_isyieldable(L);
}

void tk_drop_given(lua_State *L, struct tk_bind *bind, const struct tk_body *body)
{
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_pushnil(L);
    lua_rawseti(L, -2, -(lua_Integer)body->anchor);
    lua_pop(L, 1);
}

void tk_drop_raise(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    if (body->task.raise == TK_RAISE_GIVEN) {
        tk_drop_given(L, bind, body);
    }
    body->task.raise = TK_RAISE_NOTHING;
}

RAISES int tk_give_way(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context)
{
    bind->gave_way = true;
    return lua_yieldk(L, 0, context, k);
}

RAISES void tk_run_nested(lua_State *L, struct tk_bind *bind)
{
    lua_State *running = bind->running;
    uint64_t used = bind->pump == NULL ? 0 : bind->pump->used;
    uint64_t total = bind->pump == NULL ? 0 : bind->pump->total;
    int barrier = bind->barrier;
    bool exempt = bind->memory != NULL && tk_pool_exempt(bind->memory, true);
    struct tk_frame frame;

    luaL_checkstack(L, 20, NULL);
    if (running == NULL) {
        tk_sched_tick(bind->sched, bind->hooks->now(bind->context)); /* time has passed outside */
    }
    tk_stint_begin(bind);
    tk_sched_enter(bind->sched, &frame);
    bind->sched->current = NULL;
    bind->running = NULL;
    bind->L = L;
    tk_drive(bind);
    bind->running = running;
    bind->barrier = barrier;
    bind->gave_way = false; /* whoever did, it was not the caller */
    if (bind->pump != NULL) {
        bind->pump->used = bind->pump->looked = used; /* what others have run is not the caller's */
        if (bind->pump == &bind->quota) {
            bind->pump->used += bind->pump->total - total; /* but the limit's: it has them run */
        }
    }
    if (bind->memory != NULL) {
        tk_pool_exempt(bind->memory, exempt);
    }
    tk_sched_leave(bind->sched);
    tk_stint_look(bind);
    tk_runaway_resume(bind);
}

RAISES int tk_hand_over(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context)
{
    if (bind->sched->batch != NULL) {
        if (tk_can_give_way(L, bind)) {
            tk_sched_hand_over(bind->sched, bind->sched->current);
            return tk_give_way(L, bind, k, context);
        }
        tk_run_nested(L, bind);
    }
    tk_check_raise(L, bind);
    return k(L, LUA_OK, context);
}

/* ---- from outside ---- */

RAISES void tk_put_raise(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_insert(L, -2);
    lua_rawseti(L, -2, -(lua_Integer)body->anchor);
    lua_pop(L, 1);
    body->task.raise = TK_RAISE_GIVEN;
}

RAISES void tk_throw(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    tk_put_raise(L, bind, body);
    tk_task_wake(bind->sched, &body->task);
}

void tk_run_open(lua_State *L, struct tk_bind *bind)
{
    static const int slots[] = {TABLE_BODY, TABLE_HANDLER};
    static const lua_CFunction functions[] = {body_main, handler};

    for (int i = 0; i < 2; i++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushcclosure(L, functions[i], 1);
        tk_set_table(L, bind, slots[i]);
    }
}
