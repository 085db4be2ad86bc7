/* The arguments of conditions' constructors, for condition.c. */
#ifndef TK_BIND_ARGUMENT_H
#define TK_BIND_ARGUMENT_H

#include "bind/bind.h"

/* Reads the arguments for a kind's parameters; the values lie on the stack from `*first` on, one a
 * parameter, and the table of options at `*options`. */
RAISES void tk_read_args(lua_State *L, struct tk_bind *bind, const struct tk_kind *kind,
                         struct tk_arg *args, int *first, int *options);

/* The option `priority` of the table at `at`, if there is one; else the kind's own. */
RAISES int32_t tk_read_priority(lua_State *L, int at, const struct tk_kind *kind);

#endif
