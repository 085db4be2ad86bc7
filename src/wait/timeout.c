/*
 * WaitForTimeout: the time is over. One that fired counts its next period from when it fired, so
 * that yielding it again and again makes a periodic timer. The wheel belongs to the scheduler.
 */
#include <stdio.h>

#include "loop/loop.h"
#include "wait/kinds.h"

#define NS_PER_MS 1e6
#define PRECISION 4e-16          /* of two roundings */
#define LONGEST (UINT64_MAX / 4) /* 146 years: as good as for ever, and sums do not overflow */

struct timeout {
    struct tk_timed timed;
    uint64_t period; /* ns */
};

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct timeout *timeout = (struct timeout *)wait;
    double ns = args[0].as.number * NS_PER_MS;
    uint64_t whole = ns > 0 && ns < (double)LONGEST ? (uint64_t)ns : 0;

    (void)sched;
    if (!(ns >= 0)) {
        return tk_fault_set(fault, TK_EINVAL, "time must not be negative");
    }
    /* Rounded up, but for what is but the error of a product such as 0.07 * 1000. */
    whole += ns - (double)whole > ns * PRECISION;
    timeout->period = ns >= (double)LONGEST ? LONGEST : whole;
    return 0;
}

static void count_from(struct timeout *timeout, struct tk_sched *sched, uint64_t start)
{
    tk_wheel_arm(&sched->wheel, &timeout->timed.timer, start + timeout->period);
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    (void)fault;
    count_from((struct timeout *)wait, sched, tk_loop_now(tk_loop_of(sched)));
    return 0;
}

/* A timer that fired holds the time at which it did. */
static int rearm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct timeout *timeout = (struct timeout *)wait;

    (void)fault;
    count_from(timeout, sched, timeout->timed.timer.due);
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_wheel_disarm(&sched->wheel, &((struct timeout *)wait)->timed.timer);
}

static void restart(struct tk_wait *wait, struct tk_sched *sched)
{
    if (wait->task != NULL) {
        tk_wait_forget(wait, sched);
        wait->flags |= TK_ARMED;
        count_from((struct timeout *)wait, sched, tk_loop_now(tk_loop_of(sched)));
    } else if ((wait->flags & TK_LAST) != 0) {
        /* It has fired and is being handled: yielded again, it counts from now. */
        ((struct timeout *)wait)->timed.timer.due = tk_loop_now(tk_loop_of(sched));
    }
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "%.14g ms", (double)((const struct timeout *)wait)->period / NS_PER_MS);
}

static void phrase(const struct tk_wait *wait, char *text, size_t size)
{
    double ms = (double)((const struct timeout *)wait)->period / NS_PER_MS;

    /* One that is left of a verb's timeout is not round. */
    snprintf(text, size, ms < 100 ? "sleep: %.3g ms" : "sleep: %.0f ms", ms);
}

static void get_timeout(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->as.number = (double)((const struct timeout *)wait)->period / NS_PER_MS;
}

static const struct tk_param params[] = {
    {.name = "timeout", .type = TK_NUMBER},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "timeout", .type = TK_NUMBER, .get = get_timeout},
    {.type = TK_END},
};

const struct tk_kind tk_wait_timeout = {
    .name = "WaitForTimeout",
    .brief = "the time is over",
    .params = params,
    .fields = fields,
    .size = sizeof(struct timeout),
    .flags = TK_OUTSIDE | TK_LIGHT,
    .init = init,
    .arm = arm,
    .rearm = rearm,
    .disarm = disarm,
    .restart = restart,
    .describe = describe,
    .phrase = phrase,
};
