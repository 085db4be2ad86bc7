/*
 * Reading from streams: the formats of Lua's files, read_some, and what is there. A verb reads all
 * its formats or, if it fails, nothing: what has come stays unread.
 *
 * Frame of `read`: the stream, the formats, what has been read. The context of its continuation is
 * the place of the format that it is at.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "bind/stream.h"

enum taken {
    TAKEN, /* a value has been pushed */
    AGAIN, /* more must come first; what, is noted with the stream */
    OVER,  /* all has come: there is no such thing */
    LONG,  /* longer than the stream's limit */
    BROKEN,
};

/* The longest number that is read, as Lua has it. */
#define LONGEST_NUMBER 200

/* What is there does not do. */
static enum taken lacking(struct tk_stream *stream, enum tk_want want, size_t count)
{
    if (tk_stream_in_error(stream) != 0) {
        return BROKEN;
    }
    if (stream->ended) {
        return OVER;
    }
    tk_stream_want(stream, want, count);
    return AGAIN;
}

static enum taken take(lua_State *L, struct tk_stream *stream, const char *data, size_t count,
                       size_t length)
{
    lua_pushlstring(L, data, length);
    tk_stream_advance(stream, count);
    return TAKEN;
}

/* What has come, if all has. */
static enum taken take_rest(lua_State *L, struct tk_stream *stream, enum tk_want want,
                            size_t wanted)
{
    size_t count;
    const char *data = tk_stream_data(stream, &count);
    enum taken lack = lacking(stream, want, wanted);

    if (want != TK_WANT_COUNT && count > stream->limit) {
        return LONG;
    }
    return lack == OVER && (count > 0 || want == TK_WANT_ALL) ? take(L, stream, data, count, count)
                                                              : lack;
}

static enum taken take_count(lua_State *L, struct tk_stream *stream, size_t wanted)
{
    size_t count;
    const char *data = tk_stream_data(stream, &count);

    if (wanted == 0 && count == 0) {
        return lacking(stream, TK_WANT_SOME, 0);
    }
    if (count >= wanted) {
        return take(L, stream, data, wanted, wanted);
    }
    return take_rest(L, stream, TK_WANT_COUNT, wanted);
}

static enum taken take_line(lua_State *L, struct tk_stream *stream, bool keeps_end)
{
    size_t count, length;
    const char *data = tk_stream_data(stream, &count);

    if (tk_stream_line(stream, &length) && length <= stream->limit) {
        return take(L, stream, data, length + 1, length + keeps_end);
    }
    return take_rest(L, stream, TK_WANT_LINE, 0);
}

/* ---- numbers ---- */

struct scan {
    const char *data;
    size_t count, place;
    char text[LONGEST_NUMBER + 1];
    int length;
    bool short_of; /* the end of what has come was looked at */
};

static int peek(struct scan *scan)
{
    if (scan->place == scan->count) {
        scan->short_of = true;
        return -1;
    }
    return (unsigned char)scan->data[scan->place];
}

static bool keep(struct scan *scan)
{
    if (scan->length >= LONGEST_NUMBER) {
        scan->length = 0; /* too long to be one */
        scan->text[0] = '\0';
        return false;
    }
    scan->text[scan->length++] = scan->data[scan->place++];
    return true;
}

static bool accept_one_of(struct scan *scan, const char *set)
{
    int c = peek(scan);

    return c > 0 && strchr(set, c) != NULL && keep(scan);
}

static int accept_digits(struct scan *scan, bool hex)
{
    int count = 0, c;

    while ((c = peek(scan)) >= 0 && (hex ? isxdigit(c) : isdigit(c)) && keep(scan)) {
        count++;
    }
    return count;
}

/* As Lua reads a number from a file: what cannot be part of one ends it. */
static void scan_number(struct scan *scan)
{
    int count = 0;
    bool hex = false;

    accept_one_of(scan, "+-");
    if (accept_one_of(scan, "0")) {
        if (accept_one_of(scan, "xX")) {
            hex = true;
        } else {
            count = 1;
        }
    }
    count += accept_digits(scan, hex);
    if (accept_one_of(scan, ".")) {
        count += accept_digits(scan, hex);
    }
    if (count > 0 && accept_one_of(scan, hex ? "pP" : "eE")) {
        accept_one_of(scan, "+-");
        accept_digits(scan, false);
    }
    scan->text[scan->length] = '\0';
}

