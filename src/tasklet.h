/*
 * tasklet.h - tasklets scripted in Lua 5.4, scheduled in C on libuv. The one header of libtasklet.
 *
 * The smallest program:
 *
 *     #include <stdio.h>
 *     #include <tasklet.h>
 *
 *     int main(void)
 *     {
 *         struct tasklet_host *host;
 *         struct tasklet_value script = tasklet_nil();
 *         int status;
 *
 *         if (tasklet_host_new(NULL, &host) < 0) return 1;
 *         if (tasklet_load_string(host, "print 'hello'", "=hello", &script) < 0 ||
 *             tasklet_start(host, NULL, &script, NULL, 0, NULL) < 0) {
 *             fprintf(stderr, "%s\n", tasklet_host_error(host));
 *         }
 *         tasklet_release(host, &script);
 *         status = tasklet_host_run(host); // until nothing is left that could go on
 *         tasklet_host_free(host);
 *         return status;
 *     }
 *
 *     cc hello.c $(pkg-config --cflags --libs tasklet)
 *
 * What a program must know
 *
 * Threads    A host belongs to the thread that made it: every call is for that thread, unless it
 *            says "any thread". Hosts in different threads have nothing in common. Callbacks come
 *            from the host's thread, from inside a call that runs the host.
 * Process    The library never ends the process, never writes to a file or a terminal and installs
 *            no signal handler, except while a script waits for a signal of the operating system
 *            (TASKLET_SIGNALS), and where time limits ask for one (max_time, slices; see
 *            no_signals). Children of scripts are waited for by descriptor: SIGCHLD is not used.
 *            What a script does itself - print, io.write - goes where Lua sends it.
 * Memory     Four words, used throughout:
 *              owns     has to free it, by the function that is named
 *              borrows  uses it, while the other side keeps it alive, as long as is said
 *              takes    owns it from then on, also if the call fails
 *              copies   is done with the argument when the call returns
 * Errors     Functions return 0 or more when all is well, and a negative code (enum tasklet_error)
 *            when not; then nothing has happened. tasklet_strerror gives the code's text,
 *            tasklet_host_error what was wrong in particular.
 *            An error in a script never reaches the program by a jump: it is the outcome of a
 *            tasklet or of a call, or goes to on_error if nobody looks.
 * Lifetime   A host may be freed at any time, with tasklets still waiting, also from inside a
 *            callback. <close> variables of unfinished tasklets are closed then. Afterwards the
 *            library calls nothing of the program's.
 *
 * All that is declared here is there since version 0.1.0, unless it says otherwise. The header is
 * C99 and C++11, and needs neither lua.h nor uv.h.
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

struct tasklet_host;    /* a loop, a Lua state, and the tasklets on them */
struct tasklet;         /* a program's reference to one tasklet */
struct tasklet_call;    /* a script's call of a function of the program's */
struct tasklet_pending; /* such a call that waits to be completed */
struct tasklet_port;    /* the way into a host from other threads */
struct tasklet_wait;    /* a wait condition of a kind of the program's */

/* ==== Errors ================================================================================= */

enum tasklet_error {
    TASKLET_OK = 0,
    TASKLET_ENOMEM = -1,    /* no memory, or the host's limit of it */
    TASKLET_EINVAL = -2,    /* a wrong argument */
    TASKLET_ELOOP = -3,     /* libuv refused a handle or a loop */
    TASKLET_ESTATE = -4,    /* not in this state: running already, closing */
    TASKLET_ESYNTAX = -5,   /* a script does not compile */
    TASKLET_EFILE = -6,     /* a file cannot be read */
    TASKLET_ESCRIPT = -7,   /* an error in a script */
    TASKLET_EENDED = -8,    /* the tasklet has ended, or there never was one of that id */
    TASKLET_ECLOSED = -9,   /* the host is gone */
    TASKLET_ETIMEOUT = -10, /* not in time */
    TASKLET_EFULL = -11,    /* the mailbox is full */
    TASKLET_ELIMIT = -12,   /* a limit of the host's, tasklets */
    TASKLET_EDENIED = -13,  /* the host does not have that capability */
};

/* The text of an error code. Static; never NULL. Any thread. */
TASKLET_API const char *tasklet_strerror(int code);

/* What was wrong with the last call on this host that failed: of ESYNTAX and ESCRIPT, the error's
 * message. Borrowed until the next call that fails; never NULL. */
TASKLET_API const char *tasklet_host_error(struct tasklet_host *host);

/* "0.1.0": the version of the library that is running, to be compared with the macros above. Any
 * thread. */
