/*
 * Mailboxes and filters alone. A name is a letter, a payload a number in memory of its own, so that
 * one dropped or taken twice is seen. The test is the loop and the body in one: it resumes a task
 * and then acts as that task.
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

#define TASKS 4
#define FILTERS 8
#define DEFERRED 100000

static struct tk_sched sched;
static struct tk_task tasks[TASKS];
static struct tk_filter filters[FILTERS];
static struct tk_taker takers[TASKS];
static struct tk_event event;
static struct tk_fault fault;
static int made, gone;
static int implicit[32]; /* what the hook `unnamed` was told of */
static size_t implicit_count;

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
    assert_non_null(task);
    implicit[implicit_count++ % 32] = *(int *)load;
}

static void note_alive(void *context, bool alive)
{
    (void)context;
    (void)alive;
}

static const struct tk_sched_hooks hooks = {drop, never_share, unnamed, note_alive, NULL};

/* ---- kinds as wait/messages.c and wait/mail.c have them ---- */

static int filter_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    (void)wait;
    (void)in;
    (void)out;
    return 0;
}

static void filter_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)wait;
    (void)in;
}

static void filter_finish(struct tk_wait *wait, struct tk_sched *in)
{
    struct tk_filter *filter = (struct tk_filter *)wait;

    for (uint32_t i = 0; i < filter->count; i++) {
        tk_atom_drop(&in->atoms, filter->names[i]);
    }
    free(filter->names);
    tk_map_finish(&filter->verdicts);
}

static const struct tk_kind filter_kind = {
    .name = "filter",
    .size = sizeof(struct tk_filter),
    .payload = 1,
    .flags = TK_REPEATS | TK_STANDS | TK_MAIL,
    .arm = filter_arm,
    .disarm = filter_disarm,
    .finish = filter_finish,
};

static const struct tk_kind bell_kind = {
    .name = "bell",
    .size = sizeof(struct tk_wait),
    .flags = TK_REPEATS | TK_STANDS,
    .arm = filter_arm,
    .disarm = filter_disarm,
};

static struct tk_wait bell;

static int taker_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *out)
{
    struct tk_taker *taker = (struct tk_taker *)wait;

    (void)out;
    tk_mail_await(in, taker->mail, taker);
    return 0;
}

static void taker_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    tk_mail_leave(in, (struct tk_taker *)wait);
}

static const struct tk_kind taker_kind = {
    .name = "taker",
    .size = sizeof(struct tk_taker),
    .arm = taker_arm,
    .disarm = taker_disarm,
};

static void add_names(struct tk_filter *filter, const char *letters, enum tk_verdict verdict)
{
    for (; *letters != '\0'; letters++) {
        struct tk_atom *atom = tk_atom_take(&sched.atoms, letters, 1);

        assert_int_equal(tk_map_set(&filter->verdicts, (uintptr_t)atom, (void *)(uintptr_t)verdict),
                         0);
        filter->names[filter->count++] = atom;
        filter->accepts += verdict == TK_ACCEPT;
    }
}

static void make_filter(size_t number, const char *accept, const char *defer, const char *discard)
{
    struct tk_filter *filter = &filters[number];

    tk_wait_finish(&filter->wait, &sched);
    assert_int_equal(tk_wait_init(&filter->wait, &filter_kind, &sched, NULL, NULL), 0);
    filter->names = calloc(64, sizeof(struct tk_atom *));
    assert_non_null(filter->names);
    add_names(filter, accept, TK_ACCEPT);
    add_names(filter, defer, TK_DEFER);
    add_names(filter, discard, TK_DISCARD);
}

/* ---- the driver ---- */

static int set_up(void **state)
{
    (void)state;
    made = gone = 0;
    implicit_count = 0;
    assert_int_equal(tk_sched_init(&sched, 0, &hooks, NULL), 0);
    memset(filters, 0, sizeof filters);
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_init(&tasks[i]);
    }
    return tk_wait_init(&bell, &bell_kind, &sched, NULL, NULL);
}

