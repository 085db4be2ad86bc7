/* Wait conditions on streams: see poll.h. */
#include "io/poll.h"

const struct tk_param tk_poll_params[] = {
    {.name = "stream", .type = TK_STREAM, .keep = 1},
    {.type = TK_END},
};

const struct tk_field tk_poll_fields[] = {
    {.name = "stream", .type = TK_VALUE, .keep = 1},
    {.type = TK_END},
};

int tk_poll_init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                 struct tk_fault *fault)
{
    (void)sched;
    (void)fault;
    ((struct tk_poll_wait *)wait)->stream = args[0].as.stream;
    return 0;
}

void tk_poll_arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_gate *gate, bool ready)
{
    struct tk_poll_wait *poll = (struct tk_poll_wait *)wait;

    poll->own.gate = gate;
    if (ready) {
        tk_wait_fire(wait, sched, NULL);
    } else {
        tk_gate_join(&poll->own, sched);
    }
}

void tk_poll_disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_gate_leave((struct tk_gate_wait *)wait, sched);
}

void tk_poll_describe(const struct tk_wait *wait, char *text, size_t size)
{
    tk_stream_describe(((const struct tk_poll_wait *)wait)->stream, text, size);
}
