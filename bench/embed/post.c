/*
 * post N: what it costs to bring something from another thread to the host's. A thread sends N
 * numbers as fast as it can; the time is until the last one is there. `port_call` brings each to a
 * C function; `post` sends each as a message to a script, which hands it on to a C function.
 */

#include <pthread.h>

#include "../limits/limit.h"

#include "tasklet.h"

struct sender {
    struct tasklet_port *port;
    unsigned long long to;
    long count;
};

static long received;
static long long sum;

static void take_call(void *context, struct tasklet_host *host)
{
    (void)host;
    sum += (long long)(intptr_t)context;
    received++;
}

static int take_message(struct tasklet_call *call, void *context)
{
    (void)context;
    sum += tasklet_arg(call, 1).as.integer;
    received++;
    return 0;
}

static void *send_calls(void *arg)
{
    struct sender *sender = arg;

    for (long i = 1; i <= sender->count; i++) {
        check(tasklet_port_call(sender->port, take_call, (void *)(intptr_t)i) == 0, "a call");
    }
    tasklet_port_drop(sender->port);
    return NULL;
}

static void *send_posts(void *arg)
{
    struct sender *sender = arg;

    for (long i = 1; i <= sender->count; i++) {
        struct tasklet_value value = tasklet_integer(i);

        check(tasklet_post(sender->port, sender->to, "n", &value) == 0, "a post");
    }
    tasklet_post(sender->port, sender->to, "end", NULL);
    tasklet_port_drop(sender->port);
    return NULL;
}

static double measure(void *(*send)(void *), const char *script, long count)
{
    struct sender sender = {.count = count};
    struct tasklet_value function;
    struct tasklet_host *host;
    struct tasklet *t;
    pthread_t thread;
    double start;

    received = 0;
    sum = 0;
    check(tasklet_host_new(NULL, &host) == 0, "there is a host");
    check(tasklet_define(host, "take", take_message, NULL) == 0 &&
              tasklet_load_string(host, script, "=post", &function) == 0 &&
              tasklet_start(host, NULL, &function, NULL, 0, &t) == 0,
          "there is a tasklet");
    tasklet_release(host, &function);
    sender.port = tasklet_port_new(host);
    sender.to = tasklet_id(t);
    check(sender.port != NULL && sender.to != 0, "there is a port");
    start = now_ns();
    check(pthread_create(&thread, NULL, send, &sender) == 0, "there is a thread");
    tasklet_host_run(host); /* until the port is dropped, at the latest */
    start = now_ns() - start;
    pthread_join(thread, NULL);
    check(received == count && sum == (long long)count * (count + 1) / 2, "all have come");
    tasklet_drop(t);
    tasklet_host_free(host);
    return start / (double)count;
}

int main(int argc, char **argv)
{
    static const char wait[] = "require 'tasklet'.receive()()";
    static const char take[] = "for message in require 'tasklet'.receive() do\n"
                               "    if message.name == 'end' then break end\n"
                               "    take(message.value)\n"
                               "end\n";
    long count = count_argument(argc, argv, 1);

    report("port_call", measure(send_calls, wait, count), "ns");
    report("post", measure(send_posts, take, count), "ns");
    return 0;
}
