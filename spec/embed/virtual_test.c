/* A program that embeds the library may give it a virtual clock, and have orders drawn. */
#include "run.h"

static void a_virtual_clock_jumps(void **state)
{
    struct tasklet_options options;
    char result[200];

    (void)state;
    tasklet_options_init(&options);
    options.virtual_time = 1;
    run(&options,
        "local tasklet = ...\n"
        "local start = tasklet.mainloop.now()\n"
        "tasklet.sleep(30 * 24 * 3600)\n"
        "result = ('%.3f %.3f'):format(start, tasklet.mainloop.now() - start)\n",
        result, sizeof result);
    assert_string_equal(result, "1000000.000 2592000000.000");
}

static void order(unsigned long long seed, int seeded, char *result, size_t size)
{
    struct tasklet_options options;

    tasklet_options_init(&options);
    options.virtual_time = 1;
    options.seeded = seeded;
    options.seed = seed;
    run(&options,
        "local tasklet = ...\n"
        "local names, list = {}, {}\n"
        "for i = 1, 9 do\n"
        "    list[i] = tasklet.run(function()\n"
        "        tasklet.sleep(1)\n"
        "        names[#names + 1] = i\n"
        "    end)\n"
        "end\n"
        "tasklet.join_all(list)\n"
        "result = table.concat(names)\n",
        result, size);
}

static void orders_are_drawn_by_the_seed(void **state)
{
    char usual[20], first[20], again[20], zero[20];

    (void)state;
    order(5, 0, usual, sizeof usual);
    order(5, 1, first, sizeof first);
    order(5, 1, again, sizeof again);
    order(0, 1, zero, sizeof zero);
    assert_string_equal(usual, "123456789");
    assert_string_equal(first, again);
    assert_string_not_equal(first, usual);
    assert_string_not_equal(zero, usual);
    assert_string_not_equal(zero, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_virtual_clock_jumps),
        cmocka_unit_test(orders_are_drawn_by_the_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
