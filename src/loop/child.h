/* What the wait conditions on child processes have in common: wait/process.c and wait/child.c. */
#ifndef TK_LOOP_CHILD_H
#define TK_LOOP_CHILD_H

#include "loop/children.h"

struct tk_child_wait {
    struct tk_wait wait; /* first */
    struct tk_child_watch watch;
    int pid;
    int status; /* as waitpid has it; -1: not known */
    bool ended;
};

/* Makes it one for that child, which is not watched yet. */
void tk_child_init(struct tk_child_wait *child, int pid);

/* For rows, and for their fields. */
void tk_child_finish(struct tk_wait *wait, struct tk_sched *sched);
void tk_child_describe(const struct tk_wait *wait, char *text, size_t size);
void tk_child_reason(const struct tk_wait *wait, struct tk_arg *arg);
void tk_child_status(const struct tk_wait *wait, struct tk_arg *arg);
void tk_child_pid(const struct tk_wait *wait, struct tk_arg *arg);

#endif
