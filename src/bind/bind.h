/*
 * The binding: what a Lua state knows of its scheduler. One struct tk_bind a state, a userdata that
 * every C function of the module has as its first upvalue: so it lives as long as any of them, also
 * when the host is gone (`sched` is NULL then).
 *
 * Script values that C holds are anchored in one table, by number; the numbers are counted, so that
 * a leak shows.
 *
 * Functions marked RAISES may leave by a Lua error.
 */
#ifndef TK_BIND_BIND_H
#define TK_BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include <string.h>

#include "core/limit.h"
#include "core/mailbox.h"
#include "core/pool.h"
#include "core/sched.h"
#include "core/source.h"

#define RAISES

/* Arguments of a join callback, so that calling it needs no more stack than is there. */
#define MAX_CALLBACK_ARGS 200

#define TK_NAMES_KEPT 64

/*
 * A tasklet: the userdata. Its user values: what it is bound to, then its coroutine, in the end the
 * outcome; its function or its name; the conditions that it holds, one or a table of them, which
 * are thereby kept alive.
 */
enum { UV_BOUND = 1, UV_THREAD = 1, UV_OUTCOME = 1, UV_BODY = 2, UV_HELD = 3, UV_COUNT = 3 };

struct tk_body {
    struct tk_task task;
    lua_State *co;    /* NULL: not begun, or ended */
    uint32_t number;  /* "#7" */
    int anchor;       /* LUA_NOREF: not anchored */
    uint32_t since;   /* when it gave way last, by the scheduler's `tick` */
    bool begun : 1;   /* its body has run */
    bool waiting : 1; /* gave way to wait for its wait list */
    bool event : 1;   /* an event is unread: in the table of events */
    bool stock : 1;   /* gave way through Lua's own coroutine.yield */
    bool pooled : 1;  /* the coroutine is ours and nobody has seen it */
    bool named : 1;   /* BODY is a name, not the function */
    bool fields : 1;  /* has fields of its own: in the table of fields */
    bool callbacks : 1;
    bool failed : 1;         /* the outcome is {error, traceback} */
    bool packed : 1;         /* the outcome is a list of results with `n` */
    bool mute : 1;           /* it has returned nothing: the outcome is nil */
    bool interrupted : 1;    /* an interrupt has been raised in it already */
    bool unobserved : 1;     /* failed, and nobody has looked */
    bool bound : 1;          /* has a function to run */
    bool self : 1;           /* of a class: gets itself as the first argument */
    bool timed : 1;          /* has a deadline for its verbs: in the table of timeouts */
    bool monitored : 1;      /* in the table of monitors */
    bool localised : 1;      /* has locals, or its starter had: in the table of locals */
    bool own_locals : 1;     /* it is its own that stand there */
    bool internal : 1;       /* a daemon of the library's own */
    bool temp : 1;           /* has a value that schedule returns: in the table of tempvals */
    bool block_trap : 1;     /* waits raise */
    bool atomic : 1;         /* is not preempted */
    bool ignore_nesting : 1; /* is preempted in nested runs, too */
    bool member : 1;         /* of a scope: in the table of members */
    bool library : 1;        /* is inside a part of the library that must not be cut */
    bool preempted : 1;      /* gave way in the middle of a function, by a hook */
    bool expected : 1;       /* somebody is going to join it */
    bool owner : 1;          /* has started children that end with it */
};

_Static_assert(sizeof(struct tk_body) <= 136, "there may be millions of these");

/* What scripts may reach: the bits of tasklet.h's enum tasklet_capability. */
enum tk_capability { TK_MAY_FILES = 1, TK_MAY_PROCESSES = 2, TK_MAY_NETWORK = 4 };
enum { TK_MAY_SIGNALS = 8, TK_MAY_BYTECODE = 16, TK_MAY_DEBUG = 32, TK_MAY_NATIVE = 64 };
#define TK_MAY_ALL 127U

/* What `pump` does; of nested ones, the outermost's. */
struct tk_pump {
    uint64_t budget;      /* instructions; 0: no limit */
    uint64_t used;        /* by the tasklet that runs, since it was resumed */
    uint64_t looked;      /* `used` when the clock was looked at last */
    uint64_t total;       /* by all of them, but for less than a step each time */
    int place;            /* of tk_count_left */
    struct tk_body *over; /* who has used it up */
};

struct tk_lint;

struct tk_bind_hooks {
    /* An error that nobody has dealt with; `text` is borrowed. */
    void (*error)(void *context, const char *text);
    /* Monotonic time in nanoseconds. */
    uint64_t (*now)(void *context);
    /* The same by the system's clock, where that is virtual: for what the processor does. */
    uint64_t (*system_now)(void *context);
    /* Who ran last at the look at the clock `index`, the oldest first, and how many nanoseconds had
     * gone by since the look before. False: there are no more. */
    bool (*sample)(void *context, size_t index, struct tk_sample *sample);
    /* Fires the timers that are due. */
    void (*due)(void *context);
    /* A warning of the library's own. False: nobody takes it, and it is given as scripts' are. */
    bool (*warning)(void *context, const char *text);
    /* Something runs that no turn of the loop has begun, or it is over: for the watchdog. */
    void (*busy)(void *context, bool is);
    /* Calls tk_slice_late from a signal handler when a tasklet runs longer than a slice, and then
     * four times in each further one (ns; 0: no more). NULL, or why it cannot. */
    const char *(*watch)(void *context, uint64_t slice);
    /* RAISES. The program's message of that number is answered by the value at 2. Is it awaited? */
    bool (*answered)(void *context, lua_State *L, uint64_t serial);
    lua_Hook interrupt; /* raises the interrupt in what runs */
};

