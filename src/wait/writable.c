/* s:writable(): a stream could be written to without waiting; or it never can any more. */
#include "io/poll.h"
#include "wait/kinds.h"

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_stream *stream = ((struct tk_poll_wait *)wait)->stream;

    (void)fault;
    tk_poll_arm(wait, sched, &stream->writable, tk_stream_is_writable(stream));
    return 0;
}

const struct tk_kind tk_wait_writable = {
    .name = "writable",
    .brief = "a stream could be written to without waiting",
    .params = tk_poll_params,
    .fields = tk_poll_fields,
    .size = sizeof(struct tk_poll_wait),
    .values = 1,
    .flags = TK_OUTSIDE | TK_METHOD,
    .init = tk_poll_init,
    .arm = arm,
    .disarm = tk_poll_disarm,
    .describe = tk_poll_describe,
};
