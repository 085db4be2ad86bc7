/*
 * A wait condition, and the row that describes a kind of them.
 *
 * A kind is one constant row: its name, parameters, fields and what to do when it is armed and
 * disarmed. All else - the constructor, argument checks, `tostring`, reports - is made from the
 * row, so that a new kind is one file.
 *
 * A wait is held by at most one tasklet. While held it is either armed (it will fire), or spent (it
 * has fired, and is armed again when it is yielded again). Firings are kept with the tasklet until
 * they are delivered.
 */
#ifndef TK_CORE_WAIT_H
#define TK_CORE_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/fault.h"

struct tk_task;
struct tk_sched;
struct tk_atom;
struct tk_source;
struct tk_channel;
struct tk_stream;
struct tk_gate;
struct tk_wait;

enum tk_priority {
    TK_PRIORITY_HIGH = -100,
    TK_PRIORITY_DEFAULT = 0,
    TK_PRIORITY_HIGH_IDLE = 100,
    TK_PRIORITY_DEFAULT_IDLE = 200,
    TK_PRIORITY_LOW = 300,
};

enum tk_type {
    TK_END,     /* ends a table of parameters or fields */
    TK_NUMBER,  /* a finite number */
    TK_INTEGER, /* fits in 64 bits */
    TK_BOOLEAN,
    TK_STRING,  /* borrowed for the call; static when a field gives it */
    TK_NAMES,   /* a name or a list of names, as atoms */
    TK_FILE,    /* a descriptor, or a script's object that has one, which is kept with the wait */
    TK_TASK,    /* a tasklet, kept with the wait */
    TK_SOURCE,  /* an emitter of signals, or a class of them, kept with the wait */
    TK_CHANNEL, /* a channel, kept with the wait */
    TK_STREAM,  /* a stream, kept with the wait */
    TK_LIST,    /* a field: as TK_VALUE, an empty list where there is none */
    TK_VALUE,   /* any value of the script; the core never sees it, `keep` says where it lies, and
                 * an argument's `integer` is its place on the stack of whoever calls init */
    TK_RESULT,  /* a field: the first result of the tasklet that `target` gives */
    TK_ERROR,   /* a field: the error of that tasklet */
};

struct tk_param {
    const char *name;
    enum tk_type type;
    bool option;   /* in the trailing table, by name; else by position */
    bool optional; /* may be absent; options always may */
    uint8_t keep;  /* which of the wait's script values keeps it, from 1; 0: none */
};

struct tk_names {
    struct tk_atom **atom; /* borrowed for the call */
    size_t count;
};

struct tk_arg {
    bool given;
    union {
        double number;
        int64_t integer;
        bool boolean;
        struct {
            const char *string;
            size_t length;
        };
        struct tk_names names;
        int file;
        struct tk_task *task;
        struct tk_source *source;
        struct tk_channel *channel;
        struct tk_stream *stream;
        struct tk_gate *gate;
    } as;
};

struct tk_field {
    const char *name;
    enum tk_type type;
    uint8_t keep;      /* TK_VALUE, TK_LIST: which script value */
    uint8_t item;      /* of which this element is meant; 0: the whole */
    uint8_t otherwise; /* the script value to give when there is none; 0: nil */
    bool writable;     /* TK_VALUE only */
    /* Fills `arg`; given = false makes it nil. For LIST, VALUE, RESULT and ERROR that is all that
     * it says; NULL: it is given. */
    void (*get)(const struct tk_wait *wait, struct tk_arg *arg);
};

enum tk_kind_flags {
    TK_OUTSIDE = 1,   /* the world outside may fire it */
    TK_REPEATS = 2,   /* every firing is kept, not only the first until it is delivered */
    TK_KEEPS = 4,     /* firings are kept when no tasklet holds it, too */
    TK_STANDS = 8,    /* stays armed when it has fired */
    TK_MAIL = 16,     /* judges messages; see core/mailbox.h */
    TK_HIDDEN = 32,   /* has no constructor in scripts */
    TK_CALLED = 64,   /* a script fires it by calling it */
    TK_LIGHT = 256,   /* once it has fired nothing refers to it */
    TK_SCRIPT = 128,  /* written in the script's language */
    TK_OFFERS = 512,  /* stands on a channel; see core/channel.h */
    TK_METHOD = 1024, /* its constructor is a method of what its first parameter is */
};

/* The script value of a wait that is offered on a channel, or was received. */
enum { TK_OFFERED = 2 };

struct tk_kind {
    const char *name;              /* of the constructor: "WaitForTimeout" */
    const char *brief;             /* one sentence */
    const struct tk_param *params; /* NULL: none; the option `priority` is common to all */
    const struct tk_field *fields; /* NULL: none; so is the field `triggered` */
    size_t size;                   /* of the struct that begins with a struct tk_wait */
    uint8_t values;                /* how many script values are kept with it */
    uint8_t payload; /* which of them holds what a firing carried; 0: firings carry nothing */
    unsigned flags;
    unsigned needs;   /* enum tk_needs: one of these; 0: nothing */
    int32_t priority; /* unless the option says otherwise */

