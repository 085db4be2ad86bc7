/*
 * The timing wheel. It owns where armed timers are kept; it never reads a clock, allocates,
 * recurses or calls back. It ends with its memory.
 *
 * A tick is 2^20 ns, about a millisecond, and a number of 44 bits: eight digits to the base of 64.
 * A timer is kept on the level of the highest digit in which its tick differs from the wheel's, in
 * the slot of its own digit there; one whose tick is reached or past, in the wheel's own slot of
 * level 0. Hence:
 *
 * - Slots never wrap around: whatever is occupied on a level lies ahead of the wheel, and all of a
 *   level is due before anything on the next. The earliest timer is in the first occupied slot of
 *   the lowest occupied level: a look at the bitmaps, however far away it is.
 * - The wheel turns only in tk_wheel_expire, never beyond `now` and never past a timer. When it
 *   comes to a slot above level 0, all levels below are empty, and the slot is dealt out to them: a
 *   timer moves down at most seven times, and its level never rises.
 * - Timers of equal due are always in one slot, since the place follows from due and the wheel's
 *   tick alone, and are there in the order of arming. Every way into a slot puts a timer behind
 *   those of equal due; dealing out goes from first to last, into slots that were empty, before
 *   anything else can be armed there.
 *
 * Order inside a slot is made late and kept cheaply. Its list is a part in order, then a tail as it
 * came, and `bound` says that nothing in the tail is due earlier. While the first timer is not due
 * after the bound it is the earliest; otherwise the list is sorted. A timer due before the bound
 * goes to its place in the ordered part if that is at most PROBES steps from an end: deadlines
 * mostly come in order, or are the earliest. Any other goes to the tail, so arming is constant in
 * time. Sorting is repeated only after the ordered part is used up to the bound, never just because
 * somebody asked.
 */
#include "core/timer.h"

#include <assert.h>

#define TICK_SHIFT 20
#define DIGIT_BITS 6
#define PROBES 16
#define RUN_BINS 64 /* bin i holds 2^i runs: more than there is memory for */

static_assert(TK_WHEEL_SLOTS == 1 << DIGIT_BITS, "a slot for each digit");
static_assert(TICK_SHIFT + TK_WHEEL_LEVELS * DIGIT_BITS >= 64, "a level for each digit of a tick");

static uint64_t due_of(const struct tk_list *node)
{
    return tk_container_of(node, const struct tk_timer, node)->due;
}

/* Merges two chains, linked by `next` alone; where dues are equal, `older` goes first. */
static struct tk_list *merge(struct tk_list *older, struct tk_list *newer)
{
    struct tk_list *chain = NULL;
    struct tk_list **end = &chain;

    while (older != NULL && newer != NULL) {
        struct tk_list **from = due_of(newer) < due_of(older) ? &newer : &older;

        *end = *from;
        end = &(*from)->next;
        *from = *end;
    }
    *end = older != NULL ? older : newer;
    return chain;
}

/* Cuts the run in order that a chain starts with off the rest, which it returns. */
static struct tk_list *cut_run(struct tk_list *chain)
{
    struct tk_list *rest;

    while (chain->next != NULL && due_of(chain->next) >= due_of(chain)) {
        chain = chain->next;
    }
    rest = chain->next;
    chain->next = NULL;
    return rest;
}

/*
 * Sorts a list that is not empty: a stable merge sort of the runs that are there. The first one,
 * which is the ordered part and may be long, is merged once, at the end.
 */
static void sort(struct tk_list *list)
{
    struct tk_list *bins[RUN_BINS] = {NULL};
    struct tk_list *first = list->next;
    struct tk_list *chain = NULL;
    struct tk_list *rest;

    list->prev->next = NULL;
    rest = cut_run(first);
    while (rest != NULL) {
        struct tk_list *run = rest;
        size_t bin = 0;

        rest = cut_run(run);
        for (; bins[bin] != NULL; bin++) {
            run = merge(bins[bin], run);
            bins[bin] = NULL;
        }
        bins[bin] = run;
    }
    for (size_t bin = 0; bin < RUN_BINS; bin++) {
        chain = merge(bins[bin], chain);
    }
    chain = merge(first, chain);
    tk_list_init(list);
    while (chain != NULL) {
        struct tk_list *next = chain->next;

        tk_list_push(list, chain);
        chain = next;
    }
}

/*
 * The node before which a due belongs in the ordered part of a slot; NULL if that is too far to
 * look. It is before the bound, so every timer in the tail is due after it, and the search holds
 * there too.
 */
static struct tk_list *probe(struct tk_wheel_slot *slot, uint64_t due)
{
    struct tk_list *head = &slot->timers;
    struct tk_list *front = head->next;
    struct tk_list *back = head;

    for (int i = 0; i < PROBES; i++) {
        if (back->prev == head || due_of(back->prev) <= due) {
            return back;
        }
        if (due_of(front) > due) {
            return front;
        }
        back = back->prev;
        front = front->next;
    }
    return NULL;
}

static void slot_add(struct tk_wheel_slot *slot, struct tk_timer *timer)
{
    struct tk_list *where = NULL;

    if (tk_list_empty(&slot->timers)) {
        slot->bound = UINT64_MAX;
    }
    if (timer->due < slot->bound) {
        where = probe(slot, timer->due);
    }
    if (where != NULL) {
        tk_list_insert_before(where, &timer->node);
        return;
    }
    tk_list_push(&slot->timers, &timer->node);
    if (timer->due < slot->bound) {
        slot->bound = timer->due;
    }
}

