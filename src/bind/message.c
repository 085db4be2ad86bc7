/*
 * Messages: the object, and sending. Calling and replying are in call.c, mailboxes as scripts see
 * them in mailbox.c.
 *
 * The core sees a message's name and an anchor. One that goes to who waits for it in `receive` or
 * `popleft` needs no anchor: it passes from stack to stack.
 */
#include "bind/letter.h"
#include "bind/module.h"

static const char brand = 'M';

static struct letter *to_letter(lua_State *L, int index)
{
    struct letter *letter = tk_to_sized(L, index, sizeof *letter);

    return letter != NULL && letter->brand == &brand ? letter : NULL;
}

bool tk_is_message(lua_State *L, int index, const struct tk_bind *bind)
{
    (void)bind;
    return to_letter(L, index) != NULL;
}

RAISES struct letter *tk_check_letter(lua_State *L, int index)
{
    struct letter *letter = to_letter(L, index);

    if (letter == NULL) {
        luaL_typeerror(L, index, "Message");
    }
    return letter;
}

/* Pushes a message without a name. In place, as `post`: messages are sent in numbers. */
__attribute__((always_inline)) static inline void push_letter(lua_State *L, struct tk_bind *bind,
                                                              int values)
{
    struct letter *letter = lua_newuserdatauv(L, sizeof *letter, values);

    letter->brand = &brand;
    letter->bind = bind;
    letter->called = values > PLAIN_LETTER;
    letter->fields = false;
    lua_pushvalue(L, lua_upvalueindex(UP_META));
    lua_setmetatable(L, -2);
    if (bind->notes) {
        tk_note_place(L, bind);
    }
}

/* ---- the object ---- */

/* The user value that the attribute at `index` is; 0: none of that name. Short strings are the same
 * if they are one object. */
static inline int value_of(lua_State *L, const struct tk_bind *bind, int index)
{
    const void *key = lua_topointer(L, index);

    for (int value = 1; value <= PLAIN_LETTER; value++) {
        if (key == bind->attributes[value - 1]) {
            return value;
        }
    }
    return 0;
}

/* Sets the attribute that the key at -2 names to the value at -1. */
static void take_option(lua_State *L, struct tk_bind *bind, int message)
{
    int value = value_of(L, bind, -2);

    if (value <= UV_NAME) {
        luaL_argerror(L, 2,
                      lua_pushfstring(L, "unknown option '%s' (known: dest, sender, value)",
                                      luaL_tolstring(L, -2, NULL)));
    }
    if (value != UV_VALUE && tk_to_body(L, -1, bind) == NULL) {
        tk_option_error(L, 2, lua_tostring(L, -2), "Tasklet");
    }
    lua_setiuservalue(L, message, value);
}

/* Message(name, {dest=, value=, sender=}) */
static int message_new(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    if (lua_type(L, 1) != LUA_TSTRING) {
        luaL_typeerror(L, 1, "string");
    }
    lua_settop(L, 2);
    push_letter(L, bind, PLAIN_LETTER);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 3, UV_NAME);
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        lua_pushnil(L);
        while (lua_next(L, 2)) {
            take_option(L, bind, 3);
        }
    }
    return 1;
}

/* Pushes the table of fields of the message at 1, made if need be. */
static void push_fields(lua_State *L, struct tk_bind *bind)
{
    tk_push_table(L, bind, TABLE_FIELDS);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    }
    lua_remove(L, -2);
}

/* Upvalue 2: the methods. What it calls here is compiled into it: attributes are what messages are
 * for. */
__attribute__((flatten)) static int message_index(lua_State *L)
{
    struct letter *letter = tk_check_letter(L, 1);
    int value = value_of(L, letter->bind, 2);

    if (value != 0) {
        lua_getiuservalue(L, 1, value);
        return 1;
    }
    if (letter->fields) {
        push_fields(L, tk_bind_of(L));
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL) {
            return 1;
        }
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    return 1;
}