/* What the binding keeps in the registry, by reference. */
enum {
    TABLE_ANCHORS,
    TABLE_EVENTS,    /* by anchor: an unread event; by its negative: an error to raise */
    TABLE_POOL,      /* coroutines to be used again */
    TABLE_FIELDS,    /* by object, weak: a table of fields */
    TABLE_TIMEOUTS,  /* by tasklet, weak: the deadline of its verbs, in ns; infinite: a float */
    TABLE_MONITORS,  /* by tasklet, weak: a list of who is told of its end */
    TABLE_MEMBERS,   /* by tasklet, weak: its entry in a scope */
    TABLE_TEMPVALS,  /* by tasklet, weak: what schedule returns */
    TABLE_LOCALS,    /* by tasklet, weak: its locals, or those it inherits */
    TABLE_CALLBACKS, /* by tasklet, weak: join callbacks */
    TABLE_TRACES,    /* by tasklet, weak: the traceback of its error */
    TABLE_NO_MEMORY, /* the outcome of one for whose outcome there was no memory */
    TABLE_FAILED,    /* tasklets to be reported */
    TABLE_UNSEEN,    /* by tasklet, weak: those that failed and that nobody has looked at */
    TABLE_UNTOLD,    /* a queue of tasklets whose end is to be told */
    TABLE_MODULE,
    TABLE_TASKLET, /* metatables */
    TABLE_MESSAGE,
    TABLE_MAILBOX,
    TABLE_EMITTER,
    TABLE_CHANNEL,
    TABLE_STREAM,
    TABLE_SERVER,
    TABLE_UDP,
    TABLE_BODY, /* functions that start a tasklet: the body's frame and its handler */
    TABLE_HANDLER,
    TABLE_ERRORS,  /* error classes by name */
    TABLE_OBJECTS, /* by address, weak: conditions written in Lua, tasklets not begun */
    TABLE_NAMES,   /* strings, by their place among the names used not long ago */
    TABLE_PASSED,  /* by coroutine, weak: generators that wait with their tasklet */
    TABLE_NOTES,   /* by message, weak: where it was made */
    TABLE_SENT,    /* by tasklet, weak: a set of the names of messages that it was sent */
    TABLE_CORE,    /* functions for the Lua part, which scripts do not see */
    TABLE_BINDING, /* the binding itself */
    TABLE_COUNT
};

enum tk_halt {
    HALT_EXIT = 1, /* the program ends */
    HALT_PUMP = 2, /* somebody has used up the budget of `pump` */
    HALT_FREE = 4, /* the host is being freed: nothing is called any more, either */
};

/* From a resumption to the next time it gives way. */
struct tk_stint {
    uint64_t since; /* when it first ran others nested, by the system's clock; 0: it has not */
};

/* Why what runs is to run no further. */
enum tk_runaway {
    TK_TOO_LONG = 1, /* the limit of time */
    TK_TOO_MANY = 2, /* that of instructions */
    TK_HALTED = 3,   /* the program has ended */
};

/* A name of messages that was used not long ago. */
struct tk_name {
    const void *string; /* the script's, which the table of names keeps */
    struct tk_atom *atom;
};

