/* Lua states with the pool as allocator: see state.c. */
#ifndef TK_STATE_H
#define TK_STATE_H

#include <lua.h>

#include "core/pool.h"

/* The pool of a state; NULL: it has an allocator of somebody else's. */
struct tk_pool *tk_state_pool(lua_State *L);

#endif
