/*
 * Mailboxes as scripts see them, and the verbs that take messages whatever their names: popleft,
 * receive, receive_batch. Sending is in message.c.
 *
 * The object `t.mailbox` is a userdata that refers to the tasklet, which is its user value; it owns
 * nothing. Messages are handed out without giving way while there are some and the scheduler's
 * credit lasts; then all others who are ready have their turn.
 */
#include "bind/bind.h"

struct box {
    const void *brand; /* that it is one */
    struct tk_body *body;
};

static const char brand = 'B';

/* Puts the mailbox of the tasklet at 1 on top. */
int tk_get_mailbox(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct box *box = lua_newuserdatauv(L, sizeof *box, 1);

    box->brand = &brand;
    box->body = lua_touserdata(L, 1);
    tk_push_table(L, bind, TABLE_MAILBOX);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

static struct box *to_box(lua_State *L, int index)
{
    struct box *box = tk_to_sized(L, index, sizeof *box);

    return box != NULL && box->brand == &brand ? box : NULL;
}

/* The tasklet whose mailbox is at 1. */
static struct tk_body *check_mailbox(lua_State *L, struct tk_bind *bind)
{
    struct box *box = to_box(L, 1);

    if (box == NULL) {
        luaL_typeerror(L, 1, "mailbox");
    }
    tk_check_open(L, bind);
    return box->body;
}

static size_t count_in(const struct tk_mailbox *mail)
{
    return mail == NULL ? 0 : mail->count;
}

static lua_Number now_ms(struct tk_bind *bind)
{
    return (lua_Number)bind->hooks->now(bind->context) / 1e6;
}

/* ---- taking ---- */

/* Upvalues of the functions that take: the table of anchors; the timeout of each message of a
 * `receive`, if it has one. */
enum { UP_ANCHORS = 2, UP_TIMEOUT = 3 };

/* Does the caller go on with messages that are there, or has it had enough of them in a row? */
static bool may_go_on(lua_State *L, const struct tk_bind *bind)
{
    if (bind->sched->credit > 0) {
        bind->sched->credit--;
        return true;
    }
    return !tk_can_give_way(L, bind);
}

static bool is_late(const struct tk_bind *bind, const struct tk_body *body)
{
    const struct tk_wait *timeout = tk_verb_of(body, bind->timeout);

    return timeout != NULL && timeout->pending > 0;
}

/* The current tasklet waits until `wanted` messages are in `owner`'s mailbox, 0: until it is given
 * one; or till the deadline in milliseconds, negative: none. */
static void await(lua_State *L, struct tk_bind *bind, struct tk_body *body, struct tk_body *owner,
                  size_t wanted, lua_Number deadline)
{
    struct tk_arg args[2] = {{.given = true, .as.task = &owner->task},
                             {.given = true, .as.integer = (int64_t)wanted}};

    if (deadline >= 0) {
        struct tk_arg time = {.given = true, .as.number = deadline - now_ms(bind)};

        time.as.number = time.as.number > 0 ? time.as.number : 0;
        tk_verb_wait(L, bind, body, bind->timeout, &time);
    }
    tk_verb_wait_args(L, bind, body, bind->mail, args);
    tk_task_blocked(bind->sched, &body->task);
}

static lua_Number deadline_of(struct tk_bind *bind, lua_Number seconds)
{
    return seconds < 0 ? -1 : now_ms(bind) + seconds * 1000;
}

static int taken(lua_State *L, int status, lua_KContext context);

/* A tasklet waits until it gets a message. */
static void block_own(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    tk_check_trap(L, body);
    if (tk_mail_block(&body->task, bind->mail, L) < 0) {
        luaL_error(L, "not enough memory");
    }
}

/* There is no message. Frame: what keeps the owner; the deadline, if there is one. */
static int block(lua_State *L, struct tk_bind *bind, struct tk_body *owner, lua_Number deadline)
{
    struct tk_body *body;

    if (deadline >= 0 && deadline <= now_ms(bind)) {
        return tk_raise_class(L, "TimeoutError", "no message in time");
    }
    body = tk_check_wait(L, bind);
    if (body == owner && deadline < 0) {
        block_own(L, bind, body);
    } else if (owner->task.state == TK_ENDED) {
        return tk_raise(L, "the mailbox of a finished tasklet");
    } else {
        await(L, bind, body, owner, 0, deadline);
    }
    return tk_give_way(L, bind, taken, (lua_KContext)owner);
}

/* Frame: what keeps the owner; the deadline in milliseconds, if there is one. `context`: the
 * owner. */
static int taken(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind), *owner = (struct tk_body *)context;
    struct tk_taker *taker;
    void *payload = NULL;
    bool late = false;

    (void)status;
    if (tk_mail_met(&body->task)) {
        return 1; /* it is on top */
    }
    taker = (struct tk_taker *)tk_verb_of(body, bind->mail);
    if (taker != NULL) {
        if (body->task.raise == TK_RAISE_NOTHING) {
            payload = tk_mail_taken(bind->sched, taker);
            late = payload == NULL && is_late(bind, body);
        }
        tk_verb_done(bind, body);
    }
    if (body->task.raise != TK_RAISE_NOTHING) {
        tk_check_raise(L, bind);
    }
    if (payload == NULL) {
        payload = tk_mail_pop(bind->sched, owner->task.mail);
    }
    if (payload != NULL) {
        tk_push_payload_in(L, bind, lua_upvalueindex(UP_ANCHORS), payload);
        return 1;
    }
    if (late) {
        return tk_raise_class(L, "TimeoutError", "no message in time");
    }
    return block(L, bind, owner, lua_gettop(L) < 2 ? -1 : lua_tonumber(L, 2));
}

