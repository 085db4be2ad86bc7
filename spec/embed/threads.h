/* What the tests of threads, calls and conditions share. */
#ifndef TK_EMBED_THREADS_H
#define TK_EMBED_THREADS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "script.h"

/* How much of some work is done: TASKLET_PATIENCE says how many times slower than usual the program
 * may run. */
static inline int work(int count)
{
    const char *text = getenv("TASKLET_PATIENCE");
    int patience = text == NULL ? 1 : atoi(text);

    return patience > 1 ? count / patience : count;
}

/* What no test expects is to be seen. */
static inline void show(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "%s\n", text);
}

/* A host that shows errors, and in which `tasklet` is a global variable. */
static inline struct tasklet_host *host_made(void)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;

    tasklet_options_init(&options);
    options.on_error = show;
    options.capabilities = TASKLET_ALL;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    perform(host, "tasklet = require 'tasklet'");
    return host;
}

/* The global variable as tostring shows it. */
static inline void assert_shown(struct tasklet_host *host, const char *name, const char *text)
{
    struct tasklet_value value, shown;

    assert_int_equal(tasklet_global_get(host, name, &value), 0);
    assert_int_equal(tasklet_tostring(host, &value, &shown), 0);
    assert_string_equal(shown.as.bytes, text);
    tasklet_release(host, &value);
}

static inline long long global_integer(struct tasklet_host *host, const char *name)
{
    struct tasklet_value value;

    assert_int_equal(tasklet_global_get(host, name, &value), 0);
    assert_int_equal(value.type, TASKLET_INTEGER);
    return value.as.integer;
}

static inline void set_integer(struct tasklet_host *host, const char *name, long long integer)
{
    struct tasklet_value value = tasklet_integer(integer);

    assert_int_equal(tasklet_global_set(host, name, &value), 0);
}

/* Runs a host, which ends with that status. */
static inline void run_to(struct tasklet_host *host, int status)
{
    assert_int_equal(tasklet_host_run(host), status);
}

#endif
