/*
 * Children and their groups: see groups.h.
 *
 * The number of a group belongs to it as long as anybody is in it, and then until the system has
 * given all other numbers to somebody. A group is asked for and sent signals only while its leader
 * has not been collected, or right after somebody was found in it.
 */
#include "io/groups.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* At the teardown, what a child has between TERM and KILL, all of them together; and after that
 * (milliseconds). */
#define SHORT_GRACE 100
#define PATIENCE 1000

/* Of those that a child in our own group has started, so many are signalled with it. */
#define FAMILY 64

struct tk_group {
    struct tk_child_watch watch;
    struct tk_groups *groups;
    pid_t pid;
    bool own;      /* it leads a group */
    bool outlives; /* the host */
    bool ended;    /* the child; it has been collected */
    bool released;
};

static void group_free(struct tk_group *group)
{
    tk_map_remove(&group->groups->by_pid, (uintptr_t)group->pid);
    tk_children_unwatch(group->groups->loop, &group->watch, true);
    free(group);
}

static void on_ended(struct tk_child_watch *watch, struct tk_loop *loop, int status)
{
    struct tk_group *group = tk_container_of(watch, struct tk_group, watch);

    (void)loop;
    (void)status;
    group->ended = true;
    if (group->released) {
        group_free(group);
    }
}

/* The guardian is there, and minds all whom it is to mind. Without one a child still ends with this
 * process, but not what it has started. */
static void prepare_guardian(struct tk_groups *groups)
{
    struct tk_guardian *guardian = &groups->guardian;
    struct tk_group *group;
    size_t cursor = 0;

    if (tk_guardian_listens(guardian) || tk_guardian_start(guardian) < 0) {
        return;
    }
    while ((group = tk_map_next(&groups->by_pid, &cursor)) != NULL) {
        if (group->own && !group->outlives && !group->released) {
            tk_guardian_tell(guardian, '+', group->pid);
        }
    }
}

static pid_t start(struct tk_groups *groups, struct tk_group *group, const struct tk_spawn *spawn,
                   struct tk_spawn_error *error)
{
    struct tk_fault fault;
    pid_t pid;

    group->own = spawn->place != TK_SPAWN_JOINED;
    group->outlives = spawn->outlives;
    if (group->own && !group->outlives) {
        if (tk_guardian_reserve(&groups->guardian, groups->by_pid.count) < 0) {
            return -1;
        }
        prepare_guardian(groups);
    }
    pid = tk_spawn(spawn, error);
    if (pid < 0) {
        return -1;
    }
    group->pid = pid;
    group->groups = groups;
    group->watch.ended = on_ended;
    if (group->own && !group->outlives) {
        tk_guardian_tell(&groups->guardian, '+', pid);
    }
    if (tk_map_set(&groups->by_pid, (uintptr_t)pid, group) < 0 ||
        tk_children_adopt(groups->loop, &group->watch, pid, &fault) < 0) {
        kill(group->own ? -pid : pid, SIGKILL);
        tk_guardian_tell(&groups->guardian, '-', pid);
        tk_map_remove(&groups->by_pid, (uintptr_t)pid);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
        error->step = TK_SPAWN_START;
        error->code = ENOMEM;
        return -1;
    }
    return pid;
}

pid_t tk_groups_start(struct tk_groups *groups, const struct tk_spawn *spawn,
                      struct tk_spawn_error *error)
{
    struct tk_group *group = calloc(1, sizeof *group);
    pid_t pid = -1;

    if (!groups->guarded) {
        tk_guardian_init(&groups->guardian);
        groups->guarded = true;
    }
    error->step = TK_SPAWN_START;
    error->code = ENOMEM;
    if (group != NULL) {
        pid = start(groups, group, spawn, error);
    }
    if (pid < 0) {
        free(group);
    }
    return pid;
}

int tk_groups_adopt(struct tk_groups *groups, pid_t pid)
{
    struct tk_group *group = calloc(1, sizeof *group);
    struct tk_fault fault;

    if (group == NULL) {
        return -1;
    }
    group->pid = pid;
    group->groups = groups;
    group->outlives = group->released = true;
    group->watch.ended = on_ended;
    if (tk_map_set(&groups->by_pid, (uintptr_t)pid, group) < 0) {
        free(group);
        return -1;
    }
    if (tk_children_adopt(groups->loop, &group->watch, pid, &fault) < 0) {
        group_free(group);
        return -1;
    }
    return 0;
}

static struct tk_group *find(const struct tk_groups *groups, pid_t pid)
{
    return tk_map_get(&groups->by_pid, (uintptr_t)pid);
}

/* What the system tells of a process. */
struct process {
    char state;
    int parent, group;
};

static bool look_at(int proc, const char *name, struct process *process)
{
    char path[64], text[512];
    const char *rest;
    int fd;
    ssize_t length;

    if (!isdigit((unsigned char)name[0])) {
        return false;
    }
    snprintf(path, sizeof path, "%.20s/stat", name);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) {
        return false;
    }
    text[length] = '\0';
    rest = strrchr(text, ')'); /* the name before may have anything in it */
    return rest != NULL &&
           sscanf(rest, ") %c %d %d", &process->state, &process->parent, &process->group) == 3;
}

