/* The map against a model that is an array with a place for each key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/map.h"

#define KEYS 700

static uint64_t random_state;

static uint64_t random_number(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D) % limit;
}

static char values[KEYS];

static void an_empty_map_has_nothing(void **state)
{
    struct tk_map map = {0};
    size_t cursor = 0;

    (void)state;
    assert_null(tk_map_get(&map, 0));
    assert_null(tk_map_remove(&map, 5));
    assert_null(tk_map_next(&map, &cursor));
    tk_map_finish(&map);
    tk_map_finish(&map);
    assert_int_equal(map.count, 0);
}

static void any_word_is_a_key(void **state)
{
    static const uintptr_t keys[] = {0, 1, UINTPTR_MAX, UINTPTR_MAX - 1, UINTPTR_MAX / 2 + 1};
    struct tk_map map = {0};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_null(tk_map_get(&map, keys[i]));
        assert_int_equal(tk_map_set(&map, keys[i], &values[i]), 0);
    }
    assert_int_equal(map.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_ptr_equal(tk_map_get(&map, keys[i]), &values[i]);
        assert_ptr_equal(tk_map_remove(&map, keys[i]), &values[i]);
        assert_null(tk_map_get(&map, keys[i]));
        assert_null(tk_map_remove(&map, keys[i]));
    }
    assert_int_equal(map.count, 0);
    tk_map_finish(&map);
}

static void setting_again_replaces(void **state)
{
    struct tk_map map = {0};

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(tk_map_set(&map, 7, &values[i]), 0);
        assert_ptr_equal(tk_map_get(&map, 7), &values[i]);
    }
    assert_int_equal(map.count, 1);
    tk_map_finish(&map);
    assert_null(tk_map_get(&map, 7));
}

static void what_comes_and_goes_takes_no_more_room(void **state)
{
    struct tk_map map = {0};

    (void)state;
    for (uintptr_t key = 0; key < 100000; key++) {
        assert_int_equal(tk_map_set(&map, key * 16, &values[key % KEYS]), 0);
        if (key >= 3) {
            assert_ptr_equal(tk_map_remove(&map, (key - 3) * 16), &values[(key - 3) % KEYS]);
        }
    }
    assert_int_equal(map.count, 3);
    assert_true(map.mask < 64);
    tk_map_finish(&map);
}

/* Every value once, in whatever order. */
static void check_all(const struct tk_map *map, char *const *model, size_t count)
{
    char seen[KEYS] = {0};
    size_t cursor = 0, found = 0;
    char *value;

    while ((value = tk_map_next(map, &cursor)) != NULL) {
        seen[value - values]++;
        found++;
    }
    assert_int_equal(found, count);
    for (size_t i = 0; i < KEYS; i++) {
        if (model[i] != NULL) {
            assert_true(seen[model[i] - values] > 0);
            seen[model[i] - values]--;
        }
    }
}

static void it_does_what_the_model_does(void **state)
{
    /* Steps as of descriptors, of addresses, and such that crowd into few places. */
    static const uintptr_t steps[] = {1, 16, 4096, (uintptr_t)1 << 32, 0x9E3779B9};

    (void)state;
    for (size_t step = 0; step < 5; step++) {
        struct tk_map map = {0};
        char *model[KEYS] = {NULL};
        size_t count = 0;

        random_state = step + 1;
        for (int i = 0; i < 60000; i++) {
            /* A range that grows and shrinks again makes runs of each length. */
            size_t range = (size_t)(i % 20000 < 10000 ? i % 10000 : 10000 - i % 10000) / 15 + 8;
            size_t at = random_number(range);
            uintptr_t key = at * steps[step];

            assert_ptr_equal(tk_map_get(&map, key), model[at]);
            if (random_number(2) == 0) {
                char *value = &values[random_number(KEYS)];

                count += model[at] == NULL;
                model[at] = value;
                assert_int_equal(tk_map_set(&map, key, value), 0);
            } else {
                assert_ptr_equal(tk_map_remove(&map, key), model[at]);
                count -= model[at] != NULL;
                model[at] = NULL;
            }
            assert_int_equal(map.count, count);
            if (i % 500 == 0) {
                check_all(&map, model, count);
            }
        }
        for (size_t at = 0; at < KEYS; at++) {
            assert_ptr_equal(tk_map_get(&map, at * steps[step]), model[at]);
        }
        tk_map_finish(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(any_word_is_a_key),
        cmocka_unit_test(setting_again_replaces),
        cmocka_unit_test(what_comes_and_goes_takes_no_more_room),
        cmocka_unit_test(it_does_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
