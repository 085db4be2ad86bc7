/* WaitForTasklet: a tasklet finished; fires at once if it had already. Always delivered from the
 * loop. */
#include <stdio.h>

#include "core/sched.h"
#include "wait/kinds.h"

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    (void)sched;
    (void)fault;
    ((struct tk_watch *)wait)->target = args[0].as.task;
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_watch *watch = (struct tk_watch *)wait;

    if (watch->target == wait->task) {
        return tk_fault_set(fault, TK_EINVAL, "a tasklet cannot wait for its own end");
    }
    if (watch->target->state == TK_ENDED) {
        tk_wait_fire(wait, sched, NULL);
    } else {
        tk_ring_push(&watch->target->watchers, &watch->node);
    }
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_watch *watch = (struct tk_watch *)wait;

    (void)sched;
    if (tk_list_linked(&watch->node)) {
        tk_ring_remove(&watch->target->watchers, &watch->node);
    }
}

static struct tk_task *target(const struct tk_wait *wait)
{
    return ((const struct tk_watch *)wait)->target;
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    (void)wait;
    snprintf(text, size, "join: the end of");
}

static const struct tk_param params[] = {
    {.name = "tasklet", .type = TK_TASK, .keep = 1},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "retval", .type = TK_RESULT},
    {.name = "error", .type = TK_ERROR},
    {.name = "tasklet", .type = TK_VALUE, .keep = 1},
    {.type = TK_END},
};

const struct tk_kind tk_wait_tasklet = {
    .name = "WaitForTasklet",
    .brief = "a tasklet finished",
    .params = params,
    .fields = fields,
    .size = sizeof(struct tk_watch),
    .values = 1,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .phrase = phrase,
    .target = target,
};