TASKLET_API const char *tasklet_version(void);

/* ==== Hosts ================================================================================== */

/* What scripts may reach beyond Lua's harmless libraries (base, coroutine, math, string, table,
 * utf8, time and date) and tasklets themselves. What a host is not given raises in the script. */
enum tasklet_capability {
    TASKLET_FILES = 1,     /* files: io, os.remove, loadfile, require of files, tasklet.fs, the
                            * standard streams; and waiting for descriptors by number */
    TASKLET_PROCESSES = 2, /* processes and the environment: os.execute, os.getenv, os.setlocale,
                            * waiting for children, tasklet.process; with FILES io.popen */
    TASKLET_NETWORK = 4,   /* sockets: tasklet.net; and waiting for descriptors by number */
    TASKLET_SIGNALS = 8,   /* waiting for signals of the operating system */
    TASKLET_BYTECODE = 16, /* loading precompiled Lua, which can crash the process */
    TASKLET_DEBUG = 32,    /* the library debug, other than traceback: with it a script can get
                            * round limits, and crash the process */
    TASKLET_NATIVE = 64,   /* loading libraries written in C, which can do everything */
    TASKLET_ALL = 127      /* luv and tasklet.testing need all of these together */
};

enum tasklet_runaway {
    TASKLET_KILL = 0, /* it is killed, and the error says why */
    TASKLET_PREEMPT   /* it gives way to the others and goes on in its turn, where it can: not in a
                       * callback, a finalizer, or inside a function written in C such as table.sort.
                       * For scripts that are slow, not for those that are hostile */
};

/*
 * How a host is to be made. Call tasklet_options_init first, then set what differs: a field that a
 * later version adds then has its default, which is 0 or NULL for all of them.
 */
struct tasklet_options {
    size_t size;            /* set by tasklet_options_init */
    struct uv_loop_s *loop; /* borrowed by the host; NULL: it makes and owns one */
    struct lua_State *lua;  /* borrowed by the host; NULL: it makes and owns one */
    void *context;          /* borrowed; handed to the functions below */

    /* Told of every error that nobody has dealt with: a tasklet that failed unobserved, an error in
     * a callback. `text` (borrowed for the call) is the message with its traceback, without a
     * newline at the end. NULL: nobody is told. */
    void (*on_error)(void *context, const char *text);

    /* Told of warnings: the library's, and on a private Lua state those that scripts give by
     * `warn`, which "@off" and "@on" switch. As above. NULL: on a private state nobody is told; on
     * a borrowed one the library's go Lua's way. */
    void (*on_warning)(void *context, const char *text);

    /* Told what tasklet_host_dump was called for: the tree of all tasklets, a line each, with what
     * each waits for, where and for how long. As above. */
    void (*on_dump)(void *context, const char *text);

    /* Not 0: the clock of tasklets is a virtual one, which jumps to the next deadline when all wait
     * and nothing is under way outside (descriptors, children, libuv's other handles and requests).
     */
    int virtual_time;

    /* `seeded` not 0: the order of tasklets that are ready together is drawn, and is the same for
     * the same seed. */
    int seeded;
    unsigned long long seed;

    /* Not 0: nothing that needs a signal handler of the library's own, that of SIGRTMAX - 2: time
     * slices (tasklet.set_timeslice) are refused, and max_time is counted by other means, which
     * make scripts slower. */
    int no_signals;

    /* Not 0: os.execute, what io.popen gives, and reading Lua's standard input suspend only their
     * tasklet, where the caller can be suspended; else, as in Lua, the whole program. */
    int waiting_io;

    /* What scripts may reach; enum tasklet_capability, or-ed. A borrowed Lua state keeps what its
     * program has put into it: there they are for what the library adds. */
    unsigned capabilities;

    /* Limits; 0: none. A time or a number of instructions is that between two waits, also of a
     * callback or a call from C. A tasklet that is beyond it fails by an error that says so and
     * that it cannot catch; its <close> variables have the same time once more. What runs inside a
     * function written in C, such as table.sort, is unwound up to there first, and they are closed
     * without running. A function written in C that calls nothing (string.rep, string.find) cannot
     * be interrupted. With such a limit, metatables with __gc are refused, for finalizers cannot be
     * interrupted either, and `xpcall` calls no handler for the error. */
    size_t max_memory; /* bytes of a private Lua state, as Lua asks for them: beyond, scripts get
                        * Lua's memory error. What the library needs to go on is not refused */
    double max_time;   /* seconds that a tasklet may run without waiting */
    unsigned long long max_instructions; /* the same in instructions of Lua's, exactly: a script
                                          * comes as far each time. Makes scripts slow */
    int runaway;                         /* enum tasklet_runaway: what becomes of it */
    size_t max_tasklets;                 /* begun and not ended: beyond, starting one raises */
    size_t max_mailbox; /* unread messages of a tasklet that has set no limit of its own */
};

