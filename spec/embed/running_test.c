/* Running a host, by itself or by turns in a loop of the program's: the chapter "Running". */
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "script.h"

static char reports[2000];

static void keep_report(void *context, const char *text)
{
    (void)context;
    assert_true(strlen(reports) + strlen(text) + 2 < sizeof reports);
    strcat(strcat(reports, text), "\n");
}

static struct tasklet_host *host_with_time(int is_virtual)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;

    tasklet_options_init(&options);
    options.on_error = keep_report;
    options.virtual_time = is_virtual;
    options.capabilities = TASKLET_FILES;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    reports[0] = '\0';
    return host;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A loop of the program's: waits as the host says. Returns how often it had to turn it. */
static int drive(struct tasklet_host *host)
{
    struct pollfd fd = {.fd = tasklet_host_fd(host), .events = POLLIN};
    int turns = 0, more;

    do {
        int ms = tasklet_host_timeout(host);

        assert_true(ms >= -1);
        assert_true(poll(&fd, 1, ms) >= 0);
        more = tasklet_host_turn(host, 0);
        assert_true(more >= 0);
        turns++;
    } while (more > 0);
    return turns;
}

/* ---- runs ---- */

static void each_run_has_a_status_of_its_own(void **state)
{
    struct tasklet_host *host = host_with_time(0);

    (void)state;
    assert_int_equal(tasklet_host_run(host), 0); /* nothing to do */
    begin(host, "error 'it broke'");
    assert_int_equal(tasklet_host_run(host), 1);
    assert_int_equal(tasklet_host_status(host), 1);
    begin(host, "");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_host_status(host), 0);
    begin(host, "require 'tasklet'.mainloop.quit(7)");
    assert_int_equal(tasklet_host_run(host), 7);
    assert_int_equal(tasklet_host_run(host), 0);
    begin(host, "require 'tasklet'.mainloop.quit(-1)");
    assert_int_equal(tasklet_host_run(host), 255);
    perform(host, "require 'tasklet'.mainloop.quit(6)"); /* before it runs */
    assert_int_equal(tasklet_host_run(host), 6);
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_host_free(host);
}

/* A failure of a run that is over counts neither when it is seen nor against one that is not. */
static void an_old_failure_is_no_part_of_a_new_run(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet *old = started(host, "error 'old'", NULL);
    struct tasklet_value text;

    (void)state;
    assert_int_equal(tasklet_host_run(host), 1);
    begin(host, "require 'tasklet'.sleep(0.001)");
    begin(host, "error 'new'");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_failure(old, 0, &text), 0);
    assert_int_equal(tasklet_host_run(host), 1);
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_drop(old);
    tasklet_host_free(host);
}

static void a_run_that_was_quit_is_gone_on_with(void **state)
{
    struct tasklet_host *host = host_with_time(0);

    (void)state;
    begin(host, "local tasklet = require 'tasklet'\n"
                "for i = 1, 3 do\n"
                "    tasklet.sleep(0.001)\n"
                "    count = i\n"
                "    tasklet.mainloop.quit(i)\n"
                "end\n");
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(tasklet_host_run(host), i);
        assert_int_equal(integer_of(host, "return count"), i);
    }
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_host_free(host);
}

static void a_deadlock_ends_a_run_and_no_other(void **state)
{
    struct tasklet_host *host = host_with_time(0);

    (void)state;
    for (int i = 0; i < 3; i++) {
        reports[0] = '\0';
        begin(host, "require 'tasklet'.channel():receive()");
        assert_int_equal(tasklet_host_run(host), 3);
        assert_ptr_equal(strstr(reports, "deadlock: "), reports);
        begin(host, "");
        assert_int_equal(tasklet_host_run(host), 0);
    }
    tasklet_host_free(host);
}

