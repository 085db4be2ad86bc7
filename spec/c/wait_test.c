/*
 * Waits alone: arming, firing, keeping and forgetting, with kinds that only count what is done to
 * them. The test is the loop and the body in one: it resumes a task and then acts as that task.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/sched.h"

#define TASKS 3
#define WAITS 8
#define MANY 5000

struct fake {
    struct tk_wait wait;
    int arms, rearms, verifies, disarms, finishes;
    int firings; /* how often it fires when it is armed */
    bool refuses;
};

static struct tk_sched sched;
static struct tk_task tasks[TASKS];
static struct fake fakes[WAITS];
static struct tk_event event;
static struct tk_fault fault;
static int made,
    gone; /* payloads; each is a number in memory of its own, so that a second end is seen */

static void *payload(int number)
{
    int *memory = malloc(sizeof *memory);

    assert_non_null(memory);
    *memory = number;
    made++;
    return memory;
}

static void drop(void *context, void *load)
{
    (void)context;
    assert_non_null(load);
    free(load);
    gone++;
}

static void *share(void *context, void *load)
{
    (void)context;
    return payload(*(int *)load);
}

static void unnamed(void *context, struct tk_task *task, void *load)
{
    (void)context;
    (void)task;
    fail_msg("a message %p where there is none", load);
}

static void note_alive(void *context, bool alive)
{
    (void)context;
    (void)alive;
}

static const struct tk_sched_hooks hooks = {drop, share, unnamed, note_alive, NULL};

/* ---- kinds that count ---- */

static int start(struct fake *fake, int *count, struct tk_sched *in, struct tk_fault *out)
{
    (*count)++;
    if (fake->refuses) {
        return tk_fault_set(out, TK_ESYS, "%s refuses", fake->wait.kind->name);
    }
    for (int i = 0; i < fake->firings; i++) {
        tk_wait_fire(&fake->wait, in, payload(1000 + i));
    }
    return 0;
}

static int fake_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    struct fake *fake = (struct fake *)wait;

    assert_non_null(wait->task);
    return start(fake, &fake->arms, in, out);
}

static int fake_rearm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    struct fake *fake = (struct fake *)wait;

    return start(fake, &fake->rearms, in, out);
}

static int fake_verify(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    struct fake *fake = (struct fake *)wait;

    (void)in;
    fake->verifies++;
    return fake->refuses ? tk_fault_set(out, TK_ESYS, "it is not there any more") : 0;
}

static void fake_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)in;
    ((struct fake *)wait)->disarms++;
}

static void fake_finish(struct tk_wait *wait, struct tk_sched *in)
{
    (void)in;
    ((struct fake *)wait)->finishes++;
}

static void fake_describe(const struct tk_wait *wait, char *text, size_t size)
{
    (void)wait;
    memset(text, 'x', size - 1);
    text[size < 6 ? size - 1 : 5] = '\0';
}

/* Fires once, then it is spent: as a timeout does. */
static const struct tk_kind once = {
    .name = "once",
    .size = sizeof(struct fake),
    .payload = 1,
    .arm = fake_arm,
    .rearm = fake_rearm,
    .verify = fake_verify,
    .disarm = fake_disarm,
    .finish = fake_finish,
    .describe = fake_describe,
};

/* Fires while it stands: as a signal does. No rearm, no verify. */
static const struct tk_kind often = {
    .name = "often",
    .size = sizeof(struct fake),
    .payload = 1,
    .flags = TK_REPEATS | TK_STANDS,
    .arm = fake_arm,
    .disarm = fake_disarm,
};

/* As a call does. */
static const struct tk_kind always = {
    .name = "always",
    .size = sizeof(struct fake),
    .payload = 1,
    .flags = TK_REPEATS | TK_STANDS | TK_KEEPS,
    .arm = fake_arm,
    .disarm = fake_disarm,
};

/* ---- the driver ---- */

static int set_up(void **state)
{
    (void)state;
    made = gone = 0;
    assert_int_equal(tk_sched_init(&sched, 0, &hooks, NULL), 0);
    memset(&fault, 0, sizeof fault);
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_init(&tasks[i]);
    }
    for (size_t i = 0; i < WAITS; i++) {
        tk_wait_init(&fakes[i].wait, i < 4 ? &once : i < 6 ? &often : &always, &sched, NULL, NULL);
    }
    return 0;
}

