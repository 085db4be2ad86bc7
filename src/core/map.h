/*
 * A map from words to pointers: open addressing, linear probing, deletion by moving back. For small
 * tables that live with their owner: the names in a mailbox, the descriptors and children of a
 * loop.
 *
 * A zeroed struct is an empty map. The map owns its slots, never what the values point at.
 */
#ifndef TK_CORE_MAP_H
#define TK_CORE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct tk_map_slot {
    uintptr_t key;
    void *value; /* NULL: free */
};

struct tk_map {
    struct tk_map_slot *slots;
    size_t mask; /* number of slots - 1 */
    size_t count;
};

void *tk_map_get(const struct tk_map *map, uintptr_t key);

/* Sets a key; `value` is not NULL. 0, or TK_ENOMEM with the map unchanged. */
int tk_map_set(struct tk_map *map, uintptr_t key, void *value);

/* Takes a key out and returns its value, NULL if it was not there. */
void *tk_map_remove(struct tk_map *map, uintptr_t key);

/* The values one by one: start with *cursor 0; NULL at the end. The map must not change meanwhile.
 */
void *tk_map_next(const struct tk_map *map, size_t *cursor);

void tk_map_finish(struct tk_map *map);

#endif
