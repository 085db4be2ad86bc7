/*
 * What a task waits for: its wait list, its verb, its end. Owns no memory but the mailbox.
 *
 * Installing a list arms what is new before it lets go of what is old, so that a failure changes
 * nothing.
 */
#include "core/task.h"

#include <string.h>

#include "core/channel.h"
#include "core/inside.h"
#include "core/limit.h"
#include "core/mailbox.h"
#include "core/tree.h"

void tk_task_init(struct tk_task *task)
{
    memset(task, 0, sizeof *task);
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault, bool again)
{
    int (*start)(struct tk_wait *, struct tk_sched *, struct tk_fault *) = wait->kind->arm;
    int rc = 0;

    if (again && wait->kind->rearm != NULL) {
        start = wait->kind->rearm;
    }
    wait->flags |= TK_ARMED;
    if (start != NULL) {
        rc = start(wait, sched, fault);
    }
    if (rc < 0) {
        wait->flags &= ~(unsigned)TK_ARMED;
    }
    return rc;
}

/* The first `count` of the list have been looked at: lets go of those among them that this yield
 * armed. */
static void undo(struct tk_sched *sched, struct tk_wait **list, size_t count)
{
    while (count-- > 0) {
        if ((list[count]->flags & TK_MARKED) != 0) {
            tk_wait_release(list[count], sched);
        }
    }
}

/* Arms what is new (marked thereby) or spent. */
static int arm_list(struct tk_sched *sched, struct tk_task *task, struct tk_wait **list,
                    size_t count, struct tk_fault *fault)
{
    for (size_t i = 0; i < count; i++) {
        struct tk_wait *wait = list[i];
        int rc = 0;

        if (wait->task == NULL) {
            bool again = task->let_go && wait == task->last && (wait->flags & TK_LAST) != 0;

            tk_wait_hold(wait, task);
            rc = arm(wait, sched, fault, again);
            if (rc < 0) {
                tk_wait_let_go(wait, sched);
            } else {
                wait->flags |= TK_MARKED;
            }
        } else if ((wait->flags & TK_ARMED) != 0 && wait->kind->verify != NULL) {
            rc = wait->kind->verify(wait, sched, fault);
        } else if ((wait->flags & TK_ARMED) == 0 && wait->pending == 0) {
            rc = arm(wait, sched, fault, true);
        }
        if (rc < 0) {
            undo(sched, list, i);
            return rc;
        }
    }
    return 0;
}

static struct tk_wait *next_filter(struct tk_wait *wait)
{
    while (wait != NULL && (wait->kind->flags & TK_MAIL) == 0) {
        wait = wait->as.next;
    }
    return wait;
}

static bool stands_before(struct tk_wait **list, size_t place)
{
    for (size_t i = 0; i < place; i++) {
        if (list[i] == list[place]) {
            return true;
        }
    }
    return false;
}

/* Are the filters of the list those of the task's, in the same order? */
static bool same_filters(const struct tk_task *task, struct tk_wait **list, size_t count)
{
    struct tk_wait *old = next_filter(tk_task_waits(task));

    for (size_t i = 0; i < count; i++) {
        if ((list[i]->kind->flags & TK_MAIL) == 0) {
            continue;
        }
        if (list[i] == old) {
            old = next_filter(old->as.next);
        } else if (!stands_before(list, i)) {
            return false;
        }
    }
    return old == NULL;
}

/* Makes `list` the task's list, each wait once; those of the old one that are not in it are let go.
 */
