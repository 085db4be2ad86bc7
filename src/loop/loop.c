/*
 * The loop: see loop.h. It runs no script itself; the hook `run` does. Teardown: tk_loop_close,
 * once, in the order parts, descriptors, children, signals, own handles, uv loop.
 */
#include "loop/loop.h"

#include <string.h>

#include "core/limit.h"
#include "loop/children.h"
#include "loop/fds.h"
#include "loop/outside.h"
#include "loop/signals.h"

/* Resumptions in one turn, and the time after which a turn ends early. */
#define TURN_BUDGET 1024
#define TURN_TIME UINT64_C(1000000)
/* Pulls from the run queue between two looks at the clock, at the most; and what counts as slow
 * between them. It is a prime number, so that each of some who take turns is seen now and then. */
#define LONGEST_STRIDE 61
#define SLOW UINT64_C(50000)
/* Where a resumption takes longer than this it is worth a look of its own, which takes a hundredth
 * of it; and so many looks are saved up at the most. */
#define QUICK UINT64_C(4000)
#define MOST_CAREFUL 1000000

/* Loops that scripts run inside each other; deeper ones do not run tasklets, for the C stack's
 * sake. */
#define DEEPEST 64

#define NS_PER_MS UINT64_C(1000000)

/* Seconds; to wait longer is to wait for ever. */
#define LONGEST_WAIT 1e9

void tk_loop_opened(struct tk_loop *loop)
{
    loop->open++;
}

/* All that they have is closed. */
static void free_parts(struct tk_loop *loop)
{
    struct tk_list *node;

    while ((node = tk_list_first(&loop->parts)) != NULL) {
        struct tk_loop_part *part = tk_container_of(node, struct tk_loop_part, node);

        tk_list_remove(node);
        part->free(part);
    }
}

void tk_loop_closed(struct tk_loop *loop)
{
    loop->open--;
    if (loop->orphan && loop->open == 0) {
        free_parts(loop);
        tk_sched_finish(&loop->sched);
        loop->hooks->gone(loop->context);
    }
}

/* ---- looking at the clock ---- */

/* The loop's time when the system's is `now`. */
static uint64_t time_at(const struct tk_loop *loop, uint64_t now)
{
    return loop->clock.is_virtual ? loop->clock.time : now + loop->clock.ahead;
}

/*
 * The clock has been looked at. `idle`: nobody has run since the look before. Of several who have,
 * quickly, the last one stands for all. If they took long it cannot be said who did; then the clock
 * is looked at after each of those who run from now on, as many as that took time for.
 */
static void look(struct tk_loop *loop, uint64_t now, bool idle)
{
    struct tk_sched *sched = &loop->sched;
    struct tk_sample *sample = &loop->samples[loop->looks++ % TK_SAMPLES];
    int ran = loop->budget - sched->budget;

    tk_sched_tick(sched, time_at(loop, now));
    sample->time = now - loop->looked;
    sample->who = idle ? 0 : loop->hooks->looked(loop->context);
    loop->looked = now;
    loop->budget = sched->budget;
    if (!idle && (int64_t)(sample->time / QUICK) > ran) {
        uint64_t careful = sched->careful + sample->time / QUICK;

        if (ran > 1 && sched->careful == 0) {
            sample->who = UINT32_MAX;
        }
        sched->careful = careful < MOST_CAREFUL ? (int)careful : MOST_CAREFUL;
    }
}

void tk_loop_look(struct tk_loop *loop)
{
    look(loop, uv_hrtime(), false);
}

void tk_loop_resumed(struct tk_loop *loop)
{
    uint64_t now = uv_hrtime();

    if (now - loop->looked > SLOW) {
        look(loop, now, false); /* what was quicker goes with the next one who is not */
    }
    loop->sched.careful--;
}

bool tk_loop_sample(const struct tk_loop *loop, size_t index, struct tk_sample *sample)
{
    size_t count = loop->looks < TK_SAMPLES ? loop->looks : TK_SAMPLES;

    if (loop->clock.is_virtual) {
        return false; /* nothing that is shown is to depend on the machine's speed */
    }
    if (index < count) {
        *sample = loop->samples[(loop->looks - count + index) % TK_SAMPLES];
    } else if (index == count) {
        sample->who = 0;
        sample->time = uv_hrtime() - loop->looked;
    }
    return index <= count;
}

