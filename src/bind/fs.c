/*
 * tasklet.fs: whole files and directories. Each function starts a job for a thread (io/fs.h) and
 * waits for it; a box, which is on the stack of the one that waits, owns what the job has brought
 * until it has been turned into values.
 */
#include "io/fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bind/stream.h"
#include "io/watch.h"

#define BOX "tasklet.fs.box"

struct box {
    struct tk_fs *fs;
};

static int box_gc(lua_State *L)
{
    struct box *box = lua_touserdata(L, 1);

    tk_fs_free(box->fs);
    box->fs = NULL;
    return 0;
}

/* ---- results ---- */

/* nil, "path: No such file or directory", "ENOENT" */
static int push_failure(lua_State *L, const struct tk_fs *fs)
{
    char name[32], text[128];

    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", fs->path, tk_io_text(-fs->error, text, sizeof text));
    lua_pushstring(L, tk_io_name(-fs->error, name, sizeof name));
    return 3;
}

static void set_time(lua_State *L, const char *name, const struct timespec *time)
{
    lua_pushnumber(L, (lua_Number)time->tv_sec + (lua_Number)time->tv_nsec / 1e9);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void push_stat(lua_State *L, const struct stat *stat)
{
    lua_createtable(L, 0, 11);
    lua_pushstring(L, tk_fs_type(stat->st_mode));
    lua_setfield(L, -2, "type");
    set_integer(L, "size", (lua_Integer)stat->st_size);
    set_integer(L, "mode", (lua_Integer)(stat->st_mode & 07777));
    set_integer(L, "uid", (lua_Integer)stat->st_uid);
    set_integer(L, "gid", (lua_Integer)stat->st_gid);
    set_integer(L, "dev", (lua_Integer)stat->st_dev);
    set_integer(L, "ino", (lua_Integer)stat->st_ino);
    set_integer(L, "nlink", (lua_Integer)stat->st_nlink);
    set_time(L, "atime", &stat->st_atim);
    set_time(L, "mtime", &stat->st_mtim);
    set_time(L, "ctime", &stat->st_ctim);
}

/* The names; `types`: and a second list, of their types. */
static int push_entries(lua_State *L, const struct tk_fs *fs, bool types)
{
    int count = fs->count > INT32_MAX ? 0 : (int)fs->count;

    lua_createtable(L, count, 0);
    for (size_t i = 0; i < fs->count; i++) {
        lua_pushstring(L, fs->entries[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    if (!types) {
        return 1;
    }
    lua_createtable(L, count, 0);
    for (size_t i = 0; i < fs->count; i++) {
        lua_pushstring(L, fs->entries[i].type);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 2;
}

static int push_result(lua_State *L, struct tk_fs *fs, bool types)
{
    int fd = fs->fd;

    if (fs->error != 0) {
        return push_failure(L, fs);
    }
    switch (fs->op) {
    case TK_FS_READ:
        lua_pushlstring(L, fs->data, fs->length);
        return 1;
    case TK_FS_STAT:
        push_stat(L, &fs->stat);
        return 1;
    case TK_FS_READDIR:
        return push_entries(L, fs, types);
    case TK_FS_OPEN:
        fs->fd = -1; /* the stream's */
        return tk_push_stream(L, tk_bind_of(L), fd, TK_STREAM_ANY);
    case TK_FS_TEMPDIR:
        lua_pushstring(L, fs->other);
        return 1;
    default:
        lua_pushboolean(L, 1);
        return 1;
    }
}

/* ---- the verb ---- */

/* `context`: where the box is; twice that, and one more if a list of entries has types. */
static int finished(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);
    struct box *box = lua_touserdata(L, (int)(context / 2));
    int count;

    (void)status;
    box->fs = (struct tk_fs *)tk_job_take(body->task.verbs);
    tk_verb_done(bind, body);
    tk_check_raise(L, bind);
    count = push_result(L, box->fs, context % 2 != 0);
    tk_fs_free(box->fs);
    box->fs = NULL;
    return count;
}

struct request {
    enum tk_fs_op op;
    unsigned flags, mode;
    int open;
    const char *path, *other;
    const char *data;
    size_t length;
    bool types;
};

static int perform(lua_State *L, const struct request *request)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body;
    struct tk_arg arg = {.given = false};
    struct box *box;
    struct tk_fault fault;
    struct tk_wait *wait;
    lua_KContext context;

    tk_require_capability(L, bind, TK_MAY_FILES);
    body = tk_check_wait(L, bind);
    box = lua_newuserdatauv(L, sizeof *box, 0);
    box->fs = NULL;
    luaL_setmetatable(L, BOX);
    context = (lua_KContext)lua_gettop(L) * 2 + request->types;
    wait = tk_verb_wait(L, bind, body, bind->job, &arg);
    box->fs = tk_fs_new(request->op, request->path, request->other, request->data, request->length);
    if (box->fs == NULL) {
        tk_verb_done(bind, body);
        return luaL_error(L, "not enough memory");
    }
    box->fs->flags = request->flags;
    box->fs->mode = request->mode;
    box->fs->open = request->open;
    if (tk_job_start(bind->sched, &box->fs->job, wait, &fault) < 0) {
        box->fs = NULL;
        tk_verb_done(bind, body);
        return tk_raise_fault(L, &fault);
    }
    box->fs = NULL; /* the wait's, until it is done */
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, finished, context);
}

/* ---- arguments ---- */

static const char *check_path(lua_State *L, int arg)
{
    size_t length;
    const char *path = luaL_checklstring(L, arg, &length);

    luaL_argcheck(L, strlen(path) == length, arg, "path contains zeros");
    return path;
}

struct option {
    const char *name;
    unsigned flag; /* 0: it is the mode */
};

static unsigned check_mode(lua_State *L, int arg, int value)
{
    lua_Integer mode;

    if (!lua_isinteger(L, value)) {
        tk_option_error(L, arg, "mode", "integer");
    }
    mode = lua_tointeger(L, value);
    luaL_argcheck(L, mode >= 0 && mode <= 07777, arg, "option 'mode': permissions expected");
    return (unsigned)mode;
}

static int unknown_option(lua_State *L, int arg, const struct option *options)
{
    luaL_Buffer known;
    const char *text;

    luaL_buffinit(L, &known);
    for (const struct option *option = options; option->name != NULL; option++) {
        luaL_addstring(&known, option == options ? "" : ", ");
        luaL_addstring(&known, option->name);
    }
    luaL_pushresult(&known);
    text = luaL_tolstring(L, -3, NULL);
    return luaL_argerror(
        L, arg, lua_pushfstring(L, "unknown option '%s' (known: %s)", text, lua_tostring(L, -2)));
}

/* The table at `arg`, if there is one; NULL ends `options`, which are sorted. */
static void check_options(lua_State *L, int arg, const struct option *options,
                          struct request *request)
{
    if (lua_isnoneornil(L, arg)) {
        return;
    }
    luaL_checktype(L, arg, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, arg)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        const struct option *option = options;

        while (option->name != NULL && strcmp(option->name, name) != 0) {
            option++;
        }
        if (option->name == NULL) {
            unknown_option(L, arg, options);
        } else if (option->flag == 0) {
            request->mode = check_mode(L, arg, -1);
        } else if (!lua_isboolean(L, -1)) {
            tk_option_error(L, arg, name, "boolean");
        } else if (lua_toboolean(L, -1)) {
            request->flags |= option->flag;
        } else {
            request->flags &= ~option->flag;
        }
        lua_pop(L, 1);
    }
}

/* ---- functions ---- */

/* read_file(path) */
static int fs_read_file(lua_State *L)
{
    struct request request = {.op = TK_FS_READ, .path = check_path(L, 1)};

    return perform(L, &request);
}

/* write_file(path, data, {append=, atomic=, mode=}) */
static int fs_write_file(lua_State *L)
{
    static const struct option options[] = {
        {"append", TK_FS_APPEND}, {"atomic", TK_FS_ATOMIC}, {"mode", 0}, {NULL, 0}};
    struct request request = {.op = TK_FS_WRITE, .mode = 0666, .path = check_path(L, 1)};

    request.data = luaL_checklstring(L, 2, &request.length);
    check_options(L, 3, options, &request);
    luaL_argcheck(L, (request.flags & TK_FS_APPEND) == 0 || (request.flags & TK_FS_ATOMIC) == 0, 3,
                  "options 'append' and 'atomic' exclude each other");
    return perform(L, &request);
}

/* stat(path, {follow=}) */
static int fs_stat(lua_State *L)
{
    static const struct option options[] = {{"follow", TK_FS_FOLLOW}, {NULL, 0}};
    struct request request = {.op = TK_FS_STAT, .path = check_path(L, 1), .flags = TK_FS_FOLLOW};

    check_options(L, 2, options, &request);
    return perform(L, &request);
}

/* readdir(path) */
static int fs_readdir(lua_State *L)
{
    struct request request = {.op = TK_FS_READDIR, .path = check_path(L, 1)};

    return perform(L, &request);
}

/* For the Lua part: names and types. */
static int fs_entries(lua_State *L)
{
    struct request request = {.op = TK_FS_READDIR, .path = check_path(L, 1), .types = true};

    return perform(L, &request);
}

/* mkdir(path, {mode=, parents=}) */
static int fs_mkdir(lua_State *L)
{
    static const struct option options[] = {{"mode", 0}, {"parents", TK_FS_PARENTS}, {NULL, 0}};
    struct request request = {.op = TK_FS_MKDIR, .path = check_path(L, 1), .mode = 0777};

    check_options(L, 2, options, &request);
    return perform(L, &request);
}

/* rename(from, to) */
static int fs_rename(lua_State *L)
{
    struct request request = {
        .op = TK_FS_RENAME, .path = check_path(L, 1), .other = check_path(L, 2)};

    return perform(L, &request);
}

/* remove(path, {recursive=}) */
static int fs_remove(lua_State *L)
{
    static const struct option options[] = {{"recursive", TK_FS_RECURSIVE}, {NULL, 0}};
    struct request request = {.op = TK_FS_REMOVE, .path = check_path(L, 1)};

    check_options(L, 2, options, &request);
    return perform(L, &request);
}

/* tempdir(prefix): in $TMPDIR or /tmp, unless the prefix says where. */
static int fs_tempdir(lua_State *L)
{
    struct request request = {.op = TK_FS_TEMPDIR};
    const char *prefix = lua_isnoneornil(L, 1) ? "tasklet-" : check_path(L, 1);

    if (strchr(prefix, '/') == NULL) {
        const char *base = getenv("TMPDIR");

        prefix = lua_pushfstring(L, "%s/%s", base == NULL || *base == '\0' ? "/tmp" : base, prefix);
    }
    request.path = prefix;
    return perform(L, &request);
}

/* open(path, mode): a stream. */
static int fs_open(lua_State *L)
{
    static const char *const modes[] = {"r", "w", "a", "r+", "w+", "a+", NULL};
    static const int flags[] = {
        O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND,
        O_RDWR,   O_RDWR | O_CREAT | O_TRUNC,   O_RDWR | O_CREAT | O_APPEND};
    struct request request = {.op = TK_FS_OPEN, .path = check_path(L, 1), .mode = 0666};
    size_t length;
    const char *mode = luaL_optlstring(L, 2, "r", &length);
    int i = 0;

    while (modes[i] != NULL && strcmp(modes[i], mode) != 0 &&
           !(length == strlen(modes[i]) + 1 && mode[length - 1] == 'b' &&
             strncmp(modes[i], mode, length - 1) == 0)) {
        i++;
    }
    luaL_argcheck(L, modes[i] != NULL, 2, "invalid mode");
    request.open = flags[i];
    return perform(L, &request);
}

/* ---- watches ---- */

static struct tk_fs_watch *check_watch(lua_State *L, struct tk_bind *bind)
{
    struct tk_wait *wait = tk_to_wait(L, 1, bind);

    if (wait == NULL || strcmp(wait->kind->name, "watch") != 0) {
        luaL_typeerror(L, 1, "watch");
    }
    return (struct tk_fs_watch *)wait;
}

static int next_on(lua_State *L, int status, lua_KContext context);

static int next_step(lua_State *L, struct tk_bind *bind, struct tk_fs_watch *watch)
{
    if (tk_fs_watch_take(watch)) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, watch->now.name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, watch->now.kind);
        lua_setfield(L, -2, "kind");
    } else if (watch->handle == NULL) {
        lua_pushnil(L);
    } else if (tk_gate_of(bind) == NULL) {
        tk_gate_stand(L, bind, &watch->gate, 0, -1, false);
        return tk_gate_block(L, bind, next_on, 0);
    } else {
        tk_gate_again(bind, 0);
        return tk_gate_block(L, bind, next_on, 0);
    }
    tk_gate_done(bind);
    return 1;
}

