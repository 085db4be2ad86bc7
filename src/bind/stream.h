/*
 * Streams as scripts see them, for the files of this room that make them or are about them. The
 * object is a userdata that has the stream of the room io inside.
 */
#ifndef TK_BIND_STREAM_H
#define TK_BIND_STREAM_H

#include "bind/bind.h"
#include "io/error.h"
#include "io/stream.h"

/* The object. */
struct tk_stream_object {
    const void *brand; /* that it is one */
    struct tk_stream stream;
};

/* The stream at `index`, or NULL. */
struct tk_stream *tk_to_stream(lua_State *L, int index);
/* The stream at 1 where it is known that one is there: in continuations. */
static inline struct tk_stream *tk_stream_here(lua_State *L)
{
    return &((struct tk_stream_object *)lua_touserdata(L, 1))->stream;
}
/* The stream that a method was called on. */
RAISES struct tk_stream *tk_check_stream(lua_State *L, struct tk_bind *bind);

/* Pushes a blank stream, which is to be opened by one of tk_stream_open, _attach. So whoever makes
 * a descriptor makes this first, and can lose none. */
RAISES struct tk_stream *tk_new_stream(lua_State *L, struct tk_bind *bind);

/*
 * Pushes a stream on a descriptor, which that owns from now on, on failure and if this raises too;
 * returns 1. Or pushes nil, a message and a code; returns 3.
 */
RAISES int tk_push_stream(lua_State *L, struct tk_bind *bind, int fd, enum tk_stream_kind kind);

/* Pushes nil, a message and the code of an error of the room io; returns 3. `what`, if not NULL,
 * stands before the message: "tcp 127.0.0.1:4000: connection refused". */
int tk_push_failure_of(lua_State *L, int error, const char *what);

/* The same of an error of a stream, which may know more of it. */
int tk_push_stream_failure(lua_State *L, const struct tk_stream *stream, int error);

/* tls.c */

/* The connection of the stream on top, which has been accepted, speaks TLS as the configuration at
 * `config` has it. 0 or an error. */
int tk_tls_accepted(lua_State *L, struct tk_stream *stream, int config);
/* Sets its methods into the table on top. */
void tk_tls_methods(lua_State *L);
void tk_tls_open(lua_State *L, struct tk_bind *bind);

/* Sets the methods that are in files of their own into the table on top. */
void tk_read_open(lua_State *L, struct tk_bind *bind);
void tk_write_open(lua_State *L, struct tk_bind *bind);
void tk_stream_bind_open(lua_State *L, struct tk_bind *bind);

struct tk_address;
/* Pushes host and port, or the path; returns how many. */
int tk_push_address(lua_State *L, const struct tk_address *address);

/* gate.c: verbs that wait at a gate. */

enum tk_gate_end {
    TK_GATE_GO,   /* the gate has let it go on */
    TK_GATE_LATE, /* the verb's own time is over */
};

/*
 * The current tasklet stands at a gate from now on, until tk_gate_done, and for `seconds`
 * (negative: no limit) at the most; if it has a deadline for its verbs, and none in an argument
 * (`given`), no longer than that. Then, and after each tk_gate_again, `return tk_gate_block(...)`.
 */
RAISES void tk_gate_stand(lua_State *L, struct tk_bind *bind, struct tk_gate *gate, size_t need,
                          lua_Number seconds, bool given);
/* The wait of the verb that the current tasklet is in; NULL: it stands at no gate. */
struct tk_gate_wait *tk_gate_of(const struct tk_bind *bind);
/* It waits on where it stands. */
void tk_gate_again(struct tk_bind *bind, size_t need);
RAISES int tk_gate_block(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context);
/* In the continuation: why it goes on; it still stands there. Raises kills and deadlines. */
RAISES enum tk_gate_end tk_gate_resumed(lua_State *L, struct tk_bind *bind);
/* The verb is over; nothing happens to one that stands nowhere. */
void tk_gate_done(struct tk_bind *bind);

#endif
