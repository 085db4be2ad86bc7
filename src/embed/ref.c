/*
 * References to tasklets: the struct that the program has, and ids.
 *
 * A reference keeps its tasklet by a slot of the table of values. The host has them in a list; when
 * it goes they become references to nothing.
 *
 * Only tasklets whose id has been asked for have one. It is drawn from one counter for the whole
 * process, so that it never comes again, and it leads from the tasklet to the number and back by
 * one weak table.
 */
#include <stdlib.h>

#include "core/mailbox.h"
#include "embed/embed.h"

/* Ids that this process has given. */
static atomic_ullong ids;

RAISES void tk_refs_open(lua_State *L, struct tasklet_host *host)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "kv");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    host->embed->ids = luaL_ref(L, LUA_REGISTRYINDEX);
}

void tk_refs_close(struct tasklet_host *host)
{
    struct tk_list *node;

    while ((node = tk_list_first(&host->embed->refs)) != NULL) {
        struct tasklet *t = tk_container_of(node, struct tasklet, node);

        tk_list_remove(node);
        t->host = NULL;
        t->body = NULL;
    }
}

RAISES struct tasklet *tk_ref_make(lua_State *L, struct tasklet_host *host, int index)
{
    long long reference;
    struct tasklet *t;

    lua_pushvalue(L, index);
    reference = tk_reference_make(L, host);
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        tk_reference_drop(host, reference);
        tk_no_memory(L);
        return NULL;
    }
    t->host = host;
    t->body = lua_touserdata(L, index);
    t->reference = reference;
    tk_list_push(&host->embed->refs, &t->node);
    return t;
}

void tasklet_drop(struct tasklet *t)
{
    if (t == NULL) {
        return;
    }
    if (t->host != NULL) {
        tk_reference_drop(t->host, t->reference);
        tk_list_remove(&t->node);
    }
    free(t);
}

struct tasklet_host *tasklet_host_of(struct tasklet *t)
{
    return t->host;
}

/* ---- a reference and a value ---- */

struct work {
    struct tasklet_host *host;
    struct tasklet *t; /* NULL: yet to be made */
    const struct tasklet_value *value;
    struct tasklet_value *out;
    int max;           /* places of `out`, if there is to be any */
    int result;        /* a negative code if it cannot be done */
    const char *wrong; /* and why */
    const char *text;
    bool traceback;
    struct tk_task *current; /* before the call */
    void (*on_end)(void *context, struct tasklet *t);
    void *context;
};

/* Does the work on a tasklet. */
static int do_work(struct work *work, struct tasklet *t, lua_CFunction f)
{
    int rc;

    if (t->host == NULL) {
        return TASKLET_ECLOSED;
    }
    if (work->out == NULL && work->max > 0) {
        return tk_missing(t->host);
    }
    work->host = t->host;
    work->t = t;
    rc = tk_guarded(t->host, f, work);
    if (rc == 0 && work->result < 0) {
        rc = tk_set_error(work->host, work->result, "%s", work->wrong);
    }
    return rc < 0 ? rc : work->result;
}

static int fail(struct work *work, int code, const char *wrong)
{
    work->result = code;
    work->wrong = wrong;
    return 0;
}

/* Pushes the tasklet. */
static void push(lua_State *L, const struct tasklet *t)
{
    tk_reference_push(L, t->host, t->reference);
}

static int from(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    if (!tk_value_push(L, work->host, work->value) || tk_to_body(L, 2, work->host->bind) == NULL) {
        return fail(work, TASKLET_EINVAL, "there is no tasklet of this host");
    }
    work->t = tk_ref_make(L, work->host, 2);
    return 0;
}

int tasklet_from(struct tasklet_host *host, const struct tasklet_value *value, struct tasklet **out)
{
    struct work work = {.host = host, .value = value};
    int rc = out == NULL ? tk_missing(host) : tk_guarded(host, from, &work);

    if (rc < 0 || work.result < 0) {
        return rc < 0 ? rc : tk_set_error(host, work.result, "%s", work.wrong);
    }
    *out = work.t;
    return 0;
}

