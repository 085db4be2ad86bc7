/*
 * WaitForChannel: a channel action happened. It is the wait of the verbs `send` and `receive`, too:
 * tk_offer_block. One in a wait list is put on offer by tk_channel_select once its task is
 * suspended; arming it does nothing.
 */
#include <stdio.h>
#include <string.h>

#include "core/channel.h"
#include "wait/kinds.h"

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct tk_offer *offer = (struct tk_offer *)wait;
    const char *side = args[1].as.string;

    (void)sched;
    offer->channel = args[0].as.channel;
    if (strcmp(side, "send") != 0 && strcmp(side, "receive") != 0) {
        tk_fault_set(fault, TK_EINVAL, "\"send\" or \"receive\" expected, got \"%.40s\"", side);
        fault->arg = 1;
        return fault->code;
    }
    offer->side = side[0] == 's' ? TK_SENDS : TK_RECEIVES;
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    (void)sched;
    tk_offer_withdraw((struct tk_offer *)wait);
}

static const char *side_name(const struct tk_wait *wait)
{
    return ((const struct tk_offer *)wait)->side == TK_SENDS ? "send" : "receive";
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "%s", side_name(wait));
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    const struct tk_offer *offer = (const struct tk_offer *)wait;

    snprintf(text, size, "%s: a %s on channel: %p", side_name(wait),
             offer->side == TK_SENDS ? "receiver" : "sender", (const void *)offer->channel);
}

static void get_direction(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->as.string = side_name(wait);
}

static void get_closed(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->as.boolean = ((const struct tk_offer *)wait)->closed;
}

/* One that receives has no value when the channel was closed instead. */
static void get_value(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct tk_offer *offer = (const struct tk_offer *)wait;

    arg->given = offer->side == TK_SENDS || !offer->closed;
}

static const struct tk_param params[] = {
    {.name = "channel", .type = TK_CHANNEL, .keep = 1},
    {.name = "direction", .type = TK_STRING},
    {.name = "value", .type = TK_VALUE, .keep = TK_OFFERED, .optional = true},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "value", .type = TK_VALUE, .keep = TK_OFFERED, .writable = true, .get = get_value},
    {.name = "channel", .type = TK_VALUE, .keep = 1},
    {.name = "direction", .type = TK_STRING, .get = get_direction},
    {.name = "closed", .type = TK_BOOLEAN, .get = get_closed},
    {.type = TK_END},
};

const struct tk_kind tk_wait_channel = {
    .name = "WaitForChannel",
    .brief = "a channel action happened",
    .params = params,
    .fields = fields,
    .size = sizeof(struct tk_offer),
    .values = 2,
    .flags = TK_OFFERS,
    .init = init,
    .disarm = disarm,
    .describe = describe,
    .phrase = phrase,
};
