/* Anchors: script values that C holds, by number, in one strong table. The count is zero when
 * nothing is held. */
#include "bind/bind.h"

RAISES int tk_anchor(lua_State *L, struct tk_bind *bind)
{
    int anchor;

    tk_push_table(L, bind, TABLE_ANCHORS);
    lua_insert(L, -2);
    anchor = luaL_ref(L, -2);
    lua_pop(L, 1);
    bind->anchored++;
    return anchor;
}

void tk_push_anchored(lua_State *L, struct tk_bind *bind, int anchor)
{
    tk_push_table(L, bind, TABLE_ANCHORS);
    lua_rawgeti(L, -1, anchor);
    lua_replace(L, -2);
}

void tk_unanchor(lua_State *L, struct tk_bind *bind, int anchor)
{
    tk_push_table(L, bind, TABLE_ANCHORS);
    luaL_unref(L, -1, anchor);
    lua_pop(L, 1);
    bind->anchored--;
}

void tk_push_payload(lua_State *L, struct tk_bind *bind, void *payload)
{
    int anchor = (int)(intptr_t)payload;

    if (payload == NULL) {
        lua_pushnil(L);
        return;
    }
    tk_push_table(L, bind, TABLE_ANCHORS);
    lua_rawgeti(L, -1, anchor);
    luaL_unref(L, -2, anchor);
    lua_remove(L, -2);
    bind->anchored--;
}
