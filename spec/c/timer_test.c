/*
 * The timing wheel alone: what comes out, when, and in which order, against a model that keeps all
 * its entries in one sorted array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/timer.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define DAY (86400 * SECOND)
#define YEAR (365 * DAY)
#define TICK (UINT64_C(1) << 20)

static uint64_t random_state;

static uint64_t random_number(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D) % limit;
}

static void expect(struct tk_wheel *wheel, uint64_t now, const struct tk_timer *timer)
{
    assert_ptr_equal(tk_wheel_expire(wheel, now), timer);
    if (timer != NULL) {
        assert_false(tk_timer_armed(timer));
    }
}

static void an_empty_wheel_has_nothing(void **state)
{
    struct tk_wheel wheel;

    (void)state;
    tk_wheel_init(&wheel, 5 * SECOND);
    assert_true(tk_wheel_next(&wheel) == UINT64_MAX);
    assert_int_equal(tk_wheel_count(&wheel), 0);
    expect(&wheel, UINT64_MAX, NULL);
}

static void timers_come_in_order_of_due(void **state)
{
    static const uint64_t dues[] = {SECOND, 3, DAY, 2, 90 * SECOND, YEAR, TICK, TICK - 1, 1};
    static const size_t order[] = {8, 3, 1, 7, 6, 0, 4, 2, 5};
    struct tk_timer timers[9] = {0};
    struct tk_wheel wheel;

    (void)state;
    tk_wheel_init(&wheel, 0);
    for (size_t i = 0; i < 9; i++) {
        assert_false(tk_timer_armed(&timers[i]));
        tk_wheel_arm(&wheel, &timers[i], dues[i]);
        assert_true(tk_timer_armed(&timers[i]));
        assert_int_equal(tk_wheel_count(&wheel), i + 1);
    }
    for (size_t i = 0; i < 9; i++) {
        uint64_t due = dues[order[i]];

        assert_true(tk_wheel_next(&wheel) == due);
        expect(&wheel, due - 1, NULL);
        expect(&wheel, due, &timers[order[i]]);
        assert_int_equal(tk_wheel_count(&wheel), 8 - i);
    }
}

static void equal_dues_come_in_order_of_arming(void **state)
{
    enum { COUNT = 300 };
    static const uint64_t distances[] = {0, TICK, SECOND, 60 * SECOND, DAY, 30 * DAY, 300 * YEAR};
    static struct tk_timer timers[COUNT];
    struct tk_wheel wheel;

    (void)state;
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        uint64_t due = 7 * SECOND + distances[i];

        tk_wheel_init(&wheel, 7 * SECOND);
        for (size_t j = 0; j < COUNT; j++) {
            /* Armed while the wheel turns nearer, so from ever other levels. */
            expect(&wheel, 7 * SECOND + distances[i] / COUNT * j, NULL);
            tk_wheel_arm(&wheel, &timers[j], due + (distances[i] == 0));
        }
        for (size_t j = 0; j < COUNT; j++) {
            expect(&wheel, due + 1, &timers[j]);
        }
        expect(&wheel, due + 1, NULL);
    }
}

static void past_dues_come_first_and_in_order(void **state)
{
    struct tk_timer timers[6] = {0};
    struct tk_wheel wheel;

    (void)state;
    tk_wheel_init(&wheel, DAY);
    tk_wheel_arm(&wheel, &timers[0], DAY);
    tk_wheel_arm(&wheel, &timers[1], 0);
    tk_wheel_arm(&wheel, &timers[2], DAY - 1);
    tk_wheel_arm(&wheel, &timers[3], 0);
    tk_wheel_arm(&wheel, &timers[4], SECOND);
    tk_wheel_arm(&wheel, &timers[5], DAY + 1);
    assert_true(tk_wheel_next(&wheel) == 0);
    expect(&wheel, DAY, &timers[1]);
    expect(&wheel, DAY, &timers[3]);
    expect(&wheel, DAY, &timers[4]);
    expect(&wheel, DAY, &timers[2]);
    expect(&wheel, DAY, &timers[0]);
    expect(&wheel, DAY, NULL);
    assert_true(tk_wheel_next(&wheel) == DAY + 1);
    /* A clock that was read earlier takes nothing out before its time, nor turns the wheel back. */
    expect(&wheel, 0, NULL);
    tk_wheel_arm(&wheel, &timers[0], DAY / 2);
    expect(&wheel, DAY + 1, &timers[0]);
    expect(&wheel, DAY + 1, &timers[5]);
}

