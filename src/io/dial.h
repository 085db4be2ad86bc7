/*
 * Connecting: several addresses are tried, a new one each time that one has failed or a quarter of
 * a second is over; the first connection wins (RFC 8305). Lives in its owner's memory.
 */
#ifndef TK_IO_DIAL_H
#define TK_IO_DIAL_H

#include <sys/socket.h>

#include "io/gate.h"

struct tk_dialling;

struct tk_dial {
    struct tk_sched *sched;
    struct tk_gate done; /* one who leaves it ends it */
    struct tk_dialling *dialling;
    int fd;         /* connected; -1: not */
    int error;      /* of the attempt that failed last */
    char text[160]; /* of whom: for reports */
};

struct tk_dial_address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* Copies the addresses, at least one, and begins. 0, or an error. */
int tk_dial_start(struct tk_dial *dial, struct tk_sched *sched,
                  const struct tk_dial_address *addresses, size_t count);
bool tk_dial_is_over(const struct tk_dial *dial);
/* The connection, which is the caller's; or an error. */
int tk_dial_take(struct tk_dial *dial);
/* Ends it. Idempotent. */
void tk_dial_finish(struct tk_dial *dial);

#endif