struct tk_bind {
    lua_State *main;
    int tables[TABLE_COUNT];
    struct tk_sched *sched; /* NULL: closed */
    const struct tk_kind *const *kinds;
    const struct tk_kind *timeout, *mail, *room, *answer, *ended, *channel, *gate,
        *job;                  /* verbs' */
    struct tk_atom *down;      /* the name of monitors' messages */
    const void *class_tasklet; /* the metatable of Tasklet itself */
    const void *class_seen; /* the metatable that tk_to_wait saw last; of a kind, never collected */
    const struct tk_bind_hooks *hooks;
    void *context;
    lua_State *L;          /* a state whose stack may be used now */
    lua_State *running;    /* the innermost coroutine that was resumed by our means */
    struct tk_body *last;  /* who gave way or ended last; NULL: it has been collected */
    struct tk_event event; /* for the continuation that is about to run */
    struct tk_wait *spare; /* verbs' waits */
    int barrier;           /* > 0: somewhere below is a C function that cannot give way */
    lua_State *blocked_at; /* where that is */
    lua_State *place;      /* where an error's position is, if not where it is raised; or NULL */
    bool gave_way;         /* the yield under way is ours */
    bool raise_by_hook;    /* a tasklet that was preempted goes on, and raises */
    unsigned halt;         /* enum tk_halt: nobody is resumed */
    unsigned capabilities; /* enum tk_capability */
    bool notes;            /* where messages are made, and who gets them, is noted */
    bool closing;          /* coroutines are being closed: nothing begins or waits any more */
    int pool;              /* coroutines in the pool */
    int pool_room;         /* so many there have been */
    uint32_t numbers;
    int internals;   /* daemons of the library's own that have begun and not ended */
    uint64_t calls;  /* the serial number of the last one */
    uint64_t origin; /* of the times that scripts see: what is 0 there; modulo 2^64 */
    int failures;    /* tasklets that failed and that nobody has looked at */
    int reports;     /* of them, those to be reported at the end of this turn */
    bool telling;    /* join callbacks are being called: an end meanwhile is told after them */
    lua_Integer told, untold; /* places in the queue of those: the last one taken, and put there */
    size_t anchored;
    volatile unsigned resumes; /* counts what the watchdog watches */
    uint64_t slice;            /* ns; 0: no preemption */
    uint64_t slow;             /* ns after which one is warned of; 0: never */
    uint64_t period;           /* ns; the shorter of these, after which the watchdog barks */
    unsigned late_count;       /* `resumes` when it barked */
    uint64_t ran;              /* ns: how long somebody ran then, or since */
    uint64_t late;             /* ns by which the slice is late */
    uint64_t late_since;       /* when the time began that it is late by, and a slice */
    volatile bool warns;       /* one that is slow is to be warned of */
    struct tk_lint *lint;      /* NULL: off */
    bool closely;              /* there is a pump or a lint: more to do at each resumption */
    const void *obstacle;      /* the C function that stood in the way then; `bind`: none */
    atomic_int interrupting;   /* an interrupt is to be raised in what runs */
    struct tk_pump *pump;      /* NULL: nobody pumps with a budget, and there is no limit */
    struct tk_pump quota;      /* counts for the limits where nobody pumps with a budget */
    uint64_t max_time;         /* ns that somebody may run without waiting; 0: any time */
    uint64_t max_count;        /* the same in instructions */
    bool preempts;             /* who is over is preempted, not killed */
    bool by_counting;          /* the clock is looked at in hooks, as there is no watchdog */
    struct tk_stint *stint;    /* of what runs now */
    int outside;               /* calls of tk_outside_begin that are not over */
    lua_State *callback;       /* what runs where no coroutine of ours does */
    volatile unsigned runaway; /* enum tk_runaway, of what runs now; 0: it may run on */
    size_t max_tasklets;       /* that have begun and not ended; 0: any number */
    size_t max_mailbox;        /* the limit of new mailboxes; 0: none */
    struct tk_pool *memory;    /* whose limit holds for scripts alone; NULL: there is none */
    int count_place;           /* of tk_count_left; 0: not looked for */
    int places;                /* of anchors */
    int *vacant;
    int vacancies, room_for_vacant;
    struct tk_name names[TK_NAMES_KEPT];
    const void *attributes[4]; /* of messages: their names, which the table of names keeps */
    int script_error;          /* the anchor of what a script's `arm` raised; 0: none */
    struct tk_body *main_task; /* the host's; NULL: none */
};

static inline struct tk_bind *tk_bind_of(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, lua_upvalueindex(1));

    bind->L = L;
    return bind;
}

/* The same where no function of the module's runs: in a hook, in a callback of somebody else's. */
static inline struct tk_bind *tk_bind_in(lua_State *L)
{
    struct tk_bind *bind;

    lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
    bind = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return bind;
}

/* Pushes one of the binding's tables (or functions). */
static inline void tk_push_table(lua_State *L, const struct tk_bind *bind, int which)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, bind->tables[which]);
}

/* The userdata at `index` if it has this size, so that there is a brand to look at; else NULL. The
 * objects that are used most have a brand, an address of the library's own: to look at the
 * metatable costs three times as much. */
static inline void *tk_to_sized(lua_State *L, int index, size_t size)
{
    void *object = lua_touserdata(L, index);

    return object != NULL && lua_rawlen(L, index) == size ? object : NULL;
}

static inline struct tk_body *tk_current(const struct tk_bind *bind)
{
    struct tk_task *task = bind->sched == NULL ? NULL : bind->sched->current;

    return task == NULL ? NULL : tk_container_of(task, struct tk_body, task);
}

/* module.c */

/* Puts the value on top, popped, in the place of one of the binding's tables. */
RAISES void tk_set_table(lua_State *L, const struct tk_bind *bind, int which);
/* Sets functions as closures over the binding into the table on top. */
RAISES void tk_set_functions(lua_State *L, const luaL_Reg *functions);
/* The scheduler, or an error: the host is closed. */
RAISES struct tk_sched *tk_check_open(lua_State *L, struct tk_bind *bind);

/* capability.c */

/* Raises unless the program has given one of these capabilities, or `any` is 0. What a script could
 * do harm by calls it first, each time. For functions whose first upvalue is the binding. */
RAISES void tk_require_capability(lua_State *L, const struct tk_bind *bind, unsigned any);
/* The metatable on top is that of objects with memory of ours: scripts that ask for it get a copy,
 * so that they cannot take their finalizer away. */
