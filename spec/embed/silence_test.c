/*
 * What the library keeps its hands off: the standard files, the process' signals, its end.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "run.h"

/* All sorts of things that go wrong, and that somebody could be told of. */
static const char failing[] =
    "local t = ...\n"
    "local close = setmetatable({}, { __close = function() error 'close' end })\n"
    "t.run(error, 'unobserved')\n"
    "t.run(error, setmetatable({}, { __tostring = error }))\n"
    "t.run(error, {})\n"
    "setmetatable({}, { __gc = function() error 'gc' end })\n"
    "collectgarbage()\n"
    "warn '@on'\n"
    "warn('a ', 'warning')\n"
    "t.run(function()\n"
    "    t.wait(t.WaitForMessages { accept = 'x', discard = {} }, t.WaitForTimeout(0.01))\n"
    "end):send 'y'\n"
    "local x = t.run(t.sleep, 0)\n"
    "x:add_join_callback(error)\n"
    "x:join()\n"
    "t.run(function() local c <close> = close t.sleep(1e9) end):kill()\n"
    "t.run(function() local c <close> = close t.channel():receive() end)\n"
    "t.set_warn_slow(1)\n"
    "local start = t.mainloop.now()\n"
    "while t.mainloop.now() < start + 20 do end\n"
    "for i = 1, 2000 do t.sleep(0) end\n"
    "local C = t.WaitCondition:subclass 'C'\n"
    "C.disarm = error\n"
    "t.run(function() t.wait(C()) end):kill()\n"
    "t.run(function() t.wait(t.channel()) end)\n"
    "t.channel():receive()\n"; /* for ever */

/* The standard files, replaced by a file that nobody ever writes into. */
struct files {
    FILE *file;
    int saved[3];
};

static void replace(struct files *files)
{
    files->file = tmpfile();
    assert_non_null(files->file);
    fflush(NULL);
    for (int fd = 1; fd <= 2; fd++) {
        files->saved[fd] = dup(fd);
        assert_int_equal(dup2(fileno(files->file), fd), fd);
    }
}

static long put_back(struct files *files)
{
    long size;

    fflush(NULL);
    for (int fd = 1; fd <= 2; fd++) {
        dup2(files->saved[fd], fd);
        close(files->saved[fd]);
    }
    fseek(files->file, 0, SEEK_END);
    size = ftell(files->file);
    fclose(files->file);
    return size;
}

static void run_failing(const struct tasklet_options *options)
{
    struct tasklet_host *host = host_with(options, failing);
    int status = tasklet_host_run(host);

    tasklet_host_dump(host);
    tasklet_host_run(host);
    tasklet_host_free(host);
    assert_int_equal(status, 3);
}

static void nothing_is_ever_written(void **state)
{
    struct files files;
    long size;

    (void)state;
    replace(&files);
    run_failing(NULL);
    size = put_back(&files);
    assert_int_equal(size, 0);
}

/* ---- what the program is told ---- */

struct told {
    int errors, warnings, dumps;
    char all[16384];
};

static void add(struct told *told, const char *text)
{
    size_t used = strlen(told->all);

    snprintf(told->all + used, sizeof told->all - used, "[%s]\n", text);
}

static void on_error(void *context, const char *text)
{
    struct told *told = context;

    told->errors++;
    add(told, text);
}

static void on_warning(void *context, const char *text)
{
    struct told *told = context;

    told->warnings++;
    add(told, text);
}

static void on_dump(void *context, const char *text)
{
    struct told *told = context;

    told->dumps++;
    add(told, text);
}

static struct tasklet_options telling(struct told *told)
{
    struct tasklet_options options;

    memset(told, 0, sizeof *told);
    tasklet_options_init(&options);
    options.context = told;
    options.on_error = on_error;
    options.on_warning = on_warning;
    options.on_dump = on_dump;
    return options;
}

