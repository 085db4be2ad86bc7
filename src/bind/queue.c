/*
 * The run queue by hand: insert, remove, run, switch, schedule, and what a tasklet says of its
 * place in it. Method for method Stackless' tasklet, save that a run queue of priorities stands for
 * its ring.
 */
#include "bind/bind.h"

/* ---- the value that schedule, run and switch return ---- */

/* `self` is where the tasklet is; 0: it is anchored. */
static void set_temp(lua_State *L, struct tk_bind *bind, struct tk_body *body, int self, int index)
{
    index = lua_absindex(L, index);
    tk_push_table(L, bind, TABLE_TEMPVALS);
    if (self != 0) {
        lua_pushvalue(L, self);
    } else {
        tk_push_body(L, bind, body);
    }
    lua_pushvalue(L, index);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    body->temp = !lua_isnil(L, index);
}

static void push_temp(lua_State *L, struct tk_bind *bind, const struct tk_body *body, int self)
{
    if (!body->temp) {
        lua_pushnil(L);
        return;
    }
    tk_push_table(L, bind, TABLE_TEMPVALS);
    if (self != 0) {
        lua_pushvalue(L, self);
    } else {
        tk_push_body(L, bind, body);
    }
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

/* The caller goes on: returns its `tempval`, or raises, and the value is used up either way. */
static int scheduled(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    (void)status;
    (void)context;
    if (body == NULL) {
        lua_pushnil(L);
        return 1;
    }
    push_temp(L, bind, body, 0);
    if (body->temp) {
        lua_pushnil(L);
        set_temp(L, bind, body, 0, -1);
        lua_pop(L, 1);
    }
    tk_check_raise(L, bind);
    return 1;
}

static int get_tempval(lua_State *L)
{
    push_temp(L, tk_bind_of(L), lua_touserdata(L, 1), 1);
    return 1;
}

void tk_set_tempval(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    set_temp(L, bind, body, 1, 3);
}

/* ---- the functions ---- */

/* The tasklet at 1, which is alive and not blocked; `verb` is for the message. */
static struct tk_body *check_runnable(lua_State *L, struct tk_bind *bind, const char *verb)
{
    struct tk_body *body = tk_check_body(L, 1, bind);

    tk_check_open(L, bind);
    if (!body->task.begun) {
        tk_raise(L, "cannot %s a tasklet that is %s", verb,
                 body->task.state == TK_ENDED ? "dead"
                 : body->bound                ? "not set up"
                                              : "unbound");
    }
    if (body->task.state != TK_PAUSED && body->task.state != TK_RUNNING &&
        !tk_task_scheduled(&body->task)) {
        tk_raise(L, "cannot %s a blocked tasklet", verb);
    }
    return body;
}

/* t:insert(): t, if it is paused, goes to the end of the run queue. Returns t. */
static int tasklet_insert(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = check_runnable(L, bind, "insert");

    if (body->task.state == TK_PAUSED) {
        tk_task_insert(bind->sched, &body->task);
    }
    lua_settop(L, 1);
    return 1;
}

/* t:remove(): t, if it is scheduled, is paused. Returns t. */
static int tasklet_remove(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    tk_check_open(L, bind);
    lua_settop(L, 1);
    if (!body->task.begun || body->task.state == TK_PAUSED) {
        return 1;
    }
    if (body == tk_current(bind)) {
        return tk_raise(L, "cannot remove the current tasklet");
    }
    if (body->task.state == TK_RUNNING) {
        return tk_raise(L, "cannot remove a tasklet that runs others nested");
    }
    check_runnable(L, bind, "remove");
    tk_task_pause(bind->sched, &body->task);
    return 1;
}

/* t:run(): t runs now, and the caller stays runnable. */
RAISES int tk_queue_run(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = check_runnable(L, bind, "run"), *current = tk_current(bind);

    if (body == current) {
        return scheduled(L, LUA_OK, 0);
    }
    if (body->task.state == TK_RUNNING) {
        return tk_raise(L, "cannot run a tasklet that runs others nested");
    }
    if (body->task.state == TK_PAUSED || !tk_can_give_way(L, bind)) {
        tk_task_wake(bind->sched, &body->task);
        if (tk_can_give_way(L, bind)) {
            return tk_hand_over(L, bind, scheduled, 0);
        }
        tk_run_nested(L, bind);
        return scheduled(L, LUA_OK, 0);
    }
    tk_task_give_way(bind->sched, &current->task);
    tk_task_run_next(bind->sched, &body->task);
    return tk_give_way(L, bind, scheduled, 0);
}

/* t:switch(): t runs now, and the caller is paused. */
static int tasklet_switch(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = check_runnable(L, bind, "switch to"), *current = tk_check_wait(L, bind);

    if (body == current) {
        return scheduled(L, LUA_OK, 0);
    }
    if (body->task.state == TK_RUNNING) {
        return tk_raise(L, "cannot switch to a tasklet that runs others nested");
    }
    tk_task_run_next(bind->sched, &body->task);
    tk_task_pause(bind->sched, &current->task);
    return tk_give_way(L, bind, scheduled, 0);
}

/* What the caller gives is what it gets back, unless somebody sets its `tempval` meanwhile; absent,
 * it is the current tasklet. */
static struct tk_body *prepare(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_check_wait(L, bind);

    if (lua_gettop(L) == 0) {
        tk_push_body(L, bind, body);
    }
    lua_settop(L, 1);
    set_temp(L, bind, body, 0, 1);
    return body;
}

/* schedule(value): the current tasklet goes to the end of the run queue. */
static int schedule(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_task_give_way(bind->sched, &prepare(L, bind)->task);
    return tk_give_way(L, bind, scheduled, 0);
}

/* schedule_remove(value): the current tasklet is paused. */
static int schedule_remove(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_task_pause(bind->sched, &prepare(L, bind)->task);
    return tk_give_way(L, bind, scheduled, 0);
}

/* getmain(): the tasklet of the host's main chunk; nil in plain Lua. */
static int getmain(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    if (bind->main_task == NULL || bind->main_task->task.state == TK_ENDED) {
        lua_pushnil(L);
    } else {
        tk_push_body(L, bind, bind->main_task);
    }
    return 1;
}

/* getruncount(): how many are runnable, the current one included. */
static int getruncount(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    size_t count = bind->sched == NULL ? 0 : tk_sched_count(bind->sched);

    lua_pushinteger(L, (lua_Integer)count + (tk_current(bind) != NULL));
    return 1;
}

/* The tasklet at 1 whose flag is set to what is at 2, a boolean or nil; without one it is the
 * current tasklet's. */
static struct tk_body *check_target(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body;

    if ((lua_isboolean(L, 1) || lua_isnil(L, 1)) && tk_current(bind) != NULL) {
        lua_settop(L, 1);
        tk_push_body(L, bind, tk_current(bind));
        lua_insert(L, 1);
    }
    body = tk_check_body(L, 1, bind);
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TBOOLEAN);
    }
    return body;
}

