/*
 * Making and starting tasklets: run, Tasklet(...), classes' calls, new, bind, start, and the call
 * of a tasklet.
 *
 * One that `new` makes is bound to its function and nothing more; being called gives it a coroutine
 * with the body's frame (see run.c) and its arguments. Nobody but the script holds it until then,
 * so it is known to its parent by a weak table.
 */
#include <string.h>

#include "bind/bind.h"
#include "core/tree.h"

/* Upvalue of a class's __call, behind the binding. */
enum { UP_INSTANCES = 2 };

bool tk_is_startable(lua_State *L, struct tk_bind *bind, int index)
{
    lua_Debug ar;

    if (lua_isfunction(L, index)) {
        return true;
    }
    if (lua_isthread(L, index)) {
        lua_State *co = lua_tothread(L, index);

        return co != L && lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar) == 0 &&
               lua_gettop(co) == 1 && lua_isfunction(co, 1) && !tk_is_owned(L, bind, co);
    }
    return false;
}

/* ---- making ---- */

bool tk_push_starter(lua_State *L)
{
    lua_Debug ar;

    /* Level 0 is the C function that asks. */
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Slf", &ar);
        if (ar.currentline > 0 && !tk_is_own_source(ar.source)) {
            lua_pushinteger(L, ar.currentline);
            return true;
        }
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    lua_pushinteger(L, 0);
    return false;
}

/* A coroutine of the pool, or a new one; pushes it. */
static lua_State *push_coroutine(lua_State *L, struct tk_bind *bind)
{
    lua_State *co;

    if (bind->pool == 0) {
        return lua_newthread(L);
    }
    tk_push_table(L, bind, TABLE_POOL);
    lua_rawgeti(L, -1, bind->pool);
    lua_pushnil(L);
    lua_rawseti(L, -3, bind->pool--);
    lua_remove(L, -2);
    co = lua_tothread(L, -1);
    return co;
}

/* Pushes a new tasklet, a child of the current one, that is bound to nothing. */
static struct tk_body *push_new(lua_State *L, struct tk_bind *bind, int metatable)
{
    struct tk_body *body, *parent = tk_current(bind);

    tk_make_room(L, bind);
    body = lua_newuserdatauv(L, sizeof *body, UV_COUNT);
    memset(body, 0, sizeof *body);
    tk_task_init(&body->task);
    body->anchor = LUA_NOREF;
    body->number = ++bind->numbers;
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);
    if (parent != NULL) {
        tk_tree_join(&parent->task, &body->task);
        if (parent->localised) {
            tk_inherit_locals(L, bind, parent, body);
        }
    }
    return body;
}

/*
 * Gives the tasklet at `ud` its coroutine: the body's frame, the function or fresh coroutine at
 * `index`, and the `nargs` values from `first` on. Its name is that of the function unless it has
 * one.
 */
static void prepare(lua_State *L, struct tk_bind *bind, struct tk_body *body, int ud, int index,
                    int first, int nargs)
{
    bool given = lua_isthread(L, index);
    lua_State *co;

    tk_check_room(L, bind);
    if (bind->max_mailbox > 0 && (body->task.mail == NULL || body->task.mail->limit == 0) &&
        tk_mail_limit(&body->task, bind->max_mailbox) < 0) {
        luaL_error(L, "not enough memory");
    }
    body->pooled = !given;
    if (given) {
        lua_pushvalue(L, index);
        co = lua_tothread(L, -1);
    } else {
        co = push_coroutine(L, bind);
    }
    lua_setiuservalue(L, ud, UV_THREAD);
    if (!lua_checkstack(co, nargs + 20)) {
        luaL_error(L, "too many arguments");
    }
    tk_push_table(L, bind, TABLE_BODY);
    lua_pushvalue(L, ud);
    tk_push_starter(L);
    tk_push_table(L, bind, TABLE_HANDLER);
    if (given) {
        lua_xmove(co, L, 1); /* its function */
    } else {
        lua_pushvalue(L, index);
    }
    if (!body->named) {
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, ud, UV_BODY);
    }
    if (body->self) {
        lua_pushvalue(L, ud);
    }
    for (int i = 0; i < nargs; i++) {
        lua_pushvalue(L, first + i);
    }
    lua_xmove(L, co, 6 + nargs + body->self);
    body->co = co;
    if (given) {
        tk_own_coroutine(L, bind, co, true);
    }
    lua_pushvalue(L, ud);
    body->anchor = tk_anchor(L, bind);
}

