/*
 * Freeing a host at any moment: from outside, and from inside all that calls the program. What must
 * hold: nothing of a script runs afterwards but what closes its variables, the program is told of
 * nothing but what it has been promised, and nothing is leaked (which other tools than this see).
 */
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "run.h"

/* ---- the scene ---- */

static struct tasklet_host *host;
static struct tasklet_port *port;
static uv_loop_t loop;
static uv_timer_t timer;
static bool is_freed;
static int told_after, destroyed, replies, cancelled, finished;

/* Everything that the program is called by begins so. */
static bool note(void)
{
    told_after += is_freed;
    return is_freed;
}

static void free_host(void)
{
    if (!is_freed) {
        is_freed = true;
        tasklet_host_free(host);
    }
}

static void on_text(void *context, const char *text)
{
    (void)text;
    note();
    if (context != NULL) {
        free_host();
    }
}

static void free_on_error(void *context, const char *text)
{
    (void)context;
    on_text(&host, text);
}

static void only_note(void *context, const char *text)
{
    (void)context;
    on_text(NULL, text);
}

static void free_on_end(void *context, struct tasklet *t)
{
    (void)context;
    (void)t;
    note();
    free_host();
}

static void free_on_reply(void *context, int status, const struct tasklet_value *value)
{
    (void)value;
    replies++;
    if (status == 0) {
        note();
    } else {
        assert_int_equal(status, TASKLET_ECLOSED);
    }
    if (context != NULL) {
        free_host();
    }
}

static void destroy(void *context)
{
    (void)context;
    destroyed++;
}

static int free_in_function(struct tasklet_call *call, void *context)
{
    struct tasklet_value function;

    (void)context;
    note();
    free_host();
    assert_int_equal(tasklet_load_string(tasklet_call_host(call), "x = 1", "=x", &function),
                     TASKLET_ECLOSED);
    assert_int_equal(tasklet_host_turn(tasklet_call_host(call), 0), TASKLET_ECLOSED);
    return tasklet_return(call, NULL, 0);
}

/* A script says by this that it goes on, which it must not. */
static int go_on(struct tasklet_call *call, void *context)
{
    (void)context;
    note();
    return tasklet_return(call, NULL, 0);
}

static void on_cancel(void *context)
{
    (void)context;
    cancelled++;
}

static struct tasklet_pending *pending;

static int suspend(struct tasklet_call *call, void *context)
{
    (void)context;
    return tasklet_suspend(call, "the end", on_cancel, NULL, &pending);
}

static int free_in_arm(struct tasklet_wait *wait)
{
    (void)wait;
    note();
    free_host();
    return 0;
}

static int arm(struct tasklet_wait *wait)
{
    (void)wait;
    return 0;
}

static void free_in_disarm(struct tasklet_wait *wait)
{
    (void)wait;
    free_host();
}

static void finish(struct tasklet_wait *wait)
{
    (void)wait;
    finished++;
}

static const struct tasklet_kind arms = {
    .size = sizeof arms, .name = "WaitForArm", .arm = free_in_arm, .finish = finish};
static const struct tasklet_kind disarms = {.size = sizeof disarms,
                                            .name = "WaitForDisarm",
                                            .arm = arm,
                                            .disarm = free_in_disarm,
                                            .finish = finish};

static void free_in_timer(uv_timer_t *handle)
{
    note();
    uv_close((uv_handle_t *)handle, NULL);
    free_host();
}

static void free_in_port(void *context, struct tasklet_host *given)
{
    (void)context;
    if (given != NULL) {
        note();
        free_host();
    }
}

/* ---- the ways in which it comes about ---- */

static void by_a_timer(void)
{
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, free_in_timer, 1, 0);
}

static void by_a_port(void)
{
    assert_int_equal(tasklet_port_call(port, free_in_port, NULL), 0);
}

static void by_a_dump(void)
{
    tasklet_host_dump(host);
}

static void by_a_reply(void)
{
    struct tasklet_value function, value = tasklet_nil();
    struct tasklet *t;

    assert_int_equal(
        tasklet_load_string(host, "tasklet.current().mailbox:popleft():reply(1)", "=x", &function),
        0);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, &t), 0);
    tasklet_release(host, &function);
    assert_int_equal(tasklet_ask(t, "q", &value, -1, free_on_reply, &host), 0);
    tasklet_drop(t);
}

static void by_an_end(void)
{
    struct tasklet_start_options options;
    struct tasklet_value function;

    tasklet_start_options_init(&options);
    options.on_end = free_on_end;
    assert_int_equal(tasklet_load_string(host, "return 1", "=x", &function), 0);
    assert_int_equal(tasklet_start(host, &options, &function, NULL, 0, NULL), 0);
    assert_int_equal(tasklet_start(host, &options, &function, NULL, 0, NULL), 0);
    tasklet_release(host, &function);
}

