/*
 * Messages and mailboxes. A Message is a plain table with the fields name, dest, value and sender,
 * of its own metatable; the core sees its name and an anchor.
 */
#include "bind/bind.h"
#include "bind/module.h"

bool tk_is_message(lua_State *L, int index, const struct tk_bind *bind)
{
    bool is;

    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) {
        return false;
    }
    tk_push_table(L, bind, TABLE_MESSAGE);
    is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

static void push_message(lua_State *L, struct tk_bind *bind)
{
    lua_createtable(L, 0, 4);
    tk_push_table(L, bind, TABLE_MESSAGE);
    lua_setmetatable(L, -2);
}

static void check_tasklet_option(lua_State *L, struct tk_bind *bind, const char *name)
{
    if (!lua_isnil(L, -1) && tk_to_body(L, -1, bind) == NULL) {
        tk_option_error(L, 2, name, "Tasklet");
    }
}

/* Message(name, {dest=, value=, sender=}). Upvalue 2: the known options. */
static int message_new(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    if (lua_type(L, 1) != LUA_TSTRING) {
        luaL_typeerror(L, 1, "string");
    }
    lua_settop(L, 2);
    push_message(L, bind);
    lua_pushvalue(L, 1);
    lua_setfield(L, 3, "name");
    if (lua_isnil(L, 2)) {
        return 1;
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pushvalue(L, -2);
        if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL) {
            return luaL_argerror(L, 2,
                                 lua_pushfstring(L,
                                                 "unknown option '%s' (known: dest, sender, value)",
                                                 luaL_tolstring(L, -3, NULL)));
        }
        lua_pop(L, 2);
    }
    lua_getfield(L, 2, "dest");
    check_tasklet_option(L, bind, "dest");
    lua_setfield(L, 3, "dest");
    lua_getfield(L, 2, "value");
    lua_setfield(L, 3, "value");
    lua_getfield(L, 2, "sender");
    check_tasklet_option(L, bind, "sender");
    lua_setfield(L, 3, "sender");
    return 1;
}

/* Gives the message on top, popped, to `dest`. */
static void deliver(lua_State *L, struct tk_bind *bind, struct tk_body *dest,
                    struct tk_body *sender)
{
    struct tk_atom *atom;
    const char *name;
    size_t length;
    int anchor, rc;

    if (dest->task.state == TK_ENDED) {
        tk_raise(L, "message '%s' sent to a finished tasklet",
                 (lua_getfield(L, -1, "name"), luaL_tolstring(L, -1, NULL)));
    }
    if (lua_getfield(L, -1, "name") != LUA_TSTRING) {
        tk_raise(L, "the message's name is no string");
    }
    name = lua_tolstring(L, -1, &length);
    atom = tk_atom_take(&bind->sched->atoms, name, length);
    lua_pop(L, 1);
    if (atom == NULL) {
        luaL_error(L, "not enough memory");
    }
    anchor = tk_anchor(L, bind);
    bind->L = L;
    rc = tk_mail_send(bind->sched, &dest->task, atom, tk_payload(anchor));
    tk_atom_drop(&bind->sched->atoms, atom);
    if (rc < 0) {
        tk_unanchor(L, bind, anchor);
        luaL_error(L, "not enough memory");
    }
    if (sender != NULL && bind->sched->batch != NULL) {
        sender->task.sending = true;
    }
}

RAISES bool tk_message_send(lua_State *L, struct tk_bind *bind, int index, struct tk_body *sender)
{
    struct tk_body *dest;

    lua_getfield(L, index, "dest");
    dest = tk_to_body(L, -1, bind);
    if (dest == NULL) {
        tk_raise(L, "the message has no destination (dest is a %s)", luaL_typename(L, -1));
    }
    if (sender != NULL) {
        tk_push_body(L, bind, sender);
        lua_setfield(L, index, "sender");
    }
    lua_pushvalue(L, index);
    deliver(L, bind, dest, sender);
    lua_pop(L, 1);
    return bind->sched->batch != NULL;
}