static int tear_down(void **state)
{
    size_t names;

    (void)state;
    for (size_t i = 0; i < TASKS; i++) {
        while (tk_task_unblock(&sched, &tasks[i]) != NULL) {
        }
    }
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_finish(&sched, &tasks[i]);
    }
    for (size_t i = 0; i < FILTERS; i++) {
        tk_wait_finish(&filters[i].wait, &sched);
    }
    tk_wait_finish(&bell, &sched);
    names = sched.atoms.count;
    tk_sched_finish(&sched);
    return made == gone && names == 0 ? 0 : -1;
}

static struct tk_task *next_task(void)
{
    sched.budget = 100;
    if (sched.chain == NULL && (!tk_runq_turn(&sched.ready) || !tk_sched_pull(&sched))) {
        return NULL;
    }
    return tk_sched_next(&sched);
}

/* The next who is resumed, with its event if it has waited; NULL: nobody. */
static struct tk_task *resume(void)
{
    struct tk_task *task;

    while ((task = next_task()) != NULL) {
        if (task->verbs != NULL || task->state == TK_READY || tk_task_take(&sched, task, &event)) {
            task->state = TK_RUNNING;
            return task;
        }
        task->state = TK_WAITING;
    }
    return NULL;
}

static struct tk_task *begin(size_t number)
{
    tk_task_begin(&sched, &tasks[number], false);
    assert_ptr_equal(resume(), &tasks[number]);
    return &tasks[number];
}

/* Yields filters by their numbers; 9 is the bell. */
static int yield_list(struct tk_task *task, const char *digits)
{
    struct tk_wait *list[16];
    size_t count = 0;

    for (; *digits != '\0'; digits++) {
        list[count++] = *digits == '9' ? &bell : &filters[*digits - '0'].wait;
    }
    return tk_task_wait(&sched, task, list, count, &fault);
}

static int send(struct tk_task *task, char letter, int number)
{
    struct tk_atom *atom = tk_atom_take(&sched.atoms, &letter, 1);
    int *load = malloc(sizeof *load);
    int rc;

    assert_true(atom != NULL && load != NULL);
    *load = number;
    made++;
    rc = tk_mail_send(&sched, task, atom, load, NULL);
    tk_atom_drop(&sched.atoms, atom);
    return rc;
}

static int number_of(void *load)
{
    int number;

    assert_non_null(load);
    number = *(int *)load;
    drop(NULL, load);
    return number;
}

/* The event is this message, by this filter. */
static void check_event(size_t filter, int number)
{
    assert_ptr_equal(event.wait, &filters[filter].wait);
    assert_int_equal(number_of(event.payload), number);
}

static void expect(struct tk_task *task, size_t filter, int number)
{
    assert_ptr_equal(resume(), task);
    check_event(filter, number);
}

static void take(struct tk_task *task, size_t filter, int number)
{
    assert_true(tk_task_take(&sched, task, &event));
    check_event(filter, number);
}

static void pop(struct tk_task *task, int number)
{
    assert_int_equal(number_of(tk_mail_pop(&sched, task->mail)), number);
}

static size_t count_of(const struct tk_task *task)
{
    return task->mail == NULL ? 0 : task->mail->count;
}

/* ---- verdicts ---- */

static void without_a_filter_nothing_is_judged(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    assert_null(tk_mail_pop(&sched, NULL));
    assert_int_equal(send(task, 'a', 1), TK_SENT_QUEUED);
    assert_int_equal(yield_list(task, "9"), 0);
    assert_int_equal(send(task, 'b', 2), TK_SENT_QUEUED);
    assert_int_equal(send(task, 'a', 3), TK_SENT_QUEUED);
    assert_null(resume());
    tk_task_begin(&sched, &tasks[1], false);
    assert_int_equal(send(&tasks[1], 'a', 4), TK_SENT_QUEUED); /* before it runs */
    pop(task, 1);
    pop(task, 2);
    pop(task, 3);
    assert_null(tk_mail_pop(&sched, task->mail));
    pop(&tasks[1], 4);
    assert_int_equal(implicit_count, 0);
}

