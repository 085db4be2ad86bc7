/*
 * Messages and calls from other threads: nothing is lost, the order of each thread is kept, and a
 * port outlives its host.
 */
#include "threads.h"

/* ---- threads ---- */

static void note(void *context, struct tasklet_host *host)
{
    (void)host;
    sem_post(context);
}

/* Waits until the host has come to all that this thread has sent, or has gone: so what is on its
 * way is bounded. */
static int catch_up(struct tasklet_port *port)
{
    sem_t come;
    int rc;

    sem_init(&come, 0, 0);
    rc = tasklet_port_call(port, note, &come);
    if (rc == 0) {
        sem_wait(&come);
    }
    sem_destroy(&come);
    return rc;
}

enum { THREADS = 8, RECEIVERS = 4, BURST = 3000 };

struct poster {
    pthread_t thread;
    struct tasklet_port *port;
    const unsigned long long *ids;
    int number; /* from 1 */
    int count;  /* for each receiver */
    int rc;
};

/* To each receiver the numbers of this thread, one after the other. */
static void *post_numbers(void *arg)
{
    struct poster *poster = arg;

    for (int i = 1; i <= poster->count; i++) {
        for (int k = 0; k < RECEIVERS; k++) {
            struct tasklet_value value = tasklet_integer(poster->number * 10000000LL + i);

            poster->rc |= tasklet_post(poster->port, poster->ids[k], "number", &value);
        }
    }
    tasklet_port_drop(poster->port);
    return NULL;
}

static void run_posters(const char *receiver, int total, size_t max_mailbox)
{
    struct tasklet_start_options options;
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct poster posters[THREADS];
    unsigned long long ids[RECEIVERS];
    int count = work(total) / (THREADS * RECEIVERS);

    tasklet_start_options_init(&options);
    options.max_mailbox = max_mailbox;
    set_integer(host, "count", count);
    set_integer(host, "threads", THREADS);
    set_integer(host, "received", 0);
    for (int i = 0; i < RECEIVERS; i++) {
        struct tasklet *t = started(host, receiver, &options);

        ids[i] = tasklet_id(t);
        tasklet_drop(t);
    }
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){
            .port = tasklet_port_hold(port), .ids = ids, .number = i + 1, .count = count};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_numbers, &posters[i]), 0);
    }
    tasklet_port_drop(port);
    assert_int_equal(tasklet_host_run(host), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_int_equal(posters[i].rc, 0);
    }
    assert_int_equal(global_integer(host, "received"), count * THREADS * RECEIVERS);
    tasklet_host_free(host);
}

static const char check_number[] = "local last = {}\n"
                                   "local function check(message)\n"
                                   "    local who = message.value // 10000000\n"
                                   "    local number = message.value % 10000000\n"
                                   "    assert(message.name == 'number')\n"
                                   "    assert(message.sender == nil)\n"
                                   "    assert(number == (last[who] or 0) + 1)\n"
                                   "    last[who] = number\n"
                                   "    received = received + 1\n"
                                   "end\n";

static void eight_threads_post_a_million_messages(void **state)
{
    char script[2000];

    (void)state;
    snprintf(script, sizeof script,
             "%s"
             "local left = count * threads\n"
             "for message in tasklet.receive() do\n"
             "    check(message)\n"
             "    left = left - 1\n"
             "    if left == 0 then break end\n"
             "end\n",
             check_number);
    run_posters(script, 1000000, 0);
}

static void a_bounded_mailbox_loses_nothing(void **state)
{
    char script[2000];

    (void)state;
    snprintf(script, sizeof script,
             "%s"
             "local left = count * threads\n"
             "for list in tasklet.receive_batch(100, 0) do\n"
             "    for _, message in ipairs(list) do check(message) end\n"
             "    assert(#tasklet.current().mailbox <= 10)\n"
             "    left = left - #list\n"
             "    if left == 0 then break end\n"
             "end\n",
             check_number);
    run_posters(script, 200000, 10);
}

