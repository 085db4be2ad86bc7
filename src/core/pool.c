/*
 * The pool: see pool.h. It owns regions of two megabytes, cut into aligned chunks; a block's chunk
 * is found from its address. Blocks of all sizes are cut from one chunk one after the other, so
 * what is made together lies together: with very many tasklets the time goes into pages that the
 * processor does not know, and those of one tasklet are one or two. Blocks given back serve their
 * own size again. When many chunks have become empty their blocks are taken out of the lists, and
 * the chunks serve any size.
 *
 * Builds that look for memory errors use malloc alone, so that each block is watched.
 */
#include "core/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
    struct chunk *next; /* among the spare ones */
    uint32_t live;      /* blocks in use */
    uint32_t used;      /* bytes cut off, this header included; 0: it is spare */
};

/* A block given back. */
struct hole {
    struct hole *next;
};

struct region {
    struct region *next;
    void *memory;
};

struct tk_pool {
    struct hole *holes[CLASSES];
    struct chunk *current; /* that blocks are cut from; NULL: none yet */
    struct chunk *spare;
    struct region *regions;
    size_t count;  /* of regions */
    size_t carved; /* chunks of the latest region that have been in use */
    size_t empty;  /* chunks without a block in use that are not spare */
    size_t blocks;
    size_t used;   /* bytes of theirs, as asked for */
    size_t limit;  /* of these; 0: none */
    size_t enough; /* used: it is time to collect */
    bool exempt;   /* it does not count for now */
    bool refused;  /* a block, since the last time */
};

struct tk_pool *tk_pool_new(void)
{
    return calloc(1, sizeof(struct tk_pool));
}

__attribute__((noinline)) void tk_pool_free(struct tk_pool *pool)
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

static struct chunk *chunk_of(const void *block)
{
    return (struct chunk *)((uintptr_t)block & ~(uintptr_t)(CHUNK_SIZE - 1));
}

static struct chunk *chunk_at(const struct region *region, size_t index)
{
    return (struct chunk *)((char *)region->memory + index * CHUNK_SIZE);
}

/* The next chunk of a region; memory is not touched long before it is needed. */
static struct chunk *carve(struct tk_pool *pool)
{
    struct chunk *chunk;

    if ((pool->regions == NULL || pool->carved == CHUNKS_IN_REGION) && add_region(pool) < 0) {
        return NULL;
    }
    chunk = chunk_at(pool->regions, pool->carved);
    if (pool->count > SMALL_PROGRAM && pool->carved % CHUNKS_AT_ONCE == 0) {
        madvise(chunk, CHUNKS_AT_ONCE * CHUNK_SIZE,
                MADV_POPULATE_WRITE); /* a wish: no matter if refused */
    }
    pool->carved++;
    return chunk;
}

static bool is_empty(const struct tk_pool *pool, const struct chunk *chunk)
{
    return chunk->live == 0 && chunk != pool->current;
}

/* Makes the empty chunks spare. */
static void reclaim(struct tk_pool *pool)
{
    size_t chunks = pool->carved;

    for (size_t i = 0; i < CLASSES; i++) {
        struct hole **link = &pool->holes[i];

        while (*link != NULL) {
            if (is_empty(pool, chunk_of(*link))) {
                *link = (*link)->next;
            } else {
                link = &(*link)->next;
            }
        }
    }
    for (struct region *region = pool->regions; region != NULL; region = region->next) {
        for (size_t i = 0; i < chunks; i++) {
            struct chunk *chunk = chunk_at(region, i);

            if (chunk->used != 0 && is_empty(pool, chunk)) {
                chunk->used = 0;
                chunk->next = pool->spare;
                pool->spare = chunk;
                pool->empty--;
            }
        }
        chunks = CHUNKS_IN_REGION; /* those before the latest are in use as a whole */
    }
}

/* Are so many chunks empty that it pays to go through all that was given back? */
static bool is_worth_it(const struct tk_pool *pool)
{
    size_t chunks = (pool->count - (pool->count > 0)) * CHUNKS_IN_REGION + pool->carved;

    return pool->empty > 1 && pool->empty * 4 > chunks;
}

/* Blocks are cut from another chunk from now on. */
static struct chunk *next_chunk(struct tk_pool *pool)
{
    struct chunk *chunk;

