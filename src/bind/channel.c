/*
 * Channels as scripts see them: the object, its verbs, and the values that pass. The object is a
 * userdata that is the core's channel. Values stay on the stacks of those who wait, in the frames
 * of `send` and `receive`, or with the condition of those who wait by a WaitForChannel; so passing
 * one allocates nothing.
 *
 * A tasklet that waits on a channel has it in its frame or its condition: a channel that offers
 * stand on is never collected.
 */
#include <string.h>

#include "bind/bind.h"
#include "core/channel.h"

/* Frames of the verbs. What has been received lies on top. */
enum { FRAME_CHANNEL = 1, FRAME_VALUE, SEND_TIMEOUT, RECEIVE_TIMEOUT = FRAME_VALUE };

struct object {
    const void *brand; /* that it is one */
    struct tk_channel channel;
};

static const char brand = 'C';

struct tk_channel *tk_to_channel(lua_State *L, int index, const struct tk_bind *bind)
{
    struct object *object = tk_to_sized(L, index, sizeof *object);

    (void)bind;
    return object != NULL && object->brand == &brand ? &object->channel : NULL;
}

/* What neither waits nor wakes is possible at the end of the program, too: <close> variables close
 * channels. */
static struct tk_channel *check_channel(lua_State *L, struct tk_bind *bind)
{
    struct tk_channel *channel = tk_to_channel(L, FRAME_CHANNEL, bind);

    if (channel == NULL) {
        luaL_typeerror(L, FRAME_CHANNEL, "channel");
    }
    return channel;
}

static struct tk_channel *check_open_channel(lua_State *L, struct tk_bind *bind)
{
    struct tk_channel *channel = check_channel(L, bind);

    tk_check_open(L, bind);
    return channel;
}

static struct tk_body *body_of(const struct tk_offer *offer)
{
    return tk_container_of(offer->wait.task, struct tk_body, task);
}

static bool is_verb(const struct tk_offer *offer)
{
    return (offer->wait.flags & TK_VERB) != 0;
}

/* ---- values ---- */

/* Pushes the condition that an offer of a wait list is. */
static void push_condition(lua_State *L, struct tk_bind *bind, const struct tk_offer *offer)
{
    tk_push_body(L, bind, body_of(offer));
    if (lua_getiuservalue(L, -1, UV_HELD) == LUA_TTABLE) {
        lua_rawgeti(L, -1, offer->wait.index);
        lua_replace(L, -2);
    }
    lua_replace(L, -2);
}

/* Pushes what a sender offers. */
static void push_offered(lua_State *L, struct tk_bind *bind, const struct tk_offer *sender)
{
    if (is_verb(sender)) {
        lua_pushvalue(sender->place, FRAME_VALUE);
        lua_xmove(sender->place, L, 1);
    } else {
        push_condition(L, bind, sender);
        lua_getiuservalue(L, -1, TK_OFFERED);
        lua_replace(L, -2);
    }
}

/*
 * The value on top, popped, goes to a receiver, who is then to be met. False: it is raised in one
 * who waits by a WaitForChannel, who has been woken thereby.
 */
static bool give(lua_State *L, struct tk_bind *bind, struct tk_offer *receiver, bool raises)
{
    if (is_verb(receiver)) {
        receiver->raises = raises;
        lua_xmove(L, receiver->place, 1);
        return true;
    }
    if (raises) {
        tk_throw_later(L, bind, body_of(receiver));
        return false;
    }
    push_condition(L, bind, receiver);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, TK_OFFERED);
    lua_pop(L, 1);
    return true;
}

/* ---- who goes on ---- */

/* What a verb has on top when it is over: so many results, or an error. */
enum { NOTHING, VALUE, ERROR };

static int gone_on(lua_State *L, int status, lua_KContext result)
{
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    return result == ERROR ? lua_error(L) : (int)result;
}

/* The caller has met `partner` (NULL: that is woken already); `side` is the caller's. */
static int go_on(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel,
                 struct tk_offer *partner, enum tk_side side, int result)
{
    struct tk_sched *sched = bind->sched;
    bool behind = channel->schedule_all, now;