/* Whatever a test has left behind goes, and all payloads with it. */
static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_finish(&sched, &tasks[i]);
    }
    for (size_t i = 0; i < WAITS; i++) {
        tk_wait_finish(&fakes[i].wait, &sched);
    }
    tk_sched_finish(&sched);
    return made == gone ? 0 : -1;
}

/* The next who is resumed by the loop, with its event; NULL: nobody. */
static struct tk_task *resume(void)
{
    struct tk_task *task;

    sched.budget = 100;
    do {
        task = tk_sched_next(&sched);
        if (task == NULL && tk_runq_turn(&sched.ready) && tk_sched_pull(&sched)) {
            task = tk_sched_next(&sched);
        }
        if (task == NULL) {
            return NULL;
        }
        if (task->state == TK_READY || tk_task_take(&sched, task, &event)) {
            task->state = TK_RUNNING;
            return task;
        }
        task->state = TK_WAITING;
    } while (true);
}

static struct tk_task *begin(size_t number)
{
    tk_task_begin(&sched, &tasks[number], false);
    assert_ptr_equal(resume(), &tasks[number]);
    return &tasks[number];
}

/* Yields the waits of these numbers. */
static int yield_list(struct tk_task *task, const size_t *numbers, size_t count)
{
    struct tk_wait *list[WAITS * 2];

    for (size_t i = 0; i < count; i++) {
        list[i] = &fakes[numbers[i]].wait;
    }
    return tk_task_wait(&sched, task, list, count, &fault);
}

#define YIELD(task, ...)                                                                           \
    yield_list(task, (const size_t[]){__VA_ARGS__},                                                \
               sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t))

static void fire(size_t number, int load)
{
    tk_wait_fire(&fakes[number].wait, &sched, payload(load));
}

/* The event is of this wait and carries this. */
static void check_event(size_t number, int load)
{
    assert_ptr_equal(event.wait, &fakes[number].wait);
    assert_non_null(event.payload);
    assert_int_equal(*(int *)event.payload, load);
    assert_true((event.wait->flags & TK_CURRENT) != 0);
    drop(NULL, event.payload);
    event.payload = NULL;
}

static void expect(struct tk_task *task, size_t number, int load)
{
    assert_ptr_equal(resume(), task);
    check_event(number, load);
}

/* The event is there already. */
static void take(struct tk_task *task, size_t number, int load)
{
    assert_true(tk_task_take(&sched, task, &event));
    check_event(number, load);
}

static void check_counts(size_t number, int arms, int rearms, int disarms)
{
    assert_int_equal(fakes[number].arms, arms);
    assert_int_equal(fakes[number].rearms, rearms);
    assert_int_equal(fakes[number].disarms, disarms);
}

static bool armed(size_t number)
{
    return (fakes[number].wait.flags & TK_ARMED) != 0;
}

/* ---- arming ---- */

static void new_ones_are_armed_in_both_are_left_alone_those_left_out_are_disarmed(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 1, 4), 0);
    assert_int_equal(task->state, TK_WAITING);
    assert_false(tk_task_queued(task));
    check_counts(0, 1, 0, 0);
    check_counts(1, 1, 0, 0);
    check_counts(4, 1, 0, 0);
    fire(4, 7);
    expect(task, 4, 7);
    assert_int_equal(YIELD(task, 2, 1, 4), 0);
    check_counts(0, 1, 0, 1);
    check_counts(1, 1, 0, 0);
    check_counts(2, 1, 0, 0);
    check_counts(4, 1, 0, 0);
    assert_int_equal(fakes[1].verifies, 1);
    assert_null(fakes[0].wait.task);
    assert_false(armed(0));
    assert_true(armed(1) && armed(2) && armed(4));
    assert_int_equal(fakes[2].wait.index, 1);
    assert_int_equal(fakes[1].wait.index, 2);
    assert_int_equal(fakes[4].wait.index, 3);
}

static void one_left_out_is_new_the_next_time(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(YIELD(task, 0, 4), 0);
        fire(4, i);
        expect(task, 4, i);
        assert_int_equal(YIELD(task, 4), 0);
        check_counts(0, i, 0, i);
        fire(4, i);
        expect(task, 4, i);
    }
    check_counts(4, 1, 0, 0);
}

