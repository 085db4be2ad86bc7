/* Descriptors: see fds.h. Owns the epoll set and an entry a watched descriptor; runs no script. */
#include "loop/fds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 128

struct tk_fd {
    int fd;
    bool busy; /* its watches are being told: it is not freed meanwhile */
    struct tk_list watches;
};

struct tk_fds {
    struct tk_loop *loop;
    int set; /* the epoll descriptor */
    uv_poll_t poll;
    struct tk_map open; /* fd + 1 -> struct tk_fd */
};

/* The five flags have poll(2)'s values, and epoll's are the same. */
_Static_assert((int)TK_IO_IN == (int)EPOLLIN && (int)TK_IO_OUT == (int)EPOLLOUT &&
                   (int)TK_IO_PRI == (int)EPOLLPRI && (int)TK_IO_ERR == (int)EPOLLERR &&
                   (int)TK_IO_HUP == (int)EPOLLHUP,
               "flags are epoll's");
#define ALL_FLAGS ((uint32_t)(TK_IO_IN | TK_IO_PRI | TK_IO_OUT | TK_IO_ERR | TK_IO_HUP))

static int set_interest(struct tk_fds *fds, struct tk_fd *entry, uint32_t wanted)
{
    struct epoll_event event;

    memset(&event, 0, sizeof event);
    event.events = wanted | EPOLLONESHOT | ((wanted & TK_IO_HUP) != 0 ? EPOLLRDHUP : 0u);
    event.data.fd = entry->fd;
    if (epoll_ctl(fds->set, EPOLL_CTL_MOD, entry->fd, &event) == 0) {
        return 0;
    }
    if (errno == ENOENT && epoll_ctl(fds->set, EPOLL_CTL_ADD, entry->fd, &event) == 0) {
        return 0;
    }
    return -errno;
}

static uint32_t wanted_by(const struct tk_fd *entry)
{
    uint32_t wanted = 0;

    for (struct tk_list *n = entry->watches.next; n != &entry->watches; n = n->next) {
        struct tk_fd_watch *watch = tk_container_of(n, struct tk_fd_watch, node);

        wanted |= watch->armed ? watch->events : 0;
    }
    return wanted;
}

/* Frees an entry that nobody watches. */
static void entry_drop(struct tk_fds *fds, struct tk_fd *entry)
{
    struct epoll_event event;

    if (entry->busy || !tk_list_empty(&entry->watches)) {
        return;
    }
    memset(&event, 0, sizeof event);
    epoll_ctl(fds->set, EPOLL_CTL_DEL, entry->fd, &event); /* it may be closed: no matter */
    tk_map_remove(&fds->open, (uintptr_t)entry->fd + 1);
    free(entry);
}

static void dispatch(struct tk_fds *fds, struct tk_fd *entry, uint32_t happened)
{
    uint32_t always = TK_IO_ERR | TK_IO_HUP, left;

    if ((happened & EPOLLRDHUP) != 0) {
        happened |= TK_IO_HUP;
    }
    entry->busy = true;
    for (struct tk_list *n = entry->watches.next, *next; n != &entry->watches; n = next) {
        struct tk_fd_watch *watch = tk_container_of(n, struct tk_fd_watch, node);
        uint32_t events = happened & (watch->events | always) & ALL_FLAGS;

        next = n->next; /* a watch may detach itself */
        if (watch->armed && events != 0) {
            watch->armed = false;
            watch->ready(watch, fds->loop, events);
        }
    }
    entry->busy = false;
    left = wanted_by(entry);
    if (left != 0) {
        set_interest(fds, entry, left);
    }
    entry_drop(fds, entry);
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct tk_fds *fds = tk_container_of(handle, struct tk_fds, poll);
    struct epoll_event ready[BATCH];
    int count;

    (void)status;
    (void)events;
    do {
        count = epoll_wait(fds->set, ready, BATCH, 0);
        for (int i = 0; i < count; i++) {
            struct tk_fd *entry = tk_map_get(&fds->open, (uintptr_t)ready[i].data.fd + 1);

            if (entry != NULL) {
                dispatch(fds, entry, ready[i].events);
            }
        }
    } while (count == BATCH);
}

static struct tk_fds *fds_of(struct tk_loop *loop, struct tk_fault *fault)
{
    struct tk_fds *fds = loop->fds;
    int rc;