/* t:set_atomic(flag), set_atomic(flag): the old value. */
static int set_atomic(lua_State *L)
{
    struct tk_body *body = check_target(L);

    lua_pushboolean(L, body->atomic);
    body->atomic = lua_toboolean(L, 2);
    return 1;
}

/* t:set_ignore_nesting(flag), set_ignore_nesting(flag): the old value. */
static int set_ignore_nesting(lua_State *L)
{
    struct tk_body *body = check_target(L);

    lua_pushboolean(L, body->ignore_nesting);
    body->ignore_nesting = lua_toboolean(L, 2);
    return 1;
}

/* ---- attributes ---- */

static int push_flag(lua_State *L, bool flag)
{
    lua_pushboolean(L, flag);
    return 1;
}

static bool is_blocked(const struct tk_task *task)
{
    return (task->state == TK_WAITING || task->state == TK_BLOCKED) && !tk_task_queued(task);
}

static int get_alive(lua_State *L)
{
    return push_flag(L, ((const struct tk_body *)lua_touserdata(L, 1))->task.begun);
}

static int get_paused(lua_State *L)
{
    return push_flag(L, ((const struct tk_body *)lua_touserdata(L, 1))->task.state == TK_PAUSED);
}

static int get_blocked(lua_State *L)
{
    return push_flag(L, is_blocked(&((const struct tk_body *)lua_touserdata(L, 1))->task));
}

static int get_scheduled(lua_State *L)
{
    const struct tk_body *body = lua_touserdata(L, 1);

    return push_flag(L, body->task.begun && body->task.state != TK_PAUSED);
}