static int sent(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *sender = tk_current(bind);

    (void)context;
    if (sender != NULL) {
        sender->task.sending = false;
    }
    if (status == LUA_YIELD) {
        tk_check_raise(L, bind);
    }
    return 0;
}

/* send(dest, name, value) */
static int module_send(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *sender;

    tk_check_open(L, bind);
    tk_check_body(L, 1, bind);
    if (lua_type(L, 2) != LUA_TSTRING) {
        luaL_typeerror(L, 2, "string");
    }
    lua_settop(L, 3);
    sender = tk_current(bind);
    push_message(L, bind);
    lua_pushvalue(L, 2);
    lua_setfield(L, 4, "name");
    lua_pushvalue(L, 1);
    lua_setfield(L, 4, "dest");
    lua_pushvalue(L, 3);
    lua_setfield(L, 4, "value");
    tk_message_send(L, bind, 4, sender);
    return tk_hand_over(L, bind, sent, 0);
}

/* t:send_message(message), and mailbox:append(message): fills in dest, leaves sender as it is. */
static int give(lua_State *L, struct tk_bind *bind, struct tk_body *dest)
{
    if (!tk_is_message(L, 2, bind)) {
        luaL_typeerror(L, 2, "Message");
    }
    if (lua_getfield(L, 2, "dest") == LUA_TNIL) {
        tk_push_body(L, bind, dest);
        lua_setfield(L, 2, "dest");
    }
    lua_settop(L, 2);
    deliver(L, bind, dest, tk_current(bind));
    return tk_hand_over(L, bind, sent, 0);
}

static int send_message(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *dest = tk_check_body(L, 1, bind);

    tk_check_open(L, bind);
    if (dest->task.state == TK_ENDED) {
        return tk_raise(L, "message sent to a finished tasklet");
    }
    return give(L, bind, dest);
}

void tk_warn_unnamed(lua_State *L, struct tk_bind *bind, struct tk_task *task, void *payload)
{
    struct tk_body *body = tk_container_of(task, struct tk_body, task);

    if (!lua_checkstack(L, 20)) {
        return;
    }
    tk_push_body(L, bind, body);
    tk_push_anchored(L, bind, (int)(intptr_t)payload);
    lua_getfield(L, -1, "name");
    tk_push_name(L, bind, lua_gettop(L) - 2);
    lua_pushfstring(L, "implicitly discarding message '%s' (tasklet '%s')", lua_tostring(L, -2),
                    lua_tostring(L, -1));
    lua_warning(L, lua_tostring(L, -1), 0);
    lua_pop(L, 5);
}

/* ---- mailboxes: a userdata whose user value is the tasklet ---- */

int tk_get_mailbox(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    lua_newuserdatauv(L, 1, 1);
    tk_push_table(L, bind, TABLE_MAILBOX);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

/* The tasklet whose mailbox is at 1. */
static struct tk_body *check_mailbox(lua_State *L, struct tk_bind *bind)
{
    bool is = false;

    if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
        tk_push_table(L, bind, TABLE_MAILBOX);
        is = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
    }
    if (!is) {
        luaL_typeerror(L, 1, "mailbox");
    }
    tk_check_open(L, bind);
    lua_getiuservalue(L, 1, 1);
    lua_remove(L, 1);
    lua_insert(L, 1);
    return lua_touserdata(L, 1);
}

static int mailbox_len(lua_State *L)
{
    struct tk_body *body = check_mailbox(L, tk_bind_of(L));

    lua_pushinteger(L, body->task.mail == NULL ? 0 : (lua_Integer)body->task.mail->count);
    return 1;
}

static int mailbox_append(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *dest = check_mailbox(L, bind);

    if (dest->task.state == TK_ENDED) {
        return tk_raise(L, "message sent to a finished tasklet");
    }
    return give(L, bind, dest);
}

static lua_Number now_ms(struct tk_bind *bind)
{
    return (lua_Number)bind->hooks->now(bind->context) / 1e6;
}

