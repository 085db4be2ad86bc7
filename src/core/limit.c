/*
 * Limits: see limit.h. It owns the limits that stand for members of a block, and no other. It walks
 * the tree without recursion, for that may be as deep as a program makes it.
 *
 * What must hold: task->stopped says whether tk_limit_pending has anything to say, so that a wait
 * asks one bit; whatever changes the answer calls `update` for each task that it may concern.
 */
#include "core/limit.h"

#include <stdlib.h>
#include <string.h>

#include "core/channel.h"

const struct tk_kind tk_limit_kind = {.name = "deadline", .size = sizeof(struct tk_timed)};

enum tk_raise tk_limit_pending(const struct tk_task *task)
{
    bool own = true;

    for (const struct tk_limit *limit = task->limit; limit != NULL; limit = limit->outer) {
        if (own && (limit->owner != task || limit->member)) {
            own = false;
            if (task->killed) {
                return TK_RAISE_EXIT;
            }
        }
        if (limit->shield) {
            if (!limit->expired) {
                return TK_RAISE_NOTHING;
            }
        } else if (limit->expired) {
            return TK_RAISE_TIMEOUT;
        } else if (limit->cut && own) {
            return TK_RAISE_EXIT;
        }
    }
    return own && task->killed ? TK_RAISE_EXIT : TK_RAISE_NOTHING;
}

/* Puts a waiting task into the run queue, with what it is to raise. */
static void interrupt(struct tk_sched *sched, struct tk_task *task, enum tk_raise raise)
{
    if (task->offering) {
        tk_channel_withdraw(task);
    }
    if (raise == TK_RAISE_EXIT) {
        tk_task_clear(sched, task);
    }
    task->raise = (uint8_t)raise;
    if (!tk_task_queued(task)) {
        task->priority = 0;
        tk_runq_push(&sched->ready, task);
    }
}

/* What it waits for may be over now. One that an event is on its way to keeps that, and raises at
 * its next wait. */
static void update(struct tk_sched *sched, struct tk_task *task)
{
    enum tk_raise pending = tk_limit_pending(task);

    task->stopped = pending != TK_RAISE_NOTHING;
    if (task->stopped && task->raise == TK_RAISE_NOTHING && !tk_task_queued(task) &&
        (task->state == TK_WAITING || task->state == TK_BLOCKED)) {
        interrupt(sched, task, pending);
    }
}

/* The next limit in the tree below `top`, or NULL. */
static struct tk_limit *walk(const struct tk_limit *top, struct tk_limit *limit)
{
    struct tk_list *node = tk_list_first(&limit->inner);

    while (node == NULL) {
        if (limit == top) {
            return NULL;
        }
        node = limit->node.next;
        if (node == &limit->outer->inner) {
            limit = limit->outer;
            node = NULL;
        }
    }
    return tk_container_of(node, struct tk_limit, node);
}

static void update_all(struct tk_sched *sched, struct tk_limit *top)
{
    for (struct tk_limit *limit = top; limit != NULL; limit = walk(top, limit)) {
        update(sched, limit->owner);
    }
}

static void put_inside(struct tk_limit *limit, struct tk_limit *outer)
{
    limit->outer = outer;
    if (outer != NULL) {
        tk_list_push(&outer->inner, &limit->node);
    }
}

static void init(struct tk_limit *limit, struct tk_task *task)
{
    memset(limit, 0, sizeof *limit);
    limit->timed.wait.kind = &tk_limit_kind;
    limit->owner = task;
    tk_list_init(&limit->inner);
}

void tk_limit_enter(struct tk_sched *sched, struct tk_limit *limit, struct tk_task *task,
                    bool shield, uint64_t due)
{
    init(limit, task);
    limit->shield = shield;
    put_inside(limit, task->limit);
    task->limit = limit;
    if (due != UINT64_MAX) {
        tk_wheel_arm(&sched->wheel, &limit->timed.timer, due);
    }
    if (shield) {
        update(sched, task);
    }
}

