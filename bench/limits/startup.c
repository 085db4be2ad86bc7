/*
 * startup N COMMAND...: how long a command takes from its start to its end: N times, one after the
 * other, and prints the median. Used for the host and for the bare interpreter alike. posix_spawn,
 * because forking would add the cost of copying this process.
 */

#include "limit.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static double run_once(char **command)
{
    pid_t pid;
    int status;
    double start = now_ns();

    check(posix_spawnp(&pid, command[0], NULL, NULL, command, environ) == 0, "it can be started");
    check(waitpid(pid, &status, 0) == pid, "it can be waited for");
    double elapsed = now_ns() - start;
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ends with status 0");
    return elapsed;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    long runs = count_argument(argc, argv, 1);
    double *elapsed = calloc((size_t)runs, sizeof(*elapsed));

    check(elapsed != NULL && argc > 2, "a command and memory are there");
    run_once(argv + 2); /* Once unmeasured, so that the files are cached. */
    for (long i = 0; i < runs; i++) {
        elapsed[i] = run_once(argv + 2);
    }
    qsort(elapsed, (size_t)runs, sizeof(*elapsed), compare);
    report("startup", elapsed[runs / 2] / 1e6, "ms");
    free(elapsed);
    return 0;
}
