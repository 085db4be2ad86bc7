/* Sockets as scripts see them: what the files about servers, datagrams and connecting share. */
#ifndef TK_BIND_NET_H
#define TK_BIND_NET_H

#include "bind/stream.h"
#include "io/address.h"
#include "io/socket.h"

/* The object: a userdata with the socket of the room io inside, closed at first. */
struct tk_socket_object {
    const void *brand; /* the address of the table of methods' key: what it is */
    struct tk_socket socket;
};

/* A sort of these objects: its metatable is in one of the binding's tables. */
struct tk_socket_sort {
    const char *name; /* "server" */
    const char *in_verb, *out_verb;
    int table;
};

/* Pushes one. */
RAISES struct tk_socket *tk_new_socket(lua_State *L, struct tk_bind *bind,
                                       const struct tk_socket_sort *sort);
/* The one at `index`; NULL: it is none of that sort. */
struct tk_socket *tk_to_socket(lua_State *L, int index, const struct tk_socket_sort *sort);
/* The one that a method was called on. */
RAISES struct tk_socket *tk_check_socket(lua_State *L, const struct tk_socket_sort *sort);
/* Makes the sort's metatable with these methods and those that all have; puts the table of methods
 * into the core under that name. */
void tk_socket_sort_open(lua_State *L, struct tk_bind *bind, const struct tk_socket_sort *sort,
                         const luaL_Reg *methods, const char *name);
/* The address at `index` and the port behind it; a port of nil: a path. Raises if it is none. */
RAISES socklen_t tk_check_address(lua_State *L, int index, struct sockaddr_storage *storage);

void tk_datagram_open(lua_State *L, struct tk_bind *bind);
void tk_dial_open(lua_State *L, struct tk_bind *bind);
void tk_net_open(lua_State *L, struct tk_bind *bind);

#endif
