/* The binding as the library's top sees it. */
#ifndef TK_BIND_MODULE_H
#define TK_BIND_MODULE_H

#include "bind/bind.h"

/*
 * Makes the binding of a scheduler, and the module's table with all its parts; pushes the binding's
 * userdata, which the caller anchors. `signals` is the source of the operating system's signals.
 * All is borrowed.
 */
RAISES struct tk_bind *tk_bind_open(lua_State *L, struct tk_sched *sched,
                                    const struct tk_kind *const *kinds, struct tk_source *signals,
                                    const struct tk_bind_hooks *hooks, void *context,
                                    unsigned capabilities);

/* Pushes the module's table. */
void tk_bind_push_module(lua_State *L, struct tk_bind *bind);

/* Puts the functions through which waits pass into the standard library's tables. */
RAISES void tk_bind_patch(lua_State *L, struct tk_bind *bind);

/* Kills every tasklet that there is, either the daemons or all others, and lets each run up to its
 * next wait. The loop goes on until they have ended. */
RAISES void tk_kill_all(struct tk_bind *bind, bool daemons);

/* Warns of a message that the filters of `task` do not name. */
void tk_warn_unnamed(lua_State *L, struct tk_bind *bind, struct tk_task *task, void *payload);

/* The scheduler is about to go. Every function of the module raises from now on. */
void tk_bind_closed(struct tk_bind *bind);

#endif
