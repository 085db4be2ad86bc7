/*
 * The loop: the scheduler on top of a uv loop. One turn of it is
 *
 *     prepare   says when the first timer is due, and not to block if somebody is ready; moves a
 *               virtual clock on
 *     (poll)    libuv waits; kinds' callbacks fire waits; luv's callbacks run
 *     check     fires timers that are due, then idle waits, then resumes tasks: bounded work
 *
 * It owns its uv handles and, unless it was given one, the uv loop. None of the handles keeps the
 * uv loop going but `check`, and that only while tasks that count are alive. No handle's `data` is
 * used: foreign code that walks the uv loop (luv) takes a NULL there for "not mine".
 */
#ifndef TK_LOOP_LOOP_H
#define TK_LOOP_LOOP_H

#include <stdatomic.h>
#include <uv.h>

#include "core/map.h"
#include "core/sched.h"
#include "loop/clock.h"
#include "loop/watchdog.h"

/* Looks at the clock that are remembered. */
#define TK_SAMPLES 256

struct tk_loop_hooks {
    struct tk_sched_hooks sched;
    /* Resumes all that tk_sched_next gives. */
    void (*run)(void *context);
    /* The clock has been looked at: the number of who runs, or gave way last. */
    uint32_t (*looked)(void *context);
    /* A turn is over. */
    void (*turned)(void *context);
    /* Tasks that count wait, and nothing can ever wake anybody. False: it is left at that. */
    bool (*stuck)(void *context);
    /* tk_loop_wake was called, from any thread. */
    void (*woken)(void *context);
    /* A virtual clock has come to the time of tk_loop_alarm. */
    void (*alarm)(void *context);
    /* tk_loop_summon was called, and no other callback of ours is on the C stack. */
    void (*summoned)(void *context);
    /* tk_loop_close was false, and now all is closed; the loop's memory is needed no more. */
    void (*gone)(void *context);
    /* Can another thread still reach the host, and thereby wake somebody? */
    bool (*reachable)(void *context);
};

/* A room above that has handles of its own on the loop. */
struct tk_loop_part {
    struct tk_list node;
    /* Is it one of its handles, which is active and by which nobody is woken who does not wait? */
    bool (*owns)(const uv_handle_t *handle);
    /* Does what was put off while some of those who are ready ran. Runs no script. False: there
     * was nothing. */
    bool (*flush)(struct tk_loop_part *part);
    /* Closes all of them, counted by tk_loop_opened and tk_loop_closed. */
    void (*close)(struct tk_loop_part *part);
    /* They are closed: frees it. */
    void (*free)(struct tk_loop_part *part);
};

struct tk_loop {
    struct tk_sched sched; /* first: kinds know the scheduler and find the loop from it */
    uv_loop_t *uv;
    uv_loop_t own;
    bool owns;
    bool closing;
    bool summoned;
    bool orphan;   /* it is to be gone when all is closed */
    bool inside;   /* a callback of ours is on the C stack */
    bool polling;  /* libuv is between `prepare` and `check` */
    bool stuck;    /* as far as `prepare` could see */
    bool restless; /* `turned` wants another turn soon, though nobody is ready */
    bool left;     /* at being stuck, until somebody runs */
    bool quiet;    /* nobody ran in the last turn */
    int open;      /* uv handles not yet closed */
    size_t jobs;   /* requests of ours to libuv's thread pool: io/job.c */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* active while somebody is ready: keeps the poll from blocking */
    uv_timer_t timer;
    uv_async_t wake;
    uint64_t limit;     /* of a turn, in uv's milliseconds: it waits no longer; UINT64_MAX: none */
    uint64_t timer_due; /* what `timer` is set to, in uv's milliseconds; UINT64_MAX: stopped */
    unsigned stride;    /* pulls from the run queue between two looks at the clock */
    uint64_t strode;    /* when the last of these began, by the system's */
    uint64_t looked;    /* when the clock was looked at last, by the system's */
    int budget;         /* and how many resumptions the turn had left then */
    size_t looks;       /* how often */
    struct tk_sample samples[TK_SAMPLES]; /* the last of them, a ring */
    struct tk_fds *fds;                   /* made when first needed */
    struct tk_children *children;
    struct tk_signals *signals;
    struct tk_list parts; /* struct tk_loop_part */
    struct tk_hub *hub;   /* of the room io; made when first needed */
    size_t awaited; /* waits for the world that are not seen in what keeps the uv loop going */
    struct tk_watchdog dog;
    struct tk_clock clock;
    uint64_t leap;  /* virtual clock: it jumps up to here, whatever is under way outside */
    uint64_t alarm; /* virtual clock: it jumps no farther; UINT64_MAX: nowhere */
    bool alarmed;   /* and has come there */
    const struct tk_loop_hooks *hooks;
    void *context;
};

