/* Sources of signals alone: topics, classes, emitting, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/source.h"

#define TASKS 6

static struct tk_sched sched;
static struct tk_task tasks[TASKS];
static struct tk_signal_wait waits[TASKS]; /* one a task */
static struct tk_source base, class, instance, other;
static struct tk_source *const sources[] = {&base, &class, &instance, &other};
static struct tk_event event;
static int made, gone; /* payloads; each is a number in memory of its own */
static int listening;

static void *payload(int number)
{
    int *memory = malloc(sizeof *memory);

    assert_non_null(memory);
    *memory = number;
    made++;
    return memory;
}

static void drop(void *context, void *load)
{
    (void)context;
    assert_non_null(load);
    free(load);
    gone++;
}

static void *share(void *context, void *load)
{
    (void)context;
    return payload(*(int *)load);
}

static void unnamed(void *context, struct tk_task *task, void *load)
{
    (void)context;
    (void)task;
    fail_msg("a message %p where there is none", load);
}

static void note_alive(void *context, bool alive)
{
    (void)context;
    (void)alive;
}

static const struct tk_sched_hooks hooks = {drop, share, unnamed, note_alive, NULL};

static int signal_arm(struct tk_wait *wait, struct tk_sched *in, struct tk_fault *fault)
{
    struct tk_signal_wait *signal = (struct tk_signal_wait *)wait;

    (void)in;
    (void)fault;
    tk_list_push(&signal->topic->waits, &signal->node);
    return 0;
}

static void signal_disarm(struct tk_wait *wait, struct tk_sched *in)
{
    (void)in;
    tk_list_remove(&((struct tk_signal_wait *)wait)->node);
}

static const struct tk_kind signal_kind = {
    .name = "signal",
    .size = sizeof(struct tk_signal_wait),
    .payload = 1,
    .flags = TK_REPEATS | TK_STANDS,
    .arm = signal_arm,
    .disarm = signal_disarm,
};

static int listen(struct tk_source *source, struct tk_topic *topic, bool on, struct tk_fault *fault)
{
    (void)fault;
    assert_ptr_equal(topic->source, source);
    listening += on ? 1 : -1;
    return 0;
}

/* `class` is a class of `instance` and `other`, `base` one of `class`. */
static int set_up(void **state)
{
    (void)state;
    made = gone = listening = 0;
    tk_source_init(&base, NULL);
    tk_source_init(&class, &base);
    tk_source_init(&instance, &class);
    tk_source_init(&other, &class);
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_init(&tasks[i]);
        tk_wait_init(&waits[i].wait, &signal_kind, &sched, NULL, NULL);
    }
    return tk_sched_init(&sched, 0, &hooks, NULL);
}

