/*
 * Yield, wait and get_event: the grammar of what may be yielded, and how the event comes back.
 *
 * The conditions of a wait lie in the frame of the function that waits, from 1 on, while the
 * tasklet is suspended: that keeps them alive, and the index of a condition in its list is its
 * place in the frame.
 */
#include <stdlib.h>

#include "bind/bind.h"

#define SMALL 16

#define EXPECTED "wait conditions, Tasklets, functions, fresh coroutines or one Message expected"

/* Raises a string, as for any wrong argument, at the line of the yield. */
static int bad_argument(lua_State *L, struct tk_bind *bind, int index, const char *why)
{
    if (bind->place == NULL) {
        return luaL_argerror(L, index, why);
    }
    why = lua_pushfstring(L, "bad argument #%d to 'yield' (%s)", index, why);
    luaL_where(bind->place, 1);
    lua_xmove(bind->place, L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
}

/* The value at `index` cannot be waited for. `list`: the values were elements of one. */
static int bad_value(lua_State *L, struct tk_bind *bind, int index, bool list)
{
    const char *what = lua_gettop(L) == 0 ? "nothing" : luaL_typename(L, index);

    if (lua_gettop(L) > 0 && luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
        what = lua_tostring(L, -1);
    }
    if (list) {
        what = lua_pushfstring(L, EXPECTED ", got %s as element %d of the list", what, index);
        return bad_argument(L, bind, 1, what);
    }
    return bad_argument(L, bind, index, lua_pushfstring(L, EXPECTED ", got %s", what));
}

/* A list is a table that is no object: none with a metatable that names its type. */
static bool is_object(lua_State *L, int index)
{
    if (luaL_getmetafield(L, index, "__name") == LUA_TNIL) {
        return false;
    }
    lua_pop(L, 1);
    return true;
}

/* Replaces a list at 1 by its elements. */
static void spread(lua_State *L, struct tk_bind *bind)
{
    lua_Integer count = luaL_len(L, 1);

    if (count <= 0) {
        bad_argument(L, bind, 1, EXPECTED ", got an empty list");
    }
    if (count > 1000000 || !lua_checkstack(L, (int)count + 20)) {
        bad_argument(L, bind, 1, "too many wait conditions");
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, 1, i);
    }
    lua_remove(L, 1);
}

/* A function or coroutine at `index` becomes a tasklet that has not begun. */
static void make_tasklet(lua_State *L, struct tk_bind *bind, int index)
{
    tk_push_table(L, bind, TABLE_TASKLET);
    tk_body_make(L, bind, index, 0, lua_gettop(L), false);
    lua_replace(L, index);
    lua_pop(L, 1);
}

/* Is the coroutine at `index` one that stands before it, too? It cannot be started twice. */
static bool is_again(lua_State *L, int index)
{
    for (int i = 1; lua_isthread(L, index) && i < index; i++) {
        if (lua_rawequal(L, i, index)) {
            return true;
        }
    }
    return false;
}

/* Makes each of the `count` values of the frame a condition. True: some are for tasklets not begun.
 */
static bool convert(lua_State *L, struct tk_bind *bind, struct tk_wait **list, int count,
                    bool spread)
{
    bool fresh = false;

    for (int i = 1; i <= count; i++) {
        list[i - 1] = tk_to_wait(L, i, bind);
        if (list[i - 1] == NULL && tk_to_body(L, i, bind) == NULL &&
            (!tk_is_startable(L, bind, i) || is_again(L, i))) {
            bad_value(L, bind, i, spread);
        }
    }
    for (int i = 1; i <= count; i++) {
        if (list[i - 1] == NULL) {
            if (tk_to_body(L, i, bind) == NULL) {
                make_tasklet(L, bind, i);
                fresh = true;
            }
            list[i - 1] = tk_push_ended(L, bind, i);
            lua_replace(L, i);
        }
    }
    return fresh;
}

/* The tasklet keeps the conditions of its list alive, also while it runs. */
static void hold(lua_State *L, struct tk_bind *bind, const struct tk_body *body, int count)
{
    int list;

    tk_push_body(L, bind, body);
    if (lua_getiuservalue(L, -1, UV_HELD) != LUA_TTABLE) {
        lua_pop(L, 1);
        if (count == 1) {
            lua_pushvalue(L, 1);
            lua_setiuservalue(L, -2, UV_HELD);
            lua_pop(L, 1);
            return;
        }
        lua_createtable(L, count, 0);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -3, UV_HELD);
    }
    list = lua_gettop(L);
    for (int i = (int)lua_rawlen(L, list); i > count; i--) {
        lua_pushnil(L);
        lua_rawseti(L, list, i);
    }
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, list, i);
    }
    lua_pop(L, 2);
}

/* Has it been made by `convert`? One that a script has made and not called has no coroutine. */
static bool is_fresh(const struct tk_task *task)
{
    return task->state == TK_NEW && tk_container_of(task, struct tk_body, task)->co != NULL;
}

