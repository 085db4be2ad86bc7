/*
 * luv on the host's loop: `require "luv"` (or "uv") loads Debian's lua-luv, tells it the loop and
 * how to call functions. Nothing is linked: luv's own shared object is asked for its two hooks.
 */
#include <dlfcn.h>
#include <lauxlib.h>

#include "host.h"

typedef int (*call_hook)(lua_State *L, int nargs, int nresults, int flags);

/* The path of luv's shared object, pushed; NULL, with nothing pushed: there is none. */
static const char *push_path(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "package");
    if (!lua_istable(L, -1) || lua_getfield(L, -1, "searchpath") != LUA_TFUNCTION) {
        lua_pop(L, 2);
        return NULL;
    }
    lua_pushliteral(L, "luv");
    lua_getfield(L, -3, "cpath");
    lua_call(L, 2, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pop(L, 1);
        return NULL;
    }
    return lua_tostring(L, -1);
}

/* Copies a symbol's address to a function pointer, which ISO C has no cast for. */
static bool symbol(void *object, const char *name, void *function)
{
    void *address = dlsym(object, name);

    *(void **)function = address;
    return address != NULL;
}

/* luv calls every callback through this: as lua_pcall, but an error is reported and ends nothing.
 */
static int call(lua_State *L, int nargs, int nresults, int flags)
{
    struct tk_bind *bind = tk_bind_in(L);
    int base = lua_gettop(L) - nargs, status;

    (void)flags;
    bind->L = L;
    status = tk_call_guarded(L, bind, nargs, nresults, "a luv callback");
    if (status != LUA_OK) {
        return -status;
    }
    return nresults == LUA_MULTRET ? lua_gettop(L) - base + 1 : nresults;
}

/* Calls luv's own uv.run, upvalue 3, with the arguments. It raises the report of a deadlock, if it
 * may wait. */
static int run_loop(lua_State *L, struct tasklet_host *host, bool waits)
{
    bool outer = host->in_uv_run, may_hang = host->may_hang;
    int status;

    lua_pushvalue(L, lua_upvalueindex(3));
    lua_insert(L, 1);
    host->in_uv_run = true;
    if (waits) {
        host->may_hang = true;
        host->loop.left = false;
    }
    status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    host->in_uv_run = outer;
    host->may_hang = may_hang;
    if (status != LUA_OK) {
        return lua_error(L);
    }
    if (host->stuck && !host->running) {
        tk_mainloop_push_deadlock(L, host);
        return lua_error(L);
    }
    return lua_gettop(L);
}

static int ran(lua_State *L, int status, lua_KContext context)
{
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(2));

    (void)status;
    (void)context;
    tk_mainloop_unparked(L, host);
    lua_pushboolean(L, host->stopped);
    return 1;
}

/*
 * uv.run(mode): where a tasklet calls it the loop runs already, and would never end, as that
 * tasklet has not. The host's main tasklet waits instead, as in mainloop.run. Upvalues: the
 * binding, the host, luv's own.
 */
static int run(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(2));
    static const char *const modes[] = {"default", "once", "nowait", NULL};
    int mode = luaL_checkoption(L, 1, "default", modes);

    if (mode == 0 && bind->sched != NULL) {
        struct tk_body *body = tk_current(bind);

        if (body != NULL && body == host->main) {
            return tk_mainloop_park(L, host, ran);
        }
        if (body != NULL || host->running) {
            return tk_raise(L, "the main loop is running already");
        }
    }
    if (bind->sched == NULL) {
        return luaL_error(L, "the tasklet host is closed");
    }
    return run_loop(L, host, mode < 2);
}

/* Puts each handle of the loop, as a key, into the table on top of the state. */
static void note_handle(uv_handle_t *handle, void *L)
{
    lua_pushboolean(L, 1);
    lua_rawsetp(L, -2, handle);
}

/* Puts luv's objects of those handles, which luv keeps in the registry, into the list at 3. */
static void find_objects(lua_State *L)
{
    lua_Integer count = 0;

    lua_pushnil(L);
    while (lua_next(L, LUA_REGISTRYINDEX)) {
        void *object = lua_touserdata(L, -1);

        if (object != NULL && lua_rawlen(L, -1) == sizeof(void *) &&
            lua_rawgetp(L, 2, *(void **)object) != LUA_TNIL) {
            lua_pop(L, 1);
            lua_rawseti(L, 3, ++count);
        }
        lua_settop(L, 4);
    }
}

