/*
 * Reports: tracebacks, errors as text, and who is told of an error that nobody has dealt with.
 */
#include <string.h>

#include "bind/bind.h"

/* Drops the last lines of a traceback that are this file's frames. */
static size_t script_part(const char *trace, size_t length)
{
    static const char tail[] = "\n\t[C]: in ?";
    size_t n = sizeof tail - 1;

    while (length >= n && memcmp(trace + length - n, tail, n) == 0) {
        length -= n;
    }
    return length;
}

void tk_push_trace_of(lua_State *L, lua_State *co, int level)
{
    size_t length;
    const char *trace;

    luaL_traceback(L, co, NULL, level);
    trace = lua_tolstring(L, -1, &length);
    lua_pushlstring(L, trace, script_part(trace, length));
    lua_remove(L, -2);
}

void tk_push_trace(lua_State *L, int level)
{
    tk_push_trace_of(L, L, level);
}

int tk_traceback(lua_State *L)
{
    size_t length;
    const char *trace;

    if (lua_type(L, 1) == LUA_TSTRING) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
        trace = lua_tolstring(L, -1, &length);
        lua_pushlstring(L, trace, script_part(trace, length));
    }
    return 1;
}

const char *tk_push_text(lua_State *L, int index)
{
    struct tk_bind *bind = tk_bind_in(L);
    struct tk_outside outside;
    int status;

    index = lua_absindex(L, index);
    if (lua_isstring(L, index)) {
        lua_pushvalue(L, index);
    } else if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, index);
        tk_outside_begin(L, bind, &outside);
        status = lua_pcall(L, 1, 1, 0);
        tk_outside_end(L, bind, &outside);
        if (status != LUA_OK || lua_type(L, -1) != LUA_TSTRING) {
            lua_pop(L, 1);
            lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
        }
    } else {
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
    }
    return lua_tostring(L, -1);
}

static int to_string(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

const char *tk_push_shown(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_pushcfunction(L, to_string);
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
    }
    return lua_tostring(L, -1);
}

/* report(error, where): `where` is a string of ours, or NULL. */
static int report_protected(lua_State *L)
{
    struct tk_bind *bind = tk_bind_in(L);
    const char *where = lua_touserdata(L, 2), *text = tk_push_text(L, 1);

    if (where != NULL) {
        text = lua_pushfstring(L, "%s\n\tin %s", text, where);
    }
    bind->hooks->error(bind->context, text);
    return 0;
}

void tk_report_error(lua_State *L, struct tk_bind *bind, const char *where)
{
    lua_State *outer = bind->L;

    bind->failures++;
    lua_pushcfunction(L, report_protected);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, (void *)(uintptr_t)where);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        tk_report_no_memory(bind);
    }
    bind->L = outer;
}

void tk_warn(lua_State *L, struct tk_bind *bind, const char *text)
{
    if (!bind->hooks->warning(bind->context, text)) {
        lua_warning(L, text, 0);
    }
}

/* For the Lua part: warn(text). */
static int warn(lua_State *L)
{
    tk_warn(L, tk_bind_of(L), luaL_checkstring(L, 1));
    return 0;
}

/* Hands the error and traceback at 1 and 2 to the host, with the name of the current tasklet. */
static int log_error(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const char *text;

    lua_settop(L, 2);
    text = tk_push_text(L, 1);
    if (lua_isstring(L, 2)) {
        text = lua_pushfstring(L, "%s\n%s", text, lua_tostring(L, 2));
    }
    if (tk_current(bind) != NULL) {
        tk_push_body(L, bind, tk_current(bind));
        text = lua_pushfstring(L, "%s\n\tin tasklet '%s' #%d", text, tk_push_name(L, bind, -1),
                               (int)tk_current(bind)->number);
    }
    if (bind->hooks->error != NULL) {
        bind->hooks->error(bind->context, text);
    }
    return 0;
}

/* For the Lua part: log(error, traceback) reports an error that has been dealt with, report(error,
 * traceback) one that is to show in the program's status. */
static int report_error(lua_State *L)
{
    tk_bind_of(L)->failures++;
    return log_error(L);
}

