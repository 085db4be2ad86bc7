/*
 * Functions of the program's that scripts call.
 *
 * Such a function is a C closure over the binding and a userdata, whose finalizer lets go of what
 * the program has given with it. Nothing that could raise is done while the program's function is
 * on the C stack: what went wrong is noted in the struct of the call, and raised when that has come
 * back.
 */
#include <stdlib.h>

#include "embed/embed.h"
#include "embed/traffic.h"

struct function {
    struct tk_list node;       /* among the host's */
    struct tasklet_host *host; /* NULL: gone, or this is over */
    tasklet_function function;
    void *context;
    void (*destroy)(void *context);
};

enum outcome {
    NONE,
    RETURNS,
    FAILS,      /* with the text on top of the stack */
    BAD_ARG,    /* of another type than is expected */
    NO_INTEGER, /* a number without an integer value */
    NO_MEMORY,
    NO_WAIT, /* it cannot be suspended */
    SUSPENDS,
};

/* An argument that the program has by reference. */
struct lent {
    struct lent *next;
    int index;
    struct tasklet_value value;
};

struct tasklet_call {
    struct tasklet_host *host;
    lua_State *L;
    int count;    /* arguments: they lie from 1 on */
    int outcome;  /* enum outcome */
    int results;  /* RETURNS: how many lie on top */
    int bad;      /* BAD_ARG, NO_INTEGER: which */
    int expected; /* BAD_ARG: a type of Lua's */
    struct lent *lent;
    struct tasklet_pending *pending;
};

/* ---- the call ---- */

/* What comes next in it does not matter if it has failed already. */
static int fail(struct tasklet_call *call, int outcome, int code)
{
    if (call->outcome == NONE) {
        call->outcome = outcome;
    }
    return tk_set_error(call->host, code, NULL);
}

static void give_back(struct tasklet_call *call)
{
    while (call->lent != NULL) {
        struct lent *lent = call->lent;

        call->lent = lent->next;
        tk_value_done(call->host, &lent->value);
        free(lent);
    }
}

/* The program's function has come back with that code. */
static int conclude(lua_State *L, struct tk_bind *bind, const struct tasklet_call *call, int code)
{
    switch ((enum outcome)call->outcome) {
    case RETURNS:
        return call->results;
    case FAILS:
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
        return lua_error(L);
    case BAD_ARG:
        return luaL_typeerror(L, call->bad, lua_typename(L, call->expected));
    case NO_INTEGER:
        return luaL_argerror(L, call->bad, "number has no integer representation");
    case NO_MEMORY:
        return tk_no_memory(L);
    case NO_WAIT:
        tk_check_trap(L, tk_check_wait(L, bind));
        return luaL_error(L, "cannot wait");
    case SUSPENDS:
        return tk_pending_wait(L, bind, call->pending);
    case NONE:
        break;
    }
    return code < 0 ? luaL_error(L, "%s", tasklet_strerror(code)) : 0;
}

static int call_function(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct function *function = lua_touserdata(L, lua_upvalueindex(2));
    struct tasklet_call call = {.host = function->host, .L = L, .count = lua_gettop(L)};
    int code;

    if (call.host == NULL) {
        return luaL_error(L, "the tasklet host is closed");
    }
    code = function->function(&call, function->context);
    bind->L = L;
    give_back(&call);
    return conclude(L, bind, &call, code);
}

struct tasklet_host *tasklet_call_host(struct tasklet_call *call)
{
    return call->host;
}

/* ---- arguments ---- */

int tasklet_arg_count(struct tasklet_call *call)
{
    return call->count;
}

static bool is_reference(lua_State *L, int index)
{
    int type = lua_type(L, index);

    return type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA ||
           type == LUA_TTHREAD;
}

struct lending {
    struct tasklet_host *host;
    struct tasklet_value *out;
};

static int lend(lua_State *L)
{
    struct lending *lending = lua_touserdata(L, 1);

    tk_value_lend(L, lending->host, 2, lending->out);
    return 0;
}

bool tk_value_try_lend(lua_State *L, struct tasklet_host *host, int index,
                       struct tasklet_value *out)
{
    struct lending lending = {host, out};

    if (!is_reference(L, index)) {
        tk_value_lend(L, host, index, out); /* needs no memory */
        return true;
    }
    if (!lua_checkstack(L, 3)) {
        return false;
    }
    index = lua_absindex(L, index);
    lua_pushcfunction(L, lend);
    lua_pushlightuserdata(L, &lending);
    lua_pushvalue(L, index);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        *out = tasklet_nil();
        return false;
    }
    return true;
}

