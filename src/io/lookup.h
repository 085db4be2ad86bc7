/* Looking a name up: getaddrinfo in a thread that nobody waits for. Lives in its owner's memory. */
#ifndef TK_IO_LOOKUP_H
#define TK_IO_LOOKUP_H

#include "io/gate.h"

struct addrinfo;
struct tk_lookup_request;

struct tk_lookup {
    struct tk_sched *sched;
    struct tk_gate done;               /* one who leaves it ends it */
    struct tk_lookup_request *request; /* NULL: it is over */
    int error;
    struct addrinfo *found;
    char text[160]; /* the name, for reports */
};

/* Begins. `family` is AF_INET, AF_INET6 or AF_UNSPEC. 0 or an error. */
int tk_lookup_start(struct tk_lookup *lookup, struct tk_sched *sched, const char *host, int family);
/* The address `index` of those found; false: there are no more. */
struct tk_address;
bool tk_lookup_get(const struct tk_lookup *lookup, size_t index, struct tk_address *address);
/* Ends it. Idempotent. */
void tk_lookup_finish(struct tk_lookup *lookup);

#endif
