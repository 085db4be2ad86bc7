/*
 * epoll.c - a host in a loop of the program's own, which is one of epoll: the host's descriptor
 * stands among the program's, and its timeout limits how long is waited. The program's side is a
 * timer of the system's, which sends a message to a tasklet at each tick.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <tasklet.h>
#include <unistd.h>

static const char script[] = "local tasklet = require 'tasklet'\n"
                             "local sleeper = tasklet.run(tasklet.sleep, 0.025)\n"
                             "for message in tasklet.receive() do\n"
                             "    print(message.name, message.value)\n"
                             "    if message.value == 5 then break end\n"
                             "end\n"
                             "tasklet.join(sleeper)\n"
                             "print 'all ticks are there'\n";

/* Every 10 ms. */
static int make_ticker(void)
{
    struct itimerspec period;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

    memset(&period, 0, sizeof period);
    period.it_interval.tv_nsec = period.it_value.tv_nsec = 10 * 1000 * 1000;
    timerfd_settime(fd, 0, &period, NULL);
    return fd;
}

static void watch(int set, int fd)
{
    struct epoll_event event;

    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

/* The program's descriptor is readable: as many ticks as have gone by. */
static void on_ticks(int ticker, struct tasklet *receiver)
{
    static long long sent;
    uint64_t ticks;

    if (read(ticker, &ticks, sizeof ticks) != sizeof ticks) return;
    for (; ticks > 0; ticks--) {
        struct tasklet_value value = tasklet_integer(++sent);

        tasklet_send(receiver, "tick", &value); /* it runs in its turn */
    }
}

int main(void)
{
    struct tasklet_host *host;
    struct tasklet_value function;
    struct tasklet *receiver;
    int set = epoll_create1(EPOLL_CLOEXEC), ticker = make_ticker(), more, status;

    if (tasklet_host_new(NULL, &host) < 0) return 1;
    if (tasklet_load_string(host, script, "=script", &function) < 0 ||
        tasklet_start(host, NULL, &function, NULL, 0, &receiver) < 0) {
        fprintf(stderr, "epoll: %s\n", tasklet_host_error(host));
        return 1;
    }
    tasklet_release(host, &function);
    watch(set, tasklet_host_fd(host));
    watch(set, ticker);
    do {
        struct epoll_event events[8];
        int count = epoll_wait(set, events, 8, tasklet_host_timeout(host));

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == ticker) on_ticks(ticker, receiver);
        }
        more = tasklet_host_turn(host, 0); /* for the descriptor, the timeout, and what was sent */
    } while (more > 0);
    status = tasklet_host_status(host);
    tasklet_drop(receiver);
    tasklet_host_free(host);
    close(ticker);
    close(set);
    return status;
}