static void while_it_waits_each_message_has_its_verdict(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "ab", "cd", "e");
    assert_int_equal(yield_list(task, "0"), 0);
    assert_int_equal(send(task, 'c', 1), TK_SENT_QUEUED);
    assert_int_equal(send(task, 'e', 2), TK_SENT_DROPPED);
    assert_int_equal(gone, 1);
    assert_int_equal(implicit_count, 0);
    assert_int_equal(send(task, 'x', 3), TK_SENT_DROPPED);
    assert_int_equal(gone, 2);
    assert_int_equal(implicit_count, 1);
    assert_int_equal(implicit[0], 3);
    assert_int_equal(task->state, TK_WAITING);
    assert_null(sched.batch);
    assert_int_equal(send(task, 'b', 4), TK_SENT_DELIVERED);
    assert_ptr_equal(sched.batch, task);
    /* It has not run yet and judges nothing meanwhile. */
    assert_int_equal(send(task, 'a', 5), TK_SENT_QUEUED);
    assert_int_equal(send(task, 'x', 6), TK_SENT_QUEUED);
    assert_int_equal(send(task, 'e', 7), TK_SENT_QUEUED);
    tk_sched_hand_over(&sched, NULL);
    expect(task, 0, 4);
    assert_int_equal(count_of(task), 4);
    assert_int_equal(yield_list(task, "0"), 1);
    assert_int_equal(count_of(task), 2);
    assert_int_equal(implicit_count, 2);
    assert_int_equal(implicit[1], 6);
    assert_int_equal(gone, 5);
    take(task, 0, 5);
    pop(task, 1);
}

static void what_came_before_the_wait_is_judged_by_it(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "b", "a", "d");
    for (int i = 0; i < 12; i++) {
        assert_int_equal(send(task, "abcd"[i % 4], i), TK_SENT_QUEUED);
    }
    for (int i = 1; i < 12; i += 4) {
        assert_int_equal(yield_list(task, "0"), 1);
        take(task, 0, i);
    }
    assert_int_equal(implicit_count, 3);
    assert_int_equal(gone, 9);
    assert_int_equal(yield_list(task, "0"), 0);
    assert_null(resume());
    pop(task, 0);
    pop(task, 4);
    pop(task, 8);
}

static void the_first_filter_that_names_it_decides(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "a", "b", "c");
    make_filter(1, "bd", "c", "a");
    make_filter(2, "ce", "ab", "d");
    assert_int_equal(yield_list(task, "0912"), 0);
    assert_int_equal(send(task, 'b', 1), TK_SENT_QUEUED);
    assert_int_equal(send(task, 'c', 2), TK_SENT_DROPPED);
    assert_int_equal(send(task, 'x', 3), TK_SENT_DROPPED);
    assert_int_equal(implicit_count, 1);
    assert_int_equal(send(task, 'd', 4), TK_SENT_DELIVERED);
    tk_sched_hand_over(&sched, NULL);
    expect(task, 1, 4);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(send(task, "cabde"[i], 10 + i), TK_SENT_QUEUED);
    }
    assert_int_equal(yield_list(task, "0912"), 1);
    take(task, 0, 11);
    assert_int_equal(yield_list(task, "0912"), 1);
    take(task, 1, 13);
    assert_int_equal(yield_list(task, "0912"), 1);
    take(task, 2, 14);
    assert_int_equal(yield_list(task, "0912"), 0);
    assert_int_equal(implicit_count, 1);
    pop(task, 1);
    pop(task, 12);
}

static void other_filters_judge_what_was_deferred(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "", "abcd", "");
    make_filter(1, "b", "a", "c");
    for (int i = 0; i < 8; i++) {
        send(task, "abcd"[i % 4], i);
    }
    assert_int_equal(yield_list(task, "0"), 0);
    assert_int_equal(count_of(task), 8);
    tk_wait_fire(&bell, &sched, NULL); /* nobody holds it */
    tk_task_wake(&sched, task);
    tk_sched_hand_over(&sched, NULL);
    assert_ptr_equal(next_task(), task);
    task->state = TK_RUNNING;
    /* Nothing is judged while there is no filter; then all are. */
    assert_int_equal(yield_list(task, "9"), 0);
    assert_int_equal(count_of(task), 8);
    tk_wait_fire(&bell, &sched, NULL);
    assert_ptr_equal(resume(), task);
    assert_int_equal(yield_list(task, "1"), 1);
    assert_int_equal(count_of(task), 4);
    assert_int_equal(implicit_count, 2);
    take(task, 1, 1);
    assert_int_equal(yield_list(task, "10"), 1);
    take(task, 1, 5);
    pop(task, 0);
    pop(task, 4);
}

