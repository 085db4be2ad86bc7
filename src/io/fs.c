/*
 * Operations on files: see fs.h. All of it runs in threads of the pool but tk_fs_new and
 * tk_fs_free. A long one stops half-way when nobody waits for it any more; what it has done by then
 * stays.
 */
#include "io/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "io/descriptors.h"

/* How much is read or written between two looks at whether anybody still waits, and how long
 * something that is no file is waited for, in ms. */
#define CHUNK ((size_t)1 << 20)
#define PATIENCE 50

static bool abandoned(struct tk_fs *fs)
{
    return atomic_load(&fs->job.abandoned);
}

/* ---- whole files ---- */

/* A pipe may have nothing to read for ever. */
static int await(struct tk_fs *fs, int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    int rc;

    do {
        rc = poll(&ready, 1, PATIENCE);
    } while ((rc == 0 || (rc < 0 && errno == EINTR)) && !abandoned(fs));
    return rc > 0 ? 0 : rc == 0 ? ECANCELED : errno;
}

/* Looks at what read or write has returned: 0 if there is to be another, or an error. `events` is
 * what is waited for if it would have blocked; 0: that is an error. */
static int look(struct tk_fs *fs, int fd, ssize_t count, short events)
{
    int error = count >= 0 || errno == EINTR ? 0 : errno;

    if (error == EAGAIN && events != 0) {
        error = await(fs, fd, events);
    }
    return error == 0 && abandoned(fs) ? ECANCELED : error;
}

static int grow(struct tk_fs *fs, size_t *room)
{
    size_t more = *room * 2;
    char *data = more > *room ? realloc(fs->data, more) : NULL;

    if (data == NULL) {
        return ENOMEM;
    }
    fs->data = data;
    *room = more;
    return 0;
}

static int read_all(struct tk_fs *fs, int fd, bool waits)
{
    size_t room = fs->stat.st_size > 0 ? (size_t)fs->stat.st_size + 1 : 4096;
    int error = 0;

    fs->data = malloc(room);
    if (fs->data == NULL) {
        return ENOMEM;
    }
    while (error == 0) {
        size_t left = room - fs->length;
        ssize_t got;

        if (left == 0) {
            error = grow(fs, &room);
            continue;
        }
        got = read(fd, fs->data + fs->length, left < CHUNK ? left : CHUNK);
        if (got == 0) {
            break;
        }
        fs->length += got > 0 ? (size_t)got : 0;
        error = look(fs, fd, got, waits ? POLLIN : 0);
    }
    return error;
}

/* Without blocking: the first to open a pipe would wait for the other side, and nobody could stop
 * it. */
static int read_file(struct tk_fs *fs)
{
    int fd = open(fs->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), error;

    if (fd < 0) {
        return errno;
    }
    if (fstat(fd, &fs->stat) < 0) {
        error = errno;
    } else if (S_ISDIR(fs->stat.st_mode)) {
        error = EISDIR;
    } else {
        /* A pipe that nobody has opened for writing yet looks as if it had ended. */
        error = S_ISFIFO(fs->stat.st_mode) ? await(fs, fd, POLLIN) : 0;
        error = error != 0 ? error : read_all(fs, fd, !S_ISREG(fs->stat.st_mode));
    }
    close(fd);
    return error;
}

static int write_all(struct tk_fs *fs, int fd)
{
    size_t done = 0;
    int error = 0;

    while (error == 0 && done < fs->length) {
        size_t left = fs->length - done;
        struct iovec piece = {.iov_base = fs->data + done, .iov_len = left < CHUNK ? left : CHUNK};
        ssize_t put = tk_descriptors_write(fd, &piece, 1);

        done += put > 0 ? (size_t)put : 0;
        error = look(fs, fd, put, POLLOUT);
    }
    return error;
}

static int write_plain(struct tk_fs *fs)
{
    int how = fs->flags & TK_FS_APPEND ? O_APPEND : O_TRUNC, error;
    int fd = open(fs->path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | how, fs->mode);

    if (fd < 0) {
        return errno;
    }
    error = write_all(fs, fd);
    if (close(fd) < 0 && error == 0) {
        error = errno;
    }
    return error;
}

/* The directory that `path` is in; "." if it names none. The caller frees it. NULL: no memory. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return strdup(".");
    }
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* The name is on the disk when its directory is. Some file systems cannot do that. */
static int sync_directory(const char *path)
{
    char *dir = directory_of(path);
    int fd, error = 0;

    if (dir == NULL) {
        return ENOMEM;
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0) {
        return errno;
    }
    if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS) {
        error = errno;
    }
    close(fd);
    return error;
}

/* A file that is there keeps its mode, though not its owner. */
static int fill(struct tk_fs *fs, int fd, bool exists)
{
    int error = write_all(fs, fd);

    if (error == 0 && exists && fchmod(fd, fs->stat.st_mode & 07777) < 0) {
        error = errno;
    }
    if (error == 0 && fsync(fd) < 0) {
        error = errno;
    }
    if (close(fd) < 0 && error == 0) {
        error = errno;
    }
    return error;
}

