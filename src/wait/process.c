/* WaitForProcess: a child process ended. How it ended is kept, so that it fires again when it is
 * yielded again. */
#include <stdio.h>
#include <sys/wait.h>

#include "loop/children.h"
#include "wait/kinds.h"

struct process {
    struct tk_wait wait;
    struct tk_child_watch watch;
    int pid;
    int status; /* as waitpid has it; -1: not known */
    bool ended;
};

static void on_ended(struct tk_child_watch *watch, struct tk_loop *loop, int status)
{
    struct process *process = tk_container_of(watch, struct process, watch);

    process->status = status;
    process->ended = true;
    tk_wait_fire(&process->wait, &loop->sched, NULL);
}

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct process *process = (struct process *)wait;

    (void)sched;
    if (args[0].as.integer <= 0 || args[0].as.integer > INT32_MAX) {
        return tk_fault_set(fault, TK_EINVAL, "pid must be positive");
    }
    process->pid = (int)args[0].as.integer;
    process->watch.ended = on_ended;
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct process *process = (struct process *)wait;
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
    tk_children_unwatch(tk_loop_of(sched), &((struct process *)wait)->watch, false);
}

static void finish(struct tk_wait *wait, struct tk_sched *sched)
{
    if (sched != NULL) {
        tk_children_unwatch(tk_loop_of(sched), &((struct process *)wait)->watch, true);
    }
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "pid %d", ((const struct process *)wait)->pid);
}

static void get_reason(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct process *process = (const struct process *)wait;

    arg->given = process->ended && process->status != -1;
    arg->as.string = WIFSIGNALED(process->status) ? "signal" : "exit";
}

static void get_status(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct process *process = (const struct process *)wait;

    arg->given = process->ended && process->status != -1;
    arg->as.integer =
        WIFSIGNALED(process->status) ? WTERMSIG(process->status) : WEXITSTATUS(process->status);
}

static void get_pid(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->as.integer = ((const struct process *)wait)->pid;
}

static const struct tk_param params[] = {
    {.name = "pid", .type = TK_INTEGER},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "reason", .type = TK_STRING, .get = get_reason},
    {.name = "status", .type = TK_INTEGER, .get = get_status},
    {.name = "pid", .type = TK_INTEGER, .get = get_pid},
    {.type = TK_END},
};

const struct tk_kind tk_wait_process = {
    .name = "WaitForProcess",
    .brief = "a child process ended",
    .params = params,
    .fields = fields,
    .size = sizeof(struct process),
    .flags = TK_OUTSIDE,
    .needs = TK_NEEDS_PROCESSES,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .finish = finish,
    .describe = describe,
};
