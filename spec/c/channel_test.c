/*
 * Channels alone: lines, meeting, withdrawing by whatever wakes a task, choosing by age, closing,
 * neighbours. The test is the loop and the body in one: it resumes a task and then acts as that
 * task. Offers are as wait/channel.c has them; what passes is the driver's, so there is nothing of
 * that here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/channel.h"
#include "core/inside.h"
#include "core/limit.h"

#define TASKS 8
#define CHANNELS 3
#define OFFERS 16
#define BELLS 4
#define MANY 1000

static struct tk_sched sched;
static struct tk_task tasks[TASKS];
static struct tk_channel channels[CHANNELS];
static struct tk_offer offers[OFFERS];
static struct tk_wait bells[BELLS];
static struct tk_limit limit;
static bool waiting[TASKS]; /* by its list, as the binding notes it of a body */
static struct tk_event event;
static struct tk_fault fault;

static void drop(void *context, void *load)
{
    (void)context;
    fail_msg("a payload %p where there is none", load);
}

static void *share(void *context, void *load)
{
    drop(context, load);
    return NULL;
}

static void unnamed(void *context, struct tk_task *task, void *load)
{
    (void)task;
    drop(context, load);
}

static void note_alive(void *context, bool alive)
{
    (void)context;
    (void)alive;
}

static const struct tk_sched_hooks hooks = {drop, share, unnamed, note_alive, NULL};

static int offer_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    (void)wait;
    (void)in;
    (void)out;
    return 0;
}

static void offer_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)in;
    tk_offer_withdraw((struct tk_offer *)wait);
}

static const struct tk_kind offer_kind = {
    .name = "offer",
    .size = sizeof(struct tk_offer),
    .flags = TK_OFFERS,
    .arm = offer_arm,
    .disarm = offer_disarm,
};

static int bell_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    (void)wait;
    (void)in;
    (void)out;
    return 0;
}

static void bell_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)wait;
    (void)in;
}

static const struct tk_kind bell_kind = {
    .name = "bell",
    .size = sizeof(struct tk_wait),
    .flags = TK_REPEATS | TK_STANDS,
    .arm = bell_arm,
    .disarm = bell_disarm,
};

/* ---- the driver ---- */

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(tk_sched_init(&sched, 0, &hooks, NULL), 0);
    memset(waiting, 0, sizeof waiting);
    memset(&limit, 0, sizeof limit);
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_init(&tasks[i]);
    }
    for (size_t i = 0; i < CHANNELS; i++) {
        tk_channel_init(&channels[i]);
    }
    for (size_t i = 0; i < OFFERS; i++) {
        tk_wait_init(&offers[i].wait, &offer_kind, &sched, NULL, NULL);
    }
    for (size_t i = 0; i < BELLS; i++) {
        tk_wait_init(&bells[i], &bell_kind, &sched, NULL, NULL);
    }
    return 0;
}

static void unblock(struct tk_task *task)
{
    while (tk_task_unblock(&sched, task) != NULL) {
    }
}

/* Whatever a test has left behind goes, and nothing stands on any channel then. */
static int tear_down(void **state)
{
    bool empty = true;

    (void)state;
    for (size_t i = 0; i < TASKS; i++) {
        unblock(&tasks[i]);
        tk_task_finish(&sched, &tasks[i]);
    }
    tk_limit_leave(&sched, &limit);
    for (size_t i = 0; i < OFFERS; i++) {
        tk_wait_finish(&offers[i].wait, &sched);
    }
    for (size_t i = 0; i < BELLS; i++) {
        tk_wait_finish(&bells[i], &sched);
    }
    for (size_t i = 0; i < CHANNELS; i++) {
        for (int side = 0; side < 2; side++) {
            empty = empty && tk_list_empty(&channels[i].line[side]) && channels[i].count[side] == 0;
        }
    }
    tk_sched_finish(&sched);
    return empty ? 0 : -1;
}