static int message_newindex(lua_State *L)
{
    struct letter *letter = tk_check_letter(L, 1);
    int value = value_of(L, letter->bind, 2);

    lua_settop(L, 3);
    if (value != 0) {
        lua_setiuservalue(L, 1, value);
        return 0;
    }
    push_fields(L, tk_bind_of(L));
    lua_insert(L, 2);
    lua_rawset(L, 2);
    letter->fields = true;
    return 0;
}

static int message_tostring(lua_State *L)
{
    tk_check_letter(L, 1);
    lua_getiuservalue(L, 1, UV_NAME);
    lua_pushfstring(L, "Message('%s')", luaL_tolstring(L, -1, NULL));
    return 1;
}

/* ---- sending ---- */

/* Pushes the name of the message at `index` as text. */
static const char *push_name(lua_State *L, int index)
{
    lua_getiuservalue(L, index, UV_NAME);
    return luaL_tolstring(L, -1, NULL);
}

/* The string at `index`, a name that was not used lately, takes its place among those that were. */
static struct tk_atom *learn_name(lua_State *L, struct tk_bind *bind, int index,
                                  struct tk_name *name)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    struct tk_atom *atom;

    index = lua_absindex(L, index);
    tk_push_table(L, bind, TABLE_NAMES);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, name - bind->names + 1);
    lua_pop(L, 1);
    atom = tk_atom_take(&bind->sched->atoms, text, length);
    tk_atom_drop(&bind->sched->atoms, name->atom);
    name->string = atom == NULL ? NULL : lua_topointer(L, index);
    name->atom = atom;
    if (atom == NULL) {
        luaL_error(L, "not enough memory");
    }
    return atom;
}

/* The name at `index` as an atom, which is held until the next name is asked for; NULL: it is no
 * string. */
static inline struct tk_atom *atom_of(lua_State *L, struct tk_bind *bind, int index)
{
    const void *string = lua_topointer(L, index);
    struct tk_name *name = &bind->names[((uintptr_t)string >> 4) % TK_NAMES_KEPT];

    if (name->string == string && string != NULL) {
        return name->atom; /* what is kept has an address of its own */
    }
    return lua_type(L, index) == LUA_TSTRING ? learn_name(L, bind, index, name) : NULL;
}

void tk_message_close(struct tk_bind *bind)
{
    for (size_t i = 0; i < TK_NAMES_KEPT; i++) {
        tk_atom_drop(&bind->sched->atoms, bind->names[i].atom);
        bind->names[i].atom = NULL;
        bind->names[i].string = NULL;
    }
}

/* Gives the anchored message to `dest`: as tk_mail_send, whose result it returns. If it is not sent
 * the anchor is still the caller's. */
__attribute__((always_inline)) static inline int post(lua_State *L, struct tk_bind *bind,
                                                      struct tk_body *dest, struct tk_atom *name,
                                                      int anchor, struct tk_room *room)
{
    int rc = tk_mail_send(bind->sched, &dest->task, name, tk_payload(anchor), room);

    if (rc < 0) {
        tk_unanchor(L, bind, anchor);
        luaL_error(L, "not enough memory");
    }
    if (bind->notes && rc != TK_SENT_FULL) {
        tk_note_sent(L, bind, dest, name);
    }
    return rc;
}

RAISES int tk_message_deliver(lua_State *L, struct tk_bind *bind, int index, struct tk_body *dest,
                              struct tk_room *room)
{
    struct tk_atom *name;
    int anchor, rc;

    if (dest->task.state == TK_ENDED) {
        tk_raise(L, "message '%s' sent to a finished tasklet", push_name(L, index));
    }
    lua_getiuservalue(L, index, UV_NAME);
    name = atom_of(L, bind, -1);
    if (name == NULL) {
        tk_raise(L, "the message's name is no string");
    }
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    anchor = tk_anchor(L, bind);
    rc = post(L, bind, dest, name, anchor, room);
    if (rc == TK_SENT_FULL) {
        tk_unanchor(L, bind, anchor);
    }
    return rc;
}