/*
 * uv.walk(f): calls f(handle) for each handle of luv's. luv's own ends the process if the loop has
 * others, and there are ours.
 */
static int walk(lua_State *L)
{
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(2));

    tk_check_open(L, tk_bind_of(L));
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_newtable(L);
    luaL_checkstack(L, 10, NULL);
    uv_walk(host->loop.uv, note_handle, L);
    lua_newtable(L);
    find_objects(L);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 3); i++) {
        lua_pushvalue(L, 1);
        lua_rawgeti(L, 3, i);
        lua_call(L, 1, 0);
    }
    return 0;
}

/* Puts our own functions into luv's table at `index`. */
static void replace(lua_State *L, int index, struct tasklet_host *host)
{
    static const luaL_Reg functions[] = {{"run", run}, {"walk", walk}, {NULL, NULL}};

    index = lua_absindex(L, index);
    for (const luaL_Reg *f = functions; f->name != NULL; f++) {
        lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
        lua_pushlightuserdata(L, host);
        lua_getfield(L, index, f->name);
        lua_pushcclosure(L, f->func, 3);
        lua_setfield(L, index, f->name);
    }
}

static int load_luv(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, lua_upvalueindex(1));
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(2));
    void (*set_loop)(lua_State *, uv_loop_t *);
    void (*set_callback)(lua_State *, call_hook);
    lua_CFunction open;
    const char *path;
    void *object;

    if (bind->sched == NULL) {
        return luaL_error(L, "the tasklet host is closed");
    }
    tk_require_all(L, bind);
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "luv") == LUA_TTABLE) {
        return 1;
    }
    lua_settop(L, 1);
    path = push_path(L);
    object = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        return luaL_error(L, "module 'luv' not found: install it (Debian: lua-luv)%s%s",
                          path == NULL ? "" : ": ", path == NULL ? "" : dlerror());
    }
    if (!symbol(object, "luv_set_loop", &set_loop) ||
        !symbol(object, "luv_set_callback", &set_callback) ||
        !symbol(object, "luaopen_luv", &open)) {
        return luaL_error(L, "this luv cannot share a loop: %s", path);
    }
    host->has_luv = true;
    /* On the main state: luv calls every callback on the state that opened it. */
    luaL_checkstack(bind->main, 10, NULL);
    set_loop(bind->main, host->loop.uv);
    set_callback(bind->main, call);
    lua_pushcfunction(bind->main, open);
    if (lua_pcall(bind->main, 0, 1, 0) != LUA_OK) {
        lua_xmove(bind->main, L, 1);
        return lua_error(L);
    }
    if (L != bind->main) {
        lua_xmove(bind->main, L, 1);
    }
    replace(L, -1, host);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "luv");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "uv");
    lua_pop(L, 1);
    return 1;
}

uv_loop_t *tk_luv_loaded(lua_State *L)
{
    uv_loop_t *(*get_loop)(lua_State *);
    void (*set_callback)(lua_State *, call_hook);
    uv_loop_t *loop = NULL;
    const char *path;
    int top = lua_gettop(L);
    void *object;

    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "luv") == LUA_TTABLE) {
        path = push_path(L);
        object = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_NOLOAD);
        if (object != NULL && symbol(object, "luv_loop", &get_loop) &&
            symbol(object, "luv_set_callback", &set_callback)) {
            loop = get_loop(L);
            set_callback(L, call);
        }
    }
    lua_settop(L, top);
    return loop;
}

void tk_luv_adopt(lua_State *L, struct tasklet_host *host)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "luv") == LUA_TTABLE) {
        replace(L, -1, host);
    }
    lua_pop(L, 2);
}

void tk_luv_open(lua_State *L, struct tasklet_host *host)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (int i = 0; i < 2; i++) {
        lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
        lua_pushlightuserdata(L, host);
        lua_pushcclosure(L, load_luv, 2);
        lua_setfield(L, -2, i == 0 ? "luv" : "uv");
    }
    lua_pop(L, 1);
}
