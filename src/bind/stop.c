/*
 * Stopping: kill and survive, the limits that the Lua part enters (deadlines, shields, blocks), and
 * join callbacks and monitors, which are told of the end.
 */
#include <math.h>

#include "bind/bind.h"

/* ---- join callbacks ---- */

static int late_callbacks(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = lua_touserdata(L, 1);

    lua_settop(L, 1);
    if (body->task.state == TK_ENDED) { /* else it has been bound anew, and they have been called */
        tk_call_callbacks(L, bind, 1, body);
    }
    return 0;
}

/* Adds to a counter of the table on top. */
static lua_Integer change(lua_State *L, const char *counter, lua_Integer by)
{
    lua_Integer value;

    lua_getfield(L, -1, counter);
    value = lua_tointeger(L, -1) + by;
    lua_pop(L, 1);
    lua_pushinteger(L, value);
    lua_setfield(L, -2, counter);
    return value;
}

/* t:add_join_callback(f, ...): a handle. */
int tk_add_join_callback(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);
    int count = lua_gettop(L) - 1;
    lua_Integer handle;

    tk_check_open(L, bind);
    luaL_checkany(L, 2);
    luaL_argcheck(L, count <= MAX_CALLBACK_ARGS, MAX_CALLBACK_ARGS + 2, "too many arguments");
    if (!lua_isfunction(L, 2) && luaL_getmetafield(L, 2, "__call") == LUA_TNIL) {
        luaL_typeerror(L, 2, "function");
    }
    lua_settop(L, count + 1);
    lua_createtable(L, count, 1);
    lua_insert(L, 2);
    for (int i = count; i > 0; i--) {
        lua_rawseti(L, 2, i);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, 2, "n");
    tk_push_table(L, bind, TABLE_CALLBACKS);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 3) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, 3);
    }
    handle = change(L, "last", 1);
    change(L, "live", 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, handle);
    tk_observe(bind, body);
    if (body->task.state == TK_ENDED && !body->callbacks) {
        lua_settop(L, 1);
        tk_push_table(L, bind, TABLE_TASKLET);
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushcclosure(L, late_callbacks, 1);
        lua_pushvalue(L, 1);
        struct tk_body *late = tk_body_make(L, bind, 3, 1, 2, false);

        tk_task_begin(bind->sched, &late->task, false);
    }
    body->callbacks = true;
    lua_pushinteger(L, handle);
    return 1;
}

static int remove_join_callback(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    luaL_checkinteger(L, 2);
    tk_push_table(L, bind, TABLE_CALLBACKS);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TTABLE || lua_rawgeti(L, -1, lua_tointeger(L, 2)) != LUA_TTABLE) {
        return tk_raise(L, "unknown join callback %d", (int)lua_tointeger(L, 2));
    }
    lua_pop(L, 1);
    lua_pushnil(L);
    lua_rawseti(L, -2, lua_tointeger(L, 2));
    if (change(L, "live", -1) > 0) {
        return 0;
    }
    if (body->task.state != TK_ENDED) {
        body->callbacks = false; /* nobody is told of its end any more */
    }
    return 0;
}

/* ---- monitors ---- */

/* Sends `watcher`, on top of the stack and popped, word of the end of the tasklet at `index`. */
static void tell(lua_State *L, struct tk_bind *bind, int index, const struct tk_body *body)
{
    struct tk_body *watcher = lua_touserdata(L, -1);

    if (watcher->task.state == TK_ENDED) {
        lua_pop(L, 1);
        return;
    }
    lua_createtable(L, 0, 3);
    lua_pushvalue(L, index);
    lua_setfield(L, -2, "tasklet");
    tk_push_result(L, index, body);
    lua_setfield(L, -2, "retval");
    tk_push_failure(L, index, body);
    lua_setfield(L, -2, "error");
    tk_message_notify(L, bind, watcher, bind->down);
    lua_pop(L, 1);
}

bool tk_has_monitors(lua_State *L, struct tk_bind *bind, int index)
{
    int top = lua_gettop(L);
    bool has = false;

    tk_push_table(L, bind, TABLE_MONITORS);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_getfield(L, top + 2, "n");
    for (lua_Integer i = lua_tointeger(L, -1); i > 0 && !has; i--) {
        has = lua_rawgeti(L, top + 2, i) == LUA_TUSERDATA &&
              ((const struct tk_body *)lua_touserdata(L, -1))->task.state != TK_ENDED;
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    return has;
}

void tk_tell_monitors(lua_State *L, struct tk_bind *bind, int index, const struct tk_body *body)
{
    int top = lua_gettop(L);
    lua_Integer count;

    tk_push_table(L, bind, TABLE_MONITORS);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_getfield(L, top + 2, "n");
    count = lua_tointeger(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, top + 2, i) == LUA_TUSERDATA) {
            tell(L, bind, index, body);
        }
        lua_settop(L, top + 2);
    }
    lua_settop(L, top);
}

