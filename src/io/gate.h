/*
 * A gate: where waits stand until an object lets them go on. Each object of this room has one for
 * each thing that may be waited for. Verbs and conditions stand at gates alike: their rows are in
 * the room wait.
 *
 * A wait that stands at a gate counts as one for the world outside. The gate is part of an object
 * that whoever waits keeps alive; it owns nothing.
 */
#ifndef TK_IO_GATE_H
#define TK_IO_GATE_H

#include "core/list.h"
#include "core/sched.h"

struct tk_gate;

struct tk_gate_ops {
    /* A wait has come, or one has gone. NULL: that is all the same. */
    void (*came)(struct tk_gate *gate, struct tk_sched *sched);
    void (*gone)(struct tk_gate *gate, struct tk_sched *sched);
    /* For what, in a few words: "reading from tcp 127.0.0.1:4000". */
    void (*describe)(const struct tk_gate *gate, char *text, size_t size);
};

struct tk_gate {
    const struct tk_gate_ops *ops;
    struct tk_list waits;
};

struct tk_gate_wait {
    struct tk_wait wait;
    struct tk_gate *gate;
    struct tk_list node;
    size_t need; /* what it needs to go on, in the gate's own terms */
    bool raises; /* a timeout that goes with it raises an error */
};

static inline void tk_gate_init(struct tk_gate *gate, const struct tk_gate_ops *ops)
{
    gate->ops = ops;
    tk_list_init(&gate->waits);
}

/* The first that stands there, or NULL. */
static inline struct tk_gate_wait *tk_gate_first(const struct tk_gate *gate)
{
    struct tk_list *node = tk_list_first(&gate->waits);

    return node == NULL ? NULL : tk_container_of(node, struct tk_gate_wait, node);
}

/* All that stand there fire. Verbs stand on until they are over, conditions leave. */
void tk_gate_fire(struct tk_gate *gate, struct tk_sched *sched);

/* For rows of the room wait. */
void tk_gate_join(struct tk_gate_wait *wait, struct tk_sched *sched);
void tk_gate_leave(struct tk_gate_wait *wait, struct tk_sched *sched);

#endif
