/*
 * Mailboxes: see mailbox.h. They own their messages' records; the payload belongs to whoever sent
 * it until it is taken, or is given to the hook `drop`.
 *
 * Cost: taking looks at as many queues as there are names, never at the messages put off; judging
 * under unchanged filters looks only at what came since.
 */
#include "core/mailbox.h"

#include <stdlib.h>

#include "core/inside.h"

/* Empty queues are kept for their name's next message while a mailbox has no more than this many.
 */
#define SPARE_QUEUES 16

/* Records that are kept to be used again. */
#define SPARE_RECORDS 4096

/* There is room below for what is put back. */
#define FIRST_NUMBER (UINT64_MAX / 2)

/* How a message comes. */
enum how {
    BY_HAND,   /* a script sends it: whom it wakes is in the batch */
    ANYWAY,    /* the same, and it is let in though the mailbox be full */
    FROM_LOOP, /* whom it wakes is in the run queue */
};

static const struct tk_room nobody;
struct tk_room *const tk_nobody = (struct tk_room *)&nobody; /* never read nor written */

struct tk_mailbox *tk_mailbox_of(struct tk_task *task)
{
    struct tk_mailbox *mail = task->mail;

    if (mail == NULL) {
        mail = calloc(1, sizeof *mail);
        if (mail != NULL) {
            tk_list_init(&mail->order);
            tk_list_init(&mail->busy);
            tk_list_init(&mail->takers);
            tk_list_init(&mail->called);
            tk_list_init(&mail->askers);
            mail->first = mail->next = FIRST_NUMBER;
            task->mail = mail;
        }
    }
    return mail;
}

static void queue_free(struct tk_sched *sched, struct tk_queue *queue)
{
    tk_list_remove(&queue->node);
    tk_atom_drop(&sched->atoms, queue->name);
    free(queue);
}

static struct tk_queue *queue_of(struct tk_mailbox *mail, struct tk_atom *name)
{
    struct tk_queue *queue = tk_map_get(&mail->queues, (uintptr_t)name);

    if (queue != NULL) {
        return queue;
    }
    queue = calloc(1, sizeof *queue);
    if (queue == NULL || tk_map_set(&mail->queues, (uintptr_t)name, queue) < 0) {
        free(queue);
        return NULL;
    }
    tk_list_init(&queue->messages);
    queue->name = name;
    name->refs++;
    return queue;
}

/* ---- records ---- */

static struct tk_message *record_new(struct tk_sched *sched)
{
    struct tk_message *message = sched->records;

    if (message == NULL) {
        return malloc(sizeof *message);
    }
    sched->records = message->payload;
    sched->spare_records--;
    return message;
}

static void record_free(struct tk_sched *sched, struct tk_message *message)
{
    if (sched->spare_records >= SPARE_RECORDS) {
        free(message);
        return;
    }
    message->payload = sched->records;
    sched->records = message;
    sched->spare_records++;
}

void tk_mail_finish(struct tk_sched *sched)
{
    while (sched->records != NULL) {
        struct tk_message *message = sched->records;

        sched->records = message->payload;
        free(message);
    }
    sched->spare_records = 0;
}

static struct tk_message *next_of(const struct tk_mailbox *mail, const struct tk_message *message)
{
    struct tk_list *next = message->order.next;

    return next == &mail->order ? NULL : tk_container_of(next, struct tk_message, order);
}

static bool is_full(const struct tk_mailbox *mail)
{
    return mail->outside != NULL || (mail->limit != 0 && mail->count >= mail->limit);
}

/* A new record, the last (or first) in the queue of its name. */
static struct tk_message *record(struct tk_sched *sched, struct tk_mailbox *mail,
                                 struct tk_atom *name, void *payload, bool first)
{
    struct tk_queue *queue = queue_of(mail, name);
    struct tk_message *message = queue == NULL ? NULL : record_new(sched);

    if (message == NULL) {
        return NULL;
    }
    message->queue = queue;
    message->payload = payload;
    message->room = NULL;
    if (tk_list_empty(&queue->messages)) {
        tk_list_push(&mail->busy, &queue->node);
    }
    if (first) {
        message->number = --mail->first;
        tk_list_push_front(&queue->messages, &message->alike);
    } else {
        message->number = mail->next++;
        tk_list_push(&queue->messages, &message->alike);
    }
    return message;
}

/* As the last of those inside. */
static void put_inside(struct tk_mailbox *mail, struct tk_message *message, bool judged)
{
    tk_list_insert_before(mail->outside == NULL ? &mail->order : &mail->outside->order,
                          &message->order);
    mail->count++;
    if (!judged && (mail->fresh == NULL || mail->fresh->room != NULL)) {
        mail->fresh = message;
    }
}