/* The tasklet that the message at `index` is for. */
static struct tk_body *destination(lua_State *L, struct tk_bind *bind, int index)
{
    struct tk_body *dest;

    lua_getiuservalue(L, index, UV_DEST);
    dest = tk_to_body(L, -1, bind);
    if (dest == NULL) {
        tk_raise(L, "the message has no destination (dest is a %s)", luaL_typename(L, -1));
    }
    lua_pop(L, 1); /* the message holds it */
    return dest;
}

RAISES struct tk_room *tk_message_outside(lua_State *L, struct tk_bind *bind, int index,
                                          struct tk_body *dest, struct tk_body *sender)
{
    struct tk_arg arg = {.given = true, .as.task = &dest->task};
    struct tk_wait *wait = tk_verb_wait(L, bind, sender, bind->room, &arg);

    tk_message_deliver(L, bind, index, dest, (struct tk_room *)wait);
    return (struct tk_room *)wait;
}

enum outcome { SENT, LATE, LOST };

/* How the wait for room has ended. */
static enum outcome room_outcome(struct tk_bind *bind, const struct tk_body *sender)
{
    const struct tk_room *room = (const struct tk_room *)tk_verb_of(sender, bind->room);

    return room == NULL ? SENT : room->lost ? LOST : room->message != NULL ? LATE : SENT;
}

static int raise_lost(lua_State *L, int index)
{
    return tk_raise(L, "message '%s' sent to a tasklet that ended before there was room for it",
                    push_name(L, index));
}

/* `context`: where the message lies. */
static int let_in(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *sender = tk_current(bind);
    enum outcome how = room_outcome(bind, sender);

    (void)status;
    tk_verb_done(bind, sender);
    tk_check_raise(L, bind);
    if (how == LATE) {
        return tk_raise_class(L, "TimeoutError", "no room in the mailbox in time");
    }
    return how == LOST ? raise_lost(L, (int)context) : 0;
}

/* `context` is the binding: this is a hot continuation. */
static int sent(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = (struct tk_bind *)context;
    struct tk_body *sender = tk_current(bind);

    bind->L = L;
    if (sender != NULL) {
        sender->task.sending = false;
    }
    if (status == LUA_YIELD) {
        tk_check_raise(L, bind);
    }
    return 0;
}

/* `seconds`: how long to wait for room. */
static int wait_for_room(lua_State *L, struct tk_bind *bind, int index, struct tk_body *dest,
                         struct tk_body *sender, lua_Number seconds)
{
    tk_check_wait(L, bind);
    if (seconds >= 0) {
        struct tk_arg arg = {.given = true, .as.number = seconds * 1000};

        tk_verb_wait(L, bind, sender, bind->timeout, &arg);
    }
    tk_message_outside(L, bind, index, dest, sender);
    tk_task_blocked(bind->sched, &sender->task);
    return tk_give_way(L, bind, let_in, index);
}

static int raise_full(lua_State *L, struct tk_bind *bind, const struct tk_body *dest)
{
    tk_push_body(L, bind, dest);
    return tk_raise(L, "the mailbox of tasklet '%s' is full (its limit is %d)",
                    tk_push_name(L, bind, lua_gettop(L)), (int)dest->task.mail->limit);
}

RAISES int tk_message_send(lua_State *L, struct tk_bind *bind, int index, struct tk_body *sender)
{
    struct tk_body *dest = destination(L, bind, index);

    tk_push_body(L, bind, sender);
    lua_setiuservalue(L, index, UV_SENDER);
    if (tk_message_deliver(L, bind, index, dest, NULL) == TK_SENT_FULL) {
        return wait_for_room(L, bind, index, dest, sender, -1);
    }
    sender->task.sending = bind->sched->batch != NULL;
    return tk_hand_over(L, bind, sent, (lua_KContext)bind);
}

