/* Sources of signals: see source.h. A source owns its topics, a topic its list's head; waits belong
 * to scripts. */
#include "core/source.h"

#include <stdlib.h>
#include <string.h>

void tk_source_init(struct tk_source *source, struct tk_source *parent)
{
    memset(source, 0, sizeof *source);
    source->parent = parent;
}

struct tk_topic *tk_source_declare(struct tk_source *source, struct tk_sched *sched,
                                   const char *name, size_t length)
{
    struct tk_atom *atom = tk_atom_take(&sched->atoms, name, length);
    struct tk_topic *topic;

    if (atom == NULL) {
        return NULL;
    }
    topic = tk_map_get(&source->topics, (uintptr_t)atom);
    if (topic != NULL) {
        tk_atom_drop(&sched->atoms, atom);
        return topic;
    }
    topic = calloc(1, sizeof *topic);
    if (topic == NULL || tk_map_set(&source->topics, (uintptr_t)atom, topic) < 0) {
        free(topic);
        tk_atom_drop(&sched->atoms, atom);
        return NULL;
    }
    topic->name = atom;
    topic->source = source;
    tk_list_init(&topic->waits);
    return topic;
}

static struct tk_topic *topic_of(struct tk_source *source, const struct tk_atom *atom)
{
    struct tk_topic *topic = NULL;

    while (source != NULL && topic == NULL) {
        topic = tk_map_get(&source->topics, (uintptr_t)atom);
        source = source->parent;
    }
    return topic;
}

struct tk_topic *tk_source_topic(struct tk_source *source, const struct tk_sched *sched,
                                 const char *name, size_t length)
{
    struct tk_atom *atom = tk_atom_find(&sched->atoms, name, length);

    return atom == NULL ? NULL : topic_of(source, atom);
}

static void tell(struct tk_topic *topic, struct tk_sched *sched, void *payload)
{
    struct tk_list *node, *next;

    for (node = topic->waits.next; node != &topic->waits; node = next) {
        struct tk_signal_wait *wait = tk_container_of(node, struct tk_signal_wait, node);

        next = node->next;
        void *own = payload == NULL ? NULL : sched->hooks->share(sched->context, payload);

        if (tk_wait_fire_now(&wait->wait, sched, own) < 0 && own != NULL) {
            sched->hooks->drop(sched->context, own);
        }
    }
}

int tk_source_emit(struct tk_source *source, struct tk_sched *sched, const char *name,
                   size_t length, void *payload)
{
    struct tk_atom *atom = tk_atom_find(&sched->atoms, name, length);
    int rc = 0;

    if (source->destroyed || atom == NULL || topic_of(source, atom) == NULL) {
        rc = TK_EINVAL;
    }
    for (; rc == 0 && source != NULL; source = source->parent) {
        struct tk_topic *topic = tk_map_get(&source->topics, (uintptr_t)atom);

        if (topic != NULL) {
            tell(topic, sched, payload);
        }
    }
    if (payload != NULL) {
        sched->hooks->drop(sched->context, payload);
    }
    return rc;
}

void tk_source_destroy(struct tk_source *source, struct tk_sched *sched)
{
    struct tk_topic *topic;
    size_t cursor = 0;

    if (source->destroyed) {
        return;
    }
    source->destroyed = true;
    while ((topic = tk_map_next(&source->topics, &cursor)) != NULL) {
        for (struct tk_list *n = topic->waits.next; n != &topic->waits; n = n->next) {
            tk_container_of(n, struct tk_signal_wait, node)->destroyed = true;
        }
        tell(topic, sched, NULL);
    }
}

void tk_source_finish(struct tk_source *source, struct tk_sched *sched)
{
    struct tk_topic *topic;
    size_t cursor = 0;

    while ((topic = tk_map_next(&source->topics, &cursor)) != NULL) {
        if (source->listen != NULL && !tk_list_empty(&topic->waits)) {
            source->listen(source, topic, false, NULL);
        }
        while (!tk_list_empty(&topic->waits)) {
            struct tk_list *node = tk_list_first(&topic->waits);

            tk_list_remove(node);
            tk_container_of(node, struct tk_signal_wait, node)->topic = NULL;
        }
        if (sched != NULL) {
            tk_atom_drop(&sched->atoms, topic->name);
        }
        free(topic);
    }
    tk_map_finish(&source->topics);
}
