/*
 * The chapters of tasklet.h inside: what the files of this room share. A file a chapter.
 *
 * Each function of tasklet.h that may touch Lua runs its work by tk_guarded, so that an error of
 * Lua's - no memory, a failing __tostring - becomes a code and never jumps into the program. The
 * state that it works on is the main one, whatever coroutine may be running.
 */
#ifndef TK_EMBED_EMBED_H
#define TK_EMBED_EMBED_H

#include "core/list.h"
#include "embed/traffic.h"
#include "host.h"

/* A place of a value that the program has by reference. */
struct tk_slot {
    long long reference; /* that is good now, or will be next */
    uint32_t next;       /* vacant: the next vacant one and 1; 0: there is none. TAKEN: it is not */
};

/* What a host keeps for this room. Made with the host, and freed by the last step of it. */
struct tk_embed {
    unsigned long long number; /* of the host in this process */
    char *error;               /* tasklet_host_error; NULL: the text of `code` */
    int code;
    int depth;              /* calls from C into Lua that are under way */
    int values, given, ids; /* tables in the registry, see value.c and ref.c */
    int places;             /* of the table of those given last, that are in use */
    struct tk_slot *slots;
    uint32_t slot_count, slot_room, vacant;
    struct tk_list refs; /* struct tasklet */
    struct tk_traffic traffic;
};

struct tasklet {
    struct tk_list node;       /* among the host's */
    struct tasklet_host *host; /* NULL: gone, and nothing below means anything */
    struct tk_body *body;      /* kept by `reference` */
    long long reference;
    unsigned long long id; /* 0: not asked for yet */
};

/* ---- guard.c ---- */

/*
 * Calls f protected, with `context` as a light userdata at index 1, in no tasklet. It has a
 * C function's usual 20 slots of stack. 0; TASKLET_ENOMEM; TASKLET_ECLOSED, and the host may be
 * gone: it is not to be touched any more; or TASKLET_ESCRIPT, and the error's message is the host's
 * (tk_set_error).
 */
int tk_guarded(struct tasklet_host *host, lua_CFunction f, void *context);

/* 0; or TASKLET_ECLOSED: nothing begins any more. */
int tk_check_alive(struct tasklet_host *host);

/* What runs is put aside while C calls into Lua. */
struct tk_outer {
    struct tk_outside outside;
};

static inline void tk_enter(struct tasklet_host *host, struct tk_outer *outer)
{
    struct tk_bind *bind = host->bind;

    tk_outside_begin(bind->main, bind, &outer->outside);
    bind->L = bind->main;
    host->embed->depth++;
    tk_clock_catch_up(&host->loop.clock);
}

static inline void tk_leave(struct tasklet_host *host, const struct tk_outer *outer)
{
    struct tk_bind *bind = host->bind;

    tk_outside_end(bind->main, bind, &outer->outside);
    host->embed->depth--;
}

/* The code of what a protected call on L has come back with; the error, on top, is popped. */
int tk_failed(struct tasklet_host *host, lua_State *L, int status);

/* Says what was wrong in particular: tasklet_host_error. NULL: the code says it. Copies; returns
 * `code`. */
int tk_set_error(struct tasklet_host *host, int code, const char *format, ...);

/* The same for an argument that is missing: TASKLET_EINVAL. */
static inline int tk_missing(struct tasklet_host *host)
{
    return tk_set_error(host, TASKLET_EINVAL, "a NULL where something has to be");
}

/* Inside tk_guarded: it fails with TASKLET_ENOMEM. */
RAISES int tk_no_memory(lua_State *L);

/* ---- value.c ---- */

/* What is wrong with a value that tk_value_push does not push. */
#define TK_NO_VALUE "no value of this host"

/* A value that needs no memory. False: it is another one. */
bool tk_value_take(lua_State *L, int index, struct tasklet_value *out);
/* The string at `index` is kept, as tk_value_give does. Returns its bytes. */
RAISES const char *tk_value_keep(lua_State *L, struct tasklet_host *host, int index, int place);

RAISES void tk_values_open(lua_State *L, struct tasklet_host *host);

/* Pushes `value`; a NULL is nil. False, and nothing is pushed: it is none, or of another host. */
RAISES bool tk_value_push(lua_State *L, struct tasklet_host *host,
                          const struct tasklet_value *value);

/* The same for a value that needs no memory; the table of references lies at `table`. */
enum tk_pushed { TK_PUSHED, TK_NONE, TK_HEAVY };
enum tk_pushed tk_value_push_lightly(lua_State *L, struct tasklet_host *host,
                                     const struct tasklet_value *value, int table);

/* A reference to the value on top, popped. */
RAISES long long tk_reference_make(lua_State *L, struct tasklet_host *host);
/* Pushes what it refers to. False, and nothing is pushed: nothing, or not here. */
bool tk_reference_push(lua_State *L, const struct tasklet_host *host, long long reference);
/* Nothing happens to one that is stale. */
void tk_reference_drop(struct tasklet_host *host, long long reference);

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

RAISES void tk_refs_open(lua_State *L, struct tasklet_host *host);
/* Those that the program has are references to nothing from now on. */
void tk_refs_close(struct tasklet_host *host);

/* A reference to the tasklet at `index`, owned; raises if there is no memory. */
RAISES struct tasklet *tk_ref_make(lua_State *L, struct tasklet_host *host, int index);
/* Has `on_end` called when the tasklet at `index` has ended. */
RAISES void tk_ref_tell(lua_State *L, struct tasklet_host *host, int index,
                        void (*on_end)(void *context, struct tasklet *t), void *context);
/* Pushes the tasklet of that id; false: none is alive, and nothing is pushed. */
bool tk_push_id(lua_State *L, struct tasklet_host *host, unsigned long long id);

#endif
