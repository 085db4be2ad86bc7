/*
 * Scripts and tasklets: loading, calling and starting what is written in Lua.
 */
#include <limits.h>
#include <string.h>

#include "core/mailbox.h"
#include "core/tree.h"
#include "embed/embed.h"

void tasklet_start_options_init(struct tasklet_start_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

/* ---- loading ---- */

struct load {
    struct tasklet_host *host;
    const char *bytes, *name, *path;
    size_t length;
    struct tasklet_value *out;
    int status;
};

static int load_chunk(lua_State *L)
{
    struct load *load = lua_touserdata(L, 1);
    bool both = (load->host->options.capabilities & TASKLET_BYTECODE) != 0;

    load->status = load->path != NULL ? luaL_loadfilex(L, load->path, both ? NULL : "t")
                                      : luaL_loadbufferx(L, load->bytes, load->length, load->name,
                                                         both ? NULL : "t");
    if (load->status != LUA_OK) {
        return lua_error(L);
    }
    tk_value_give(L, load->host, 2, 1, load->out);
    return 0;
}

/* Loads; the status of Lua's loader says more than that it raised. */
static int do_load(struct load *load)
{
    static const char denied[] = "attempt to load a binary chunk";
    int rc;

    if (load->out == NULL) {
        return tk_missing(load->host);
    }
    rc = tk_guarded(load->host, load_chunk, load);
    if (rc != TASKLET_ESCRIPT) {
        return rc;
    }
    if (load->status == LUA_ERRFILE) {
        return load->host->embed->code = TASKLET_EFILE;
    }
    if (strncmp(tasklet_host_error(load->host), denied, sizeof denied - 1) == 0) {
        return load->host->embed->code = TASKLET_EDENIED;
    }
    return load->host->embed->code = TASKLET_ESYNTAX;
}

int tasklet_load_buffer(struct tasklet_host *host, const void *bytes, size_t length,
                        const char *name, struct tasklet_value *out)
{
    struct load load = {.host = host, .bytes = bytes, .length = length, .out = out};

    load.name = name != NULL ? name : "=(load)";
    if (bytes == NULL && length > 0) {
        return tk_missing(host);
    }
    return do_load(&load);
}

int tasklet_load_string(struct tasklet_host *host, const char *text, const char *name,
                        struct tasklet_value *out)
{
    if (text == NULL) {
        return tk_missing(host);
    }
    return tasklet_load_buffer(host, text, strlen(text), name != NULL ? name : text, out);
}

int tasklet_load_file(struct tasklet_host *host, const char *path, struct tasklet_value *out)
{
    struct load load = {.host = host, .path = path, .out = out};

    return path == NULL ? tk_missing(host) : do_load(&load);
}

/* ---- calling ---- */

struct call {
    struct tasklet_host *host;
    const struct tasklet_value *function, *args;
    int count;
    struct tasklet_value *results;
    int max;
    int given; /* results that there were */
    const char *wrong;
};

/* Pushes the function and its arguments. False: one of them is no value. */
static bool push_call(lua_State *L, struct tasklet_host *host, const struct tasklet_value *function,
                      const struct tasklet_value *args, int count, const char **wrong)
{
    if (!tk_value_push(L, host, function)) {
        *wrong = "the function is no value of this host";
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (!tk_value_push(L, host, &args[i])) {
            *wrong = "an argument is no value of this host";
            return false;
        }
    }
    return true;
}

/* Gives the values from `first` on to the program. */
static void give_results(lua_State *L, struct call *call, int first)
{
    call->given = lua_gettop(L) - first + 1;
    for (int i = 0; i < call->given && i < call->max; i++) {
        tk_value_give(L, call->host, first + i, i + 1, &call->results[i]);
    }
}

static int give(lua_State *L)
{
    give_results(L, lua_touserdata(L, 1), 2);
    return 0;
}

static int call_it(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);

    luaL_checkstack(L, call->count + LUA_MINSTACK, "too many arguments");
    if (push_call(L, call->host, call->function, call->args, call->count, &call->wrong)) {
        lua_call(L, call->count, LUA_MULTRET);
        luaL_checkstack(L, 20, NULL);
        give_results(L, call, 2);
    }
    return 0;
}

