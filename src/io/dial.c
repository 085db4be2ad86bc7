/* Connecting: see dial.h. Each attempt is a descriptor with a uv_poll_t. */
#include "io/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/hub.h"
#include "io/raw.h"

/* Milliseconds between two attempts; and until a Unix socket whose line is full is tried again. */
#define STAGGER 250
#define RETRY 20

struct attempt {
    struct tk_list node;
    struct tk_dialling *dialling;
    uv_poll_t poll;
    int fd;
};

struct tk_dialling {
    struct tk_hub_handle handle;
    struct tk_loop *loop;
    struct tk_dial *dial; /* NULL: it is over */
    struct tk_list attempts;
    uv_timer_t timer;
    int open; /* handles that libuv has not let go of */
    size_t next, count;
    struct tk_dial_address addresses[];
};

static void let_go(struct tk_dialling *dialling)
{
    tk_loop_closed(dialling->loop);
    if (--dialling->open == 0) {
        free(dialling);
    }
}

static void on_attempt_closed(uv_handle_t *handle)
{
    struct attempt *attempt = tk_container_of((uv_poll_t *)handle, struct attempt, poll);

    let_go(attempt->dialling);
    free(attempt);
}

static void on_timer_closed(uv_handle_t *handle)
{
    let_go(tk_container_of((uv_timer_t *)handle, struct tk_dialling, timer));
}

/* Ends an attempt; its descriptor is the caller's. */
static int end_attempt(struct attempt *attempt)
{
    tk_list_remove(&attempt->node);
    uv_close((uv_handle_t *)&attempt->poll, on_attempt_closed);
    return attempt->fd;
}

/* All is over but for what the dial has. */
static void stop(struct tk_dialling *dialling)
{
    struct tk_list *node;

    while ((node = tk_list_first(&dialling->attempts)) != NULL) {
        tk_hub_close_descriptor(dialling->loop->hub,
                                end_attempt(tk_container_of(node, struct attempt, node)));
    }
    tk_list_remove(&dialling->handle.node);
    dialling->dial->dialling = NULL;
    dialling->dial = NULL;
    uv_close((uv_handle_t *)&dialling->timer, on_timer_closed);
}

static void end(struct tk_dialling *dialling)
{
    struct tk_dial *dial = dialling->dial;

    stop(dialling);
    tk_gate_fire(&dial->done, dial->sched);
}

static void try_next(struct tk_dialling *dialling);

static void failed(struct tk_dialling *dialling, int error)
{
    dialling->dial->error = error;
    if (dialling->next < dialling->count) {
        try_next(dialling);
    } else if (tk_list_empty(&dialling->attempts)) {
        end(dialling);
    }
}

static void connected(struct tk_dialling *dialling, int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* if it is of TCP */
    dialling->dial->fd = fd;
    end(dialling);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct attempt *attempt = tk_container_of(handle, struct attempt, poll);
    struct tk_dialling *dialling = attempt->dialling;
    int error = 0, fd;
    socklen_t size = sizeof error;

    (void)status; /* the socket knows better */
    (void)events;
    getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    fd = end_attempt(attempt);
    if (error == 0) {
        connected(dialling, fd);
    } else {
        tk_hub_close_descriptor(dialling->loop->hub, fd);
        failed(dialling, -error);
    }
}

bool tk_dial_owns(const uv_handle_t *handle)
{
    return handle->type == UV_POLL && ((const uv_poll_t *)handle)->poll_cb == on_poll;
}

static void on_timer(uv_timer_t *timer)
{
    struct tk_dialling *dialling = tk_container_of(timer, struct tk_dialling, timer);

    if (dialling->next < dialling->count) {
        try_next(dialling);
    }
}