static void an_interrupt_ends_a_run_and_no_other(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet *t;

    (void)state;
    for (int i = 0; i < 2; i++) {
        t = started(host,
                    "local closed <close> = setmetatable({}, {__close = function()\n"
                    "    trace = 'closed'\n"
                    "end})\n"
                    "require 'tasklet'.sleep(1000)",
                    NULL);
        perform(host, "trace = ''");
        if (i == 1) {
            assert_int_equal(tasklet_host_turn(host, 0), 1);
        }
        tasklet_host_interrupt(host, 9);
        assert_int_equal(tasklet_host_run(host), 9);
        assert_int_equal(tasklet_state(t), TASKLET_KILLED);
        assert_global(host, "trace", "closed");
        assert_int_equal(tasklet_host_run(host), 0);
        tasklet_drop(t);
    }
    tasklet_host_free(host);
}

static struct tasklet_host *volatile to_interrupt;

static void on_alarm(int signo)
{
    (void)signo;
    tasklet_host_interrupt(to_interrupt, 4);
}

/* Also what the program has called, in no tasklet. It calls the system, for ThreadSanitizer holds
 * signals back until then. */
static void an_interrupt_ends_a_call(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet_value function = function_of(host, "while true do os.time() end");
    struct itimerval soon = {.it_value = {.tv_usec = 10000}};
    struct sigaction action;
    struct tasklet *t = started(host, "require 'tasklet'.sleep(1000)", NULL);

    (void)state;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    to_interrupt = host;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    assert_string_equal(tasklet_host_error(host), "interrupted");
    assert_int_equal(integer_of(host, "local n = 0 for i = 1, 100 do n = n + i end return n"),
                     5050);
    assert_int_equal(tasklet_host_run(host), 4);
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_drop(t);
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void after_exit_nothing_runs(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet_value function = function_of(host, "trace = 'ran'");

    (void)state;
    begin(host, "os.exit(5)");
    begin(host, "require 'tasklet'.sleep(0.001) trace = 'ran'");
    assert_int_equal(tasklet_host_run(host), 5);
    assert_int_equal(tasklet_host_run(host), 5);
    assert_int_equal(tasklet_host_turn(host, -1), 0);
    assert_int_equal(tasklet_host_status(host), 5);
    assert_int_equal(tasklet_host_timeout(host), -1);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, NULL), TASKLET_ESTATE);
    assert_error(host, "ended");
    assert_int_equal(eval(host, "return trace").type, TASKLET_NIL);
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

/* ---- turns ---- */

static void turns_make_a_run(void **state)
{
    struct tasklet_host *host = host_with_time(1);

    (void)state;
    assert_int_equal(tasklet_host_turn(host, 0), 0);
    assert_int_equal(tasklet_host_status(host), 0);
    begin(host, "local tasklet = require 'tasklet'\n"
                "for i = 1, 3 do count = i tasklet.sleep(1) end\n"
                "error 'it broke'");
    for (int i = 1; i <= 3; i++) {
        int turns = 0;

        do {
            assert_int_equal(tasklet_host_turn(host, 0), 1);
        } while (integer_of(host, "return count") < i && ++turns < 5);
        assert_int_equal(integer_of(host, "return count"), i);
    }
    for (int turns = 0; tasklet_host_turn(host, 0) > 0; turns++) {
        assert_true(turns < 5);
    }
    assert_int_equal(tasklet_host_status(host), 1);
    assert_non_null(strstr(reports, "it broke"));
    begin(host, "");
    assert_int_equal(tasklet_host_turn(host, 0), 0);
    assert_int_equal(tasklet_host_status(host), 0);
    assert_int_equal(tasklet_host_turn(host, NAN), TASKLET_EINVAL);
    tasklet_host_free(host);
}

static void a_turn_waits_as_long_as_it_may(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    double before;
    int turns = 0;

    (void)state;
    begin(host, "require 'tasklet'.sleep(1000)");
    assert_int_equal(tasklet_host_turn(host, 0), 1); /* it has begun */
    before = seconds_now();
    assert_int_equal(tasklet_host_turn(host, 0.03), 1);
    assert_true(seconds_now() - before >= 0.03);
    tasklet_host_interrupt(host, 0);
    assert_int_equal(tasklet_host_turn(host, 1000), 0);

    begin(host, "require 'tasklet'.sleep(0.03)");
    before = seconds_now();
    while (tasklet_host_turn(host, -1) > 0) {
        turns++;
    }
    assert_true(seconds_now() - before >= 0.03);
    assert_true(turns < 10);
    begin(host, "require 'tasklet'.sleep(0.001)");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    turns = 0;
    while (tasklet_host_turn(host, HUGE_VAL) > 0) {
        turns++;
    }
    assert_true(turns < 10);
    tasklet_host_free(host);
}