/* Frame: what keeps the owner. There is no message, or others have their turn first. */
static int wait_and_take(lua_State *L, struct tk_bind *bind, struct tk_body *owner,
                         lua_Number seconds)
{
    lua_Number deadline = -1;

    if (seconds >= 0) {
        deadline = deadline_of(bind, seconds);
        lua_pushnumber(L, deadline);
    }
    if (count_in(owner->task.mail) > 0) {
        tk_task_give_way(bind->sched, bind->sched->current);
        return tk_give_way(L, bind, taken, (lua_KContext)owner);
    }
    return block(L, bind, owner, deadline);
}

/* mailbox:popleft(timeout): the first message; waits for one. */
static int mailbox_popleft(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *owner = check_mailbox(L, bind), *body = tk_current(bind);
    lua_Number seconds = tk_check_timeout(L, bind, 2);

    if (body != NULL && tk_is_stopped(bind, body)) {
        tk_check_wait(L, bind);
    }
    if (count_in(owner->task.mail) > 0 && may_go_on(L, bind)) {
        tk_push_payload_in(L, bind, lua_upvalueindex(UP_ANCHORS),
                           tk_mail_pop(bind->sched, owner->task.mail));
        return 1;
    }
    lua_settop(L, 1);
    return wait_and_take(L, bind, owner, seconds);
}

/* The current tasklet, which is to take a message: as tk_check_wait, but where it need not wait it
 * is all the same whether it could. */
static inline struct tk_body *check_taker(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    return body == NULL || tk_is_stopped(bind, body) ? tk_check_wait(L, bind) : body;
}

/* A message that is there, if the current tasklet need not give way first. */
static inline bool take_now(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    if (count_in(body->task.mail) == 0 || !may_go_on(L, bind)) {
        return false;
    }
    tk_push_payload_in(L, bind, lua_upvalueindex(UP_ANCHORS),
                       tk_mail_pop(bind->sched, body->task.mail));
    return true;
}

/* `context` is the binding: this is a hot continuation. */
static int received(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = (struct tk_bind *)context;
    struct tk_body *body = tk_current(bind);

    if (tk_mail_met(&body->task)) {
        bind->L = L;
        return 1; /* it is on top */
    }
    lua_settop(L, 0);
    return taken(L, status, (lua_KContext)body);
}

/* The next of a `receive` without a timeout. */
static int receive_next(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = check_taker(L, bind);

    if (take_now(L, bind, body)) {
        return 1;
    }
    if (body->timed || count_in(body->task.mail) > 0) {
        lua_settop(L, 0);
        lua_pushnil(L); /* no timeout of its own */
        return wait_and_take(L, bind, body, tk_check_timeout(L, bind, 1));
    }
    tk_check_wait(L, bind);
    block_own(L, bind, body);
    return tk_give_way(L, bind, received, (lua_KContext)bind);
}

