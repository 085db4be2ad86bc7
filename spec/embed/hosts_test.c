/*
 * Hosts on what the program has already: a Lua state with a program in it, a loop with handles of
 * its own; several of them, and one in each of several threads.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <unistd.h>
#include <uv.h>

#include "script.h"

/* ---- a borrowed Lua state ---- */

static struct tasklet_host *host_on(lua_State *L, uv_loop_t *loop)
{
    struct tasklet_options options;
    struct tasklet_host *host = NULL;

    tasklet_options_init(&options);
    options.lua = L;
    options.loop = loop;
    assert_int_equal(tasklet_host_new(&options, &host), 0);
    return host;
}

static lua_State *state_with_libraries(void)
{
    lua_State *L = luaL_newstate();

    assert_non_null(L);
    luaL_openlibs(L);
    return L;
}

static void do_string(lua_State *L, const char *text)
{
    if (luaL_dostring(L, text) != LUA_OK) {
        fail_msg("%s", lua_tostring(L, -1));
    }
}

static void a_state_goes_on_without_the_host(void **state)
{
    lua_State *L = state_with_libraries();
    struct tasklet_host *host;
    int top = lua_gettop(L);

    (void)state;
    do_string(L, "program = {1, 2, 3}");
    for (int i = 0; i < 3; i++) { /* one host after the other */
        struct tasklet_value program;

        host = host_on(L, NULL);
        assert_ptr_equal(tasklet_host_lua(host), L);
        assert_int_equal(tasklet_global_get(host, "program", &program), 0);
        assert_int_equal(tasklet_table_length(host, &program), 3);
        begin(host, "local tasklet = require 'tasklet'\n"
                    "tasklet.sleep(0.001)\n"
                    "ran = (ran or 0) + 1");
        assert_int_equal(tasklet_host_run(host), 0);
        assert_int_equal(integer_of(host, "return ran"), i + 1);
        begin(host, "require 'tasklet'.sleep(1000)"); /* it is given up */
        assert_int_equal(tasklet_host_turn(host, 0), 1);
        tasklet_release(host, &program);
        tasklet_host_free(host);
        do_string(L, "assert(#program == 3 and not pcall(require 'tasklet'.run, print))\n"
                     "local f = coroutine.wrap(function(x) x = coroutine.yield(x) return x end)\n"
                     "assert(f(1) == 1 and f(2) == 2 and require 'string' == string)");
        assert_int_equal(lua_gettop(L), top);
    }
    lua_close(L);
}

static size_t kilobytes(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);
    return (size_t)lua_gc(L, LUA_GCCOUNT);
}

static void a_state_loses_nothing_by_hosts(void **state)
{
    lua_State *L = state_with_libraries();
    size_t size = 0;

    (void)state;
    for (int i = 0; i < 10; i++) {
        struct tasklet_host *host = host_on(L, NULL);
        struct tasklet *t = started(host,
                                    "require 'tasklet'.current().mark = ('x'):rep(100000)\n"
                                    "require 'tasklet'.sleep(1000)",
                                    NULL);
        struct tasklet_value table;

        assert_int_equal(tasklet_table_new(host, &table), 0); /* not released */
        assert_true(tasklet_id(t) != 0);
        assert_int_equal(tasklet_host_turn(host, 0), 1);
        tasklet_host_free(host);
        tasklet_drop(t);
        if (i == 2) {
            size = kilobytes(L);
        } else if (i > 2) {
            assert_true(kilobytes(L) <= size + 1);
        }
    }
    lua_close(L);
}

static void a_state_may_be_closed_first(void **state)
{
    lua_State *L = state_with_libraries();
    struct tasklet_host *host = host_on(L, NULL);
    struct tasklet *t = started(host, "require 'tasklet'.sleep(1000)", NULL);
    struct tasklet_value table, one = tasklet_integer(1);

    (void)state;
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    assert_int_equal(tasklet_table_new(host, &table), 0);
    lua_close(L);
    assert_null(tasklet_host_of(t));
    assert_int_equal(tasklet_state(t), TASKLET_ECLOSED);
    assert_int_equal(tasklet_table_set(host, &table, &one, &one), TASKLET_ECLOSED);
    assert_int_equal(tasklet_table_length(host, &table), TASKLET_ECLOSED);
    assert_int_equal(tasklet_invoke(host, &table, NULL, 0, NULL, 0), TASKLET_ECLOSED);
    assert_int_equal(tasklet_start(host, NULL, &table, NULL, 0, NULL), TASKLET_ECLOSED);
    assert_int_equal(tasklet_host_run(host), TASKLET_ECLOSED);
    assert_int_equal(tasklet_host_turn(host, 0), TASKLET_ECLOSED);
    assert_int_equal(tasklet_host_timeout(host), -1);
    assert_error(host, "closed");
    tasklet_release(host, &table);
    tasklet_drop(t);
    tasklet_host_free(host);
}

