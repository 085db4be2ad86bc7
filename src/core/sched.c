/*
 * The scheduler's two ways to a task: the run queue and the chain of hand-overs. See sched.h.
 *
 * What must hold: a task is in at most one place - the run queue, a chain, the batch, or none; the
 * head of a chain that is in the run queue carries the rest of the chain behind it, so that giving
 * way in mid-chain loses nobody's turn.
 */
#include "core/sched.h"

#include <stdlib.h>
#include <string.h>

#include "core/channel.h"
#include "core/inside.h"
#include "core/mailbox.h"

/* Resumptions in a nested run: far more than any chain that ends. */
#define NESTED_BUDGET 1000000
/* Events that may be taken without giving way, from one look at the run queue to the next. */
#define CREDIT 256
#define CREDIT_AFTER_CUT 16

int tk_sched_init(struct tk_sched *sched, uint64_t now, const struct tk_sched_hooks *hooks,
                  void *context)
{
    memset(sched, 0, sizeof *sched);
    tk_list_init(&sched->idle);
    tk_wheel_init(&sched->wheel, now);
    sched->hooks = hooks;
    sched->context = context;
    sched->credit = CREDIT;
    return tk_runq_init(&sched->ready);
}

void tk_sched_finish(struct tk_sched *sched)
{
    while (sched->spare != NULL) {
        struct tk_firing *firing = sched->spare;

        sched->spare = firing->next;
        free(firing);
    }
    tk_mail_finish(sched);
    tk_runq_finish(&sched->ready);
    tk_atoms_finish(&sched->atoms);
}

/* Out of the chain it stands in, wherever that is. The rest closes up. */
static void unchain(struct tk_sched *sched, struct tk_task *task)
{
    struct tk_frame *frame = sched->frame;
    struct tk_task *ahead = tk_task_queued(task) ? NULL : task->chained.ahead;

    if (task->behind != NULL) {
        task->behind->chained.ahead = ahead;
    }
    if (ahead != NULL) {
        ahead->behind = task->behind;
    } else if (sched->chain == task) {
        sched->chain = task->behind;
    } else if (tk_task_queued(task)) {
        /* The head of a chain in the run queue: the next one takes its place there. */
        tk_runq_remove(&sched->ready, task);
        if (task->behind != NULL) {
            task->behind->priority = 0;
            tk_runq_push(&sched->ready, task->behind);
        }
    } else {
        while (frame != NULL && frame->chain != task) {
            frame = frame->outer;
        }
        if (frame != NULL) {
            frame->chain = task->behind;
        }
    }
    if (sched->batch_last == task) {
        sched->batch_last = ahead;
    }
    if (sched->batch == task) {
        sched->batch = task->behind;
    }
    task->chained.ahead = task->behind = NULL;
}

void tk_sched_cut(struct tk_sched *sched)
{
    if (sched->chain != NULL) {
        sched->chain->priority = 0;
        tk_runq_push(&sched->ready, sched->chain);
        sched->chain = NULL;
    }
}

struct tk_task *tk_sched_next(struct tk_sched *sched)
{
    struct tk_task *task = sched->chain;

    if (task == NULL) {
        if (sched->quota == 0 || sched->budget <= 0 ||
            (!tk_sched_pull(sched) && (!tk_runq_turn(&sched->ready) || !tk_sched_pull(sched)))) {
            return NULL;
        }
        sched->quota--;
        task = sched->chain;
    }
    if (sched->budget-- <= 0) {
        tk_sched_cut(sched);
        return NULL;
    }
    sched->chain = task->behind;
    if (sched->chain != NULL) {
        sched->chain->chained.ahead = NULL;
    }
    task->behind = NULL;
    return task;
}

bool tk_sched_pull(struct tk_sched *sched)
{
    struct tk_task *task = tk_runq_pop(&sched->ready);

    sched->chain = task;
    if (task == NULL) {
        return false;
    }
    /* A chain that a turn's budget has cut may belong to tasks that never wait: those behind come
     * first now. */
    sched->credit = task->behind == NULL ? CREDIT : CREDIT_AFTER_CUT;
    return true;
}

void tk_sched_hand_over(struct tk_sched *sched, struct tk_task *current)
{
    if (current != NULL) {
        current->state = TK_HANDED;
        current->behind = sched->chain;
        if (sched->chain != NULL) {
            sched->chain->chained.ahead = current;
        }
        sched->chain = current;
    }
    if (sched->batch != NULL) {
        sched->batch_last->behind = sched->chain;
        if (sched->chain != NULL) {
            sched->chain->chained.ahead = sched->batch_last;
        }
        sched->chain = sched->batch;
        sched->batch = sched->batch_last = NULL;
    }
}

void tk_sched_aside(struct tk_sched *sched, struct tk_batch *batch)
{
    batch->first = sched->batch;
    batch->last = sched->batch_last;
    sched->batch = sched->batch_last = NULL;
}

void tk_sched_defer(struct tk_sched *sched, const struct tk_batch *batch)
{
    if (sched->batch != NULL) {
        sched->batch->priority = 0;
        tk_runq_push(&sched->ready, sched->batch);
    }
    sched->batch = batch->first;
    sched->batch_last = batch->last;
}

void tk_sched_enter(struct tk_sched *sched, struct tk_frame *frame)
{
    frame->outer = sched->frame;
    frame->chain = sched->chain;
    frame->current = sched->current;
    frame->credit = sched->credit;
    frame->budget = sched->budget;
    frame->quota = sched->quota;
    sched->quota = 0;
    sched->credit = CREDIT;
    sched->budget = NESTED_BUDGET;
    sched->depth++;
    sched->frame = frame;
    sched->chain = sched->batch;
    sched->batch = sched->batch_last = NULL;
}

