/* Streams: see stream.h. */
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/address.h"
#include "io/error.h"
#include "io/raw.h"

/* From this size on bytes are sent without being copied, and as many that are unsent are sent. */
#define DIRECT 16384

static struct tk_stream *of_dirty(struct tk_dirty *dirty)
{
    return tk_container_of(dirty, struct tk_stream, dirty);
}

_Static_assert(sizeof(struct tk_dirty) == sizeof((struct tk_stream *)0)->dirty,
               "the same, without libuv's header");

/* ---- what the carrier calls ---- */

/* Do those who wait want more than there is? */
static bool wants_more(struct tk_stream *stream)
{
    if (!tk_list_empty(&stream->reading.waits)) {
        return !tk_stream_met(stream);
    }
    return !tk_list_empty(&stream->readable.waits) && !tk_stream_is_readable(stream);
}

/* Something has come, or it is known that nothing will: those who are waited for it go on. */
static void came(struct tk_stream *stream)
{
    if (!tk_list_empty(&stream->reading.waits) && tk_stream_met(stream)) {
        tk_gate_fire(&stream->reading, stream->sched);
    }
    tk_gate_fire(&stream->readable, stream->sched);
}

static void received(struct tk_sink *sink, const char *data, size_t count)
{
    struct tk_stream *stream = (struct tk_stream *)sink;

    if (!tk_bytes_add(&stream->in, data, count)) {
        stream->in_error = -ENOMEM;
    }
    came(stream);
    if (stream->in_error != 0 ||
        (tk_bytes_count(&stream->in) >= stream->ahead && !wants_more(stream))) {
        stream->started = false;
        stream->carrier->ops->stop(stream->carrier);
    }
}

static void ended(struct tk_sink *sink, int error)
{
    struct tk_stream *stream = (struct tk_stream *)sink;

    stream->ended = true;
    stream->in_error = error;
    came(stream);
}

/* Fewer bytes are unsent than before, or it is known that they never will be sent. */
static void went(struct tk_stream *stream)
{
    struct tk_gate_wait *first = tk_gate_first(&stream->writing);

    if (first != NULL) {
        if (tk_stream_sent(stream, first->need)) {
            tk_wait_fire(&first->wait, stream->sched, NULL);
        }
    } else if (tk_stream_is_writable(stream)) {
        tk_gate_fire(&stream->writable, stream->sched);
    }
}

static void drained(struct tk_sink *sink)
{
    struct tk_stream *stream = (struct tk_stream *)sink;

    stream->blocked = false;
    tk_stream_flush(stream);
    went(stream); /* nothing may have been left to flush */
}

static void opened(struct tk_sink *sink, int error)
{
    struct tk_stream *stream = (struct tk_stream *)sink;

    stream->shakes = false;
    if (error != 0) {
        stream->ended = true;
        stream->in_error = stream->out_error = error;
        tk_bytes_finish(&stream->out);
    }
    tk_gate_fire(&stream->opening, stream->sched);
    if (error != 0) {
        came(stream);
        went(stream);
    }
}

static void reason(struct tk_sink *sink, const char *text)
{
    struct tk_stream *stream = (struct tk_stream *)sink;

    free(stream->reason);
    stream->reason = strdup(text);
}

/* Everybody goes on. */
static void wake_all(struct tk_stream *stream)
{
    tk_gate_fire(&stream->opening, stream->sched);
    tk_gate_fire(&stream->reading, stream->sched);
    tk_gate_fire(&stream->writing, stream->sched);
    tk_gate_fire(&stream->readable, stream->sched);
    tk_gate_fire(&stream->writable, stream->sched);
}

static void forget(struct tk_stream *stream)
{
    tk_list_remove(&stream->dirty.node);
    tk_bytes_finish(&stream->in);
    tk_bytes_finish(&stream->out);
    stream->cursor = stream->scanned = 0;
    stream->carrier = NULL;
    stream->hub = NULL;
    stream->shakes = false;
    free(stream->reason);
    stream->reason = NULL;
}