/* Bytes lie on the stack as long as the call lasts; a reference is kept until then. */
struct tasklet_value tasklet_arg(struct tasklet_call *call, int index)
{
    struct tasklet_value value = tasklet_nil();
    struct lent *lent;

    if (index < 1 || index > call->count) {
        return value;
    }
    if (!is_reference(call->L, index)) {
        tk_value_lend(call->L, call->host, index, &value);
        return value;
    }
    for (lent = call->lent; lent != NULL; lent = lent->next) {
        if (lent->index == index) {
            return lent->value;
        }
    }
    lent = malloc(sizeof *lent);
    if (lent == NULL || !tk_value_try_lend(call->L, call->host, index, &lent->value)) {
        free(lent);
        fail(call, NO_MEMORY, TASKLET_ENOMEM);
        return value;
    }
    lent->index = index;
    lent->next = call->lent;
    call->lent = lent;
    return lent->value;
}

static int wrong_type(struct tasklet_call *call, int index, int outcome, int expected)
{
    if (call->outcome == NONE) {
        call->bad = index;
        call->expected = expected;
    }
    return fail(call, outcome, TASKLET_EINVAL);
}

/* Is there an argument, of that type or one that Lua converts to it? */
static bool is(const struct tasklet_call *call, int index, int (*test)(lua_State *, int))
{
    return index >= 1 && index <= call->count && test(call->L, index);
}

int tasklet_arg_integer(struct tasklet_call *call, int index, long long *out)
{
    int exact = 0;

    if (is(call, index, lua_isnumber)) {
        *out = lua_tointegerx(call->L, index, &exact);
        if (!exact) {
            return wrong_type(call, index, NO_INTEGER, LUA_TNUMBER);
        }
        return 0;
    }
    return wrong_type(call, index, BAD_ARG, LUA_TNUMBER);
}

int tasklet_arg_number(struct tasklet_call *call, int index, double *out)
{
    if (!is(call, index, lua_isnumber)) {
        return wrong_type(call, index, BAD_ARG, LUA_TNUMBER);
    }
    *out = lua_tonumber(call->L, index);
    return 0;
}

static int to_string(lua_State *L)
{
    lua_tolstring(L, 1, NULL);
    return 1;
}

int tasklet_arg_string(struct tasklet_call *call, int index, const char **bytes, size_t *length)
{
    lua_State *L = call->L;
    size_t size;

    if (!is(call, index, lua_isstring)) {
        return wrong_type(call, index, BAD_ARG, LUA_TSTRING);
    }
    if (lua_type(L, index) == LUA_TNUMBER) { /* it becomes a string, as luaL_checklstring has it */
        if (!lua_checkstack(L, 2)) {
            return fail(call, NO_MEMORY, TASKLET_ENOMEM);
        }
        lua_pushcfunction(L, to_string);
        lua_pushvalue(L, index);
        if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
            lua_pop(L, 1);
            return fail(call, NO_MEMORY, TASKLET_ENOMEM);
        }
        lua_replace(L, index);
    }
    *bytes = lua_tolstring(L, index, &size);
    if (length != NULL) {
        *length = size;
    }
    return 0;
}

/* ---- ends ---- */

struct ending {
    struct tasklet_call *call;
    const struct tasklet_value *values;
    int count;
    const char *text;
};

static int push_values(lua_State *L)
{
    struct ending *ending = lua_touserdata(L, 1);

    luaL_checkstack(L, ending->count + LUA_MINSTACK, "too many results");
    for (int i = 0; i < ending->count; i++) {
        if (!tk_value_push(L, ending->call->host, &ending->values[i])) {
            return luaL_error(L, "a result is no value of this host");
        }
    }
    return ending->count;
}

static int push_text(lua_State *L)
{
    const struct ending *ending = lua_touserdata(L, 1);

    lua_pushstring(L, ending->text);
    return 1;
}

/* Runs f protected and leaves on the stack what it returns. False: the call is bound to fail. */
static bool push(struct tasklet_call *call, lua_CFunction f, struct ending *ending, int count)
{
    lua_State *L = call->L;
    int status;

    if (!lua_checkstack(L, count + LUA_MINSTACK)) {
        fail(call, NO_MEMORY, TASKLET_ENOMEM);
        return false;
    }
    ending->call = call;
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, ending);
    status = lua_pcall(L, 1, LUA_MULTRET, 0);
    if (status != LUA_OK) {
        fail(call, FAILS, status == LUA_ERRMEM ? TASKLET_ENOMEM : TASKLET_EINVAL);
        return false;
    }
    return true;
}

