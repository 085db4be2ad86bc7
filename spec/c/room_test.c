/*
 * Mailboxes with a limit, and those who wait on one: senders for room, takers for messages. A name
 * is a letter, a payload a number in memory of its own, so that one dropped or taken twice is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/mailbox.h"

#define TASKS 24

static struct tk_sched sched;
static struct tk_task tasks[TASKS]; /* the first one has the mailbox */
static struct tk_task *const owner = &tasks[0];
static struct tk_room rooms[TASKS];
static struct tk_taker takers[TASKS];
static struct tk_filter filter;
static struct tk_answer answer;
static struct tk_event event;
static struct tk_fault fault;
static int made, gone, implicit;

static void drop(void *context, void *load)
{
    (void)context;
    assert_non_null(load);
    free(load);
    gone++;
}

static void *never_share(void *context, void *load)
{
    (void)context;
    fail_msg("a message %p is shared", load);
    return NULL;
}

static void unnamed(void *context, struct tk_task *task, void *load)
{
    (void)context;
    (void)load;
    assert_ptr_equal(task, owner);
    implicit++;
}

static void note_alive(void *context, bool alive)
{
    (void)context;
    (void)alive;
}

static const struct tk_sched_hooks hooks = {drop, never_share, unnamed, note_alive, NULL};

/* ---- kinds as the wait room has them ---- */

static int nothing(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    (void)wait;
    (void)in;
    (void)out;
    return 0;
}

static void no_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)wait;
    (void)in;
}

static void room_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    tk_mail_withdraw(in, (struct tk_room *)wait);
}

static int taker_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    (void)out;
    tk_mail_await(in, ((struct tk_taker *)wait)->mail, (struct tk_taker *)wait);
    return 0;
}

static void taker_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    tk_mail_leave(in, (struct tk_taker *)wait);
}

static int answer_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    (void)in;
    (void)out;
    tk_list_push(&tk_mailbox_of(owner)->askers, &((struct tk_answer *)wait)->node);
    return 0;
}

static void answer_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)in;
    tk_list_remove(&((struct tk_answer *)wait)->node);
}

static const struct tk_kind room_kind = {
    .name = "room", .size = sizeof(struct tk_room), .arm = nothing, .disarm = room_disarm};
static const struct tk_kind taker_kind = {
    .name = "taker", .size = sizeof(struct tk_taker), .arm = taker_arm, .disarm = taker_disarm};
static const struct tk_kind answer_kind = {
    .name = "answer", .size = sizeof(struct tk_answer), .arm = answer_arm, .disarm = answer_disarm};
static const struct tk_kind filter_kind = {
    .name = "filter",
    .size = sizeof(struct tk_filter),
    .payload = 1,
    .flags = TK_REPEATS | TK_STANDS | TK_MAIL,
    .arm = nothing,
    .disarm = no_disarm,
};

static void add_names(const char *letters, enum tk_verdict verdict)
{
    for (; *letters != '\0'; letters++) {
        struct tk_atom *atom = tk_atom_take(&sched.atoms, letters, 1);

        assert_int_equal(tk_map_set(&filter.verdicts, (uintptr_t)atom, (void *)(uintptr_t)verdict),
                         0);
        filter.names[filter.count++] = atom;
        filter.accepts += verdict == TK_ACCEPT;
    }
}

static void make_filter(const char *accept, const char *defer, const char *discard)
{
    assert_int_equal(tk_wait_init(&filter.wait, &filter_kind, &sched, NULL, NULL), 0);
    filter.names = calloc(64, sizeof(struct tk_atom *));
    assert_non_null(filter.names);
    add_names(accept, TK_ACCEPT);
    add_names(defer, TK_DEFER);
    add_names(discard, TK_DISCARD);
}

/* ---- the driver ---- */

static struct tk_task *next_task(void)
{
    sched.budget = 100;
    if (sched.chain == NULL && (!tk_runq_turn(&sched.ready) || !tk_sched_pull(&sched))) {
        return NULL;
    }
    return tk_sched_next(&sched);
}

/* The number of the next who goes on; -1: nobody. */
static int resume(void)
{
    struct tk_task *task;

    while ((task = next_task()) != NULL) {
        if (task->verbs != NULL || task->state == TK_READY || tk_task_take(&sched, task, &event)) {
            task->state = TK_RUNNING;
            return (int)(task - tasks);
        }
        task->state = TK_WAITING;
    }
    return -1;
}

