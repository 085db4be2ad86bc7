/*
 * The object Tasklet: making one, its class and classes derived from it, its attributes, run, join
 * callbacks, kill.
 *
 * The userdata holds the core's task. It is anchored from its begin to its end, so that nobody
 * needs to hold it.
 */
#include <string.h>

#include "bind/bind.h"

/* Upvalues of the metamethods of a class, behind the binding. */
enum { UP_CLASS = 2, UP_GETTERS = 3, UP_INSTANCES = 2 };

/* A metatable is one of a tasklet if it has this key. */
static const char class_key = 'T';

struct tk_body *tk_to_body(lua_State *L, int index, const struct tk_bind *bind)
{
    bool is;

    (void)bind;
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) {
        return NULL;
    }
    is = lua_rawgetp(L, -1, &class_key) != LUA_TNIL;
    lua_pop(L, 2);
    return is ? lua_touserdata(L, index) : NULL;
}

RAISES struct tk_body *tk_check_body(lua_State *L, int index, const struct tk_bind *bind)
{
    struct tk_body *body = tk_to_body(L, index, bind);

    if (body == NULL) {
        luaL_typeerror(L, index, "Tasklet");
    }
    return body;
}

void tk_push_body(lua_State *L, struct tk_bind *bind, const struct tk_body *body)
{
    tk_push_anchored(L, bind, body->anchor);
}

bool tk_is_startable(lua_State *L, struct tk_bind *bind, int index)
{
    lua_Debug ar;

    if (lua_isfunction(L, index)) {
        return true;
    }
    if (lua_isthread(L, index)) {
        lua_State *co = lua_tothread(L, index);

        return co != L && lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) == 0 &&
               lua_gettop(co) == 1 && lua_isfunction(co, 1) && !tk_is_owned(L, bind, co);
    }
    return false;
}

/* ---- names ---- */

/* A function's name: the one it has in a loaded module, else its place. */
static void push_function_name(lua_State *L)
{
    lua_Debug ar;
    int function = lua_gettop(L);

    lua_getglobal(L, "_G");
    if (lua_istable(L, -1)) {
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, function)) {
                lua_pop(L, 1);
                lua_replace(L, function);
                lua_settop(L, function);
                return;
            }
            lua_pop(L, 1);
        }
    }
    lua_settop(L, function);
    lua_getinfo(L, ">S", &ar);
    if (*ar.what == 'C') {
        lua_pushliteral(L, "C function");
    } else {
        lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
    }
}

RAISES const char *tk_push_name(lua_State *L, struct tk_bind *bind, int index)
{
    struct tk_body *body = lua_touserdata(L, index);

    (void)bind;
    lua_getiuservalue(L, index, UV_BODY);
    if (!body->named && lua_isfunction(L, -1)) {
        push_function_name(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, index < 0 ? index - 2 : index, UV_BODY);
        body->named = true;
    } else if (!lua_isstring(L, -1)) {
        lua_pop(L, 1);
        lua_pushliteral(L, "?");
    }
    return lua_tostring(L, -1);
}

/* ---- making ---- */

/* Pushes who starts it: the nearest Lua function below and its line, or nil and 0. */
static void push_starter(lua_State *L)
{
    lua_Debug ar;

    /* Level 0 is the C function that asks. */
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "lf", &ar);
        if (ar.currentline > 0) {
            lua_pushinteger(L, ar.currentline);
            return;
        }
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    lua_pushinteger(L, 0);
}

/* A coroutine of the pool, or a new one; pushes it. */
static lua_State *push_coroutine(lua_State *L, struct tk_bind *bind)
{
    lua_State *co;

    if (bind->pool == 0) {
        return lua_newthread(L);
    }
    tk_push_table(L, bind, TABLE_POOL);
    lua_rawgeti(L, -1, bind->pool);
    lua_pushnil(L);
    lua_rawseti(L, -3, bind->pool--);
    lua_remove(L, -2);
    co = lua_tothread(L, -1);
    return co;
}

