/* The tree of tasklets: see tree.h. It owns nothing; both ends take themselves out when they end.
 */
#include "core/tree.h"

void tk_tree_join(struct tk_task *parent, struct tk_task *child)
{
    child->parent = parent;
    tk_ring_push(&parent->children, &child->sibling);
}

void tk_tree_orphan(struct tk_task *child)
{
    if (child->parent != NULL) {
        tk_ring_remove(&child->parent->children, &child->sibling);
        child->parent = NULL;
    }
}

void tk_tree_leave(struct tk_task *task)
{
    tk_tree_orphan(task);
    while (task->children != NULL) {
        tk_tree_orphan(tk_tree_first(task));
    }
}

struct tk_task *tk_tree_first(const struct tk_task *parent)
{
    return parent->children == NULL ? NULL
                                    : tk_container_of(parent->children, struct tk_task, sibling);
}

struct tk_task *tk_tree_next(const struct tk_task *child)
{
    struct tk_list *next = child->sibling.next;

    return next == child->parent->children ? NULL : tk_container_of(next, struct tk_task, sibling);
}