static int set_up(void **state)
{
    (void)state;
    made = gone = implicit = 0;
    assert_int_equal(tk_sched_init(&sched, 0, &hooks, NULL), 0);
    memset(&filter, 0, sizeof filter);
    memset(&answer, 0, sizeof answer);
    for (int i = 0; i < TASKS; i++) {
        tk_task_init(&tasks[i]);
        tk_task_begin(&sched, &tasks[i], false);
        assert_int_equal(resume(), i);
    }
    return 0;
}

static int tear_down(void **state)
{
    size_t names;

    (void)state;
    for (size_t i = 0; i < TASKS; i++) {
        while (tk_task_unblock(&sched, &tasks[i]) != NULL) {
        }
        tk_task_finish(&sched, &tasks[i]);
    }
    for (uint32_t i = 0; i < filter.count; i++) {
        tk_atom_drop(&sched.atoms, filter.names[i]);
    }
    free(filter.names);
    tk_map_finish(&filter.verdicts);
    names = sched.atoms.count;
    tk_sched_finish(&sched);
    return made == gone && names == 0 ? 0 : -1;
}

static int bring(char letter, int number, struct tk_room *room,
                 int (*send)(struct tk_sched *, struct tk_task *, struct tk_atom *, void *,
                             struct tk_room *))
{
    struct tk_atom *atom = tk_atom_take(&sched.atoms, &letter, 1);
    int *load = malloc(sizeof *load);
    int rc;

    assert_true(atom != NULL && load != NULL);
    *load = number;
    made++;
    rc = send(&sched, owner, atom, load, room);
    if (rc == TK_SENT_FULL) {
        drop(NULL, load); /* it is still ours */
    }
    tk_atom_drop(&sched.atoms, atom);
    return rc;
}

static int give(char letter, int number, struct tk_room *room)
{
    return bring(letter, number, room, tk_mail_send);
}

/* From the loop, by nobody. */
static int post(char letter, int number)
{
    return bring(letter, number, tk_nobody, tk_mail_post);
}

/* Task `from` sends, and blocks if there is no room. */
static int send_from(size_t from, char letter, int number, bool quiet)
{
    int rc = give(letter, number, NULL);

    if (rc != TK_SENT_FULL) {
        return rc;
    }
    assert_int_equal(tk_wait_init(&rooms[from].wait, &room_kind, &sched, NULL, NULL), 0);
    rooms[from].quiet = quiet;
    assert_int_equal(tk_task_block(&sched, &tasks[from], &rooms[from].wait, &fault), 0);
    rc = give(letter, number, &rooms[from]);
    tk_task_blocked(&sched, &tasks[from]);
    return rc;
}

/* It goes on. */
static void goes_on(size_t number)
{
    assert_int_equal(resume(), (int)number);
    while (tk_task_unblock(&sched, &tasks[number]) != NULL) {
    }
}

static int number_of(void *load)
{
    int number;

    if (load == NULL) {
        return -1;
    }
    number = *(int *)load;
    drop(NULL, load);
    return number;
}

static int pop(void)
{
    return number_of(tk_mail_pop(&sched, owner->mail));
}

static void wait_on_filter(int expected)
{
    struct tk_wait *list[] = {&filter.wait};

    assert_int_equal(tk_task_wait(&sched, owner, list, 1, &fault), expected);
}

static int taken_event(void)
{
    assert_true(tk_task_take(&sched, owner, &event));
    owner->state = TK_RUNNING;
    return number_of(event.payload);
}

/* Task `number` waits for messages; wanted 0: for one, which it is given. */
static void wait_as_taker(size_t number, size_t wanted)
{
    assert_int_equal(tk_wait_init(&takers[number].wait, &taker_kind, &sched, NULL, NULL), 0);
    takers[number].mail = tk_mailbox_of(owner);
    takers[number].wanted = wanted;
    takers[number].looks = wanted > 0;
    assert_int_equal(tk_task_block(&sched, &tasks[number], &takers[number].wait, &fault), 0);
    tk_task_blocked(&sched, &tasks[number]);
}

static int given(size_t number)
{
    int message = number_of(tk_mail_taken(&sched, &takers[number]));

    tk_task_unblock(&sched, &tasks[number]);
    return message;
}

/* ---- room ---- */