/* What a program has written to its output gets there though the program ends, as stdio's does. */
static void drain(struct tk_stream *stream)
{
    while (stream->prompt && tk_bytes_count(&stream->out) > 0 && stream->out_error == 0) {
        struct pollfd fd = {.fd = tk_stream_descriptor(stream), .events = POLLOUT};

        if (stream->blocked && poll(&fd, 1, -1) < 0 && errno != EINTR) {
            break;
        }
        stream->blocked = false;
        tk_stream_flush(stream);
    }
}

/* The loop goes. */
static void lost(struct tk_sink *sink)
{
    struct tk_stream *stream = (struct tk_stream *)sink;

    drain(stream);
    forget(stream);
}

static const struct tk_sink_ops sink_ops = {
    .received = received,
    .ended = ended,
    .drained = drained,
    .opened = opened,
    .reason = reason,
    .lost = lost,
};

/* ---- reading ---- */

/* Makes the carrier bring bytes. */
void tk_stream_go_on(struct tk_stream *stream)
{
    int rc;

    if (stream->started || stream->ended || stream->in_error != 0 || stream->carrier == NULL) {
        return;
    }
    stream->started = true;
    rc = stream->carrier->ops->start(stream->carrier);
    if (rc < 0) {
        ended(&stream->sink, rc);
    }
}

int tk_stream_in_error(const struct tk_stream *stream)
{
    return stream->carrier == NULL ? TK_IO_CLOSED : stream->in_error;
}

const char *tk_stream_data(const struct tk_stream *stream, size_t *count)
{
    *count = tk_bytes_count(&stream->in) - stream->cursor;
    return *count == 0 ? "" : stream->in.data + stream->in.start + stream->cursor;
}

bool tk_stream_line(struct tk_stream *stream, size_t *length)
{
    size_t count;
    const char *data = tk_stream_data(stream, &count);
    const char *end = NULL;

    if (count > stream->scanned) {
        end = memchr(data + stream->scanned, '\n', count - stream->scanned);
        stream->scanned = end == NULL ? count : (size_t)(end - data);
    }
    *length = stream->scanned;
    return end != NULL;
}

bool tk_stream_met(struct tk_stream *stream)
{
    size_t count = tk_bytes_count(&stream->in) - stream->cursor;

    if (stream->ended || tk_stream_in_error(stream) != 0) {
        return true;
    }
    switch (stream->want) {
    case TK_WANT_SOME:
        return count > 0;
    case TK_WANT_COUNT:
        return count >= stream->wanted;
    case TK_WANT_LINE:
        return count > stream->limit || tk_stream_line(stream, &count);
    case TK_WANT_DESCRIPTOR:
        return tk_is_raw(stream->carrier) && tk_raw_has_descriptor(stream->carrier);
    default:
        return count > stream->limit;
    }
}

void tk_stream_look_again(struct tk_stream *stream)
{
    if (stream->kind == TK_STREAM_FILE && stream->ended) {
        stream->ended = stream->started = false;
    }
}

void tk_stream_want(struct tk_stream *stream, enum tk_want want, size_t count)
{
    stream->want = want;
    stream->wanted = count;
}

void tk_stream_advance(struct tk_stream *stream, size_t count)
{
    stream->cursor += count;
    stream->scanned = 0;
}

void tk_stream_consume(struct tk_stream *stream)
{
    if (stream->cursor > 0) {
        tk_bytes_drop(&stream->in, stream->cursor);
        stream->cursor = 0;
    }
}

void tk_stream_unread(struct tk_stream *stream)
{
    stream->cursor = stream->scanned = 0;
}

bool tk_stream_give_back(struct tk_stream *stream, const char *data, size_t count)
{
    struct tk_bytes all = {0};

    if (stream->carrier == NULL || count == 0) {
        return true;
    }
    if (!tk_bytes_add(&all, data, count) ||
        !tk_bytes_add(&all, stream->in.data + stream->in.start, tk_bytes_count(&stream->in))) {
        tk_bytes_finish(&all);
        return false;
    }
    tk_bytes_finish(&stream->in);
    stream->in = all;
    stream->cursor = stream->scanned = 0;
    tk_gate_fire(&stream->readable, stream->sched);
    return true;
}

