/*
 * Mailboxes and filters.
 *
 * A mailbox keeps messages in order of arrival, and once more by name, so that the first acceptable
 * one is found without looking at those put off. A filter is a wait condition that says which names
 * to accept, defer and discard; while a task waits on filters, the first that names a message
 * decides, and a message that none names is dropped, which the hook `unnamed` is told of. While it
 * waits on no filter nothing is judged.
 *
 * A mailbox may have a limit. A message that finds it full waits outside, and its sender with it:
 * in the same order and among those of its name, but behind a line that moves on when room is made.
 * So a filter that accepts it finds it there too, nobody overtakes, and what waits outside is
 * bounded by the number of senders; but for messages from
 * other threads, whose senders do not wait.
 */
#ifndef TK_CORE_MAILBOX_H
#define TK_CORE_MAILBOX_H

#include "core/map.h"
#include "core/sched.h"

struct tk_message {
    struct tk_list order;
    struct tk_list alike; /* of the same name */
    struct tk_queue *queue;
    uint64_t number;
    void *payload;
    struct tk_room *room; /* it is outside, and this sender waits; NULL: it is inside */
};

struct tk_queue {
    struct tk_list node; /* among those that have messages */
    struct tk_list messages;
    struct tk_atom *name;
};

/* A verb's wait for messages, whatever their names: wait/mail.c. */
struct tk_taker {
    struct tk_wait wait;
    struct tk_list node;
    struct tk_mailbox *mail; /* NULL: not armed, or the mailbox has gone */
    size_t wanted;           /* it is called when so many are there, or the mailbox is full */
    bool looks;              /* is only told of them; else, called for one, it is given that */
    void *payload;           /* that one: see tk_mail_taken */
    struct tk_atom *name;    /* of that message; held */
    bool called;
    bool met;    /* see tk_mail_meet */
    void *place; /* where the driver puts the message then */
};

struct tk_mailbox {
    struct tk_list order;       /* those inside, then those outside */
    struct tk_list busy;        /* queues with messages */
    struct tk_list takers;      /* verbs that wait for messages, and are not called yet */
    struct tk_list called;      /* those called, which have not gone on yet */
    struct tk_list askers;      /* calls that wait for an answer: struct tk_answer */
    struct tk_map queues;       /* by atom */
    struct tk_message *fresh;   /* the first that the present filters have not judged */
    struct tk_message *outside; /* the first that has no room; NULL: none */
    uint64_t first, next;       /* numbers: those put back, and those that come */
    size_t count;               /* inside */
    size_t limit;               /* of them; 0: none */
    struct tk_taker own;        /* for the task itself: see tk_mail_block */
    bool ready;                 /* the task has given way with an accepted message in here */
};

/* A sender's wait until its message is inside: wait/room.c. */
struct tk_room {
    struct tk_wait wait;
    struct tk_task *target; /* whose mailbox */
    struct tk_mailbox *mail;
    struct tk_message *message; /* outside; NULL: it is not, or not any more */
    bool quiet;                 /* the sender waits for more than that, and is not told */
    bool lost;                  /* the receiver ended first */
};

/* The room of a message that waits outside although nobody waits with it. Only its address counts.
 */
extern struct tk_room *const tk_nobody;

/* The wait of a call for its answer: wait/answer.c. */
struct tk_answer {
    struct tk_wait wait;
    struct tk_list node;
    struct tk_task *target; /* who was called */
    uint64_t serial;        /* of the call */
    void *payload;          /* the answer, until it is taken; NULL: none, or nil */
    bool given;
    bool ended; /* the receiver did, and has not answered */
};

enum tk_verdict { TK_UNNAMED, TK_ACCEPT, TK_DEFER, TK_DISCARD };

struct tk_filter {
    struct tk_wait wait;
    struct tk_map verdicts; /* by atom, as the verdict's number */
    struct tk_atom **names; /* those to accept first; all held */
    uint32_t accepts;
    uint32_t count;
};

