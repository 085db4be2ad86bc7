/* Bytes in a block: see bytes.h. */
#include "io/bytes.h"

#include <stdlib.h>
#include <string.h>

/* The smallest block. */
#define SMALLEST 256

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

void tk_bytes_finish(struct tk_bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}