static void a_filter_that_leaves_is_not_asked_any_more(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "", "a", "");
    make_filter(1, "b", "", "a");
    send(task, 'a', 1);
    send(task, 'b', 2);
    assert_int_equal(yield_list(task, "01"), 1);
    take(task, 1, 2);
    assert_int_equal(count_of(task), 1);
    assert_int_equal(yield_list(task, "1"), 0);
    assert_int_equal(count_of(task), 0);
    assert_int_equal(gone, 2);
}

static void filters_in_another_order_judge_anew(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "", "a", "");
    make_filter(1, "b", "", "a");
    send(task, 'a', 1);
    send(task, 'b', 2);
    assert_int_equal(yield_list(task, "01"), 1);
    take(task, 1, 2);
    assert_int_equal(count_of(task), 1);
    assert_int_equal(yield_list(task, "10"), 0);
    assert_int_equal(count_of(task), 0); /* the first that names it discards it now */
    assert_int_equal(gone, 2);
}

/* ---- order ---- */

static void accepted_messages_come_in_order_of_arrival(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "ac", "", "");
    make_filter(1, "bdxyz", "", "");
    /* With few names in the mailbox, and with more than the filters accept. */
    for (int round = 0; round < 2; round++) {
        make_filter(2, "", round == 0 ? "" : "efghijklmn", "");
        for (int i = 0; round == 1 && i < 10; i++) {
            send(task, "efghijklmn"[i], 100 + i);
        }
        for (int i = 0; i < 40; i++) {
            assert_int_equal(send(task, "abcd"[i * 7 % 11 % 4], i), TK_SENT_QUEUED);
        }
        for (int i = 0; i < 40; i++) {
            assert_int_equal(yield_list(task, "012"), 1);
            take(task, i * 7 % 11 % 2 == 0 ? 0 : 1, i);
        }
    }
    assert_int_equal(yield_list(task, "012"), 0);
    for (int i = 0; i < 10; i++) {
        pop(task, 100 + i);
    }
}

/* More of them than may be taken without giving way: then one waits in the run queue with mail at
 * hand. */
static int take_until_it_gives_way(struct tk_task *task, int from)
{
    while (yield_list(task, "0") == 1) {
        take(task, 0, from++);
    }
    assert_int_equal(task->state, TK_WAITING);
    assert_true(tk_task_queued(task));
    return from;
}

static void one_on_its_way_goes_before_one_that_comes(void **state)
{
    struct tk_task *task = begin(0);
    int at, last = 1000;

    (void)state;
    make_filter(0, "ab", "d", "");
    for (int i = 0; i < last; i++) {
        send(task, "ab"[i % 2], i);
    }
    at = take_until_it_gives_way(task, 0);
    assert_in_range(at, 1, 999);
    while (at < last) {
        if (last < 1100) {
            assert_int_equal(send(task, 'b', last++), TK_SENT_QUEUED);
            assert_int_equal(send(task, 'x', -1), TK_SENT_DROPPED);
            assert_int_equal(send(task, 'd', -2), TK_SENT_QUEUED);
        }
        expect(task, 0, at++);
        while (at < last && yield_list(task, "0") == 1) {
            take(task, 0, at++);
        }
    }
    assert_int_equal(yield_list(task, "0"), 0);
    /* Nothing is on its way now. */
    assert_int_equal(send(task, 'b', 5), TK_SENT_DELIVERED);
    tk_sched_hand_over(&sched, NULL);
    expect(task, 0, 5);
}