void tk_limit_leave(struct tk_sched *sched, struct tk_limit *limit)
{
    struct tk_task *owner = limit->owner;
    bool mattered = limit->shield || limit->expired || limit->cut || limit->member;
    struct tk_list *node;

    if (owner == NULL) {
        return;
    }
    tk_wheel_disarm(&sched->wheel, &limit->timed.timer);
    if (limit->outer != NULL) {
        tk_list_remove(&limit->node);
    }
    while ((node = tk_list_first(&limit->inner)) != NULL) {
        struct tk_limit *inner = tk_container_of(node, struct tk_limit, node);

        tk_list_remove(node);
        put_inside(inner, limit->outer);
        if (mattered) {
            update_all(sched, inner);
        }
    }
    if (owner->limit == limit) {
        owner->limit = limit->outer;
    }
    limit->owner = NULL;
    limit->outer = NULL;
    if (mattered) {
        update(sched, owner);
    }
    if (limit->member) {
        free(limit);
    }
}

int tk_limit_adopt(struct tk_sched *sched, struct tk_limit *limit, struct tk_task *task)
{
    struct tk_limit *member = malloc(sizeof *member);

    if (member == NULL) {
        return TK_ENOMEM;
    }
    init(member, task);
    member->member = true;
    put_inside(member, limit);
    task->limit = member;
    update(sched, task);
    return 0;
}

void tk_limit_expire(struct tk_sched *sched, struct tk_limit *limit)
{
    limit->expired = true;
    update_all(sched, limit);
}

bool tk_limit_over(const struct tk_limit *limit)
{
    for (; limit != NULL; limit = limit->outer) {
        if (limit->expired && !limit->shield) {
            return true;
        }
        if (limit->shield && !limit->expired) {
            return false;
        }
    }
    return false;
}

/* By hand: whatever has fired for it is not delivered any more. One that does not wait, but has
 * handed over to another, is told at its next wait if `waits`. */
static void stop_now(struct tk_sched *sched, struct tk_task *task, bool waits)
{
    enum tk_raise pending = tk_limit_pending(task);

    task->stopped = pending != TK_RAISE_NOTHING;
    if (waits && (task->state == TK_HANDED || task->state == TK_RUNNING)) {
        return;
    }
    if (pending == TK_RAISE_EXIT && task != sched->current) {
        tk_task_clear(sched, task);
        if (task->raise != TK_RAISE_TIMEOUT) { /* that comes first, and the kill at the next wait */
            task->raise = TK_RAISE_EXIT;
        }
        tk_task_wake(sched, task);
    }
}

void tk_limit_cut(struct tk_sched *sched, struct tk_limit *limit)
{
    limit->cut = true;
    if (limit->owner != NULL) {
        stop_now(sched, limit->owner, true);
    }
}

void tk_task_kill(struct tk_sched *sched, struct tk_task *task)
{
    task->killed = true;
    stop_now(sched, task, false);
}

void tk_limit_look(struct tk_sched *sched, struct tk_task *task, uint64_t now)
{
    struct tk_limit *next;

    for (struct tk_limit *limit = task->limit; limit != NULL; limit = next) {
        next = limit->outer;
        if (tk_timer_armed(&limit->timed.timer) && limit->timed.timer.due <= now) {
            tk_wheel_disarm(&sched->wheel, &limit->timed.timer);
            tk_limit_expire(sched, limit);
        }
    }
}

void tk_task_survive(struct tk_sched *sched, struct tk_task *task)
{
    task->killed = false;
    for (struct tk_limit *limit = task->limit; limit != NULL && limit->owner == task;
         limit = limit->outer) {
        limit->cut = false;
    }
    update(sched, task);
}

void tk_limit_free_member(struct tk_task *task)
{
    if (task->limit != NULL && task->limit->owner == task && task->limit->member) {
        free(task->limit);
        task->limit = NULL;
    }
}

void tk_limit_leave_all(struct tk_sched *sched, struct tk_task *task)
{
    while (task->limit != NULL && task->limit->owner == task) {
        tk_limit_leave(sched, task->limit);
    }
    task->limit = NULL; /* what was around those is not its own */
}
