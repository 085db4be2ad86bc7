/*
 * Explaining: what a tasklet waits for, since when and where it stands; who used the processor. For
 * reports and dumps, which lua/tasklet/explain.lua writes, and for whoever asks.
 *
 * It only looks: no script is called, nothing is changed. The words come from the rows of kinds, so
 * a new kind needs nothing here. Lines are found when they are asked for, from the coroutine.
 */
#include <stdio.h>
#include <unistd.h>

#include "bind/bind.h"

#define LONGEST_TEXT 200

/* Frames that are looked at for a line. */
#define DEEPEST 1000

uint32_t tk_looked(struct tk_bind *bind)
{
    struct tk_body *last = bind == NULL ? NULL : tk_current(bind);

    if (bind != NULL && last == NULL) {
        last = bind->last;
    }
    if (last == NULL) {
        return UINT32_MAX; /* somebody who has gone */
    }
    last->since = bind->sched->tick;
    return last->number;
}

/* ---- what for ---- */

/* Does it wait? One that something has fired for, or that is being woken, does not any more. */
static bool is_waiting(const struct tk_body *body)
{
    const struct tk_task *task = &body->task;

    return (task->state == TK_WAITING || task->state == TK_BLOCKED) && !tk_task_queued(task);
}

static bool is_parked(const struct tk_bind *bind, const struct tk_body *body)
{
    return body->task.state == TK_BLOCKED && body->task.verbs == NULL && body == bind->main_task;
}

/* Pushes the tasklet that a wait is for, or nil. */
static void push_target(lua_State *L, struct tk_bind *bind, const struct tk_wait *wait)
{
    if (wait->kind->target == NULL) {
        lua_pushnil(L);
    } else {
        tk_push_body(L, bind, tk_container_of(wait->kind->target(wait), struct tk_body, task));
    }
}

/* Pushes "'name' #7" of the tasklet on top, which stays. */
static void push_who(lua_State *L, struct tk_bind *bind)
{
    const struct tk_body *body = tk_to_body(L, -1, bind);

    if (body == NULL) {
        lua_pushliteral(L, "one that has ended");
    } else {
        tk_push_name(L, bind, lua_gettop(L));
        lua_pushfstring(L, "'%s' #%d", lua_tostring(L, -1), (int)body->number);
        lua_remove(L, -2);
    }
}

/* Pushes the object that a condition of the wait list is. */
static void push_condition(lua_State *L, struct tk_bind *bind, const struct tk_body *body,
                           const struct tk_wait *wait)
{
    tk_push_body(L, bind, body);
    if (lua_getiuservalue(L, -1, UV_HELD) == LUA_TTABLE) {
        lua_rawgeti(L, -1, wait->index);
        lua_replace(L, -2);
    }
    lua_replace(L, -2);
}

/* Pushes a condition in words, "WaitForTimeout(100 ms)", and its target or nil. */
static void push_listed(lua_State *L, struct tk_bind *bind, const struct tk_body *body,
                        const struct tk_wait *wait)
{
    char text[LONGEST_TEXT];

    tk_wait_describe(wait, text, sizeof text);
    if ((wait->kind->flags & TK_SCRIPT) != 0) {
        push_condition(L, bind, body, wait);
        if (luaL_getmetafield(L, -1, "__name") != LUA_TSTRING) {
            lua_pushstring(L, text);
        }
        lua_replace(L, -2);
    } else {
        lua_pushstring(L, text);
    }
    push_target(L, bind, wait);
    if (!lua_isnil(L, -1)) {
        push_who(L, bind);
        lua_pushfstring(L, "%s(%s)", lua_tostring(L, -3), lua_tostring(L, -1));
        lua_replace(L, -4);
        lua_pop(L, 1);
    }
}

/* Pushes a verb's wait in words, "join: the end of 'name' #7", and its target or nil. False: it has
 * nothing to say. Of one that is not the `first` the verb is left out. */
static bool push_of_verb(lua_State *L, struct tk_bind *bind, const struct tk_body *body,
                         const struct tk_wait *wait, bool first)
{
    char text[LONGEST_TEXT];
    const char *what = text;

    if (wait->kind->phrase == NULL) {
        tk_wait_describe(wait, text, sizeof text);
    } else if (wait->kind == bind->ended && body->library) {
        what = "scope: the end of"; /* of a member; no other part of the library joins so */
    } else {
        wait->kind->phrase(wait, text, sizeof text);
    }
    if (*what == '\0') {
        return false;
    }
    if (!first && strstr(what, ": ") != NULL) {
        what = strstr(what, ": ") + 2;
    }
    push_target(L, bind, wait);
    if (lua_isnil(L, -1)) {
        lua_pushstring(L, what);
    } else {
        push_who(L, bind);
        lua_pushfstring(L, "%s %s", what, lua_tostring(L, -1));
        lua_replace(L, -2);
    }
    lua_insert(L, -2);
    return true;
}