/* What is before a number is looked at once, however much of it there is. */
static void skip_space(struct tk_stream *stream)
{
    size_t count, place = 0;
    const char *data = tk_stream_data(stream, &count);

    while (place < count && isspace((unsigned char)data[place])) {
        place++;
    }
    tk_stream_advance(stream, place);
}

static enum taken take_number(lua_State *L, struct tk_stream *stream)
{
    struct scan scan = {0};

    skip_space(stream);
    scan.data = tk_stream_data(stream, &scan.count);
    scan_number(&scan);
    if (scan.short_of && !stream->ended) {
        return lacking(stream, TK_WANT_COUNT, scan.count + 1);
    }
    tk_stream_advance(stream, scan.place);
    return lua_stringtonumber(L, scan.text) != 0 ? TAKEN : OVER;
}

/* ---- formats ---- */

/* The letter of the format at `index`; 0: it is a count. */
static char check_format(lua_State *L, int index)
{
    const char *text;

    if (lua_type(L, index) == LUA_TNUMBER) {
        luaL_argcheck(L, luaL_checkinteger(L, index) >= 0, index, "must not be negative");
        return 0;
    }
    text = luaL_checkstring(L, index);
    text += *text == '*';
    luaL_argcheck(L, *text != '\0' && strchr("lLan", *text) != NULL, index, "invalid format");
    return *text;
}

static enum taken take_format(lua_State *L, struct tk_stream *stream, int index)
{
    char format = check_format(L, index);

    switch (format) {
    case 0:
        return take_count(L, stream, (size_t)lua_tointeger(L, index));
    case 'n':
        return take_number(L, stream);
    case 'a':
        return take_rest(L, stream, TK_WANT_ALL, 0);
    default:
        return take_line(L, stream, format == 'L');
    }
}

/* ---- the verbs ---- */

/* Raises if another one reads. Called by the verb when it begins. */
static void check_turn(lua_State *L, struct tk_bind *bind, struct tk_stream *stream)
{
    const struct tk_gate_wait *other = tk_gate_first(&stream->reading);
    struct tk_body *body = tk_current(bind);

    if (body != NULL && tk_is_stopped(bind, body)) {
        tk_check_wait(L, bind);
    }
    if (other != NULL && (body == NULL || other->wait.task != &body->task)) {
        tk_push_body(L, bind, tk_container_of(other->wait.task, struct tk_body, task));
        tk_raise(L, "tasklet '%s' reads from this stream already",
                 tk_push_name(L, bind, lua_gettop(L)));
    }
    if (other != NULL) {
        tk_gate_done(bind); /* of a generator that was left in the middle of it */
    }
    tk_stream_look_again(stream);
}

/* There is more to come before the verb can go on with `k`. */
static int await(lua_State *L, struct tk_bind *bind, struct tk_stream *stream, lua_KFunction k,
                 lua_KContext context)
{
    if (tk_list_empty(&stream->reading.waits)) {
        tk_gate_stand(L, bind, &stream->reading, 0, stream->timeout, false);
    } else {
        tk_gate_again(bind, 0);
        tk_stream_go_on(stream);
    }
    return tk_gate_block(L, bind, k, context);
}

static int fail(lua_State *L, struct tk_bind *bind, struct tk_stream *stream, int error)
{
    tk_stream_unread(stream);
    tk_gate_done(bind);
    return tk_push_stream_failure(L, stream, error);
}

static int read_on(lua_State *L, int status, lua_KContext context);

/* Reads the formats from that at `index` on; there are `count` in all. */
static int read_step(lua_State *L, struct tk_bind *bind, struct tk_stream *stream, int index,
                     int count)
{
    for (; index < 2 + count; index++) {
        switch (take_format(L, stream, index)) {
        case TAKEN:
            continue;
        case AGAIN:
            return await(L, bind, stream, read_on, index);
        case OVER:
            lua_pushnil(L);
            index = 2 + count;
            break;
        case LONG:
            return fail(L, bind, stream, -EMSGSIZE);
        default:
            return fail(L, bind, stream, tk_stream_in_error(stream));
        }
    }
    tk_stream_consume(stream);
    tk_gate_done(bind);
    return lua_gettop(L) - 1 - count;
}

