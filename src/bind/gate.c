/*
 * Verbs that wait at a gate of the room io. A verb stands where it is from its first wait to its
 * end, so that it keeps its place in a line, and its timeout counts for all of it.
 */
#include "bind/stream.h"

struct tk_gate_wait *tk_gate_of(const struct tk_bind *bind)
{
    struct tk_wait *wait = tk_current(bind)->task.verbs;

    while (wait != NULL && wait->kind != bind->gate) {
        wait = wait->as.next;
    }
    return (struct tk_gate_wait *)wait;
}

RAISES void tk_gate_stand(lua_State *L, struct tk_bind *bind, struct tk_gate *gate, size_t need,
                          lua_Number seconds, bool given)
{
    struct tk_body *body = tk_check_wait(L, bind);
    struct tk_arg args[3] = {{.given = true, .as.gate = gate},
                             {.given = true, .as.integer = (int64_t)need},
                             {.given = true, .as.boolean = false}};

    if (body->timed && !given) {
        lua_Number left;

        tk_push_body(L, bind, body);
        left = tk_seconds_left(L, bind, lua_gettop(L));
        lua_pop(L, 1);
        if (left >= 0 && (seconds < 0 || left < seconds)) {
            seconds = left;
            args[2].as.boolean = true;
        }
    }
    tk_verb_wait_args(L, bind, body, bind->gate, args);
    if (seconds >= 0) {
        struct tk_arg time = {.given = true, .as.number = seconds * 1000};

        tk_verb_wait(L, bind, body, bind->timeout, &time);
    }
}

void tk_gate_again(struct tk_bind *bind, size_t need)
{
    struct tk_gate_wait *wait = tk_gate_of(bind);

    wait->need = need;
    wait->wait.pending = 0;
}

RAISES int tk_gate_block(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context)
{
    tk_task_blocked(bind->sched, &tk_current(bind)->task);
    return tk_give_way(L, bind, k, context);
}

RAISES enum tk_gate_end tk_gate_resumed(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);
    const struct tk_gate_wait *wait;

    bind->L = L;
    if (body->task.raise != TK_RAISE_NOTHING) {
        tk_verb_done(bind, body);
        tk_check_raise(L, bind);
    }
    wait = tk_gate_of(bind);
    if (wait->wait.pending > 0) {
        return TK_GATE_GO;
    }
    if (wait->raises) {
        tk_verb_done(bind, body);
        tk_raise_class(L, "TimeoutError", "the deadline is over");
    }
    return TK_GATE_LATE;
}

void tk_gate_done(struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    if (body != NULL && body->task.verbs != NULL) {
        tk_verb_done(bind, body);
    }
}
