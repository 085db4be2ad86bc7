/*
 * Timers: one wheel for all deadlines. Time is a count of nanoseconds that the caller passes in;
 * the wheel has no clock. Arming and disarming take the same time however many timers there are.
 *
 * A timer is embedded in what waits and belongs to it; the wheel allocates nothing, so it needs no
 * finishing. The wheel must not move in memory, nor may a timer while it is armed.
 */
#ifndef TK_CORE_TIMER_H
#define TK_CORE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"

#define TK_WHEEL_LEVELS 8
#define TK_WHEEL_SLOTS 64

/* A zeroed timer is not armed. */
struct tk_timer {
    struct tk_list node;
    uint64_t due;
};

struct tk_wheel_slot {
    struct tk_list timers; /* a part in order of due, then a tail in order of arming */
    uint64_t bound; /* nothing in the tail is due before this; UINT64_MAX: there is no tail */
};

struct tk_wheel {
    uint64_t tick; /* how far the wheel has turned */
    size_t count;
    uint64_t occupied[TK_WHEEL_LEVELS]; /* a bit for each slot of a level that is not empty */
    struct tk_wheel_slot slots[TK_WHEEL_LEVELS * TK_WHEEL_SLOTS];
};

void tk_wheel_init(struct tk_wheel *wheel, uint64_t now);

/*
 * Arms a timer, or arms it anew: then it counts as armed last. `due` is below UINT64_MAX and may be
 * in the past.
 */
void tk_wheel_arm(struct tk_wheel *wheel, struct tk_timer *timer, uint64_t due);

/* Nothing happens to a timer that is not armed. */
void tk_wheel_disarm(struct tk_wheel *wheel, struct tk_timer *timer);

bool tk_timer_armed(const struct tk_timer *timer);

/* When the first timer is due, to the nanosecond; UINT64_MAX if there is none. */
uint64_t tk_wheel_next(struct tk_wheel *wheel);

/*
 * Takes out the next timer that is due at `now`: in order of due, and of arming where that is
 * equal. NULL if there is none. Called until then; what is armed and disarmed in between counts at
 * once, so a caller that arms for the past without end is never told NULL.
 */
struct tk_timer *tk_wheel_expire(struct tk_wheel *wheel, uint64_t now);

size_t tk_wheel_count(const struct tk_wheel *wheel);

#endif