RAISES struct tk_body *tk_body_make(lua_State *L, struct tk_bind *bind, int index, int nargs,
                                    int metatable, bool self)
{
    int first = lua_gettop(L) - nargs + 1, ud = first + nargs;
    struct tk_body *body;

    luaL_checkstack(L, nargs + 20, "too many arguments");
    body = push_new(L, bind, metatable);
    body->self = self;
    prepare(L, bind, body, ud, index, first, nargs);
    lua_copy(L, ud, first);
    lua_settop(L, first);
    return body;
}

RAISES void tk_check_room(lua_State *L, struct tk_bind *bind)
{
    if (tk_is_full(bind)) {
        tk_raise(L, "there are %d tasklets, as many as the program allows",
                 (int)bind->max_tasklets);
    }
}

/* ---- starting ---- */

/* Returns the tasklet that lies at the frame's `context`. */
static int started(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);

    if (status == LUA_YIELD) {
        tk_check_raise(L, bind);
    }
    lua_pushvalue(L, (int)context);
    return 1;
}

RAISES int tk_start(lua_State *L, struct tk_bind *bind, bool self)
{
    struct tk_body *body = tk_body_make(L, bind, 2, lua_gettop(L) - 2, 1, self);
    int at = lua_gettop(L);

    if (self && lua_getfield(L, 1, "name") == LUA_TSTRING) {
        lua_setiuservalue(L, at, UV_BODY);
        body->named = true;
    }
    lua_settop(L, at);

    tk_task_begin(bind->sched, &body->task, true);
    return tk_hand_over(L, bind, started, at);
}

static int tasklet_run(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_check_open(L, bind);
    if (!tk_is_startable(L, bind, 1)) {
        if (tk_to_body(L, 1, bind) != NULL) {
            return tk_queue_run(L, bind); /* t:run() */
        }
        luaL_typeerror(L, 1, "function or fresh coroutine");
    }
    tk_push_table(L, bind, TABLE_TASKLET);
    lua_insert(L, 1);
    return tk_start(L, bind, false);
}

/* Class(...): Tasklet itself takes the body first, a class derived from it has the body as its
 * method `run`. */
RAISES int tk_class_call(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_check_open(L, bind);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_pushvalue(L, lua_upvalueindex(UP_INSTANCES));
    tk_push_table(L, bind, TABLE_TASKLET);
    if (lua_rawequal(L, -1, -2)) {
        lua_settop(L, lua_gettop(L) - 2);
        lua_remove(L, 1);
        return tasklet_run(L);
    }
    lua_pop(L, 1);
    lua_replace(L, 1); /* the instances' metatable for the class */
    lua_rawgetp(L, 1, &tk_class_key);
    lua_getfield(L, -1, "run");
    lua_remove(L, -2);
    if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1)) {
        return tk_raise(L, "the class has no method 'run'");
    }
    lua_insert(L, 2);
    return tk_start(L, bind, true);
}

/* ---- bound first, started later ---- */

/* Is there a name among the options that is not known? */
static void check_options(lua_State *L, int at)
{
    static const char *const known[] = {"daemon", "max_mailbox_len", "name"};

    luaL_checktype(L, at, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, at)) {
        bool is = false;

        lua_pop(L, 1);
        for (size_t i = 0; i < sizeof known / sizeof known[0] && lua_type(L, -1) == LUA_TSTRING;
             i++) {
            is = is || strcmp(lua_tostring(L, -1), known[i]) == 0;
        }
        if (!is) {
            luaL_argerror(
                L, at,
                lua_pushfstring(L, "unknown option '%s' (known: daemon, max_mailbox_len, name)",
                                luaL_tolstring(L, -1, NULL)));
        }
    }
}