TASKLET_API void tasklet_options_init(struct tasklet_options *options);

/*
 * Makes a host. `options` is copied; NULL means the defaults. On success *out is a host that the
 * caller owns. With a borrowed lua_State the functions `require`, `coroutine.resume`, `wrap` and
 * `yield` of that state are replaced by equivalents through which waits can pass. A state has one
 * host at a time (TASKLET_ESTATE); any of its coroutines may be given in its place.
 */
TASKLET_API int tasklet_host_new(const struct tasklet_options *options, struct tasklet_host **out);

/*
 * Frees a host and what it owns, with everything armed if need be; NULL is fine. A borrowed
 * lua_State or loop stays open; the loop is run just long enough to close the host's own handles.
 * From inside a callback, or in a function that a script calls: nothing more of it runs, and the
 * host goes before the call that runs it comes back, which returns TASKLET_ECLOSED; if the program
 * runs a loop of its own by uv_run, when that comes round. Until then its other functions return
 * TASKLET_ECLOSED, and the program is told of nothing but what it has been promised: replies,
 * cancels, the `destroy` of functions, the `finish` of conditions. Where a private loop is run by
 * uv_run, and not by tasklet_host_run or tasklet_host_turn, the host's memory stays.
 */
TASKLET_API void tasklet_host_free(struct tasklet_host *host);

/*
 * A new Lua state, as luaL_newstate makes one (panics and warnings as there, warnings off), with an
 * allocator that suits very many tasklets: less memory for each, and faster. Without libraries. The
 * caller owns it and closes it with lua_close. NULL: no memory. Any thread.
 */
TASKLET_API struct lua_State *tasklet_newstate(void);

/* The host's Lua state, loop and context, borrowed from the host. */
TASKLET_API struct lua_State *tasklet_host_lua(struct tasklet_host *host);
TASKLET_API struct uv_loop_s *tasklet_host_loop(struct tasklet_host *host);
TASKLET_API void *tasklet_host_context(struct tasklet_host *host);

/* How many bytes the Lua state has now; of a borrowed one as its collector counts. */
TASKLET_API size_t tasklet_host_memory(struct tasklet_host *host);

/* ==== Running ================================================================================ */

/*
 * Runs the loop until no non-daemon tasklet and no handle is left, or until tasklet.mainloop.quit,
 * os.exit or an interrupt. Returns the exit status that a program should end with: the one given to
 * quit or os.exit, else 3 if all waited for each other, 1 if a tasklet failed and nobody ever
 * looked, else 0; or a negative code. TASKLET_ESTATE from inside: of a callback, of a function that
 * a script calls.
 *
 * It can be called again, and each run has a status of its own. One that was quit is gone on with;
 * after os.exit nothing runs any more, and each further run returns that status.
 */
TASKLET_API int tasklet_host_run(struct tasklet_host *host);

/*
 * One turn, for a program that has a loop of its own: waits at most `seconds` for something to
 * happen (0: not at all; negative: as long as it takes), then runs what is ready. Returns 1 if
 * there is more to come, 0 if the run is over, as tasklet_host_run would end it; or a negative
 * code, as there. Turns and runs may be mixed.
 *
 * If all tasklets wait for each other, a turn that may wait for ever says so and ends the run. One
 * that may not leaves it at that, for the program itself may yet send what they wait for.
 */
TASKLET_API int tasklet_host_turn(struct tasklet_host *host, double seconds);

/* The status of the run that was over last: what tasklet_host_run returned, or would have. */
TASKLET_API int tasklet_host_status(struct tasklet_host *host);

/*
 * For a foreign loop: call tasklet_host_turn(host, 0) when the descriptor is readable, or after so
 * many milliseconds (0: at once; -1: no need to), whichever comes first. Ask for the timeout before
 * each wait: it changes with whatever runs, and with what is started, sent or killed between the
 * turns; and it sends what streams were given to write there. The descriptor is borrowed and stays
 * the same.
 */
TASKLET_API int tasklet_host_fd(struct tasklet_host *host);
TASKLET_API int tasklet_host_timeout(struct tasklet_host *host);

