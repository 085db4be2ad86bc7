/*
 * switch T N: the least that a switch can cost. T coroutines, each a Lua function that yields in a
 * loop, are resumed round robin, N switches in all. No run queue, no events, no state.
 */

#include "limit.h"

static const char *const body = "local yield = coroutine.yield\n"
                                "return function(rounds)\n"
                                "    for _ = 1, rounds do\n"
                                "        yield()\n"
                                "    end\n"
                                "end\n";

int main(int argc, char **argv)
{
    long count = count_argument(argc, argv, 1);
    long rounds = count_argument(argc, argv, 2) / count;
    lua_State *L = new_state();
    lua_State **co = calloc((size_t)count, sizeof(*co));
    int nresults;

    check(co != NULL, "there is memory for the list");
    push_chunk(L, body);
    for (long i = 0; i < count; i++) {
        co[i] = new_coroutine(L, 1);
        lua_pushinteger(co[i], rounds);
        check(resume(co[i], L, 1, &nresults), "each begins and yields");
    }

    double start = now_ns();
    long yields = 0, ends = 0;
    for (long round = 1; round <= rounds; round++) {
        for (long i = 0; i < count; i++) {
            if (resume(co[i], L, 0, &nresults)) {
                yields++;
            } else {
                ends++;
            }
        }
    }
    double elapsed = now_ns() - start;

    check(ends == count && yields == count * (rounds - 1), "each has yielded in every round");
    report("switch", elapsed / ((double)count * (double)rounds), "ns");
    free(co);
    lua_close(L);
    return 0;
}
