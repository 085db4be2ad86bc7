/*
 * Limits of a host: what they stop, and what goes on all the same. Nothing here says how long
 * something takes: a script that is not stopped hangs until the alarm.
 */
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "run.h"

struct told {
    int errors;
    char all[8192]; /* the texts, one behind the other */
};

static void on_error(void *context, const char *text)
{
    struct told *told = context;
    size_t used = strlen(told->all);

    told->errors++;
    snprintf(told->all + used, sizeof told->all - used, "%s\n", text);
}

static struct tasklet_options options_for(struct told *told)
{
    struct tasklet_options options;

    memset(told, 0, sizeof *told);
    tasklet_options_init(&options);
    options.on_error = on_error;
    options.context = told;
    return options;
}

/* ---- those that do not want to end ---- */

#define LOOP "function() while true do end end"
#define CLOSES_LOOP "local x <close> = setmetatable({}, { __close = " LOOP " })\n"

static const char *const stubborn[] = {
    "while true do end",
    "goto a ::a:: goto a",
    "while true do pcall(" LOOP ") end",
    "while true do xpcall(" LOOP ", " LOOP ") end",
    "local function f() pcall(f) while true do end end f()",
    /* generators */
    "for x in coroutine.wrap(function() while true do pcall(" LOOP ") end end) do end",
    "while true do coroutine.wrap(function() end)() end",
    "local co = coroutine.create(" LOOP ") while true do coroutine.resume(co) end",
    "local co = coroutine.create(function()\n"
    "    " CLOSES_LOOP "coroutine.yield()\n"
    "end)\n"
    "coroutine.resume(co)\n"
    "while true do coroutine.close(co) end",
    /* under functions written in C */
    "table.sort({ 3, 2, 1 }, function() while true do pcall(" LOOP ") end end)",
    "string.gsub('aaa', '.', function() while true do pcall(" LOOP ") end end)",
    "load(" LOOP ")",
    "local x = setmetatable({}, { __index = " LOOP " })\n"
    "while true do pcall(function() return x.y end) end",
    "table.sort({ 3, 2, 1 }, function() while true do xpcall(" LOOP ", " LOOP ") end end)",
    "table.sort({ 3, 2, 1 }, function()\n"
    "    while true do xpcall(" LOOP ", coroutine.wrap(" LOOP ")) end\n"
    "end)",
    "t.TaskletError.__call = " LOOP "\n"
    "table.sort({ 2, 1 }, function() while true do xpcall(" LOOP ", pcall) end end)",
    "local f\n"
    "table.sort({ 2, 1 }, function()\n"
    "    f = coroutine.wrap(function()\n"
    "        " CLOSES_LOOP "table.sort({ 2, 1 }, " LOOP ")\n"
    "    end)\n"
    "    f()\n"
    "end)",
    "local co\n"
    "table.sort({ 2, 1 }, function()\n"
    "    co = coroutine.create(function()\n"
    "        " CLOSES_LOOP "table.sort({ 2, 1 }, " LOOP ")\n"
    "    end)\n"
    "    coroutine.resume(co)\n"
    "    coroutine.close(co)\n"
    "end)",
    "package.preload.m = " LOOP "\nwhile true do pcall(require, 'm') end",
    /* cleanup */
    "local x <close> = setmetatable({}, { __close = function()\n"
    "    while true do pcall(" LOOP ") end\n"
    "end })\n"
    "while true do end",
    "local x <close> = setmetatable({}, { __close = coroutine.wrap(" LOOP ") })\n"
    "error 'on purpose'",
    /* callbacks */
    "local x = t.run(t.sleep, 0)\n"
    "x:add_join_callback(function() while true do pcall(" LOOP ") end end)\n"
    "x:join()",
    "local C = t.WaitCondition:subclass('C')\n"
    "C.arm = " LOOP "\n"
    "t.wait(C())",
    "local C = t.WaitCondition:subclass('C')\n"
    "C.disarm = " LOOP "\n"
    "t.run(function() t.wait(C()) end):kill()",
    "local e = t.Emitter { 'x' }\n"
    "e:connect('x', function() while true do pcall(" LOOP ") end end)\n"
    "e:emit('x')",
    /* by the library's own means */
    "t.scope(function(s)\n"
    "    s:run(" LOOP ")\n"
    "    while true do pcall(t.sleep, 1) end\n"
    "end)",
    "t.with_deadline(1e9, function() while true do pcall(" LOOP ") end end)",
    "t.shield(" LOOP ")",
    "t.current():set_atomic(true) while true do end",
    "t.all { " LOOP ", " LOOP " }",
    "while true do pcall(t.pump) end",
    "t.run(" LOOP ") t.pump(10)",
    "t.run(" LOOP ") while true do t.new(" LOOP ")() t.pump() end",
    "table.sort({ 2, 1 }, function() while true do t.run(" LOOP ") end end)",
    "local me = t.current() while true do pcall(me.throw, me, 'x') end",
    "local me = t.current() while true do pcall(me.kill, me) end",
    "local other = t.run(function()\n"
    "    " CLOSES_LOOP "    t.schedule_remove()\n"
    "end)\n"
    "other:bind(print)\n"
    "while true do end",
};