static void one_that_somebody_else_took_holds_nothing_up(void **state)
{
    struct tk_task *task = begin(0);
    int sent;

    (void)state;
    make_filter(0, "a", "", "");
    for (int i = 0; i < 1000; i++) {
        send(task, 'a', i);
    }
    take_until_it_gives_way(task, 0);
    while (count_of(task) > 0) {
        number_of(tk_mail_pop(&sched, task->mail));
    }
    assert_null(resume());
    assert_int_equal(task->state, TK_WAITING);
    sent = send(task, 'a', 5000);
    assert_int_equal(sent, TK_SENT_DELIVERED);
    tk_sched_hand_over(&sched, NULL);
    expect(task, 0, 5000);
}

/* ---- cost ---- */

static struct tk_message *deferred[DEFERRED];

/* Breaks all messages put off but the first and the last, so that whoever looks at one comes to
 * grief. */
static void break_them(bool broken)
{
    for (size_t i = 1; i + 1 < DEFERRED; i++) {
        struct tk_message *message = deferred[i];

        message->order.next = broken ? NULL : &deferred[i + 1]->order;
        message->alike.next = broken ? NULL : &deferred[i + 1]->alike;
        message->queue = broken ? NULL : deferred[0]->queue;
    }
}

static void those_put_off_are_judged_once_and_never_walked(void **state)
{
    struct tk_task *task = begin(0);
    struct tk_list *node;
    size_t count = 0;

    (void)state;
    make_filter(0, "a", "d", "");
    make_filter(1, "b", "", "");
    /* Half of them before it waits, half of them while it does. */
    for (int i = 0; i < DEFERRED; i++) {
        if (i == DEFERRED / 2) {
            assert_int_equal(yield_list(task, "0"), 0);
        }
        send(task, 'd', i);
    }
    assert_int_equal(count_of(task), DEFERRED);
    for (node = task->mail->order.next; node != &task->mail->order; node = node->next) {
        deferred[count++] = tk_container_of(node, struct tk_message, order);
    }
    break_them(true);
    assert_int_equal(send(task, 'a', -1), TK_SENT_DELIVERED);
    tk_sched_hand_over(&sched, NULL);
    expect(task, 0, -1);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(send(task, 'a', -2 - i), TK_SENT_QUEUED);
        if (yield_list(task, i % 10 == 9 ? "10" : "0") == 1) {
            take(task, 0, -2 - i);
        } else {
            expect(task, 0, -2 - i);
        }
    }
    break_them(false);
    assert_int_equal(count_of(task), DEFERRED);
    for (int i = 0; i < DEFERRED; i++) {
        pop(task, i);
    }
}

static void names_that_come_and_go_do_not_pile_up(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    for (int i = 0; i < 5000; i++) {
        char name[16];
        int length = snprintf(name, sizeof name, "reply %d", i);
        struct tk_atom *atom = tk_atom_take(&sched.atoms, name, (size_t)length);
        int *load = malloc(sizeof *load);

        assert_true(atom != NULL && load != NULL);
        *load = i;
        made++;
        assert_int_equal(tk_mail_send(&sched, task, atom, load, NULL), TK_SENT_QUEUED);
        tk_atom_drop(&sched.atoms, atom);
        if (i >= 3) {
            pop(task, i - 3);
        }
        assert_true(task->mail->queues.count <= 20);
    }
    assert_true(sched.atoms.count <= 20);
}

/* ---- takers ---- */

static void take_any(size_t number, struct tk_task *target)
{
    struct tk_task *task = begin(number);

    tk_wait_init(&takers[number].wait, &taker_kind, &sched, NULL, NULL);
    takers[number].mail = tk_mailbox_of(target);
    takers[number].wanted = 0;
    assert_int_equal(tk_task_block(&sched, task, &takers[number].wait, &fault), 0);
    tk_task_blocked(&sched, task);
}

/* It goes on, and takes what it was given. */
static void taken(size_t number, int message)
{
    assert_int_equal(number_of(tk_mail_taken(&sched, &takers[number])), message);
    assert_ptr_equal(tk_task_unblock(&sched, &tasks[number]), &takers[number].wait);
}