/*
 * Ends the program in good order: raises TaskletExit in whatever runs now, even in a loop that
 * never waits, then in every other tasklet, lets cleanup run, and makes tasklet_host_run return
 * `status`. A second call while the first is under way ends it without waiting for cleanup that
 * waits. Any thread, and signal handlers; but in another thread than the host's it takes until the
 * tasklet that runs waits or is preempted. A program that cannot rely on that sends the host's
 * thread a signal (pthread_kill) whose handler calls this.
 */
TASKLET_API void tasklet_host_interrupt(struct tasklet_host *host, int status);

/*
 * Has on_dump told what each tasklet waits for, without disturbing any: soon, from the host's
 * thread, also while a tasklet runs that never waits. Any thread, and signal handlers; but in
 * another thread than the host's it takes until the tasklet that runs waits.
 */
TASKLET_API void tasklet_host_dump(struct tasklet_host *host);

/* ==== Values ================================================================================= */

enum tasklet_type {
    TASKLET_NIL = 0,
    TASKLET_BOOLEAN,
    TASKLET_INTEGER,
    TASKLET_NUMBER,
    TASKLET_STRING,  /* bytes, which may contain zeros */
    TASKLET_POINTER, /* an address of the program's, opaque to scripts */
    TASKLET_TABLE,   /* this and what follows: by reference */
    TASKLET_FUNCTION,
    TASKLET_TASKLET,
    TASKLET_OBJECT /* anything else */
};

/*
 * A value of a script's, or for one. Fields are for reading; the functions below make values.
 *
 * Given to the library, values are copied; bytes need to live for the call only. A reference that
 * has been released, or is another host's, is TASKLET_EINVAL. Those that the library gives to a
 * callback are borrowed for the call. Those that it gives through an `out` argument: bytes (which
 * have a zero behind them) are borrowed until the next call on that host that gives a value;
 * references are owned, and freed by tasklet_release. If the call fails, *out is left alone.
 */
struct tasklet_value {
    int type; /* enum tasklet_type */
    union {
        int boolean;
        long long integer;
        double number;
        const char *bytes;
        void *pointer;
        long long reference;
    } as;
    size_t length; /* of bytes */
};

static inline struct tasklet_value tasklet_nil(void)
{
    struct tasklet_value value;
    value.type = TASKLET_NIL;
    value.as.integer = 0;
    value.length = 0;
    return value;
}

static inline struct tasklet_value tasklet_boolean(int boolean)
{
    struct tasklet_value value = tasklet_nil();
    value.type = TASKLET_BOOLEAN;
    value.as.boolean = boolean != 0;
    return value;
}

static inline struct tasklet_value tasklet_integer(long long integer)
{
    struct tasklet_value value = tasklet_nil();
    value.type = TASKLET_INTEGER;
    value.as.integer = integer;
    return value;
}

static inline struct tasklet_value tasklet_number(double number)
{
    struct tasklet_value value = tasklet_nil();
    value.type = TASKLET_NUMBER;
    value.as.number = number;
    return value;
}

/* No bytes may be NULL. */
static inline struct tasklet_value tasklet_bytes(const char *bytes, size_t length)
{
    struct tasklet_value value = tasklet_nil();
    value.type = TASKLET_STRING;
    value.as.bytes = bytes;
    value.length = length;
    return value;
}

/* Up to the zero. */
static inline struct tasklet_value tasklet_string(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    return tasklet_bytes(text, length);
}

static inline struct tasklet_value tasklet_pointer(void *pointer)
{
    struct tasklet_value value = tasklet_nil();
    value.type = TASKLET_POINTER;
    value.as.pointer = pointer;
    return value;
}

/* Frees what a value that the library gave owns, and makes it nil. Values that own nothing are
 * fine, and so are those of a host that is gone: NULL. */
TASKLET_API void tasklet_release(struct tasklet_host *host, struct tasklet_value *value);

/* A value of a callback's that is to be kept: *out is owned. For references only; bytes are to be
 * copied by the program. */
TASKLET_API int tasklet_keep(struct tasklet_host *host, const struct tasklet_value *value,
                             struct tasklet_value *out);

/* The text that a script's `tostring` gives; may run a script's __tostring. *out is a string. */
TASKLET_API int tasklet_tostring(struct tasklet_host *host, const struct tasklet_value *value,
                                 struct tasklet_value *out);

/* Tables. Reading and writing run no metamethods. *out is nil where there is nothing; to set nil is
 * to delete. TASKLET_EINVAL: that is no table, or a key that no table can have. */
TASKLET_API int tasklet_table_new(struct tasklet_host *host, struct tasklet_value *out);
TASKLET_API int tasklet_table_get(struct tasklet_host *host, const struct tasklet_value *table,
                                  const struct tasklet_value *key, struct tasklet_value *out);