RAISES struct tk_body *tk_body_make(lua_State *L, struct tk_bind *bind, int index, int nargs,
                                    int metatable, bool self)
{
    bool given = lua_isthread(L, index);
    int first = lua_gettop(L) - nargs + 1, ud = first + nargs;
    struct tk_body *body;
    lua_State *co;

    luaL_checkstack(L, nargs + 20, "too many arguments");
    body = lua_newuserdatauv(L, sizeof *body, UV_COUNT);
    memset(body, 0, sizeof *body);
    tk_task_init(&body->task);
    body->anchor = LUA_NOREF;
    body->number = ++bind->numbers;
    body->pooled = !given;
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, ud);
    if (given) {
        lua_pushvalue(L, index);
        co = lua_tothread(L, -1);
    } else {
        co = push_coroutine(L, bind);
    }
    lua_setiuservalue(L, ud, UV_THREAD);
    if (!lua_checkstack(co, nargs + 20)) {
        luaL_error(L, "too many arguments");
    }
    tk_push_table(L, bind, TABLE_BODY);
    lua_pushvalue(L, ud);
    push_starter(L);
    tk_push_table(L, bind, TABLE_HANDLER);
    if (given) {
        lua_xmove(co, L, 1); /* its function */
    } else {
        lua_pushvalue(L, index);
    }
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, ud, UV_BODY);
    if (self) {
        lua_pushvalue(L, ud);
    }
    for (int i = 0; i < nargs; i++) {
        lua_pushvalue(L, first + i);
    }
    lua_xmove(L, co, 6 + nargs + self);
    body->co = co;
    if (given) {
        tk_own_coroutine(L, bind, co, true);
    }
    lua_pushvalue(L, ud);
    body->anchor = tk_anchor(L, bind);
    lua_copy(L, ud, first);
    lua_settop(L, first);
    return body;
}

/* ---- starting ---- */

/* Returns the tasklet that lies at the frame's `context`. */
static int started(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);

    if (status == LUA_YIELD) {
        tk_check_raise(L, bind);
    }
    lua_pushvalue(L, (int)context);
    return 1;
}

/* Stack: metatable, function, arguments. Starts a tasklet, which runs up to its first wait. */
static int start(lua_State *L, struct tk_bind *bind, bool self)
{
    struct tk_body *body = tk_body_make(L, bind, 2, lua_gettop(L) - 2, 1, self);
    int at = lua_gettop(L);

    if (self && lua_getfield(L, 1, "name") == LUA_TSTRING) {
        lua_setiuservalue(L, at, UV_BODY);
        body->named = true;
    }
    lua_settop(L, at);

    tk_task_begin(bind->sched, &body->task, true);
    return tk_hand_over(L, bind, started, at);
}

static int tasklet_run(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_check_open(L, bind);
    if (!tk_is_startable(L, bind, 1)) {
        luaL_typeerror(L, 1, "function or fresh coroutine");
    }
    tk_push_table(L, bind, TABLE_TASKLET);
    lua_insert(L, 1);
    return start(L, bind, false);
}

/* Class(...): Tasklet itself takes the body first, a class derived from it has the body as its
 * method `run`. */
static int class_call(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_check_open(L, bind);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(UP_INSTANCES));
    tk_push_table(L, bind, TABLE_TASKLET);
    if (lua_rawequal(L, -1, -2)) {
        lua_settop(L, lua_gettop(L) - 2);
        lua_remove(L, 1);
        return tasklet_run(L);
    }
    lua_pop(L, 1);
    lua_replace(L, 1); /* the instances' metatable for the class */
    lua_rawgetp(L, 1, &class_key);
    lua_getfield(L, -1, "run");
    lua_remove(L, -2);
    if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1)) {
        return tk_raise(L, "the class has no method 'run'");
    }
    lua_insert(L, 2);
    return start(L, bind, true);
}

/* ---- attributes ---- */

void tk_push_result(lua_State *L, int index, const struct tk_body *body)
{
    if (body->task.state != TK_ENDED || body->failed) {
        lua_pushnil(L);
        return;
    }
    lua_getiuservalue(L, index, UV_OUTCOME);
    if (body->packed) {
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
    }
}

void tk_push_failure(lua_State *L, int index, const struct tk_body *body)
{
    if (body->task.state != TK_ENDED || !body->failed) {
        lua_pushnil(L);
        return;
    }
    lua_getiuservalue(L, index, UV_OUTCOME);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
}

void tk_observe(struct tk_bind *bind, struct tk_body *body)
{
    if (body->unobserved) {
        body->unobserved = false;
        bind->failures--;
    }
}

enum { STATE_RUNNING, STATE_SUSPENDED, STATE_MSGSEND, STATE_ZOMBIE };

