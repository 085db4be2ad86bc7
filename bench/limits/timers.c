/*
 * timers N SUPPORT: the least that sleeping can cost. A wheel of 1 ms slots under one uv_timer, and
 * N Lua coroutines that run the sleeper of SUPPORT (bench/support.lua), the very function that the
 * tasklets run, with a `sleep` in C that puts the coroutine into its slot and yields.
 */

#include "limit.h"
#include <uv.h>

#define SLOTS 4096 /* More than the longest sleep, so a slot holds one due time at most. */

struct sleeper {
    struct sleeper *next;
    lua_State *co;
};

struct wheel {
    uv_timer_t timer;
    struct sleeper *slot[SLOTS];
    uint64_t tick; /* Slots up to this millisecond have been emptied. */
    long live;
    struct sleeper *current;
    lua_State *L;
};

static double now_ms(void)
{
    return (double)uv_hrtime() / 1e6;
}

static int lua_now(lua_State *L)
{
    lua_pushnumber(L, now_ms());
    return 1;
}

static int lua_sleep(lua_State *L)
{
    struct wheel *wheel = lua_touserdata(L, lua_upvalueindex(1));
    struct sleeper *s = wheel->current;
    uint64_t due = (uint64_t)(now_ms() + lua_tonumber(L, 1)) + 1; /* Rounded up: never early. */

    if (due <= wheel->tick) {
        due = wheel->tick + 1;
    }
    s->next = wheel->slot[due % SLOTS];
    wheel->slot[due % SLOTS] = s;
    return lua_yield(L, 0);
}

/* The last sleeper is done: nothing is armed any more. */
static int lua_done(lua_State *L)
{
    struct wheel *wheel = lua_touserdata(L, lua_upvalueindex(1));

    uv_timer_stop(&wheel->timer);
    return 0;
}

static void run(struct wheel *wheel, struct sleeper *s, int nargs)
{
    int nresults;

    wheel->current = s;
    if (!resume(s->co, wheel->L, nargs, &nresults)) {
        wheel->live--;
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct wheel *wheel = timer->data;
    uint64_t now = (uint64_t)now_ms();

    while (wheel->tick < now) {
        wheel->tick++;
        struct sleeper *s = wheel->slot[wheel->tick % SLOTS];
        wheel->slot[wheel->tick % SLOTS] = NULL;
        while (s) {
            struct sleeper *next = s->next;
            run(wheel, s, 0);
            s = next;
        }
    }
}

/* [-0, +2] The sleeper's body and the record of how late each wake-up was. */
static void push_sleeper(struct wheel *wheel, long count, const char *support)
{
    lua_State *L = wheel->L;

    if (luaL_dofile(L, support) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(1);
    }
    lua_getfield(L, -1, "sleeper");
    lua_pushinteger(L, count);
    lua_pushlightuserdata(L, wheel);
    lua_pushcclosure(L, lua_sleep, 1);
    lua_pushcfunction(L, lua_now);
    lua_pushlightuserdata(L, wheel);
    lua_pushcclosure(L, lua_done, 1);
    lua_call(L, 4, 2);
    lua_remove(L, -3);
}

int main(int argc, char **argv)
{
    static struct wheel wheel;
    long count = count_argument(argc, argv, 1);
    uv_loop_t *loop = uv_default_loop();
    struct sleeper *sleepers = calloc((size_t)count, sizeof(*sleepers));

    check(sleepers != NULL && argc > 2, "arguments and memory are there");
    wheel.L = new_state();
    wheel.live = count;
    wheel.tick = (uint64_t)now_ms();
    wheel.timer.data = &wheel;
    push_sleeper(&wheel, count, argv[2]);

    uv_timer_init(loop, &wheel.timer);
    uv_timer_start(&wheel.timer, on_tick, 1, 1);
    for (long i = 0; i < count; i++) {
        sleepers[i].co = new_coroutine(wheel.L, 1);
        lua_pushinteger(sleepers[i].co, i + 1);
        run(&wheel, &sleepers[i], 1);
    }
    uv_run(loop, UV_RUN_DEFAULT);

    double cpu = cpu_seconds();
    check(wheel.live == 0, "every sleeper has ended");
    lua_getfield(wheel.L, 2, "report");
    lua_pushvalue(wheel.L, 2);
    lua_pushinteger(wheel.L, 3 * count);
    lua_call(wheel.L, 2, 0);
    fflush(stdout);
    report("cpu", cpu, "s");
    fflush(stdout);
    _exit(0);
}
