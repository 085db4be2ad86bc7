/* WaitForIdle: the loop has nothing else to do. The list of those who wait belongs to the
 * scheduler; the loop fires it. */
#include "core/sched.h"
#include "wait/kinds.h"

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    (void)fault;
    tk_list_push(&sched->idle, &((struct tk_watch *)wait)->node);
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    (void)sched;
    tk_list_remove(&((struct tk_watch *)wait)->node);
}

const struct tk_kind tk_wait_idle = {
    .name = "WaitForIdle",
    .brief = "the loop has nothing else to do",
    .size = sizeof(struct tk_watch),
    .flags = TK_OUTSIDE,
    .priority = TK_PRIORITY_DEFAULT_IDLE,
    .arm = arm,
    .disarm = disarm,
};