void tk_protect(lua_State *L, const struct tk_bind *bind);
/* Raises unless it has given all there are. */
RAISES void tk_require_all(lua_State *L, const struct tk_bind *bind);
void tk_capability_open(lua_State *L, struct tk_bind *bind);

/* anchor.c */

/* Anchors the value on top and pops it. */
RAISES int tk_anchor(lua_State *L, struct tk_bind *bind);
/* The same, of what is not nil, where the table is at hand: at an absolute index or an upvalue. */
RAISES int tk_anchor_in(lua_State *L, struct tk_bind *bind, int table);
void tk_push_anchored(lua_State *L, struct tk_bind *bind, int anchor);
void tk_unanchor(lua_State *L, struct tk_bind *bind, int anchor);
/* A payload of a firing is an anchor; the same, as a pointer. */
static inline void *tk_payload(int anchor)
{
    return (void *)(intptr_t)anchor;
}
/* Pushes what a payload is and lets go of it. */
void tk_push_payload(lua_State *L, struct tk_bind *bind, void *payload);
void tk_push_payload_in(lua_State *L, struct tk_bind *bind, int table, void *payload);
void tk_anchor_close(struct tk_bind *bind);

/* error.c */

/* Is it, as lua_getinfo has it, one of the library's own Lua files? */
static inline bool tk_is_own_source(const char *source)
{
    return strncmp(source, "=tasklet/", 9) == 0;
}

/* Pushes "file:line: " of the nearest Lua function of a script: the caller, even across a stack of
 * C functions and of the library's own. */
void tk_push_where(lua_State *L, struct tk_bind *bind);
/* Raises a TaskletError with the caller's position. */
RAISES int tk_raise(lua_State *L, const char *format, ...);
/* The same with an error of that class. */
RAISES int tk_raise_state(lua_State *L, const char *name, const char *format, ...);
/* Pushes a TaskletError with the caller's position. */
RAISES void tk_push_state_error(lua_State *L, const char *format, ...);
/* Raises an error of that class: "TimeoutError". The message has no position. */
RAISES int tk_raise_class(lua_State *L, const char *name, const char *message);
/* Pushes an error object of that class with a message. */
RAISES void tk_push_error(lua_State *L, struct tk_bind *bind, const char *name,
                          const char *message);
bool tk_error_is(lua_State *L, int index, struct tk_bind *bind, const char *name);
/* bad argument, as luaL_typeerror has it, but for a field of an options table. */
RAISES int tk_option_error(lua_State *L, int arg, const char *option, const char *expected);
/* Raises the error of a failed call of the core. */
RAISES int tk_raise_fault(lua_State *L, const struct tk_fault *fault);

/* tasklet.c */

/* The tasklet at `index`, or NULL. */
struct tk_body *tk_to_body(lua_State *L, int index, const struct tk_bind *bind);
RAISES struct tk_body *tk_check_body(lua_State *L, int index, const struct tk_bind *bind);
/* Pushes a tasklet that has begun and not ended, or that script code can still reach. */
void tk_push_body(lua_State *L, struct tk_bind *bind, const struct tk_body *body);
/* "name" of a tasklet, pushed. */
RAISES const char *tk_push_name(lua_State *L, struct tk_bind *bind, int index);
void tk_tasklet_open(lua_State *L, struct tk_bind *bind);
/* Pushes the first result, or nil. */
void tk_push_result(lua_State *L, int index, const struct tk_body *body);
/* Pushes the error that it failed with, or nil. */
void tk_push_failure(lua_State *L, int index, const struct tk_body *body);
/* Somebody looks at how it ended: a failure is dealt with. */
void tk_observe(struct tk_bind *bind, struct tk_body *body);
/* A metatable is one of a tasklet if it has the class under this key. */
extern const char tk_class_key;
/* start.c */

/* Is there a body at `index` that can be started: a function or a fresh coroutine? */
bool tk_is_startable(lua_State *L, struct tk_bind *bind, int index);
/*
 * Makes a tasklet of the function or fresh coroutine at `index` with the `nargs` values on top
 * (popped), and pushes it. `metatable` is that of its class; `self`: the tasklet comes first among
 * the arguments. It is TK_NEW, its coroutine ready to be resumed.
 */
RAISES struct tk_body *tk_body_make(lua_State *L, struct tk_bind *bind, int index, int nargs,
                                    int metatable, bool self);
/* Are there as many tasklets as the program allows? */
static inline bool tk_is_full(const struct tk_bind *bind)
{
    return bind->max_tasklets > 0 && bind->sched->begun >= bind->max_tasklets;
}
/* Raises if there are. */
RAISES void tk_check_room(lua_State *L, struct tk_bind *bind);
/* Stack: metatable, function, arguments. Starts a tasklet, which runs up to its first wait; for use
 * as `return tk_start(...)`. */