    if (pool->spare == NULL && is_worth_it(pool)) {
        reclaim(pool);
    }
    chunk = pool->spare;
    if (chunk != NULL) {
        pool->spare = chunk->next;
    } else {
        chunk = carve(pool);
        if (chunk == NULL) {
            return NULL;
        }
    }
    chunk->live = 0;
    chunk->used = (uint32_t)((sizeof *chunk + STEP - 1) / STEP * STEP);
    pool->current = chunk;
    pool->empty++;
    return chunk;
}

/* A block that nothing was given back for. Out of line, and so are the other rare ways: the usual
 * ones need no frame then. */
__attribute__((noinline)) static void *cut(struct tk_pool *pool, size_t class)
{
    struct chunk *chunk = pool->current;
    uint32_t whole = (uint32_t)((class + 1) * STEP);
    void *block;

    if (chunk == NULL || chunk->used + whole > CHUNK_SIZE) {
        chunk = next_chunk(pool);
        if (chunk == NULL) {
            return NULL;
        }
    }
    block = (char *)chunk + chunk->used;
    chunk->used += whole;
    if (chunk->live++ == 0) {
        pool->empty--;
    }
    pool->blocks++;
    return block;
}

static inline void *take(struct tk_pool *pool, size_t size)
{
    size_t class = (size - 1) / STEP;
    struct hole *hole = pool->holes[class];

    if (hole == NULL) {
        return cut(pool, class);
    }
    pool->holes[class] = hole->next;
    if (chunk_of(hole)->live++ == 0) {
        pool->empty--;
    }
    pool->blocks++;
    return hole;
}

static inline void give(struct tk_pool *pool, void *block, size_t size)
{
    size_t class = (size - 1) / STEP;
    struct hole *hole = block;

    hole->next = pool->holes[class];
    pool->holes[class] = hole;
    if (--chunk_of(block)->live == 0) {
        pool->empty++;
    }
}

__attribute__((noinline)) static void *large_new(struct tk_pool *pool, size_t size)
{
    void *block = malloc(size);

    if (block != NULL) {
        pool->blocks++;
    }
    return block;
}

static inline void *block_new(struct tk_pool *pool, size_t size)
{
    return POOLED && size <= LARGEST ? take(pool, size) : large_new(pool, size);
}

/* One block less; with the last one the pool goes. */
static inline void count_down(struct tk_pool *pool)
{
    if (--pool->blocks == 0) {
        tk_pool_free(pool);
    }
}

__attribute__((noinline)) static void large_free(struct tk_pool *pool, void *block)
{
    free(block);
    count_down(pool);
}

static inline void block_free(struct tk_pool *pool, void *block, size_t size)
{
    if (POOLED && size <= LARGEST) {
        give(pool, block, size);
        count_down(pool);
    } else {
        large_free(pool, block);
    }
}

__attribute__((noinline)) static void *resize(struct tk_pool *pool, void *block, size_t old_size,
                                              size_t size)
{
    void *moved;

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

/* Is that more than the limit leaves? */
static bool is_beyond(const struct tk_pool *pool, size_t more)
{
    return !pool->exempt && (pool->used > pool->limit || more > pool->limit - pool->used);
}

void *tk_pool_realloc(struct tk_pool *pool, void *block, size_t old_size, size_t size)
{
    void *changed;

    if (block == NULL) {
        old_size = 0;
    }
    if (size == 0) {
        if (block != NULL) {
            pool->used -= old_size;
            block_free(pool, block, old_size);
        }
        return NULL;
    }
    if (size > old_size && pool->limit != 0 && is_beyond(pool, size - old_size)) {
        pool->refused = true;
        return NULL;
    }
    changed = block == NULL ? block_new(pool, size) : resize(pool, block, old_size, size);
    if (changed != NULL) {
        pool->used += size - old_size;
    }
    return changed;
}

size_t tk_pool_used(const struct tk_pool *pool)
{
    return pool->used;
}

void tk_pool_limit(struct tk_pool *pool, size_t limit)
{
    pool->limit = limit;
    tk_pool_collected(pool);
}

bool tk_pool_presses(const struct tk_pool *pool)
{
    return pool->limit != 0 && (pool->refused || pool->used >= pool->enough);
}

void tk_pool_collected(struct tk_pool *pool)
{
    size_t left = pool->used < pool->limit ? (pool->limit - pool->used) / 2 : 0;

    /* Where hardly anything is left, not at each block. */
    pool->enough = pool->used + (left > pool->limit / 32 ? left : pool->limit / 32);
    pool->refused = false;
}

bool tk_pool_exempt(struct tk_pool *pool, bool exempt)
{
    bool was = pool->exempt;

    pool->exempt = exempt;
    return was;
}
