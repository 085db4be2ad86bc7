/* Scripts that a program loads, calls and starts: the chapter "Scripts and tasklets", first half.
 */
#include <stdio.h>
#include <unistd.h>

#include "script.h"

/* ---- loading ---- */

static void a_script_has_a_name(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value function;

    (void)state;
    assert_int_equal(tasklet_load_string(host, "error 'here'", "=stdin", &function), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    assert_string_equal(tasklet_host_error(host), "stdin:1: here");
    tasklet_release(host, &function);
    assert_int_equal(tasklet_load_string(host, "\nerror 'here'", "@file.lua", &function), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    assert_string_equal(tasklet_host_error(host), "file.lua:2: here");
    tasklet_release(host, &function);
    assert_int_equal(tasklet_load_string(host, "error 'here'", NULL, &function), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    assert_string_equal(tasklet_host_error(host), "[string \"error 'here'\"]:1: here");
    tasklet_release(host, &function);
    assert_int_equal(tasklet_load_buffer(host, "error 'here'", 12, NULL, &function), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    assert_string_equal(tasklet_host_error(host), "(load):1: here");
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void what_does_not_compile_is_told(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value function = tasklet_integer(1);

    (void)state;
    assert_int_equal(tasklet_load_string(host, "x = = 1", "=s", &function), TASKLET_ESYNTAX);
    assert_string_equal(tasklet_host_error(host), "s:1: unexpected symbol near '='");
    assert_int_equal(tasklet_load_buffer(host, "x = 1 y", 6, "=s", &function), 0);
    tasklet_release(host, &function);
    assert_int_equal(tasklet_load_buffer(host, "return '\0'", 10, "=s", &function), 0);
    tasklet_release(host, &function);
    assert_int_equal(tasklet_load_buffer(host, NULL, 0, "=s", &function), 0);
    tasklet_release(host, &function);
    assert_int_equal(tasklet_load_buffer(host, NULL, 1, "=s", &function), TASKLET_EINVAL);
    assert_int_equal(tasklet_load_string(host, NULL, "=s", &function), TASKLET_EINVAL);
    assert_int_equal(tasklet_load_file(host, NULL, &function), TASKLET_EINVAL);
    tasklet_host_free(host);
}

static void bytecode_needs_leave(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host = new_host(), *trusting;
    struct tasklet_value code, function;

    (void)state;
    tasklet_options_init(&options);
    options.capabilities = TASKLET_BYTECODE;
    assert_int_equal(tasklet_host_new(&options, &trusting), 0);
    code = eval(trusting, "return string.dump(function() return 5 end)");
    assert_int_equal(code.type, TASKLET_STRING);
    assert_int_equal(tasklet_load_buffer(host, code.as.bytes, code.length, "=s", &function),
                     TASKLET_EDENIED);
    assert_error(host, "binary chunk");
    assert_int_equal(tasklet_load_buffer(trusting, code.as.bytes, code.length, "=s", &function), 0);
    tasklet_release(trusting, &function);
    tasklet_host_free(trusting);
    tasklet_host_free(host);
}

/* The path of a file with that in it, in `path`. */
static void write_file(char *path, const char *text)
{
    int fd;
    size_t length = strlen(text);

    strcpy(path, "/tmp/tasklet-scripts-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, text, length) == (ssize_t)length);
    assert_int_equal(close(fd), 0);
}

static void files_are_loaded(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value function, result;
    char path[40], expected[60];

    (void)state;
    write_file(path, "#!/usr/bin/tasklet\nreturn 6");
    assert_int_equal(tasklet_load_file(host, path, &function), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, &result, 1), 1);
    assert_int_equal(result.as.integer, 6);
    tasklet_release(host, &function);
    unlink(path);
    assert_int_equal(tasklet_load_file(host, path, &function), TASKLET_EFILE);
    assert_error(host, path);
    assert_error(host, "No such file");
    assert_int_equal(tasklet_load_file(host, "/", &function), TASKLET_EFILE);
    write_file(path, "return return");
    assert_int_equal(tasklet_load_file(host, path, &function), TASKLET_ESYNTAX);
    snprintf(expected, sizeof expected, "%s:1: ", path);
    assert_error(host, expected);
    unlink(path);
    tasklet_host_free(host);
}

/* ---- calling ---- */

static void a_call_has_arguments_and_results(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value function = function_of(host, "return select('#', ...), ...");
    struct tasklet_value args[5], results[6];

    (void)state;
    args[0] = tasklet_integer(1);
    args[1] = tasklet_nil();
    args[2] = tasklet_boolean(1);
    args[3] = tasklet_number(0.25);
    args[4] = tasklet_nil();
    assert_int_equal(tasklet_invoke(host, &function, args, 5, results, 6), 6);
    assert_int_equal(results[0].as.integer, 5);
    assert_int_equal(results[1].as.integer, 1);
    assert_int_equal(results[2].type, TASKLET_NIL);
    assert_int_equal(results[3].as.boolean, 1);
    assert_true(results[4].as.number == 0.25);
    assert_int_equal(results[5].type, TASKLET_NIL);
    args[1] = tasklet_string("one");
    args[3] = tasklet_string("two");
    args[4] = function;
    assert_int_equal(tasklet_invoke(host, &function, args, 5, results, 6), 6);
    assert_text(&results[2], "one");
    assert_text(&results[4], "two");
    assert_int_equal(results[5].type, TASKLET_FUNCTION);
    tasklet_release(host, &results[5]);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, results, 6), 1);
    for (int i = 1; i < 6; i++) {
        assert_int_equal(results[i].type, TASKLET_NIL);
    }
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void a_call_may_have_more_results_than_places(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value function = function_of(host, "return 1, {}, 'x', {}"), results[2];

    (void)state;
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), 4);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, results, 2), 4);
    assert_int_equal(results[0].as.integer, 1);
    assert_int_equal(results[1].type, TASKLET_TABLE);
    tasklet_release(host, &results[1]);
    tasklet_release(host, &function);
    function = function_of(host, "return table.unpack({}, 1, 3000)");
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, results, 2), 3000);
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void a_call_may_have_many_arguments(void **state)
{
    enum { COUNT = 5000 };
    struct tasklet_host *host = new_host();
    struct tasklet_value function = function_of(host, "return select('#', ...), (select(-1, ...))");
    struct tasklet_value *args = calloc(COUNT, sizeof *args), results[2];

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        args[i] = tasklet_integer(i);
    }
    for (int count = 15; count < 30; count++) {
        assert_int_equal(tasklet_invoke(host, &function, args, count, results, 2), 2);
        assert_int_equal(results[0].as.integer, count);
        assert_int_equal(results[1].as.integer, count - 1);
    }
    assert_int_equal(tasklet_invoke(host, &function, args, COUNT, results, 2), 2);
    assert_int_equal(results[1].as.integer, COUNT - 1);
    free(args);
    args = calloc(2000000, sizeof *args); /* nils: more than Lua's stack has room for */
    assert_int_equal(tasklet_invoke(host, &function, args, 2000000, results, 2), TASKLET_ESCRIPT);
    assert_error(host, "too many arguments");
    assert_int_equal(tasklet_invoke(host, &function, args, -1, results, 2), TASKLET_EINVAL);
    free(args);
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void an_error_is_a_code_and_a_text(void **state)
{
    static const struct {
        const char *script, *text;
    } rows[] = {
        {"error 'position'", "script:1: position"},
        {"error('plain', 0)", "plain"},
        {"error(17)", "17"},
        {"error()", "nil"},
        {"error {}", "table: "},
        {"error(setmetatable({}, {__tostring = function() return 'shown' end}))", "shown"},
        {"error(setmetatable({}, {__tostring = error}))", "cannot be shown"},
        {"local x = nil + 1", "attempt to perform arithmetic on a nil value"},
        {"require 'tasklet'.sleep(1)", "outside a tasklet"},
        {"coroutine.yield()", "outside a coroutine"},
        {"error(('long'):rep(10000), 0)", "longlonglong"},
    };
    struct tasklet_host *host = new_host();
    struct tasklet_value result;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tasklet_value function = function_of(host, rows[i].script);

        result = tasklet_integer(7);
        assert_int_equal(tasklet_invoke(host, &function, NULL, 0, &result, 1), TASKLET_ESCRIPT);
        assert_error(host, rows[i].text);
        assert_int_equal(result.type, TASKLET_NIL);
        tasklet_release(host, &function);
    }
    assert_int_equal(strlen(tasklet_host_error(host)), 40000);
    tasklet_host_free(host);
}

