/* Sockets that are no streams: see socket.h. */
#include "io/socket.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/address.h"
#include "io/hub.h"
#include "io/raw.h"

/* Milliseconds until it is tried again where there were no descriptors. */
#define RETRY 100

struct tk_socket_poll {
    struct tk_hub_handle handle;
    struct tk_starved starved;
    struct tk_loop *loop;
    struct tk_socket *socket; /* NULL: closed */
    uv_poll_t poll;
    uv_timer_t retry;
    int interest;
    int open; /* handles that libuv has not let go of */
};

/* ---- polling ---- */

static void on_poll(uv_poll_t *handle, int status, int events);

bool tk_socket_owns(const uv_handle_t *handle)
{
    return handle->type == UV_POLL && ((const uv_poll_t *)handle)->poll_cb == on_poll;
}

static void set_interest(struct tk_socket_poll *poll, int wanted)
{
    if (wanted != poll->interest) {
        poll->interest = wanted;
        if (wanted == 0) {
            uv_poll_stop(&poll->poll);
        } else {
            uv_poll_start(&poll->poll, wanted, on_poll);
        }
    }
}

static int wanted_by(const struct tk_socket *socket)
{
    return (tk_list_empty(&socket->in.waits) ? 0 : UV_READABLE) |
           (tk_list_empty(&socket->out.waits) ? 0 : UV_WRITABLE);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct tk_socket_poll *poll = tk_container_of(handle, struct tk_socket_poll, poll);
    struct tk_socket *socket = poll->socket;

    if (status < 0) {
        poll->interest = 0; /* libuv has stopped it; the next call says what is wrong */
        events = UV_READABLE | UV_WRITABLE;
    }
    if ((events & UV_READABLE) != 0) {
        tk_gate_fire(&socket->in, socket->sched);
    }
    if ((events & UV_WRITABLE) != 0) {
        tk_gate_fire(&socket->out, socket->sched);
    }
    set_interest(poll, poll->interest & wanted_by(socket));
}

void tk_socket_go_on(struct tk_socket *socket)
{
    struct tk_socket_poll *poll = socket->poll;

    if (poll != NULL && !tk_list_linked(&poll->starved.node)) {
        set_interest(poll, poll->interest | wanted_by(socket));
    }
}

static void in_came(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    tk_socket_go_on(tk_container_of(gate, struct tk_socket, in));
}

static void out_came(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    tk_socket_go_on(tk_container_of(gate, struct tk_socket, out));
}

static void describe(const char *verb, const struct tk_socket *socket, char *text, size_t size)
{
    int used = snprintf(text, size, "%s ", verb);

    tk_socket_describe(socket, text + used, size - (size_t)used);
}

static void describe_in(const struct tk_gate *gate, char *text, size_t size)
{
    const struct tk_socket *socket = tk_container_of(gate, const struct tk_socket, in);

    describe(socket->in_verb, socket, text, size);
}

static void describe_out(const struct tk_gate *gate, char *text, size_t size)
{
    const struct tk_socket *socket = tk_container_of(gate, const struct tk_socket, out);

    describe(socket->out_verb, socket, text, size);
}

static const struct tk_gate_ops in_ops = {.came = in_came, .describe = describe_in};
static const struct tk_gate_ops out_ops = {.came = out_came, .describe = describe_out};

/* ---- the object ---- */

void tk_socket_init(struct tk_socket *socket, const char *name, const char *in_verb,
                    const char *out_verb)
{
    memset(socket, 0, sizeof *socket);
    socket->fd = -1;
    socket->name = name;
    socket->in_verb = in_verb;
    socket->out_verb = out_verb;
    tk_gate_init(&socket->in, &in_ops);
    tk_gate_init(&socket->out, &out_ops);
}

