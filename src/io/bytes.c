/* Bytes in a block: see bytes.h. */
#include "io/bytes.h"

#include <stdlib.h>
#include <string.h>

/* The smallest block; and the largest that is kept while it is empty. */
#define SMALLEST 256
#define KEPT 4096

char *tk_bytes_room(struct tk_bytes *bytes, size_t count)
{
    size_t used = tk_bytes_count(bytes), size = bytes->size < SMALLEST ? SMALLEST : bytes->size;
    char *data;

    if (count <= bytes->size - bytes->end) {
        return bytes->data + bytes->end;
    }
    if (count > (size_t)-1 / 4 - used) {
        return NULL;
    }
    if (used + count <= bytes->size && bytes->start >= used) {
        memmove(bytes->data, bytes->data + bytes->start, used);
    } else {
        while (size < used + count) {
            size *= 2;
        }
        data = malloc(size);
        if (data == NULL) {
            return NULL;
        }
        if (used > 0) {
            memcpy(data, bytes->data + bytes->start, used);
        }
        free(bytes->data);
        bytes->data = data;
        bytes->size = size;
    }
    bytes->start = 0;
    bytes->end = used;
    return bytes->data + used;
}

bool tk_bytes_add(struct tk_bytes *bytes, const char *data, size_t count)
{
    char *room = count == 0 ? NULL : tk_bytes_room(bytes, count);

    if (room == NULL) {
        return count == 0;
    }
    memcpy(room, data, count);
    bytes->end += count;
    return true;
}

void tk_bytes_drop(struct tk_bytes *bytes, size_t count)
{
    bytes->start += count;
    if (bytes->start == bytes->end) {
        bytes->start = bytes->end = 0;
        if (bytes->size > KEPT) {
            tk_bytes_finish(bytes);
        }
    }
}

void tk_bytes_finish(struct tk_bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}