static void what_is_armed_in_between_comes_in_the_same_series(void **state)
{
    struct tk_timer timers[5] = {0};
    struct tk_wheel wheel;

    (void)state;
    tk_wheel_init(&wheel, 0);
    tk_wheel_arm(&wheel, &timers[0], SECOND);
    tk_wheel_arm(&wheel, &timers[1], 2 * SECOND);
    tk_wheel_arm(&wheel, &timers[2], 2 * SECOND);
    expect(&wheel, 3 * SECOND, &timers[0]);
    tk_wheel_arm(&wheel, &timers[3], SECOND / 2);
    tk_wheel_arm(&wheel, &timers[4], 3 * SECOND);
    tk_wheel_disarm(&wheel, &timers[1]);
    expect(&wheel, 3 * SECOND, &timers[3]);
    expect(&wheel, 3 * SECOND, &timers[2]);
    tk_wheel_arm(&wheel, &timers[0], 3 * SECOND);
    tk_wheel_arm(&wheel, &timers[1], 3 * SECOND + 1);
    expect(&wheel, 3 * SECOND, &timers[4]);
    expect(&wheel, 3 * SECOND, &timers[0]);
    expect(&wheel, 3 * SECOND, NULL);
    assert_true(tk_wheel_next(&wheel) == 3 * SECOND + 1);
}

static void an_armed_timer_is_moved_and_counts_as_armed_last(void **state)
{
    struct tk_timer a = {0};
    struct tk_timer b = {0};
    struct tk_wheel wheel;

    (void)state;
    tk_wheel_init(&wheel, 0);
    tk_wheel_arm(&wheel, &a, SECOND);
    tk_wheel_arm(&wheel, &b, SECOND);
    tk_wheel_arm(&wheel, &a, SECOND);
    assert_int_equal(tk_wheel_count(&wheel), 2);
    expect(&wheel, SECOND, &b);
    tk_wheel_arm(&wheel, &a, YEAR);
    assert_true(tk_wheel_next(&wheel) == YEAR);
    tk_wheel_arm(&wheel, &a, 2 * SECOND);
    assert_true(tk_wheel_next(&wheel) == 2 * SECOND);
    expect(&wheel, 2 * SECOND, &a);
    expect(&wheel, 2 * YEAR, NULL);
}

static void disarming_works_on_each_level(void **state)
{
    struct tk_wheel wheel;

    (void)state;
    tk_wheel_init(&wheel, 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t due = UINT64_C(1) << bit;
        struct tk_timer timers[3] = {0};

        for (size_t i = 0; i < 3; i++) {
            tk_wheel_arm(&wheel, &timers[i], due + i);
        }
        tk_wheel_disarm(&wheel, &timers[1]);
        assert_false(tk_timer_armed(&timers[1]));
        tk_wheel_disarm(&wheel, &timers[1]);
        assert_int_equal(tk_wheel_count(&wheel), 2);
        assert_true(tk_wheel_next(&wheel) == due);
        tk_wheel_disarm(&wheel, &timers[0]);
        assert_true(tk_wheel_next(&wheel) == due + 2);
        tk_wheel_disarm(&wheel, &timers[2]);
        assert_true(tk_wheel_next(&wheel) == UINT64_MAX);
        assert_int_equal(tk_wheel_count(&wheel), 0);
    }
    expect(&wheel, UINT64_MAX, NULL);
}

static void the_whole_range_can_be_used(void **state)
{
    static const uint64_t dues[] = {30 * DAY, 100 * YEAR, UINT64_MAX / 2, UINT64_MAX - 2,
                                    UINT64_MAX - 1};
    struct tk_timer timers[5] = {0};
    struct tk_wheel wheel;

    (void)state;
    tk_wheel_init(&wheel, 0);
    for (size_t i = 5; i-- > 0;) {
        tk_wheel_arm(&wheel, &timers[i], dues[i]);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_true(tk_wheel_next(&wheel) == dues[i]);
        expect(&wheel, dues[i] - 1, NULL);
        expect(&wheel, dues[i], &timers[i]);
    }
    tk_wheel_arm(&wheel, &timers[0], UINT64_MAX - 1);
    tk_wheel_arm(&wheel, &timers[1], 1);
    expect(&wheel, UINT64_MAX, &timers[1]);
    expect(&wheel, UINT64_MAX, &timers[0]);
}

static void one_jump_takes_out_everything_in_order(void **state)
{
    enum { COUNT = 5000 };
    static struct tk_timer timers[COUNT];
    struct tk_wheel wheel;
    uint64_t last = 0;

    (void)state;
    random_state = 11;
    tk_wheel_init(&wheel, 0);
    for (size_t i = 0; i < COUNT; i++) {
        tk_wheel_arm(&wheel, &timers[i], random_number(UINT64_C(1) << (20 + i % 40)));
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct tk_timer *timer = tk_wheel_expire(&wheel, 100 * YEAR);

        assert_non_null(timer);
        assert_true(timer->due >= last);
        last = timer->due;
    }
    expect(&wheel, 100 * YEAR, NULL);
}

