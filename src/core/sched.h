/*
 * The scheduler: tell it what fired, it says whom to resume.
 *
 * It resumes nobody itself. Whoever drives it (the loop, a test) takes tasks from tk_sched_next,
 * runs their bodies, and tells how they gave way. Two ways lead to a task:
 *
 *   the run queue   what the loop found ready: timers, descriptors, idle, ends of others
 *   the chain       what a script triggered: the woken tasks in front, the one that woke them
 * behind; so a wake-up by hand is immediate, and a chain of any length needs no C stack
 *
 * Where the one that triggers cannot give way (a callback, a C function in between), the chain is
 * run nested: tk_sched_enter puts the present chain aside, tk_sched_leave takes it up again.
 */
#ifndef TK_CORE_SCHED_H
#define TK_CORE_SCHED_H

#include "core/atom.h"
#include "core/fault.h"
#include "core/runq.h"
#include "core/task.h"
#include "core/timer.h"
#include "core/wait.h"

struct tk_message;

struct tk_frame {
    struct tk_frame *outer;
    struct tk_task *chain;
    struct tk_task *current;
    int credit;
    int budget;
    unsigned quota;
};

struct tk_sched_hooks {
    /* A payload that nobody will read. */
    void (*drop)(void *context, void *payload);
    /* The same payload for one firing more. */
    void *(*share)(void *context, void *payload);
    /* A message that the filters of `task` do not name; `payload` is the message, dropped
     * afterwards. */
    void (*unnamed)(void *context, struct tk_task *task, void *payload);
    /* The first task that counts began (true), or the last one ended (false). */
    void (*alive)(void *context, bool alive);
    /* A task runs no more; only while `careful` lasts, which this counts down. */
    void (*resumed)(void *context);
};

struct tk_sched {
    struct tk_runq ready;
    struct tk_wheel wheel;
    struct tk_atoms atoms;
    struct tk_list idle;     /* waits for idleness: wait/idle.c */
    struct tk_task *current; /* whose body runs; NULL: none */
    struct tk_task *chain;   /* its head is next */
    struct tk_frame *frame;  /* chains put aside */
    int depth;               /* how many */
    struct tk_task *batch;   /* woken by hand and not yet in the chain */
    struct tk_task *batch_last;
    struct tk_firing *spare;    /* pool */
    struct tk_message *records; /* of mailboxes, to be used again */
    int spare_records;
    uint64_t offers; /* that have stood on channels */
    uint32_t tick;   /* the time when the clock was last looked at, in units of 10 ms */
    size_t alive;    /* tasks that keep the loop going */
    size_t begun;    /* tasks that have begun and not ended */
    unsigned quota;  /* tasks that tk_sched_next may still take from the run queue */
    int budget;      /* resumptions left in this turn of the loop */
    int careful;     /* resumptions that are looked at one by one, to see who takes long */
    int credit;      /* events that may be taken without giving way */
    const struct tk_sched_hooks *hooks;
    void *context;
    void *binding; /* of the script's language; the core never looks at it */
};

/* A wait with a deadline. Whatever is in the wheel is one of these. */
struct tk_timed {
    struct tk_wait wait;
    struct tk_timer timer;
};

/* A wait that stands in a list of what it waits for. For one that waits for the end of a task: in
 * the list `watchers` of that. */
struct tk_watch {
    struct tk_wait wait;
    struct tk_list node;
    struct tk_task *target;
};

/* What the driver noted when it looked at the clock. */
struct tk_sample {
    uint32_t who;  /* ran, by its number; 0: nobody since the look before; UINT32_MAX: unknown */
    uint64_t time; /* since then, in nanoseconds */
};

struct tk_event {
    struct tk_wait *wait;
    void *payload; /* goes over to the taker */
};

/* The unit of `tick`, in nanoseconds. */
#define TK_TICK UINT64_C(10000000)

/* The clock shows `now`. */
static inline void tk_sched_tick(struct tk_sched *sched, uint64_t now)
{
    sched->tick = (uint32_t)(now / TK_TICK);
}

int tk_sched_init(struct tk_sched *sched, uint64_t now, const struct tk_sched_hooks *hooks,
                  void *context);
void tk_sched_finish(struct tk_sched *sched);

/*
 * Whom to resume now: the head of the chain, out of it. When the chain is done the next task of the
 * run queue becomes one, as long as `quota` lasts, which is 0 unless the driver sets it. NULL:
 * there is nobody; or the turn's budget is used up, and the rest of the chain has been put at the
 * end of the run queue.
 */
