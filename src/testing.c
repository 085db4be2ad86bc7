/*
 * What tasklet.testing needs of the process and the loop: limits of time for a test, the report of
 * a deadlock raised in it, and what there is of descriptors and children. For the Lua part alone.
 *
 * A limit of real time is kept by a watchdog of its own. Its signal handler first asks the loop,
 * which raises in the test where it waits; if the loop has not come round by the next tick,
 * something runs and does not wait: then a hook raises there.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

/* ---- what is called back ---- */

/* Pushes a function of the Lua part. False: there is none, and nothing is pushed. */
static bool push_function(lua_State *L, struct tk_bind *bind, const char *name)
{
    tk_push_table(L, bind, TABLE_CORE);
    if (lua_getfield(L, -1, name) == LUA_TFUNCTION) {
        lua_replace(L, -2);
        return true;
    }
    lua_pop(L, 2);
    return false;
}

bool tk_testing_deadlock(struct tasklet_host *host, lua_State *L)
{
    struct tk_bind *bind = host->bind;
    bool taken = false;

    bind->L = L;
    luaL_checkstack(L, 20, NULL);
    if (push_function(L, bind, "on_deadlock") &&
        tk_call_guarded(L, bind, 0, 1, "a report of a deadlock") == LUA_OK) {
        taken = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    return taken;
}

/* ---- limits of time ---- */

/* Something has run for a quarter of the limit without a look at the loop. */
static void late_hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind = tk_bind_in(L);
    struct tasklet_host *host = bind->context;

    lua_getinfo(L, "S", ar);
    if (tk_is_own_source(ar->source)) {
        return; /* the hook stays: the library's own Lua is never cut */
    }
    lua_sethook(L, NULL, 0, 0);
    if (bind->sched != NULL && atomic_exchange(&host->late, 0) != 0 && tk_current(bind) != NULL &&
        push_function(L, bind, "on_late")) {
        lua_call(L, 0, 0);
    }
}

/* In a signal handler. */
static void bark(void *context)
{
    struct tasklet_host *host = context;

    if (atomic_exchange(&host->late, 1) != 0 && host->bind->running != NULL) {
        lua_sethook(host->bind->running, late_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    }
    tk_loop_wake(&host->loop);
}

static void call_late(struct tasklet_host *host, bool is_virtual)
{
    struct tk_bind *bind = host->bind;

    bind->L = bind->main;
    if (lua_checkstack(bind->main, 20) && push_function(bind->main, bind, "on_late")) {
        lua_pushboolean(bind->main, is_virtual);
        tk_call_guarded(bind->main, bind, 1, 0, "a limit of time");
    }
}

void tk_testing_woken(struct tasklet_host *host)
{
    if (atomic_exchange(&host->late, 0) != 0) {
        call_late(host, false);
    }
}

void tk_testing_alarm(struct tasklet_host *host)
{
    call_late(host, true);
}

void tk_testing_close(struct tasklet_host *host)
{
    tk_watchdog_stop(&host->guard);
}

/* limit(real, virtual): calls on_late, again and again, when so many real seconds are over, and
 * once when so many of the virtual clock are; negative: never. Counts from now. A program that
 * forbids signals has no limit of real time. */
static int limit(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);
    lua_Number real = luaL_checknumber(L, 1), virtual = luaL_checknumber(L, 2);

    tk_watchdog_stop(&host->guard);
    atomic_store(&host->late, 0);
    tk_loop_alarm(&host->loop, virtual < 0
                                   ? UINT64_MAX
                                   : tk_loop_now(&host->loop) + (uint64_t)ceil(virtual * 1e9));
    if (real >= 0 && !host->options.no_signals) {
        int rc;

        host->guard.busy = 1;
        rc =
            tk_watchdog_start(&host->guard, (uint64_t)ceil(real * 1e9), &host->guarded, bark, host);
        if (rc < 0) {
            return luaL_error(L, "cannot limit the time: %s", strerror(-rc));
        }
    }
    return 0;
}

/* align(): a test begins. */
static int align(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);

    if (host->loop.clock.is_virtual) {
        tk_virtual_begin(host);
    }
    return 0;
}

