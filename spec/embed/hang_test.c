/* A program that embeds the library hears why its scripts hang: by a dump when it asks for one, and
 * of a deadlock. */
#include "run.h"

static char text[4000];

static void keep(void *context, const char *what)
{
    assert_ptr_equal(context, text);
    assert_true(strlen(what) < sizeof text);
    strcpy(text, what);
}

static void a_dump_is_had_at_any_time(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;

    (void)state;
    tasklet_options_init(&options);
    options.context = text;
    options.on_dump = keep;
    host = host_with(&options, "local tasklet = ...\n"
                               "tasklet.new(tasklet.sleep, {name = 'sleeper'})(0.01)\n"
                               "tasklet.sleep(0.02)\n");
    text[0] = '\0';
    tasklet_host_dump(host);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_non_null(strstr(text, "main #1"));
    assert_non_null(strstr(text, "sleeper #2"));
    tasklet_host_free(host);
}

static void a_deadlock_is_told_and_ends_the_run(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;

    (void)state;
    tasklet_options_init(&options);
    options.context = text;
    options.on_error = keep;
    host = host_with(&options, "local tasklet = ...\n"
                               "tasklet.channel():receive()\n");
    text[0] = '\0';
    assert_int_equal(tasklet_host_run(host), 3);
    assert_ptr_equal(strstr(text, "deadlock: "), text);
    assert_non_null(strstr(text, "'main' #1"));
    assert_non_null(strstr(text, "receive: a sender on channel"));
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dump_is_had_at_any_time),
        cmocka_unit_test(a_deadlock_is_told_and_ends_the_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
