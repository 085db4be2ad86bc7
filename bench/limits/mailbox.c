/*
 * mailbox LIMIT N: the least that a bounded queue can cost. A ring of LIMIT places in a Lua table;
 * one coroutine puts N values in, another takes them out, each until it has to wait for the other.
 * No messages, no names, no senders.
 */

#include <stdbool.h>

#include "limit.h"

static long limit, first, used;

/* Upvalue 1: the table. Yields until there is room. */
static int put_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    if (used == limit) {
        return lua_yieldk(L, 0, 0, put_on);
    }
    lua_settop(L, 1);
    lua_rawseti(L, lua_upvalueindex(1), (first + used++) % limit + 1);
    return 0;
}

static int put(lua_State *L)
{
    return put_on(L, LUA_OK, 0);
}

static int take_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    if (used == 0) {
        return lua_yieldk(L, 0, 0, take_on);
    }
    lua_rawgeti(L, lua_upvalueindex(1), first + 1);
    lua_pushboolean(L, 0);
    lua_rawseti(L, lua_upvalueindex(1), first + 1);
    first = (first + 1) % limit;
    used--;
    return 1;
}

static int take(lua_State *L)
{
    return take_on(L, LUA_OK, 0);
}

static const char *const bodies = "local put, take = ...\n"
                                  "return function(count)\n"
                                  "    for i = 1, count do\n"
                                  "        put(i)\n"
                                  "    end\n"
                                  "end, function(count)\n"
                                  "    local sum = 0\n"
                                  "    for _ = 1, count do\n"
                                  "        sum = sum + take()\n"
                                  "    end\n"
                                  "    return sum\n"
                                  "end\n";

int main(int argc, char **argv)
{
    lua_State *L = new_state(), *producer, *consumer;
    long count;
    int nresults;

    limit = count_argument(argc, argv, 1);
    count = count_argument(argc, argv, 2);
    check(luaL_loadstring(L, bodies) == LUA_OK, "the bodies compile");
    lua_createtable(L, (int)limit, 0);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, put, 1);
    lua_insert(L, -2);
    lua_pushcclosure(L, take, 1);
    check(lua_pcall(L, 2, 2, 0) == LUA_OK, "the bodies are made");
    producer = new_coroutine(L, 1);
    consumer = new_coroutine(L, 2);
    lua_pushinteger(producer, count);
    lua_pushinteger(consumer, count);

    double start = now_ns();
    bool puts = resume(producer, L, 1, &nresults), takes = resume(consumer, L, 1, &nresults);
    while (puts || takes) {
        puts = puts && resume(producer, L, 0, &nresults);
        takes = takes && resume(consumer, L, 0, &nresults);
    }
    double elapsed = now_ns() - start;

    check(lua_tointeger(consumer, -1) == (lua_Integer)count * (count + 1) / 2,
          "each value has come, once");
    report("mailbox", elapsed / (double)count, "ns");
    lua_close(L);
    return 0;
}