static void a_spent_one_is_armed_again(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(YIELD(task, 0, 1), 0);
        check_counts(0, 1, i, 0);
        fire(0, i);
        assert_false(armed(0));
        expect(task, 0, i);
    }
    check_counts(1, 1, 0, 0);
    /* Without a rearm of its own it is simply armed. */
    fakes[4].wait.kind = &often;
    fakes[4].wait.flags = 0;
    assert_int_equal(YIELD(task, 4), 0);
    check_counts(0, 1, 4, 1);
}

static void a_spent_one_that_is_left_out_is_disarmed_and_starts_from_zero(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0), 0);
    fire(0, 1);
    expect(task, 0, 1);
    assert_int_equal(YIELD(task, 1), 0);
    check_counts(0, 1, 0, 1);
    fire(1, 1);
    expect(task, 1, 1);
    assert_int_equal(YIELD(task, 0), 0);
    check_counts(0, 2, 0, 1);
}

static void one_that_is_yielded_twice_at_once_is_one(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4, 0, 0), 0);
    check_counts(0, 1, 0, 0);
    fire(0, 3);
    expect(task, 0, 3);
    assert_int_equal(YIELD(task, 0, 0), 0);
    check_counts(0, 1, 1, 0);
    check_counts(4, 1, 0, 1);
    fire(0, 4);
    expect(task, 0, 4);
    fakes[1].refuses = true;
    assert_int_equal(YIELD(task, 5, 5, 1), TK_ESYS);
    check_counts(5, 1, 0, 1);
    assert_null(fakes[5].wait.task);
}

static void an_empty_list_waits_for_nothing(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 1), 0);
    fire(0, 1);
    expect(task, 0, 1);
    assert_int_equal(tk_task_wait(&sched, task, NULL, 0, &fault), 0);
    check_counts(0, 1, 0, 1);
    check_counts(1, 1, 0, 1);
    assert_null(task->waits);
    assert_null(resume());
}

static void those_that_fire_while_they_are_armed_come_from_the_loop(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    fakes[0].firings = 1;
    fakes[4].firings = 3;
    assert_int_equal(YIELD(task, 1, 4, 0), 0);
    assert_true(tk_task_queued(task));
    assert_int_equal(task->state, TK_WAITING);
    tk_task_begin(&sched, &tasks[1], false);
    expect(task, 4, 1000);
    assert_ptr_equal(resume(), &tasks[1]);
    /* The rest is there already; the one that fired before is not armed anew before it is
     * delivered. */
    assert_int_equal(YIELD(task, 1, 4, 0), 1);
    take(task, 4, 1001);
    assert_int_equal(YIELD(task, 1, 4, 0), 1);
    take(task, 4, 1002);
    assert_int_equal(YIELD(task, 1, 4, 0), 1);
    take(task, 0, 1000);
    check_counts(0, 1, 0, 0);
    assert_int_equal(YIELD(task, 1, 4, 0), 0);
    check_counts(0, 1, 1, 0);
    check_counts(4, 1, 0, 0);
    expect(task, 0, 1000);
}

/* ---- failures: all or nothing ---- */

static void a_failure_arms_nothing_and_lets_go_of_nothing(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4), 0);
    fire(4, 1);
    fire(4, 2);
    expect(task, 4, 1);
    fakes[2].refuses = true;
    assert_int_equal(YIELD(task, 5, 1, 2, 3), TK_ESYS);
    assert_int_equal(fault.code, TK_ESYS);
    assert_string_equal(fault.text, "once refuses");
    assert_int_equal(task->state, TK_RUNNING);
    check_counts(5, 1, 0, 1);
    check_counts(1, 1, 0, 1);
    check_counts(2, 1, 0, 0); /* not armed, so not disarmed */
    check_counts(3, 0, 0, 0); /* not come to */
    for (size_t i = 1; i <= 5; i++) {
        assert_true(i == 4 || (fakes[i].wait.task == NULL && fakes[i].wait.flags == 0));
    }
    /* The old list stands, with what has fired. */
    check_counts(0, 1, 0, 0);
    check_counts(4, 1, 0, 0);
    assert_ptr_equal(task->waits, &fakes[0].wait);
    assert_true(armed(0) && armed(4));
    fire(0, 3);
    assert_int_equal(YIELD(task, 0, 4), 1);
    take(task, 4, 2);
    take(task, 0, 3);
}

