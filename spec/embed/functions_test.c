/* Functions of the program's that scripts call: arguments, results, errors as Lua's own, and who
 * owns what. */
#include "threads.h"

/* The error that a script raises, with its position. */
static void assert_raises(struct tasklet_host *host, const char *script, const char *expected)
{
    struct tasklet_value function = function_of(host, script), result;

    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, &result, 1), TASKLET_ESCRIPT);
    tasklet_release(host, &function);
    if (strncmp(tasklet_host_error(host), expected, strlen(expected)) != 0) {
        fail_msg("'%s' does not begin with '%s'", tasklet_host_error(host), expected);
    }
}

/* ---- arguments ---- */

static int describe(struct tasklet_call *call, void *context)
{
    struct tasklet_host *host = tasklet_call_host(call);
    char text[500];
    struct tasklet_value value;
    size_t length = 0;

    assert_ptr_equal(host, context);
    for (int i = 1; i <= tasklet_arg_count(call); i++) {
        value = tasklet_arg(call, i);
        length += (size_t)snprintf(text + length, sizeof text - length, "%d", value.type);
    }
    value = tasklet_arg(call, tasklet_arg_count(call) + 1);
    assert_int_equal(value.type, TASKLET_NIL);
    assert_int_equal(tasklet_arg(call, 0).type, TASKLET_NIL);
    assert_int_equal(tasklet_arg(call, -1).type, TASKLET_NIL);
    value = tasklet_bytes(text, length);
    return tasklet_return(call, &value, 1);
}

static void arguments_are_values(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    assert_int_equal(tasklet_define(host, "describe", describe, host), 0);
    perform(host, "result = describe(nil, true, 1, 0.5, 'x', {}, print, tasklet.new(), io.stdout)");
    assert_global(host, "result", "012346789");
    perform(host, "result = describe()");
    assert_global(host, "result", "");
    tasklet_host_free(host);
}

/* The same reference each time, which is good for the call. */
static int read_table(struct tasklet_call *call, void *context)
{
    struct tasklet_host *host = tasklet_call_host(call);
    struct tasklet_value table = tasklet_arg(call, 1), again = tasklet_arg(call, 1), value, key;

    assert_int_equal(table.type, TASKLET_TABLE);
    assert_int_equal(table.as.reference, again.as.reference);
    key = tasklet_string("x");
    assert_int_equal(tasklet_table_get(host, &table, &key, &value), 0);
    assert_int_equal(tasklet_keep(host, &table, context), 0);
    return tasklet_return(call, &value, 1);
}

static void references_are_borrowed_for_the_call(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_value kept, key = tasklet_string("x"), value;

    (void)state;
    assert_int_equal(tasklet_define(host, "read", read_table, &kept), 0);
    assert_int_equal(integer_of(host, "return read({x = 7})"), 7);
    perform(host, "collectgarbage()");
    assert_int_equal(tasklet_table_get(host, &kept, &key, &value), 0);
    assert_int_equal(value.as.integer, 7);
    tasklet_release(host, &kept);
    tasklet_host_free(host);
}

static int take_typed(struct tasklet_call *call, void *context)
{
    long long integer;
    double number;
    const char *bytes;
    size_t length;
    char text[200];
    struct tasklet_value value;

    (void)context;
    if (tasklet_arg_integer(call, 1, &integer) < 0 || tasklet_arg_number(call, 2, &number) < 0 ||
        tasklet_arg_string(call, 3, &bytes, &length) < 0) {
        return TASKLET_EINVAL;
    }
    assert_int_equal(bytes[length], 0);
    snprintf(text, sizeof text, "%lld %g %s %d", integer, number, bytes, (int)length);
    value = tasklet_string(text);
    return tasklet_return(call, &value, 1);
}

static void typed_arguments_are_as_luas_own(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    assert_int_equal(tasklet_define(host, "string.typed", take_typed, NULL), 0);
    perform(host, "result = string.typed(1, 0.5, 'abc')");
    assert_global(host, "result", "1 0.5 abc 3");
    perform(host, "result = string.typed('7', '2', 15)");
    assert_global(host, "result", "7 2 15 2");
    perform(host, "result = string.typed(3.0, 2, 1.5)");
    assert_global(host, "result", "3 2 1.5 3");
    assert_raises(host, "\n\nlocal a = string.typed(nil, 1, 'x')",
                  "script:3: bad argument #1 to 'typed' (number expected, got nil)");
    assert_raises(host, "string.typed(1, {}, 'x')",
                  "script:1: bad argument #2 to 'typed' (number expected, got table)");
    assert_raises(host, "string.typed(1, 1)",
                  "script:1: bad argument #3 to 'typed' (string expected, got no value)");
    assert_raises(host, "string.typed(0.5, 1, 'x')",
                  "script:1: bad argument #1 to 'typed' (number has no integer representation)");
    assert_raises(host, "string.typed('x', 1, 'x')",
                  "script:1: bad argument #1 to 'typed' (number expected, got string)");
    assert_raises(host, "local f = string.typed f(1, 1, print)",
                  "script:1: bad argument #3 to 'f' (string expected, got function)");
    assert_raises(host, "local s = 'x' s:typed()", "script:1: calling 'typed' on bad self");
    tasklet_host_free(host);
}

