/*
 * Child processes for the Lua part (lua/tasklet/process.lua), which has all that is policy: here is
 * what must be done in C, by pid and by descriptor. Functions fail as Lua's own io does: nil, a
 * message, a code.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"
#include "io/descriptors.h"
#include "io/error.h"
#include "io/groups.h"

/* The host, also while the coroutines of its tasklets are being closed. */
static struct tasklet_host *host_of(lua_State *L)
{
    const struct tk_bind *bind = lua_touserdata(L, lua_upvalueindex(1));

    if (bind->sched == NULL) {
        luaL_error(L, "the tasklet host is closed");
    }
    return lua_touserdata(L, lua_upvalueindex(2));
}

static int push_failure(lua_State *L, const char *what, int code)
{
    char name[64];

    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, strerror(code));
    lua_pushstring(L, tk_io_name(-code, name, sizeof name));
    return 3;
}

/* A table's list of strings as a block that the collector owns, pushed; NULL-terminated. The
 * strings stay those of the table. */
static char **push_strings(lua_State *L, int index)
{
    lua_Integer count = luaL_len(L, index);
    char **list = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *list, 0);

    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, index, i + 1);
        list[i] = (char *)(uintptr_t)luaL_checkstring(L, -1); /* exec changes none */
        lua_pop(L, 1);
    }
    list[count] = NULL;
    return list;
}

/* Says why a child could not be started. */
static int push_reason(lua_State *L, const struct tk_spawn *spawn,
                       const struct tk_spawn_error *error)
{
    switch (error->step) {
    case TK_SPAWN_EXEC:
        return push_failure(L, spawn->argv[0], error->code);
    case TK_SPAWN_CWD:
        return push_failure(L, spawn->cwd, error->code);
    default:
        return push_failure(L, "cannot start a process", error->code);
    }
}

/* start(words, {env=, cwd=, stdin=, stdout=, stderr=, place=, outlives=}): the pid. */
static int start(lua_State *L)
{
    static const char *const places[] = {"joined", "group", "session", "terminal", NULL};
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    struct tasklet_host *host = tk_check_host(L);
    struct tk_spawn spawn = {0};
    struct tk_spawn_error error;
    pid_t pid;

    tk_require_capability(L, host->bind, TK_MAY_PROCESSES);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    spawn.argv = push_strings(L, 1);
    if (lua_getfield(L, 2, "env") == LUA_TTABLE) {
        spawn.env = push_strings(L, 4);
    }
    lua_getfield(L, 2, "cwd");
    spawn.cwd = lua_tostring(L, -1);
    for (int i = 0; i < 3; i++) {
        lua_getfield(L, 2, names[i]);
        spawn.stdio[i] = (int)luaL_optinteger(L, -1, -1);
    }
    lua_getfield(L, 2, "place");
    spawn.place = luaL_checkoption(L, -1, "group", places);
    lua_getfield(L, 2, "outlives");
    spawn.outlives = lua_toboolean(L, -1);
    pid = tk_groups_start(&host->groups, &spawn, &error);
    if (pid < 0) {
        return push_reason(L, &spawn, &error);
    }
    lua_pushinteger(L, pid);
    return 1;
}

/* send(pid, signal): to its group. Whether somebody got it. */
static int send_signal(lua_State *L)
{
    struct tasklet_host *host = host_of(L);

    tk_require_capability(L, tk_bind_of(L), TK_MAY_PROCESSES);
    lua_pushboolean(L, tk_groups_signal(&host->groups, (pid_t)luaL_checkinteger(L, 1),
                                        (int)luaL_checkinteger(L, 2)));
    return 1;
}

/* alive(pid): is anybody of its group? */
static int alive(lua_State *L)
{
    struct tasklet_host *host = host_of(L);

    lua_pushboolean(L, tk_groups_alive(&host->groups, (pid_t)luaL_checkinteger(L, 1)));
    return 1;
}

/* member(pid): a descriptor that is ready when one of those who are left ends; true: somebody is
 * left, but cannot be watched; nil: nobody is. */
static int member(lua_State *L)
{
    struct tasklet_host *host = host_of(L);
    int fd = tk_groups_member(&host->groups, (pid_t)luaL_checkinteger(L, 1));

    if (fd >= 0) {
        lua_pushinteger(L, fd);
    } else if (fd == -1) {
        lua_pushboolean(L, 1);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int release(lua_State *L)
{
    struct tasklet_host *host = host_of(L);

    tk_groups_release(&host->groups, (pid_t)luaL_checkinteger(L, 1));
    return 0;
}

/* pipe(): its reading and its writing end, both blocking. */
static int make_pipe(lua_State *L)
{
    int ends[2];

    tk_require_capability(L, tk_bind_of(L), TK_MAY_PROCESSES);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return push_failure(L, "cannot make a pipe", errno);
    }
    lua_pushinteger(L, ends[0]);
    lua_pushinteger(L, ends[1]);
    return 2;
}

/* terminal(rows, columns): this side's descriptor, and the child's. */
static int terminal(lua_State *L)
{
    int master, slave, rc;

    tk_require_capability(L, tk_bind_of(L), TK_MAY_PROCESSES);
    rc = tk_spawn_terminal((int)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2), &master,
                           &slave);
    if (rc < 0) {
        return push_failure(L, "cannot make a terminal", -rc);
    }
    lua_pushinteger(L, master);
    lua_pushinteger(L, slave);
    return 2;
}

/* duplicate(fd): another one for the same. */
static int duplicate(lua_State *L)
{
    int fd = fcntl((int)luaL_checkinteger(L, 1), F_DUPFD_CLOEXEC, 3);

    if (fd < 0) {
        return push_failure(L, "cannot duplicate a descriptor", errno);
    }
    lua_pushinteger(L, fd);
    return 1;
}

/* for_child(fd): another one for the same, whose reads and writes block. */
static int for_child(lua_State *L)
{
    int fd = tk_descriptors_blocking((int)luaL_checkinteger(L, 1));

    if (fd < 0) {
        return push_failure(L, "cannot hand a descriptor over", -fd);
    }
    lua_pushinteger(L, fd);
    return 1;
}

static int close_fd(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

static int is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* signal_number(name): of "TERM" or "SIGTERM"; nil. */
static int signal_number(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    if (strncmp(name, "SIG", 3) == 0) {
        name += 3;
    }
    for (int signo = 1; signo < NSIG; signo++) {
        const char *known = sigabbrev_np(signo);

        if (known != NULL && strcmp(known, name) == 0) {
            lua_pushinteger(L, signo);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

/* closing(): are coroutines being closed, so that nothing may begin or wait any more? */
static int closing(lua_State *L)
{
    lua_pushboolean(L, host_of(L)->bind->closing);
    return 1;
}

void tk_process_open(lua_State *L, struct tasklet_host *host)
{
    static const luaL_Reg functions[] = {{"start", start},
                                         {"send", send_signal},
                                         {"alive", alive},
                                         {"member", member},
                                         {"release", release},
                                         {"pipe", make_pipe},
                                         {"terminal", terminal},
                                         {"duplicate", duplicate},
                                         {"for_child", for_child},
                                         {"close", close_fd},
                                         {"is_terminal", is_terminal},
                                         {"signal_number", signal_number},
                                         {"closing", closing},
                                         {NULL, NULL}};

    tk_push_table(L, host->bind, TABLE_CORE);
    lua_newtable(L);
    tk_set_host_functions(L, host, functions);
    lua_setfield(L, -2, "children");
    lua_pop(L, 1);
}
