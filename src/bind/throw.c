/*
 * Raising into a tasklet: throw and raise_exception. What is thrown is put aside for the target,
 * which raises it where it stands when it goes on.
 */
#include "bind/bind.h"
#include "core/channel.h"

static int thrown(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    tk_check_raise(L, tk_bind_of(L));
    return 0;
}

RAISES void tk_throw_later(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    struct tk_task *task = &body->task;

    tk_put_raise(L, bind, body);
    tk_channel_withdraw(task);
    if (task->state == TK_PAUSED) {
        tk_task_insert(bind->sched, task);
    } else if (!tk_task_scheduled(task) && task->state != TK_RUNNING) {
        tk_verb_done(bind, body); /* it waits for that no more, so it observes no end */
        tk_task_give_way(bind->sched, task);
    }
}

/* Replaces the values from 2 on by the error that they mean. */
static void make_error(lua_State *L)
{
    tk_push_table(L, tk_bind_of(L), TABLE_CORE);
    lua_getfield(L, -1, "make_error");
    lua_replace(L, -2);
    lua_insert(L, 2);
    lua_call(L, lua_gettop(L) - 2, 1);
}

/*
 * throw(t, error, pending): raises the error in t, at once, or when it next runs if `pending`. In
 * one that never began: it has failed with it. In a dead one that is an error, but for a
 * TaskletExit, which does nothing.
 */
static int tasklet_throw(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_body(L, 1, bind);
    bool pending = lua_toboolean(L, 3);

    tk_check_open(L, bind);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (lua_istable(L, 2)) {
        make_error(L); /* a class */
    }
    if (body == tk_current(bind)) {
        return lua_error(L);
    }
    if (body->task.state == TK_ENDED || (!body->task.begun && !body->bound)) {
        return tk_error_is(L, 2, bind, "TaskletExit")
                   ? 0
                   : tk_raise(L, "cannot throw to a dead tasklet");
    }
    if (pending && body->task.begun) {
        tk_throw_later(L, bind, body);
        return 0;
    }
    if (!body->begun) {
        tk_end_unbegun(L, bind, body, 1);
    } else {
        tk_throw(L, bind, body);
    }
    return tk_hand_over(L, bind, thrown, 0);
}

/* raise_exception(t, class, ...): throws class(...), or any other value as it is, at once. */
static int raise_exception(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_check_body(L, 1, bind);
    if (lua_isnoneornil(L, 2)) {
        luaL_argerror(L, 2, "value expected");
    }
    make_error(L);
    return tasklet_throw(L);
}

/* The stack's top is the module's table. */
void tk_throw_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {
        {"throw", tasklet_throw}, {"raise_exception", raise_exception}, {NULL, NULL}};

    (void)bind;
    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, functions);
    lua_pop(L, 1);
}
