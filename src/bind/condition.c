/*
 * Conditions: the objects that scripts yield. Constructors, attributes and `tostring` all come from
 * the rows; what is particular here is WaitForCall's being callable, and WaitCondition, the base of
 * conditions written in Lua.
 *
 * A condition is a userdata that begins with the core's struct tk_wait; script values that go with
 * it are its user values.
 */
#include <string.h>

#include "bind/argument.h"

/* A metatable is one of a condition if it has this key; its value is the row. */
static const char kind_key = 'K';

#define MAX_PARAMS 8

/* One that a finalizer has brought back after its own is no condition any more. */
static struct tk_wait *unfinished(struct tk_wait *wait)
{
    return wait->kind == NULL ? NULL : wait;
}

struct tk_wait *tk_to_wait(lua_State *L, int index, struct tk_bind *bind)
{
    const struct tk_kind *kind;
    const void *class;

    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index)) {
        return NULL;
    }
    class = lua_topointer(L, -1);
    if (class == bind->class_seen) {
        lua_pop(L, 1);
        return unfinished(lua_touserdata(L, index));
    }
    lua_rawgetp(L, -1, &kind_key);
    kind = lua_touserdata(L, -1);
    lua_pop(L, 2);
    if (kind == NULL) {
        return NULL;
    }
    if ((kind->flags & TK_SCRIPT) == 0) {
        bind->class_seen =
            class; /* a class written in Lua may be collected, those of kinds are not */
    }
    return unfinished(lua_touserdata(L, index));
}

static struct tk_wait *check_wait(lua_State *L, struct tk_bind *bind)
{
    struct tk_wait *wait = tk_to_wait(L, 1, bind);

    if (wait == NULL || wait->kind == NULL) {
        luaL_typeerror(L, 1, "wait condition");
    }
    return wait;
}

void tk_set_payload(lua_State *L, struct tk_bind *bind, int index, struct tk_wait *wait,
                    void *payload)
{
    if (wait->kind->payload != 0) {
        tk_push_payload(L, bind, payload);
        lua_setiuservalue(L, index, wait->kind->payload);
    }
}

/* The constructor of a kind. Upvalues: the binding, the row, the metatable. */
static int construct(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const struct tk_kind *kind = lua_touserdata(L, lua_upvalueindex(2));
    struct tk_arg args[MAX_PARAMS];
    struct tk_fault fault;
    struct tk_wait *wait;
    int first = 1, options = 2, rc;
    int32_t priority = kind->priority;

    tk_check_open(L, bind);
    tk_require_capability(L, bind, kind->needs);
    memset(args, 0, sizeof args);
    if (kind == bind->timeout && lua_gettop(L) == 1 && lua_type(L, 1) == LUA_TNUMBER) {
        args[0].given = true; /* by far the most common call of all */
        args[0].as.number = lua_tonumber(L, 1);
    } else {
        tk_read_args(L, bind, kind, args, &first, &options);
        priority = tk_read_priority(L, options, kind);
    }
    wait = lua_newuserdatauv(L, kind->size, kind->values);
    rc = tk_wait_init(wait, kind, bind->sched, args, &fault);
    if (rc < 0) {
        int at = kind->params[fault.arg].option ? options : fault.arg + 1;

        return fault.code == TK_ENOMEM || fault.code == TK_ESTATE
                   ? tk_raise_fault(L, &fault)
                   : luaL_argerror(L, at, fault.text);
    }
    wait->priority = priority;
    lua_pushvalue(L, lua_upvalueindex(3));
    lua_setmetatable(L, -2);
    for (int i = 0; kind->params != NULL && kind->params[i].type != TK_END; i++) {
        if (kind->params[i].keep != 0) {
            lua_pushvalue(L, first + i);
            lua_setiuservalue(L, -2, kind->params[i].keep);
        }
    }
    return 1;
}

RAISES struct tk_wait *tk_push_ended(lua_State *L, struct tk_bind *bind, int index)
{
    struct tk_arg args[MAX_PARAMS];
    struct tk_wait *wait;

    memset(args, 0, sizeof args);
    args[0].given = true;
    args[0].as.task = lua_touserdata(L, index);
    index = lua_absindex(L, index);
    wait = lua_newuserdatauv(L, bind->ended->size, bind->ended->values);
    tk_wait_init(wait, bind->ended, bind->sched, args, NULL);
    lua_getfield(L, LUA_REGISTRYINDEX, bind->ended->name);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, index);
    lua_setiuservalue(L, -2, bind->ended->params[0].keep);
    return wait;
}

