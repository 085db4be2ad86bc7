/* The wait of a call for the answer to its message, or for the end of who was called. It owns the
 * answer until that is taken. Scripts have no constructor for it. */
#include <stdio.h>

#include "core/mailbox.h"
#include "wait/kinds.h"

/* Who is called, and the serial number of the call. */
static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct tk_answer *answer = (struct tk_answer *)wait;

    (void)sched;
    (void)fault;
    answer->target = args[0].as.task;
    answer->serial = (uint64_t)args[1].as.integer;
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_answer *answer = (struct tk_answer *)wait;
    struct tk_mailbox *mail = tk_mailbox_of(answer->target);

    (void)sched;
    if (mail == NULL) {
        return tk_fault_memory(fault);
    }
    tk_list_push(&mail->askers, &answer->node);
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_answer *answer = (struct tk_answer *)wait;

    tk_list_remove(&answer->node);
    if (answer->payload != NULL) {
        sched->hooks->drop(sched->context, answer->payload);
        answer->payload = NULL;
    }
}

static struct tk_task *target(const struct tk_wait *wait)
{
    return ((const struct tk_answer *)wait)->target;
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    (void)wait;
    snprintf(text, size, "call: an answer of");
}

const struct tk_kind tk_wait_answer = {
    .name = "answer",
    .brief = "the message is answered, or its receiver ends",
    .size = sizeof(struct tk_answer),
    .flags = TK_HIDDEN,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .phrase = phrase,
    .target = target,
};