static void what_is_called_need_not_be_a_function(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value callable, number = tasklet_integer(1), result;

    (void)state;
    callable = eval(host, "return setmetatable({}, {__call = function(self, x) return x + 1 end})");
    assert_int_equal(tasklet_invoke(host, &callable, &number, 1, &result, 1), 1);
    assert_int_equal(result.as.integer, 2);
    tasklet_release(host, &callable);
    assert_int_equal(tasklet_invoke(host, &number, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    assert_error(host, "attempt to call a number value");
    assert_int_equal(tasklet_invoke(host, NULL, NULL, 0, NULL, 0), TASKLET_EINVAL);
    tasklet_host_free(host);
}

static void a_call_is_in_no_tasklet(void **state)
{
    struct tasklet_host *host = new_host();

    (void)state;
    assert_true(eval(host, "return require 'tasklet'.current() == nil").as.boolean);
    /* What it starts runs up to its first wait, as ever, and goes on when the host runs. */
    perform(host, "local tasklet = require 'tasklet'\n"
                  "trace = 'a'\n"
                  "tasklet.run(function()\n"
                  "    trace = trace .. 'b'\n"
                  "    tasklet.sleep(0)\n"
                  "    trace = trace .. 'd'\n"
                  "end)\n"
                  "trace = trace .. 'c'");
    assert_global(host, "trace", "abc");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "abcd");
    tasklet_host_free(host);
}

/* ---- starting ---- */

static void a_tasklet_begins_when_the_host_runs(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value function = function_of(host, "trace = (trace or '') .. ..."), arg;

    (void)state;
    for (int i = 0; i < 4; i++) {
        static const char *const letters[] = {"a", "b", "c", "d"};

        arg = tasklet_string(letters[i]);
        assert_int_equal(tasklet_start(host, NULL, &function, &arg, 1, NULL), 0);
    }
    assert_int_equal(eval(host, "return trace").type, TASKLET_NIL);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "abcd");
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void starting_can_be_refused(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_start_options options;
    struct tasklet_value function = function_of(host, ""), table, number = tasklet_integer(1);
    struct tasklet *t = NULL;

    (void)state;
    assert_int_equal(tasklet_table_new(host, &table), 0);
    assert_int_equal(tasklet_start(host, NULL, &table, NULL, 0, &t), TASKLET_EINVAL);
    assert_error(host, "no function");
    assert_int_equal(tasklet_start(host, NULL, &number, NULL, 0, &t), TASKLET_EINVAL);
    assert_int_equal(tasklet_start(host, NULL, NULL, NULL, 0, &t), TASKLET_EINVAL);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, -1, &t), TASKLET_EINVAL);
    tasklet_start_options_init(&options);
    options.size--;
    assert_int_equal(tasklet_start(host, &options, &function, NULL, 0, &t), TASKLET_EINVAL);
    assert_null(t);
    assert_int_equal(integer_of(host, "return require 'tasklet'.count()"), 0);
    tasklet_release(host, &table);
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void there_is_one_main_tasklet_at_a_time(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value function = function_of(host, "local tasklet = require 'tasklet'\n"
                                                      "assert(tasklet.current().is_main)\n"
                                                      "runs = (runs or 0) + 1\n"
                                                      "tasklet.mainloop.run()");
    struct tasklet_start_options options;
    struct tasklet *t;

    (void)state;
    tasklet_start_options_init(&options);
    options.main = 1;
    assert_int_equal(tasklet_start(host, &options, &function, NULL, 0, &t), 0);
    assert_string_equal(tasklet_name(t), "main");
    assert_int_equal(tasklet_start(host, &options, &function, NULL, 0, NULL), TASKLET_ESTATE);
    assert_error(host, "main tasklet");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_state(t), TASKLET_RETURNED);
    tasklet_drop(t);
    options.name = "second";
    assert_int_equal(tasklet_start(host, &options, &function, NULL, 0, &t), 0);
    assert_string_equal(tasklet_name(t), "second");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(integer_of(host, "return runs"), 2);
    tasklet_drop(t);
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void options_say_how_it_is(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_start_options options;
    struct tasklet *t;
    char name[] = "copied";

    (void)state;
    tasklet_start_options_init(&options);
    options.name = name;
    options.daemon = 1;
    options.max_mailbox = 2;
    t = started(host,
                "local tasklet = require 'tasklet'\n"
                "local t = tasklet.current()\n"
                "trace = t.name .. ' ' .. tostring(t.daemon)\n"
                "tasklet.sleep(1000)",
                &options);
    name[0] = 'x';
    assert_int_equal(tasklet_send(t, "a", NULL), 0);
    assert_int_equal(tasklet_send(t, "b", NULL), 0);
    assert_int_equal(tasklet_send(t, "c", NULL), TASKLET_EFULL);
    assert_int_equal(tasklet_host_run(host), 0); /* which a daemon does not keep going */
    assert_global(host, "trace", "copied true");
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    tasklet_drop(t);
    t = started(host, "trace = require 'tasklet'.current().name", NULL);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "script:0");
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* It is the program's: nobody's child, with nobody's locals, and no member of a scope. */
static void what_a_program_starts_has_no_parent(void **state)
{
    struct tasklet_host *host = new_host();

    (void)state;
    begin(host, "trace = tostring(require 'tasklet'.current():parent())");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "nil");
    tasklet_host_free(host);
}

