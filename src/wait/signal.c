/*
 * WaitForSignal: an emitter, or any instance of a class of them, emits a signal. The operating
 * system's signals are those of an emitter, too, so there is no other kind for them.
 */
#include <stdio.h>
#include <string.h>

#include "core/source.h"
#include "wait/kinds.h"

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct tk_signal_wait *signal = (struct tk_signal_wait *)wait;
    struct tk_source *source = args[0].as.source;
    const char *name = args[1].as.string;

    if (source->destroyed) {
        return tk_fault_set(fault, TK_ESTATE, "the emitter is destroyed");
    }
    signal->topic = tk_source_topic(source, sched, name, strlen(name));
    if (signal->topic == NULL) {
        tk_fault_set(fault, TK_EINVAL, "unknown signal '%.60s'", name);
        fault->arg = 1;
        return fault->code;
    }
    if (signal->topic->source != source) {
        /* Declared by a class of the emitter: the wait is for this emitter alone. */
        signal->topic = tk_source_declare(source, sched, name, strlen(name));
        if (signal->topic == NULL) {
            return tk_fault_memory(fault);
        }
    }
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_signal_wait *signal = (struct tk_signal_wait *)wait;
    struct tk_source *source;

    (void)sched;
    if (signal->topic == NULL || signal->topic->source->destroyed) {
        return tk_fault_set(fault, TK_ESTATE, "the emitter is destroyed");
    }
    source = signal->topic->source;
    if (source->listen != NULL && tk_list_empty(&signal->topic->waits)) {
        int rc = source->listen(source, signal->topic, true, fault);

        if (rc < 0) {
            return rc;
        }
    }
    tk_list_push(&signal->topic->waits, &signal->node);
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_signal_wait *signal = (struct tk_signal_wait *)wait;

    (void)sched;
    if (!tk_list_linked(&signal->node)) {
        return;
    }
    tk_list_remove(&signal->node);
    if (signal->topic != NULL && tk_list_empty(&signal->topic->waits) &&
        signal->topic->source->listen != NULL) {
        signal->topic->source->listen(signal->topic->source, signal->topic, false, NULL);
    }
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    const struct tk_signal_wait *signal = (const struct tk_signal_wait *)wait;

    snprintf(text, size, "\"%s\"", signal->topic == NULL ? "gone" : signal->topic->name->text);
}

static void get_destroyed(const struct tk_wait *wait, struct tk_arg *arg)
{
    /* What was emitted before the end is delivered before it. */
    arg->as.boolean = ((const struct tk_signal_wait *)wait)->destroyed && wait->pending == 0;
}

static const struct tk_param params[] = {
    {.name = "object", .type = TK_SOURCE, .keep = 1},
    {.name = "name", .type = TK_STRING},
    {.type = TK_END},
};

/* A firing carries a pair: the list of what was emitted, and the emitter. */
static const struct tk_field fields[] = {
    {.name = "signal_args", .type = TK_LIST, .keep = 2, .item = 1},
    {.name = "object", .type = TK_VALUE, .keep = 2, .item = 2, .otherwise = 1},
    {.name = "destroyed", .type = TK_BOOLEAN, .get = get_destroyed},
    {.type = TK_END},
};

const struct tk_kind tk_wait_signal = {
    .name = "WaitForSignal",
    .brief = "an object emits a signal",
    .params = params,
    .fields = fields,
    .size = sizeof(struct tk_signal_wait),
    .values = 2,
    .payload = 2,
    .flags = TK_REPEATS | TK_STANDS,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .describe = describe,
};
