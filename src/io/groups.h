/*
 * The children that a host has started, each with its process group: from its start until it has
 * been collected and its group is of no interest any more.
 *
 * A child is always collected, also if nobody waits for it. Those that are not to outlive the host
 * end with it: at its teardown, and also when the process is killed (see guardian.h).
 */
#ifndef TK_IO_GROUPS_H
#define TK_IO_GROUPS_H

#include "core/map.h"
#include "io/guardian.h"
#include "io/spawn.h"
#include "loop/children.h"

/* A zeroed struct with a loop has no children. */
struct tk_groups {
    struct tk_loop *loop;
    struct tk_map by_pid;
    struct tk_guardian guardian;
    bool guarded; /* `guardian` has been set up */
};

/* Starts a child. Its pid, or -1. */
pid_t tk_groups_start(struct tk_groups *groups, const struct tk_spawn *spawn,
                      struct tk_spawn_error *error);

/* Sees to it that a child which somebody else has started, and which has not been waited for, is
 * collected. 0, or a negative code. */
int tk_groups_adopt(struct tk_groups *groups, pid_t pid);

/* Sends a signal to the child's whole group; to the child and all that it has started if it has no
 * group of its own. False: nobody is there any more. */
bool tk_groups_signal(struct tk_groups *groups, pid_t pid, int signo);

/* Is anybody of its group alive? */
bool tk_groups_alive(struct tk_groups *groups, pid_t pid);

/*
 * A descriptor that becomes readable when one of those ends who are left in the group of a child
 * that has ended itself; the caller closes it. -1: somebody is left, but cannot be watched. -2:
 * nobody is left.
 */
int tk_groups_member(struct tk_groups *groups, pid_t pid);

/* Nobody is interested any more in what is left of its group. A child that has not ended is
 * collected all the same, and does not end with the host. */
void tk_groups_release(struct tk_groups *groups, pid_t pid);

/* The descriptor to the guardian; -1: there is none. */
int tk_groups_line(const struct tk_groups *groups);

/* Ends all that is to end with the host, and collects the children. Blocks, but not for long. */
void tk_groups_close(struct tk_groups *groups);

#endif
