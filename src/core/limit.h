/*
 * Limits: what ends waits from outside - a deadline, the cutting of a block, a kill - and shields,
 * which hold such things back. The idea is that of Trio's cancel scopes.
 *
 * A task is under a chain of limits, the innermost first: those that it entered itself, and, if it
 * belongs to somebody's block, that block's and all that it was under. So limits form a tree, and
 * what happens to one reaches every task below it. A limit that is over stays so: each wait below
 * it raises, until it is left (level-triggered). A kill belongs to the task, and stands outside of
 * all that the task has entered itself.
 *
 * A limit is embedded in what owns it, which leaves it before its memory goes; a task that ends
 * leaves its own.
 */
#ifndef TK_CORE_LIMIT_H
#define TK_CORE_LIMIT_H

#include "core/sched.h"

struct tk_limit {
    struct tk_timed timed; /* of its deadline */
    struct tk_limit *outer;
    struct tk_task *owner; /* NULL: not in force */
    struct tk_list node;   /* among those right inside the outer one */
    struct tk_list inner;
    bool shield : 1;  /* holds back what comes from outside, until its own time is over */
    bool member : 1;  /* stands for a task that belongs to a block */
    bool expired : 1; /* its time is over */
    bool cut : 1;     /* its owner, not the members, is to leave it: as if killed */
};

/* The kind of `timed.wait`: the loop calls tk_limit_expire for a timer of this kind. */
extern const struct tk_kind tk_limit_kind;

/* `limit`, whose memory is the caller's, becomes the innermost of a task's. `due`: when its time is
 * over; UINT64_MAX: never. */
void tk_limit_enter(struct tk_sched *sched, struct tk_limit *limit, struct tk_task *task,
                    bool shield, uint64_t due);

/* Out of the chain, wherever it stands in it; what is inside comes under the next one outside.
 * Nothing if it is not in force. */
void tk_limit_leave(struct tk_sched *sched, struct tk_limit *limit);

/* Makes a task that has not begun a member of a block: it is under `limit`. TK_ENOMEM. */
int tk_limit_adopt(struct tk_sched *sched, struct tk_limit *limit, struct tk_task *task);

/* Its time is over: interrupts all that wait below it. */
void tk_limit_expire(struct tk_sched *sched, struct tk_limit *limit);

/* The task is about to wait, at the time `now`: what is over by then expires, even if the loop has
 * not turned since. */
void tk_limit_look(struct tk_sched *sched, struct tk_task *task, uint64_t now);

/* The owner is to leave the block: as a kill, by hand, but for what is inside alone, and at its
 * next wait if it does not wait now. */
void tk_limit_cut(struct tk_sched *sched, struct tk_limit *limit);

/* Is a deadline over that this limit, or one around it, sets? */
bool tk_limit_over(const struct tk_limit *limit);

/* What a wait of this task raises now. */
enum tk_raise tk_limit_pending(const struct tk_task *task);

/*
 * Kills a task that has begun: interrupts it by hand where it waits, and it is in the batch then;
 * held back if it is shielded or runs.
 */
void tk_task_kill(struct tk_sched *sched, struct tk_task *task);

/* It takes no further notice of having been killed, nor of cuts. */
void tk_task_survive(struct tk_sched *sched, struct tk_task *task);

/* The scheduler has gone: frees what tk_limit_adopt made for a task. */
void tk_limit_free_member(struct tk_task *task);

/* A task ends: it leaves its limits. */
void tk_limit_leave_all(struct tk_sched *sched, struct tk_task *task);

#endif
