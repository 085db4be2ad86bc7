/*
 * Calls that wait: a script has called a function of the program's, its tasklet waits, and the
 * program completes the call from whatever thread.
 *
 * The struct belongs to two: to the host until nobody waits any more and that has been told, and to
 * the program until it completes the call, which it does by sending the struct itself as a parcel.
 * When the host goes, what the program still has is the program's alone.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "embed/embed.h"
#include "embed/traffic.h"
#include "wait/kinds.h"

/* What a call is completed with: an error's text, or values. The bytes of these lie behind them. */
struct outcome {
    char *text; /* NULL: values */
    int count;
    struct tasklet_value values[];
};

static const char no_memory[] = "not enough memory";

struct tasklet_pending {
    struct tk_pending_wait wait;
    struct tk_parcel parcel;
    struct tk_list node; /* in `pendings`, then in `left` */
    struct tasklet_port *port;
    struct tasklet_host *host; /* for the host's thread alone */
    void (*on_cancel)(void *context);
    void *context;
    atomic_bool over;        /* nobody waits: for other threads */
    bool left;               /* the same, for the host's */
    bool told;               /* of it */
    bool arrived;            /* the program has completed it */
    bool completed;          /* in time */
    struct outcome *outcome; /* NULL: there was no memory for it */
    char what[];
};

static void pending_free(struct tasklet_pending *pending)
{
    free(pending->outcome);
    free(pending);
}

/* ---- in the host's thread ---- */

static void left(struct tk_pending_wait *wait)
{
    struct tasklet_pending *pending = (struct tasklet_pending *)wait;
    struct tasklet_host *host = pending->host;
    struct tk_traffic *traffic = &host->embed->traffic;

    pending->left = true;
    atomic_store(&pending->over, true);
    tk_list_remove(&pending->node);
    if (tk_list_empty(&traffic->left) && !host->loop.inside && !host->loop.polling) {
        tk_loop_wake(&host->loop);
    }
    tk_list_push(&traffic->left, &pending->node);
}

struct tasklet_pending *tk_pending_new(struct tasklet_host *host, const char *what,
                                       void (*on_cancel)(void *context), void *context)
{
    size_t length = strlen(what);
    struct tasklet_pending *pending = calloc(1, sizeof *pending + length + 1);

    if (pending == NULL) {
        return NULL;
    }
    pending->port = tk_port_take(host);
    if (pending->port == NULL) {
        free(pending);
        return NULL;
    }
    memcpy(pending->what, what, length + 1);
    pending->host = host;
    pending->wait.wait.kind = &tk_wait_pending;
    pending->wait.wait.flags = TK_LENT;
    pending->wait.what = pending->what;
    pending->wait.left = left;
    pending->on_cancel = on_cancel;
    pending->context = context;
    tk_list_push(&host->embed->traffic.pendings, &pending->node);
    return pending;
}

void tk_pending_refuse(struct tasklet_pending *pending)
{
    left(&pending->wait);
}

static void open_pending(struct tasklet_host *host, struct tk_parcel *parcel)
{
    struct tasklet_pending *pending = tk_container_of(parcel, struct tasklet_pending, parcel);

    if (pending->told) {
        pending_free(pending);
        return;
    }
    pending->arrived = true;
    if (!pending->left) {
        pending->completed = true;
        tk_wait_fire(&pending->wait.wait, &host->loop.sched, NULL);
    }
}

/* The port is closed after tk_pendings_close: the host is done with it. */
static void lose_pending(struct tk_parcel *parcel)
{
    pending_free(tk_container_of(parcel, struct tasklet_pending, parcel));
}

static const struct tk_parcel_kind pending_kind = {open_pending, lose_pending};

void tk_pendings_tell(struct tasklet_host *host)
{
    struct tk_list *list = &host->embed->traffic.left, *node;

    while ((node = tk_list_first(list)) != NULL) {
        struct tasklet_pending *pending = tk_container_of(node, struct tasklet_pending, node);

        tk_list_remove(node);
        if (!pending->completed && pending->on_cancel != NULL) {
            pending->on_cancel(pending->context);
        }
        pending->told = true;
        if (pending->arrived) {
            pending_free(pending);
        }
    }
}

void tk_pendings_close(struct tasklet_host *host)
{
    struct tk_list *list = &host->embed->traffic.pendings, *node;

    while ((node = tk_list_first(list)) != NULL) {
        left(&tk_container_of(node, struct tasklet_pending, node)->wait);
    }
    tk_pendings_tell(host);
}