/* One that does not look at the code cannot make the call succeed. */
static int ignore_the_code(struct tasklet_call *call, void *context)
{
    long long integer;

    (void)context;
    tasklet_arg_integer(call, 1, &integer);
    return tasklet_return(call, NULL, 0);
}

static void a_wrong_argument_fails_whatever_comes_next(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    assert_int_equal(tasklet_define(host, "ignore", ignore_the_code, NULL), 0);
    perform(host, "ignore(1)");
    assert_raises(host, "ignore()", "script:1: bad argument #1 to 'ignore'");
    tasklet_host_free(host);
}

/* ---- ends ---- */

static int return_many(struct tasklet_call *call, void *context)
{
    struct tasklet_value values[100];

    (void)context;
    for (int i = 0; i < 100; i++) {
        values[i] = tasklet_integer(i + 1);
    }
    return tasklet_return(call, values, 100);
}

static int fail_on_purpose(struct tasklet_call *call, void *context)
{
    return tasklet_fail(call, context);
}

static int return_code(struct tasklet_call *call, void *context)
{
    (void)call;
    return *(int *)context;
}

static int return_foreign(struct tasklet_call *call, void *context)
{
    return tasklet_return(call, context, 1) < 0 ? -1 : 0;
}

static int return_twice(struct tasklet_call *call, void *context)
{
    struct tasklet_value value = tasklet_integer(1);

    (void)context;
    assert_int_equal(tasklet_return(call, &value, 1), 0);
    assert_int_equal(tasklet_return(call, NULL, 0), TASKLET_ESTATE);
    assert_int_equal(tasklet_fail(call, "too late"), TASKLET_ESTATE);
    return 0;
}

static void a_call_ends_in_one_way(void **state)
{
    struct tasklet_host *host = host_made(), *other = host_made();
    struct tasklet_value foreign;
    char text[] = "what is wrong";
    int code = 0;

    (void)state;
    assert_int_equal(tasklet_define(host, "many", return_many, NULL), 0);
    assert_int_equal(integer_of(host, "return select('#', many())"), 100);
    assert_int_equal(integer_of(host, "return (select(100, many()))"), 100);
    assert_int_equal(tasklet_define(host, "fail", fail_on_purpose, text), 0);
    assert_raises(host, "\nfail()", "script:2: what is wrong");
    assert_int_equal(tasklet_define(host, "code", return_code, &code), 0);
    assert_int_equal(integer_of(host, "return select('#', code())"), 0);
    code = TASKLET_ETIMEOUT;
    assert_raises(host, "code()", "script:1: not in time");
    assert_int_equal(tasklet_define(host, "twice", return_twice, NULL), 0);
    assert_int_equal(integer_of(host, "return twice()"), 1);
    assert_int_equal(tasklet_table_new(other, &foreign), 0);
    assert_int_equal(tasklet_define(host, "foreign", return_foreign, &foreign), 0);
    assert_raises(host, "foreign()", "script:1: a result is no value of this host");
    tasklet_release(other, &foreign);
    tasklet_host_free(host);
    tasklet_host_free(other);
}

/* ---- what it may do ---- */

static int call_back(struct tasklet_call *call, void *context)
{
    struct tasklet_host *host = tasklet_call_host(call);
    struct tasklet_value function = tasklet_arg(call, 1), argument = tasklet_arg(call, 2), result;
    int rc;

    (void)context;
    rc = tasklet_invoke(host, &function, &argument, 1, &result, 1);
    if (rc < 0) {
        return tasklet_fail(call, tasklet_host_error(host));
    }
    rc = tasklet_return(call, &result, 1);
    tasklet_release(host, &result);
    return rc;
}

static void it_may_call_scripts(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    assert_int_equal(tasklet_define(host, "back", call_back, NULL), 0);
    assert_int_equal(integer_of(host, "return back(function(n) return n + 1 end, 4)"), 5);
    assert_int_equal(integer_of(host, "local function f(n)\n"
                                      "    return n == 0 and 0 or 1 + back(f, n - 1)\n"
                                      "end\n"
                                      "return f(20)\n"),
                     20);
    assert_raises(host, "back(function() error('inside', 0) end)", "script:1: inside");
    begin(host, "ok, why = pcall(back, function() tasklet.sleep(1) end)\n"
                "same = tasklet.current() ~= nil\n"
                "tasklet.sleep(0)\n"
                "done = true\n");
    run_to(host, 0);
    assert_shown(host, "ok", "false");
    assert_shown(host, "same", "true");
    assert_shown(host, "done", "true");
    tasklet_host_free(host);
}

