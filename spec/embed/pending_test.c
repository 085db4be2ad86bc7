/*
 * Functions of the program's that wait: completed from any thread, ended by a kill or a deadline,
 * left behind by the host - and each pending call handed back once, with no harm done.
 */
#include "threads.h"

/* ---- a worker ---- */

enum { LONGEST = 64 };

/* Calls that wait, in the order in which they came. */
struct calls {
    pthread_mutex_t mutex;
    struct tasklet_pending *pending[LONGEST];
    int first, count;
    sem_t come;
    atomic_int cancelled;
};

static void calls_init(struct calls *calls)
{
    memset(calls, 0, sizeof *calls);
    pthread_mutex_init(&calls->mutex, NULL);
    sem_init(&calls->come, 0, 0);
}

static void calls_finish(struct calls *calls)
{
    pthread_mutex_destroy(&calls->mutex);
    sem_destroy(&calls->come);
}

static struct tasklet_pending *take(struct calls *calls)
{
    struct tasklet_pending *pending;

    sem_wait(&calls->come);
    pthread_mutex_lock(&calls->mutex);
    pending = calls->pending[calls->first++ % LONGEST];
    pthread_mutex_unlock(&calls->mutex);
    return pending;
}

static void put(struct calls *calls, struct tasklet_pending *pending)
{
    pthread_mutex_lock(&calls->mutex);
    calls->pending[calls->count++ % LONGEST] = pending;
    pthread_mutex_unlock(&calls->mutex);
    sem_post(&calls->come);
}

static void count_cancel(void *context)
{
    struct calls *calls = context;

    atomic_fetch_add(&calls->cancelled, 1);
}

/* A script's wait(what): until somebody has taken the call and completed it. */
static int wait_for(struct tasklet_call *call, void *context)
{
    struct calls *calls = context;
    struct tasklet_pending *pending;
    const char *what;
    int rc;

    if (tasklet_arg_string(call, 1, &what, NULL) < 0) {
        return TASKLET_EINVAL;
    }
    rc = tasklet_suspend(call, what, count_cancel, calls, &pending);
    if (rc < 0) {
        assert_null(pending);
        return rc;
    }
    put(calls, pending);
    return rc;
}

static struct tasklet_host *host_with_calls(struct calls *calls)
{
    struct tasklet_host *host = host_made();

    calls_init(calls);
    assert_int_equal(tasklet_define(host, "wait", wait_for, calls), 0);
    return host;
}

/* The same with a virtual clock: it stands while scripts run, however slow the machine is. */
static struct tasklet_host *host_in_virtual_time(struct calls *calls)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;

    calls_init(calls);
    tasklet_options_init(&options);
    options.virtual_time = 1;
    options.on_error = show;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    perform(host, "tasklet = require 'tasklet'");
    assert_int_equal(tasklet_define(host, "wait", wait_for, calls), 0);
    return host;
}

/* ---- completing ---- */

static void *complete_one(void *arg)
{
    struct tasklet_value values[3] = {tasklet_integer(1), tasklet_bytes("a\0b", 3), tasklet_nil()};

    assert_int_equal(tasklet_complete(take(arg), values, 3), 0);
    return NULL;
}

static void another_thread_completes_it(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);
    pthread_t thread;

    (void)state;
    begin(host, "local function collect(...) return select('#', ...), ... end\n"
                "local n, a, b, c = collect(wait('a job'))\n"
                "result = string.format('%d %d %q %s', n, a, b, c)\n");
    assert_int_equal(pthread_create(&thread, NULL, complete_one, &calls), 0);
    run_to(host, 0);
    pthread_join(thread, NULL);
    assert_global(host, "result", "3 1 \"a\\0b\" nil");
    assert_int_equal(atomic_load(&calls.cancelled), 0);
    tasklet_host_free(host);
    assert_int_equal(atomic_load(&calls.cancelled), 0);
    calls_finish(&calls);
}

static void *abort_one(void *arg)
{
    assert_int_equal(tasklet_abort(take(arg), "it went wrong"), 0);
    return NULL;
}

