/*
 * Children in a program that embeds the library: they end with the host that started them, while
 * the program goes on, and none of them is left to be waited for.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

/* A tasklet that would wait for its child for long, and quits as soon as that is there. `result`
 * is the pid. */
#define START                                                                                      \
    "local tasklet = ...\n"                                                                        \
    "local child = assert(tasklet.process.spawn { 'sh', '-c', words })\n"                          \
    "child.stdout:read('l')\n"                                                                     \
    "result = tostring(child.pid)\n"                                                               \
    "tasklet.run(child.wait, child)\n"                                                             \
    "tasklet.mainloop.quit(0)\n"                                                                   \
    "tasklet.sleep(60)\n"

/* Children need leave. */
static const struct tasklet_options all = {.size = sizeof all, .capabilities = TASKLET_ALL};

static void check_none_left(const char *pid)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(kill((pid_t)strtol(pid, NULL, 10), 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void a_child_ends_with_its_host(void **state)
{
    char result[20];

    (void)state;
    run(&all, "words = 'echo; exec sleep 60'\n" START, result, sizeof result);
    check_none_left(result);
}

static void one_that_does_not_want_to_does(void **state)
{
    char result[20];

    (void)state;
    run(&all, "words = \"trap '' TERM; echo; while :; do sleep 0.01; done\"\n" START, result,
        sizeof result);
    check_none_left(result);
}

static void each_host_has_its_own(void **state)
{
    struct tasklet_host *first = host_with(&all, "words = 'echo; exec sleep 60'\n" START);
    struct tasklet_host *second = host_with(&all, "words = 'echo; exec sleep 60'\n" START);
    lua_State *L = tasklet_host_lua(second);
    pid_t pid;

    (void)state;
    assert_int_equal(tasklet_host_run(first), 0);
    assert_int_equal(tasklet_host_run(second), 0);
    lua_getglobal(L, "result");
    pid = (pid_t)strtol(lua_tostring(L, -1), NULL, 10);
    lua_pop(L, 1);
    tasklet_host_free(first);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    tasklet_host_free(second);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void commands_wait_if_the_program_says_so(void **state)
{
    static const char script[] =
        "local tasklet = ...\n"
        "local ticks = 0\n"
        "tasklet.new(function()\n"
        "    while true do\n"
        "        ticks = ticks + 1\n"
        "        tasklet.sleep(0.001)\n"
        "    end\n"
        "end, { daemon = true })()\n"
        "tasklet.yield_()\n"
        "local before = ticks\n"
        "local _, how, code = os.execute('sleep 0.3; exit 3')\n"
        "result = ('%s %d %s'):format(how, code, ticks > before and 'on' or 'still')\n";
    struct tasklet_options options;
    char result[40];

    (void)state;
    tasklet_options_init(&options);
    options.capabilities = TASKLET_ALL;
    run(&options, script, result, sizeof result);
    assert_string_equal(result, "exit 3 still");
    options.waiting_io = 1;
    run(&options, script, result, sizeof result);
    assert_string_equal(result, "exit 3 on");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_ends_with_its_host),
        cmocka_unit_test(one_that_does_not_want_to_does),
        cmocka_unit_test(each_host_has_its_own),
        cmocka_unit_test(commands_wait_if_the_program_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
