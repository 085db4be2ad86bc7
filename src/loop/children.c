/*
 * Children: see children.h. Owns an entry for each child that is watched.
 *
 * libuv collects the children that it started when SIGCHLD comes, and then nobody else can learn
 * their status. So the exit callback of such a child's handle is replaced by one of ours, which
 * tells us and then calls the one that was there; that entry stays until the child ended, watched
 * or not. The pidfd tells if the handle was closed meanwhile: then libuv forgets the child, and
 * collecting it is ours.
 */
#include "loop/children.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/fds.h"

struct tk_child {
    int pid;
    int pidfd; /* negative: none, SIGCHLD serves */
    struct tk_loop *loop;
    struct tk_list watches;
    struct tk_fd_watch ready;
    bool by_uv;
    uv_exit_cb exit_cb; /* by_uv: what was there */
};

struct tk_children {
    struct tk_map by_pid;
    struct tk_list ended; /* watches that remember; the latest first */
    uv_signal_t chld;     /* while there are children without a pidfd */
    bool has_chld;
    size_t without_pidfd;
    struct tk_loop *loop;
    bool closing;
};

static void on_chld_closed(uv_handle_t *handle)
{
    struct tk_children *children = tk_container_of((uv_signal_t *)handle, struct tk_children, chld);

    tk_loop_closed(children->loop);
    free(children);
}

static void child_free(struct tk_children *children, struct tk_child *child)
{
    tk_fds_detach(child->loop, &child->ready);
    if (child->pidfd >= 0) {
        close(child->pidfd);
    } else if (--children->without_pidfd == 0 && children->has_chld) {
        uv_signal_stop(&children->chld);
    }
    tk_map_remove(&children->by_pid, (uintptr_t)child->pid);
    free(child);
}

static void child_ended(struct tk_children *children, struct tk_child *child, int status)
{
    struct tk_loop *loop = child->loop;
    struct tk_list watches;
    int pid = child->pid;

    tk_list_init(&watches);
    tk_list_splice(&watches, &child->watches);
    child_free(children, child);
    while (!tk_list_empty(&watches)) {
        struct tk_list *node = tk_list_first(&watches);
        struct tk_child_watch *watch = tk_container_of(node, struct tk_child_watch, node);

        tk_list_remove(node);
        watch->child = NULL;
        if (watch->remembers) {
            watch->pid = pid;
            watch->status = status;
            tk_list_push_front(&children->ended, node);
        }
        watch->ended(watch, loop, status);
    }
}

/* Collects a child of our own, if it has ended; the status is -1 if somebody else did before: that
 * it ended is then all that can be said. */
static bool collect(int pid, int *status)
{
    pid_t got;

    do {
        got = waitpid(pid, status, WNOHANG);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        *status = -1;
    }
    return got != 0;
}

struct search {
    int pid;
    uv_process_t *found;
};

static void look_at(uv_handle_t *handle, void *arg)
{
    struct search *search = arg;

    if (handle->type == UV_PROCESS && !uv_is_closing(handle) &&
        ((uv_process_t *)handle)->pid == search->pid) {
        search->found = (uv_process_t *)handle;
    }
}

static uv_process_t *uv_child(struct tk_loop *loop, int pid)
{
    struct search search = {pid, NULL};

    uv_walk(loop->uv, look_at, &search);
    return search.found;
}

static void on_pidfd(struct tk_fd_watch *watch, struct tk_loop *loop, uint32_t events)
{
    struct tk_child *child = tk_container_of(watch, struct tk_child, ready);
    int status = -1;

    (void)events;
    if (child->by_uv && uv_child(loop, child->pid) != NULL) {
        return; /* libuv is about to collect it, and tells us */
    }
    collect(child->pid, &status);
    child_ended(loop->children, child, status);
}

static void on_chld(uv_signal_t *handle, int number)
{
    struct tk_children *children = tk_container_of(handle, struct tk_children, chld);
    struct tk_child *child;
    size_t cursor = 0;
    int status;

    (void)number;
    while ((child = tk_map_next(&children->by_pid, &cursor)) != NULL) {
        if (child->pidfd < 0 && !child->by_uv && collect(child->pid, &status)) {
            child_ended(children, child, status);
            cursor = 0; /* the map has changed */
        }
    }
}