/* The next of one with a timeout. */
static int receive_within(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = check_taker(L, bind);

    if (take_now(L, bind, body)) {
        return 1;
    }
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(UP_TIMEOUT));
    return wait_and_take(L, bind, body, tk_check_timeout(L, bind, 1));
}

/* receive(timeout): for a loop over messages as they come. */
static int module_receive(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    bool timed;

    tk_check_open(L, bind);
    tk_check_timeout(L, bind, 1);
    lua_settop(L, 1);
    timed = !lua_isnil(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    tk_push_table(L, bind, TABLE_ANCHORS);
    if (timed) {
        lua_pushvalue(L, 1);
    }
    lua_pushcclosure(L, timed ? receive_within : receive_next, timed ? 3 : 2);
    return 1;
}

/* ---- batches ---- */

/* Upvalues of the iterator: the size, the timeout or nil, and the list that was begun, or nil. */
enum { BATCH_SIZE = 2, BATCH_TIMEOUT, BATCH_BEGUN };

/* What it waits for: its turn, the first message, or more of them. */
enum { TURN, FIRST, MORE };

static int batch_step(lua_State *L, struct tk_bind *bind, lua_KContext phase, bool late);

static int batch_go_on(lua_State *L, int status, lua_KContext phase)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    (void)status;
    if (body->task.raise != TK_RAISE_NOTHING) {
        tk_verb_done(bind, body);
        tk_check_raise(L, bind);
    }
    return batch_step(L, bind, phase, is_late(bind, body));
}

/* Moves so many messages into the list that was begun, and pushes that. */
static void collect(lua_State *L, struct tk_bind *bind, struct tk_mailbox *mail, size_t count)
{
    lua_Integer length;

    if (lua_isnil(L, lua_upvalueindex(BATCH_BEGUN))) {
        lua_createtable(L, (int)count, 0);
        lua_copy(L, -1, lua_upvalueindex(BATCH_BEGUN));
    } else {
        lua_pushvalue(L, lua_upvalueindex(BATCH_BEGUN));
    }
    length = (lua_Integer)lua_rawlen(L, -1);
    bind->sched->credit -= (int)count;
    while (count-- > 0) {
        tk_push_payload(L, bind, tk_mail_pop(bind->sched, mail));
        lua_rawseti(L, -2, ++length);
    }
}

/* Frame: the deadline for more messages. */
static int batch_await(lua_State *L, struct tk_bind *bind, size_t wanted, lua_Number deadline,
                       lua_KContext phase)
{
    struct tk_body *body = tk_check_wait(L, bind); /* ends the verb before, too */

    lua_settop(L, 0);
    lua_pushnumber(L, deadline);
    await(L, bind, body, body, wanted, deadline);
    return tk_give_way(L, bind, batch_go_on, phase);
}

/* When a batch that has its first message is to end, in milliseconds; negative: when it is full. */
static lua_Number batch_deadline(lua_State *L, struct tk_bind *bind)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(BATCH_TIMEOUT));
    return deadline_of(bind, tk_check_timeout(L, bind, 1));
}

/* `late`: the time of what it waited for is over. */
static int batch_step(lua_State *L, struct tk_bind *bind, lua_KContext phase, bool late)
{
    struct tk_body *body = tk_current(bind);
    struct tk_mailbox *mail = body->task.mail;
    size_t need = (size_t)lua_tointeger(L, lua_upvalueindex(BATCH_SIZE));
    size_t begun = lua_rawlen(L, lua_upvalueindex(BATCH_BEGUN)), there;
    lua_Number deadline = phase == MORE ? lua_tonumber(L, 1) : -1;

    need -= begun;
    while ((there = count_in(mail)) > 0 && there < need && mail->limit != 0 &&
           mail->count >= mail->limit) {
        collect(L, bind, mail, there); /* or no more can come */
        lua_pop(L, 1);
        need -= there;
        begun += there;
    }
    if (begun + there == 0) {
        if (phase == FIRST && late) {
            tk_verb_done(bind, body);
            return tk_raise_class(L, "TimeoutError", "no message in time");
        }
        lua_settop(L, 0);
        return batch_await(L, bind, 1, deadline_of(bind, tk_check_timeout(L, bind, 1)), FIRST);
    }
    if (phase != MORE && there < need) {
        deadline = batch_deadline(L, bind);
        late = deadline >= 0 && deadline <= now_ms(bind);
        phase = MORE;
    }
    if (there < need && !(late && phase == MORE)) {
        return batch_await(L, bind, need, deadline, MORE);
    }
    collect(L, bind, mail, there < need ? there : need);
    tk_verb_done(bind, body);
    lua_pushnil(L);
    lua_replace(L, lua_upvalueindex(BATCH_BEGUN));
    return 1;
}

