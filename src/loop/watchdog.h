/*
 * A watchdog: says, from a signal handler, that a loop's thread has been busy with one and the same
 * thing for longer than a slice. It costs a counter's increment for each thing, and a few signals
 * while the thread is busy; none while it is idle.
 *
 * The signal is one of the real-time signals, SIGRTMAX - 2, which nearly nobody uses; a handler
 * that was there before is called for signals that are not ours.
 */
#ifndef TK_LOOP_WATCHDOG_H
#define TK_LOOP_WATCHDOG_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct tk_watchdog {
    timer_t timer;
    int place; /* among all watchdogs of the process */
    bool on;
    uint64_t tick; /* ns */
    volatile sig_atomic_t ticking;
    volatile sig_atomic_t busy;  /* how many times the thread has gone to work, nested */
    volatile unsigned *count;    /* changes with each thing that the thread does */
    unsigned seen;               /* the handler's */
    int late;                    /* the handler's: ticks since it has seen a change */
    void (*bark)(void *context); /* in the signal handler */
    void *context;
};

/* Begins to watch the calling thread, or changes the slice. 0, or a negative errno. */
int tk_watchdog_start(struct tk_watchdog *dog, uint64_t slice, volatile unsigned *count,
                      void (*bark)(void *context), void *context);

/* Stops it. Nothing if it is not on. */
void tk_watchdog_stop(struct tk_watchdog *dog);

/* Sets it ticking; see tk_watchdog_enter. */
void tk_watchdog_kick(struct tk_watchdog *dog);

/* The thread goes to work, and rests again. */
static inline void tk_watchdog_enter(struct tk_watchdog *dog)
{
    dog->busy++;
    if (dog->on && !dog->ticking) {
        tk_watchdog_kick(dog);
    }
}

static inline void tk_watchdog_leave(struct tk_watchdog *dog)
{
    dog->busy--;
}

#endif
