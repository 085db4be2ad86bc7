/*
 * The carrier on a descriptor: see raw.h. One uv_poll_t, whose interest is changed as seldom as
 * possible: that is a system call at the next turn. Closed with bytes still to be sent, it lives on
 * without a sink until they are, or until nothing has gone for a while.
 */
#include "io/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/descriptors.h"
#include "io/stream.h"
#include "loop/fds.h"

/* Full buffers that are read in a row before others have their turn. */
#define READS 8
/* Milliseconds in which what is left at the close must have gone on by something. */
#define PATIENCE 10000
/* Descriptors that come with one message, and those that are kept. */
#define DESCRIPTORS 16
/* Bytes of a sink that are looked at when something has come. */
#define WARM 256
/* What a pipe takes without blocking when it is said to be writable. */
#define PIPE_ROOM 4096

struct raw;

/* Of one that is closed and has bytes to be sent. */
struct patience {
    uv_timer_t timer;
    struct tk_loop *loop;
    struct raw *raw;
};

struct raw {
    struct tk_hub_handle handle;
    uv_poll_t poll; /* libuv looks at its end, so that the next ones are near */
    struct tk_carrier carrier;
    struct tk_loop *loop;
    int fd;
    enum tk_stream_kind kind;
    int interest;       /* what `poll` is started for */
    bool wants_in : 1;  /* the sink wants bytes */
    bool wants_out : 1; /* something is to be sent */
    bool ended : 1;     /* no more will come */
    bool closed : 1;    /* it has no sink any more */
    bool blocking : 1;  /* the descriptor may block: reads and writes come after a poll only */
    bool reading : 1;   /* a file: bytes are being handed up */
    bool left : 1;      /* the loop goes */
    bool held : 1;      /* the handle keeps the loop going */
    int count;          /* of descriptors that have come */
    int come[DESCRIPTORS];
    struct tk_bytes rest; /* closed: what is still to be sent */
    struct patience *patience;
};

static const struct tk_carrier_ops ops;

bool tk_is_raw(const struct tk_carrier *carrier)
{
    return carrier->ops == &ops;
}

static struct raw *raw_of(const struct tk_carrier *carrier)
{
    return tk_container_of(carrier, struct raw, carrier);
}

enum tk_stream_kind tk_raw_kind(int fd)
{
    struct stat stat;
    int domain = 0;
    socklen_t size = sizeof domain;

    if (fstat(fd, &stat) < 0) {
        return TK_STREAM_ANY;
    }
    if (S_ISSOCK(stat.st_mode)) {
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
        return domain == AF_UNIX ? TK_STREAM_UNIX : TK_STREAM_TCP;
    }
    if (S_ISCHR(stat.st_mode) && isatty(fd)) {
        return TK_STREAM_TERMINAL;
    }
    return S_ISREG(stat.st_mode) || S_ISDIR(stat.st_mode) || S_ISBLK(stat.st_mode) ? TK_STREAM_FILE
                                                                                   : TK_STREAM_PIPE;
}

static bool is_socket(const struct raw *raw)
{
    return raw->kind == TK_STREAM_TCP || raw->kind == TK_STREAM_UNIX;
}

/* ---- polling ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

bool tk_raw_owns(const uv_handle_t *handle)
{
    return handle->type == UV_POLL && ((const uv_poll_t *)handle)->poll_cb == on_poll;
}

/* Brings the interest up to what is wanted. What is not wanted any more is left as long as nothing
 * comes of it. */
static void set_interest(struct raw *raw, bool exact)
{
    int wanted =
        (raw->wants_in && !raw->ended ? UV_READABLE : 0) | (raw->wants_out ? UV_WRITABLE : 0);

    if (raw->kind == TK_STREAM_FILE || raw->left ||
        (exact ? wanted == raw->interest : (wanted & ~raw->interest) == 0)) {
        return;
    }
    raw->interest = wanted;
    if (wanted == 0) {
        uv_poll_stop(&raw->poll);
    } else {
        uv_poll_start(&raw->poll, wanted, on_poll);
    }
}

