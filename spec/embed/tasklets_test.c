/* Tasklets as a program has them: the second half of the chapter "Scripts and tasklets", and
 * messages of the host's thread. */
#include "script.h"

static char reports[1000];

static void keep_report(void *context, const char *text)
{
    (void)context;
    assert_true(strlen(reports) + strlen(text) + 2 < sizeof reports);
    strcat(strcat(reports, text), "\n");
}

/* A host whose unseen errors go to `reports`. */
static struct tasklet_host *reporting_host(void)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;

    tasklet_options_init(&options);
    options.on_error = keep_report;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    reports[0] = '\0';
    return host;
}

/* ---- how it ends ---- */

static void results_are_kept(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet *none = started(host, "", NULL), *one = started(host, "return 'one'", NULL);
    struct tasklet *many = started(host, "return 1, nil, {}, nil", NULL);
    struct tasklet_value results[5];

    (void)state;
    assert_int_equal(tasklet_state(one), TASKLET_ALIVE);
    assert_int_equal(tasklet_results(one, results, 5), TASKLET_ESTATE);
    assert_error(host, "has not returned");
    assert_int_equal(results[0].type, TASKLET_NIL);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_state(none), TASKLET_RETURNED);
    assert_int_equal(tasklet_results(none, results, 5), 0);
    assert_int_equal(tasklet_results(one, results, 5), 1);
    assert_text(&results[0], "one");
    assert_int_equal(results[1].type, TASKLET_NIL);
    assert_int_equal(tasklet_results(many, results, 5), 4);
    assert_int_equal(results[0].as.integer, 1);
    assert_int_equal(results[2].type, TASKLET_TABLE);
    assert_int_equal(results[4].type, TASKLET_NIL);
    tasklet_release(host, &results[2]);
    assert_int_equal(tasklet_results(many, results, 1), 4);
    assert_int_equal(tasklet_results(many, NULL, 0), 4);
    assert_int_equal(tasklet_failure(one, 1, &results[0]), TASKLET_ESTATE);
    tasklet_drop(none);
    tasklet_drop(one);
    tasklet_drop(many);
    tasklet_drop(NULL);
    tasklet_host_free(host);
}

static void a_failure_that_is_looked_at_is_not_reported(void **state)
{
    struct tasklet_host *host = reporting_host();
    struct tasklet *t = started(host, "error 'it broke'", NULL);
    struct tasklet_value text;

    (void)state;
    begin(host, "require 'tasklet'.sleep(0.001)");
    assert_int_equal(tasklet_failure(t, 0, &text), TASKLET_ESTATE);
    assert_error(host, "has not failed");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_string_not_equal(reports, ""); /* at the end of its turn nobody had looked */
    assert_int_equal(tasklet_state(t), TASKLET_FAILED);
    assert_int_equal(tasklet_results(t, NULL, 0), TASKLET_ESTATE);
    assert_int_equal(tasklet_failure(t, 0, &text), 0);
    assert_text(&text, "script:1: it broke");
    assert_int_equal(tasklet_failure(t, 1, &text), 0);
    assert_ptr_equal(strstr(text.as.bytes, "script:1: it broke\nstack traceback:\n\t"),
                     text.as.bytes);
    assert_non_null(strstr(text.as.bytes, "in tasklet 'script:0' #1"));
    assert_int_equal(tasklet_host_run(host), 0); /* somebody has looked meanwhile */
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void errors_of_any_kind_have_a_text(void **state)
{
    static const struct {
        const char *script, *text;
    } rows[] = {
        {"error('plain', 0)", "plain"},
        {"error(12)", "12"},
        {"error()", "(error object is a nil value)"},
        {"error {}", "(error object is a table value)"},
        {"error(setmetatable({}, {__tostring = function() return 'shown' end}))", "shown"},
        {"error(setmetatable({}, {__tostring = error}))", "(error object is a table value)"},
    };
    struct tasklet_host *host = new_host();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tasklet *t = started(host, rows[i].script, NULL);
        struct tasklet_value text;

        assert_int_equal(tasklet_host_run(host), 1);
        assert_int_equal(tasklet_state(t), TASKLET_FAILED);
        assert_int_equal(tasklet_failure(t, 0, &text), 0);
        assert_text(&text, rows[i].text);
        tasklet_drop(t);
    }
    tasklet_host_free(host);
}

/* ---- being told ---- */

struct ends {
    int count;
    int state;
    unsigned long long id;
    long long result;
    struct tasklet *drop; /* when told */
};

