/*
 * Lua's own files in a program whose tasklets are not to stand still: reading standard input, and
 * reading and writing what io.popen gave, suspend only their tasklet (command.c has io.popen itself
 * and the end of commands).
 *
 * The files stay what they are: a FILE that blocks. A method waits until the descriptor is ready,
 * then lets stdio do one read or write that cannot block, and takes what has come out of stdio's
 * buffer. All else - other files, callers that cannot be suspended, wrong arguments - is left to
 * the functions of Lua's own, which are called in the frame of ours, so that their messages are the
 * same.
 */
#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

/* A pipe that is ready takes so much without blocking (PIPE_BUF). */
#define PIECE 4096

/* Upvalue 3 of each function here: Lua's own, which has no upvalues. */
int tk_files_stock(lua_State *L)
{
    return lua_tocfunction(L, lua_upvalueindex(3))(L);
}

static struct tasklet_host *host_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(2));
}

/* ---- waiting ---- */

/* Can the caller wait for this file? */
bool tk_files_waits(lua_State *L, const luaL_Stream *stream)
{
    struct tk_bind *bind = tk_bind_of(L);

    return stream != NULL && stream->closef != NULL && bind->sched != NULL && !bind->closing &&
           (stream->closef == tk_command_closef ||
            (stream->f == stdin && !host_of(L)->stdin_is_file)) &&
           tk_can_give_way(L, bind);
}

bool tk_files_is_ready(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    return poll(&poll_fd, 1, 0) != 0; /* an error shows when it is used */
}

int tk_files_wait(lua_State *L, const struct tk_kind *kind, const struct tk_arg *args,
                  lua_KFunction k, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_check_wait(L, bind);
    struct tk_arg seconds = {.given = true};

    tk_verb_wait_args(L, bind, body, kind, args);
    seconds.as.number = tk_check_timeout(L, bind, lua_gettop(L) + 1) * 1000;
    if (seconds.as.number >= 0) {
        tk_verb_wait(L, bind, body, bind->timeout, &seconds);
    }
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, k, context);
}

bool tk_files_done(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);
    bool late = false;

    for (struct tk_wait *wait = body->task.verbs; wait != NULL; wait = wait->as.next) {
        late = wait->kind == bind->timeout ? late || wait->pending > 0 : late && wait->pending == 0;
    }
    tk_verb_done(bind, body);
    return !late;
}

bool tk_files_woken(lua_State *L)
{
    bool in_time = tk_files_done(L);

    tk_check_raise(L, tk_bind_of(L));
    return in_time;
}

int tk_files_wait_for(lua_State *L, int fd, int events, lua_KFunction k, lua_KContext context)
{
    struct tk_arg args[4] = {{0}};

    args[0].given = args[1].given = true;
    args[0].as.file = fd;
    args[1].as.integer = events;
    return tk_files_wait(L, host_of(L)->io_kind, args, k, context);
}

void tk_files_check(lua_State *L, bool in_time, const char *what)
{
    tk_check_raise(L, tk_bind_of(L));
    if (!in_time) {
        lua_pushfstring(L, "%s took too long", what);
        tk_raise_class(L, "TimeoutError", lua_tostring(L, -1));
    }
    if (((luaL_Stream *)lua_touserdata(L, 1))->closef == NULL) { /* by somebody else */
        luaL_error(L, "attempt to use a closed file");
    }
}

/* Pushes a default file. */
luaL_Stream *tk_files_push_default(lua_State *L, const char *key)
{
    lua_getfield(L, LUA_REGISTRYINDEX, key);
    return luaL_testudata(L, -1, LUA_FILEHANDLE);
}

/* ---- writing ---- */

/* A write under way. Its frame: the file, the values, this. */
struct writing {
    FILE *f;
    int next, last;
    size_t done; /* of the present value */
    bool woken;  /* the descriptor takes a piece */
};