static void quitting_and_parking_work_by_turns(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet_start_options options;
    struct tasklet *t;

    (void)state;
    tasklet_start_options_init(&options);
    options.main = 1;
    t = started(host,
                "local tasklet = require 'tasklet'\n"
                "tasklet.later(0.001, tasklet.mainloop.quit)(4)\n"
                "tasklet.new(tasklet.sleep)(1000)\n"
                "trace = 'status ' .. tostring(tasklet.mainloop.run())",
                &options);
    drive(host);
    assert_int_equal(tasklet_host_status(host), 4);
    assert_global(host, "trace", "status 4");
    assert_int_equal(tasklet_state(t), TASKLET_RETURNED);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void daemons_are_killed_at_the_end_of_a_run_by_turns(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet_start_options options;
    struct tasklet *t;

    (void)state;
    tasklet_start_options_init(&options);
    options.daemon = 1;
    t = started(host, "require 'tasklet'.sleep(1000)", &options);
    begin(host, "require 'tasklet'.sleep(0.001)");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_state(t), TASKLET_ALIVE);
    drive(host);
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* Who waits for as long as it takes hears that nothing will come; who does not may yet send. */
static void only_a_turn_without_end_finds_a_deadlock(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet *t = started(host, "require 'tasklet'.current().mailbox:popleft()", NULL);

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tasklet_host_turn(host, i % 2 == 0 ? 0 : 0.001), 1);
    }
    assert_int_equal(tasklet_host_timeout(host), -1);
    assert_int_equal(tasklet_send(t, "m", NULL), 0);
    assert_int_equal(tasklet_host_timeout(host), 0);
    assert_int_equal(tasklet_host_turn(host, 0), 0);
    assert_int_equal(tasklet_state(t), TASKLET_RETURNED);
    assert_string_equal(reports, "");
    tasklet_drop(t);

    t = started(host, "require 'tasklet'.current().mailbox:popleft()", NULL);
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    while (tasklet_host_turn(host, -1) > 0) {
        continue;
    }
    assert_int_equal(tasklet_host_status(host), 3);
    assert_ptr_equal(strstr(reports, "deadlock: "), reports);
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* A turn has left it at that; a run does not. */
static void a_run_after_turns_finds_a_deadlock(void **state)
{
    struct tasklet_host *host = host_with_time(0);

    (void)state;
    begin(host, "require 'tasklet'.channel():receive()");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_host_turn(host, 0.001), 1);
    assert_string_equal(reports, "");
    assert_int_equal(tasklet_host_run(host), 3);
    assert_ptr_equal(strstr(reports, "deadlock: "), reports);
    tasklet_host_free(host);
}

/* ---- a foreign loop ---- */

static void sleepers_are_driven_by_the_timeout(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    double before = seconds_now();

    (void)state;
    begin(host, "local tasklet = require 'tasklet'\n"
                "for i = 1, 5 do\n"
                "    local time = tasklet.mainloop.now()\n"
                "    tasklet.sleep(0.01)\n"
                "    assert(tasklet.mainloop.now() - time >= 10)\n"
                "end\n");
    assert_true(drive(host) < 30);
    assert_true(seconds_now() - before >= 0.05);
    assert_int_equal(tasklet_host_status(host), 0);
    tasklet_host_free(host);
}

static void descriptors_are_driven_by_the_descriptor(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet_value fd;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    fd = tasklet_integer(ends[0]);
    assert_int_equal(tasklet_global_set(host, "fd", &fd), 0);
    begin(host, "local tasklet = require 'tasklet'\n"
                "tasklet.wait(tasklet.WaitForIO(fd))\n"
                "trace = 'read'");
    while (tasklet_host_timeout(host) == 0) {
        assert_int_equal(tasklet_host_turn(host, 0), 1);
    }
    assert_int_equal(tasklet_host_timeout(host), -1);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(drive(host) < 10);
    assert_global(host, "trace", "read");
    close(ends[0]);
    close(ends[1]);
    tasklet_host_free(host);
}