struct tk_task *tk_sched_next(struct tk_sched *sched);

/* Makes the next task of the run queue the chain. False: this round is over. */
bool tk_sched_pull(struct tk_sched *sched);

/* Puts the rest of the chain at the end of the run queue. */
void tk_sched_cut(struct tk_sched *sched);

/* Puts the batch, and then `current` if not NULL, at the head of the chain. `current` must now give
 * way. */
void tk_sched_hand_over(struct tk_sched *sched, struct tk_task *current);

/*
 * From outside of all tasks: those that are woken by hand between the two take their turn in the
 * run queue. What was woken before stays in the batch.
 */
struct tk_batch {
    struct tk_task *first, *last;
};
void tk_sched_aside(struct tk_sched *sched, struct tk_batch *batch);
void tk_sched_defer(struct tk_sched *sched, const struct tk_batch *batch);

/* Runs nested: puts the present chain aside; the batch, which may be empty, becomes a chain of its
 * own. */
void tk_sched_enter(struct tk_sched *sched, struct tk_frame *frame);
void tk_sched_leave(struct tk_sched *sched);

/* Begins a task that is TK_NEW: puts it into the batch (now) or into the run queue. */
void tk_task_begin(struct tk_sched *sched, struct tk_task *task, bool now);

/* It gives way to all others that are ready. */
void tk_task_give_way(struct tk_sched *sched, struct tk_task *task);

/* Wakes it wherever it stands, for a reason of the driver's own (an error to raise): into the
 * batch. Nothing if it runs, has ended or never began. */
void tk_task_wake(struct tk_sched *sched, struct tk_task *task);

/*
 * The run queue by hand, as Stackless has it. A task is scheduled while it is in the run queue or
 * in a chain; pausing takes it out of there, and it counts no more until it is put back.
 */
bool tk_task_scheduled(const struct tk_task *task);
void tk_task_pause(struct tk_sched *sched, struct tk_task *task);
/* Puts one that is paused at the end of the run queue. */
void tk_task_insert(struct tk_sched *sched, struct tk_task *task);
/*
 * `task`, which is scheduled or paused, runs next. If it is in the run queue it is not moved there:
 * the queue goes on from it, as a ring, and those before it have lost their turn.
 */
void tk_task_run_next(struct tk_sched *sched, struct tk_task *task);
/* How many are in the run queue or in a chain, or run others nested. */
size_t tk_sched_count(const struct tk_sched *sched);
/* The neighbours of one that is scheduled; of NULL, the first and the last. NULL: none. */
struct tk_task *tk_sched_after(const struct tk_sched *sched, const struct tk_task *task);
struct tk_task *tk_sched_before(const struct tk_sched *sched, const struct tk_task *task);

/*
 * Installs a wait list: arms what is new, arms again what is spent, disarms what left, in this
 * order, so that a failure (a negative code) leaves the list as it was. `list` is borrowed for
 * the call. 1: an event is there already, and the task goes on with tk_task_take. 0: it is
 * TK_WAITING now.
 */
int tk_task_wait(struct tk_sched *sched, struct tk_task *task, struct tk_wait **list, size_t count,
                 struct tk_fault *fault);

/* Takes the next event. False: none is left, and the task, resumed for nothing, waits on. */
bool tk_task_take(struct tk_sched *sched, struct tk_task *task, struct tk_event *event);

/* Disarms and lets go of the whole wait list. */
void tk_task_clear(struct tk_sched *sched, struct tk_task *task);

/* A blocking verb: arms `wait`, which the caller owns, beside the wait list. */
int tk_task_block(struct tk_sched *sched, struct tk_task *task, struct tk_wait *wait,
                  struct tk_fault *fault);
/* The task gives way until one of its verb's waits has fired. */
void tk_task_blocked(struct tk_sched *sched, struct tk_task *task);
/* Takes the next of the verb's waits out of the task, disarmed; NULL: none is left. */
struct tk_wait *tk_task_unblock(struct tk_sched *sched, struct tk_task *task);

/* It has ended, or is given up: disarms all, drops its mail, wakes those who wait for its end.
 * Idempotent. */
void tk_task_end(struct tk_sched *sched, struct tk_task *task);

/* It drops what it is about, without having ended, and is TK_NEW again. */
void tk_task_reset(struct tk_sched *sched, struct tk_task *task);

/* Frees what a task still has, without telling anybody: its memory is about to go. */
void tk_task_finish(struct tk_sched *sched, struct tk_task *task);

void tk_task_count(struct tk_sched *sched, struct tk_task *task, bool counts);

#endif