/* Frame: tasklet, deadline in milliseconds. */
static int mailbox_popped(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind), *owner = lua_touserdata(L, 1);
    struct tk_arg arg = {.given = true, .as.task = &owner->task};
    lua_Number deadline = lua_tonumber(L, 2); /* negative: none */
    void *payload;
    bool late = false;

    (void)context;
    if (status == LUA_YIELD) {
        for (struct tk_wait *w = body->task.verbs; w != NULL; w = w->as.next) {
            late = late || (w->kind == bind->timeout && w->pending > 0);
        }
        tk_verb_done(bind, body);
        tk_check_raise(L, bind);
    }
    payload = tk_mail_pop(bind->sched, owner->task.mail);
    if (payload != NULL) {
        tk_push_payload(L, bind, payload);
        return 1;
    }
    if (late || (deadline >= 0 && deadline <= now_ms(bind))) {
        return tk_raise_class(L, "TimeoutError", "no message in time");
    }
    body = tk_check_wait(L, bind);
    if (owner->task.state == TK_ENDED) {
        return tk_raise(L, "the mailbox of a finished tasklet");
    }
    if (deadline >= 0) {
        struct tk_arg time = {.given = true, .as.number = deadline - now_ms(bind)};

        time.as.number = time.as.number > 0 ? time.as.number : 0;
        tk_verb_wait(L, bind, body, bind->timeout, &time);
    }
    tk_verb_wait(L, bind, body, bind->mail, &arg);
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, mailbox_popped, 0);
}

/* mailbox:popleft(timeout): the first message; waits for one. */
static int mailbox_popleft(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Number seconds;

    check_mailbox(L, bind);
    seconds = luaL_optnumber(L, 2, -1);
    lua_settop(L, 1);
    lua_pushnumber(L, seconds < 0 ? -1 : now_ms(bind) + seconds * 1000);
    return mailbox_popped(L, LUA_OK, 0);
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

    lua_pushfstring(L, "mailbox of '%s' (%d messages)", tk_push_name(L, bind, 1),
                    body->task.mail == NULL ? 0 : (int)body->task.mail->count);
    return 1;
}

static int mailbox_eq(lua_State *L)
{
    bool both = lua_type(L, 1) == LUA_TUSERDATA && lua_type(L, 2) == LUA_TUSERDATA;

    lua_settop(L, 2);
    if (both) {
        lua_getiuservalue(L, 1, 1);
        lua_getiuservalue(L, 2, 1);
    }
    lua_pushboolean(L, both && lua_rawequal(L, 3, 4));
    return 1;
}

static int message_tostring(lua_State *L)
{
    lua_getfield(L, 1, "name");
    lua_pushfstring(L, "Message('%s')", luaL_tolstring(L, -1, NULL));
    return 1;
}

/* The stack's top is the module's table. */
void tk_message_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg tasklet[] = {
        {"send", module_send}, {"send_message", send_message}, {NULL, NULL}};
    static const luaL_Reg mailbox[] = {{"append", mailbox_append},
                                       {"popleft", mailbox_popleft},
                                       {"iter", mailbox_iter},
                                       {NULL, NULL}};
    static const luaL_Reg mailbox_meta[] = {{"__len", mailbox_len},
                                            {"__tostring", mailbox_tostring},
                                            {"__eq", mailbox_eq},
                                            {NULL, NULL}};
    static const luaL_Reg message_meta[] = {{"__tostring", message_tostring}, {NULL, NULL}};

    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, tasklet);
    lua_pop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_createtable(L, 0, 3);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "dest");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "value");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "sender");
    lua_pushcclosure(L, message_new, 2);
    lua_setfield(L, -2, "Message");
    tk_push_table(L, bind, TABLE_MESSAGE);
    lua_pushliteral(L, "Message");
    lua_setfield(L, -2, "__name");
    tk_set_functions(L, message_meta);
    lua_newtable(L);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_MAILBOX);
    lua_pushliteral(L, "mailbox");
    lua_setfield(L, -2, "__name");
    tk_set_functions(L, mailbox_meta);
    lua_newtable(L);
    tk_set_functions(L, mailbox);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