static int get_state(lua_State *L)
{
    const struct tk_body *body = lua_touserdata(L, 1);
    int state = STATE_SUSPENDED;

    if (body->task.state == TK_ENDED) {
        state = STATE_ZOMBIE;
    } else if (body->task.sending) {
        state = STATE_MSGSEND;
    } else if (body->task.state == TK_RUNNING ||
               (body->task.state == TK_HANDED && !body->waiting)) {
        state = STATE_RUNNING;
    }
    lua_pushinteger(L, state);
    return 1;
}

static int get_return_value(lua_State *L)
{
    tk_push_result(L, 1, lua_touserdata(L, 1));
    return 1;
}

static int get_name(lua_State *L)
{
    tk_push_name(L, tk_bind_of(L), 1);
    return 1;
}

static int tasklet_has_finished(lua_State *L)
{
    struct tk_body *body = tk_check_body(L, 1, tk_bind_of(L));

    lua_pushboolean(L, body->task.state == TK_ENDED);
    return 1;
}

static int tasklet_tostring(lua_State *L)
{
    static const char *const states[] = {"running", "suspended", "sending", "finished"};
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    lua_settop(L, 1);
    get_state(L);
    lua_pushfstring(L, "Tasklet '%s' #%d (%s)", tk_push_name(L, bind, 1), (int)body->number,
                    states[lua_tointeger(L, 2)]);
    return 1;
}

/* Pushes the table of fields of the object at 1, made if need be. */
static void push_fields(lua_State *L, struct tk_bind *bind, bool make)
{
    tk_push_table(L, bind, TABLE_FIELDS);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) == LUA_TNIL && make) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    }
    lua_remove(L, -2);
}

static int tasklet_index(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    if (body->fields) {
        push_fields(L, bind, false);
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL) {
            return 1;
        }
        lua_settop(L, 2);
    }
    lua_pushvalue(L, 2);
    if (lua_gettable(L, lua_upvalueindex(UP_CLASS)) != LUA_TNIL) {
        /* A class's `run` is its body; an instance's is the verb. */
        if (lua_isfunction(L, -1) && lua_type(L, 2) == LUA_TSTRING &&
            strcmp(lua_tostring(L, 2), "run") == 0) {
            tk_push_table(L, bind, TABLE_MODULE);
            lua_getfield(L, -1, "run");
        }
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(UP_GETTERS)) == LUA_TNIL) {
        return 1;
    }
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int tasklet_newindex(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(UP_GETTERS)) != LUA_TNIL) {
        return luaL_error(L, "attribute '%s' of a tasklet is read-only", lua_tostring(L, 2));
    }
    lua_pop(L, 1);
    push_fields(L, bind, true);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_rawset(L, -3);
    body->fields = true;
    return 0;
}

static int tasklet_gc(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = lua_touserdata(L, 1);

    if (bind->sched != NULL && body->task.state != TK_ENDED) {
        tk_verb_done(bind, body);
        tk_task_finish(bind->sched, &body->task);
    }
    return 0;
}

/* ---- join callbacks ---- */

static int late_callbacks(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_settop(L, 1);
    tk_call_callbacks(L, bind, 1, lua_touserdata(L, 1));
    return 0;
}

/* t:add_join_callback(f, ...): a handle. */
static int add_join_callback(lua_State *L)
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
    handle = (lua_Integer)lua_rawlen(L, -1) + 1;
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
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, lua_tointeger(L, 2));
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 0; i--) {
        if (lua_rawgeti(L, -1, i) == LUA_TTABLE) {
            return 0;
        }
        lua_pop(L, 1);
    }
    if (body->task.state != TK_ENDED) {
        body->callbacks = false; /* nobody is told of its end any more */
    }
    return 0;
}

/* ---- ending ---- */

static int after_kill(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    return 0;
}

RAISES void tk_kill(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    if (body->task.state == TK_ENDED) {
        return;
    }
    body->killed = true;
    tk_push_error(L, bind, "TaskletExit", "killed");
    if (lua_status(body->co) == LUA_OK && body->task.state != TK_RUNNING) {
        tk_end_unbegun(L, bind, body);
        return;
    }
    tk_verb_done(bind, body);
    tk_task_clear(bind->sched, &body->task);
    tk_throw(L, bind, body);
}