/* Those made by `convert` begin, one after the other, when the caller gives way. */
static void begin_fresh(struct tk_bind *bind, struct tk_wait **list, int count)
{
    for (int i = 0; i < count; i++) {
        if (list[i]->kind == bind->ended) {
            struct tk_task *task = list[i]->kind->target(list[i]);

            if (is_fresh(task)) {
                tk_task_begin(bind->sched, task, true);
            }
        }
    }
}

/* Undoes make_tasklet when the wait was refused. */
static void drop_fresh(lua_State *L, struct tk_bind *bind, struct tk_wait **list, int count)
{
    for (int i = 0; i < count; i++) {
        if (list[i]->kind == bind->ended) {
            struct tk_task *task = list[i]->kind->target(list[i]);
            struct tk_body *body = tk_container_of(task, struct tk_body, task);

            if (is_fresh(task)) {
                tk_push_error(L, bind, "TaskletExit", "never begun");
                tk_end_unbegun(L, bind, body, 0);
            }
        }
    }
}

static void warn_unread(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    body->event = false;
    tk_push_body(L, bind, body);
    if (bind->place == NULL) {
        luaL_where(L, 1);
    } else {
        luaL_where(bind->place, 1);
        lua_xmove(bind->place, L, 1);
    }
    tk_push_name(L, bind, lua_gettop(L) - 1);
    lua_pushfstring(L, "%sforgot to read an event (tasklet '%s')", lua_tostring(L, -2),
                    lua_tostring(L, -1));
    tk_warn(L, bind, lua_tostring(L, -1));
    lua_pop(L, 4);
}

/*
 * Makes the values of the frame the wait list of the current tasklet. 1: an event can be taken at
 * once. 0: the tasklet must give way.
 */
static int install(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    struct tk_wait *small[SMALL], **list = small;
    struct tk_fault fault;
    int count, rc;
    bool fresh, is_list, same;

    is_list = lua_gettop(L) == 1 && lua_istable(L, 1) && !is_object(L, 1);
    if (is_list) {
        spread(L, bind);
    }
    count = lua_gettop(L);
    if (count == 0) {
        return bad_value(L, bind, 1, false);
    }
    if (count > SMALL) {
        list = lua_newuserdatauv(L, (size_t)count * sizeof *list, 0);
    }
    luaL_checkstack(L, 20, NULL);
    if (body->event) {
        warn_unread(L, bind, body);
    }
    fresh = convert(L, bind, list, count, is_list);
    bind->L = L;
    same = count == 1 && tk_task_waits(&body->task) == list[0] && list[0]->as.next == NULL;
    rc = tk_task_wait(bind->sched, &body->task, list, (size_t)count, &fault);
    if (rc < 0) {
        drop_fresh(L, bind, list, count);
        if (tk_script_error(L, bind)) {
            return lua_error(L);
        }
        return tk_raise_fault(L, &fault);
    }
    /* A light one alone needs it not: see let_go_of_light. */
    if (!same && (count > 1 || (list[0]->kind->flags & TK_LIGHT) == 0)) {
        hold(L, bind, body, count);
    }
    if (rc == 0 && body->task.selects && !tk_task_queued(&body->task)) {
        tk_channel_wait(L, bind, body);
    }
    if (fresh) {
        begin_fresh(bind, list, count);
        if (rc > 0) {
            /* They run first; the event that is there is taken afterwards. */
            body->task.state = TK_WAITING;
            body->task.priority = 0;
            tk_runq_push(&bind->sched->ready, &body->task);
            rc = 0;
        }
        tk_sched_hand_over(bind->sched, NULL);
    }
    for (int i = 0; i < count; i++) {
        if (list[i]->kind == bind->ended) {
            tk_observe(bind, tk_container_of(list[i]->kind->target(list[i]), struct tk_body, task));
        }
    }
    if (rc == 0) {
        body->waiting = true;
    }
    return rc;
}

/* Pushes the event that bind->event is: the condition that lies in the frame, or the message. */
static void push_event(lua_State *L, struct tk_bind *bind)
{
    struct tk_wait *wait = bind->event.wait;

    bind->event.wait = NULL;
    if ((wait->kind->flags & TK_MAIL) != 0) {
        tk_push_payload(L, bind, bind->event.payload);
        return;
    }
    lua_pushvalue(L, (int)wait->index);
    tk_set_payload(L, bind, lua_gettop(L), wait, bind->event.payload);
}

/* The value on top becomes the event that get_event returns. */
static void keep_event(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_insert(L, -2);
    lua_rawseti(L, -2, body->anchor);
    lua_pop(L, 1);
    body->event = true;
}

/* `context`: 1 returns the event, 0 keeps it for get_event. */
static int waited(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (status == LUA_YIELD && body->task.raise != TK_RAISE_NOTHING) {
        tk_check_raise(L, bind);
    }
    push_event(L, bind);
    if (context == 1) {
        return 1;
    }
    keep_event(L, bind, body);
    return 0;
}