/* What has come through the socket, of the few bytes that are sent there. */
static void assert_came(int fd, const char *expected)
{
    char text[100] = "";
    ssize_t count = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

    assert_int_equal(count, strlen(expected) > 0 ? (ssize_t)strlen(expected) : -1);
    assert_string_equal(text, expected);
}

/* A program may be long in coming to the next turn. */
static void what_a_turn_writes_is_sent_in_it(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet_value fd;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fd = tasklet_integer(ends[0]);
    assert_int_equal(tasklet_global_set(host, "fd", &fd), 0);
    begin(host, "stream = require 'tasklet'.stream(fd)\n"
                "stream:write('one ')\n"
                "stream:write('piece')\n"
                "require 'tasklet'.sleep(1000)");
    assert_came(ends[1], "");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_came(ends[1], "one piece");
    perform(host, "stream:write('between turns')");
    assert_came(ends[1], "");
    while (tasklet_host_timeout(host) == 0) { /* the first time it is sent */
        assert_int_equal(tasklet_host_turn(host, 0), 1);
    }
    assert_came(ends[1], "between turns");
    tasklet_host_free(host);
    close(ends[1]);
}

static void the_timeout_knows_of_calls_between_turns(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct tasklet *first, *second;
    int ms, later;

    (void)state;
    first = started(host, "require 'tasklet'.sleep(10000)", NULL);
    assert_int_equal(tasklet_host_timeout(host), 0); /* started */
    while (tasklet_host_timeout(host) == 0) {
        assert_int_equal(tasklet_host_turn(host, 0), 1);
    }
    ms = tasklet_host_timeout(host);
    assert_true(ms > 0 && ms <= 10000001);
    perform(host, "require 'tasklet'.run(require 'tasklet'.sleep, 1000)"); /* armed at once */
    ms = tasklet_host_timeout(host);
    assert_true(ms > 0 && ms <= 1000001);
    poll(NULL, 0, 30); /* the program does something else */
    later = tasklet_host_timeout(host);
    assert_true(later > 0 && ms - later >= 29);
    second = started(host, "require 'tasklet'.current().mailbox:popleft()", NULL);
    assert_int_equal(tasklet_host_timeout(host), 0);
    while (tasklet_host_timeout(host) == 0) {
        assert_int_equal(tasklet_host_turn(host, 0), 1);
    }
    assert_int_equal(tasklet_send(second, "m", NULL), 0);
    assert_int_equal(tasklet_host_timeout(host), 0); /* sent */
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_state(second), TASKLET_RETURNED);
    while (tasklet_host_timeout(host) == 0) {
        assert_int_equal(tasklet_host_turn(host, 0), 1);
    }
    assert_int_equal(tasklet_kill(first), 0);
    assert_int_equal(tasklet_host_timeout(host), 0); /* killed */
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_state(first), TASKLET_KILLED);
    while (tasklet_host_timeout(host) == 0) {
        assert_int_equal(tasklet_host_turn(host, 0), 1);
    }
    perform(host, "require 'tasklet'.mainloop.quit(2)");
    assert_int_equal(tasklet_host_timeout(host), 0);
    assert_int_equal(tasklet_host_turn(host, 0), 0);
    assert_int_equal(tasklet_host_status(host), 2);
    tasklet_drop(first);
    tasklet_drop(second);
    tasklet_host_free(host);
}

/* Once the end of a run has been told there is no need for turns, until something is begun. */
static void nothing_is_to_be_done_when_all_is_over(void **state)
{
    struct tasklet_host *host = host_with_time(0);

    (void)state;
    assert_int_equal(tasklet_host_timeout(host), -1);
    for (int i = 0; i < 3; i++) {
        begin(host, "require 'tasklet'.sleep(0.001)");
        assert_int_equal(tasklet_host_timeout(host), 0);
        drive(host);
        assert_int_equal(tasklet_host_timeout(host), -1);
        /* One that is over already, but has to be reported. */
        perform(host, "require 'tasklet'.run(error, 'it broke')");
        assert_int_equal(tasklet_host_timeout(host), 0);
        assert_int_equal(tasklet_host_turn(host, 0), 0);
        assert_int_equal(tasklet_host_status(host), 1);
        assert_ptr_equal(strstr(reports, "it broke"), reports);
        reports[0] = '\0';
        assert_int_equal(tasklet_host_timeout(host), -1);
    }
    tasklet_host_free(host);
}