static size_t number_of(const struct tk_task *task)
{
    return (size_t)(task - tasks);
}

/* The next who is resumed, with its event in `event` if it waited by its list and nothing is to be
 * raised; NULL: nobody. */
static struct tk_task *resume(void)
{
    struct tk_task *task;

    sched.budget = 100000;
    event.wait = NULL;
    while (true) {
        task = tk_sched_next(&sched);
        if (task == NULL && tk_runq_turn(&sched.ready) && tk_sched_pull(&sched)) {
            task = tk_sched_next(&sched);
        }
        if (task == NULL) {
            return NULL;
        }
        if (task->raise != TK_RAISE_NOTHING || !waiting[number_of(task)]) {
            break;
        }
        if (tk_task_take(&sched, task, &event)) {
            break;
        }
        task->state = TK_WAITING;
    }
    waiting[number_of(task)] = false;
    task->state = TK_RUNNING;
    return task;
}

static struct tk_task *begin(size_t number)
{
    tk_task_begin(&sched, &tasks[number], false);
    assert_ptr_equal(resume(), &tasks[number]);
    return &tasks[number];
}

static struct tk_offer *make(size_t number, size_t channel, enum tk_side side)
{
    struct tk_offer *offer = &offers[number];

    offer->channel = &channels[channel];
    offer->side = (uint8_t)side;
    return offer;
}

/* A verb of the task's waits, as the offer says. */
static void block(struct tk_task *task, struct tk_offer *offer)
{
    tk_offer_block(&sched, task, offer, &offer_kind, offer->channel, (enum tk_side)offer->side);
}

/* The task of that number begins and blocks in a verb. Offer and task have the same number. */
static struct tk_task *stand(size_t number, size_t channel, enum tk_side side)
{
    struct tk_task *task = begin(number);

    make(number, channel, side);
    block(task, &offers[number]);
    tk_task_blocked(&sched, task);
    assert_int_equal(task->state, TK_BLOCKED);
    return task;
}

/* Yields these offers, and the bell of the task's number. It waits then. */
static void yield_list(struct tk_task *task, const size_t *numbers, size_t count)
{
    struct tk_wait *list[OFFERS + 1];

    for (size_t i = 0; i < count; i++) {
        list[i] = &offers[numbers[i]].wait;
    }
    list[count] = &bells[number_of(task)];
    assert_int_equal(tk_task_wait(&sched, task, list, count + 1, &fault), 0);
    assert_int_equal(task->state, TK_WAITING);
    waiting[number_of(task)] = true;
}

#define YIELD(task, ...)                                                                           \
    yield_list(task, (const size_t[]){__VA_ARGS__},                                                \
               sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t))

/* What it acts on, with whom. */
static void choose(struct tk_task *task, struct tk_offer *own, struct tk_offer *partner)
{
    struct tk_offer *found;

    assert_ptr_equal(tk_channel_select(&sched, task, &found), own);
    assert_ptr_equal(found, partner);
}

static void check_counts(size_t channel, size_t senders, size_t receivers)
{
    assert_int_equal(channels[channel].count[TK_SENDS], senders);
    assert_int_equal(channels[channel].count[TK_RECEIVES], receivers);
}

static bool stands(size_t number)
{
    return tk_list_linked(&offers[number].node);
}

/* The tasks of a channel's queue, by number, as text: "012". */
static void check_line(size_t channel, const char *expected)
{
    const struct tk_task *task = tk_channel_first(&channels[channel]), *before = NULL;

    for (; *expected != '\0'; expected++) {
        assert_non_null(task);
        assert_int_equal(number_of(task), *expected - '0');
        assert_ptr_equal(tk_channel_neighbour(task, false), before);
        before = task;
        task = tk_channel_neighbour(task, true);
    }
    assert_null(task);
}

/* ---- lines ---- */

