/*
 * No memory, at every allocation in turn, for what passes between a host and its program: ports,
 * questions, calls that wait, functions, kinds; and for streams. What was promised is kept all the
 * same: who asked is answered once, what was taken is given back, what was armed is disarmed.
 */
#include <lualib.h>
#include <uv.h>

#include "memory.h"

static struct {
    struct tasklet_host *host;
    struct tasklet_port *port;
    struct tasklet_pending *kept; /* a call that nobody completes in time */
    int asked, answered, called, came, made, destroyed, suspended, completed;
    int begun, finished, armed, disarmed;
} life;

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        _exit(2);
    }
}
#define MUST(x) must(x, #x)

static bool is_scarce(int rc)
{
    return rc == 0 || rc == TASKLET_ENOMEM;
}

/* ---- what scripts call ---- */

static void complete(void *context, struct tasklet_host *host)
{
    struct tasklet_value values[3] = {tasklet_integer(1),
                                      tasklet_string("a text that is rather "
                                                     "long, for a text"),
                                      tasklet_nil()};
    int rc = tasklet_complete(context, values, 3);

    (void)host;
    life.came++;
    life.completed++;
    MUST(rc == 0 || rc == TASKLET_ENOMEM || rc == TASKLET_EENDED || rc == TASKLET_ECLOSED);
}

static int wait_a_little(struct tasklet_call *call, void *context)
{
    struct tasklet_pending *pending = NULL;
    int rc = tasklet_suspend(call, "a little", NULL, NULL, &pending);

    (void)context;
    MUST((rc == 0) == (pending != NULL));
    life.suspended += pending != NULL;
    if (pending != NULL && life.port != NULL &&
        tasklet_port_call(life.port, complete, pending) == 0) {
        life.called++;
    } else if (pending != NULL) {
        tasklet_abort(pending, "it cannot be done");
        life.completed++;
    }
    return rc;
}

static int wait_long(struct tasklet_call *call, void *context)
{
    struct tasklet_pending *pending = NULL;
    int rc = tasklet_suspend(call, "for ever", NULL, NULL, &pending);

    (void)context;
    life.suspended += pending != NULL;
    if (life.kept != NULL) {
        tasklet_abort(life.kept, NULL);
        life.completed++;
    }
    life.kept = pending;
    return rc;
}

static int echo(struct tasklet_call *call, void *context)
{
    struct tasklet_value values[3];
    const char *bytes;
    size_t length;

    (void)context;
    for (int i = 0; i < 2; i++) {
        values[i] = tasklet_arg(call, i + 1);
    }
    if (tasklet_arg_string(call, 3, &bytes, &length) < 0) {
        return -1;
    }
    values[2] = tasklet_bytes(bytes, length);
    return tasklet_return(call, values, 3);
}

static void destroyed(void *context)
{
    (void)context;
    life.destroyed++;
}

/* ---- a kind ---- */

static int init(struct tasklet_wait *wait, const struct tasklet_value *args)
{
    struct tasklet_value *kept = tasklet_wait_state(wait);
    int rc = tasklet_keep(tasklet_wait_host(wait), &args[0], kept);

    life.begun += rc == 0;
    return rc;
}

static int arm(struct tasklet_wait *wait)
{
    struct tasklet_value *kept = tasklet_wait_state(wait);

    int rc = tasklet_wait_fire(wait, kept);

    life.armed += rc == 0;
    return rc;
}

static void disarm(struct tasklet_wait *wait)
{
    (void)wait;
    life.disarmed++;
}

static void finish(struct tasklet_wait *wait)
{
    tasklet_release(tasklet_wait_host(wait), tasklet_wait_state(wait));
    life.finished++;
}

static const struct tasklet_param params[] = {
    {"thing", TASKLET_NIL, 0},
    {"why", TASKLET_STRING, TASKLET_OPTIONAL | TASKLET_OPTION},
    {NULL, 0, 0}};

static const struct tasklet_kind kind = {
    .size = sizeof kind,
    .name = "WaitForThing",
    .params = params,
    .state_size = sizeof(struct tasklet_value),
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .finish = finish,
};

/* ---- a program ---- */

