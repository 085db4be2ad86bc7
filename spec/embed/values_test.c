/* Values between a program and its scripts: the chapter "Values". */
#include <limits.h>
#include <math.h>

#include "script.h"

/* ---- to and fro ---- */

static struct tasklet_value round_trip(struct tasklet_host *host, struct tasklet_value value)
{
    struct tasklet_value got;

    assert_int_equal(tasklet_global_set(host, "here", &value), 0);
    assert_int_equal(tasklet_global_get(host, "here", &got), 0);
    assert_int_equal(got.type, value.type);
    return got;
}

static void plain_values_come_back(void **state)
{
    struct tasklet_host *host = new_host();
    int here;

    (void)state;
    assert_int_equal(round_trip(host, tasklet_nil()).type, TASKLET_NIL);
    assert_int_equal(round_trip(host, tasklet_boolean(0)).as.boolean, 0);
    assert_int_equal(round_trip(host, tasklet_boolean(17)).as.boolean, 1);
    assert_true(round_trip(host, tasklet_integer(LLONG_MIN)).as.integer == LLONG_MIN);
    assert_true(round_trip(host, tasklet_integer(LLONG_MAX)).as.integer == LLONG_MAX);
    assert_true(round_trip(host, tasklet_number(0.5)).as.number == 0.5);
    assert_true(round_trip(host, tasklet_number(3)).as.number == 3);
    assert_true(signbit(round_trip(host, tasklet_number(-0.0)).as.number));
    assert_true(isnan(round_trip(host, tasklet_number(NAN)).as.number));
    assert_true(isinf(round_trip(host, tasklet_number(HUGE_VAL)).as.number));
    assert_ptr_equal(round_trip(host, tasklet_pointer(&here)).as.pointer, &here);
    assert_null(round_trip(host, tasklet_pointer(NULL)).as.pointer);
    tasklet_host_free(host);
}

static void strings_are_bytes(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value got = round_trip(host, tasklet_string("text"));

    (void)state;
    assert_text(&got, "text");
    got = round_trip(host, tasklet_string(""));
    assert_text(&got, "");
    got = round_trip(host, tasklet_bytes("a\0b\0", 4));
    assert_bytes(&got, "a\0b\0", 4);
    got = round_trip(host, tasklet_bytes("shorter than that", 7));
    assert_text(&got, "shorter");
    got = eval(host, "return ('x'):rep(100000)");
    assert_int_equal(got.length, 100000);
    assert_int_equal(got.as.bytes[99999], 'x');
    assert_int_equal(got.as.bytes[100000], '\0');
    tasklet_host_free(host);
}

static void the_rest_is_by_reference(void **state)
{
    static const struct {
        const char *script;
        int type;
    } rows[] = {
        {"return {}", TASKLET_TABLE},
        {"return print", TASKLET_FUNCTION},
        {"return function() end", TASKLET_FUNCTION},
        {"return require 'tasklet'.new()", TASKLET_TASKLET},
        {"return require 'tasklet'.WaitForIdle()", TASKLET_OBJECT},
        {"return coroutine.create(print)", TASKLET_OBJECT},
    };
    struct tasklet_host *host = new_host();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tasklet_value value = eval(host, rows[i].script), again;

        assert_int_equal(value.type, rows[i].type);
        assert_int_equal(tasklet_global_set(host, "there", &value), 0);
        assert_int_equal(tasklet_global_get(host, "there", &again), 0);
        assert_int_equal(again.type, rows[i].type);
        assert_int_equal(tasklet_global_set(host, "here", &again), 0);
        assert_true(eval(host, "return rawequal(here, there)").as.boolean);
        tasklet_release(host, &value);
        tasklet_release(host, &again);
    }
    tasklet_host_free(host);
}

/* ---- whose it is ---- */

static void a_reference_keeps_what_it_refers_to(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table =
        eval(host, "return setmetatable({7}, {__gc = function() gone = 1 end})");
    struct tasklet_value key = tasklet_integer(1), got;

    (void)state;
    perform(host, "collectgarbage() collectgarbage()");
    assert_int_equal(eval(host, "return gone").type, TASKLET_NIL);
    assert_int_equal(tasklet_table_get(host, &table, &key, &got), 0);
    assert_int_equal(got.as.integer, 7);
    tasklet_release(host, &table);
    assert_int_equal(table.type, TASKLET_NIL);
    perform(host, "collectgarbage() collectgarbage()");
    assert_int_equal(integer_of(host, "return gone"), 1);
    tasklet_host_free(host);
}

