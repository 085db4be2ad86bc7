/*
 * process N MB: the least that starting a program and waiting for its end can cost: posix_spawn,
 * which shares memory as vfork does, and waitpid. From a small process, and from one that has so
 * many megabytes more.
 */

#include "limit.h"
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>

extern char **environ;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(const char *name, long count)
{
    char program[] = "true";
    char *argv[] = {program, NULL};
    double *times = calloc((size_t)count, sizeof *times);

    check(times != NULL, "there is memory for the times");
    for (long i = 0; i < count; i++) {
        double start = now_ns();
        pid_t pid;
        int status;

        check(posix_spawnp(&pid, program, NULL, NULL, argv, environ) == 0, "the program starts");
        check(waitpid(pid, &status, 0) == pid && status == 0, "the program runs to its end");
        times[i] = now_ns() - start;
    }
    qsort(times, (size_t)count, sizeof *times, compare);
    report(name, times[count / 2] / 1e3, "us");
    free(times);
}

int main(int argc, char **argv)
{
    long count = count_argument(argc, argv, 1);
    size_t size = (size_t)count_argument(argc, argv, 2) << 20;
    volatile char *ballast; /* else the compiler sees that nobody reads it */

    measure("process_small", count);
    ballast = malloc(size);
    check(ballast != NULL, "there is memory");
    for (size_t i = 0; i < size; i += 4096) {
        ballast[i] = 'x';
    }
    check(rss_bytes() > 0.9 * (double)size, "the memory is in use");
    measure("process_large", count);
    free((void *)(uintptr_t)ballast);
    return 0;
}