static void sorting_is_stable(void **state)
{
    enum { COUNT = 4096 };
    static struct tk_timer timers[COUNT];
    static const uint64_t starts[] = {0, 90 * SECOND, 40 * DAY};
    struct tk_wheel wheel;

    (void)state;
    random_state = 5;
    for (size_t i = 0; i < 3; i++) {
        const struct tk_timer *last = NULL;

        tk_wheel_init(&wheel, 0);
        for (size_t j = 0; j < COUNT; j++) {
            /* Few dues in one slot, many timers each; asking now and then sorts while it fills. */
            tk_wheel_arm(&wheel, &timers[j], starts[i] + 1 + random_number(50));
            if (j % 100 == 99) {
                assert_true(tk_wheel_next(&wheel) > starts[i]);
            }
        }
        for (size_t j = 0; j < COUNT; j++) {
            const struct tk_timer *timer = tk_wheel_expire(&wheel, starts[i] + 50);

            assert_non_null(timer);
            if (last != NULL) {
                assert_true(timer->due > last->due || (timer->due == last->due && timer > last));
            }
            last = timer;
        }
        expect(&wheel, UINT64_MAX, NULL);
    }
}

static void next_stays_exact_when_the_earliest_goes(void **state)
{
    enum { COUNT = 2000 };
    static struct tk_timer timers[COUNT];
    struct tk_wheel wheel;

    (void)state;
    /* All in one far slot, armed from both ends to the middle; then the earliest goes, one by one.
     */
    tk_wheel_init(&wheel, 0);
    for (size_t i = 0; i < COUNT; i++) {
        size_t rank = i % 2 == 0 ? i / 2 : COUNT - 1 - i / 2;

        tk_wheel_arm(&wheel, &timers[rank], 30 * DAY + rank);
        assert_true(tk_wheel_next(&wheel) == 30 * DAY);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(tk_wheel_next(&wheel) == 30 * DAY + i);
        tk_wheel_disarm(&wheel, &timers[i]);
    }
    assert_true(tk_wheel_next(&wheel) == UINT64_MAX);
}

static void a_million_timers_arm_and_disarm(void **state)
{
    size_t count = 1000000;
    struct tk_timer *timers = calloc(count, sizeof *timers);
    struct tk_wheel wheel;
    uint64_t earliest = UINT64_MAX;

    (void)state;
    assert_non_null(timers);
    random_state = 3;
    tk_wheel_init(&wheel, 0);
    for (size_t i = 0; i < count; i++) {
        uint64_t due = SECOND + random_number(DAY);

        tk_wheel_arm(&wheel, &timers[i], due);
        earliest = due < earliest ? due : earliest;
    }
    assert_int_equal(tk_wheel_count(&wheel), count);
    assert_true(tk_wheel_next(&wheel) == earliest);
    for (size_t i = 0; i < count; i++) {
        tk_wheel_disarm(&wheel, &timers[i]);
    }
    assert_int_equal(tk_wheel_count(&wheel), 0);
    assert_true(tk_wheel_next(&wheel) == UINT64_MAX);
    expect(&wheel, UINT64_MAX, NULL);
    free(timers);
}

/* The model: entries in order of due, then of arming. */

#define POPULATION 3000

struct entry {
    uint64_t due;
    struct tk_timer *timer;
};

struct model {
    struct tk_wheel wheel;
    struct tk_timer timers[POPULATION];
    struct entry entries[POPULATION];
    size_t count;
    uint64_t now;
};

