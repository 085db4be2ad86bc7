/* Jobs: see job.h. libuv's request lies in front of nothing of ours, so that it can outlive all. */
#include "io/job.h"

#include <stdlib.h>

#include "loop/loop.h"

struct request {
    uv_work_t work;
    struct tk_loop *loop;
    struct tk_job *job;
};

static void run(uv_work_t *work)
{
    struct tk_job *job = tk_container_of(work, struct request, work)->job;

    if (!atomic_load(&job->abandoned)) {
        job->run(job);
    }
}

static void after(uv_work_t *work, int status)
{
    struct request *request = tk_container_of(work, struct request, work);
    struct tk_job *job = request->job;
    struct tk_loop *loop = request->loop;

    (void)status; /* only one that is abandoned is ever cancelled */
    free(request);
    loop->jobs--;
    job->done = true;
    if (job->wait == NULL) {
        job->destroy(job);
    } else {
        tk_wait_fire(job->wait, &loop->sched, NULL);
    }
}

int tk_job_start(struct tk_sched *sched, struct tk_job *job, struct tk_wait *wait,
                 struct tk_fault *fault)
{
    struct tk_loop *loop = tk_loop_of(sched);
    struct request *request = malloc(sizeof *request);
    int rc;

    if (request == NULL) {
        job->destroy(job);
        return tk_fault_memory(fault);
    }
    request->work.data = NULL;
    request->loop = loop;
    request->job = job;
    atomic_init(&job->abandoned, false);
    job->done = false;
    job->wait = wait;
    rc = uv_queue_work(loop->uv, &request->work, run, after);
    if (rc < 0) {
        free(request);
        job->destroy(job);
        return tk_fault_set(fault, TK_ESYS, "%s", uv_strerror(rc));
    }
    loop->jobs++;
    ((struct tk_job_wait *)wait)->job = job;
    return 0;
}

void tk_job_abandon(struct tk_job *job)
{
    job->wait = NULL;
    if (job->done) {
        job->destroy(job);
    } else {
        atomic_store(&job->abandoned, true);
    }
}

struct tk_job *tk_job_take(struct tk_wait *wait)
{
    struct tk_job_wait *held = (struct tk_job_wait *)wait;
    struct tk_job *job = held->job;

    held->job = NULL;
    if (job != NULL && !job->done) {
        tk_job_abandon(job);
        return NULL;
    }
    return job;
}
