/*
 * The pool by its public functions: whatever comes and goes, a block keeps what was written into it
 * and overlaps no other. Release builds test the pool proper, all others its way around it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/pool.h"

#define BLOCKS 3000
#define PHASE_SIZE ((size_t)16 << 20)
#define PHASES 16
#define STEP 48

/* A checker keeps what was freed, in order to tell of its use. */
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__)
#define POOLED 1
#else
#define POOLED 0
#endif

struct block {
    unsigned char *memory;
    size_t size;
    uint32_t mark;
};

static struct block blocks[BLOCKS];
static uint32_t marks;
static uint64_t random_state;

static uint64_t random_number(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D) % limit;
}

static unsigned char expected(uint32_t mark, size_t i)
{
    return (unsigned char)((mark * 31 + i * 7) >> (i % 3));
}

static void fill(struct block *block)
{
    block->mark = ++marks;
    for (size_t i = 0; i < block->size; i++) {
        block->memory[i] = expected(block->mark, i);
    }
}

static void check(const struct block *block, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (block->memory[i] != expected(block->mark, i)) {
            fail_msg("byte %zu of a block of %zu has changed", i, block->size);
        }
    }
}

static void resize(struct tk_pool *pool, struct block *block, size_t size)
{
    size_t old = block->size;

    check(block, old);
    /* For a new block Lua passes some small number as the old size. */
    block->memory = tk_pool_realloc(pool, block->memory, block->memory == NULL ? 5 : old, size);
    block->size = size;
    if (size == 0) {
        assert_null(block->memory);
        return;
    }
    assert_non_null(block->memory);
    assert_int_equal((uintptr_t)block->memory % 16, 0);
    check(block, old < size ? old : size);
    fill(block);
}

static size_t random_size(void)
{
    switch (random_number(12)) {
    case 0:
        return 1024 + random_number(3) - 1; /* about the largest that is pooled */
    case 1:
        return 1000 + random_number(6000);
    case 2:
        return random_number(30) == 0 ? 300000 : 1;
    case 3:
        return 16 * (1 + random_number(64));
    case 4:
    case 5:
        return 1 + random_number(1024);
    default:
        return 1 + random_number(100);
    }
}

static void free_all(struct tk_pool *pool)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        if (blocks[i].memory != NULL) {
            resize(pool, &blocks[i], 0);
        }
    }
}

static void a_pool_without_blocks_is_freed_by_its_owner(void **state)
{
    struct tk_pool *pool = tk_pool_new();

    (void)state;
    assert_non_null(pool);
    assert_null(tk_pool_realloc(pool, NULL, 0, 0));
    tk_pool_free(pool);
}

/* That the memory is given back is seen by valgrind and the sanitizer. */
static void the_pool_goes_with_its_last_block(void **state)
{
    static const size_t sizes[] = {1, 16, 1024, 1025, 200000};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct tk_pool *pool = tk_pool_new();
        void *block = tk_pool_realloc(pool, NULL, 0, sizes[i]);

        assert_non_null(block);
        memset(block, 1, sizes[i]);
        assert_null(tk_pool_realloc(pool, block, sizes[i], 0));
    }
}

static void one_block_grows_and_shrinks_over_all_sizes(void **state)
{
    struct tk_pool *pool = tk_pool_new();
    struct block block = {0};

    (void)state;
    for (size_t size = 1; size <= 1100; size++) {
        resize(pool, &block, size);
    }
    for (size_t size = 1100; size > 0; size--) {
        resize(pool, &block, size);
    }
    resize(pool, &block, 100000);
    resize(pool, &block, 200000);
    resize(pool, &block, 3);
    resize(pool, &block, 0);
}

/* Chunks that a size has left empty serve the next; in each direction of giving back. */
static void each_size_in_turn_fills_many_chunks(void **state)
{
    struct tk_pool *pool = tk_pool_new();
    void *last = tk_pool_realloc(pool, NULL, 0, 1);

    (void)state;
    for (size_t size = 16; size <= 1024; size += 112) {
        for (size_t i = 0; i < BLOCKS; i++) {
            resize(pool, &blocks[i], size);
        }
        if (size % 32 == 0) {
            free_all(pool);
        } else {
            for (size_t i = BLOCKS; i-- > 0;) {
                resize(pool, &blocks[i], 0);
            }
        }
    }
    assert_null(tk_pool_realloc(pool, last, 1, 0));
}

/* The resident size of this process, in bytes. */
static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long all, pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &pages), 2);
    fclose(file);
    return pages * 4096;
}

/* What one size has left to others keeps a program that changes its ways from growing. Each phase
 * leaves a block behind, so that no chunk but its own is spared. */
static void phases_of_different_sizes_use_the_same_memory(void **state)
{
    static void *held[PHASE_SIZE / STEP];
    void *left[PHASES];
    struct tk_pool *pool = tk_pool_new();
    size_t before = 0;

    (void)state;
    for (size_t phase = 0; phase < PHASES; phase++) {
        size_t size = (phase + 1) * STEP, count = PHASE_SIZE / size;

        for (size_t i = 0; i < count; i++) {
            held[i] = tk_pool_realloc(pool, NULL, 0, size);
            assert_non_null(held[i]);
            memset(held[i], 1, size);
        }
        left[phase] = held[0];
        before = phase == 0 ? resident() : before;
        for (size_t i = 1; i < count; i++) {
            tk_pool_realloc(pool, held[i], size, 0);
        }
    }
    assert_true(!POOLED || resident() < before + 2 * PHASE_SIZE); /* and not 15 times as much */
    for (size_t phase = 0; phase < PHASES; phase++) {
        tk_pool_realloc(pool, left[phase], (phase + 1) * STEP, 0);
    }
}

static void blocks_keep_what_is_in_them(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct tk_pool *pool = tk_pool_new();
        void *last = tk_pool_realloc(pool, NULL, 0, 40);

        random_state = seed;
        for (int i = 0; i < 60000; i++) {
            struct block *block = &blocks[random_number(BLOCKS)];
            /* Times of growth and of decline, so that chunks fill and empty. */
            uint64_t frees = i % 20000 < 10000 ? 1 : 5;

            if (block->memory != NULL && random_number(6) < frees) {
                resize(pool, block, 0);
            } else if (block->memory == NULL || random_number(3) == 0) {
                resize(pool, block, random_size());
            }
        }
        free_all(pool);
        assert_null(tk_pool_realloc(pool, last, 40, 0));
    }
}

static void pools_do_not_mix(void **state)
{
    struct tk_pool *pools[3] = {tk_pool_new(), tk_pool_new(), tk_pool_new()};

    (void)state;
    random_state = 77;
    for (size_t i = 0; i < BLOCKS; i++) {
        resize(pools[i % 3], &blocks[i], 1 + random_number(200));
    }
    for (size_t pool = 0; pool < 3; pool++) {
        for (size_t i = pool; i < BLOCKS; i += 3) {
            resize(pools[pool], &blocks[i], 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_without_blocks_is_freed_by_its_owner),
        cmocka_unit_test(the_pool_goes_with_its_last_block),
        cmocka_unit_test(one_block_grows_and_shrinks_over_all_sizes),
        cmocka_unit_test(each_size_in_turn_fills_many_chunks),
        cmocka_unit_test(phases_of_different_sizes_use_the_same_memory),
        cmocka_unit_test(blocks_keep_what_is_in_them),
        cmocka_unit_test(pools_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
