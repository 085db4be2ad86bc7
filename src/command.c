/*
 * Commands of the shell in a program whose tasklets are not to stand still: os.execute, io.popen,
 * and the end of what io.popen started. The results are those of Lua's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "loop/fds.h"

/* A Lua file as io.popen makes it. */
struct command {
    luaL_Stream stream; /* first */
    struct tk_bind *bind;
    pid_t pid;
};

static struct tasklet_host *host_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(2));
}

/* Is there a terminal, so that a command may want to use it? Only those in our group may. */
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

/* The shell with a command. `guarded`: it is to end with us, and with its tasklet. */
static pid_t start(struct tasklet_host *host, const char *text, const int stdio[3], bool guarded,
                   struct tk_spawn_error *error)
{
    char shell[] = "sh", option[] = "-c";
    char *argv[] = {shell, option, (char *)(uintptr_t)text, NULL}; /* exec changes none */
    struct tk_spawn spawn = {
        .program = "/bin/sh", .argv = argv, .place = TK_SPAWN_JOINED, .outlives = !guarded};

    if (guarded && !has_terminal()) {
        spawn.place = TK_SPAWN_GROUP;
    }

    for (int i = 0; i < 3; i++) {
        spawn.stdio[i] = stdio[i] >= 0 && fcntl(stdio[i], F_GETFD) < 0 ? -1 : stdio[i];
    }
    return guarded ? tk_groups_start(&host->groups, &spawn, error) : tk_spawn(&spawn, error);
}

/* ---- the end of a child ---- */

/* How the child ended for which the verb of the current tasklet waits, as waitpid has it; -1: it
 * has not, or it is not known. */
static int status_of(struct tk_body *body, const struct tk_kind *kind)
{
    struct tk_arg reason = {.given = true}, status = {.given = true};

    for (struct tk_wait *wait = body->task.verbs; wait != NULL; wait = wait->as.next) {
        for (const struct tk_field *f = wait->kind->fields; wait->kind == kind && f->name != NULL;
             f++) {
            if (strcmp(f->name, "reason") == 0) {
                f->get(wait, &reason);
            } else if (strcmp(f->name, "status") == 0) {
                f->get(wait, &status);
            }
        }
    }
    if (!status.given || !reason.given || reason.as.string == NULL) {
        return -1;
    }
    return reason.as.string[0] == 's' ? (int)status.as.integer : (int)status.as.integer << 8;
}

static int push_result(lua_State *L, int status)
{
    errno = status == -1 ? ECHILD : 0; /* it is looked at */
    return luaL_execresult(L, status);
}

static int wait_for(lua_State *L, pid_t pid, lua_KFunction k)
{
    struct tk_arg args[4] = {{0}};

    args[0].given = true;
    args[0].as.integer = pid;
    return tk_files_wait(L, host_of(L)->process_kind, args, k, pid);
}

/* ---- os.execute ---- */

/* Ends, as children end, what os.execute started and its tasklet does not wait for any more. */
static void end_command(lua_State *L, struct tk_bind *bind, pid_t pid)
{
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "end_command");
    lua_pushinteger(L, pid);
    tk_call_guarded(L, bind, 1, 0, "the end of a command");
    lua_pop(L, 1);
}

static int executed(lua_State *L, int status, lua_KContext context)
{
    struct tasklet_host *host = host_of(L);
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);
    pid_t pid = (pid_t)context;
    int how = status_of(body, host->process_kind);
    bool in_time = tk_files_done(L);

    (void)status;
    if (how == -1 && (!in_time || body->task.raise != TK_RAISE_NOTHING)) {
        end_command(L, bind, pid);
    } else {
        tk_groups_release(&host->groups, pid);
    }
    tk_check_raise(L, bind);
    if (!in_time) {
        return tk_raise_class(L, "TimeoutError", "execute took too long");
    }
    return push_result(L, how);
}

/* os.execute(command) */
int tk_command_execute(lua_State *L)
{
    struct tasklet_host *host = host_of(L);
    struct tk_bind *bind = tk_bind_of(L);
    const int stdio[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct tk_spawn_error error;
    const char *text = luaL_optstring(L, 1, NULL);
    pid_t pid;

    if (text == NULL || bind->sched == NULL || bind->closing || !tk_can_give_way(L, bind)) {
        return lua_tocfunction(L, lua_upvalueindex(3))(L);
    }
    tk_check_trap(L, tk_check_wait(L, bind));
    pid = start(host, text, stdio, true, &error);
    if (pid < 0) {
        errno = error.code;
        return luaL_execresult(L, -1);
    }
    return wait_for(L, pid, executed);
}

/* ---- io.popen ---- */

/* Whoever waits to read from it or to write to it goes on. */
static void close_file(struct command *command)
{
    struct tk_sched *sched = command->bind->sched;

    command->stream.closef = NULL;
    if (sched != NULL) {
        tk_fds_closing(tk_loop_of(sched), fileno(command->stream.f));
    }
    fclose(command->stream.f);
}

/* Closes it at once: where nobody can wait. */
int tk_command_closef(lua_State *L)
{
    struct command *command = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    int status;
    pid_t got;

    errno = 0;
    close_file(command);
    do {
        got = waitpid(command->pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? luaL_execresult(L, -1) : push_result(L, status);
}

static int closed(lua_State *L, int status, lua_KContext context)
{
    int how = status_of(tk_current(tk_bind_of(L)), host_of(L)->process_kind);

    (void)status;
    (void)context;
    if (!tk_files_woken(L)) {
        return tk_raise_class(L, "TimeoutError", "close took too long");
    }
    return push_result(L, how);
}

/* Closes the file at 1 and waits for the end of its command. */
int tk_command_close(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);

    if (command->stream.closef == NULL) {
        return luaL_error(L, "attempt to use a closed file"); /* somebody else was faster */
    }
    if (tk_groups_adopt(&host_of(L)->groups, command->pid) < 0) {
        return luaL_error(L, "not enough memory");
    }
    close_file(command);
    return wait_for(L, command->pid, closed);
}

bool tk_command_abandon(lua_State *L)
{
    struct command *command = lua_touserdata(L, 1);

    if (tk_groups_adopt(&host_of(L)->groups, command->pid) < 0) {
        return false;
    }
    close_file(command);
    return true;
}

/* io.popen(command, mode) */
int tk_command_popen(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
    struct command *command = lua_newuserdatauv(L, sizeof *command, 0);
    bool reads = mode[0] == 'r';
    int stdio[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, ends[2];
    struct tk_spawn_error error;

    command->stream.closef = NULL;
    command->bind = tk_bind_of(L);
    luaL_setmetatable(L, LUA_FILEHANDLE);
    luaL_argcheck(L, (mode[0] == 'r' || mode[0] == 'w') && mode[1] == '\0', 2, "invalid mode");
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return luaL_fileresult(L, 0, text);
    }
    stdio[reads ? 1 : 0] = ends[reads ? 1 : 0];
    command->stream.f = fdopen(ends[reads ? 0 : 1], mode);
    command->pid = command->stream.f == NULL ? -1 : start(host_of(L), text, stdio, false, &error);
    if (command->pid < 0) {
        int code = command->stream.f == NULL ? errno : error.code;

        close(ends[reads ? 1 : 0]);
        if (command->stream.f == NULL) {
            close(ends[reads ? 0 : 1]);
        } else {
            fclose(command->stream.f);
        }
        errno = code;
        return luaL_fileresult(L, 0, text);
    }
    close(ends[reads ? 1 : 0]);
    command->stream.closef = tk_command_closef;
    return 1;
}