static void one_message_wakes_one_taker(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "a", "d", "");
    for (size_t i = 1; i < 4; i++) {
        take_any(i, task);
    }
    assert_int_equal(yield_list(task, "0"), 0);
    assert_int_equal(send(task, 'a', 1), TK_SENT_DELIVERED);
    assert_int_equal(send(task, 'd', 2), TK_SENT_QUEUED);
    tk_sched_hand_over(&sched, NULL);
    expect(task, 0, 1);
    assert_ptr_equal(resume(), &tasks[1]);
    taken(1, 2);
    assert_null(resume());
    assert_int_equal(send(task, 'x', 3), TK_SENT_QUEUED);
    assert_int_equal(send(task, 'x', 4), TK_SENT_QUEUED);
    assert_int_equal(send(task, 'x', 5), TK_SENT_QUEUED); /* nobody is left to wake */
    tk_sched_hand_over(&sched, NULL);
    assert_ptr_equal(resume(), &tasks[2]);
    assert_ptr_equal(resume(), &tasks[3]);
    assert_null(resume());
    taken(3, 4);
    taken(2, 3);
    pop(task, 5);
}

static void takers_hear_of_the_end_of_the_mailbox(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    take_any(1, task);
    take_any(2, task);
    take_any(3, task);
    tk_task_unblock(&sched, &tasks[2]); /* one that has given up */
    tk_task_end(&sched, task);
    assert_null(sched.batch);
    assert_ptr_equal(resume(), &tasks[1]);
    assert_ptr_equal(resume(), &tasks[3]);
    assert_null(resume());
}

static void mail_ends_with_its_task(void **state)
{
    struct tk_task *task = begin(0);

    (void)state;
    make_filter(0, "a", "d", "");
    for (int i = 0; i < 100; i++) {
        send(task, "abcdefg"[i % 7], i);
    }
    tk_task_end(&sched, task);
    assert_int_equal(gone, 100);
    assert_int_equal(implicit_count, 0);
    assert_null(task->mail);
    /* One that is delivered and not yet taken goes too. */
    assert_int_equal(yield_list(begin(1), "0"), 0);
    assert_int_equal(send(&tasks[1], 'a', 1), TK_SENT_DELIVERED);
    tk_task_end(&sched, &tasks[1]);
    assert_int_equal(gone, 101);
    assert_null(sched.batch);
}

/* ---- at random, against a model: what is in the mailbox, in order ---- */

struct letter {
    char name;
    int number;
};

static struct letter model[400];
static size_t model_count;
static enum tk_verdict verdicts[FILTERS][26];
static uint64_t random_state;

static uint64_t random_number(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D) % limit;
}

static enum tk_verdict model_verdict(const char *list, char name, size_t *by)
{
    for (; *list != '\0'; list++) {
        *by = (size_t)(*list - '0');
        if (verdicts[*by][name - 'a'] != TK_UNNAMED) {
            return verdicts[*by][name - 'a'];
        }
    }
    return TK_UNNAMED;
}

static void model_remove(size_t at)
{
    model_count--;
    memmove(&model[at], &model[at + 1], (model_count - at) * sizeof *model);
}

/* Judges them all; says which is accepted first, or -1. */
static int model_judge(const char *list)
{
    int first = -1;
    size_t by;

    for (size_t i = 0; list[0] != '\0' && i < model_count;) {
        enum tk_verdict verdict = model_verdict(list, model[i].name, &by);

        if (verdict == TK_UNNAMED || verdict == TK_DISCARD) {
            model_remove(i);
            continue;
        }
        if (verdict == TK_ACCEPT && first < 0) {
            first = (int)i;
        }
        i++;
    }
    return first;
}

static void make_random_filters(void)
{
    for (size_t i = 0; i < FILTERS; i++) {
        char lists[4][27] = {{0}};

        for (size_t letter = 0; letter < 26; letter++) {
            uint64_t draw = random_number(12);
            char *list;

            verdicts[i][letter] = draw < 4 ? (enum tk_verdict)draw : TK_UNNAMED;
            list = lists[verdicts[i][letter]];
            list[strlen(list)] = (char)('a' + letter);
        }
        make_filter(i, lists[TK_ACCEPT], lists[TK_DEFER], lists[TK_DISCARD]);
    }
}