static void another_thread_aborts_it(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);
    pthread_t thread;

    (void)state;
    begin(host, "local ok, why = pcall(function()\n"
                "    local a = wait('a job')\n"
                "end)\n"
                "result = tostring(ok) .. ' ' .. why\n");
    assert_int_equal(pthread_create(&thread, NULL, abort_one, &calls), 0);
    run_to(host, 0);
    pthread_join(thread, NULL);
    assert_global(host, "result", "false script:2: it went wrong");
    assert_int_equal(atomic_load(&calls.cancelled), 0);
    tasklet_host_free(host);
    calls_finish(&calls);
}

struct workers {
    struct calls calls;
    int count; /* for each thread */
};

static void *complete_many(void *arg)
{
    struct workers *workers = arg;

    for (int i = 0; i < workers->count; i++) {
        struct tasklet_value value = tasklet_integer(1);

        assert_int_equal(tasklet_complete(take(&workers->calls), &value, 1), 0);
    }
    return NULL;
}

static void many_wait_for_many_threads(void **state)
{
    struct workers workers;
    struct tasklet_host *host = host_with_calls(&workers.calls);
    pthread_t threads[4];

    (void)state;
    workers.count = work(20000) / 4;
    set_integer(host, "rounds", workers.count * 4 / 50);
    begin(host, "sum = 0\n"
                "for i = 1, 50 do\n"
                "    tasklet.run(function()\n"
                "        for i = 1, rounds do\n"
                "            local n = wait('a job')\n"
                "            sum = sum + n\n"
                "        end\n"
                "    end)\n"
                "end\n");
    workers.count = (int)global_integer(host, "rounds") * 50 / 4;
    assert_int_equal(global_integer(host, "rounds") * 50 % 4, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, complete_many, &workers), 0);
    }
    run_to(host, 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(global_integer(host, "sum"), workers.count * 4);
    tasklet_host_free(host);
    calls_finish(&workers.calls);
}

/* ---- in the host's thread ---- */

static int complete_before_it_returns(struct tasklet_call *call, void *context)
{
    struct tasklet_value value = tasklet_integer(*(int *)context);
    struct tasklet_pending *pending;
    int rc = tasklet_suspend(call, "itself", NULL, NULL, &pending);

    if (rc == 0) {
        assert_int_equal(tasklet_complete(pending, &value, 1), 0);
    }
    return rc;
}

/* Runs scripts, and with them the loop, between asking to wait and waiting. */
static int run_meanwhile(struct tasklet_call *call, void *context)
{
    struct tasklet_host *host = tasklet_call_host(call);
    struct tasklet_pending *pending;
    int rc = tasklet_suspend(call, "itself", NULL, NULL, &pending);

    (void)context;
    if (rc == 0) {
        assert_int_equal(tasklet_complete(pending, NULL, 0), 0);
        perform(host, "local uv = require 'luv'\n"
                      "uv.run('nowait') uv.run('nowait')\n");
    }
    return rc;
}

static void it_may_be_completed_before_it_waits(void **state)
{
    struct tasklet_host *host = host_made();
    int number = 6;

    (void)state;
    assert_int_equal(tasklet_define(host, "at_once", complete_before_it_returns, &number), 0);
    assert_int_equal(tasklet_define(host, "meanwhile", run_meanwhile, NULL), 0);
    begin(host, "result = at_once() + at_once()\n"
                "results = select('#', meanwhile())\n");
    run_to(host, 0);
    assert_int_equal(global_integer(host, "result"), 12);
    assert_int_equal(global_integer(host, "results"), 0);
    tasklet_host_free(host);
}

static int complete_last(struct tasklet_call *call, void *context)
{
    struct tasklet_value value = tasklet_string("done");

    assert_int_equal(tasklet_complete(take(context), &value, 1), 0);
    return tasklet_return(call, NULL, 0);
}

static void a_script_may_complete_it(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);

    (void)state;
    assert_int_equal(tasklet_define(host, "complete", complete_last, &calls), 0);
    begin(host, "result = wait('the other')");
    begin(host, "complete()");
    run_to(host, 0);
    assert_global(host, "result", "done");
    tasklet_host_free(host);
    calls_finish(&calls);
}