static void fire_timers(struct tk_loop *loop, uint64_t now)
{
    struct tk_sched *sched = &loop->sched;
    struct tk_timer *timer;

    while ((timer = tk_wheel_expire(&sched->wheel, now)) != NULL) {
        struct tk_wait *wait = &tk_container_of(timer, struct tk_timed, timer)->wait;

        timer->due = now; /* for what is armed again: when it fired */
        if (wait->kind == &tk_limit_kind) {
            tk_limit_expire(sched, (struct tk_limit *)wait);
        } else {
            tk_wait_fire(wait, sched, NULL);
        }
    }
}

void tk_loop_fire(struct tk_loop *loop)
{
    if (tk_wheel_count(&loop->sched.wheel) > 0) {
        fire_timers(loop, tk_loop_now(loop));
    }
}

static void fire_idle(struct tk_sched *sched)
{
    struct tk_list due;

    tk_list_init(&due);
    tk_list_splice(&due, &sched->idle);
    while (!tk_list_empty(&due)) {
        struct tk_list *node = tk_list_first(&due);

        tk_list_remove(node);
        tk_wait_fire(&tk_container_of(node, struct tk_watch, node)->wait, sched, NULL);
    }
}

/*
 * Is the turn's time over? The clock is looked at seldom while tasks are quick, and at each while
 * one of them has just been slow.
 */
static bool time_is_over(struct tk_loop *loop, uint64_t end)
{
    uint64_t now;

    if (loop->clock.is_virtual) {
        return false; /* what a virtual clock shows must not depend on the machine's speed */
    }
    now = uv_hrtime();
    if (now - loop->strode > SLOW) {
        loop->stride = 1;
    } else if (loop->stride < LONGEST_STRIDE) {
        loop->stride =
            loop->stride * 2 + 1 < LONGEST_STRIDE ? loop->stride * 2 + 1 : LONGEST_STRIDE;
    }
    loop->strode = now;
    look(loop, now, false);
    return now > end;
}

/* False: there was nothing to do. */
static bool flush_parts(const struct tk_loop *loop)
{
    bool any = false;

    for (struct tk_list *n = loop->parts.next; n != &loop->parts; n = n->next) {
        struct tk_loop_part *part = tk_container_of(n, struct tk_loop_part, node);

        any = part->flush(part) || any;
    }
    return any;
}

/* The innermost loop of all: what it calls of the core is compiled into it. */
__attribute__((flatten)) static void drain(struct tk_loop *loop, uint64_t now)
{
    struct tk_sched *sched = &loop->sched;

    if (tk_runq_count(&sched->ready) == 0) {
        return;
    }
    sched->budget = TURN_BUDGET;
    loop->strode = now;
    loop->left = false;
    look(loop, now, true);
    tk_watchdog_enter(&loop->dog);
    for (;;) {
        sched->quota = loop->clock.is_virtual ? LONGEST_STRIDE : loop->stride;
        loop->hooks->run(loop->context);
        if (sched->quota > 0 || sched->budget <= 0 || time_is_over(loop, now + TURN_TIME)) {
            break;
        }
        if (flush_parts(loop)) {
            loop->strode = loop->looked = uv_hrtime(); /* nobody who runs took that time */
        }
    }
    sched->quota = 0; /* if some is left there was nobody, or nobody is to be resumed any more */
    tk_watchdog_leave(&loop->dog);
    look(loop, uv_hrtime(), false);
    flush_parts(loop);
}

static bool somebody_is_ready(const struct tk_loop *loop)
{
    return tk_runq_count(&loop->sched.ready) > 0 || !tk_list_empty(&loop->sched.idle);
}

bool tk_loop_is_stuck(struct tk_loop *loop)
{
    return loop->sched.alive > 0 && !somebody_is_ready(loop) &&
           tk_wheel_count(&loop->sched.wheel) == 0 && !tk_outside_possible(loop);
}

void tk_loop_run(struct tk_loop *loop)
{
    struct tk_sched *sched = &loop->sched;
    uint64_t now;

    if (loop->inside || loop->clock.is_virtual || sched->current != NULL || sched->chain != NULL ||
        sched->batch != NULL) {
        return;
    }
    loop->inside = true;
    now = uv_hrtime();
    tk_sched_tick(sched, time_at(loop, now));
    fire_timers(loop, time_at(loop, now));
    drain(loop, now);
    loop->inside = false;
}