static void a_full_one_takes_nothing_without_room(void **state)
{
    (void)state;
    assert_int_equal(tk_mail_limit(owner, 2), 0);
    assert_int_equal(give('a', 1, NULL), TK_SENT_QUEUED);
    assert_int_equal(give('b', 2, NULL), TK_SENT_QUEUED);
    assert_int_equal(give('a', 3, NULL), TK_SENT_FULL);
    assert_int_equal(owner->mail->count, 2);
    assert_int_equal(pop(), 1);
    assert_int_equal(give('c', 4, NULL), TK_SENT_QUEUED);
    assert_int_equal(give('c', 5, NULL), TK_SENT_FULL);
    assert_int_equal(pop(), 2);
    assert_int_equal(pop(), 4);
    assert_int_equal(pop(), -1);
}

static void those_outside_come_in_in_order(void **state)
{
    (void)state;
    tk_mail_limit(owner, 2);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(send_from((size_t)i, 'a', i, false), TK_SENT_QUEUED);
    }
    for (int i = 3; i <= 6; i++) {
        assert_int_equal(send_from((size_t)i, "ab"[i % 2], i, false), TK_SENT_OUTSIDE);
        assert_int_equal(tasks[i].state, TK_BLOCKED);
    }
    assert_int_equal(resume(), -1);
    assert_int_equal(owner->mail->count, 2);
    assert_int_equal(pop(), 1);
    assert_int_equal(owner->mail->count, 2); /* the third is in before its sender has run */
    assert_null(rooms[3].message);
    assert_int_equal(give('a', 7, NULL), TK_SENT_FULL); /* nobody overtakes */
    goes_on(3);
    assert_int_equal(resume(), -1);
    assert_int_equal(pop(), 2);
    assert_int_equal(pop(), 3);
    goes_on(4);
    goes_on(5);
    assert_int_equal(pop(), 4);
    assert_int_equal(pop(), 5);
    assert_int_equal(pop(), 6);
    assert_int_equal(pop(), -1);
    goes_on(6);
    assert_null(owner->mail->outside);
}

static void one_that_goes_takes_its_message_back(void **state)
{
    (void)state;
    tk_mail_limit(owner, 1);
    for (int i = 1; i <= 6; i++) {
        send_from((size_t)i, "ab"[i % 2], i, false);
    }
    tk_task_unblock(&sched, &tasks[2]); /* the first, one in between, and the last */
    tk_task_unblock(&sched, &tasks[4]);
    tk_task_unblock(&sched, &tasks[6]);
    assert_int_equal(gone, 5 + 3); /* five had to be offered twice */
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 3);
    goes_on(3);
    tk_task_unblock(&sched, &tasks[5]); /* its message is in already */
    assert_int_equal(pop(), 5);
    assert_int_equal(pop(), -1);
}

static void without_a_limit_all_come_in(void **state)
{
    (void)state;
    tk_mail_limit(owner, 1);
    for (int i = 1; i <= 5; i++) {
        send_from((size_t)i, 'a', i, false);
    }
    tk_mail_limit(owner, 0);
    assert_int_equal(give('a', 6, NULL), TK_SENT_FULL); /* those who wait come first */
    assert_int_equal(pop(), 1);
    assert_int_equal(owner->mail->count, 4);
    assert_int_equal(give('a', 6, NULL), TK_SENT_QUEUED);
    for (int i = 2; i <= 6; i++) {
        assert_int_equal(pop(), i);
    }
}

static void a_quiet_one_is_not_told(void **state)
{
    (void)state;
    tk_mail_limit(owner, 1);
    send_from(1, 'a', 1, true);
    send_from(2, 'a', 2, true);
    send_from(3, 'a', 3, false);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 2);
    assert_null(rooms[2].message);
    goes_on(3);
    assert_int_equal(resume(), -1);
    assert_int_equal(tasks[2].state, TK_BLOCKED);
}

static void a_filter_finds_what_waits_outside(void **state)
{
    (void)state;
    make_filter("ac", "b", "d");
    tk_mail_limit(owner, 2);
    for (int i = 0; i < 8; i++) {
        send_from((size_t)i + 1, "bbdacxba"[i], i, false);
    }
    assert_int_equal(owner->mail->count, 2);
    wait_on_filter(1); /* throws 2 and 5 out, whose senders have sent them */
    assert_int_equal(implicit, 1);
    assert_int_equal(taken_event(), 3);
    assert_int_equal(owner->mail->count, 2);
    goes_on(3);
    goes_on(6);
    goes_on(4);
    wait_on_filter(1);
    assert_int_equal(taken_event(), 4);
    goes_on(5);
    wait_on_filter(1);
    assert_int_equal(taken_event(), 7);
    goes_on(8);
    wait_on_filter(0);
    assert_int_equal(give('b', 8, NULL), TK_SENT_FULL);
    assert_int_equal(give('d', 9, NULL), TK_SENT_DROPPED);
    assert_int_equal(give('a', 10, NULL), TK_SENT_DELIVERED); /* though it is full */
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 0);
    assert_int_equal(number_of(event.payload), 10);
    assert_int_equal(pop(), 0);
    goes_on(7);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 6);
    assert_int_equal(pop(), -1);
}