static int wait_for(lua_State *L, struct tk_bind *bind, lua_KContext context)
{
    struct tk_body *body = tk_check_wait(L, bind);

    if (lua_gettop(L) == 1 && tk_is_message(L, 1, bind)) {
        if (body->event) {
            warn_unread(L, bind, body);
        }
        return tk_message_send(L, bind, 1, body);
    }
    tk_check_trap(L, body);
    if (install(L, bind, body) == 0) {
        return tk_give_way(L, bind, waited, context);
    }
    tk_task_take(bind->sched, &body->task, &bind->event);
    return waited(L, LUA_OK, context);
}

/* wait(...): yields what it is given and returns the event. */
static int module_wait(lua_State *L)
{
    return wait_for(L, tk_bind_of(L), 1);
}

/*
 * coroutine.yield: in the body of a tasklet it waits; in a generator of the script's own, or
 * outside, it is Lua's own.
 */
static int module_yield(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body == NULL || body->co != L || bind->running != L) {
        return lua_yield(L, lua_gettop(L));
    }
    return wait_for(L, bind, 0);
}

/* get_event(): what ended the last wait of the current tasklet, once. */
static int get_event(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body == NULL) {
        return tk_raise(L, "get_event outside a tasklet");
    }
    if (!body->event) {
        return tk_raise(L, "get_event: there is no event to read");
    }
    body->event = false;
    tk_push_table(L, bind, TABLE_EVENTS);
    lua_rawgeti(L, -1, body->anchor);
    lua_pushnil(L);
    lua_rawseti(L, -3, body->anchor);
    return 1;
}

/* ---- Lua's own coroutine.yield, called by a function that was made before the module was loaded
 * ---- */

static int install_stock(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = lua_touserdata(L, lua_upvalueindex(2));

    tk_check_open(L, bind);
    tk_check_stopped(L, bind, body);
    if (lua_gettop(L) == 1 && tk_is_message(L, 1, bind)) {
        tk_message_post(L, bind, 1, body);
        lua_settop(L, 0);
        return 0;
    }
    tk_check_trap(L, body);
    if (install(L, bind, body) > 0) {
        body->task.state = TK_WAITING;
        body->task.priority = 0;
        tk_runq_push(&bind->sched->ready, &body->task);
        body->waiting = true;
    }
    return lua_gettop(L);
}

void tk_stock_yield(struct tk_bind *bind, struct tk_body *body)
{
    lua_State *co = body->co, *L = bind->L;
    int count = lua_gettop(co), top = lua_gettop(L), status;

    /* The values lie in the frame of yield, from 1 on; they are looked at on L, for errors must not
     * end `co`. */
    body->stock = true;
    if (!lua_checkstack(co, LUA_MINSTACK) || !lua_checkstack(L, count + LUA_MINSTACK)) {
        return;
    }
    tk_push_table(L, bind, TABLE_BINDING);
    lua_pushlightuserdata(L, body);
    lua_pushcclosure(L, install_stock, 2);
    lua_xmove(co, L, count);
    bind->sched->current = NULL;
    bind->place = co;
    status = lua_pcall(L, count, LUA_MULTRET, 0);
    bind->place = NULL;
    if (status != LUA_OK) {
        tk_throw(L, bind, body);
        if (body->task.state == TK_RUNNING) {
            tk_task_give_way(bind->sched, &body->task);
        }
    } else {
        count = lua_gettop(L) - top;
        lua_checkstack(co, count + LUA_MINSTACK);
        lua_xmove(L, co, count);
        if (body->task.state == TK_RUNNING) {
            /* A message: the receivers go first. */
            tk_sched_hand_over(bind->sched, &body->task);
        }
    }
    lua_settop(L, top);
}

/* It yielded a message, and has waited for room. */
static int stock_posted(lua_State *L)
{
    tk_message_posted(L, tk_bind_of(L), lua_touserdata(L, lua_upvalueindex(2)));
    return 0;
}

static void end_stock_post(struct tk_bind *bind, struct tk_body *body)
{
    lua_State *L = bind->L;
    int status;

    if (!lua_checkstack(L, LUA_MINSTACK)) {
        return;
    }
    tk_push_table(L, bind, TABLE_BINDING);
    lua_pushlightuserdata(L, body);
    lua_pushcclosure(L, stock_posted, 2);
    bind->place = body->co;
    status = lua_pcall(L, 0, 0, 0);
    bind->place = NULL;
    if (status != LUA_OK) {
        tk_put_raise(L, bind, body);
    }
}

void tk_stock_event(struct tk_bind *bind, struct tk_body *body)
{
    if (body->task.verbs != NULL) {
        end_stock_post(bind, body);
    }
    if (body->task.raise == TK_RAISE_NOTHING && bind->event.wait != NULL) {
        lua_State *co = body->co;

        push_event(co, bind);
        keep_event(co, bind, body);
    }
    lua_settop(body->co, 0);
}

/* The stack's top is the module's table. */
void tk_wait_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {
        {"wait", module_wait}, {"get_event", get_event}, {NULL, NULL}};
    static const luaL_Reg yield[] = {{"yield", module_yield}, {NULL, NULL}};

    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, functions);
    lua_pop(L, 1);
    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, yield);
    lua_pop(L, 1);
}
