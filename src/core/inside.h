/* What the files of the core tell each other and nobody else. */
#ifndef TK_CORE_INSIDE_H
#define TK_CORE_INSIDE_H

#include "core/sched.h"

void tk_firing_free(struct tk_sched *sched, struct tk_firing *firing);
struct tk_firing *tk_firing_take(struct tk_firing **last);
/* The first of a kind with these flags, the rest stays in order; NULL: there is none. */
struct tk_firing *tk_firing_take_of(struct tk_firing **last, unsigned flags);
void tk_wait_hold(struct tk_wait *wait, struct tk_task *task);
void tk_wait_let_go(struct tk_wait *wait, struct tk_sched *sched);
void tk_wait_release(struct tk_wait *wait, struct tk_sched *sched);

/* Puts a task whose wait fired into the run queue, or moves it up there. */
void tk_task_ready(struct tk_sched *sched, struct tk_task *task, int32_t priority);
/* Out of the run queue, the chain or the batch. */
void tk_task_leave_queues(struct tk_sched *sched, struct tk_task *task);

#endif
