/* Sockets of datagrams. */
#include <net/if.h>
#include <netinet/in.h>

#include "bind/net.h"

static const struct tk_socket_sort sort = {
    .name = "udp", .in_verb = "receiving from", .out_verb = "sending from", .table = TABLE_UDP};

/* For the Lua part: datagram(address, port, reuse_port) */
static int core_datagram(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_listen listen = {0};
    struct tk_socket *socket;
    int rc;

    tk_require_capability(L, bind, TK_MAY_NETWORK);
    listen.size = tk_check_address(L, 1, &listen.address);
    listen.reuse_port = lua_toboolean(L, 3);
    tk_check_open(L, bind);
    socket = tk_new_socket(L, bind, &sort);
    rc = tk_socket_datagram(&listen);
    if (rc >= 0) {
        rc = tk_socket_open(socket, bind->sched, rc);
    }
    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : 1;
}

/* Stands at the gate, or goes on standing there. */
static int await(lua_State *L, struct tk_bind *bind, struct tk_socket *socket, struct tk_gate *gate,
                 lua_Number seconds, bool given, lua_KFunction k)
{
    if (tk_current(bind) == NULL || tk_current(bind)->task.verbs == NULL) {
        tk_gate_stand(L, bind, gate, 0, seconds, given);
    } else {
        tk_gate_again(bind, 0);
        tk_socket_go_on(socket);
    }
    return tk_gate_block(L, bind, k, 0);
}

static int fail(lua_State *L, struct tk_bind *bind, int error)
{
    tk_gate_done(bind);
    return tk_push_failure_of(L, error, NULL);
}

/* ---- receive ---- */

static int receive_on(lua_State *L, int status, lua_KContext context);

static int receive_step(lua_State *L, struct tk_bind *bind, struct tk_socket *socket)
{
    struct sockaddr_storage from;
    struct tk_address address;
    socklen_t size;
    const char *data;
    ssize_t count =
        socket->poll == NULL ? TK_IO_CLOSED : tk_socket_receive(socket, &data, &from, &size);
    bool given = !lua_isnil(L, 2);
    int names;

    if (count == TK_IO_AGAIN) {
        return await(L, bind, socket, &socket->in, given ? lua_tonumber(L, 2) : -1, given,
                     receive_on);
    }
    if (count < 0) {
        return fail(L, bind, (int)count);
    }
    lua_pushlstring(L, data, (size_t)count);
    names = tk_address_from(&from, size, &address) < 0 ? 0 : tk_push_address(L, &address);
    tk_gate_done(bind);
    return 1 + names;
}

static int receive_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);

    (void)status;
    (void)context;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        return fail(L, bind, TK_IO_TIMEOUT);
    }
    return receive_step(L, bind, tk_check_socket(L, &sort));
}

/* udp:receive(timeout): the next datagram, and the host and port that it comes from. */
static int udp_receive(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_socket *socket = tk_check_socket(L, &sort);

    tk_check_wait(L, bind);
    tk_check_timeout(L, bind, 2);
    lua_settop(L, 2);
    return receive_step(L, bind, socket);
}

/* ---- send ---- */

static int send_on(lua_State *L, int status, lua_KContext context);

/* Frame: the socket, the data, the address, the port. */
static int send_step(lua_State *L, struct tk_bind *bind, struct tk_socket *socket)
{
    struct sockaddr_storage to;
    socklen_t size = tk_check_address(L, 3, &to);
    size_t count;
    const char *data = luaL_checklstring(L, 2, &count);
    int rc = socket->poll == NULL ? TK_IO_CLOSED : tk_socket_send(socket, data, count, &to, size);

    if (rc == TK_IO_AGAIN) {
        return await(L, bind, socket, &socket->out, -1, false, send_on);
    }
    if (rc < 0) {
        return fail(L, bind, rc);
    }
    tk_gate_done(bind);
    lua_settop(L, 1);
    return 1;
}

static int send_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);

    (void)status;
    (void)context;
    tk_gate_resumed(L, bind);
    return send_step(L, bind, tk_check_socket(L, &sort));
}

/* For the Lua part: send_to(udp, data, address, port) */
static int core_send(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_socket *socket = tk_check_socket(L, &sort);
    struct tk_body *body = tk_current(bind);

    lua_settop(L, 4);
    if (body != NULL && tk_is_stopped(bind, body)) {
        tk_check_wait(L, bind);
    }
    return send_step(L, bind, socket);
}

/* For the Lua part: udp_family(value): "inet" or "inet6"; "closed"; nil: it is no such socket. */
static int core_family(lua_State *L)
{
    const struct tk_socket *socket = tk_to_socket(L, 1, &sort);
    struct sockaddr_storage own = {0};
    socklen_t size = sizeof own;

    if (socket == NULL) {
        lua_pushnil(L);
    } else if (socket->poll == NULL ||
               getsockname(socket->fd, (struct sockaddr *)&own, &size) < 0) {
        lua_pushliteral(L, "closed");
    } else {
        lua_pushstring(L, own.ss_family == AF_INET6 ? "inet6" : "inet");
    }
    return 1;
}

/* ---- groups ---- */

static int member(lua_State *L, bool joins)
{
    struct tk_socket *socket = tk_check_socket(L, &sort);
    const char *group = luaL_checkstring(L, 2), *interface = luaL_optstring(L, 3, NULL);
    int rc =
        socket->poll == NULL ? TK_IO_CLOSED : tk_socket_member(socket, group, interface, joins);

    lua_settop(L, 1);
    return rc < 0 ? tk_push_failure_of(L, rc, NULL) : 1;
}

/* udp:join(group, interface), udp:leave(group, interface): multicast. */
static int udp_join(lua_State *L)
{
    return member(L, true);
}

static int udp_leave(lua_State *L)
{
    return member(L, false);
}

void tk_datagram_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {{"datagram", core_datagram},
                                    {"send_to", core_send},
                                    {"udp_family", core_family},
                                    {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"receive", udp_receive}, {"join", udp_join}, {"leave", udp_leave}, {NULL, NULL}};

    tk_socket_sort_open(L, bind, &sort, methods, "udp_methods");
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
