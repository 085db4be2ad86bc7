/*
 * The scheduler alone: whom it names, and when. The loop's part is played by `turn` and `drive`
 * below; a body is a function that is called once for each resumption and counts them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/sched.h"

#define LONG_CHAIN 100000
#define FOREVER 1000000000

struct body {
    struct tk_task task;
    struct tk_wait bell; /* in its wait list */
    struct tk_wait verb;
    struct tk_watch watch;
    void (*run)(struct body *body);
    size_t number;
    int turns;
    bool waiting;
    bool woken; /* for a reason of the driver's own */
};

static struct tk_sched sched;
static struct body *bodies;
static size_t body_count;
static size_t *events; /* who was resumed, in order */
static size_t event_count, event_capacity;
static char alive[16]; /* what the hook was told */

static void never(void *context, void *payload)
{
    (void)context;
    fail_msg("payload %p where there is none", payload);
}

static void *never_share(void *context, void *payload)
{
    never(context, payload);
    return NULL;
}

static void never_unnamed(void *context, struct tk_task *task, void *payload)
{
    (void)task;
    never(context, payload);
}

static void note_alive(void *context, bool is)
{
    (void)context;
    strcat(alive, is ? "+" : "-");
}

static const struct tk_sched_hooks hooks = {never, never_share, never_unnamed, note_alive, NULL};

static int bell_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *fault)
{
    (void)wait;
    (void)in;
    (void)fault;
    return 0;
}

static void bell_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)wait;
    (void)in;
}

static const struct tk_kind bell = {
    .name = "bell",
    .size = sizeof(struct tk_wait),
    .flags = TK_REPEATS | TK_STANDS,
    .arm = bell_arm,
    .disarm = bell_disarm,
};

static int watch_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *fault)
{
    struct tk_watch *watch = (struct tk_watch *)wait;

    (void)in;
    (void)fault;
    tk_ring_push(&watch->target->watchers, &watch->node);
    return 0;
}

static void watch_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    struct tk_watch *watch = (struct tk_watch *)wait;

    (void)in;
    if (tk_list_linked(&watch->node)) {
        tk_ring_remove(&watch->target->watchers, &watch->node);
    }
}

static const struct tk_kind watch_kind = {
    .name = "watch",
    .size = sizeof(struct tk_watch),
    .arm = watch_arm,
    .disarm = watch_disarm,
};

/* ---- the driver ---- */

static void set_up(size_t count, void (*run)(struct body *body))
{
    assert_int_equal(tk_sched_init(&sched, 0, &hooks, NULL), 0);
    bodies = calloc(count, sizeof *bodies);
    event_capacity = 4 * count + 100;
    events = calloc(event_capacity, sizeof *events);
    assert_true(bodies != NULL && events != NULL);
    body_count = count;
    event_count = 0;
    alive[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        tk_task_init(&bodies[i].task);
        bodies[i].number = i;
        bodies[i].run = run;
        assert_int_equal(tk_wait_init(&bodies[i].bell, &bell, &sched, NULL, NULL), 0);
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < body_count; i++) {
        while (tk_task_unblock(&sched, &bodies[i].task) != NULL) {
        }
        tk_task_finish(&sched, &bodies[i].task);
    }
    assert_int_equal(tk_runq_count(&sched.ready), 0);
    assert_int_equal(sched.alive, 0);
    assert_null(sched.batch);
    assert_null(sched.chain);
    assert_null(sched.frame);
    tk_sched_finish(&sched);
    free(bodies);
    free(events);
}

static struct body *body_of(struct tk_task *task)
{
    return tk_container_of(task, struct body, task);
}

/* Runs the chain. A body that has not said how it gives way has ended. */
static void drive(void)
{
    struct tk_task *task;

    while ((task = tk_sched_next(&sched)) != NULL) {
        struct body *body = body_of(task);
        struct tk_event event;

        assert_int_not_equal(task->state, TK_ENDED);
        assert_int_not_equal(task->state, TK_RUNNING);
        assert_null(task->behind);
        assert_null(task->chained.ahead);
        assert_false(tk_task_queued(task));
        if (body->waiting && !body->woken) {
            if (!tk_task_take(&sched, task, &event)) {
                task->state = TK_WAITING;
                continue;
            }
            assert_true(event.wait == &body->bell || event.wait == &body->watch.wait);
        }
        body->waiting = body->woken = false;
        while (tk_task_unblock(&sched, task) != NULL) {
        }
        sched.current = task;
        task->state = TK_RUNNING;
        if (event_count < event_capacity) {
            events[event_count++] = body->number;
        }
        body->turns++;
        body->run(body);
        sched.current = NULL;
        if (task->state == TK_RUNNING) {
            tk_task_end(&sched, task);
        }
    }
}