/* The earliest timer of a slot that is not empty. */
static struct tk_timer *slot_first(struct tk_wheel_slot *slot)
{
    if (due_of(slot->timers.next) > slot->bound) {
        sort(&slot->timers);
        slot->bound = UINT64_MAX;
    }
    return tk_container_of(slot->timers.next, struct tk_timer, node);
}

/* Puts a timer where the head comment says. */
static void place(struct tk_wheel *wheel, struct tk_timer *timer)
{
    uint64_t tick = timer->due >> TICK_SHIFT;
    unsigned level = 0;
    unsigned digit;

    if (tick < wheel->tick) {
        tick = wheel->tick;
    }
    if (tick != wheel->tick) {
        level = (63U - (unsigned)__builtin_clzll(tick ^ wheel->tick)) / DIGIT_BITS;
    }
    digit = (unsigned)(tick >> (level * DIGIT_BITS)) % TK_WHEEL_SLOTS;
    wheel->occupied[level] |= UINT64_C(1) << digit;
    slot_add(&wheel->slots[level * TK_WHEEL_SLOTS + digit], timer);
}

/* Takes a timer out; a list that had no other is known by both its neighbours being the head. */
static void take_out(struct tk_wheel *wheel, struct tk_timer *timer)
{
    struct tk_list *prev = timer->node.prev;

    if (prev == timer->node.next) {
        struct tk_wheel_slot *slot = tk_container_of(prev, struct tk_wheel_slot, timers);
        size_t index = (size_t)(slot - wheel->slots);

        wheel->occupied[index / TK_WHEEL_SLOTS] &= ~(UINT64_C(1) << index % TK_WHEEL_SLOTS);
    }
    tk_list_remove(&timer->node);
    wheel->count--;
}

/* The first occupied slot, by its index; -1: the wheel is empty. */
static int first_slot(const struct tk_wheel *wheel)
{
    for (int level = 0; level < TK_WHEEL_LEVELS; level++) {
        if (wheel->occupied[level] != 0) {
            return level * TK_WHEEL_SLOTS + __builtin_ctzll(wheel->occupied[level]);
        }
    }
    return -1;
}

/* The first tick of a slot ahead of the wheel: the wheel's, from that digit on down made the
 * slot's. */
static uint64_t slot_tick(const struct tk_wheel *wheel, unsigned index)
{
    unsigned shift = index / TK_WHEEL_SLOTS * DIGIT_BITS;
    uint64_t above = wheel->tick >> shift >> DIGIT_BITS << DIGIT_BITS;

    return (above | index % TK_WHEEL_SLOTS) << shift;
}

/* Turns the wheel to the first tick of the first occupied slot and deals that out to the levels
 * below. */
static void deal_out(struct tk_wheel *wheel, unsigned index)
{
    struct tk_list dealt;
    struct tk_list *node;

    wheel->tick = slot_tick(wheel, index);
    wheel->occupied[index / TK_WHEEL_SLOTS] &= ~(UINT64_C(1) << index % TK_WHEEL_SLOTS);
    tk_list_init(&dealt);
    tk_list_splice(&dealt, &wheel->slots[index].timers);
    while ((node = tk_list_first(&dealt)) != NULL) {
        tk_list_remove(node);
        place(wheel, tk_container_of(node, struct tk_timer, node));
    }
}

void tk_wheel_init(struct tk_wheel *wheel, uint64_t now)
{
    wheel->tick = now >> TICK_SHIFT;
    wheel->count = 0;
    for (size_t level = 0; level < TK_WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
    }
    for (size_t i = 0; i < TK_WHEEL_LEVELS * TK_WHEEL_SLOTS; i++) {
        tk_list_init(&wheel->slots[i].timers);
        wheel->slots[i].bound = UINT64_MAX;
    }
}

void tk_wheel_arm(struct tk_wheel *wheel, struct tk_timer *timer, uint64_t due)
{
    assert(due < UINT64_MAX);
    if (tk_timer_armed(timer)) {
        take_out(wheel, timer);
    }
    timer->due = due;
    place(wheel, timer);
    wheel->count++;
}

void tk_wheel_disarm(struct tk_wheel *wheel, struct tk_timer *timer)
{
    if (tk_timer_armed(timer)) {
        take_out(wheel, timer);
    }
}

bool tk_timer_armed(const struct tk_timer *timer)
{
    return tk_list_linked(&timer->node);
}

uint64_t tk_wheel_next(struct tk_wheel *wheel)
{
    int index = first_slot(wheel);

    return index < 0 ? UINT64_MAX : slot_first(&wheel->slots[index])->due;
}

struct tk_timer *tk_wheel_expire(struct tk_wheel *wheel, uint64_t now)
{
    uint64_t tick = now >> TICK_SHIFT;
    int index = first_slot(wheel);

    while (index >= TK_WHEEL_SLOTS && slot_tick(wheel, (unsigned)index) <= tick) {
        deal_out(wheel, (unsigned)index);
        index = first_slot(wheel);
    }
    if (index >= 0 && index < TK_WHEEL_SLOTS) {
        struct tk_timer *timer = slot_first(&wheel->slots[index]);

        if (timer->due <= now) {
            take_out(wheel, timer);
            return timer;
        }
    }
    /* Nothing lies before `now`, so nothing changes its place by turning there. */
    if (wheel->tick < tick) {
        wheel->tick = tick;
    }
    return NULL;
}

size_t tk_wheel_count(const struct tk_wheel *wheel)
{
    return wheel->count;
}