/* Where an entry of this due, armed last, belongs. */
static size_t model_place(const struct model *model, uint64_t due)
{
    size_t low = 0;
    size_t high = model->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (model->entries[middle].due <= due) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void model_remove(struct model *model, const struct tk_timer *timer)
{
    for (size_t i = 0; i < model->count; i++) {
        if (model->entries[i].timer == timer) {
            model->count--;
            memmove(&model->entries[i], &model->entries[i + 1],
                    (model->count - i) * sizeof *model->entries);
            return;
        }
    }
}

static uint64_t random_due(const struct model *model)
{
    static const uint64_t ranges[] = {100,           TICK,     10 * TICK, SECOND,    60 * SECOND,
                                      3600 * SECOND, 30 * DAY, YEAR,      100 * YEAR};
    uint64_t kind = random_number(14);

    if (kind < 9) {
        return model->now + random_number(ranges[kind]);
    }
    if (kind == 9) {
        return random_number(model->now + 1);
    }
    if (kind == 10) {
        return model->now;
    }
    if (kind == 11) {
        return UINT64_MAX - 1 - random_number(3);
    }
    if (kind == 12 || model->count == 0) {
        return model->now / SECOND * SECOND + 60 * SECOND;
    }
    return model->entries[random_number(model->count)].due;
}

static void change_something(struct model *model)
{
    struct tk_timer *timer = &model->timers[random_number(POPULATION)];
    bool armed = tk_timer_armed(timer);

    if (armed) {
        model_remove(model, timer);
    }
    if (armed && random_number(3) == 0) {
        tk_wheel_disarm(&model->wheel, timer);
    } else {
        uint64_t due = random_due(model);
        size_t place = model_place(model, due);

        memmove(&model->entries[place + 1], &model->entries[place],
                (model->count - place) * sizeof *model->entries);
        model->entries[place] = (struct entry){due, timer};
        model->count++;
        tk_wheel_arm(&model->wheel, timer, due);
    }
}

static void advance(struct model *model)
{
    static const uint64_t steps[] = {1, 1000, TICK, 30 * MS, SECOND, 100 * SECOND};
    uint64_t step = random_number(200);

    if (step == 0) {
        model->now += random_number(YEAR);
    } else {
        model->now += random_number(steps[step % 6]);
    }
    if (step % 10 == 1 && model->count > 0 && model->entries[0].due < 300 * YEAR) {
        uint64_t due = model->entries[0].due;

        model->now = due > model->now ? due : model->now;
    }
}

static void expire_everything(struct model *model)
{
    int changes = 20;

    for (;;) {
        struct tk_timer *timer = tk_wheel_expire(&model->wheel, model->now);

        if (model->count == 0 || model->entries[0].due > model->now) {
            assert_null(timer);
            /* Were it ahead, timers armed from now on would all crowd into one slot. */
            assert_true(model->wheel.tick <= model->now / TICK);
            return;
        }
        assert_ptr_equal(timer, model->entries[0].timer);
        assert_true(timer->due == model->entries[0].due);
        assert_false(tk_timer_armed(timer));
        model_remove(model, timer);
        if (changes > 0 && random_number(3) == 0) {
            changes--;
            change_something(model);
        }
    }
}

static void check(struct model *model)
{
    uint64_t next = model->count == 0 ? UINT64_MAX : model->entries[0].due;

    assert_true(tk_wheel_next(&model->wheel) == next);
    assert_int_equal(tk_wheel_count(&model->wheel), model->count);
}

static void it_does_what_the_model_does(void **state)
{
    static struct model model;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        memset(&model, 0, sizeof model);
        random_state = seed * UINT64_C(0x9E3779B97F4A7C15);
        model.now = seed % 2 == 0 ? 0 : random_number(10 * YEAR);
        tk_wheel_init(&model.wheel, model.now);
        for (int i = 0; i < 40000; i++) {
            change_something(&model);
            /* Asking seldom leaves slots unsorted for long, asking often sorts them while they
             * fill. */
            if (random_number(seed * 4) == 0) {
                check(&model);
            }
            if (random_number(20) == 0) {
                advance(&model);
                expire_everything(&model);
            }
        }
        check(&model);
        model.now = UINT64_MAX;
        while (model.count > 0) {
            expect(&model.wheel, model.now, model.entries[0].timer);
            model_remove(&model, model.entries[0].timer);
        }
        check(&model);
    }
}

static void lists_are_spliced_in_order(void **state)
{
    struct tk_list a;
    struct tk_list b;
    struct tk_list nodes[4] = {{NULL, NULL}};

    (void)state;
    tk_list_init(&a);
    tk_list_init(&b);
    tk_list_remove(&nodes[0]);
    tk_list_push(&a, &nodes[1]);
    tk_list_push_front(&a, &nodes[0]);
    tk_list_splice(&a, &b);
    tk_list_push(&b, &nodes[3]);
    tk_list_insert_before(&nodes[3], &nodes[2]);
    tk_list_splice(&a, &b);
    assert_true(tk_list_empty(&b));
    assert_null(tk_list_first(&b));
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(tk_list_first(&a), &nodes[i]);
        assert_true(tk_list_linked(&nodes[i]));
        tk_list_remove(&nodes[i]);
        assert_false(tk_list_linked(&nodes[i]));
    }
    assert_true(tk_list_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_wheel_has_nothing),
        cmocka_unit_test(timers_come_in_order_of_due),
        cmocka_unit_test(equal_dues_come_in_order_of_arming),
        cmocka_unit_test(past_dues_come_first_and_in_order),
        cmocka_unit_test(what_is_armed_in_between_comes_in_the_same_series),
        cmocka_unit_test(an_armed_timer_is_moved_and_counts_as_armed_last),
        cmocka_unit_test(disarming_works_on_each_level),
        cmocka_unit_test(the_whole_range_can_be_used),
        cmocka_unit_test(one_jump_takes_out_everything_in_order),
        cmocka_unit_test(sorting_is_stable),
        cmocka_unit_test(next_stays_exact_when_the_earliest_goes),
        cmocka_unit_test(a_million_timers_arm_and_disarm),
        cmocka_unit_test(it_does_what_the_model_does),
        cmocka_unit_test(lists_are_spliced_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