static void a_target_that_is_gone_is_a_failure(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4), 0);
    fire(4, 1);
    expect(task, 4, 1);
    fakes[0].refuses = true;
    assert_int_equal(YIELD(task, 1, 0), TK_ESYS);
    assert_int_equal(fakes[0].verifies, 1);
    check_counts(1, 1, 0, 1);
    check_counts(0, 1, 0, 0);
    assert_true(armed(0));
    fakes[0].refuses = false;
    assert_int_equal(YIELD(task, 0), 0);
    check_counts(4, 1, 0, 1);
}

static void what_fired_for_a_yield_that_fails_is_forgotten_unless_it_is_kept(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    fire(6, 50);
    fire(6, 51);
    fakes[4].firings = 2;
    fakes[6].firings = 1;
    fakes[7].firings = 1;
    fakes[0].refuses = true;
    assert_int_equal(YIELD(task, 4, 6, 7, 0), TK_ESYS);
    assert_null(task->fired);
    assert_int_equal(fakes[4].wait.pending, 0);
    assert_int_equal(fakes[6].wait.pending, 3);
    fakes[6].firings = fakes[7].firings = 0;
    assert_int_equal(YIELD(task, 7, 6), 1);
    take(task, 7, 1000);
    take(task, 6, 50);
    take(task, 6, 51);
    take(task, 6, 1000);
    assert_int_equal(YIELD(task, 7, 6), 0);
}

static void one_held_by_another_is_refused(void **state)
{
    struct tk_task *task = begin(0), *other = begin(1);

    (void)state;
    assert_int_equal(YIELD(task, 0, 6), 0);
    assert_int_equal(YIELD(other, 1, 0), TK_EINVAL);
    assert_string_equal(fault.text, "once is held by another tasklet");
    check_counts(0, 1, 0, 0);
    check_counts(1, 0, 0, 0);
    assert_ptr_equal(fakes[0].wait.task, task);
    assert_int_equal(YIELD(other, 6), TK_EINVAL);
    tk_task_end(&sched, task);
    assert_int_equal(YIELD(other, 1, 0, 6), 0);
    assert_ptr_equal(fakes[0].wait.task, other);
    check_counts(0, 2, 0, 1);
}

/* ---- firing ---- */

static void what_fires_while_its_task_runs_is_kept_in_order(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    fakes[5].wait.priority = TK_PRIORITY_HIGH;
    assert_int_equal(YIELD(task, 0, 4, 5), 0);
    fire(4, 1);
    expect(task, 4, 1);
    fire(4, 2);
    fire(0, 3);
    fire(5, 4);
    fire(0, 99); /* one too many for its kind */
    fire(4, 5);
    assert_int_equal(tk_wait_fire_now(&fakes[5].wait, &sched, payload(6)), 0);
    assert_null(sched.batch);
    assert_false(tk_task_queued(task));
    assert_int_equal(YIELD(task, 0, 4, 5), 1);
    take(task, 4, 2);
    assert_int_equal(YIELD(task, 0, 4, 5), 1);
    take(task, 0, 3);
    assert_int_equal(YIELD(task, 0, 4, 5), 1);
    take(task, 5, 4);
    take(task, 4, 5);
    take(task, 5, 6);
    check_counts(0, 1, 1, 0);
    assert_int_equal(YIELD(task, 0, 4, 5), 0);
    assert_null(resume());
}

static void what_fired_is_forgotten_when_it_leaves_the_list(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4, 5), 0);
    fire(4, 1);
    expect(task, 4, 1);
    fire(4, 2);
    fire(5, 3);
    fire(4, 4);
    fire(0, 5);
    assert_int_equal(YIELD(task, 5), 1);
    assert_int_equal(fakes[4].wait.pending, 0);
    assert_int_equal(fakes[0].wait.pending, 0);
    take(task, 5, 3);
    assert_int_equal(YIELD(task, 0, 4, 5), 0);
    check_counts(0, 2, 0, 1);
    assert_null(resume());
    assert_int_equal(made, 5);
    assert_int_equal(gone, 5);
}

static void one_left_out_does_not_wake_though_it_had_fired(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4), 0);
    fire(4, 1);
    fire(0, 2);
    expect(task, 4, 1);
    assert_int_equal(YIELD(task, 4), 0);
    assert_false(tk_task_queued(task));
    assert_null(resume());
}

