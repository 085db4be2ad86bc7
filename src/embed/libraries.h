/* The libraries of a private Lua state: see libraries.c. */
#ifndef TK_EMBED_LIBRARIES_H
#define TK_EMBED_LIBRARIES_H

#include "bind/bind.h"

/* Opens Lua's libraries in a new state. */
RAISES void tk_libraries_open(lua_State *L, unsigned capabilities);

/* Takes out of them what the program has not given. Nothing of a script has run yet. */
RAISES void tk_libraries_restrict(lua_State *L, struct tk_bind *bind);

#endif