/* ---- attributes ---- */

/* Pushes script value `keep` of the condition at 1, or the list's element that the field means. */
static void push_kept(lua_State *L, const struct tk_field *field)
{
    lua_getiuservalue(L, 1, field->keep);
    if (field->item != 0 && lua_istable(L, -1)) {
        lua_rawgeti(L, -1, field->item);
    } else if (field->otherwise != 0) {
        lua_getiuservalue(L, 1, field->otherwise);
    }
    if (field->type == TK_LIST && !lua_istable(L, -1)) {
        lua_createtable(L, 0, 1);
        lua_pushinteger(L, 0);
        lua_setfield(L, -2, "n");
    }
}

static void push_of_target(lua_State *L, const struct tk_wait *wait, enum tk_type type)
{
    struct tk_task *task = wait->kind->target(wait);
    struct tk_body *body = tk_container_of(task, struct tk_body, task);

    lua_getiuservalue(L, 1, wait->kind->params[0].keep);
    if (type == TK_RESULT) {
        tk_push_result(L, lua_gettop(L), body);
    } else {
        tk_push_failure(L, lua_gettop(L), body);
    }
}

static int push_field(lua_State *L, const struct tk_wait *wait, const struct tk_field *field)
{
    struct tk_arg arg;

    memset(&arg, 0, sizeof arg);
    arg.given = true;
    if (field->get != NULL) {
        field->get(wait, &arg);
        if (!arg.given) {
            lua_pushnil(L);
            return 1;
        }
    }
    switch (field->type) {
    case TK_NUMBER:
        lua_pushnumber(L, arg.as.number);
        if (lua_tonumber(L, -1) == (lua_Number)(lua_Integer)arg.as.number) {
            lua_pushinteger(L, (lua_Integer)arg.as.number);
        }
        break;
    case TK_INTEGER:
        lua_pushinteger(L, arg.as.integer);
        break;
    case TK_BOOLEAN:
        lua_pushboolean(L, arg.as.boolean);
        break;
    case TK_STRING:
        lua_pushstring(L, arg.as.string);
        break;
    case TK_LIST:
    case TK_VALUE:
        push_kept(L, field);
        break;
    case TK_RESULT:
    case TK_ERROR:
        push_of_target(L, wait, field->type);
        break;
    default:
        lua_pushnil(L);
        break;
    }
    return 1;
}

