/*
 * A socket that is no stream: one that listens, or one of datagrams. It says when it is ready, to
 * those who stand at its gates; what they do then is up to them.
 *
 * It lives in its owner's memory. What libuv needs is in memory of its own, which goes when libuv
 * has let go of it.
 */
#ifndef TK_IO_SOCKET_H
#define TK_IO_SOCKET_H

#include <sys/socket.h>

#include "io/gate.h"

struct tk_socket_poll;

struct tk_socket {
    struct tk_sched *sched;
    struct tk_socket_poll *poll; /* NULL: closed */
    int fd;
    const char *name; /* "server", "udp" */
    struct tk_gate in, out;
    const char *in_verb, *out_verb; /* for reports: "accepting from" */
};

void tk_socket_init(struct tk_socket *socket, const char *name, const char *in_verb,
                    const char *out_verb);

/* Opens one on a descriptor, which it owns from now on, on failure too. 0 or an error. */
int tk_socket_open(struct tk_socket *socket, struct tk_sched *sched, int fd);

/* Those who stand at its gates want to go on, though they have been let on before. */
void tk_socket_go_on(struct tk_socket *socket);

/* Closes it; all who wait go on. Idempotent. */
void tk_socket_close(struct tk_socket *socket);

void tk_socket_describe(const struct tk_socket *socket, char *text, size_t size);

/* Makes a socket that listens at an address; its descriptor, or an error. */
struct tk_listen {
    struct sockaddr_storage address;
    socklen_t size;
    int backlog;
    bool reuse_port;
};
int tk_socket_listen(const struct tk_listen *listen);

/* The next connection: its descriptor; -EAGAIN: there is none; or an error. If the process or the
 * system has no descriptors left it is -EAGAIN, and those who stand at `in` go on when there may be
 * some again. */
int tk_socket_accept(struct tk_socket *socket);

/* Makes a socket of datagrams at an address. */
int tk_socket_datagram(const struct tk_listen *listen);
/* How many bytes have been received, or an error. `size` is set to what the datagram had. */
ssize_t tk_socket_receive(struct tk_socket *socket, const char **data,
                          struct sockaddr_storage *from, socklen_t *size);
/* 0 or an error. */
int tk_socket_send(struct tk_socket *socket, const char *data, size_t count,
                   const struct sockaddr_storage *to, socklen_t size);
/* Joins a multicast group, or leaves it. `interface` is a name or an address, NULL: any. */
int tk_socket_member(struct tk_socket *socket, const char *group, const char *interface,
                     bool joins);

#endif