static void expect_stopped(struct tasklet_options *options, struct told *told, const char *script)
{
    char text[4096];
    struct tasklet_host *host;

    told->errors = 0;
    told->all[0] = '\0';
    snprintf(text, sizeof text, "local t = ...\n%s\n", script);
    host = host_with(options, text);
    assert_int_equal(tasklet_host_run(host), 1);
    tasklet_host_free(host);
    if (strstr(told->all, "without waiting") == NULL) {
        fail_msg("not stopped for the limit's sake:\n%s\nbut:\n%s", script, told->all);
    }
}

static void stop_all(struct tasklet_options *options, struct told *told)
{
    alarm(500);
    for (size_t i = 0; i < sizeof stubborn / sizeof stubborn[0]; i++) {
        expect_stopped(options, told, stubborn[i]);
    }
    alarm(0);
}

static void time_is_limited(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);

    (void)state;
    options.max_time = 0.03;
    stop_all(&options, &told);
}

static void instructions_are_limited(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);

    (void)state;
    options.max_instructions = 20000;
    stop_all(&options, &told);
}

static void time_is_limited_without_signals(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);

    (void)state;
    options.max_time = 0.03;
    options.no_signals = 1;
    stop_all(&options, &told);
}

static void slices_do_not_begin_the_time_anew(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);

    (void)state;
    options.max_time = 0.03;
    alarm(100);
    expect_stopped(&options, &told,
                   "while true do t.set_timeslice(1000) t.set_timeslice(1001) end");
    expect_stopped(&options, &told, "while true do t.set_warn_slow(1000) t.set_warn_slow(0) end");
    alarm(0);
}

static void finalizers_that_cannot_be_interrupted_are_refused(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    char result[200];

    (void)state;
    options.max_time = 1000;
    run(&options,
        "local object = setmetatable({}, { __index = string })\n"
        "assert(object.format and getmetatable(object))\n"
        "assert(not pcall(setmetatable, {}, 1) and not pcall(setmetatable, 1, {}))\n"
        "assert(not pcall(setmetatable, setmetatable({}, { __metatable = 1 }), {}))\n"
        "local _, e = pcall(setmetatable, {}, { __gc = function() end })\n"
        "result = e.message\n",
        result, sizeof result);
    assert_non_null(strstr(result, "__gc"));
}

static void xpcall_is_as_ever(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    char result[200];

    (void)state;
    options.max_instructions = 1000000;
    run(&options,
        "local t = ...\n"
        "local list = table.pack(xpcall(function(...) t.sleep(0) return ... end, print, 1, nil))\n"
        "assert(list.n == 3 and list[1] and list[2] == 1 and list[3] == nil)\n"
        "assert(select('#', xpcall(function() end, print)) == 1)\n"
        "local ok, e = xpcall(function() t.sleep(0) error({ 5 }) end, function(e, ...)\n"
        "    return e[1] + select('#', ...)\n"
        "end)\n"
        "assert(ok == false and e == 5)\n"
        "assert(not pcall(xpcall, print, 1))\n"
        "assert(select(2, xpcall(error, debug.traceback, 'x')):find('traceback'))\n"
        "result = 'fine'\n",
        result, sizeof result);
    assert_string_equal(result, "fine");
}

