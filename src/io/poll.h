/* What the wait conditions on streams have in common: wait/readable.c and wait/writable.c. */
#ifndef TK_IO_POLL_H
#define TK_IO_POLL_H

#include "io/stream.h"

struct tk_poll_wait {
    struct tk_gate_wait own; /* first */
    struct tk_stream *stream;
};

/* A stream is the one argument, and the one field. */
extern const struct tk_param tk_poll_params[];
extern const struct tk_field tk_poll_fields[];

/* Stands at `gate`, one of the stream's, unless it is `ready`: then it fires. */
void tk_poll_arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_gate *gate, bool ready);

/* For rows. */
int tk_poll_init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                 struct tk_fault *fault);
void tk_poll_disarm(struct tk_wait *wait, struct tk_sched *sched);
void tk_poll_describe(const struct tk_wait *wait, char *text, size_t size);

#endif