/* The loops of ours on a uv loop are known by their check handle; one of them watches this child.
 */
struct exit_search {
    int pid;
    struct tk_child *child;
};

static void look_for_loop(uv_handle_t *handle, void *arg)
{
    struct exit_search *search = arg;
    struct tk_loop *loop = tk_loop_from_handle(handle);

    if (loop != NULL && loop->children != NULL && search->child == NULL) {
        search->child = tk_map_get(&loop->children->by_pid, (uintptr_t)search->pid);
    }
}

static void on_exit_of_uv_child(uv_process_t *process, int64_t code, int signum)
{
    struct exit_search search = {process->pid, NULL};
    uv_exit_cb exit_cb = NULL;

    uv_walk(process->loop, look_for_loop, &search);
    if (search.child != NULL) {
        struct tk_child *child = search.child;

        exit_cb = child->exit_cb;
        child_ended(child->loop->children, child,
                    signum != 0 ? signum : (int)((unsigned)code << 8));
    }
    if (exit_cb != NULL) {
        exit_cb(process, code, signum);
    }
}

static struct tk_children *children_of(struct tk_loop *loop)
{
    if (loop->children == NULL) {
        loop->children = calloc(1, sizeof *loop->children);
        if (loop->children != NULL) {
            loop->children->loop = loop;
            tk_list_init(&loop->children->ended);
        }
    }
    return loop->children;
}

/* 1: ended. 0: a running child. */
static int state_of(int pid, int *status, struct tk_fault *fault)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    if (pid <= 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0) {
        return tk_fault_set(fault, TK_EINVAL, "process %d is not a child of this process", pid);
    }
    return info.si_pid == pid && collect(pid, status) ? 1 : 0;
}

static bool recall(const struct tk_children *children, int pid, int *status)
{
    for (struct tk_list *n = children->ended.next; n != &children->ended; n = n->next) {
        struct tk_child_watch *watch = tk_container_of(n, struct tk_child_watch, node);

        if (watch->pid == pid) {
            *status = watch->status;
            return true;
        }
    }
    return false;
}

static int watch_by_signal(struct tk_children *children)
{
    int rc = 0;

    if (!children->has_chld) {
        rc = uv_signal_init(children->loop->uv, &children->chld);
        if (rc < 0) {
            return rc;
        }
        children->chld.data = NULL;
        tk_loop_opened(children->loop);
        children->has_chld = true;
        uv_unref((uv_handle_t *)&children->chld);
    }
    if (children->without_pidfd == 0) {
        rc = uv_signal_start(&children->chld, on_chld, SIGCHLD);
    }
    return rc;
}

static struct tk_child *child_new(struct tk_children *children, int pid, uv_process_t *process,
                                  struct tk_fault *fault)
{
    struct tk_child *child = calloc(1, sizeof *child);
    int rc = 0;

    if (child == NULL || tk_map_set(&children->by_pid, (uintptr_t)pid, child) < 0) {
        free(child);
        tk_fault_memory(fault);
        return NULL;
    }
    child->pid = pid;
    child->loop = children->loop;
    child->ready.ready = on_pidfd;
    tk_list_init(&child->watches);
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (child->pidfd < 0) {
        rc = watch_by_signal(children);
        children->without_pidfd++;
    } else {
        rc = tk_fds_arm(children->loop, &child->ready, child->pidfd, TK_IO_IN, fault);
    }
    if (rc < 0) {
        tk_fault_set(fault, TK_ESYS, "cannot watch process %d", pid);
        child_free(children, child);
        return NULL;
    }
    if (process != NULL) {
        child->by_uv = true;
        child->exit_cb = process->exit_cb;
        process->exit_cb = on_exit_of_uv_child;
    }
    return child;
}

int tk_children_watch(struct tk_loop *loop, struct tk_child_watch *watch, int pid, int *status,
                      struct tk_fault *fault)
{
    struct tk_children *children = children_of(loop);
    struct tk_child *child;