static void put_outside(struct tk_mailbox *mail, struct tk_message *message, struct tk_room *room,
                        bool judged)
{
    tk_list_push(&mail->order, &message->order);
    message->room = room;
    if (room != tk_nobody) {
        room->mail = mail;
        room->message = message;
    }
    if (mail->outside == NULL) {
        mail->outside = message;
    }
    if (!judged && mail->fresh == NULL) {
        mail->fresh = message;
    }
}

/* ---- room ---- */

/* The sender need not wait any more. */
static void tell(struct tk_sched *sched, struct tk_room *room)
{
    if (room == tk_nobody) {
        return;
    }
    room->message = NULL;
    if (!room->quiet || room->lost) {
        tk_wait_fire(&room->wait, sched, NULL);
    }
}

/* Lets in whom there is room for now. */
static void let_in(struct tk_sched *sched, struct tk_mailbox *mail)
{
    while (mail->outside != NULL && (mail->limit == 0 || mail->count < mail->limit)) {
        struct tk_message *message = mail->outside;

        mail->outside = next_of(mail, message);
        mail->count++;
        tell(sched, message->room);
        message->room = NULL;
    }
}

uint64_t tk_mail_gone(const struct tk_mailbox *mail)
{
    return mail->next - mail->first - mail->count;
}

int tk_mail_limit(struct tk_task *task, size_t limit)
{
    struct tk_mailbox *mail = tk_mailbox_of(task);

    if (mail == NULL) {
        return TK_ENOMEM;
    }
    mail->limit = limit;
    return 0;
}

/* Whose sender waits is told: whatever becomes of it, it is sent. */
static void *take_out(struct tk_sched *sched, struct tk_mailbox *mail, struct tk_message *message)
{
    struct tk_queue *queue = message->queue;
    struct tk_room *room = message->room;
    void *payload = message->payload;

    if (mail->fresh == message) {
        mail->fresh = next_of(mail, message);
    }
    if (mail->outside == message) {
        mail->outside = next_of(mail, message);
    }
    tk_list_remove(&message->order);
    tk_list_remove(&message->alike);
    record_free(sched, message);
    if (tk_list_empty(&queue->messages)) {
        tk_list_remove(&queue->node);
        if (mail->queues.count > SPARE_QUEUES) {
            tk_map_remove(&mail->queues, (uintptr_t)queue->name);
            queue_free(sched, queue);
        }
    }
    if (room != NULL) {
        tell(sched, room);
    } else {
        mail->count--;
        if (mail->outside != NULL) {
            let_in(sched, mail);
        }
    }
    return payload;
}

void tk_mail_withdraw(struct tk_sched *sched, struct tk_room *room)
{
    if (room->message != NULL) {
        sched->hooks->drop(sched->context, take_out(sched, room->mail, room->message));
    }
}

/* ---- takers ---- */

static struct tk_message *first_inside(const struct tk_mailbox *mail)
{
    return mail->count == 0
               ? NULL
               : tk_container_of(tk_list_first(&mail->order), struct tk_message, order);
}

/* `now`: by hand, else from the loop. */
static void call(struct tk_sched *sched, struct tk_mailbox *mail, struct tk_taker *taker, bool now)
{
    tk_list_remove(&taker->node);
    tk_list_push(&mail->called, &taker->node);
    taker->called = true;
    if (now) {
        tk_wait_fire_now(&taker->wait, sched, NULL);
    } else {
        tk_wait_fire(&taker->wait, sched, NULL);
    }
}

static void hand(struct tk_taker *taker, struct tk_atom *name, void *payload)
{
    taker->payload = payload;
    taker->name = name;
    name->refs++;
}

/* Calls those for whom there is enough. */
static void offer(struct tk_sched *sched, struct tk_mailbox *mail, bool now)
{
    struct tk_list *node, *next;

    for (node = mail->takers.next; node != &mail->takers && mail->count > 0; node = next) {
        struct tk_taker *taker = tk_container_of(node, struct tk_taker, node);

        next = node->next;
        if (!taker->looks) {
            struct tk_message *message = first_inside(mail);

            hand(taker, message->queue->name, NULL);
            taker->payload = take_out(sched, mail, message);
        } else if (mail->count < taker->wanted && !is_full(mail)) {
            continue;
        }
        call(sched, mail, taker, now);
    }
}

/* The mailbox is empty: is there one who is to be given a message? */
static struct tk_taker *find_taker(const struct tk_mailbox *mail)
{
    for (struct tk_list *n = mail->takers.next; n != &mail->takers; n = n->next) {
        struct tk_taker *taker = tk_container_of(n, struct tk_taker, node);

        if (!taker->looks) {
            return taker;
        }
    }
    return NULL;
}

