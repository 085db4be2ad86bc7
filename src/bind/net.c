/*
 * Servers, and what all socket objects have. An object has the socket of the room io inside; it is
 * made closed and then opened, so that no descriptor is lost if there is no memory. Options,
 * policies and names are the Lua part's.
 */
#include "bind/net.h"

#include <netinet/in.h>

/* The user value of an object: a server's configuration of TLS. */
enum { UV_TLS = 1 };

/* ---- objects ---- */

struct tk_socket *tk_to_socket(lua_State *L, int index, const struct tk_socket_sort *sort)
{
    struct tk_socket_object *object = tk_to_sized(L, index, sizeof *object);

    return object != NULL && object->brand == sort ? &object->socket : NULL;
}

RAISES struct tk_socket *tk_new_socket(lua_State *L, struct tk_bind *bind,
                                       const struct tk_socket_sort *sort)
{
    struct tk_socket_object *object = lua_newuserdatauv(L, sizeof *object, 1);

    object->brand = sort;
    tk_socket_init(&object->socket, sort->name, sort->in_verb, sort->out_verb);
    tk_push_table(L, bind, sort->table);
    lua_setmetatable(L, -2);
    tk_note_made(L, bind);
    return &object->socket;
}

RAISES struct tk_socket *tk_check_socket(lua_State *L, const struct tk_socket_sort *sort)
{
    struct tk_socket *socket = tk_to_socket(L, 1, sort);

    if (socket == NULL) {
        luaL_typeerror(L, 1, sort->name);
    }
    return socket;
}

/* Upvalue 2 of what all sorts have: the sort. */
static struct tk_socket *check_any(lua_State *L)
{
    tk_bind_of(L);
    return tk_check_socket(L, lua_touserdata(L, lua_upvalueindex(2)));
}

static int socket_close(lua_State *L)
{
    tk_socket_close(check_any(L));
    lua_pushboolean(L, 1);
    return 1;
}

/* By the method: the Lua part has more to do. */
static int socket_leave(lua_State *L)
{
    check_any(L);
    lua_settop(L, 1);
    luaL_getmetafield(L, 1, "__index");
    lua_getfield(L, -1, "close");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 0);
    return 0;
}

static int socket_tostring(lua_State *L)
{
    char text[200];

    tk_socket_describe(check_any(L), text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

/* sockname(): host and port, or the path. */
static int socket_sockname(lua_State *L)
{
    struct tk_address address;
    const struct tk_socket *socket = check_any(L);
    int rc = socket->poll == NULL ? TK_IO_CLOSED : tk_address_of(socket->fd, false, &address);

    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : tk_push_address(L, &address);
}

static int socket_fileno(lua_State *L)
{
    const struct tk_socket *socket = check_any(L);

    if (socket->poll == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, socket->fd);
    }
    return 1;
}

static void set_common(lua_State *L, const luaL_Reg *functions, const struct tk_socket_sort *sort)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushlightuserdata(L, (void *)(uintptr_t)sort);
    luaL_setfuncs(L, functions, 2);
}

