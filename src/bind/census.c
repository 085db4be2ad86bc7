/*
 * What there is, and where it was made: for whoever looks for what a spec has left behind. It only
 * looks, and changes nothing.
 */
#include "bind/bind.h"

/* tasklets(): a list of all that have begun and not ended, save the library's own. */
static int tasklets(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Integer count = 0;

    lua_settop(L, 0);
    lua_newtable(L);
    tk_push_table(L, bind, TABLE_ANCHORS);
    for (int i = 1; i <= bind->places; i++) {
        const struct tk_body *body;

        lua_rawgeti(L, 2, i);
        body = tk_to_body(L, -1, bind);
        if (body != NULL && body->anchor == i && body->task.begun && !body->internal) {
            lua_rawseti(L, 1, ++count);
        }
        lua_settop(L, 2);
    }
    lua_settop(L, 1);
    return 1;
}

/* number(t): the one that "#7" stands for. */
static int number(lua_State *L)
{
    lua_pushinteger(L, tk_check_body(L, 1, tk_bind_of(L))->number);
    return 1;
}

/* origin(t): "file:line" where it was started; nil if that was no script, or if it has no coroutine
 * (not begun, ended). */
static int origin(lua_State *L)
{
    const struct tk_body *body = tk_check_body(L, 1, tk_bind_of(L));

    if (body->co == NULL || !tk_push_origin(L, body)) {
        lua_pushnil(L);
    }
    return 1;
}

/* ---- messages ---- */

/* note_messages(flag): is the place to be noted at which a message is made? */
static int note_messages(lua_State *L)
{
    tk_bind_of(L)->notes = lua_toboolean(L, 1);
    return 0;
}

RAISES void tk_note_place(lua_State *L, struct tk_bind *bind)
{
    tk_push_table(L, bind, TABLE_NOTES);
    lua_pushvalue(L, -2);
    if (tk_push_starter(L)) {
        lua_Debug ar;

        lua_insert(L, -2);
        lua_getinfo(L, ">S", &ar);
        lua_pushfstring(L, "%s:%d", ar.short_src, (int)lua_tointeger(L, -1));
        lua_replace(L, -2);
        lua_rawset(L, -3);
    } else {
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
}

RAISES void tk_note_made(lua_State *L, struct tk_bind *bind)
{
    int top = lua_gettop(L);

    if (!bind->notes) {
        return;
    }
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "made");
    lua_pushvalue(L, top);
    tk_push_where(L, bind);
    lua_rawset(L, -3);
    lua_settop(L, top);
}

/* noted(message): "file:line" where it was made, or nil. */
static int noted(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_settop(L, 1);
    tk_push_table(L, bind, TABLE_NOTES);
    lua_insert(L, 1);
    lua_rawget(L, 1);
    return 1;
}

RAISES void tk_note_sent(lua_State *L, struct tk_bind *bind, const struct tk_body *dest,
                         const struct tk_atom *name)
{
    lua_pushlstring(L, name->text, name->length); /* before a finalizer can make it go */
    tk_push_table(L, bind, TABLE_SENT);
    tk_push_body(L, bind, dest);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_pushvalue(L, -4);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 4);
}

/* sent(t, name): was it given a message of that name since `forget_sent`? */
static int sent(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_settop(L, 2);
    tk_push_table(L, bind, TABLE_SENT);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) == LUA_TTABLE) {
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
    }
    lua_pushboolean(L, lua_toboolean(L, -1));
    return 1;
}

static int forget_sent(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_push_table(L, bind, TABLE_SENT);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
    return 0;
}

/* The stack's top is the module's table. */
void tk_census_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {
        {"tasklets", tasklets},           {"number", number}, {"origin", origin},
        {"note_messages", note_messages}, {"noted", noted},   {"sent", sent},
        {"forget_sent", forget_sent},     {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_newtable(L);
    lua_setfield(L, -2, "made");
    lua_pop(L, 1);
}
