/*
 * Lists: circular, doubly linked, intrusive. A list is a node of its own, the head; its members are
 * nodes embedded in what they link. Nothing here allocates or owns.
 *
 * A head is set up with tk_list_init and must not move in memory while it has members. A member
 * needs no setting up beyond being zeroed: zeroed means not linked, and removal leaves it so.
 */
#ifndef TK_CORE_LIST_H
#define TK_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct tk_list {
    struct tk_list *prev;
    struct tk_list *next;
};

/* The struct around a member. */
#define tk_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void tk_list_init(struct tk_list *list)
{
    list->prev = list;
    list->next = list;
}

static inline bool tk_list_empty(const struct tk_list *list)
{
    return list->next == list;
}

/* Whether a member is in a list. */
static inline bool tk_list_linked(const struct tk_list *node)
{
    return node->next != NULL;
}

/* Links a node in front of another, which may be the head: then it becomes the last. */
static inline void tk_list_insert_before(struct tk_list *where, struct tk_list *node)
{
    node->prev = where->prev;
    node->next = where;
    where->prev->next = node;
    where->prev = node;
}

/* Adds a node that is in no list as the last. */
static inline void tk_list_push(struct tk_list *list, struct tk_list *node)
{
    tk_list_insert_before(list, node);
}

/* Adds a node that is in no list as the first. */
static inline void tk_list_push_front(struct tk_list *list, struct tk_list *node)
{
    tk_list_insert_before(list->next, node);
}

/* Takes a node out of its list; nothing happens to one that is in none. */
static inline void tk_list_remove(struct tk_list *node)
{
    if (node->next == NULL) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = NULL;
    node->next = NULL;
}

/* The first member, NULL if there is none. */
static inline struct tk_list *tk_list_first(const struct tk_list *list)
{
    return list->next == list ? NULL : list->next;
}

/* Moves all members of `source`, in their order, behind those of `list`. */
static inline void tk_list_splice(struct tk_list *list, struct tk_list *source)
{
    if (source->next == source) {
        return;
    }
    source->next->prev = list->prev;
    source->prev->next = list;
    list->prev->next = source->next;
    list->prev = source->prev;
    tk_list_init(source);
}

/*
 * A ring: a list without a head, known by its first member; NULL is the empty one. It costs one
 * pointer where it is mostly empty.
 */
static inline void tk_ring_push(struct tk_list **ring, struct tk_list *node)
{
    if (*ring == NULL) {
        tk_list_init(node);
        *ring = node;
    } else {
        tk_list_insert_before(*ring, node);
    }
}

/* Takes a node, which is in this ring, out of it. */
static inline void tk_ring_remove(struct tk_list **ring, struct tk_list *node)
{
    if (node->next == node) {
        *ring = NULL;
    } else if (*ring == node) {
        *ring = node->next;
    }
    tk_list_remove(node);
}

#endif