static int tear_down(void **state)
{
    size_t names;

    (void)state;
    for (size_t i = 0; i < TASKS; i++) {
        tk_task_finish(&sched, &tasks[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        tk_source_finish(sources[i], &sched);
    }
    names = sched.atoms.count;
    tk_sched_finish(&sched);
    return made == gone && names == 0 ? 0 : -1;
}

static struct tk_topic *declare(struct tk_source *source, const char *name)
{
    struct tk_topic *topic = tk_source_declare(source, &sched, name, strlen(name));

    assert_non_null(topic);
    return topic;
}

static struct tk_topic *find(struct tk_source *source, const char *name)
{
    return tk_source_topic(source, &sched, name, strlen(name));
}

static int emit(struct tk_source *source, const char *name, int number)
{
    return tk_source_emit(source, &sched, name, strlen(name), payload(number));
}

static int yield_it(size_t number)
{
    struct tk_wait *list[] = {&waits[number].wait};
    struct tk_fault fault;

    return tk_task_wait(&sched, &tasks[number], list, 1, &fault);
}

/* Task `number` begins and waits for that topic. */
static void await(size_t number, struct tk_topic *topic)
{
    waits[number].topic = topic;
    tasks[number].state = TK_RUNNING;
    assert_int_equal(yield_it(number), 0);
}

static void take(size_t number, int load)
{
    assert_true(tk_task_take(&sched, &tasks[number], &event));
    assert_ptr_equal(event.wait, &waits[number].wait);
    if (load < 0) {
        assert_null(event.payload);
    } else {
        assert_int_equal(*(int *)event.payload, load);
        drop(NULL, event.payload);
    }
}

/* Resumes those who were woken: just these, in this order, each with this (-1: nothing). They wait
 * again. */
static void expect_woken(const char *digits, int load)
{
    tk_sched_hand_over(&sched, NULL);
    sched.budget = 100;
    for (; *digits != '\0'; digits++) {
        size_t number = (size_t)(*digits - '0');

        assert_ptr_equal(tk_sched_next(&sched), &tasks[number]);
        tasks[number].state = TK_RUNNING;
        take(number, load);
        assert_int_equal(yield_it(number), 0);
    }
    assert_null(tk_sched_next(&sched));
    assert_int_equal(tk_runq_count(&sched.ready), 0);
}

static void a_topic_is_declared_once(void **state)
{
    struct tk_topic *topic = declare(&class, "open");

    (void)state;
    assert_ptr_equal(declare(&class, "open"), topic);
    assert_ptr_equal(topic->source, &class);
    assert_string_equal(topic->name->text, "open");
    assert_int_equal(topic->name->refs, 1);
    assert_int_equal(class.topics.count, 1);
    assert_ptr_not_equal(declare(&class, "close"), topic);
    assert_ptr_not_equal(declare(&instance, "open"), topic);
    assert_int_equal(sched.atoms.count, 2);
}

static void a_topic_is_the_nearest_class_s(void **state)
{
    struct tk_topic *far = declare(&base, "open"), *near;

    (void)state;
    assert_ptr_equal(find(&instance, "open"), far);
    near = declare(&class, "open");
    assert_ptr_equal(find(&instance, "open"), near);
    assert_ptr_equal(find(&base, "open"), far);
    declare(&instance, "own");
    assert_null(find(&class, "own"));
    assert_null(find(&other, "own"));
    assert_null(find(&instance, "never heard of"));
}

static void what_is_not_declared_is_not_emitted(void **state)
{
    (void)state;
    declare(&instance, "own");
    assert_int_equal(emit(&instance, "never heard of", 1), TK_EINVAL);
    assert_int_equal(emit(&other, "own", 2), TK_EINVAL);
    assert_int_equal(tk_source_emit(&class, &sched, "own", 3, NULL), TK_EINVAL);
    assert_int_equal(gone, 2);
    assert_int_equal(emit(&instance, "own", 3), 0); /* to nobody */
    assert_int_equal(made, 3);
    assert_int_equal(gone, 3);
}

static void all_who_wait_are_woken_in_order(void **state)
{
    struct tk_topic *open = declare(&instance, "open"), *close = declare(&instance, "close");

    (void)state;
    await(2, open);
    await(0, open);
    await(3, close);
    await(1, open);
    assert_int_equal(emit(&instance, "open", 5), 0);
    assert_int_equal(made, 4); /* one for each, and the emitter's */
    assert_int_equal(gone, 1);
    expect_woken("201", 5);
    assert_int_equal(emit(&instance, "close", 6), 0);
    expect_woken("3", 6);
    assert_int_equal(tk_source_emit(&instance, &sched, "open", 4, NULL), 0);
    expect_woken("201", -1);
}

static void one_that_does_not_wait_now_finds_them_in_order(void **state)
{
    (void)state;
    await(0, declare(&instance, "open"));
    assert_int_equal(emit(&instance, "open", 1), 0);
    assert_int_equal(emit(&instance, "open", 2), 0);
    assert_int_equal(emit(&instance, "open", 3), 0);
    tk_sched_hand_over(&sched, NULL);
    sched.budget = 100;
    sched.credit = 100;
    assert_ptr_equal(tk_sched_next(&sched), &tasks[0]);
    tasks[0].state = TK_RUNNING;
    take(0, 1);
    assert_int_equal(yield_it(0), 1);
    take(0, 2);
    assert_int_equal(emit(&instance, "open", 4), 0);
    assert_int_equal(yield_it(0), 1);
    take(0, 3);
    take(0, 4);
    assert_null(sched.batch);
}

static void one_that_has_left_hears_nothing(void **state)
{
    struct tk_fault fault;

    (void)state;
    await(0, declare(&instance, "open"));
    await(1, find(&instance, "open"));
    tasks[0].state = TK_RUNNING;
    assert_int_equal(tk_task_wait(&sched, &tasks[0], NULL, 0, &fault), 0);
    assert_int_equal(emit(&instance, "open", 1), 0);
    expect_woken("1", 1);
}

static void a_class_hears_its_instances(void **state)
{
    (void)state;
    await(0, declare(&base, "open"));
    await(1, declare(&class, "open"));
    await(2, declare(&instance, "open"));
    await(3, declare(&other, "open"));
    await(4, declare(&class, "close"));
    assert_int_equal(emit(&instance, "open", 1), 0);
    expect_woken("210", 1);
    assert_int_equal(emit(&other, "open", 2), 0);
    expect_woken("310", 2);
    assert_int_equal(emit(&class, "open", 3), 0);
    expect_woken("10", 3);
    assert_int_equal(emit(&base, "open", 4), 0);
    expect_woken("0", 4);
    /* Declared by a class alone. */
    assert_int_equal(emit(&instance, "close", 5), 0);
    expect_woken("4", 5);
    assert_int_equal(emit(&base, "close", 6), TK_EINVAL);
    expect_woken("", 0);
}

static void its_end_is_heard_by_those_who_wait_for_it(void **state)
{
    (void)state;
    await(0, declare(&instance, "open"));
    await(1, find(&instance, "open"));
    await(2, declare(&class, "open"));
    await(3, declare(&other, "open"));
    tk_source_destroy(&instance, &sched);
    assert_true(instance.destroyed);
    assert_true(waits[0].destroyed && waits[1].destroyed);
    assert_false(waits[2].destroyed || waits[3].destroyed);
    expect_woken("01", -1);
    tk_source_destroy(&instance, &sched);
    expect_woken("", 0);
    assert_int_equal(emit(&instance, "open", 1), TK_EINVAL);
    expect_woken("", 0);
    assert_int_equal(emit(&other, "open", 2), 0);
    expect_woken("32", 2);
}

static void all_topics_hear_of_the_end(void **state)
{
    (void)state;
    await(0, declare(&class, "a"));
    await(1, declare(&class, "b"));
    await(2, declare(&class, "c"));
    tk_source_destroy(&class, &sched);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tasks[i].state, TK_HANDED);
        assert_int_equal(waits[i].wait.pending, 1);
        assert_true(waits[i].destroyed);
    }
    for (size_t i = 0; i < 3; i++) {
        tk_task_end(&sched, &tasks[i]);
    }
    assert_null(sched.batch);
}

