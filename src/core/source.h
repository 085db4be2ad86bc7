/*
 * Sources of signals: what a script's emitter is inside. A source has declared topics, by name;
 * waits stand in a topic's list while they are armed. A source may have a class, itself a source,
 * whose waits hear it too.
 */
#ifndef TK_CORE_SOURCE_H
#define TK_CORE_SOURCE_H

#include "core/map.h"
#include "core/sched.h"

struct tk_topic {
    struct tk_atom *name;
    struct tk_list waits; /* struct tk_signal_wait.node */
    struct tk_source *source;
    int number; /* the owner's own use */
};

struct tk_source {
    struct tk_source *parent; /* its class; borrowed, must outlive it */
    struct tk_map topics;     /* by atom */
    bool destroyed;
    /* The first wait came (true) or the last one went. NULL: nobody cares. A failure is for `true`
     * only. */
    int (*listen)(struct tk_source *source, struct tk_topic *topic, bool on,
                  struct tk_fault *fault);
};

/* A wait for a topic: WaitForSignal. */
struct tk_signal_wait {
    struct tk_wait wait;
    struct tk_list node;
    struct tk_topic *topic;
    bool destroyed; /* the source went */
};

void tk_source_init(struct tk_source *source, struct tk_source *parent);

/* Declares a topic, held once. The one that is there already if it was declared before. NULL: no
 * memory. */
struct tk_topic *tk_source_declare(struct tk_source *source, struct tk_sched *sched,
                                   const char *name, size_t length);

/* The topic of that name, of the source or of its classes; NULL: none. */
struct tk_topic *tk_source_topic(struct tk_source *source, const struct tk_sched *sched,
                                 const char *name, size_t length);

/*
 * Tells every wait for `name`, on the source or on its classes, by hand: those whose tasks wait are
 * in the batch. `payload` is shared out and then dropped. 0, TK_EINVAL if the name is not declared
 * or the source is destroyed.
 */
int tk_source_emit(struct tk_source *source, struct tk_sched *sched, const char *name,
                   size_t length, void *payload);

/* Everybody who waits for it hears of its end; nothing can be waited for any more. Idempotent. */
void tk_source_destroy(struct tk_source *source, struct tk_sched *sched);

/* Frees its topics. Waits that are still armed are cut off and never fire. */
void tk_source_finish(struct tk_source *source, struct tk_sched *sched);

#endif