static void note_end(void *context, struct tasklet *t)
{
    struct ends *ends = context;
    struct tasklet_value result;

    ends->count++;
    ends->state = tasklet_state(t);
    ends->id = tasklet_id(t);
    if (tasklet_results(t, &result, 1) > 0) {
        ends->result = result.as.integer;
    }
    tasklet_drop(ends->drop);
    ends->drop = NULL;
}

static void the_end_is_told_once(void **state)
{
    struct tasklet_host *host = reporting_host();
    struct ends first = {0}, second = {0}, late = {0};
    struct tasklet_start_options options;
    struct tasklet *t;

    (void)state;
    tasklet_start_options_init(&options);
    options.on_end = note_end;
    options.context = &first;
    t = started(host, "require 'tasklet'.sleep(0.001) return 9", &options);
    assert_int_equal(tasklet_on_end(t, note_end, &second), 0);
    assert_int_equal(tasklet_on_end(t, NULL, &second), TASKLET_EINVAL);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(first.count, 1);
    assert_int_equal(first.state, TASKLET_RETURNED);
    assert_int_equal(first.result, 9);
    assert_true(first.id == tasklet_id(t));
    assert_int_equal(second.count, 1);
    assert_int_equal(tasklet_on_end(t, note_end, &late), 0);
    assert_int_equal(late.count, 0); /* soon, not inside the call */
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(late.count, 1);
    assert_int_equal(first.count, 1);
    tasklet_drop(t);
    assert_string_equal(reports, "");
    tasklet_host_free(host);
}

static void who_is_told_of_a_failure_has_seen_it(void **state)
{
    struct tasklet_host *host = reporting_host();
    struct tasklet_start_options options;
    struct ends ends = {0};

    (void)state;
    tasklet_start_options_init(&options);
    options.on_end = note_end;
    options.context = &ends;
    ends.drop = started(host, "error 'it broke'", &options); /* dropped by its own callback */
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.state, TASKLET_FAILED);
    assert_string_equal(reports, "");
    tasklet_host_free(host);
}

/* A callback may start the next one, and so on: no stack grows. */
struct relay {
    struct tasklet_host *host;
    struct tasklet_value function;
    int left;
};

static void start_next(void *context, struct tasklet *t)
{
    struct relay *relay = context;
    struct tasklet_start_options options;

    assert_ptr_equal(tasklet_host_of(t), relay->host);
    tasklet_start_options_init(&options);
    options.on_end = start_next;
    options.context = relay;
    if (relay->left-- > 0) {
        assert_int_equal(tasklet_start(relay->host, &options, &relay->function, NULL, 0, NULL), 0);
    }
}

static void a_callback_may_start_others(void **state)
{
    struct tasklet_host *host = new_host();
    struct relay relay = {host, function_of(host, "count = (count or 0) + 1"), 1000};
    struct tasklet *t = started(host, "", NULL);

    (void)state;
    assert_int_equal(tasklet_on_end(t, start_next, &relay), 0);
    tasklet_drop(t);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(integer_of(host, "return count"), 1000);
    tasklet_release(host, &relay.function);
    tasklet_host_free(host);
}

/* ---- killing ---- */

