/*
 * Waits: firing, forgetting, describing. Owns the pool of firings; never runs a script: firing only
 * puts a record with the task and the task into the run queue or the batch.
 *
 * A ring of firings is known by its last element, so that both ends are at hand with one pointer.
 */
#include "core/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/channel.h"
#include "core/inside.h"

static struct tk_firing *firing_new(struct tk_sched *sched, struct tk_wait *wait, void *payload)
{
    struct tk_firing *firing = sched->spare;

    if (firing != NULL) {
        sched->spare = firing->next;
    } else {
        firing = malloc(sizeof *firing);
        if (firing == NULL) {
            return NULL;
        }
    }
    firing->wait = wait;
    firing->payload = payload;
    return firing;
}

void tk_firing_free(struct tk_sched *sched, struct tk_firing *firing)
{
    firing->next = sched->spare;
    sched->spare = firing;
}

static void ring_append(struct tk_firing **last, struct tk_firing *firing)
{
    if (*last == NULL) {
        firing->next = firing;
    } else {
        firing->next = (*last)->next;
        (*last)->next = firing;
    }
    *last = firing;
}

static void ring_prepend(struct tk_firing **last, struct tk_firing *firing)
{
    struct tk_firing *end = *last;

    ring_append(last, firing);
    if (end != NULL) {
        *last = end;
    }
}

/* Behind those that are as urgent or more. */
static void ring_insert(struct tk_firing **last, struct tk_firing *firing)
{
    struct tk_firing *at = *last;

    if (at == NULL || at->wait->priority <= firing->wait->priority) {
        ring_append(last, firing);
        return;
    }
    while (at->next->wait->priority <= firing->wait->priority) {
        at = at->next;
    }
    firing->next = at->next;
    at->next = firing;
}

struct tk_firing *tk_firing_take(struct tk_firing **last)
{
    struct tk_firing *first;

    if (*last == NULL) {
        return NULL;
    }
    first = (*last)->next;
    if (first == *last) {
        *last = NULL;
    } else {
        (*last)->next = first->next;
    }
    return first;
}

struct tk_firing *tk_firing_take_of(struct tk_firing **last, unsigned flags)
{
    struct tk_firing *rest = NULL, *found = NULL, *firing;

    while ((firing = tk_firing_take(last)) != NULL) {
        if (found == NULL && (firing->wait->kind->flags & flags) != 0) {
            found = firing;
        } else {
            ring_append(&rest, firing);
        }
    }
    *last = rest;
    return found;
}

/* Moves the firings of one wait from a ring to another, the rest stays in order. */
static void ring_part(struct tk_firing **last, const struct tk_wait *wait, struct tk_firing **to)
{
    struct tk_firing *rest = NULL, *firing;

    while ((firing = tk_firing_take(last)) != NULL) {
        ring_append(firing->wait == wait ? to : &rest, firing);
    }
    *last = rest;
}

static void drop_ring(struct tk_sched *sched, struct tk_firing **last)
{
    struct tk_firing *firing;

    while ((firing = tk_firing_take(last)) != NULL) {
        if (sched == NULL) {
            free(firing);
            continue;
        }
        if (firing->payload != NULL) {
            sched->hooks->drop(sched->context, firing->payload);
        }
        tk_firing_free(sched, firing);
    }
}

int tk_wait_init(struct tk_wait *wait, const struct tk_kind *kind, struct tk_sched *sched,
                 const struct tk_arg *args, struct tk_fault *fault)
{
    memset(wait, 0, kind->size);
    wait->kind = kind;
    wait->priority = kind->priority;
    return kind->init == NULL ? 0 : kind->init(wait, sched, args, fault);
}

void tk_wait_forget(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_firing *own = NULL;

    if (wait->pending == 0) {
        return;
    }
    ring_part(wait->task != NULL ? &wait->task->fired : &wait->as.kept, wait, &own);
    drop_ring(sched, &own);
    wait->pending = 0;
}

/* Called when it enters a wait list: what fired before goes with what the task has. */
void tk_wait_hold(struct tk_wait *wait, struct tk_task *task)
{
    struct tk_firing *kept = (wait->kind->flags & TK_KEEPS) != 0 ? wait->as.kept : NULL, *firing;

    wait->task = task;
    wait->as.next = NULL;
    wait->flags &= ~(unsigned)(TK_LAST | TK_CURRENT);
    while ((firing = tk_firing_take(&kept)) != NULL) {
        ring_append(&task->fired, firing);
    }
}

/* Called when it leaves one: its firings are forgotten or kept, as the kind has it. */
void tk_wait_release(struct tk_wait *wait, struct tk_sched *sched)
{
    if (wait->kind->disarm != NULL) {
        wait->kind->disarm(wait, sched);
    }
    tk_wait_let_go(wait, sched);
}

/* As tk_wait_release, of one that could not be armed. */
void tk_wait_let_go(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_firing *kept = NULL;

    if ((wait->kind->flags & TK_KEEPS) == 0) {
        tk_wait_forget(wait, sched);
    } else if (wait->pending > 0) {
        ring_part(&wait->task->fired, wait, &kept);
    }
    wait->flags &= ~(unsigned)(TK_ARMED | TK_MARKED | TK_CURRENT);
    wait->task = NULL;
    wait->as.kept = kept;
}

