/*
 * The world outside: could anything but a timer of our own still wake somebody? Asked when nobody
 * is ready: by a virtual clock, which jumps only if nothing is under way, and in order to tell a
 * program that hangs from one that waits.
 */
#ifndef TK_LOOP_OUTSIDE_H
#define TK_LOOP_OUTSIDE_H

#include "loop/loop.h"

/* Is something under way that will come by itself: an armed descriptor, a child, what the program
 * is to tell of, a handle or request of somebody else's that keeps the uv loop going? */
bool tk_outside_pending(struct tk_loop *loop);

/* Could anything at all happen: besides these, a signal that is waited for, any active handle of
 * somebody else's, or a post of another thread that has a way into the host? */
bool tk_outside_possible(struct tk_loop *loop);

#endif
