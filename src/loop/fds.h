/*
 * Descriptors: one epoll set beside libuv's own, itself watched by libuv as one descriptor.
 *
 * Why not a uv_poll_t each: that makes the descriptor non-blocking for everybody who shares it,
 * refuses one that libuv watches already, cannot tell a hang-up from data, and does not notice that
 * a descriptor was closed. Here a watch is armed for one event (EPOLLONESHOT) by one system call,
 * which also says when the descriptor is gone, and any number of watches may share a descriptor.
 */
#ifndef TK_LOOP_FDS_H
#define TK_LOOP_FDS_H

#include "loop/loop.h"

enum tk_io {
    TK_IO_IN = 1,
    TK_IO_PRI = 2,
    TK_IO_OUT = 4,
    TK_IO_ERR = 8,
    TK_IO_HUP = 16,
};

struct tk_fd_watch {
    struct tk_list node; /* among the watches of the descriptor */
    struct tk_fd *fd;    /* NULL: not attached */
    uint32_t events;     /* TK_IO_* */
    bool armed;
    /* Ready for `events`, which may have TK_IO_ERR and TK_IO_HUP unasked. It is not armed any more.
     */
    void (*ready)(struct tk_fd_watch *watch, struct tk_loop *loop, uint32_t events);
};

/*
 * Arms a watch on a descriptor (and attaches it, if it is not). 1: the descriptor is of a sort that
 * is always ready (a regular file), and nothing is armed. A negative code: a bad descriptor.
 */
int tk_fds_arm(struct tk_loop *loop, struct tk_fd_watch *watch, int fd, uint32_t events,
               struct tk_fault *fault);

/* Detaches it; nothing happens if it is not attached. */
void tk_fds_detach(struct tk_loop *loop, struct tk_fd_watch *watch);

/* A descriptor is about to be closed: the watches that are armed on it are told of a hang-up. */
void tk_fds_closing(struct tk_loop *loop, int fd);

/* Is any watch armed? */
bool tk_fds_armed(const struct tk_loop *loop);

/* Is it the handle that the epoll set is watched with? */
bool tk_fds_is_own(const struct tk_loop *loop, const uv_handle_t *handle);

void tk_fds_close(struct tk_loop *loop);

#endif