/* ---- system calls ---- */

static bool is_ready(const struct raw *raw, short events)
{
    struct pollfd fd = {.fd = raw->fd, .events = events};

    return poll(&fd, 1, 0) > 0;
}

/* One that may block is given no more than what it surely takes. */
static ssize_t write_blocking(const struct raw *raw, const struct iovec *pieces)
{
    struct iovec piece = pieces[0];

    if (!is_ready(raw, POLLOUT)) {
        errno = EAGAIN;
        return -1;
    }
    piece.iov_len = piece.iov_len < PIPE_ROOM ? piece.iov_len : PIPE_ROOM;
    return tk_descriptors_write(raw->fd, &piece, 1);
}

static ssize_t write_once(const struct raw *raw, const struct iovec *pieces, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces,
                             .msg_iovlen = (size_t)count};
    ssize_t sent;

    do {
        if (is_socket(raw) && count == 1) { /* cheaper */
            sent = send(raw->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else if (is_socket(raw)) {
            sent = sendmsg(raw->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else if (raw->kind == TK_STREAM_FILE || raw->kind == TK_STREAM_TERMINAL) {
            sent = raw->blocking && raw->kind == TK_STREAM_TERMINAL
                       ? write_blocking(raw, pieces)
                       : writev(raw->fd, pieces, count);
        } else {
            sent = raw->blocking ? write_blocking(raw, pieces)
                                 : tk_descriptors_write(raw->fd, pieces, count);
        }
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* The descriptors that have come with a message. False: there are none. */
static bool keep_descriptors(struct raw *raw, struct msghdr *message)
{
    bool any = false;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        size_t count = c->cmsg_len < CMSG_LEN(0) ? 0 : (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            int fd;

            any = true;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (raw->count == DESCRIPTORS) {
                close(fd);
            } else {
                raw->come[raw->count++] = fd;
            }
        }
    }
    return any;
}

/* A Unix socket: descriptors come with bytes; the one that carried them is none of the stream's. */
static ssize_t read_unix(struct raw *raw, char *buffer, size_t size, bool *descriptors)
{
    union {
        char data[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.data,
                             .msg_controllen = sizeof control.data};
    ssize_t count = recvmsg(raw->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (count > 0 && message.msg_controllen > 0) {
        *descriptors = keep_descriptors(raw, &message);
    }
    return count - *descriptors;
}

/* Bytes; 0 at the end; a negative code. */
static ssize_t read_once(struct raw *raw, char *buffer, size_t size, bool *descriptors)
{
    ssize_t count;

    *descriptors = false;
    do {
        if (raw->kind == TK_STREAM_UNIX) {
            count = read_unix(raw, buffer, size, descriptors);
        } else if (raw->kind == TK_STREAM_TCP) {
            count = recv(raw->fd, buffer, size, MSG_DONTWAIT);
        } else if (raw->blocking && raw->kind != TK_STREAM_FILE && !is_ready(raw, POLLIN)) {
            return -EAGAIN;
        } else {
            count = read(raw->fd, buffer, size);
        }
    } while (count < 0 && errno == EINTR);
    if (count < 0 && errno == EIO && raw->kind == TK_STREAM_TERMINAL) {
        return 0; /* the other side of a terminal has been closed */
    }
    return count < 0 ? -errno : count;
}

/* ---- reading ---- */

static void end_reading(struct raw *raw, int error)
{
    raw->ended = true;
    raw->carrier.sink->ops->ended(raw->carrier.sink, error);
}

/* Where what is read will go comes into the processor's caches while the system reads. */
static void warm(const struct tk_sink *sink)
{
    for (int i = 0; i < WARM; i += 64) {
        __builtin_prefetch((const char *)sink + i);
    }
}

/* Hands up what is there. False: there was nothing. */
static bool read_some(struct raw *raw)
{
    char *buffer = raw->loop->hub->buffer;

    warm(raw->carrier.sink);
    for (int i = 0; i < READS && raw->wants_in && !raw->ended && !raw->closed; i++) {
        bool descriptors;
        ssize_t count = read_once(raw, buffer, TK_HUB_BUFFER, &descriptors);

        if (count == -EAGAIN) {
            return i > 0;
        }
        if (count > 0 || descriptors) {
            raw->carrier.sink->ops->received(raw->carrier.sink, buffer, (size_t)count);
        } else {
            end_reading(raw, (int)count);
        }
        if (count < TK_HUB_BUFFER) {
            break;
        }
    }
    return true;
}

/* The poll has said that there is an error, and reading has said nothing of it. */
static void find_error(struct raw *raw)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (is_socket(raw) && getsockopt(raw->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
        error != 0) {
        end_reading(raw, -error);
    }
}

static void send_rest(struct raw *raw);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct raw *raw = tk_container_of(poll, struct raw, poll);
    struct tk_hub *hub = raw->loop->hub;
    bool failed = status < 0;

    if (failed) {
        raw->interest = 0; /* libuv has stopped it */
        events = UV_READABLE | UV_WRITABLE;
    }
    if ((events & UV_WRITABLE) != 0 && raw->wants_out) {
        raw->wants_out = false;
        if (raw->closed) {
            send_rest(raw);
            return;
        }
        raw->carrier.sink->ops->drained(raw->carrier.sink);
    }
    if ((events & UV_READABLE) != 0 && raw->wants_in && !raw->ended && !raw->closed) {
        if (!read_some(raw) && failed) {
            find_error(raw);
        }
    }
    if (!raw->closed) {
        set_interest(raw, true);
    }
    tk_hub_served(hub);
}

/* A file is always ready: bytes are handed up until no more are wanted. */
static void read_file(struct raw *raw)
{
    if (raw->reading) {
        return;
    }
    raw->reading = true;
    while (raw->wants_in && !raw->ended && !raw->closed) {
        read_some(raw);
    }
    raw->reading = false;
    if (raw->closed) {
        free(raw);
    }
}

static int start(struct tk_carrier *carrier)
{
    struct raw *raw = raw_of(carrier);

    raw->wants_in = true;
    if (raw->kind == TK_STREAM_FILE) {
        raw->ended = false; /* it may be longer by now */
        read_file(raw);
    } else {
        set_interest(raw, false);
    }
    return 0;
}

static void stop(struct tk_carrier *carrier)
{
    struct raw *raw = raw_of(carrier);

    raw->wants_in = false;
    set_interest(raw, true);
}

/* ---- writing ---- */

static size_t total(const struct iovec *pieces, int count)
{
    size_t sum = 0;

    for (int i = 0; i < count; i++) {
        sum += pieces[i].iov_len;
    }
    return sum;
}

/* What is to be sent keeps the loop going. */
static void hold(struct raw *raw, bool on)
{
    raw->held = on;
    if (on) {
        uv_ref((uv_handle_t *)&raw->poll);
    } else {
        uv_unref((uv_handle_t *)&raw->poll);
    }
}

/* A file takes all, or fails. */
static ssize_t write_file(const struct raw *raw, const struct iovec *pieces, int count)
{
    size_t all = 0;

    for (int i = 0; i < count; i++) {
        struct iovec piece = pieces[i];

        while (piece.iov_len > 0) {
            ssize_t sent = write_once(raw, &piece, 1);

            if (sent < 0) {
                return sent;
            }
            piece.iov_base = (char *)piece.iov_base + sent;
            piece.iov_len -= (size_t)sent;
            all += (size_t)sent;
        }
    }
    return (ssize_t)all;
}

static ssize_t write_pieces(struct tk_carrier *carrier, const struct iovec *pieces, int count)
{
    struct raw *raw = raw_of(carrier);
    ssize_t sent;

    if (raw->kind == TK_STREAM_FILE) {
        return write_file(raw, pieces, count);
    }
    sent = write_once(raw, pieces, count);
    if (sent == -EAGAIN) {
        sent = 0;
    }
    if (sent >= 0 && (size_t)sent < total(pieces, count)) {
        raw->wants_out = true;
        hold(raw, true);
        set_interest(raw, false);
    } else if (raw->held) {
        hold(raw, false);
    }
    return sent;
}

/* The end of what is written to a pipe is that it is closed. Its number stays ours, and is that of
 * a pipe which nobody reads. */
static int shutdown_pipe(struct raw *raw)
{
    int ends[2], rc;

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        return -errno;
    }
    close(ends[0]);
    raw->interest = 0;
    uv_poll_stop(&raw->poll); /* first, for libuv knows it by its number */
    tk_fds_closing(raw->loop, raw->fd);
    rc = dup3(ends[1], raw->fd, O_CLOEXEC) < 0 ? -errno : 0;
    close(ends[1]);
    set_interest(raw, true);
    return rc;
}

static int shutdown_raw(struct tk_carrier *carrier)
{
    struct raw *raw = raw_of(carrier);

    if (is_socket(raw)) {
        return shutdown(raw->fd, SHUT_WR) < 0 ? -errno : 0;
    }
    return raw->kind == TK_STREAM_PIPE && (fcntl(raw->fd, F_GETFL) & O_ACCMODE) == O_WRONLY
               ? shutdown_pipe(raw)
               : -ENOTSOCK;
}

int tk_raw_send_descriptor(struct tk_carrier *carrier, int fd)
{
    struct raw *raw = raw_of(carrier);
    union {
        char data[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte = 0;
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.data,
                             .msg_controllen = sizeof control.data};
    struct cmsghdr *head;
    ssize_t sent;

    memset(&control, 0, sizeof control);
    head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    do {
        sent = sendmsg(raw->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN) {
        raw->wants_out = true;
        set_interest(raw, false);
        return -EAGAIN;
    }
    return sent < 0 ? -errno : 0;
}

bool tk_raw_has_descriptor(const struct tk_carrier *carrier)
{
    return raw_of(carrier)->count > 0;
}

int tk_raw_take_descriptor(struct tk_carrier *carrier)
{
    struct raw *raw = raw_of(carrier);
    int fd;

    if (raw->count == 0) {
        return -1;
    }
    fd = raw->come[0];
    memmove(raw->come, raw->come + 1, (size_t)--raw->count * sizeof fd);
    return fd;
}

/* ---- the end ---- */

static void on_patience_closed(uv_handle_t *handle)
{
    struct patience *patience = tk_container_of((uv_timer_t *)handle, struct patience, timer);

    tk_loop_closed(patience->loop);
    free(patience);
}

static void on_closed(uv_handle_t *handle)
{
    struct raw *raw = tk_container_of((uv_poll_t *)handle, struct raw, poll);

    tk_loop_closed(raw->loop);
    free(raw);
}

/* The last of it. A file that is being read is freed by who reads. */
static void finish(struct raw *raw)
{
    raw->closed = true;
    tk_bytes_finish(&raw->rest);
    while (raw->count > 0) {
        close(raw->come[--raw->count]);
    }
    if (raw->patience != NULL) {
        uv_close((uv_handle_t *)&raw->patience->timer, on_patience_closed);
        raw->patience = NULL;
    }
    tk_list_remove(&raw->handle.node);
    if (raw->kind != TK_STREAM_FILE) {
        uv_close((uv_handle_t *)&raw->poll,
                 on_closed); /* first, for libuv knows it by its number */
    }
    tk_hub_close_descriptor(raw->loop->hub, raw->fd);
    if (raw->kind == TK_STREAM_FILE && !raw->reading) {
        free(raw);
    }
}

static void on_impatient(uv_timer_t *timer)
{
    struct raw *raw = tk_container_of(timer, struct patience, timer)->raw;

    if (raw->closed) {
        finish(raw);
    } else {
        end_reading(raw, -ETIMEDOUT);
    }
}

/* What is left is sent as the peer takes it. */
static void send_rest(struct raw *raw)
{
    struct iovec piece = {.iov_base = raw->rest.data + raw->rest.start,
                          .iov_len = tk_bytes_count(&raw->rest)};
    ssize_t sent = write_pieces(&raw->carrier, &piece, 1);

    if (sent < 0 || (size_t)sent == piece.iov_len) {
        finish(raw);
    } else if (sent > 0) {
        tk_bytes_drop(&raw->rest, (size_t)sent);
        uv_timer_again(&raw->patience->timer);
    }
}

static bool hurry(struct tk_carrier *carrier)
{
    struct raw *raw = raw_of(carrier);
    struct patience *patience = malloc(sizeof *patience);

    if (patience == NULL) {
        return false;
    }
    patience->loop = raw->loop;
    patience->raw = raw;
    uv_timer_init(raw->loop->uv, &patience->timer);
    patience->timer.data = NULL;
    uv_unref((uv_handle_t *)&patience->timer);
    tk_loop_opened(raw->loop);
    uv_timer_start(&patience->timer, on_impatient, PATIENCE, PATIENCE);
    raw->patience = patience;
    return true;
}

static bool linger(struct raw *raw)
{
    if (raw->patience == NULL && !hurry(&raw->carrier)) {
        return false;
    }
    raw->wants_in = false;
    raw->wants_out = true;
    hold(raw, true);
    set_interest(raw, true);
    return true;
}

static void close_raw(struct tk_carrier *carrier, struct tk_bytes *rest)
{
    struct raw *raw = raw_of(carrier);

    raw->closed = true;
    raw->rest = *rest;
    memset(rest, 0, sizeof *rest);
    if (raw->left || tk_bytes_count(&raw->rest) == 0 || !linger(raw)) {
        finish(raw);
    }
}

static int descriptor(const struct tk_carrier *carrier)
{
    return raw_of(carrier)->fd;
}

static const struct tk_carrier_ops ops = {
    .start = start,
    .stop = stop,
    .write = write_pieces,
    .shutdown = shutdown_raw,
    .close = close_raw,
    .hurry = hurry,
    .descriptor = descriptor,
};

/* The loop goes. */
static void leave(struct tk_hub_handle *handle)
{
    struct raw *raw = tk_container_of(handle, struct raw, handle);

    raw->left = true;
    if (!raw->closed) {
        raw->carrier.sink->ops->lost(raw->carrier.sink);
    }
    finish(raw);
}

/* ---- making ---- */

static int open_poll(struct raw *raw, bool shared)
{
    int flags = fcntl(raw->fd, F_GETFL);
    int rc = flags < 0 ? -errno : uv_poll_init(raw->loop->uv, &raw->poll, raw->fd);

    if (rc == UV_EPERM) { /* of the sort that is always ready */
        raw->kind = TK_STREAM_FILE;
        rc = 0;
    }
    if (rc == 0 && shared) {
        fcntl(raw->fd, F_SETFL, flags);
        raw->blocking = (flags & O_NONBLOCK) == 0;
    }
    return rc;
}

int tk_raw_new(struct tk_loop *loop, int fd, enum tk_stream_kind *kind, bool shared,
               struct tk_carrier **out)
{
    struct tk_hub *hub = tk_hub_of(loop);
    struct raw *raw = hub == NULL ? NULL : calloc(1, sizeof *raw);
    int rc = 0;

    if (raw == NULL) {
        close(fd);
        return UV_ENOMEM;
    }
    raw->carrier.ops = &ops;
    raw->loop = loop;
    raw->fd = fd;
    raw->kind = *kind != TK_STREAM_ANY ? *kind : tk_raw_kind(fd);
    if (raw->kind != TK_STREAM_FILE) {
        rc = open_poll(raw, shared);
    }
    if (rc < 0) {
        free(raw);
        if (rc != UV_EBADF && rc != UV_EEXIST) {
            close(fd); /* else it is no descriptor, or that of another handle */
        }
        return rc;
    }
    *kind = raw->kind;
    if (raw->kind != TK_STREAM_FILE) {
        uv_unref((uv_handle_t *)&raw->poll);
        tk_loop_opened(loop);
    }
    raw->handle.close = leave;
    tk_list_push(&hub->handles, &raw->handle.node);
    *out = &raw->carrier;
    return 0;
}
