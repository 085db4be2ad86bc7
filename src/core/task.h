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
struct tk_limit;
struct tk_sched;

enum tk_state {
    TK_NEW,     /* has not begun */
    TK_READY,   /* in the run queue because it gave way */
    TK_RUNNING, /* its body runs, or runs others nested where it could not give way */
    TK_HANDED,  /* waits for its turn in a chain of hand-overs */
    TK_WAITING, /* waits for its wait list; in the run queue too when something has fired */
    TK_BLOCKED, /* waits in a verb of its own */
    TK_PAUSED,  /* was taken out of the run queue; wakes when it is put back */
    TK_ENDED,
};

/* What is to be raised in a task when it goes on. */
enum tk_raise {
    TK_RAISE_NOTHING,
    TK_RAISE_GIVEN,   /* what the driver has put aside for it */
    TK_RAISE_EXIT,    /* it is killed */
    TK_RAISE_TIMEOUT, /* a deadline is over */
};

/* There may be millions of these: its size is looked after. */
struct tk_task {
    struct tk_task *behind; /* resumed when this one has given way: the chain of hand-overs */
    union {
        struct tk_list node; /* in a bucket of the run queue */
        struct {
            struct tk_task *ahead; /* in a chain and not queued: the other way, NULL at its head */
            void *unlinked;        /* NULL: node.next */
        } chained;
    };
    union {
        struct tk_wait *waits; /* the wait list, in the order of the yield: see tk_task_waits */
        struct tk_wait *last;  /* let_go: has fired since the last yield; only ever compared */
    };
    struct tk_wait *verbs;    /* the private waits of a blocking verb */
    struct tk_firing *fired;  /* the last of what has fired and is not delivered: a ring */
    struct tk_mailbox *mail;  /* made when first needed */
    struct tk_limit *limit;   /* the innermost that it is under; see limit.h */
    struct tk_list *watchers; /* waits of others for its end: a ring */
    struct tk_task *parent;   /* see tree.h */
    struct tk_list *children; /* a ring */
    struct tk_list sibling;
    int32_t priority;  /* it is queued with */
    uint8_t state;     /* enum tk_state */
    bool phase : 1;    /* which round of the run queue it is in */
    bool sending : 1;  /* gave way to the receiver of its message */
    bool daemon : 1;   /* does not keep the loop going */
    bool counted : 1;  /* does keep it going now */
    bool begun : 1;    /* and has not ended */
    bool let_go : 1;   /* `last` is meant, and there is no wait list */
    bool killed : 1;   /* until it survives */
    bool stopped : 1;  /* no wait is possible now: a kill or a deadline is to be raised */
    bool selects : 1;  /* there are offers in its wait list: see channel.h */
    bool offering : 1; /* one of its offers stands */
    bool met : 1;      /* one of its list has been met, and is delivered before all else */
    bool mailed : 1;   /* the event before was a message */
    uint8_t raise;     /* enum tk_raise */
};

static inline struct tk_wait *tk_task_waits(const struct tk_task *task)
{
    return task->let_go ? NULL : task->waits;
}

void tk_task_init(struct tk_task *task);

/* Is it in the run queue? */
static inline bool tk_task_queued(const struct tk_task *task)
{
    return tk_list_linked(&task->node);
}

#endif