static void a_new_channel_is_empty_and_prefers_the_receiver(void **state)
{
    (void)state;
    assert_int_equal(channels[0].preference, -1);
    assert_false(channels[0].schedule_all);
    assert_false(channels[0].closing);
    check_counts(0, 0, 0);
    assert_null(tk_channel_first(&channels[0]));
    assert_null(tk_channel_partner(&channels[0], TK_SENDS));
    assert_null(tk_channel_partner(&channels[0], TK_RECEIVES));
}

static void who_comes_first_is_met_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        stand(i, 0, TK_SENDS);
    }
    check_counts(0, 4, 0);
    check_line(0, "0123");
    for (size_t i = 0; i < 4; i++) {
        struct tk_offer *partner = tk_channel_partner(&channels[0], TK_RECEIVES);

        assert_ptr_equal(partner, &offers[i]);
        assert_null(tk_channel_partner(&channels[0], TK_SENDS));
        tk_offer_meet(&sched, partner, false);
        assert_true(partner->met);
        assert_false(stands(i));
        check_counts(0, 3 - i, 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(resume(), &tasks[i]);
        assert_ptr_equal(tk_task_unblock(&sched, &tasks[i]), &offers[i].wait);
    }
    assert_null(resume());
}

static void one_that_is_met_by_hand_comes_before_the_run_queue(void **state)
{
    struct tk_task *ready = begin(3);

    (void)state;
    stand(0, 0, TK_RECEIVES);
    stand(1, 0, TK_RECEIVES);
    tk_task_give_way(&sched, ready);
    tk_offer_meet(&sched, &offers[1], false);
    tk_offer_meet(&sched, &offers[0], true);
    assert_ptr_equal(sched.batch, &tasks[0]);
    tk_sched_hand_over(&sched, NULL);
    assert_ptr_equal(resume(), &tasks[0]);
    assert_ptr_equal(resume(), ready);
    assert_ptr_equal(resume(), &tasks[1]);
}

static void both_sides_of_a_channel_have_lines_of_their_own(void **state)
{
    (void)state;
    /* One task with an offer on each side is no partner of its own. */
    make(8, 0, TK_SENDS);
    make(9, 0, TK_RECEIVES);
    YIELD(begin(0), 8, 9);
    choose(&tasks[0], NULL, NULL);
    check_counts(0, 1, 1);
    assert_ptr_equal(tk_channel_partner(&channels[0], TK_SENDS), &offers[9]);
    assert_ptr_equal(tk_channel_partner(&channels[0], TK_RECEIVES), &offers[8]);
    assert_ptr_equal(tk_channel_first(&channels[0]), &tasks[0]);
    tk_offer_meet(&sched, &offers[9], false);
    check_counts(0, 0, 0);
    assert_false(offers[8].met);
}

static void neighbours_close_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        stand(i, 0, TK_RECEIVES);
    }
    check_line(0, "01234");
    tk_task_wake(&sched, &tasks[2]);
    check_line(0, "0134");
    tk_task_wake(&sched, &tasks[0]);
    check_line(0, "134");
    tk_task_wake(&sched, &tasks[4]);
    check_line(0, "13");
    assert_null(tk_channel_neighbour(&tasks[2], true));
    assert_null(tk_channel_neighbour(&tasks[2], false));
    assert_null(tk_channel_neighbour(&tasks[7], true)); /* has not even begun */
}

static void a_task_has_the_neighbours_of_its_first_offer(void **state)
{
    struct tk_task *task = begin(2);

    (void)state;
    stand(0, 0, TK_SENDS);
    stand(1, 1, TK_SENDS);
    make(8, 1, TK_SENDS);
    make(9, 0, TK_SENDS);
    YIELD(task, 8, 9);
    choose(task, NULL, NULL);
    assert_ptr_equal(tk_channel_neighbour(task, false), &tasks[1]);
    assert_null(tk_channel_neighbour(task, true));
    assert_ptr_equal(tk_channel_neighbour(&tasks[0], true), task);
}

