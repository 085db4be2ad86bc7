/*
 * Tables and global variables: the second half of the chapter "Values". All is raw: no metamethod
 * runs, so nothing of a script's does.
 */
#include <math.h>
#include <string.h>

#include "embed/embed.h"

struct work {
    struct tasklet_host *host;
    const struct tasklet_value *table, *key, *value;
    const char *path;
    struct tasklet_value *out, *out_key;
    long long found;
    const char *wrong; /* why it cannot be done; NULL: it is done */
};

/* Does the work; says why it cannot be done. */
static int do_work(struct work *work, lua_CFunction f)
{
    int rc = tk_guarded(work->host, f, work);

    if (rc == 0 && work->wrong != NULL) {
        rc = tk_set_error(work->host, TASKLET_EINVAL, "%s", work->wrong);
    }
    return rc;
}

/* Pushes the table. */
static bool push_table(lua_State *L, struct work *work)
{
    if (!tk_value_push(L, work->host, work->table) || !lua_istable(L, -1)) {
        work->wrong = "there is no table of this host";
        return false;
    }
    return true;
}

static bool push_value(lua_State *L, struct work *work, const struct tasklet_value *value)
{
    if (!tk_value_push(L, work->host, value)) {
        work->wrong = TK_NO_VALUE;
        return false;
    }
    return true;
}

/* ---- tables ---- */

static int new_table(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    lua_newtable(L);
    tk_value_give(L, work->host, 2, 1, work->out);
    return 0;
}

int tasklet_table_new(struct tasklet_host *host, struct tasklet_value *out)
{
    struct work work = {.host = host, .out = out};

    return out == NULL ? tk_missing(host) : do_work(&work, new_table);
}

static int get(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    if (push_table(L, work) && push_value(L, work, work->key)) {
        lua_rawget(L, 2);
        tk_value_give(L, work->host, 3, 1, work->out);
    }
    return 0;
}

int tasklet_table_get(struct tasklet_host *host, const struct tasklet_value *table,
                      const struct tasklet_value *key, struct tasklet_value *out)
{
    struct work work = {.host = host, .table = table, .key = key, .out = out};

    return out == NULL ? tk_missing(host) : do_work(&work, get);
}

static int set(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    if (!push_table(L, work) || !push_value(L, work, work->key)) {
        return 0;
    }
    if (lua_isnil(L, 3) || (lua_type(L, 3) == LUA_TNUMBER && isnan(lua_tonumber(L, 3)))) {
        work->wrong = "the key is nil or no number";
        return 0;
    }
    if (push_value(L, work, work->value)) {
        lua_rawset(L, 2);
    }
    return 0;
}

int tasklet_table_set(struct tasklet_host *host, const struct tasklet_value *table,
                      const struct tasklet_value *key, const struct tasklet_value *value)
{
    struct work work = {.host = host, .table = table, .key = key, .value = value};

    return do_work(&work, set);
}

static int length(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    if (push_table(L, work)) {
        work->found = (long long)lua_rawlen(L, 2);
    }
    return 0;
}

long long tasklet_table_length(struct tasklet_host *host, const struct tasklet_value *table)
{
    struct work work = {.host = host, .table = table};
    int rc = do_work(&work, length);

    return rc < 0 ? rc : work.found;
}

/* Pushes the key of a walk: of bytes that a walk has given, the very string, which is found even if
 * it has been deleted since. */
static bool push_key(lua_State *L, struct work *work)
{
    if (work->key->type == TASKLET_STRING) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, work->host->embed->given);
        if (lua_rawgeti(L, -1, 1) == LUA_TSTRING && lua_tostring(L, -1) == work->key->as.bytes) {
            lua_replace(L, -2);
            return true;
        }
        lua_pop(L, 2);
    }
    return push_value(L, work, work->key);
}

static int next(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);

    if (push_table(L, work) && push_key(L, work) && lua_next(L, 2)) {
        tk_value_give(L, work->host, 3, 1, work->out_key);
        tk_value_give(L, work->host, 4, 2, work->out);
        work->found = 1;
    }
    return 0;
}

int tasklet_table_next(struct tasklet_host *host, const struct tasklet_value *table,
                       struct tasklet_value *key, struct tasklet_value *value)
{
    struct tasklet_value new_key = tasklet_nil(), new_value = tasklet_nil();
    struct work work = {
        .host = host, .table = table, .key = key, .out_key = &new_key, .out = &new_value};
    bool begins;
    int rc;

    if (key == NULL || value == NULL) {
        return tk_missing(host);
    }
    begins = key->type == TASKLET_NIL;
    rc = do_work(&work, next);
    if (rc < 0) {
        tk_value_done(host, &new_key);
        /* Nothing but the key can be wrong: no script has run. */
        return rc == TASKLET_ESCRIPT ? TASKLET_EINVAL : rc;
    }
    tk_value_done(host, key);
    if (!begins) {
        tk_value_done(host, value);
    }
    *key = new_key;
    *value = new_value;
    return (int)work.found;
}

/* ---- global variables ---- */

/* Pushes the table in which the last name of the path is to be looked up, which is `name`. Nil: it
 * does not exist. False: that is no path. */
static bool push_place(lua_State *L, struct work *work, const char **name)
{
    const char *end;

    lua_pushglobaltable(L);
    for (*name = work->path; (end = strchr(*name, '.')) != NULL; *name = end + 1) {
        if (end == *name) {
            break;
        }
        if (lua_istable(L, -1)) {
            lua_pushlstring(L, *name, (size_t)(end - *name));
            lua_rawget(L, -2);
            lua_replace(L, -2);
        }
    }
    if (**name == '\0' || **name == '.') {
        work->wrong = "a name is empty";
        return false;
    }
    if (!lua_istable(L, -1)) {
        lua_pushnil(L);
        lua_replace(L, -2);
    }
    return true;
}

static int get_global(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);
    const char *name;

    if (push_place(L, work, &name)) {
        if (lua_istable(L, 2)) {
            lua_pushstring(L, name);
            lua_rawget(L, 2);
        }
        tk_value_give(L, work->host, -1, 1, work->out);
    }
    return 0;
}

int tasklet_global_get(struct tasklet_host *host, const char *name, struct tasklet_value *out)
{
    struct work work = {.host = host, .path = name, .out = out};

    return name == NULL || out == NULL ? tk_missing(host) : do_work(&work, get_global);
}

static int set_global(lua_State *L)
{
    struct work *work = lua_touserdata(L, 1);
    const char *name;

    if (!push_place(L, work, &name)) {
        return 0;
    }
    if (!lua_istable(L, 2)) {
        work->wrong = "the path leads through what is no table";
        return 0;
    }
    lua_pushstring(L, name);
    if (push_value(L, work, work->value)) {
        lua_rawset(L, 2);
    }
    return 0;
}

int tasklet_global_set(struct tasklet_host *host, const char *name,
                       const struct tasklet_value *value)
{
    struct work work = {.host = host, .path = name, .value = value};

    return name == NULL ? tk_missing(host) : do_work(&work, set_global);
}
