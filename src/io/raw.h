/*
 * The lowest carrier: on a descriptor that can be polled, or on a regular file, which is always
 * ready. It owns the descriptor. Reading and writing are its own system calls: libuv's would raise
 * SIGPIPE where the peer has gone, and this library leaves the process' signals alone.
 */
#ifndef TK_IO_RAW_H
#define TK_IO_RAW_H

#include <uv.h>

#include "io/carrier.h"
#include "io/hub.h"

/*
 * Makes one; owns the descriptor from now on, on failure too. `kind` may be TK_STREAM_ANY and is
 * then found out. `shared`: other processes have the same open file, whose flags are not to be
 * changed. 0, or an error.
 */
int tk_raw_new(struct tk_loop *loop, int fd, enum tk_stream_kind *kind, bool shared,
               struct tk_carrier **out);

/* Of a Unix socket: takes the oldest of the descriptors that have come; -1: none has. */
int tk_raw_take_descriptor(struct tk_carrier *carrier);
bool tk_raw_has_descriptor(const struct tk_carrier *carrier);
/* Sends a descriptor with one byte. 0, or an error; -EAGAIN: `drained` will be called. */
int tk_raw_send_descriptor(struct tk_carrier *carrier, int fd);
/* Is it such a carrier? */
bool tk_is_raw(const struct tk_carrier *carrier);

#endif
