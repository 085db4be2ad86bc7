/*
 * tasklet.h - tasklets scripted in Lua 5.4, scheduled in C on libuv.
 *
 * The smallest program:
 *
 *     struct tasklet_host *host;
 *     if (tasklet_host_new(NULL, &host) < 0) return 1;
 *     luaL_loadstring(tasklet_host_lua(host), "print('hello')");
 *     tasklet_host_start(host, 0);          // what is on the stack's top becomes the main tasklet
 *     int status = tasklet_host_run(host);  // until nothing is left that could go on
 *     tasklet_host_free(host);
 *
 * What a program must know
 *
 * Threads    A host belongs to the thread that made it. Every call is for that thread, save
 *            tasklet_host_interrupt and tasklet_host_dump, which any thread and any signal handler
 *            may call.
 * Process    The library never ends the process, never writes to the terminal and installs no
 *            signal handler, except while a script waits for an operating-system signal, and when
 *            it asks for time slices (see no_signals).
 * Memory     "owns": must free it. "borrows": uses it, the other side keeps it alive. "copies": is
 *            done with it when the call returns.
 * Errors     Functions return 0 or more when all is well, and a negative code (enum tasklet_error)
 *            when not; tasklet_strerror gives its text.
 * Lifetime   A host may be freed at any time, with tasklets still waiting, except from
 *            inside one of its own callbacks. Variables marked <close> of unfinished tasklets are
 *            closed then.
 */
#ifndef TASKLET_H
#define TASKLET_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TASKLET_VERSION_MAJOR 0
#define TASKLET_VERSION_MINOR 1
#define TASKLET_VERSION_PATCH 0

#if defined(__GNUC__)
#define TASKLET_API __attribute__((visibility("default")))
#else
#define TASKLET_API
#endif

struct lua_State;
struct uv_loop_s;
struct tasklet_host;

enum tasklet_error {
    TASKLET_OK = 0,
    TASKLET_ENOMEM = -1, /* no memory */
    TASKLET_EINVAL = -2, /* a wrong argument */
    TASKLET_ELOOP = -3,  /* libuv refused a handle or a loop */
    TASKLET_ESTATE = -4, /* not in this state: running already, closing, no main function given */
};

/* The text of an error code. Static; never NULL. */
TASKLET_API const char *tasklet_strerror(int code);

/* "0.1.0": the version of the library that is running, to be compared with the macros above. */
TASKLET_API const char *tasklet_version(void);

/*
 * How a host is to be made. Call tasklet_options_init first, then set what differs: a field that a
 * later version adds then has its default.
 */
struct tasklet_options {
    size_t size;            /* set by tasklet_options_init */
    struct uv_loop_s *loop; /* borrowed; NULL: the host makes and owns one */
    struct lua_State *lua;  /* borrowed; NULL: the host makes and owns one, with Lua's libraries */
    void *context;          /* borrowed; handed to the functions below */

    /* Told of every error that nobody has dealt with: a tasklet that failed unobserved, an error in
     * a callback. `text` (borrowed for the call) is the message with its traceback, without a
     * newline at the end. NULL: nobody is told. */
    void (*on_error)(void *context, const char *text);

    /* Told what tasklet_host_dump was called for: the tree of all tasklets, a line each, with what
     * each waits for, where and for how long. `text` is borrowed for the call. NULL: nobody is. */
    void (*on_dump)(void *context, const char *text);

    /* Not 0: the clock of tasklets is a virtual one, which jumps to the next deadline when all wait
     * and nothing is under way outside (descriptors, children, libuv's other handles and requests).
     */
    int virtual_time;

    /* `seeded` not 0: the order of tasklets that are ready together is drawn, and is the same for
     * the same seed. */
    int seeded;
    unsigned long long seed;

    /* Not 0: time slices (tasklet.set_timeslice) are refused, for they need a handler of SIGRTMAX
     * - 2. */
    int no_signals;

    /* Not 0: os.execute, what io.popen gives, and reading Lua's standard input suspend only their
     * tasklet, where the caller can be suspended; else, as in Lua, the whole program. */
    int waiting_io;
};

TASKLET_API void tasklet_options_init(struct tasklet_options *options);

/*
 * Makes a host. `options` is copied; NULL means the defaults. On success *out is a host that the
 * caller owns. With a borrowed lua_State the functions `require`, `coroutine.resume`, `wrap` and
 * `yield` of that state are replaced by equivalents through which waits can pass.
 */
TASKLET_API int tasklet_host_new(const struct tasklet_options *options, struct tasklet_host **out);

/*
 * Frees a host and what it owns, with everything armed if need be; NULL is fine. A borrowed
 * lua_State or loop stays open; the loop is run just long enough to close the host's own handles.
 */
TASKLET_API void tasklet_host_free(struct tasklet_host *host);

/*
 * A new Lua state, as luaL_newstate makes one (panics and warnings as there, warnings off), with an
 * allocator that suits very many tasklets: less memory for each, and faster. Without libraries. The
 * caller owns it and closes it with lua_close. NULL: no memory.
 */
TASKLET_API struct lua_State *tasklet_newstate(void);

/* The host's Lua state and loop, borrowed from the host. */
TASKLET_API struct lua_State *tasklet_host_lua(struct tasklet_host *host);
TASKLET_API struct uv_loop_s *tasklet_host_loop(struct tasklet_host *host);

/*
 * Starts the main tasklet: its body is the function below the `nargs` arguments on top of the stack
 * of tasklet_host_lua (all are popped). It runs when tasklet_host_run is called. TASKLET_ESTATE if
 * the host has a main tasklet already.
 */
TASKLET_API int tasklet_host_start(struct tasklet_host *host, int nargs);

/*
 * Runs the loop until no non-daemon tasklet and no handle is left, or until tasklet.mainloop.quit,
 * os.exit or an interrupt. Returns the exit status that a program should end with: the one given to
 * quit or os.exit, else 1 if a tasklet failed and nobody ever looked, else 0; or a negative code.
 */
TASKLET_API int tasklet_host_run(struct tasklet_host *host);

/*
 * Ends the program in good order: raises TaskletExit in whatever runs now, even in a loop that
 * never waits, then in every other tasklet, lets cleanup run, and makes tasklet_host_run return
 * `status`. A second call while the first is under way ends it without waiting for cleanup that
 * waits. Safe in any thread and in a signal handler.
 */
TASKLET_API void tasklet_host_interrupt(struct tasklet_host *host, int status);

/*
 * Has on_dump told what each tasklet waits for, without disturbing any: soon, from the host's
 * thread, also while a tasklet runs that never waits. Safe in any thread and in a signal handler;
 * but in another thread than the host's it takes until the tasklet that runs waits.
 */
TASKLET_API void tasklet_host_dump(struct tasklet_host *host);

#ifdef __cplusplus
}
#endif

#endif
