/* The run queue alone: rounds, priorities, removal, against a model that is two plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/runq.h"

#define TASKS 1000

static struct tk_task tasks[TASKS];
static uint64_t random_state;

static uint64_t random_number(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D) % limit;
}

static void set_up(struct tk_runq *queue)
{
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_init(&tasks[i]);
    }
    assert_int_equal(tk_runq_init(queue), 0);
}

static void push(struct tk_runq *queue, size_t number, int32_t priority)
{
    tasks[number].priority = priority;
    tk_runq_push(queue, &tasks[number]);
    assert_true(tk_task_queued(&tasks[number]));
}

static void expect(struct tk_runq *queue, size_t number)
{
    assert_ptr_equal(tk_runq_pop(queue), &tasks[number]);
    assert_false(tk_task_queued(&tasks[number]));
}

static void an_empty_queue_has_nobody(void **state)
{
    struct tk_runq queue;

    (void)state;
    set_up(&queue);
    assert_null(tk_runq_pop(&queue));
    assert_false(tk_runq_turn(&queue));
    assert_null(tk_runq_pop(&queue));
    assert_int_equal(tk_runq_count(&queue), 0);
    tk_runq_finish(&queue);
}

static void first_come_first_served(void **state)
{
    struct tk_runq queue;

    (void)state;
    set_up(&queue);
    for (size_t i = 0; i < TASKS; i++) {
        push(&queue, i, i < 500 ? 0 : 200);
        assert_int_equal(tk_runq_count(&queue), i + 1);
    }
    assert_null(tk_runq_pop(&queue));
    assert_true(tk_runq_turn(&queue));
    for (size_t i = 0; i < TASKS; i++) {
        expect(&queue, i);
    }
    assert_null(tk_runq_pop(&queue));
    assert_false(tk_runq_turn(&queue));
    tk_runq_finish(&queue);
}

static void the_smaller_priority_goes_first(void **state)
{
    static const int32_t priorities[] = {0, 200, -100, INT32_MAX, 0, 100, INT32_MIN, -100, 1, -1};
    static const size_t order[] = {6, 2, 7, 9, 0, 4, 8, 5, 1, 3};
    struct tk_runq queue;

    (void)state;
    set_up(&queue);
    for (size_t i = 0; i < 10; i++) {
        push(&queue, i, priorities[i]);
    }
    assert_true(tk_runq_turn(&queue));
    for (size_t i = 0; i < 10; i++) {
        expect(&queue, order[i]);
    }
    tk_runq_finish(&queue);
}

static void nobody_runs_twice_before_the_others_once(void **state)
{
    struct tk_runq queue;

    (void)state;
    set_up(&queue);
    push(&queue, 0, 0);
    push(&queue, 1, 0);
    push(&queue, 2, 300);
    assert_true(tk_runq_turn(&queue));
    expect(&queue, 0);
    push(&queue, 0, -100);
    push(&queue, 3, INT32_MIN);
    /* A round that is not over goes on. */
    assert_true(tk_runq_turn(&queue));
    expect(&queue, 1);
    expect(&queue, 2);
    push(&queue, 2, -200);
    assert_null(tk_runq_pop(&queue));
    assert_int_equal(tk_runq_count(&queue), 3);
    assert_true(tk_runq_turn(&queue));
    expect(&queue, 3);
    expect(&queue, 2);
    expect(&queue, 0);
    assert_null(tk_runq_pop(&queue));
    tk_runq_finish(&queue);
}

static void priorities_new_in_mid_round_do_not_disturb_it(void **state)
{
    struct tk_runq queue;

    (void)state;
    set_up(&queue);
    for (size_t i = 0; i < 10; i++) {
        push(&queue, i, (int32_t)i * 10);
    }
    assert_true(tk_runq_turn(&queue));
    for (size_t i = 0; i < 10; i++) {
        expect(&queue, i);
        push(&queue, 100 + 2 * i, (int32_t)i * 10 - 5);
        push(&queue, 101 + 2 * i, (int32_t)i * 10 + 1);
    }
    assert_null(tk_runq_pop(&queue));
    assert_true(tk_runq_turn(&queue));
    for (size_t i = 0; i < 20; i++) {
        expect(&queue, 100 + i);
    }
    tk_runq_finish(&queue);
}