    if (children == NULL) {
        return tk_fault_memory(fault);
    }
    if (watch->child != NULL) {
        return 0;
    }
    child = tk_map_get(&children->by_pid, (uintptr_t)pid);
    if (child == NULL) {
        uv_process_t *process = uv_child(loop, pid);
        int rc = 0;

        if (process == NULL) {
            rc = state_of(pid, status, fault);
            rc = rc < 0 && recall(children, pid, status) ? 1 : rc;
        } else if (!uv_is_active((uv_handle_t *)process)) {
            *status = process->status;
            rc = 1;
        }
        if (rc != 0) {
            return rc;
        }
        child = child_new(children, pid, process, fault);
        if (child == NULL) {
            return fault->code;
        }
        if (process == NULL && collect(pid, status)) {
            child_free(children, child); /* it ended while we were about to watch */
            return 1;
        }
    }
    tk_list_push(&child->watches, &watch->node);
    watch->child = child;
    return 0;
}

int tk_children_adopt(struct tk_loop *loop, struct tk_child_watch *watch, int pid,
                      struct tk_fault *fault)
{
    struct tk_children *children = children_of(loop);
    struct tk_child *child;

    if (children == NULL) {
        return tk_fault_memory(fault);
    }
    child = tk_map_get(&children->by_pid, (uintptr_t)pid);
    if (child == NULL) {
        child = child_new(children, pid, NULL, fault);
        if (child == NULL) {
            return fault->code;
        }
        if (child->pidfd < 0) {
            raise(SIGCHLD); /* its own may have come already */
        }
    }
    tk_list_push(&child->watches, &watch->node);
    watch->child = child;
    return 0;
}

static void detach_all(struct tk_child *child)
{
    while (!tk_list_empty(&child->watches)) {
        struct tk_list *node = tk_list_first(&child->watches);

        tk_list_remove(node);
        tk_container_of(node, struct tk_child_watch, node)->child = NULL;
    }
}

void tk_children_drop(struct tk_loop *loop, int pid)
{
    struct tk_child *child =
        loop->children == NULL ? NULL : tk_map_get(&loop->children->by_pid, (uintptr_t)pid);

    if (child != NULL) {
        detach_all(child);
        child_free(loop->children, child);
    }
}

void tk_children_unwatch(struct tk_loop *loop, struct tk_child_watch *watch, bool for_good)
{
    struct tk_child *child = watch->child;

    if (child == NULL || (child->by_uv && !for_good)) {
        return;
    }
    tk_list_remove(&watch->node);
    watch->child = NULL;
    if (tk_list_empty(&child->watches) && !child->by_uv) {
        child_free(loop->children, child);
    }
}

void tk_children_forget(struct tk_child_watch *watch)
{
    if (watch->child == NULL) {
        tk_list_remove(&watch->node);
    }
}

bool tk_children_watched(const struct tk_loop *loop)
{
    return loop->children != NULL && loop->children->without_pidfd > 0;
}

bool tk_children_is_own(const struct tk_loop *loop, const uv_handle_t *handle)
{
    return loop->children != NULL && handle == (const uv_handle_t *)&loop->children->chld;
}

void tk_children_close(struct tk_loop *loop)
{
    struct tk_children *children = loop->children;
    struct tk_child *child;
    size_t cursor = 0;

    if (children == NULL) {
        return;
    }
    while ((child = tk_map_next(&children->by_pid, &cursor)) != NULL) {
        uv_process_t *process = child->by_uv ? uv_child(loop, child->pid) : NULL;

        if (process != NULL && process->exit_cb == on_exit_of_uv_child) {
            process->exit_cb = child->exit_cb;
        }
        detach_all(child);
        tk_fds_detach(loop, &child->ready);
        if (child->pidfd >= 0) {
            close(child->pidfd);
        }
        free(child);
    }
    tk_map_finish(&children->by_pid);
    while (!tk_list_empty(&children->ended)) {
        tk_list_remove(tk_list_first(&children->ended));
    }
    loop->children = NULL;
    if (children->has_chld) {
        uv_close((uv_handle_t *)&children->chld, on_chld_closed);
    } else {
        free(children);
    }
}
