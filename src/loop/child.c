/* Wait conditions on child processes: see child.h. */
#include "loop/child.h"

#include <stdio.h>
#include <sys/wait.h>

static void on_ended(struct tk_child_watch *watch, struct tk_loop *loop, int status)
{
    struct tk_child_wait *child = tk_container_of(watch, struct tk_child_wait, watch);

    child->status = status;
    child->ended = true;
    tk_wait_fire(&child->wait, &loop->sched, NULL);
}

void tk_child_init(struct tk_child_wait *child, int pid)
{
    child->pid = pid;
    child->watch.ended = on_ended;
}

void tk_child_finish(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_child_watch *watch = &((struct tk_child_wait *)wait)->watch;

    if (sched != NULL) {
        tk_children_unwatch(tk_loop_of(sched), watch, true);
    }
    tk_children_forget(watch);
}

void tk_child_describe(const struct tk_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "pid %d", ((const struct tk_child_wait *)wait)->pid);
}

void tk_child_reason(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct tk_child_wait *child = (const struct tk_child_wait *)wait;

    arg->given = child->ended && child->status != -1;
    arg->as.string = WIFSIGNALED(child->status) ? "signal" : "exit";
}

void tk_child_status(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct tk_child_wait *child = (const struct tk_child_wait *)wait;

    arg->given = child->ended && child->status != -1;
    arg->as.integer =
        WIFSIGNALED(child->status) ? WTERMSIG(child->status) : WEXITSTATUS(child->status);
}

void tk_child_pid(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->as.integer = ((const struct tk_child_wait *)wait)->pid;
}