/* ---- and what goes on ---- */

static void waiting_begins_anew(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    char result[40];

    (void)state;
    options.max_instructions = 2000;
    run(&options,
        "local t = ...\n"
        "local sum = 0\n"
        "for i = 1, 200 do\n"
        "    for k = 1, 100 do sum = sum + 1 end\n"
        "    t.sleep(0)\n"
        "end\n"
        "local g = coroutine.wrap(function()\n"
        "    for i = 1, 100 do\n"
        "        for k = 1, 100 do sum = sum + 1 end\n"
        "        t.sleep(0)\n"
        "        coroutine.yield()\n"
        "    end\n"
        "end)\n"
        "for i = 1, 100 do g() end\n"
        "result = tostring(sum)\n",
        result, sizeof result);
    assert_string_equal(result, "30000");
}

static void the_others_go_on(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    struct tasklet_host *host;
    struct tasklet_value value;

    (void)state;
    options.max_time = 0.03;
    host = host_with(&options,
                     "local t = ...\n"
                     "local closed\n"
                     "local bad = t.run(function()\n"
                     "    local x <close> = setmetatable({}, { __close = function(_, e)\n"
                     "        closed = true\n"
                     "    end })\n"
                     "    t.sleep(0)\n"
                     "    while true do pcall(error) end\n"
                     "end)\n"
                     "local ok, e = pcall(bad.join, bad)\n"
                     "assert(not ok and t.JoinError:is(e))\n"
                     "assert(t.TaskletError:is(e.cause) and not t.TaskletExit:is(e.cause))\n"
                     "assert(e.cause.message:find ':8: the tasklet has run for more than 0.03 s')\n"
                     "t.sleep(0.01)\n"
                     "result = closed\n");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(told.errors, 0);
    assert_int_equal(tasklet_global_get(host, "result", &value), 0);
    assert_int_equal(value.type, TASKLET_BOOLEAN);
    tasklet_host_free(host);
}

/* The same instructions each time, however they are cut by generators. */
/* Who starts others that run too long, one after the other, does not keep the rest from running. */
static void a_chain_is_as_long_as_a_limit(struct tasklet_options *options)
{
    struct tasklet_host *host =
        host_with(options, "local t = ...\n"
                           "started = 0\n"
                           "t.run(function() t.sleep(0) t.sleep(0) result = "
                           "'well' end)\n"
                           "while not result do\n"
                           "    started = started + 1\n"
                           "    t.run(" LOOP ")\n"
                           "end\n");
    lua_State *L = tasklet_host_lua(host);

    assert_int_equal(tasklet_host_run(host), 1);
    lua_getglobal(L, "result");
    assert_string_equal(lua_tostring(L, -1), "well");
    lua_getglobal(L, "started");
    assert_in_range(lua_tointeger(L, -1), 1, 10);
    lua_pop(L, 2);
    tasklet_host_free(host);
}

static void who_starts_others_does_not_hold_up_the_rest(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);

    (void)state;
    options.max_time = 0.01;
    a_chain_is_as_long_as_a_limit(&options);
    options.no_signals = 1;
    a_chain_is_as_long_as_a_limit(&options);
    options.max_time = 0;
    options.max_instructions = 100000;
    a_chain_is_as_long_as_a_limit(&options);
}

