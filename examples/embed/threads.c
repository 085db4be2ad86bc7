/*
 * threads.c - worker threads that tell a script what they have found. Each counts the primes of a
 * part of the numbers and posts what it has to the tasklet that sums up; the script is written as
 * if there were no threads. What arrives first is printed first, so the script sorts before it
 * prints.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <tasklet.h>

enum { WORKERS = 4, PART = 25000 };

static const char script[] = "local tasklet = require 'tasklet'\n"
                             "local workers = ...\n"
                             "local lines, total = {}, 0\n"
                             "for message in tasklet.receive() do\n"
                             "    if message.name == 'part' then\n"
                             "        lines[#lines + 1] = message.value\n"
                             "    elseif message.name == 'count' then\n"
                             "        total = total + message.value\n"
                             "        workers = workers - 1\n"
                             "        if workers == 0 then break end\n"
                             "    end\n"
                             "end\n"
                             "table.sort(lines)\n"
                             "print(table.concat(lines, '\\n'))\n"
                             "print('all', total)\n";

struct worker {
    pthread_t thread;
    struct tasklet_port *port;
    unsigned long long to; /* the tasklet */
    int first;
};

static int is_prime(int number)
{
    for (int i = 2; i * i <= number; i++) {
        if (number % i == 0) return 0;
    }
    return number > 1;
}

/* The thread's last post is out before it lets go of the port. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    struct tasklet_value value;
    char text[100];
    int count = 0;

    for (int i = 0; i < PART; i++) {
        count += is_prime(worker->first + i);
    }
    snprintf(text, sizeof text, "from %6d\t%d", worker->first, count);
    value = tasklet_string(text); /* copied by the post */
    tasklet_post(worker->port, worker->to, "part", &value);
    value = tasklet_integer(count);
    tasklet_post(worker->port, worker->to, "count", &value);
    tasklet_port_drop(worker->port);
    return NULL;
}

int main(void)
{
    struct tasklet_value function, count = tasklet_integer(WORKERS);
    struct worker workers[WORKERS];
    struct tasklet_host *host;
    struct tasklet_port *port;
    struct tasklet *t;
    int status;

    if (tasklet_host_new(NULL, &host) < 0) return 1;
    if (tasklet_load_string(host, script, "=threads", &function) < 0 ||
        tasklet_start(host, NULL, &function, &count, 1, &t) < 0) {
        fprintf(stderr, "threads: %s\n", tasklet_host_error(host));
        return 1;
    }
    tasklet_release(host, &function);
    port = tasklet_port_new(host);
    if (port == NULL) return 1;
    for (int i = 0; i < WORKERS; i++) {
        workers[i].port = tasklet_port_hold(port);
        workers[i].to = tasklet_id(t);
        workers[i].first = i * PART;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) abort();
    }
    tasklet_port_drop(port); /* each worker has its own hold */
    status = tasklet_host_run(host);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    tasklet_drop(t);
    tasklet_host_free(host);
    return status;
}
