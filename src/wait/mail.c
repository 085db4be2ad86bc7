/* A verb's wait for messages in a mailbox, whatever their names: `popleft`, `receive`,
 * `receive_batch`. Scripts have no constructor for it. */
#include <stdio.h>

#include "core/mailbox.h"
#include "wait/kinds.h"

/* Whose mailbox; how many are wanted, 0: one, which is to be given. */
static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct tk_taker *taker = (struct tk_taker *)wait;

    (void)sched;
    taker->wanted = (size_t)args[1].as.integer;
    taker->looks = taker->wanted > 0;
    taker->mail = tk_mailbox_of(args[0].as.task);
    return taker->mail == NULL ? tk_fault_memory(fault) : 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tk_taker *taker = (struct tk_taker *)wait;

    (void)fault;
    tk_mail_await(sched, taker->mail, taker);
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_mail_leave(sched, (struct tk_taker *)wait);
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    const struct tk_taker *taker = (const struct tk_taker *)wait;

    if (taker->looks) {
        snprintf(text, size, "receive_batch: %zu message%s", taker->wanted,
                 taker->wanted == 1 ? "" : "s");
    } else {
        snprintf(text, size, "receive: a message%s",
                 taker->mail == wait->task->mail ? "" : " in the mailbox of another");
    }
}

const struct tk_kind tk_wait_mail = {
    .name = "mailbox",
    .brief = "messages are in the mailbox",
    .size = sizeof(struct tk_taker),
    .flags = TK_HIDDEN,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .phrase = phrase,
};
