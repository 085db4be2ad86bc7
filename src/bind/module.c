/*
 * The module as a whole: the binding's struct, its tables, and putting the parts of this room
 * together. Closing is in two steps: the host closes coroutines (tk_close_all) and then says that
 * the scheduler is gone; the struct itself stays as long as any function of the module does.
 */
#include "bind/module.h"

#include <string.h>

#include "bind/bind.h"
#include "bind/net.h"
#include "lua_sources.h"

RAISES void tk_set_table(lua_State *L, const struct tk_bind *bind, int which)
{
    lua_rawseti(L, LUA_REGISTRYINDEX, bind->tables[which]);
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

/* A table whose keys (or values) do not keep what they name alive. */
static void make_weak(lua_State *L, const struct tk_bind *bind, int which, const char *mode)
{
    tk_push_table(L, bind, which);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* The tables take the places of those of a binding that the state had before, whose functions find
 * these then: so that a state may have one host after the other, and loses nothing. */
static void make_tables(lua_State *L, struct tk_bind *bind)
{
    const struct tk_bind *before;

    lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
    before = lua_touserdata(L, -1);
    for (int i = 0; i < TABLE_COUNT; i++) {
        lua_newtable(L);
        if (before != NULL) {
            bind->tables[i] = before->tables[i];
            tk_set_table(L, bind, i);
        } else {
            bind->tables[i] = luaL_ref(L, LUA_REGISTRYINDEX);
        }
    }
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_NO_MEMORY);
    lua_pushliteral(L, "not enough memory");
    lua_rawseti(L, -2, 1);
    lua_pop(L, 1);
    make_weak(L, bind, TABLE_FIELDS, "k");
    make_weak(L, bind, TABLE_CALLBACKS, "k");
    make_weak(L, bind, TABLE_TIMEOUTS, "k");
    make_weak(L, bind, TABLE_MONITORS, "k");
    make_weak(L, bind, TABLE_LOCALS, "k");
    make_weak(L, bind, TABLE_TEMPVALS, "k");
    make_weak(L, bind, TABLE_MEMBERS, "k");
    make_weak(L, bind, TABLE_TRACES, "k");
    make_weak(L, bind, TABLE_UNSEEN, "k");
    make_weak(L, bind, TABLE_PASSED, "k");
    make_weak(L, bind, TABLE_NOTES, "k");
    make_weak(L, bind, TABLE_SENT, "k");
    make_weak(L, bind, TABLE_OBJECTS, "v");
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
            if (luaL_loadbufferx(L, (const char *)lua_sources[i].data, lua_sources[i].size, name,
                                 "b") != LUA_OK) {
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
    tk_capability_open(L, bind);
    tk_run_open(L, bind);
    tk_report_open(L, bind);
    tk_tasklet_open(L, bind);
    tk_explain_open(L, bind);
    tk_start_open(L, bind);
    tk_stop_open(L, bind);
    tk_locals_open(L, bind);
    tk_queue_open(L, bind);
    tk_throw_open(L, bind);
    tk_slice_open(L, bind);
    tk_lint_open(L, bind);
    tk_condition_open(L, bind);
    tk_wait_open(L, bind);
    tk_message_open(L, bind);
    tk_mailbox_open(L, bind);
    tk_verb_open(L, bind);
    tk_channel_open(L, bind);
    tk_stream_bind_open(L, bind);
    tk_net_open(L, bind);
    tk_emitter_open(L, bind, signals);
    tk_coroutine_open(L, bind);
    tk_require_open(L, bind);
    tk_census_open(L, bind);
    tk_fs_open(L, bind);
    tk_tls_open(L, bind);
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
                                    const struct tk_bind_hooks *hooks, void *context,
                                    unsigned capabilities)
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
    bind->room = kind_named(bind, "room in a mailbox");
    bind->answer = kind_named(bind, "answer");
    bind->channel = kind_named(bind, "WaitForChannel");
    bind->callback = bind->main;
    bind->gate = kind_named(bind, "gate");
    bind->job = kind_named(bind, "job");
    bind->hooks = hooks;
    bind->capabilities = capabilities;
    bind->context = context;
    make_tables(L, bind);
    bind->sched = sched;
    sched->binding = bind;
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
    lua_pushvalue(L, -1);
    tk_set_table(L, bind, TABLE_BINDING);
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
    tk_message_close(bind);
    tk_lint_close(bind);
    tk_look_closely(bind);
    tk_anchor_close(bind);
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