static const struct way {
    const char *name;
    const char *script; /* NULL: nothing */
    void (*set_up)(void);
} ways[] = {
    {"on_error", "tasklet.run(error, 'x') tasklet.run(error, 'y')", NULL},
    {"on_warning", "warn 'x' go_on()", NULL},
    {"a function", "free_host() go_on()", NULL},
    {"a function, protected", "while true do pcall(free_host) pcall(go_on) end", NULL},
    {"a function in a generator", "coroutine.wrap(function() free_host() go_on() end)()", NULL},
    {"a function under table.sort",
     "table.sort({ 2, 1 }, function()\n"
     "    while true do pcall(free_host) pcall(go_on) end\n"
     "end)\n"
     "go_on()",
     NULL},
    {"a function in a join callback",
     "local x = tasklet.run(tasklet.sleep, 0)\n"
     "x:add_join_callback(function() free_host() go_on() end)\n"
     "x:add_join_callback(function() go_on() end)\n"
     "x:join() go_on()",
     NULL},
    {"a function, nested",
     "table.sort({ 2, 1 }, function()\n"
     "    tasklet.run(free_host) go_on()\n"
     "end)",
     NULL},
    {"a function in a finalizer",
     "setmetatable({}, { __gc = free_host })\n"
     "collectgarbage()\n"
     "collectgarbage()\n"
     "tasklet.sleep(0)\n"
     "go_on()",
     NULL},
    {"a function in a <close> variable",
     "tasklet.run(function()\n"
     "    local x <close> = setmetatable({}, { __close = free_host })\n"
     "end)\n"
     "go_on()",
     NULL},
    {"arm", "tasklet.wait(tasklet.WaitForArm()) go_on()", NULL},
    {"disarm",
     "tasklet.wait(tasklet.WaitForDisarm(), tasklet.WaitForTimeout(0))\n"
     "coroutine.yield(nil)\n"
     "go_on()",
     NULL},
    {"a timer of the program's", NULL, by_a_timer},
    {"a port", NULL, by_a_port},
    {"on_dump", NULL, by_a_dump},
    {"on_reply", NULL, by_a_reply},
    {"on_end", NULL, by_an_end},
};

/* Tasklets in all sorts of places. */
static const char everything[] =
    "tasklet = require 'tasklet'\n"
    "local function body(f, ...)\n"
    "    tasklet.run(function(...)\n"
    "        local x <close> = setmetatable({}, { __close = function() closed = closed + 1 end })\n"
    "        f(...)\n"
    "        go_on()\n"
    "    end, ...)\n"
    "end\n"
    "closed = 0\n"
    "body(tasklet.sleep, 1e9)\n"
    "body(tasklet.wait, tasklet.WaitForTimeout(1e9), tasklet.WaitForMessages { accept = 'x' })\n"
    "body(tasklet.wait, tasklet.WaitForDisarm())\n"
    "body(suspend)\n"
    "body(function() tasklet.channel():receive() end)\n"
    "body(function() tasklet.current().mailbox:popleft() end)\n"
    "body(function() tasklet.join(tasklet.run(tasklet.sleep, 1e9)) end)\n"
    "body(function() tasklet.scope(function(s)\n"
    "    s:run(tasklet.sleep, 1e9)\n"
    "    tasklet.with_deadline(1e9, tasklet.sleep, 1e9)\n"
    "end) end)\n"
    "body(function() coroutine.wrap(function() tasklet.sleep(1e9) end)() end)\n"
    "function unread() end\n"
    "local idle = tasklet.run(tasklet.sleep, 1e9)\n"
    "idle:send('unread', {})\n"
    "tasklet.new(print)\n";

static void perform(const char *text)
{
    struct tasklet_value function;

    if (tasklet_load_string(host, text, "=script", &function) < 0) {
        fail_msg("%s", tasklet_host_error(host));
    }
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, NULL), 0);
    tasklet_release(host, &function);
}

