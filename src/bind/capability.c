/*
 * Capabilities: what the program has given to its scripts. Looked at where a script would use one,
 * in C, so that no function that it may have got hold of by another way does more.
 */
#include "bind/bind.h"

static const struct {
    unsigned bit;
    const char *name, *what;
} known[] = {
    {TK_MAY_FILES, "files", "access to files"},
    {TK_MAY_PROCESSES, "processes", "access to processes and the environment"},
    {TK_MAY_NETWORK, "network", "access to the network"},
    {TK_MAY_SIGNALS, "signals", "signals of the operating system"},
    {TK_MAY_BYTECODE, "bytecode", "the loading of precompiled code"},
    {TK_MAY_DEBUG, "debug", "the library 'debug'"},
    {TK_MAY_NATIVE, "native", "libraries that are written in C"},
};

RAISES void tk_require_capability(lua_State *L, const struct tk_bind *bind, unsigned any)
{
    if (any == 0 || (bind->capabilities & any) != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((known[i].bit & any) != 0) {
            tk_raise(L, "the program has not given %s (capability '%s')", known[i].what,
                     known[i].name);
        }
    }
}

RAISES void tk_require_all(lua_State *L, const struct tk_bind *bind)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        tk_require_capability(L, bind, known[i].bit);
    }
}

void tk_protect(lua_State *L, const struct tk_bind *bind)
{
    int metatable = lua_gettop(L);

    if ((bind->capabilities & TK_MAY_DEBUG) != 0) {
        return; /* a script can do worse then */
    }
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, metatable)) {
        if (lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "__gc") != 0 &&
            strcmp(lua_tostring(L, -2), "__metatable") != 0) { /* of a host before this one */
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, metatable + 1);
        } else {
            lua_pop(L, 1);
        }
    }
    lua_setfield(L, metatable, "__metatable");
}

/* For the Lua part: require_capability(name) */
static int require_capability(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            tk_require_capability(L, tk_bind_of(L), known[i].bit);
            return 0;
        }
    }
    return luaL_argerror(L, 1, "no capability");
}

void tk_capability_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {{"require_capability", require_capability}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