static void a_kill_ends_a_wait(void **state)
{
    struct tasklet_host *host = reporting_host();
    struct tasklet *t = started(host,
                                "local tasklet = require 'tasklet'\n"
                                "local closed <close> = setmetatable({}, {__close = function()\n"
                                "    tasklet.shield(function() tasklet.sleep(0.001) end, 100)\n"
                                "    trace = 'closed'\n"
                                "end})\n"
                                "waits = true\n"
                                "tasklet.sleep(1000)",
                                NULL);
    struct tasklet_value text;

    (void)state;
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_true(eval(host, "return waits").as.boolean);
    assert_int_equal(tasklet_kill(t), 0);
    assert_int_equal(tasklet_state(t), TASKLET_ALIVE); /* in its turn */
    assert_int_equal(eval(host, "return trace").type, TASKLET_NIL);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    assert_global(host, "trace", "closed");
    assert_int_equal(tasklet_failure(t, 1, &text), 0);
    assert_text(&text, "killed");
    assert_int_equal(tasklet_kill(t), 0);
    assert_string_equal(reports, "");
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void one_that_has_not_run_ends_in_its_turn(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_start_options options;
    struct ends ends = {0};
    struct tasklet *t;

    (void)state;
    tasklet_start_options_init(&options);
    options.on_end = note_end;
    options.context = &ends;
    t = started(host, "ran = true", &options);
    assert_int_equal(tasklet_kill(t), 0);
    assert_int_equal(ends.count, 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(ends.count, 1);
    assert_int_equal(ends.state, TASKLET_KILLED);
    assert_int_equal(eval(host, "return ran").type, TASKLET_NIL);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void one_that_is_not_started_can_be_killed(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_value value = eval(host, "return require 'tasklet'.new(print)");
    struct tasklet *t;

    (void)state;
    assert_int_equal(tasklet_from(host, &value, &t), 0);
    assert_int_equal(tasklet_state(t), TASKLET_ALIVE);
    assert_string_equal(tasklet_name(t), "print");
    assert_int_equal(tasklet_kill(t), 0);
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_release(host, &value);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void one_that_swallows_the_kill_has_returned(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet *t = started(host, "pcall(require 'tasklet'.sleep, 1000) return 4", NULL);
    struct tasklet_value result;

    (void)state;
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_kill(t), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_state(t), TASKLET_RETURNED);
    assert_int_equal(tasklet_results(t, &result, 1), 1);
    assert_int_equal(result.as.integer, 4);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* ---- references ---- */

static void a_reference_and_a_value_are_the_same_tasklet(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet *t = started(host, "", NULL), *again, *other = started(host, "", NULL);
    struct tasklet_value value;

    (void)state;
    assert_int_equal(tasklet_as_value(t, &value), 0);
    assert_int_equal(value.type, TASKLET_TASKLET);
    assert_int_equal(tasklet_from(host, &value, &again), 0);
    assert_true(tasklet_id(t) == tasklet_id(again));
    assert_true(tasklet_id(t) != tasklet_id(other));
    assert_ptr_equal(tasklet_host_of(again), host);
    tasklet_drop(t);
    assert_int_equal(tasklet_global_set(host, "t", &value), 0);
    tasklet_release(host, &value);
    perform(host, "require 'tasklet'; collectgarbage(); t:kill()");
    assert_int_equal(tasklet_state(again), TASKLET_KILLED);
    value = eval(host, "return {}");
    assert_int_equal(tasklet_from(host, &value, &t), TASKLET_EINVAL);
    tasklet_release(host, &value);
    tasklet_drop(again);
    tasklet_drop(other);
    tasklet_host_free(host);
}

static void an_outcome_outlives_all_but_the_reference(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet *t = started(host, "return 'kept'", NULL);
    struct tasklet_value result;

    (void)state;
    assert_int_equal(tasklet_host_run(host), 0);
    perform(host, "collectgarbage() collectgarbage()");
    assert_int_equal(tasklet_results(t, &result, 1), 1);
    assert_text(&result, "kept");
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void a_reference_outlives_the_host(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet *t = started(host, "require 'tasklet'.sleep(1000)", NULL);
    struct ends ends = {0};
    struct tasklet_value value = tasklet_nil();

    (void)state;
    assert_int_equal(tasklet_on_end(t, note_end, &ends), 0);
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_true(tasklet_id(t) != 0);
    tasklet_host_free(host);
    assert_int_equal(ends.count, 0); /* it has not ended: it is gone */
    assert_null(tasklet_host_of(t));
    assert_int_equal(tasklet_state(t), TASKLET_ECLOSED);
    assert_string_equal(tasklet_name(t), "");
    assert_int_equal(tasklet_results(t, &value, 1), TASKLET_ECLOSED);
    assert_int_equal(tasklet_failure(t, 1, &value), TASKLET_ECLOSED);
    assert_int_equal(tasklet_as_value(t, &value), TASKLET_ECLOSED);
    assert_int_equal(tasklet_kill(t), TASKLET_ECLOSED);
    assert_int_equal(tasklet_on_end(t, note_end, &ends), TASKLET_ECLOSED);
    assert_int_equal(tasklet_send(t, "name", NULL), TASKLET_ECLOSED);
    assert_true(tasklet_id(t) == 0);
    tasklet_drop(t);
}

static void ids_never_come_again(void **state)
{
    unsigned long long last = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct tasklet_host *host = new_host();

        for (int k = 0; k < 100; k++) {
            struct tasklet *t = started(host, "", NULL);

            assert_true(tasklet_id(t) > last);
            last = tasklet_id(t);
            tasklet_drop(t);
            assert_int_equal(tasklet_host_run(host), 0);
            perform(host, "collectgarbage()");
        }
        tasklet_host_free(host);
    }
}

/* ---- messages ---- */

static const char receiver[] = "local tasklet = require 'tasklet'\n"
                               "trace = ''\n"
                               "for message in tasklet.receive() do\n"
                               "    assert(message.sender == nil)\n"
                               "    assert(message.dest == tasklet.current())\n"
                               "    trace = trace .. message.name .. tostring(message.value)\n"
                               "    if message.name == 'end' then return end\n"
                               "end";

static void messages_arrive_in_their_order(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet *t = started(host, receiver, NULL);
    struct tasklet_value value = tasklet_integer(1);

    (void)state;
    assert_int_equal(tasklet_send(t, "a", &value), 0); /* before it has begun */
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_global(host, "trace", "a1");
    value = tasklet_string("two");
    assert_int_equal(tasklet_send(t, "b", &value), 0);
    assert_int_equal(tasklet_send(t, "c", NULL), 0);
    assert_global(host, "trace", "a1"); /* in its turn */
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_global(host, "trace", "a1btwocnil");
    value = eval(host, "return setmetatable({}, {__tostring = function() return '!' end})");
    assert_int_equal(tasklet_send(t, "end", &value), 0);
    tasklet_release(host, &value);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "a1btwocnilend!");
    assert_int_equal(tasklet_send(t, "late", NULL), TASKLET_EENDED);
    assert_error(host, "has ended");
    assert_int_equal(tasklet_send(t, NULL, NULL), TASKLET_EINVAL);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void a_full_mailbox_takes_no_more(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet_start_options options;
    struct tasklet *t;
    struct tasklet_value value;

    (void)state;
    tasklet_start_options_init(&options);
    options.max_mailbox = 3;
    t = started(host, receiver, &options);
    for (int i = 1; i <= 3; i++) {
        value = tasklet_integer(i);
        assert_int_equal(tasklet_send(t, "m", &value), 0);
    }
    assert_int_equal(tasklet_send(t, "m", &value), TASKLET_EFULL);
    assert_error(host, "full");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_global(host, "trace", "m1m2m3");
    assert_int_equal(tasklet_send(t, "end", NULL), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_state(t), TASKLET_RETURNED);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* Filters judge what a program sends as they do all else. */
static void filters_judge_what_is_sent(void **state)
{
    struct tasklet_host *host = new_host();
    struct tasklet *t = started(host,
                                "local tasklet = require 'tasklet'\n"
                                "local m = tasklet.wait(tasklet.WaitForMessages{\n"
                                "    accept = {'b'}, defer = {'a'}, discard = {'c'}})\n"
                                "trace = m.name .. #tasklet.current().mailbox",
                                NULL);

    (void)state;
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_send(t, "a", NULL), 0);
    assert_int_equal(tasklet_send(t, "c", NULL), 0);
    assert_int_equal(tasklet_send(t, "b", NULL), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "b1");
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* Of many that are woken in one call each has its turn. */
static void a_callback_may_send_to_many(void **state)
{
    enum { COUNT = 50 };
    struct tasklet_host *host = new_host();
    struct tasklet *all[COUNT];

    (void)state;
    perform(host, "count = 0");
    for (int i = 0; i < COUNT; i++) {
        all[i] = started(host,
                         "require 'tasklet'.current().mailbox:popleft()\n"
                         "count = count + 1",
                         NULL);
    }
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(i % 2 == 0 ? tasklet_send(all[i], "m", NULL) : tasklet_kill(all[i]), 0);
    }
    assert_int_equal(integer_of(host, "return count"), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(integer_of(host, "return count"), COUNT / 2);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(tasklet_state(all[i]), i % 2 == 0 ? TASKLET_RETURNED : TASKLET_KILLED);
        tasklet_drop(all[i]);
    }
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_kept),
        cmocka_unit_test(a_failure_that_is_looked_at_is_not_reported),
        cmocka_unit_test(errors_of_any_kind_have_a_text),
        cmocka_unit_test(the_end_is_told_once),
        cmocka_unit_test(who_is_told_of_a_failure_has_seen_it),
        cmocka_unit_test(a_callback_may_start_others),
        cmocka_unit_test(a_kill_ends_a_wait),
        cmocka_unit_test(one_that_has_not_run_ends_in_its_turn),
        cmocka_unit_test(one_that_is_not_started_can_be_killed),
        cmocka_unit_test(one_that_swallows_the_kill_has_returned),
        cmocka_unit_test(a_reference_and_a_value_are_the_same_tasklet),
        cmocka_unit_test(an_outcome_outlives_all_but_the_reference),
        cmocka_unit_test(a_reference_outlives_the_host),
        cmocka_unit_test(ids_never_come_again),
        cmocka_unit_test(messages_arrive_in_their_order),
        cmocka_unit_test(a_full_mailbox_takes_no_more),
        cmocka_unit_test(filters_judge_what_is_sent),
        cmocka_unit_test(a_callback_may_send_to_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
