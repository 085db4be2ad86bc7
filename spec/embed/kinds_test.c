/*
 * Kinds of wait conditions of the program's: what holds for the library's own holds for them, and
 * each call of the program's comes when the header says so.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdalign.h>

#include "threads.h"

/* ---- a kind ---- */

enum { MOST = 200 };

struct frame {
    int number; /* its place below, from 1 */
    int armed;
    int fires_at_once;
};

/* What has been done with conditions of the kind. */
static struct {
    struct tasklet_wait *waits[MOST]; /* NULL: finished */
    int made, arms, disarms, finishes;
    int wrong; /* not alternating, not aligned, not zeroed */
} seen;

static int init(struct tasklet_wait *wait, const struct tasklet_value *args)
{
    struct frame *frame = tasklet_wait_state(wait);

    seen.wrong += (uintptr_t)frame % alignof(max_align_t) != 0 || frame->number != 0 ||
                  frame->armed != 0 || frame->fires_at_once != 0;
    if (args[0].type == TASKLET_INTEGER && args[0].as.integer < 0) {
        return args[0].as.integer == -1 ? tasklet_wait_fail(wait, "no frame has that number")
                                        : TASKLET_EDENIED;
    }
    frame->fires_at_once = args[1].as.boolean;
    frame->number = ++seen.made;
    seen.waits[frame->number] = wait;
    return 0;
}

static int arm(struct tasklet_wait *wait)
{
    struct frame *frame = tasklet_wait_state(wait);
    struct tasklet_value value = tasklet_string("at once");

    seen.wrong += frame->armed;
    frame->armed = 1;
    seen.arms++;
    if (frame->fires_at_once) {
        seen.wrong += tasklet_wait_fire(wait, &value) != 0;
    }
    return 0;
}

static void disarm(struct tasklet_wait *wait)
{
    struct frame *frame = tasklet_wait_state(wait);

    seen.wrong += !frame->armed;
    frame->armed = 0;
    seen.disarms++;
}

static void finish(struct tasklet_wait *wait)
{
    struct frame *frame = tasklet_wait_state(wait);

    seen.wrong += frame->armed || seen.waits[frame->number] != wait;
    seen.waits[frame->number] = NULL;
    seen.finishes++;
}

static void describe(struct tasklet_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "number %d", ((struct frame *)tasklet_wait_state(wait))->number);
}

static const struct tasklet_param params[] = {
    {"number", TASKLET_INTEGER, TASKLET_OPTIONAL},
    {"at_once", TASKLET_BOOLEAN, TASKLET_OPTION},
    {NULL, 0, 0},
};

static const struct tasklet_kind kind = {
    .size = sizeof(struct tasklet_kind),
    .name = "WaitForFrame",
    .params = params,
    .state_size = sizeof(struct frame),
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .finish = finish,
    .describe = describe,
};

/* fire(number, value): the condition that was made as that one fires. */
static int fire(struct tasklet_call *call, void *context)
{
    struct tasklet_value value = tasklet_arg(call, 2);
    long long number;

    (void)context;
    if (tasklet_arg_integer(call, 1, &number) < 0) {
        return TASKLET_EINVAL;
    }
    assert_true(number > 0 && number < MOST);
    if (seen.waits[number] != NULL) {
        assert_int_equal(tasklet_wait_fire(seen.waits[number], &value), 0);
    }
    return tasklet_return(call, NULL, 0);
}

static struct tasklet_host *host_with_kind(const struct tasklet_kind *row)
{
    struct tasklet_host *host = host_made();

    memset(&seen, 0, sizeof seen);
    assert_int_equal(tasklet_kind_add(host, row), 0);
    assert_int_equal(tasklet_define(host, "fire", fire, NULL), 0);
    return host;
}

/* Runs a script as a tasklet in a host that has the kind, and frees the host. All that was made is
 * finished then, and what was armed disarmed. */
static void run_script(const char *script)
{
    struct tasklet_host *host = host_with_kind(&kind);

    begin(host, script);
    run_to(host, 0);
    tasklet_host_free(host);
    assert_int_equal(seen.finishes, seen.made);
    assert_int_equal(seen.disarms, seen.arms);
    assert_int_equal(seen.wrong, 0);
}

/* ---- as the library's own ---- */