static void a_state_has_one_host(void **state)
{
    lua_State *L = state_with_libraries();
    struct tasklet_options options;
    struct tasklet_host *host = host_on(L, NULL), *second = NULL;

    (void)state;
    tasklet_options_init(&options);
    options.lua = L;
    assert_int_equal(tasklet_host_new(&options, &second), TASKLET_ESTATE);
    assert_null(second);
    begin(host, "require 'tasklet'.sleep(0.001)");
    assert_int_equal(tasklet_host_run(host), 0);
    tasklet_host_free(host);
    lua_close(L);
}

/* In a coroutine of the program's own, which is gone before the host is used. */
static int make_host(lua_State *L)
{
    struct tasklet_host **host = lua_touserdata(L, lua_upvalueindex(1));

    *host = host_on(L, NULL);
    begin(*host, "trace = 'begun'");
    return 0;
}

static void a_coroutine_may_make_the_host(void **state)
{
    lua_State *L = state_with_libraries();
    struct tasklet_host *host = NULL;

    (void)state;
    lua_pushlightuserdata(L, &host);
    lua_pushcclosure(L, make_host, 1);
    lua_setglobal(L, "make_host");
    do_string(L, "coroutine.wrap(make_host)() collectgarbage() collectgarbage()");
    assert_ptr_equal(tasklet_host_lua(host), L);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "begun");
    tasklet_host_free(host);
    lua_close(L);
}

/* A function of the program's that is called from a tasklet, or from a generator in it, and uses
 * all that may be used there. */
static int busy(lua_State *L)
{
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(1));
    struct tasklet_value given, text, function, result, self;
    struct tasklet *t;
    int top = lua_gettop(L);

    assert_int_equal(tasklet_at(host, L, 1, &given), 0);
    assert_int_equal(given.type, TASKLET_TABLE);
    assert_int_equal(tasklet_tostring(host, &given, &text), 0);
    assert_text(&text, "mine");
    assert_int_equal(tasklet_push(host, L, &text), 0);
    assert_string_equal(lua_tostring(L, -1), "mine");
    lua_pop(L, 1);
    assert_int_equal(tasklet_push(host, L, &given), 0);
    assert_true(lua_rawequal(L, -1, 1));
    lua_pop(L, 1);
    function = function_of(host, "depth = (depth or 0) + 1\n"
                                 "if depth < 5 then again(...) end\n"
                                 "return depth");
    assert_int_equal(tasklet_invoke(host, &function, &given, 1, &result, 1), 1);
    assert_true(result.as.integer >= 5);
    tasklet_release(host, &function);
    function = function_of(host, "error 'inner'");
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), TASKLET_ESCRIPT);
    tasklet_release(host, &function);
    assert_int_equal(tasklet_host_run(host), lua_toboolean(L, 2) ? 0 : TASKLET_ESTATE);
    assert_int_equal(tasklet_host_turn(host, 0), lua_toboolean(L, 2) ? 0 : TASKLET_ESTATE);
    begin(host, "started = (started or 0) + 1");
    assert_int_equal(tasklet_global_get(host, "receiver", &self), 0);
    if (self.type == TASKLET_TASKLET) {
        assert_int_equal(tasklet_from(host, &self, &t), 0);
        assert_int_equal(tasklet_send(t, "m", &given), 0);
        tasklet_drop(t);
    }
    tasklet_release(host, &self);
    tasklet_release(host, &given);
    assert_int_equal(lua_gettop(L), top);
    lua_pushstring(L, "done");
    return 1;
}