static void senders_are_the_queue_before_receivers(void **state)
{
    (void)state;
    stand(0, 0, TK_RECEIVES);
    assert_ptr_equal(tk_channel_first(&channels[0]), &tasks[0]);
    tk_offer_meet(&sched, &offers[0], false);
    assert_ptr_equal(resume(), &tasks[0]);
    stand(1, 0, TK_SENDS);
    assert_ptr_equal(tk_channel_first(&channels[0]), &tasks[1]);
}

/* ---- what wakes a task takes its offers away ---- */

static void wake_by_firing(struct tk_task *task)
{
    tk_wait_fire(&bells[number_of(task)], &sched, NULL);
}

static void wake_by_hand(struct tk_task *task)
{
    assert_int_equal(tk_wait_fire_now(&bells[number_of(task)], &sched, NULL), 0);
}

static void wake_for_an_error(struct tk_task *task)
{
    tk_task_wake(&sched, task);
}

static void wake_by_kill(struct tk_task *task)
{
    tk_task_kill(&sched, task);
}

static void wake_by_deadline(struct tk_task *task)
{
    (void)task;
    tk_limit_expire(&sched, &limit);
}

static void wake_by_cut(struct tk_task *task)
{
    (void)task;
    tk_limit_cut(&sched, &limit);
}

static void wake_by_meeting(struct tk_task *task)
{
    (void)task;
    tk_offer_meet(&sched, &offers[9], false);
}

static void wake_by_meeting_now(struct tk_task *task)
{
    (void)task;
    tk_offer_meet(&sched, &offers[9], true);
}

static void wake_by_closing(struct tk_task *task)
{
    (void)task;
    tk_channel_close(&sched, &channels[1]);
}

static void wake_by_end(struct tk_task *task)
{
    unblock(task);
    tk_task_end(&sched, task);
}

static void wake_by_reset(struct tk_task *task)
{
    unblock(task);
    tk_task_reset(&sched, task);
}

static const struct {
    void (*wake)(struct tk_task *task);
    bool in_verb; /* it is possible there, too */
} ways[] = {
    {wake_by_firing, false},  {wake_by_hand, false},        {wake_for_an_error, true},
    {wake_by_kill, true},     {wake_by_deadline, true},     {wake_by_cut, true},
    {wake_by_meeting, false}, {wake_by_meeting_now, false}, {wake_by_closing, false},
    {wake_by_end, true},      {wake_by_reset, true},
};

static void whatever_wakes_it_takes_the_offers_of_a_list_away(void **state)
{
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct tk_task *task = begin(1);

        stand(0, 0, TK_SENDS);
        tk_limit_enter(&sched, &limit, task, false, UINT64_MAX);
        make(8, 0, TK_SENDS);
        make(9, 1, TK_RECEIVES);
        make(10, 2, TK_SENDS);
        YIELD(task, 8, 9, 10);
        choose(task, NULL, NULL);
        stand(2, 0, TK_SENDS);
        check_line(0, "012");
        check_counts(1, 0, 1);
        check_counts(2, 1, 0);
        ways[i].wake(task);
        assert_false(stands(8) || stands(9) || stands(10));
        check_line(0, "02");
        check_counts(0, 2, 0);
        check_counts(1, 0, 0);
        check_counts(2, 0, 0);
        /* The next case begins anew. */
        assert_int_equal(tear_down(state), 0);
        set_up(state);
    }
}

static void whatever_wakes_it_takes_the_offer_of_a_verb_away(void **state)
{
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct tk_task *task;

        if (!ways[i].in_verb) {
            continue;
        }
        stand(0, 0, TK_RECEIVES);
        task = begin(1);
        tk_limit_enter(&sched, &limit, task, false, UINT64_MAX);
        make(1, 0, TK_RECEIVES);
        block(task, &offers[1]);
        tk_task_blocked(&sched, task);
        stand(2, 0, TK_RECEIVES);
        check_line(0, "012");
        ways[i].wake(task);
        assert_false(stands(1));
        assert_false(offers[1].met);
        check_line(0, "02");
        check_counts(0, 0, 2);
        assert_int_equal(tear_down(state), 0);
        set_up(state);
    }
}