RAISES int tk_start(lua_State *L, struct tk_bind *bind, bool self);
/* The tasklet at 1 becomes as new. */
void tk_forget(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Pushes the nearest Lua function below the caller that is not the library's own, and its line; or
 * nil and 0, and is false then. */
bool tk_push_starter(lua_State *L);
/* The metamethod __call of a class. Upvalue 2: the metatable of its instances. */
RAISES int tk_class_call(lua_State *L);
/* The metamethod __call of tasklets: t(...). */
RAISES int tk_start_call(lua_State *L);
void tk_start_open(lua_State *L, struct tk_bind *bind);

/* stop.c */

/* Kills the tasklet at `index`: what it waits on is disarmed, and TaskletExit is raised where it
 * stands; it is in the batch then. Held back if it is shielded. */
RAISES void tk_kill(lua_State *L, struct tk_bind *bind, struct tk_body *body, int index);
/* Sends the messages "down" of the tasklet at `index`, which has ended. */
void tk_tell_monitors(lua_State *L, struct tk_bind *bind, int index, const struct tk_body *body);
/* Is one of those alive that are told of the end of the tasklet at `index`? */
bool tk_has_monitors(lua_State *L, struct tk_bind *bind, int index);
/* t:add_join_callback(f, ...); to be called as a closure over the binding. */
int tk_add_join_callback(lua_State *L);
void tk_stop_open(lua_State *L, struct tk_bind *bind);

/* queue.c */

/* The getters of the attributes that say how a tasklet is scheduled. */
extern const luaL_Reg tk_queue_getters[];
/* The setter of an attribute; the value is at 3. */
void tk_set_tempval(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* t:run(): for use as `return tk_queue_run(...)`. */
RAISES int tk_queue_run(lua_State *L, struct tk_bind *bind);
void tk_queue_open(lua_State *L, struct tk_bind *bind);

/* throw.c */

/* Puts the value on top, popped, aside: it is raised in a tasklet that has begun when that goes on,
 * in its turn. */
RAISES void tk_throw_later(lua_State *L, struct tk_bind *bind, struct tk_body *body);
void tk_throw_open(lua_State *L, struct tk_bind *bind);

/* slice.c */

/* In a signal handler of the thread that runs the tasklets: what runs now has had its slice. */
void tk_slice_late(struct tk_bind *bind);
/* Watches for slices and for slow ones, in ns, 0: no more. NULL, or why that cannot be. */
const char *tk_slice_watch(struct tk_bind *bind, uint64_t slice, uint64_t slow);
/* There is a pump or a lint, or there is no more. */
static inline void tk_look_closely(struct tk_bind *bind)
{
    bind->closely = bind->pump != NULL || bind->lint != NULL;
}
/* A coroutine is about to be resumed, and somebody pumps with a budget. */
void tk_pump_watch(struct tk_bind *bind, lua_State *co);
/* Another one is about to be, or it has ended or given way: what it has done is counted. */
void tk_pump_count(struct tk_bind *bind, lua_State *co);
/* A hook that raises what is to be raised in the current tasklet. */
void tk_raise_hook(lua_State *L, lua_Debug *ar);
void tk_slice_open(lua_State *L, struct tk_bind *bind);

/* runaway.c */

/* What runs is to run no further; in a hook, a signal handler, or a C function that a script has
 * called. */
void tk_runaway_tell(struct tk_bind *bind, enum tk_runaway why);
/* In a hook: makes it give way for good, or raises. */
RAISES void tk_runaway_stop(lua_State *L, struct tk_bind *bind);
/* A coroutine is about to run instead, or again. */
void tk_runaway_watch(struct tk_bind *bind, lua_State *co);
/* What ran before goes on, unless the program has ended meanwhile. */
static inline void tk_runaway_resume(struct tk_bind *bind)
{
    if ((bind->halt & (HALT_EXIT | HALT_FREE)) != 0 && bind->running != NULL) {
        tk_runaway_tell(bind, TK_HALTED);
    }
}
/* A tasklet has given way. True: for good, and it has ended. */
bool tk_runaway_caught(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Sets the limits; the binding's userdata is on top. NULL, or why it cannot be. */
RAISES const char *tk_runaway_limit(lua_State *L, struct tk_bind *bind, uint64_t max_time,
                                    uint64_t max_count, bool preempts, bool by_counting);

/* Where one runs others nested, or has the watchdog begin anew, its own time goes on: before that,
 * and after it. */
void tk_stint_begin(struct tk_bind *bind);
void tk_stint_look(struct tk_bind *bind);

/* Script code is called on L from outside any tasklet: it has limits of its own. */
struct tk_outside {
    lua_State *L, *running, *callback;
    struct tk_task *current;
    unsigned runaway;
    uint64_t used;
    bool exempt;
    struct tk_stint stint, *outer;
};
void tk_outside_begin(lua_State *L, struct tk_bind *bind, struct tk_outside *outside);
void tk_outside_end(lua_State *L, struct tk_bind *bind, const struct tk_outside *outside);
/* lua_resetthread, under the limits of who asks for it. */
int tk_close_thread(lua_State *L, struct tk_bind *bind, lua_State *co);

/* report.c */

/* A warning of the library's own. */
void tk_warn(lua_State *L, struct tk_bind *bind, const char *text);

/* Pushes the traceback of L from `level` on. */
void tk_push_trace(lua_State *L, int level);
/* The same of another coroutine. */
void tk_push_trace_of(lua_State *L, lua_State *co, int level);

/* Pushes the error at `index` as text, in lua.c's words where it is no string. */
const char *tk_push_text(lua_State *L, int index);
/* Pushes the value at `index` as tostring shows it; a method __tostring that fails does no harm. */
const char *tk_push_shown(lua_State *L, int index);

void tk_report_open(lua_State *L, struct tk_bind *bind);

/* explain.c */

/* The clock has been looked at: the number of who runs, or ran last. */
uint32_t tk_looked(struct tk_bind *bind);
/* The attribute `waiting_for` of the tasklet at 1. */
int tk_get_waiting_for(lua_State *L);
void tk_explain_open(lua_State *L, struct tk_bind *bind);

/* lint.c */

/* Has the Lua part warn of a tasklet: "slow", "itself"; `n` goes into the text. */
void tk_lint_tell(lua_State *L, struct tk_bind *bind, const struct tk_body *body, const char *what,
                  lua_Integer n);
/* It is on, and a tasklet is about to be resumed. */
void tk_lint_resume(struct tk_bind *bind, const struct tk_body *body);
/* A turn of the loop is over. True: it is to turn again soon, for there is something to look at. */
bool tk_lint_turn(struct tk_bind *bind);
void tk_lint_close(struct tk_bind *bind);
void tk_lint_open(lua_State *L, struct tk_bind *bind);

/* end.c */

/* If the tasklet at `index` is a member of a scope: it is no more. */
void tk_leave_scope(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body);

/* If the tasklet at `index` has started child processes: they end with it. */
void tk_end_children(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body);

/* Tells those who are to be told that the tasklet at `index` has ended: its join callbacks,
 * monitors and scope; each once. */
void tk_tell_end(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body);
/* Tells of the ends that are to be told. */
void tk_tell_ends(lua_State *L, struct tk_bind *bind);

/* The coroutine is over: `count` values are on its stack, or one error on L's if it has none. */
void tk_finish(lua_State *L, struct tk_bind *bind, struct tk_body *body, int count, bool sound);

/* run.c */

/* Pushes "file:line" where a tasklet that has a coroutine was started. False: nothing is known. */
bool tk_push_origin(lua_State *L, const struct tk_body *body);
/* Pushes the error object of a kill or a deadline. */
void tk_push_stop(lua_State *L, struct tk_bind *bind, enum tk_raise raise);
/* Runs the batch before it returns, though the caller cannot give way. */
RAISES void tk_run_nested(lua_State *L, struct tk_bind *bind);

/* Collects garbage if the limit of memory presses. Scripts' finalizers may run. */
void tk_make_room(lua_State *L, struct tk_bind *bind);
/* Resumes all that the scheduler gives. */
void tk_drive(struct tk_bind *bind);
/* The same where others come to run than those who were just woken: all ends are told before. */
void tk_drive_turn(struct tk_bind *bind);
/*
 * Lets the batch run, then goes on with `k`: by giving way where the caller can, else nested. For
 * use as `return tk_hand_over(...)`.
 */
RAISES int tk_hand_over(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context);
/* The function on top, popped, that stops a wait at L: for a comparison. */
const void *tk_obstacle(lua_State *L, const struct tk_bind *bind);
/* Replaces the function on top by its name in a loaded module, "table.sort"; or just pops it. */
bool tk_push_global_name(lua_State *L);
/* Can the function that runs on L be suspended together with its tasklet? */
bool tk_can_give_way(lua_State *L, const struct tk_bind *bind);
/* The current tasklet gives way, to go on with `k`; its state is set by then. */
RAISES int tk_give_way(lua_State *L, struct tk_bind *bind, lua_KFunction k, lua_KContext context);
/* Drops what the tasklet at 1, which is paused, was doing, and closes its variables; it is TK_NEW
 * then, unless one of those has started it. */
RAISES void tk_abandon(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Raises an error if the caller cannot wait; names the C function in the way. Raises a pending
 * kill. */
RAISES struct tk_body *tk_check_wait(lua_State *L, struct tk_bind *bind);
/* Would tk_check_wait and tk_check_trap let it pass? */
bool tk_may_wait(lua_State *L, struct tk_bind *bind);
/* Raises if the tasklet is not to block. */
static inline void tk_check_trap(lua_State *L, const struct tk_body *body)
{
    if (body->block_trap) {
        tk_raise(L, "the tasklet would block, and its block_trap is set");
    }
}
/* Would a wait raise a kill or a deadline? The clock says so, even if the loop has not turned. */
static inline bool tk_is_stopped(struct tk_bind *bind, struct tk_body *body)
{
    if (body->task.limit != NULL && bind->sched != NULL) {
        tk_limit_look(bind->sched, &body->task, bind->hooks->now(bind->context));
    }
    return body->task.stopped;
}
/* Raises a kill or a deadline that is pending. */
RAISES void tk_check_stopped(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* For continuations: raises what is to be raised. */
RAISES void tk_check_raise(lua_State *L, struct tk_bind *bind);
/* Forgets the error that was put aside; something else is raised. */
void tk_drop_given(lua_State *L, struct tk_bind *bind, const struct tk_body *body);
/* Forgets an error that was to be raised. */
void tk_drop_raise(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Puts the error on top of the stack, popped, aside to be raised when a tasklet goes on. */
RAISES void tk_put_raise(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Raises the error on top of the stack in a tasklet, at once: it is in the batch then. */
RAISES void tk_throw(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Ends a tasklet whose body has not run, with the error on top of the stack (popped). It is at
 * `index`; 0: it is anchored. */
void tk_end_unbegun(lua_State *L, struct tk_bind *bind, struct tk_body *body, int index);
/* Calls the join callbacks of the tasklet at `index`. */
void tk_call_callbacks(lua_State *L, struct tk_bind *bind, int index, struct tk_body *body);
void tk_run_open(lua_State *L, struct tk_bind *bind);
/* There is not even the memory to say what is wrong. */
static inline void tk_report_no_memory(struct tk_bind *bind)
{
    bind->hooks->error(bind->context, "not enough memory");
}
/* Reports failures that nobody has dealt with by the end of a turn. */
void tk_report(struct tk_bind *bind);
/* A run is over: failures that nobody has looked at count no more. */
void tk_forget_failures(struct tk_bind *bind);
/* The outcome of a tasklet is about to be forgotten: if it is a failure that nobody has dealt with,
 * it is reported now unless it was, and counts for good. */
void tk_report_now(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Reports the error on top of L's stack, with a traceback if it is a string; pops it. */
void tk_report_error(lua_State *L, struct tk_bind *bind, const char *where);
/* Closes every unfinished tasklet's coroutine. No scheduling any more. */
void tk_close_all(struct tk_bind *bind);
/* Calls a function with `nargs` arguments on top, from outside any tasklet; errors are reported. */
int tk_call_guarded(lua_State *L, struct tk_bind *bind, int nargs, int nresults, const char *where);
/* A message handler for lua_pcall: adds a traceback to a string. */
int tk_traceback(lua_State *L);

/* census.c */

/* Notes where the message on top is made. */
RAISES void tk_note_place(lua_State *L, struct tk_bind *bind);
/* Notes where the object on top, which has `fileno` and `close`, is made. */
RAISES void tk_note_made(lua_State *L, struct tk_bind *bind);
/* Notes that a message of that name was given to a tasklet. */
RAISES void tk_note_sent(lua_State *L, struct tk_bind *bind, const struct tk_body *dest,
                         const struct tk_atom *name);
void tk_census_open(lua_State *L, struct tk_bind *bind);

/* locals.c */
/* A tasklet is being made by one that has, or inherits, locals. */
RAISES void tk_inherit_locals(lua_State *L, struct tk_bind *bind, struct tk_body *from,
                              struct tk_body *to);
void tk_locals_open(lua_State *L, struct tk_bind *bind);

/* wait.c */
void tk_wait_open(lua_State *L, struct tk_bind *bind);
/* What a stock coroutine.yield of a tasklet's body yielded is on its stack. */
void tk_stock_yield(struct tk_bind *bind, struct tk_body *body);
/* Before a body that yielded so is resumed: its event becomes the unread one. False: nothing fired.
 */
void tk_stock_event(struct tk_bind *bind, struct tk_body *body);

/* condition.c */

/* The condition at `index`, or NULL. */
struct tk_wait *tk_to_wait(lua_State *L, int index, struct tk_bind *bind);
RAISES void tk_condition_open(lua_State *L, struct tk_bind *bind);
/* Makes the constructor of a kind a function of the module. `kind` lives as long as the value on
 * top, popped, which it keeps. */
RAISES void tk_condition_add(lua_State *L, struct tk_bind *bind, const struct tk_kind *kind);
/* The binding is about to go: its class may be collected. */
void tk_condition_forget(lua_State *L, const struct tk_kind *kind);
/* Pushes a new WaitForTasklet for the tasklet at `index`. */
RAISES struct tk_wait *tk_push_ended(lua_State *L, struct tk_bind *bind, int index);
/* Sets the script value of the condition at `index` that a firing's payload is. */
void tk_set_payload(lua_State *L, struct tk_bind *bind, int index, struct tk_wait *wait,
                    void *payload);

/* Pushes the metatable of a kind's objects; on top lies the table of their methods, which stays. */
RAISES void tk_condition_class(lua_State *L, struct tk_bind *bind, const struct tk_kind *kind);

/* script.c */
void tk_script_open(lua_State *L, struct tk_bind *bind);
/* The object at 1, a condition written in Lua, is about to be finished by the collector. */
void tk_script_remember(lua_State *L, struct tk_bind *bind, struct tk_wait *wait);
/* If an error of a script's `arm` is at hand: pushes it. */
bool tk_script_error(lua_State *L, struct tk_bind *bind);

/* message.c */
bool tk_is_message(lua_State *L, int index, const struct tk_bind *bind);
/* Sends the message at `index` from the current tasklet, which goes on when those who are woken
 * have run, or when there is room for it. For use as `return tk_message_send(...)`. */
RAISES int tk_message_send(lua_State *L, struct tk_bind *bind, int index, struct tk_body *sender);
/* The same for one that is suspended in Lua's own yield. It is TK_BLOCKED afterwards if it waits
 * for room; then tk_message_posted is called before it goes on, which raises if the receiver has
 * ended. */
RAISES void tk_message_post(lua_State *L, struct tk_bind *bind, int index, struct tk_body *sender);
RAISES void tk_message_posted(lua_State *L, struct tk_bind *bind, struct tk_body *sender);
/* Gives the message at 2 to `dest`, from outside any tasklet; for use as `return`. */
RAISES int tk_message_give(lua_State *L, struct tk_bind *bind, struct tk_body *dest);
/* Sends a message of the library's own with the value on top, popped, which does not wait for room.
 */
void tk_message_notify(lua_State *L, struct tk_bind *bind, struct tk_body *dest,
                       struct tk_atom *name);
/* Sends a message of the program's, whose name and value are on top, popped, to `dest`, which has
 * not ended, as tk_mail_post does; -1: it has ended meanwhile. `serial`: its number, if an answer
 * is wanted; 0: none is. */
RAISES int tk_message_come(lua_State *L, struct tk_bind *bind, struct tk_body *dest,
                           struct tk_room *room, uint64_t serial);
void tk_message_open(lua_State *L, struct tk_bind *bind);
void tk_message_close(struct tk_bind *bind);

/* mailbox.c */

/* The attribute `mailbox` of the tasklet at 1. */
int tk_get_mailbox(lua_State *L);
void tk_mailbox_open(lua_State *L, struct tk_bind *bind);

/* verb.c */

/* Memory for a wait of a verb's of the current tasklet. It goes back by tk_verb_done, once the wait
 * is among the verb's. */
RAISES struct tk_wait *tk_verb_take(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Waits that verbs of the current tasklet use; freed by tk_verb_done. */
RAISES struct tk_wait *tk_verb_wait(lua_State *L, struct tk_bind *bind, struct tk_body *body,
                                    const struct tk_kind *kind, const struct tk_arg *arg);
/* The same for a kind with several arguments; all that its `init` reads. */
RAISES struct tk_wait *tk_verb_wait_args(lua_State *L, struct tk_bind *bind, struct tk_body *body,
                                         const struct tk_kind *kind, const struct tk_arg *args);
void tk_verb_done(struct tk_bind *bind, struct tk_body *body);
/* That of the verb's waits which is of that kind; NULL: there is none. */
static inline struct tk_wait *tk_verb_of(const struct tk_body *body, const struct tk_kind *kind)
{
    struct tk_wait *wait = body->task.verbs;

    while (wait != NULL && wait->kind != kind) {
        wait = wait->as.next;
    }
    return wait;
}
/* The seconds that are left of the deadline that the tasklet at `index` has for its verbs; -1:
 * none.
 */
lua_Number tk_seconds_left(lua_State *L, struct tk_bind *bind, int index);
/* A verb's argument of seconds: negative is for ever (-1); absent is what is left of the deadline
 * of the current tasklet, if it has one, else for ever. */
RAISES lua_Number tk_check_timeout(lua_State *L, struct tk_bind *bind, int arg);
/* Frees the pool of waits. */
void tk_verb_close(struct tk_bind *bind);
void tk_verb_open(lua_State *L, struct tk_bind *bind);

/* channel.c */

/* The channel at `index`, or NULL. */
struct tk_channel *tk_to_channel(lua_State *L, int index, const struct tk_bind *bind);
/* The tasklet has begun to wait for a list with offers in it, and no event is there: it acts on a
 * channel, or its offers stand. */
void tk_channel_wait(lua_State *L, struct tk_bind *bind, struct tk_body *body);
/* Pushes who stands next to a tasklet that waits on a channel, or nil. */
void tk_push_channel_neighbour(lua_State *L, struct tk_bind *bind, const struct tk_body *body,
                               bool next);
void tk_channel_open(lua_State *L, struct tk_bind *bind);

/* emitter.c */
struct tk_source *tk_to_source(lua_State *L, int index, const struct tk_bind *bind);
void tk_emitter_open(lua_State *L, struct tk_bind *bind, struct tk_source *signals);

/* fs.c */
void tk_fs_open(lua_State *L, struct tk_bind *bind);

/* require.c */
void tk_require_open(lua_State *L, struct tk_bind *bind);

/* count.c */

/* Where tk_count_left finds what it reads; -1: nowhere. */
int tk_count_place(void);
/* How many instructions are left before the hook of a coroutine is called. */
int tk_count_left(lua_State *co, int place);

/* coroutine.c */
/* A coroutine is a tasklet's, or waits with one: scripts cannot resume or close it. */
void tk_own_coroutine(lua_State *L, struct tk_bind *bind, lua_State *co, bool owned);
bool tk_is_owned(lua_State *L, struct tk_bind *bind, lua_State *co);
/* The coroutine that another one has resumed and that has not come back; NULL: none. */
lua_State *tk_inner_coroutine(lua_State *co);
void tk_coroutine_open(lua_State *L, struct tk_bind *bind);

#endif
