/*
 * Calling and replying.
 *
 * The message of a call has a serial number and knows who asks; both are out of a script's reach.
 * The answer finds its way by the number: it goes to the wait of the one who asks that has the same
 * one, if there still is one. So a late or a second answer finds nobody.
 */
#include "bind/letter.h"

/* Raises a TaskletError: who was called, at 1, has ended. It says why if that one failed. */
static int raise_unanswered(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *dest = lua_touserdata(L, 1);

    tk_push_name(L, bind, 1);
    tk_push_state_error(L, "tasklet '%s' ended without answering '%s'", lua_tostring(L, -1),
                        lua_tostring(L, 2));
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "tasklet");
    tk_push_failure(L, 1, dest);
    lua_setfield(L, -2, "cause");
    return lua_error(L);
}

/* Frame: dest, name. */
static int answered(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);
    struct tk_answer *answer = (struct tk_answer *)tk_verb_of(body, bind->answer);
    bool given = false, ended = false;

    (void)status;
    (void)context;
    body->task.sending = false;
    if (answer != NULL && body->task.raise == TK_RAISE_NOTHING) {
        given = answer->given;
        ended = answer->ended;
        tk_push_payload(L, bind, answer->payload);
        answer->payload = NULL;
    }
    tk_verb_done(bind, body);
    tk_check_raise(L, bind);
    if (given) {
        return 1;
    }
    return ended ? raise_unanswered(L, bind)
                 : tk_raise_class(L, "TimeoutError", "no answer in time");
}

/* call(dest, name, value, timeout): sends, waits for the answer, and returns it. */
int tk_call(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *dest = tk_check_body(L, 1, bind), *body;
    struct tk_arg args[2] = {{.given = true, .as.task = &dest->task}, {.given = true}};
    lua_Number seconds;

    if (lua_type(L, 2) != LUA_TSTRING) {
        return luaL_typeerror(L, 2, "string");
    }
    seconds = tk_check_timeout(L, bind, 4);
    body = tk_check_wait(L, bind);
    if (dest == body) {
        return tk_raise(L, "a tasklet cannot call itself");
    }
    if (dest->task.state == TK_ENDED) {
        return tk_raise(L, "message '%s' sent to a finished tasklet", lua_tostring(L, 2));
    }
    lua_settop(L, 3);
    tk_push_sent(L, bind, body, CALL_LETTER);
    tk_push_body(L, bind, body);
    lua_setiuservalue(L, 4, UV_ASKER);
    lua_pushinteger(L, (lua_Integer)++bind->calls);
    lua_setiuservalue(L, 4, UV_SERIAL);
    args[1].as.integer = (int64_t)bind->calls;
    if (seconds >= 0) {
        struct tk_arg time = {.given = true, .as.number = seconds * 1000};

        tk_verb_wait(L, bind, body, bind->timeout, &time);
    }
    tk_verb_wait_args(L, bind, body, bind->answer, args);
    if (tk_message_deliver(L, bind, 4, dest, NULL) == TK_SENT_FULL) {
        tk_message_outside(L, bind, 4, dest, body)->quiet = true;
    }
    tk_task_blocked(bind->sched, &body->task);
    body->task.sending = bind->sched->batch != NULL;
    tk_sched_hand_over(bind->sched, NULL);
    return tk_give_way(L, bind, answered, 0);
}

static int replied(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* The wait of the call that the message at 1 belongs to, if it is not over. */
static struct tk_answer *find_answer(lua_State *L, struct tk_bind *bind,
                                     const struct letter *letter)
{
    const struct tk_body *asker;
    uint64_t serial;

    if (!letter->called) {
        return NULL;
    }
    lua_getiuservalue(L, 1, UV_SERIAL);
    serial = (uint64_t)lua_tointeger(L, -1);
    lua_getiuservalue(L, 1, UV_ASKER);
    asker = tk_to_body(L, -1, bind);
    lua_pop(L, 2); /* the message holds it */
    /* One that is about to go on for another reason does not wait any more. */
    if (asker != NULL && asker->task.state == TK_BLOCKED && asker->task.raise == TK_RAISE_NOTHING) {
        struct tk_answer *answer = (struct tk_answer *)tk_verb_of(asker, bind->answer);

        return answer == NULL || answer->serial != serial ? NULL : answer;
    }
    return NULL;
}

/* Is the message at 1 a question of the program's? Then *serial is its number. */
static bool is_question(lua_State *L, const struct letter *letter, uint64_t *serial)
{
    bool is = letter->called && lua_getiuservalue(L, 1, UV_ASKER) == LUA_TNIL;

    if (is) {
        lua_getiuservalue(L, 1, UV_SERIAL);
        *serial = (uint64_t)lua_tointeger(L, -1);
    }
    lua_settop(L, 2);
    return is;
}

/* message:reply(value): whether somebody still waited for it. */
int tk_reply(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct letter *letter = tk_check_letter(L, 1);
    struct tk_answer *answer;
    uint64_t serial;

    tk_check_open(L, bind);
    lua_settop(L, 2);
    if (is_question(L, letter, &serial)) {
        lua_pushboolean(L, bind->hooks->answered(bind->context, L, serial));
        return 1;
    }
    answer = find_answer(L, bind, letter);
    if (answer == NULL || answer->given || answer->ended) {
        lua_pushboolean(L, 0);
        return 1;
    }
    answer->payload = tk_payload(tk_anchor(L, bind));
    answer->given = true;
    bind->L = L;
    tk_wait_fire_now(&answer->wait, bind->sched, NULL);
    return tk_hand_over(L, bind, replied, 0);
}
