/* A sender's wait for room in a full mailbox. Once it is armed the message is put outside
 * (tk_mail_send); if it is disarmed before the message is in, that is taken back. Scripts have no
 * constructor for it. */
#include <stdio.h>

#include "core/mailbox.h"
#include "wait/kinds.h"

/* Whose mailbox. */
static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    (void)sched;
    (void)fault;
    ((struct tk_room *)wait)->target = args[0].as.task;
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_mail_withdraw(sched, (struct tk_room *)wait);
}

static struct tk_task *target(const struct tk_wait *wait)
{
    return ((const struct tk_room *)wait)->target;
}

/* One that waits for more than room, which it has, says nothing. */
static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    const struct tk_room *room = (const struct tk_room *)wait;

    snprintf(text, size, "%s",
             room->quiet && room->message == NULL ? "" : "send: room in the mailbox of");
}

const struct tk_kind tk_wait_room = {
    .name = "room in a mailbox",
    .brief = "there is room for the message",
    .size = sizeof(struct tk_room),
    .flags = TK_HIDDEN,
    .init = init,
    .disarm = disarm,
    .phrase = phrase,
    .target = target,
};