static void it_fires_when_armed(void **state)
{
    (void)state;
    run_script("local frame = tasklet.WaitForFrame()\n"
               "assert(tostring(frame) == 'WaitForFrame(number 1)')\n"
               "assert(frame.value == nil and not frame.triggered and frame.priority == 0)\n"
               "assert(frame.nonsense == nil)\n"
               "assert(not pcall(function() frame.value = 1 end))\n"
               "tasklet.later(0, fire, {})(1, {'a table'})\n"
               "local event = tasklet.wait(frame)\n"
               "assert(event == frame and frame.triggered and frame.value[1] == 'a table')\n"
               "tasklet.yield_()\n"
               "assert(frame.triggered)\n"
               "coroutine.yield(tasklet.WaitForTimeout(0))\n"
               "assert(tasklet.get_event() ~= frame and not frame.triggered)\n");
    assert_int_equal(seen.arms, 1);
}

static void it_fires_among_others(void **state)
{
    (void)state;
    run_script("for place = 1, 3 do\n"
               "    local list = {tasklet.WaitForTimeout(1e6), tasklet.WaitForCall()}\n"
               "    local frame = tasklet.WaitForFrame()\n"
               "    table.insert(list, place, frame)\n"
               "    tasklet.later(0, fire)(place)\n"
               "    assert(tasklet.wait(list) == frame)\n"
               "end\n");
    assert_int_equal(seen.arms, 3);
}

static void it_fires_again_when_yielded_again(void **state)
{
    (void)state;
    run_script("local frame = tasklet.WaitForFrame()\n"
               "for i = 1, 10 do\n"
               "    tasklet.later(0, fire)(1, i)\n"
               "    assert(tasklet.wait(frame) == frame and frame.value == i)\n"
               "end\n");
    assert_int_equal(seen.arms, 10);
}

/* Yielded again without having fired it stays as it is. */
static void it_stays_armed_while_it_is_listed(void **state)
{
    (void)state;
    run_script("local frame = tasklet.WaitForFrame()\n"
               "for i = 1, 10 do\n"
               "    assert(tasklet.wait(frame, tasklet.WaitForTimeout(0)) ~= frame)\n"
               "    tasklet.sleep(0)\n"
               "end\n");
    assert_int_equal(seen.arms, 1);
}

static void it_is_disarmed_when_left_out(void **state)
{
    (void)state;
    run_script("local frame, timeout = tasklet.WaitForFrame(), tasklet.WaitForTimeout(0)\n"
               "fire(1)\n"
               "for i = 1, 3 do\n"
               "    assert(tasklet.wait(frame, timeout) == timeout)\n"
               "    assert(tasklet.wait(timeout) == timeout)\n"
               "    fire(1, 'dropped')\n"
               "end\n"
               "assert(frame.value == nil)\n"
               "tasklet.later(0, fire)(1, 'x')\n"
               "assert(tasklet.wait(frame) == frame and frame.value == 'x')\n");
    assert_int_equal(seen.arms, 4);
}

static void what_fires_meanwhile_is_kept_or_forgotten(void **state)
{
    (void)state;
    run_script("local frame, timeout = tasklet.WaitForFrame(), tasklet.WaitForTimeout(0)\n"
               "assert(tasklet.wait(frame, timeout) == timeout)\n"
               "fire(1, 'first')\n"
               "fire(1, 'second, which is dropped')\n"
               "tasklet.sleep(0.001)\n"
               "assert(tasklet.wait(frame) == frame and frame.value == 'first')\n"
               "assert(tasklet.wait(frame, timeout) == timeout)\n"
               "fire(1, 'third')\n"
               "assert(tasklet.wait(timeout) == timeout)\n"
               "assert(tasklet.wait(frame, timeout) == timeout)\n"
               "assert(frame.value == 'first')\n");
}

static void a_kill_disarms_it(void **state)
{
    (void)state;
    run_script("local frame = tasklet.WaitForFrame()\n"
               "for i = 1, 3 do\n"
               "    local t = tasklet.run(function() tasklet.wait(frame) end)\n"
               "    tasklet.sleep(0)\n"
               "    t:kill()\n"
               "    assert(t:has_finished())\n"
               "    fire(1)\n"
               "end\n"
               "tasklet.run(function() tasklet.wait(frame, tasklet.WaitForCall()) end):kill()\n"
               "pcall(tasklet.join, tasklet.run(function()\n"
               "    coroutine.yield(frame, tasklet.WaitForTimeout(0))\n"
               "    tasklet.get_event()\n"
               "    error('on purpose')\n"
               "end))\n"
               "tasklet.later(0, fire)(1)\n"
               "assert(tasklet.wait(frame) == frame)\n");
}