/* A turn of the loop, as long as the budget lasts. */
static void turn(int budget)
{
    sched.budget = budget;
    while (tk_runq_turn(&sched.ready)) {
        while (tk_sched_pull(&sched)) {
            drive();
            if (sched.budget <= 0) {
                return;
            }
        }
    }
}

static void nest(void)
{
    struct tk_task *current = sched.current;
    struct tk_frame frame;

    tk_sched_enter(&sched, &frame);
    sched.current = NULL;
    drive();
    tk_sched_leave(&sched);
    assert_ptr_equal(sched.current, current);
}

static void begin(size_t number)
{
    tk_task_begin(&sched, &bodies[number].task, true);
}

static void begin_later(size_t number)
{
    tk_task_begin(&sched, &bodies[number].task, false);
}

static void wake(size_t number)
{
    bodies[number].woken = true;
    tk_task_wake(&sched, &bodies[number].task);
}

static void end(size_t number)
{
    tk_task_end(&sched, &bodies[number].task);
}

static void await(struct body *body)
{
    struct tk_wait *list[] = {&body->bell};
    struct tk_fault fault;

    body->waiting = tk_task_wait(&sched, &body->task, list, 1, &fault) == 0;
    assert_true(body->waiting);
}

static void block(struct body *body)
{
    struct tk_fault fault;

    assert_int_equal(tk_wait_init(&body->verb, &bell, &sched, NULL, NULL), 0);
    assert_int_equal(tk_task_block(&sched, &body->task, &body->verb, &fault), 0);
    tk_task_blocked(&sched, &body->task);
}

static void hand_over(struct body *body)
{
    tk_sched_hand_over(&sched, &body->task);
}

static void check_events(const size_t *expected, size_t count)
{
    for (size_t i = 0; i < count && i < event_count; i++) {
        assert_int_equal(events[i], expected[i]);
    }
    assert_int_equal(event_count, count);
    event_count = 0;
}

#define EXPECT(...)                                                                                \
    check_events((const size_t[]){__VA_ARGS__}, sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t))

/* ---- hand-overs ---- */

static void run_nothing(struct body *body)
{
    (void)body;
}

/* 0 begins 1 and 2; 1 begins 3 and 4. */
static void run_tree(struct body *body)
{
    size_t child = body->number * 2 + 1;

    if (body->turns == 1 && child <= 3) {
        begin(child);
        begin(child + 1);
        assert_int_equal(bodies[child].task.state, TK_HANDED);
        hand_over(body);
        assert_int_equal(body->task.state, TK_HANDED);
    }
}

static void those_begun_go_first_and_their_beginner_right_behind(void **state)
{
    (void)state;
    set_up(5, run_tree);
    begin(0);
    tk_sched_hand_over(&sched, NULL);
    sched.budget = 100;
    drive();
    EXPECT(0, 1, 3, 4, 1, 2, 0);
    assert_int_equal(sched.budget, 100 - 7);
    tear_down();
}

static void from_outside_the_batch_is_run_nested(void **state)
{
    (void)state;
    set_up(5, run_tree);
    begin(0);
    nest();
    EXPECT(0, 1, 3, 4, 1, 2, 0);
    nest(); /* nobody to run */
    assert_int_equal(event_count, 0);
    tear_down();
}

static void run_next(struct body *body)
{
    if (body->turns == 1 && body->number + 1 < body_count) {
        begin(body->number + 1);
        hand_over(body);
    }
}

static void check_long_chain(void)
{
    assert_int_equal(event_count, 2 * LONG_CHAIN - 1);
    for (size_t i = 0; i < LONG_CHAIN; i++) {
        assert_int_equal(events[i], i);
        assert_int_equal(events[2 * LONG_CHAIN - 2 - i], i);
        assert_int_equal(bodies[i].task.state, TK_ENDED);
    }
    assert_string_equal(alive, "+-");
}