bool tk_stream_is_readable(const struct tk_stream *stream)
{
    return tk_bytes_count(&stream->in) > 0 || stream->ended || tk_stream_in_error(stream) != 0;
}

/* ---- writing ---- */

int tk_stream_flush_error(const struct tk_stream *stream)
{
    return stream->carrier == NULL ? TK_IO_CLOSED : stream->out_error;
}

int tk_stream_out_error(const struct tk_stream *stream)
{
    int error = tk_stream_flush_error(stream);

    return error == 0 && stream->shut ? -EPIPE : error;
}

/* Gives the carrier what is unsent, and then `data`. How many of those it has taken. */
static size_t send_all(struct tk_stream *stream, const char *data, size_t count)
{
    struct iovec pieces[2] = {
        {.iov_base = stream->out.data + stream->out.start, .iov_len = tk_bytes_count(&stream->out)},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = count},
    };
    int first = pieces[0].iov_len == 0;
    size_t all = pieces[0].iov_len + count;
    ssize_t sent =
        stream->carrier->ops->write(stream->carrier, pieces + first, 2 - first - (count == 0));

    if (sent < 0) {
        stream->out_error = (int)sent;
        tk_bytes_finish(&stream->out);
        return 0;
    }
    stream->blocked = (size_t)sent < all;
    if ((size_t)sent < pieces[0].iov_len) {
        tk_bytes_drop(&stream->out, (size_t)sent);
        return 0;
    }
    if (pieces[0].iov_len > 0) {
        tk_bytes_drop(&stream->out, pieces[0].iov_len);
    }
    return (size_t)sent - pieces[0].iov_len;
}

void tk_stream_flush(struct tk_stream *stream)
{
    if (tk_bytes_count(&stream->out) > 0 && !stream->blocked && stream->carrier != NULL) {
        send_all(stream, NULL, 0);
        went(stream);
    }
}

static void flush_dirty(struct tk_dirty *dirty)
{
    tk_stream_flush(of_dirty(dirty));
}

size_t tk_stream_write(struct tk_stream *stream, const char *data, size_t count)
{
    size_t taken = 0, room;

    if (tk_stream_out_error(stream) != 0) {
        return 0;
    }
    if (count >= DIRECT && !stream->blocked) {
        taken = send_all(stream, data, count);
        if (stream->out_error != 0) {
            return 0;
        }
    }
    room = tk_bytes_count(&stream->out) < TK_STREAM_UNSENT
               ? TK_STREAM_UNSENT - tk_bytes_count(&stream->out)
               : 0;
    room = count - taken < room ? count - taken : room;
    if (room > 0 && !tk_bytes_add(&stream->out, data + taken, room)) {
        stream->out_error = -ENOMEM;
        return 0;
    }
    if (!stream->blocked && tk_bytes_count(&stream->out) > 0) {
        if (stream->prompt || tk_bytes_count(&stream->out) >= DIRECT) {
            tk_stream_flush(stream);
        } else {
            tk_hub_soil(stream->hub, (struct tk_dirty *)(void *)&stream->dirty);
        }
    }
    return taken + room;
}

bool tk_stream_sent(const struct tk_stream *stream, size_t left)
{
    return tk_stream_out_error(stream) != 0 || tk_bytes_count(&stream->out) <= left;
}

int tk_stream_shutdown(struct tk_stream *stream)
{
    int rc = tk_stream_flush_error(stream);

    if (rc == 0 && !stream->shut) {
        rc = stream->carrier->ops->shutdown(stream->carrier);
        stream->shut = rc == 0;
    }
    return rc;
}