    now = !behind && partner != NULL && is_verb(partner) &&
          channel->preference == (side == TK_SENDS ? -1 : 1);
    if (partner != NULL) {
        tk_offer_meet(sched, partner, now);
    }
    if ((now || behind) && tk_can_give_way(L, bind)) {
        tk_task_give_way(sched, sched->current);
        if (now) {
            tk_sched_hand_over(sched, NULL);
        }
        return tk_give_way(L, bind, gone_on, result);
    }
    if (now) {
        tk_run_nested(L, bind);
        tk_check_raise(L, bind);
    }
    return gone_on(L, LUA_OK, result);
}

/* ---- blocking ---- */

static int send_done(lua_State *L, int status, lua_KContext context);
static int receive_done(lua_State *L, int status, lua_KContext context);
static int step_done(lua_State *L, int status, lua_KContext context);

static int raise_channel_error(lua_State *L)
{
    return tk_raise_state(L, "ChannelError", "the channel is closed");
}

static int timeout_of(enum tk_side side)
{
    return side == TK_SENDS ? SEND_TIMEOUT : RECEIVE_TIMEOUT;
}

/* Nobody is there to meet: the current tasklet waits, and goes on with `k`. `timed`: there is a
 * timeout in the frame. */
static int block(lua_State *L, struct tk_bind *bind, struct tk_channel *channel, enum tk_side side,
                 bool timed, bool raises, lua_KFunction k)
{
    struct tk_body *body = tk_check_wait(L, bind);
    lua_Number seconds = timed || body->timed ? tk_check_timeout(L, bind, timeout_of(side)) : -1;
    struct tk_offer *offer;

    offer = (struct tk_offer *)tk_verb_take(L, bind, body);
    tk_offer_block(bind->sched, &body->task, offer, bind->channel, channel, side);
    if (seconds >= 0) {
        struct tk_arg time = {.given = true, .as.number = seconds * 1000};

        tk_verb_wait(L, bind, body, bind->timeout, &time);
    }
    offer->place = L;
    offer->raises = raises;
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, k, (lua_KContext)bind);
}

enum ending { MET, MET_AN_ERROR, CLOSED, LATE };

/* How the verb that the tasklet was in has ended. The context of its continuation is the binding.
 */
static enum ending end_verb(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);
    struct tk_wait *wait = body->task.verbs;
    const struct tk_offer *offer;
    enum ending how;

    bind->L = L;
    if (body->task.raise != TK_RAISE_NOTHING) {
        tk_verb_done(bind, body);
        tk_check_raise(L, bind);
    }
    while (wait->kind != bind->channel) { /* the other one, if there is, is a timeout */
        wait = wait->as.next;
    }
    offer = (const struct tk_offer *)wait;
    how = offer->met ? (offer->raises ? MET_AN_ERROR : MET) : offer->closed ? CLOSED : LATE;
    tk_verb_done(bind, body);
    return how;
}

static int send_done(lua_State *L, int status, lua_KContext context)
{
    enum ending how = end_verb(L, (struct tk_bind *)context);

    (void)status;
    return how == MET || how == MET_AN_ERROR
               ? 0
               : tk_raise_class(L, "TimeoutError", "nobody has received in time");
}

/* What has been received, or the error, is on top. */
static int received(lua_State *L, enum ending how)
{
    switch (how) {
    case MET:
        return 1;
    case MET_AN_ERROR:
        return lua_error(L);
    case CLOSED:
        return raise_channel_error(L);
    default:
        return tk_raise_class(L, "TimeoutError", "nobody has sent in time");
    }
}

static int receive_done(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    return received(L, end_verb(L, (struct tk_bind *)context));
}

/* Of an iteration: a closed channel is its end. */
static int step_done(lua_State *L, int status, lua_KContext context)
{
    enum ending how = end_verb(L, (struct tk_bind *)context);

    (void)status;
    if (how == CLOSED) {
        lua_pushnil(L);
        return 1;
    }
    return received(L, how);
}

