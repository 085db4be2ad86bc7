/* WaitForProcess: a child process ended. How it ended is kept, so that it fires again when it is
 * yielded again. */
#include "loop/child.h"
#include "wait/kinds.h"

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    (void)sched;
    if (args[0].as.integer <= 0 || args[0].as.integer > INT32_MAX) {
        return tk_fault_set(fault, TK_EINVAL, "pid must be positive");
    }
    tk_child_init((struct tk_child_wait *)wait, (int)args[0].as.integer);
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_child_wait *process = (struct tk_child_wait *)wait;
    int rc = 1;

    if (!process->ended) {
        rc = tk_children_watch(tk_loop_of(sched), &process->watch, process->pid, &process->status,
                               fault);
    }
    if (rc > 0) {
        process->ended = true;
        tk_wait_fire(wait, sched, NULL);
        rc = 0;
    }
    return rc;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_children_unwatch(tk_loop_of(sched), &((struct tk_child_wait *)wait)->watch, false);
}

static const struct tk_param params[] = {
    {.name = "pid", .type = TK_INTEGER},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "reason", .type = TK_STRING, .get = tk_child_reason},
    {.name = "status", .type = TK_INTEGER, .get = tk_child_status},
    {.name = "pid", .type = TK_INTEGER, .get = tk_child_pid},
    {.type = TK_END},
};

const struct tk_kind tk_wait_process = {
    .name = "WaitForProcess",
    .brief = "a child process ended",
    .params = params,
    .fields = fields,
    .size = sizeof(struct tk_child_wait),
    .flags = TK_OUTSIDE,
    .needs = TK_NEEDS_PROCESSES,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .finish = tk_child_finish,
    .describe = tk_child_describe,
};