static void on_check(uv_check_t *handle)
{
    struct tk_loop *loop = tk_container_of(handle, struct tk_loop, check);
    struct tk_sched *sched = &loop->sched;
    /* A script may run the uv loop itself (luv's `run`): then this is nested in a task. */
    bool outer = loop->inside;
    bool nested = outer || sched->current != NULL || sched->chain != NULL || sched->batch != NULL;
    struct tk_frame frame;
    uint64_t now;

    if (sched->depth > DEEPEST) {
        return;
    }
    if (nested) {
        tk_sched_enter(sched, &frame);
        loop->hooks->run(loop->context); /* what was woken and not yet run */
    }
    loop->inside = true;
    loop->polling = false;
    tk_clock_stand(&loop->clock);
    now = uv_hrtime();
    tk_sched_tick(sched, time_at(loop, now));
    fire_timers(loop, time_at(loop, now));
    if (tk_runq_count(&sched->ready) == 0) {
        fire_idle(sched);
    }
    loop->quiet = tk_runq_count(&sched->ready) == 0;
    drain(loop, now);
    if (loop->stuck) {
        loop->stuck = false;
        if (!nested && tk_loop_is_stuck(loop)) {
            loop->left = !loop->hooks->stuck(loop->context);
        }
    }
    if (loop->alarmed && !nested) {
        tk_loop_alarm(loop, UINT64_MAX);
        loop->hooks->alarm(loop->context);
    }
    loop->hooks->turned(loop->context);
    flush_parts(loop);
    loop->inside = outer;
    if (nested) {
        tk_sched_leave(sched);
    }
}

