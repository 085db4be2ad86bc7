/*
 * Connections that the system does not let a program accept, as a filter of system calls has it: a
 * server waits on, and others go on.
 */
#include <errno.h>

#include "run.h"

static int refusals;

/* In the place of libc's, whose declaration no C of the standard's can be the same as. */
__attribute__((visibility("default"))) int accept4(int fd, void *address, void *size, int flags);

int accept4(int fd, void *address, void *size, int flags)
{
    (void)fd;
    (void)address;
    (void)size;
    (void)flags;
    refusals++;
    errno = EPERM;
    return -1;
}

static void what_is_refused_is_waited_for(void **state)
{
    struct tasklet_options options;
    char result[200];

    (void)state;
    tasklet_options_init(&options);
    options.capabilities = TASKLET_NETWORK;
    run(&options,
        "local tasklet = ...\n"
        "local server <close> = assert(tasklet.net.listen { host = '127.0.0.1', port = 0 })\n"
        "local _, port = server:sockname()\n"
        "local c <close> = assert(tasklet.net.connect { port = port })\n"
        "local t = tasklet.run(function() return select(3, server:accept(0.1)) end)\n"
        "tasklet.sleep(0.01)\n"
        "result = tostring(t:has_finished()) .. ' ' .. t:join()\n",
        result, sizeof result);
    assert_string_equal(result, "false timeout");
    assert_true(refusals > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