/* Reads the options at `at` for the tasklet on top. */
static void take_options(lua_State *L, struct tk_body *body, int at)
{
    int ud = lua_gettop(L);

    if (lua_getfield(L, at, "name") != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING) {
            tk_option_error(L, at, "name", "string");
        }
        lua_setiuservalue(L, ud, UV_BODY);
        body->named = true;
    }
    lua_settop(L, ud);
    if (lua_getfield(L, at, "daemon") != LUA_TNIL && !lua_isboolean(L, -1)) {
        tk_option_error(L, at, "daemon", "boolean");
    }
    if (lua_toboolean(L, -1)) {
        body->task.daemon = true;
        tk_tree_orphan(&body->task);
    }
    if (lua_getfield(L, at, "max_mailbox_len") != LUA_TNIL) {
        lua_Integer limit;
        int exact;

        limit = lua_tointegerx(L, -1, &exact);
        if (!exact || lua_type(L, -1) != LUA_TNUMBER) {
            tk_option_error(L, at, "max_mailbox_len", "integer");
        }
        if (limit < 1) {
            luaL_argerror(L, at, "option 'max_mailbox_len': must be at least 1");
        }
        if (tk_mail_limit(&body->task, (size_t)limit) < 0) {
            luaL_error(L, "not enough memory");
        }
    }
    lua_settop(L, ud);
}

/* Binds the tasklet at `ud` to the function or fresh coroutine at `index`. */
static void bind_to(lua_State *L, struct tk_body *body, int ud, int index)
{
    lua_pushvalue(L, index);
    lua_setiuservalue(L, ud, UV_BOUND);
    body->bound = true;
    if (body->named) {
        return;
    }
    lua_pushvalue(L, index);
    if (lua_isthread(L, index)) {
        lua_State *co = lua_tothread(L, index);

        lua_pushvalue(co, 1);
        lua_xmove(co, L, 1);
        lua_replace(L, -2);
    }
    lua_setiuservalue(L, ud, UV_BODY);
}

/* new(f, {name=, daemon=, max_mailbox_len=}): bound to f, if given, and not scheduled. */
static int tasklet_new(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body;

    tk_check_open(L, bind);
    lua_settop(L, 2);
    if (!lua_isnil(L, 1) && !tk_is_startable(L, bind, 1)) {
        luaL_typeerror(L, 1, "function or fresh coroutine");
    }
    if (!lua_isnil(L, 2)) {
        check_options(L, 2);
    }
    tk_push_table(L, bind, TABLE_TASKLET);
    body = push_new(L, bind, 3);
    if (!lua_isnil(L, 2)) {
        take_options(L, body, 2);
    }
    if (!lua_isnil(L, 1)) {
        bind_to(L, body, 4, 1);
    }
    tk_push_table(L, bind, TABLE_OBJECTS);
    lua_pushvalue(L, 4);
    lua_rawsetp(L, -2, body);
    lua_settop(L, 4);
    return 1;
}

/* Takes the tasklet at 1 out of a table by tasklet. */
static void drop(lua_State *L, struct tk_bind *bind, int which)
{
    tk_push_table(L, bind, which);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* The tasklet at 1 becomes as new; whoever wants to be told of its end still does. */
void tk_forget(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    body->begun = body->failed = body->packed = body->mute = body->interrupted = false;
    body->waiting = body->event = body->preempted = body->stock = false;
    body->bound = body->temp = false;
    drop(L, bind, TABLE_TEMPVALS);
    for (int i = 1; i <= UV_COUNT; i++) {
        if (i != UV_BODY || !body->named) {
            lua_pushnil(L);
            lua_setiuservalue(L, 1, i);
        }
    }
    tk_push_table(L, bind, TABLE_OBJECTS);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, -2, body);
    lua_pop(L, 1);
}

/*
 * t:bind(f): t, which has not begun, is paused or has ended, is to run f; nil: nothing. What a
 * paused one was doing is dropped. Returns t.
 */