static void a_verb_beside_a_list_stands_alone(void **state)
{
    struct tk_task *task = begin(0);
    struct tk_wait *list[] = {&offers[8].wait, &bells[0]};

    (void)state;
    make(8, 0, TK_RECEIVES);
    YIELD(task, 8);
    choose(task, NULL, NULL);
    wake_by_firing(task);
    assert_ptr_equal(resume(), task);
    assert_ptr_equal(event.wait, &bells[0]);
    /* It has turned to something else, and its list is left as it is. */
    make(0, 1, TK_SENDS);
    block(task, &offers[0]);
    tk_task_blocked(&sched, task);
    check_counts(0, 0, 0);
    check_counts(1, 1, 0);
    wake_by_firing(task); /* what fires for the list is kept, and wakes nobody */
    assert_true(stands(0));
    assert_null(resume());
    tk_offer_meet(&sched, &offers[0], false);
    assert_ptr_equal(resume(), task);
    unblock(task);
    assert_false(task->met);
    assert_int_equal(tk_task_wait(&sched, task, list, 2, &fault), 1);
    assert_true(tk_task_take(&sched, task, &event));
    assert_ptr_equal(event.wait, &bells[0]);
}

static void an_offer_that_is_finished_stands_no_more(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make(8, 0, TK_SENDS);
    make(9, 0, TK_SENDS);
    YIELD(task, 8, 9);
    choose(task, NULL, NULL);
    check_counts(0, 2, 0);
    tk_wait_finish(&offers[8].wait, &sched);
    check_counts(0, 1, 0);
    assert_ptr_equal(tk_channel_partner(&channels[0], TK_RECEIVES), &offers[9]);
    stand(1, 0, TK_SENDS);
    tk_wait_finish(&offers[1].wait, &sched);
    check_counts(0, 1, 0);
    assert_null(tk_task_unblock(&sched, &tasks[1]));
}

static void withdrawing_twice_is_once(void **state)
{
    (void)state;
    stand(0, 0, TK_SENDS);
    tk_offer_withdraw(&offers[0]);
    tk_offer_withdraw(&offers[0]);
    check_counts(0, 0, 0);
    tk_channel_withdraw(&tasks[0]);
    check_counts(0, 0, 0);
}

/* ---- choosing ---- */

static void it_chooses_who_has_stood_longest(void **state)
{
    struct tk_task *task = begin(7);
    static const size_t order[] = {0, 1, 2, 3};

    (void)state;
    stand(0, 1, TK_SENDS);
    stand(1, 2, TK_RECEIVES);
    stand(2, 0, TK_SENDS);
    stand(3, 1, TK_SENDS);
    make(8, 0, TK_RECEIVES);
    make(9, 1, TK_RECEIVES);
    make(10, 2, TK_SENDS);
    for (size_t i = 0; i < 4; i++) {
        struct tk_offer *own, *partner;
        struct tk_wait *list[] = {&offers[8].wait, &offers[9].wait, &offers[10].wait};

        assert_int_equal(tk_task_wait(&sched, task, list, 3, &fault), 0);
        waiting[7] = true;
        assert_true(tk_channel_ready(task));
        own = tk_channel_select(&sched, task, &partner);
        assert_ptr_equal(partner, &offers[order[i]]);
        assert_ptr_equal(own->channel, partner->channel);
        assert_true(own->side != partner->side);
        assert_false(stands(8) || stands(9) || stands(10));
        tk_offer_meet(&sched, partner, false);
        tk_offer_meet(&sched, own, false);
        assert_ptr_equal(resume(), partner->wait.task);
        unblock(&tasks[order[i]]);
        assert_ptr_equal(resume(), task);
        assert_ptr_equal(event.wait, &own->wait);
        assert_true(own->met);
    }
    assert_false(tk_channel_ready(task));
}

