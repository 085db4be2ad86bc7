/*
 * message T N: the least that handing a value on can cost. T coroutines stand in a ring; each is
 * resumed with a value and yields the next one, N hops in all. No mailbox, no names, no senders.
 */

#include "limit.h"

static const char *const body = "local yield = coroutine.yield\n"
                                "return function(value)\n"
                                "    while true do\n"
                                "        value = yield(value + 1)\n"
                                "    end\n"
                                "end\n";

int main(int argc, char **argv)
{
    long count = count_argument(argc, argv, 1);
    long hops = count_argument(argc, argv, 2);
    lua_State *L = new_state();
    lua_State **co = calloc((size_t)count, sizeof(*co));
    lua_Integer value = 0;
    int nresults;

    check(co != NULL, "there is memory for the ring");
    push_chunk(L, body);
    for (long i = 0; i < count; i++) {
        co[i] = new_coroutine(L, 1);
        lua_pushinteger(co[i], 0);
        check(resume(co[i], L, 1, &nresults), "each waits");
        lua_pop(co[i], nresults);
    }

    double start = now_ns();
    for (long hop = 0, i = 0; hop < hops; hop++) {
        lua_pushinteger(co[i], value);
        check(resume(co[i], L, 1, &nresults), "each hands on");
        value = lua_tointeger(co[i], -1);
        lua_pop(co[i], nresults);
        if (++i == count) {
            i = 0;
        }
    }
    double elapsed = now_ns() - start;

    check(value == hops, "every hop added one");
    report("message", elapsed / (double)hops, "ns");
    free(co);
    lua_close(L);
    return 0;
}