/* Upvalues of __index and __newindex: the binding, fields by name, methods or the class. */
static int condition_index(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_wait *wait = check_wait(L, bind);
    const char *key;

    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TLIGHTUSERDATA) {
        return push_field(L, wait, lua_touserdata(L, -1));
    }
    if ((wait->kind->flags & TK_SCRIPT) != 0) {
        lua_getiuservalue(L, 1, 1);
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL) {
            return 1;
        }
    }
    lua_pushvalue(L, 2);
    if (lua_gettable(L, lua_upvalueindex(3)) != LUA_TNIL) {
        return 1;
    }
    key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(key, "triggered") == 0) {
        const struct tk_body *body = tk_current(bind);
        bool handled =
            wait->task != NULL || (body != NULL && body->task.let_go && body->task.last == wait);

        lua_pushboolean(L, handled && (wait->flags & TK_CURRENT) != 0);
    } else if (strcmp(key, "priority") == 0) {
        lua_pushinteger(L, wait->priority);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int condition_newindex(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_wait *wait = check_wait(L, bind);
    const struct tk_field *field;

    lua_settop(L, 3);
    if ((wait->kind->flags & TK_SCRIPT) != 0) {
        lua_getiuservalue(L, 1, 1);
        lua_pushvalue(L, 2);
        lua_pushvalue(L, 3);
        lua_rawset(L, -3);
        return 0;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    field = lua_touserdata(L, -1);
    if (field == NULL || !field->writable) {
        return luaL_error(L, "%s has no writable attribute '%s'", wait->kind->name,
                          luaL_tolstring(L, 2, NULL));
    }
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 1, field->keep);
    return 0;
}

static int condition_tostring(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_wait *wait = check_wait(L, bind);
    char text[200];

    if ((wait->kind->flags & TK_SCRIPT) != 0) {
        luaL_getmetafield(L, 1, "__name");
        return 1;
    }
    tk_wait_describe(wait, text, sizeof text);
    if (wait->kind->target != NULL) {
        lua_getiuservalue(L, 1, wait->kind->params[0].keep);
        lua_pushfstring(L, "%s(%s)", text, tk_push_name(L, bind, lua_gettop(L)));
    } else {
        lua_pushstring(L, text);
    }
    return 1;
}

static int condition_gc(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_wait *wait = lua_touserdata(L, 1);

    if (wait->kind != NULL) {
        if ((wait->kind->flags & TK_SCRIPT) != 0) {
            tk_script_remember(L, bind, wait);
        }
        tk_wait_finish(wait, bind->sched);
    }
    return 0;
}

/* restart(): begins to count anew, if it is armed. */
static int condition_restart(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_wait *wait = check_wait(L, bind);

    if (wait->kind->restart != NULL) {
        wait->kind->restart(wait, tk_check_open(L, bind));
    }
    return 0;
}

static int call_done(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    lua_getiuservalue(L, 1, 1);
    return 1;
}

/* condition(...): fires it, lets its tasklet run, and returns its `return_value`. */
static int condition_call(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_wait *wait = check_wait(L, bind);
    int count = lua_gettop(L) - 1, anchor;

    tk_check_open(L, bind);
    lua_createtable(L, count, 1);
    lua_insert(L, 2);
    for (int i = count; i > 0; i--) {
        lua_rawseti(L, 2, i);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, 2, "n");
    anchor = tk_anchor(L, bind);
    if (tk_wait_fire_now(wait, bind->sched, tk_payload(anchor)) < 0) {
        tk_unanchor(L, bind, anchor);
        return luaL_error(L, "not enough memory");
    }
    return tk_hand_over(L, bind, call_done, 0);
}

/* ---- classes ---- */

RAISES void tk_condition_class(lua_State *L, struct tk_bind *bind, const struct tk_kind *kind)
{
    static const luaL_Reg simple[] = {{"__tostring", condition_tostring}, {NULL, NULL}};
    static const luaL_Reg collected[] = {{"__gc", condition_gc}, {NULL, NULL}};
    static const luaL_Reg call[] = {{"__call", condition_call}, {NULL, NULL}};
    static const luaL_Reg restart[] = {{"restart", condition_restart}, {NULL, NULL}};
    int class = lua_gettop(L);

    (void)bind;
    lua_createtable(L, 0, 8);
    lua_pushstring(L, kind->name);
    lua_setfield(L, -2, "__name");
    lua_pushlightuserdata(L, (void *)kind);
    lua_rawsetp(L, -2, &kind_key);
    tk_set_functions(L, simple);
    /* While it is held it is not collected; so most kinds have nothing to do then. */
    if (kind->finish != NULL || (kind->flags & (TK_KEEPS | TK_SCRIPT)) != 0) {
        tk_set_functions(L, collected);
    }
    if ((kind->flags & TK_CALLED) != 0) {
        tk_set_functions(L, call);
    }
    if (kind->restart != NULL) {
        lua_pushvalue(L, class);
        tk_set_functions(L, restart);
        lua_pop(L, 1);
    }
    lua_newtable(L);
    for (const struct tk_field *field = kind->fields; field != NULL && field->type != TK_END;
         field++) {
        lua_pushlightuserdata(L, (void *)field);
        lua_setfield(L, -2, field->name);
    }
    for (int i = 0; i < 2; i++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, class + 2);
        lua_pushvalue(L, class);
        lua_pushcclosure(L, i == 0 ? condition_index : condition_newindex, 3);
        lua_setfield(L, class + 1, i == 0 ? "__index" : "__newindex");
    }
    lua_settop(L, class + 1);
}

/* For the Lua part: hidden_class(name, methods) makes the class of a hidden kind; its constructor.
 * Metamethods that are among the methods are the class's. */
