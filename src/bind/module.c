/*
 * The module as a whole: the binding's struct, its tables, and putting the parts of this room together. Closing is in
 * two steps: the host closes coroutines (tk_close_all) and then says that the scheduler is gone; the struct itself
 * stays as long as any function of the module does.
 */
#include "bind/module.h"

#include <string.h>

#include "bind/bind.h"
#include "lua_sources.h"

void tk_push_table(lua_State *L, const struct tk_bind *bind, int which)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, bind->tables);
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
}

RAISES void tk_set_functions(lua_State *L, const luaL_Reg *functions)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    luaL_setfuncs(L, functions, 1);
}

RAISES struct tk_sched *tk_check_open(lua_State *L, struct tk_bind *bind)
{
    if (bind->sched == NULL || bind->closing) {
        luaL_error(L, "the tasklet host is closed");
    }
    return bind->sched;
}

static void make_tables(lua_State *L, struct tk_bind *bind)
{
    static const int weak[] = {TABLE_FIELDS, TABLE_CALLBACKS, TABLE_TRACES, TABLE_PASSED};

    lua_createtable(L, TABLE_COUNT, 0);
    for (int i = 1; i < TABLE_COUNT; i++) {
        lua_newtable(L);
        lua_rawseti(L, -2, i);
    }
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        lua_rawgeti(L, -2, weak[i]);
        lua_pushvalue(L, -2);
        lua_setmetatable(L, -2);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_rawgeti(L, -1, TABLE_OBJECTS);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    bind->tables = luaL_ref(L, LUA_REGISTRYINDEX);
}

static const struct tk_kind *kind_named(const struct tk_bind *bind, const char *name)
{
    for (size_t i = 0; bind->kinds[i] != NULL; i++) {
        if (strcmp(bind->kinds[i]->name, name) == 0) {
            return bind->kinds[i];
        }
    }
    return NULL;
}

/* Runs the embedded file of that name with the module and this core as arguments. */
static int load_source(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    for (size_t i = 0; i < sizeof lua_sources / sizeof lua_sources[0]; i++) {
        if (strcmp(lua_sources[i].name, name) == 0) {
            lua_pushfstring(L, "=tasklet/%s.lua", name);
            if (luaL_loadbufferx(L, (const char *)lua_sources[i].data, lua_sources[i].size,
                                 lua_tostring(L, -1), "t") != LUA_OK) {
                return lua_error(L);
            }
            return 1;
        }
    }
    return luaL_error(L, "no part named '%s'", name);
}

static int open_all(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_source *signals = lua_touserdata(L, 1);

    lua_settop(L, 0);
    tk_push_table(L, bind, TABLE_MODULE);
    tk_run_open(L, bind);
    tk_tasklet_open(L, bind);
    tk_condition_open(L, bind);
    tk_wait_open(L, bind);
    tk_message_open(L, bind);
    tk_verb_open(L, bind);
    tk_emitter_open(L, bind, signals);
    tk_coroutine_open(L, bind);
    tk_require_open(L, bind);
    lua_pushcfunction(L, load_source);
    lua_pushliteral(L, "init");
    lua_call(L, 1, 1);
    lua_pushvalue(L, 1); /* the module */
    tk_push_table(L, bind, TABLE_ERRORS);
    lua_pushcfunction(L, load_source);
    tk_push_table(L, bind, TABLE_CORE);
    lua_call(L, 4, 0);
    return 0;
}

RAISES struct tk_bind *tk_bind_open(lua_State *L, struct tk_sched *sched,
                                    const struct tk_kind *const *kinds, struct tk_source *signals,
                                    const struct tk_bind_hooks *hooks, void *context)
{
    struct tk_bind *bind = lua_newuserdatauv(L, sizeof *bind, 0);

    memset(bind, 0, sizeof *bind);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    bind->main = bind->L = lua_tothread(L, -1);
    lua_pop(L, 1);
    bind->kinds = kinds;
    bind->timeout = kind_named(bind, "WaitForTimeout");
    bind->ended = kind_named(bind, "WaitForTasklet");
    bind->mail = kind_named(bind, "mailbox");
    bind->hooks = hooks;
    bind->context = context;
    make_tables(L, bind);
    bind->sched = sched;
    sched->binding = bind;
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
    lua_rawgeti(L, LUA_REGISTRYINDEX, bind->tables);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, TABLE_BINDING);
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, open_all, 1);
    lua_pushlightuserdata(L, signals);
    lua_call(L, 1, 0);
    return bind;
}

void tk_bind_push_module(lua_State *L, struct tk_bind *bind)
{
    tk_push_table(L, bind, TABLE_MODULE);
}

void tk_bind_closed(struct tk_bind *bind)
{
    tk_verb_close(bind);
    bind->sched = NULL;
    bind->L = bind->main;
}

RAISES void tk_bind_patch(lua_State *L, struct tk_bind *bind)
{
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "patch");
    lua_call(L, 0, 0);
    lua_pop(L, 1);
}
