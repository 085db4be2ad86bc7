/*
 * A carrier: what brings a stream its bytes and takes them away. The lowest one works on a
 * descriptor (raw.h); others, that change bytes on their way, stand between that and the stream:
 * each is the sink of the one below.
 *
 * Errors are libuv's negative codes, or those of error.h. No script runs in any of these calls.
 */
#ifndef TK_IO_CARRIER_H
#define TK_IO_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "io/bytes.h"

struct tk_carrier;
struct tk_sink;

/* What is behind it; -1 for the call that makes a carrier: it is to find out. */
enum tk_stream_kind {
    TK_STREAM_ANY = -1,
    TK_STREAM_TCP,
    TK_STREAM_UNIX,
    TK_STREAM_PIPE,
    TK_STREAM_TERMINAL,
    TK_STREAM_FILE,
};

/* What a carrier calls. After `close` it calls nothing. */
struct tk_sink_ops {
    /* Bytes have come; borrowed for the call. It may call stop, start and close. */
    void (*received)(struct tk_sink *sink, const char *data, size_t count);
    /* No more will come: the end (0), or an error. */
    void (*ended)(struct tk_sink *sink, int error);
    /* It would take bytes again. If it cannot, `write` says why. */
    void (*drained)(struct tk_sink *sink);
    /* What had to be agreed upon first is (0); or it cannot be: an error, which is the stream's
     * from now on. From those carriers only that say so when they are made. */
    void (*opened)(struct tk_sink *sink, int error);
    /* Says in words why an error comes. */
    void (*reason)(struct tk_sink *sink, const char *text);
    /* The loop goes: the carrier is closed, and frees itself. */
    void (*lost)(struct tk_sink *sink);
};

struct tk_sink {
    const struct tk_sink_ops *ops;
};

struct tk_carrier_ops {
    /* The sink wants bytes from now on; may call it before it returns. Idempotent. 0, or an error.
     */
    int (*start)(struct tk_carrier *carrier);
    /* It wants none for now; some that are on their way may still come. Idempotent. */
    void (*stop)(struct tk_carrier *carrier);
    /*
     * Sends what it can of at most TK_PIECES pieces, at once. How many bytes it has taken, or an
     * error. If they are fewer than were given, `drained` will be called.
     */
    ssize_t (*write)(struct tk_carrier *carrier, const struct iovec *pieces, int count);
    /* No more will be written: the other side is to see an end. All has been sent. */
    int (*shutdown)(struct tk_carrier *carrier);
    /* The end of it: frees itself when it can. `rest`, which it takes over, is sent in the
     * background. The sink is not called any more. Never fails. */
    void (*close)(struct tk_carrier *carrier, struct tk_bytes *rest);
    /* The lowest one's: the sink has been closed itself, and waits for its peer once more. If that
     * takes long, it ends with an error. Once. False: no memory. */
    bool (*hurry)(struct tk_carrier *carrier);
    /* The descriptor at the bottom. */
    int (*descriptor)(const struct tk_carrier *carrier);
};

struct tk_carrier {
    const struct tk_carrier_ops *ops;
    struct tk_sink *sink; /* borrowed: closes the carrier before it goes */
};

#define TK_PIECES 8

#endif