static void let_go(struct tk_socket_poll *poll)
{
    tk_loop_closed(poll->loop);
    if (--poll->open == 0) {
        free(poll);
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    let_go(tk_container_of((uv_poll_t *)handle, struct tk_socket_poll, poll));
}

static void on_retry_closed(uv_handle_t *handle)
{
    let_go(tk_container_of((uv_timer_t *)handle, struct tk_socket_poll, retry));
}

void tk_socket_close(struct tk_socket *socket)
{
    struct tk_socket_poll *poll = socket->poll;

    if (poll == NULL) {
        return;
    }
    socket->poll = NULL;
    poll->socket = NULL;
    tk_list_remove(&poll->handle.node);
    tk_list_remove(&poll->starved.node);
    uv_close((uv_handle_t *)&poll->poll, on_poll_closed);
    uv_close((uv_handle_t *)&poll->retry, on_retry_closed);
    tk_hub_close_descriptor(poll->loop->hub, socket->fd);
    socket->fd = -1;
    tk_gate_fire(&socket->in, socket->sched);
    tk_gate_fire(&socket->out, socket->sched);
}

static void leave(struct tk_hub_handle *handle)
{
    tk_socket_close(tk_container_of(handle, struct tk_socket_poll, handle)->socket);
}

static void again(struct tk_starved *starved)
{
    struct tk_socket_poll *poll = tk_container_of(starved, struct tk_socket_poll, starved);

    uv_timer_stop(&poll->retry);
    tk_socket_go_on(poll->socket);
}

static void on_retry(uv_timer_t *timer)
{
    struct tk_socket_poll *poll = tk_container_of(timer, struct tk_socket_poll, retry);

    tk_list_remove(&poll->starved.node);
    tk_socket_go_on(poll->socket);
}

int tk_socket_open(struct tk_socket *socket, struct tk_sched *sched, int fd)
{
    struct tk_loop *loop = tk_loop_of(sched);
    struct tk_hub *hub = tk_hub_of(loop);
    struct tk_socket_poll *poll = hub == NULL ? NULL : calloc(1, sizeof *poll);
    int rc = poll == NULL ? UV_ENOMEM : uv_poll_init(loop->uv, &poll->poll, fd);

    if (rc < 0) {
        free(poll);
        close(fd);
        return rc;
    }
    uv_timer_init(loop->uv, &poll->retry);
    uv_unref((uv_handle_t *)&poll->poll);
    uv_unref((uv_handle_t *)&poll->retry);
    tk_loop_opened(loop);
    tk_loop_opened(loop);
    poll->open = 2;
    poll->loop = loop;
    poll->socket = socket;
    poll->handle.close = leave;
    poll->starved.again = again;
    tk_list_push(&hub->handles, &poll->handle.node);
    socket->sched = sched;
    socket->poll = poll;
    socket->fd = fd;
    return 0;
}

void tk_socket_describe(const struct tk_socket *socket, char *text, size_t size)
{
    struct tk_address address;
    int used;

    if (socket->poll == NULL || tk_address_of(socket->fd, false, &address) < 0) {
        snprintf(text, size, "%s (closed)", socket->name);
        return;
    }
    used = snprintf(text, size, "%s ", socket->name);
    tk_address_write(&address, text + used, size - (size_t)used);
}

/* ---- listening ---- */

/* A socket's path that nobody listens at any more is taken away; what is no socket is left alone.
 * One that listens and whose line is full says so at once. */
static void remove_dead(const struct tk_listen *listen)
{
    const struct sockaddr_un *un = (const void *)&listen->address;
    struct stat stat;
    int fd;

    if (un->sun_path[0] == '\0' || lstat(un->sun_path, &stat) < 0 || !S_ISSOCK(stat.st_mode)) {
        return;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        if (connect(fd, (const struct sockaddr *)un, listen->size) < 0 && errno == ECONNREFUSED) {
            unlink(un->sun_path);
        }
        close(fd);
    }
}

static int make(const struct tk_listen *listen, int type)
{
    int family = listen->address.ss_family, on = 1, error;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    if (family == AF_UNIX) {
        remove_dead(listen);
    } else if (type == SOCK_STREAM) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if ((listen->reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
        bind(fd, (const struct sockaddr *)&listen->address, listen->size) < 0) {
        error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int tk_socket_listen(const struct tk_listen *what)
{
    int fd = make(what, SOCK_STREAM), error;

    if (fd >= 0 && listen(fd, what->backlog) < 0) {
        error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

static bool is_starving(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* The connection went before it was accepted, or its network did. */
static bool is_of_peer(int error)
{
    return error == ECONNABORTED || error == EPROTO || error == ENETDOWN || error == EHOSTDOWN ||
           error == ENONET || error == EHOSTUNREACH || error == ENETUNREACH || error == EPERM;
}

int tk_socket_accept(struct tk_socket *socket)
{
    struct tk_socket_poll *poll = socket->poll;
    int fd, on = 1;

    do {
        fd = accept4(socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* if it is of TCP */
        return fd;
    }
    if (is_starving(errno)) {
        if (!tk_list_linked(&poll->starved.node)) {
            tk_list_push(&poll->loop->hub->starved, &poll->starved.node);
            uv_timer_start(&poll->retry, on_retry, RETRY, 0);
            set_interest(poll, poll->interest & ~UV_READABLE);
        }
        return -EAGAIN;
    }
    return is_of_peer(errno) ? -EAGAIN : -errno; /* others have their turn before the next */
}

/* ---- datagrams ---- */

int tk_socket_datagram(const struct tk_listen *listen)
{
    return make(listen, SOCK_DGRAM);
}

ssize_t tk_socket_receive(struct tk_socket *socket, const char **data,
                          struct sockaddr_storage *from, socklen_t *size)
{
    char *buffer = socket->poll->loop->hub->buffer;
    ssize_t count;

    *data = buffer;
    *size = sizeof *from;
    do {
        count = recvfrom(socket->fd, buffer, TK_HUB_BUFFER, MSG_DONTWAIT, (struct sockaddr *)from,
                         size);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

int tk_socket_send(struct tk_socket *socket, const char *data, size_t count,
                   const struct sockaddr_storage *to, socklen_t size)
{
    ssize_t sent;

    do {
        sent = sendto(socket->fd, data, count, MSG_DONTWAIT | MSG_NOSIGNAL,
                      (const struct sockaddr *)to, size);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* The number of an interface by its name or number. */
static unsigned interface_number(const char *interface)
{
    unsigned number = if_nametoindex(interface);

    return number != 0 ? number : (unsigned)strtoul(interface, NULL, 10);
}

int tk_socket_member(struct tk_socket *socket, const char *group, const char *interface, bool joins)
{
    struct sockaddr_storage at, of;
    socklen_t size = tk_address_parse(group, 0, &at);
    int rc;

    if (size == 0) {
        return -EINVAL;
    }
    if (at.ss_family == AF_INET6) {
        struct ipv6_mreq request = {.ipv6mr_multiaddr = ((struct sockaddr_in6 *)&at)->sin6_addr};

        if (interface != NULL && (request.ipv6mr_interface = interface_number(interface)) == 0) {
            return -ENODEV;
        }
        rc = setsockopt(socket->fd, IPPROTO_IPV6, joins ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP,
                        &request, sizeof request);
    } else {
        struct ip_mreqn request = {.imr_multiaddr = ((struct sockaddr_in *)&at)->sin_addr};

        if (interface != NULL && tk_address_parse(interface, 0, &of) > 0 &&
            of.ss_family == AF_INET) {
            request.imr_address = ((struct sockaddr_in *)&of)->sin_addr;
        } else if (interface != NULL &&
                   (request.imr_ifindex = (int)interface_number(interface)) == 0) {
            return -ENODEV;
        }
        rc = setsockopt(socket->fd, IPPROTO_IP, joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                        &request, sizeof request);
    }
    return rc < 0 ? -errno : 0;
}