static int hidden_class(lua_State *L)
{
    static const char *const metamethods[] = {"__call", "__close", "__tostring", NULL};
    struct tk_bind *bind = tk_bind_of(L);
    const char *name = luaL_checkstring(L, 1);
    const struct tk_kind *const *kind = bind->kinds;

    luaL_checktype(L, 2, LUA_TTABLE);
    while (*kind != NULL && strcmp((*kind)->name, name) != 0) {
        kind++;
    }
    luaL_argcheck(L, *kind != NULL, 1, "no such kind");
    lua_settop(L, 2);
    tk_condition_class(L, bind, *kind);
    for (const char *const *m = metamethods; *m != NULL; m++) {
        if (lua_getfield(L, 2, *m) != LUA_TNIL) {
            lua_setfield(L, 3, *m);
        }
        lua_settop(L, 3);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushlightuserdata(L, (void *)*kind);
    lua_rotate(L, -3, -1);
    lua_pushcclosure(L, construct, 3);
    return 1;
}

/* Pushes the constructor of a kind. */
static void push_constructor(lua_State *L, struct tk_bind *bind, const struct tk_kind *kind)
{
    lua_newtable(L);
    tk_condition_class(L, bind, kind);
    lua_remove(L, -2);
    tk_protect(L, bind);
    if (kind == bind->ended) {
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, kind->name);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushlightuserdata(L, (void *)kind);
    lua_rotate(L, -3, -1);
    lua_pushcclosure(L, construct, 3);
}

/* The stack's top is the module's table. */
RAISES void tk_condition_open(lua_State *L, struct tk_bind *bind)
{
    static const struct {
        const char *name;
        int value;
    } constants[] = {
        {"PRIORITY_HIGH", TK_PRIORITY_HIGH},
        {"PRIORITY_DEFAULT", TK_PRIORITY_DEFAULT},
        {"PRIORITY_HIGH_IDLE", TK_PRIORITY_HIGH_IDLE},
        {"PRIORITY_DEFAULT_IDLE", TK_PRIORITY_DEFAULT_IDLE},
        {"PRIORITY_LOW", TK_PRIORITY_LOW},
        {"IO_IN", 1},
        {"IO_PRI", 2},
        {"IO_OUT", 4},
        {"IO_ERR", 8},
        {"IO_HUP", 16},
    };

    static const luaL_Reg core[] = {{"hidden_class", hidden_class}, {NULL, NULL}};

    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        lua_pushinteger(L, constants[i].value);
        lua_setfield(L, -2, constants[i].name);
    }
    for (size_t i = 0; bind->kinds[i] != NULL; i++) {
        if ((bind->kinds[i]->flags & TK_HIDDEN) == 0) {
            push_constructor(L, bind, bind->kinds[i]);
            if ((bind->kinds[i]->flags & TK_METHOD) != 0) {
                tk_push_table(L, bind, TABLE_CORE);
                lua_insert(L, -2);
                lua_setfield(L, -2, bind->kinds[i]->name);
                lua_pop(L, 1);
            } else {
                lua_setfield(L, -2, bind->kinds[i]->name);
            }
        }
    }
    tk_script_open(L, bind);
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}

/* Upvalue 1 is the binding. Arguments: the row, and what it lives in. */
static int add_kind(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const struct tk_kind *kind = lua_touserdata(L, 1);

    tk_push_table(L, bind, TABLE_MODULE);
    push_constructor(L, bind, kind);
    lua_getupvalue(L, -1, 3);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, -2, kind);
    lua_rawsetp(L, LUA_REGISTRYINDEX, kind); /* it lives as long as the binding does */
    lua_setfield(L, -2, kind->name);
    return 0;
}

void tk_condition_forget(lua_State *L, const struct tk_kind *kind)
{
    if (lua_checkstack(L, 1)) {
        lua_pushnil(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, kind);
    }
}

RAISES void tk_condition_add(lua_State *L, struct tk_bind *bind, const struct tk_kind *kind)
{
    tk_push_table(L, bind, TABLE_BINDING);
    lua_pushcclosure(L, add_kind, 1);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, (void *)kind);
    lua_insert(L, -2);
    lua_call(L, 2, 0);
}