/* Whether it could be restored from a file: none can. */
static int get_restorable(lua_State *L)
{
    return push_flag(L, false);
}

static int get_is_current(lua_State *L)
{
    return push_flag(L, lua_touserdata(L, 1) == tk_current(tk_bind_of(L)));
}

static int get_is_main(lua_State *L)
{
    return push_flag(L, lua_touserdata(L, 1) == tk_bind_of(L)->main_task);
}

static int get_atomic(lua_State *L)
{
    return push_flag(L, ((const struct tk_body *)lua_touserdata(L, 1))->atomic);
}

static int get_ignore_nesting(lua_State *L)
{
    return push_flag(L, ((const struct tk_body *)lua_touserdata(L, 1))->ignore_nesting);
}

static int get_block_trap(lua_State *L)
{
    return push_flag(L, ((const struct tk_body *)lua_touserdata(L, 1))->block_trap);
}

static int push_task(lua_State *L, struct tk_bind *bind, struct tk_task *task)
{
    if (task == NULL) {
        lua_pushnil(L);
    } else {
        tk_push_body(L, bind, tk_container_of(task, struct tk_body, task));
    }
    return 1;
}

/* The run queue is a ring: the current one stands between its end and its beginning. One that waits
 * on a channel stands in the line of that. */
static int push_neighbour(lua_State *L, bool next)
{
    struct tk_bind *bind = tk_bind_of(L);
    const struct tk_body *body = lua_touserdata(L, 1);
    const struct tk_task *task = &body->task;
    struct tk_task *current = bind->sched == NULL ? NULL : bind->sched->current, *found;

    if (bind->sched != NULL && task->offering && is_blocked(task)) {
        tk_push_channel_neighbour(L, bind, body, next);
        return 1;
    }
    if (bind->sched == NULL || (task != current && !tk_task_scheduled(task))) {
        lua_pushnil(L);
        return 1;
    }
    task = task == current ? NULL : task;
    found = next ? tk_sched_after(bind->sched, task) : tk_sched_before(bind->sched, task);
    return push_task(L, bind, found == NULL ? current : found);
}

static int get_next(lua_State *L)
{
    return push_neighbour(L, true);
}

static int get_prev(lua_State *L)
{
    return push_neighbour(L, false);
}

/* How many C calls are beneath it that it cannot leave by itself: nested runs. */
static int get_nesting_level(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_pushinteger(L, lua_touserdata(L, 1) == tk_current(bind) ? bind->sched->depth : 0);
    return 1;
}

/* How many functions are active in it. */
static int get_recursion_depth(lua_State *L)
{
    const struct tk_body *body = lua_touserdata(L, 1);
    lua_Debug ar;
    int low = 0, high = 1;

    if (body->co == NULL || !body->begun) {
        lua_pushinteger(L, 0);
        return 1;
    }
    while (lua_getstack(body->co, high, &ar)) {
        low = high;
        high *= 2;
    }
    while (low + 1 < high) { /* level `low` is there, `high` is not */
        int middle = (low + high) / 2;

        if (lua_getstack(body->co, middle, &ar)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    lua_pushinteger(L, low); /* without the body's frame */
    return 1;
}

const luaL_Reg tk_queue_getters[] = {
    {"alive", get_alive},
    {"atomic", get_atomic},
    {"block_trap", get_block_trap},
    {"blocked", get_blocked},
    {"ignore_nesting", get_ignore_nesting},
    {"is_current", get_is_current},
    {"is_main", get_is_main},
    {"nesting_level", get_nesting_level},
    {"next", get_next},
    {"paused", get_paused},
    {"prev", get_prev},
    {"recursion_depth", get_recursion_depth},
    {"restorable", get_restorable},
    {"scheduled", get_scheduled},
    {"tempval", get_tempval},
    {NULL, NULL},
};

/* The stack's top is the module's table. */
void tk_queue_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {{"insert", tasklet_insert},
                                         {"remove", tasklet_remove},
                                         {"switch", tasklet_switch},
                                         {"schedule", schedule},
                                         {"schedule_remove", schedule_remove},
                                         {"getmain", getmain},
                                         {"getruncount", getruncount},
                                         {"set_atomic", set_atomic},
                                         {"set_ignore_nesting", set_ignore_nesting},
                                         {NULL, NULL}};

    (void)bind;
    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, functions);
    lua_pop(L, 1);
}