static void they_come_to_conditions_as_well(void **state)
{
    char script[2000];

    (void)state;
    snprintf(script, sizeof script,
             "%s"
             "local messages = tasklet.WaitForMessages{accept='number', defer='other'}\n"
             "local timeout = tasklet.WaitForTimeout(0)\n"
             "for left = count * threads, 1, -1 do\n"
             "    local event\n"
             "    repeat event = tasklet.wait(timeout, messages) until event ~= timeout\n"
             "    check(event)\n"
             "    if left %% 3 == 0 then tasklet.yield_() end\n"
             "end\n",
             check_number);
    run_posters(script, 200000, 3);
}

/* ---- values ---- */

static void every_value_arrives_as_sent(void **state)
{
    static const char script[] =

        "local texts = {}\n"
        "for message in tasklet.receive() do\n"
        "    local value = message.value\n"
        "    if message.name == 'end' then break end\n"
        "    if type(value) == 'userdata' then value = value == pointer end\n"
        "    texts[#texts + 1] = message.name .. ':' .. math.type(value)\n"
        "        .. ':' .. string.format('%q', value)\n"
        "end\n"
        "result = table.concat(texts, ' ')\n";
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t;
    unsigned long long id;
    char bytes[] = "a\0b";
    struct tasklet_value value;

    (void)state;
    perform(host, "local of = math.type\n"
                  "function math.type(v) return of(v) or type(v) end\n");
    value = tasklet_pointer(bytes);
    assert_int_equal(tasklet_global_set(host, "pointer", &value), 0);
    t = started(host, script, NULL);
    id = tasklet_id(t);
    assert_int_equal(tasklet_post(port, id, "a", NULL), 0);
    value = tasklet_nil();
    assert_int_equal(tasklet_post(port, id, "b", &value), 0);
    value = tasklet_boolean(1);
    assert_int_equal(tasklet_post(port, id, "c", &value), 0);
    value = tasklet_integer(-7);
    assert_int_equal(tasklet_post(port, id, "d", &value), 0);
    value = tasklet_number(0.5);
    assert_int_equal(tasklet_post(port, id, "e", &value), 0);
    value = tasklet_bytes(bytes, 3);
    assert_int_equal(tasklet_post(port, id, "f", &value), 0);
    memset(bytes, 'x', sizeof bytes); /* they have been copied */
    value = tasklet_bytes(NULL, 0);
    assert_int_equal(tasklet_post(port, id, "", &value), 0);
    value = tasklet_pointer(bytes);
    assert_int_equal(tasklet_post(port, id, "p", &value), 0);
    assert_int_equal(tasklet_post(port, id, "end", NULL), 0);
    tasklet_port_drop(port);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_shown(host, "result",
                 "a:nil:nil b:nil:nil c:boolean:true d:integer:-7 e:float:0x1p-1 "
                 "f:string:\"a\\0b\" :string:\"\" p:boolean:true");
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void what_belongs_to_a_host_is_refused(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t = started(host, "", NULL);
    struct tasklet_value value;

    (void)state;
    assert_int_equal(tasklet_table_new(host, &value), 0);
    assert_int_equal(tasklet_post(port, tasklet_id(t), "x", &value), TASKLET_EINVAL);
    assert_int_equal(tasklet_send(t, "x", &value), 0);
    tasklet_release(host, &value);
    value.type = 77;
    assert_int_equal(tasklet_post(port, tasklet_id(t), "x", &value), TASKLET_EINVAL);
    assert_int_equal(tasklet_post(port, tasklet_id(t), NULL, NULL), TASKLET_EINVAL);
    tasklet_port_drop(port);
    tasklet_drop(t);
    tasklet_host_free(host);
}

/* ---- receivers ---- */

static void a_post_to_one_that_has_ended_is_dropped(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t = started(host, "", NULL);
    unsigned long long id = tasklet_id(t);

    (void)state;
    assert_true(id > 0);
    assert_int_equal(tasklet_id(t), id);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_post(port, id, "late", NULL), 0);
    assert_int_equal(tasklet_post(port, id + 1000, "nobody", NULL), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_send(t, "late", NULL), TASKLET_EENDED);
    tasklet_port_drop(port);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void a_full_mailbox_holds_up_nobody_else(void **state)
{
    static const char full[] = "me, door, seen = tasklet.current(), tasklet.channel(), ''\n"
                               "door:receive()\n"
                               "for message in tasklet.receive() do\n"
                               "    seen = seen .. message.value\n"
                               "    if message.value == 9 then break end\n"
                               "end\n";
    static const char other[] = "for message in tasklet.receive() do break end\n"
                                "inside = #me.mailbox\n"
                                "door:send(1)\n";
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet_start_options options;
    struct tasklet *first, *second;
    struct tasklet_value value;

    (void)state;
    tasklet_start_options_init(&options);
    options.max_mailbox = 2;
    first = started(host, full, &options);
    second = started(host, other, NULL);
    for (int i = 0; i < 10; i++) {
        value = tasklet_integer(i);
        assert_int_equal(tasklet_post(port, tasklet_id(first), "n", &value), 0);
    }
    assert_int_equal(tasklet_post(port, tasklet_id(second), "go", NULL), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(global_integer(host, "inside"), 2);
    assert_shown(host, "seen", "0123456789");
    tasklet_drop(first);
    tasklet_drop(second);
    tasklet_port_drop(port);
    tasklet_host_free(host);
}

static void a_full_mailbox_lets_in_what_is_accepted(void **state)
{
    static const char script[] =

        "local messages = tasklet.WaitForMessages{accept='urgent', defer='later'}\n"
        "local message = tasklet.wait(messages)\n"
        "seen = message.value\n"
        "for message in tasklet.receive(0) do\n"
        "    seen = seen .. message.value\n"
        "    if message.value == 4 then break end\n"
        "end\n";
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet_start_options options;
    struct tasklet_value value;
    struct tasklet *t;

    (void)state;
    tasklet_start_options_init(&options);
    options.max_mailbox = 2;
    t = started(host, script, &options);
    for (int i = 1; i <= 4; i++) {
        value = tasklet_integer(i);
        assert_int_equal(tasklet_post(port, tasklet_id(t), "later", &value), 0);
    }
    value = tasklet_integer(5);
    assert_int_equal(tasklet_post(port, tasklet_id(t), "urgent", &value), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_shown(host, "seen", "51234");
    tasklet_drop(t);
    tasklet_port_drop(port);
    tasklet_host_free(host);
}

static void one_that_ends_drops_what_waits_for_room(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet_start_options options;
    struct tasklet *t;

    (void)state;
    tasklet_start_options_init(&options);
    options.max_mailbox = 1;
    t = started(host,

                "local timeout = tasklet.WaitForTimeout(1)\n"
                "repeat tasklet.wait(timeout) until\n"
                "    #tasklet.current().mailbox == 1\n",
                &options);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tasklet_post(port, tasklet_id(t), "n", NULL), 0);
    }
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_send(t, "n", NULL), TASKLET_EENDED);
    tasklet_drop(t);
    tasklet_port_drop(port);
    tasklet_host_free(host);
}