static const char script[] =
    "went_well = 0\n"
    "local t = require 'tasklet'\n"
    "local function try(f, ...)\n"
    "    if pcall(t.with_deadline, 0.05, f, ...) then went_well = went_well + 1 end\n"
    "end\n"
    "local function wait(...) t.wait(t.WaitForThing(...)) end\n"
    "try(little)\n"
    "t.run(long):kill()\n"
    "try(function() return t.any { long, little } end)\n"
    "try(echo, {}, print, 123.5)\n"
    "try(wait, {})\n"
    "try(wait, print, { why = 'because', priority = 0 })\n"
    "local thing = t.run(function() t.wait(t.WaitForThing(1)) long() end)\n"
    "thing:kill()\n"
    "local me = t.current()\n"
    "for i = 1, 5 do\n"
    "    try(function()\n"
    "        local m = me.mailbox:popleft()\n"
    "        m:reply { m.value }\n"
    "    end)\n"
    "end\n";

static const char streams[] =
    "went_well = 0\n"
    "local t = require 'tasklet'\n"
    "local function try(f, ...)\n"
    "    if pcall(t.with_deadline, 0.5, f, ...) then went_well = went_well + 1 end\n"
    "end\n"
    "try(function()\n"
    "    local left, right = t.net.pair()\n"
    "    local a <close> = left\n"
    "    local b <close> = right\n"
    "    local echo = t.run(function()\n"
    "        for line in b:lines() do b:write(line:upper(), '\\n') end\n"
    "        b:close()\n"
    "    end)\n"
    "    a:write('one\\n', 'two\\n')\n"
    "    a:read() a:read()\n"
    "    a:write(('x'):rep(10000), '\\n')\n"
    "    a:read()\n"
    "    a:shutdown()\n"
    "    echo:join()\n"
    "end)\n"
    "try(function()\n"
    "    local server <close> = assert(t.net.listen { host = '127.0.0.1', port = 0 })\n"
    "    t.run(function()\n"
    "        for stream in server:connections() do stream:write 'hello\\n' stream:close() end\n"
    "    end)\n"
    "    local _, port = server:sockname()\n"
    "    local stream <close> = assert(t.net.connect { port = port })\n"
    "    stream:read 'a'\n"
    "end)\n"
    "try(function() t.process.run { 'true' } end)\n"
    "try(function() t.fs.stat '/' end)\n"
    "try(function() t.fs.read_file '/etc/hostname' end)\n";

static void nothing(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static void replied(void *context, int status, const struct tasklet_value *value)
{
    (void)context;
    MUST((status == 0) == (value != NULL));
    life.answered++;
}

static void came(void *context, struct tasklet_host *host)
{
    (void)context;
    (void)host;
    life.came++;
}

static void equip(struct tasklet_host *host)
{
    struct tasklet_value function;
    int rc;

    life.host = host;
    life.port = tasklet_port_new(host);
    rc = tasklet_kind_add(host, &kind);
    MUST(is_scarce(rc));
    if (rc < 0) {
        MUST(tasklet_kind_add(host, &kind) == 0); /* then nothing had happened */
    }
    MUST(is_scarce(tasklet_define(host, "little", wait_a_little, NULL)));
    MUST(is_scarce(tasklet_define(host, "long", wait_long, NULL)));
    MUST(is_scarce(tasklet_define(host, "echo", echo, NULL)));
    life.made++;
    rc = tasklet_function_new(host, echo, NULL, destroyed, &function);
    MUST(is_scarce(rc));
    MUST(life.destroyed == (rc < 0));
    if (rc == 0) {
        tasklet_release(host, &function);
    }
}

static void talk(struct tasklet *t)
{
    struct tasklet_value text = tasklet_string("some text that is copied, for it is not ours"),
                         table = tasklet_nil();
    unsigned long long id = tasklet_id(t);

    if (tasklet_table_new(life.host, &table) == 0) {
        MUST(is_scarce(tasklet_send(t, "table", &table)));
        tasklet_release(life.host, &table);
    }
    life.asked += tasklet_ask(t, "question", &text, 1, replied, NULL) == 0;
    life.asked += tasklet_ask(t, "question", NULL, -1, replied, NULL) == 0;
    if (life.port != NULL && id != 0) {
        MUST(is_scarce(tasklet_post(life.port, id, "post", &text)));
        life.asked += tasklet_post_ask(life.port, id, "asked", &text, 1, replied, NULL) == 0;
        life.asked += tasklet_post_ask(life.port, 12345, "nobody", &text, 1, replied, NULL) == 0;
        life.called += tasklet_port_call(life.port, came, NULL) == 0;
    }
}

static struct tasklet_host *begin(lua_State *L, uv_loop_t *loop)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;
    long own = left;

    left = -1; /* how a host is made is looked at elsewhere */
    tasklet_options_init(&options);
    options.lua = L;
    options.loop = loop;
    options.on_error = nothing;
    options.on_warning = nothing;
    options.capabilities = TASKLET_ALL;
    MUST(tasklet_host_new(&options, &host) == 0);
    left = own;
    return host;
}