TASKLET_API int tasklet_table_set(struct tasklet_host *host, const struct tasklet_value *table,
                                  const struct tasklet_value *key,
                                  const struct tasklet_value *value);
/* The length of its sequence, or a negative code. */
TASKLET_API long long tasklet_table_length(struct tasklet_host *host,
                                           const struct tasklet_value *table);
/*
 * Walks a table: begin with a nil *key; *value is not read then. Gives the next key and its value,
 * and returns 1; 0 at the end, where both are nil. What *key and *value own is freed by the call
 * that replaces it: a walk that comes to its end leaves nothing to free; one that is broken off
 * leaves both to be released. Bytes of *key live as long as the table has that key. Meanwhile keys
 * may be given other values, and be deleted, but none may be added.
 */
TASKLET_API int tasklet_table_next(struct tasklet_host *host, const struct tasklet_value *table,
                                   struct tasklet_value *key, struct tasklet_value *value);

/* Global variables, of a name such as "print"; of a path such as "string.format". As for tables.
 * Where the path leads through what is no table there is nothing, and nothing can be set. */
TASKLET_API int tasklet_global_get(struct tasklet_host *host, const char *name,
                                   struct tasklet_value *out);
TASKLET_API int tasklet_global_set(struct tasklet_host *host, const char *name,
                                   const struct tasklet_value *value);

/* Between values and a stack of Lua's, for programs that use lua.h as well: pushes `value`; gives
 * the value at `index`. L is the host's state or one of its coroutines. */
TASKLET_API int tasklet_push(struct tasklet_host *host, struct lua_State *L,
                             const struct tasklet_value *value);
TASKLET_API int tasklet_at(struct tasklet_host *host, struct lua_State *L, int index,
                           struct tasklet_value *out);

/* ==== Scripts and tasklets =================================================================== */

/*
 * Compiles a script; *out is a function, owned. `name` is what tracebacks call it: "=stdin",
 * "@file.lua", or the text itself; NULL: the text, or "=(load)" for a buffer. TASKLET_ESYNTAX;
 * TASKLET_EDENIED if it is precompiled and the host lacks TASKLET_BYTECODE; TASKLET_EFILE.
 * tasklet_load_file is the program's own and needs no TASKLET_FILES.
 */
TASKLET_API int tasklet_load_string(struct tasklet_host *host, const char *text, const char *name,
                                    struct tasklet_value *out);
TASKLET_API int tasklet_load_buffer(struct tasklet_host *host, const void *bytes, size_t length,
                                    const char *name, struct tasklet_value *out);
TASKLET_API int tasklet_load_file(struct tasklet_host *host, const char *path,
                                  struct tasklet_value *out);

/*
 * Calls a function of a script, at once and in no tasklet: it cannot wait. Its results are put into
 * `results`, `max` places, as `out` arguments; what is missing is nil, and all are if it fails.
 * Returns how many it gave, which may be more than `max`; TASKLET_ESCRIPT.
 */
TASKLET_API int tasklet_invoke(struct tasklet_host *host, const struct tasklet_value *function,
                               const struct tasklet_value *args, int count,
                               struct tasklet_value *results, int max);

struct tasklet_start_options {
    size_t size;        /* set by tasklet_start_options_init */
    const char *name;   /* copied; NULL: the function's */
    int daemon;         /* not 0: does not keep the program alive, and is killed when it ends */
    int main;           /* not 0: the main tasklet, which mainloop.run parks; one at a time */
    size_t max_mailbox; /* 0: the host's */

    /* Told once when it has ended, as a tasklet's join callbacks are; not if the host goes first.
     * `t` is borrowed for the call: its outcome can be read. NULL: nobody; then a failure goes to
     * on_error unless somebody looks. */
    void (*on_end)(void *context, struct tasklet *t);
    void *context; /* borrowed */
};

TASKLET_API void tasklet_start_options_init(struct tasklet_start_options *options);

/*
 * Starts a tasklet: its body is `function`, a function or a fresh coroutine, called with `count`
 * arguments. It begins to run when the host does, in its turn; from inside a callback, after that.
 * It is the program's own, no child of a tasklet that may be running. `options` is copied; NULL
 * means the defaults. *out is a reference that the caller owns; NULL: none is wanted.
 * TASKLET_ELIMIT; TASKLET_ESTATE if there is a main tasklet already, or os.exit was called.
 */
