/*
 * cancel N LIVE...: the least that arming and cancelling a timeout can cost: a doubly linked node
 * is taken out of one slot of a wheel and put into another, N times, going round 1,000 nodes. Done
 * with so many other timeouts armed as each LIVE says (in rising order).
 */

#include "limit.h"
#include <stdint.h>

#define SLOTS 65536
#define IN_HAND 1000

struct node {
    struct node *next, *prev;
    uint64_t due;
};

static uint64_t random_state = 1;

/* 10,000 .. 69,999 ms, the same sequence in every run. */
static uint64_t random_due(void)
{
    random_state = random_state * 48271 % 2147483647;
    return 10000 + random_state % 60000;
}

static void arm(struct node *slots, struct node *n, uint64_t due)
{
    struct node *slot = &slots[due % SLOTS];

    n->due = due;
    n->next = slot;
    n->prev = slot->prev;
    slot->prev->next = n;
    slot->prev = n;
}

static void cancel(struct node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
}

static long count_armed(struct node *slots)
{
    long count = 0;

    for (long i = 0; i < SLOTS; i++) {
        for (struct node *n = slots[i].next; n != &slots[i]; n = n->next) {
            count++;
        }
    }
    return count;
}

static void measure(struct node *slots, struct node *in_hand, long total, long live)
{
    char name[64];
    double start = now_ns();

    for (long i = 0; i < total; i++) {
        struct node *n = &in_hand[i % IN_HAND];
        cancel(n);
        arm(slots, n, random_due());
    }
    snprintf(name, sizeof(name), "restart_%ld", live);
    report(name, (now_ns() - start) / (double)total, "ns");
}

int main(int argc, char **argv)
{
    long total = count_argument(argc, argv, 1);
    struct node *slots = calloc(SLOTS, sizeof(*slots));
    struct node *in_hand = calloc(IN_HAND, sizeof(*in_hand));
    long armed = 0;

    check(slots && in_hand, "there is memory for the wheel");
    for (long i = 0; i < SLOTS; i++) {
        slots[i].next = slots[i].prev = &slots[i];
    }
    for (long i = 0; i < IN_HAND; i++) {
        arm(slots, &in_hand[i], random_due());
    }
    for (int i = 2; i < argc; i++) {
        long live = count_argument(argc, argv, i);
        for (; armed < live; armed++) {
            struct node *n = malloc(sizeof(*n));
            check(n != NULL, "there is memory for a timeout");
            arm(slots, n, 3600000 + random_due());
        }
        measure(slots, in_hand, total, live);
        check(count_armed(slots) == armed + IN_HAND, "no timeout was lost");
    }
    fflush(stdout);
    _exit(0);
}
