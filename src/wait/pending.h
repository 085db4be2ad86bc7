/* What a call of a function of the program's waits with. */
#ifndef TK_WAIT_PENDING_H
#define TK_WAIT_PENDING_H

#include "core/wait.h"

struct tk_pending_wait {
    struct tk_wait wait;
    const char *what; /* it waits for, in reports */
    /* The tasklet waits no more, whyever. Runs no script and calls nothing of the program's. */
    void (*left)(struct tk_pending_wait *pending);
};

#endif