static int batch_next(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = check_taker(L, bind);

    if (count_in(body->task.mail) > 0 && !may_go_on(L, bind)) {
        tk_task_give_way(bind->sched, &body->task);
        return tk_give_way(L, bind, batch_go_on, TURN);
    }
    return batch_step(L, bind, TURN, false);
}

/* receive_batch(max_size, batch_timeout): for a loop over lists of messages. */
static int module_receive_batch(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_check_open(L, bind);
    luaL_argcheck(L, luaL_checkinteger(L, 1) >= 1, 1, "size must be at least 1");
    tk_check_timeout(L, bind, 2);
    lua_settop(L, 3);
    lua_pushnil(L);
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_pushcclosure(L, batch_next, 4);
    return 1;
}

/* ---- the object ---- */

static int mailbox_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)count_in(check_mailbox(L, tk_bind_of(L))->task.mail));
    return 1;
}

/* mailbox:append(message): as send_message. */
static int mailbox_append(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    return tk_message_give(L, bind, check_mailbox(L, bind));
}

static int iter_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2)) + 1;

    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(2));
    lua_rawgeti(L, lua_upvalueindex(1), i);
    return 1;
}

/* mailbox:iter(): over what waits in it now. */
static int mailbox_iter(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_mailbox *mail = check_mailbox(L, bind)->task.mail;
    lua_Integer i = 0;

    lua_newtable(L);
    for (struct tk_list *n = mail == NULL ? NULL : mail->order.next; n != NULL && n != &mail->order;
         n = n->next) {
        struct tk_message *message = tk_container_of(n, struct tk_message, order);

        if (message == mail->outside) {
            break;
        }
        tk_push_anchored(L, bind, (int)(intptr_t)message->payload);
        lua_rawseti(L, -2, ++i);
    }
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, iter_next, 2);
    return 1;
}

static int mailbox_tostring(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = check_mailbox(L, bind);

    lua_getiuservalue(L, 1, 1);
    lua_pushfstring(L, "mailbox of '%s' (%d messages)", tk_push_name(L, bind, lua_gettop(L)),
                    (int)count_in(body->task.mail));
    return 1;
}

static int mailbox_eq(lua_State *L)
{
    const struct box *a = to_box(L, 1), *b = to_box(L, 2);

    lua_pushboolean(L, a != NULL && b != NULL && a->body == b->body);
    return 1;
}

/* The stack's top is the module's table. */
void tk_mailbox_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg tasklet[] = {
        {"receive", module_receive}, {"receive_batch", module_receive_batch}, {NULL, NULL}};
    static const luaL_Reg takers[] = {{"popleft", mailbox_popleft}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"append", mailbox_append}, {"iter", mailbox_iter}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__len", mailbox_len},
                                           {"__tostring", mailbox_tostring},
                                           {"__eq", mailbox_eq},
                                           {NULL, NULL}};

    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, tasklet);
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_MAILBOX);
    lua_pushliteral(L, "mailbox");
    lua_setfield(L, -2, "__name");
    tk_set_functions(L, metamethods);
    lua_createtable(L, 0, 3);
    tk_set_functions(L, methods);
    lua_pushvalue(L, lua_upvalueindex(1));
    tk_push_table(L, bind, TABLE_ANCHORS);
    luaL_setfuncs(L, takers, 2);
    lua_setfield(L, -2, "__index");
    tk_protect(L, bind);
    lua_pop(L, 1);
}
