/*
 * Messages of the program's, and questions: messages that are answered.
 *
 * A question has a serial number, which its message carries, and stands in the line of those who
 * wait for an answer of the receiver, as a call of a script's does (core/mailbox.h); it may have a
 * timer. Whichever comes first ends it: the answer, the receiver's end, the time. Then it is put
 * aside, and told at the end of the turn.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailbox.h"
#include "embed/embed.h"
#include "embed/traffic.h"

/* 146 years, in nanoseconds: as good as for ever, and sums do not overflow. */
#define LONGEST (UINT64_MAX / 4)

struct tk_ask {
    struct tk_answer answer;
    struct tk_timed time;
    struct tk_list node; /* in `answered` */
    struct tasklet_host *host;
    uint64_t serial;
    uint64_t period; /* ns; UINT64_MAX: no limit */
    bool over;       /* it is in `answered` */
    int status;
    int anchor; /* of the answer */
    tasklet_reply on_reply;
    void *context;
};

/* ---- the end of one ---- */

/* It is over, with the answer that is anchored. */
static void end(struct tk_ask *ask, int status, int anchor)
{
    struct tasklet_host *host = ask->host;
    struct tk_traffic *traffic = &host->embed->traffic;

    tk_map_remove(&traffic->asks, (uintptr_t)ask->serial);
    tk_list_remove(&ask->answer.node);
    tk_wheel_disarm(&host->loop.sched.wheel, &ask->time.timer);
    ask->over = true;
    ask->status = status;
    ask->anchor = anchor;
    if (tk_list_empty(&traffic->answered) && !host->loop.inside && !host->loop.polling) {
        tk_loop_wake(&host->loop); /* no turn is under way at whose end it would be told */
    }
    tk_list_push(&traffic->answered, &ask->node);
}

static void receiver_ended(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_ask *ask = tk_container_of(wait, struct tk_ask, answer.wait);

    (void)sched;
    end(ask, ask->host->bind->closing ? TASKLET_ECLOSED : TASKLET_EENDED, 0);
}

static void time_over(struct tk_wait *wait, struct tk_sched *sched)
{
    (void)sched;
    end(tk_container_of(wait, struct tk_ask, time.wait), TASKLET_ETIMEOUT, 0);
}

static const struct tk_kind ended_kind = {.name = "answer",
                                          .size = sizeof(struct tk_answer),
                                          .flags = TK_HIDDEN,
                                          .fired = receiver_ended};
static const struct tk_kind time_kind = {
    .name = "time", .size = sizeof(struct tk_timed), .flags = TK_HIDDEN, .fired = time_over};

RAISES bool tk_ask_answered(lua_State *L, struct tasklet_host *host, uint64_t serial)
{
    struct tk_ask *ask = tk_map_get(&host->embed->traffic.asks, (uintptr_t)serial);

    if (ask == NULL || ask->serial != serial) {
        return false;
    }
    lua_pushvalue(L, 2);
    end(ask, 0, tk_anchor(L, host->bind));
    return true;
}

/* ---- the beginning ---- */

struct tk_ask *tk_ask_new(double seconds, tasklet_reply on_reply, void *context)
{
    struct tk_ask *ask = calloc(1, sizeof *ask);
    double ns = ceil(seconds * 1e9);

    if (ask != NULL) {
        ask->period = seconds < 0 ? UINT64_MAX : ns < (double)LONGEST ? (uint64_t)ns : LONGEST;
        ask->on_reply = on_reply;
        ask->context = context;
        ask->answer.wait.kind = &ended_kind;
        ask->time.wait.kind = &time_kind;
    }
    return ask;
}

void tk_ask_free(struct tk_ask *ask)
{
    free(ask);
}

void tk_ask_refused(struct tasklet_host *host, struct tk_ask *ask, int status)
{
    ask->host = host;
    end(ask, status, 0);
}

void tk_ask_lost(struct tk_ask *ask)
{
    tasklet_reply on_reply = ask->on_reply;
    void *context = ask->context;

    free(ask);
    on_reply(context, TASKLET_ECLOSED, NULL);
}

/* From now on it waits for an answer of `task`. False: no memory. */
static bool begin(struct tasklet_host *host, struct tk_ask *ask, struct tk_task *task)
{
    struct tk_mailbox *mail = tk_mailbox_of(task);

    ask->serial = ++host->bind->calls;
    if (mail == NULL || tk_map_set(&host->embed->traffic.asks, (uintptr_t)ask->serial, ask) < 0) {
        return false;
    }
    ask->host = host;
    tk_list_push(&mail->askers, &ask->answer.node);
    if (ask->period != UINT64_MAX) {
        tk_wheel_arm(&host->loop.sched.wheel, &ask->time.timer,
                     tk_loop_now(&host->loop) + ask->period);
    }
    return true;
}

static void give_up(struct tasklet_host *host, struct tk_ask *ask)
{
    tk_map_remove(&host->embed->traffic.asks, (uintptr_t)ask->serial);
    tk_list_remove(&ask->answer.node);
    tk_wheel_disarm(&host->loop.sched.wheel, &ask->time.timer);
}

/* ---- messages ---- */

struct delivery {
    const struct tk_letter *letter;
    bool begun;
    int rc;
};

