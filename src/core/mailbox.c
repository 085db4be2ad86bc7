/*
 * Mailboxes: see mailbox.h. They own their messages' records; the payload belongs to whoever sent
 * it until it is taken, or is given to the hook `drop`.
 *
 * Cost: taking looks at as many queues as there are names, never at the messages put off; judging
 * under unchanged filters looks only at what came since.
 */
#include "core/mailbox.h"

#include <stdlib.h>

/* Empty queues are kept for their name's next message while a mailbox has no more than this many.
 */
#define SPARE_QUEUES 16

struct tk_mailbox *tk_mailbox_of(struct tk_task *task)
{
    struct tk_mailbox *mail = task->mail;

    if (mail == NULL) {
        mail = calloc(1, sizeof *mail);
        if (mail != NULL) {
            tk_list_init(&mail->order);
            tk_list_init(&mail->busy);
            tk_list_init(&mail->takers);
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

static int push(struct tk_mailbox *mail, struct tk_atom *name, void *payload, bool judged)
{
    struct tk_queue *queue = queue_of(mail, name);
    struct tk_message *message = queue == NULL ? NULL : malloc(sizeof *message);

    if (message == NULL) {
        return TK_ENOMEM;
    }
    message->queue = queue;
    message->payload = payload;
    message->number = mail->numbers++;
    if (tk_list_empty(&queue->messages)) {
        tk_list_push(&mail->busy, &queue->node);
    }
    tk_list_push(&mail->order, &message->order);
    tk_list_push(&queue->messages, &message->alike);
    mail->count++;
    if (!judged && mail->fresh == NULL) {
        mail->fresh = message;
    }
    return 0;
}

static void *take_out(struct tk_sched *sched, struct tk_mailbox *mail, struct tk_message *message)
{
    struct tk_queue *queue = message->queue;
    void *payload = message->payload;

    if (mail->fresh == message) {
        struct tk_list *next = message->order.next;

        mail->fresh = next == &mail->order ? NULL : tk_container_of(next, struct tk_message, order);
    }
    tk_list_remove(&message->order);
    tk_list_remove(&message->alike);
    mail->count--;
    free(message);
    if (tk_list_empty(&queue->messages)) {
        tk_list_remove(&queue->node);
        if (mail->queues.count > SPARE_QUEUES) {
            tk_map_remove(&mail->queues, (uintptr_t)queue->name);
            queue_free(sched, queue);
        }
    }
    return payload;
}

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

/* Somebody waits in a verb for any message: one message wakes one of them. */
static void wake_taker(struct tk_sched *sched, struct tk_mailbox *mail, bool now)
{
    if (!tk_list_empty(&mail->takers)) {
        struct tk_list *node = tk_list_first(&mail->takers);
        struct tk_wait *wait = &tk_container_of(node, struct tk_watch, node)->wait;

        tk_list_remove(node);
        if (now) {
            tk_wait_fire_now(wait, sched, NULL);
        } else {
            tk_wait_fire(wait, sched, NULL);
        }
    }
}

int tk_mail_send(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name, void *payload)
{
    enum tk_verdict verdict = TK_DEFER;
    struct tk_filter *filter = NULL;
    struct tk_mailbox *mail;
    bool judged = false;

    if (task->state == TK_WAITING) {
        verdict = judge_name(task, name, &filter, &judged);
    }
    if (judged && (verdict == TK_UNNAMED || verdict == TK_DISCARD)) {
        drop(sched, task, payload, verdict);
        return TK_SENT_DROPPED;
    }
    /* One that came earlier and is on its way goes first. */
    if (task->mail != NULL && task->mail->ready && !tk_mail_ready(task)) {
        task->mail->ready = false; /* somebody else has taken it */
    }
    if (judged && verdict == TK_ACCEPT && (task->mail == NULL || !task->mail->ready) &&
        tk_wait_fire_now(&filter->wait, sched, payload) == 0) {
        return TK_SENT_DELIVERED;
    }
    mail = tk_mailbox_of(task);
    if (mail == NULL || push(mail, name, payload, judged && verdict == TK_DEFER) < 0) {
        return TK_ENOMEM;
    }
    wake_taker(sched, mail, true);
    return TK_SENT_QUEUED;
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
            next = message->order.next;
            mail->fresh =
                next == &mail->order ? NULL : tk_container_of(next, struct tk_message, order);
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

void tk_mailbox_free(struct tk_sched *sched, struct tk_mailbox *mail)
{
    struct tk_queue *queue;
    size_t cursor = 0;
    void *payload;

    if (mail == NULL) {
        return;
    }
    while ((payload = tk_mail_pop(sched, mail)) != NULL) {
        sched->hooks->drop(sched->context, payload);
    }
    while (!tk_list_empty(&mail->takers)) {
        wake_taker(sched, mail, false);
    }
    while ((queue = tk_map_next(&mail->queues, &cursor)) != NULL) {
        queue_free(sched, queue);
    }
    tk_map_finish(&mail->queues);
    free(mail);
}