    if (fds != NULL) {
        return fds;
    }
    fds = calloc(1, sizeof *fds);
    if (fds == NULL) {
        tk_fault_memory(fault);
        return NULL;
    }
    fds->loop = loop;
    fds->set = epoll_create1(EPOLL_CLOEXEC);
    rc = fds->set < 0 ? -errno : uv_poll_init(loop->uv, &fds->poll, fds->set);
    if (rc < 0) {
        tk_fault_set(fault, TK_ESYS, "cannot watch descriptors: %s", uv_strerror(rc));
        if (fds->set >= 0) {
            close(fds->set);
        }
        free(fds);
        return NULL;
    }
    tk_loop_opened(loop);
    fds->poll.data = NULL;
    uv_poll_start(&fds->poll, UV_READABLE, on_ready);
    uv_unref((uv_handle_t *)&fds->poll);
    loop->fds = fds;
    return fds;
}

static struct tk_fd *entry_of(struct tk_fds *fds, int fd, struct tk_fault *fault)
{
    struct tk_fd *entry = tk_map_get(&fds->open, (uintptr_t)fd + 1);

    if (entry != NULL) {
        return entry;
    }
    entry = malloc(sizeof *entry);
    if (entry == NULL || tk_map_set(&fds->open, (uintptr_t)fd + 1, entry) < 0) {
        free(entry);
        tk_fault_memory(fault);
        return NULL;
    }
    entry->fd = fd;
    entry->busy = false;
    tk_list_init(&entry->watches);
    return entry;
}

int tk_fds_arm(struct tk_loop *loop, struct tk_fd_watch *watch, int fd, uint32_t events,
               struct tk_fault *fault)
{
    struct tk_fds *fds = fds_of(loop, fault);
    struct tk_fd *entry = fds == NULL || fd < 0 ? NULL : entry_of(fds, fd, fault);
    int rc;

    if (fds == NULL) {
        return fault->code;
    }
    if (fd < 0) {
        return tk_fault_set(fault, TK_EINVAL, "bad descriptor %d", fd);
    }
    if (entry == NULL) {
        return fault->code;
    }
    rc = set_interest(fds, entry, wanted_by(entry) | events);
    if (rc < 0) {
        entry_drop(fds, entry);
        if (rc == -EPERM) {
            return 1;
        }
        return tk_fault_set(fault, TK_EINVAL, "bad descriptor %d: %s", fd, uv_strerror(rc));
    }
    if (watch->fd == NULL) {
        tk_list_push(&entry->watches, &watch->node);
        watch->fd = entry;
    }
    watch->events = events;
    watch->armed = true;
    return 0;
}

void tk_fds_detach(struct tk_loop *loop, struct tk_fd_watch *watch)
{
    if (watch->fd != NULL) {
        struct tk_fd *entry = watch->fd;

        tk_list_remove(&watch->node);
        watch->fd = NULL;
        watch->armed = false;
        if (loop->fds != NULL) {
            entry_drop(loop->fds, entry);
        }
    }
}

void tk_fds_closing(struct tk_loop *loop, int fd)
{
    struct tk_fds *fds = loop->fds;
    struct tk_fd *entry = fds == NULL ? NULL : tk_map_get(&fds->open, (uintptr_t)fd + 1);
    struct epoll_event event;

    if (entry != NULL) {
        memset(&event, 0, sizeof event);
        epoll_ctl(fds->set, EPOLL_CTL_DEL, fd, &event); /* another process may have it, too */
        dispatch(fds, entry, TK_IO_HUP);
    }
}

bool tk_fds_armed(const struct tk_loop *loop)
{
    struct tk_fd *entry;
    size_t cursor = 0;

    while (loop->fds != NULL && (entry = tk_map_next(&loop->fds->open, &cursor)) != NULL) {
        if (wanted_by(entry) != 0) {
            return true;
        }
    }
    return false;
}

bool tk_fds_is_own(const struct tk_loop *loop, const uv_handle_t *handle)
{
    return loop->fds != NULL && handle == (const uv_handle_t *)&loop->fds->poll;
}

static void on_closed(uv_handle_t *handle)
{
    struct tk_fds *fds = tk_container_of((uv_poll_t *)handle, struct tk_fds, poll);

    tk_loop_closed(fds->loop);
    close(fds->set);
    free(fds);
}

void tk_fds_close(struct tk_loop *loop)
{
    struct tk_fds *fds = loop->fds;
    struct tk_fd *entry;
    size_t cursor = 0;

    if (fds == NULL) {
        return;
    }
    while ((entry = tk_map_next(&fds->open, &cursor)) != NULL) {
        while (!tk_list_empty(&entry->watches)) {
            struct tk_list *node = tk_list_first(&entry->watches);

            tk_list_remove(node);
            tk_container_of(node, struct tk_fd_watch, node)->fd = NULL;
        }
        free(entry);
    }
    tk_map_finish(&fds->open);
    loop->fds = NULL;
    uv_close((uv_handle_t *)&fds->poll, on_closed);
}