static int deliver(lua_State *L)
{
    struct delivery *delivery = lua_touserdata(L, 1);
    const struct tk_letter *letter = delivery->letter;
    struct tasklet_host *host = letter->host;
    struct tk_body *body;

    delivery->rc = TASKLET_EENDED;
    if (letter->to != NULL ? !tk_reference_push(L, host, letter->to->reference)
                           : !tk_push_id(L, host, letter->id)) {
        return 0;
    }
    body = lua_touserdata(L, -1);
    if (body->task.state == TK_ENDED) {
        return 0;
    }
    lua_pushlstring(L, letter->name, letter->length);
    if (!tk_value_push(L, host, letter->value)) {
        delivery->rc = tk_set_error(host, TASKLET_EINVAL, "no value of this host");
        return 0;
    }
    if (letter->ask != NULL) {
        delivery->begun = true;
        if (!begin(host, letter->ask, &body->task)) {
            tk_no_memory(L);
        }
    }
    switch (tk_message_come(L, host->bind, body, letter->room,
                            letter->ask == NULL ? 0 : letter->ask->serial)) {
    case TK_SENT_FULL:
        delivery->rc = TASKLET_EFULL;
        break;
    case -1:
        break; /* it has ended meanwhile */
    default:
        delivery->rc = 0;
        break;
    }
    return 0;
}

int tk_letter_send(const struct tk_letter *letter)
{
    struct delivery delivery = {letter, false, 0};
    int rc = tk_guarded(letter->host, deliver, &delivery);

    if (rc == 0) {
        rc = delivery.rc;
    }
    if (rc == TASKLET_ECLOSED) {
        return rc;
    }
    if (rc < 0 && delivery.begun) {
        if (letter->ask->over) {
            return 0; /* a finalizer has ended the receiver meanwhile: that is told */
        }
        give_up(letter->host, letter->ask);
    }
    if (rc == TASKLET_EENDED || rc == TASKLET_EFULL) {
        tk_set_error(letter->host, rc, NULL);
    }
    return rc;
}

static int send_to(struct tasklet *t, const char *name, const struct tasklet_value *value,
                   struct tk_ask *ask)
{
    struct tk_letter letter = {
        .host = tasklet_host_of(t), .to = t, .name = name, .value = value, .ask = ask};

    int rc = letter.host != NULL ? tk_check_alive(letter.host) : TASKLET_ECLOSED;

    if (rc < 0) {
        return rc;
    }
    if (name == NULL) {
        return tk_set_error(letter.host, TASKLET_EINVAL, "a message without a name");
    }
    letter.length = strlen(name);
    return tk_letter_send(&letter);
}

int tasklet_send(struct tasklet *t, const char *name, const struct tasklet_value *value)
{
    return send_to(t, name, value, NULL);
}

int tasklet_ask(struct tasklet *t, const char *name, const struct tasklet_value *value,
                double seconds, tasklet_reply on_reply, void *context)
{
    struct tk_ask *ask;
    int rc;

    if (on_reply == NULL || seconds != seconds) {
        return TASKLET_EINVAL;
    }
    ask = tk_ask_new(seconds, on_reply, context);
    if (ask == NULL) {
        return TASKLET_ENOMEM;
    }
    rc = send_to(t, name, value, ask);
    if (rc < 0) {
        tk_ask_free(ask);
    }
    return rc;
}

/* ---- telling ---- */

struct reply {
    struct tk_ask *ask;
    bool told;
};

static int tell(lua_State *L)
{
    struct reply *reply = lua_touserdata(L, 1);
    struct tk_ask *ask = reply->ask;
    struct tasklet_host *host = ask->host;
    struct tasklet_value value;
    int anchor = ask->anchor;

    ask->anchor = 0;
    tk_push_payload(L, host->bind, tk_payload(anchor));
    tk_value_lend(L, host, 2, &value);
    reply->told = true;
    ask->on_reply(ask->context, 0, &value);
    tk_value_done(host, &value);
    return 0;
}

static void tell_one(struct tasklet_host *host, struct tk_ask *ask)
{
    struct reply reply = {ask, ask->status < 0};
    int rc = ask->status;

    if (rc == 0) {
        rc = tk_guarded(host, tell, &reply);
    }
    if (rc < 0 && (ask->status < 0 || !reply.told)) {
        ask->on_reply(ask->context, rc, NULL);
    }
    free(ask);
}

/* `closing`: also if the host is to be freed. */
static void tell_all(struct tasklet_host *host, bool closing)
{
    struct tk_list *list = &host->embed->traffic.answered, *node;

    while ((closing || !host->freeing) && (node = tk_list_first(list)) != NULL) {
        tk_list_remove(node);
        tell_one(host, tk_container_of(node, struct tk_ask, node));
    }
}

void tk_asks_tell(struct tasklet_host *host)
{
    tell_all(host, false);
}

void tk_asks_close(struct tasklet_host *host)
{
    struct tk_traffic *traffic = &host->embed->traffic;
    struct tk_ask *ask;
    size_t cursor;

    while (cursor = 0, (ask = tk_map_next(&traffic->asks, &cursor)) != NULL) {
        end(ask, TASKLET_ECLOSED, 0);
    }
    tell_all(host, true);
    tk_map_finish(&traffic->asks);
}