static int complete_with_table(struct tasklet_call *call, void *context)
{
    struct tasklet_value value = tasklet_arg(call, 1);
    struct tasklet_pending *pending;
    int rc = tasklet_suspend(call, "itself", NULL, NULL, &pending);

    if (rc == 0) {
        *(int *)context = tasklet_complete(pending, &value, 1);
    }
    return rc;
}

static void what_belongs_to_a_host_is_no_result(void **state)
{
    struct tasklet_host *host = host_made();
    int code = 0;

    (void)state;
    assert_int_equal(tasklet_define(host, "with_table", complete_with_table, &code), 0);
    begin(host, "ok, why = pcall(with_table, {})");
    run_to(host, 0);
    assert_int_equal(code, TASKLET_EINVAL);
    assert_shown(host, "ok", "false");
    tasklet_host_free(host);
}

/* ---- it is over before it is completed ---- */

static void a_kill_ends_it(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);
    struct tasklet_pending *pending;
    struct tasklet_value value = tasklet_integer(1);

    (void)state;
    begin(host, "local t = tasklet.run(wait, 'a kill')\n"
                "tasklet.sleep(0.001)\n"
                "t:kill()\n"
                "ended = t:has_finished()\n"
                "tasklet.sleep(0.001)\n");
    run_to(host, 0);
    assert_shown(host, "ended", "true");
    assert_int_equal(atomic_load(&calls.cancelled), 1);
    pending = take(&calls);
    assert_int_equal(tasklet_complete(pending, &value, 1), TASKLET_EENDED);
    begin(host, "tasklet.sleep(0.001)\n");
    run_to(host, 0);
    tasklet_host_free(host);
    assert_int_equal(atomic_load(&calls.cancelled), 1);
    calls_finish(&calls);
}

static void deadlines_end_it(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_in_virtual_time(&calls);

    (void)state;
    begin(host, "local is = tasklet.TimeoutError\n"
                "local ok, why = pcall(tasklet.with_deadline, 0.001, wait, 'a deadline')\n"
                "first = not ok and is:is(why)\n"
                "tasklet.current().timeout = 0.001\n"
                "ok, why = pcall(wait, 'a timeout')\n"
                "second = not ok and is:is(why)\n"
                "tasklet.current().timeout = nil\n"
                "tasklet.sleep(0.001)\n");
    run_to(host, 0);
    assert_shown(host, "first", "true");
    assert_shown(host, "second", "true");
    assert_int_equal(atomic_load(&calls.cancelled), 2);
    assert_int_equal(tasklet_abort(take(&calls), "late"), TASKLET_EENDED);
    tasklet_host_free(host);
    assert_int_equal(tasklet_abort(take(&calls), "too late"), TASKLET_ECLOSED);
    assert_int_equal(atomic_load(&calls.cancelled), 2);
    calls_finish(&calls);
}

/* A call that is pending when its deadline is over already does not begin. */
static void one_that_is_stopped_does_not_begin(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);

    (void)state;
    begin(host, "local t = tasklet.new(function()\n"
                "    pcall(tasklet.sleep, 100)\n"
                "    ok, why = pcall(wait, 'nothing')\n"
                "end)\n"
                "t()\n"
                "tasklet.sleep(0.001)\n"
                "t:kill()\n"
                "exit = tasklet.TaskletExit:is(why)\n");
    run_to(host, 0);
    assert_shown(host, "exit", "true");
    assert_int_equal(calls.count, 0);
    assert_int_equal(atomic_load(&calls.cancelled), 0);
    tasklet_host_free(host);
    calls_finish(&calls);
}

static void the_host_may_go(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);
    struct tasklet_value value = tasklet_string("nobody gets it");

    (void)state;
    begin(host, "for i = 1, 3 do tasklet.run(wait, 'for ever') end\n"
                "tasklet.sleep(0.001)\n"
                "tasklet.mainloop.quit(7)\n"
                "tasklet.sleep(0)\n");
    run_to(host, 7);
    assert_int_equal(calls.count, 3);
    assert_int_equal(tasklet_complete(take(&calls), &value, 1), 0); /* it will not come to it */
    assert_int_equal(atomic_load(&calls.cancelled), 0);
    tasklet_host_free(host);
    assert_int_equal(atomic_load(&calls.cancelled), 3);
    assert_int_equal(tasklet_complete(take(&calls), &value, 1), TASKLET_ECLOSED);
    assert_int_equal(tasklet_abort(take(&calls), "gone"), TASKLET_ECLOSED);
    calls_finish(&calls);
}