static void one_tasklet_holds_it(void **state)
{
    (void)state;
    run_script("local frame = tasklet.WaitForFrame()\n"
               "local t = tasklet.run(function() tasklet.wait(frame) end)\n"
               "local ok, why = pcall(tasklet.wait, frame)\n"
               "assert(not ok and tostring(why):find('held by another tasklet'))\n"
               "fire(1)\n"
               "tasklet.join(t)\n");
    assert_int_equal(seen.arms, 1);
}

static void it_lives_while_it_is_armed(void **state)
{
    (void)state;
    run_script("local t = tasklet.run(function()\n"
               "    return tasklet.wait(tasklet.WaitForFrame()).value\n"
               "end)\n"
               "collectgarbage() collectgarbage()\n"
               "fire(1, {7})\n"
               "collectgarbage() collectgarbage()\n"
               "assert(tasklet.join(t)[1] == 7)\n");
}

static void it_is_finished_when_it_is_collected(void **state)
{
    struct tasklet_host *host = host_with_kind(&kind);

    (void)state;
    perform(host, "for i = 1, 50 do tasklet.WaitForFrame() end\n"
                  "collectgarbage() collectgarbage()\n");
    assert_int_equal(seen.made, 50);
    assert_int_equal(seen.finishes, 50);
    begin(host, "for i = 51, 100 do\n"
                "    tasklet.later(0, fire)(i)\n"
                "    tasklet.wait(tasklet.WaitForFrame())\n"
                "end\n"
                "tasklet.wait(tasklet.WaitForTimeout(0))\n"
                "collectgarbage() collectgarbage()\n");
    run_to(host, 0);
    perform(host, "collectgarbage() collectgarbage()\n");
    assert_int_equal(seen.finishes, 100);
    tasklet_host_free(host);
    assert_int_equal(seen.finishes, 100);
    assert_int_equal(seen.wrong, 0);
}

static void the_host_may_go_while_it_is_armed(void **state)
{
    struct tasklet_host *host = host_with_kind(&kind);

    (void)state;
    begin(host, "for i = 1, 3 do tasklet.run(function()\n"
                "    tasklet.wait(tasklet.WaitForFrame(), tasklet.WaitForTimeout(1e6))\n"
                "end) end\n"
                "kept = tasklet.WaitForFrame()\n"
                "tasklet.sleep(0)\n"
                "tasklet.mainloop.quit()\n"
                "tasklet.sleep(0)\n");
    run_to(host, 0);
    assert_int_equal(seen.arms, 3);
    assert_int_equal(seen.disarms, 0);
    tasklet_host_free(host);
    assert_int_equal(seen.disarms, 3);
    assert_int_equal(seen.finishes, 4);
    assert_int_equal(seen.wrong, 0);
}

static void the_more_urgent_goes_first(void **state)
{
    (void)state;
    run_script("order = ''\n"
               "for i = 1, 5 do\n"
               "    tasklet.run(function()\n"
               "        tasklet.wait(tasklet.WaitForFrame(nil, {priority = -i}))\n"
               "        order = order .. i\n"
               "    end)\n"
               "end\n"
               "for i = 1, 5 do fire(i) end\n"
               "assert(order == '')\n" /* no script has run */
               "tasklet.sleep(0.001)\n"
               "assert(order == '54321')\n");
}

static void it_may_fire_while_it_is_armed(void **state)
{
    (void)state;
    run_script("local frame = tasklet.WaitForFrame(nil, {at_once = true})\n"
               "for i = 1, 5 do\n"
               "    assert(tasklet.wait(frame, tasklet.WaitForTimeout(1e6)) == frame)\n"
               "    assert(frame.value == 'at once')\n"
               "end\n"
               "assert(tasklet.wait(frame) == frame)\n");
    assert_int_equal(seen.arms, 6);
}

/* ---- arguments ---- */

static char given[500];
static bool has_zero; /* the text is "a\\0b" */