static int read_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_stream_here(L);
    int index = (int)context;

    (void)status;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        return fail(L, bind, stream, TK_IO_TIMEOUT);
    }
    return read_step(L, bind, stream, index, lua_gettop(L) + 1 - index);
}

/* s:read(...): as a file of Lua's. */
static int stream_read(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind);
    int count = lua_gettop(L) - 1;

    if (count == 0) {
        lua_pushliteral(L, "l");
        count = 1;
    }
    for (int i = 0; i < count; i++) {
        check_format(L, 2 + i);
    }
    luaL_checkstack(L, count + LUA_MINSTACK, "too many formats");
    check_turn(L, bind, stream);
    return read_step(L, bind, stream, 2, count);
}

static int some_step(lua_State *L, struct tk_bind *bind, struct tk_stream *stream);

/* `context` is the binding: servers live in this continuation. */
static int some_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = (struct tk_bind *)context;
    struct tk_stream *stream = tk_stream_here(L);

    (void)status;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        return fail(L, bind, stream, TK_IO_TIMEOUT);
    }
    return some_step(L, bind, stream);
}

/* Frame: the stream, the largest count. */
static int some_step(lua_State *L, struct tk_bind *bind, struct tk_stream *stream)
{
    size_t count;
    const char *data = tk_stream_data(stream, &count);

    if (count > 0) {
        if (!lua_isnoneornil(L, 2) && (lua_Integer)count > lua_tointeger(L, 2)) {
            count = (size_t)lua_tointeger(L, 2);
        }
        take(L, stream, data, count, count);
        tk_stream_consume(stream);
    } else {
        switch (lacking(stream, TK_WANT_SOME, 0)) {
        case AGAIN:
            return await(L, bind, stream, some_on, (lua_KContext)bind);
        case OVER:
            lua_pushnil(L);
            break;
        default:
            return fail(L, bind, stream, tk_stream_in_error(stream));
        }
    }
    tk_gate_done(bind);
    return 1;
}

/* s:read_some(max): what is there, at the most so many bytes; waits if nothing is. */
static int stream_read_some(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind);

    luaL_argcheck(L, luaL_optinteger(L, 2, 1) > 0, 2, "must be positive");
    check_turn(L, bind, stream);
    return some_step(L, bind, stream);
}

/* ---- descriptors ---- */

static int receive_on(lua_State *L, int status, lua_KContext context);

/* Frame: the stream, one that is to be opened. */
static int receive_step(lua_State *L, struct tk_bind *bind, struct tk_stream *stream)
{
    int fd = tk_stream_take_descriptor(stream);

    if (fd < 0) {
        switch (lacking(stream, TK_WANT_DESCRIPTOR, 0)) {
        case AGAIN:
            return await(L, bind, stream, receive_on, 0);
        case OVER:
            tk_gate_done(bind);
            lua_pushnil(L);
            return 1;
        default:
            return fail(L, bind, stream, tk_stream_in_error(stream));
        }
    }
    tk_gate_done(bind);
    fd = tk_stream_open(tk_to_stream(L, 2), bind->sched, fd, TK_STREAM_ANY);
    return fd < 0 ? tk_push_failure_of(L, fd, NULL) : 1;
}

static int receive_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_stream_here(L);

    (void)status;
    (void)context;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        return fail(L, bind, stream, TK_IO_TIMEOUT);
    }
    return receive_step(L, bind, stream);
}

/* s:receive_stream(): a stream that another process has sent. */
static int stream_receive_stream(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind);

    tk_check_wait(L, bind);
    check_turn(L, bind, stream);
    if (stream->kind != TK_STREAM_UNIX) {
        return tk_push_failure_of(L, TK_IO_NOT_THAT, NULL);
    }
    lua_settop(L, 1);
    tk_new_stream(L, bind);
    return receive_step(L, bind, stream);
}

void tk_read_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg methods[] = {{"read", stream_read},
                                       {"read_some", stream_read_some},
                                       {"receive_stream", stream_receive_stream},
                                       {NULL, NULL}};

    (void)bind;
    tk_set_functions(L, methods);
}
