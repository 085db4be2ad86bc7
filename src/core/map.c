/*
 * The map: see map.h. Load stays at or below one half, so a probe is short and always ends. Slots
 * are never marked as deleted; a removal moves later entries of the same run back, so that old maps
 * stay fast.
 */
#include "core/map.h"

#include <stdlib.h>

#include "core/fault.h"

#define FIRST_SIZE 8

static size_t place(const struct tk_map *map, uintptr_t key)
{
    uint64_t hash = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);

    return (size_t)(hash >> 32) & map->mask;
}

/* The slot of a key, or the free one where it belongs. */
static struct tk_map_slot *find(const struct tk_map *map, uintptr_t key)
{
    size_t i = place(map, key);

    while (map->slots[i].value != NULL && map->slots[i].key != key) {
        i = (i + 1) & map->mask;
    }
    return &map->slots[i];
}

static int grow(struct tk_map *map)
{
    size_t old_size = map->slots == NULL ? 0 : map->mask + 1;
    size_t size = old_size == 0 ? FIRST_SIZE : old_size * 2;
    struct tk_map_slot *old = map->slots;
    struct tk_map_slot *slots = calloc(size, sizeof *slots);

    if (slots == NULL) {
        return TK_ENOMEM;
    }
    map->slots = slots;
    map->mask = size - 1;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i].value != NULL) {
            *find(map, old[i].key) = old[i];
        }
    }
    free(old);
    return 0;
}

void *tk_map_get(const struct tk_map *map, uintptr_t key)
{
    return map->count == 0 ? NULL : find(map, key)->value;
}

int tk_map_set(struct tk_map *map, uintptr_t key, void *value)
{
    struct tk_map_slot *slot;

    if (map->slots == NULL || (map->count + 1) * 2 > map->mask + 1) {
        int rc = grow(map);

        if (rc < 0) {
            return rc;
        }
    }
    slot = find(map, key);
    if (slot->value == NULL) {
        map->count++;
    }
    slot->key = key;
    slot->value = value;
    return 0;
}

void *tk_map_remove(struct tk_map *map, uintptr_t key)
{
    struct tk_map_slot *slot;
    void *value;
    size_t hole, i;

    if (map->count == 0) {
        return NULL;
    }
    slot = find(map, key);
    value = slot->value;
    if (value == NULL) {
        return NULL;
    }
    hole = (size_t)(slot - map->slots);
    for (i = (hole + 1) & map->mask; map->slots[i].value != NULL; i = (i + 1) & map->mask) {
        size_t home = place(map, map->slots[i].key);

        /* It may fill the hole if its home is not between the hole and itself. */
        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].value = NULL;
    map->count--;
    return value;
}

void *tk_map_next(const struct tk_map *map, size_t *cursor)
{
    if (map->slots == NULL) {
        return NULL;
    }
    while (*cursor <= map->mask) {
        void *value = map->slots[(*cursor)++].value;

        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}

void tk_map_finish(struct tk_map *map)
{
    free(map->slots);
    map->slots = NULL;
    map->mask = 0;
    map->count = 0;
}
