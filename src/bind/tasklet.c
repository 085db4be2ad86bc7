/*
 * The object Tasklet: its class and classes derived from it, its attributes, its place in the tree.
 *
 * The userdata holds the core's task. It is anchored from its begin to its end, so that nobody
 * needs to hold it.
 */
#include <math.h>
#include <string.h>

#include "bind/bind.h"
#include "core/tree.h"

/* Upvalues of the metamethods of a class, behind the binding. */
enum { UP_CLASS = 2, UP_GETTERS = 3 };

/* A metatable is one of a tasklet if it has this key. */
const char tk_class_key = 'T';

struct tk_body *tk_to_body(lua_State *L, int index, const struct tk_bind *bind)
{
    bool is;

    if (!lua_getmetatable(L, index)) {
        return NULL;
    }
    is = lua_topointer(L, -1) == bind->class_tasklet;
    if (!is) {
        is = lua_rawgetp(L, -1, &tk_class_key) != LUA_TNIL;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
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
    if (body->anchor != LUA_NOREF) {
        tk_push_anchored(L, bind, body->anchor);
        return;
    }
    tk_push_table(L, bind, TABLE_OBJECTS);
    lua_rawgetp(L, -1, body);
    lua_replace(L, -2);
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

static int get_daemon(lua_State *L)
{
    const struct tk_body *body = lua_touserdata(L, 1);

    lua_pushboolean(L, body->task.daemon);
    return 1;
}

/* Raises at the assignment: the value at 3 is none for that attribute. */
static void bad_attribute(lua_State *L, const char *name, const char *expected)
{
    const char *got = lua_type(L, 3) == LUA_TNUMBER && lua_tonumber(L, 3) != lua_tonumber(L, 3)
                          ? "NaN"
                          : luaL_typename(L, 3);

    luaL_error(L, "bad value for attribute '%s' (%s expected, got %s)", name, expected, got);
}

static bool check_flag(lua_State *L, const char *name)
{
    if (!lua_isboolean(L, 3)) {
        bad_attribute(L, name, "boolean");
    }
    return lua_toboolean(L, 3);
}

static void set_block_trap(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    (void)bind;
    body->block_trap = check_flag(L, "block_trap");
}

/* t.daemon = flag; the value is at 3. One that is made a daemon leaves the tree. */
static void set_daemon(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    body->task.daemon = check_flag(L, "daemon");
    if (body->task.daemon) {
        tk_tree_orphan(&body->task);
    }
    if (bind->sched != NULL && body->task.begun && body->task.state != TK_PAUSED) {
        tk_task_count(bind->sched, &body->task, !body->task.daemon);
    }
}

/* t.timeout: the seconds that are left for its verbs; nil: no deadline. */
static int get_timeout(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Number seconds = tk_seconds_left(L, bind, 1);

    if (seconds < 0) {
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, seconds);
    }
    return 1;
}

/* Seconds from which on a deadline is never over: 100 years. */
#define LONGEST 3153600000.0

static void set_timeout(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    lua_Number seconds = -1;

    if (!lua_isnil(L, 3)) {
        int is_number;

        seconds = lua_tonumberx(L, 3, &is_number);
        if (!is_number || seconds != seconds) {
            bad_attribute(L, "timeout", is_number ? "number of seconds" : "number or nil");
        }
    }
    body->timed = seconds >= 0;
    tk_push_table(L, bind, TABLE_TIMEOUTS);
    lua_pushvalue(L, 1);
    if (!body->timed) {
        lua_pushnil(L);
    } else if (seconds < LONGEST) {
        /* In whole nanoseconds: what is left is never more than was given. */
        lua_pushinteger(L,
                        (lua_Integer)(bind->hooks->now(bind->context) + (uint64_t)(seconds * 1e9)));
    } else {
        lua_pushnumber(L, HUGE_VAL);
    }
    lua_rawset(L, -3);
}

static const struct {
    const char *name;
    void (*set)(lua_State *L, struct tk_bind *bind, struct tk_body *body);
} setters[] = {{"block_trap", set_block_trap},
               {"daemon", set_daemon},
               {"tempval", tk_set_tempval},
               {"timeout", set_timeout}};

/* ---- the tree ---- */

/* t:parent(): who made it; nil when that has ended, and for a daemon. */
static int tasklet_parent(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    if (body->task.parent == NULL) {
        lua_pushnil(L);
    } else {
        tk_push_body(L, bind, tk_container_of(body->task.parent, struct tk_body, task));
    }
    return 1;
}

/* t:children(): a list of those that it made and that have not ended. */
static int tasklet_children(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);
    lua_Integer count = 0;

    lua_newtable(L);
    for (struct tk_task *child = tk_tree_first(&body->task); child != NULL;
         child = tk_tree_next(child)) {
        tk_push_body(L, bind, tk_container_of(child, struct tk_body, task));
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1); /* about to be collected */
        } else {
            lua_rawseti(L, -2, ++count);
        }
    }
    return 1;
}