static void *complete_late(void *arg)
{
    struct tasklet_value value = tasklet_string("some bytes");
    struct tasklet_pending *pending;

    while ((pending = take(arg)) != NULL) {
        tasklet_complete(pending, &value, 1);
    }
    return NULL;
}

/* Kills, deadlines and the end of the host, and completions at the same time. */
static void completions_race_with_the_end(void **state)
{
    int rounds = work(100);

    (void)state;
    for (int i = 0; i < rounds; i++) {
        struct calls calls;
        struct tasklet_host *host = host_with_calls(&calls);
        pthread_t threads[2];

        begin(host, "local list = {}\n"
                    "for i = 1, 40 do\n"
                    "    list[i] = tasklet.run(function()\n"
                    "        pcall(tasklet.with_deadline, i * 0.00001, wait, 'a race')\n"
                    "    end)\n"
                    "end\n"
                    "for i = 1, 40, 2 do tasklet.yield_() list[i]:kill() end\n"
                    "tasklet.mainloop.quit()\n"
                    "tasklet.sleep(0)\n");
        for (int k = 0; k < 2; k++) {
            assert_int_equal(pthread_create(&threads[k], NULL, complete_late, &calls), 0);
        }
        run_to(host, 0);
        if (i % 2 == 0) {
            tasklet_host_free(host);
        }
        for (int k = 0; k < 2; k++) {
            put(&calls, NULL);
        }
        for (int k = 0; k < 2; k++) {
            pthread_join(threads[k], NULL);
        }
        if (i % 2 == 1) {
            tasklet_host_free(host);
        }
        calls_finish(&calls);
    }
}

/* ---- where it stands ---- */

static void it_waits_in_generators_and_pcall(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);
    pthread_t threads[4];

    (void)state;
    begin(host, "local function numbers()\n"
                "    for i = 1, 3 do\n"
                "        local ok, n = pcall(wait, 'a number')\n"
                "        coroutine.yield(i * n)\n"
                "    end\n"
                "end\n"
                "sum = 0\n"
                "for n in coroutine.wrap(numbers) do sum = sum + n end\n"
                "local t = setmetatable({}, {__index = function() return wait('a field') end})\n"
                "sum = sum + t.x\n");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, complete_one, &calls), 0);
    }
    run_to(host, 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(global_integer(host, "sum"), 1 + 2 + 3 + 1);
    tasklet_host_free(host);
    calls_finish(&calls);
}

static void where_the_caller_cannot_wait_it_fails(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);

    (void)state;
    begin(host, "ok, why = pcall(table.sort, {3, 2, 1}, function(a, b)\n"
                "    wait('a comparison')\n"
                "end)\n"
                "sorting = tostring(why)\n"
                "local current = tasklet.current()\n"
                "current.block_trap = true\n"
                "ok, why = pcall(wait, 'a trap')\n"
                "current.block_trap = false\n"
                "trapped = tostring(why)\n");
    run_to(host, 0);
    assert_global(host, "sorting", "script:2: cannot wait inside the C function 'table.sort'");
    assert_global(host, "trapped", "script:7: the tasklet would block, and its block_trap is set");
    perform(host, "ok, why = pcall(function() wait('nobody') end)\n"
                  "outside = tostring(why)");
    assert_global(host, "outside", "script:1: cannot wait outside a tasklet");
    assert_int_equal(calls.count, 0);
    assert_int_equal(atomic_load(&calls.cancelled), 0);
    tasklet_host_free(host);
    calls_finish(&calls);
}

