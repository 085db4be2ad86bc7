/*
 * coroutine.resume and wrap through which waits pass: a wait inside a generator suspends the whole
 * tasklet, unseen by whoever resumed the generator. Otherwise they are Lua's own, in results and
 * errors.
 *
 * A resume that its caller could not be suspended in (it stands under table.sort, say) is a
 * barrier: a wait inside finds it, and raises.
 */
#include "bind/bind.h"

static int resumed(lua_State *L, int status, lua_KContext context);

/* The generator gave way together with the tasklet, not to us. */
static bool passes(const struct tk_bind *bind, int status)
{
    return status == LUA_YIELD && bind->gave_way;
}

void tk_own_coroutine(lua_State *L, struct tk_bind *bind, lua_State *co, bool owned)
{
    luaL_checkstack(L, 4, NULL);
    tk_push_table(L, bind, TABLE_PASSED);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    if (owned) {
        lua_pushboolean(L, 1);
    } else {
        lua_pushnil(L);
    }
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

bool tk_is_owned(lua_State *L, struct tk_bind *bind, lua_State *co)
{
    bool is;

    tk_push_table(L, bind, TABLE_PASSED);
    lua_checkstack(co, 1);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    is = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return is;
}

/*
 * Resumes the coroutine `co` with the top `args` values. Negative: an error is on top. -2: the
 * tasklet gives way. Else as many results.
 */
static int run(lua_State *L, struct tk_bind *bind, lua_State *co, int args)
{
    lua_State *running = bind->running, *blocked_at = bind->blocked_at;
    bool blocks = running != L || !lua_isyieldable(L);
    int status, count;

    if (args >= 0) {
        if (!lua_checkstack(co, args)) {
            lua_pushliteral(L, "too many arguments to resume");
            return -1;
        }
        lua_xmove(L, co, args);
    }
    if (args < 0 && bind->raise_by_hook) {
        lua_sethook(co, tk_raise_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    } else if (bind->pump != NULL) {
        tk_pump_count(bind, L);
        tk_pump_watch(bind, co);
    }
    tk_runaway_watch(bind, co);
    if (blocks && bind->barrier++ == 0) {
        bind->blocked_at = L;
    }
    bind->running = co;
    bind->gave_way = false;
    status = lua_resume(co, L, args < 0 ? 0 : args, &count);
    if (bind->pump != NULL) {
        tk_pump_count(bind, co);
        tk_pump_count(bind, L); /* less is left for it */
    }
    bind->L = L;
    bind->running = running;
    bind->blocked_at = blocked_at;
    bind->barrier -= blocks;
    if (bind->runaway != 0) {
        tk_runaway_watch(bind, L);
        if (status > LUA_YIELD) {
            tk_own_coroutine(L, bind, co, true); /* nobody closes it any more */
        }
    }
    if (passes(bind, status)) {
        tk_own_coroutine(L, bind, co, true);
        return -2;
    }
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, count + 1)) {
            lua_pop(co, count);
            lua_pushliteral(L, "too many results to resume");
            return -1;
        }
        lua_xmove(co, L, count);
        return count;
    }
    lua_xmove(co, L, 1);
    return -1;
}

/* What coroutine.resume and a wrapped function say of a coroutine that cannot be resumed. */
static const char *obstacle(lua_State *L, struct tk_bind *bind, lua_State *co)
{
    lua_Debug ar;

    if (co != L && lua_status(co) <= LUA_YIELD && tk_is_owned(L, bind, co)) {
        return "cannot resume a coroutine that belongs to a tasklet";
    }
    if (lua_status(co) == LUA_YIELD && co != L) {
        return NULL;
    }
    if (co == L || lua_getstack(co, 0, &ar) != 0) {
        return "cannot resume non-suspended coroutine";
    }
    if (lua_status(co) != LUA_OK || lua_gettop(co) == 0) {
        return "cannot resume dead coroutine";
    }
    return NULL;
}

/* `context`: 1 is a wrapped function, whose coroutine is upvalue 2; else the coroutine lies at 1.
 */
