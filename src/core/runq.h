/*
 * The run queue: rounds of tasklets in order of priority, first come first served within one.
 *
 * A round takes all that was ready when it began; what becomes ready meanwhile belongs to the next.
 * So nobody runs twice before the others have run once, however urgent it is.
 */
#ifndef TK_CORE_RUNQ_H
#define TK_CORE_RUNQ_H

#include <stddef.h>
#include <stdint.h>

#include "core/random.h"
#include "core/task.h"

struct tk_bucket {
    int32_t priority;
    struct tk_list tasks[2]; /* this round's and the next one's; `phase` says which is which */
};

struct tk_runq {
    struct tk_bucket **buckets; /* by priority; the one for priority 0 is `normal` */
    size_t size, capacity;
    size_t cursor; /* buckets before it have none of this round */
    size_t count[2];
    unsigned phase;
    bool shuffles; /* each round's order is drawn from `random`, within a priority */
    struct tk_random random;
    struct tk_bucket normal;
};

int tk_runq_init(struct tk_runq *queue);
void tk_runq_finish(struct tk_runq *queue);

/* Puts a task, which is in no queue, at the end of the next round's bucket for task->priority. */
void tk_runq_push(struct tk_runq *queue, struct tk_task *task);

/* Takes a task out, wherever it stands. */
void tk_runq_remove(struct tk_runq *queue, struct tk_task *task);

/* Takes out the next of this round; NULL when the round is over. */
struct tk_task *tk_runq_pop(struct tk_runq *queue);

/* Begins the next round; false if nobody is ready. */
bool tk_runq_turn(struct tk_runq *queue);

/* Makes a task that is in it come before all others of its priority: those that stood before it go
 * to the end, as in a ring. */
void tk_runq_rotate(struct tk_runq *queue, struct tk_task *task);

/* The neighbours of a task in it, in the order in which they will run; NULL: none. Of NULL: the
 * first, the last. */
struct tk_task *tk_runq_after(const struct tk_runq *queue, const struct tk_task *task);
struct tk_task *tk_runq_before(const struct tk_runq *queue, const struct tk_task *task);

static inline size_t tk_runq_count(const struct tk_runq *queue)
{
    return queue->count[0] + queue->count[1];
}

#endif