    /* Takes over the arguments; the struct is zeroed but for the head. Does not arm. */
    int (*init)(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault);
    /* Makes it fire from now on; may fire before it returns. On failure nothing is armed. NULL:
     * there is nothing to do, nor, usually, to undo. */
    int (*arm)(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault);
    /* It fired and is yielded again. NULL: as arm. */
    int (*rearm)(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault);
    /* It is armed and is yielded again: is its target still there? NULL: it always is. */
    int (*verify)(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault);
    /* Undoes arm; never fails. Called for a wait that has fired, too. NULL: nothing. */
    void (*disarm)(struct tk_wait *wait, struct tk_sched *sched);
    /* Lets go of what init took; without a scheduler its atoms are gone. NULL: nothing. */
    void (*finish)(struct tk_wait *wait, struct tk_sched *sched);
    /* What it waits for, in a few words, into `text`. NULL: nothing to add to the name. */
    void (*describe)(const struct tk_wait *wait, char *text, size_t size);
    /* As the wait of a verb: the verb and what that waits for, "join: the end of", into `text`; the
     * target follows, if there is one. Empty: nothing that is worth saying. NULL: no verb has it.
     */
    void (*phrase)(const struct tk_wait *wait, char *text, size_t size);
    /* The tasklet that it waits for. NULL: none. */
    struct tk_task *(*target)(const struct tk_wait *wait);
    /* Begins to count anew, if armed. NULL: the kind cannot. */
    void (*restart)(struct tk_wait *wait, struct tk_sched *sched);
    /* It fires and no tasklet holds it: one that the library itself waits with. NULL: that means
     * nothing. */
    void (*fired)(struct tk_wait *wait, struct tk_sched *sched);
};

/* What a script must have been given to make one; see enum tk_capability. */
enum tk_needs { TK_NEEDS_FILES = 1, TK_NEEDS_PROCESSES = 2, TK_NEEDS_NETWORK = 4 };

enum tk_wait_flags {
    TK_ARMED = 1,
    TK_VERB = 2,    /* private to a blocking verb */
    TK_MARKED = 4,  /* scratch of one yield */
    TK_CURRENT = 8, /* its tasklet handles it: `triggered` */
    TK_LAST = 16,   /* was let go of when it had fired: may be a task's `last` */
    TK_LENT = 32,   /* a verb's that is not in memory of the verb's */
};

struct tk_wait {
    const struct tk_kind *kind;
    struct tk_task *task; /* who holds it; NULL: nobody */
    union {
        struct tk_wait *next;   /* while held: in the wait list */
        struct tk_firing *kept; /* else, TK_KEEPS: the last of what fired meanwhile, a ring */
    } as;
    int32_t priority;
    uint32_t index;   /* its place in the yield, from 1, so that the binding finds the object */
    uint32_t pending; /* firings not delivered */
    uint32_t flags;
};

/* One firing. They come from a pool of the scheduler. */
struct tk_firing {
    struct tk_firing *next;
    struct tk_wait *wait;
    void *payload; /* owned by the firing; NULL: none */
};

/* Makes `wait`, whose memory has kind->size bytes, an unarmed wait of that kind. */
int tk_wait_init(struct tk_wait *wait, const struct tk_kind *kind, struct tk_sched *sched,
                 const struct tk_arg *args, struct tk_fault *fault);

/*
 * Disarms it, takes it out of the list of whoever holds it and drops its firings. Idempotent.
 * `sched` is NULL when the scheduler has gone already: then nobody holds it.
 */
void tk_wait_finish(struct tk_wait *wait, struct tk_sched *sched);

/*
 * It fires. Delivered from the loop: the tasklet goes into the run queue at the wait's priority.
 * `payload` goes over to the firing. A firing of a wait that nobody holds is dropped, unless the
 * kind keeps them.
 */
void tk_wait_fire(struct tk_wait *wait, struct tk_sched *sched, void *payload);

/* Makes sure that there is memory for the next firing. */
bool tk_wait_provide(struct tk_sched *sched);

/*
 * It fires by the hand of a script: if its tasklet waits for it, that is put at the end of the
 * scheduler's batch, to be run by tk_sched_hand_over. 0; or TK_ENOMEM, and `payload` is still the
 * caller's.
 */
int tk_wait_fire_now(struct tk_wait *wait, struct tk_sched *sched, void *payload);

/* Forgets firings that have not been delivered. */
void tk_wait_forget(struct tk_wait *wait, struct tk_sched *sched);

/* "WaitForTimeout(100 ms)". */
void tk_wait_describe(const struct tk_wait *wait, char *text, size_t size);

#endif
