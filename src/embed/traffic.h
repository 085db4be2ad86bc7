/*
 * What goes to and fro between a host and the rest of its program: messages and calls from other
 * threads, questions and their answers, calls of the program's functions that wait, conditions of
 * its kinds.
 *
 * From any thread comes a parcel. The port is a stack of them without a lock, which the host's
 * thread takes whole and turns round; whoever puts one onto an empty stack wakes the loop. All else
 * here is the host's thread's alone.
 *
 * What is to be told to the program - an answer, that nobody waits any more - is put aside where it
 * becomes known, for that may be inside the scheduler, and told at the end of the turn.
 */
#ifndef TK_EMBED_TRAFFIC_H
#define TK_EMBED_TRAFFIC_H

#include "core/list.h"
#include "core/map.h"
#include "host.h"
#include "wait/pending.h"

struct tk_parcel;

struct tk_parcel_kind {
    /* In the host's thread: the parcel has come, and belongs to this function. */
    void (*open)(struct tasklet_host *host, struct tk_parcel *parcel);
    /* The same, but the host goes, or has no memory. */
    void (*lose)(struct tk_parcel *parcel);
};

/* Embedded in what is sent. */
struct tk_parcel {
    struct tk_parcel *next;
    const struct tk_parcel_kind *kind;
};

/* What a host keeps for this. */
struct tk_traffic {
    struct tasklet_port *port; /* NULL: nobody has needed it yet */
    struct tk_parcel *come;    /* taken out of it and not opened yet, the first first */
    struct tk_map asks;        /* struct tk_ask, by their serial number */
    struct tk_list answered;   /* of these: those that are over, and not told yet */
    struct tk_list pendings;   /* struct tasklet_pending: somebody waits */
    struct tk_list left;       /* nobody waits any more, and that has not been told yet */
    struct tk_list functions;  /* the program's, in scripts */
    struct tk_list kinds;      /* the program's */
    struct tk_list conditions; /* of these */
};

void tk_traffic_init(struct tk_traffic *traffic);
/* The host goes, no tasklet waits any more, and the Lua state is still there: the program is told
 * all that it has not been told, and nothing afterwards. */
void tk_traffic_close(struct tasklet_host *host);

/* ---- port.c ---- */

/* The host's port, which the caller holds by this; NULL: no memory. */
struct tasklet_port *tk_port_take(struct tasklet_host *host);
/* Any thread. */
void tk_port_release(struct tasklet_port *port);
/* Sends a parcel. False: the host has gone, and the parcel is still the caller's. Any thread. */
bool tk_port_put(struct tasklet_port *port, struct tk_parcel *parcel);

/* How many bytes a copy of `values` takes besides the struct; SIZE_MAX: one of them may not come
 * from another thread. */
size_t tk_values_size(const struct tasklet_value *values, int count);
/* Copies values, and their bytes to `bytes`. */
void tk_values_copy(struct tasklet_value *to, const struct tasklet_value *values, int count,
                    char *bytes);

/* ---- ask.c ---- */

struct tk_ask;

/* One that has not begun; the caller owns it. NULL: no memory. Any thread. */
struct tk_ask *tk_ask_new(double seconds, tasklet_reply on_reply, void *context);
/* Frees one that has not begun. */
void tk_ask_free(struct tk_ask *ask);
/* It is over before it began: that is told later. Takes it. */
void tk_ask_refused(struct tasklet_host *host, struct tk_ask *ask, int status);
/* The same at once: the host goes. */
void tk_ask_lost(struct tk_ask *ask);

/* What is to be given to a tasklet. */
struct tk_letter {
    struct tasklet_host *host;
    const struct tasklet *to; /* NULL: the one with this id */
    unsigned long long id;
    const char *name;
    size_t length;
    const struct tasklet_value *value;
    struct tk_room *room;
    struct tk_ask *ask; /* NULL: none. Taken if it is sent */
};

/* 0, or a negative code, and nothing is sent. */
int tk_letter_send(const struct tk_letter *letter);

void tk_asks_tell(struct tasklet_host *host);
void tk_asks_close(struct tasklet_host *host);

/* ---- pending.c ---- */

/* The tasklet that runs is to wait for it; for use as `return`. */
RAISES int tk_pending_wait(lua_State *L, struct tk_bind *bind, struct tasklet_pending *pending);
/* NULL: no memory. */
struct tasklet_pending *tk_pending_new(struct tasklet_host *host, const char *what,
                                       void (*on_cancel)(void *context), void *context);
/* No tasklet will wait for it. */
void tk_pending_refuse(struct tasklet_pending *pending);
void tk_pendings_tell(struct tasklet_host *host);
void tk_pendings_close(struct tasklet_host *host);

/* ---- function.c, kind.c ---- */

/* As tk_value_lend, on any state's stack. False: no memory. */
bool tk_value_try_lend(lua_State *L, struct tasklet_host *host, int index,
                       struct tasklet_value *out);

void tk_functions_close(struct tasklet_host *host);
void tk_conditions_close(struct tasklet_host *host);

#endif