static int note_args(struct tasklet_wait *wait, const struct tasklet_value *args)
{
    struct tasklet_host *host = tasklet_wait_host(wait);
    size_t length = 0;

    for (int i = 0; i < 5; i++) {
        struct tasklet_value text;

        assert_int_equal(tasklet_tostring(host, &args[i], &text), 0);
        length += (size_t)snprintf(given + length, sizeof given - length, "%d:%.*s ", args[i].type,
                                   (int)(text.length < 20 ? text.length : 20), text.as.bytes);
    }
    has_zero = args[2].length == 3 && memcmp(args[2].as.bytes, "a\0b", 4) == 0;
    if (args[4].type == TASKLET_TABLE) {
        assert_int_equal(tasklet_keep(host, &args[4], tasklet_wait_state(wait)), 0);
    }
    return 0;
}

static int arm_nothing(struct tasklet_wait *wait)
{
    (void)wait;
    return 0;
}

static void release_kept(struct tasklet_wait *wait)
{
    tasklet_release(tasklet_wait_host(wait), tasklet_wait_state(wait));
}

static const struct tasklet_param five[] = {
    {"integer", TASKLET_INTEGER, 0},
    {"number", TASKLET_NUMBER, 0},
    {"text", TASKLET_STRING, TASKLET_OPTIONAL},
    {"flag", TASKLET_BOOLEAN, TASKLET_OPTION},
    {"any", TASKLET_NIL, TASKLET_OPTION},
    {NULL, 0, 0},
};

static const struct tasklet_kind of_five = {
    .size = sizeof(struct tasklet_kind),
    .name = "WaitForFive",
    .params = five,
    .state_size = sizeof(struct tasklet_value),
    .init = note_args,
    .arm = arm_nothing,
    .finish = release_kept,
};

static void assert_given(struct tasklet_host *host, const char *script, const char *expected)
{
    perform(host, script);
    assert_string_equal(given, expected);
}

static void assert_refused(struct tasklet_host *host, const char *script, const char *expected)
{
    struct tasklet_value function = function_of(host, script), result;

    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, &result, 1), TASKLET_ESCRIPT);
    tasklet_release(host, &function);
    assert_string_equal(tasklet_host_error(host), expected);
}

static void arguments_are_checked_by_the_row(void **state)
{
    struct tasklet_host *host = host_with_kind(&of_five);

    (void)state;
    assert_given(host, "w = tasklet.WaitForFive(1, 0.5, 'a')", "2:1 3:0.5 4:a 0:nil 0:nil ");
    assert_given(host, "w = tasklet.WaitForFive(2.0, 3)", "2:2 3:3.0 0:nil 0:nil 0:nil ");
    assert_given(host, "w = tasklet.WaitForFive(1, 1, {flag = true})",
                 "2:1 3:1.0 0:nil 1:true 0:nil ");
    assert_given(host, "w = tasklet.WaitForFive(1, 1, 'x', {any = 'y', flag = false})",
                 "2:1 3:1.0 4:x 1:false 4:y ");
    perform(host, "w = tasklet.WaitForFive(1, 1, 'x', {any = {}})");
    assert_non_null(strstr(given, "6:table: "));
    perform(host, "assert(tostring(w) == 'WaitForFive')");
    assert_refused(host, "\ntasklet.WaitForFive()",
                   "script:2: bad argument #1 to 'WaitForFive' (number expected, got nil)");
    assert_refused(host, "tasklet.WaitForFive(1.5, 1)",
                   "script:1: bad argument #1 to 'WaitForFive' (integer expected, got number)");
    assert_refused(host, "tasklet.WaitForFive(1, 'x')",
                   "script:1: bad argument #2 to 'WaitForFive' (number expected, got string)");
    assert_refused(host, "tasklet.WaitForFive(1, 1, 7)",
                   "script:1: bad argument #3 to 'WaitForFive' (string expected, got number)");
    assert_refused(host, "tasklet.WaitForFive(1, 1, 'x', {nonsense = 1})",
                   "script:1: bad argument #4 to 'WaitForFive' (unknown option 'nonsense' "
                   "(known: flag, any, priority))");
    tasklet_host_free(host);
}

static void bytes_may_contain_zeros(void **state)
{
    struct tasklet_host *host = host_with_kind(&of_five);

    (void)state;
    perform(host, "w = tasklet.WaitForFive(1, 1, 'a\\0b')");
    assert_true(has_zero);
    tasklet_host_free(host);
}

/* ---- failures ---- */