/* For the Lua part: shown(value) is as tostring(value), and never raises. */
static int shown(lua_State *L)
{
    lua_settop(L, 1);
    tk_push_shown(L, 1);
    return 1;
}

/* traceback(): that of the error, for a message handler. */
static int traceback(lua_State *L)
{
    tk_push_trace(L, 2);
    return 1;
}

/* Reports how the tasklet at 1 has failed. */
static int report_outcome(lua_State *L)
{
    struct tk_bind *bind = tk_bind_in(L);
    const char *text;

    lua_getiuservalue(L, 1, UV_OUTCOME);
    lua_rawgeti(L, -1, 1);
    text = tk_push_text(L, -1);
    lua_rawgeti(L, 2, 2);
    if (lua_isstring(L, -1)) {
        text = lua_pushfstring(L, "%s\n%s", text, lua_tostring(L, -1));
    }
    bind->hooks->error(bind->context, text);
    return 0;
}

/* The tasklet is on top. */
static void report_body(lua_State *L, struct tk_bind *bind)
{
    lua_pushcfunction(L, report_outcome);
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        tk_report_no_memory(bind);
    }
}

void tk_report(struct tk_bind *bind)
{
    lua_State *L = bind->main;
    int top = lua_gettop(L);

    while (bind->reports > 0) {
        int count = bind->reports;

        bind->reports = 0;
        bind->L = L;
        if (!lua_checkstack(L, 20)) {
            return;
        }
        tk_push_table(L, bind, TABLE_FAILED);
        for (int i = 1; i <= count; i++) {
            struct tk_body *body;

            lua_rawgeti(L, -1, i);
            body = tk_to_body(L, -1, bind);
            lua_pushnil(L);
            lua_rawseti(L, -3, i);
            if (body != NULL && body->unobserved) {
                report_body(L, bind);
            }
            lua_settop(L, top + 1);
        }
        lua_settop(L, top);
    }
}

void tk_forget_failures(struct tk_bind *bind)
{
    lua_State *L = bind->main;
    int top = lua_gettop(L);

    if (bind->failures > 0 && lua_checkstack(L, 5)) {
        tk_push_table(L, bind, TABLE_UNSEEN);
        lua_pushnil(L);
        while (lua_next(L, top + 1)) {
            ((struct tk_body *)lua_touserdata(L, -2))->unobserved = false;
            lua_pop(L, 1);
            lua_pushvalue(L, -1);
            lua_pushnil(L);
            lua_rawset(L, top + 1);
        }
        lua_settop(L, top);
    }
    bind->failures = 0;
}

void tk_report_now(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    int top = lua_gettop(L);

    if (!body->unobserved) {
        return;
    }
    body->unobserved = false;
    tk_push_table(L, bind, TABLE_FAILED);
    for (int i = 1; i <= bind->reports; i++) {
        lua_rawgeti(L, top + 1, i);
        if (lua_touserdata(L, -1) == body) {
            report_body(L, bind);
            lua_pushboolean(L, false);
            lua_rawseti(L, top + 1, i);
        }
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
}

int tk_call_guarded(lua_State *L, struct tk_bind *bind, int nargs, int nresults, const char *where)
{
    int at = lua_gettop(L) - nargs, status;
    struct tk_outside outside;

    if ((bind->halt & HALT_FREE) != 0) {
        lua_settop(L, at - 1);
        lua_settop(L, at - 1 + (nresults > 0 ? nresults : 0));
        return LUA_OK;
    }
    lua_pushcfunction(L, tk_traceback);
    lua_insert(L, at);
    tk_outside_begin(L, bind, &outside);
    status = lua_pcall(L, nargs, nresults, at);
    tk_outside_end(L, bind, &outside);
    if (status != LUA_OK) {
        tk_report_error(L, bind, where);
    }
    lua_remove(L, at);
    return status;
}

/* The stack's top is the module's table. */
void tk_report_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {{"shown", shown},         {"warn", warn},
                                    {"log", log_error},       {"report", report_error},
                                    {"traceback", traceback}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