static void relink(struct tk_sched *sched, struct tk_task *task, struct tk_wait **list,
                   size_t count)
{
    struct tk_wait *old = tk_task_waits(task), **link = &task->waits, *gone = NULL;

    task->let_go = false;
    for (size_t i = 0; i < count; i++) {
        list[i]->flags |= TK_MARKED;
    }
    while (old != NULL) {
        struct tk_wait *next = old->as.next;

        old->flags &= ~(unsigned)TK_CURRENT;
        if ((old->flags & TK_MARKED) == 0) {
            old->as.next = gone;
            gone = old;
        }
        old = next;
    }
    for (size_t i = 0; i < count; i++) {
        list[i]->index = (uint32_t)i + 1;
        if ((list[i]->flags & TK_MARKED) != 0) {
            list[i]->flags &= ~(unsigned)TK_MARKED;
            *link = list[i];
            link = &list[i]->as.next;
        }
    }
    *link = NULL;
    while (gone != NULL) {
        struct tk_wait *next = gone->as.next;

        tk_wait_release(gone, sched);
        gone = next;
    }
}

int tk_task_wait(struct tk_sched *sched, struct tk_task *task, struct tk_wait **list, size_t count,
                 struct tk_fault *fault)
{
    bool filters, kept = false;
    unsigned flags = 0;
    int rc;

    for (size_t i = 0; i < count; i++) {
        if (list[i]->task != NULL && list[i]->task != task) {
            return tk_fault_set(fault, TK_EINVAL, "%s is held by another tasklet",
                                list[i]->kind->name);
        }
        kept = kept || list[i]->pending > 0;
        flags |= list[i]->kind->flags;
    }
    rc = arm_list(sched, task, list, count, fault);
    if (rc < 0) {
        return rc;
    }
    kept = kept && task->fired != NULL;
    filters = !same_filters(task, list, count);
    relink(sched, task, list, count);
    task->selects = (flags & TK_OFFERS) != 0;
    if (task->mail != NULL) {
        tk_mail_judge(sched, task, filters);
        task->mail->ready = tk_mail_ready(task);
        /* Messages and channels take turns, so that neither starves the other. */
        kept = kept ||
               (task->mail->ready && !(task->selects && task->mailed && tk_channel_ready(task)));
    }
    if (kept && sched->credit-- > 0) {
        return 1;
    }
    task->state = TK_WAITING;
    if (task->fired != NULL || kept) {
        task->priority = task->fired == NULL ? 0 : task->fired->next->wait->priority;
        tk_runq_push(&sched->ready, task);
    }
    return 0;
}

/* A wait that fired when there was no memory for a record. The ring is empty, so what is pending
 * has none. */
static struct tk_wait *unrecorded(struct tk_task *task)
{
    for (struct tk_wait *wait = tk_task_waits(task); wait != NULL; wait = wait->as.next) {
        if (wait->pending > 0) {
            wait->pending = 0;
            return wait;
        }
    }
    return NULL;
}

/*
 * A wait that stood alone in its list and has fired, and that nothing refers to any more: the task
 * lets go of it at once, so that it may be collected. That it was the last is noted, for it may be
 * yielded again; the note is an address and is only compared with that of a wait that says the same
 * of itself.
 */
static void let_go_of_light(struct tk_task *task, struct tk_wait *wait)
{
    if (!task->let_go && task->waits == wait && wait->as.next == NULL &&
        (wait->kind->flags & TK_LIGHT) != 0 && (wait->flags & TK_ARMED) == 0 &&
        wait->pending == 0) {
        task->let_go = true;
        wait->task = NULL;
        wait->as.kept = NULL;
        wait->flags |= TK_LAST;
    }
}

/* The next firing. That of an offer comes first: a value has changed hands. */
static struct tk_firing *take_firing(struct tk_task *task)
{
    struct tk_firing *firing = NULL;

    if (task->met) {
        task->met = false;
        firing = tk_firing_take_of(&task->fired, TK_OFFERS);
    }
    return firing != NULL ? firing : tk_firing_take(&task->fired);
}

