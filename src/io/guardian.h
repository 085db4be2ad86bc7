/*
 * The guardian: a small process that ends the process groups which are to end with this process,
 * when this process ends in whatever way, also by SIGKILL.
 *
 * The kernel does this for a child alone, not for what that has started; see tk_spawn.
 */
#ifndef TK_IO_GUARDIAN_H
#define TK_IO_GUARDIAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct tk_guardian {
    int line;       /* to it; -1: there is none */
    char *unsent;   /* what it has had no time for yet */
    size_t pending; /* bytes of that */
    size_t room;
};

void tk_guardian_init(struct tk_guardian *guardian);

/* Starts it. 0, or a negative errno: then there is none. */
int tk_guardian_start(struct tk_guardian *guardian);

/* Is there one that can be told something? */
bool tk_guardian_listens(struct tk_guardian *guardian);

/* Makes sure that it can be told of one group more, and of the end of each, whatever happens. 0, or
 * a negative errno. */
int tk_guardian_reserve(struct tk_guardian *guardian, size_t groups);

/* From now on it minds a group ('+'), or does no more ('-'). */
void tk_guardian_tell(struct tk_guardian *guardian, char sign, pid_t group);

/* It minds no group any more, and goes. */
void tk_guardian_finish(struct tk_guardian *guardian);

#endif
