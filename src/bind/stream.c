/*
 * Streams: the object. A userdata with the stream of the room io inside, blank until it is opened.
 * Whoever waits on it has it in its frame or in its condition, so that no stream is collected that
 * is waited for; one that is, is closed thereby. Reading is in read.c, writing in write.c.
 */
#include "bind/stream.h"

#include <unistd.h>

#include "io/address.h"

static const char brand = 'S';

struct tk_stream *tk_to_stream(lua_State *L, int index)
{
    struct tk_stream_object *object = tk_to_sized(L, index, sizeof *object);

    return object != NULL && object->brand == &brand ? &object->stream : NULL;
}

RAISES struct tk_stream *tk_check_stream(lua_State *L, struct tk_bind *bind)
{
    struct tk_stream *stream = tk_to_stream(L, 1);

    (void)bind;
    if (stream == NULL) {
        luaL_typeerror(L, 1, "stream");
    }
    return stream;
}

RAISES struct tk_stream *tk_new_stream(lua_State *L, struct tk_bind *bind)
{
    struct tk_stream_object *object = lua_newuserdatauv(L, sizeof *object, 0);

    object->brand = &brand;
    tk_stream_init(&object->stream);
    tk_push_table(L, bind, TABLE_STREAM);
    lua_setmetatable(L, -2);
    tk_note_made(L, bind);
    return &object->stream;
}

static int new_stream(lua_State *L)
{
    tk_new_stream(L, lua_touserdata(L, 1));
    return 1;
}

RAISES int tk_push_stream(lua_State *L, struct tk_bind *bind, int fd, enum tk_stream_kind kind)
{
    int rc = bind->sched == NULL ? TK_IO_CLOSED : 0;

    if (rc < 0 || !lua_checkstack(L, LUA_MINSTACK)) {
        close(fd);
        return tk_push_failure_of(L, rc, NULL);
    }
    lua_pushcfunction(L, new_stream);
    lua_pushlightuserdata(L, bind);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        close(fd);
        return lua_error(L);
    }
    rc = tk_stream_open(tk_to_stream(L, -1), bind->sched, fd, kind);
    if (rc < 0) {
        lua_pop(L, 1);
        return tk_push_failure_of(L, rc, NULL);
    }
    return 1;
}

int tk_push_failure_of(lua_State *L, int error, const char *what)
{
    char text[100];
    const char *message = tk_io_text(error, text, sizeof text);

    lua_pushnil(L);
    if (what == NULL) {
        lua_pushstring(L, message);
    } else {
        lua_pushfstring(L, "%s: %s", what, message);
    }
    lua_pushstring(L, tk_io_name(error, text, sizeof text));
    return 3;
}

int tk_push_stream_failure(lua_State *L, const struct tk_stream *stream, int error)
{
    if (error != TK_IO_TLS || stream->reason == NULL) {
        return tk_push_failure_of(L, error, NULL);
    }
    lua_pushnil(L);
    lua_pushstring(L, stream->reason);
    lua_pushliteral(L, "tls");
    return 3;
}

/* ---- the rest of the verbs ---- */

/* s:close(): whoever waits on it goes on. What is unsent is still sent. */
static int stream_close(lua_State *L)
{
    tk_stream_close(tk_check_stream(L, tk_bind_of(L)));
    lua_pushboolean(L, 1); /* as Lua's files do */
    return 1;
}

static int stream_gc(lua_State *L)
{
    tk_stream_collect(tk_to_stream(L, 1));
    return 0;
}

static int stream_tostring(lua_State *L)
{
    char text[200];

    tk_stream_describe(tk_check_stream(L, tk_bind_of(L)), text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

int tk_push_address(lua_State *L, const struct tk_address *address)
{
    lua_pushstring(L, address->text);
    if (address->port < 0) {
        return 1;
    }
    lua_pushinteger(L, address->port);
    return 2;
}

static int name(lua_State *L, bool peer)
{
    const struct tk_stream *stream = tk_check_stream(L, tk_bind_of(L));
    struct tk_address address;
    int fd = tk_stream_descriptor(stream);
    int rc = fd < 0 ? TK_IO_CLOSED : tk_address_of(fd, peer, &address);

    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : tk_push_address(L, &address);
}

/* s:sockname(), s:peername(): host and port, or the path. */
static int stream_sockname(lua_State *L)
{
    return name(L, false);
}

static int stream_peername(lua_State *L)
{
    return name(L, true);
}

/* s:set_timeout(seconds): for each of its verbs; negative or absent: none. */
static int stream_set_timeout(lua_State *L)
{
    struct tk_stream *stream = tk_check_stream(L, tk_bind_of(L));
    lua_Number seconds = luaL_optnumber(L, 2, -1);

    luaL_argcheck(L, seconds == seconds, 2, "not a number");
    stream->timeout = seconds < 0 ? -1 : seconds;
    lua_settop(L, 1);
    return 1;
}

/* s:set_limit(bytes): a line, or all there is, is no longer than that; absent: no limit. */
static int stream_set_limit(lua_State *L)
{
    struct tk_stream *stream = tk_check_stream(L, tk_bind_of(L));
    lua_Integer bytes = luaL_optinteger(L, 2, 1);

    luaL_argcheck(L, bytes > 0, 2, "must be positive");
    stream->limit = lua_isnoneornil(L, 2) ? SIZE_MAX : (size_t)bytes;
    lua_settop(L, 1);
    return 1;
}

/* s:set_nodelay(on): of TCP, are small pieces sent at once? They are, unless told otherwise. */
static int stream_set_nodelay(lua_State *L)
{
    struct tk_stream *stream = tk_check_stream(L, tk_bind_of(L));
    int rc;

    luaL_checktype(L, 2, LUA_TBOOLEAN);
    rc = tk_stream_set_nodelay(stream, lua_toboolean(L, 2));
    lua_settop(L, 1);
    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : 1;
}

/* s:fileno(): its descriptor; nil if it is closed. */
static int stream_fileno(lua_State *L)
{
    int fd = tk_stream_descriptor(tk_check_stream(L, tk_bind_of(L)));

    if (fd < 0) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, fd);
    }
    return 1;
}