/* The task's mailbox; made if there is none. NULL: out of memory. */
struct tk_mailbox *tk_mailbox_of(struct tk_task *task);

/* How many messages have ever been taken out of it, or dropped; where none wait for room. */
uint64_t tk_mail_gone(const struct tk_mailbox *mail);

/* From now on no more than `limit` messages are let in; 0: any number. 0, or TK_ENOMEM. */
int tk_mail_limit(struct tk_task *task, size_t limit);

enum tk_sent { TK_SENT_DELIVERED, TK_SENT_QUEUED, TK_SENT_DROPPED, TK_SENT_OUTSIDE, TK_SENT_FULL };

/*
 * Gives `payload`, a message called `name`, to `task`, which has not ended. Delivered: it is in the
 * batch, to be handed over to. If the mailbox is full the message waits outside for `room`, which
 * is armed and fires when it is in; without `room` it is TK_SENT_FULL, and then, as with TK_ENOMEM,
 * nothing has happened and the payload is still the caller's.
 */
int tk_mail_send(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name, void *payload,
                 struct tk_room *room);

/* The same for a message of the library's own, which is let in though it be full. */
int tk_mail_notify(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name,
                   void *payload);

/* The same for a message that comes from the loop: whom it wakes goes into the run queue. With
 * tk_nobody for `room` a message that finds the mailbox full waits outside by itself. */
int tk_mail_post(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name, void *payload,
                 struct tk_room *room);

/* Takes a message that is still outside back; the payload is dropped. */
void tk_mail_withdraw(struct tk_sched *sched, struct tk_room *room);

/* A taker takes its place; it is called at once if there is enough. */
void tk_mail_await(struct tk_sched *sched, struct tk_mailbox *mail, struct tk_taker *taker);

/* What it was called with, which is the caller's now; NULL: nothing. */
void *tk_mail_taken(struct tk_sched *sched, struct tk_taker *taker);

/* It goes. What it was called for and has not taken is the next one's. */
void tk_mail_leave(struct tk_sched *sched, struct tk_taker *taker);

/* The task blocks until there is a message in its own mailbox, which is empty; `kind` is that of
 * takers. As tk_task_block and tk_task_blocked, without a wait of the caller's. */
int tk_mail_block(struct tk_task *task, const struct tk_kind *kind, void *place);

/*
 * If a message to `task` would be the one that it is blocked for, its verb is over, it is in the
 * batch, and its place is the result: the driver puts the message there and has the batch run at
 * once, before anybody else; so nobody can be late for it. Else NULL, and nothing has happened.
 */
void *tk_mail_meet(struct tk_sched *sched, struct tk_task *task);

/* Has it been met? Says so once. */
static inline bool tk_mail_met(const struct tk_task *task)
{
    bool met = task->mail != NULL && task->mail->own.met;

    if (met) {
        task->mail->own.met = false;
    }
    return met;
}

/* Takes out the first message of all; NULL: none. */
void *tk_mail_pop(struct tk_sched *sched, struct tk_mailbox *mail);

/* Judges what waits by the filters of the task's list. `all`: the filters have changed. */
void tk_mail_judge(struct tk_sched *sched, struct tk_task *task, bool all);

/* Is there a message that the task's filters accept? */
bool tk_mail_ready(const struct tk_task *task);

/* Takes out the first message that the task's filters accept; *filter says which did. NULL: none.
 */
void *tk_mail_take(struct tk_sched *sched, struct tk_task *task, struct tk_filter **filter);

/* Drops all messages, tells all who wait on it that it has gone, and frees the mailbox. NULL is
 * fine. */
void tk_mailbox_free(struct tk_sched *sched, struct tk_mailbox *mail);

/* Frees the records that are kept to be used again. */
void tk_mail_finish(struct tk_sched *sched);

enum tk_verdict tk_filter_verdict(const struct tk_filter *filter, const struct tk_atom *name);

#endif
