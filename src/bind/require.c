/*
 * require, as Lua's own, whose modules may wait at their top level. While one tasklet waits in a
 * module that it loads, a second one that requires the same module waits until that is over. Who
 * loads what is kept by lua/tasklet/coroutine.lua.
 */
#include "bind/bind.h"

/* The frame: the name; the table of loaded modules; what ends the loading, to be closed; the
 * loader's data. */
enum { NAME = 1, LOADED, ENTRY, DATA };

/* Pushes the loader and its data; raises if no searcher knows the module. */
static void find_loader(lua_State *L, const char *name)
{
    int searchers = lua_gettop(L) + 1;
    luaL_Buffer message;

    lua_getfield(L, LOADED, "package");
    if (!lua_istable(L, -1) || lua_getfield(L, -1, "searchers") != LUA_TTABLE) {
        luaL_error(L, "'package.searchers' must be a table");
    }
    lua_remove(L, searchers);
    luaL_buffinit(L, &message);
    luaL_addstring(&message, "\n\t");
    for (int i = 1;; i++) {
        if (lua_rawgeti(L, searchers, i) == LUA_TNIL) {
            lua_pop(L, 1);
            luaL_buffsub(&message, 2);
            luaL_pushresult(&message);
            luaL_error(L, "module '%s' not found:%s", name, lua_tostring(L, -1));
        }
        lua_pushvalue(L, NAME);
        lua_call(L, 1, 2);
        if (lua_isfunction(L, -2)) {
            return;
        }
        if (lua_isstring(L, -2)) {
            lua_pop(L, 1);
            luaL_addvalue(&message);
            luaL_addstring(&message, "\n\t");
        } else {
            lua_pop(L, 2);
        }
    }
}

static int loaded(lua_State *L, int status, lua_KContext context)
{
    const char *name = lua_tostring(L, NAME);

    (void)status;
    (void)context;
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
    } else {
        lua_setfield(L, LOADED, name);
    }
    if (lua_getfield(L, LOADED, name) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_copy(L, -1, -2);
        lua_setfield(L, LOADED, name);
    }
    lua_pushvalue(L, DATA);
    return 2;
}

static int load_module(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    const char *name = lua_tostring(L, NAME);

    (void)status;
    (void)context;
    lua_settop(L, LOADED);
    lua_getfield(L, LOADED, name);
    if (lua_toboolean(L, -1)) {
        return 1;
    }
    lua_settop(L, LOADED);
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "loading_begin");
    lua_remove(L, -2);
    lua_pushvalue(L, NAME);
    lua_call(L, 1, 2);
    if (lua_isfunction(L, -1)) { /* another tasklet loads it; this waits for that */
        lua_callk(L, 0, 0, 0, load_module);
        return load_module(L, LUA_OK, 0);
    }
    lua_settop(L, ENTRY);
    lua_toclose(L, ENTRY);
    lua_pushnil(L);
    find_loader(L, name);
    lua_copy(L, -1, DATA);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, NAME);
    lua_pushvalue(L, DATA);
    lua_callk(L, 2, 1, 0, loaded);
    return loaded(L, LUA_OK, 0);
}

static int require(lua_State *L)
{
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    return load_module(L, LUA_OK, 0);
}

/* The stack's top is the module's table. */
void tk_require_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {{"require", require}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, functions);
    lua_pop(L, 1);
}
