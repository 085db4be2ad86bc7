/*
 * References to tasklets: the struct that the program has, and ids.
 *
 * A reference keeps its tasklet by a slot of the table of values. The host has them in a list; when
 * it goes they become references to nothing.
 *
 * Only tasklets whose id has been asked for have one. It is drawn from one counter for the whole
 * process, so that it never comes again, and it leads from the tasklet to the number and back by
 * one weak table.
 */
#include <stdlib.h>

#include "embed/embed.h"

/* Ids that this process has given. */
static atomic_ullong ids;

RAISES void tk_refs_open(lua_State *L, struct tasklet_host *host)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "kv");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    host->embed->ids = luaL_ref(L, LUA_REGISTRYINDEX);
}

void tk_refs_close(struct tasklet_host *host)
{
    struct tk_list *node;

    while ((node = tk_list_first(&host->embed->refs)) != NULL) {
        struct tasklet *t = tk_container_of(node, struct tasklet, node);

        tk_list_remove(node);
        t->host = NULL;
        t->body = NULL;
    }
}

RAISES struct tasklet *tk_ref_make(lua_State *L, struct tasklet_host *host, int index)
{
    long long reference;
    struct tasklet *t;

    lua_pushvalue(L, index);
    reference = tk_reference_make(L, host);
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        tk_reference_drop(host, reference);
        tk_no_memory(L);
        return NULL;
    }
    t->host = host;
    t->body = lua_touserdata(L, index);
    t->reference = reference;
    tk_list_push(&host->embed->refs, &t->node);
    return t;
}

void tasklet_drop(struct tasklet *t)
{
    if (t == NULL) {
        return;
    }
    if (t->host != NULL) {
        tk_reference_drop(t->host, t->reference);
        tk_list_remove(&t->node);
    }
    free(t);
}

struct tasklet_host *tasklet_host_of(struct tasklet *t)
{
    return t->host;
}

/* ---- ids ---- */

static int find_id(lua_State *L)
{
    struct tasklet *t = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, t->host->embed->ids);
    tk_reference_push(L, t->host, t->reference);
    lua_pushvalue(L, 3);
    if (lua_rawget(L, 2) == LUA_TNIL) {
        lua_Integer id = (lua_Integer)atomic_fetch_add(&ids, 1) + 1;

        lua_pushvalue(L, 3);
        lua_rawseti(L, 2, id);
        lua_pushvalue(L, 3);
        lua_pushinteger(L, id);
        lua_rawset(L, 2);
        t->id = (unsigned long long)id;
    } else {
        t->id = (unsigned long long)lua_tointeger(L, 4);
    }
    return 0;
}

unsigned long long tasklet_id(struct tasklet *t)
{
    if (t->host == NULL) {
        return 0;
    }
    if (t->id == 0) {
        tk_guarded(t->host, find_id, t);
    }
    return t->id;
}

bool tk_push_id(lua_State *L, struct tasklet_host *host, unsigned long long id)
{
    struct tk_body *body;

    lua_rawgeti(L, LUA_REGISTRYINDEX, host->embed->ids);
    lua_rawgeti(L, -1, (lua_Integer)id);
    lua_replace(L, -2);
    body = lua_touserdata(L, -1);
    if (body == NULL || body->task.state == TK_ENDED) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}