static void nobody_holds_it_so_its_firing_is_dropped(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    fire(0, 1);
    fire(4, 1);
    tk_wait_fire(&fakes[4].wait, &sched, NULL);
    assert_int_equal(gone, 2);
    assert_int_equal(YIELD(task, 0, 4), 0);
    assert_null(resume());
}

static void nobody_holds_it_so_its_firing_by_hand_is_dropped(void **state)
{
    int dropped;
    uint32_t pending;

    (void)state;
    tk_wait_fire_now(&fakes[4].wait, &sched, payload(1));
    dropped = gone;
    pending = fakes[4].wait.pending;
    tk_wait_forget(&fakes[4].wait, &sched);
    assert_int_equal(dropped, 1);
    assert_int_equal(pending, 0);
}

static void those_that_keep_lose_nothing_while_nobody_holds_them(void **state)
{
    struct tk_task *task = begin(0), *other = begin(1);

    (void)state;
    fire(6, 1);
    assert_int_equal(tk_wait_fire_now(&fakes[6].wait, &sched, payload(2)), 0);
    fire(7, 3);
    assert_int_equal(YIELD(task, 4, 6), 1);
    take(task, 6, 1);
    fire(6, 4);
    fire(4, 5);
    /* It leaves with two, in order, and goes to somebody else. */
    assert_int_equal(YIELD(task, 4), 1);
    check_counts(6, 1, 0, 1);
    assert_int_equal(fakes[6].wait.pending, 2);
    take(task, 4, 5);
    fire(6, 6);
    assert_int_equal(YIELD(other, 7, 6), 1);
    take(other, 7, 3);
    take(other, 6, 2);
    take(other, 6, 4);
    take(other, 6, 6);
    assert_int_equal(YIELD(other, 7, 6), 0);
    /* Its holder ends: also then. */
    fire(6, 7);
    tk_task_end(&sched, other);
    assert_int_equal(fakes[6].wait.pending, 1);
    assert_int_equal(YIELD(task, 6), 1);
    take(task, 6, 7);
}

static void those_that_keep_are_finished_with_what_they_have(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        fire(6, i);
    }
    assert_int_equal(gone, 0);
    tk_wait_finish(&fakes[6].wait, &sched);
    assert_int_equal(gone, 100);
}

static void the_more_urgent_firing_comes_first(void **state)
{
    static const int32_t priorities[] = {0, 0, 200, -100, 0, -100};
    struct tk_task *task = begin(0);

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        fakes[i].wait.priority = priorities[i];
    }
    assert_int_equal(YIELD(task, 0, 1, 2, 3, 4, 5), 0);
    fire(2, 1);
    assert_int_equal(task->priority, 200);
    fire(4, 2);
    assert_int_equal(task->priority, 0);
    fire(0, 3);
    fire(3, 4);
    assert_int_equal(task->priority, -100);
    fire(1, 5);
    fire(5, 6);
    fire(4, 7);
    assert_int_equal(tk_runq_count(&sched.ready), 1);
    assert_ptr_equal(resume(), task);
    check_event(3, 4);
    take(task, 5, 6);
    take(task, 4, 2);
    take(task, 0, 3);
    take(task, 1, 5);
    take(task, 4, 7);
    take(task, 2, 1);
    assert_false(tk_task_take(&sched, task, &event));
}

static void the_more_urgent_task_comes_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(YIELD(begin(i), i, i + 3), 0);
    }
    fakes[2].wait.priority = TK_PRIORITY_HIGH;
    fakes[3].wait.priority = TK_PRIORITY_LOW;
    fire(3, 1); /* 0, at low */
    fire(1, 2); /* 1 */
    fire(2, 3); /* 2, at high */
    fire(0, 4); /* 0 moves up, behind 1 */
    expect(&tasks[2], 2, 3);
    expect(&tasks[1], 1, 2);
    expect(&tasks[0], 0, 4);
    assert_int_equal(YIELD(&tasks[0], 3), 1);
    take(&tasks[0], 3, 1);
}

static void by_hand_it_goes_before_what_the_loop_found(void **state)
{
    struct tk_task *task = begin(0), *other = begin(1);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4), 0);
    assert_int_equal(YIELD(other, 5), 0);
    fire(5, 1);
    fire(0, 2);
    assert_int_equal(tk_wait_fire_now(&fakes[4].wait, &sched, payload(3)), 0);
    assert_int_equal(task->state, TK_HANDED);
    assert_false(tk_task_queued(task));
    /* It is on its way: what fires now comes behind. */
    assert_int_equal(tk_wait_fire_now(&fakes[4].wait, &sched, payload(4)), 0);
    fire(4, 5);
    tk_sched_hand_over(&sched, NULL);
    expect(task, 4, 3);
    assert_int_equal(YIELD(task, 0, 4), 1);
    take(task, 0, 2);
    take(task, 4, 4);
    take(task, 4, 5);
    expect(other, 5, 1);
}

