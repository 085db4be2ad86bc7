/*
 * Writing to streams: write, flush, shutdown. Those who have to wait stand in a line, the first of
 * them in the middle of what it writes.
 *
 * Frame of `write`: the stream, what is to be written. The context of its continuation is where it
 * is: which value, and how many bytes of that have been taken.
 */
#include "bind/stream.h"

/* What is written without a wait takes from the credit by which a tasklet goes on. */
#define CREDIT_BYTES 16384

enum { PLACE_BITS = 40 };

static lua_KContext place_of(int index, size_t offset)
{
    return (lua_KContext)(((uint64_t)index << PLACE_BITS) | offset);
}

/* Raises a kill that is pending: a write is a wait that mostly need not wait. */
static void check_stopped(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    if (body != NULL && tk_is_stopped(bind, body)) {
        tk_check_wait(L, bind);
    }
}

/* Do others stand in the line before the caller? */
static bool has_to_wait(struct tk_bind *bind, const struct tk_stream *stream)
{
    const struct tk_gate_wait *first = tk_gate_first(&stream->writing);
    const struct tk_body *body = tk_current(bind);

    return first != NULL && (body == NULL || first->wait.task != &body->task);
}

/* Stands in the line, or goes on standing there, until no more than `left` is unsent and it is the
 * first. */
static int await(lua_State *L, struct tk_bind *bind, struct tk_stream *stream, size_t left,
                 lua_KFunction k, lua_KContext context)
{
    const struct tk_body *body = tk_current(bind);

    if (body == NULL || body->task.verbs == NULL || tk_gate_of(bind) == NULL ||
        tk_gate_of(bind)->gate != &stream->writing) {
        tk_gate_stand(L, bind, &stream->writing, left, stream->timeout, false);
    } else {
        tk_gate_again(bind, left);
    }
    return tk_gate_block(L, bind, k, context);
}

/* The verb is over. */
static int fail(lua_State *L, struct tk_bind *bind, const struct tk_stream *stream, int error)
{
    tk_gate_done(bind);
    return tk_push_stream_failure(L, stream, error);
}

static int gone_on(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    if (status == LUA_YIELD) {
        tk_check_raise(L, tk_bind_of(L));
    }
    lua_settop(L, 1);
    return 1;
}

/* Returns the stream; others have their turn first if much has been written without a wait. */
static int succeed(lua_State *L, struct tk_bind *bind, size_t written)
{
    tk_gate_done(bind);
    if (written >= CREDIT_BYTES && bind->sched != NULL && bind->sched->credit-- <= 0 &&
        tk_can_give_way(L, bind)) {
        tk_task_give_way(bind->sched, bind->sched->current);
        return tk_give_way(L, bind, gone_on, 0);
    }
    return gone_on(L, LUA_OK, 0);
}

static int write_on(lua_State *L, int status, lua_KContext context);

static int write_step(lua_State *L, struct tk_bind *bind, struct tk_stream *stream, int index,
                      size_t offset)
{
    size_t written = 0;

    for (int top = lua_gettop(L); index <= top; index++, offset = 0) {
        size_t count;
        const char *data = lua_tolstring(L, index, &count);
        size_t taken = tk_stream_write(stream, data + offset, count - offset);

        offset += taken;
        written += taken;
        if (tk_stream_out_error(stream) != 0) {
            return fail(L, bind, stream, tk_stream_out_error(stream));
        }
        if (offset < count) {
            return await(L, bind, stream, TK_STREAM_LOW, write_on, place_of(index, offset));
        }
    }
    return succeed(L, bind, written);
}

/* Has the caller, which was let go on, still to wait? */
static bool not_yet(struct tk_bind *bind, const struct tk_stream *stream)
{
    return tk_stream_out_error(stream) == 0 &&
           (has_to_wait(bind, stream) || !tk_stream_sent(stream, tk_gate_of(bind)->need));
}