int tk_stream_send_descriptor(struct tk_stream *stream, int fd)
{
    int rc = tk_stream_out_error(stream);

    if (rc == 0) {
        rc = stream->kind == TK_STREAM_UNIX && tk_is_raw(stream->carrier)
                 ? tk_raw_send_descriptor(stream->carrier, fd)
                 : -ENOTSUP;
    }
    if (rc == TK_IO_AGAIN) {
        stream->blocked = true;
    }
    return rc;
}

int tk_stream_take_descriptor(struct tk_stream *stream)
{
    return stream->carrier != NULL && tk_is_raw(stream->carrier)
               ? tk_raw_take_descriptor(stream->carrier)
               : -1;
}

bool tk_stream_is_writable(const struct tk_stream *stream)
{
    return tk_list_empty(&stream->writing.waits) && tk_stream_sent(stream, TK_STREAM_LOW);
}

/* ---- gates ---- */

static void reader_came(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    tk_stream_go_on(tk_container_of(gate, struct tk_stream, reading));
}

/* A verb that was killed has read nothing. */
static void reader_gone(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    tk_stream_unread(tk_container_of(gate, struct tk_stream, reading));
}

static void poller_came(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    tk_stream_go_on(tk_container_of(gate, struct tk_stream, readable));
}

static void writer_gone(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    went(tk_container_of(gate, struct tk_stream, writing));
}

static void describe(const char *what, const struct tk_stream *stream, char *text, size_t size)
{
    int used = snprintf(text, size, "%s ", what);

    tk_stream_describe(stream, text + used, size - (size_t)used);
}

static void describe_reading(const struct tk_gate *gate, char *text, size_t size)
{
    describe("reading from", tk_container_of(gate, const struct tk_stream, reading), text, size);
}

static void describe_writing(const struct tk_gate *gate, char *text, size_t size)
{
    describe("writing to", tk_container_of(gate, const struct tk_stream, writing), text, size);
}

static void describe_readable(const struct tk_gate *gate, char *text, size_t size)
{
    tk_stream_describe(tk_container_of(gate, const struct tk_stream, readable), text, size);
}

static void describe_writable(const struct tk_gate *gate, char *text, size_t size)
{
    tk_stream_describe(tk_container_of(gate, const struct tk_stream, writable), text, size);
}

static void describe_opening(const struct tk_gate *gate, char *text, size_t size)
{
    describe("beginning TLS with", tk_container_of(gate, const struct tk_stream, opening), text,
             size);
}

static const struct tk_gate_ops opening_ops = {.describe = describe_opening};
static const struct tk_gate_ops reading_ops = {
    .came = reader_came, .gone = reader_gone, .describe = describe_reading};
static const struct tk_gate_ops writing_ops = {.gone = writer_gone, .describe = describe_writing};
static const struct tk_gate_ops readable_ops = {.came = poller_came, .describe = describe_readable};
static const struct tk_gate_ops writable_ops = {.describe = describe_writable};

/* ---- the whole ---- */

void tk_stream_init(struct tk_stream *stream)
{
    memset(stream, 0, sizeof *stream);
    stream->sink.ops = &sink_ops;
    stream->dirty.flush = flush_dirty;
    stream->timeout = stream->standard = -1;
    stream->ahead = TK_STREAM_AHEAD;
    stream->limit = SIZE_MAX;
    tk_gate_init(&stream->reading, &reading_ops);
    tk_gate_init(&stream->writing, &writing_ops);
    tk_gate_init(&stream->readable, &readable_ops);
    tk_gate_init(&stream->writable, &writable_ops);
    tk_gate_init(&stream->opening, &opening_ops);
}

int tk_stream_attach(struct tk_stream *stream, struct tk_sched *sched, struct tk_carrier *carrier,
                     enum tk_stream_kind kind)
{
    stream->sched = sched;
    stream->hub = tk_loop_of(sched)->hub;
    stream->carrier = carrier;
    stream->kind = kind;
    carrier->sink = &stream->sink;
    return 0;
}

