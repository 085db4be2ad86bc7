/* Gates: see gate.h. */
#include "io/gate.h"

#include "loop/loop.h"

void tk_gate_fire(struct tk_gate *gate, struct tk_sched *sched)
{
    for (struct tk_list *n = gate->waits.next, *next; n != &gate->waits; n = next) {
        struct tk_gate_wait *wait = tk_container_of(n, struct tk_gate_wait, node);

        next = n->next;
        if ((wait->wait.flags & TK_VERB) == 0) {
            tk_gate_leave(wait, sched);
        }
        tk_wait_fire(&wait->wait, sched, NULL);
    }
}

void tk_gate_join(struct tk_gate_wait *wait, struct tk_sched *sched)
{
    if (tk_list_linked(&wait->node)) {
        return;
    }
    tk_list_push(&wait->gate->waits, &wait->node);
    tk_loop_of(sched)->awaited++;
    if (wait->gate->ops->came != NULL) {
        wait->gate->ops->came(wait->gate, sched);
    }
}

void tk_gate_leave(struct tk_gate_wait *wait, struct tk_sched *sched)
{
    if (!tk_list_linked(&wait->node)) {
        return;
    }
    tk_list_remove(&wait->node);
    tk_loop_of(sched)->awaited--;
    if (wait->gate->ops->gone != NULL) {
        wait->gate->ops->gone(wait->gate, sched);
    }
}