/* Gives the results above `top`. As lua_pcall: they are popped, and an error is on top. */
static int give_protected(lua_State *L, struct call *call, int top)
{
    if (!lua_checkstack(L, 2)) {
        lua_settop(L, top);
        lua_pushnil(L); /* in the place of an error */
        return LUA_ERRMEM;
    }
    lua_pushcfunction(L, give);
    lua_insert(L, top + 1);
    lua_pushlightuserdata(L, call);
    lua_insert(L, top + 2);
    return lua_pcall(L, lua_gettop(L) - top - 1, 0, 0);
}

/* Pushes the table of references, to `table`, the function and the arguments, if that needs no
 * memory. */
static enum tk_pushed push_lightly(lua_State *L, struct call *call, int table)
{
    enum tk_pushed pushed;

    if (call->count > LUA_MINSTACK || !lua_checkstack(L, LUA_MINSTACK + 4)) {
        return TK_HEAVY;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->host->embed->values);
    pushed = tk_value_push_lightly(L, call->host, call->function, table);
    for (int i = 0; pushed == TK_PUSHED && i < call->count; i++) {
        pushed = tk_value_push_lightly(L, call->host, &call->args[i], table);
    }
    if (pushed != TK_PUSHED) {
        lua_settop(L, table - 1);
    }
    return pushed;
}

/* What has been pushed lightly is called; what it gives mostly needs no memory either. */
static int call_lightly(lua_State *L, struct call *call, int table)
{
    struct tasklet_host *host = call->host;
    int first = table + 1, status;
    struct tk_outer outer;

    tk_enter(host, &outer);
    status = lua_pcall(L, call->count, LUA_MULTRET, 0);
    call->given = lua_gettop(L) - first + 1;
    for (int i = 0; status == LUA_OK && i < call->given && i < call->max; i++) {
        if (!tk_value_take(L, first + i, &call->results[i])) {
            status = give_protected(L, call, table);
            break;
        }
    }
    tk_leave(host, &outer);
    status = status == LUA_OK ? 0 : tk_failed(host, L, status);
    lua_settop(L, table - 1);
    return tk_host_settle(host) ? TASKLET_ECLOSED : status;
}

int tasklet_invoke(struct tasklet_host *host, const struct tasklet_value *function,
                   const struct tasklet_value *args, int count, struct tasklet_value *results,
                   int max)
{
    struct call call = {host, function, args, count, results, max, 0, NULL};
    lua_State *L = host->bind != NULL && !host->freeing ? host->bind->main : NULL;
    int table = L != NULL ? lua_gettop(L) + 1 : 0, rc;

    if (count < 0 || max < 0) {
        return tk_set_error(host, TASKLET_EINVAL, NULL);
    }
    if (function == NULL || (args == NULL && count > 0) || (results == NULL && max > 0)) {
        return tk_missing(host);
    }
    for (int i = 0; i < max; i++) {
        results[i] = tasklet_nil();
    }
    rc = L != NULL && push_lightly(L, &call, table) == TK_PUSHED ? call_lightly(L, &call, table)
                                                                 : tk_guarded(host, call_it, &call);
    if (rc == 0 && call.wrong == NULL) {
        return call.given;
    }
    for (int i = 0; i < max; i++) {
        if (rc != TASKLET_ECLOSED) {
            tk_value_done(host, &results[i]); /* memory may have run out among them */
        }
        results[i] = tasklet_nil();
    }
    return rc < 0 ? rc : tk_set_error(host, TASKLET_EINVAL, "%s", call.wrong);
}

/* ---- starting ---- */

struct start {
    struct tasklet_host *host;
    const struct tasklet_start_options *options;
    const struct tasklet_value *function, *args;
    int count;
    struct tk_body *body;
    struct tasklet *made;
    bool wanted;
    const char *wrong; /* why it cannot be */
};

