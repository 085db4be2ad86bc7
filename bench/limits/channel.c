/*
 * channel T N: the least that a rendezvous can cost. A channel is two pointers: who waits to send
 * on it, who waits to receive; a value passes from stack to stack. Who meets one that waits goes
 * on, and that one is put at the end of a queue of those who are ready, which are resumed in turn.
 * With T = 2 one coroutine sends N numbers to another one; with more a number goes round a ring of
 * T coroutines, N times handed on. No timeouts, no errors, no closing.
 */

#include "limit.h"

struct body {
    struct body *next;
    lua_State *co;
    int args; /* of its first resumption */
};

struct channel {
    struct body *sender, *receiver;
};

static struct body *ready, **last = &ready, *current;

static void make_ready(struct body *body)
{
    body->next = NULL;
    *last = body;
    last = &body->next;
}

static struct channel *channel_at(lua_State *L)
{
    struct channel *channel = lua_touserdata(L, 1);

    if (channel == NULL) {
        luaL_typeerror(L, 1, "channel");
    }
    return channel;
}

static int over(lua_State *L, int status, lua_KContext results)
{
    (void)L;
    (void)status;
    return (int)results;
}

/* channel:send(value) */
static int channel_send(lua_State *L)
{
    struct channel *channel = channel_at(L);

    lua_settop(L, 2);
    if (channel->receiver == NULL) {
        channel->sender = current;
        return lua_yieldk(L, 0, 0, over);
    }
    lua_xmove(L, channel->receiver->co, 1);
    make_ready(channel->receiver);
    channel->receiver = NULL;
    return 0;
}

/* channel:receive() */
static int channel_receive(lua_State *L)
{
    struct channel *channel = channel_at(L);

    if (channel->sender == NULL) {
        channel->receiver = current;
        return lua_yieldk(L, 0, 1, over);
    }
    lua_xmove(channel->sender->co, L, 1);
    make_ready(channel->sender);
    channel->sender = NULL;
    return 1;
}

static const char *const bodies = "return function(channel, count)\n"
                                  "    for i = 1, count do\n"
                                  "        channel:send(i)\n"
                                  "    end\n"
                                  "end, function(channel, count)\n"
                                  "    local sum = 0\n"
                                  "    for _ = 1, count do\n"
                                  "        sum = sum + channel:receive()\n"
                                  "    end\n"
                                  "    return sum\n"
                                  "end, function(mine, next_one, count)\n"
                                  "    while true do\n"
                                  "        local hop = mine:receive()\n"
                                  "        if hop == count then\n"
                                  "            return hop\n"
                                  "        end\n"
                                  "        next_one:send(hop + 1)\n"
                                  "    end\n"
                                  "end\n";

static void push_channel(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"send", channel_send}, {"receive", channel_receive}, {NULL, NULL}};
    struct channel *channel = lua_newuserdatauv(L, sizeof *channel, 0);

    channel->sender = channel->receiver = NULL;
    if (luaL_newmetatable(L, "channel")) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
}

/* A body of the function at `function`, ready to begin with the `args` values on top, popped. */
static void begin(lua_State *L, struct body *body, int function, int args)
{
    body->co = new_coroutine(L, function);
    body->args = args;
    lua_xmove(L, body->co, args);
    make_ready(body);
}

/* Resumes those who are ready until nobody is; returns the one that has ended last. */
static struct body *run(lua_State *L)
{
    struct body *ended = NULL;
    int nresults;

    while (ready != NULL) {
        current = ready;
        ready = current->next;
        if (ready == NULL) {
            last = &ready;
        }
        if (!resume(current->co, L, current->args, &nresults)) {
            ended = current;
        }
        current->args = 0;
    }
    return ended;
}

/* One sends `count` numbers to another. Returns the time that it took. */
static double pair(lua_State *L, long count)
{
    struct body body[2];

    push_channel(L);
    for (int i = 0; i < 2; i++) {
        lua_pushvalue(L, 4);
        lua_pushinteger(L, count);
        begin(L, &body[i], i == 0 ? 2 : 1, 2); /* who receives comes first */
    }
    double start = now_ns();
    run(L);
    double elapsed = now_ns() - start;

    check(lua_tointeger(body[0].co, -1) == (lua_Integer)count * (count + 1) / 2,
          "each value has come, once");
    return elapsed;
}

/* A number is handed on `count` times. Returns the time that it took. */
static double ring(lua_State *L, long size, long count)
{
    struct body *body = calloc((size_t)size, sizeof *body), *ended;

    check(body != NULL && lua_checkstack(L, (int)size + LUA_MINSTACK),
          "there is memory for the ring");
    for (long i = 0; i < size; i++) {
        push_channel(L);
    }
    for (long i = 0; i < size; i++) {
        lua_pushvalue(L, 4 + (int)i);
        lua_pushvalue(L, 4 + (int)((i + 1) % size));
        lua_pushinteger(L, count);
        begin(L, &body[i], 3, 3);
    }
    check(run(L) == NULL, "each waits");

    double start = now_ns();
    ((struct channel *)lua_touserdata(L, 4))->receiver = NULL;
    lua_pushinteger(body[0].co, 1);
    make_ready(&body[0]);
    ended = run(L);
    double elapsed = now_ns() - start;

    check(ended != NULL && lua_tointeger(ended->co, -1) == count, "every hop added one");
    free(body);
    return elapsed;
}

int main(int argc, char **argv)
{
    long size = count_argument(argc, argv, 1), count = count_argument(argc, argv, 2);
    lua_State *L = new_state();
    double elapsed;

    check(luaL_loadstring(L, bodies) == LUA_OK && lua_pcall(L, 0, 3, 0) == LUA_OK,
          "the bodies compile");
    elapsed = size == 2 ? pair(L, count) : ring(L, size, count);
    report("channel", elapsed / (double)count, "ns");
    lua_close(L);
    return 0;
}