/* `tries` in the script go well if there is memory. */
static void run_script(struct tasklet_host *host, const char *text, bool talks, int tries)
{
    struct tasklet_value function, value;
    struct tasklet *t = NULL;

    if (tasklet_load_string(host, text, "=script", &function) == 0) {
        if (tasklet_start(host, NULL, &function, NULL, 0, &t) == 0) {
            if (talks) {
                talk(t);
            }
            tasklet_host_run(host);
        }
        tasklet_release(host, &function);
    }
    tasklet_drop(t);
    if (left >= 0) {
        MUST(tasklet_global_get(host, "went_well", &value) == 0);
        MUST(value.as.integer == tries);
    }
}

static void end(struct tasklet_host *host)
{
    struct tasklet_value value = tasklet_integer(1);

    tasklet_host_free(host);
    tasklet_port_drop(life.port);
    if (life.kept != NULL) {
        tasklet_complete(life.kept, &value, 1);
        life.completed++;
    }
    MUST(life.asked == life.answered);
    MUST(life.called == life.came);
    MUST(life.made == life.destroyed);
    MUST(life.suspended == life.completed);
    MUST(life.armed == life.disarmed);
    MUST(life.begun == life.finished);
}

static void traffic(lua_State *L, uv_loop_t *loop)
{
    struct tasklet_host *host = begin(L, loop);

    equip(host);
    run_script(host, script, true, 10);
    end(host);
}

static void carriage(lua_State *L, uv_loop_t *loop)
{
    struct tasklet_host *host = begin(L, loop);

    run_script(host, streams, false, 5);
    end(host);
}

static void traffic_in_lua(void)
{
    with_lua(traffic);
}

static void carriage_in_lua(void)
{
    with_lua(carriage);
}

static void lua_has_no_memory_for_traffic(void **state)
{
    (void)state;
    attempt_all(traffic_in_lua);
}

static void lua_has_no_memory_for_streams(void **state)
{
    (void)state;
    attempt_some(carriage_in_lua, 3 * STRIDE); /* each may wait for what never comes */
}

#if REPLACES
static void never(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
}

static void work(uv_work_t *request)
{
    (void)request;
}

/* libuv ends the process if it cannot make its table of descriptors larger, or has no threads for
 * its pool: that is done first. */
static void make_room(uv_loop_t *loop)
{
    static uv_work_t request;
    static uv_poll_t poll;
    int ends[2];

    MUST(pipe(ends) == 0 && dup2(ends[0], 200) == 200);
    MUST(uv_poll_init(loop, &poll, 200) == 0);
    MUST(uv_poll_start(&poll, UV_READABLE, never) == 0);
    MUST(uv_queue_work(loop, &request, work, NULL) == 0);
    uv_close((uv_handle_t *)&poll, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void with_malloc(void (*body)(lua_State *L, uv_loop_t *loop))
{
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    make_room(&loop);
    replaced = true;
    body(NULL, &loop);
    replaced = false;
}

static void traffic_in_malloc(void)
{
    with_malloc(traffic);
}

static void carriage_in_malloc(void)
{
    with_malloc(carriage);
}

static void malloc_has_no_memory_for_traffic(void **state)
{
    (void)state;
    attempt_all(traffic_in_malloc);
}

static void malloc_has_no_memory_for_streams(void **state)
{
    (void)state;
    attempt_all(carriage_in_malloc);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lua_has_no_memory_for_traffic),
        cmocka_unit_test(lua_has_no_memory_for_streams),
#if REPLACES
        cmocka_unit_test(malloc_has_no_memory_for_traffic),
        cmocka_unit_test(malloc_has_no_memory_for_streams),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