/* Adds what is on top, a text and a target, both popped, to the list below them. `link`: how it is
 * linked with what stands before it. */
static void add(lua_State *L, const char *link)
{
    lua_createtable(L, 0, 3);
    lua_insert(L, -3);
    lua_setfield(L, -3, "target");
    lua_setfield(L, -2, "text");
    lua_pushstring(L, link);
    lua_setfield(L, -2, "link");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* The verb's waits, in the order in which they were armed, those with a time last: it is for the
 * other that the verb waits. */
static void add_verbs(lua_State *L, struct tk_bind *bind, const struct tk_body *body, bool outside)
{
    int count = 0;

    for (struct tk_wait *wait = body->task.verbs; wait != NULL; wait = wait->as.next) {
        count++;
    }
    while (count > 0) {
        const struct tk_wait *wait = body->task.verbs;

        for (int i = 1; i < count; i++) {
            wait = wait->as.next;
        }
        count--;
        if (((wait->kind->flags & TK_OUTSIDE) != 0) == outside &&
            push_of_verb(L, bind, body, wait, lua_rawlen(L, -1) == 0)) {
            add(L, outside ? " or " : " and ");
        }
    }
}

/* Pushes a list of what a tasklet waits for; it is empty if it does not wait. */
static void push_waits(lua_State *L, struct tk_bind *bind, const struct tk_body *body)
{
    lua_newtable(L);
    if (!is_waiting(body)) {
        return;
    }
    if (is_parked(bind, body)) {
        lua_pushliteral(L, "mainloop.run: the end of the program");
        lua_pushnil(L);
        add(L, "");
    } else if (body->task.state == TK_BLOCKED) {
        add_verbs(L, bind, body, false);
        add_verbs(L, bind, body, true);
    } else {
        for (struct tk_wait *wait = tk_task_waits(&body->task); wait != NULL;
             wait = wait->as.next) {
            push_listed(L, bind, body, wait);
            add(L, " or ");
        }
    }
}

/* waits_of(t): a list of tables: `text`, `target` (a tasklet, or nil), and `link` (" or "). */
static int waits_of(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    push_waits(L, bind, tk_check_body(L, 1, bind));
    return 1;
}

/* t.waiting_for: what it waits for, in words; nil if it does not wait. */
int tk_get_waiting_for(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Integer count;
    luaL_Buffer text;
    int list = 2;

    lua_settop(L, 1);
    push_waits(L, bind, lua_touserdata(L, 1));
    count = (lua_Integer)lua_rawlen(L, list);
    if (count == 0) {
        lua_pushnil(L);
        return 1;
    }
    luaL_buffinit(L, &text);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, list, i);
        if (i > 1) {
            lua_getfield(L, -1, "link");
            lua_insert(L, -2);
        }
        lua_getfield(L, -1, "text");
        lua_remove(L, -2);
        if (i > 1) {
            lua_concat(L, 2);
        }
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    return 1;
}

/* ---- where ---- */

/* Pushes "file:line" of the innermost line of a script, in a coroutine or in those that it has
 * resumed. False: there is none. */
static bool push_place(lua_State *L, lua_State *co)
{
    lua_State *inner = tk_inner_coroutine(co);
    lua_Debug ar;

    if (inner != NULL && push_place(L, inner)) {
        return true;
    }
    for (int level = 0; level < DEEPEST && lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline > 0 && !tk_is_own_source(ar.source)) {
            lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
            return true;
        }
    }
    return false;
}

/* where_is(t): "file:line" where it stands, and where it was started; each nil if not known. */
static int where_is(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    lua_settop(L, 1);
    if (body->co == NULL || !push_place(L, body->co)) {
        lua_pushnil(L);
    }
    if (body->co == NULL || !tk_push_origin(L, body)) {
        lua_pushnil(L);
    }
    return 2;
}

/* Adds the frames of a coroutine, after those of the coroutines that it has resumed. */
static void add_trace(luaL_Buffer *text, lua_State *L, lua_State *co, bool first)
{
    static const char head[] = "stack traceback:";
    lua_State *inner = tk_inner_coroutine(co);

    if (inner != NULL) {
        add_trace(text, L, inner, first);
        first = false;
    }
    tk_push_trace_of(L, co, co == L ? 1 : 0);
    if (!first) {
        lua_pushstring(L, lua_tostring(L, -1) + sizeof head - 1);
        lua_remove(L, -2);
    }
    luaL_addvalue(text);
}

/* t:traceback(): of its coroutine and of the generators that wait with it; of one that failed, the
 * error's; nil if there is none. */