RAISES void tk_message_post(lua_State *L, struct tk_bind *bind, int index, struct tk_body *sender)
{
    struct tk_body *dest = destination(L, bind, index);

    tk_push_body(L, bind, sender);
    lua_setiuservalue(L, index, UV_SENDER);
    if (tk_message_deliver(L, bind, index, dest, NULL) == TK_SENT_FULL) {
        tk_message_outside(L, bind, index, dest, sender);
        tk_task_blocked(bind->sched, &sender->task);
    } else {
        sender->task.sending = bind->sched->batch != NULL;
    }
}

RAISES void tk_message_posted(lua_State *L, struct tk_bind *bind, struct tk_body *sender)
{
    enum outcome how = room_outcome(bind, sender);

    tk_verb_done(bind, sender);
    if (how == LOST) {
        tk_raise(L, "message sent to a tasklet that ended before there was room for it");
    }
}

static void check_name(lua_State *L, int arg)
{
    if (lua_type(L, arg) != LUA_TSTRING) {
        luaL_typeerror(L, arg, "string");
    }
}

/* The tasklet at 1. Its metatable may be left on the stack. */
static inline struct tk_body *check_dest(lua_State *L, struct tk_bind *bind)
{
    if (lua_getmetatable(L, 1)) {
        if (lua_topointer(L, -1) == bind->class_tasklet) {
            return lua_touserdata(L, 1);
        }
        lua_pop(L, 1);
    }
    return tk_check_body(L, 1, bind);
}

RAISES void tk_push_sent(lua_State *L, struct tk_bind *bind, const struct tk_body *sender,
                         int values)
{
    push_letter(L, bind, values);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, UV_NAME);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, UV_DEST);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, UV_VALUE);
    if (sender != NULL) {
        lua_rawgeti(L, lua_upvalueindex(UP_ANCHORS), sender->anchor);
        lua_setiuservalue(L, -2, UV_SENDER);
    }
}

/* The mailbox of `dest` is full; the message lies at 4. */
static int send_outside(lua_State *L, struct tk_bind *bind, struct tk_body *dest,
                        struct tk_body *sender)
{
    if (sender == NULL) {
        return raise_full(L, bind, dest);
    }
    return wait_for_room(L, bind, 4, dest, sender, tk_check_timeout(L, bind, 5));
}

/*
 * The message on top, popped, goes straight to who waits for it in `receive` or `popleft`, from
 * stack to stack, if that one can be the next to run; then the caller gives way. Nothing runs in
 * between that could wake it for another reason.
 */
static bool meet(lua_State *L, struct tk_bind *bind, const struct tk_body *sender,
                 struct tk_body *dest, const struct tk_atom *name)
{
    struct tk_sched *sched = bind->sched;
    lua_State *place = NULL;

    if (dest->task.state == TK_BLOCKED && sender != NULL && sender->co == L &&
        sched->batch == NULL && sched->budget > 0 && bind->halt == 0 && !bind->closely &&
        tk_can_give_way(L, bind)) {
        if (bind->notes) {
            tk_note_sent(L, bind, dest, name);
        }
        place = tk_mail_meet(sched, &dest->task);
    }
    if (place != NULL) {
        lua_xmove(L, place, 1);
    }
    return place != NULL;
}