static void the_program_is_told_all_of_it(void **state)
{
    static const char *const texts[] = {
        "unobserved",    "[a warning]", "implicitly discarding message 'y'",
        "error in __gc", "has run for", "a join callback",
        "wait"};
    struct told told;
    struct tasklet_options options = telling(&told);

    (void)state;
    run_failing(&options);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strstr(told.all, texts[i]) == NULL) {
            fail_msg("nobody was told of: %s\nbut:\n%s", texts[i], told.all);
        }
    }
}

static void warnings_are_as_lua_has_them(void **state)
{
    struct told told;
    struct tasklet_options options = telling(&told);
    char result[20];

    (void)state;
    run(&options,
        "warn('one', ' ', 'text')\n"
        "warn '@off'\n"
        "warn 'not told'\n"
        "warn '@on'\n"
        "warn '@unknown'\n"
        "warn('@', 'on')\n"
        "warn ''\n"
        "warn(('x'):rep(1000))\n"
        "result = ''\n",
        result, sizeof result);
    assert_int_equal(told.warnings, 4);
    assert_memory_equal(told.all, "[one text]\n[@on]\n[]\n[xxxxx", 25);
}

static void warning_warns(void *context, const char *text)
{
    struct told *told = context;

    if (told->warnings++ == 0) {
        lua_State *L = tasklet_host_lua(*(struct tasklet_host **)(told->all + 100));

        lua_warning(L, "from inside", 0);
        assert_string_equal(text, "outer");
    } else {
        assert_string_equal(text, "from inside");
    }
}

static void a_warning_may_come_in_a_warning(void **state)
{
    struct told told;
    struct tasklet_options options = telling(&told);
    struct tasklet_host *host;

    (void)state;
    options.on_warning = warning_warns;
    host = host_with(&options, "warn 'outer'");
    memcpy(told.all + 100, &host, sizeof host);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(told.warnings, 2);
    tasklet_host_free(host);
}

/* ---- signals ---- */

/* Sees to it that no handler is another than before. */
static void look_at_handlers(struct sigaction *before, bool note)
{
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction now;

        if (sigaction(number, NULL, &now) < 0) {
            continue;
        }
        if (note) {
            before[number] = now;
        } else if (now.sa_handler != before[number].sa_handler) {
            fail_msg("signal %d has another handler", number);
        }
    }
}

static void on_turn(void *context, const char *text)
{
    (void)text;
    look_at_handlers(context, false);
}

static void no_handler_is_installed(void **state)
{
    static struct sigaction before[128];
    struct tasklet_options options;
    struct tasklet_host *host;

    (void)state;
    look_at_handlers(before, true);
    tasklet_options_init(&options);
    options.context = before;
    options.on_warning = on_turn;
    options.max_time = 1000;
    options.no_signals = 1;
    options.max_instructions = 1000000;
    options.max_memory = 100000000;
    options.max_tasklets = 100;
    host = host_with(&options, "local t = ...\n"
                               "local ok, e = pcall(t.set_timeslice, 10)\n"
                               "assert(not ok and e.message:find 'without signals')\n"
                               "warn 'look'\n"
                               "t.sleep(0.01)\n"
                               "warn 'look'\n");
    assert_int_equal(tasklet_host_run(host), 0);
    look_at_handlers(before, false);
    tasklet_host_free(host);
    look_at_handlers(before, false);
    host = host_with(NULL, "local t = ... t.sleep(0.01)");
    assert_int_equal(tasklet_host_run(host), 0);
    look_at_handlers(before, false);
    tasklet_host_free(host);
    look_at_handlers(before, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_handler_is_installed), /* first: slices leave theirs */
        cmocka_unit_test(nothing_is_ever_written),
        cmocka_unit_test(the_program_is_told_all_of_it),
        cmocka_unit_test(warnings_are_as_lua_has_them),
        cmocka_unit_test(a_warning_may_come_in_a_warning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