/* `uv` is borrowed; NULL: the loop makes its own. 0 or a negative code; then nothing is left to
 * close. */
int tk_loop_init(struct tk_loop *loop, uv_loop_t *uv, const struct tk_loop_hooks *hooks,
                 void *context, struct tk_fault *fault);

/*
 * Closes every handle and, if it may run the uv loop now, waits until they are closed. False: it is
 * called from inside a callback of the loop, or somebody else's handles or requests are alive: the
 * memory must stay, of a loop that borrows its uv loop until the hook `gone` is called.
 */
bool tk_loop_close(struct tk_loop *loop);

/* Nanoseconds of the loop's clock; never goes back. */
static inline uint64_t tk_loop_now(const struct tk_loop *loop)
{
    return tk_clock_now(&loop->clock);
}

/*
 * Makes the clock a virtual one, or real again. A virtual clock stands while somebody is ready.
 * When all wait it jumps to the first deadline, unless something is under way outside: then it
 * flows as the real one does, until that has come. A signal that has been raised comes first.
 */
void tk_loop_set_virtual(struct tk_loop *loop, bool is_virtual);

/* A virtual clock jumps to deadlines up to this time even if something is under way outside. */
void tk_loop_leap(struct tk_loop *loop, uint64_t until);

/* Tasklets have been run otherwise than by a turn: the clock is looked at. */
void tk_loop_look(struct tk_loop *loop);

/* A task runs no more; to be called while `careful` of the scheduler lasts. */
void tk_loop_resumed(struct tk_loop *loop);

/* The sample `index`, the oldest first; the last one is not over. False: there are no more. */
bool tk_loop_sample(const struct tk_loop *loop, size_t index, struct tk_sample *sample);

/* Calls the hook `alarm`, once, when all wait and a virtual clock would jump beyond this time,
 * where it is stopped; UINT64_MAX: never. It wakes nobody and is no deadline: those who wait for
 * nothing else are stuck. */
void tk_loop_alarm(struct tk_loop *loop, uint64_t time);

/* Is it one of this loop's five handles? */
bool tk_loop_is_own(const struct tk_loop *loop, const uv_handle_t *handle);

/*
 * For a program with a loop of its own. One turn of the uv loop, which waits at most so many
 * seconds; negative: as long as it takes. And what that program has to wait for: uv's backend
 * descriptor, and so many milliseconds; 0: not at all; -1: as long as it takes.
 */
void tk_loop_turn(struct tk_loop *loop, double seconds);
int tk_loop_timeout(struct tk_loop *loop);
/* Is there anything to do without waiting? */
bool tk_loop_is_busy(struct tk_loop *loop);

/* Runs those who are ready, as each turn does, where libuv is about to call more callbacks: so what
 * the first of very many have brought is looked at while it is at hand. */
void tk_loop_run(struct tk_loop *loop);

/* Fires the timers that are due, as each turn does. */
void tk_loop_fire(struct tk_loop *loop);

/* The uv loop goes on until it has called the hook `summoned`, which it does soon. */
void tk_loop_summon(struct tk_loop *loop);

/* Makes the hook `woken` be called from the loop. Safe in any thread and in a signal handler. */
void tk_loop_wake(struct tk_loop *loop);

/* The loop that a uv handle belongs to as its check handle; NULL: it is none of those. */
struct tk_loop *tk_loop_from_handle(uv_handle_t *handle);

/* Do tasks that count wait, and can nothing ever wake anybody? */
bool tk_loop_is_stuck(struct tk_loop *loop);

/* Does the loop keep the uv loop going? */
void tk_loop_hold(struct tk_loop *loop, bool keep);

static inline struct tk_loop *tk_loop_of(struct tk_sched *sched)
{
    return tk_container_of(sched, struct tk_loop, sched);
}

/* Counts a handle that the loop opens; hand tk_loop_closed to uv_close. */
void tk_loop_opened(struct tk_loop *loop);
void tk_loop_closed(struct tk_loop *loop);

#endif
