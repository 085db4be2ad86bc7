/*
 * memory N: the least that a parked tasklet can weigh: N coroutines, each inside one Lua function
 * that has yielded, kept by the registry. No timer, no event, no state of its own.
 */

#include "limit.h"

static const char *const body = "local yield = coroutine.yield\n"
                                "return function()\n"
                                "    yield()\n"
                                "end\n";

int main(int argc, char **argv)
{
    long count = count_argument(argc, argv, 1);
    lua_State *L = new_state();
    int nresults;

    push_chunk(L, body);
    lua_gc(L, LUA_GCCOLLECT);
    double before = rss_bytes();
    double start = now_ns();
    for (long i = 0; i < count; i++) {
        lua_State *co = new_coroutine(L, 1);
        check(resume(co, L, 0, &nresults), "each is parked");
    }
    double elapsed = now_ns() - start;
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);

    report("memory", (rss_bytes() - before) / (double)count, "B");
    report("park", elapsed / (double)count, "ns");
    fflush(stdout);
    _exit(0); /* Taking a million coroutines down is not the question. */
}
