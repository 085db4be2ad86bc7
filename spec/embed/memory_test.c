/*
 * No memory, at every allocation in turn: the host is made, runs a script that does a little of
 * everything, and is freed. Each time either all goes well or somebody is told; nothing breaks.
 *
 * Each attempt is a process of its own, so that one that breaks is seen, and the others go on. The
 * allocators are the program's: Lua's, of a borrowed state, and malloc, which is replaced here.
 * Checkers of memory have a malloc of their own: there the second part is left out, and of the
 * first one fewer are tried.
 */
#include <errno.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "run.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
#define REPLACES 0
#else
#define REPLACES 1
#endif

/* Each allocation in turn is tried; under a checker of memory, with which all of them would take
 * minutes, the first 20 and then one in so many. */
#define DENSE 20
#define STRIDE (REPLACES ? 1 : 97)

/* The allocation that fails, counted down; afterwards all go well again. Negative: none does. */
static long left = -1;

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

#if REPLACES
#define VISIBLE __attribute__((visibility("default")))
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
static bool replaced;

VISIBLE void *malloc(size_t size)
{
    if (replaced && fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

VISIBLE void *calloc(size_t count, size_t size)
{
    if (replaced && fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}

VISIBLE void *realloc(void *block, size_t size)
{
    if (replaced && size > 0 && fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(block, size);
}
#endif

/* Lua's allocator, of a state of the program's. Shrinking never fails: Lua counts on that. */
static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    static bool retried;

    (void)context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (block == NULL || size > old_size) {
        if (retried) { /* after a collection Lua asks once more */
            retried = false;
            return NULL;
        }
        if (fails()) {
            retried = true;
            return NULL;
        }
    }
    return realloc(block, size);
}

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

/* How many allocations were left over when allocation `count` was to fail: none of them has failed
 * if that is not negative. */
static bool attempt(long count, void (*body)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(60);
        left = count;
        body();
        _exit(left >= 0 ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        print_message("allocation %ld: signal %d\n", count, WTERMSIG(status));
        fail_msg("with allocation %ld failing: signal %d", count, WTERMSIG(status));
    }
    assert_true(WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 1;
}

static void attempt_all(void (*body)(void))
{
    long count = 0;

    while (!attempt(count, body)) {
        count += count < DENSE ? 1 : STRIDE;
    }
    assert_true(count > 50); /* else it was not that that failed */
}

static void live_borrowed(void)
{
    long own = left;
    lua_State *L;

    left = -1;
    L = lua_newstate(allocate, NULL);
    luaL_openlibs(L);
    left = own;
    live(L, NULL);
    own = left;
    left = -1;
    lua_close(L);
    left = own;
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