/* ---- waiting ---- */

/* Pushes what the call was completed with; returns how many, -1: the text of an error. */
static int push_outcome(lua_State *L, struct tasklet_pending *pending)
{
    const struct outcome *outcome = pending->outcome;

    if (outcome == NULL) {
        lua_pushstring(L, no_memory);
        return -1;
    }
    if (outcome->text != NULL) {
        luaL_where(L, 1);
        lua_pushstring(L, outcome->text);
        lua_concat(L, 2);
        return -1;
    }
    luaL_checkstack(L, outcome->count + LUA_MINSTACK, "too many results");
    for (int i = 0; i < outcome->count; i++) {
        tk_value_push(L, pending->host, &outcome->values[i]);
    }
    return outcome->count;
}

/* `context` is the call. It may be gone as soon as it is left. */
static int completed(lua_State *L, int status, lua_KContext context)
{
    struct tasklet_pending *pending = (struct tasklet_pending *)context;
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);
    bool done = pending->completed;
    int count = 0;

    (void)status;
    if (done && body->task.raise == TK_RAISE_NOTHING) {
        count = push_outcome(L, pending);
    }
    tk_verb_done(bind, body);
    tk_check_raise(L, bind);
    if (!done) {
        return tk_raise_class(L, "TimeoutError", "the call was not completed in time");
    }
    return count < 0 ? lua_error(L) : count;
}

RAISES int tk_pending_wait(lua_State *L, struct tk_bind *bind, struct tasklet_pending *pending)
{
    struct tk_body *body;
    lua_Number seconds;

    if (!tk_may_wait(L, bind)) {
        tk_pending_refuse(pending); /* what the function did after it had asked is in the way */
    }
    body = tk_check_wait(L, bind);
    tk_check_trap(L, body);
    lua_settop(L, 0);
    seconds = tk_check_timeout(L, bind, 1);
    tk_task_block(bind->sched, &body->task, &pending->wait.wait, NULL);
    if (seconds >= 0) {
        struct tk_arg arg = {.given = true, .as.number = seconds * 1000};

        tk_verb_wait(L, bind, body, bind->timeout, &arg);
    }
    pending->wait.wait.pending = pending->arrived; /* it may have been completed by now */
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, completed, (lua_KContext)pending);
}

/* ---- from any thread ---- */

/* Takes `pending`. `rc`: what was wrong with the outcome. */
static int finish(struct tasklet_pending *pending, struct outcome *outcome, int rc)
{
    struct tasklet_port *port = pending->port;
    bool over = atomic_load(&pending->over);

    pending->outcome = outcome;
    pending->parcel.kind = &pending_kind;
    if (!tk_port_put(port, &pending->parcel)) {
        pending_free(pending);
        rc = rc < 0 ? rc : TASKLET_ECLOSED;
    }
    tk_port_release(port);
    return rc < 0 ? rc : over ? TASKLET_EENDED : 0;
}

static struct outcome *outcome_of_text(const char *text)
{
    size_t length = strlen(text);
    struct outcome *outcome = malloc(sizeof *outcome + length + 1);

    if (outcome != NULL) {
        outcome->count = 0;
        outcome->text = (char *)(outcome + 1);
        memcpy(outcome->text, text, length + 1);
    }
    return outcome;
}

int tasklet_complete(struct tasklet_pending *pending, const struct tasklet_value *values, int count)
{
    size_t size =
        count < 0 || (count > 0 && values == NULL) ? SIZE_MAX : tk_values_size(values, count);
    struct outcome *outcome;

    if (size == SIZE_MAX) {
        return finish(pending,
                      outcome_of_text("the call was completed with no value that may "
                                      "come from another thread"),
                      TASKLET_EINVAL);
    }
    outcome = malloc(sizeof *outcome + (size_t)count * sizeof *values + size);
    if (outcome != NULL) {
        outcome->text = NULL;
        outcome->count = count;
        tk_values_copy(outcome->values, values, count, (char *)(outcome->values + count));
    }
    return finish(pending, outcome, outcome == NULL ? TASKLET_ENOMEM : 0);
}

int tasklet_abort(struct tasklet_pending *pending, const char *text)
{
    struct outcome *outcome = outcome_of_text(text != NULL ? text : "aborted");

    return finish(pending, outcome, outcome == NULL ? TASKLET_ENOMEM : 0);
}