static void a_function_of_the_programs_may_call_anything(void **state)
{
    lua_State *L = state_with_libraries();
    struct tasklet_host *host = host_on(L, NULL);

    (void)state;
    lua_pushlightuserdata(L, host);
    lua_pushcclosure(L, busy, 1);
    lua_setglobal(L, "again");
    do_string(L, "shown = setmetatable({}, {__tostring = function() return 'mine' end})");
    begin(host, "local tasklet = require 'tasklet'\n"
                "receiver = tasklet.current()\n"
                "count = 0\n"
                "for m in tasklet.receive() do\n"
                "    assert(m.name == 'm' and m.value == shown)\n"
                "    count = count + 1\n"
                "    if count == 15 then return end\n"
                "end");
    begin(host, "local tasklet = require 'tasklet'\n"
                "assert(again(shown) == 'done')\n"
                "depth = 0\n"
                "tasklet.sleep(0)\n"
                "local generator = coroutine.wrap(function()\n"
                "    coroutine.yield(again(shown))\n"
                "    tasklet.sleep(0)\n"
                "    depth = 0\n"
                "    coroutine.yield(again(shown))\n"
                "end)\n"
                "assert(generator() == 'done' and generator() == 'done')\n"
                "assert(tasklet.current().name)\n"
                "trace = 'through'");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_global(host, "trace", "through");
    assert_int_equal(integer_of(host, "return count"), 15);
    assert_int_equal(integer_of(host, "return started"), 15);
    /* And with no tasklet anywhere. */
    do_string(L, "receiver = nil depth = 4 assert(again(shown, true) == 'done')");
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(integer_of(host, "return started"), 16);
    tasklet_host_free(host);
    lua_close(L);
}

/* What is called while the host is being freed. */
static int at_the_end(lua_State *L)
{
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(1));
    struct tasklet_value value, function;
    struct tasklet *t;

    assert_int_equal(tasklet_at(host, L, 1, &value), 0);
    assert_int_equal(tasklet_from(host, &value, &t), 0);
    function = function_of(host, "return 3");
    assert_int_equal(tasklet_invoke(host, &function, NULL, 0, NULL, 0), 1);
    assert_int_equal(tasklet_start(host, NULL, &function, NULL, 0, NULL), TASKLET_ECLOSED);
    assert_int_equal(tasklet_send(t, "m", NULL), TASKLET_ECLOSED);
    assert_int_equal(tasklet_kill(t), TASKLET_ECLOSED);
    assert_int_equal(tasklet_on_end(t, NULL, NULL), TASKLET_ECLOSED);
    tasklet_release(host, &function);
    tasklet_release(host, &value);
    tasklet_drop(t);
    lua_pushboolean(L, 1);
    lua_setglobal(L, "reached");
    return 0;
}

static void nothing_begins_while_a_host_is_freed(void **state)
{
    lua_State *L = state_with_libraries();
    struct tasklet_host *host = host_on(L, NULL);

    (void)state;
    lua_pushlightuserdata(L, host);
    lua_pushcclosure(L, at_the_end, 1);
    lua_setglobal(L, "at_the_end");
    begin(host, "local me = require 'tasklet'.current()\n"
                "local closed <close> = setmetatable({}, {__close = function()\n"
                "    at_the_end(me)\n"
                "end})\n"
                "require 'tasklet'.sleep(1000)");
    assert_int_equal(tasklet_host_turn(host, 0), 1);
    tasklet_host_free(host);
    lua_getglobal(L, "reached");
    assert_true(lua_toboolean(L, -1));
    lua_close(L);
}

/* It may kill the very tasklet that calls it. */
static int kill_caller(lua_State *L)
{
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(1));
    struct tasklet_value value;
    struct tasklet *t;

    assert_int_equal(tasklet_at(host, L, 1, &value), 0);
    assert_int_equal(tasklet_from(host, &value, &t), 0);
    assert_int_equal(tasklet_kill(t), 0);
    assert_int_equal(tasklet_state(t), TASKLET_ALIVE);
    tasklet_drop(t);
    tasklet_release(host, &value);
    return 0;
}

static void a_function_may_kill_its_caller(void **state)
{
    lua_State *L = state_with_libraries();
    struct tasklet_host *host = host_on(L, NULL);
    struct tasklet *t;

    (void)state;
    lua_pushlightuserdata(L, host);
    lua_pushcclosure(L, kill_caller, 1);
    lua_setglobal(L, "kill_caller");
    t = started(host,
                "local tasklet = require 'tasklet'\n"
                "kill_caller(tasklet.current())\n"
                "trace = 'goes on'\n"
                "local ok, err = pcall(tasklet.sleep, 0)\n"
                "assert(not ok and tasklet.TaskletExit:is(err))\n"
                "trace = trace .. ' up to its next wait'\n"
                "tasklet.sleep(0)\n"
                "trace = 'and no more'",
                NULL);
    assert_int_equal(tasklet_host_run(host), 0);
    assert_int_equal(tasklet_state(t), TASKLET_KILLED);
    assert_global(host, "trace", "goes on up to its next wait");
    tasklet_drop(t);
    tasklet_host_free(host);
    lua_close(L);
}