TASKLET_API int tasklet_start(struct tasklet_host *host,
                              const struct tasklet_start_options *options,
                              const struct tasklet_value *function,
                              const struct tasklet_value *args, int count, struct tasklet **out);

/*
 * References. A reference keeps what is known of its tasklet, the outcome too, and outlives the
 * host: its functions return TASKLET_ECLOSED then, or the answer that is named.
 */

/* The tasklet that a value is, as a reference that the caller owns. */
TASKLET_API int tasklet_from(struct tasklet_host *host, const struct tasklet_value *value,
                             struct tasklet **out);
/* The tasklet as a value for scripts, owned. */
TASKLET_API int tasklet_as_value(struct tasklet *t, struct tasklet_value *out);
/* Frees a reference; the tasklet goes on. NULL is fine. */
TASKLET_API void tasklet_drop(struct tasklet *t);
/* The host; NULL: gone. */
TASKLET_API struct tasklet_host *tasklet_host_of(struct tasklet *t);

enum tasklet_state {
    TASKLET_ALIVE = 0, /* has not ended */
    TASKLET_RETURNED,  /* its body has returned */
    TASKLET_FAILED,    /* it ended by an error */
    TASKLET_KILLED     /* it was killed */
};

/* Where it stands, enum tasklet_state; or a negative code. */
TASKLET_API int tasklet_state(struct tasklet *t);
/* Its name. Borrowed until the next call on that host that gives a value; "" if the host is gone.
 */
TASKLET_API const char *tasklet_name(struct tasklet *t);
/* The results of one that has returned, as those of tasklet_invoke; TASKLET_ESTATE otherwise. One
 * that was killed and did not mind has returned. */
TASKLET_API int tasklet_results(struct tasklet *t, struct tasklet_value *results, int max);
/* The error of one that has failed or was killed, with the traceback if `traceback` is not 0: *out
 * is a string. The failure counts as dealt with. TASKLET_ESTATE if there is none. */
TASKLET_API int tasklet_failure(struct tasklet *t, int traceback, struct tasklet_value *out);
/* Kills it, as scripts do, but in its turn: it ends at its wait, soon; cleanup runs, and may wait.
 * The one that runs now ends at its next wait; one that was made and never started, at once. One
 * that has ended is fine. */
TASKLET_API int tasklet_kill(struct tasklet *t);
/* Has `on_end` told when it has ended, as above; more than one may be. If it has ended already:
 * when the host runs. */
TASKLET_API int tasklet_on_end(struct tasklet *t, void (*on_end)(void *context, struct tasklet *t),
                               void *context);

/* ==== Messages =============================================================================== */

/* A number by which other threads mean the tasklet. It is never used again in this process. 0 if
 * the host is gone. */
TASKLET_API unsigned long long tasklet_id(struct tasklet *t);

/*
 * Sends a message, which a script gets as `message.name`, `message.value` (and no `sender`). It
 * takes its turn: the receiver runs when the host does. TASKLET_EENDED, TASKLET_EFULL.
 */
TASKLET_API int tasklet_send(struct tasklet *t, const char *name,
                             const struct tasklet_value *value);

/*
 * Sends a message that the receiver answers by `message:reply(value)`. `on_reply` is called exactly
 * once, from the host's thread, at the end of a turn: `status` is 0 and `value` (borrowed) the
 * answer; or `value` is NULL and `status` is TASKLET_ETIMEOUT after `seconds` (negative: no limit),
 * TASKLET_EENDED if the receiver ended without an answer, TASKLET_ECLOSED if the host goes,
 * TASKLET_ENOMEM. Unless this returns an error, which may be one of tasklet_send's: then never. A
 * question keeps no program alive.
 */
typedef void (*tasklet_reply)(void *context, int status, const struct tasklet_value *value);

TASKLET_API int tasklet_ask(struct tasklet *t, const char *name, const struct tasklet_value *value,
                            double seconds, tasklet_reply on_reply, void *context);

/* ---- from other threads ---- */

/*
 * The way in. Any number of threads may use a port at once; it outlives the host, and posts are
 * refused then. The caller owns one use of it: tasklet_port_hold adds one, tasklet_port_drop gives
 * one back (NULL is fine). NULL: no memory.
 *
 * A port keeps no program alive: when no tasklet is left that does, the run is over, and what is
 * posted then waits for the next run. But as long as one is held, those who wait may still be woken
 * by a post, so that they are not taken for deadlocked: a program whose tasklets wait for posts
 * ends by a message that tells them to, or when the last port has been dropped.
 */