static void instructions_are_counted_exactly(void **state)
{
    static const char script[] = "local t = ...\n"
                                 "count = 0\n"
                                 "t.run(function()\n"
                                 "    local g = coroutine.wrap(function()\n"
                                 "        while true do\n"
                                 "            for i = 1, 7 do count = count + 1 end\n"
                                 "            coroutine.yield()\n"
                                 "        end\n"
                                 "    end)\n"
                                 "    while true do g() count = count + 1 end\n"
                                 "end)\n";
    struct told told;
    struct tasklet_options options = options_for(&told);
    long long counts[2];

    (void)state;
    options.max_instructions = 12345;
    for (int i = 0; i < 2; i++) {
        struct tasklet_host *host = host_with(&options, script);
        struct tasklet_value value;

        assert_int_equal(tasklet_host_run(host), 1);
        assert_int_equal(tasklet_global_get(host, "count", &value), 0);
        assert_int_equal(value.type, TASKLET_INTEGER);
        counts[i] = value.as.integer;
        tasklet_host_free(host);
    }
    assert_int_equal(counts[0], counts[1]);
    assert_true(counts[0] > 12345 / 10 && counts[0] < 12345);
}

/* Two that run until the other one has run: only one that gives way lets both end. */
static void one_that_is_over_may_be_preempted(void **state)
{
    static const char script[] =
        "local t = ...\n"
        "local a, b = 0, 0\n"
        "t.join_all {\n"
        "    t.run(function() while b < 3 do a = a + 1 end b = b + 1 end),\n"
        "    t.run(function()\n"
        "        for i = 1, 3 do\n"
        "            local before = a\n"
        "            while a == before do end\n"
        "            b = b + 1\n"
        "        end\n"
        "    end),\n"
        "}\n"
        "result = 'both'\n";
    struct told told;
    struct tasklet_options options = options_for(&told);
    char result[20];

    (void)state;
    options.runaway = TASKLET_PREEMPT;
    alarm(200);
    options.max_time = 0.01;
    run(&options, script, result, sizeof result);
    options.no_signals = 1;
    run(&options, script, result, sizeof result);
    options.max_time = 0;
    options.max_instructions = 1000;
    run(&options, script, result, sizeof result);
    alarm(0);
    assert_int_equal(told.errors, 0);
}

static void a_call_from_the_program_is_limited_too(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    struct tasklet_host *host;
    struct tasklet_value function;

    (void)state;
    alarm(200);
    for (int i = 0; i < 3; i++) {
        options.max_time = i == 0 ? 0 : 0.03;
        options.no_signals = i == 2;
        options.max_instructions = i == 0 ? 10000 : 0;
        assert_int_equal(tasklet_host_new(&options, &host), 0);
        assert_int_equal(
            tasklet_load_string(host, "while true do pcall(" LOOP ") end", "=x", &function), 0);
        assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
        assert_non_null(strstr(tasklet_host_error(host), "without waiting"));
        tasklet_release(host, &function);
        tasklet_host_free(host);
    }
    alarm(0);
}

static void freeing_a_host_is_limited_too(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    struct tasklet_host *host;

    (void)state;
    options.max_time = 0.03;
    alarm(100);
    host = host_with(&options, "local t = ...\n"
                               "t.run(function()\n"
                               "    " CLOSES_LOOP "t.sleep(1e9)\n"
                               "end)\n"
                               "t.mainloop.quit(0)\n");
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_host_free(host);
    alarm(0);
    assert_non_null(strstr(told.all, "without waiting"));
}

/* ---- os.exit ---- */

static void exit_ends_the_host_and_not_the_process(void **state)
{
    static const char *const scripts[] = {
        "os.exit(7)",
        "pcall(os.exit, 7) bad = true",
        "table.sort({ 2, 1 }, function() while true do pcall(os.exit, 7) end end) bad = true",
        "coroutine.wrap(function() os.exit(7) end)() bad = true",
        "local x = t.run(t.sleep, 0) x:add_join_callback(function() os.exit(7) end) t.sleep(1e9)",
    };

    (void)state;
    alarm(100);
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        struct tasklet_host *host;
        struct tasklet_value bad;
        char text[500];

        snprintf(text, sizeof text, "local t = ...\n%s\n", scripts[i]);
        host = host_with(NULL, text);
        assert_int_equal(tasklet_host_run(host), 7);
        assert_int_equal(tasklet_global_get(host, "bad", &bad), 0);
        assert_int_equal(bad.type, TASKLET_NIL);
        tasklet_host_free(host);
    }
    alarm(0);
}