static void what_is_outside_is_judged_once(void **state)
{
    (void)state;
    make_filter("a", "b", "");
    tk_mail_limit(owner, 1);
    wait_on_filter(0);
    send_from(1, 'b', 1, false);
    send_from(2, 'b', 2, false);
    assert_null(owner->mail->fresh);
    assert_int_equal(give('a', 3, NULL), TK_SENT_DELIVERED);
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 0);
    assert_int_equal(number_of(event.payload), 3);
    send_from(3, 'x', 4, false);
    assert_non_null(owner->mail->fresh);
    wait_on_filter(0);
    assert_int_equal(implicit, 1);
    goes_on(3);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 2);
}

static void the_librarys_own_comes_in_before_those_outside(void **state)
{
    struct tk_atom *down = tk_atom_take(&sched.atoms, "d", 1);

    (void)state;
    make_filter("d", "a", "");
    tk_mail_limit(owner, 1);
    for (int round = 0; round < 3; round++) {
        send_from(1, 'a', 1, false);
        send_from(2, 'a', 2, false);
        for (int i = 3; i <= 4; i++) {
            int *load = malloc(sizeof *load);

            assert_non_null(load);
            *load = i;
            made++;
            assert_int_equal(tk_mail_notify(&sched, owner, down, load), TK_SENT_QUEUED);
        }
        assert_int_equal(owner->mail->count, 3);
        if (round == 0) {
            assert_int_equal(pop(), 1);
            assert_int_equal(pop(), 3);
            assert_int_equal(owner->mail->count, 1);
            assert_int_equal(pop(), 4);
        } else {
            wait_on_filter(1);
            assert_int_equal(taken_event(), 3);
            wait_on_filter(1);
            assert_int_equal(taken_event(), 4);
            assert_int_equal(pop(), 1);
        }
        goes_on(2);
        assert_int_equal(pop(), 2);
        assert_int_equal(pop(), -1);
    }
    tk_atom_drop(&sched.atoms, down);
}

static void all_hear_of_the_end(void **state)
{
    (void)state;
    tk_mail_limit(owner, 1);
    send_from(1, 'a', 1, false);
    send_from(2, 'a', 2, false);
    send_from(3, 'b', 3, true);
    wait_as_taker(4, 9);
    assert_int_equal(tk_wait_init(&answer.wait, &answer_kind, &sched, NULL, NULL), 0);
    assert_int_equal(tk_task_block(&sched, &tasks[5], &answer.wait, &fault), 0);
    tk_task_blocked(&sched, &tasks[5]);
    assert_int_equal(resume(), 4); /* it is full: that is as good as nine */
    tk_task_unblock(&sched, &tasks[4]);
    tk_task_end(&sched, owner);
    assert_int_equal(made, gone);
    goes_on(2);
    goes_on(3);
    goes_on(5);
    assert_true(rooms[2].lost && rooms[3].lost && answer.ended);
    assert_int_equal(resume(), -1);
}

/* ---- posts ---- */

static void nobody_waits_with_a_post(void **state)
{
    (void)state;
    tk_mail_limit(owner, 2);
    assert_int_equal(post('a', 1), TK_SENT_QUEUED);
    assert_int_equal(post('b', 2), TK_SENT_QUEUED);
    assert_int_equal(post('a', 3), TK_SENT_OUTSIDE);
    send_from(1, 'a', 4, false);
    assert_int_equal(post('b', 5), TK_SENT_OUTSIDE);
    assert_int_equal(bring('b', 6, NULL, tk_mail_post), TK_SENT_FULL);
    assert_int_equal(owner->mail->count, 2);
    assert_int_equal(pop(), 1);
    assert_int_equal(owner->mail->count, 2);
    assert_int_equal(resume(), -1);
    assert_int_equal(pop(), 2);
    goes_on(1);
    assert_int_equal(pop(), 3);
    assert_int_equal(pop(), 4);
    assert_int_equal(pop(), 5);
    assert_int_equal(pop(), -1);
}

