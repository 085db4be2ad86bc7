/*
 * The pool: see pool.h. It owns regions of two megabytes, cut into aligned chunks; a block's chunk
 * is found from its address. Builds that look for memory errors use malloc alone, so that each
 * block is watched.
 */
#include "core/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/list.h"

#define LARGEST 1024
#define STEP 16
#define CLASSES (LARGEST / STEP)
#define CHUNK_SIZE ((size_t)65536)
#define CHUNKS_IN_REGION 32
#define REGION_SIZE (CHUNK_SIZE * CHUNKS_IN_REGION)

/* From so many regions on pages are asked for many at once: a fault for each costs several times
 * as much. */
#define SMALL_PROGRAM 4
#define CHUNKS_AT_ONCE 8
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__)
#define POOLED 1
#else
#define POOLED 0
#endif

struct chunk {
    struct tk_list node; /* among those of its class with room, or the free ones; unlinked: full */
    void *free;          /* blocks given back, linked through their first word */
    uint32_t live;
    uint32_t used; /* bytes handed out for the first time, this header included */
    uint32_t size; /* of a block */
};

struct region {
    struct region *next;
    void *memory;
};

struct tk_pool {
    struct tk_list room[CLASSES];
    struct tk_list empty;
    struct region *regions;
    size_t count;  /* of regions */
    size_t carved; /* chunks of the latest region that have been in use */
    size_t blocks;
};

struct tk_pool *tk_pool_new(void)
{
    struct tk_pool *pool = calloc(1, sizeof *pool);

    if (pool != NULL) {
        tk_list_init(&pool->empty);
        for (int i = 0; i < CLASSES; i++) {
            tk_list_init(&pool->room[i]);
        }
    }
    return pool;
}

void tk_pool_free(struct tk_pool *pool)
{
    while (pool->regions != NULL) {
        struct region *region = pool->regions;

        pool->regions = region->next;
        free(region->memory);
        free(region);
    }
    free(pool);
}

static int add_region(struct tk_pool *pool)
{
    struct region *region = malloc(sizeof *region);

    if (region == NULL) {
        return -1;
    }
    region->memory = aligned_alloc(CHUNK_SIZE, REGION_SIZE);
    if (region->memory == NULL) {
        free(region);
        return -1;
    }
    pool->count++;
    region->next = pool->regions;
    pool->regions = region;
    pool->carved = 0;
    return 0;
}

/* A chunk that no block is in; memory is not touched long before it is needed. */
static struct chunk *empty_chunk(struct tk_pool *pool)
{
    struct chunk *chunk;

    if (!tk_list_empty(&pool->empty)) {
        chunk = tk_container_of(tk_list_first(&pool->empty), struct chunk, node);
        tk_list_remove(&chunk->node);
        return chunk;
    }
    if ((pool->regions == NULL || pool->carved == CHUNKS_IN_REGION) && add_region(pool) < 0) {
        return NULL;
    }
    chunk = (struct chunk *)((char *)pool->regions->memory + pool->carved * CHUNK_SIZE);
    if (pool->count > SMALL_PROGRAM && pool->carved % CHUNKS_AT_ONCE == 0) {
        madvise(chunk, CHUNKS_AT_ONCE * CHUNK_SIZE,
                MADV_POPULATE_WRITE); /* a wish: no matter if refused */
    }
    pool->carved++;
    return chunk;
}

static struct chunk *chunk_for(struct tk_pool *pool, size_t class)
{
    struct tk_list *room = &pool->room[class];
    struct chunk *chunk;

    if (!tk_list_empty(room)) {
        return tk_container_of(tk_list_first(room), struct chunk, node);
    }
    chunk = empty_chunk(pool);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->free = NULL;
    chunk->live = 0;
    chunk->used = (uint32_t)((sizeof *chunk + STEP - 1) / STEP * STEP);
    chunk->size = (uint32_t)((class + 1) * STEP);
    tk_list_push(room, &chunk->node);
    return chunk;
}

static void *take(struct tk_pool *pool, size_t size)
{
    struct chunk *chunk = chunk_for(pool, (size - 1) / STEP);
    void *block;

    if (chunk == NULL) {
        return NULL;
    }
    if (chunk->free != NULL) {
        block = chunk->free;
        memcpy(&chunk->free, block, sizeof chunk->free);
    } else {
        block = (char *)chunk + chunk->used;
        chunk->used += chunk->size;
    }
    chunk->live++;
    if (chunk->free == NULL && chunk->used + chunk->size > CHUNK_SIZE) {
        tk_list_remove(&chunk->node);
    }
    return block;
}

static void give(struct tk_pool *pool, void *block)
{
    struct chunk *chunk = (struct chunk *)((uintptr_t)block & ~(uintptr_t)(CHUNK_SIZE - 1));
    struct tk_list *room = &pool->room[chunk->size / STEP - 1];

    memcpy(block, &chunk->free, sizeof chunk->free);
    chunk->free = block;
    if (!tk_list_linked(&chunk->node)) {
        tk_list_push_front(room, &chunk->node);
    }
    if (--chunk->live == 0 && room->next != room->prev) {
        tk_list_remove(&chunk->node);
        tk_list_push(&pool->empty, &chunk->node);
    }
}

static void *block_new(struct tk_pool *pool, size_t size)
{
    void *block = POOLED && size <= LARGEST ? take(pool, size) : malloc(size);

    if (block != NULL) {
        pool->blocks++;
    }
    return block;
}

static void block_free(struct tk_pool *pool, void *block, size_t size)
{
    if (POOLED && size <= LARGEST) {
        give(pool, block);
    } else {
        free(block);
    }
    if (--pool->blocks == 0) {
        tk_pool_free(pool);
    }
}

void *tk_pool_realloc(struct tk_pool *pool, void *block, size_t old_size, size_t size)
{
    void *moved;

    if (block == NULL) {
        return size == 0 ? NULL : block_new(pool, size);
    }
    if (size == 0) {
        block_free(pool, block, old_size);
        return NULL;
    }
    if (!POOLED || (old_size > LARGEST && size > LARGEST)) {
        return realloc(block, size);
    }
    if (old_size <= LARGEST && size <= LARGEST && (old_size - 1) / STEP == (size - 1) / STEP) {
        return block;
    }
    moved = block_new(pool, size);
    if (moved != NULL) {
        memcpy(moved, block, old_size < size ? old_size : size);
        block_free(pool, block, old_size);
    }
    return moved;
}