static void a_coroutine_can_be_started(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value co = eval(host, "return coroutine.create(function(x) result = x end)");
    struct tasklet_value arg = tasklet_integer(3);

    (void)state;
    assert_int_equal(tasklet_start(host, NULL, &co, &arg, 1, NULL), 0);
    assert_int_equal(tasklet_start(host, NULL, &co, &arg, 1, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(integer_of(host, "return result"), 3);
    tasklet_release(host, &co);
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_has_a_name),
        cmocka_unit_test(what_does_not_compile_is_told),
        cmocka_unit_test(bytecode_needs_leave),
        cmocka_unit_test(files_are_loaded),
        cmocka_unit_test(a_call_has_arguments_and_results),
        cmocka_unit_test(a_call_may_have_more_results_than_places),
        cmocka_unit_test(a_call_may_have_many_arguments),
        cmocka_unit_test(an_error_is_a_code_and_a_text),
        cmocka_unit_test(what_is_called_need_not_be_a_function),
        cmocka_unit_test(a_call_is_in_no_tasklet),
        cmocka_unit_test(a_tasklet_begins_when_the_host_runs),
        cmocka_unit_test(starting_can_be_refused),
        cmocka_unit_test(there_is_one_main_tasklet_at_a_time),
        cmocka_unit_test(options_say_how_it_is),
        cmocka_unit_test(what_a_program_starts_has_no_parent),
        cmocka_unit_test(a_coroutine_can_be_started),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