/* send(dest, name, value) */
static int module_send(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *dest, *sender;
    struct tk_atom *name;
    int anchor;

    tk_check_open(L, bind);
    if (lua_gettop(L) < 3) {
        dest = tk_check_body(L, 1, bind);
        check_name(L, 2);
        lua_settop(L, 3);
    } else {
        dest = check_dest(L, bind);
    }
    sender = tk_current(bind);
    tk_push_sent(L, bind, sender,
                 PLAIN_LETTER); /* finalizers may run here: what follows looks anew */
    name = atom_of(L, bind, 2);
    if (name == NULL) {
        return luaL_typeerror(L, 2, "string");
    }
    if (meet(L, bind, sender, dest, name)) {
        sender->task.sending = true;
        tk_sched_hand_over(bind->sched, &sender->task);
        return tk_give_way(L, bind, sent, (lua_KContext)bind);
    }
    if (bind->notes) {
        name = atom_of(L, bind, 2); /* finalizers may have run again */
    }
    if (dest->task.state == TK_ENDED) {
        return tk_raise(L, "message '%s' sent to a finished tasklet", lua_tostring(L, 2));
    }
    anchor = tk_anchor_in(L, bind, lua_upvalueindex(UP_ANCHORS));
    if (post(L, bind, dest, name, anchor, NULL) == TK_SENT_FULL) {
        lua_settop(L, 3);
        tk_push_payload(L, bind, tk_payload(anchor));
        return send_outside(L, bind, dest, sender);
    }
    if (bind->sched->batch == NULL) {
        return 0;
    }
    if (sender != NULL) {
        sender->task.sending = true;
    }
    return tk_hand_over(L, bind, sent, (lua_KContext)bind);
}

RAISES int tk_message_give(lua_State *L, struct tk_bind *bind, struct tk_body *dest)
{
    struct tk_body *sender = tk_current(bind);

    tk_check_letter(L, 2);
    if (dest->task.state == TK_ENDED) {
        return tk_raise(L, "message '%s' sent to a finished tasklet", push_name(L, 2));
    }
    if (lua_getiuservalue(L, 2, UV_DEST) == LUA_TNIL) {
        tk_push_body(L, bind, dest);
        lua_setiuservalue(L, 2, UV_DEST);
    }
    lua_settop(L, 2);
    if (tk_message_deliver(L, bind, 2, dest, NULL) == TK_SENT_FULL) {
        return raise_full(L, bind, dest);
    }
    if (sender != NULL) {
        sender->task.sending = bind->sched->batch != NULL;
    }
    return tk_hand_over(L, bind, sent, (lua_KContext)bind);
}

/* t:send_message(message): fills in dest, leaves sender as it is; never waits. */
static int send_message(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *dest = tk_check_body(L, 1, bind);

    tk_check_open(L, bind);
    return tk_message_give(L, bind, dest);
}

void tk_warn_unnamed(lua_State *L, struct tk_bind *bind, struct tk_task *task, void *payload)
{
    struct tk_body *body = tk_container_of(task, struct tk_body, task);

    if (!lua_checkstack(L, 20)) {
        return;
    }
    tk_push_body(L, bind, body);
    tk_push_anchored(L, bind, (int)(intptr_t)payload);
    lua_getiuservalue(L, -1, UV_NAME);
    tk_push_name(L, bind, lua_gettop(L) - 2);
    lua_pushfstring(L, "implicitly discarding message '%s' (tasklet '%s')", lua_tostring(L, -2),
                    lua_tostring(L, -1));
    tk_warn(L, bind, lua_tostring(L, -1));
    lua_pop(L, 5);
}

/* Pushes a message without a sender, of the name and the value on top, popped. */
static void push_unsent(lua_State *L, struct tk_bind *bind, struct tk_body *dest, int values)
{
    struct letter *letter = lua_newuserdatauv(L, sizeof *letter, values);

    letter->brand = &brand;
    letter->bind = bind;
    letter->called = values > PLAIN_LETTER;
    letter->fields = false;
    tk_push_table(L, bind, TABLE_MESSAGE);
    lua_setmetatable(L, -2);
    lua_insert(L, -3);
    lua_setiuservalue(L, -3, UV_VALUE);
    lua_setiuservalue(L, -2, UV_NAME);
    tk_push_body(L, bind, dest);
    lua_setiuservalue(L, -2, UV_DEST);
}