/* stream(fd): one on a descriptor, which it owns from now on. */
static int module_stream(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Integer fd = luaL_checkinteger(L, 1);

    luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, 1, "not a descriptor");
    tk_check_open(L, bind);
    tk_require_capability(L, bind, TK_MAY_FILES | TK_MAY_NETWORK | TK_MAY_PROCESSES);
    return tk_push_stream(L, bind, (int)fd, TK_STREAM_ANY);
}

/* For the Lua part: open_standard(fd) */
static int open_standard(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream;
    int rc;

    tk_check_open(L, bind);
    tk_require_capability(L, bind, TK_MAY_FILES);
    stream = tk_new_stream(L, bind);
    rc = tk_stream_open_standard(stream, bind->sched, (int)luaL_checkinteger(L, 1));
    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : 1;
}

/* For the Lua part: pair() */
static int pair(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    int fds[2], rc;

    tk_check_open(L, bind);
    tk_new_stream(L, bind);
    tk_new_stream(L, bind);
    rc = tk_stream_pair(fds);
    for (int i = 0; i < 2 && rc >= 0; i++) {
        rc = tk_stream_open(tk_to_stream(L, i - 2), bind->sched, fds[i], TK_STREAM_UNIX);
        if (rc < 0 && i == 0) {
            close(fds[1]);
        }
    }
    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : 2;
}

/* For the Lua part. */
static int is_stream(lua_State *L)
{
    lua_pushboolean(L, tk_to_stream(L, 1) != NULL);
    return 1;
}

/* The stack's top is the module's table. */
/* For the Lua part: give_back(stream, text): what was read of it is unread again. */
static int give_back(lua_State *L)
{
    struct tk_stream *stream = tk_to_stream(L, 1);
    size_t length;
    const char *text = luaL_checklstring(L, 2, &length);

    luaL_argexpected(L, stream != NULL, 1, "stream");
    if (tk_bind_of(L)->sched != NULL && !tk_stream_give_back(stream, text, length)) {
        return luaL_error(L, "not enough memory");
    }
    return 0;
}

void tk_stream_bind_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg methods[] = {
        {"close", stream_close},         {"sockname", stream_sockname},
        {"peername", stream_peername},   {"set_timeout", stream_set_timeout},
        {"set_limit", stream_set_limit}, {"set_nodelay", stream_set_nodelay},
        {"fileno", stream_fileno},       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__tostring", stream_tostring},
                                           {"__close", stream_close},
                                           {"__gc", stream_gc},
                                           {NULL, NULL}};
    static const luaL_Reg core[] = {{"open_standard", open_standard},
                                    {"pair", pair},
                                    {"is_stream", is_stream},
                                    {"give_back", give_back},
                                    {NULL, NULL}};
    static const char *const conditions[] = {"readable", "writable"};
    static const luaL_Reg module[] = {{"stream", module_stream}, {NULL, NULL}};
    int top = lua_gettop(L);

    tk_set_functions(L, module);
    tk_push_table(L, bind, TABLE_STREAM);
    lua_pushliteral(L, "stream");
    lua_setfield(L, -2, "__name");
    tk_set_functions(L, metamethods);
    lua_newtable(L);
    tk_set_functions(L, methods);
    tk_read_open(L, bind);
    tk_write_open(L, bind);
    tk_tls_methods(L);
    tk_push_table(L, bind, TABLE_CORE);
    for (int i = 0; i < 2; i++) {
        lua_getfield(L, -1, conditions[i]);
        lua_setfield(L, -3, conditions[i]);
    }
    tk_set_functions(L, core);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "stream_methods");
    lua_pop(L, 1);
    lua_setfield(L, -2, "__index");
    tk_protect(L, bind);
    lua_settop(L, top);
}