int tk_stream_open(struct tk_stream *stream, struct tk_sched *sched, int fd,
                   enum tk_stream_kind kind)
{
    struct tk_carrier *carrier;
    int rc = tk_raw_new(tk_loop_of(sched), fd, &kind, false, &carrier);

    return rc < 0 ? rc : tk_stream_attach(stream, sched, carrier, kind);
}

/* What others share is opened once more where that can be done: its flags are our own then. */
int tk_stream_open_standard(struct tk_stream *stream, struct tk_sched *sched, int fd)
{
    enum tk_stream_kind kind = tk_raw_kind(fd);
    struct tk_carrier *carrier;
    bool shared = true;
    char path[64];
    int own = -1, rc;

    if (kind == TK_STREAM_PIPE || kind == TK_STREAM_TERMINAL) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        own = open(path, (fd == 0 ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        shared = own < 0;
    }
    if (own < 0) {
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    }
    if (own < 0) {
        return -errno;
    }
    rc = tk_raw_new(tk_loop_of(sched), own, &kind, shared, &carrier);
    if (rc < 0) {
        return rc;
    }
    stream->prompt = true;
    stream->ahead = 0;
    stream->standard = fd;
    return tk_stream_attach(stream, sched, carrier, kind);
}

void tk_stream_replace(struct tk_stream *stream, struct tk_carrier *carrier)
{
    stream->carrier = carrier;
    carrier->sink = &stream->sink;
    stream->started = stream->blocked = false;
}

/* The process' own descriptor is closed, too, so that the other side sees an end; its number is not
 * to become that of something else. */
static void close_standard(int fd)
{
    int null;

    if (fd == 1) {
        fflush(stdout);
    }
    null = open("/dev/null", (fd == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);

    if (null >= 0) {
        dup2(null, fd);
        close(null);
    }
}

static void close_stream(struct tk_stream *stream)
{
    struct tk_carrier *carrier = stream->carrier;

    tk_stream_flush(stream);
    if (stream->out_error != 0) {
        tk_bytes_finish(&stream->out);
    }
    stream->carrier = NULL;
    carrier->ops->close(carrier, &stream->out);
    forget(stream);
    wake_all(stream);
}

void tk_stream_close(struct tk_stream *stream)
{
    if (stream->carrier != NULL) {
        close_stream(stream);
        if (stream->standard >= 0) {
            close_standard(stream->standard);
        }
    }
}

void tk_stream_collect(struct tk_stream *stream)
{
    if (stream->carrier != NULL) {
        drain(stream);
        close_stream(stream);
    }
}

int tk_stream_descriptor(const struct tk_stream *stream)
{
    return stream->carrier == NULL ? -1 : stream->carrier->ops->descriptor(stream->carrier);
}

int tk_stream_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

int tk_stream_set_nodelay(struct tk_stream *stream, bool on)
{
    int value = on;

    if (stream->carrier == NULL) {
        return TK_IO_CLOSED;
    }
    return setsockopt(tk_stream_descriptor(stream), IPPROTO_TCP, TCP_NODELAY, &value,
                      sizeof value) < 0
               ? -errno
               : 0;
}

void tk_stream_describe(const struct tk_stream *stream, char *text, size_t size)
{
    static const char *const names[] = {"tcp", "unix", "pipe", "terminal", "file"};
    const char *name = names[stream->kind < 0 ? TK_STREAM_PIPE : stream->kind];
    static const char *const standard[] = {"stdin", "stdout", "stderr"};
    int fd = tk_stream_descriptor(stream), used;

    if (stream->standard >= 0) {
        name = standard[stream->standard];
    }
    used = snprintf(text, size, "%s%s", stream->secure ? "tls " : "", name);
    if (fd < 0) {
        snprintf(text + used, size - (size_t)used, " (closed)");
    } else if (stream->kind == TK_STREAM_TCP || stream->kind == TK_STREAM_UNIX) {
        text[used++] = ' ';
        tk_address_describe(fd, text + used, size - (size_t)used);
    } else if (stream->standard < 0) {
        snprintf(text + used, size - (size_t)used, " %d", fd);
    }
}