/* What the program is told at the end of a turn is still inside of it. */
static void try_to_turn(void *context, const char *text)
{
    struct tasklet_host **host = context;

    assert_non_null(strstr(text, "it broke"));
    assert_int_equal(tasklet_host_turn(*host, 0), TASKLET_ESTATE);
    assert_int_equal(tasklet_host_run(*host), TASKLET_ESTATE);
    begin(*host, "told = (told or 0) + 1");
}

static void a_report_does_not_run_the_host(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;

    (void)state;
    tasklet_options_init(&options);
    options.context = &host;
    options.on_error = try_to_turn;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    begin(host, "error 'it broke'");
    assert_int_equal(tasklet_host_run(host), 1);
    begin(host, "error 'it broke'");
    while (tasklet_host_turn(host, 0) > 0) {
        continue;
    }
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(integer_of(host, "return told"), 2);
    tasklet_host_free(host);
}

static void the_descriptor_stays_the_same(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    int fd = tasklet_host_fd(host);

    (void)state;
    assert_true(fd >= 0);
    begin(host, "require 'tasklet'.sleep(0.001)");
    drive(host);
    assert_int_equal(tasklet_host_fd(host), fd);
    tasklet_host_free(host);
}

static void *interrupt(void *host)
{
    tasklet_host_interrupt(host, 8);
    return NULL;
}

static void another_thread_wakes_a_foreign_loop(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    pthread_t thread;

    (void)state;
    begin(host, "require 'tasklet'.sleep(1000)");
    while (tasklet_host_timeout(host) == 0) {
        assert_int_equal(tasklet_host_turn(host, 0), 1);
    }
    assert_int_equal(pthread_create(&thread, NULL, interrupt, host), 0);
    assert_true(drive(host) < 10);
    assert_int_equal(tasklet_host_status(host), 8);
    assert_int_equal(pthread_join(thread, NULL), 0);
    tasklet_host_free(host);
}

/* Meanwhile tasklets and coroutines begin and end: it must touch none of them. */
static void another_thread_ends_one_that_is_preempted(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    struct tasklet *t;
    pthread_t thread;

    (void)state;
    tasklet_options_init(&options);
    options.max_time = 0.01;
    options.runaway = TASKLET_PREEMPT;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    t = started(host,
                "local tasklet = require 'tasklet'\n"
                "while true do\n"
                "    coroutine.wrap(function() coroutine.yield() end)()\n"
                "    tasklet.run(function() end)\n"
                "end",
                NULL);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, host), 0);
    assert_int_equal(tasklet_host_run(host), 8);
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* ---- virtual time ---- */

static void a_virtual_clock_jumps_by_turns(void **state)
{
    struct tasklet_host *host = host_with_time(1);
    struct tasklet_value days;
    int turns;

    (void)state;
    begin(host, "local tasklet = require 'tasklet'\n"
                "local start = tasklet.mainloop.now()\n"
                "for i = 1, 30 do tasklet.sleep(24 * 3600) end\n"
                "days = (tasklet.mainloop.now() - start) / (24 * 3600 * 1000)\n");
    turns = drive(host);
    assert_true(turns >= 30 && turns < 100);
    assert_int_equal(tasklet_global_get(host, "days", &days), 0);
    assert_true(days.as.number == 30);
    tasklet_host_free(host);
}