static void set_up(const struct way *way)
{
    struct tasklet_options options;
    struct tasklet_value function, value = tasklet_integer(1);
    struct tasklet *t;

    is_freed = false;
    told_after = destroyed = replies = cancelled = finished = 0;
    pending = NULL;
    tasklet_options_init(&options);
    options.loop = &loop;
    options.on_error = strcmp(way->name, "on_error") == 0 ? free_on_error : only_note;
    options.on_warning = strcmp(way->name, "on_warning") == 0 ? free_on_error : only_note;
    options.on_dump = strcmp(way->name, "on_dump") == 0 ? free_on_error : only_note;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    port = tasklet_port_new(host);
    assert_non_null(port);
    assert_int_equal(tasklet_kind_add(host, &arms), 0);
    assert_int_equal(tasklet_kind_add(host, &disarms), 0);
    assert_int_equal(tasklet_define(host, "free_host", free_in_function, NULL), 0);
    assert_int_equal(tasklet_define(host, "go_on", go_on, NULL), 0);
    assert_int_equal(tasklet_define(host, "suspend", suspend, NULL), 0);
    assert_int_equal(tasklet_function_new(host, go_on, NULL, destroy, &function), 0);
    assert_int_equal(tasklet_global_set(host, "kept", &function), 0);
    tasklet_release(host, &function);
    perform(everything);
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    /* Somebody who is asked and never answers. */
    assert_int_equal(tasklet_load_string(host, "require 'tasklet'.sleep(1e9)", "=x", &function), 0);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, &t), 0);
    tasklet_release(host, &function);
    assert_int_equal(tasklet_ask(t, "question", &value, -1, free_on_reply, NULL), 0);
    tasklet_drop(t);
    if (way->script != NULL) {
        perform(way->script);
    }
    if (way->set_up != NULL) {
        way->set_up();
    }
}

static void check(const struct way *way)
{
    if (!is_freed || told_after != 0) {
        fail_msg("by %s: %s", way->name,
                 is_freed ? "the program was told of something afterwards" : "it was not freed");
    }
    assert_int_equal(destroyed, 1);
    assert_int_equal(cancelled, 1);
    assert_true(replies >= 1);
    assert_true(finished >= 1);
    assert_true(tasklet_complete(pending, NULL, 0) < 0);
    assert_int_equal(tasklet_post(port, 1, "x", NULL), TASKLET_ECLOSED);
    tasklet_port_drop(port);
}

/* What is left on the loop is the program's alone. */
static void close_loop(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void the_call_that_runs_it_says_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(uv_loop_init(&loop), 0);
        set_up(&ways[i]);
        alarm(100);
        assert_int_equal(tasklet_host_run(host), TASKLET_ECLOSED);
        alarm(0);
        check(&ways[i]);
        close_loop();
    }
}

static void a_turn_says_so_too(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        int rc;

        assert_int_equal(uv_loop_init(&loop), 0);
        set_up(&ways[i]);
        alarm(100);
        do {
            rc = tasklet_host_turn(host, -1);
        } while (rc == 1);
        alarm(0);
        assert_int_equal(rc, TASKLET_ECLOSED);
        check(&ways[i]);
        close_loop();
    }
}

/* The program runs its loop itself, and the host is gone when that has come round. */
static void a_foreign_loop_goes_on_until_it_is_gone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        assert_int_equal(uv_loop_init(&loop), 0);
        set_up(&ways[i]);
        alarm(100);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        alarm(0);
        check(&ways[i]);
        close_loop();
    }
}

static void a_call_of_a_script_says_so(void **state)
{
    static const struct way way = {"a call", NULL, NULL};
    struct tasklet_value function, result;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    set_up(&way);
    assert_int_equal(
        tasklet_load_string(host, "pcall(free_host) go_on() return {}", "=x", &function), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, &result, 1), TASKLET_ECLOSED);
    assert_int_equal(result.type, TASKLET_NIL);
    check(&way);
    close_loop();
}

static void from_outside_it_is_gone_at_once(void **state)
{
    static const struct way way = {"outside", NULL, NULL};

    (void)state;
    for (int turns = 0; turns < 3; turns++) {
        assert_int_equal(uv_loop_init(&loop), 0);
        set_up(&way);
        for (int i = 0; i < turns; i++) {
            assert_int_equal(tasklet_host_turn(host, 0), 1);
        }
        free_host();
        check(&way);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
    tasklet_host_free(NULL);
}

/* A request of the program's is under way: the host's memory goes when the loop has come round. */
static void on_work(uv_work_t *work)
{
    (void)work;
}

static void after_work(uv_work_t *work, int status)
{
    (void)status;
    work->data = work;
}

static void requests_of_the_programs_are_no_matter(void **state)
{
    static const struct way way = {"outside", NULL, NULL};
    uv_work_t work = {.data = NULL};

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    set_up(&way);
    assert_int_equal(uv_queue_work(&loop, &work, on_work, after_work), 0);
    free_host();
    check(&way);
    close_loop();
    assert_ptr_equal(work.data, &work);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_outside_it_is_gone_at_once),
        cmocka_unit_test(the_call_that_runs_it_says_so),
        cmocka_unit_test(a_turn_says_so_too),
        cmocka_unit_test(a_foreign_loop_goes_on_until_it_is_gone),
        cmocka_unit_test(a_call_of_a_script_says_so),
        cmocka_unit_test(requests_of_the_programs_are_no_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
