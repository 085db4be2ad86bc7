/*
 * The chapters of tasklet.h inside: what the files of this room share. A file a chapter.
 *
 * Each function of tasklet.h that may touch Lua runs its work by tk_guarded, so that an error of
 * Lua's - no memory, a failing __tostring - becomes a code and never jumps into the program.
 */
#ifndef TK_EMBED_EMBED_H
#define TK_EMBED_EMBED_H

#include "host.h"

/*
 * Calls f protected, with `context` as a light userdata at index 1, on a stack that has room. What
 * f leaves on its stack is dropped. 0; TASKLET_ENOMEM; TASKLET_ECLOSED; or TASKLET_ESCRIPT, and the
 * error's message is the host's (tk_set_error).
 */
int tk_guarded(struct tasklet_host *host, lua_CFunction f, void *context);

/* Says what was wrong in particular: tasklet_host_error. Copies; returns `code`. */
int tk_set_error(struct tasklet_host *host, int code, const char *format, ...);

/* ---- value.c ---- */

/* Pushes `value`; a NULL is nil. False, and nothing is pushed: it is none, or of another host. */
RAISES bool tk_value_push(lua_State *L, struct tasklet_host *host,
                          const struct tasklet_value *value);

/* The value at `index`, borrowed: bytes live as long as it is on the stack; a reference is owned by
 * the caller all the same, who releases it (tk_value_done) when the callback is over. */
RAISES void tk_value_lend(lua_State *L, struct tasklet_host *host, int index,
                          struct tasklet_value *out);
void tk_value_done(struct tasklet_host *host, struct tasklet_value *value);

/* The value at `index` for the program: bytes are kept at `place` (from 1) of the table of those
 * given last, until the next call that gives values. */
RAISES void tk_value_give(lua_State *L, struct tasklet_host *host, int index, int place,
                          struct tasklet_value *out);

/* ---- ref.c ---- */

/* A reference to the tasklet at `index`, owned; raises if there is no memory. */
RAISES struct tasklet *tk_ref_make(lua_State *L, struct tasklet_host *host, int index);
/* Pushes the tasklet of that id; false: none is alive, and nothing is pushed. */
bool tk_push_id(lua_State *L, struct tasklet_host *host, unsigned long long id);

#endif