/* ---- lua.h beside tasklet.h ---- */

static void values_and_stacks(void **state)
{
    struct tasklet_host *host = new_host();
    lua_State *L = tasklet_host_lua(host), *co = lua_newthread(L);
    struct tasklet_value value, table;
    int top = lua_gettop(L);

    (void)state;
    lua_pushinteger(co, 1);
    lua_pushliteral(co, "two");
    lua_newtable(co);
    assert_int_equal(tasklet_at(host, co, 1, &value), 0);
    assert_int_equal(value.as.integer, 1);
    assert_int_equal(tasklet_at(host, co, -2, &value), 0);
    assert_text(&value, "two");
    assert_int_equal(tasklet_at(host, co, 4, &value), 0);
    assert_int_equal(value.type, TASKLET_NIL);
    assert_int_equal(tasklet_at(host, co, 3, &table), 0);
    assert_int_equal(lua_gettop(co), 3);
    assert_int_equal(tasklet_push(host, co, &table), 0);
    assert_true(lua_rawequal(co, 3, 4));
    assert_int_equal(tasklet_push(host, L, &table), 0);
    assert_true(lua_topointer(L, -1) == lua_topointer(co, 3));
    lua_pop(L, 1);
    assert_int_equal(tasklet_push(host, L, NULL), 0);
    assert_true(lua_isnil(L, -1));
    lua_pop(L, 1);
    value = tasklet_bytes("a\0b", 3);
    assert_int_equal(tasklet_push(host, L, &value), 0);
    assert_int_equal(lua_rawlen(L, -1), 3);
    assert_int_equal(tasklet_at(host, L, -1, &value), 0);
    assert_bytes(&value, "a\0b", 3);
    lua_pop(L, 1);
    assert_int_equal(lua_gettop(L), top);
    tasklet_release(host, &table);
    tasklet_host_free(host);
}

/* ---- a borrowed loop ---- */

struct own {
    struct tasklet_host *host;
    struct tasklet *t;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_poll_t poll;
    int ticks;
    int result;
};

static void on_tick(uv_timer_t *timer)
{
    struct own *own = timer->data;

    own->ticks++;
    if (own->t != NULL) {
        assert_int_equal(tasklet_send(own->t, "tick", NULL), 0);
    }
    if (own->ticks == 3) {
        uv_close((uv_handle_t *)timer, NULL);
    }
}

static void start_ticking(struct own *own, uv_loop_t *loop)
{
    own->ticks = 0;
    own->timer.data = own;
    assert_int_equal(uv_timer_init(loop, &own->timer), 0);
    assert_int_equal(uv_timer_start(&own->timer, on_tick, 1, 1), 0);
}

static const char counts_ticks[] = "local tasklet = require 'tasklet'\n"
                                   "count = 0\n"
                                   "for m in tasklet.receive() do\n"
                                   "    count = count + 1\n"
                                   "    if count == 3 then return end\n"
                                   "end";

static void finish_loop(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}

static void the_programs_handles_keep_a_run_going(void **state)
{
    struct own own = {0};
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    own.host = host_on(NULL, &loop);
    assert_ptr_equal(tasklet_host_loop(own.host), &loop);
    start_ticking(&own, &loop);
    begin(own.host, "");
    assert_int_equal(tasklet_host_run(own.host), 0);
    assert_int_equal(own.ticks, 3);
    start_ticking(&own, &loop);
    while (tasklet_host_turn(own.host, -1) > 0) {
        continue;
    }
    assert_int_equal(own.ticks, 3);
    assert_int_equal(tasklet_host_status(own.host), 0);
    /* What can still come from them is no deadlock. */
    own.t = started(own.host, counts_ticks, NULL);
    start_ticking(&own, &loop);
    assert_int_equal(tasklet_host_run(own.host), 0);
    assert_int_equal(tasklet_state(own.t), TASKLET_RETURNED);
    tasklet_drop(own.t);
    tasklet_host_free(own.host);
    finish_loop(&loop);
}

