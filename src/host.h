/*
 * The host inside: what the files that join the rooms share. A host is one loop and one binding, on
 * one Lua state.
 *
 * Teardown order (tasklet_host_free, and the guard's __gc when the Lua state goes first):
 *   1. coroutines of unfinished tasklets are closed: their <close> variables run, nothing may wait
 *   2. the binding is told that the scheduler goes: every function raises from now on
 *   3. children that are to end with the host; the Lua state, if it is the host's own
 *   4. the loop: watches, handles, and the uv loop if it is the host's own; then the scheduler
 *
 * Where luv has used the host's loop from a borrowed state, step 4 waits until that state is
 * closed: luv's handles close themselves then, and need the loop.
 */
#ifndef TK_HOST_H
#define TK_HOST_H

#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>

#include "bind/module.h"
#include "io/groups.h"
#include "loop/loop.h"
#include "tasklet.h"

/* Hooks of coroutines that are to be put back. */
#define TK_HOOKS 8

struct tk_hook {
    lua_State *co; /* whose; only ever compared. NULL: none */
    lua_Hook function;
    int mask, count;
};

struct tk_embed;

struct tasklet_host {
    struct tk_loop loop; /* first */
    struct tk_bind *bind;
    lua_State *L;
    bool owns_lua;
    bool freeing;        /* as soon as nothing of it is on the C stack any more */
    bool in_lua;         /* it belongs to the Lua state: goes with it */
    bool has_luv;        /* luv was opened on its loop */
    bool running;        /* tasklet_host_run, a turn or mainloop.run is on the C stack */
    bool idle;           /* nothing has been run since a run was over */
    bool may_hang;       /* and waits for as long as it takes: who waits for ever hangs */
    bool quit;           /* mainloop.quit was called and not dealt with */
    bool ending;         /* interrupted: the program ends when all tasklets have */
    bool daemons_ended;  /* those that were left at the end have been killed */
    bool ending_by_quit; /* the program ends when the main tasklet does */
    bool exited;         /* os.exit was called */
    bool parked;         /* the main tasklet is in mainloop.run */
    bool in_uv_run;      /* a script's own uv.run is, in plain Lua */
    bool stuck;          /* nothing can ever wake anybody: not dealt with yet */
    bool reported;       /* that has been said once */
    bool stopped;        /* the uv loop was stopped, by a script's uv.stop if by nobody here */
    bool has_status;
    int status;
    int last;               /* of the run that ended last */
    atomic_int interrupted; /* 0, or the status + 1 */
    atomic_int dumping;     /* a dump is wanted */
    struct tk_hook hooks[TK_HOOKS];
    unsigned next_hook;
    struct tk_groups groups; /* children that it has started */
    bool stdin_is_file;      /* files.c */
    const struct tk_kind *io_kind, *process_kind;
    pthread_t thread;          /* that the host belongs to */
    struct tk_watchdog guard;  /* testing.c: of a test's time */
    volatile unsigned guarded; /* it never changes: the limit is for all of it */
    atomic_int late;           /* the time is over, and nobody has been told */
    struct tk_body *main;      /* NULL: none, or ended */
    int main_anchor;
    char *warning; /* of a private state: what has come of it */
    size_t warned, room_for_warning;
    bool silent; /* a script has turned warnings off */
    struct tasklet_options options;
    struct tk_embed *embed; /* of the room embed */
};

/* For functions that tk_set_host_functions has set: the host, which is open. RAISES. */
static inline struct tasklet_host *tk_check_host(lua_State *L)
{
    tk_check_open(L, tk_bind_of(L));
    return lua_touserdata(L, lua_upvalueindex(2));
}

/* Sets functions into the table on top: closures over the binding and the host. */
static inline void tk_set_host_functions(lua_State *L, struct tasklet_host *host,
                                         const luaL_Reg *functions)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
    lua_pushlightuserdata(L, host);
    luaL_setfuncs(L, functions, 2);
}

/* embed/guard.c: what the room embed keeps, from before the host has a binding until its end. */
struct tk_embed *tk_embed_new(void);
RAISES void tk_embed_open(lua_State *L, struct tasklet_host *host);
/* The binding is about to go. */
void tk_embed_close(struct tasklet_host *host);
void tk_embed_free(struct tk_embed *embed);

/* embed/port.c: to and fro between the host and the rest of the program. The loop has been woken;
 * a turn, or a run, is over; can another thread reach the host? */
void tk_traffic_come(struct tasklet_host *host);
void tk_traffic_tell(struct tasklet_host *host);
bool tk_traffic_reachable(const struct tasklet_host *host);
/* embed/ask.c: the message of that number is answered by the value at 2. Does somebody wait? */
RAISES bool tk_ask_answered(lua_State *L, struct tasklet_host *host, uint64_t serial);