/* Makes room for so many bytes in stdio's buffer. False: it has to wait first. */
static bool make_room(struct writing *writing, size_t count)
{
    size_t pending = __fpending(writing->f);

    if (pending + count <= PIECE && pending + count <= __fbufsize(writing->f) &&
        !__flbf(writing->f)) {
        return true;
    }
    if (!writing->woken || !tk_files_is_ready(fileno(writing->f), POLLOUT)) {
        return false;
    }
    if (pending > 0) {
        writing->woken = false; /* for one piece, at the most */
        fflush(writing->f);
        return make_room(writing, count);
    }
    writing->woken = false;
    return true; /* it goes straight through */
}

/* Hands the present value to stdio. False: it has to wait first. */
static bool put_value(lua_State *L, struct writing *writing)
{
    size_t length;
    const char *text;

    if (lua_type(L, writing->next) == LUA_TNUMBER) { /* short, and stdio's to format */
        lua_pushvalue(L, writing->next);
        text = lua_isinteger(L, -1) ? lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, -1))
                                    : NULL;
        if (text == NULL) {
            char digits[64];

            snprintf(digits, sizeof digits, LUA_NUMBER_FMT, (LUAI_UACNUMBER)lua_tonumber(L, -1));
            text = lua_pushstring(L, digits);
        }
        lua_replace(L, writing->next);
        lua_settop(L, writing->last + 1);
    }
    text = luaL_checklstring(L, writing->next, &length);
    while (writing->done < length) {
        size_t count = length - writing->done;

        count = count < PIECE ? count : PIECE;
        if (!make_room(writing, count)) {
            return false;
        }
        if (fwrite(text + writing->done, 1, count, writing->f) != count) {
            break; /* the error stands in the file */
        }
        writing->done += count;
    }
    return true;
}

static int write_or_wait(lua_State *L, int at);

static int write_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    tk_files_check(L, tk_files_done(L), "write");
    ((struct writing *)lua_touserdata(L, (int)context))->woken = true;
    return write_or_wait(L, (int)context);
}

static int write_or_wait(lua_State *L, int at)
{
    struct writing *writing = lua_touserdata(L, at);

    while (writing->next <= writing->last && !ferror(writing->f)) {
        if (!put_value(L, writing)) {
            return tk_files_wait_for(L, fileno(writing->f), 4 /* IO_OUT */, write_on, at);
        }
        writing->next++;
        writing->done = 0;
    }
    if (ferror(writing->f)) {
        return luaL_fileresult(L, 0, NULL);
    }
    lua_pushvalue(L, 1);
    return 1;
}

static int begin_write(lua_State *L)
{
    int last = lua_gettop(L);
    struct writing *writing = lua_newuserdatauv(L, sizeof *writing, 0);

    memset(writing, 0, sizeof *writing);
    writing->f = ((luaL_Stream *)lua_touserdata(L, 1))->f;
    writing->next = 2;
    writing->last = last;
    clearerr(writing->f);
    return write_or_wait(L, last + 1);
}

/* Is it what io.popen gave, to be written to? */
static bool takes_output(lua_State *L, const luaL_Stream *stream)
{
    return tk_files_waits(L, stream) && stream->f != stdin && __fwritable(stream->f);
}

/* file:write(...) */
static int file_write(lua_State *L)
{
    return takes_output(L, luaL_testudata(L, 1, LUA_FILEHANDLE)) ? begin_write(L)
                                                                 : tk_files_stock(L);
}

/* io.write(...) */
static int io_write(lua_State *L)
{
    if (!takes_output(L, tk_files_push_default(L, "_IO_output"))) {
        lua_pop(L, 1);
        return tk_files_stock(L);
    }
    lua_insert(L, 1);
    return begin_write(L);
}

static int flush_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    tk_files_check(L, tk_files_done(L), "flush");
    return tk_files_stock(L);
}

