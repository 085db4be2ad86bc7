/*
 * invoke N: the least that a call from C into Lua can cost. N protected calls of a Lua function
 * with an integer, which returns it and one.
 */

#include "limit.h"

int main(int argc, char **argv)
{
    long calls = count_argument(argc, argv, 1);
    lua_State *L = new_state();
    lua_Integer sum = 0;

    push_chunk(L, "return function(n) return n + 1 end");
    double start = now_ns();
    for (long i = 0; i < calls; i++) {
        lua_pushvalue(L, 1);
        lua_pushinteger(L, i);
        check(lua_pcall(L, 1, 1, 0) == LUA_OK, "the call succeeds");
        sum += lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    double elapsed = now_ns() - start;
    check(sum == (lua_Integer)calls * (calls + 1) / 2, "the sum of the results");
    report("invoke", elapsed / (double)calls, "ns");
    lua_close(L);
    return 0;
}
