/*
 * Channels: rendezvous, as Stackless has them. Whoever sends and whoever receives meet; nothing is
 * kept in between, so a channel owns no values. What passes belongs to whoever drives the core: the
 * core only says who meets whom.
 *
 * An offer is a wait: that of a verb, which stands in a line of its channel until it is met, or
 * that of a wait list (WaitForChannel), which stands only while its task is suspended in the very
 * yield that lists it. The first of a list's offers that is met takes all the others away, and so
 * does whatever else wakes the task: so nothing is given to one that has turned to something else.
 *
 * Two tasks with offers for each other never stand at once: who comes second meets the first.
 */
#ifndef TK_CORE_CHANNEL_H
#define TK_CORE_CHANNEL_H

#include "core/sched.h"

enum tk_side { TK_SENDS, TK_RECEIVES };

struct tk_channel {
    struct tk_list line[2]; /* of offers, by side; first come, first met */
    size_t count[2];
    int preference; /* who runs first, if both could: -1 the receiver, 1 the sender, 0 neither */
    bool schedule_all;
    bool closing;
};

struct tk_offer {
    struct tk_wait wait;
    struct tk_list node; /* in a line while it stands */
    struct tk_channel *channel;
    uint64_t number; /* the smaller, the longer it has stood */
    void *place;     /* a verb's: for the driver */
    uint8_t side;
    bool raises; /* what is sent is to be raised in the receiver */
    bool met;
    bool closed; /* the channel is, and it cannot be met any more */
};

void tk_channel_init(struct tk_channel *channel);

/* Whom one that takes this side would meet; NULL: nobody. */
struct tk_offer *tk_channel_partner(const struct tk_channel *channel, enum tk_side side);

/* It is met: it stands no more, and its task is woken, by hand if `now`, else from the run queue.
 */
void tk_offer_meet(struct tk_sched *sched, struct tk_offer *offer, bool now);

/* The task is about to block with an offer of its own, made in the caller's memory: as
 * tk_task_block. */
void tk_offer_block(struct tk_sched *sched, struct tk_task *task, struct tk_offer *offer,
                    const struct tk_kind *kind, struct tk_channel *channel, enum tk_side side);

/* Takes it out of its line, if it is in one. */
void tk_offer_withdraw(struct tk_offer *offer);

/* The task turns to something else: its offers stand no more. */
void tk_channel_withdraw(struct tk_task *task);

/* Could one of the offers in the task's wait list be met now? */
bool tk_channel_ready(const struct tk_task *task);

/*
 * The task waits for its list, and no event is there. Which of its offers is met, and by whom: by
 * the one that has stood longest over all its channels. If none is, but one is on a closed channel:
 * that one, and *partner is NULL. NULL: its offers stand from now on.
 */
struct tk_offer *tk_channel_select(struct tk_sched *sched, struct tk_task *task,
                                   struct tk_offer **partner);

/* Nobody may begin to stand on it any more. Those who wait to receive are woken, from the run
 * queue; what is offered stays. */
void tk_channel_close(struct tk_sched *sched, struct tk_channel *channel);

/* Who stands next to a task, in the line of the first of its offers that stands; NULL: nobody. */
struct tk_task *tk_channel_neighbour(const struct tk_task *task, bool next);

/* The first that stands, whatever its side; NULL: nobody. */
struct tk_task *tk_channel_first(const struct tk_channel *channel);

#endif
