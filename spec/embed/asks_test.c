/* Questions: messages that a script answers by message:reply, of the loop's thread and of others.
 * Whatever happens, the program is told exactly once. */
#include "threads.h"

struct answer {
    struct tasklet_host *host;
    int count;
    int status;
    struct tasklet_value value;
    char text[100];
};

/* Notes the answer; a string is copied. */
static void note(void *context, int status, const struct tasklet_value *value)
{
    struct answer *answer = context;

    answer->count++;
    answer->status = status;
    answer->value = tasklet_nil();
    if (value != NULL) {
        answer->value = *value;
        if (value->type == TASKLET_STRING) {
            assert_true(value->length < sizeof answer->text);
            memcpy(answer->text, value->as.bytes, value->length + 1);
        } else if (value->type >= TASKLET_TABLE) {
            assert_int_equal(tasklet_keep(answer->host, value, &answer->value), 0);
        }
    }
}

static int ask(struct tasklet *t, const char *name, long long integer, double seconds,
               struct answer *answer)
{
    struct tasklet_value value = tasklet_integer(integer);

    memset(answer, 0, sizeof *answer);
    answer->host = tasklet_host_of(t);
    answer->status = 77;
    return tasklet_ask(t, name, &value, seconds, note, answer);
}

/* ---- answers ---- */

static void a_script_answers(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet *t = started(host,
                                "for message in tasklet.receive() do\n"
                                "    if message.name == 'end' then break end\n"
                                "    waited = message:reply(message.value * 2)\n"
                                "    again = message:reply('again')\n"
                                "    assert(message.sender == nil)\n"
                                "    kept = message\n"
                                "end\n",
                                NULL);
    struct answer first, second;

    (void)state;
    assert_int_equal(ask(t, "double", 21, -1, &first), 0);
    assert_int_equal(ask(t, "double", 4, 1000, &second), 0);
    assert_int_equal(first.count, 0); /* later, and not from here */
    assert_int_equal(tasklet_send(t, "end", NULL), 0);
    run_to(host, 0);
    assert_int_equal(first.count, 1);
    assert_int_equal(first.status, 0);
    assert_int_equal(first.value.type, TASKLET_INTEGER);
    assert_int_equal(first.value.as.integer, 42);
    assert_int_equal(second.count, 1);
    assert_int_equal(second.value.as.integer, 8);
    assert_shown(host, "waited", "true");
    assert_shown(host, "again", "false");
    perform(host, "late = kept:reply(1)");
    assert_shown(host, "late", "false");
    tasklet_drop(t);
    tasklet_host_free(host);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 1);
}

static void an_answer_is_any_value(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet *t = started(host,
                                "local values = {nil, 'text', {7}, print}\n"
                                "for message in tasklet.receive() do\n"
                                "    message:reply(values[message.value])\n"
                                "    if message.value == 4 then break end\n"
                                "end\n",
                                NULL);
    struct answer answers[4];
    struct tasklet_value key = tasklet_integer(1), value;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ask(t, "value", i + 1, -1, &answers[i]), 0);
    }
    run_to(host, 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].status, 0);
    }
    assert_int_equal(answers[0].value.type, TASKLET_NIL);
    assert_int_equal(answers[1].value.type, TASKLET_STRING);
    assert_string_equal(answers[1].text, "text");
    assert_int_equal(answers[2].value.type, TASKLET_TABLE);
    assert_int_equal(tasklet_table_get(host, &answers[2].value, &key, &value), 0);
    assert_int_equal(value.as.integer, 7);
    tasklet_release(host, &answers[2].value);
    assert_int_equal(answers[3].value.type, TASKLET_FUNCTION);
    tasklet_release(host, &answers[3].value);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* Somebody else may answer, and in any order. */
static void whoever_has_the_message_answers(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet *t = started(host,
                                "local kept = {}\n"
                                "for message in tasklet.receive() do\n"
                                "    kept[#kept + 1] = message\n"
                                "    if #kept == 3 then break end\n"
                                "end\n"
                                "tasklet.join(tasklet.run(function()\n"
                                "    tasklet.sleep(0.001)\n"
                                "    for i = 3, 1, -1 do kept[i]:reply(i) end\n"
                                "end))\n",
                                NULL);
    struct answer answers[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask(t, "q", 0, -1, &answers[i]), 0);
    }
    run_to(host, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].count, 1);
        assert_int_equal(answers[i].value.as.integer, i + 1);
    }
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* An answer that is given while the host does not run is told when it does. */
static void an_answer_may_be_given_outside_a_run(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet *t = started(host,
                                "for message in tasklet.receive() do kept = message break end\n"
                                "tasklet.mainloop.quit()\n"
                                "tasklet.sleep(0)\n",
                                NULL);
    struct answer answer;

    (void)state;
    assert_int_equal(ask(t, "q", 0, -1, &answer), 0);
    run_to(host, 0);
    assert_int_equal(answer.count, 0);
    perform(host, "kept:reply(5)");
    assert_int_equal(answer.count, 0);
    run_to(host, 0);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.value.as.integer, 5);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* ---- no answer ---- */

