/*
 * main.c - the program `tasklet`: `lua` whose scripts are tasklets.
 *
 * Owns the Lua state, the host, and what SIGINT, SIGTERM and SIGUSR1 do. Must never run a script
 * outside of the main tasklet, where all of it may wait: LUA_INIT, -e, -l, the script and the
 * prompt. Ends with the status that the host gives, the host freed first and then the state.
 */
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/cli.h"
#include "host_run.h"
#include "tasklet.h"

/* For the signal handler alone, which is given nothing but the signal. */
static struct tasklet_host *volatile running;
static pthread_t thread; /* the host's */

/* Who started the program may have closed these: then nothing else is to get their numbers. */
static void open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0) open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
    }
}

/* A shell says of a child that a signal ended: 128 and the signal. SA_RESETHAND has put the default
 * action back, so a second signal ends the program at once. */
static void interrupt(int signo)
{
    tasklet_host_interrupt(running, 128 + signo);
}

/* Without SA_RESTART: a script that is blocked in a read comes back from it and can be ended. */
static void set_signals(struct tasklet_host *host)
{
    struct sigaction action = {0};
    action.sa_handler = host != NULL ? interrupt : SIG_DFL;
    action.sa_flags = SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    if (host != NULL) running = host;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (host == NULL) running = NULL;
}

/* It may come to a thread of libuv's, where a tasklet that runs cannot be looked at. */
static void dump(int signo)
{
    if (pthread_equal(pthread_self(), thread))
        tasklet_host_dump(running);
    else
        pthread_kill(thread, signo);
}

/* What tasklets wait for is no error: a program that is asked goes on as if nothing had been. */
static void set_dump_signal(bool on)
{
    struct sigaction action = {0};
    action.sa_handler = on ? dump : SIG_IGN;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    thread = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
}

/* Whoever started this program may have it ignore the ends of children: then the system keeps from
 * everybody how they ended. */
static void mind_children(void)
{
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
        signal(SIGCHLD, SIG_DFL);
}

static void on_dump(void *context, const char *text)
{
    (void)context;
    fputs(text, stderr);
    fflush(stderr);
}

static void say(const struct tk_cli *cli, const char *text)
{
    fprintf(stderr, "%s: %s\n", cli->progname, text);
    fflush(stderr);
}

static void on_error(void *context, const char *text)
{
    const struct tk_cli *cli = context;
    say(cli, text);
}

/* Lua function (cli): makes a new state one that scripts can use. */
static int open_state(lua_State *L)
{
    const struct tk_cli *cli = lua_touserdata(L, 1);
    luaL_checkversion(L);
    if (cli->ignore_environment) {
        lua_pushboolean(L, 1);
        lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV"); /* the package library looks there */
    }
    luaL_openlibs(L);
    tk_cli_push_arg(L, cli);
    lua_setglobal(L, "arg");
    if (!cli->no_warnings) lua_warning(L, "@on", 0);
    return 0;
}

/* Calls what the function at index 1 gives, until it gives nothing; index 2 is what it is told: the
 * result of the call before. In C, so that a script's traceback ends as in `lua`. */
static int run_steps(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    for (;;) {
        lua_pushvalue(L, 1);
        lua_insert(L, 2);
        lua_call(L, 1, LUA_MULTRET);
        int given = lua_gettop(L) - 1;
        if (given == 0) return 0;
        lua_callk(L, given - 1, 1, 0, run_steps);
    }
}

/* Lua function (run.lua, plan): the body of the main tasklet. */
static int body(lua_State *L)
{
    lua_call(L, 1, 1);
    lua_pushnil(L);
    return run_steps(L, LUA_OK, 0);
}

/* Lua function (cli): returns the body of the main tasklet and its two arguments. */
static int push_body(lua_State *L)
{
    const struct tk_cli *cli = lua_touserdata(L, 1);
    lua_pushcfunction(L, body);
    if (luaL_loadbuffer(L, (const char *)host_run, host_run_size, "=tasklet") != LUA_OK)
        return lua_error(L);
    tk_cli_push_plan(L, cli);
    return 3;
}

/* Calls f(cli). Says why if it fails, and is negative then. */
static int call_protected(lua_State *L, lua_CFunction f, struct tk_cli *cli, int nresults)
{
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, cli);
    if (lua_pcall(L, 1, nresults, 0) == LUA_OK) return 0;
    const char *message = lua_tostring(L, -1);
    say(cli, message != NULL ? message : "(error object is not a string)");
    lua_pop(L, 1);
    return -1;
}

/* Starts the main tasklet: its body and that one's two arguments are on top, and popped. */
static int start_main(struct tasklet_host *host, lua_State *L)
{
    struct tasklet_start_options options;
    tasklet_start_options_init(&options);
    options.main = 1;
    struct tasklet_value values[3] = {tasklet_nil(), tasklet_nil(), tasklet_nil()};
    int status = 0;
    for (int i = 0; i < 3 && status >= 0; i++)
        status = tasklet_at(host, L, i - 3, &values[i]);
    if (status >= 0) status = tasklet_start(host, &options, &values[0], &values[1], 2, NULL);
    for (int i = 0; i < 3; i++)
        tasklet_release(host, &values[i]);
    lua_pop(L, 3);
    return status;
}

/* Returns the status to end with, or a negative enum tasklet_error. */
static int run_host(lua_State *L, struct tk_cli *cli)
{
    struct tasklet_options options;
    tasklet_options_init(&options);
    options.lua = L;
    options.context = cli;
    options.on_error = on_error;
    options.on_dump = on_dump;
    options.capabilities = TASKLET_ALL;
    options.virtual_time = cli->virtual_time;
    options.seeded = cli->seeded;
    options.seed = cli->seed;
    options.waiting_io = !cli->blocking_io;
    struct tasklet_host *host;
    int status = tasklet_host_new(&options, &host);
    if (status < 0) return status;

    mind_children();
    set_signals(host);
    set_dump_signal(true);
    if (call_protected(L, push_body, cli, 3) < 0) {
        status = EXIT_FAILURE;
    } else {
        status = start_main(host, L);
        if (status >= 0) status = tasklet_host_run(host);
    }
    set_dump_signal(false);
    set_signals(NULL);
    tasklet_host_free(host);
    return status;
}

int main(int argc, char **argv)
{
    struct tk_cli cli;
    open_standard();
    if (tk_cli_parse(&cli, argc, argv) < 0) {
        tk_cli_complain(&cli);
        return EXIT_FAILURE;
    }
    if (cli.help || cli.only_version) {
        if (cli.help)
            tk_cli_print_help(&cli);
        else
            tk_cli_print_version();
        return EXIT_SUCCESS;
    }
    lua_State *L = tasklet_newstate();
    if (L == NULL) {
        say(&cli, "cannot create state: not enough memory");
        return EXIT_FAILURE;
    }
    if (cli.version || tk_cli_wants_prompt(&cli)) tk_cli_print_banner();
    int status = EXIT_FAILURE;
    if (call_protected(L, open_state, &cli, 0) == 0) status = run_host(L, &cli);
    if (status < 0) {
        say(&cli, tasklet_strerror(status));
        status = EXIT_FAILURE;
    }
    lua_close(L);
    return status;
}