/* ---- memory ---- */

static void memory_is_limited(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    struct tasklet_host *host;
    struct tasklet_value value;

    (void)state;
    options.max_memory = 3000000;
    host = host_with(&options, "local t = ...\n"
                               "local function fill()\n"
                               "    local list = {}\n"
                               "    while true do list[#list + 1] = ('x'):rep(1000) .. #list end\n"
                               "end\n"
                               "local ok, e = pcall(fill)\n"
                               "assert(not ok and e == 'not enough memory')\n"
                               "assert(not pcall(string.rep, 'x', 1 << 40))\n"
                               "local other = t.run(function()\n"
                               "    for _ = 1, 20 do t.sleep(0) t.current().mailbox:popleft() end\n"
                               "    return 'fine'\n"
                               "end)\n"
                               "for _ = 1, 10 do\n"
                               "    pcall(fill)\n"
                               "    t.run(fill)\n"
                               "    other:send 'x'\n"
                               "    other:send 'y'\n"
                               "    collectgarbage 'stop'\n"
                               "end\n"
                               "result = other:join()\n");
    assert_int_equal(tasklet_host_run(host), 1); /* for those that nobody joined */
    assert_int_equal(told.errors, 10);
    assert_non_null(strstr(told.all, "not enough memory"));
    assert_int_equal(tasklet_global_get(host, "result", &value), 0);
    assert_int_equal(value.type, TASKLET_STRING);
    assert_memory_equal(value.as.bytes, "fine", 4);
    assert_true(tasklet_host_memory(host) < 3200000);
    tasklet_host_free(host);
    options.max_memory = 10000;
    assert_int_equal(tasklet_host_new(&options, &host), TASKLET_ENOMEM);
}

/* Tasklets that have ended make room for others, whatever else the script keeps: half of what is
 * allowed, and nearly all. Those that were never started, too. */
static void what_has_ended_makes_room(void **state)
{
    static const char script[] = "local t = ...\n"
                                 "local keep = {}\n"
                                 "local function fill(kilobytes)\n"
                                 "    while collectgarbage 'count' < kilobytes do\n"
                                 "        keep[#keep + 1] = ('x'):rep(1000) .. #keep\n"
                                 "    end\n"
                                 "    collectgarbage()\n"
                                 "end\n"
                                 "for _, kilobytes in ipairs { 1800, 2400, 2700 } do\n"
                                 "    fill(kilobytes)\n"
                                 "    for i = 1, 500 do\n"
                                 "        for j = 1, 5 do t.run(t.sleep, 0) end\n"
                                 "        t.sleep(0)\n"
                                 "    end\n"
                                 "    for i = 1, 5000 do t.new(print) end\n"
                                 "end\n"
                                 "result = 'fine'\n";
    struct told told;
    struct tasklet_options options = options_for(&told);
    char result[10];

    (void)state;
    options.max_memory = 3000000;
    run(&options, script, result, sizeof result);
    assert_string_equal(result, "fine");
    assert_string_equal(told.all, "");
}

static void the_program_gets_a_code(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    struct tasklet_host *host;
    struct tasklet_value function, text;
    static char big[2000000];

    (void)state;
    options.max_memory = 1000000;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    memset(big, ' ', sizeof big);
    text = tasklet_bytes(big, sizeof big);
    assert_int_equal(tasklet_global_set(host, "big", &text), TASKLET_ENOMEM);
    assert_int_equal(tasklet_load_string(host, "return ('x'):rep(2000000)", "=x", &function), 0);
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ENOMEM);
    tasklet_release(host, &function);
    assert_true(tasklet_host_memory(host) < 1000000);
    tasklet_host_free(host);
}

static void memory_of_a_borrowed_state_is_told(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    lua_State *L = luaL_newstate();
    size_t before;

    (void)state;
    luaL_openlibs(L);
    tasklet_options_init(&options);
    options.lua = L;
    options.max_memory = 1000000;
    assert_int_equal(tasklet_host_new(&options, &host), TASKLET_EINVAL);
    options.max_memory = 0;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    before = tasklet_host_memory(host);
    lua_newuserdatauv(L, 100000, 0);
    assert_true(tasklet_host_memory(host) >= before + 50000);
    tasklet_host_free(host);
    lua_close(L);
}