static void a_chain_of_100000_begins(void **state)
{
    (void)state;
    set_up(LONG_CHAIN, run_next);
    begin(0);
    nest();
    check_long_chain();
    tear_down();
}

static void a_chain_of_100000_is_cut_by_budgets_and_goes_on(void **state)
{
    size_t turns = 0;

    (void)state;
    set_up(LONG_CHAIN, run_next);
    begin_later(0);
    while (tk_runq_count(&sched.ready) > 0) {
        size_t before = event_count;

        turn(1000);
        assert_true(event_count - before <= 1000);
        turns++;
    }
    assert_true(turns >= (2 * LONG_CHAIN - 1) / 1000);
    check_long_chain();
    tear_down();
}

static void run_ring_next(struct body *body)
{
    if (body->turns == 1) {
        await(body);
    } else if (body->turns == 2 && body->number + 1 < body_count) {
        assert_int_equal(tk_wait_fire_now(&bodies[body->number + 1].bell, &sched, NULL), 0);
        hand_over(body);
    }
}

static void a_chain_of_100000_wakes(void **state)
{
    (void)state;
    set_up(LONG_CHAIN, run_ring_next);
    for (size_t i = 0; i < LONG_CHAIN; i++) {
        begin_later(i);
    }
    turn(FOREVER);
    assert_int_equal(event_count, LONG_CHAIN);
    event_count = 0;
    assert_int_equal(tk_wait_fire_now(&bodies[0].bell, &sched, NULL), 0);
    nest();
    check_long_chain();
    tear_down();
}

/* ---- nesting ---- */

/* 0 begins 1 and 2 in a chain; 1 runs 3 nested, that runs 4 nested and begins 5 in the chain. */
static void run_nested(struct body *body)
{
    if (body->turns > 1) {
        return;
    }
    switch (body->number) {
    case 0:
        begin(1);
        begin(2);
        hand_over(body);
        break;
    case 1:
        begin(3);
        nest();
        assert_int_equal(body->task.state, TK_RUNNING);
        assert_int_equal(bodies[3].task.state, TK_ENDED);
        assert_int_equal(bodies[2].turns, 0);
        break;
    case 3:
        begin(4);
        nest();
        assert_int_equal(bodies[4].task.state, TK_ENDED);
        begin(5);
        hand_over(body);
        break;
    default:
        break;
    }
}

static void a_nested_chain_leaves_the_outer_one_alone(void **state)
{
    (void)state;
    set_up(6, run_nested);
    begin_later(0);
    turn(100);
    EXPECT(0, 1, 3, 4, 5, 3, 2, 0);
    tear_down();
}

static void a_nested_chain_is_not_cut(void **state)
{
    (void)state;
    set_up(6, run_nested);
    begin_later(0);
    turn(2);
    /* The budget is over with 1; what that runs nested must end before it. */
    EXPECT(0, 1, 3, 4, 5, 3);
    turn(1);
    EXPECT(2);
    turn(1);
    EXPECT(0);
    tear_down();
}

/* ---- the budget ---- */

static void run_family(struct body *body)
{
    if (body->number == 0 && body->turns == 1) {
        for (size_t i = 1; i <= 5; i++) {
            begin(i);
        }
        hand_over(body);
    } else if (body->number == 9 && body->turns < 3) {
        tk_task_give_way(&sched, &body->task);
    }
}

/* 3, 4, 5 and 0 are left behind; 9 is ready. */
static void set_up_cut_chain(void)
{
    set_up(10, run_family);
    begin_later(0);
    begin_later(9);
    turn(3);
    EXPECT(0, 1, 2);
    assert_null(sched.chain);
    assert_true(tk_task_queued(&bodies[3].task));
    assert_false(tk_task_queued(&bodies[4].task));
    assert_int_equal(bodies[4].task.state, TK_HANDED);
}

static void a_cut_chain_goes_on_behind_those_that_are_ready(void **state)
{
    (void)state;
    set_up_cut_chain();
    turn(100);
    EXPECT(9, 3, 4, 5, 0, 9, 9);
    tear_down();
}

