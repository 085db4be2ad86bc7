/*
 * Starting a child process, at a price that does not depend on how large this one is.
 *
 * What a child gets: its words and environment, three descriptors and no other, the default action
 * for every signal, an empty signal mask. A program that cannot be run is known at once.
 */
#ifndef TK_IO_SPAWN_H
#define TK_IO_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

enum tk_spawn_place {
    TK_SPAWN_JOINED,   /* in the process group of this process */
    TK_SPAWN_GROUP,    /* leads a group of its own */
    TK_SPAWN_SESSION,  /* leads a session of its own, without a terminal */
    TK_SPAWN_TERMINAL, /* leads a session whose terminal is its standard input */
};

/* All is borrowed for the call. */
struct tk_spawn {
    const char *program; /* looked for in PATH, unless it has a '/'; NULL: the first of argv */
    char *const *argv;
    char *const *env; /* "NAME=value"; NULL: that of this process */
    const char *cwd;  /* NULL: that of this process */
    int stdio[3];     /* descriptors of this process; negative: /dev/null */
    enum tk_spawn_place place;
    bool outlives; /* else it is killed when the thread that starts it ends, however that comes */
};

enum tk_spawn_step {
    TK_SPAWN_START, /* making a process */
    TK_SPAWN_STDIO,
    TK_SPAWN_PLACE,
    TK_SPAWN_CWD,
    TK_SPAWN_EXEC,
};

/* Why a child could not be started. */
struct tk_spawn_error {
    int step; /* enum tk_spawn_step */
    int code; /* as errno has it */
};

/* The pid of the child, which the caller must wait for some day; -1: it was not started, `error`
 * says why, and there is nothing to wait for. */
pid_t tk_spawn(const struct tk_spawn *spawn, struct tk_spawn_error *error);

/*
 * Makes a terminal for a child, of that size: *master is this side, not blocking, *slave the
 * child's. 0, or a negative errno.
 */
int tk_spawn_terminal(int rows, int columns, int *master, int *slave);

#endif
