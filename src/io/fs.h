/*
 * Operations on files: each is one job, done by the system's plain calls in a thread.
 */
#ifndef TK_IO_FS_H
#define TK_IO_FS_H

#include <sys/stat.h>

#include "io/job.h"

enum tk_fs_op {
    TK_FS_READ,    /* a whole file: into `data` */
    TK_FS_WRITE,   /* `data`: the file is that then */
    TK_FS_STAT,    /* into `stat` */
    TK_FS_READDIR, /* into `entries`, sorted by name */
    TK_FS_MKDIR,
    TK_FS_RENAME,  /* to `other` */
    TK_FS_REMOVE,  /* a file or a directory that is empty */
    TK_FS_OPEN,    /* with `open`; the descriptor: into `fd` */
    TK_FS_TEMPDIR, /* `path` is how it begins; its path: into `other` */
};

enum tk_fs_flags {
    TK_FS_ATOMIC = 1,  /* WRITE: under another name first; it is there as a whole or not at all */
    TK_FS_APPEND = 2,  /* WRITE: behind what is there */
    TK_FS_FOLLOW = 4,  /* STAT: what a symbolic link leads to */
    TK_FS_PARENTS = 8, /* MKDIR: those above as well; one that is there is fine */
    TK_FS_RECURSIVE = 16, /* REMOVE: with all that is in it */
};

struct tk_fs_entry {
    char *name;
    const char *type; /* "file", static */
};

struct tk_fs {
    struct tk_job job; /* first */
    enum tk_fs_op op;
    unsigned flags; /* enum tk_fs_flags */
    unsigned mode;  /* of what is made */
    int error;      /* an errno; 0: none */
    int open;       /* OPEN: flags of open() */
    int fd;         /* OPEN: -1: none; closed with it */
    char *path, *other;
    char *data;
    size_t length;
    struct stat stat;
    struct tk_fs_entry *entries;
    size_t count;
};

/* Copies `path`, `other` (may be NULL) and `data`. NULL: no memory. */
struct tk_fs *tk_fs_new(enum tk_fs_op op, const char *path, const char *other, const void *data,
                        size_t length);
void tk_fs_free(struct tk_fs *fs);

/* "file", "directory", "link", "fifo", "socket", "char device", "block device", "other". Static. */
const char *tk_fs_type(mode_t mode);

#endif
