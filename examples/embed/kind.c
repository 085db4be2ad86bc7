/*
 * kind.c - a wait condition of the program's own. WaitForTick(n) fires when the program's counter
 * has gone on by n ticks; scripts make it, give it a priority, and yield it together with any other
 * condition, as they do the library's own. The counter is moved by a loop of the program's, between
 * the turns of the host.
 */
#include <stdio.h>
#include <tasklet.h>

static const char script[] =
    "local tasklet = require 'tasklet'\n"
    "local tick = tasklet.WaitForTick(3)\n"
    "print(tick)\n"
    "for i = 1, 2 do\n"
    "    tasklet.wait(tick)\n"
    "    print('tick', tick.value)\n"
    "end\n"
    "local long = tasklet.WaitForTick(1000)\n"
    "local event = tasklet.wait(long, tasklet.WaitForTick(1), tasklet.WaitForTimeout(1e6))\n"
    "print(event == long, event.value)\n"
    "print(pcall(tasklet.WaitForTick, 0))\n";

/* What each condition has for the program: a link in the list of those that are armed. */
struct tick {
    struct tasklet_wait *wait;
    struct tick *next;
    long long step, due;
};

static struct tick *armed;
static long long now;

static int init(struct tasklet_wait *wait, const struct tasklet_value *args)
{
    struct tick *tick = tasklet_wait_state(wait);

    if (args[0].as.integer < 1) return tasklet_wait_fail(wait, "a tick at least");
    tick->wait = wait;
    tick->step = args[0].as.integer;
    return 0;
}

static int arm(struct tasklet_wait *wait)
{
    struct tick *tick = tasklet_wait_state(wait);

    tick->due = now + tick->step;
    tick->next = armed;
    armed = tick;
    return 0;
}

static void disarm(struct tasklet_wait *wait)
{
    struct tick *tick = tasklet_wait_state(wait), **link = &armed;

    while (*link != tick) {
        link = &(*link)->next;
    }
    *link = tick->next;
}

static void describe(struct tasklet_wait *wait, char *text, size_t size)
{
    snprintf(text, size, "%lld", ((struct tick *)tasklet_wait_state(wait))->step);
}

static const struct tasklet_param params[] = {{"ticks", TASKLET_INTEGER, 0}, {NULL, 0, 0}};

static const struct tasklet_kind kind = {
    .size = sizeof kind,
    .name = "WaitForTick",
    .params = params,
    .state_size = sizeof(struct tick),
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .describe = describe,
};

/* One tick: those that are due fire. No script runs here, so the list stays as it is. */
static void count(void)
{
    struct tasklet_value value = tasklet_integer(++now);

    for (struct tick *tick = armed; tick != NULL; tick = tick->next) {
        if (tick->due <= now) tasklet_wait_fire(tick->wait, &value);
    }
}

int main(void)
{
    struct tasklet_value function;
    struct tasklet_host *host;
    int more, status;

    if (tasklet_host_new(NULL, &host) < 0) return 1;
    if (tasklet_kind_add(host, &kind) < 0 ||
        tasklet_load_string(host, script, "=kind", &function) < 0 ||
        tasklet_start(host, NULL, &function, NULL, 0, NULL) < 0) {
        fprintf(stderr, "kind: %s\n", tasklet_host_error(host));
        return 1;
    }
    tasklet_release(host, &function);
    while ((more = tasklet_host_turn(host, 0)) == 1) {
        count();
    }
    status = more < 0 ? 1 : tasklet_host_status(host);
    tasklet_host_free(host);
    return status;
}