static void a_copy_is_kept_for_itself(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table = eval(host, "return {1, 2, 3}"), kept, plain = tasklet_integer(5);
    struct tasklet_value text = tasklet_string("bytes");

    (void)state;
    assert_int_equal(tasklet_keep(host, &table, &kept), 0);
    tasklet_release(host, &table);
    assert_int_equal(tasklet_table_length(host, &kept), 3);
    tasklet_release(host, &kept);
    assert_int_equal(tasklet_keep(host, &plain, &kept), 0);
    assert_int_equal(kept.as.integer, 5);
    tasklet_release(host, &kept);
    assert_int_equal(tasklet_keep(host, &text, &kept), TASKLET_EINVAL);
    assert_int_equal(tasklet_keep(host, NULL, &kept), TASKLET_EINVAL);
    tasklet_host_free(host);
}

static void releasing_does_no_harm(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value value = tasklet_string("text"), table, copy, other;

    (void)state;
    tasklet_release(host, &value);
    assert_int_equal(value.type, TASKLET_NIL);
    tasklet_release(host, &value);
    value = tasklet_number(1);
    tasklet_release(NULL, &value);
    assert_int_equal(value.type, TASKLET_NIL);

    assert_int_equal(tasklet_table_new(host, &table), 0);
    copy = table;
    tasklet_release(host, &table);
    assert_int_equal(tasklet_table_new(host, &other), 0);
    tasklet_release(host, &copy); /* a second time: it is not the other's */
    assert_int_equal(tasklet_table_length(host, &other), 0);
    copy = other;
    tasklet_host_free(host);
    tasklet_release(NULL, &copy);
    assert_int_equal(copy.type, TASKLET_NIL);
}

/* All that takes a value says that this is none. */
static void assert_no_value(struct tasklet_host *host, const struct tasklet_value *bad)
{
    struct tasklet_value table, function = function_of(host, "return ..."),
                                one = tasklet_integer(1);
    struct tasklet_value out = tasklet_nil(), key = *bad;
    struct tasklet *t = NULL;

    assert_int_equal(tasklet_table_new(host, &table), 0);
    assert_int_equal(tasklet_keep(host, bad, &out), TASKLET_EINVAL);
    assert_int_equal(tasklet_tostring(host, bad, &out), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_get(host, bad, &one, &out), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_get(host, &table, bad, &out), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_set(host, bad, &one, &one), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_set(host, &table, bad, &one), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_set(host, &table, &one, bad), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_length(host, bad), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_next(host, bad, &out, &out), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_next(host, &table, &key, &out), TASKLET_EINVAL);
    assert_int_equal(tasklet_global_set(host, "here", bad), TASKLET_EINVAL);
    assert_int_equal(tasklet_push(host, tasklet_host_lua(host), bad), TASKLET_EINVAL);
    assert_int_equal(tasklet_invoke(host, bad, NULL, 0, NULL, 0), TASKLET_EINVAL);
    assert_int_equal(tasklet_invoke(host, &function, bad, 1, NULL, 0), TASKLET_EINVAL);
    assert_int_equal(tasklet_start(host, NULL, bad, NULL, 0, &t), TASKLET_EINVAL);
    assert_int_equal(tasklet_start(host, NULL, &function, bad, 1, &t), TASKLET_EINVAL);
    assert_int_equal(tasklet_from(host, bad, &t), TASKLET_EINVAL);
    assert_null(t);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, &t), 0);
    assert_int_equal(tasklet_send(t, "name", bad), TASKLET_EINVAL);
    tasklet_drop(t);
    assert_int_equal(out.type, TASKLET_NIL);
    assert_true(strlen(tasklet_host_error(host)) > 0);
    tasklet_release(host, &table);
    tasklet_release(host, &function);
}

static void what_is_stale_is_refused(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, stale, others[100];

    (void)state;
    assert_int_equal(tasklet_table_new(host, &table), 0);
    stale = table;
    tasklet_release(host, &table);
    assert_no_value(host, &stale);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(tasklet_table_new(host, &others[i]), 0);
    }
    assert_no_value(host, &stale);
    for (int i = 0; i < 100; i++) {
        tasklet_release(host, &others[i]);
    }
    assert_no_value(host, &stale);
    tasklet_host_free(host);
}

