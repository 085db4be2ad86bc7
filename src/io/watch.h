/*
 * A watch: what happens to a file, or in a directory. It begins when it is made, and keeps what has
 * happened until somebody asks.
 */
#ifndef TK_IO_WATCH_H
#define TK_IO_WATCH_H

#include "io/gate.h"

/* How much is kept: what happens beyond is one event of the kind "overflow". */
#define TK_WATCH_KEPT 1024

struct tk_watch_handle;

struct tk_fs_event {
    char *name;       /* in the directory; of a file its own. Owned; NULL: not known */
    const char *kind; /* "rename", "change", "overflow"; static */
};

/* A watch is a wait condition: wait/watch.c. */
struct tk_fs_watch {
    struct tk_wait wait;
    struct tk_watch_handle *handle; /* NULL: closed */
    struct tk_fs_event now;         /* the event that it fired with last */
    struct tk_fs_event *kept;       /* a ring of TK_WATCH_KEPT; made with the first */
    unsigned first, count;
    bool awaited;        /* it is to fire at the next event */
    struct tk_gate gate; /* where those stand who ask for the next one */
};

/* 0, or a negative code of libuv's. */
int tk_fs_watch_open(struct tk_fs_watch *watch, struct tk_sched *sched, const char *path);
/* It is to fire when something happens, or has happened already; or it is not to any more. */
void tk_fs_watch_await(struct tk_fs_watch *watch, struct tk_sched *sched, bool on);
/* Takes the next event: it is `now`. False: there is none. */
bool tk_fs_watch_take(struct tk_fs_watch *watch);
/* Nothing happens any more, and whoever waits for it goes on. Idempotent. */
void tk_fs_watch_close(struct tk_fs_watch *watch, struct tk_sched *sched);
/* Frees what it has. */
void tk_fs_watch_finish(struct tk_fs_watch *watch);
/* What it watches. */
void tk_fs_watch_path(const struct tk_fs_watch *watch, char *text, size_t size);

#endif