/* ---- verbs ---- */

/* Before anything happens: a caller that is not to wait any more is not to act either. True: there
 * is a timeout in the frame. */
static bool check_caller(lua_State *L, struct tk_bind *bind, enum tk_side side)
{
    struct tk_body *body = tk_current(bind);
    bool timed = !lua_isnil(L, timeout_of(side));

    if (timed) {
        lua_Number seconds = luaL_checknumber(L, timeout_of(side));

        luaL_argcheck(L, seconds == seconds, timeout_of(side), "not a number");
    }
    if (body != NULL && tk_is_stopped(bind, body)) {
        tk_check_stopped(L, bind, body);
    }
    return timed;
}

/* Nobody is there to meet. */
static void check_blocking(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    if (body != NULL) {
        tk_check_trap(L, body);
    }
}

/* Frame: the channel, the value, the timeout. */
static int send(lua_State *L, struct tk_bind *bind, struct tk_channel *channel, bool raises)
{
    struct tk_offer *partner;
    bool timed;

    timed = check_caller(L, bind, TK_SENDS);
    partner = tk_channel_partner(channel, TK_SENDS);
    if (partner != NULL) {
        lua_pushvalue(L, FRAME_VALUE);
        partner = give(L, bind, partner, raises) ? partner : NULL;
        return go_on(L, bind, channel, partner, TK_SENDS, NOTHING);
    }
    check_blocking(L, bind);
    if (channel->closing) {
        return raise_channel_error(L);
    }
    return block(L, bind, channel, TK_SENDS, timed, raises, send_done);
}

/* ch:send(value, timeout) */
static int channel_send(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_channel *channel = check_open_channel(L, bind);

    luaL_argcheck(L, lua_gettop(L) >= FRAME_VALUE, FRAME_VALUE, "value expected");
    lua_settop(L, SEND_TIMEOUT);
    return send(L, bind, channel, false);
}

/* ch:send_exception(class, ...): what it makes, or any other value as it is, is raised in the
 * receiver. */
static int channel_send_exception(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_channel *channel = check_open_channel(L, bind);

    if (lua_isnoneornil(L, FRAME_VALUE)) {
        luaL_argerror(L, FRAME_VALUE, "value expected");
    }
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "make_error");
    lua_replace(L, -2);
    lua_insert(L, FRAME_VALUE);
    lua_call(L, lua_gettop(L) - FRAME_VALUE, 1);
    lua_settop(L, SEND_TIMEOUT);
    return send(L, bind, channel, true);
}

/* Frame: the channel, the timeout. */
static int receive(lua_State *L, struct tk_bind *bind, struct tk_channel *channel, bool iterates)
{
    struct tk_offer *partner;
    bool timed;

    timed = check_caller(L, bind, TK_RECEIVES);
    partner = tk_channel_partner(channel, TK_RECEIVES);
    if (partner != NULL) {
        push_offered(L, bind, partner);
        return go_on(L, bind, channel, partner, TK_RECEIVES, partner->raises ? ERROR : VALUE);
    }
    check_blocking(L, bind);
    if (channel->closing) {
        if (!iterates) {
            return raise_channel_error(L);
        }
        lua_pushnil(L);
        return 1;
    }
    return block(L, bind, channel, TK_RECEIVES, timed, false, iterates ? step_done : receive_done);
}

/* ch:receive(timeout) */
static int channel_receive(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_channel *channel = check_open_channel(L, bind);

    lua_settop(L, RECEIVE_TIMEOUT);
    return receive(L, bind, channel, false);
}

/* for v in ch do: what is received; nil at the end of a closed channel. */
static int channel_call(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_channel *channel = check_open_channel(L, bind);

    lua_settop(L, FRAME_CHANNEL);
    lua_pushnil(L); /* no timeout */
    return receive(L, bind, channel, true);
}

/* ch:close(): nothing more is taken up; who waits to receive hears of it. */
static int channel_close(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_channel *channel = check_channel(L, bind);

    if (bind->sched == NULL) {
        channel->closing = true; /* nobody stands on it any more */
    } else {
        tk_channel_close(bind->sched, channel);
    }
    return 0;
}