/* Finds those that processes have started which are in `pids` already, and so on. How many there
 * are then. */
static size_t add_children(pid_t *pids, size_t count, size_t room)
{
    DIR *dir = opendir("/proc");

    for (size_t i = 0; dir != NULL && i < count; i++) {
        struct dirent *entry;
        struct process process;

        rewinddir(dir);
        while (count < room && (entry = readdir(dir)) != NULL) {
            if (look_at(dirfd(dir), entry->d_name, &process) && process.parent == (int)pids[i]) {
                pids[count++] = atoi(entry->d_name);
            }
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

/* A child in the group of this process gets a signal as if it led one of its own: so do those that
 * it has started, which are looked for before any of them can do something. */
static bool signal_one_by_one(pid_t pid, int signo)
{
    pid_t pids[FAMILY] = {pid};
    size_t count = signo == 0 ? 1 : add_children(pids, 1, FAMILY);
    bool sent = kill(pid, signo) == 0;

    for (size_t i = 1; i < count; i++) {
        kill(pids[i], signo);
    }
    return sent;
}

static bool send_signal(const struct tk_group *group, int signo)
{
    if (group->own) {
        return kill(-group->pid, signo) == 0;
    }
    return !group->ended && signal_one_by_one(group->pid, signo);
}

bool tk_groups_signal(struct tk_groups *groups, pid_t pid, int signo)
{
    struct tk_group *group = find(groups, pid);

    return group != NULL && send_signal(group, signo);
}

bool tk_groups_alive(struct tk_groups *groups, pid_t pid)
{
    struct tk_group *group = find(groups, pid);

    errno = 0;
    return group != NULL && (!group->ended || send_signal(group, 0) || errno == EPERM);
}

int tk_groups_member(struct tk_groups *groups, pid_t pid)
{
    struct tk_group *group = find(groups, pid);
    struct process process;
    struct dirent *entry;
    DIR *dir;
    int found = -2;

    if (group == NULL || !group->own || (dir = opendir("/proc")) == NULL) {
        return -2;
    }
    while (found == -2 && (entry = readdir(dir)) != NULL) {
        if (look_at(dirfd(dir), entry->d_name, &process) && process.group == (int)pid &&
            process.state != 'Z' && process.state != 'X') {
            found = (int)syscall(SYS_pidfd_open, atoi(entry->d_name), 0);
        }
    }
    closedir(dir);
    return found;
}

void tk_groups_release(struct tk_groups *groups, pid_t pid)
{
    struct tk_group *group = find(groups, pid);

    if (group == NULL || group->released) {
        return;
    }
    group->released = true;
    if (group->own && !group->outlives) {
        tk_guardian_tell(&groups->guardian, '-', pid);
    }
    if (group->ended) {
        group_free(group);
    }
}

int tk_groups_line(const struct tk_groups *groups)
{
    return groups->guarded ? groups->guardian.line : -1;
}

/* ---- teardown ---- */

static long now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (long)(time.tv_sec * 1000 + time.tv_nsec / 1000000);
}

/* Waits until the child has ended or the time is over, where the system can tell. */
static void await(const struct tk_group *group, long until)
{
    struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, group->pid, 0), .events = POLLIN};
    long left;

    while (end.fd >= 0 && (left = until - now_ms()) > 0) {
        if (poll(&end, 1, (int)left) >= 0 || errno != EINTR) {
            break;
        }
    }
    if (end.fd >= 0) {
        close(end.fd);
    }
}

static void collect(const struct tk_group *group)
{
    int fd = (int)syscall(SYS_pidfd_open, group->pid, 0);

    if (fd >= 0) {
        close(fd);
        await(group, now_ms() + PATIENCE); /* one that the system holds fast ends some day */
    }
    while (waitpid(group->pid, NULL, fd >= 0 ? WNOHANG : 0) < 0 && errno == EINTR) {
    }
}

static bool ends_now(const struct tk_group *group)
{
    return !group->outlives && !group->released;
}

void tk_groups_close(struct tk_groups *groups)
{
    struct tk_group *group;
    size_t cursor = 0;
    long until = now_ms() + SHORT_GRACE;

    while ((group = tk_map_next(&groups->by_pid, &cursor)) != NULL) {
        if (ends_now(group)) {
            send_signal(group, SIGTERM);
            send_signal(group, SIGCONT);
        }
    }
    cursor = 0;
    while ((group = tk_map_next(&groups->by_pid, &cursor)) != NULL) {
        if (ends_now(group) && !group->ended) {
            await(group, until);
        }
    }
    cursor = 0;
    while ((group = tk_map_next(&groups->by_pid, &cursor)) != NULL) {
        if (ends_now(group)) {
            send_signal(group, SIGKILL);
            tk_guardian_tell(&groups->guardian, '-', group->pid);
            if (!group->ended) {
                collect(group);
            }
        }
    }
    cursor = 0;
    while ((group = tk_map_next(&groups->by_pid, &cursor)) != NULL) {
        if (!group->ended) {
            tk_children_drop(groups->loop, group->pid); /* conditions of scripts are about to go */
        }
        free(group);
    }
    tk_map_finish(&groups->by_pid);
    if (groups->guarded) {
        tk_guardian_finish(&groups->guardian);
    }
}