static void what_stands_again_is_younger(void **state)
{
    struct tk_task *old = begin(0), *task = begin(2);

    (void)state;
    make(8, 0, TK_SENDS);
    YIELD(old, 8);
    choose(old, NULL, NULL);
    stand(1, 1, TK_SENDS);
    wake_by_firing(old);
    assert_ptr_equal(resume(), old);
    YIELD(old, 8);
    choose(old, NULL, NULL);
    make(9, 0, TK_RECEIVES);
    make(10, 1, TK_RECEIVES);
    YIELD(task, 9, 10);
    choose(task, &offers[10], &offers[1]);
}

static void it_stands_on_all_of_them_if_nobody_is_there(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        make(8 + i, i, i == 1 ? TK_RECEIVES : TK_SENDS);
    }
    YIELD(task, 8, 9, 10);
    assert_true(task->selects);
    assert_false(tk_channel_ready(task));
    choose(task, NULL, NULL);
    assert_true(stands(8) && stands(9) && stands(10));
    assert_true(offers[8].number < offers[9].number && offers[9].number < offers[10].number);
    /* A list without offers is none that chooses. */
    wake_by_firing(task);
    assert_ptr_equal(resume(), task);
    yield_list(task, NULL, 0);
    assert_false(task->selects);
    assert_null(offers[8].wait.task);
}

static void the_first_that_is_met_is_the_only_one(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make(8, 0, TK_RECEIVES);
    make(9, 1, TK_RECEIVES);
    YIELD(task, 8, 9);
    choose(task, NULL, NULL);
    tk_offer_meet(&sched, &offers[9], false);
    assert_null(tk_channel_partner(&channels[0], TK_SENDS));
    assert_null(tk_channel_partner(&channels[1], TK_SENDS));
    assert_ptr_equal(resume(), task);
    assert_ptr_equal(event.wait, &offers[9].wait);
    assert_null(resume());
    assert_false(offers[8].met);
    /* Both may be met again, anew. */
    YIELD(task, 8, 9);
    choose(task, NULL, NULL);
    assert_false(offers[9].met);
    tk_offer_meet(&sched, &offers[8], false);
    assert_ptr_equal(resume(), task);
    assert_ptr_equal(event.wait, &offers[8].wait);
}

static void what_was_met_comes_before_all_that_fires(void **state)
{
    struct tk_task *task = begin(0);
    struct tk_wait *list[] = {&bells[1], &offers[8].wait, &bells[2]};

    (void)state;
    make(8, 0, TK_RECEIVES);
    bells[1].priority = TK_PRIORITY_HIGH;
    assert_int_equal(tk_task_wait(&sched, task, list, 3, &fault), 0);
    waiting[0] = true;
    choose(task, NULL, NULL);
    tk_offer_meet(&sched, &offers[8], false);
    assert_true(task->met);
    tk_wait_fire(&bells[1], &sched, NULL);                          /* more urgent */
    assert_int_equal(tk_wait_fire_now(&bells[2], &sched, NULL), 0); /* by hand */
    tk_sched_hand_over(&sched, NULL);
    assert_ptr_equal(resume(), task);
    assert_ptr_equal(event.wait, &offers[8].wait);
    assert_false(task->met);
    assert_true(tk_task_take(&sched, task, &event));
    assert_ptr_equal(event.wait, &bells[2]);
    assert_true(tk_task_take(&sched, task, &event));
    assert_ptr_equal(event.wait, &bells[1]);
    assert_false(tk_task_take(&sched, task, &event));
}

static void an_offer_has_the_priority_of_its_wait(void **state)
{
    struct tk_task *task = begin(0), *other = begin(1);

    (void)state;
    make(8, 0, TK_SENDS);
    make(9, 0, TK_SENDS);
    offers[9].wait.priority = TK_PRIORITY_HIGH;
    YIELD(task, 8);
    choose(task, NULL, NULL);
    YIELD(other, 9);
    choose(other, NULL, NULL);
    tk_offer_meet(&sched, &offers[8], false);
    tk_offer_meet(&sched, &offers[9], false);
    assert_ptr_equal(resume(), other);
    assert_ptr_equal(resume(), task);
}