static void model_send(struct tk_task *task, int number)
{
    /* Small and large alphabets: few names, or more than the filters accept. */
    char name = (char)('a' + random_number(number / 1000 % 2 == 0 ? 4 : 26));

    assert_int_equal(send(task, name, number), TK_SENT_QUEUED);
    model[model_count++] = (struct letter){name, number};
}

/* Sends to one that waits until it has an event, then takes that. */
static int send_until_delivered(struct tk_task *task, const char *list, int number)
{
    for (;; number++) {
        char name = (char)('a' + random_number(26));
        size_t by = 0;
        enum tk_verdict verdict = model_verdict(list, name, &by);
        int rc = send(task, name, number);

        if (verdict == TK_ACCEPT) {
            assert_int_equal(rc, TK_SENT_DELIVERED);
            tk_sched_hand_over(&sched, NULL);
            expect(task, by, number);
            return number + 1;
        }
        if (verdict == TK_DEFER && model_count < 300) {
            assert_int_equal(rc, TK_SENT_QUEUED);
            model[model_count++] = (struct letter){name, number};
        } else if (verdict == TK_DEFER) {
            /* Enough is in there: this one ends the wait. */
            model[model_count++] = (struct letter){name, number};
            tk_task_wake(&sched, task);
            tk_sched_hand_over(&sched, NULL);
            assert_ptr_equal(next_task(), task);
            task->state = TK_RUNNING;
            return number + 1;
        } else {
            assert_int_equal(rc, TK_SENT_DROPPED);
        }
    }
}

static int act_at_random(struct tk_task *task, int number)
{
    char list[FILTERS + 1];
    size_t count = 0, by = 0;
    int first, rc;

    for (uint64_t n = random_number(8); n > 0 && model_count < 300; n--) {
        model_send(task, number++);
    }
    for (uint64_t n = random_number(model_count > 200 ? 90 : 3); n > 0 && model_count > 0; n--) {
        pop(task, model[0].number);
        model_remove(0);
    }
    for (char digit = '0'; digit < '0' + FILTERS; digit++) {
        if (random_number(4) == 0) {
            list[count++] = digit;
        }
    }
    list[count] = '\0';
    if (count == 0) {
        return number;
    }
    first = model_judge(list);
    rc = yield_list(task, list);
    assert_int_equal(count_of(task), model_count);
    if (first < 0) {
        assert_int_equal(rc, 0);
        assert_false(tk_task_queued(task));
        return send_until_delivered(task, list, number);
    }
    model_verdict(list, model[first].name, &by);
    if (rc == 1) {
        take(task, by, model[first].number);
    } else {
        expect(task, by, model[first].number);
    }
    model_remove((size_t)first);
    return number;
}

static void it_does_what_the_model_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct tk_task *task;
        int number = 0;

        random_state = seed;
        model_count = 0;
        make_random_filters();
        task = begin(seed % TASKS);
        for (int i = 0; i < 5000; i++) {
            number = act_at_random(task, number);
            assert_int_equal(count_of(task), model_count);
            assert_int_equal(made - gone, model_count);
        }
        tk_task_end(&sched, task);
        assert_int_equal(made, gone);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_filter_nothing_is_judged),
        CASE(while_it_waits_each_message_has_its_verdict),
        CASE(what_came_before_the_wait_is_judged_by_it),
        CASE(the_first_filter_that_names_it_decides),
        CASE(other_filters_judge_what_was_deferred),
        CASE(a_filter_that_leaves_is_not_asked_any_more),
        CASE(filters_in_another_order_judge_anew),
        CASE(accepted_messages_come_in_order_of_arrival),
        CASE(one_on_its_way_goes_before_one_that_comes),
        CASE(one_that_somebody_else_took_holds_nothing_up),
        CASE(those_put_off_are_judged_once_and_never_walked),
        CASE(names_that_come_and_go_do_not_pile_up),
        CASE(one_message_wakes_one_taker),
        CASE(takers_hear_of_the_end_of_the_mailbox),
        CASE(mail_ends_with_its_task),
        CASE(it_does_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
