/*
 * The guardian: see guardian.h. It is a shell that reads "+ GROUP" and "- GROUP" from a socket, and
 * at the end of that kills the groups which are left. It is nobody's child: a second shell starts
 * it and ends. It has a session of its own, so that no terminal's signal reaches it, and none of
 * this process's descriptors but its end of the socket.
 */
#include "io/guardian.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/spawn.h"

/* A line to it, at the most. */
#define LONGEST 32

static char script[] =
    "exec 3<&0\n"
    "{\n"
    "    groups=' '\n"
    "    while read -r sign group; do\n"
    "        case $sign$groups in\n"
    "        +*) groups=\"$groups$group \" ;;\n"
    "        -*\" $group \"*) groups=\"${groups%% $group *} ${groups#* $group }\" ;;\n"
    "        esac\n"
    "    done\n"
    "    for group in $groups; do kill -s KILL -- \"-$group\"; done\n"
    "} <&3 3<&- &\n";

void tk_guardian_init(struct tk_guardian *guardian)
{
    memset(guardian, 0, sizeof *guardian);
    guardian->line = -1;
}

int tk_guardian_start(struct tk_guardian *guardian)
{
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, script, (char[]){"tasklet-guardian"},
                    NULL};
    struct tk_spawn spawn = {.argv = argv,
                             .cwd = "/",
                             .stdio = {-1, -1, -1},
                             .place = TK_SPAWN_SESSION,
                             .outlives = true};
    struct tk_spawn_error error;
    int ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    spawn.stdio[0] = ends[1];
    pid = tk_spawn(&spawn, &error);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -error.code;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    guardian->line = ends[0];
    return 0;
}

static void drop_line(struct tk_guardian *guardian)
{
    if (guardian->line >= 0) {
        close(guardian->line);
        guardian->line = -1;
    }
    guardian->pending = 0;
}

bool tk_guardian_listens(struct tk_guardian *guardian)
{
    char byte;
    ssize_t got;

    if (guardian->line < 0) {
        return false;
    }
    got = recv(guardian->line, &byte, 1, MSG_DONTWAIT); /* it never says anything but its end */
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        drop_line(guardian);
        return false;
    }
    return true;
}

/* Sends what it takes. */
static void flush(struct tk_guardian *guardian)
{
    ssize_t sent =
        send(guardian->line, guardian->unsent, guardian->pending, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent > 0) {
        guardian->pending -= (size_t)sent;
        memmove(guardian->unsent, guardian->unsent + sent, guardian->pending);
    } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        drop_line(guardian);
    }
}

int tk_guardian_reserve(struct tk_guardian *guardian, size_t groups)
{
    size_t room = guardian->pending + (groups + 2) * LONGEST;

    if (guardian->room < room) {
        char *larger = realloc(guardian->unsent, room * 2);

        if (larger == NULL) {
            return -ENOMEM;
        }
        guardian->unsent = larger;
        guardian->room = room * 2;
    }
    return 0;
}

void tk_guardian_tell(struct tk_guardian *guardian, char sign, pid_t group)
{
    if (guardian->line >= 0) {
        guardian->pending += (size_t)snprintf(guardian->unsent + guardian->pending, LONGEST,
                                              "%c %ld\n", sign, (long)group);
        flush(guardian);
    }
}

void tk_guardian_finish(struct tk_guardian *guardian)
{
    drop_line(guardian);
    free(guardian->unsent);
    tk_guardian_init(guardian);
}
