/* The wait of a verb for work that a thread does. Scripts have no constructor for it. */
#include "io/job.h"
#include "wait/kinds.h"

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_job_wait *held = (struct tk_job_wait *)wait;

    (void)sched;
    if (held->job != NULL) {
        tk_job_abandon(held->job);
        held->job = NULL;
    }
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    const struct tk_job_wait *held = (const struct tk_job_wait *)wait;

    if (held->job != NULL && held->job->phrase != NULL) {
        held->job->phrase(held->job, text, size);
    }
}

const struct tk_kind tk_wait_job = {
    .name = "job",
    .brief = "work is done that would stop the loop",
    .size = sizeof(struct tk_job_wait),
    .flags = TK_HIDDEN,
    .disarm = disarm,
    .phrase = phrase,
};