static void the_program_may_run_its_loop_itself(void **state)
{
    struct own own = {0};
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    own.host = host_on(NULL, &loop);
    begin(own.host, "require 'tasklet'.sleep(0.001) trace = 'slept'");
    own.t = started(own.host, counts_ticks, NULL);
    start_ticking(&own, &loop);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_global(own.host, "trace", "slept");
    assert_int_equal(tasklet_state(own.t), TASKLET_RETURNED);
    tasklet_drop(own.t);
    tasklet_host_free(own.host);
    finish_loop(&loop);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct own *own = prepare->data;

    own->ticks++;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct own *own = handle->data;

    (void)status;
    (void)events;
    own->result = tasklet_host_turn(own->host, 0);
    uv_poll_stop(handle);
}

static void a_loop_is_not_turned_by_its_own_callbacks(void **state)
{
    struct own own = {0};
    uv_loop_t loop;
    int ends[2];

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    own.host = host_on(NULL, &loop);
    own.poll.data = &own;
    assert_int_equal(uv_poll_init(&loop, &own.poll, ends[0]), 0);
    assert_int_equal(uv_poll_start(&own.poll, UV_READABLE, on_poll), 0);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(own.result, TASKLET_ESTATE);
    assert_int_equal(tasklet_host_turn(own.host, 0), 0);
    uv_close((uv_handle_t *)&own.poll, NULL);
    tasklet_host_free(own.host);
    close(ends[0]);
    close(ends[1]);
    finish_loop(&loop);
}

/* What the program arms between turns is seen by the descriptor after one more turn, which the
 * timeout asks for. */
static void the_timeout_knows_of_the_programs_handles(void **state)
{
    struct own own = {0};
    uv_loop_t loop;
    int ends[2], ms;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(pipe(ends), 0);
    own.host = host_on(NULL, &loop);
    own.poll.data = own.timer.data = &own;
    begin(own.host, "require 'tasklet'.sleep(10000)");
    while (tasklet_host_timeout(own.host) == 0) {
        assert_int_equal(tasklet_host_turn(own.host, 0), 1);
    }
    assert_int_equal(uv_poll_init(&loop, &own.poll, ends[0]), 0);
    assert_int_equal(uv_poll_start(&own.poll, UV_READABLE, on_poll), 0);
    assert_int_equal(tasklet_host_timeout(own.host), 0);
    assert_int_equal(tasklet_host_turn(own.host, 0), 1);
    assert_true(tasklet_host_timeout(own.host) > 0);
    assert_int_equal(uv_timer_init(&loop, &own.timer), 0);
    assert_int_equal(uv_timer_start(&own.timer, on_tick, 500, 0), 0);
    ms = tasklet_host_timeout(own.host);
    assert_true(ms > 0 && ms <= 500);
    uv_close((uv_handle_t *)&own.timer, NULL);
    assert_int_equal(tasklet_host_timeout(own.host), 0); /* it is being closed */
    assert_int_equal(tasklet_host_turn(own.host, 0), 1);
    uv_close((uv_handle_t *)&own.poll, NULL);
    tasklet_host_free(own.host);
    close(ends[0]);
    close(ends[1]);
    finish_loop(&loop);
}

static void a_loop_goes_on_without_the_host(void **state)
{
    struct own own = {0};
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    own.host = host_on(NULL, &loop);
    own.prepare.data = &own;
    assert_int_equal(uv_prepare_init(&loop, &own.prepare), 0);
    assert_int_equal(uv_prepare_start(&own.prepare, on_prepare), 0);
    begin(own.host, "require 'tasklet'.sleep(1000)");
    assert_int_equal(tasklet_host_turn(own.host, 0), 1);
    tasklet_host_free(own.host);
    own.ticks = 0;
    assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 1);
    assert_int_equal(own.ticks, 1);
    uv_close((uv_handle_t *)&own.prepare, NULL);
    finish_loop(&loop);
}

static void two_hosts_may_share_a_loop(void **state)
{
    static const char script[] = "local tasklet = require 'tasklet'\n"
                                 "for i = 1, 5 do tasklet.sleep(0.001) count = i end\n"
                                 "return count";
    struct tasklet_host *one, *two;
    struct tasklet *in_one, *in_two;
    struct tasklet_value result;
    uv_loop_t loop;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    one = host_on(NULL, &loop);
    two = host_on(NULL, &loop);
    in_one = started(one, script, NULL);
    in_two = started(two, script, NULL);
    assert_int_equal(tasklet_host_run(one), 0); /* the other's handles keep it going */
    assert_int_equal(tasklet_results(in_one, &result, 1), 1);
    assert_int_equal(result.as.integer, 5);
    assert_int_equal(tasklet_results(in_two, &result, 1), 1);
    assert_int_equal(result.as.integer, 5);
    tasklet_drop(in_one);
    tasklet_drop(in_two);
    tasklet_host_free(one);
    begin(two, "require 'tasklet'.sleep(0.001)");
    assert_int_equal(tasklet_host_run(two), 0);
    tasklet_host_free(two);
    finish_loop(&loop);
}