static int tasklet_bind(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);

    tk_check_open(L, bind);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2) && !tk_is_startable(L, bind, 2)) {
        luaL_typeerror(L, 2, "function or fresh coroutine");
    }
    if (body->task.state == TK_ENDED) {
        /* A callback may bind it anew while others are still to be called: they are about this end,
         * not about the next. */
        body->callbacks = true;
        tk_tell_end(L, bind, 1, body);
    }
    if (body == tk_current(bind)) {
        return tk_raise(L, "cannot bind the current tasklet");
    }
    if (body->task.begun && body->task.state != TK_PAUSED) {
        return tk_raise(L, "cannot bind a tasklet that is %s",
                        tk_task_scheduled(&body->task) || body->task.state == TK_RUNNING
                            ? "scheduled"
                            : "blocked");
    }
    if (body->task.begun) {
        tk_abandon(L, bind, body);
        if (body->task.begun) {
            return tk_raise(L, "the tasklet has been started while it was being bound");
        }
    } else if (body->task.state == TK_ENDED) {
        bool daemon = body->task.daemon;

        tk_report_now(L, bind, body);
        tk_task_init(&body->task);
        body->task.daemon = daemon;
        drop(L, bind, TABLE_MONITORS);
        tk_forget(L, bind, body);
    }
    body->bound = false;
    if (!lua_isnil(L, 2)) {
        bind_to(L, body, 1, 2);
    }
    lua_settop(L, 1);
    return 1;
}

/* Stack: the tasklet, arguments. Gives it its arguments and begins it. */
static struct tk_body *begin(lua_State *L, struct tk_bind *bind, bool now)
{
    struct tk_body *body = tk_check_body(L, 1, bind);
    int nargs = lua_gettop(L) - 1;

    tk_check_open(L, bind);
    if (body->task.begun) {
        tk_raise(L, "the tasklet is alive: it has been started already");
    }
    if (!body->bound) {
        tk_raise(L, "the tasklet is not bound to a function");
    }
    luaL_checkstack(L, nargs + 20, "too many arguments");
    lua_getiuservalue(L, 1, UV_BOUND);
    if (!tk_is_startable(L, bind, nargs + 2)) {
        tk_raise(L, "the coroutine has been started elsewhere");
    }
    prepare(L, bind, body, 1, nargs + 2, 2, nargs);
    body->bound = false;
    tk_task_begin(bind->sched, &body->task, now);
    lua_settop(L, 1);
    return body;
}

RAISES int tk_start_call(lua_State *L)
{
    begin(L, tk_bind_of(L), false);
    return 1;
}

/* t:start(...): runs it at once, up to its first wait. Returns t. */
static int tasklet_start(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    begin(L, bind, true);
    return tk_hand_over(L, bind, started, 1);
}

/* For the Lua part: daemon(f, name) starts a tasklet that does not keep the program alive. It has a
 * name if others wait for it. */
static int start_daemon(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body;

    tk_check_open(L, bind);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_optstring(L, 2, NULL);
    lua_settop(L, 2);
    tk_push_table(L, bind, TABLE_TASKLET);
    lua_insert(L, 1);
    body = tk_body_make(L, bind, 2, 0, 1, false);
    if (!lua_isnil(L, 3)) {
        lua_pushvalue(L, 3);
        lua_setiuservalue(L, -2, UV_BODY);
        body->named = true;
    }
    body->task.daemon = true;
    body->internal = true;
    bind->internals++;
    tk_tree_orphan(&body->task);
    tk_task_begin(bind->sched, &body->task, true);
    return tk_hand_over(L, bind, started, lua_gettop(L));
}

/* For the Lua part: owns(t): end_children(t) is called when it ends. */
static int owns(lua_State *L)
{
    tk_check_body(L, 1, tk_bind_of(L))->owner = true;
    return 0;
}

static int is_startable(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushboolean(L, tk_is_startable(L, tk_bind_of(L), 1));
    return 1;
}

/* The stack's top is the module's table. */
void tk_start_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {{"run", tasklet_run},     {"new", tasklet_new},
                                         {"bind", tasklet_bind},   {"start", tasklet_start},
                                         {"setup", tk_start_call}, {NULL, NULL}};
    static const luaL_Reg core[] = {
        {"daemon", start_daemon}, {"owns", owns}, {"is_startable", is_startable}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, functions);
    lua_pop(L, 1);
}
