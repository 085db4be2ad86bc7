/*
 * function.c - functions of the program's that scripts call: one that answers at once, and one that
 * waits. The second gives a job to a thread and suspends the tasklet that called; the script reads
 * straight on, and others run meanwhile. A kill or a deadline ends such a call as it ends any wait.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tasklet.h>

static const char script[] = "local tasklet = require 'tasklet'\n"
                             "print(text.count('banana', 'a'))\n"
                             "print(pcall(function() text.count('banana') end))\n"
                             "local jobs = {}\n"
                             "for i, word in ipairs{'one', 'two', 'three'} do\n"
                             "    jobs[i] = tasklet.run(function() return text.reverse(word) end)\n"
                             "end\n"
                             "print(jobs[1].waiting_for)\n"
                             "print(table.concat(tasklet.join_all(jobs), ' '))\n"
                             "print(pcall(function() text.reverse('') end))\n";

/* count(text, letter) */
static int count(struct tasklet_call *call, void *context)
{
    const char *text, *letter;
    struct tasklet_value result;
    long long found = 0;

    (void)context;
    if (tasklet_arg_string(call, 1, &text, NULL) < 0 ||
        tasklet_arg_string(call, 2, &letter, NULL) < 0) {
        return TASKLET_EINVAL; /* the script's error says what was wrong */
    }
    for (; *text != '\0'; text++) {
        found += *text == *letter;
    }
    result = tasklet_integer(found);
    return tasklet_return(call, &result, 1);
}

struct job {
    struct tasklet_pending *pending;
    size_t length;
    char text[];
};

/* In a thread of its own. */
static void *do_job(void *arg)
{
    struct job *job = arg;
    struct tasklet_value result = tasklet_bytes(job->text, job->length);

    for (size_t i = 0; i < job->length / 2; i++) {
        char letter = job->text[i];

        job->text[i] = job->text[job->length - 1 - i];
        job->text[job->length - 1 - i] = letter;
    }
    if (job->length == 0) {
        tasklet_abort(job->pending, "there is nothing to reverse");
    } else {
        tasklet_complete(job->pending, &result, 1); /* copies */
    }
    free(job);
    return NULL;
}

/* reverse(text): waits until a thread has done it. */
static int reverse(struct tasklet_call *call, void *context)
{
    struct job *job;
    pthread_t thread;
    const char *text;
    size_t length;
    int rc;

    (void)context;
    if (tasklet_arg_string(call, 1, &text, &length) < 0) return TASKLET_EINVAL;
    job = malloc(sizeof *job + length);
    if (job == NULL) return TASKLET_ENOMEM;
    job->length = length;
    memcpy(job->text, text, length);
    rc = tasklet_suspend(call, "reverse: a thread", NULL, NULL, &job->pending);
    if (rc < 0) {
        free(job); /* the caller cannot wait */
    } else if (pthread_create(&thread, NULL, do_job, job) == 0) {
        pthread_detach(thread);
    } else {
        tasklet_abort(job->pending, "no thread can be had");
        free(job);
    }
    return rc;
}

int main(void)
{
    struct tasklet_value module, function;
    struct tasklet_host *host;
    int status;

    if (tasklet_host_new(NULL, &host) < 0) return 1;
    if (tasklet_table_new(host, &module) < 0 || tasklet_global_set(host, "text", &module) < 0 ||
        tasklet_define(host, "text.count", count, NULL) < 0 ||
        tasklet_define(host, "text.reverse", reverse, NULL) < 0 ||
        tasklet_load_string(host, script, "=function", &function) < 0 ||
        tasklet_start(host, NULL, &function, NULL, 0, NULL) < 0) {
        fprintf(stderr, "function: %s\n", tasklet_host_error(host));
        return 1;
    }
    tasklet_release(host, &module);
    tasklet_release(host, &function);
    status = tasklet_host_run(host);
    tasklet_host_free(host);
    return status;
}
