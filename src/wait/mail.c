/* A verb's wait for any message in a mailbox: `popleft`, `receive`. Scripts have no constructor for
 * it. */
#include "core/mailbox.h"
#include "wait/kinds.h"

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_watch *watch = (struct tk_watch *)wait;
    struct tk_mailbox *mail = tk_mailbox_of(watch->target);

    if (mail == NULL) {
        return tk_fault_memory(fault);
    }
    if (mail->count > 0) {
        tk_wait_fire(wait, sched, NULL);
    } else {
        tk_list_push(&mail->takers, &watch->node);
    }
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    (void)sched;
    tk_list_remove(&((struct tk_watch *)wait)->node);
}

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    (void)sched;
    (void)fault;
    ((struct tk_watch *)wait)->target = args[0].as.task;
    return 0;
}

const struct tk_kind tk_wait_mail = {
    .name = "mailbox",
    .brief = "a message is in the mailbox",
    .size = sizeof(struct tk_watch),
    .flags = TK_HIDDEN,
    .init = init,
    .arm = arm,
    .disarm = disarm,
};