static void what_is_of_another_host_is_refused(void **state)
{
    struct tasklet_host *one = new_host(), *other = new_host();
    struct tasklet_value mine, foreign;

    (void)state;
    assert_int_equal(tasklet_table_new(one, &mine), 0);
    assert_int_equal(tasklet_table_new(other, &foreign), 0);
    assert_no_value(one, &foreign);
    assert_no_value(other, &mine);
    tasklet_release(one, &foreign); /* not his to free */
    tasklet_host_free(one);
    assert_no_value(other, &mine);
    tasklet_host_free(other);
}

static void what_is_made_up_is_refused(void **state)
{
    static const long long numbers[] = {0, 1, -1, 1LL << 27, 1LL << 46, LLONG_MAX, LLONG_MIN};
    struct tasklet_host *host = new_host();
    struct tasklet_value value = tasklet_nil();

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        value.type = TASKLET_TABLE;
        value.as.reference = numbers[i];
        assert_no_value(host, &value);
    }
    value = tasklet_nil();
    value.type = 99;
    assert_no_value(host, &value);
    value.type = -1;
    assert_no_value(host, &value);
    value = tasklet_bytes(NULL, 3);
    assert_int_equal(tasklet_global_set(host, "here", &value), TASKLET_EINVAL);
    assert_int_equal(tasklet_push(host, tasklet_host_lua(host), &value), TASKLET_EINVAL);
    tasklet_host_free(host);
}

/* A place has a million generations, and is not used again after that. */
static void generations_end(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, copy, first;

    (void)state;
    assert_int_equal(tasklet_table_new(host, &table), 0);
    first = table;
    tasklet_release(host, &table);
    for (long i = 0; i < (1L << 20) + 10; i++) {
        assert_int_equal(tasklet_table_new(host, &copy), 0);
        if (copy.as.reference == first.as.reference) {
            fail_msg("the reference came again after %ld others", i);
        }
        tasklet_release(host, &copy);
    }
    assert_int_equal(tasklet_table_length(host, &first), TASKLET_EINVAL);
    tasklet_host_free(host);
}

/* ---- tostring ---- */

static void tostring_is_the_scripts(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value value = tasklet_nil(), text;

    (void)state;
    assert_int_equal(tasklet_tostring(host, &value, &text), 0);
    assert_text(&text, "nil");
    value = tasklet_number(3);
    assert_int_equal(tasklet_tostring(host, &value, &text), 0);
    assert_text(&text, "3.0");
    value = tasklet_bytes("a\0b", 3);
    assert_int_equal(tasklet_tostring(host, &value, &text), 0);
    assert_bytes(&text, "a\0b", 3);
    value = eval(host, "return setmetatable({}, {__tostring = function() return 'mine' end})");
    assert_int_equal(tasklet_tostring(host, &value, &text), 0);
    assert_text(&text, "mine");
    tasklet_release(host, &value);
    value = eval(host, "return setmetatable({}, {__tostring = function() error('no', 0) end})");
    assert_int_equal(tasklet_tostring(host, &value, &text), TASKLET_ESCRIPT);
    assert_string_equal(tasklet_host_error(host), "no");
    tasklet_release(host, &value);
    value = eval(host, "return setmetatable({}, {__tostring = function() return {} end})");
    assert_int_equal(tasklet_tostring(host, &value, &text), TASKLET_ESCRIPT);
    assert_error(host, "'__tostring' must return a string");
    tasklet_release(host, &value);
    tasklet_host_free(host);
}

/* ---- tables ---- */

