/*
 * Error values: objects of the classes TaskletError and its kin, which lua/tasklet/error.lua
 * defines; and the ways in which C raises them. Wrong arguments are plain strings, as Lua's own.
 */
#include <stdarg.h>

#include "bind/bind.h"

RAISES void tk_push_error(lua_State *L, struct tk_bind *bind, const char *name, const char *message)
{
    tk_push_table(L, bind, TABLE_ERRORS);
    lua_createtable(L, 0, 4);
    lua_getfield(L, -2, name);
    lua_setmetatable(L, -2);
    lua_remove(L, -2);
    if (message != NULL) {
        lua_pushstring(L, message);
        lua_setfield(L, -2, "message");
    }
}

RAISES int tk_raise_class(lua_State *L, const char *name, const char *message)
{
    tk_push_error(L, tk_bind_of(L), name, message);
    return lua_error(L);
}

void tk_push_where(lua_State *L, struct tk_bind *bind)
{
    lua_State *at = bind->place != NULL ? bind->place : L;
    lua_Debug ar;

    for (int level = 1; lua_getstack(at, level, &ar); level++) {
        lua_getinfo(at, "Sl", &ar);
        if (ar.currentline > 0 && !tk_is_own_source(ar.source)) {
            lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

static void push_state_error(lua_State *L, const char *name, const char *format, va_list ap)
{
    tk_push_where(L, tk_bind_of(L));
    lua_pushvfstring(L, format, ap);
    lua_concat(L, 2);
    tk_push_error(L, tk_bind_of(L), name, lua_tostring(L, -1));
    lua_remove(L, -2);
}

RAISES void tk_push_state_error(lua_State *L, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    push_state_error(L, "TaskletError", format, ap);
    va_end(ap);
}

RAISES int tk_raise(lua_State *L, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    push_state_error(L, "TaskletError", format, ap);
    va_end(ap);
    return lua_error(L);
}

RAISES int tk_raise_state(lua_State *L, const char *name, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    push_state_error(L, name, format, ap);
    va_end(ap);
    return lua_error(L);
}

RAISES int tk_raise_fault(lua_State *L, const struct tk_fault *fault)
{
    if (fault->code == TK_ENOMEM) {
        lua_pushliteral(L, "not enough memory");
        return lua_error(L);
    }
    return tk_raise(L, "%s", fault->text);
}

bool tk_error_is(lua_State *L, int index, struct tk_bind *bind, const char *name)
{
    bool is;

    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) {
        return false;
    }
    tk_push_table(L, bind, TABLE_ERRORS);
    lua_getfield(L, -1, name);
    is = lua_rawequal(L, -1, -3);
    lua_pop(L, 3);
    return is;
}

RAISES int tk_option_error(lua_State *L, int arg, const char *option, const char *expected)
{
    const char *got = luaL_typename(L, -1);

    return luaL_argerror(
        L, arg, lua_pushfstring(L, "option '%s': %s expected, got %s", option, expected, got));
}