static void init_may_fail(void **state)
{
    struct tasklet_host *host = host_with_kind(&kind);

    (void)state;
    assert_refused(host, "\n\ntasklet.WaitForFrame(-1)", "script:3: no frame has that number");
    assert_refused(host, "tasklet.WaitForFrame(-2)",
                   "script:1: the host is not allowed to do this");
    perform(host, "collectgarbage()");
    tasklet_host_free(host);
    assert_int_equal(seen.made, 0);
    assert_int_equal(seen.finishes, 0);
}

static int arms_that_fail;

static int arm_or_fail(struct tasklet_wait *wait)
{
    if (arms_that_fail > 0) {
        arms_that_fail--;
        return tasklet_wait_fail(wait, "the display is off");
    }
    return arm(wait);
}

static void arm_may_fail(void **state)
{
    struct tasklet_kind row = kind;
    struct tasklet_host *host;

    (void)state;
    row.arm = arm_or_fail;
    host = host_with_kind(&row);
    arms_that_fail = 2;
    begin(host, "local frame = tasklet.WaitForFrame()\n"
                "local timeout = tasklet.WaitForTimeout(0)\n"
                "local ok, why = pcall(function()\n"
                "    tasklet.wait(timeout, frame)\n"
                "end)\n"
                "assert(not ok and tostring(why) == 'script:4: the display is off', why)\n"
                "ok, why = pcall(coroutine.yield, frame)\n"
                "assert(not ok and tostring(why):find('the display is off'))\n"
                "tasklet.later(0, fire)(1)\n"
                "assert(tasklet.wait(frame) == frame)\n");
    run_to(host, 0);
    tasklet_host_free(host);
    assert_int_equal(seen.arms, 1);
    assert_int_equal(seen.disarms, 1);
    assert_int_equal(seen.finishes, 1);
    assert_int_equal(seen.wrong, 0);
}