void tk_wait_finish(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_task *task = wait->task;

    if (wait->kind == NULL) {
        return;
    }
    if (task != NULL) {
        struct tk_wait *none = NULL, **link = task->let_go ? &none : &task->waits;

        if ((wait->flags & TK_VERB) != 0) {
            link = &task->verbs;
        }
        while (*link != NULL && *link != wait) {
            link = &(*link)->as.next;
        }
        if (*link != NULL) { /* else it is just being armed */
            *link = wait->as.next;
        }
        tk_wait_release(wait, sched);
    }
    tk_wait_forget(wait, sched);
    if (wait->kind->finish != NULL) {
        wait->kind->finish(wait, sched);
    }
    wait->kind = NULL;
}

void tk_task_ready(struct tk_sched *sched, struct tk_task *task, int32_t priority)
{
    if (task->offering) {
        tk_channel_withdraw(task);
    }
    if (tk_task_queued(task)) {
        if (task->priority <= priority) {
            return;
        }
        tk_runq_remove(&sched->ready, task);
    }
    task->priority = priority;
    tk_runq_push(&sched->ready, task);
}

/*
 * One firing more; false: there is no memory for it, and the payload is still the caller's. One
 * that carries nothing is not lost even then: it is counted without a record, and tk_task_take
 * looks for such.
 */
static bool note(struct tk_wait *wait, struct tk_sched *sched, void *payload,
                 void (*put)(struct tk_firing **, struct tk_firing *))
{
    struct tk_firing *firing;

    if (wait->pending > 0 && (wait->kind->flags & TK_REPEATS) == 0) {
        if (payload != NULL) {
            sched->hooks->drop(sched->context, payload);
        }
        return true; /* it has fired already */
    }
    firing = firing_new(sched, wait, payload);
    if (firing == NULL) {
        if (payload == NULL && wait->kind->payload == 0) {
            wait->pending = 1;
            return true;
        }
        return false;
    }
    wait->pending++;
    put(wait->task != NULL ? &wait->task->fired : &wait->as.kept, firing);
    return true;
}

/* Nobody holds it, and its kind does not keep what fires then. */
static bool is_lost(struct tk_wait *wait, struct tk_sched *sched, void *payload)
{
    if (wait->task != NULL || (wait->kind->flags & TK_KEEPS) != 0) {
        return false;
    }
    if (wait->kind->fired != NULL) {
        wait->kind->fired(wait, sched);
    }
    if (payload != NULL) {
        sched->hooks->drop(sched->context, payload);
    }
    return true;
}

void tk_wait_fire(struct tk_wait *wait, struct tk_sched *sched, void *payload)
{
    struct tk_task *task = wait->task;
    bool waiting = task != NULL && task->state == TK_WAITING;

    if (is_lost(wait, sched, payload)) {
        return;
    }
    if ((wait->kind->flags & TK_STANDS) == 0) {
        wait->flags &= ~(unsigned)TK_ARMED;
    }
    if ((wait->flags & TK_VERB) != 0) {
        wait->pending = 1;
        if (task->state == TK_BLOCKED) {
            tk_task_ready(sched, task, wait->priority);
        }
        return;
    }
    if (!note(wait, sched, payload, waiting ? ring_insert : ring_append) && payload != NULL) {
        sched->hooks->drop(sched->context, payload);
    }
    if (waiting) {
        tk_task_ready(sched, task, wait->priority);
    }
}

bool tk_wait_provide(struct tk_sched *sched)
{
    if (sched->spare == NULL) {
        struct tk_firing *firing = malloc(sizeof *firing);

        if (firing == NULL) {
            return false;
        }
        tk_firing_free(sched, firing);
    }
    return true;
}

int tk_wait_fire_now(struct tk_wait *wait, struct tk_sched *sched, void *payload)
{
    struct tk_task *task = wait->task;
    bool waiting = task != NULL && task->state == TK_WAITING;

    if (is_lost(wait, sched, payload)) {
        return 0;
    }
    if ((wait->kind->flags & TK_STANDS) == 0) {
        wait->flags &= ~(unsigned)TK_ARMED;
    }
    if ((wait->flags & TK_VERB) != 0) {
        wait->pending = 1;
        if (task->state == TK_BLOCKED) {
            tk_task_wake(sched, task);
        }
        return 0;
    }
    /* Before what else has fired, but behind earlier firings of its own. */
    if (!note(wait, sched, payload,
              !waiting            ? ring_append
              : wait->pending > 0 ? ring_insert
                                  : ring_prepend)) {
        return TK_ENOMEM;
    }
    if (waiting) {
        tk_task_wake(sched, task);
    }
    return 0;
}

void tk_wait_describe(const struct tk_wait *wait, char *text, size_t size)
{
    int used = snprintf(text, size, "%s", wait->kind->name);

    if (wait->kind->describe != NULL && used > 0 && (size_t)used + 3 < size) {
        size_t length = (size_t)used;

        text[length++] = '(';
        text[length] = '\0';
        wait->kind->describe(wait, text + length, size - length - 1);
        length += strlen(text + length);
        text[length++] = ')';
        text[length] = '\0';
    }
}
