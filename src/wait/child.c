/*
 * A child that the Lua part has started, as a wait condition: it ended. As WaitForProcess, but the
 * child is watched from the beginning, whether or not a tasklet waits: when it has been collected
 * nobody else could tell how it ended.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "loop/children.h"
#include "wait/kinds.h"

struct child {
    struct tk_wait wait;
    struct tk_child_watch watch;
    int pid;
    int status; /* as waitpid has it; -1: not known */
    bool ended;
};

static void on_ended(struct tk_child_watch *watch, struct tk_loop *loop, int status)
{
    struct child *child = tk_container_of(watch, struct child, watch);

    child->status = status;
    child->ended = true;
    if (child->wait.task != NULL) {
        tk_wait_fire(&child->wait, &loop->sched, NULL);
    }
}

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct child *child = (struct child *)wait;
    int rc;

    child->pid = (int)args[0].as.integer;
    child->watch.ended = on_ended;
    rc = tk_children_watch(tk_loop_of(sched), &child->watch, child->pid, &child->status, fault);
    child->ended = rc > 0;
    return rc < 0 ? rc : 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    (void)fault;
    if (((struct child *)wait)->ended) {
        tk_wait_fire(wait, sched, NULL);
    }
    return 0;
}

static void finish(struct tk_wait *wait, struct tk_sched *sched)
{
    if (sched != NULL) {
        tk_children_unwatch(tk_loop_of(sched), &((struct child *)wait)->watch, true);
    }
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "pid %d", ((const struct child *)wait)->pid);
}

static void get_reason(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct child *child = (const struct child *)wait;

    arg->given = child->ended && child->status != -1;
    arg->as.string = WIFSIGNALED(child->status) ? "signal" : "exit";
}

static void get_status(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct child *child = (const struct child *)wait;

    arg->given = child->ended && child->status != -1;
    arg->as.integer =
        WIFSIGNALED(child->status) ? WTERMSIG(child->status) : WEXITSTATUS(child->status);
}

static void get_pid(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->as.integer = ((const struct child *)wait)->pid;
}

static const struct tk_param params[] = {
    {.name = "pid", .type = TK_INTEGER},
    {.name = "stdin", .type = TK_VALUE, .optional = true, .keep = 1},
    {.name = "stdout", .type = TK_VALUE, .optional = true, .keep = 2},
    {.name = "stderr", .type = TK_VALUE, .optional = true, .keep = 3},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "reason", .type = TK_STRING, .get = get_reason},
    {.name = "status", .type = TK_INTEGER, .get = get_status},
    {.name = "pid", .type = TK_INTEGER, .get = get_pid},
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
    .size = sizeof(struct child),
    .values = 3,
    .flags = TK_OUTSIDE | TK_HIDDEN,
    .init = init,
    .arm = arm,
    .finish = finish,
    .describe = describe,
};