/* The connection has not been made at once. 0 or an error; the descriptor goes over. */
static int await(struct tk_dialling *dialling, int fd)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    int rc = attempt == NULL ? UV_ENOMEM : uv_poll_init(dialling->loop->uv, &attempt->poll, fd);

    if (rc < 0) {
        free(attempt);
        tk_hub_close_descriptor(dialling->loop->hub, fd);
        return rc;
    }
    attempt->dialling = dialling;
    attempt->fd = fd;
    uv_unref((uv_handle_t *)&attempt->poll);
    tk_loop_opened(dialling->loop);
    dialling->open++;
    tk_list_push(&dialling->attempts, &attempt->node);
    uv_poll_start(&attempt->poll, UV_WRITABLE, on_poll);
    return 0;
}

/* Begins with the next address. Those that fail at once are passed by. */
static void try_next(struct tk_dialling *dialling)
{
    const struct tk_dial_address *address = &dialling->addresses[dialling->next++];
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -errno : 0;

    uv_timer_start(&dialling->timer, on_timer, STAGGER, 0);
    if (rc == 0) {
        do {
            rc = connect(fd, (const struct sockaddr *)&address->storage, address->size);
        } while (rc < 0 && errno == EINTR);
        if (rc == 0) {
            connected(dialling, fd);
            return;
        }
        rc = -errno;
    }
    if (rc == -EINPROGRESS) {
        rc = await(dialling, fd);
    } else if (rc == -EAGAIN && address->storage.ss_family == AF_UNIX) {
        tk_hub_close_descriptor(dialling->loop->hub, fd);
        dialling->next--;
        uv_timer_start(&dialling->timer, on_timer, RETRY, 0);
        return;
    } else if (fd >= 0) {
        tk_hub_close_descriptor(dialling->loop->hub, fd);
    }
    if (rc < 0) {
        failed(dialling, rc);
    }
}

static void leave(struct tk_hub_handle *handle)
{
    stop(tk_container_of(handle, struct tk_dialling, handle));
}

static void done_gone(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    tk_dial_finish(tk_container_of(gate, struct tk_dial, done));
}

static void describe(const struct tk_gate *gate, char *text, size_t size)
{
    const struct tk_dial *dial = tk_container_of(gate, const struct tk_dial, done);

    snprintf(text, size, "connecting to %s", dial->text);
}

static const struct tk_gate_ops done_ops = {.gone = done_gone, .describe = describe};

int tk_dial_start(struct tk_dial *dial, struct tk_sched *sched,
                  const struct tk_dial_address *addresses, size_t count)
{
    struct tk_loop *loop = tk_loop_of(sched);
    struct tk_hub *hub = tk_hub_of(loop);
    struct tk_dialling *dialling =
        hub == NULL ? NULL : calloc(1, sizeof *dialling + count * sizeof *addresses);

    dial->sched = sched;
    dial->dialling = NULL;
    dial->fd = -1;
    dial->error = UV_ECANCELED;
    tk_gate_init(&dial->done, &done_ops);
    if (dialling == NULL) {
        return UV_ENOMEM;
    }
    dialling->loop = loop;
    dialling->dial = dial;
    dialling->count = count;
    memcpy(dialling->addresses, addresses, count * sizeof *addresses);
    tk_list_init(&dialling->attempts);
    uv_timer_init(loop->uv, &dialling->timer);
    uv_unref((uv_handle_t *)&dialling->timer);
    tk_loop_opened(loop);
    dialling->open = 1;
    dialling->handle.close = leave;
    tk_list_push(&hub->handles, &dialling->handle.node);
    dial->dialling = dialling;
    try_next(dialling);
    return 0;
}

bool tk_dial_is_over(const struct tk_dial *dial)
{
    return dial->dialling == NULL;
}

int tk_dial_take(struct tk_dial *dial)
{
    int fd = dial->fd;

    dial->fd = -1;
    return fd >= 0 ? fd : dial->error;
}

void tk_dial_finish(struct tk_dial *dial)
{
    if (dial->dialling != NULL) {
        stop(dial->dialling);
    }
    if (dial->fd >= 0) {
        close(dial->fd);
        dial->fd = -1;
    }
}
