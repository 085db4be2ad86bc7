/* Errors of this room: libuv's negative codes, and some of our own; and their names. */
#ifndef TK_IO_ERROR_H
#define TK_IO_ERROR_H

#include <errno.h>
#include <stddef.h>

enum {
    TK_IO_TIMEOUT = -20001,
    TK_IO_CLOSED = -20002,
    TK_IO_TLS = -20003,
    TK_IO_AGAIN = -EAGAIN,     /* not now */
    TK_IO_NOT_THAT = -ENOTSUP, /* not on a stream of this sort */
};

/* The stable name: "ECONNREFUSED", "timeout", "closed". */
const char *tk_io_name(int error, char *text, size_t size);

/* For people: "connection refused". */
const char *tk_io_text(int error, char *text, size_t size);

#endif