TASKLET_API struct tasklet_port *tasklet_port_new(struct tasklet_host *host);
TASKLET_API struct tasklet_port *tasklet_port_hold(struct tasklet_port *port); /* any thread */
TASKLET_API void tasklet_port_drop(struct tasklet_port *port);                 /* any thread */

/*
 * As tasklet_send and tasklet_ask, from any thread, to the tasklet of that id. `value` is nil, a
 * boolean, a number, a string or a pointer: what belongs to a host cannot come from elsewhere.
 * Never waits. Posts and calls of one thread arrive in their order. What can be known at once is
 * returned (TASKLET_ECLOSED, TASKLET_ENOMEM, TASKLET_EINVAL); a post to a tasklet that has ended by
 * then is dropped. One that finds the mailbox full waits outside of it for its turn, and holds up
 * no other mailbox's; how many wait so is bounded by nothing but memory. One for which the host has
 * no memory is dropped and told to on_error. The `seconds` of an ask begin when it has come.
 */
TASKLET_API int tasklet_post(struct tasklet_port *port, unsigned long long id, const char *name,
                             const struct tasklet_value *value);
TASKLET_API int tasklet_post_ask(struct tasklet_port *port, unsigned long long id, const char *name,
                                 const struct tasklet_value *value, double seconds,
                                 tasklet_reply on_reply, void *context);

/* Has `function` called once from the host's thread, soon, if the host runs. Any thread. If the
 * host goes before, it is called then, with NULL for the host. TASKLET_ECLOSED, TASKLET_ENOMEM:
 * never. */
TASKLET_API int tasklet_port_call(struct tasklet_port *port,
                                  void (*function)(void *context, struct tasklet_host *host),
                                  void *context);

/* ==== Functions of the program's ============================================================= */

/*
 * A function that scripts can call. It reads its arguments, and ends with exactly one of
 *
 *     return tasklet_return(call, values, count);
 *     return tasklet_fail(call, "what is wrong");     // raises in the script, at the caller's line
 *     return tasklet_suspend(call, ...);              // the tasklet waits
 *
 * or, with a negative code, fails by the text of that; with 0 it returns nothing. `call` is
 * borrowed until it returns; `context` is what was given with it. It may call whatever the thread
 * may, but not run the host.
 */
typedef int (*tasklet_function)(struct tasklet_call *call, void *context);

/* Makes one; *out is owned. `context` is borrowed until `destroy` (NULL: nothing to do) is called,
 * once, when no script has it any more or the host goes; at once if this fails. */
TASKLET_API int tasklet_function_new(struct tasklet_host *host, tasklet_function function,
                                     void *context, void (*destroy)(void *context),
                                     struct tasklet_value *out);

/* The same as a global variable: as tasklet_global_set, which see. `context` is borrowed until the
 * host goes. */
TASKLET_API int tasklet_define(struct tasklet_host *host, const char *name,
                               tasklet_function function, void *context);

TASKLET_API struct tasklet_host *tasklet_call_host(struct tasklet_call *call);
/* How many arguments there are. */
TASKLET_API int tasklet_arg_count(struct tasklet_call *call);
/* The argument `index`, from 1; nil beyond the last. Borrowed for the call. */
TASKLET_API struct tasklet_value tasklet_arg(struct tasklet_call *call, int index);
/*
 * The argument as that type. 0; or, if it is of another type, a negative code, and the call is
 * bound to fail with Lua's usual message ("bad argument #1 to 'f' (number expected, got nil)"):
 * return that code.
 */
TASKLET_API int tasklet_arg_integer(struct tasklet_call *call, int index, long long *out);
TASKLET_API int tasklet_arg_number(struct tasklet_call *call, int index, double *out);
TASKLET_API int tasklet_arg_string(struct tasklet_call *call, int index, const char **bytes,
                                   size_t *length); /* borrowed for the call; length may be NULL */

/* How it ends. What these return is for the function to return, at once. A second one in the same
 * call is TASKLET_ESTATE, and so is one after the call is bound to fail. */
TASKLET_API int tasklet_return(struct tasklet_call *call, const struct tasklet_value *values,
                               int count);
TASKLET_API int tasklet_fail(struct tasklet_call *call, const char *text);

/*
 * The tasklet that called waits until the program completes the call, from any thread, at any time:
 * it may be at once. *pending is then to be handed to tasklet_complete or tasklet_abort, exactly
 * once, sooner or later: also if the tasklet was killed or its deadline was over meanwhile, or the
 * host is gone; that does no harm. `what` (copied) says what it waits for, in reports:
 * "render: a frame". `on_cancel` (NULL: nobody) is told once, in the host's thread at the end of a
 * turn or when the host goes, if the tasklet does not wait for the result any more, so that the
 * work can be given up; not if it has been completed in time. While the tasklet waits something is
 * under way outside: that is no deadlock, a virtual clock does not jump, and the program goes on,
 * unless it is a daemon's call. Where the caller cannot wait the call is bound to fail with the
 * usual error, and *pending is NULL: begin the work after this.
 */
