/*
 * Work that would stop the loop in a thread of libuv's pool. A job belongs to
 * itself: whoever waits for it may go at any time, and it frees itself when it is done. It touches
 * nothing of the scheduler's or the script's.
 */
#ifndef TK_IO_JOB_H
#define TK_IO_JOB_H

#include <stdatomic.h>

#include "core/sched.h"

struct tk_job {
    void (*run)(struct tk_job *job);     /* in a thread of the pool */
    void (*destroy)(struct tk_job *job); /* frees it; in the loop's thread */
    /* What it does, "read_file: /etc/hosts", into `text`. NULL: nothing to say. */
    void (*phrase)(const struct tk_job *job, char *text, size_t size);
    struct tk_wait *wait;  /* who waits for it; NULL: nobody */
    atomic_bool abandoned; /* nobody does any more: it may stop half-way */
    bool done;
};

/* The wait of a verb for a job: wait/job.c. */
struct tk_job_wait {
    struct tk_wait wait;
    struct tk_job *job; /* NULL: none yet, or taken */
};

/* Starts it, for `wait`. Takes the job: on failure it is destroyed. */
int tk_job_start(struct tk_sched *sched, struct tk_job *job, struct tk_wait *wait,
                 struct tk_fault *fault);

/* Nobody waits for it any more. */
void tk_job_abandon(struct tk_job *job);

/* The job of a wait that has fired is the caller's from now on, who destroys it. NULL: it is not
 * done, and is abandoned. */
struct tk_job *tk_job_take(struct tk_wait *wait);

#endif