/* A message that comes together with something else is there when the tasklet looks for it, even if
 * it went on with the other and waited for something else meanwhile. */
static void what_comes_with_something_else_is_not_lost(void **state)
{
    static const char script[] = "local messages = tasklet.WaitForMessages{accept='n'}\n"
                                 "local idle = tasklet.WaitForTimeout(0)\n"
                                 "local got = 0\n"
                                 "while got < 1000 do\n"
                                 "    local event = tasklet.wait(idle, messages)\n"
                                 "    if event == idle then\n"
                                 "        tasklet.yield_()\n"
                                 "        tasklet.wait(tasklet.WaitForTimeout(0))\n"
                                 "    else\n"
                                 "        got = got + 1\n"
                                 "        assert(event.value == got)\n"
                                 "    end\n"
                                 "end\n";
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t = started(host, script, NULL), *clock;
    struct tasklet_value value;

    (void)state;
    clock = started(host,
                    "local t, left = target, 1000\n"
                    "for i = 1, 300 do tasklet.sleep(0) end\n",
                    NULL);
    for (int i = 1; i <= 1000; i++) {
        value = tasklet_integer(i);
        assert_int_equal(tasklet_post(port, tasklet_id(t), "n", &value), 0);
    }
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_send(t, "n", NULL), TASKLET_EENDED);
    tasklet_drop(t);
    tasklet_drop(clock);
    tasklet_port_drop(port);
    tasklet_host_free(host);
}

