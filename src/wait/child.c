/*
 * A child that the Lua part has started, as a wait condition: it ended. As WaitForProcess, but the
 * child is watched from the beginning, whether or not a tasklet waits: when it has been collected
 * nobody else could tell how it ended.
 */
#include "loop/child.h"
#include "wait/kinds.h"

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct tk_child_wait *child = (struct tk_child_wait *)wait;
    int rc;

    tk_child_init(child, (int)args[0].as.integer);
    child->watch.remembers = true;
    rc = tk_children_watch(tk_loop_of(sched), &child->watch, child->pid, &child->status, fault);
    child->ended = rc > 0;
    return rc < 0 ? rc : 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    (void)fault;
    if (((struct tk_child_wait *)wait)->ended) {
        tk_wait_fire(wait, sched, NULL);
    }
    return 0;
}

static const struct tk_param params[] = {
    {.name = "pid", .type = TK_INTEGER},
    {.name = "stdin", .type = TK_VALUE, .optional = true, .keep = 1},
    {.name = "stdout", .type = TK_VALUE, .optional = true, .keep = 2},
    {.name = "stderr", .type = TK_VALUE, .optional = true, .keep = 3},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "reason", .type = TK_STRING, .get = tk_child_reason},
    {.name = "status", .type = TK_INTEGER, .get = tk_child_status},
    {.name = "pid", .type = TK_INTEGER, .get = tk_child_pid},
    {.name = "stdin", .type = TK_VALUE, .keep = 1},
    {.name = "stdout", .type = TK_VALUE, .keep = 2},
    {.name = "stderr", .type = TK_VALUE, .keep = 3},
    {.type = TK_END},
};

const struct tk_kind tk_wait_child = {
    .name = "child",
    .brief = "a child that was started here ended",
    .params = params,
    .fields = fields,
    .size = sizeof(struct tk_child_wait),
    .values = 3,
    .flags = TK_OUTSIDE | TK_HIDDEN,
    .init = init,
    .arm = arm,
    .finish = tk_child_finish,
    .describe = tk_child_describe,
};