static int start_another(struct tasklet_call *call, void *context)
{
    struct tasklet_host *host = tasklet_call_host(call);
    struct tasklet_value function = tasklet_arg(call, 1), value;
    struct tasklet *t;
    int rc;

    (void)context;
    if (tasklet_start(host, NULL, &function, NULL, 0, &t) < 0) {
        return tasklet_fail(call, tasklet_host_error(host));
    }
    assert_int_equal(tasklet_send(t, "hello", NULL), 0);
    assert_int_equal(tasklet_as_value(t, &value), 0);
    rc = tasklet_return(call, &value, 1);
    tasklet_release(host, &value);
    tasklet_drop(t);
    return rc;
}

static void it_may_start_tasklets_and_send(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    assert_int_equal(tasklet_define(host, "another", start_another, NULL), 0);
    begin(host, "order = ''\n"
                "local t = another(function()\n"
                "    order = order .. 'b'\n"
                "    for message in tasklet.receive() do return message.name end\n"
                "end)\n"
                "order = order .. 'a'\n"
                "result = tasklet.join(t)\n");
    run_to(host, 0);
    assert_global(host, "order", "ab");
    assert_global(host, "result", "hello");
    tasklet_host_free(host);
}

static int run_the_host(struct tasklet_call *call, void *context)
{
    struct tasklet_value value;

    (void)context;
    value = tasklet_integer(tasklet_host_run(tasklet_call_host(call)));
    return tasklet_return(call, &value, 1);
}

static void it_cannot_run_the_host(void **state)
{
    struct tasklet_host *host = host_made();

    (void)state;
    assert_int_equal(tasklet_define(host, "run", run_the_host, NULL), 0);
    assert_int_equal(integer_of(host, "return run()"), TASKLET_ESTATE);
    begin(host, "inside = run()");
    run_to(host, 0);
    assert_int_equal(global_integer(host, "inside"), TASKLET_ESTATE);
    tasklet_host_free(host);
}

/* ---- lifetime ---- */

static void count(void *context)
{
    ++*(int *)context;
}

static int call_count(struct tasklet_call *call, void *context)
{
    struct tasklet_value value = tasklet_integer(*(int *)context);

    return tasklet_return(call, &value, 1);
}

static void it_is_destroyed_when_nobody_has_it(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_value function;
    int destroyed = 0;

    (void)state;
    assert_int_equal(tasklet_function_new(host, call_count, &destroyed, count, &function), 0);
    assert_int_equal(function.type, TASKLET_FUNCTION);
    assert_int_equal(tasklet_global_set(host, "f", &function), 0);
    tasklet_release(host, &function);
    perform(host, "collectgarbage() collectgarbage()");
    assert_int_equal(destroyed, 0);
    assert_int_equal(integer_of(host, "return f()"), 0);
    perform(host, "f = nil collectgarbage() collectgarbage()");
    assert_int_equal(destroyed, 1);
    tasklet_host_free(host);
    assert_int_equal(destroyed, 1);
}

static void it_is_destroyed_when_the_host_goes(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_value function;
    int destroyed = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tasklet_function_new(host, call_count, &destroyed, count, &function), 0);
    }
    tasklet_host_free(host);
    assert_int_equal(destroyed, 10);
}

static void it_is_destroyed_if_it_cannot_be_made(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_value function;
    int destroyed = 0;

    (void)state;
    assert_int_equal(tasklet_function_new(host, NULL, &destroyed, count, &function),
                     TASKLET_EINVAL);
    assert_int_equal(destroyed, 1);
    assert_int_equal(tasklet_function_new(host, NULL, &destroyed, NULL, &function), TASKLET_EINVAL);
    assert_int_equal(tasklet_define(host, "no.such.table", call_count, NULL), TASKLET_EINVAL);
    tasklet_host_free(host);
    assert_int_equal(destroyed, 1);
}

/* <close> variables run while the host goes: functions can be called there, to the last. */
static void it_can_be_called_while_the_host_goes(void **state)
{
    struct tasklet_host *host = host_made();
    int number = 5;

    (void)state;
    assert_int_equal(tasklet_define(host, "number", call_count, &number), 0);
    assert_int_equal(tasklet_define(host, "note", call_count, &number), 0);
    begin(host, "local c <close> = setmetatable({}, {__close = function()\n"
                "    assert(number() == 5)\n"
                "end})\n"
                "tasklet.mainloop.quit()\n"
                "tasklet.sleep(1000)\n");
    run_to(host, 0);
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_values),
        cmocka_unit_test(references_are_borrowed_for_the_call),
        cmocka_unit_test(typed_arguments_are_as_luas_own),
        cmocka_unit_test(a_wrong_argument_fails_whatever_comes_next),
        cmocka_unit_test(a_call_ends_in_one_way),
        cmocka_unit_test(it_may_call_scripts),
        cmocka_unit_test(it_may_start_tasklets_and_send),
        cmocka_unit_test(it_cannot_run_the_host),
        cmocka_unit_test(it_is_destroyed_when_nobody_has_it),
        cmocka_unit_test(it_is_destroyed_when_the_host_goes),
        cmocka_unit_test(it_is_destroyed_if_it_cannot_be_made),
        cmocka_unit_test(it_can_be_called_while_the_host_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