/* ---- what keeps a program going ---- */

/* Lets the loop turn twice at least, while all tasklets wait. */
static void turn_round(struct tasklet_port *port)
{
    for (int i = 0; i < 3; i++) {
        catch_up(port);
    }
}

struct late {
    pthread_t thread;
    struct tasklet_port *port;
    unsigned long long id;
};

static void *post_late(void *arg)
{
    struct late *late = arg;

    turn_round(late->port);
    tasklet_post(late->port, late->id, "late", NULL);
    turn_round(late->port);
    tasklet_port_drop(late->port);
    return NULL;
}

/* While a port is held those who wait may be woken by a post; when it is not any more, they cannot,
 * and that is told. */
static void who_waits_while_a_port_is_held_is_not_deadlocked(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    struct tasklet *t;
    struct late late;

    (void)state;
    tasklet_options_init(&options); /* the deadlock is expected: it is not shown */
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    perform(host, "tasklet = require 'tasklet'");
    t = started(host, "for message in tasklet.receive() do got = message.name end\n", NULL);
    late.port = tasklet_port_new(host);
    late.id = tasklet_id(t);
    assert_int_equal(pthread_create(&late.thread, NULL, post_late, &late), 0);
    assert_int_equal(tasklet_host_run(host), 3);
    pthread_join(late.thread, NULL);
    assert_shown(host, "got", "late");
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void a_port_keeps_no_program_alive(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct tasklet *t = started(host, "", NULL);

    (void)state;
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_drop(t);
    tasklet_port_drop(port);
    tasklet_host_free(host);
}

struct flood {
    pthread_t thread;
    struct tasklet_port *port;
    unsigned long long id;
    atomic_int over;
    int rc;
};

static void *flood(void *arg)
{
    struct flood *flood = arg;

    while (!atomic_load(&flood->over)) {
        for (int i = 0; i < BURST; i++) {
            flood->rc |= tasklet_post(flood->port, flood->id, "drop", NULL);
        }
        catch_up(flood->port);
    }
    tasklet_port_drop(flood->port);
    return NULL;
}

static int call_over(struct tasklet_call *call, void *context)
{
    struct flood *flood = context;

    atomic_store(&flood->over, 1);
    return tasklet_return(call, NULL, 0);
}

static void posts_without_end_starve_nobody(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet *receiver, *sleeper;
    struct flood floods[2];

    (void)state;
    receiver = started(host,
                       "local messages = tasklet.WaitForMessages{accept='end', discard='drop'}\n"
                       "tasklet.wait(messages)\n",
                       NULL);
    sleeper = started(host,
                      "for i = 1, 20 do tasklet.sleep(0.001) end\n"
                      "over1() over2()\n",
                      NULL);
    for (int i = 0; i < 2; i++) {
        floods[i].port = tasklet_port_new(host);
        floods[i].id = tasklet_id(receiver);
        floods[i].rc = 0;
        atomic_init(&floods[i].over, 0);
        assert_int_equal(tasklet_define(host, i == 0 ? "over1" : "over2", call_over, &floods[i]),
                         0);
        assert_int_equal(pthread_create(&floods[i].thread, NULL, flood, &floods[i]), 0);
    }
    assert_int_equal(tasklet_host_run(host), 3); /* the receiver is left, for nothing */
    for (int i = 0; i < 2; i++) {
        pthread_join(floods[i].thread, NULL);
        assert_int_equal(floods[i].rc, 0);
    }
    tasklet_drop(receiver);
    tasklet_drop(sleeper);
    tasklet_host_free(host);
}

/* ---- calls ---- */

struct calls {
    struct tasklet_host *host;
    pthread_t thread;
    int count;
    int gone; /* called with NULL */
    int wrong;
};

static void count_call(void *context, struct tasklet_host *host)
{
    struct calls *calls = context;

    calls->count++;
    calls->gone += host == NULL;
    calls->wrong +=
        (host != NULL && host != calls->host) || !pthread_equal(pthread_self(), calls->thread);
}

struct caller {
    pthread_t thread;
    struct tasklet_port *port;
    struct calls *calls;
    int count;
    int rc;
};

static void *call_often(void *arg)
{
    struct caller *caller = arg;

    for (int i = 0; i < caller->count; i++) {
        caller->rc |= tasklet_port_call(caller->port, count_call, caller->calls);
    }
    tasklet_port_drop(caller->port);
    return NULL;
}

static void calls_are_made_in_the_hosts_thread(void **state)
{
    struct tasklet_host *host = host_made();
    struct calls calls = {.host = host, .thread = pthread_self()};
    struct caller callers[4];
    struct tasklet *t = started(host, "tasklet.receive()()\n", NULL);

    (void)state;
    for (int i = 0; i < 4; i++) {
        callers[i] =
            (struct caller){.port = tasklet_port_new(host), .calls = &calls, .count = work(10000)};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    assert_int_equal(tasklet_host_run(host), 3);
    for (int i = 0; i < 4; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].rc, 0);
    }
    assert_int_equal(calls.count, 4 * work(10000));
    assert_int_equal(calls.wrong, 0);
    assert_int_equal(calls.gone, 0);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void a_call_that_the_host_does_not_come_to_is_told(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    struct calls calls = {.host = host, .thread = pthread_self()};

    (void)state;
    assert_int_equal(tasklet_port_call(port, NULL, NULL), TASKLET_EINVAL);
    assert_int_equal(tasklet_port_call(port, count_call, &calls), 0);
    assert_int_equal(calls.count, 0);
    tasklet_host_free(host);
    assert_int_equal(calls.count, 1);
    assert_int_equal(calls.gone, 1);
    assert_int_equal(tasklet_port_call(port, count_call, &calls), TASKLET_ECLOSED);
    assert_int_equal(tasklet_post(port, 1, "x", NULL), TASKLET_ECLOSED);
    assert_int_equal(calls.count, 1);
    tasklet_port_drop(tasklet_port_hold(port));
    tasklet_port_drop(port);
    tasklet_port_drop(NULL);
}

/* A call may come when the program is about to end, and give it something to do. */
static void start_more(void *context, struct tasklet_host *host)
{
    tasklet_drop(started(host, context, NULL));
}

static void a_call_may_start_what_goes_on(void **state)
{
    struct tasklet_host *host = host_made();
    struct tasklet_port *port = tasklet_port_new(host);
    char script[] = "tasklet.sleep(0.001)\nran = true\n";

    (void)state;
    assert_int_equal(tasklet_port_call(port, start_more, script), 0);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_shown(host, "ran", "true");
    tasklet_port_drop(port);
    tasklet_host_free(host);
}

/* ---- races ---- */

static void *post_until_closed(void *arg)
{
    struct flood *flood = arg;
    struct tasklet_value value = tasklet_string("some bytes");

    do {
        for (int i = 0; i < BURST / 10; i++) {
            flood->rc = tasklet_post(flood->port, flood->id, "n", &value);
        }
        catch_up(flood->port);
    } while (flood->rc == 0);
    tasklet_port_drop(flood->port);
    return NULL;
}

/* Receivers end and hosts go while others post. */
static void posts_race_with_the_end(void **state)
{
    int rounds = work(20);

    (void)state;
    for (int i = 0; i < rounds; i++) {
        struct tasklet_host *host = host_made();
        struct flood floods[4];
        struct tasklet *t = started(host,
                                    "for message in tasklet.receive() do\n"
                                    "    seen = (seen or 0) + 1\n"
                                    "    if seen == 100 then break end\n"
                                    "end\n",
                                    NULL);
        for (int k = 0; k < 4; k++) {
            floods[k].port = tasklet_port_new(host);
            floods[k].id = tasklet_id(t);
            assert_int_equal(pthread_create(&floods[k].thread, NULL, post_until_closed, &floods[k]),
                             0);
        }
        if (i % 2 == 0) {
            assert_int_equal(tasklet_host_run(host), 0);
        }
        tasklet_drop(t);
        tasklet_host_free(host);
        for (int k = 0; k < 4; k++) {
            pthread_join(floods[k].thread, NULL);
            assert_int_equal(floods[k].rc, TASKLET_ECLOSED);
        }
    }
}

/* Kills the receiver and starts another one, as long as messages come. */
static void posts_race_with_kills(void **state)
{
    static const char script[] = "local kills = 0\n"
                                 "repeat\n"
                                 "    tasklet.sleep(0)\n"
                                 "    target:kill()\n"
                                 "    kills = kills + 1\n"
                                 "until kills >= 50 and seen >= 20\n"
                                 "finished = true\n"
                                 "target:kill()\n"
                                 "over1() over2()\n";
    struct tasklet_host *host = host_made();
    struct tasklet *target, *killer;
    struct flood floods[2];

    (void)state;
    target = started(host,
                     "target, seen = tasklet.current(), 0\n"
                     "while true do\n"
                     "    pcall(function()\n"
                     "        for message in tasklet.receive() do seen = seen + 1 end\n"
                     "    end)\n"
                     "    if finished then break end\n"
                     "    tasklet.survive()\n"
                     "end\n",
                     NULL);
    killer = started(host, script, NULL);
    for (int i = 0; i < 2; i++) {
        floods[i].port = tasklet_port_new(host);
        floods[i].id = tasklet_id(target);
        floods[i].rc = 0;
        atomic_init(&floods[i].over, 0);
        assert_int_equal(tasklet_define(host, i == 0 ? "over1" : "over2", call_over, &floods[i]),
                         0);
        assert_int_equal(pthread_create(&floods[i].thread, NULL, flood, &floods[i]), 0);
    }
    begin(host, "tasklet.receive()()\n"); /* the host runs as long as a port is held */
    run_to(host, 3);
    for (int i = 0; i < 2; i++) {
        pthread_join(floods[i].thread, NULL);
        assert_int_equal(floods[i].rc, 0);
    }
    assert_true(global_integer(host, "seen") >= 20);
    tasklet_drop(target);
    tasklet_drop(killer);
    tasklet_host_free(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_threads_post_a_million_messages),
        cmocka_unit_test(a_bounded_mailbox_loses_nothing),
        cmocka_unit_test(they_come_to_conditions_as_well),
        cmocka_unit_test(every_value_arrives_as_sent),
        cmocka_unit_test(what_belongs_to_a_host_is_refused),
        cmocka_unit_test(a_post_to_one_that_has_ended_is_dropped),
        cmocka_unit_test(a_full_mailbox_holds_up_nobody_else),
        cmocka_unit_test(a_full_mailbox_lets_in_what_is_accepted),
        cmocka_unit_test(one_that_ends_drops_what_waits_for_room),
        cmocka_unit_test(what_comes_with_something_else_is_not_lost),
        cmocka_unit_test(who_waits_while_a_port_is_held_is_not_deadlocked),
        cmocka_unit_test(a_port_keeps_no_program_alive),
        cmocka_unit_test(posts_without_end_starve_nobody),
        cmocka_unit_test(calls_are_made_in_the_hosts_thread),
        cmocka_unit_test(a_call_that_the_host_does_not_come_to_is_told),
        cmocka_unit_test(a_call_may_start_what_goes_on),
        cmocka_unit_test(posts_race_with_the_end),
        cmocka_unit_test(posts_race_with_kills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