/* ---- descriptors ---- */

/* descriptors(): {[descriptor] = what it is}, as Linux says: a path, "socket:[123]"; but the one to
 * the guardian of children. */
static int descriptors(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    lua_newtable(L);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char target[4096];
        int fd = atoi(entry->d_name);
        ssize_t length;

        if (!isdigit((unsigned char)entry->d_name[0]) || fd == dirfd(dir) ||
            fd == tk_groups_line(&host->groups)) {
            continue;
        }
        length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target);
        if (length > 0) {
            lua_pushlstring(L, target, (size_t)length);
            lua_rawseti(L, -2, fd);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return 1;
}

/* fileno(file): the descriptor of a Lua file that is open, or nil. */
static int file_number(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);

    if (stream->closef == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, fileno(stream->f));
    }
    return 1;
}

static int close_descriptor(lua_State *L)
{
    lua_pushboolean(L, close((int)luaL_checkinteger(L, 1)) == 0);
    return 1;
}

/* ---- children ---- */

/* Reads a file of /proc into `text`. Returns its length; 0: there is none. */
static size_t slurp(const char *pid, const char *name, char *text, size_t size)
{
    char path[64];
    ssize_t length;
    int fd;

    snprintf(path, sizeof path, "/proc/%.20s/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    length = read(fd, text, size - 1);
    close(fd);
    length = length < 0 ? 0 : length;
    text[length] = '\0';
    return (size_t)length;
}

static bool is_child_of(const char *pid, pid_t who)
{
    char stat[512];
    const char *rest;
    int parent;

    if (slurp(pid, "stat", stat, sizeof stat) == 0) {
        return false;
    }
    rest = strrchr(stat, ')'); /* the name before may have anything in it */
    return rest != NULL && sscanf(rest, ") %*c %d", &parent) == 1 && parent == (int)who;
}

/* Pushes the words that it was started with; of one that has ended, its name. */
static void push_command(lua_State *L, const char *pid)
{
    char text[256];
    size_t length = slurp(pid, "cmdline", text, sizeof text);

    if (length == 0) {
        length = slurp(pid, "comm", text, sizeof text);
    }
    while (length > 0 && (text[length - 1] == '\0' || text[length - 1] == '\n')) {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0' || text[i] == '\n') {
            text[i] = ' ';
        }
    }
    lua_pushlstring(L, text, length);
}

/* children(): {[pid] = command} of those that nobody has waited for. */
static int children(lua_State *L)
{
    siginfo_t info;
    DIR *dir;
    struct dirent *entry;

    lua_newtable(L);
    if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD) {
        return 1; /* there are none at all */
    }
    dir = opendir("/proc");
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) && is_child_of(entry->d_name, getpid())) {
            push_command(L, entry->d_name);
            lua_rawseti(L, -2, atoi(entry->d_name));
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return 1;
}

/* Kills it and all below it. It is stopped first, so that it starts no more. */
static void kill_tree(pid_t pid)
{
    struct dirent *entry;
    DIR *dir;

    kill(pid, SIGSTOP);
    dir = opendir("/proc");
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) && is_child_of(entry->d_name, pid)) {
            kill_tree((pid_t)atoi(entry->d_name));
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    kill(pid, SIGKILL);
}

/* end_child(pid): kills it, with its children, and waits for it. */
static int end_child(lua_State *L)
{
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);

    luaL_argcheck(L, pid > 0, 1, "not a pid");
    kill_tree(pid);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return 0;
}

void tk_testing_open(lua_State *L, struct tasklet_host *host)
{
    static const luaL_Reg core[] = {{"limit_time", limit},
                                    {"align", align},
                                    {"descriptors", descriptors},
                                    {"fileno", file_number},
                                    {"close_descriptor", close_descriptor},
                                    {"child_processes", children},
                                    {"end_child", end_child},
                                    {NULL, NULL}};

    tk_push_table(L, host->bind, TABLE_CORE);
    tk_set_host_functions(L, host, core);
    lua_pop(L, 1);
}