/* ---- several ---- */

static void hosts_have_nothing_in_common(void **state)
{
    enum { COUNT = 5 };
    struct tasklet_host *hosts[COUNT];
    struct tasklet_value value;
    int left = COUNT;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        hosts[i] = new_host();
        value = tasklet_integer(i);
        assert_int_equal(tasklet_global_set(hosts[i], "here", &value), 0);
        begin(hosts[i], "for i = 1, 3 do require 'tasklet'.sleep(0.001) here = here + 10 end");
    }
    while (left > 0) { /* in turn */
        left = 0;
        for (int i = 0; i < COUNT; i++) {
            left += tasklet_host_turn(hosts[i], 0.001);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(integer_of(hosts[i], "return here"), i + 30);
        tasklet_host_free(hosts[i]);
    }
}

struct worker {
    pthread_t thread;
    long long result;
    unsigned long long first_id, last_id;
};

/* Asserting is for the main thread alone. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    struct tasklet_host *host = NULL;
    struct tasklet_value function, result = tasklet_nil(), value;
    struct tasklet *t = NULL;

    if (tasklet_host_new(NULL, &host) < 0 ||
        tasklet_load_string(host,
                            "local tasklet = require 'tasklet'\n"
                            "local sum = 0\n"
                            "local adder = tasklet.run(function()\n"
                            "    for m in tasklet.receive() do\n"
                            "        if m.name == 'end' then return end\n"
                            "        sum = sum + m.value\n"
                            "    end\n"
                            "end)\n"
                            "for i = 1, 200 do tasklet.send(adder, 'add', i) end\n"
                            "tasklet.sleep(0.001)\n"
                            "tasklet.send(adder, 'end')\n"
                            "return sum",
                            "=worker", &function) < 0) {
        return NULL;
    }
    for (int i = 0; i < 20; i++) {
        if (tasklet_start(host, NULL, &function, NULL, 0, &t) < 0) {
            return NULL;
        }
        worker->first_id = i == 0 ? tasklet_id(t) : worker->first_id;
        worker->last_id = tasklet_id(t);
        if (tasklet_host_run(host) != 0 || tasklet_results(t, &result, 1) != 1 ||
            tasklet_as_value(t, &value) < 0) {
            return NULL;
        }
        tasklet_release(host, &value);
        tasklet_drop(t);
        worker->result += result.as.integer;
    }
    tasklet_release(host, &function);
    tasklet_host_free(host);
    return worker;
}

static void each_thread_may_have_a_host(void **state)
{
    enum { COUNT = 4 };
    struct worker workers[COUNT];

    (void)state;
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < COUNT; i++) {
        void *result;

        assert_int_equal(pthread_join(workers[i].thread, &result), 0);
        assert_ptr_equal(result, &workers[i]);
        assert_int_equal(workers[i].result, 20 * 20100);
        assert_true(workers[i].last_id > workers[i].first_id);
        for (int k = 0; k < i; k++) {
            assert_true(workers[i].first_id != workers[k].first_id);
            assert_true(workers[i].last_id != workers[k].last_id);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_goes_on_without_the_host),
        cmocka_unit_test(a_state_loses_nothing_by_hosts),
        cmocka_unit_test(a_state_may_be_closed_first),
        cmocka_unit_test(a_state_has_one_host),
        cmocka_unit_test(a_coroutine_may_make_the_host),
        cmocka_unit_test(a_function_of_the_programs_may_call_anything),
        cmocka_unit_test(nothing_begins_while_a_host_is_freed),
        cmocka_unit_test(a_function_may_kill_its_caller),
        cmocka_unit_test(values_and_stacks),
        cmocka_unit_test(the_programs_handles_keep_a_run_going),
        cmocka_unit_test(the_program_may_run_its_loop_itself),
        cmocka_unit_test(a_loop_is_not_turned_by_its_own_callbacks),
        cmocka_unit_test(the_timeout_knows_of_the_programs_handles),
        cmocka_unit_test(a_loop_goes_on_without_the_host),
        cmocka_unit_test(two_hosts_may_share_a_loop),
        cmocka_unit_test(hosts_have_nothing_in_common),
        cmocka_unit_test(each_thread_may_have_a_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