static void a_chain_can_be_cut_again_and_again(void **state)
{
    (void)state;
    set_up_cut_chain();
    for (int i = 0; i < 7; i++) {
        turn(1);
    }
    EXPECT(9, 3, 9, 4, 9, 5, 0);
    tear_down();
}

static void no_budget_at_all_loses_nobody(void **state)
{
    (void)state;
    set_up_cut_chain();
    for (int i = 0; i < 5; i++) {
        turn(0);
    }
    assert_int_equal(event_count, 0);
    turn(100);
    assert_int_equal(event_count, 7);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(bodies[i].task.state, i >= 6 && i <= 8 ? TK_NEW : TK_ENDED);
    }
    tear_down();
}

static void the_head_of_a_cut_chain_is_woken(void **state)
{
    (void)state;
    set_up_cut_chain();
    wake(3);
    nest();
    EXPECT(3);
    turn(100);
    EXPECT(9, 4, 5, 0, 9, 9);
    tear_down();
}

static void the_head_of_a_cut_chain_ends(void **state)
{
    (void)state;
    set_up_cut_chain();
    end(3);
    turn(100);
    EXPECT(9, 4, 5, 0, 9, 9);
    tear_down();
}

static void one_in_the_middle_of_a_cut_chain_is_woken(void **state)
{
    (void)state;
    set_up_cut_chain();
    wake(4);
    wake(0);
    nest();
    EXPECT(4, 0);
    turn(100);
    EXPECT(9, 3, 5, 9, 9);
    tear_down();
}

static void one_in_the_middle_of_a_cut_chain_ends(void **state)
{
    (void)state;
    set_up_cut_chain();
    end(5);
    end(0);
    turn(100);
    EXPECT(9, 3, 4, 9, 9);
    tear_down();
}

static void a_whole_cut_chain_is_taken_apart(void **state)
{
    (void)state;
    set_up_cut_chain();
    end(3);
    end(4);
    wake(5);
    end(0);
    assert_int_equal(tk_runq_count(&sched.ready), 1);
    nest();
    EXPECT(5);
    turn(100);
    EXPECT(9, 9, 9);
    tear_down();
}

/* ---- waking in each state ---- */

static void (*second_act)(void);

/* 0 wakes others by `second_act`; the rest take one state each. */
static void run_states(struct body *body)
{
    if (body->number == 0) {
        if (second_act != NULL && body->turns == 1) {
            second_act();
            hand_over(body);
        }
    } else if (body->turns == 1) {
        if (body->number == 1) {
            tk_task_give_way(&sched, &body->task);
        } else if (body->number <= 3) {
            await(body);
        } else if (body->number <= 5) {
            block(body);
        }
    }
}

static void wake_them_all(void)
{
    for (size_t i = 0; i < 8; i++) {
        wake(i);
    }
}

static void set_up_states(void)
{
    set_up(8, run_states);
    for (size_t i = 1; i <= 6; i++) {
        begin_later(i);
    }
    assert_true(tk_runq_turn(&sched.ready));
    sched.budget = FOREVER;
    while (tk_sched_pull(&sched)) {
        drive();
    }
    EXPECT(1, 2, 3, 4, 5, 6);
    tk_wait_fire(&bodies[3].bell, &sched, NULL);
    tk_wait_fire(&bodies[5].verb, &sched, NULL);
    assert_int_equal(bodies[1].task.state, TK_READY);
    assert_int_equal(bodies[2].task.state, TK_WAITING);
    assert_int_equal(bodies[3].task.state, TK_WAITING);
    assert_int_equal(bodies[4].task.state, TK_BLOCKED);
    assert_int_equal(bodies[5].task.state, TK_BLOCKED);
    assert_int_equal(bodies[6].task.state, TK_ENDED);
    assert_int_equal(bodies[7].task.state, TK_NEW);
    assert_true(tk_task_queued(&bodies[3].task) && tk_task_queued(&bodies[5].task));
    assert_int_equal(tk_runq_count(&sched.ready), 3);
}