static int tasklet_traceback(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);
    luaL_Buffer text;

    lua_settop(L, 1);
    if (body->task.state == TK_ENDED && body->failed) {
        lua_getiuservalue(L, 1, UV_OUTCOME);
        lua_rawgeti(L, -1, 2);
        return 1;
    }
    if (body->co == NULL || !body->begun) {
        lua_pushnil(L);
        return 1;
    }
    luaL_buffinit(L, &text);
    add_trace(&text, L, body->co, true);
    lua_pushliteral(L, "\n\tin tasklet ");
    lua_pushvalue(L, 1);
    push_who(L, bind);
    lua_remove(L, -2);
    lua_concat(L, 2);
    luaL_addvalue(&text);
    if (tk_push_origin(L, body)) {
        lua_pushfstring(L, " (started at %s)", lua_tostring(L, -1));
        lua_remove(L, -2);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    return 1;
}

/* ---- the rest ---- */

static const char *state_name(const struct tk_body *body)
{
    switch ((enum tk_state)body->task.state) {
    case TK_NEW:
        return body->bound ? "new" : "unbound";
    case TK_RUNNING:
        return "running";
    case TK_HANDED:
        return body->task.sending ? "sending" : "ready";
    case TK_PAUSED:
        return "paused";
    case TK_ENDED:
        return "ended";
    default:
        return is_waiting(body) ? "waiting" : "ready";
    }
}

/* state_of(t): in a word; and how many seconds ago it gave way, if it has. */
static int state_of(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const struct tk_body *body = tk_check_body(L, 1, bind);
    uint32_t now = (uint32_t)(bind->hooks->now(bind->context) / TK_TICK);

    lua_pushstring(L, state_name(body));
    if (!body->begun || body->task.state == TK_RUNNING || body->task.state == TK_ENDED) {
        return 1;
    }
    lua_pushnumber(L, (lua_Number)(now - body->since) * ((lua_Number)TK_TICK / 1e9));
    return 2;
}

/* mail_of(t): how many messages are in its mailbox, how many wait for room, and a list of pairs of
 * names and how many of those inside have them; or nothing. */
static int mail_of(lua_State *L)
{
    const struct tk_mailbox *mail = tk_check_body(L, 1, tk_bind_of(L))->task.mail;
    lua_Integer outside = 0, place = 0;

    if (mail == NULL || tk_list_empty(&mail->order)) {
        return 0;
    }
    lua_pushinteger(L, (lua_Integer)mail->count);
    lua_newtable(L);
    for (const struct tk_list *node = mail->busy.next; node != &mail->busy; node = node->next) {
        const struct tk_queue *queue = tk_container_of(node, struct tk_queue, node);
        lua_Integer count = 0;

        for (const struct tk_list *each = queue->messages.next; each != &queue->messages;
             each = each->next) {
            bool inside = tk_container_of(each, struct tk_message, alike)->room == NULL;

            count += inside;
            outside += !inside;
        }
        if (count == 0) {
            continue;
        }
        lua_createtable(L, 2, 0);
        lua_pushlstring(L, queue->name->text, queue->name->length);
        lua_rawseti(L, -2, 1);
        lua_pushinteger(L, count);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, ++place);
    }
    lua_pushinteger(L, outside);
    lua_insert(L, -2);
    return 3;
}

/* shares(): by the numbers of tasklets, which part of the time until now each has run. */
static int shares(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const struct tk_body *current = tk_current(bind);
    struct tk_sample sample, next;
    uint64_t total = 0;

    lua_newtable(L);
    for (size_t i = 0; bind->hooks->sample(bind->context, i, &sample); i++) {
        if (current != NULL && !bind->hooks->sample(bind->context, i + 1, &next)) {
            sample.who = current->number; /* the last one is not over */
        }
        total += sample.time;
        if (sample.who != 0) {
            lua_rawgeti(L, -1, sample.who);
            lua_pushnumber(L, lua_tonumber(L, -1) + (lua_Number)sample.time);
            lua_rawseti(L, -3, sample.who);
            lua_pop(L, 1);
        }
    }
    if (total == 0) {
        return 1;
    }
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        lua_pushnumber(L, lua_tonumber(L, -2) / (lua_Number)total);
        lua_rawset(L, -5);
        lua_pop(L, 1);
    }
    return 1;
}

/* is_terminal(file) */
static int is_terminal(lua_State *L)
{
    const luaL_Stream *stream = luaL_testudata(L, 1, LUA_FILEHANDLE);

    lua_pushboolean(L, stream != NULL && stream->closef != NULL && isatty(fileno(stream->f)));
    return 1;
}

/* The stack's top is the module's table. */
void tk_explain_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg methods[] = {{"traceback", tasklet_traceback}, {NULL, NULL}};
    static const luaL_Reg core[] = {{"waits_of", waits_of},
                                    {"where_is", where_is},
                                    {"state_of", state_of},
                                    {"mail_of", mail_of},
                                    {"shares", shares},
                                    {"is_terminal", is_terminal},
                                    {NULL, NULL}};

    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, methods);
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
