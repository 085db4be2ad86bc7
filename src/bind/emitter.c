/*
 * Emitters' inside: a userdata around the core's source of signals. What scripts see - Emitter, its
 * classes, connected functions - is lua/tasklet/emitter.lua; this part declares, emits to waits,
 * and destroys.
 */
#include "bind/bind.h"

/* A metatable is one of a source if it has this key. */
static const char source_key = 'S';

struct holder {
    struct tk_source own;
    struct tk_source *source; /* own, or the loop's signals */
};

static struct holder *to_holder(lua_State *L, int index)
{
    bool is = false;

    if (lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index)) {
        is = lua_rawgetp(L, -1, &source_key) != LUA_TNIL;
        lua_pop(L, 2);
    }
    return is ? lua_touserdata(L, index) : NULL;
}

/* An emitter is a table that keeps the userdata under the address of source_key. */
struct tk_source *tk_to_source(lua_State *L, int index, const struct tk_bind *bind)
{
    struct holder *holder;

    (void)bind;
    if (!lua_istable(L, index)) {
        return NULL;
    }
    lua_rawgetp(L, index, &source_key);
    holder = to_holder(L, -1);
    lua_pop(L, 1);
    return holder == NULL ? NULL : holder->source;
}

static struct tk_source *check_source(lua_State *L, struct tk_bind *bind)
{
    struct tk_source *source = tk_to_source(L, 1, bind);

    if (source == NULL) {
        luaL_typeerror(L, 1, "Emitter");
    }
    tk_check_open(L, bind);
    return source;
}

/* source_new(emitter, parent, names): gives a table a source with those signals. */
static int source_new(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_source *parent = lua_isnoneornil(L, 2) ? NULL : tk_to_source(L, 2, bind);
    struct holder *holder;

    tk_check_open(L, bind);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    holder = lua_newuserdatauv(L, sizeof *holder, 1);
    tk_source_init(&holder->own, parent);
    holder->source = &holder->own;
    tk_push_table(L, bind, TABLE_EMITTER);
    lua_setmetatable(L, 4);
    lua_pushvalue(L, 2); /* the class outlives its instances */
    lua_setiuservalue(L, 4, 1);
    for (lua_Integer i = 1; i <= luaL_len(L, 3); i++) {
        size_t length;
        const char *name;

        lua_geti(L, 3, i);
        name = lua_tolstring(L, -1, &length);
        if (tk_source_declare(&holder->own, bind->sched, name, length) == NULL) {
            return luaL_error(L, "not enough memory");
        }
        lua_pop(L, 1);
    }
    lua_rawsetp(L, 1, &source_key);
    return 0;
}

static int is_source(lua_State *L)
{
    lua_pushboolean(L, tk_to_source(L, 1, tk_bind_of(L)) != NULL);
    return 1;
}

static int source_has(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_source *source = check_source(L, bind);
    size_t length;
    const char *name = luaL_checklstring(L, 2, &length);

    lua_pushboolean(L, !source->destroyed &&
                           tk_source_topic(source, bind->sched, name, length) != NULL);
    return 1;
}

static int source_destroyed(lua_State *L)
{
    lua_pushboolean(L, check_source(L, tk_bind_of(L))->destroyed);
    return 1;
}

static int emitted(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    return 0;
}

/* source_emit(emitter, name, ...): to those who wait. */
static int source_emit(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_source *source = check_source(L, bind);
    size_t length;
    const char *name = luaL_checklstring(L, 2, &length);
    int count = lua_gettop(L) - 2, anchor;

    lua_createtable(L, count, 1);
    lua_insert(L, 3);
    for (int i = count; i > 0; i--) {
        lua_rawseti(L, 3, i);
    }
    lua_pushinteger(L, count);
    lua_setfield(L, 3, "n");
    lua_createtable(L, 2, 0);
    lua_insert(L, 3);
    lua_rawseti(L, 3, 1);
    lua_pushvalue(L, 1);
    lua_rawseti(L, 3, 2);
    anchor = tk_anchor(L, bind);
    bind->L = L;
    if (tk_source_emit(source, bind->sched, name, length, tk_payload(anchor)) < 0) {
        return tk_raise(L, "unknown signal '%s'", name);
    }
    return tk_hand_over(L, bind, emitted, 0);
}

static int source_destroy(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_source *source = check_source(L, bind);

    tk_source_destroy(source, bind->sched);
    return tk_hand_over(L, bind, emitted, 0);
}

static int source_gc(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct holder *holder = lua_touserdata(L, 1);

    tk_source_finish(&holder->own, bind->sched);
    return 0;
}

/* The operating system's signals are a source of the loop: the table `signals` holds it. */
static void open_signals(lua_State *L, struct tk_bind *bind, struct tk_source *signals)
{
    struct holder *holder;

    lua_newtable(L);
    holder = lua_newuserdatauv(L, sizeof *holder, 1);
    tk_source_init(&holder->own, NULL);
    holder->source = signals;
    tk_push_table(L, bind, TABLE_EMITTER);
    lua_setmetatable(L, -2);
    lua_rawsetp(L, -2, &source_key);
    lua_setfield(L, -2, "signals");
}

/* The stack's top is the module's table. */
void tk_emitter_open(lua_State *L, struct tk_bind *bind, struct tk_source *signals)
{
    static const luaL_Reg functions[] = {{"is_source", is_source},
                                         {"source_new", source_new},
                                         {"source_has", source_has},
                                         {"source_emit", source_emit},
                                         {"source_destroy", source_destroy},
                                         {"source_destroyed", source_destroyed},
                                         {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", source_gc}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_EMITTER);
    lua_pushboolean(L, 1);
    lua_rawsetp(L, -2, &source_key);
    tk_set_functions(L, meta);
    tk_protect(L, bind);
    lua_pop(L, 1);
    open_signals(L, bind, signals);
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, functions);
    lua_pop(L, 1);
}
