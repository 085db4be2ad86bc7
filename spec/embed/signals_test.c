/*
 * A program that embeds the library says which signals are its own: without leave the library
 * installs no handler, and with `no_signals` never.
 */
#include <signal.h>

#include "run.h"

/* The handler of the signal that time slices use, as tasklet.h has it. */
static void (*handler_now(void))(int)
{
    struct sigaction action;

    assert_int_equal(sigaction(SIGRTMAX - 2, NULL, &action), 0);
    return action.sa_handler;
}

static void run_with(int no_signals, const char *script, char *result, size_t size)
{
    struct tasklet_options options;

    tasklet_options_init(&options);
    options.no_signals = no_signals;
    run(&options, script, result, size);
}

static void no_signals_refuses_time_slices(void **state)
{
    char result[200];

    (void)state;
    run_with(1,
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
    run_with(1,
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
    run_with(0,
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
    run_with(0,
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
