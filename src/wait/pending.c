/* The wait of a script's call of a function of the program's, which says when it is over. It lies
 * in the struct of that call. Scripts have no constructor for it. */
#include "wait/pending.h"

#include <stdio.h>

#include "loop/loop.h"
#include "wait/kinds.h"

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    (void)wait;
    (void)fault;
    tk_loop_of(sched)->awaited++;
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_pending_wait *pending = (struct tk_pending_wait *)wait;

    tk_loop_of(sched)->awaited--;
    pending->left(pending);
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "%s", ((const struct tk_pending_wait *)wait)->what);
}

const struct tk_kind tk_wait_pending = {
    .name = "pending call",
    .brief = "the program completes the call",
    .size = sizeof(struct tk_pending_wait),
    .flags = TK_HIDDEN,
    .arm = arm,
    .disarm = disarm,
    .phrase = phrase,
};
