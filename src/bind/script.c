/*
 * WaitCondition: conditions written in Lua. A class has the methods init, arm and disarm; an
 * instance fires when its tasklet's method wait_condition_fired is called with it.
 *
 * Methods are called protected and must not wait. What `arm` raises comes out of the yield.
 */
#include "bind/bind.h"

/* Pushes the object; false if it is gone. */
static bool push_object(lua_State *L, struct tk_bind *bind, const struct tk_wait *wait)
{
    bool is;

    tk_push_table(L, bind, TABLE_OBJECTS);
    is = lua_rawgetp(L, -1, wait) == LUA_TUSERDATA;
    lua_remove(L, -2);
    if (!is) {
        lua_pop(L, 1);
    }
    return is;
}

void tk_script_remember(lua_State *L, struct tk_bind *bind, struct tk_wait *wait)
{
    tk_push_table(L, bind, TABLE_OBJECTS);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, -2, wait);
    lua_pop(L, 1);
}

bool tk_script_error(lua_State *L, struct tk_bind *bind)
{
    if (bind->script_error == 0) {
        return false;
    }
    tk_push_payload(L, bind, tk_payload(bind->script_error));
    bind->script_error = 0;
    return true;
}

/* Calls a method with the object and its tasklet; true: it went well. Else the error is on top. */
static bool call_method(lua_State *L, struct tk_bind *bind, struct tk_wait *wait, const char *name,
                        bool with_tasklet)
{
    int count = 1, barrier = bind->barrier, status;

    if (!lua_checkstack(L, 12) || !push_object(L, bind, wait)) {
        return true;
    }
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pop(L, 2);
        return true;
    }
    lua_insert(L, -2);
    if (with_tasklet) {
        tk_push_body(L, bind, tk_container_of(wait->task, struct tk_body, task));
        count++;
    }
    bind->barrier++;
    bind->blocked_at = L;
    status = lua_pcall(L, count, 0, 0);
    bind->barrier = barrier;
    bind->L = L;
    return status == LUA_OK;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_bind *bind = sched->binding;
    lua_State *L = bind->L;

    if (!call_method(L, bind, wait, "arm", true)) {
        bind->script_error = tk_anchor(L, bind);
        return tk_fault_set(fault, TK_EINVAL, "the method arm failed");
    }
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_bind *bind = sched->binding;
    lua_State *L = bind->L;

    if (!call_method(L, bind, wait, "disarm", false)) {
        tk_report_error(L, bind, "the method disarm of a wait condition");
    }
}

static const struct tk_kind kind = {
    .name = "WaitCondition",
    .brief = "a condition written in Lua",
    .size = sizeof(struct tk_wait),
    .values = 1,
    .flags = TK_REPEATS | TK_STANDS | TK_SCRIPT,
    .arm = arm,
    .disarm = disarm,
};

/* new(class): an instance, whose `init` has not been called. */
static int script_new(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_wait *wait;

    tk_check_open(L, bind);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    wait = lua_newuserdatauv(L, kind.size, kind.values);
    tk_wait_init(wait, &kind, bind->sched, NULL, NULL);
    lua_newtable(L);
    lua_setiuservalue(L, 2, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
    lua_setmetatable(L, 2);
    tk_push_table(L, bind, TABLE_OBJECTS);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, -2, wait);
    lua_settop(L, 2);
    return 1;
}

/* class(table, name): makes a table the class of instances. Upvalue 2: metatables by class. */
static int script_class(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstring(L, 2);
    lua_pushvalue(L, 1);
    tk_condition_class(L, bind, &kind);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "__name");
    tk_protect(L, bind);
    lua_pushvalue(L, 1);
    lua_insert(L, -2);
    lua_rawset(L, lua_upvalueindex(2));
    return 0;
}

static int fired_done(lua_State *L, int status, lua_KContext context)
{
    struct tk_wait *wait = lua_touserdata(L, 2);

    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    lua_pushboolean(L, wait->task != NULL && wait->task == lua_touserdata(L, 1));
    return 1;
}

/* t:wait_condition_fired(condition): whether it is still armed when the tasklet has handled it. */
static int wait_condition_fired(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);
    struct tk_wait *wait = tk_to_wait(L, 2, bind);

    tk_check_open(L, bind);
    if (wait == NULL || (wait->kind->flags & TK_SCRIPT) == 0) {
        luaL_typeerror(L, 2, "WaitCondition");
    }
    if (wait->task != &body->task) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lua_settop(L, 2);
    if (tk_wait_fire_now(wait, bind->sched, NULL) < 0) {
        return luaL_error(L, "not enough memory");
    }
    return tk_hand_over(L, bind, fired_done, 0);
}

/* The stack's top is the module's table. */
void tk_script_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg methods[] = {{"wait_condition_fired", wait_condition_fired},
                                       {NULL, NULL}};

    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, methods);
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_CORE);
    lua_newtable(L);
    for (int i = 0; i < 2; i++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, i == 0 ? script_new : script_class, 2);
        lua_setfield(L, -3, i == 0 ? "script_new" : "script_class");
    }
    lua_pop(L, 2);
}