/* While something outside is under way it flows, also between the turns. */
static void a_virtual_clock_flows_between_turns(void **state)
{
    struct tasklet_host *host = host_with_time(1);
    struct tasklet_value fd;
    double before = seconds_now();
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    fd = tasklet_integer(ends[0]);
    assert_int_equal(tasklet_global_set(host, "fd", &fd), 0);
    begin(host, "local tasklet = require 'tasklet'\n"
                "local io, timeout = tasklet.WaitForIO(fd), tasklet.WaitForTimeout(50)\n"
                "local start = tasklet.mainloop.now()\n"
                "local event = tasklet.wait(io, timeout)\n"
                "assert(event == timeout)\n"
                "assert(tasklet.mainloop.now() - start >= 50)\n"
                "trace = 'in time'");
    assert_true(drive(host) < 20);
    assert_true(seconds_now() - before >= 0.05);
    assert_global(host, "trace", "in time");
    close(ends[0]);
    close(ends[1]);
    tasklet_host_free(host);
}

/* ---- inside ---- */

struct inside {
    struct tasklet_host *host;
    int run, turn;
};

static void try_to_run(void *context, struct tasklet *t)
{
    struct inside *inside = context;

    assert_ptr_equal(tasklet_host_of(t), inside->host);
    inside->run = tasklet_host_run(inside->host);
    inside->turn = tasklet_host_turn(inside->host, 0);
}

static void nothing_runs_inside_itself(void **state)
{
    struct tasklet_host *host = host_with_time(0);
    struct inside inside = {host, 0, 0};
    struct tasklet *t;

    (void)state;
    for (int i = 0; i < 3; i++) {
        inside.run = inside.turn = 0;
        t = i < 2 ? started(host, "", NULL) : NULL;
        if (i < 2) {
            assert_int_equal(tasklet_on_end(t, try_to_run, &inside), 0);
        }
        if (i == 0) {
            assert_int_equal(tasklet_host_run(host), 0);
        } else if (i == 1) {
            assert_int_equal(tasklet_host_turn(host, 0), 0);
        } else { /* a tasklet that ends inside a call from C */
            struct tasklet_value value = eval(host, "t = require 'tasklet'.new(print) return t");

            assert_int_equal(tasklet_from(host, &value, &t), 0);
            tasklet_release(host, &value);
            assert_int_equal(tasklet_on_end(t, try_to_run, &inside), 0);
            perform(host, "t:kill()");
        }
        assert_int_equal(inside.run, TASKLET_ESTATE);
        assert_int_equal(inside.turn, TASKLET_ESTATE);
        assert_error(host, "running");
        tasklet_drop(t);
    }
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_run_has_a_status_of_its_own),
        cmocka_unit_test(an_old_failure_is_no_part_of_a_new_run),
        cmocka_unit_test(a_run_that_was_quit_is_gone_on_with),
        cmocka_unit_test(a_deadlock_ends_a_run_and_no_other),
        cmocka_unit_test(an_interrupt_ends_a_run_and_no_other),
        cmocka_unit_test(an_interrupt_ends_a_call),
        cmocka_unit_test(after_exit_nothing_runs),
        cmocka_unit_test(turns_make_a_run),
        cmocka_unit_test(a_turn_waits_as_long_as_it_may),
        cmocka_unit_test(quitting_and_parking_work_by_turns),
        cmocka_unit_test(daemons_are_killed_at_the_end_of_a_run_by_turns),
        cmocka_unit_test(only_a_turn_without_end_finds_a_deadlock),
        cmocka_unit_test(a_run_after_turns_finds_a_deadlock),
        cmocka_unit_test(sleepers_are_driven_by_the_timeout),
        cmocka_unit_test(descriptors_are_driven_by_the_descriptor),
        cmocka_unit_test(what_a_turn_writes_is_sent_in_it),
        cmocka_unit_test(the_timeout_knows_of_calls_between_turns),
        cmocka_unit_test(nothing_is_to_be_done_when_all_is_over),
        cmocka_unit_test(a_report_does_not_run_the_host),
        cmocka_unit_test(the_descriptor_stays_the_same),
        cmocka_unit_test(another_thread_wakes_a_foreign_loop),
        cmocka_unit_test(another_thread_ends_one_that_is_preempted),
        cmocka_unit_test(a_virtual_clock_jumps_by_turns),
        cmocka_unit_test(a_virtual_clock_flows_between_turns),
        cmocka_unit_test(nothing_runs_inside_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