/* The tasklet on top is the host's main one. */
static void make_main(lua_State *L, struct tasklet_host *host, struct tk_body *body)
{
    int anchor;

    lua_pushvalue(L, -1);
    anchor = luaL_ref(L, LUA_REGISTRYINDEX); /* its end is looked at */
    luaL_unref(L, LUA_REGISTRYINDEX, host->main_anchor);
    host->main_anchor = anchor;
    host->main = host->bind->main_task = body;
    body->pooled = false;
}

/* Stack: the struct; leaves the tasklet. */
static struct tk_body *make_body(lua_State *L, struct start *start)
{
    const struct tasklet_start_options *options = start->options;
    struct tasklet_host *host = start->host;
    struct tk_body *body;
    const char *name = options->name;

    luaL_checkstack(L, start->count + LUA_MINSTACK, "too many arguments");
    if (!push_call(L, host, start->function, start->args, start->count, &start->wrong)) {
        return NULL;
    }
    if (!tk_is_startable(L, host->bind, 2)) {
        start->wrong = "there is no function to start";
        return NULL;
    }
    tk_push_table(L, host->bind, TABLE_TASKLET);
    lua_replace(L, 1);
    body = start->body = tk_body_make(L, host->bind, 2, start->count, 1, false);
    if (name == NULL && options->main) {
        name = "main";
    }
    if (name != NULL) {
        lua_pushstring(L, name);
        lua_setiuservalue(L, -2, UV_BODY);
        body->named = true;
    }
    if (options->daemon) {
        body->task.daemon = true;
    }
    if (options->max_mailbox > 0 && tk_mail_limit(&body->task, options->max_mailbox) < 0) {
        tk_no_memory(L);
    }
    return body;
}

static int start_body(lua_State *L)
{
    struct start *start = lua_touserdata(L, 1);
    struct tasklet_host *host = start->host;
    struct tk_body *body;

    body = make_body(L, start);
    if (body == NULL) {
        return 0;
    }
    if (start->options->on_end != NULL) {
        tk_ref_tell(L, host, -1, start->options->on_end, start->options->context);
    }
    if (start->wanted) {
        start->made = tk_ref_make(L, host, lua_gettop(L));
    }
    if (start->options->main) {
        make_main(L, host, body);
    }
    tk_task_begin(host->bind->sched, &body->task, false);
    return 0;
}

/* There was no memory for all that goes with the tasklet: it is left to the collector. */
static void give_up(struct start *start)
{
    struct tk_bind *bind = start->host->bind;

    tasklet_drop(start->made);
    tk_unanchor(bind->main, bind, start->body->anchor);
    start->body->anchor = LUA_NOREF;
}

int tasklet_start(struct tasklet_host *host, const struct tasklet_start_options *options,
                  const struct tasklet_value *function, const struct tasklet_value *args, int count,
                  struct tasklet **out)
{
    struct tasklet_start_options defaults;
    struct start start = {host, options, function, args, count, NULL, NULL, out != NULL, NULL};
    int rc = tk_check_alive(host);

    if (rc < 0) {
        return rc;
    }
    if (options == NULL) {
        tasklet_start_options_init(&defaults);
        start.options = &defaults;
    }
    if (start.options->size != sizeof defaults || count < 0) {
        return tk_set_error(host, TASKLET_EINVAL, NULL);
    }
    if (function == NULL || (args == NULL && count > 0)) {
        return tk_missing(host);
    }
    if (host->exited) {
        return tk_set_error(host, TASKLET_ESTATE, "the program has ended by os.exit");
    }
    if (start.options->main && host->main != NULL && host->main->task.state != TK_ENDED) {
        return tk_set_error(host, TASKLET_ESTATE, "there is a main tasklet already");
    }
    if (host->bind != NULL && tk_is_full(host->bind)) {
        return tk_set_error(host, TASKLET_ELIMIT, "there are as many tasklets as are allowed");
    }
    rc = tk_guarded(host, start_body, &start);
    if (rc < 0 && rc != TASKLET_ECLOSED && start.body != NULL) {
        give_up(&start);
    }
    if (rc < 0 || start.wrong != NULL) {
        return rc < 0 ? rc : tk_set_error(host, TASKLET_EINVAL, "%s", start.wrong);
    }
    if (out != NULL) {
        *out = start.made;
    }
    return 0;
}