static void tables_are_read_and_written(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, inner, key = tasklet_string("name"),
                                       value = tasklet_string("value");
    struct tasklet_value got;

    (void)state;
    assert_int_equal(tasklet_table_new(host, &table), 0);
    assert_int_equal(table.type, TASKLET_TABLE);
    assert_int_equal(tasklet_table_set(host, &table, &key, &value), 0);
    assert_int_equal(tasklet_table_get(host, &table, &key, &got), 0);
    assert_text(&got, "value");
    assert_int_equal(tasklet_table_set(host, &table, &key, NULL), 0);
    assert_int_equal(tasklet_table_get(host, &table, &key, &got), 0);
    assert_int_equal(got.type, TASKLET_NIL);
    for (int i = 1; i <= 10; i++) {
        key = tasklet_integer(i);
        value = tasklet_integer(i * i);
        assert_int_equal(tasklet_table_set(host, &table, &key, &value), 0);
    }
    assert_int_equal(tasklet_table_length(host, &table), 10);
    assert_int_equal(tasklet_table_new(host, &inner), 0);
    key = tasklet_number(4); /* a whole number is one */
    assert_int_equal(tasklet_table_get(host, &table, &key, &got), 0);
    assert_int_equal(got.as.integer, 16);
    assert_int_equal(tasklet_table_set(host, &table, &inner, &inner), 0);
    assert_int_equal(tasklet_table_get(host, &table, &inner, &got), 0);
    assert_int_equal(got.type, TASKLET_TABLE);
    tasklet_release(host, &got);
    tasklet_release(host, &inner);
    tasklet_release(host, &table);
    tasklet_host_free(host);
}

static void tables_refuse_what_is_no_key(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, nan = tasklet_number(NAN), nil = tasklet_nil();
    struct tasklet_value one = tasklet_integer(1), got = tasklet_integer(5);

    (void)state;
    assert_int_equal(tasklet_table_new(host, &table), 0);
    assert_int_equal(tasklet_table_set(host, &table, &nil, &one), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_set(host, &table, &nan, &one), TASKLET_EINVAL);
    assert_error(host, "key");
    assert_int_equal(tasklet_table_set(host, &table, NULL, &one), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_get(host, &table, &nan, &got), 0);
    assert_int_equal(got.type, TASKLET_NIL);
    assert_int_equal(tasklet_table_get(host, &one, &one, &got), TASKLET_EINVAL);
    assert_error(host, "no table");
    assert_int_equal(tasklet_table_length(host, &nil), TASKLET_EINVAL);
    tasklet_release(host, &table);
    tasklet_host_free(host);
}

static void tables_run_no_metamethods(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, key = tasklet_string("absent"), got = tasklet_nil();
    struct tasklet_value walk = tasklet_nil();

    (void)state;
    table = eval(host, "local function never() error 'a metamethod ran' end\n"
                       "return setmetatable({1, 2}, {__index = never, __newindex = never,\n"
                       "    __len = never, __pairs = never})");
    assert_int_equal(tasklet_table_get(host, &table, &key, &got), 0);
    assert_int_equal(got.type, TASKLET_NIL);
    assert_int_equal(tasklet_table_set(host, &table, &key, &key), 0);
    assert_int_equal(tasklet_table_length(host, &table), 2);
    assert_int_equal(tasklet_table_next(host, &table, &walk, &got), 1);
    tasklet_release(host, &walk);
    tasklet_release(host, &got);
    tasklet_release(host, &table);
    tasklet_host_free(host);
}

static void a_walk_sees_all(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, key = tasklet_nil(), value = tasklet_nil(), text;
    int count = 0, tables = 0, rc;
    long long sum = 0;
    size_t letters = 0;

    (void)state;
    table = eval(host, "return {10, 20, 30, one = 'x', two = 'yy', [{}] = {}, [{1}] = {},\n"
                       "    [('long'):rep(100)] = 'zzz'}");
    while ((rc = tasklet_table_next(host, &table, &key, &value)) == 1) {
        count++;
        /* What gives values meanwhile does not disturb it. */
        assert_int_equal(tasklet_tostring(host, &value, &text), 0);
        if (key.type == TASKLET_INTEGER) {
            sum += value.as.integer;
        } else if (key.type == TASKLET_STRING) {
            letters += text.length;
        } else {
            assert_int_equal(value.type, TASKLET_TABLE);
            tables++;
        }
        perform(host, "collectgarbage()");
    }
    assert_int_equal(rc, 0);
    assert_int_equal(count, 8);
    assert_int_equal(sum, 60);
    assert_int_equal(letters, 6);
    assert_int_equal(tables, 2);
    assert_int_equal(key.type, TASKLET_NIL);
    assert_int_equal(value.type, TASKLET_NIL);
    tasklet_release(host, &table);
    tasklet_host_free(host);
}