void tk_mail_await(struct tk_sched *sched, struct tk_mailbox *mail, struct tk_taker *taker)
{
    taker->mail = mail;
    tk_list_push(&mail->takers, &taker->node);
    offer(sched, mail, false);
}

void *tk_mail_taken(struct tk_sched *sched, struct tk_taker *taker)
{
    void *payload = taker->payload;

    if (payload != NULL) {
        taker->payload = NULL;
        tk_atom_drop(&sched->atoms, taker->name);
    }
    return payload;
}

/* It was taken out and is not wanted: the first of all again. */
static void put_back(struct tk_sched *sched, struct tk_mailbox *mail, struct tk_taker *taker)
{
    struct tk_message *message =
        mail == NULL ? NULL : record(sched, mail, taker->name, taker->payload, true);

    if (message == NULL) {
        sched->hooks->drop(sched->context, taker->payload);
    } else {
        tk_list_push_front(&mail->order, &message->order);
        mail->fresh = message;
        mail->count++;
    }
    tk_mail_taken(sched, taker);
}

void tk_mail_leave(struct tk_sched *sched, struct tk_taker *taker)
{
    struct tk_mailbox *mail = taker->mail;

    taker->mail = NULL;
    if (taker->payload != NULL) {
        put_back(sched, mail, taker);
    }
    if (mail != NULL) {
        tk_list_remove(&taker->node);
        if (taker->called) {
            offer(sched, mail, false);
        }
    }
}

int tk_mail_block(struct tk_task *task, const struct tk_kind *kind, void *place)
{
    struct tk_mailbox *mail = tk_mailbox_of(task);
    struct tk_taker *taker;

    if (mail == NULL) {
        return TK_ENOMEM;
    }
    taker = &mail->own;
    taker->wait.kind = kind;
    taker->wait.task = task;
    taker->wait.pending = 0;
    taker->wait.flags = TK_VERB | TK_LENT | TK_ARMED;
    taker->wait.as.next = task->verbs;
    taker->wanted = 1;
    taker->looks = taker->called = false;
    taker->mail = mail;
    taker->place = place;
    tk_list_push(&mail->takers, &taker->node);
    task->verbs = &taker->wait;
    task->state = TK_BLOCKED;
    return 0;
}

void *tk_mail_meet(struct tk_sched *sched, struct tk_task *task)
{
    struct tk_mailbox *mail = task->mail;

    /* One that is about to go on for another reason leaves the message to the next. */
    if (task->state != TK_BLOCKED || task->raise != TK_RAISE_NOTHING || tk_task_queued(task) ||
        mail == NULL || mail->count > 0 || tk_list_first(&mail->takers) != &mail->own.node) {
        return NULL;
    }
    tk_list_remove(&mail->own.node);
    task->verbs = mail->own.wait.as.next;
    mail->own.wait.task = NULL;
    mail->own.mail = NULL;
    mail->own.met = true;
    tk_task_wake(sched, task);
    return mail->own.place;
}

/* ---- verdicts ---- */

static struct tk_message *first_of(const struct tk_queue *queue)
{
    return tk_container_of(tk_list_first(&queue->messages), struct tk_message, alike);
}

enum tk_verdict tk_filter_verdict(const struct tk_filter *filter, const struct tk_atom *name)
{
    return (enum tk_verdict)(uintptr_t)tk_map_get(&filter->verdicts, (uintptr_t)name);
}

/* What the filters of the task's list say: the first that names it decides. */
static enum tk_verdict judge_name(const struct tk_task *task, const struct tk_atom *name,
                                  struct tk_filter **by, bool *any)
{
    *any = false;
    for (struct tk_wait *wait = tk_task_waits(task); wait != NULL; wait = wait->as.next) {
        if ((wait->kind->flags & TK_MAIL) != 0) {
            struct tk_filter *filter = tk_container_of(wait, struct tk_filter, wait);
            enum tk_verdict verdict = tk_filter_verdict(filter, name);

            *any = true;
            if (verdict != TK_UNNAMED) {
                *by = filter;
                return verdict;
            }
        }
    }
    return TK_UNNAMED;
}

static void drop(struct tk_sched *sched, struct tk_task *task, void *payload,
                 enum tk_verdict verdict)
{
    if (verdict == TK_UNNAMED) {
        sched->hooks->unnamed(sched->context, task, payload);
    }
    sched->hooks->drop(sched->context, payload);
}

