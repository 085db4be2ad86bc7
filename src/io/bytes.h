/*
 * Bytes that come at one end and go at the other: a block that grows as needed, and is given back
 * when it is empty and was large. A zeroed struct is an empty one.
 */
#ifndef TK_IO_BYTES_H
#define TK_IO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct tk_bytes {
    char *data;
    size_t start, end; /* what is in it */
    size_t size;       /* of the block */
};

static inline size_t tk_bytes_count(const struct tk_bytes *bytes)
{
    return bytes->end - bytes->start;
}

/* Room for so many at the end; NULL: no memory. */
char *tk_bytes_room(struct tk_bytes *bytes, size_t count);

/* Adds bytes at the end. False: no memory, and nothing is added. */
static inline bool tk_bytes_add(struct tk_bytes *bytes, const char *data, size_t count)
{
    char *room = bytes->data + bytes->end;

    if (count > bytes->size - bytes->end) {
        room = tk_bytes_room(bytes, count);
        if (room == NULL) {
            return false;
        }
    }
    if (count > 0) {
        memcpy(room, data, count);
    }
    bytes->end += count;
    return true;
}

/* It is empty: what was large is given back. */
void tk_bytes_finish(struct tk_bytes *bytes);

/* The largest block that is kept while it is empty. */
#define TK_BYTES_KEPT 4096

/* Takes so many away at the start. */
static inline void tk_bytes_drop(struct tk_bytes *bytes, size_t count)
{
    bytes->start += count;
    if (bytes->start == bytes->end) {
        bytes->start = bytes->end = 0;
        if (bytes->size > TK_BYTES_KEPT) {
            tk_bytes_finish(bytes);
        }
    }
}

#endif
