/*
 * Virtual time and drawn orders: what makes a program that waits quick and repeatable, mostly for
 * its specs. For scripts, and by a host's options.
 */
#include <lauxlib.h>
#include <math.h>

#include "host.h"

/* What mainloop.now() says at the beginning; seconds. */
#define BEGIN 1000

void tk_virtual_begin(struct tasklet_host *host)
{
    struct tk_clock *clock = &host->loop.clock;
    const uint64_t second = UINT64_C(1000000000);

    clock->time = (clock->time + second - 1) / second * second;
    host->bind->origin = clock->time - BEGIN * second;
}

static void set_seed(struct tasklet_host *host, uint64_t seed, bool on)
{
    struct tk_runq *queue = &host->loop.sched.ready;

    queue->shuffles = on;
    queue->random.state = seed;
}

void tk_virtual_set(struct tasklet_host *host)
{
    if (host->options.virtual_time != 0) {
        tk_loop_set_virtual(&host->loop, true);
        tk_virtual_begin(host);
    }
    if (host->options.seeded != 0) {
        set_seed(host, host->options.seed, true);
    }
}

/* set_virtual_time(on): is the clock of tasklets to be a virtual one? Returns what it was. */
static int set_virtual_time(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);

    luaL_checktype(L, 1, LUA_TBOOLEAN);
    lua_pushboolean(L, host->loop.clock.is_virtual);
    tk_loop_set_virtual(&host->loop, lua_toboolean(L, 1));
    return 1;
}

/* set_seed(seed): from now on the order of those that are ready together is drawn; nil: first come,
 * first served. */
static int module_set_seed(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);

    luaL_checkany(L, 1);
    set_seed(host, (uint64_t)luaL_optinteger(L, 1, 0), !lua_isnil(L, 1));
    return 0;
}

/* For the Lua part: leap(seconds) lets a virtual clock jump so far, whatever is under way outside.
 */
static int leap(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);

    tk_loop_leap(&host->loop,
                 tk_loop_now(&host->loop) + (uint64_t)ceil(luaL_checknumber(L, 1) * 1e9));
    return 0;
}

void tk_virtual_open(lua_State *L, struct tasklet_host *host)
{
    static const luaL_Reg functions[] = {
        {"set_virtual_time", set_virtual_time}, {"set_seed", module_set_seed}, {NULL, NULL}};
    static const luaL_Reg core[] = {{"leap", leap}, {NULL, NULL}};

    tk_bind_push_module(L, host->bind);
    tk_push_table(L, host->bind, TABLE_CORE);
    for (int i = 0; i < 2; i++) {
        tk_set_host_functions(L, host, i == 0 ? core : functions);
        lua_pop(L, 1);
    }
}
