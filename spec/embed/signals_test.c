/*
 * A program that embeds the library says which signals are its own: without leave the library
 * installs no handler, and with `no_signals` never.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lua.h>

#include "tasklet.h"

/* The handler of the signal that time slices use, as tasklet.h has it. */
static void (*handler_now(void))(int)
{
    struct sigaction action;

    assert_int_equal(sigaction(SIGRTMAX - 2, NULL, &action), 0);
    return action.sa_handler;
}

/* Runs a script in a host of its own, with `tasklet` as its argument; it sets the global `result`,
 * a string, which is copied. */
static void run(int no_signals, const char *script, char *result, size_t size)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;
    lua_State *L;

    tasklet_options_init(&options);
    options.no_signals = no_signals;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    L = tasklet_host_lua(host);
    assert_int_equal(luaL_loadstring(L, script), LUA_OK);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "tasklet");
    lua_call(L, 1, 1);
    assert_int_equal(tasklet_host_start(host, 1), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(lua_getglobal(L, "result"), LUA_TSTRING);
    assert_true(strlen(lua_tostring(L, -1)) < size);
    strcpy(result, lua_tostring(L, -1));
    lua_pop(L, 1);
    tasklet_host_free(host);
}

static void no_signals_refuses_time_slices(void **state)
{
    char result[200];

    (void)state;
    run(1,
        "local tasklet = ...\n"
        "local ok, err = pcall(tasklet.set_timeslice, 5)\n"
        "result = tostring(ok) .. ' ' .. tostring(tasklet.TaskletError:is(err)) .. ' ' ..\n"
        "    tostring(err):match('time slices.*')\n",
        result, sizeof result);
    assert_string_equal(result,
                        "false true time slices cannot be had: the program does without signals");
    assert_true(handler_now() == SIG_DFL);
}

static void no_signals_leaves_the_rest(void **state)
{
    char result[200];

    (void)state;
    run(1,
        "local tasklet = ...\n"
        "tasklet.set_timeslice(0)\n"
        "local t = tasklet.new(function() while true do end end)()\n"
        "local found = tasklet.pump(10000) == t\n"
        "t:kill()\n"
        "result = found and 'pumped' or 'not found'\n",
        result, sizeof result);
    assert_string_equal(result, "pumped");
    assert_true(handler_now() == SIG_DFL);
}

static void nothing_is_installed_unasked(void **state)
{
    char result[200];

    (void)state;
    run(0,
        "local tasklet = ...\n"
        "tasklet.join(tasklet.run(tasklet.sleep, 0.001))\n"
        "tasklet.pump(1000)\n"
        "tasklet.set_timeslice(0)\n"
        "result = 'ran'\n",
        result, sizeof result);
    assert_string_equal(result, "ran");
    assert_true(handler_now() == SIG_DFL);
}

static void time_slices_are_had_otherwise(void **state)
{
    char result[200];

    (void)state;
    run(0,
        "local tasklet = ...\n"
        "tasklet.set_timeslice(5)\n"
        "local stop = false\n"
        "tasklet.new(function() stop = true end)()\n"
        "while not stop do end\n"
        "result = 'stopped'\n",
        result, sizeof result);
    assert_string_equal(result, "stopped");
    assert_true(handler_now() != SIG_DFL);
}

/* In this order: what is installed once stays. */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_signals_refuses_time_slices),
        cmocka_unit_test(no_signals_leaves_the_rest),
        cmocka_unit_test(nothing_is_installed_unasked),
        cmocka_unit_test(time_slices_are_had_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