static void a_kill_forgets_what_was_met(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make(8, 0, TK_RECEIVES);
    YIELD(task, 8);
    choose(task, NULL, NULL);
    tk_offer_meet(&sched, &offers[8], false);
    tk_task_kill(&sched, task);
    tk_sched_hand_over(&sched, NULL);
    assert_ptr_equal(resume(), task);
    assert_int_equal(task->raise, TK_RAISE_EXIT);
    assert_null(offers[8].wait.task);
    assert_int_equal(offers[8].wait.pending, 0);
    /* It survives, and waits anew: nothing is left of it. */
    task->raise = TK_RAISE_NOTHING;
    tk_task_survive(&sched, task);
    YIELD(task, 8);
    choose(task, NULL, NULL);
    tk_wait_fire(&bells[0], &sched, NULL);
    assert_ptr_equal(resume(), task);
    assert_ptr_equal(event.wait, &bells[0]);
}

/* ---- closing ---- */

static void closing_wakes_receivers_in_order(void **state)
{
    struct tk_task *task = begin(1);

    (void)state;
    stand(0, 0, TK_RECEIVES);
    make(8, 1, TK_SENDS);
    make(9, 0, TK_RECEIVES);
    YIELD(task, 8, 9);
    choose(task, NULL, NULL);
    stand(2, 0, TK_RECEIVES);
    check_counts(0, 0, 3);
    tk_channel_close(&sched, &channels[0]);
    assert_true(channels[0].closing);
    check_counts(0, 0, 0);
    check_counts(1, 0, 0);
    assert_true(offers[0].closed && offers[9].closed && offers[2].closed);
    assert_false(offers[0].met || offers[9].met || offers[2].met || offers[8].closed);
    assert_ptr_equal(resume(), &tasks[0]);
    assert_ptr_equal(resume(), task);
    assert_ptr_equal(event.wait, &offers[9].wait);
    assert_ptr_equal(resume(), &tasks[2]);
    assert_null(resume());
}

static void closing_leaves_senders(void **state)
{
    struct tk_task *task = begin(1);

    (void)state;
    stand(0, 0, TK_SENDS);
    make(8, 0, TK_SENDS);
    YIELD(task, 8);
    choose(task, NULL, NULL);
    tk_channel_close(&sched, &channels[0]);
    tk_channel_close(&sched, &channels[0]);
    check_line(0, "01");
    assert_null(resume());
    assert_ptr_equal(tk_channel_partner(&channels[0], TK_RECEIVES), &offers[0]);
    tk_offer_meet(&sched, &offers[0], false);
    assert_false(offers[0].closed);
    tk_offer_meet(&sched, &offers[8], false);
    check_counts(0, 0, 0);
}

static void a_closed_channel_is_chosen_when_nobody_can_be_met(void **state)
{
    struct tk_task *task = begin(1);

    (void)state;
    channels[1].closing = channels[2].closing = true;
    stand(0, 0, TK_SENDS);
    make(8, 1, TK_RECEIVES);
    make(9, 2, TK_SENDS);
    make(10, 0, TK_RECEIVES);
    YIELD(task, 8, 9, 10);
    choose(task, &offers[10], &offers[0]);
    tk_offer_meet(&sched, &offers[0], false);
    choose(task, &offers[8], NULL); /* the first of the list that is on one */
    assert_false(stands(8) || stands(9) || stands(10));
    channels[1].closing = false;
    choose(task, &offers[9], NULL);
    channels[2].closing = false;
    choose(task, NULL, NULL);
    assert_true(stands(8) && stands(9) && stands(10));
}