/* file:flush() */
static int file_flush(lua_State *L)
{
    luaL_Stream *stream = luaL_testudata(L, 1, LUA_FILEHANDLE);

    if (!takes_output(L, stream) || __fpending(stream->f) == 0) {
        return tk_files_stock(L);
    }
    lua_settop(L, 1);
    return tk_files_wait_for(L, fileno(stream->f), 4, flush_on, 0);
}

/* ---- closing ---- */

static int close_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    tk_files_check(L, tk_files_done(L), "close");
    return tk_command_close(L);
}

/* file:close(), io.close(file), and the end of a variable that is to be closed. */
static int file_close(lua_State *L)
{
    luaL_Stream *stream;

    if (lua_gettop(L) == 0) {
        tk_files_push_default(L, "_IO_output");
    }
    stream = luaL_testudata(L, 1, LUA_FILEHANDLE);
    if (!tk_files_waits(L, stream) || stream->closef != tk_command_closef) {
        return tk_files_stock(L);
    }
    lua_settop(L, 1);
    if (__fwritable(stream->f) && __fpending(stream->f) > 0) {
        return tk_files_wait_for(L, fileno(stream->f), 4, close_on, 0);
    }
    return tk_command_close(L);
}

/* The collector has found it: whoever made it may be long gone, and nobody is to stand still for
 * the end of its command. */
static int file_gc(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    luaL_Stream *stream = luaL_testudata(L, 1, LUA_FILEHANDLE);

    if (stream != NULL && stream->closef == tk_command_closef && bind->sched != NULL &&
        !bind->closing && tk_command_abandon(L)) {
        return 0;
    }
    return tk_files_stock(L);
}

/* ---- putting them in place ---- */

/* Replaces functions of the table on top. */
static void replace(lua_State *L, struct tasklet_host *host, const luaL_Reg *functions)
{
    for (const luaL_Reg *f = functions; f->name != NULL; f++) {
        lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
        lua_pushlightuserdata(L, host);
        lua_getfield(L, -3, f->name);
        if (lua_iscfunction(L, -1) && lua_getupvalue(L, -1, 1) == NULL) {
            lua_pushcclosure(L, f->func, 3);
            lua_setfield(L, -2, f->name);
        } else {
            lua_settop(L, -4); /* somebody else's: it stays */
        }
    }
}

void tk_files_open(lua_State *L, struct tasklet_host *host)
{
    static const luaL_Reg methods[] = {{"read", tk_input_file_read}, {"lines", tk_input_file_lines},
                                       {"write", file_write},        {"flush", file_flush},
                                       {"close", file_close},        {NULL, NULL}};
    static const luaL_Reg functions[] = {{"read", tk_input_io_read},  {"lines", tk_input_io_lines},
                                         {"write", io_write},         {"close", file_close},
                                         {"popen", tk_command_popen}, {NULL, NULL}};
    static const luaL_Reg os[] = {{"execute", tk_command_execute}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__close", file_close}, {"__gc", file_gc}, {NULL, NULL}};
    struct stat stat;
    int top = lua_gettop(L);

    host->stdin_is_file = fstat(STDIN_FILENO, &stat) < 0 || S_ISREG(stat.st_mode);
    for (size_t i = 0; host->bind->kinds[i] != NULL; i++) {
        const struct tk_kind *kind = host->bind->kinds[i];

        host->io_kind = strcmp(kind->name, "WaitForIO") == 0 ? kind : host->io_kind;
        host->process_kind = strcmp(kind->name, "WaitForProcess") == 0 ? kind : host->process_kind;
    }
    if (luaL_getmetatable(L, LUA_FILEHANDLE) != LUA_TTABLE ||
        lua_getglobal(L, "io") != LUA_TTABLE) {
        lua_settop(L, top);
        return; /* there are no files */
    }
    replace(L, host, functions);
    lua_pop(L, 1);
    replace(L, host, meta);
    if (lua_getfield(L, -1, "__index") == LUA_TTABLE) {
        replace(L, host, methods);
    }
    if (lua_getglobal(L, "os") == LUA_TTABLE) {
        replace(L, host, os);
    }
    lua_settop(L, top);
}
