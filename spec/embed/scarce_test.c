/*
 * Without memory: each call is tried with an allocator of the program's Lua state that fails, first
 * at once, then after one allocation, and so on, until the call succeeds. Before that it says
 * TASKLET_ENOMEM, nothing has happened, and nothing is lost.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "script.h"

static int left = -1; /* allocations that succeed; negative: any number */

static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    (void)context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (left == 0 && (block == NULL || size > old_size)) {
        return NULL;
    }
    if (left > 0 && (block == NULL || size > old_size)) {
        left--;
    }
    return realloc(block, size);
}

struct all {
    struct tasklet_host *host;
    struct tasklet *t, *failed, *made;
    struct tasklet_value table, function, maker, out, results[3];
    int round; /* so that no string is there already */
};

static struct tasklet_value fresh(struct all *all)
{
    static char text[100];

    memset(text, 'x', sizeof text);
    text[99] = '\0';
    text[0] = (char)(' ' + all->round % 90);
    text[1] = (char)(' ' + all->round / 90);
    return tasklet_string(text);
}

static void ignore(void *context, struct tasklet *t)
{
    (void)context;
    (void)t;
}

/* ---- the calls; each returns what the library does ---- */

static int make_table(struct all *all)
{
    return tasklet_table_new(all->host, &all->out);
}

static int set_field(struct all *all)
{
    struct tasklet_value key = fresh(all), value = tasklet_integer(1);

    return tasklet_table_set(all->host, &all->table, &key, &value);
}

static int get_field(struct all *all)
{
    struct tasklet_value key = fresh(all);

    return tasklet_table_get(all->host, &all->table, &key, &all->out);
}

static int set_global(struct all *all)
{
    struct tasklet_value value = fresh(all);

    return tasklet_global_set(all->host, value.as.bytes, &value);
}

static int keep(struct all *all)
{
    return tasklet_keep(all->host, &all->table, &all->out);
}

static int to_string(struct all *all)
{
    struct tasklet_value value = tasklet_number(0.5 + all->round);

    return tasklet_tostring(all->host, &value, &all->out);
}

static int load(struct all *all)
{
    return tasklet_load_string(all->host, "local x = {'a'} return x", "=name", &all->out);
}

static int invoke(struct all *all)
{
    struct tasklet_value arg = fresh(all);
    int rc = tasklet_invoke(all->host, &all->function, &arg, 1, all->results, 3);

    assert_true(rc < 0 || rc == 3);
    return rc;
}

static int invoke_lightly(struct all *all)
{
    int rc = tasklet_invoke(all->host, &all->maker, NULL, 0, all->results, 3);

    assert_true(rc < 0 || rc == 3);
    return rc;
}

static int start(struct all *all)
{
    struct tasklet_start_options options;
    struct tasklet_value arg = fresh(all);

    tasklet_start_options_init(&options);
    options.name = arg.as.bytes;
    options.max_mailbox = 5;
    options.on_end = ignore;
    return tasklet_start(all->host, &options, &all->function, &arg, 1, &all->made);
}

static int start_main(struct all *all)
{
    struct tasklet_start_options options;

    tasklet_start_options_init(&options);
    options.main = 1;
    return tasklet_start(all->host, &options, &all->function, NULL, 0, &all->made);
}

static int as_value(struct all *all)
{
    return tasklet_as_value(all->t, &all->out);
}

static int from(struct all *all)
{
    int rc = tasklet_as_value(all->t, &all->out);

    return rc < 0 ? rc : tasklet_from(all->host, &all->out, &all->made);
}

static int send(struct all *all)
{
    struct tasklet_value value = fresh(all);

    return tasklet_send(all->t, value.as.bytes, &value);
}

static int failure(struct all *all)
{
    return tasklet_failure(all->failed, 1, &all->out);
}

static int on_end(struct all *all)
{
    return tasklet_on_end(all->failed, ignore, NULL);
}

static int identify(struct all *all)
{
    struct tasklet *t = NULL;
    unsigned long long id;
    int rc = tasklet_as_value(all->t, &all->out);

    rc = rc < 0 ? rc : tasklet_from(all->host, &all->out, &t);
    id = rc < 0 ? 0 : tasklet_id(t);
    tasklet_drop(t);
    return rc < 0 ? rc : id == 0 ? TASKLET_ENOMEM : 0;
}

static int push(struct all *all)
{
    struct tasklet_value value = fresh(all);
    lua_State *L = tasklet_host_lua(all->host);
    int top = lua_gettop(L), rc = tasklet_push(all->host, L, &value);

    assert_int_equal(lua_gettop(L), top + (rc == 0));
    rc = rc < 0 ? rc : tasklet_at(all->host, L, -1, &all->out);
    lua_settop(L, top);
    return rc;
}

static int kill_it(struct all *all)
{
    return tasklet_kill(all->t);
}

static void clear(struct all *all)
{
    tasklet_release(all->host, &all->out);
    for (int i = 0; i < 3; i++) {
        tasklet_release(all->host, &all->results[i]);
    }
    tasklet_drop(all->made);
    all->made = NULL;
}

static void sweep(struct all *all, int (*call)(struct all *all))
{
    lua_State *L = tasklet_host_lua(all->host);
    int top = lua_gettop(L), rc = TASKLET_ENOMEM;

    for (int n = 0; rc < 0; n++) {
        all->round++;
        lua_gc(L, LUA_GCSTOP); /* Lua collects when it has no memory; that is enough */
        left = n;
        rc = call(all);
        left = -1;
        lua_gc(L, LUA_GCRESTART);
        if (rc < 0) {
            assert_int_equal(rc, TASKLET_ENOMEM);
            assert_string_equal(tasklet_host_error(all->host), "not enough memory");
            assert_null(all->made);
        }
        assert_int_equal(lua_gettop(L), top);
        clear(all);
        assert_true(n < 1000);
    }
}

static void every_call_survives(void **state)
{
    int (*const calls[])(struct all *) = {
        make_table, set_field, get_field, set_global,     keep,       to_string, load,
        invoke,     on_end,    start,     as_value,       from,       send,      failure,
        identify,   push,      kill_it,   invoke_lightly, start_main,
    };
    lua_State *L = lua_newstate(allocate, NULL);
    struct tasklet_options options;
    struct all all;

    (void)state;
    assert_non_null(L);
    luaL_openlibs(L);
    memset(&all, 0, sizeof all);
    tasklet_options_init(&options);
    options.lua = L;
    assert_int_equal(tasklet_host_new(&options, &all.host), 0);
    assert_int_equal(tasklet_table_new(all.host, &all.table), 0);
    all.function = function_of(all.host, "return ..., {}, 'x' .. tostring((...))");
    all.maker = function_of(all.host, "return {}, {}, {}");
    all.failed = started(all.host, "error 'it broke'", NULL);
    assert_int_equal(tasklet_host_run(all.host), 1);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        all.t = started(all.host, "require 'tasklet'.sleep(1000)", NULL);
        assert_int_equal(tasklet_host_turn(all.host, 0), 1);
        sweep(&all, calls[i]);
        assert_int_equal(tasklet_kill(all.t), 0);
        tasklet_drop(all.t);
        assert_int_equal(tasklet_host_run(all.host), 0);
    }
    assert_int_equal(integer_of(all.host, "return require 'tasklet'.count()"), 0);
    tasklet_release(all.host, &all.table);
    tasklet_release(all.host, &all.function);
    tasklet_release(all.host, &all.maker);
    tasklet_drop(all.failed);
    tasklet_host_free(all.host);
    lua_close(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