/* Itself it does not wake, nor one that has ended or never began. */
static void waking_reaches_each_state(void **state)
{
    (void)state;
    set_up_states();
    second_act = wake_them_all;
    begin(0);
    nest();
    EXPECT(0, 1, 2, 3, 4, 5, 0);
    assert_int_equal(tk_runq_count(&sched.ready), 0);
    turn(100);
    assert_int_equal(event_count, 0);
    assert_int_equal(bodies[7].task.state, TK_NEW);
    tear_down();
}

static void wake_twice(void)
{
    wake(2);
    wake(4);
    wake(1);
    /* In the batch already: now the last of it; first, middle and last once each. */
    wake(2);
    wake(1);
    wake(1);
    wake(4);
}

static void waking_again_is_waking_last(void **state)
{
    (void)state;
    set_up_states();
    second_act = wake_twice;
    begin(0);
    nest();
    EXPECT(0, 2, 1, 4, 0);
    tear_down();
}

/* Whom to end or wake among [2, 3, 4, 0] in a chain, by 1, which runs before them. */
static size_t victim;
static bool kill_it, nested_first;

static void run_victims(struct body *body)
{
    if (body->number == 0 && body->turns == 1) {
        for (size_t i = 1; i <= 4; i++) {
            begin(i);
        }
        hand_over(body);
    } else if (body->number == 1 && nested_first && body->turns == 1) {
        /* 5 does it from a frame further in, where that chain has been put aside. */
        begin(5);
        nest();
    } else if ((body->number == 1 || body->number == 5) && body->turns == 1) {
        if (kill_it) {
            end(victim);
        } else {
            wake(victim);
        }
        hand_over(body);
    }
}

static void check_victim(size_t who, const size_t *expected, size_t count)
{
    victim = who;
    set_up(6, run_victims);
    begin_later(0);
    turn(100);
    check_events(expected, count);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(bodies[i].task.state, TK_ENDED);
    }
    tear_down();
}

#define VICTIM(who, ...)                                                                           \
    check_victim(who, (const size_t[]){__VA_ARGS__},                                               \
                 sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t))

static void one_that_stands_in_a_chain_ends(void **state)
{
    (void)state;
    kill_it = true;
    nested_first = false;
    VICTIM(2, 0, 1, 1, 3, 4, 0);
    VICTIM(3, 0, 1, 1, 2, 4, 0);
    VICTIM(0, 0, 1, 1, 2, 3, 4);
    nested_first = true;
    VICTIM(2, 0, 1, 5, 5, 3, 4, 0);
    VICTIM(3, 0, 1, 5, 5, 2, 4, 0);
    VICTIM(0, 0, 1, 5, 5, 2, 3, 4);
}

static void one_that_stands_in_a_chain_is_woken(void **state)
{
    (void)state;
    kill_it = false;
    nested_first = false;
    VICTIM(2, 0, 1, 2, 1, 3, 4, 0);
    VICTIM(4, 0, 1, 4, 1, 2, 3, 0);
    VICTIM(0, 0, 1, 0, 1, 2, 3, 4);
    nested_first = true;
    VICTIM(2, 0, 1, 5, 2, 5, 3, 4, 0);
    VICTIM(3, 0, 1, 5, 3, 5, 2, 4, 0);
    VICTIM(0, 0, 1, 5, 0, 5, 2, 3, 4);
}

static void those_in_the_batch_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        set_up(3, run_nothing);
        begin(0);
        begin(1);
        begin(2);
        end(i);
        nest();
        assert_int_equal(event_count, 2);
        assert_int_equal(events[0], i == 0 ? 1 : 0);
        assert_int_equal(events[1], i == 2 ? 1 : 2);
        tear_down();
    }
}

/* ---- ends ---- */

static void run_watchers(struct body *body)
{
    struct tk_wait *list[] = {&body->watch.wait};
    struct tk_fault fault;

    if (body->turns == 1 && body->number > 0) {
        assert_int_equal(tk_task_wait(&sched, &body->task, list, 1, &fault), 0);
        body->waiting = true;
    }
}

