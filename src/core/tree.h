/*
 * The tree of tasklets: who made whom. A task is the child of the one that made it until one of the
 * two has ended; a daemon is nobody's child.
 */
#ifndef TK_CORE_TREE_H
#define TK_CORE_TREE_H

#include "core/task.h"

/* Makes `child`, which has no parent, the last of the parent's children. */
void tk_tree_join(struct tk_task *parent, struct tk_task *child);

/* It has no parent any more. Nothing happens if it has none. */
void tk_tree_orphan(struct tk_task *child);

/* It leaves the tree: has neither parent nor children any more. */
void tk_tree_leave(struct tk_task *task);

/* The first child, and the one after; NULL: no more. */
struct tk_task *tk_tree_first(const struct tk_task *parent);
struct tk_task *tk_tree_next(const struct tk_task *child);

#endif