RAISES int tk_message_come(lua_State *L, struct tk_bind *bind, struct tk_body *dest,
                           struct tk_room *room, uint64_t serial)
{
    int top = lua_gettop(L), anchor, rc = -1;

    lua_pushvalue(L, top - 1);
    lua_pushvalue(L, top);
    push_unsent(L, bind, dest, serial == 0 ? PLAIN_LETTER : CALL_LETTER);
    if (serial != 0) {
        lua_pushinteger(L, (lua_Integer)serial);
        lua_setiuservalue(L, -2, UV_SERIAL);
    }
    if (bind->notes) {
        tk_note_place(L, bind);
    }
    if (dest->task.state != TK_ENDED) { /* a finalizer may have ended it meanwhile */
        struct tk_atom *name = atom_of(L, bind, top - 1);

        anchor = tk_anchor(L, bind);
        bind->L = L;
        rc = tk_mail_post(bind->sched, &dest->task, name, tk_payload(anchor), room);
        if (rc < 0 || rc == TK_SENT_FULL) {
            tk_unanchor(L, bind, anchor);
        }
        if (rc < 0) {
            return luaL_error(L, "not enough memory");
        }
        if (bind->notes && rc != TK_SENT_FULL) {
            tk_note_sent(L, bind, dest, name);
        }
    }
    lua_settop(L, top - 2);
    return rc;
}

void tk_message_notify(lua_State *L, struct tk_bind *bind, struct tk_body *dest,
                       struct tk_atom *name)
{
    int anchor;

    lua_pushlstring(L, name->text, name->length);
    lua_insert(L, -2);
    push_unsent(L, bind, dest, PLAIN_LETTER);
    anchor = tk_anchor(L, bind);
    bind->L = L;
    if (tk_mail_notify(bind->sched, &dest->task, name, tk_payload(anchor)) < 0) {
        tk_unanchor(L, bind, anchor); /* out of memory */
    } else if (bind->notes) {
        tk_note_sent(L, bind, dest, name);
    }
}

/* Where the names of attributes are; they stay there. */
static void learn_attributes(lua_State *L, struct tk_bind *bind)
{
    static const char *const names[PLAIN_LETTER] = {"name", "dest", "value", "sender"};

    tk_push_table(L, bind, TABLE_NAMES);
    for (int i = 0; i < PLAIN_LETTER; i++) {
        lua_pushstring(L, names[i]);
        bind->attributes[i] = lua_topointer(L, -1);
        lua_rawseti(L, -2, TK_NAMES_KEPT + 1 + i);
    }
    lua_pop(L, 1);
}

/* Sets functions that make messages into the table on top. */
static void set_makers(lua_State *L, struct tk_bind *bind, const luaL_Reg *functions)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    tk_push_table(L, bind, TABLE_MESSAGE);
    tk_push_table(L, bind, TABLE_ANCHORS);
    luaL_setfuncs(L, functions, 3);
}

/* The stack's top is the module's table. */
void tk_message_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg makers[] = {{"send", module_send}, {"call", tk_call}, {NULL, NULL}};
    static const luaL_Reg tasklet[] = {{"send_message", send_message}, {NULL, NULL}};
    static const luaL_Reg module[] = {{"Message", message_new}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"reply", tk_reply}, {NULL, NULL}};
    static const luaL_Reg access[] = {
        {"__index", message_index}, {"__newindex", message_newindex}, {NULL, NULL}};

    learn_attributes(L, bind);
    set_makers(L, bind, module);
    lua_getfield(L, -1, "Tasklet");
    set_makers(L, bind, makers);
    tk_set_functions(L, tasklet);
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_MESSAGE);
    lua_pushliteral(L, "Message");
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, message_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_createtable(L, 0, 1);
    tk_set_functions(L, methods);
    luaL_setfuncs(L, access, 2);
    tk_protect(L, bind);
    lua_pop(L, 1);
}
