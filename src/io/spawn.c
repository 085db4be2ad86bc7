/*
 * Starting a child process: see spawn.h.
 *
 * The child begins as a process that shares this one's memory while the thread that made it stands
 * still (as vfork has it, with a stack of its own): nothing is copied, so that the size of this
 * process does not matter. Until it has become another program it must change nothing but its own
 * stack, take no lock and run no signal handler: all signals are blocked around it, and it puts
 * them back to their default actions first.
 *
 * Where memory is not shared after all (checkers that run a program on a processor of their own do
 * a fork) it tells through a pipe why it failed; else through its memory.
 */
#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/descriptors.h"

extern char **environ;

#define STACK_SIZE (64 * 1024)
#define FAILED 127

/* The kernel's signal set and struct sigaction, for libc hides two signals of its own. */
#define SIGNALS 64
#define SET_SIZE (SIGNALS / 8)

/* Runs in the child, on its stack: the checkers know nothing of that. */
#define IN_CHILD __attribute__((no_sanitize("address", "undefined"), noinline))

struct start {
    const struct tk_spawn *spawn;
    const char *paths; /* where the program may be: strings, one behind the other, an empty one */
    bool searched;     /* these are of the PATH */
    pid_t parent;
    int report;       /* the child's end of the pipe */
    int highest;      /* without close_range: no descriptor is above this */
    volatile bool on; /* it has begun, and memory is shared */
    volatile struct tk_spawn_error error;
};

/* ---- in the child ---- */

IN_CHILD static void fail(struct start *start, int step)
{
    struct tk_spawn_error error;
    ssize_t written;

    error.step = step;
    error.code = errno;
    start->error.step = step;
    start->error.code = error.code;
    do {
        written = write(start->report, &error, sizeof error);
    } while (written < 0 && errno == EINTR);
    _exit(FAILED);
}

IN_CHILD static void reset_signals(void)
{
    unsigned long action[8]; /* zeros: the default action, no flags, an empty mask */

    for (unsigned i = 0; i < 8; i++) {
        action[i] = 0;
    }
    for (int signo = 1; signo <= SIGNALS; signo++) {
        syscall(SYS_rt_sigaction, signo, action, NULL, SET_SIZE);
    }
}

IN_CHILD static void take_stdio(struct start *start)
{
    int from[3];

    for (int i = 0; i < 3; i++) {
        from[i] = start->spawn->stdio[i];
        if (from[i] >= 0 && from[i] < 3 && from[i] != i) {
            from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3); /* its place is about to be taken */
            if (from[i] < 0) {
                fail(start, TK_SPAWN_STDIO);
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        int fd = from[i];

        if (fd < 0) {
            fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        }
        if (fd < 0 || (fd == i ? fcntl(fd, F_SETFD, 0) : dup2(fd, i)) < 0) {
            fail(start, TK_SPAWN_STDIO);
        }
    }
}

IN_CHILD static void close_others(const struct start *start)
{
    if (start->highest < 0) {
        if (start->report > 3) {
            syscall(SYS_close_range, 3U, (unsigned)start->report - 1, 0U);
        }
        syscall(SYS_close_range, (unsigned)start->report + 1, ~0U, 0U);
        return;
    }
    for (int fd = 3; fd <= start->highest; fd++) {
        if (fd != start->report) {
            close(fd);
        }
    }
}

IN_CHILD static void take_place(struct start *start)
{
    enum tk_spawn_place place = start->spawn->place;

    if ((place == TK_SPAWN_GROUP && setpgid(0, 0) < 0) ||
        (place >= TK_SPAWN_SESSION && setsid() < 0) ||
        (place == TK_SPAWN_TERMINAL && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)) {
        fail(start, TK_SPAWN_PLACE);
    }
    if (!start->spawn->outlives) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != start->parent) {
            _exit(FAILED); /* it is too late for that signal */
        }
    }
}

/* The first place that has it counts, but for one that may not be run. A directory of the PATH that
 * this user may not look into has nothing. */
IN_CHILD static void become(struct start *start)
{
    const struct tk_spawn *spawn = start->spawn;
    const char *path = start->paths;
    bool refused = false;

    while (*path != '\0') {
        execve(path, spawn->argv, spawn->env != NULL ? spawn->env : environ);
        if (errno == EACCES && start->searched) {
            refused = refused || access(path, F_OK) == 0;
        } else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV) {
            break;
        }
        while (*path++ != '\0') {
        }
    }
    if (start->searched && *path == '\0') {
        errno = refused ? EACCES : ENOENT;
    }
    fail(start, TK_SPAWN_EXEC);
}

IN_CHILD static int child(void *arg)
{
    struct start *start = arg;
    unsigned long none[SET_SIZE / sizeof(unsigned long)];

    start->on = true;
    reset_signals();
    take_stdio(start);
    take_place(start);
    close_others(start);
    if (start->spawn->cwd != NULL && chdir(start->spawn->cwd) < 0) {
        fail(start, TK_SPAWN_CWD);
    }
    for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++) {
        none[i] = 0;
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, SET_SIZE);
    become(start);
    return FAILED;
}