int tasklet_return(struct tasklet_call *call, const struct tasklet_value *values, int count)
{
    struct ending ending = {.values = values, .count = count};

    if (call->outcome != NONE) {
        return TASKLET_ESTATE;
    }
    if (count < 0 || (count > 0 && values == NULL)) {
        tasklet_fail(call, "it has no results to return");
        return tk_set_error(call->host, TASKLET_EINVAL, NULL);
    }
    if (!push(call, push_values, &ending, count)) {
        return tk_set_error(call->host, TASKLET_EINVAL, "a result is no value of this host");
    }
    call->outcome = RETURNS;
    call->results = count;
    return 0;
}

int tasklet_fail(struct tasklet_call *call, const char *text)
{
    struct ending ending = {.text = text != NULL ? text : "failed"};

    if (call->outcome != NONE) {
        return TASKLET_ESTATE;
    }
    if (push(call, push_text, &ending, 1)) {
        call->outcome = FAILS;
    }
    return TASKLET_ESCRIPT;
}

int tasklet_suspend(struct tasklet_call *call, const char *what, void (*on_cancel)(void *context),
                    void *context, struct tasklet_pending **pending)
{
    *pending = NULL;
    if (call->outcome != NONE) {
        return TASKLET_ESTATE;
    }
    if (!tk_may_wait(call->L, call->host->bind)) {
        return fail(call, NO_WAIT, TASKLET_ESTATE);
    }
    call->pending =
        tk_pending_new(call->host, what != NULL ? what : "the program", on_cancel, context);
    if (call->pending == NULL) {
        return fail(call, NO_MEMORY, TASKLET_ENOMEM);
    }
    call->outcome = SUSPENDS;
    *pending = call->pending;
    return 0;
}

/* ---- making ---- */

/* Lets go of what the program has given with it. */
static void let_go(struct function *function)
{
    if (function->host != NULL) {
        function->host = NULL;
        tk_list_remove(&function->node);
        if (function->destroy != NULL) {
            function->destroy(function->context);
        }
    }
}

static int function_gc(lua_State *L)
{
    let_go(lua_touserdata(L, 1));
    return 0;
}

void tk_functions_close(struct tasklet_host *host)
{
    struct tk_list *node;

    while ((node = tk_list_first(&host->embed->traffic.functions)) != NULL) {
        let_go(tk_container_of(node, struct function, node));
    }
}

struct making {
    struct tasklet_host *host;
    const struct function *function;
    struct tasklet_value *out;
};

/* It is the userdata's, and so its finalizer's, when nothing can fail any more. */
static int make(lua_State *L)
{
    struct making *making = lua_touserdata(L, 1);
    struct tasklet_host *host = making->host;
    struct function *function;

    tk_push_table(L, host->bind, TABLE_BINDING);
    function = lua_newuserdatauv(L, sizeof *function, 0);
    *function = *making->function;
    if (luaL_newmetatable(L, "tasklet.function")) {
        lua_pushcfunction(L, function_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_pushcclosure(L, call_function, 2);
    tk_value_lend(L, host, -1, making->out);
    function->host = host;
    tk_list_push(&host->embed->traffic.functions, &function->node);
    return 0;
}

int tasklet_function_new(struct tasklet_host *host, tasklet_function function, void *context,
                         void (*destroy)(void *context), struct tasklet_value *out)
{
    struct function given = {.function = function, .context = context, .destroy = destroy};
    struct making making = {host, &given, out};
    int rc = tk_check_alive(host);

    if (rc == 0 && (function == NULL || out == NULL)) {
        rc = tk_set_error(host, TASKLET_EINVAL, "there is no function, or no place for it");
    }
    if (rc == 0) {
        rc = tk_guarded(host, make, &making);
    }
    if (rc < 0 && destroy != NULL) {
        destroy(context);
    }
    return rc;
}

int tasklet_define(struct tasklet_host *host, const char *name, tasklet_function function,
                   void *context)
{
    struct tasklet_value value;
    int rc = tasklet_function_new(host, function, context, NULL, &value);

    if (rc == 0) {
        rc = tasklet_global_set(host, name, &value);
        tasklet_release(host, &value);
    }
    return rc;
}