static void a_wrong_row_is_refused(void **state)
{
    static const struct tasklet_param twice[] = {
        {"a", TASKLET_NIL, 0}, {"a", TASKLET_NIL, 0}, {NULL, 0, 0}};
    static const struct tasklet_param reserved[] = {{"priority", TASKLET_INTEGER, TASKLET_OPTION},
                                                    {NULL, 0, 0}};
    static const struct tasklet_param behind[] = {
        {"a", TASKLET_NIL, TASKLET_OPTIONAL}, {"b", TASKLET_NIL, 0}, {NULL, 0, 0}};
    static const struct tasklet_param no_type[] = {{"a", TASKLET_TABLE, 0}, {NULL, 0, 0}};
    static const struct tasklet_param no_flags[] = {{"a", TASKLET_NIL, 8}, {NULL, 0, 0}};
    static const struct tasklet_param many[] = {{"a", 0, 0}, {"b", 0, 0}, {"c", 0, 0}, {"d", 0, 0},
                                                {"e", 0, 0}, {"f", 0, 0}, {"g", 0, 0}, {"h", 0, 0},
                                                {"i", 0, 0}, {NULL, 0, 0}};
    static const struct tasklet_param *const wrong[] = {twice,   reserved, behind,
                                                        no_type, no_flags, many};
    struct tasklet_host *host = host_with_kind(&kind);
    struct tasklet_kind row = of_five;

    (void)state;
    assert_int_equal(tasklet_kind_add(host, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_kind_add(host, &kind), TASKLET_EINVAL);
    assert_error(host, "the module has a 'WaitForFrame' already");
    row.name = "sleep";
    assert_int_equal(tasklet_kind_add(host, &row), TASKLET_EINVAL);
    row.name = "Wait For";
    assert_int_equal(tasklet_kind_add(host, &row), TASKLET_EINVAL);
    row.name = NULL;
    assert_int_equal(tasklet_kind_add(host, &row), TASKLET_EINVAL);
    row = of_five;
    row.arm = NULL;
    assert_int_equal(tasklet_kind_add(host, &row), TASKLET_EINVAL);
    row = of_five;
    row.size--;
    assert_int_equal(tasklet_kind_add(host, &row), TASKLET_EINVAL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        row = of_five;
        row.params = wrong[i];
        assert_int_equal(tasklet_kind_add(host, &row), TASKLET_EINVAL);
        assert_error(host, "the kind 'WaitForFive': ");
    }
    tasklet_host_free(host);
}

/* ---- on a state of the program's ---- */

/* The conditions outlive the host there, and what the program has kept for it. */
static void a_condition_may_outlive_the_host(void **state)
{
    lua_State *L = luaL_newstate();
    struct tasklet_kind *row = malloc(sizeof *row);
    struct tasklet_options options;
    struct tasklet_host *host;
    char *name = strdup("WaitForFrame");

    (void)state;
    luaL_openlibs(L);
    memset(&seen, 0, sizeof seen);
    *row = kind;
    row->name = name;
    tasklet_options_init(&options);
    options.lua = L;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    assert_int_equal(tasklet_kind_add(host, row), 0);
    perform(host, "make = require 'tasklet'.WaitForFrame\n"
                  "frame = make()\n");
    tasklet_host_free(host);
    assert_int_equal(seen.finishes, 1);
    free(row);
    memset(name, 'x', strlen(name));
    free(name);
    assert_int_equal(luaL_dostring(L, "assert(tostring(frame) == 'WaitForFrame()')\n"
                                      "assert(frame.value == nil and not frame.triggered)\n"
                                      "assert(not pcall(make))\n"
                                      "frame = nil\n"
                                      "collectgarbage()\n"),
                     LUA_OK);
    lua_close(L);
    assert_int_equal(seen.finishes, 1);
}

/* ---- the least that a kind has ---- */

static struct tasklet_wait *last;
static sem_t armed;

static int arm_last(struct tasklet_wait *wait)
{
    assert_string_equal(tasklet_wait_kind(wait)->name, "WaitForLeast");
    last = wait;
    sem_post(&armed);
    return 0;
}

static void fire_last(void *context, struct tasklet_host *host)
{
    struct tasklet_value value = tasklet_integer(*(int *)context);

    assert_ptr_equal(tasklet_wait_host(last), host);
    assert_int_equal(tasklet_wait_fire(last, &value), 0);
    value = tasklet_integer(0);
    assert_int_equal(tasklet_wait_fire(last, &value), 0); /* it has fired already */
}

static void *fire_soon(void *arg)
{
    static int number = 9;

    sem_wait(&armed);
    tasklet_port_call(arg, fire_last, &number);
    tasklet_port_drop(arg);
    return NULL;
}

/* Another thread makes it fire, by a call. Until then nothing is stuck, and no port is needed for
 * that. */
static void a_kind_may_be_but_a_name(void **state)
{
    static const struct tasklet_kind row = {
        .size = sizeof row, .name = "WaitForLeast", .arm = arm_last};
    struct tasklet_host *host = host_made();
    pthread_t thread;

    (void)state;
    sem_init(&armed, 0, 0);
    assert_int_equal(tasklet_kind_add(host, &row), 0);
    begin(host, "local least = tasklet.WaitForLeast()\n"
                "assert(tostring(least) == 'WaitForLeast')\n"
                "coroutine.yield(least)\n"
                "result = tasklet.get_event().value\n");
    assert_int_equal(pthread_create(&thread, NULL, fire_soon, tasklet_port_new(host)), 0);
    while (tasklet_host_turn(host, 0.001) == 1) {
    }
    assert_int_equal(tasklet_host_status(host), 0);
    pthread_join(thread, NULL);
    assert_int_equal(global_integer(host, "result"), 9);
    sem_destroy(&armed);
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_fires_when_armed),
        cmocka_unit_test(it_fires_among_others),
        cmocka_unit_test(it_fires_again_when_yielded_again),
        cmocka_unit_test(it_stays_armed_while_it_is_listed),
        cmocka_unit_test(it_is_disarmed_when_left_out),
        cmocka_unit_test(what_fires_meanwhile_is_kept_or_forgotten),
        cmocka_unit_test(a_kill_disarms_it),
        cmocka_unit_test(one_tasklet_holds_it),
        cmocka_unit_test(it_lives_while_it_is_armed),
        cmocka_unit_test(it_is_finished_when_it_is_collected),
        cmocka_unit_test(the_host_may_go_while_it_is_armed),
        cmocka_unit_test(the_more_urgent_goes_first),
        cmocka_unit_test(it_may_fire_while_it_is_armed),
        cmocka_unit_test(arguments_are_checked_by_the_row),
        cmocka_unit_test(bytes_may_contain_zeros),
        cmocka_unit_test(init_may_fail),
        cmocka_unit_test(arm_may_fail),
        cmocka_unit_test(a_wrong_row_is_refused),
        cmocka_unit_test(a_condition_may_outlive_the_host),
        cmocka_unit_test(a_kind_may_be_but_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