/* Whom a post wakes takes its turn; what he is to get is in the mailbox till then. */
static void whom_a_post_wakes_is_in_the_run_queue(void **state)
{
    (void)state;
    make_filter("ac", "b", "d");
    filter.wait.priority = 7;
    wait_on_filter(0);
    assert_int_equal(post('d', 1), TK_SENT_DROPPED);
    assert_int_equal(post('x', 2), TK_SENT_DROPPED);
    assert_int_equal(implicit, 1);
    assert_int_equal(post('b', 3), TK_SENT_QUEUED);
    assert_false(tk_task_queued(owner));
    assert_int_equal(post('a', 4), TK_SENT_QUEUED);
    assert_true(tk_task_queued(owner));
    assert_int_equal(owner->priority, 7);
    assert_null(sched.batch);
    assert_int_equal(post('c', 5), TK_SENT_QUEUED);
    assert_int_equal(owner->mail->count, 3);
    assert_int_equal(resume(), 0);
    assert_int_equal(number_of(event.payload), 4);
    wait_on_filter(1);
    assert_int_equal(taken_event(), 5);
    assert_int_equal(pop(), 3);
}

static void a_full_one_lets_in_a_post_that_is_accepted(void **state)
{
    (void)state;
    make_filter("a", "b", "");
    tk_mail_limit(owner, 1);
    wait_on_filter(0);
    assert_int_equal(post('b', 1), TK_SENT_QUEUED);
    assert_int_equal(post('b', 2), TK_SENT_OUTSIDE);
    assert_int_equal(post('a', 3), TK_SENT_QUEUED);
    assert_int_equal(post('a', 4), TK_SENT_OUTSIDE);
    assert_int_equal(resume(), 0);
    assert_int_equal(number_of(event.payload), 3);
    wait_on_filter(1);
    assert_int_equal(taken_event(), 4);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 2);
}

/* Somebody else takes it before he comes to run: he was woken for nothing, and waits on. */
static void a_post_may_be_taken_before_its_receiver_runs(void **state)
{
    (void)state;
    make_filter("a", "", "");
    wait_on_filter(0);
    assert_int_equal(post('a', 1), TK_SENT_QUEUED);
    assert_int_equal(pop(), 1);
    assert_int_equal(resume(), -1);
    assert_int_equal(owner->state, TK_WAITING);
    assert_int_equal(post('a', 2), TK_SENT_QUEUED);
    assert_int_equal(resume(), 0);
    assert_int_equal(number_of(event.payload), 2);
}

static void a_taker_is_given_a_post_in_its_turn(void **state)
{
    (void)state;
    wait_as_taker(1, 0);
    wait_as_taker(2, 2);
    assert_int_equal(post('a', 1), TK_SENT_QUEUED);
    assert_null(sched.batch);
    assert_int_equal(resume(), 1);
    assert_int_equal(given(1), 1);
    assert_int_equal(post('a', 2), TK_SENT_QUEUED);
    assert_int_equal(post('a', 3), TK_SENT_QUEUED);
    assert_null(sched.batch);
    goes_on(2);
    assert_int_equal(pop(), 2);
    assert_int_equal(pop(), 3);
}

static void posts_outside_go_with_the_mailbox(void **state)
{
    (void)state;
    tk_mail_limit(owner, 1);
    for (int i = 0; i < 10; i++) {
        post('a', i);
    }
    tk_task_end(&sched, owner);
    assert_int_equal(made, gone);
}

/* ---- takers ---- */

static void each_is_given_its_own(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        wait_as_taker(i, 0);
    }
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(give('a', i, NULL), TK_SENT_QUEUED);
    }
    assert_int_equal(owner->mail->count, 1);
    tk_sched_hand_over(&sched, NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(resume(), i);
        assert_int_equal(given((size_t)i), i);
    }
    wait_as_taker(1, 0); /* from the loop, for it is there already */
    assert_int_equal(resume(), 1);
    assert_int_equal(given(1), 4);
}

static void what_one_leaves_is_the_next_ones(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        wait_as_taker(i, 0);
    }
    give('a', 1, NULL);
    give('b', 2, NULL);
    tk_task_unblock(&sched, &tasks[1]); /* called, and does not come */
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 2);
    assert_int_equal(given(2), 2);
    assert_int_equal(resume(), 3);
    assert_int_equal(given(3), 1);
    assert_int_equal(pop(), -1);
}