/* The file at the end of symbolic links is replaced, not the link. The caller frees it; NULL: errno
 * says why. */
static char *real_target(struct tk_fs *fs, bool *exists)
{
    *exists = lstat(fs->path, &fs->stat) == 0;
    if (*exists && S_ISLNK(fs->stat.st_mode)) {
        *exists = stat(fs->path, &fs->stat) == 0;
        return realpath(fs->path, NULL);
    }
    return strdup(fs->path);
}

/* Makes a file beside `target` that nobody else has; its name, which the caller frees, into *name.
 */
static int make_beside(struct tk_fs *fs, const char *target, char **name)
{
    size_t room = strlen(target) + 24;
    int fd = -1;

    *name = malloc(room);
    if (*name == NULL) {
        errno = ENOMEM;
        return -1;
    }
    do {
        uint64_t random;

        if (getrandom(&random, sizeof random, 0) < 0) {
            return -1;
        }
        snprintf(*name, room, "%s.%016" PRIx64, target, random);
        fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, fs->mode);
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

static int write_beside(struct tk_fs *fs, const char *target, bool exists)
{
    char *name;
    int fd = make_beside(fs, target, &name), error;

    if (fd < 0) {
        error = errno;
        free(name);
        return error;
    }
    error = fill(fs, fd, exists);
    if (error == 0 && rename(name, target) < 0) {
        error = errno;
    }
    if (error != 0) {
        unlink(name);
    }
    free(name);
    return error == 0 ? sync_directory(target) : error;
}

static int write_atomic(struct tk_fs *fs)
{
    bool exists;
    char *target = real_target(fs, &exists);
    int error;

    if (target == NULL) {
        return errno;
    }
    error = exists && !S_ISREG(fs->stat.st_mode) ? EINVAL : write_beside(fs, target, exists);
    free(target);
    return error;
}

/* ---- directories ---- */

const char *tk_fs_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "link";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "char device";
    case S_IFBLK:
        return "block device";
    default:
        return "other";
    }
}

static const char *type_of(DIR *dir, const struct dirent *entry)
{
    struct stat stat;

    if (entry->d_type != DT_UNKNOWN) {
        return tk_fs_type(DTTOIF(entry->d_type));
    }
    return fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0
               ? "other"
               : tk_fs_type(stat.st_mode);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tk_fs_entry *)a)->name, ((const struct tk_fs_entry *)b)->name);
}

static int add_entry(struct tk_fs *fs, DIR *dir, const struct dirent *entry)
{
    struct tk_fs_entry *slot;

    if ((fs->count & (fs->count - 1)) == 0) { /* 0, 1, 2, 4, ...: as many as there is room for */
        size_t room = fs->count == 0 ? 1 : fs->count * 2;
        struct tk_fs_entry *entries = realloc(fs->entries, room * sizeof *entries);

        if (entries == NULL) {
            return ENOMEM;
        }
        fs->entries = entries;
    }
    slot = &fs->entries[fs->count];
    slot->name = strdup(entry->d_name);
    if (slot->name == NULL) {
        return ENOMEM;
    }
    slot->type = type_of(dir, entry);
    fs->count++;
    return 0;
}

static int read_directory(struct tk_fs *fs)
{
    DIR *dir = opendir(fs->path);
    struct dirent *entry;
    int error = 0;

    if (dir == NULL) {
        return errno;
    }
    while (error == 0) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            error = add_entry(fs, dir, entry);
        }
        if (abandoned(fs)) {
            error = ECANCELED;
        }
    }
    closedir(dir);
    if (error == 0 && fs->count > 1) {
        qsort(fs->entries, fs->count, sizeof *fs->entries, by_name);
    }
    return error;
}

static int make_one(const char *path, unsigned mode, bool may_exist)
{
    struct stat there;
    int error;

    if (mkdir(path, mode) == 0) {
        return 0;
    }
    error = errno;
    return error == EEXIST && may_exist && stat(path, &there) == 0 && S_ISDIR(there.st_mode)
               ? 0
               : error;
}

static int make_parents(const char *path)
{
    char *part = strdup(path);
    int error = part == NULL ? ENOMEM : 0;

    for (char *at = part; error == 0 && *at != '\0'; at++) {
        if (*at == '/' && at != part && at[1] != '\0' && at[1] != '/') {
            *at = '\0';
            error = make_one(part, 0777, true);
            *at = '/';
        }
    }
    free(part);
    return error;
}

static int make_directory(struct tk_fs *fs)
{
    bool parents = (fs->flags & TK_FS_PARENTS) != 0;
    int error = parents ? make_parents(fs->path) : 0;

    return error != 0 ? error : make_one(fs->path, fs->mode, parents);
}

/* ---- removing ---- */

static int remove_in(struct tk_fs *fs, int fd);

