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

struct start {
    struct tasklet_host *host;
    const struct tasklet_start_options *options;
    const struct tasklet_value *function, *args;
    int count;
    struct tasklet *made;
    bool wanted;
    const char *wrong; /* why it cannot be */
};

/* Pushes the function and its arguments. False: one of them is no value. */
static bool push_call(lua_State *L, struct tasklet_host *host, const struct tasklet_value *function,
                      const struct tasklet_value *args, int count, const char **wrong)
{
    luaL_checkstack(L, count + 20, "too many arguments");
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

/* The tasklet on top is the host's main one. */
static void make_main(lua_State *L, struct tasklet_host *host, struct tk_body *body)
{
    luaL_unref(L, LUA_REGISTRYINDEX, host->main_anchor);
    host->main = NULL;
    lua_pushvalue(L, -1);
    host->main_anchor = luaL_ref(L, LUA_REGISTRYINDEX); /* its end is looked at */
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

    if (!push_call(L, host, start->function, start->args, start->count, &start->wrong)) {
        return NULL;
    }
    if (!tk_is_startable(L, host->bind, 2)) {
        start->wrong = "there is no function to start";
        return NULL;
    }
    tk_push_table(L, host->bind, TABLE_TASKLET);
    lua_replace(L, 1);
    body = tk_body_make(L, host->bind, 2, start->count, 1, false);
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

    tk_check_open(L, host->bind);
    body = make_body(L, start);
    if (body == NULL) {
        return 0;
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

int tasklet_start(struct tasklet_host *host, const struct tasklet_start_options *options,
                  const struct tasklet_value *function, const struct tasklet_value *args, int count,
                  struct tasklet **out)
{
    struct tasklet_start_options defaults;
    struct start start = {host, options, function, args, count, NULL, out != NULL, NULL};
    int rc;

    if (options == NULL) {
        tasklet_start_options_init(&defaults);
        start.options = &defaults;
    }
    if (start.options->size != sizeof defaults || count < 0 || function == NULL) {
        return tk_set_error(host, TASKLET_EINVAL, NULL);
    }
    if (start.options->main && host->main != NULL && host->main->task.state != TK_ENDED) {
        return tk_set_error(host, TASKLET_ESTATE, "there is a main tasklet already");
    }
    if (host->bind != NULL && tk_is_full(host->bind)) {
        return tk_set_error(host, TASKLET_ELIMIT, "there are as many tasklets as are allowed");
    }
    rc = tk_guarded(host, start_body, &start);
    if (rc < 0 || start.wrong != NULL) {
        return rc < 0 ? rc : tk_set_error(host, TASKLET_EINVAL, "%s", start.wrong);
    }
    if (out != NULL) {
        *out = start.made;
    }
    return 0;
}