static void one_whose_firing_is_gone_waits_on(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4), 0);
    fire(4, 1);
    tk_wait_forget(&fakes[4].wait, &sched);
    assert_null(resume());
    assert_int_equal(task->state, TK_WAITING);
    assert_int_equal(gone, 1);
    fire(4, 2);
    expect(task, 4, 2);
}

static void events_without_end_give_way_to_others(void **state)
{
    struct tk_task *task = begin(0);
    int events = 0;

    (void)state;
    assert_int_equal(YIELD(task, 4), 0);
    for (int i = 0; i < MANY; i++) {
        fire(4, i);
    }
    tk_task_begin(&sched, &tasks[1], false);
    expect(task, 4, events++);
    while (YIELD(task, 4) == 1) {
        take(task, 4, events++);
    }
    assert_in_range(events, 2, 1000);
    assert_ptr_equal(resume(), &tasks[1]);
    while (events < MANY) {
        expect(task, 4, events++);
        while (YIELD(task, 4) == 1) {
            take(task, 4, events++);
        }
    }
    assert_null(resume());
}

/* ---- finishing, verbs, ends ---- */

static void an_armed_one_is_finished(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 1, 2), 0);
    fire(1, 1);
    tk_wait_finish(&fakes[1].wait, &sched);
    tk_wait_finish(&fakes[1].wait, &sched);
    assert_int_equal(fakes[1].finishes, 1);
    check_counts(1, 1, 0, 1);
    assert_int_equal(gone, 1);
    assert_null(resume());
    tk_wait_finish(&fakes[0].wait, &sched);
    assert_ptr_equal(task->waits, &fakes[2].wait);
    assert_null(task->waits->as.next);
    fire(2, 2);
    expect(task, 2, 2);
    /* One that nobody holds is not armed. */
    tk_wait_finish(&fakes[3].wait, &sched);
    check_counts(3, 0, 0, 0);
    assert_int_equal(fakes[3].finishes, 1);
}

static void what_is_held_goes_with_its_task(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 1, 4), 0);
    fire(4, 1);
    expect(task, 4, 1);
    fire(4, 2);
    fire(0, 3);
    tk_task_end(&sched, task);
    tk_task_end(&sched, task);
    assert_int_equal(task->state, TK_ENDED);
    check_counts(0, 1, 0, 1);
    check_counts(1, 1, 0, 1);
    check_counts(4, 1, 0, 1);
    assert_int_equal(gone, 3);
    fire(4, 4);
    assert_int_equal(gone, 4);
    assert_null(resume());
}

static struct tk_task *resume_blocked(void)
{
    struct tk_task *task;

    sched.budget = 1;
    if (sched.chain == NULL && (!tk_runq_turn(&sched.ready) || !tk_sched_pull(&sched))) {
        return NULL;
    }
    task = tk_sched_next(&sched);
    task->state = TK_RUNNING;
    return task;
}

static void a_verb_leaves_the_wait_list_alone(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(YIELD(task, 0, 4), 0);
    fire(4, 1);
    expect(task, 4, 1);
    assert_int_equal(tk_task_block(&sched, task, &fakes[1].wait, &fault), 0);
    assert_int_equal(tk_task_block(&sched, task, &fakes[2].wait, &fault), 0);
    tk_task_blocked(&sched, task);
    assert_int_equal(task->state, TK_BLOCKED);
    fire(0, 2);
    fire(4, 3);
    assert_null(resume_blocked());
    fakes[2].wait.priority = TK_PRIORITY_HIGH;
    tk_wait_fire(&fakes[2].wait, &sched, NULL);
    assert_int_equal(task->priority, TK_PRIORITY_HIGH);
    assert_ptr_equal(resume_blocked(), task);
    assert_ptr_equal(tk_task_unblock(&sched, task), &fakes[2].wait);
    assert_ptr_equal(tk_task_unblock(&sched, task), &fakes[1].wait);
    assert_null(tk_task_unblock(&sched, task));
    check_counts(1, 1, 0, 1);
    check_counts(2, 1, 0, 1);
    check_counts(0, 1, 0, 0);
    check_counts(4, 1, 0, 0);
    assert_int_equal(YIELD(task, 0, 4), 1);
    take(task, 0, 2);
    take(task, 4, 3);
}