static void a_closed_channel_is_chosen_anew_each_time(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make(8, 0, TK_RECEIVES);
    YIELD(task, 8);
    choose(task, NULL, NULL);
    tk_channel_close(&sched, &channels[0]);
    assert_ptr_equal(resume(), task);
    assert_true(offers[8].closed);
    channels[0].closing = false;
    YIELD(task, 8);
    choose(task, NULL, NULL);
    assert_false(offers[8].closed);
    assert_true(stands(8));
}

/* ---- many ---- */

static struct tk_task crowd[MANY];
static struct tk_offer crowd_offers[MANY];

static void many_come_and_go_in_any_order(void **state)
{
    uint32_t random = 12345;
    size_t standing = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        tk_task_init(&crowd[i]);
        tk_wait_init(&crowd_offers[i].wait, &offer_kind, &sched, NULL, NULL);
        crowd_offers[i].channel = &channels[i % 3];
        crowd_offers[i].side = TK_SENDS;
        crowd[i].state = TK_RUNNING;
        crowd[i].begun = true;
        sched.begun++;
        block(&crowd[i], &crowd_offers[i]);
        tk_task_blocked(&sched, &crowd[i]);
        standing++;
    }
    for (size_t step = 0; step < 20 * MANY; step++) {
        size_t i;

        random = random * 1103515245U + 12345U;
        i = (random >> 8) % MANY;
        if (tk_list_linked(&crowd_offers[i].node)) {
            tk_offer_meet(&sched, &crowd_offers[i], (random & 64U) != 0);
            standing--;
        } else {
            tk_task_leave_queues(&sched, &crowd[i]);
            while (tk_task_unblock(&sched, &crowd[i]) != NULL) {
            }
            crowd[i].state = TK_RUNNING;
            block(&crowd[i], &crowd_offers[i]);
            tk_task_blocked(&sched, &crowd[i]);
            standing++;
        }
        assert_int_equal(channels[0].count[TK_SENDS] + channels[1].count[TK_SENDS] +
                             channels[2].count[TK_SENDS],
                         standing);
    }
    for (size_t c = 0; c < 3; c++) {
        struct tk_offer *offer;
        uint64_t last = 0;

        while ((offer = tk_channel_partner(&channels[c], TK_RECEIVES)) != NULL) {
            assert_true(offer->number > last);
            last = offer->number;
            tk_offer_meet(&sched, offer, false);
        }
        check_counts(c, 0, 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        while (tk_task_unblock(&sched, &crowd[i]) != NULL) {
        }
        tk_task_finish(&sched, &crowd[i]);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_channel_is_empty_and_prefers_the_receiver),
        CASE(who_comes_first_is_met_first),
        CASE(one_that_is_met_by_hand_comes_before_the_run_queue),
        CASE(both_sides_of_a_channel_have_lines_of_their_own),
        CASE(neighbours_close_up),
        CASE(a_task_has_the_neighbours_of_its_first_offer),
        CASE(senders_are_the_queue_before_receivers),
        CASE(whatever_wakes_it_takes_the_offers_of_a_list_away),
        CASE(whatever_wakes_it_takes_the_offer_of_a_verb_away),
        CASE(a_verb_beside_a_list_stands_alone),
        CASE(an_offer_that_is_finished_stands_no_more),
        CASE(withdrawing_twice_is_once),
        CASE(it_chooses_who_has_stood_longest),
        CASE(what_stands_again_is_younger),
        CASE(it_stands_on_all_of_them_if_nobody_is_there),
        CASE(the_first_that_is_met_is_the_only_one),
        CASE(what_was_met_comes_before_all_that_fires),
        CASE(an_offer_has_the_priority_of_its_wait),
        CASE(a_kill_forgets_what_was_met),
        CASE(closing_wakes_receivers_in_order),
        CASE(closing_leaves_senders),
        CASE(a_closed_channel_is_chosen_when_nobody_can_be_met),
        CASE(a_closed_channel_is_chosen_anew_each_time),
        CASE(many_come_and_go_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
