/*
 * Channels: see channel.h. They own nothing; offers link themselves in, and are out before their
 * memory goes.
 *
 * What must hold: the bit `offering` of a task is set while one of its offers stands; whoever wakes
 * such a task calls tk_channel_withdraw first.
 */
#include "core/channel.h"

#include <string.h>

void tk_channel_init(struct tk_channel *channel)
{
    memset(channel, 0, sizeof *channel);
    tk_list_init(&channel->line[TK_SENDS]);
    tk_list_init(&channel->line[TK_RECEIVES]);
    channel->preference = -1;
}

static struct tk_offer *first_of(const struct tk_list *line)
{
    struct tk_list *node = tk_list_first(line);

    return node == NULL ? NULL : tk_container_of(node, struct tk_offer, node);
}

struct tk_offer *tk_channel_partner(const struct tk_channel *channel, enum tk_side side)
{
    return first_of(&channel->line[side == TK_SENDS ? TK_RECEIVES : TK_SENDS]);
}

/* Puts it into its line. */
static void stand(struct tk_sched *sched, struct tk_offer *offer)
{
    tk_list_push(&offer->channel->line[offer->side], &offer->node);
    offer->channel->count[offer->side]++;
    offer->number = ++sched->offers;
    offer->wait.task->offering = true;
}

void tk_offer_block(struct tk_sched *sched, struct tk_task *task, struct tk_offer *offer,
                    const struct tk_kind *kind, struct tk_channel *channel, enum tk_side side)
{
    *offer = (struct tk_offer){
        .wait = {.kind = kind,
                 .task = task,
                 .priority = kind->priority,
                 .flags = TK_VERB | TK_ARMED,
                 .as.next = task->verbs},
        .channel = channel,
        .side = side,
    };
    task->verbs = &offer->wait;
    stand(sched, offer);
}

void tk_offer_withdraw(struct tk_offer *offer)
{
    if (tk_list_linked(&offer->node)) {
        tk_list_remove(&offer->node);
        offer->channel->count[offer->side]--;
    }
}

/* The next offer from `wait` on, in a list of waits; NULL: none. */
static struct tk_offer *offer_from(struct tk_wait *wait)
{
    while (wait != NULL && (wait->kind->flags & TK_OFFERS) == 0) {
        wait = wait->as.next;
    }
    return (struct tk_offer *)wait;
}

static struct tk_offer *next_offer(const struct tk_offer *offer)
{
    return offer_from(offer->wait.as.next);
}

/* Those of a task that may stand: its verb's, if it is in one, or its list's. */
static struct tk_offer *first_offer(const struct tk_task *task)
{
    return offer_from(task->state == TK_BLOCKED ? task->verbs : tk_task_waits(task));
}

void tk_channel_withdraw(struct tk_task *task)
{
    for (struct tk_offer *offer = first_offer(task); offer != NULL; offer = next_offer(offer)) {
        tk_offer_withdraw(offer);
    }
    task->offering = false;
}

void tk_offer_meet(struct tk_sched *sched, struct tk_offer *offer, bool now)
{
    offer->met = true;
    if ((offer->wait.flags & TK_VERB) == 0) {
        offer->wait.task->met = true;
    }
    if (now) {
        tk_wait_fire_now(&offer->wait, sched, NULL); /* it carries nothing: that cannot fail */
    } else {
        tk_wait_fire(&offer->wait, sched, NULL);
    }
}

bool tk_channel_ready(const struct tk_task *task)
{
    for (struct tk_offer *o = offer_from(tk_task_waits(task)); o != NULL; o = next_offer(o)) {
        if (tk_channel_partner(o->channel, (enum tk_side)o->side) != NULL) {
            return true;
        }
    }
    return false;
}

struct tk_offer *tk_channel_select(struct tk_sched *sched, struct tk_task *task,
                                   struct tk_offer **partner)
{
    struct tk_offer *first = offer_from(tk_task_waits(task)), *met = NULL, *closed = NULL;

    *partner = NULL;
    for (struct tk_offer *offer = first; offer != NULL; offer = next_offer(offer)) {
        struct tk_offer *other = tk_channel_partner(offer->channel, (enum tk_side)offer->side);

        offer->met = offer->closed = false;
        if (other == NULL) {
            closed = closed == NULL && offer->channel->closing ? offer : closed;
        } else if (*partner == NULL || other->number < (*partner)->number) {
            *partner = other;
            met = offer;
        }
    }
    if (met == NULL && closed == NULL) {
        for (struct tk_offer *offer = first; offer != NULL; offer = next_offer(offer)) {
            stand(sched, offer);
        }
    }
    return met != NULL ? met : closed;
}

void tk_channel_close(struct tk_sched *sched, struct tk_channel *channel)
{
    struct tk_offer *offer;

    channel->closing = true;
    while ((offer = first_of(&channel->line[TK_RECEIVES])) != NULL) {
        tk_offer_withdraw(offer); /* before all: waking its task need not find it */
        offer->closed = true;
        tk_wait_fire(&offer->wait, sched, NULL);
    }
}

struct tk_task *tk_channel_neighbour(const struct tk_task *task, bool next)
{
    struct tk_offer *offer = task->offering ? first_offer(task) : NULL;
    struct tk_list *node;

    while (offer != NULL && !tk_list_linked(&offer->node)) {
        offer = next_offer(offer);
    }
    if (offer == NULL) {
        return NULL;
    }
    node = next ? offer->node.next : offer->node.prev;
    return node == &offer->channel->line[offer->side]
               ? NULL
               : tk_container_of(node, struct tk_offer, node)->wait.task;
}

struct tk_task *tk_channel_first(const struct tk_channel *channel)
{
    struct tk_offer *offer = first_of(&channel->line[TK_SENDS]);

    if (offer == NULL) {
        offer = first_of(&channel->line[TK_RECEIVES]);
    }
    return offer == NULL ? NULL : offer->wait.task;
}
