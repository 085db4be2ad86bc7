/* A verb's wait at a gate of an object of the room io. Scripts have no constructor for it. */
#include "io/gate.h"

#include "wait/kinds.h"

/* The gate, and what the wait needs to go on. */
static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct tk_gate_wait *own = (struct tk_gate_wait *)wait;

    (void)sched;
    (void)fault;
    own->gate = args[0].as.gate;
    own->need = (size_t)args[1].as.integer;
    own->raises = args[2].as.boolean;
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    (void)fault;
    tk_gate_join((struct tk_gate_wait *)wait, sched);
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_gate_leave((struct tk_gate_wait *)wait, sched);
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    const struct tk_gate *gate = ((const struct tk_gate_wait *)wait)->gate;

    gate->ops->describe(gate, text, size);
}

const struct tk_kind tk_wait_gate = {
    .name = "gate",
    .brief = "an object lets it go on",
    .size = sizeof(struct tk_gate_wait),
    .flags = TK_OUTSIDE | TK_STANDS | TK_HIDDEN,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .phrase = phrase,
};