/* Does not follow links, and does not leave the directory if somebody swaps one meanwhile. */
static int remove_at(struct tk_fs *fs, int at, const char *name)
{
    int fd, error;

    if (unlinkat(at, name, 0) == 0) {
        return 0;
    }
    if (errno != EISDIR && errno != EPERM) {
        return errno;
    }
    if (unlinkat(at, name, AT_REMOVEDIR) == 0) {
        return 0;
    }
    if ((errno != ENOTEMPTY && errno != EEXIST) || (fs->flags & TK_FS_RECURSIVE) == 0) {
        return errno;
    }
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    error = remove_in(fs, fd);
    if (error == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0) {
        error = errno;
    }
    return error;
}

/* Takes the descriptor. */
static int remove_in(struct tk_fs *fs, int fd)
{
    DIR *dir = fdopendir(fd);
    int error = 0;

    if (dir == NULL) {
        error = errno;
        close(fd);
        return error;
    }
    while (error == 0) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            error = remove_at(fs, dirfd(dir), entry->d_name);
        }
        if (abandoned(fs)) {
            error = ECANCELED;
        }
    }
    closedir(dir);
    return error;
}

/* A pipe that nobody writes to yet is open at once; no terminal becomes ours. */
static int open_file(struct tk_fs *fs)
{
    struct stat there;

    fs->fd = open(fs->path, fs->open | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, fs->mode);
    if (fs->fd < 0) {
        return errno;
    }
    return fstat(fs->fd, &there) == 0 && S_ISDIR(there.st_mode) ? EISDIR : 0;
}

static int make_tempdir(struct tk_fs *fs)
{
    static const char suffix[] = "XXXXXX";

    fs->other = malloc(strlen(fs->path) + sizeof suffix);
    if (fs->other == NULL) {
        return ENOMEM;
    }
    strcat(strcpy(fs->other, fs->path), suffix);
    return mkdtemp(fs->other) == NULL ? errno : 0;
}

/* ---- the job ---- */

static int stat_path(struct tk_fs *fs)
{
    int rc = fs->flags & TK_FS_FOLLOW ? stat(fs->path, &fs->stat) : lstat(fs->path, &fs->stat);

    return rc < 0 ? errno : 0;
}

static void run(struct tk_job *job)
{
    struct tk_fs *fs = (struct tk_fs *)job;

    switch (fs->op) {
    case TK_FS_READ:
        fs->error = read_file(fs);
        break;
    case TK_FS_WRITE:
        fs->error = fs->flags & TK_FS_ATOMIC ? write_atomic(fs) : write_plain(fs);
        break;
    case TK_FS_STAT:
        fs->error = stat_path(fs);
        break;
    case TK_FS_READDIR:
        fs->error = read_directory(fs);
        break;
    case TK_FS_MKDIR:
        fs->error = make_directory(fs);
        break;
    case TK_FS_RENAME:
        fs->error = rename(fs->path, fs->other) < 0 ? errno : 0;
        break;
    case TK_FS_REMOVE:
        fs->error = remove_at(fs, AT_FDCWD, fs->path);
        break;
    case TK_FS_OPEN:
        fs->error = open_file(fs);
        break;
    case TK_FS_TEMPDIR:
        fs->error = make_tempdir(fs);
        break;
    }
}

static void destroy(struct tk_job *job)
{
    tk_fs_free((struct tk_fs *)job);
}

static void phrase(const struct tk_job *job, char *text, size_t size)
{
    static const char *const verbs[] = {"read_file", "write_file", "stat", "readdir", "mkdir",
                                        "rename",    "remove",     "open", "tempdir"};
    const struct tk_fs *fs = (const struct tk_fs *)job;

    snprintf(text, size, "%s: %s", verbs[fs->op], fs->path);
}

struct tk_fs *tk_fs_new(enum tk_fs_op op, const char *path, const char *other, const void *data,
                        size_t length)
{
    struct tk_fs *fs = calloc(1, sizeof *fs);

    if (fs == NULL) {
        return NULL;
    }
    fs->job.run = run;
    fs->job.destroy = destroy;
    fs->job.phrase = phrase;
    fs->op = op;
    fs->fd = -1;
    fs->path = strdup(path);
    fs->other = other == NULL ? NULL : strdup(other);
    fs->data = data == NULL || length == 0 ? NULL : malloc(length);
    if (fs->path == NULL || (other != NULL && fs->other == NULL) ||
        (data != NULL && length > 0 && fs->data == NULL)) {
        tk_fs_free(fs);
        return NULL;
    }
    if (fs->data != NULL) {
        memcpy(fs->data, data, length);
        fs->length = length;
    }
    return fs;
}

void tk_fs_free(struct tk_fs *fs)
{
    if (fs == NULL) {
        return;
    }
    for (size_t i = 0; i < fs->count; i++) {
        free(fs->entries[i].name);
    }
    if (fs->fd >= 0) {
        close(fs->fd);
    }
    free(fs->entries);
    free(fs->path);
    free(fs->other);
    free(fs->data);
    free(fs);
}