/* What it does at once with a message, if it waits on filters: TK_SENT_DELIVERED or _DROPPED; else
 * TK_SENT_QUEUED, and whether it has judged the message; *by is the filter that accepts it from the
 * loop. */
static enum tk_sent accept(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name,
                           void *payload, enum how how, bool *judged, struct tk_filter **by)
{
    struct tk_filter *filter = NULL;
    enum tk_verdict verdict;

    verdict = judge_name(task, name, &filter, judged);
    if (!*judged) {
        return TK_SENT_QUEUED;
    }
    if (verdict == TK_UNNAMED || verdict == TK_DISCARD) {
        drop(sched, task, payload, verdict);
        return TK_SENT_DROPPED;
    }
    /* One that came earlier and is on its way goes first. */
    if (task->mail != NULL && task->mail->ready && !tk_mail_ready(task)) {
        task->mail->ready = false; /* somebody else has taken it */
    }
    if (verdict == TK_ACCEPT && (task->mail == NULL || !task->mail->ready)) {
        if (how == FROM_LOOP) {
            *by = filter;
        } else if (tk_wait_fire_now(&filter->wait, sched, payload) == 0) {
            return TK_SENT_DELIVERED;
        }
    }
    *judged = verdict == TK_DEFER || *by != NULL;
    return TK_SENT_QUEUED;
}

static int send(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name, void *payload,
                struct tk_room *room, enum how how)
{
    enum tk_sent sent = TK_SENT_QUEUED;
    struct tk_filter *by = NULL;
    struct tk_mailbox *mail;
    struct tk_message *message;
    bool judged = false, full;

    if (task->state == TK_WAITING) {
        sent = accept(sched, task, name, payload, how, &judged, &by);
        if (sent != TK_SENT_QUEUED) {
            return sent;
        }
    }
    mail = tk_mailbox_of(task);
    if (mail == NULL) {
        return TK_ENOMEM;
    }
    full = how != ANYWAY && by == NULL && is_full(mail);
    if (full) {
        if (room == NULL) {
            return TK_SENT_FULL;
        }
        sent = TK_SENT_OUTSIDE;
    }
    if (mail->count == 0 && !tk_list_empty(&mail->takers)) {
        struct tk_taker *taker = find_taker(mail);

        if (taker != NULL) {
            hand(taker, name, payload);
            call(sched, mail, taker, how != FROM_LOOP);
            return TK_SENT_QUEUED;
        }
    }
    message = record(sched, mail, name, payload, false);
    if (message == NULL) {
        return TK_ENOMEM;
    }
    if (full) {
        put_outside(mail, message, room, judged);
        return sent;
    }
    put_inside(mail, message, judged);
    if (by != NULL) { /* in the mailbox it is safe, whatever else the task goes on with */
        mail->ready = true;
        tk_task_ready(sched, task, by->wait.priority);
    }
    if (!tk_list_empty(&mail->takers)) {
        offer(sched, mail, how != FROM_LOOP);
    }
    return sent;
}

int tk_mail_send(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name, void *payload,
                 struct tk_room *room)
{
    return send(sched, task, name, payload, room, BY_HAND);
}

int tk_mail_post(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name, void *payload,
                 struct tk_room *room)
{
    return send(sched, task, name, payload, room, FROM_LOOP);
}

int tk_mail_notify(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name,
                   void *payload)
{
    return send(sched, task, name, payload, NULL, ANYWAY);
}

void *tk_mail_pop(struct tk_sched *sched, struct tk_mailbox *mail)
{
    if (mail == NULL || tk_list_empty(&mail->order)) {
        return NULL;
    }
    return take_out(sched, mail,
                    tk_container_of(tk_list_first(&mail->order), struct tk_message, order));
}

/* The queue itself may go with its last message. */
static void drop_queue(struct tk_sched *sched, struct tk_task *task, struct tk_queue *queue,
                       enum tk_verdict verdict)
{
    bool last;

    do {
        struct tk_message *message = first_of(queue);

        last = message->alike.next == &queue->messages;
        drop(sched, task, take_out(sched, task->mail, message), verdict);
    } while (!last);
}

