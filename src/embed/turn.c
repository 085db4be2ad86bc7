/*
 * Running: the chapter of that name, but for interrupts and dumps. What a run is, and when it is
 * over, is in mainloop.c; a turn of the loop is in loop/loop.c.
 */
#include "embed/embed.h"

/* Is there a call on the C stack that runs scripts, so that the loop must not be run? */
static bool is_inside(const struct tasklet_host *host)
{
    return host->running || host->in_uv_run || host->embed->depth > 0 || host->loop.inside ||
           host->loop.polling || host->bind->running != NULL;
}

/* May it be run? Else a negative code. */
static int check(struct tasklet_host *host)
{
    if (host->bind == NULL || host->freeing) {
        return tk_set_error(host, TASKLET_ECLOSED, "the host is closed");
    }
    if (is_inside(host)) {
        return tk_set_error(host, TASKLET_ESTATE, "the host is running");
    }
    return 0;
}

int tasklet_host_run(struct tasklet_host *host)
{
    int rc = check(host);

    if (rc < 0) {
        return rc;
    }
    if (!host->exited) {
        tk_mainloop_run(host);
    }
    return tk_host_settle(host) ? TASKLET_ECLOSED : host->last;
}

int tasklet_host_turn(struct tasklet_host *host, double seconds)
{
    int rc = check(host);

    if (rc < 0) {
        return rc;
    }
    if (seconds != seconds) {
        return tk_set_error(host, TASKLET_EINVAL, "the time is no number");
    }
    rc = !host->exited && tk_mainloop_turn(host, seconds);
    return tk_host_settle(host) ? TASKLET_ECLOSED : rc;
}

int tasklet_host_status(struct tasklet_host *host)
{
    return host->last;
}

int tasklet_host_fd(struct tasklet_host *host)
{
    return uv_backend_fd(host->loop.uv);
}

int tasklet_host_timeout(struct tasklet_host *host)
{
    return host->bind == NULL ? -1 : tk_mainloop_timeout(host);
}