/* ch:open(): undoes close. */
static int channel_open(lua_State *L)
{
    check_channel(L, tk_bind_of(L))->closing = false;
    return 0;
}

/* ---- waiting by a WaitForChannel ---- */

void tk_channel_wait(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    struct tk_sched *sched = bind->sched;
    struct tk_offer *partner, *own = tk_channel_select(sched, &body->task, &partner);

    if (own == NULL) {
        return;
    }
    if (partner == NULL) {
        own->closed = true;
        tk_wait_fire(&own->wait, sched, NULL);
        return;
    }
    if (own->side == TK_SENDS) {
        push_offered(L, bind, own);
        if (give(L, bind, partner, false)) {
            tk_offer_meet(sched, partner, false);
        }
        tk_offer_meet(sched, own, false);
        return;
    }
    push_offered(L, bind, partner);
    tk_offer_meet(sched, partner, false);
    if (give(L, bind, own, partner->raises)) {
        tk_offer_meet(sched, own, false);
    }
}

/* ---- the object ---- */

/* Pushes a tasklet that waits, or nil. */
static void push_waiting(lua_State *L, struct tk_bind *bind, struct tk_task *task)
{
    if (task == NULL) {
        lua_pushnil(L);
    } else {
        tk_push_body(L, bind, tk_container_of(task, struct tk_body, task));
    }
}

void tk_push_channel_neighbour(lua_State *L, struct tk_bind *bind, const struct tk_body *body,
                               bool next)
{
    push_waiting(L, bind, tk_channel_neighbour(&body->task, next));
}

static void get_balance(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel)
{
    (void)bind;
    lua_pushinteger(L, (lua_Integer)channel->count[TK_SENDS] -
                           (lua_Integer)channel->count[TK_RECEIVES]);
}

static void get_closed(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel)
{
    (void)bind;
    lua_pushboolean(L, channel->closing && channel->count[TK_SENDS] == 0);
}

static void get_closing(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel)
{
    (void)bind;
    lua_pushboolean(L, channel->closing);
}

static void get_preference(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel)
{
    (void)bind;
    lua_pushinteger(L, channel->preference);
}

static void get_queue(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel)
{
    push_waiting(L, bind, tk_channel_first(channel));
}

static void get_schedule_all(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel)
{
    (void)bind;
    lua_pushboolean(L, channel->schedule_all);
}

/* The value on top becomes the preference; false: it is no integer. */
static bool to_preference(lua_State *L, struct tk_channel *channel)
{
    int exact;
    lua_Integer preference = lua_tointegerx(L, -1, &exact);

    if (!exact || lua_type(L, -1) != LUA_TNUMBER) {
        return false;
    }
    channel->preference = (preference > 0) - (preference < 0);
    return true;
}

static void set_preference(lua_State *L, struct tk_channel *channel)
{
    if (!to_preference(L, channel)) {
        luaL_error(L,
                   "bad value for attribute 'preference' of a channel (integer expected, got %s)",
                   luaL_typename(L, -1));
    }
}

static void set_schedule_all(lua_State *L, struct tk_channel *channel)
{
    if (!lua_isboolean(L, -1)) {
        luaL_error(L,
                   "bad value for attribute 'schedule_all' of a channel (boolean expected, got %s)",
                   luaL_typename(L, -1));
    }
    channel->schedule_all = lua_toboolean(L, -1);
}

static const struct attribute {
    const char *name;
    void (*get)(lua_State *L, struct tk_bind *bind, const struct tk_channel *channel);
    void (*set)(lua_State *L, struct tk_channel *channel); /* NULL: read only */
} attributes[] = {
    {"balance", get_balance, NULL}, {"closed", get_closed, NULL},
    {"closing", get_closing, NULL}, {"preference", get_preference, set_preference},
    {"queue", get_queue, NULL},     {"schedule_all", get_schedule_all, set_schedule_all},
};