void tk_sched_leave(struct tk_sched *sched)
{
    struct tk_frame *frame = sched->frame;

    tk_sched_cut(sched); /* whoever is left of the nested run has not lost its turn */
    sched->frame = frame->outer;
    sched->chain = frame->chain;
    sched->current = frame->current;
    sched->credit = frame->credit;
    sched->budget = frame->budget;
    sched->quota = frame->quota;
    sched->depth--;
}

/* Into the batch, behind those that are there. */
static void join_batch(struct tk_sched *sched, struct tk_task *task)
{
    task->state = TK_HANDED;
    task->behind = NULL;
    task->chained.ahead = sched->batch_last;
    if (sched->batch_last != NULL) {
        sched->batch_last->behind = task;
    } else {
        sched->batch = task;
    }
    sched->batch_last = task;
}

void tk_task_wake(struct tk_sched *sched, struct tk_task *task)
{
    if (task->offering) {
        tk_channel_withdraw(task);
    }
    switch ((enum tk_state)task->state) {
    case TK_NEW:
    case TK_RUNNING:
    case TK_ENDED:
        return;
    case TK_HANDED:
        unchain(sched, task);
        break;
    case TK_PAUSED:
        if (!task->daemon) {
            tk_task_count(sched, task, true);
        }
        break;
    case TK_READY:
    case TK_WAITING:
    case TK_BLOCKED:
        if (tk_task_queued(task)) {
            tk_runq_remove(&sched->ready, task);
        }
        break;
    }
    join_batch(sched, task);
}

void tk_task_begin(struct tk_sched *sched, struct tk_task *task, bool now)
{
    task->begun = true;
    sched->begun++;
    if (!task->daemon) {
        tk_task_count(sched, task, true);
    }
    if (now) {
        join_batch(sched, task);
    } else {
        tk_task_give_way(sched, task);
    }
}

void tk_task_give_way(struct tk_sched *sched, struct tk_task *task)
{
    task->state = TK_READY;
    task->priority = 0;
    tk_runq_push(&sched->ready, task);
}

void tk_task_count(struct tk_sched *sched, struct tk_task *task, bool counts)
{
    if (task->counted == counts) {
        return;
    }
    task->counted = counts;
    if (counts) {
        if (sched->alive++ == 0) {
            sched->hooks->alive(sched->context, true);
        }
    } else if (--sched->alive == 0) {
        sched->hooks->alive(sched->context, false);
    }
}

void tk_task_leave_queues(struct tk_sched *sched, struct tk_task *task)
{
    if (task->state == TK_HANDED) {
        unchain(sched, task);
    } else if (tk_task_queued(task)) {
        tk_runq_remove(&sched->ready, task);
    }
}

/* ---- the run queue by hand ---- */

bool tk_task_scheduled(const struct tk_task *task)
{
    return task->state == TK_HANDED || tk_task_queued(task);
}

void tk_task_pause(struct tk_sched *sched, struct tk_task *task)
{
    tk_task_leave_queues(sched, task);
    task->state = TK_PAUSED;
    tk_task_count(sched, task, false);
}

void tk_task_insert(struct tk_sched *sched, struct tk_task *task)
{
    if (!task->daemon) {
        tk_task_count(sched, task, true);
    }
    tk_task_give_way(sched, task);
}

void tk_task_run_next(struct tk_sched *sched, struct tk_task *task)
{
    struct tk_task *last = task;

    if (tk_task_queued(task)) {
        tk_runq_rotate(&sched->ready, task);
        tk_runq_remove(&sched->ready, task);
        while (last->behind != NULL) { /* what a turn's budget has cut comes along */
            last = last->behind;
        }
    } else {
        tk_task_leave_queues(sched, task);
        if (task->state == TK_PAUSED && !task->daemon) {
            tk_task_count(sched, task, true);
        }
    }
    task->state = TK_HANDED;
    task->chained.ahead = NULL;
    last->behind = sched->chain;
    if (sched->chain != NULL) {
        sched->chain->chained.ahead = last;
    }
    sched->chain = task;
}

static size_t chain_length(const struct tk_task *chain)
{
    size_t count = 0;

    for (; chain != NULL; chain = chain->behind) {
        count++;
    }
    return count;
}

size_t tk_sched_count(const struct tk_sched *sched)
{
    size_t count = chain_length(sched->chain) + chain_length(sched->batch);

    for (const struct tk_frame *frame = sched->frame; frame != NULL; frame = frame->outer) {
        count += chain_length(frame->chain) + (frame->current != NULL);
    }
    for (struct tk_task *task = tk_runq_after(&sched->ready, NULL); task != NULL;
         task = tk_runq_after(&sched->ready, task)) {
        count += chain_length(task);
    }
    return count;
}

struct tk_task *tk_sched_after(const struct tk_sched *sched, const struct tk_task *task)
{
    if (task == NULL) {
        return sched->chain != NULL ? sched->chain : tk_runq_after(&sched->ready, NULL);
    }
    if (task->behind != NULL) {
        return task->behind;
    }
    while (!tk_task_queued(task) && task->chained.ahead != NULL) {
        task = task->chained.ahead;
    }
    return tk_runq_after(&sched->ready, tk_task_queued(task) ? task : NULL);
}

static struct tk_task *last_of_chain(struct tk_task *task)
{
    while (task != NULL && task->behind != NULL) {
        task = task->behind;
    }
    return task;
}

struct tk_task *tk_sched_before(const struct tk_sched *sched, const struct tk_task *task)
{
    struct tk_task *before;

    if (task != NULL && !tk_task_queued(task)) {
        return task->chained.ahead;
    }
    before = last_of_chain(tk_runq_before(&sched->ready, task));
    return before != NULL ? before : last_of_chain(sched->chain);
}