/* mainloop.c: mainloop.run, quit; os.exit; running the host. */
void tk_mainloop_open(lua_State *L, struct tasklet_host *host);
/*
 * A run, for embed/turn.c: it begins by itself and is over when one of these says so, whose result
 * is false then and the status in `last`. The first runs until it is over, the other makes one
 * turn, waiting at most so many seconds (negative: as long as it takes).
 */
void tk_mainloop_run(struct tasklet_host *host);
bool tk_mainloop_turn(struct tasklet_host *host, double seconds);
/* After how many milliseconds a turn is wanted; -1: no need. */
int tk_mainloop_timeout(struct tasklet_host *host);
/* A turn of the loop is over. */
void tk_mainloop_turned(struct tasklet_host *host);
/* Tasklets wait, and nothing can ever wake any. False: nobody is there to deal with it. */
bool tk_mainloop_stuck(struct tasklet_host *host);
/* Pushes the error that says why nothing goes on. */
void tk_mainloop_push_deadlock(lua_State *L, struct tasklet_host *host);
/* The interrupt has come to the loop. */
void tk_mainloop_interrupt(struct tasklet_host *host);
void tk_mainloop_interrupt_hook(lua_State *L, lua_Debug *ar);
/* The main tasklet waits until the program could end, then goes on with k, which calls the second
 * function first. */
int tk_mainloop_park(lua_State *L, struct tasklet_host *host, lua_KFunction k);
void tk_mainloop_unparked(lua_State *L, struct tasklet_host *host);

/* dump.c: the loop has been woken; a dump may be wanted. */
void tk_dump_woken(struct tasklet_host *host);

/* virtual.c: virtual time and drawn orders. */
void tk_virtual_open(lua_State *L, struct tasklet_host *host);
/* As the host's options say. */
void tk_virtual_set(struct tasklet_host *host);
/* A virtual clock moves on to the next full second, and mainloop.now() says the same then each
 * time: sums and differences of times are exact, and equal in each run. */
void tk_virtual_begin(struct tasklet_host *host);

/* process.c: child processes. */
void tk_process_open(lua_State *L, struct tasklet_host *host);

/* files.c: Lua's own files, in a host with the option waiting_io. */
void tk_files_open(lua_State *L, struct tasklet_host *host);
/* A verb of the current tasklet waits, also for its deadline; for use as `return`. In `k`,
 * tk_files_woken says whether it came in time, and raises what the tasklet is to raise;
 * tk_files_done leaves that to the caller. RAISES. */
int tk_files_wait(lua_State *L, const struct tk_kind *kind, const struct tk_arg *args,
                  lua_KFunction k, lua_KContext context);
bool tk_files_woken(lua_State *L);
bool tk_files_done(lua_State *L);

/* command.c: os.execute and io.popen, functions of Lua. */
int tk_command_execute(lua_State *L);
int tk_command_popen(lua_State *L);
/* What a file of io.popen is known by: closes it at once. */
int tk_command_closef(lua_State *L);
/* Closes the one at 1 and waits; for use as `return`. */
int tk_command_close(lua_State *L);
/* Closes the one at 1, whose command goes on and is collected at its end. False: no memory. */
bool tk_command_abandon(lua_State *L);

/* testing.c: what tasklet.testing needs. */
void tk_testing_open(lua_State *L, struct tasklet_host *host);
void tk_testing_close(struct tasklet_host *host);
/* Nothing goes on any more: does a test that is under way take the report? */
bool tk_testing_deadlock(struct tasklet_host *host, lua_State *L);
/* The loop was woken; or the virtual clock has come to the limit of a test. */
void tk_testing_woken(struct tasklet_host *host);
void tk_testing_alarm(struct tasklet_host *host);

/* state.c: the pool of a Lua state; NULL: it has an allocator of somebody else's. */
struct tk_pool *tk_state_pool(lua_State *L);

/* embed/libraries.c: opens Lua's libraries in a new state; then takes out of them what the program
 * has not given, before anything of a script's has run. */
RAISES void tk_libraries_open(lua_State *L, unsigned capabilities);
RAISES void tk_libraries_restrict(lua_State *L, struct tk_bind *bind);

/* tasklet.c */
/* Is anything of it on the C stack? */
bool tk_host_is_busy(const struct tasklet_host *host);
/* A call of the program's is over. True: the host was to be freed, and is gone. */
bool tk_host_settle(struct tasklet_host *host);

/* embed/limits.c: what the options limit. */
bool tk_limits_are_right(const struct tasklet_options *options);
/* The state is the host's own: its memory and its warnings. */
void tk_limits_own(struct tasklet_host *host);
/* The binding has been opened; it is on top. Raises if a limit cannot be had. */
void tk_limits_open(lua_State *L, struct tasklet_host *host);

/* luv.c: luv on the host's loop. */
void tk_luv_open(lua_State *L, struct tasklet_host *host);
/* The loop of a luv that is loaded already, or NULL. */
uv_loop_t *tk_luv_loaded(lua_State *L);
/* The host has taken that loop. */
void tk_luv_adopt(lua_State *L, struct tasklet_host *host);

#endif