static void what_all_leave_is_as_it_was(void **state)
{
    (void)state;
    make_filter("b", "a", "");
    wait_as_taker(1, 0);
    wait_as_taker(2, 0);
    give('a', 1, NULL);
    give('b', 2, NULL);
    give('a', 3, NULL);
    tk_task_unblock(&sched, &tasks[2]);
    tk_task_unblock(&sched, &tasks[1]);
    assert_int_equal(owner->mail->count, 3);
    wait_on_filter(1); /* they are judged like any other */
    assert_int_equal(taken_event(), 2);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 3);
}

static void one_that_looks_is_called_when_there_are_enough(void **state)
{
    (void)state;
    wait_as_taker(1, 3);
    wait_as_taker(2, 0);
    give('a', 1, NULL); /* the other one's */
    give('a', 2, NULL);
    give('a', 3, NULL);
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 2);
    assert_int_equal(given(2), 1);
    assert_int_equal(resume(), -1);
    give('a', 4, NULL);
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 1);
    assert_int_equal(owner->mail->count, 3);
    wait_as_taker(3, 0); /* what one looks at is not its own */
    assert_int_equal(resume(), 3);
    assert_int_equal(given(3), 2);
    tk_task_unblock(&sched, &tasks[1]);
    assert_int_equal(pop(), 3);
    assert_int_equal(pop(), 4);
}

static void one_that_looked_and_goes_lets_the_next_one_look(void **state)
{
    (void)state;
    wait_as_taker(1, 1);
    wait_as_taker(2, 1);
    give('a', 1, NULL);
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 1);
    assert_int_equal(resume(), 2); /* both are told: neither has it yet */
    tk_task_unblock(&sched, &tasks[1]);
    tk_task_unblock(&sched, &tasks[2]);
    wait_as_taker(3, 2);
    tk_mail_limit(owner, 2);
    give('a', 2, NULL);
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 3);
    wait_as_taker(4, 5);
    assert_int_equal(resume(), 4); /* no more can come */
    tk_task_unblock(&sched, &tasks[3]);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), 2);
}

static void one_that_was_given_something_keeps_it_at_the_end(void **state)
{
    (void)state;
    wait_as_taker(1, 0);
    wait_as_taker(2, 0);
    give('a', 1, NULL);
    give('a', 2, NULL);
    tk_task_end(&sched, owner);
    tk_task_unblock(&sched, &tasks[2]); /* not taken: nobody is left to have it */
    assert_int_equal(gone, 1);
    assert_int_equal(given(1), 1);
}

static void the_task_itself_blocks_without_a_wait_of_its_own(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(tk_mail_block(owner, &taker_kind, NULL), 0);
        assert_int_equal(owner->state, TK_BLOCKED);
        assert_int_equal(resume(), -1);
        give('a', i, NULL);
        tk_sched_hand_over(&sched, NULL);
        assert_int_equal(resume(), 0);
        assert_ptr_equal(owner->verbs, &owner->mail->own.wait);
        assert_int_equal(number_of(tk_mail_taken(&sched, &owner->mail->own)), i);
        assert_ptr_equal(tk_task_unblock(&sched, owner), &owner->mail->own.wait);
        assert_true((owner->mail->own.wait.flags & TK_LENT) != 0);
    }
}

static void one_that_blocks_is_met_where_it_says(void **state)
{
    int place;

    (void)state;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(tk_mail_block(owner, &taker_kind, &place), 0);
        assert_ptr_equal(tk_mail_meet(&sched, owner), &place);
        assert_null(tk_mail_meet(&sched, owner)); /* once */
        assert_null(owner->verbs);
        assert_int_equal(owner->state, TK_HANDED);
        tk_sched_hand_over(&sched, NULL);
        assert_ptr_equal(next_task(), owner);
        owner->state = TK_RUNNING;
        assert_true(tk_mail_met(owner));
        assert_false(tk_mail_met(owner));
        give('a', i, NULL); /* it runs: this waits for it */
        assert_int_equal(pop(), i);
    }
}