static void those_who_wait_for_an_end_go_into_the_run_queue(void **state)
{
    (void)state;
    set_up(4, run_watchers);
    for (size_t i = 1; i < 4; i++) {
        tk_wait_init(&bodies[i].watch.wait, &watch_kind, &sched, NULL, NULL);
        bodies[i].watch.target = &bodies[0].task;
        begin_later(i);
    }
    bodies[3].watch.wait.priority = TK_PRIORITY_HIGH;
    turn(100);
    EXPECT(1, 2, 3);
    begin(0);
    nest();
    EXPECT(0);
    end(0); /* once is enough */
    turn(100);
    EXPECT(3, 1, 2);
    tear_down();
}

static void the_hook_is_told_of_the_first_and_the_last(void **state)
{
    (void)state;
    set_up(4, run_nothing);
    bodies[3].task.daemon = true;
    begin(3);
    assert_string_equal(alive, "");
    begin(0);
    begin_later(1);
    assert_string_equal(alive, "+");
    assert_int_equal(sched.alive, 2);
    tk_task_count(&sched, &bodies[0].task, false);
    tk_task_count(&sched, &bodies[0].task, false);
    assert_int_equal(sched.alive, 1);
    tk_task_count(&sched, &bodies[0].task, true);
    nest();
    assert_int_equal(sched.alive, 1);
    end(1);
    end(1);
    assert_string_equal(alive, "+-");
    end(2); /* never begun */
    begin_later(3);
    assert_string_equal(alive, "+-");
    tear_down();
}

/* ---- at random ---- */

#define CROWD 40

static uint64_t random_state;
static size_t steps, depth;

static uint64_t random_number(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D) % limit;
}

static void count_chain(const struct tk_task *task, int *places)
{
    const struct tk_task *ahead = NULL;

    for (; task != NULL; ahead = task, task = task->behind) {
        size_t number = tk_container_of(task, struct body, task)->number;

        assert_true(tk_task_queued(task) ? ahead == NULL : task->chained.ahead == ahead);
        assert_int_equal(places[number], 0);
        assert_true(ahead == NULL || task->state == TK_HANDED);
        places[number]++;
    }
}

/* Everybody is in at most one place, and those whose turn is owed to them in just one. */
static void check_places(void)
{
    int places[CROWD] = {0};

    for (size_t i = 0; i < sched.ready.size; i++) {
        for (int j = 0; j < 2; j++) {
            const struct tk_list *head = &sched.ready.buckets[i]->tasks[j];

            for (struct tk_list *n = head->next; n != head; n = n->next) {
                count_chain(tk_container_of(n, struct tk_task, node), places);
            }
        }
    }
    count_chain(sched.chain, places);
    count_chain(sched.batch, places);
    for (const struct tk_frame *frame = sched.frame; frame != NULL; frame = frame->outer) {
        count_chain(frame->chain, places);
    }
    for (size_t i = 0; i < CROWD; i++) {
        const struct tk_task *task = &bodies[i].task;
        bool must = task->state == TK_HANDED || task->state == TK_READY;
        bool must_not =
            task->state == TK_NEW || task->state == TK_RUNNING || task->state == TK_ENDED;

        assert_true(!must || places[i] == 1);
        assert_true(!must_not || places[i] == 0);
        assert_true(must || places[i] == tk_task_queued(task));
    }
}

static void do_something_to(struct body *body)
{
    uint8_t is = body->task.state;

    switch (random_number(6)) {
    case 0:
        if (is == TK_ENDED) {
            size_t number = body->number;
            void (*run)(struct body *) = body->run;

            memset(body, 0, sizeof *body);
            tk_task_init(&body->task);
            tk_wait_init(&body->bell, &bell, &sched, NULL, NULL);
            body->number = number;
            body->run = run;
        } else if (is == TK_NEW) {
            tk_task_begin(&sched, &body->task, random_number(2) == 0);
        } else if (is != TK_RUNNING && random_number(4) == 0) {
            while (tk_task_unblock(&sched, &body->task) != NULL) {
            }
            end(body->number);
        }
        break;
    case 1:
        if (is != TK_NEW && is != TK_ENDED && is != TK_RUNNING) {
            wake(body->number);
        }
        break;
    case 2:
        tk_wait_fire(&body->bell, &sched, NULL);
        break;
    case 3:
        if (body->bell.task != NULL) {
            assert_int_equal(tk_wait_fire_now(&body->bell, &sched, NULL), 0);
        }
        break;
    case 4:
        if (body->verb.task != NULL) {
            tk_wait_fire(&body->verb, &sched, NULL);
        }
        break;
    default:
        if (body->verb.task != NULL) {
            assert_int_equal(tk_wait_fire_now(&body->verb, &sched, NULL), 0);
        }
        break;
    }
}