static void there_may_be_none_in_time(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    struct tasklet *t;
    struct answer late, never;

    (void)state;
    tasklet_options_init(&options);
    options.virtual_time = 1;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    perform(host, "tasklet = require 'tasklet'");
    t = started(host,
                "for message in tasklet.receive() do\n"
                "    tasklet.sleep(10)\n"
                "    waited = message:reply(1)\n"
                "    break\n"
                "end\n"
                "for message in tasklet.receive() do break end\n"
                "tasklet.sleep(100)\n",
                NULL);
    assert_int_equal(ask(t, "q", 0, 9.5, &late), 0);
    assert_int_equal(ask(t, "q", 0, 50, &never), 0);
    run_to(host, 0);
    assert_int_equal(late.count, 1);
    assert_int_equal(late.status, TASKLET_ETIMEOUT);
    assert_shown(host, "waited", "false");
    assert_int_equal(never.count, 1);
    assert_int_equal(never.status, TASKLET_ETIMEOUT);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void the_receiver_may_end(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet *t = started(host, "tasklet.sleep(0.001)\n", NULL);
    struct answer first, second;

    (void)state;
    assert_int_equal(ask(t, "q", 0, -1, &first), 0);
    assert_int_equal(ask(t, "q", 0, 100, &second), 0);
    run_to(host, 0);
    assert_int_equal(first.count, 1);
    assert_int_equal(first.status, TASKLET_EENDED);
    assert_int_equal(second.count, 1);
    assert_int_equal(second.status, TASKLET_EENDED);
    assert_int_equal(ask(t, "q", 0, -1, &first), TASKLET_EENDED);
    run_to(host, 0);
    assert_int_equal(first.count, 0);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* That a question waits is nobody's business but the program's: a failure is reported as ever. */
static char told[500];

static void keep_told(void *context, const char *text)
{
    (void)context;
    snprintf(told, sizeof told, "%s", text);
}

static void a_receiver_that_fails_is_reported_all_the_same(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    struct tasklet *t;
    struct answer answer;

    (void)state;
    told[0] = '\0';
    tasklet_options_init(&options);
    options.on_error = keep_told;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    t = started(host, "error('broken', 0)\n", NULL);
    assert_int_equal(ask(t, "q", 0, -1, &answer), 0);
    tasklet_drop(t);
    run_to(host, 1);
    assert_int_equal(answer.status, TASKLET_EENDED);
    assert_non_null(strstr(told, "broken"));
    tasklet_host_free(host);
}

static void the_host_may_go(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t = started(host, "tasklet.sleep(1000)\n", NULL);
    struct answer here, elsewhere;
    struct tasklet_value value = tasklet_integer(1);

    (void)state;
    assert_int_equal(ask(t, "q", 0, -1, &here), 0);
    memset(&elsewhere, 0, sizeof elsewhere);
    assert_int_equal(tasklet_post_ask(port, tasklet_id(t), "q", &value, 5, note, &elsewhere), 0);
    tasklet_host_free(host);
    assert_int_equal(here.count, 1);
    assert_int_equal(here.status, TASKLET_ECLOSED);
    assert_int_equal(elsewhere.count, 1);
    assert_int_equal(elsewhere.status, TASKLET_ECLOSED);
    assert_int_equal(ask(t, "q", 0, -1, &here), TASKLET_ECLOSED);
    assert_int_equal(here.count, 0);
    assert_int_equal(tasklet_post_ask(port, 1, "q", &value, 5, note, &elsewhere), TASKLET_ECLOSED);
    assert_int_equal(elsewhere.count, 1);
    tasklet_drop(t);
    tasklet_port_drop(port);
}

static void what_cannot_be_asked_is_refused(void **state)
{
    struct tasklet_start_options options;
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t;
    struct answer answer;
    struct tasklet_value value;

    (void)state;
    tasklet_start_options_init(&options);
    options.max_mailbox = 1;
    t = started(host, "tasklet.sleep(0.001)\n", &options);
    assert_int_equal(tasklet_ask(t, "q", NULL, -1, NULL, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_ask(t, "q", NULL, 0.0 / 0.0, note, &answer), TASKLET_EINVAL);
    assert_int_equal(tasklet_ask(t, NULL, NULL, -1, note, &answer), TASKLET_EINVAL);
    assert_int_equal(tasklet_post_ask(port, 1, "q", NULL, -1, NULL, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_post_ask(port, 1, NULL, NULL, -1, note, &answer), TASKLET_EINVAL);
    assert_int_equal(tasklet_table_new(host, &value), 0);
    assert_int_equal(tasklet_post_ask(port, 1, "q", &value, -1, note, &answer), TASKLET_EINVAL);
    tasklet_release(host, &value);
    assert_int_equal(tasklet_ask(t, "q", &value, -1, note, &answer), 0);
    memset(&answer, 0, sizeof answer);
    assert_int_equal(tasklet_ask(t, "q", NULL, -1, note, &answer), TASKLET_EFULL);
    run_to(host, 0);
    assert_int_equal(answer.count, 1); /* of the one that was asked */
    tasklet_port_drop(port);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* ---- from other threads ---- */

struct asker {
    pthread_t thread;
    struct tasklet_port *port;
    unsigned long long id;
    int count;
    int rc;
    atomic_int right, wrong; /* answers, told in the host's thread */
    sem_t told;
};

static void check_answer(void *context, int status, const struct tasklet_value *value)
{
    struct asker *asker = context;
    bool right = status == 0 && value->type == TASKLET_INTEGER && value->as.integer == 1;

    atomic_fetch_add(right ? &asker->right : &asker->wrong, 1);
    sem_post(&asker->told);
}

static void *ask_often(void *arg)
{
    struct asker *asker = arg;

    for (int i = 0; i < asker->count; i++) {
        struct tasklet_value value = tasklet_integer(0);

        asker->rc |= tasklet_post_ask(asker->port, asker->id, "q", &value, -1, check_answer, asker);
        if (i % 10 == 9) {
            for (int k = 0; k < 10; k++) {
                sem_wait(&asker->told);
            }
        }
    }
    tasklet_port_drop(asker->port);
    return NULL;
}

static void threads_ask(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet *t = started(host,
                                "for i = 1, total do\n"
                                "    for message in tasklet.receive() do\n"
                                "        message:reply(message.value + 1)\n"
                                "        break\n"
                                "    end\n"
                                "end\n",
                                NULL);
    struct asker askers[4];
    int count = work(5000) / 10 * 10;

    (void)state;
    set_integer(host, "total", 4LL * count);
    for (int i = 0; i < 4; i++) {
        memset(&askers[i], 0, sizeof askers[i]);
        askers[i].port = tasklet_port_new(host);
        askers[i].id = tasklet_id(t);
        askers[i].count = count;
        sem_init(&askers[i].told, 0, 0);
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    run_to(host, 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].rc, 0);
        assert_int_equal(atomic_load(&askers[i].right), count);
        assert_int_equal(atomic_load(&askers[i].wrong), 0);
        sem_destroy(&askers[i].told);
    }
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void a_question_to_one_that_has_ended_is_told(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t = started(host, "", NULL), *other;
    struct answer answer;

    (void)state;
    memset(&answer, 0, sizeof answer);
    assert_int_equal(tasklet_post_ask(port, 1000000, "q", NULL, 7, note, &answer), 0);
    other = started(host, "tasklet.sleep(0.001)", NULL);
    run_to(host, 0);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status, TASKLET_EENDED);
    tasklet_drop(t);
    tasklet_drop(other);
    tasklet_port_drop(port);
    tasklet_host_free(host);
}

/* ---- what is called may do anything ---- */

static struct tasklet *target;
static int rounds;

static void ask_again(void *context, int status, const struct tasklet_value *value)
{
    assert_int_equal(status, 0);
    assert_int_equal(value->as.integer, rounds);
    rounds++;
    if (rounds < 100) {
        struct tasklet_value next = tasklet_integer(rounds);

        assert_int_equal(tasklet_ask(target, "q", &next, 1000, ask_again, context), 0);
    } else {
        assert_int_equal(tasklet_kill(target), 0);
    }
}

static void the_one_who_is_told_may_ask_again(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_value value = tasklet_integer(0);

    (void)state;
    rounds = 0;
    target =
        started(host, "for message in tasklet.receive() do message:reply(message.value) end", NULL);
    assert_int_equal(tasklet_ask(target, "q", &value, 1000, ask_again, NULL), 0);
    run_to(host, 0);
    assert_int_equal(rounds, 100);
    tasklet_drop(target);
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_script_answers),
        cmocka_unit_test(an_answer_is_any_value),
        cmocka_unit_test(whoever_has_the_message_answers),
        cmocka_unit_test(an_answer_may_be_given_outside_a_run),
        cmocka_unit_test(there_may_be_none_in_time),
        cmocka_unit_test(the_receiver_may_end),
        cmocka_unit_test(a_receiver_that_fails_is_reported_all_the_same),
        cmocka_unit_test(the_host_may_go),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
        cmocka_unit_test(threads_ask),
        cmocka_unit_test(a_question_to_one_that_has_ended_is_told),
        cmocka_unit_test(the_one_who_is_told_may_ask_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
