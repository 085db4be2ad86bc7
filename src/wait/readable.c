/* s:readable(): a stream could be read from without waiting; or it never can any more. */
#include "io/stream.h"
#include "wait/kinds.h"

struct readable {
    struct tk_gate_wait own; /* first */
    struct tk_stream *stream;
};

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct readable *readable = (struct readable *)wait;

    (void)sched;
    (void)fault;
    readable->stream = args[0].as.stream;
    readable->own.gate = &readable->stream->readable;
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct readable *readable = (struct readable *)wait;

    (void)fault;
    if (tk_stream_is_readable(readable->stream)) {
        tk_wait_fire(wait, sched, NULL);
    } else {
        tk_gate_join(&readable->own, sched);
    }
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_gate_leave((struct tk_gate_wait *)wait, sched);
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    tk_stream_describe(((const struct readable *)wait)->stream, text, size);
}

static const struct tk_param params[] = {
    {.name = "stream", .type = TK_STREAM, .keep = 1},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "stream", .type = TK_VALUE, .keep = 1},
    {.type = TK_END},
};

const struct tk_kind tk_wait_readable = {
    .name = "readable",
    .brief = "a stream could be read from without waiting",
    .params = params,
    .fields = fields,
    .size = sizeof(struct readable),
    .values = 1,
    .flags = TK_OUTSIDE | TK_METHOD,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .describe = describe,
};