static void anybody_can_be_taken_out(void **state)
{
    struct tk_runq queue;

    (void)state;
    set_up(&queue);
    for (size_t i = 0; i < 6; i++) {
        push(&queue, i, i < 3 ? 0 : 50);
    }
    tk_runq_remove(&queue, &tasks[1]);
    assert_true(tk_runq_turn(&queue));
    for (size_t i = 3; i < 6; i++) {
        tk_runq_remove(&queue, &tasks[i]);
        assert_false(tk_task_queued(&tasks[i]));
    }
    push(&queue, 1, 50);
    push(&queue, 6, 50);
    tk_runq_remove(&queue, &tasks[6]);
    assert_int_equal(tk_runq_count(&queue), 3);
    expect(&queue, 0);
    expect(&queue, 2);
    assert_null(tk_runq_pop(&queue));
    assert_true(tk_runq_turn(&queue));
    tk_runq_remove(&queue, &tasks[1]);
    assert_null(tk_runq_pop(&queue));
    assert_false(tk_runq_turn(&queue));
    tk_runq_finish(&queue);
}

static void priorities_that_come_and_go_take_no_more_room(void **state)
{
    struct tk_runq queue;

    (void)state;
    set_up(&queue);
    for (int32_t i = 0; i < 100000; i += 10) {
        for (int32_t j = 0; j < 10; j++) {
            push(&queue, (size_t)j, i + j - 50000);
        }
        assert_true(tk_runq_turn(&queue));
        for (size_t j = 0; j < 10; j++) {
            expect(&queue, j);
        }
    }
    assert_true(queue.size < 100);
    tk_runq_finish(&queue);
}

/* The model: who is in this round and in the next one, in order of coming. */
struct round {
    size_t numbers[TASKS];
    size_t count;
};

static size_t model_first(const struct round *round)
{
    size_t best = 0;

    for (size_t i = 1; i < round->count; i++) {
        if (tasks[round->numbers[i]].priority < tasks[round->numbers[best]].priority) {
            best = i;
        }
    }
    return best;
}

static bool model_remove(struct round *round, size_t number)
{
    for (size_t i = 0; i < round->count; i++) {
        if (round->numbers[i] == number) {
            round->count--;
            memmove(&round->numbers[i], &round->numbers[i + 1],
                    (round->count - i) * sizeof *round->numbers);
            return true;
        }
    }
    return false;
}

static void model_turn(struct tk_runq *queue, struct round *now, struct round *next)
{
    if (now->count == 0) {
        struct round swap = *now;

        *now = *next;
        *next = swap;
    }
    assert_int_equal(tk_runq_turn(queue), now->count > 0);
}

static void model_pop(struct tk_runq *queue, struct round *now)
{
    if (now->count == 0) {
        assert_null(tk_runq_pop(queue));
    } else {
        size_t number = now->numbers[model_first(now)];

        expect(queue, number);
        model_remove(now, number);
    }
}

static void it_does_what_the_model_does(void **state)
{
    static const int32_t ranges[] = {1, 3, 60, 2000000000};
    static struct round now, next;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct tk_runq queue;

        set_up(&queue);
        random_state = seed;
        now.count = next.count = 0;
        for (int i = 0; i < 20000; i++) {
            size_t number = random_number(TASKS);
            uint64_t what = random_number(10);

            if (what < 5 && !tk_task_queued(&tasks[number])) {
                int32_t range = ranges[seed % 4];

                push(&queue, number, (int32_t)random_number((uint64_t)range) - range / 2);
                next.numbers[next.count++] = number;
            } else if (what == 5 && tk_task_queued(&tasks[number])) {
                tk_runq_remove(&queue, &tasks[number]);
                assert_true(model_remove(&now, number) || model_remove(&next, number));
            } else if (what == 6) {
                model_turn(&queue, &now, &next);
            } else if (what > 6) {
                model_pop(&queue, &now);
            }
            assert_int_equal(tk_runq_count(&queue), now.count + next.count);
        }
        while (tk_runq_count(&queue) > 0) {
            model_turn(&queue, &now, &next);
            model_pop(&queue, &now);
        }
        tk_runq_finish(&queue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_has_nobody),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(the_smaller_priority_goes_first),
        cmocka_unit_test(nobody_runs_twice_before_the_others_once),
        cmocka_unit_test(priorities_new_in_mid_round_do_not_disturb_it),
        cmocka_unit_test(anybody_can_be_taken_out),
        cmocka_unit_test(priorities_that_come_and_go_take_no_more_room),
        cmocka_unit_test(it_does_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