/* Upvalue 2 of __index and __newindex: the methods by name, and the attributes, as light userdata.
 */
enum { UP_MEMBERS = 2 };

static int channel_index(lua_State *L)
{
    const struct attribute *attribute;

    lua_settop(L, 2);
    if (lua_rawget(L, lua_upvalueindex(UP_MEMBERS)) == LUA_TLIGHTUSERDATA) {
        struct tk_bind *bind = tk_bind_of(L);

        attribute = lua_touserdata(L, -1);
        attribute->get(L, bind, check_channel(L, bind));
    }
    return 1;
}

static int channel_newindex(lua_State *L)
{
    struct tk_channel *channel = check_channel(L, tk_bind_of(L));
    const struct attribute *attribute;

    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(UP_MEMBERS));
    attribute = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
    lua_pop(L, 1);
    if (attribute == NULL) {
        return luaL_error(L, "a channel has no attribute '%s'", luaL_tolstring(L, 2, NULL));
    }
    if (attribute->set == NULL) {
        return luaL_error(L, "attribute '%s' of a channel is read-only", attribute->name);
    }
    attribute->set(L, channel);
    return 0;
}

static int channel_tostring(lua_State *L)
{
    const struct tk_channel *channel = check_channel(L, tk_bind_of(L));

    lua_pushfstring(L, "channel: %p (%I sending, %I receiving%s)", (const void *)channel,
                    (LUAI_UACINT)channel->count[TK_SENDS], (LUAI_UACINT)channel->count[TK_RECEIVES],
                    channel->closing ? ", closed" : "");
    return 1;
}

/* For the Lua part. */
static int is_channel(lua_State *L)
{
    lua_pushboolean(L, tk_to_channel(L, 1, tk_bind_of(L)) != NULL);
    return 1;
}

/* channel{preference=}: a new one. */
static int module_channel(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct object *object;

    tk_check_open(L, bind);
    lua_settop(L, 1);
    object = lua_newuserdatauv(L, sizeof *object, 0);
    object->brand = &brand;
    tk_channel_init(&object->channel);
    tk_push_table(L, bind, TABLE_CHANNEL);
    lua_setmetatable(L, -2);
    if (lua_isnil(L, 1)) {
        return 1;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "preference") != 0) {
            luaL_argerror(L, 1,
                          lua_pushfstring(L, "unknown option '%s' (known: preference)",
                                          luaL_tolstring(L, -2, NULL)));
        }
        if (!to_preference(L, &object->channel)) {
            tk_option_error(L, 1, "preference", "integer");
        }
        lua_pop(L, 1);
    }
    return 1;
}

/* The stack's top is the module's table. */
void tk_channel_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg module[] = {{"channel", module_channel}, {NULL, NULL}};
    static const luaL_Reg core[] = {{"is_channel", is_channel}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"send", channel_send},       {"send_exception", channel_send_exception},
        {"receive", channel_receive}, {"close", channel_close},
        {"open", channel_open},       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__tostring", channel_tostring}, {"__call", channel_call}, {NULL, NULL}};
    int metatable, members;

    tk_set_functions(L, module);
    tk_push_table(L, bind, TABLE_CHANNEL);
    metatable = lua_gettop(L);
    lua_pushliteral(L, "channel");
    lua_setfield(L, metatable, "__name");
    tk_set_functions(L, metamethods);
    lua_newtable(L);
    members = lua_gettop(L);
    tk_set_functions(L, methods);
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        lua_pushlightuserdata(L, (void *)&attributes[i]);
        lua_setfield(L, members, attributes[i].name);
    }
    for (int i = 0; i < 2; i++) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, members);
        lua_pushcclosure(L, i == 0 ? channel_index : channel_newindex, 2);
        lua_setfield(L, metatable, i == 0 ? "__index" : "__newindex");
    }
    lua_settop(L, members);
    lua_pushvalue(L, metatable);
    tk_protect(L, bind);
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pushvalue(L, members);
    lua_setfield(L, -2, "channel_methods");
    lua_settop(L, metatable - 1);
}
