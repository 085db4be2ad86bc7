/*
 * Connecting, and looking names up: what the Lua part makes `connect` and `resolve` of. What is
 * under way lives in a userdata in the frame; the verb's wait, when it goes, ends it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bind/net.h"
#include "io/dial.h"
#include "io/lookup.h"

#define MOST_ADDRESSES 64

/* ---- dial ---- */

static int dial_gc(lua_State *L)
{
    tk_dial_finish(lua_touserdata(L, 1));
    return 0;
}

static int lookup_gc(lua_State *L)
{
    tk_lookup_finish(lua_touserdata(L, 1));
    return 0;
}

/* Pushes memory for what is under way, which `finish` ends if nobody else does. */
static void *new_object(lua_State *L, size_t size, const char *name, lua_CFunction finish)
{
    void *object = lua_newuserdatauv(L, size, 0);

    memset(object, 0, size);
    if (luaL_newmetatable(L, name)) {
        lua_pushcfunction(L, finish);
        lua_setfield(L, -2, "__gc");
    }
    return object;
}

/* Frame: the dial, the stream that is to be opened. */
static int dial_over(lua_State *L, struct tk_bind *bind)
{
    struct tk_dial *dial = lua_touserdata(L, 1);
    int fd = tk_dial_take(dial);

    if (fd >= 0) {
        fd = tk_stream_open(tk_to_stream(L, 2), bind->sched, fd, TK_STREAM_ANY);
    }
    tk_gate_done(bind);
    return fd < 0 ? tk_push_failure_of(L, fd, dial->text) : 1;
}

static int dial_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_dial *dial = lua_touserdata(L, 1);

    (void)status;
    (void)context;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        tk_gate_done(bind);
        return tk_push_failure_of(L, TK_IO_TIMEOUT, dial->text);
    }
    return dial_over(L, bind);
}

/* dial(addresses, port, seconds, text): connects to the first of the addresses that answers. A port
 * of nil: they are paths. Negative seconds: no limit; nil: as the deadline for verbs has it. */
static int core_dial(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const char *text = luaL_checkstring(L, 4);
    bool given = !lua_isnil(L, 3);
    lua_Number seconds = given ? luaL_checknumber(L, 3) : -1;
    lua_Integer count = luaL_len(L, 1);
    struct tk_dial_address *addresses;
    struct tk_dial *dial;
    int rc;

    tk_require_capability(L, bind, TK_MAY_NETWORK);
    tk_check_wait(L, bind);
    luaL_argcheck(L, count >= 1, 1, "no address");
    count = count < MOST_ADDRESSES ? count : MOST_ADDRESSES;
    addresses = lua_newuserdatauv(L, (size_t)count * sizeof *addresses, 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, 1, i + 1);
        lua_pushvalue(L, 2);
        addresses[i].size = tk_check_address(L, lua_gettop(L) - 1, &addresses[i].storage);
        lua_pop(L, 2);
    }
    dial = new_object(L, sizeof *dial, "tasklet.dial", dial_gc);
    dial->fd = -1;
    lua_setmetatable(L, -2);
    snprintf(dial->text, sizeof dial->text, "%s", text);
    tk_new_stream(L, bind);
    lua_rotate(L, 1, 2); /* the addresses stay on the stack until they have been copied */
    rc = tk_dial_start(dial, bind->sched, addresses, (size_t)count);
    lua_settop(L, 2);
    if (rc < 0) {
        return tk_push_failure_of(L, rc, dial->text);
    }
    if (tk_dial_is_over(dial)) {
        return dial_over(L, bind);
    }
    tk_gate_stand(L, bind, &dial->done, 0, seconds, given);
    return tk_gate_block(L, bind, dial_on, 0);
}

/* ---- lookup ---- */

static int push_found(lua_State *L, struct tk_bind *bind, struct tk_lookup *lookup)
{
    struct tk_address address;
    int error = lookup->error;

    lua_newtable(L);
    for (size_t i = 0; tk_lookup_get(lookup, i, &address); i++) {
        lua_pushstring(L, address.text);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    tk_gate_done(bind);
    return error < 0 ? tk_push_failure_of(L, error, lookup->text) : 1;
}

static int lookup_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_lookup *lookup = lua_touserdata(L, 1);

    (void)status;
    (void)context;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        tk_gate_done(bind);
        return tk_push_failure_of(L, TK_IO_TIMEOUT, lookup->text);
    }
    return push_found(L, bind, lookup);
}

/* lookup(host, family, seconds): a list of addresses as text. */
static int core_lookup(lua_State *L)
{
    static const char *const names[] = {"any", "inet", "inet6", NULL};
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    struct tk_bind *bind = tk_bind_of(L);
    const char *host = luaL_checkstring(L, 1);
    int family = families[luaL_checkoption(L, 2, NULL, names)], rc;
    bool given = !lua_isnil(L, 3);
    lua_Number seconds = given ? luaL_checknumber(L, 3) : -1;
    struct tk_lookup *lookup;

    tk_require_capability(L, bind, TK_MAY_NETWORK);
    tk_check_wait(L, bind);
    lookup = new_object(L, sizeof *lookup, "tasklet.lookup", lookup_gc);
    lua_setmetatable(L, -2);
    lua_insert(L, 1);
    rc = tk_lookup_start(lookup, bind->sched, host, family);
    lua_settop(L, 1);
    if (rc < 0) {
        return tk_push_failure_of(L, rc, lookup->text);
    }
    tk_gate_stand(L, bind, &lookup->done, 0, seconds, given);
    return tk_gate_block(L, bind, lookup_on, 0);
}

/* is_address(text): "inet", "inet6" or nil. */
static int is_address(lua_State *L)
{
    struct sockaddr_storage storage;
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);

    if (strlen(text) != length || tk_address_parse(text, 0, &storage) == 0) {
        lua_pushnil(L);
    } else {
        lua_pushstring(L, storage.ss_family == AF_INET ? "inet" : "inet6");
    }
    return 1;
}

void tk_dial_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {
        {"dial", core_dial}, {"lookup", core_lookup}, {"is_address", is_address}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