/* count(): how many have begun and not ended. */
static int tasklet_count(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_pushinteger(L, bind->sched == NULL ? 0 : (lua_Integer)bind->sched->begun - bind->internals);
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

    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(UP_GETTERS)) != LUA_TNIL) {
        for (size_t i = 0; i < sizeof setters / sizeof setters[0]; i++) {
            if (strcmp(setters[i].name, lua_tostring(L, 2)) == 0) {
                setters[i].set(L, bind, body);
                return 0;
            }
        }
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

    if (bind->last == body) {
        bind->last = NULL;
    }
    if (bind->sched == NULL) {
        tk_limit_free_member(&body->task);
    } else if (body->task.state != TK_ENDED && body->anchor == LUA_NOREF) {
        /* Nobody can begin it any more; one that a finalizer has begun goes on. */
        body->bound = false;
        tk_verb_done(bind, body);
        tk_task_finish(bind->sched, &body->task);
    }
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

/* ---- for the Lua part ---- */

static int is_tasklet(lua_State *L)
{
    lua_pushboolean(L, tk_to_body(L, 1, tk_bind_of(L)) != NULL);
    return 1;
}

static int is_callable(lua_State *L)
{
    lua_pushboolean(L, lua_isfunction(L, 1) || luaL_getmetafield(L, 1, "__call") != LUA_TNIL);
    return 1;
}

/* has_begun(t): has it been started? */
static int has_begun(lua_State *L)
{
    struct tk_body *body = tk_check_body(L, 1, tk_bind_of(L));

    lua_pushboolean(L, body->task.begun || body->task.state == TK_ENDED);
    return 1;
}

/* outcome(t): whether it failed, the error, the traceback. */
static int outcome(lua_State *L)
{
    struct tk_body *body = tk_check_body(L, 1, tk_bind_of(L));

    lua_pushboolean(L, body->failed);
    if (!body->failed) {
        return 1;
    }
    lua_getiuservalue(L, 1, UV_OUTCOME);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    lua_remove(L, -3);
    return 3;
}

static int function_name(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isfunction(L, 1)) {
        push_function_name(L);
    } else {
        lua_pushstring(L, luaL_typename(L, 1));
    }
    return 1;
}

/* caller(): "file:line: " of the nearest function of a script, for messages. */
static int caller(lua_State *L)
{
    tk_push_where(L, tk_bind_of(L));
    return 1;
}

/* ---- classes ---- */

static const luaL_Reg getters[] = {
    {"state", get_state},
    {"return_value", get_return_value},
    {"name", get_name},
    {"mailbox", tk_get_mailbox},
    {"daemon", get_daemon},
    {"timeout", get_timeout},
    {"waiting_for", tk_get_waiting_for},
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
    static const luaL_Reg simple[] = {{"__tostring", tasklet_tostring},
                                      {"__gc", tasklet_gc},
                                      {"__call", tk_start_call},
                                      {NULL, NULL}};

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    lua_createtable(L, 0, 9); /* the instances' metatable */
    lua_insert(L, 2);
    lua_setfield(L, 2, "name");
    lua_pushliteral(L, "Tasklet");
    lua_setfield(L, 2, "__name");
    lua_pushvalue(L, 1);
    lua_rawsetp(L, 2, &tk_class_key);
    tk_set_functions(L, simple);
    lua_createtable(L, 0, 8);
    tk_set_functions(L, getters);
    tk_set_functions(L, tk_queue_getters);
    for (const luaL_Reg *m = metamethods; m->name != NULL; m++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 3);
        lua_pushcclosure(L, m->func, 3);
        lua_setfield(L, 2, m->name);
    }
    lua_settop(L, 2);
    tk_protect(L, tk_bind_of(L));
    if (!lua_getmetatable(L, 1)) {
        lua_newtable(L);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, tk_class_call, 2);
    lua_setfield(L, 3, "__call");
    lua_setmetatable(L, 1);
    lua_settop(L, 2);
    return 1;
}

static const luaL_Reg functions[] = {
    {"current", tasklet_current}, {"has_finished", tasklet_has_finished},
    {"parent", tasklet_parent},   {"children", tasklet_children},
    {"count", tasklet_count},     {NULL, NULL},
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
    static const luaL_Reg core[] = {{"caller", caller},
                                    {"is_tasklet", is_tasklet},
                                    {"is_callable", is_callable},
                                    {"has_begun", has_begun},
                                    {"outcome", outcome},
                                    {"function_name", function_name},
                                    {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_setfield(L, -2, "loaded");
    lua_pushglobaltable(L);
    lua_setfield(L, -2, "globals");
    tk_push_table(L, bind, TABLE_TRACES);
    lua_setfield(L, -2, "traces");
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
    bind->class_tasklet = lua_topointer(L, -1);
    tk_set_table(L, bind, TABLE_TASKLET);
    lua_setfield(L, -2,
                 "subclass"); /* the raw one: lua/tasklet/init.lua puts the friendly one there */
    lua_setfield(L, -2, "Tasklet");
}