static void a_verb_that_has_fired_does_not_block(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(tk_task_block(&sched, task, &fakes[0].wait, &fault), 0);
    fakes[1].refuses = true;
    assert_int_equal(tk_task_block(&sched, task, &fakes[1].wait, &fault), TK_ESYS);
    assert_null(fakes[1].wait.task);
    assert_null(task->verbs->as.next);
    tk_wait_fire(&fakes[0].wait, &sched, NULL);
    assert_false(tk_task_queued(task));
    tk_task_blocked(&sched, task);
    assert_true(tk_task_queued(task));
    assert_ptr_equal(resume_blocked(), task);
    assert_ptr_equal(tk_task_unblock(&sched, task), &fakes[0].wait);
    assert_null(tk_task_unblock(&sched, task));
}

static void a_verb_is_woken_by_hand(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_int_equal(tk_task_block(&sched, task, &fakes[0].wait, &fault), 0);
    tk_task_blocked(&sched, task);
    assert_int_equal(tk_wait_fire_now(&fakes[0].wait, &sched, NULL), 0);
    assert_ptr_equal(sched.batch, task);
    assert_int_equal(tk_wait_fire_now(&fakes[0].wait, &sched, NULL), 0);
    tk_sched_hand_over(&sched, NULL);
    assert_ptr_equal(resume_blocked(), task);
    assert_null(resume_blocked());
    /* Finished while it is armed, it leaves the verb. */
    tk_wait_finish(&fakes[0].wait, &sched);
    assert_null(tk_task_unblock(&sched, task));
    check_counts(0, 1, 0, 1);
}

static void a_wait_describes_itself(void **state)
{
    char text[40];

    (void)state;
    tk_wait_describe(&fakes[0].wait, text, sizeof text);
    assert_string_equal(text, "once(xxxxx)");
    tk_wait_describe(&fakes[4].wait, text, sizeof text);
    assert_string_equal(text, "often");
    for (size_t size = 1; size <= 12; size++) {
        memset(text, '#', sizeof text);
        tk_wait_describe(&fakes[0].wait, text, size);
        assert_true(strlen(text) < size);
        assert_int_equal(text[size], '#');
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(new_ones_are_armed_in_both_are_left_alone_those_left_out_are_disarmed),
        CASE(one_left_out_is_new_the_next_time),
        CASE(a_spent_one_is_armed_again),
        CASE(a_spent_one_that_is_left_out_is_disarmed_and_starts_from_zero),
        CASE(one_that_is_yielded_twice_at_once_is_one),
        CASE(an_empty_list_waits_for_nothing),
        CASE(those_that_fire_while_they_are_armed_come_from_the_loop),
        CASE(a_failure_arms_nothing_and_lets_go_of_nothing),
        CASE(a_target_that_is_gone_is_a_failure),
        CASE(what_fired_for_a_yield_that_fails_is_forgotten_unless_it_is_kept),
        CASE(one_held_by_another_is_refused),
        CASE(what_fires_while_its_task_runs_is_kept_in_order),
        CASE(what_fired_is_forgotten_when_it_leaves_the_list),
        CASE(one_left_out_does_not_wake_though_it_had_fired),
        CASE(nobody_holds_it_so_its_firing_is_dropped),
        CASE(nobody_holds_it_so_its_firing_by_hand_is_dropped),
        CASE(those_that_keep_lose_nothing_while_nobody_holds_them),
        CASE(those_that_keep_are_finished_with_what_they_have),
        CASE(the_more_urgent_firing_comes_first),
        CASE(the_more_urgent_task_comes_first),
        CASE(by_hand_it_goes_before_what_the_loop_found),
        CASE(one_whose_firing_is_gone_waits_on),
        CASE(events_without_end_give_way_to_others),
        CASE(an_armed_one_is_finished),
        CASE(what_is_held_goes_with_its_task),
        CASE(a_verb_leaves_the_wait_list_alone),
        CASE(a_verb_that_has_fired_does_not_block),
        CASE(a_verb_is_woken_by_hand),
        CASE(a_wait_describes_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