static void waits_that_are_armed_when_it_is_freed_are_cut_off(void **state)
{
    (void)state;
    instance.listen = listen;
    await(0, declare(&instance, "open"));
    await(1, find(&instance, "open"));
    await(2, declare(&instance, "close"));
    declare(&instance, "nobody's");
    listening = 2;
    tk_source_finish(&instance, &sched);
    assert_int_equal(listening, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_null(waits[i].topic);
        assert_false(tk_list_linked(&waits[i].node));
        assert_ptr_equal(waits[i].wait.task, &tasks[i]);
        assert_int_equal(tasks[i].state, TK_WAITING);
    }
    assert_null(sched.batch);
    assert_int_equal(sched.atoms.count, 0);
    assert_int_equal(instance.topics.count, 0);
}

static void it_may_outlive_the_atoms(void **state)
{
    (void)state;
    declare(&instance, "open");
    tk_atoms_finish(&sched.atoms);
    tk_source_finish(&instance, NULL);
    assert_int_equal(instance.topics.count, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_topic_is_declared_once),
        CASE(a_topic_is_the_nearest_class_s),
        CASE(what_is_not_declared_is_not_emitted),
        CASE(all_who_wait_are_woken_in_order),
        CASE(one_that_does_not_wait_now_finds_them_in_order),
        CASE(one_that_has_left_hears_nothing),
        CASE(a_class_hears_its_instances),
        CASE(its_end_is_heard_by_those_who_wait_for_it),
        CASE(all_topics_hear_of_the_end),
        CASE(waits_that_are_armed_when_it_is_freed_are_cut_off),
        CASE(it_may_outlive_the_atoms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