struct tk_loop *tk_loop_from_handle(uv_handle_t *handle)
{
    if (handle->type == UV_CHECK && ((uv_check_t *)handle)->check_cb == on_check) {
        return tk_container_of((uv_check_t *)handle, struct tk_loop, check);
    }
    return NULL;
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static void on_timer(uv_timer_t *handle)
{
    tk_container_of(handle, struct tk_loop, timer)->timer_due = UINT64_MAX;
}

/* The time by the system's clock at which a deadline is due, in libuv's milliseconds. */
static uint64_t system_ms(const struct tk_loop *loop, uint64_t due)
{
    const struct tk_clock *clock = &loop->clock;
    uint64_t from = clock->polled != 0 ? clock->polled : uv_hrtime();
    uint64_t ns = clock->is_virtual ? from + (due - clock->time) : due - clock->ahead;

    return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

static void set_timer(struct tk_loop *loop)
{
    uint64_t next = tk_wheel_next(&loop->sched.wheel);
    uint64_t due = next == UINT64_MAX ? UINT64_MAX : system_ms(loop, next);
    uint64_t now = uv_now(loop->uv);

    if (loop->limit < due) {
        due = loop->limit;
    }
    if (due == loop->timer_due) {
        return;
    }
    if (due == UINT64_MAX) {
        uv_timer_stop(&loop->timer);
    } else {
        uv_timer_start(&loop->timer, on_timer, due > now ? due - now : 0, 0);
    }
    loop->timer_due = due;
}

/* A timer of zero, mostly: armed since the last turn and due at once. */
static bool timer_is_due(struct tk_loop *loop)
{
    uint64_t next = tk_wheel_next(&loop->sched.wheel);

    return next != UINT64_MAX && next <= tk_loop_now(loop);
}

/* May a virtual clock go to the first deadline? */
static bool may_jump(struct tk_loop *loop)
{
    uint64_t next = tk_wheel_next(&loop->sched.wheel);

    return next != UINT64_MAX && (next <= loop->leap || !tk_outside_pending(loop));
}

/* Moves a virtual clock to the first deadline, if it may go there. Who ran last may have raised a
 * signal; the loop gets that at its next poll. */
static bool jump(struct tk_loop *loop)
{
    uint64_t next = tk_wheel_next(&loop->sched.wheel);

    if (!may_jump(loop)) {
        return false;
    }
    if (!loop->quiet) {
        return true;
    }
    if (next > loop->alarm) {
        loop->alarmed = true;
        next = loop->alarm;
    }
    if (next > loop->clock.time) {
        loop->clock.time = next;
    }
    return true;
}

static void on_prepare(uv_prepare_t *handle)
{
    struct tk_loop *loop = tk_container_of(handle, struct tk_loop, prepare);

    flush_parts(loop);
    loop->polling = true;
    loop->stuck = !loop->left &&
                  tk_loop_is_stuck(loop); /* looked at again when what is ready outside has come */
    if (somebody_is_ready(loop) || timer_is_due(loop) || loop->stuck || loop->restless ||
        (loop->clock.is_virtual && jump(loop))) {
        uv_idle_start(&loop->idle, on_idle);
        return;
    }
    uv_idle_stop(&loop->idle);
    set_timer(loop);
    if (loop->clock.is_virtual) {
        tk_clock_flow(&loop->clock);
    }
}

/* ---- turns ---- */

bool tk_loop_is_busy(struct tk_loop *loop)
{
    return somebody_is_ready(loop) || timer_is_due(loop) || loop->restless ||
           (loop->clock.is_virtual && may_jump(loop));
}

/* Descriptors that libuv is to watch are told to the system by the next poll only. The list of them
 * is one of pointers in all of libuv's versions, whatever its type is called. */
static bool has_untold(const struct tk_loop *loop)
{
    const void *list = &loop->uv->watcher_queue;
    const void *first;

    memcpy(&first, list, sizeof first);
    return first != list;
}

void tk_loop_turn(struct tk_loop *loop, double seconds)
{
    tk_clock_stand(&loop->clock); /* it has flowed since the last one */
    if (seconds < 0) {
        loop->left = false;
    } else if (seconds > 0 && seconds < LONGEST_WAIT) {
        loop->limit = (uv_hrtime() + (uint64_t)(seconds * 1e9) + NS_PER_MS - 1) / NS_PER_MS;
    }
    uv_run(loop->uv, seconds == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    loop->limit = UINT64_MAX;
    if (!tk_loop_is_busy(loop)) {
        uv_idle_stop(&loop->idle);
        if (loop->clock.is_virtual) {
            tk_clock_flow(&loop->clock);
        }
    }
}

int tk_loop_timeout(struct tk_loop *loop)
{
    flush_parts(loop);
    if (tk_loop_is_busy(loop) || has_untold(loop)) {
        return 0;
    }
    uv_update_time(loop->uv);
    set_timer(loop);
    return uv_backend_timeout(loop->uv);
}

void tk_loop_set_virtual(struct tk_loop *loop, bool is_virtual)
{
    tk_clock_set_virtual(&loop->clock, is_virtual);
    tk_sched_tick(&loop->sched, tk_loop_now(loop));
    loop->timer_due = 0; /* set it anew */
}

void tk_loop_leap(struct tk_loop *loop, uint64_t until)
{
    loop->leap = until;
}

void tk_loop_alarm(struct tk_loop *loop, uint64_t time)
{
    loop->alarm = time;
    loop->alarmed = false;
}

bool tk_loop_is_own(const struct tk_loop *loop, const uv_handle_t *handle)
{
    return handle == (const uv_handle_t *)&loop->prepare ||
           handle == (const uv_handle_t *)&loop->check ||
           handle == (const uv_handle_t *)&loop->idle ||
           handle == (const uv_handle_t *)&loop->timer ||
           handle == (const uv_handle_t *)&loop->wake;
}

void tk_loop_summon(struct tk_loop *loop)
{
    loop->summoned = true;
    uv_ref((uv_handle_t *)&loop->wake);
    tk_loop_wake(loop);
}

static void on_wake(uv_async_t *handle)
{
    struct tk_loop *loop = tk_container_of(handle, struct tk_loop, wake);
    bool outer = loop->inside;

    loop->inside = true;
    if (!loop->summoned) {
        loop->hooks->woken(loop->context);
    } else if (!outer) {
        loop->hooks->summoned(loop->context);
    }
    loop->inside = outer;
}

void tk_loop_wake(struct tk_loop *loop)
{
    uv_async_send(&loop->wake);
}

void tk_loop_hold(struct tk_loop *loop, bool keep)
{
    if (keep) {
        uv_ref((uv_handle_t *)&loop->check);
    } else {
        uv_unref((uv_handle_t *)&loop->check);
    }
}

static void on_closed_prepare(uv_handle_t *handle)
{
    tk_loop_closed(tk_container_of((uv_prepare_t *)handle, struct tk_loop, prepare));
}

static void on_closed_check(uv_handle_t *handle)
{
    tk_loop_closed(tk_container_of((uv_check_t *)handle, struct tk_loop, check));
}

static void on_closed_idle(uv_handle_t *handle)
{
    tk_loop_closed(tk_container_of((uv_idle_t *)handle, struct tk_loop, idle));
}

static void on_closed_timer(uv_handle_t *handle)
{
    tk_loop_closed(tk_container_of((uv_timer_t *)handle, struct tk_loop, timer));
}

static void on_closed_wake(uv_handle_t *handle)
{
    tk_loop_closed(tk_container_of((uv_async_t *)handle, struct tk_loop, wake));
}

static int init_handles(struct tk_loop *loop)
{
    int rc = uv_async_init(loop->uv, &loop->wake, on_wake);

    if (rc < 0) {
        return rc;
    }
    uv_prepare_init(loop->uv, &loop->prepare);
    uv_check_init(loop->uv, &loop->check);
    uv_idle_init(loop->uv, &loop->idle);
    uv_timer_init(loop->uv, &loop->timer);
    loop->wake.data = loop->prepare.data = loop->check.data = loop->idle.data = loop->timer.data =
        NULL;
    loop->open = 5;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->wake);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->idle);
    uv_unref((uv_handle_t *)&loop->timer);
    return 0;
}

int tk_loop_init(struct tk_loop *loop, uv_loop_t *uv, const struct tk_loop_hooks *hooks,
                 void *context, struct tk_fault *fault)
{
    int rc;

    memset(loop, 0, sizeof *loop);
    tk_list_init(&loop->parts);
    loop->hooks = hooks;
    loop->context = context;
    loop->timer_due = loop->alarm = loop->limit = UINT64_MAX;
    loop->stride = 1;
    loop->uv = uv;
    loop->looked = uv_hrtime();
    if (tk_sched_init(&loop->sched, loop->looked, &hooks->sched, context) < 0) {
        return tk_fault_memory(fault);
    }
    tk_sched_tick(&loop->sched, loop->looked);
    if (uv == NULL) {
        rc = uv_loop_init(&loop->own);
        if (rc < 0) {
            tk_sched_finish(&loop->sched);
            return tk_fault_set(fault, TK_ESYS, "cannot make a loop: %s", uv_strerror(rc));
        }
        loop->uv = &loop->own;
        loop->owns = true;
    }
    rc = init_handles(loop);
    if (rc < 0) {
        if (loop->owns) {
            uv_loop_close(loop->uv);
        }
        tk_sched_finish(&loop->sched);
        return tk_fault_set(fault, TK_ESYS, "cannot make a handle: %s", uv_strerror(rc));
    }
    return 0;
}

static void note_open(uv_handle_t *handle, void *arg)
{
    if (!uv_is_closing(handle)) {
        *(bool *)arg = true;
    }
}

static void close_parts(const struct tk_loop *loop)
{
    for (struct tk_list *n = loop->parts.next; n != &loop->parts; n = n->next) {
        struct tk_loop_part *part = tk_container_of(n, struct tk_loop_part, node);

        part->close(part);
    }
}

bool tk_loop_close(struct tk_loop *loop)
{
    if (!loop->closing) {
        loop->closing = true;
        close_parts(loop);
        tk_children_close(loop);
        tk_fds_close(loop);
        tk_signals_close(loop);
        uv_close((uv_handle_t *)&loop->prepare, on_closed_prepare);
        uv_close((uv_handle_t *)&loop->check, on_closed_check);
        uv_close((uv_handle_t *)&loop->idle, on_closed_idle);
        uv_close((uv_handle_t *)&loop->timer, on_closed_timer);
        uv_close((uv_handle_t *)&loop->wake, on_closed_wake);
    }
    if (loop->inside || loop->uv->active_reqs.count > loop->jobs) {
        loop->orphan = !loop->owns;
        return false; /* a request of luv's would call into a state that may be closed */
    }
    while (loop->open > 0 || loop->jobs > 0) {
        uv_run(loop->uv, loop->open > 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    }
    free_parts(loop);
    if (loop->owns) {
        bool open = false;

        uv_walk(loop->uv, note_open, &open);
        if (open) {
            return false; /* a handle of somebody else's is in use */
        }
        uv_run(loop->uv, UV_RUN_DEFAULT); /* callbacks of handles that are being closed */
        if (uv_loop_close(loop->uv) < 0) {
            return false;
        }
    }
    tk_sched_finish(&loop->sched);
    return true;
}