static int as_value(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    push(L, work->t);
    tk_value_give(L, work->host, 2, 1, work->out);
    return 0;
}

int tasklet_as_value(struct tasklet *t, struct tasklet_value *out)
{
    struct work work = {.out = out, .max = 1};

    return do_work(&work, t, as_value);
}

/* ---- how it stands ---- */

/* Pushes the tasklet at 2, and how it has ended at 3. */
static void push_outcome(lua_State *L, const struct work *work)
{
    push(L, work->t);
    lua_getiuservalue(L, 2, UV_OUTCOME);
}

static int state(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);
    const struct tk_body *body = work->t->body;

    work->result = TASKLET_RETURNED;
    if (body->failed) {
        push_outcome(L, work);
        lua_rawgeti(L, 3, 1);
        work->result =
            tk_error_is(L, 4, work->host->bind, "TaskletExit") ? TASKLET_KILLED : TASKLET_FAILED;
    }
    return 0;
}

int tasklet_state(struct tasklet *t)
{
    struct work work = {0};

    if (t->host != NULL && t->body->task.state != TK_ENDED) {
        return TASKLET_ALIVE;
    }
    return do_work(&work, t, state);
}

static int name(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    push(L, work->t);
    tk_push_name(L, work->host->bind, 2);
    work->text = tk_value_keep(L, work->host, 3, 1);
    return 0;
}

const char *tasklet_name(struct tasklet *t)
{
    struct work work = {0};

    return do_work(&work, t, name) == 0 ? work.text : "";
}

static int results(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);
    const struct tk_body *body = work->t->body;
    int count = 1;

    if (body->task.state != TK_ENDED || body->failed) {
        return fail(work, TASKLET_ESTATE, "the tasklet has not returned");
    }
    push_outcome(L, work);
    if (body->packed) {
        lua_getfield(L, 3, "n");
        count = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
    } else if (body->mute) {
        count = 0;
    }
    for (int i = 0; i < count && i < work->max; i++) {
        if (body->packed) {
            lua_rawgeti(L, 3, i + 1);
        }
        tk_value_give(L, work->host, -1, i + 1, &work->out[i]);
        lua_settop(L, 3);
    }
    work->result = count;
    return 0;
}

int tasklet_results(struct tasklet *t, struct tasklet_value *places, int max)
{
    struct work work = {.out = places, .max = max};
    int rc;

    for (int i = 0; places != NULL && i < max; i++) {
        places[i] = tasklet_nil();
    }
    rc = do_work(&work, t, results);
    for (int i = 0; rc < 0 && places != NULL && t->host != NULL && i < max; i++) {
        tk_value_done(t->host, &places[i]);
    }
    return rc;
}

static int failure(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);
    struct tk_body *body = work->t->body;

    if (body->task.state != TK_ENDED || !body->failed) {
        return fail(work, TASKLET_ESTATE, "the tasklet has not failed");
    }
    push_outcome(L, work);
    lua_rawgeti(L, 3, 1);
    tk_push_text(L, 4);
    if (work->traceback && lua_rawgeti(L, 3, 2) == LUA_TSTRING) {
        lua_pushfstring(L, "%s\n%s", lua_tostring(L, 5), lua_tostring(L, 6));
        lua_replace(L, 5);
    }
    tk_value_give(L, work->host, 5, 1, work->out);
    tk_observe(work->host->bind, body);
    return 0;
}

int tasklet_failure(struct tasklet *t, int traceback, struct tasklet_value *out)
{
    struct work work = {.traceback = traceback != 0, .out = out, .max = 1};

    return do_work(&work, t, failure);
}

/* ---- what is done to it ---- */