/* ---- before ---- */

/* The PATH that counts is the child's. */
static const char *search_path(const struct tk_spawn *spawn)
{
    const char *path = getenv("PATH");

    for (char *const *env = spawn->env; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, "PATH=", 5) == 0) {
            path = *env + 5;
            break;
        }
    }
    return path != NULL ? path : "/usr/local/bin:/usr/bin:/bin";
}

/* All places where the program may be, for `become`; the caller frees it. NULL: no memory. */
static char *list_places(const struct tk_spawn *spawn, bool *searched)
{
    const char *name = spawn->program != NULL ? spawn->program : spawn->argv[0], *path;
    size_t length = strlen(name), dirs = 1;
    char *list, *end;

    *searched = strchr(name, '/') == NULL;
    if (!*searched || length == 0) {
        list = calloc(1, length + 2);
        return list == NULL ? NULL : memcpy(list, name, length);
    }
    path = search_path(spawn);
    for (const char *p = path; *p != '\0'; p++) {
        dirs += *p == ':';
    }
    list = end = malloc(strlen(path) + dirs * (length + 4) + 1);
    for (const char *dir = path; list != NULL && dir != NULL;) {
        const char *colon = strchr(dir, ':');
        size_t size = colon != NULL ? (size_t)(colon - dir) : strlen(dir);

        /* an empty one is the current directory */
        end += sprintf(end, "%.*s/%s", size > 0 ? (int)size : 1, size > 0 ? dir : ".", name) + 1;
        dir = colon != NULL ? colon + 1 : NULL;
    }
    if (list != NULL) {
        *end = '\0';
    }
    return list;
}

static bool has_close_range(void)
{
    /* A range that ends before it begins: anything else is said where there is no such call. */
    return syscall(SYS_close_range, 1U, 0U, 0U) < 0 && errno == EINVAL;
}

/* A pipe whose writing end is none of the three that the child puts in their places. */
static int open_report(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -1;
    }
    if (ends[1] < 3) {
        int fd = fcntl(ends[1], F_DUPFD_CLOEXEC, 3), code = errno;

        close(ends[1]);
        ends[1] = fd;
        if (fd < 0) {
            close(ends[0]);
            errno = code;
            return -1;
        }
    }
    return 0;
}

/* ---- starting ---- */

/* Makes the process. Its pid, or -1 with errno set. */
static pid_t make(struct start *start)
{
    unsigned long all[SET_SIZE / sizeof(unsigned long)], before[SET_SIZE / sizeof(unsigned long)];
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    pid_t pid;
    int code;

    if (stack == MAP_FAILED) {
        return -1;
    }
    memset(all, 0xff, sizeof all);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, before, SET_SIZE);
    pid = clone(child, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, start);
    code = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, before, NULL, SET_SIZE);
    munmap(stack, STACK_SIZE);
    errno = code;
    return pid;
}

/* Has the child become its program? Its end of the pipe is closed here. */
static bool succeeded(const struct start *start, int report, struct tk_spawn_error *error)
{
    ssize_t got = 0;

    if (start->on) {
        error->step = start->error.step;
        error->code = start->error.code;
        return error->code == 0;
    }
    do {
        got = read(report, error, sizeof *error); /* ends when the child's end is closed */
    } while (got < 0 && errno == EINTR);
    return got != sizeof *error;
}

static void collect(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

pid_t tk_spawn(const struct tk_spawn *spawn, struct tk_spawn_error *error)
{
    struct start start = {.spawn = spawn, .highest = -1, .parent = getpid()};
    char *places = list_places(spawn, &start.searched);
    int report[2] = {-1, -1};
    pid_t pid = -1;

    error->step = TK_SPAWN_START;
    if (places == NULL) {
        error->code = ENOMEM;
        return -1;
    }
    if (open_report(report) == 0) {
        start.paths = places;
        start.report = report[1];
        if (!has_close_range()) {
            start.highest = tk_descriptors_highest();
        }
        pid = make(&start);
        error->code = errno;
        close(report[1]);
        if (pid > 0 && !succeeded(&start, report[0], error)) {
            collect(pid);
            pid = -1;
        }
        close(report[0]);
    } else {
        error->code = errno;
    }
    free(places);
    return pid;
}

int tk_spawn_terminal(int rows, int columns, int *master, int *slave)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), code, other = -1;
    char name[64];

    if (fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0 && ptsname_r(fd, name, sizeof name) == 0) {
        other = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    }
    if (other >= 0 && ioctl(fd, TIOCSWINSZ, &size) == 0 &&
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0) {
        *master = fd;
        *slave = other;
        return 0;
    }
    code = errno;
    if (other >= 0) {
        close(other);
    }
    if (fd >= 0) {
        close(fd);
    }
    return -code;
}