/* ---- tasklets and mailboxes ---- */

static void tasklets_are_limited(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    struct tasklet_host *host;
    struct tasklet_value function;
    struct tasklet *t;

    (void)state;
    options.max_tasklets = 3;
    host = host_with(&options, "local t = ...\n"
                               "t.run(t.sleep, 1e9)\n"
                               "local x = t.run(t.sleep, 0)\n"
                               "local ok, e = pcall(function()\n"
                               "    t.run(t.sleep, 1)\n"
                               "end)\n"
                               "assert(not ok and e.message:find ']:5: there are 3 tasklets')\n"
                               "local y = t.new(t.sleep)\n"
                               "assert(not pcall(y.start, y, 0) and not pcall(y, 0))\n"
                               "x:join()\n"
                               "y:start(0):join()\n"
                               "t.run(t.sleep, 1e9)\n"
                               "t.mainloop.quit(0)\n");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(told.errors, 0);
    assert_int_equal(tasklet_load_string(host, "return", "=x", &function), 0);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, NULL), 0); /* main has ended */
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, &t), TASKLET_ELIMIT);
    tasklet_release(host, &function);
    tasklet_host_free(host);
}

static void mailboxes_are_limited(void **state)
{
    struct told told;
    struct tasklet_options options = options_for(&told);
    char result[40];

    (void)state;
    options.max_mailbox = 2;
    options.virtual_time = 1;
    run(&options,
        "local t = ...\n"
        "local function body() while true do t.sleep(10) t.current().mailbox:popleft() end end\n"
        "local slow = t.new(body, { daemon = true })\n"
        "local own = t.new(body, { daemon = true, max_mailbox_len = 4 })\n"
        "slow() own() t.yield_()\n"
        "local start = t.mainloop.now()\n"
        "for i = 1, 4 do own:send 'x' end\n"
        "local first = t.mainloop.now() - start\n"
        "for i = 1, 3 do slow:send 'x' end\n"
        "result = ('%d %d'):format(first, t.mainloop.now() - start)\n",
        result, sizeof result);
    assert_string_equal(result, "0 10000"); /* there was room when it had taken some out */
}

static void wrong_options_are_refused(void **state)
{
    struct tasklet_options options;
    struct tasklet_host *host;

    (void)state;
    tasklet_options_init(&options);
    options.max_time = -1;
    assert_int_equal(tasklet_host_new(&options, &host), TASKLET_EINVAL);
    tasklet_options_init(&options);
    options.runaway = 2;
    assert_int_equal(tasklet_host_new(&options, &host), TASKLET_EINVAL);
    tasklet_options_init(&options);
    options.capabilities = 128;
    assert_int_equal(tasklet_host_new(&options, &host), TASKLET_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(instructions_are_limited),
        cmocka_unit_test(time_is_limited_without_signals),
        cmocka_unit_test(slices_do_not_begin_the_time_anew),
        cmocka_unit_test(finalizers_that_cannot_be_interrupted_are_refused),
        cmocka_unit_test(xpcall_is_as_ever),
        cmocka_unit_test(waiting_begins_anew),
        cmocka_unit_test(the_others_go_on),
        cmocka_unit_test(who_starts_others_does_not_hold_up_the_rest),
        cmocka_unit_test(instructions_are_counted_exactly),
        cmocka_unit_test(one_that_is_over_may_be_preempted),
        cmocka_unit_test(a_call_from_the_program_is_limited_too),
        cmocka_unit_test(freeing_a_host_is_limited_too),
        cmocka_unit_test(exit_ends_the_host_and_not_the_process),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(what_has_ended_makes_room),
        cmocka_unit_test(the_program_gets_a_code),
        cmocka_unit_test(memory_of_a_borrowed_state_is_told),
        cmocka_unit_test(tasklets_are_limited),
        cmocka_unit_test(mailboxes_are_limited),
        cmocka_unit_test(wrong_options_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