/* Pushes a list that does not keep its elements. */
static void push_weak_list(lua_State *L)
{
    lua_createtable(L, 1, 1);
    lua_pushinteger(L, 0);
    lua_setfield(L, -2, "n");
    if (luaL_newmetatable(L, "tasklet.monitors")) {
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
    }
    lua_setmetatable(L, -2);
}

static int told(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    return 0;
}

/* t:monitor(): the current tasklet is sent a message "down" when t ends; now if it has. */
static int tasklet_monitor(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind), *watcher = tk_current(bind);
    lua_Integer count;

    tk_check_open(L, bind);
    lua_settop(L, 1);
    if (watcher == NULL) {
        return tk_raise(L, "no tasklet is running");
    }
    tk_observe(bind, body);
    if (body->task.state == TK_ENDED) {
        tk_push_body(L, bind, watcher);
        tell(L, bind, 1, body);
        return tk_hand_over(L, bind, told, 0);
    }
    tk_push_table(L, bind, TABLE_MONITORS);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) == LUA_TNIL) {
        lua_pop(L, 1);
        push_weak_list(L);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, 2);
    }
    lua_getfield(L, 3, "n");
    count = lua_tointeger(L, -1) + 1;
    tk_push_body(L, bind, watcher);
    lua_rawseti(L, 3, count);
    lua_pushinteger(L, count);
    lua_setfield(L, 3, "n");
    body->monitored = true;
    return 0;
}

/* ---- kill and survive ---- */

static int after_kill(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    return 0;
}

RAISES void tk_kill(lua_State *L, struct tk_bind *bind, struct tk_body *body, int index)
{
    bool given;

    if (body->task.state == TK_ENDED) {
        return;
    }
    if (!body->begun) {
        body->task.killed = true;
        tk_push_error(L, bind, "TaskletExit", "killed");
        tk_end_unbegun(L, bind, body, index);
        return;
    }
    given = body->task.raise == TK_RAISE_GIVEN;
    tk_task_kill(bind->sched, &body->task);
    if (given && body->task.raise != TK_RAISE_GIVEN) { /* else it is shielded, and that is not */
        tk_drop_given(L, bind, body);
    }
}

/* t:kill() */
static int tasklet_kill(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    tk_check_open(L, bind);
    lua_settop(L, 1);
    tk_kill(L, bind, body, 1);
    if (body == tk_current(bind) && tk_limit_pending(&body->task) == TK_RAISE_EXIT) {
        return tk_raise_class(L, "TaskletExit", "killed");
    }
    return tk_hand_over(L, bind, after_kill, 0);
}

/* For the Lua part: kill(t) leaves it to hand_over(), or to the end of the tasklet that ends now,
 * to run it. */
static int kill_later(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_kill(L, bind, tk_check_body(L, 1, bind), 1);
    return 0;
}

/* leave_scope(t): t, which has ended, belongs to its scope no more, before its turn comes. */
static int leave_scope(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_leave_scope(L, bind, 1, tk_check_body(L, 1, bind));
    return 0;
}

/* library(flag): whether the current tasklet is inside a part of the library that preemption must
 * not cut in two. Returns what it was. */
static int set_library(lua_State *L)
{
    struct tk_body *body = tk_current(tk_bind_of(L));

    lua_pushboolean(L, body != NULL && body->library);
    if (body != NULL) {
        body->library = lua_toboolean(L, 1);
    }
    return 1;
}

/* is_open(): tasklets still run. */
static int is_open(lua_State *L)
{
    const struct tk_bind *bind = tk_bind_of(L);

    lua_pushboolean(L, bind->sched != NULL && !bind->closing);
    return 1;
}

static int hand_over(lua_State *L)
{
    return tk_hand_over(L, tk_bind_of(L), after_kill, 0);
}

