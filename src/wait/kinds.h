/* The rows of all kinds of wait, one per file of this room. */
#ifndef TK_WAIT_KINDS_H
#define TK_WAIT_KINDS_H

#include "core/wait.h"

#define TK_WAIT_KIND(name) extern const struct tk_kind tk_wait_##name;
#include "wait_kinds.h"
#undef TK_WAIT_KIND

#endif
