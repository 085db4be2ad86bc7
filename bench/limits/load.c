/*
 * load CONNECTIONS REQUESTS SIZE COMMAND...: how much of the processor's time an echo server needs
 * for a request. Starts the command, whose first line is the port of 127.0.0.1 at which it listens,
 * opens the connections, and sends so many bytes over each, again whenever all of them have come
 * back, REQUESTS times in all; then ends it. The time is that of the server's process alone, by the
 * scheduler's count of nanoseconds, and only of the second half of the requests.
 */

#include "limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LARGEST 65536

struct connection {
    int fd;
    long got;
    long place; /* in the pattern, of what is sent next */
};

static pid_t server;
static char pattern[2 * LARGEST], received[LARGEST];

static int start_server(char **command)
{
    char line[32] = "";
    int ends[2];
    size_t used = 0;

    check(pipe(ends) == 0, "there is a pipe");
    server = fork();
    check(server >= 0, "there is a process");
    if (server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive a load that fails */
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    close(ends[1]);
    while (used < sizeof line - 1 && strchr(line, '\n') == NULL &&
           read(ends[0], line + used, 1) == 1) {
        used++;
    }
    check(atoi(line) > 0, "the server has said its port");
    return atoi(line);
}

/* The nanoseconds that the server has run. */
static double server_ns(void)
{
    char path[64];
    unsigned long long ns = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)server);
    f = fopen(path, "r");
    check(f != NULL && fscanf(f, "%llu", &ns) == 1, "the system counts what a process has run");
    fclose(f);
    return (double)ns;
}

static void open_connection(struct connection *c, int port, int set)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0,
          "the server takes all connections");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    check(epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &event) == 0, "a socket can be watched");
}

static void send_request(struct connection *c, long size)
{
    check(send(c->fd, pattern + c->place, (size_t)size, MSG_NOSIGNAL) == size,
          "a request is sent as a whole");
    c->got = 0;
}

/* True: an answer is complete. */
static int receive(struct connection *c, long size)
{
    ssize_t count = recv(c->fd, received, sizeof received, 0);

    if (count < 0 && errno == EAGAIN) {
        return 0;
    }
    check(count > 0 && c->got + count <= size, "the server answers, and with no more than came");
    check(memcmp(received, pattern + c->place + c->got, (size_t)count) == 0,
          "the answer is what was sent");
    c->got += count;
    if (c->got < size) {
        return 0;
    }
    c->place = (c->place + 7) % LARGEST;
    return 1;
}

static void allow_descriptors(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    long count = count_argument(argc, argv, 1), requests = count_argument(argc, argv, 2);
    long size = count_argument(argc, argv, 3), done = 0, sent = 0;
    struct connection *all = calloc((size_t)count, sizeof *all);
    int set = epoll_create1(EPOLL_CLOEXEC), port;
    double begun = 0;

    check(all != NULL && set >= 0 && argc > 4 && size <= LARGEST, "the arguments can be used");
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (char)(i % 251);
    }
    allow_descriptors();
    port = start_server(argv + 4);
    for (long i = 0; i < count; i++) {
        open_connection(&all[i], port, set);
    }
    for (long i = 0; i < count; i++, sent++) {
        send_request(&all[i], size);
    }
    while (done < requests) {
        struct epoll_event events[256];
        int ready = epoll_wait(set, events, 256, 10000);

        check(ready > 0, "the server goes on");
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;

            if (!receive(c, size)) {
                continue;
            }
            if (++done == requests / 2) {
                begun = server_ns();
            }
            if (sent < requests) {
                sent++;
                send_request(c, size);
            }
        }
    }
    report("echo", (server_ns() - begun) / (double)(requests - requests / 2), "ns");
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    free(all);
    return 0;
}