TASKLET_API int tasklet_suspend(struct tasklet_call *call, const char *what,
                                void (*on_cancel)(void *context), void *context,
                                struct tasklet_pending **pending);

/* The call returns these values, which are as those of tasklet_post; or raises the error, at the
 * caller's line. Takes `pending`. Any thread. TASKLET_EENDED: nobody waits any more;
 * TASKLET_ECLOSED: the host is gone. After TASKLET_EINVAL, for a value of a host's, and
 * TASKLET_ENOMEM the call raises that. */
TASKLET_API int tasklet_complete(struct tasklet_pending *pending,
                                 const struct tasklet_value *values, int count);
TASKLET_API int tasklet_abort(struct tasklet_pending *pending, const char *text);

/* ==== Wait conditions of the program's ======================================================= */

/*
 * A kind of wait condition: scripts make, combine and yield its conditions as they do the
 * library's own, tasklet.WaitForFrame(60), and reports name them. They have the option `priority`
 * and the fields `value`, `triggered` and `priority`. One constant row, borrowed, as is all that it
 * points to, until the host goes.
 */
enum tasklet_param_flags { TASKLET_OPTIONAL = 1, TASKLET_OPTION = 2 /* in the table at the end */ };

struct tasklet_param {
    const char *name; /* NULL ends the list */
    int type; /* TASKLET_BOOLEAN, INTEGER, NUMBER, STRING, or TASKLET_NIL: any value, kept */
    unsigned flags;
};

struct tasklet_kind {
    size_t size;      /* sizeof (struct tasklet_kind) */
    const char *name; /* "WaitForFrame": of the constructor in the module `tasklet` */
    const struct tasklet_param *params; /* NULL: none; at most 8, options last */
    size_t state_size; /* bytes that each condition has for the program, zeroed at first */
    void *context;     /* borrowed */

    /* Looks at the arguments, one for each parameter, nil where absent. 0; or a negative code, or
     * tasklet_wait_fail(wait, text), and the constructor raises. Does not arm. NULL: nothing. */
    int (*init)(struct tasklet_wait *wait, const struct tasklet_value *args);
    /* From now on it is to fire; it may do so at once. As above; then the yield raises. */
    int (*arm)(struct tasklet_wait *wait);
    /* It is not to fire any more, or has fired and is armed again next: each arm that has not
     * failed is followed by one disarm. NULL: nothing. */
    void (*disarm)(struct tasklet_wait *wait);
    /* It goes, not armed: frees what init took. Called once if init has not failed, when the
     * collector finds that no script has it any more, or when the host goes. NULL: nothing. */
    void (*finish)(struct tasklet_wait *wait);
    /* A few words into `text`: what it waits for. NULL: its name says it. */
    void (*describe)(struct tasklet_wait *wait, char *text, size_t size);
};

/* Adds a kind for good. While a tasklet waits for one of its conditions something is under way
 * outside: that is no deadlock, and a virtual clock does not jump. TASKLET_EINVAL: the row is
 * wrong, or there is something of that name in the module. */
TASKLET_API int tasklet_kind_add(struct tasklet_host *host, const struct tasklet_kind *kind);

/* Of a condition, from init to finish: the bytes of the program's, aligned for anything; its row;
 * its host. */
TASKLET_API void *tasklet_wait_state(struct tasklet_wait *wait);
TASKLET_API const struct tasklet_kind *tasklet_wait_kind(struct tasklet_wait *wait);
TASKLET_API struct tasklet_host *tasklet_wait_host(struct tasklet_wait *wait);

/* In init or arm: says why it fails, in less than 160 bytes. Returns a negative code. */
TASKLET_API int tasklet_wait_fail(struct tasklet_wait *wait, const char *text);

/*
 * It fires: its tasklet is woken, in its turn, and the condition's field `value` is `value` (NULL:
 * nil). One that is not armed, or has fired already, drops it: that is no error. Not after finish.
 * No script runs before this returns. TASKLET_ENOMEM, TASKLET_EINVAL: it has not fired.
 */
TASKLET_API int tasklet_wait_fire(struct tasklet_wait *wait, const struct tasklet_value *value);

#ifdef __cplusplus
}
#endif

#endif