static void nobody_is_met_who_is_not_the_next_to_get_a_message(void **state)
{
    int place;

    (void)state;
    assert_null(tk_mail_meet(&sched, owner)); /* has no mailbox, and runs */
    give('a', 1, NULL);
    assert_null(tk_mail_meet(&sched, owner)); /* runs */
    assert_int_equal(pop(), 1);
    wait_as_taker(1, 0);
    assert_int_equal(tk_mail_block(owner, &taker_kind, &place), 0);
    assert_null(tk_mail_meet(&sched, owner)); /* another one came first */
    give('a', 2, NULL);
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 1);
    assert_int_equal(given(1), 2);
    owner->raise = TK_RAISE_TIMEOUT;
    assert_null(tk_mail_meet(&sched, owner)); /* is about to raise */
    owner->raise = TK_RAISE_NOTHING;
    give('a', 3, NULL);
    assert_null(tk_mail_meet(&sched, owner)); /* has one already */
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 0);
    assert_false(tk_mail_met(owner));
    assert_int_equal(number_of(tk_mail_taken(&sched, &owner->mail->own)), 3);
    tk_task_unblock(&sched, owner);
}

/* ---- cost ---- */

#define MANY 1000000

static void breaks(struct tk_message **deferred, size_t count, bool broken)
{
    for (size_t i = 1; i + 1 < count; i++) {
        struct tk_message *message = deferred[i];

        message->order.next = broken ? NULL : &deferred[i + 1]->order;
        message->alike.next = broken ? NULL : &deferred[i + 1]->alike;
        message->queue = broken ? NULL : deferred[0]->queue;
    }
}

/* A million messages, a tenth of which is put off. Those are out of bounds while the others are
 * received: whoever looked at one would crash. So each of the others costs the same, however many
 * are put off. */
static void a_tenth_put_off_costs_the_others_nothing(void **state)
{
    struct tk_message **deferred = calloc(MANY / 10, sizeof *deferred);
    size_t count = 0;

    (void)state;
    assert_non_null(deferred);
    make_filter("a", "d", "");
    for (int i = 0; i < MANY / 10; i++) {
        give('d', i, NULL);
    }
    wait_on_filter(0);
    for (struct tk_list *n = owner->mail->order.next; n != &owner->mail->order; n = n->next) {
        deferred[count++] = tk_container_of(n, struct tk_message, order);
    }
    assert_int_equal(count, MANY / 10);
    assert_int_equal(give('a', -1, NULL), TK_SENT_DELIVERED);
    tk_sched_hand_over(&sched, NULL);
    assert_int_equal(resume(), 0);
    number_of(event.payload);
    breaks(deferred, count, true);
    for (int i = MANY / 10; i < MANY;) {
        int until = i + 1000;

        for (int k = i; k < until; k++) {
            give('a', k, NULL);
        }
        for (; i < until; i++) {
            sched.credit = 1;
            wait_on_filter(1);
            assert_int_equal(taken_event(), i);
        }
    }
    breaks(deferred, count, false);
    free(deferred);
    for (int i = 0; i < MANY / 10; i++) {
        assert_int_equal(pop(), i);
    }
    assert_true(sched.spare_records <= 4096);
}

/* ---- at random, against a model ---- */

struct letter {
    char name;
    int number;
    int from; /* who waits outside with it; 0: it is inside */
};

static struct letter model[400];
static size_t model_count, model_limit;
static bool waits[TASKS]; /* a sender waits for room */
static uint64_t random_state;

static size_t random_number(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state * UINT64_C(0x2545F4914F6CDD1D) % limit);
}

static size_t inside(void)
{
    size_t count = 0;

    while (count < model_count && model[count].from == 0) {
        count++;
    }
    return count;
}

/* Its sender, if it waits outside, has sent it. */
static void model_remove(size_t at)
{
    if (model[at].from != 0) {
        waits[model[at].from] = false;
    }
    model_count--;
    memmove(&model[at], &model[at + 1], (model_count - at) * sizeof *model);
    for (size_t i = inside(); i < model_count && i < model_limit; i++) {
        waits[model[i].from] = false;
        model[i].from = 0;
    }
}

static void send_at_random(int number)
{
    size_t from = 1 + random_number(TASKS - 1);
    char name = (char)('a' + random_number(8));
    bool full = inside() >= model_limit;

    if (tasks[from].state != TK_RUNNING || model_count >= 390) {
        return;
    }
    assert_int_equal(send_from(from, name, number, false), full ? TK_SENT_OUTSIDE : TK_SENT_QUEUED);
    waits[from] = full;
    model[model_count++] = (struct letter){name, number, full ? (int)from : 0};
}