/* t:kill() */
static int tasklet_kill(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    tk_check_open(L, bind);
    if (body == tk_current(bind)) {
        body->killed = true;
        return tk_raise_class(L, "TaskletExit", "killed");
    }
    tk_kill(L, bind, body);
    return tk_hand_over(L, bind, after_kill, 0);
}

/* survive(): the current tasklet takes no further notice of having been killed. */
static int tasklet_survive(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body == NULL) {
        return tk_raise(L, "no tasklet is running");
    }
    body->killed = false;
    tk_drop_raise(L, bind, body);
    return 0;
}

static int tasklet_current(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body == NULL) {
        lua_pushnil(L);
    } else {
        tk_push_body(L, bind, body);
    }
    return 1;
}

/* For the Lua part: daemon(f) starts a tasklet that does not keep the program alive. */
static int start_daemon(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body;

    tk_check_open(L, bind);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    tk_push_table(L, bind, TABLE_TASKLET);
    lua_insert(L, 1);
    body = tk_body_make(L, bind, 2, 0, 1, false);
    body->task.daemon = true;
    tk_task_begin(bind->sched, &body->task, true);
    return tk_hand_over(L, bind, started, lua_gettop(L));
}

/* where(level): "file:line: " of the caller, for messages. */
static int where(lua_State *L)
{
    luaL_where(L, (int)luaL_checkinteger(L, 1));
    return 1;
}

/* ---- classes ---- */

static const luaL_Reg getters[] = {
    {"state", get_state}, {"return_value", get_return_value},
    {"name", get_name},   {"mailbox", tk_get_mailbox},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__index", tasklet_index},
    {"__newindex", tasklet_newindex},
    {NULL, NULL},
};

/* class(table, name): makes a table the class of instances, which are called by its name if there
 * is one. */
static int make_class(lua_State *L)
{
    static const luaL_Reg simple[] = {
        {"__tostring", tasklet_tostring}, {"__gc", tasklet_gc}, {NULL, NULL}};

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    lua_createtable(L, 0, 9); /* the instances' metatable */
    lua_insert(L, 2);
    lua_setfield(L, 2, "name");
    lua_pushliteral(L, "Tasklet");
    lua_setfield(L, 2, "__name");
    lua_pushvalue(L, 1);
    lua_rawsetp(L, 2, &class_key);
    tk_set_functions(L, simple);
    lua_createtable(L, 0, 8);
    tk_set_functions(L, getters);
    for (const luaL_Reg *m = metamethods; m->name != NULL; m++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 3);
        lua_pushcclosure(L, m->func, 3);
        lua_setfield(L, 2, m->name);
    }
    lua_settop(L, 2);
    if (!lua_getmetatable(L, 1)) {
        lua_newtable(L);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, class_call, 2);
    lua_setfield(L, 3, "__call");
    lua_setmetatable(L, 1);
    lua_settop(L, 2);
    return 1;
}

static const luaL_Reg functions[] = {
    {"run", tasklet_run},
    {"current", tasklet_current},
    {"has_finished", tasklet_has_finished},
    {"kill", tasklet_kill},
    {"survive", tasklet_survive},
    {"add_join_callback", add_join_callback},
    {"remove_join_callback", remove_join_callback},
    {NULL, NULL},
};

static const struct {
    const char *name;
    int value;
} constants[] = {
    {"STATE_RUNNING", STATE_RUNNING},
    {"STATE_SUSPENDED", STATE_SUSPENDED},
    {"STATE_MSGSEND", STATE_MSGSEND},
    {"STATE_ZOMBIE", STATE_ZOMBIE},
};

/* The stack's top is the module's table. */
void tk_tasklet_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {{"daemon", start_daemon}, {"where", where}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_setfield(L, -2, "loaded");
    lua_pushglobaltable(L);
    lua_setfield(L, -2, "globals");
    lua_pop(L, 1);
    lua_newtable(L); /* the class Tasklet; its functions become the module's, too, in init.lua */
    tk_set_functions(L, functions);
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushcclosure(L, make_class, 1);
    lua_pushvalue(L, -1);
    lua_pushvalue(L, -3);
    lua_call(L, 1, 1);
    tk_set_table(L, bind, TABLE_TASKLET);
    lua_setfield(L, -2,
                 "subclass"); /* the raw one: lua/tasklet/init.lua puts the friendly one there */
    lua_setfield(L, -2, "Tasklet");
}
