/*
 * spawn fresh|pool N B: the least that starting and ending a coroutine can cost, N in all. With
 * B = 1 each one ends at once. Else each yields once, so that B are alive at a time.
 * fresh: a new thread each, left to the collector. pool: ended threads are used again.
 */

#include "limit.h"
#include <string.h>

static const char *const setup = "begun, ended = 0, 0\n"
                                 "local yield, batch = coroutine.yield, ...\n"
                                 "if batch == 1 then\n"
                                 "    return function()\n"
                                 "        begun = begun + 1\n"
                                 "        ended = ended + 1\n"
                                 "    end\n"
                                 "end\n"
                                 "return function()\n"
                                 "    begun = begun + 1\n"
                                 "    yield()\n"
                                 "    ended = ended + 1\n"
                                 "end\n";

static long counter(lua_State *L, const char *name)
{
    lua_getglobal(L, name);
    long n = (long)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

int main(int argc, char **argv)
{
    long total = count_argument(argc, argv, 2);
    long batch = count_argument(argc, argv, 3);
    int pooled = strcmp(argv[1], "pool") == 0;
    lua_State *L = new_state();
    lua_State **co = calloc((size_t)batch, sizeof(*co));
    int *ref = calloc((size_t)batch, sizeof(*ref));
    int nresults;

    check(co && ref, "there is memory for the lists");
    check(luaL_loadstring(L, setup) == LUA_OK, "the setup is Lua");
    lua_pushinteger(L, batch);
    lua_call(L, 1, 1);

    double start = now_ns();
    for (long done = 0; done < total; done += batch) {
        for (long i = 0; i < batch; i++) {
            if (!pooled || !co[i]) {
                co[i] = lua_newthread(L);
                ref[i] = luaL_ref(L, LUA_REGISTRYINDEX);
            }
            lua_pushvalue(L, 1);
            lua_xmove(L, co[i], 1);
            resume(co[i], L, 0, &nresults);
        }
        for (long i = 0; i < batch; i++) {
            if (batch > 1) {
                resume(co[i], L, 0, &nresults);
            }
            if (pooled) {
                lua_settop(co[i], 0); /* One that returned needs no lua_resetthread. */
            } else {
                luaL_unref(L, LUA_REGISTRYINDEX, ref[i]);
            }
        }
    }
    double elapsed = now_ns() - start;

    check(counter(L, "begun") == total && counter(L, "ended") == total, "all began and ended");
    report("spawn", elapsed / (double)total, "ns");
    free(co);
    free(ref);
    lua_close(L);
    return 0;
}
