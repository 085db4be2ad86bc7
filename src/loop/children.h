/*
 * Children: the end of any child process of this one, by pid, however it was started.
 *
 * A child is watched through a pidfd; where there is none to be had (an old kernel, too many
 * descriptors) through SIGCHLD. One that libuv started is left for libuv to collect, whose exit
 * callback is called in between.
 */
#ifndef TK_LOOP_CHILDREN_H
#define TK_LOOP_CHILDREN_H

#include "loop/loop.h"

struct tk_child_watch {
    struct tk_list node;
    struct tk_child *child; /* NULL: not attached */
    /* Until tk_children_forget those who watch its child later learn from it how that ended. */
    bool remembers;
    int pid, status; /* it remembers: of its child, when that has ended */
    /* It ended with this status, as waitpid has it, or -1: somebody else collected it, and how it
     * ended cannot be known. The watch is detached already. */
    void (*ended)(struct tk_child_watch *watch, struct tk_loop *loop, int status);
};

/*
 * 0: the watch is attached. 1: the child had ended, *status says how. TK_EINVAL: no child of this
 * process, and none that anybody remembers.
 */
int tk_children_watch(struct tk_loop *loop, struct tk_child_watch *watch, int pid, int *status,
                      struct tk_fault *fault);

/*
 * The same for a child that has been started just now and that nobody else knows: it is collected
 * from the loop alone, so that others can be attached meanwhile. 0, or a negative code.
 */
int tk_children_adopt(struct tk_loop *loop, struct tk_child_watch *watch, int pid,
                      struct tk_fault *fault);

/*
 * Nothing happens if it is not attached. Unless `for_good`, a watch stays where libuv is to collect
 * the child, for nobody could learn its status later; it is told as ever.
 */
void tk_children_unwatch(struct tk_loop *loop, struct tk_child_watch *watch, bool for_good);

/* Before one that remembers goes; there need be no loop any more. Nothing happens to others. */
void tk_children_forget(struct tk_child_watch *watch);

/* Detaches all who watch a child that libuv has not started. */
void tk_children_drop(struct tk_loop *loop, int pid);

/* Is any child watched whose end comes by SIGCHLD? (The others have an armed descriptor, or a
 * handle of libuv's.) */
bool tk_children_watched(const struct tk_loop *loop);

/* Is it the handle for SIGCHLD? */
bool tk_children_is_own(const struct tk_loop *loop, const uv_handle_t *handle);

void tk_children_close(struct tk_loop *loop);

#endif