static void give_way_somehow(struct body *body)
{
    struct tk_wait *list[] = {&body->bell};
    struct tk_fault fault;

    switch (random_number(10)) {
    case 0:
        break; /* it ends */
    case 1:
    case 2:
        tk_task_give_way(&sched, &body->task);
        break;
    case 3:
    case 4:
        block(body);
        break;
    default:
        while (tk_task_wait(&sched, &body->task, list, 1, &fault) > 0) {
            struct tk_event event;

            assert_true(tk_task_take(&sched, &body->task, &event));
        }
        body->waiting = true;
        break;
    }
}

static void run_at_random(struct body *body)
{
    steps++;
    for (uint64_t n = random_number(4); n > 0; n--) {
        do_something_to(&bodies[random_number(CROWD)]);
        check_places();
        if (sched.batch != NULL && depth < 5 && random_number(4) == 0) {
            depth++;
            nest();
            depth--;
            check_places();
        }
    }
    if (sched.batch != NULL) {
        hand_over(body);
    } else {
        give_way_somehow(body);
    }
    check_places();
}

static void nobody_is_lost_nor_in_two_places(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        set_up(CROWD, run_at_random);
        random_state = seed;
        steps = depth = 0;
        while (steps < 3000) {
            do_something_to(&bodies[random_number(CROWD)]);
            check_places();
            if (random_number(3) == 0) {
                nest();
            } else {
                tk_sched_hand_over(&sched, NULL);
                sched.budget = FOREVER;
                drive();
            }
            turn((int)random_number(8));
            check_places();
        }
        for (size_t i = 0; i < CROWD; i++) {
            bodies[i].run = run_nothing;
        }
        tk_sched_hand_over(&sched, NULL);
        drive();
        turn(FOREVER);
        for (size_t i = 0; i < CROWD; i++) {
            uint8_t is = bodies[i].task.state;

            assert_true(is == TK_NEW || is == TK_WAITING || is == TK_BLOCKED || is == TK_ENDED);
            assert_true(is != TK_WAITING || bodies[i].bell.pending == 0);
            assert_true(is != TK_BLOCKED || bodies[i].verb.pending == 0);
        }
        tear_down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_begun_go_first_and_their_beginner_right_behind),
        cmocka_unit_test(from_outside_the_batch_is_run_nested),
        cmocka_unit_test(a_chain_of_100000_begins),
        cmocka_unit_test(a_chain_of_100000_is_cut_by_budgets_and_goes_on),
        cmocka_unit_test(a_chain_of_100000_wakes),
        cmocka_unit_test(a_nested_chain_leaves_the_outer_one_alone),
        cmocka_unit_test(a_nested_chain_is_not_cut),
        cmocka_unit_test(a_cut_chain_goes_on_behind_those_that_are_ready),
        cmocka_unit_test(a_chain_can_be_cut_again_and_again),
        cmocka_unit_test(no_budget_at_all_loses_nobody),
        cmocka_unit_test(the_head_of_a_cut_chain_is_woken),
        cmocka_unit_test(the_head_of_a_cut_chain_ends),
        cmocka_unit_test(one_in_the_middle_of_a_cut_chain_is_woken),
        cmocka_unit_test(one_in_the_middle_of_a_cut_chain_ends),
        cmocka_unit_test(a_whole_cut_chain_is_taken_apart),
        cmocka_unit_test(waking_reaches_each_state),
        cmocka_unit_test(waking_again_is_waking_last),
        cmocka_unit_test(one_that_stands_in_a_chain_ends),
        cmocka_unit_test(one_that_stands_in_a_chain_is_woken),
        cmocka_unit_test(those_in_the_batch_end),
        cmocka_unit_test(those_who_wait_for_an_end_go_into_the_run_queue),
        cmocka_unit_test(the_hook_is_told_of_the_first_and_the_last),
        cmocka_unit_test(nobody_is_lost_nor_in_two_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