static void a_walk_may_delete(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, key = tasklet_nil(), value;
    int count = 0;

    (void)state;
    table = eval(host, "local t = {}\n"
                       "for i = 1, 50 do t[i], t['k' .. i], t[('k'):rep(50) .. i] = i, i, i end\n"
                       "return t");
    while (tasklet_table_next(host, &table, &key, &value) == 1) {
        count++;
        assert_int_equal(tasklet_table_set(host, &table, &key, NULL), 0);
    }
    assert_int_equal(count, 150);
    assert_int_equal(tasklet_table_next(host, &table, &key, &value), 0);
    tasklet_release(host, &table);
    tasklet_host_free(host);
}

static void a_walk_by_no_key_is_refused(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table = eval(host, "return {a = {}}"), key = tasklet_string("b"), value;

    (void)state;
    value = tasklet_nil();
    assert_int_equal(tasklet_table_next(host, &table, &key, &value), TASKLET_EINVAL);
    assert_text(&key, "b");
    key = tasklet_nil();
    assert_int_equal(tasklet_table_next(host, &table, &key, &value), 1);
    assert_int_equal(tasklet_table_next(host, &table, &key, &value), 0);
    assert_int_equal(value.type, TASKLET_NIL);
    tasklet_release(host, &table);
    tasklet_host_free(host);
}

/* ---- global variables ---- */

static void globals_have_names_and_paths(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value value = tasklet_integer(1);

    (void)state;
    assert_int_equal(tasklet_global_set(host, "one", &value), 0);
    assert_int_equal(integer_of(host, "return one"), 1);
    assert_int_equal(tasklet_global_get(host, "string.format", &value), 0);
    assert_int_equal(value.type, TASKLET_FUNCTION);
    tasklet_release(host, &value);
    perform(host, "a = {b = {c = {}}}");
    value = tasklet_integer(2);
    assert_int_equal(tasklet_global_set(host, "a.b.c.d", &value), 0);
    assert_int_equal(integer_of(host, "return a.b.c.d"), 2);
    assert_int_equal(tasklet_global_get(host, "a.b.c.d", &value), 0);
    assert_int_equal(value.as.integer, 2);
    assert_int_equal(tasklet_global_get(host, "a.x.c.d", &value), 0);
    assert_int_equal(value.type, TASKLET_NIL);
    assert_int_equal(tasklet_global_get(host, "a.b.c.d.e", &value), 0);
    assert_int_equal(value.type, TASKLET_NIL);
    assert_int_equal(tasklet_global_set(host, "a.b", NULL), 0);
    assert_true(eval(host, "return a.b == nil").as.boolean);
    tasklet_host_free(host);
}

static void globals_refuse_what_is_no_path(void **state)
{
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a.b..", "..a"};
    struct tasklet_host *host = new_host();
    struct tasklet_value value = tasklet_integer(1);

    (void)state;
    perform(host, "a = {b = {}}");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tasklet_global_get(host, bad[i], &value), TASKLET_EINVAL);
        assert_int_equal(tasklet_global_set(host, bad[i], &value), TASKLET_EINVAL);
        assert_error(host, "empty");
    }
    assert_int_equal(tasklet_global_set(host, "a.x.y", &value), TASKLET_EINVAL);
    assert_int_equal(tasklet_global_set(host, "print.y", &value), TASKLET_EINVAL);
    assert_error(host, "no table");
    tasklet_host_free(host);
}

static void globals_are_raw(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value value = tasklet_integer(1);

    (void)state;
    perform(host, "setmetatable(_G, {__index = error, __newindex = error})");
    assert_int_equal(tasklet_global_get(host, "absent", &value), 0);
    assert_int_equal(value.type, TASKLET_NIL);
    value = tasklet_integer(1);
    assert_int_equal(tasklet_global_set(host, "absent", &value), 0);
    assert_int_equal(integer_of(host, "return absent"), 1);
    tasklet_host_free(host);
}

/* ---- errors ---- */

static void every_code_has_a_text(void **state)
{
    (void)state;
    for (int i = TASKLET_EDENIED; i < 0; i++) {
        assert_string_not_equal(tasklet_strerror(i), "unknown error");
        for (int k = i + 1; k < 0; k++) {
            assert_string_not_equal(tasklet_strerror(i), tasklet_strerror(k));
        }
    }
    assert_string_equal(tasklet_strerror(TASKLET_EDENIED - 1), "unknown error");
    assert_string_equal(tasklet_strerror(0), "no error");
    assert_string_equal(tasklet_strerror(12), "no error");
}

