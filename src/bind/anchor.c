/*
 * Anchors: script values that C holds, by number, in one strong table. The count is zero when
 * nothing is held. A place that is vacant has `false` in it, so that the table has no holes, and
 * its number is on a stack. The anchor of nil is 0 and holds nothing.
 */
#include <stdlib.h>

#include "bind/bind.h"

RAISES int tk_anchor_in(lua_State *L, struct tk_bind *bind, int table)
{
    int at = bind->vacancies > 0 ? bind->vacant[bind->vacancies - 1] : bind->places + 1;

    lua_rawseti(L, table, at);
    if (bind->vacancies > 0) {
        bind->vacancies--;
    } else {
        bind->places = at;
    }
    bind->anchored++;
    return at;
}

RAISES int tk_anchor(lua_State *L, struct tk_bind *bind)
{
    int at;

    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return 0;
    }
    tk_push_table(L, bind, TABLE_ANCHORS);
    lua_insert(L, -2);
    at = tk_anchor_in(L, bind, lua_gettop(L) - 1);
    lua_pop(L, 1);
    return at;
}

void tk_push_anchored(lua_State *L, struct tk_bind *bind, int anchor)
{
    tk_push_table(L, bind, TABLE_ANCHORS);
    lua_rawgeti(L, -1, anchor);
    lua_replace(L, -2);
}

static bool make_room(struct tk_bind *bind)
{
    int more = bind->room_for_vacant == 0 ? 64 : bind->room_for_vacant * 2;
    int *vacant = realloc(bind->vacant, (size_t)more * sizeof *vacant);

    if (vacant == NULL) {
        return false;
    }
    bind->vacant = vacant;
    bind->room_for_vacant = more;
    return true;
}

/* Without memory to note it a place stays vacant for ever. */
static inline void note_vacant(struct tk_bind *bind, int anchor)
{
    if (bind->vacancies < bind->room_for_vacant || make_room(bind)) {
        bind->vacant[bind->vacancies++] = anchor;
    }
}

static inline void vacate(lua_State *L, struct tk_bind *bind, int table, int anchor)
{
    lua_pushboolean(L, 0);
    lua_rawseti(L, table, anchor);
    note_vacant(bind, anchor);
    bind->anchored--;
}

void tk_unanchor(lua_State *L, struct tk_bind *bind, int anchor)
{
    if (anchor > 0) {
        tk_push_table(L, bind, TABLE_ANCHORS);
        vacate(L, bind, lua_gettop(L), anchor);
        lua_pop(L, 1);
    }
}

void tk_push_payload_in(lua_State *L, struct tk_bind *bind, int table, void *payload)
{
    int anchor = (int)(intptr_t)payload;

    if (anchor <= 0) {
        lua_pushnil(L);
        return;
    }
    lua_rawgeti(L, table, anchor);
    vacate(L, bind, table, anchor);
}

void tk_push_payload(lua_State *L, struct tk_bind *bind, void *payload)
{
    tk_push_table(L, bind, TABLE_ANCHORS);
    tk_push_payload_in(L, bind, lua_gettop(L), payload);
    lua_remove(L, -2);
}

void tk_anchor_close(struct tk_bind *bind)
{
    free(bind->vacant);
    bind->vacant = NULL;
    bind->vacancies = bind->room_for_vacant = 0;
}