static int kill_it(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);
    struct tk_bind *bind = work->host->bind;
    struct tk_body *body = work->t->body;

    push(L, work->t);
    bind->sched->current = work->current; /* that one is told at its next wait */
    if (body->task.begun && !body->begun) {
        tk_task_kill(bind->sched, &body->task); /* and ends when its turn comes */
    } else {
        tk_kill(L, bind, body, 2);
    }
    bind->sched->current = NULL;
    return 0;
}

int tasklet_kill(struct tasklet *t)
{
    struct work work = {0};
    struct tk_batch batch;
    int rc = t->host != NULL ? tk_check_alive(t->host) : TASKLET_ECLOSED;

    if (rc < 0) {
        return rc;
    }
    work.current = t->host->bind->sched->current;
    tk_sched_aside(t->host->bind->sched, &batch);
    rc = do_work(&work, t, kill_it);
    tk_sched_defer(t->host->bind->sched, &batch);
    return rc;
}

struct told {
    void (*on_end)(void *context, struct tasklet *t);
    void *context;
};

/* A join callback. Upvalues: the binding, what is to be called. */
static int tell_end(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    const struct told *told = lua_touserdata(L, lua_upvalueindex(2));
    struct tasklet *t = tk_ref_make(L, bind->context, 1);

    told->on_end(told->context, t);
    tasklet_drop(t);
    return 0;
}

RAISES void tk_ref_tell(lua_State *L, struct tasklet_host *host, int index,
                        void (*on_end)(void *context, struct tasklet *t), void *context)
{
    struct told *told;

    index = lua_absindex(L, index);
    tk_push_table(L, host->bind, TABLE_BINDING);
    lua_pushcclosure(L, tk_add_join_callback, 1);
    lua_pushvalue(L, index);
    tk_push_table(L, host->bind, TABLE_BINDING);
    told = lua_newuserdatauv(L, sizeof *told, 0);
    told->on_end = on_end;
    told->context = context;
    lua_pushcclosure(L, tell_end, 2);
    lua_call(L, 2, 0);
}

static int tell(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    push(L, work->t);
    tk_ref_tell(L, work->host, 2, work->on_end, work->context);
    return 0;
}

int tasklet_on_end(struct tasklet *t, void (*on_end)(void *context, struct tasklet *t),
                   void *context)
{
    struct work work = {.on_end = on_end, .context = context};
    int rc = t->host != NULL ? tk_check_alive(t->host) : TASKLET_ECLOSED;

    if (rc == 0 && on_end == NULL) {
        rc = tk_set_error(t->host, TASKLET_EINVAL, "there is nothing to be called");
    }
    return rc < 0 ? rc : do_work(&work, t, tell);
}

/* ---- ids ---- */

static int find_id(lua_State *L)
{
    struct tasklet *t = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, t->host->embed->ids);
    tk_reference_push(L, t->host, t->reference);
    lua_pushvalue(L, 3);
    if (lua_rawget(L, 2) == LUA_TNIL) {
        lua_Integer id = (lua_Integer)atomic_fetch_add(&ids, 1) + 1;

        lua_pushvalue(L, 3);
        lua_rawseti(L, 2, id);
        lua_pushvalue(L, 3);
        lua_pushinteger(L, id);
        lua_rawset(L, 2);
        t->id = (unsigned long long)id;
    } else {
        t->id = (unsigned long long)lua_tointeger(L, 4);
    }
    return 0;
}

unsigned long long tasklet_id(struct tasklet *t)
{
    if (t->host == NULL) {
        return 0;
    }
    if (t->id == 0) {
        tk_guarded(t->host, find_id, t);
    }
    return t->id;
}

bool tk_push_id(lua_State *L, struct tasklet_host *host, unsigned long long id)
{
    struct tk_body *body;

    lua_rawgeti(L, LUA_REGISTRYINDEX, host->embed->ids);
    lua_rawgeti(L, -1, (lua_Integer)id);
    lua_replace(L, -2);
    body = lua_touserdata(L, -1);
    if (body == NULL || body->task.state == TK_ENDED) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}
