/*
 * Names that are looked up while nameservers are silent: nobody waits for that. The system's
 * getaddrinfo is replaced by one that is silent until it is let go on.
 */
#include <netdb.h>
#include <unistd.h>

#include "threads.h"

static sem_t asked, answer, answered;

__attribute__((visibility("default"))) int getaddrinfo(const char *restrict name,
                                                       const char *restrict service,
                                                       const struct addrinfo *restrict hints,
                                                       struct addrinfo **restrict found)
{
    (void)service;
    (void)hints;
    (void)found;
    if (strcmp(name, "silent") == 0) {
        sem_post(&asked);
        sem_wait(&answer);
        sem_post(&answered);
    }
    return EAI_NONAME;
}

static int set_up(void **state)
{
    (void)state;
    alarm(100);
    return sem_init(&asked, 0, 0) | sem_init(&answer, 0, 0) | sem_init(&answered, 0, 0);
}

/* Until so many have been asked for. */
static void resolve(struct tasklet_host *host, const char *text, int count)
{
    begin(host, text);
    while (count > 0) {
        if (sem_trywait(&asked) == 0) {
            count--;
        } else {
            assert_true(tasklet_host_turn(host, 0) >= 0);
        }
    }
}

static void answer_all(int count)
{
    for (int i = 0; i < count; i++) {
        sem_post(&answer);
    }
    for (int i = 0; i < count; i++) {
        assert_int_equal(sem_wait(&answered), 0);
    }
}

static void a_daemon_that_looks_one_up_does_not_hold_the_end_up(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    begin(host, "go = tasklet.WaitForCall() tasklet.wait(go)");
    resolve(host, "tasklet.current().daemon = true tasklet.net.resolve('silent')", 1);
    perform(host, "go()");
    run_to(host, 0);
    tasklet_host_free(host);
    answer_all(1);
}

static void nor_does_one_that_was_killed_or_was_too_late(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    resolve(host,
            "t = tasklet.run(tasklet.net.resolve, 'silent')\n"
            "code = select(3, tasklet.net.connect { host = 'silent', port = 1, timeout = 0.5 })\n",
            2);
    perform(host, "t:kill()");
    run_to(host, 0);
    assert_global(host, "code", "timeout");
    tasklet_host_free(host);
    answer_all(2);
}

static void a_host_can_be_freed_meanwhile(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    resolve(host, "tasklet.net.resolve('silent')", 1);
    tasklet_host_free(host);
    answer_all(1);
}

static void some_that_are_not_answered_do_not_hold_up_others(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    resolve(host, "for i = 1, 20 do tasklet.run(tasklet.net.resolve, 'silent') end", 20);
    begin(host, "code = select(3, tasklet.net.resolve('other'))\n"
                "tasklet.mainloop.quit(7)");
    run_to(host, 7);
    assert_global(host, "code", "EAI_NONAME");
    answer_all(20);
    tasklet_host_free(host);
}

static void as_many_as_there_are_stand_in_a_line_and_are_all_answered(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    begin(host, "count = 0\n"
                "for i = 1, 300 do\n"
                "    local t = tasklet.run(function()\n"
                "        local _, _, code = tasklet.net.resolve('silent')\n"
                "        count = count + (code == 'EAI_NONAME' and 1 or 0)\n"
                "    end)\n"
                "    if i % 3 == 0 then t:kill() end\n"
                "end");
    for (int i = 0; i < 300; i++) {
        sem_post(&answer);
    }
    run_to(host, 0);
    assert_int_equal(global_integer(host, "count"), 200);
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_daemon_that_looks_one_up_does_not_hold_the_end_up),
        cmocka_unit_test(nor_does_one_that_was_killed_or_was_too_late),
        cmocka_unit_test(a_host_can_be_freed_meanwhile),
        cmocka_unit_test(some_that_are_not_answered_do_not_hold_up_others),
        cmocka_unit_test(as_many_as_there_are_stand_in_a_line_and_are_all_answered),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