/* survive(): the current tasklet takes no further notice of having been killed. */
static int tasklet_survive(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body == NULL) {
        return tk_raise(L, "no tasklet is running");
    }
    tk_task_survive(bind->sched, &body->task);
    tk_drop_raise(L, bind, body);
    if (body->task.daemon) {
        tk_task_count(bind->sched, &body->task, false);
    }
    return 0;
}

/* ---- limits ---- */

static const char limit_type[] = "tasklet.limit";

/* The limit at 1; a userdata, which leaves it when it is closed or collected. */
static struct tk_limit *check_limit(lua_State *L)
{
    return luaL_checkudata(L, 1, limit_type);
}

/* limit(seconds, shield): the current tasklet enters a limit; negative seconds: for ever. */
static int limit_new(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);
    lua_Number seconds = luaL_checknumber(L, 1);
    bool shield = lua_toboolean(L, 2);
    struct tk_limit *limit;
    uint64_t due = UINT64_MAX;

    tk_check_open(L, bind);
    if (body == NULL) {
        return tk_raise(L, "no tasklet is running");
    }
    if (seconds >= 0 && seconds < 4e9) {
        due = bind->hooks->now(bind->context) + (uint64_t)ceil(seconds * 1e9);
    }
    limit = lua_newuserdatauv(L, sizeof *limit, 0);
    limit->owner = NULL;
    luaL_setmetatable(L, limit_type);
    tk_limit_enter(bind->sched, limit, &body->task, shield, due);
    return 1;
}

static int limit_leave(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    if (bind->sched != NULL) {
        tk_limit_leave(bind->sched, check_limit(L));
    }
    return 0;
}

/* limit:adopt(t, entry): t, which has not begun, belongs to the block that the limit is around;
 * when it is over, or bound anew, the Lua part's left_scope(t, entry) is called. */
static int limit_adopt(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_limit *limit = check_limit(L);
    struct tk_body *body = tk_check_body(L, 2, bind);

    tk_check_open(L, bind);
    if (limit->owner == NULL) {
        return tk_raise(L, "the scope has ended");
    }
    if (tk_limit_adopt(bind->sched, limit, &body->task) < 0) {
        luaL_error(L, "not enough memory");
    }
    tk_push_table(L, bind, TABLE_MEMBERS);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    body->member = true;
    return 0;
}

/* limit:cut(): the block is left at its owner's next wait, or where it waits; as kill(t) of the Lua
 * part. */
static int limit_cut(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_limit *limit = check_limit(L);
    struct tk_task *owner = limit->owner;
    bool given = owner != NULL && owner->raise == TK_RAISE_GIVEN;

    tk_check_open(L, bind);
    tk_limit_cut(bind->sched, limit);
    if (given && owner->raise != TK_RAISE_GIVEN) {
        tk_drop_given(L, bind, tk_container_of(owner, struct tk_body, task));
    }
    return 0;
}

/* limit:over(): is its deadline over, or one around it? */
static int limit_over(lua_State *L)
{
    lua_pushboolean(L, tk_limit_over(check_limit(L)));
    return 1;
}

/* limit:in_force(): has it not been left? */
static int limit_in_force(lua_State *L)
{
    lua_pushboolean(L, check_limit(L)->owner != NULL);
    return 1;
}

/* ---- opening ---- */

/* The stack's top is the module's table. */
void tk_stop_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {{"kill", tasklet_kill},
                                         {"survive", tasklet_survive},
                                         {"monitor", tasklet_monitor},
                                         {"add_join_callback", tk_add_join_callback},
                                         {"remove_join_callback", remove_join_callback},
                                         {NULL, NULL}};
    static const luaL_Reg core[] = {
        {"limit", limit_new}, {"kill", kill_later},     {"hand_over", hand_over},
        {"is_open", is_open}, {"library", set_library}, {"leave_scope", leave_scope},
        {NULL, NULL}};
    static const luaL_Reg methods[] = {{"leave", limit_leave},       {"adopt", limit_adopt},
                                       {"cut", limit_cut},           {"over", limit_over},
                                       {"in_force", limit_in_force}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__close", limit_leave}, {"__gc", limit_leave}, {NULL, NULL}};

    bind->down = tk_atom_take(&bind->sched->atoms, "down", 4);
    if (bind->down == NULL) {
        luaL_error(L, "not enough memory");
    }
    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, functions);
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
    luaL_newmetatable(L, limit_type);
    tk_set_functions(L, meta);
    lua_newtable(L);
    tk_set_functions(L, methods);
    lua_setfield(L, -2, "__index");
    tk_protect(L, bind);
    lua_pop(L, 1);
}