static int deliver(lua_State *L, struct tk_bind *bind, lua_State *co, int count, bool wrapped)
{
    if (count == -2) {
        return tk_give_way(L, bind, resumed, wrapped);
    }
    if (!wrapped) {
        lua_pushboolean(L, count >= 0);
        lua_insert(L, count >= 0 ? -count - 1 : -2);
        return (count >= 0 ? count : 1) + 1;
    }
    if (count >= 0) {
        return count;
    }
    if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD && bind->runaway == 0) {
        lua_pop(L, 1);
        tk_close_thread(L, bind, co); /* closes its variables; their errors come instead */
        lua_xmove(co, L, 1);
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static lua_State *coroutine_of(lua_State *L, bool wrapped)
{
    return lua_tothread(L, wrapped ? lua_upvalueindex(2) : 1);
}

/* The tasklet goes on, and so does the generator that it waited in. */
static int resumed(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_State *co = coroutine_of(L, context == 1);

    (void)status;
    tk_own_coroutine(L, bind, co, false);
    return deliver(L, bind, co, run(L, bind, co, -1), context == 1);
}

/* An error object that lua_resume left on the dead coroutine is wanted there by lua_resetthread. */
static int resume(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_State *co = lua_tothread(L, 1);
    const char *why;
    int args = lua_gettop(L) - 1;

    if (co == NULL) {
        return luaL_typeerror(L, 1, "coroutine");
    }
    why = obstacle(L, bind, co);
    if (why != NULL) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, why);
        return 2;
    }
    return deliver(L, bind, co, run(L, bind, co, args), false);
}

static int wrapped(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_State *co = coroutine_of(L, true);
    const char *why = obstacle(L, bind, co);

    if (why != NULL) {
        return luaL_error(L, "%s", why);
    }
    return deliver(L, bind, co, run(L, bind, co, lua_gettop(L)), true);
}

static int wrap(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, -2);
    lua_pushcclosure(L, wrapped, 2);
    return 1;
}

lua_State *tk_inner_coroutine(lua_State *co)
{
    lua_State *inner = NULL;
    lua_CFunction function;
    lua_Debug ar;

    if (!lua_getstack(co, 0, &ar) || !lua_checkstack(co, 2)) {
        return NULL;
    }
    lua_getinfo(co, "f", &ar);
    function = lua_tocfunction(co, -1);
    if (function == resume && lua_getlocal(co, &ar, 1) != NULL) {
        inner = lua_tothread(co, -1);
        lua_pop(co, 1);
    } else if (function == wrapped && lua_getupvalue(co, -1, 2) != NULL) {
        inner = lua_tothread(co, -1);
        lua_pop(co, 1);
    }
    lua_pop(co, 1);
    return inner;
}

/* running(): who has seen a tasklet's coroutine may keep it, so it is not used for another one. */
static int running(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body != NULL && body->co == L && body->pooled) {
        body->pooled = false;
        tk_own_coroutine(L, bind, L, true);
    }
    lua_pushboolean(L, lua_pushthread(L));
    return 2;
}

/* close(co): Lua's own, upvalue 2, save for a coroutine that is a tasklet's or waits with one. */
static int close_coroutine(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_State *co = lua_tothread(L, 1);
    lua_Debug ar;

    if (co != NULL && co != L && tk_is_owned(L, bind, co)) {
        return luaL_error(L, "cannot close a coroutine that belongs to a tasklet");
    }
    if (co == NULL || co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) != 0)) {
        lua_pushvalue(L, lua_upvalueindex(2)); /* says why not */
        lua_insert(L, 1);
        lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
        return lua_gettop(L);
    }
    if (tk_close_thread(L, bind, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

/* The stack's top is the module's table. */
void tk_coroutine_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {
        {"resume", resume}, {"wrap", wrap}, {"running", running}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, functions);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_getfield(L, -2, "close");
        if (lua_tocfunction(L, -1) == close_coroutine) { /* of a binding that was there before */
            lua_getupvalue(L, -1, 2);
            lua_replace(L, -2);
        }
        lua_pushcclosure(L, close_coroutine, 2);
        lua_setfield(L, -4, "close");
    }
    lua_pop(L, 3);
}