static void reports_say_what_it_waits_for(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);

    (void)state;
    begin(host, "local t = tasklet.run(wait, 'render: a frame')\n"
                "waiting = t.waiting_for\n"
                "local texts = {}\n"
                "tasklet.dump({write = function(_, text) texts[#texts + 1] = text end})\n"
                "dump = table.concat(texts)\n"
                "found = dump:find('render: a frame', 1, true) ~= nil\n"
                "t:kill()\n");
    run_to(host, 0);
    assert_global(host, "waiting", "render: a frame");
    assert_shown(host, "found", "true");
    tasklet_abort(take(&calls), "over");
    tasklet_host_free(host);
    calls_finish(&calls);
}

/* ---- what it keeps going ---- */

static void *complete_when_all_wait(void *arg)
{
    struct tasklet_value value = tasklet_integer(1);
    struct calls *calls = arg;
    struct tasklet_pending *pending = take(calls);

    /* The other one waits for a message that never comes: it is deadlocked when this is done. */
    assert_int_equal(tasklet_complete(pending, &value, 1), 0);
    return NULL;
}

static void a_pending_call_is_no_deadlock(void **state)
{
    struct calls calls;
    struct tasklet_options options;
    struct tasklet_host *host;
    pthread_t thread;

    (void)state;
    calls_init(&calls);
    tasklet_options_init(&options);
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    perform(host, "tasklet = require 'tasklet'");
    assert_int_equal(tasklet_define(host, "wait", wait_for, &calls), 0);
    begin(host, "result = wait('a job')");
    begin(host, "tasklet.receive()()");
    assert_int_equal(pthread_create(&thread, NULL, complete_when_all_wait, &calls), 0);
    run_to(host, 3);
    pthread_join(thread, NULL);
    assert_int_equal(global_integer(host, "result"), 1);
    tasklet_host_free(host);
    calls_finish(&calls);
}

/* A daemon's call keeps nothing alive, as nothing of a daemon's does. */
static void a_daemons_call_keeps_nothing_alive(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_with_calls(&calls);

    (void)state;
    begin(host, "tasklet.new(wait, {daemon = true})('for ever')\n"
                "tasklet.sleep(0.001)\n");
    run_to(host, 0);
    assert_int_equal(atomic_load(&calls.cancelled), 1);
    assert_int_equal(tasklet_abort(take(&calls), "over"), TASKLET_EENDED);
    tasklet_host_free(host);
    calls_finish(&calls);
}

/* A virtual clock flows while a call is under way, and jumps when none is. */
static void a_virtual_clock_waits_for_it(void **state)
{
    struct calls calls;
    struct tasklet_host *host = host_in_virtual_time(&calls);
    pthread_t thread;

    (void)state;
    begin(host, "local start = tasklet.mainloop.now()\n"
                "local t = tasklet.run(function()\n"
                "    tasklet.sleep(86400)\n"
                "    slept = true\n"
                "end)\n"
                "wait('a job')\n"
                "before = not slept\n"
                "tasklet.join(t)\n");
    assert_int_equal(pthread_create(&thread, NULL, complete_when_all_wait, &calls), 0);
    run_to(host, 0);
    pthread_join(thread, NULL);
    assert_shown(host, "before", "true");
    assert_shown(host, "slept", "true");
    tasklet_host_free(host);
    calls_finish(&calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_thread_completes_it),
        cmocka_unit_test(another_thread_aborts_it),
        cmocka_unit_test(many_wait_for_many_threads),
        cmocka_unit_test(it_may_be_completed_before_it_waits),
        cmocka_unit_test(a_script_may_complete_it),
        cmocka_unit_test(what_belongs_to_a_host_is_no_result),
        cmocka_unit_test(a_kill_ends_it),
        cmocka_unit_test(deadlines_end_it),
        cmocka_unit_test(one_that_is_stopped_does_not_begin),
        cmocka_unit_test(the_host_may_go),
        cmocka_unit_test(completions_race_with_the_end),
        cmocka_unit_test(it_waits_in_generators_and_pcall),
        cmocka_unit_test(where_the_caller_cannot_wait_it_fails),
        cmocka_unit_test(reports_say_what_it_waits_for),
        cmocka_unit_test(a_pending_call_is_no_deadlock),
        cmocka_unit_test(a_daemons_call_keeps_nothing_alive),
        cmocka_unit_test(a_virtual_clock_waits_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
