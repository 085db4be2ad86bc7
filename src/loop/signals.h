/*
 * The operating system's signals as a source whose topics are their names: "SIGHUP". A handler is
 * installed while somebody waits for a signal, and what was there before is put back when nobody
 * does.
 */
#ifndef TK_LOOP_SIGNALS_H
#define TK_LOOP_SIGNALS_H

#include "core/source.h"
#include "loop/loop.h"

/* The source; made when first asked for. NULL: no memory. */
struct tk_source *tk_signals_source(struct tk_loop *loop);

/* Is any signal waited for? */
bool tk_signals_watched(const struct tk_loop *loop);

/* Is it a handle for one? */
bool tk_signals_is_own(const struct tk_loop *loop, const uv_handle_t *handle);

void tk_signals_close(struct tk_loop *loop);

#endif