void tk_socket_sort_open(lua_State *L, struct tk_bind *bind, const struct tk_socket_sort *sort,
                         const luaL_Reg *methods, const char *name)
{
    static const luaL_Reg common[] = {{"close", socket_close},
                                      {"sockname", socket_sockname},
                                      {"fileno", socket_fileno},
                                      {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__tostring", socket_tostring},
                                           {"__close", socket_leave},
                                           {"__gc", socket_close},
                                           {NULL, NULL}};

    tk_push_table(L, bind, sort->table);
    lua_pushstring(L, sort->name);
    lua_setfield(L, -2, "__name");
    set_common(L, metamethods, sort);
    lua_newtable(L);
    set_common(L, common, sort);
    tk_set_functions(L, methods);
    tk_push_table(L, bind, TABLE_CORE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
    lua_setfield(L, -2, "__index");
    tk_protect(L, bind);
    lua_pop(L, 1);
}

RAISES socklen_t tk_check_address(lua_State *L, int index, struct sockaddr_storage *storage)
{
    size_t length;
    const char *text = luaL_checklstring(L, index, &length);
    socklen_t size;

    if (lua_isnoneornil(L, index + 1)) {
        size = tk_address_path(text, length, storage);
        luaL_argcheck(L, size > 0, index, "not a path of a socket");
    } else {
        lua_Integer port = luaL_checkinteger(L, index + 1);

        luaL_argcheck(L, port >= 0 && port <= 65535, index + 1, "not a port");
        size = tk_address_parse(text, (int)port, storage);
        luaL_argcheck(L, size > 0, index, "not an address");
    }
    return size;
}

/* ---- servers ---- */

static const struct tk_socket_sort sort = {
    .name = "server", .in_verb = "accepting from", .out_verb = "", .table = TABLE_SERVER};

/* For the Lua part: listen(address or path, port or nil, backlog, reuse_port, tls). `tls` is a
 * configuration, or nil. */
static int core_listen(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_listen listen = {0};
    struct tk_socket *socket;
    int rc;

    tk_require_capability(L, bind, TK_MAY_NETWORK);
    listen.size = tk_check_address(L, 1, &listen.address);
    listen.backlog = (int)luaL_checkinteger(L, 3);
    listen.reuse_port = lua_toboolean(L, 4);
    lua_settop(L, 5);
    tk_check_open(L, bind);
    socket = tk_new_socket(L, bind, &sort);
    lua_pushvalue(L, 5);
    lua_setiuservalue(L, -2, UV_TLS);
    rc = tk_socket_listen(&listen);
    if (rc >= 0) {
        rc = tk_socket_open(socket, bind->sched, rc);
    }
    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : 1;
}

/* For the Lua part: is_server(value). */
static int core_is_server(lua_State *L)
{
    lua_pushboolean(L, tk_to_socket(L, 1, &sort) != NULL);
    return 1;
}

static enum tk_stream_kind kind_of(const struct tk_socket *socket)
{
    return tk_raw_kind(socket->fd);
}

/* Opens the stream at 3 on a connection of the server at 1. */
static int open_accepted(lua_State *L, struct tk_bind *bind, struct tk_socket *socket, int fd)
{
    struct tk_stream *stream = tk_to_stream(L, 3);
    int rc = tk_stream_open(stream, bind->sched, fd, kind_of(socket));

    stream->accepted = true;
    if (rc >= 0 && lua_getiuservalue(L, 1, UV_TLS) != LUA_TNIL) {
        rc = tk_tls_accepted(L, stream, -1);
    }
    lua_settop(L, 3);
    return rc;
}

static int accept_on(lua_State *L, int status, lua_KContext context);

/* Frame: the server, the timeout, a stream that is to be opened. */
static int accept_step(lua_State *L, struct tk_bind *bind, struct tk_socket *socket)
{
    int fd = socket->poll == NULL ? TK_IO_CLOSED : tk_socket_accept(socket);

    if (fd == TK_IO_AGAIN) {
        if (bind->running == NULL || tk_current(bind)->task.verbs == NULL) {
            bool given = !lua_isnil(L, 2);

            tk_gate_stand(L, bind, &socket->in, 0, given ? lua_tonumber(L, 2) : -1, given);
        } else {
            tk_gate_again(bind, 0);
            tk_socket_go_on(socket);
        }
        return tk_gate_block(L, bind, accept_on, 0);
    }
    if (fd >= 0) {
        fd = open_accepted(L, bind, socket, fd);
    }
    tk_gate_done(bind);
    return fd < 0 ? tk_push_failure_of(L, fd, NULL) : 1;
}

static int accept_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);

    (void)status;
    (void)context;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        tk_gate_done(bind);
        return tk_push_failure_of(L, TK_IO_TIMEOUT, NULL);
    }
    return accept_step(L, bind, tk_check_socket(L, &sort));
}

/* It has had its share of connections in a row, and others have had their turn. */
static int accept_later(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    tk_check_raise(L, tk_bind_of(L));
    return accept_step(L, tk_bind_of(L), tk_check_socket(L, &sort));
}

/* server:accept(timeout): the next connection, a stream. */
static int server_accept(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_socket *socket = tk_check_socket(L, &sort);
    struct tk_body *body = tk_check_wait(L, bind);

    tk_check_timeout(L, bind, 2);
    lua_settop(L, 2);
    tk_new_stream(L, bind);
    if (bind->sched->credit-- <= 0) {
        tk_task_give_way(bind->sched, &body->task);
        return tk_give_way(L, bind, accept_later, 0);
    }
    return accept_step(L, bind, socket);
}

/* The stack's top is the module's table. */
void tk_net_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {
        {"listen", core_listen}, {"is_server", core_is_server}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"accept", server_accept}, {NULL, NULL}};

    tk_socket_sort_open(L, bind, &sort, methods, "server_methods");
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
    tk_datagram_open(L, bind);
    tk_dial_open(L, bind);
}