void tk_mail_judge(struct tk_sched *sched, struct tk_task *task, bool all)
{
    struct tk_mailbox *mail = task->mail;
    struct tk_filter *by;
    struct tk_list *node, *next;
    bool any;

    if (all) {
        for (node = mail->busy.next; node != &mail->busy; node = next) {
            struct tk_queue *queue = tk_container_of(node, struct tk_queue, node);
            enum tk_verdict verdict = judge_name(task, queue->name, &by, &any);

            if (!any) {
                return;
            }
            next = node->next;
            if (verdict == TK_UNNAMED || verdict == TK_DISCARD) {
                drop_queue(sched, task, queue, verdict);
            }
        }
    } else {
        while (mail->fresh != NULL) {
            struct tk_message *message = mail->fresh;
            enum tk_verdict verdict = judge_name(task, message->queue->name, &by, &any);

            if (!any) {
                return;
            }
            mail->fresh = next_of(mail, message);
            if (verdict == TK_UNNAMED || verdict == TK_DISCARD) {
                drop(sched, task, take_out(sched, mail, message), verdict);
            }
        }
    }
    mail->fresh = NULL;
}

/* Is this message better than the best so far, and does `filter` decide about it? */
static void consider(const struct tk_task *task, struct tk_queue *queue, struct tk_message **best,
                     struct tk_filter **filter)
{
    struct tk_filter *by = NULL;
    bool any;

    if (queue == NULL || tk_list_empty(&queue->messages) ||
        (*best != NULL && (*best)->number < first_of(queue)->number)) {
        return;
    }
    if (judge_name(task, queue->name, &by, &any) == TK_ACCEPT) {
        *best = first_of(queue);
        *filter = by;
    }
}

static struct tk_message *find(const struct tk_task *task, struct tk_filter **filter)
{
    struct tk_mailbox *mail = task->mail;
    struct tk_message *best = NULL;
    size_t names = 0;

    if (mail == NULL || mail->count == 0) {
        return NULL;
    }
    for (struct tk_wait *wait = tk_task_waits(task); wait != NULL; wait = wait->as.next) {
        if ((wait->kind->flags & TK_MAIL) != 0) {
            names += tk_container_of(wait, struct tk_filter, wait)->accepts;
        }
    }
    if (names > mail->queues.count) {
        for (struct tk_list *n = mail->busy.next; n != &mail->busy; n = n->next) {
            consider(task, tk_container_of(n, struct tk_queue, node), &best, filter);
        }
        return best;
    }
    for (struct tk_wait *wait = tk_task_waits(task); wait != NULL; wait = wait->as.next) {
        struct tk_filter *own = tk_container_of(wait, struct tk_filter, wait);

        for (size_t i = 0; (wait->kind->flags & TK_MAIL) != 0 && i < own->accepts; i++) {
            consider(task, tk_map_get(&mail->queues, (uintptr_t)own->names[i]), &best, filter);
        }
    }
    return best;
}

bool tk_mail_ready(const struct tk_task *task)
{
    struct tk_filter *filter = NULL;

    return find(task, &filter) != NULL;
}

void *tk_mail_take(struct tk_sched *sched, struct tk_task *task, struct tk_filter **filter)
{
    struct tk_message *message = find(task, filter);

    if (task->mail != NULL) {
        task->mail->ready = false;
    }
    if (message == NULL) {
        return NULL;
    }
    return take_out(sched, task->mail, message);
}

/* Nobody who waits on this mailbox finds it any more. */
static void send_away(struct tk_sched *sched, struct tk_mailbox *mail)
{
    struct tk_list *const lists[] = {&mail->called, &mail->takers};

    for (size_t i = 0; i < 2; i++) {
        while (!tk_list_empty(lists[i])) {
            struct tk_taker *taker =
                tk_container_of(tk_list_first(lists[i]), struct tk_taker, node);

            tk_list_remove(&taker->node);
            taker->mail = NULL;
            tk_wait_fire(&taker->wait, sched, NULL);
        }
    }
    while (!tk_list_empty(&mail->askers)) {
        struct tk_answer *answer =
            tk_container_of(tk_list_first(&mail->askers), struct tk_answer, node);

        tk_list_remove(&answer->node);
        answer->ended = !answer->given;
        tk_wait_fire(&answer->wait, sched, NULL);
    }
}

void tk_mailbox_free(struct tk_sched *sched, struct tk_mailbox *mail)
{
    struct tk_list *node;
    struct tk_queue *queue;
    size_t cursor = 0;

    if (mail == NULL) {
        return;
    }
    while ((node = tk_list_first(&mail->order)) != NULL) {
        struct tk_message *message = tk_container_of(node, struct tk_message, order);

        if (message->room != NULL && message->room != tk_nobody) {
            message->room->lost = true;
            tell(sched, message->room);
        }
        tk_list_remove(node);
        sched->hooks->drop(sched->context, message->payload);
        record_free(sched, message);
    }
    send_away(sched, mail);
    while ((queue = tk_map_next(&mail->queues, &cursor)) != NULL) {
        queue_free(sched, queue);
    }
    tk_map_finish(&mail->queues);
    free(mail);
}