static void the_last_error_stays(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value value = tasklet_nil(), function = function_of(host, "error('first', 0)");

    (void)state;
    assert_string_equal(tasklet_host_error(host), "no error");
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    assert_int_equal(tasklet_global_get(host, "print", &value), 0);
    tasklet_release(host, &value);
    assert_string_equal(tasklet_host_error(host), "first");
    assert_int_equal(tasklet_table_length(host, &value), TASKLET_EINVAL);
    assert_error(host, "no table");
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

/* A NULL is nil where a value is given, and an error where the library is to put something, or to
 * take it from. */
static void what_is_missing_is_refused(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value table, function = function_of(host, ""), one = tasklet_integer(1),
                                nil = tasklet_nil();
    struct tasklet *t = started(host, "error 'on purpose'", NULL);

    (void)state;
    assert_int_equal(tasklet_table_new(host, &table), 0);
    assert_int_equal(tasklet_load_string(host, "", NULL, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_load_string(host, NULL, NULL, &one), TASKLET_EINVAL);
    assert_int_equal(tasklet_load_buffer(host, NULL, 1, NULL, &one), TASKLET_EINVAL);
    assert_int_equal(tasklet_load_file(host, "/dev/null", NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_load_file(host, NULL, &one), TASKLET_EINVAL);
    assert_error(host, "NULL");
    assert_int_equal(tasklet_invoke(host, &function, NULL, 1, NULL, 0), TASKLET_EINVAL);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 1), TASKLET_EINVAL);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 2, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_new(host, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_get(host, &table, &one, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_next(host, &table, NULL, &nil), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_next(host, &table, &nil, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_global_get(host, NULL, &nil), TASKLET_EINVAL);
    assert_int_equal(tasklet_global_get(host, "print", NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_global_set(host, NULL, &one), TASKLET_EINVAL);
    assert_int_equal(tasklet_keep(host, &table, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_tostring(host, &one, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_at(host, tasklet_host_lua(host), 1, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_as_value(t, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_results(t, NULL, 1), TASKLET_EINVAL);
    assert_int_equal(tasklet_host_run(host), 1);
    assert_int_equal(tasklet_failure(t, 0, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_global_set(host, "no_such", NULL), 0);
    assert_int_equal(one.type, TASKLET_INTEGER);
    tasklet_release(host, &table);
    tasklet_release(host, &function);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* As a buffer that has none gives it. */
static void no_bytes_may_be_anywhere(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value none = tasklet_bytes(NULL, 0), got;

    (void)state;
    assert_int_equal(tasklet_global_set(host, "none", &none), 0);
    assert_int_equal(integer_of(host, "return #none"), 0);
    assert_int_equal(tasklet_push(host, tasklet_host_lua(host), &none), 0);
    assert_int_equal(tasklet_at(host, tasklet_host_lua(host), -1, &got), 0);
    assert_text(&got, "");
    none.length = 1;
    assert_int_equal(tasklet_global_set(host, "none", &none), TASKLET_EINVAL);
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values_come_back),
        cmocka_unit_test(strings_are_bytes),
        cmocka_unit_test(the_rest_is_by_reference),
        cmocka_unit_test(a_reference_keeps_what_it_refers_to),
        cmocka_unit_test(a_copy_is_kept_for_itself),
        cmocka_unit_test(releasing_does_no_harm),
        cmocka_unit_test(what_is_stale_is_refused),
        cmocka_unit_test(what_is_of_another_host_is_refused),
        cmocka_unit_test(what_is_made_up_is_refused),
        cmocka_unit_test(generations_end),
        cmocka_unit_test(tostring_is_the_scripts),
        cmocka_unit_test(tables_are_read_and_written),
        cmocka_unit_test(tables_refuse_what_is_no_key),
        cmocka_unit_test(tables_run_no_metamethods),
        cmocka_unit_test(a_walk_sees_all),
        cmocka_unit_test(a_walk_may_delete),
        cmocka_unit_test(a_walk_by_no_key_is_refused),
        cmocka_unit_test(globals_have_names_and_paths),
        cmocka_unit_test(globals_refuse_what_is_no_path),
        cmocka_unit_test(globals_are_raw),
        cmocka_unit_test(every_code_has_a_text),
        cmocka_unit_test(the_last_error_stays),
        cmocka_unit_test(what_is_missing_is_refused),
        cmocka_unit_test(no_bytes_may_be_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