static void withdraw_at_random(void)
{
    size_t from = 1 + random_number(TASKS - 1);

    for (size_t i = 0; waits[from] && i < model_count; i++) {
        if (model[i].from == (int)from) {
            tk_task_unblock(&sched, &tasks[from]);
            tasks[from].state = TK_RUNNING;
            model_remove(i);
            return;
        }
    }
}

/* a and b are accepted, c to f put off, g discarded, h not named. */
static void receive_at_random(void)
{
    int first = -1;

    for (size_t i = 0; i < model_count;) {
        if (model[i].name >= 'g') {
            model_remove(i);
            continue;
        }
        if (first < 0 && model[i].name <= 'b') {
            first = (int)i;
        }
        i++;
    }
    sched.credit = 1;
    if (first < 0) {
        wait_on_filter(0);
        tk_task_wake(&sched, owner);
        tk_sched_hand_over(&sched, NULL);
        assert_ptr_equal(next_task(), owner);
        owner->state = TK_RUNNING;
        return;
    }
    wait_on_filter(1);
    assert_int_equal(taken_event(), model[first].number);
    model_remove((size_t)first);
}

static void check_against_model(void)
{
    size_t i = 0;

    assert_int_equal(owner->mail == NULL ? 0 : owner->mail->count, inside());
    for (struct tk_list *n = owner->mail->order.next; n != &owner->mail->order; n = n->next) {
        struct tk_message *message = tk_container_of(n, struct tk_message, order);

        assert_int_equal(*(int *)message->payload, model[i].number);
        assert_ptr_equal(message->room, model[i].from == 0 ? NULL : &rooms[model[i].from]);
        i++;
    }
    assert_int_equal(i, model_count);
}

/* All who have been let in go on, and nobody else. */
static void let_go_on(void)
{
    int number;

    while ((number = resume()) > 0) {
        assert_false(waits[number]);
        while (tk_task_unblock(&sched, &tasks[number]) != NULL) {
        }
    }
    for (size_t i = 1; i < TASKS; i++) {
        assert_int_equal(tasks[i].state == TK_BLOCKED, waits[i]);
    }
}

static void it_does_what_the_model_does(void **state)
{
    (void)state;
    make_filter("ab", "cdef", "g");
    for (uint64_t seed = 1; seed <= 6; seed++) {
        random_state = seed;
        model_count = 0;
        model_limit = seed * seed;
        memset(waits, 0, sizeof waits);
        assert_int_equal(tk_mail_limit(owner, model_limit), 0);
        for (int i = 0; i < 4000; i++) {
            switch (random_number(8)) {
            case 0:
                withdraw_at_random();
                break;
            case 1:
            case 2:
                if (model_count > 0) {
                    assert_int_equal(pop(), model[0].number);
                    model_remove(0);
                }
                break;
            case 3:
                receive_at_random();
                break;
            default:
                send_at_random(i);
            }
            check_against_model();
            if (random_number(3) == 0) {
                let_go_on();
            }
        }
        while (model_count > 0) {
            assert_int_equal(pop(), model[0].number);
            model_remove(0);
        }
        let_go_on();
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_full_one_takes_nothing_without_room),
        CASE(those_outside_come_in_in_order),
        CASE(one_that_goes_takes_its_message_back),
        CASE(without_a_limit_all_come_in),
        CASE(a_quiet_one_is_not_told),
        CASE(a_filter_finds_what_waits_outside),
        CASE(what_is_outside_is_judged_once),
        CASE(the_librarys_own_comes_in_before_those_outside),
        CASE(all_hear_of_the_end),
        CASE(nobody_waits_with_a_post),
        CASE(whom_a_post_wakes_is_in_the_run_queue),
        CASE(a_full_one_lets_in_a_post_that_is_accepted),
        CASE(a_post_may_be_taken_before_its_receiver_runs),
        CASE(a_taker_is_given_a_post_in_its_turn),
        CASE(posts_outside_go_with_the_mailbox),
        CASE(each_is_given_its_own),
        CASE(what_one_leaves_is_the_next_ones),
        CASE(what_all_leave_is_as_it_was),
        CASE(one_that_looks_is_called_when_there_are_enough),
        CASE(one_that_looked_and_goes_lets_the_next_one_look),
        CASE(one_that_was_given_something_keeps_it_at_the_end),
        CASE(the_task_itself_blocks_without_a_wait_of_its_own),
        CASE(one_that_blocks_is_met_where_it_says),
        CASE(nobody_is_met_who_is_not_the_next_to_get_a_message),
        CASE(a_tenth_put_off_costs_the_others_nothing),
        CASE(it_does_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
