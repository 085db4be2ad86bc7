/*
 * The clock of a loop: nanoseconds that never go back. It is the system's monotonic clock, or a
 * virtual one, which stands still while scripts run and which the loop moves on when all wait. It
 * may be changed from one to the other at any time: it goes on from where it is.
 */
#ifndef TK_LOOP_CLOCK_H
#define TK_LOOP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct tk_clock {
    bool is_virtual;
    uint64_t time;   /* virtual: what it says */
    uint64_t ahead;  /* real: how far it is before the system's */
    uint64_t polled; /* virtual: the system's time when it began to flow with that; 0: it stands */
};

static inline uint64_t tk_clock_now(const struct tk_clock *clock)
{
    return clock->is_virtual ? clock->time : uv_hrtime() + clock->ahead;
}

static inline void tk_clock_set_virtual(struct tk_clock *clock, bool is_virtual)
{
    if (is_virtual && !clock->is_virtual) {
        clock->time = tk_clock_now(clock);
        clock->polled = 0;
    } else if (!is_virtual && clock->is_virtual) {
        clock->ahead = clock->time - uv_hrtime();
    }
    clock->is_virtual = is_virtual;
}

/* Virtual: the loop is about to wait for the world, which takes the time that it takes. */
static inline void tk_clock_flow(struct tk_clock *clock)
{
    clock->polled = uv_hrtime();
}

/* And has waited. */
static inline void tk_clock_stand(struct tk_clock *clock)
{
    if (clock->polled != 0) {
        clock->time += uv_hrtime() - clock->polled;
        clock->polled = 0;
    }
}

/* It flows, and somebody asks for the time meanwhile. */
static inline void tk_clock_catch_up(struct tk_clock *clock)
{
    if (clock->polled != 0) {
        tk_clock_stand(clock);
        tk_clock_flow(clock);
    }
}

#endif
