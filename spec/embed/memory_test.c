/*
 * No memory, at every allocation in turn: the host is made, runs a script that does a little of
 * everything, and is freed. Each time either all goes well or somebody is told; nothing breaks.
 */
#include <lualib.h>
#include <uv.h>

#include "memory.h"

static const char script[] =
    "local t = require 'tasklet'\n"
    "local function busy(n)\n"
    "    local x <close> = setmetatable({}, { __close = function() end })\n"
    "    t.sleep(0)\n"
    "    return n\n"
    "end\n"
    "local list = {}\n"
    "for i = 1, 5 do list[i] = t.run(busy, i) end\n"
    "t.join_all(list)\n"
    "local mail = t.run(function()\n"
    "    for _ = 1, 3 do t.current().mailbox:popleft() end\n"
    "end)\n"
    "for i = 1, 3 do mail:send('name' .. i, { i }) end\n"
    "local server = t.run(function() t.current().mailbox:popleft():reply(7) end)\n"
    "pcall(t.call, server, 'question', 1, 10)\n"
    "local ch = t.channel()\n"
    "local other = t.run(function() return ch:receive() end)\n"
    "ch:send 'x'\n"
    "other:join()\n"
    "pcall(t.with_deadline, 0.001, t.sleep, 10)\n"
    "pcall(t.scope, function(s)\n"
    "    s:run(busy, 1)\n"
    "    s:run(error, 'on purpose')\n"
    "end)\n"
    "local victim = t.run(t.sleep, 100)\n"
    "victim:add_join_callback(function() end)\n"
    "victim:kill()\n"
    "t.run(error, 'unobserved')\n"
    "t.run(function() t.wait(t.WaitForTimeout(0), t.WaitForMessages { accept = { 'a', 'b' } }) "
    "end)\n"
    "local g = coroutine.wrap(function() t.sleep(0) coroutine.yield(1) end)\n"
    "g()\n"
    "local e = t.Emitter { 'x' }\n"
    "local listener = t.run(function() t.wait(t.WaitForSignal(e, 'x')) end)\n"
    "e:emit('x', 1)\n"
    "listener:join()\n"
    "t.run(t.sleep, 1e9)\n"
    "t.mainloop.quit(0)\n";

static void nothing(void *context, const char *text)
{
    (void)context;
    (void)text;
}

/* A whole program's life. */
static void live(lua_State *L, uv_loop_t *loop)
{
    struct tasklet_options options;
    struct tasklet_start_options start;
    struct tasklet_value function, kept;
    struct tasklet_host *host;
    struct tasklet *t = NULL;
    int rc;

    tasklet_options_init(&options);
    options.lua = L;
    options.loop = loop;
    options.virtual_time = 1;
    options.on_error = nothing;
    options.on_warning = nothing;
    options.capabilities = TASKLET_ALL;
    rc = tasklet_host_new(&options, &host);
    if (rc < 0) {
        if (rc != TASKLET_ENOMEM && rc != TASKLET_ELOOP) {
            fprintf(stderr, "a host could not be made: %d\n", rc);
            _exit(2);
        }
        return;
    }
    tasklet_start_options_init(&start);
    start.main = 1;
    if (tasklet_load_string(host, script, "=script", &function) == 0) {
        if (tasklet_start(host, &start, &function, NULL, 0, &t) == 0) {
            tasklet_host_run(host);
            if (tasklet_state(t) == TASKLET_FAILED && tasklet_failure(t, 1, &kept) == 0) {
                tasklet_release(host, &kept);
            }
        }
        tasklet_release(host, &function);
    }
    if (tasklet_table_new(host, &kept) == 0) {
        tasklet_release(host, &kept);
    }
    tasklet_host_free(host);
    tasklet_drop(t);
}

static void live_borrowed(void)
{
    with_lua(live);
}

static void lua_has_no_memory(void **state)
{
    (void)state;
    attempt_all(live_borrowed);
}

#if REPLACES
/* On a loop of the program's, as libuv itself ends the process if it cannot make one. */
static void live_private(void)
{
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    replaced = true;
    live(NULL, &loop);
    replaced = false;
}

static void malloc_has_no_memory(void **state)
{
    (void)state;
    attempt_all(live_private);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lua_has_no_memory),
#if REPLACES
        cmocka_unit_test(malloc_has_no_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