bool tk_task_take(struct tk_sched *sched, struct tk_task *task, struct tk_event *event)
{
    struct tk_firing *firing = take_firing(task);
    struct tk_filter *filter = NULL;

    if (firing != NULL) {
        event->wait = firing->wait;
        event->payload = firing->payload;
        firing->wait->pending--;
        tk_firing_free(sched, firing);
    } else {
        event->wait = unrecorded(task);
        event->payload = NULL;
        if (event->wait == NULL) {
            event->payload = tk_mail_take(sched, task, &filter);
            if (event->payload == NULL) {
                return false;
            }
            event->wait = &filter->wait;
        }
    }
    task->mailed = (event->wait->kind->flags & TK_MAIL) != 0;
    event->wait->flags |= TK_CURRENT;
    let_go_of_light(task, event->wait);
    return true;
}

void tk_task_clear(struct tk_sched *sched, struct tk_task *task)
{
    relink(sched, task, NULL, 0);
}

int tk_task_block(struct tk_sched *sched, struct tk_task *task, struct tk_wait *wait,
                  struct tk_fault *fault)
{
    int rc;

    wait->flags |= TK_VERB;
    wait->task = task;
    wait->as.next = task->verbs;
    rc = arm(wait, sched, fault, false);
    if (rc < 0) {
        wait->task = NULL;
        return rc;
    }
    task->verbs = wait;
    return 0;
}

void tk_task_blocked(struct tk_sched *sched, struct tk_task *task)
{
    task->state = TK_BLOCKED;
    for (struct tk_wait *wait = task->verbs; wait != NULL; wait = wait->as.next) {
        if (wait->pending > 0) {
            task->priority = wait->priority;
            tk_runq_push(&sched->ready, task);
            return;
        }
    }
}

struct tk_wait *tk_task_unblock(struct tk_sched *sched, struct tk_task *task)
{
    struct tk_wait *wait = task->verbs;

    if (wait != NULL) {
        task->verbs = wait->as.next;
        if (wait->kind->disarm != NULL) {
            wait->kind->disarm(wait, sched);
        }
        wait->flags &= ~(unsigned)TK_ARMED;
        wait->pending = 0;
        wait->task = NULL;
        wait->as.kept = NULL;
    }
    return wait;
}

/* It counts no more, is nobody's child and parent, and under no limit. */
static void leave_all(struct tk_sched *sched, struct tk_task *task)
{
    tk_limit_leave_all(sched, task);
    tk_tree_leave(task);
    tk_task_count(sched, task, false);
    if (task->begun) {
        task->begun = false;
        sched->begun--;
    }
}

void tk_task_end(struct tk_sched *sched, struct tk_task *task)
{
    if (task->state == TK_ENDED) {
        return;
    }
    tk_task_leave_queues(sched, task);
    tk_task_clear(sched, task);
    tk_mailbox_free(sched, task->mail);
    task->mail = NULL;
    task->state = TK_ENDED;
    task->sending = false;
    leave_all(sched, task);
    while (task->watchers != NULL) {
        struct tk_watch *watch = tk_container_of(task->watchers, struct tk_watch, node);

        tk_ring_remove(&task->watchers, task->watchers);
        tk_wait_fire(&watch->wait, sched, NULL);
    }
}

void tk_task_finish(struct tk_sched *sched, struct tk_task *task)
{
    tk_task_leave_queues(sched, task);
    tk_task_clear(sched, task);
    tk_mailbox_free(sched, task->mail);
    task->mail = NULL;
    while (task->watchers != NULL) {
        tk_ring_remove(&task->watchers, task->watchers);
    }
    task->state = TK_ENDED;
    leave_all(sched, task);
}

void tk_task_reset(struct tk_sched *sched, struct tk_task *task)
{
    tk_task_leave_queues(sched, task);
    tk_task_clear(sched, task);
    task->state = TK_NEW;
    tk_limit_leave_all(sched, task);
    tk_task_count(sched, task, false);
    sched->begun--;
    task->begun = task->killed = task->stopped = task->sending = false;
    task->raise = TK_RAISE_NOTHING;
}
