/*
 * A tasklet as the core sees it: where it stands, what it waits for, what has fired for it. The
 * body (a coroutine, or a number in a test) belongs to whoever embeds this struct; the core only
 * says whom to resume.
 *
 *                 start                 wait
 *      NEW ---------------> RUNNING ------------> WAITING ----.
 *                           ^  |  ^                           | fire: into the run queue,
 *                 hand back |  |  '---------------------------'       then resumed
 *                           |  | hand over
 *                      HANDED<-+  verb
 *                              +----------------> BLOCKED   in a verb such as sleep: its
 *                              | give way                   wait list is left alone
 *                              +----------------> READY
 *                              | end
 *                              '----------------> ENDED
 */
#ifndef TK_CORE_TASK_H
#define TK_CORE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct tk_wait;
struct tk_firing;
struct tk_mailbox;

enum tk_state {
    TK_NEW,     /* has not begun */
    TK_READY,   /* in the run queue because it gave way */
    TK_RUNNING, /* its body runs, or runs others nested where it could not give way */
    TK_HANDED,  /* waits for its turn in a chain of hand-overs */
    TK_WAITING, /* waits for its wait list; in the run queue too when something has fired */
    TK_BLOCKED, /* waits in a verb of its own */
    TK_ENDED,
};

struct tk_task {
    struct tk_list node;     /* in a bucket of the run queue */
    struct tk_task *behind;  /* resumed when this one has given way: the chain of hand-overs */
    struct tk_task *ahead;   /* the other way; NULL at the head of a chain */
    struct tk_wait *waits;   /* the wait list, in the order of the yield */
    struct tk_wait *verbs;   /* the private waits of a blocking verb */
    struct tk_wait *last;    /* fired and let go of since the last yield; only ever compared */
    struct tk_firing *fired; /* the last of what has fired and is not delivered: a ring */
    struct tk_mailbox *mail; /* made when first needed */
    struct tk_list watchers; /* waits of others for its end */
    int32_t priority;        /* it is queued with */
    uint8_t state;           /* enum tk_state */
    bool phase : 1;          /* which round of the run queue it is in */
    bool sending : 1;        /* gave way to the receiver of its message */
    bool daemon : 1;         /* does not keep the loop going */
    bool counted : 1;        /* does keep it going now */
};

void tk_task_init(struct tk_task *task);

/* Is it in the run queue? */
static inline bool tk_task_queued(const struct tk_task *task)
{
    return tk_list_linked(&task->node);
}

#endif
