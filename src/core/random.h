/* A small generator of numbers that are repeatable: splitmix64. A struct is all that it is. */
#ifndef TK_CORE_RANDOM_H
#define TK_CORE_RANDOM_H

#include <stdint.h>

struct tk_random {
    uint64_t state; /* the seed, at first */
};

static inline uint64_t tk_random_next(struct tk_random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* From 0 to `bound` - 1, which is at most 2^32 - 1; all as likely as makes no difference. */
static inline uint64_t tk_random_below(struct tk_random *random, uint64_t bound)
{
    return ((tk_random_next(random) >> 32) * bound) >> 32;
}

#endif