static int next_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);

    (void)status;
    (void)context;
    tk_gate_resumed(L, bind); /* it has no time of its own */
    return next_step(L, bind, check_watch(L, bind));
}

/* watch:next(): a table with name and kind; nil if it is closed and all has been told. */
static int watch_next(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_fs_watch *watch = check_watch(L, bind);

    tk_check_wait(L, bind);
    lua_settop(L, 1);
    return next_step(L, bind, watch);
}

/* watch:close(): whoever waits for it goes on; what has happened before can still be read. */
static int watch_close(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);

    tk_fs_watch_close(check_watch(L, bind), bind->sched);
    lua_pushboolean(L, true);
    return 1;
}

/* For the Lua part: is_open_watch(watch). */
static int is_open_watch(lua_State *L)
{
    lua_pushboolean(L, check_watch(L, tk_bind_of(L))->handle != NULL);
    return 1;
}

/* For the Lua part: the functions, and the methods of a watch. */
static int open_fs(lua_State *L)
{
    static const luaL_Reg functions[] = {{"read_file", fs_read_file},
                                         {"write_file", fs_write_file},
                                         {"stat", fs_stat},
                                         {"readdir", fs_readdir},
                                         {"entries", fs_entries},
                                         {"mkdir", fs_mkdir},
                                         {"is_open_watch", is_open_watch},
                                         {"open", fs_open},
                                         {"rename", fs_rename},
                                         {"remove", fs_remove},
                                         {"tempdir", fs_tempdir},
                                         {NULL, NULL}};

    static const luaL_Reg watch[] = {{"next", watch_next}, {"close", watch_close}, {NULL, NULL}};

    luaL_newmetatable(L, BOX);
    lua_pushcfunction(L, box_gc);
    lua_setfield(L, -2, "__gc");
    lua_newtable(L);
    tk_set_functions(L, functions);
    lua_newtable(L);
    tk_set_functions(L, watch);
    return 2;
}

void tk_fs_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {{"open_fs", open_fs}, {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
