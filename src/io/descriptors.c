/* Descriptors: see descriptors.h. */
#include "io/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int tk_descriptors_highest(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    int highest = 2;

    if (dir == NULL) {
        return (int)sysconf(_SC_OPEN_MAX) - 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        int fd = atoi(entry->d_name);

        highest = fd > highest ? fd : highest;
    }
    closedir(dir);
    return highest;
}

int tk_descriptors_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL), again;
    struct stat stat;
    char path[40];

    if (flags < 0) {
        return -errno;
    }
    if ((flags & O_NONBLOCK) != 0 && fstat(fd, &stat) == 0 && !S_ISREG(stat.st_mode)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        flags &= O_ACCMODE | O_APPEND;
        again =
            open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); /* a FIFO is not waited for */
        if (again >= 0) {
            fcntl(again, F_SETFL, flags);
            return again;
        }
        fcntl(fd, F_SETFL, flags);
    }
    again = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return again < 0 ? -errno : again;
}

ssize_t tk_descriptors_write(int fd, const struct iovec *pieces, int count)
{
    sigset_t pipe, pending, old;
    struct timespec none = {0, 0};
    bool was_pending;
    ssize_t sent;
    int error;

    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &old);
    sent = writev(fd, pieces, count);
    error = errno;
    if (sent < 0 && error == EPIPE && !was_pending) {
        while (sigtimedwait(&pipe, NULL, &none) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    return sent;
}
