/*
 * Mailboxes and filters.
 *
 * A mailbox keeps messages in order of arrival, and once more by name, so that the first acceptable
 * one is found without looking at those put off. A filter is a wait condition that says which names
 * to accept, defer and discard; while a task waits on filters, the first that names a message
 * decides, and a message that none names is dropped, which the hook `unnamed` is told of. While it
 * waits on no filter nothing is judged.
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
};

struct tk_queue {
    struct tk_list node; /* among those that have messages */
    struct tk_list messages;
    struct tk_atom *name;
};

struct tk_mailbox {
    struct tk_list order;
    struct tk_list busy;      /* queues with messages */
    struct tk_list takers;    /* verbs that wait for any message: wait/mail.c */
    struct tk_map queues;     /* by atom */
    struct tk_message *fresh; /* the first that the present filters have not judged */
    uint64_t numbers;
    size_t count;
    bool ready; /* the task has given way with an accepted message in here */
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

enum tk_sent { TK_SENT_DELIVERED, TK_SENT_QUEUED, TK_SENT_DROPPED };

/*
 * Gives `payload`, a message called `name`, to `task`, which has not ended. Delivered: it is in the
 * batch, to be handed over to. TK_ENOMEM: nothing has happened, the payload is still the caller's.
 */
int tk_mail_send(struct tk_sched *sched, struct tk_task *task, struct tk_atom *name, void *payload);

/* Takes out the first message of all; NULL: none. */
void *tk_mail_pop(struct tk_sched *sched, struct tk_mailbox *mail);

/* Judges what waits by the filters of the task's list. `all`: the filters have changed. */
void tk_mail_judge(struct tk_sched *sched, struct tk_task *task, bool all);

/* Is there a message that the task's filters accept? */
bool tk_mail_ready(const struct tk_task *task);

/* Takes out the first message that the task's filters accept; *filter says which did. NULL: none.
 */
void *tk_mail_take(struct tk_sched *sched, struct tk_task *task, struct tk_filter **filter);

/* Drops all messages and frees the mailbox. NULL is fine. */
void tk_mailbox_free(struct tk_sched *sched, struct tk_mailbox *mail);

enum tk_verdict tk_filter_verdict(const struct tk_filter *filter, const struct tk_atom *name);

#endif
