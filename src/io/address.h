/* Addresses of sockets, as text and back. */
#ifndef TK_IO_ADDRESS_H
#define TK_IO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* Long enough for a path of a Unix socket, and for an address with its zone. */
#define TK_ADDRESS_TEXT 128

struct tk_address {
    char text[TK_ADDRESS_TEXT]; /* the host, or the path; empty: it has no name */
    int port;                   /* -1: none; it is a path */
};

/* Of a socket: its own address, or the peer's. 0 or an error. */
int tk_address_of(int fd, bool peer, struct tk_address *address);

/* From what a system call has filled. */
int tk_address_from(const struct sockaddr_storage *storage, socklen_t size,
                    struct tk_address *address);

/* Of a number as text, "127.0.0.1", "::1", "fe80::1%eth0"; its size; 0: it is none. */
socklen_t tk_address_parse(const char *host, int port, struct sockaddr_storage *storage);

/* Of a path; one that begins with "@" is abstract. 0: it is too long. */
socklen_t tk_address_path(const char *path, size_t length, struct sockaddr_storage *storage);

/* "127.0.0.1:4000" of the peer of a socket; if it has none, of its own. */
void tk_address_describe(int fd, char *text, size_t size);
void tk_address_write(const struct tk_address *address, char *text, size_t size);

#endif