static int write_on(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_stream_here(L);

    (void)status;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        return fail(L, bind, stream, TK_IO_TIMEOUT);
    }
    if (not_yet(bind, stream)) {
        return await(L, bind, stream, tk_gate_of(bind)->need, write_on, context);
    }
    return write_step(L, bind, stream, (int)((uint64_t)context >> PLACE_BITS),
                      (size_t)context & ((UINT64_C(1) << PLACE_BITS) - 1));
}

/* s:write(...): strings and numbers; returns s. */
static int stream_write(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind);

    for (int i = lua_gettop(L); i > 1; i--) {
        luaL_checklstring(L, i, NULL);
    }
    check_stopped(L, bind);
    if (tk_stream_out_error(stream) != 0) {
        return fail(L, bind, stream, tk_stream_out_error(stream));
    }
    if (has_to_wait(bind, stream)) {
        return await(L, bind, stream, TK_STREAM_LOW, write_on, place_of(2, 0));
    }
    return write_step(L, bind, stream, 2, 0);
}

/* ---- flush, shutdown, send_stream ---- */

/* What is done when all has been sent; the context of the continuation. */
enum { FLUSH, SHUT, SEND };

static int flush_on(lua_State *L, int status, lua_KContext what);

/* 0 or an error. */
static int finish_flush(lua_State *L, struct tk_stream *stream, lua_KContext what)
{
    int fd;

    switch (what) {
    case SHUT:
        return tk_stream_shutdown(stream);
    case SEND:
        fd = tk_stream_descriptor(tk_to_stream(L, 2));
        return fd < 0 ? TK_IO_CLOSED : tk_stream_send_descriptor(stream, fd);
    default:
        return tk_stream_flush_error(stream);
    }
}

static int flush_step(lua_State *L, struct tk_bind *bind, struct tk_stream *stream,
                      lua_KContext what)
{
    int error = TK_IO_AGAIN;

    tk_stream_flush(stream);
    if (tk_stream_sent(stream, 0)) {
        error = finish_flush(L, stream, what);
    }
    if (error == TK_IO_AGAIN) {
        return await(L, bind, stream, 0, flush_on, what);
    }
    return error != 0 ? fail(L, bind, stream, error) : succeed(L, bind, 0);
}

static int flush_on(lua_State *L, int status, lua_KContext what)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_stream_here(L);

    (void)status;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE) {
        return fail(L, bind, stream, TK_IO_TIMEOUT);
    }
    if (not_yet(bind, stream)) {
        return await(L, bind, stream, 0, flush_on, what);
    }
    return flush_step(L, bind, stream, what);
}

static int flush(lua_State *L, struct tk_bind *bind, struct tk_stream *stream, lua_KContext what)
{
    check_stopped(L, bind);
    if (tk_stream_flush_error(stream) != 0) {
        return fail(L, bind, stream, tk_stream_flush_error(stream));
    }
    if (has_to_wait(bind, stream)) {
        return await(L, bind, stream, 0, flush_on, what);
    }
    return flush_step(L, bind, stream, what);
}

/* s:flush(): waits until all has been sent; returns s. */
static int stream_flush(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind);

    lua_settop(L, 1);
    return flush(L, bind, stream, FLUSH);
}

/* s:shutdown(): and then ends what is written: the other side reads up to there. */
static int stream_shutdown(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind);

    lua_settop(L, 1);
    return flush(L, bind, stream, SHUT);
}

/* s:send_stream(other): its descriptor goes to another process. */
static int stream_send_stream(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind), *other = tk_to_stream(L, 2);
    size_t unread;

    if (other == NULL) {
        luaL_typeerror(L, 2, "stream");
    }
    tk_stream_data(other, &unread);
    if (unread > 0) {
        return tk_raise(L, "the stream has bytes that nobody has read");
    }
    lua_settop(L, 2);
    return flush(L, bind, stream, SEND);
}

void tk_write_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg methods[] = {{"write", stream_write},
                                       {"flush", stream_flush},
                                       {"shutdown", stream_shutdown},
                                       {"send_stream", stream_send_stream},
                                       {NULL, NULL}};

    (void)bind;
    tk_set_functions(L, methods);
}
