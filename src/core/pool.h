/*
 * A pool of small blocks: an allocator for Lua states with very many tasklets. Blocks of up to
 * 1,024 bytes are cut from chunks, without a header per block, in the order in which they are asked
 * for; larger ones come from malloc. Memory that was given back serves blocks of its size, and any
 * size again where a whole chunk has become empty. It goes back to the system when the last block
 * is freed, and the pool itself with it.
 */
#ifndef TK_CORE_POOL_H
#define TK_CORE_POOL_H

#include <stdbool.h>
#include <stddef.h>

struct tk_pool;

/* A pool without blocks, owned by the caller until its first block is allocated. NULL: no memory.
 */
struct tk_pool *tk_pool_new(void);
void tk_pool_free(struct tk_pool *pool);

/* As Lua's allocator functions: `size` 0 frees. The pool is freed with its last block. */
void *tk_pool_realloc(struct tk_pool *pool, void *block, size_t old_size, size_t size);

/* How many bytes its blocks have, as they were asked for. */
size_t tk_pool_used(const struct tk_pool *pool);

/* From now on blocks beyond so many bytes are refused; 0: none is. */
void tk_pool_limit(struct tk_pool *pool, size_t limit);

/* Is it time to collect garbage for the limit's sake: has half of what was left last time been
 * used, or a block been refused? */
bool tk_pool_presses(const struct tk_pool *pool);
/* That has been done. */
void tk_pool_collected(struct tk_pool *pool);

/* Is the limit not to count for now? Returns what it was. For work that must not be left half
 * done. */
bool tk_pool_exempt(struct tk_pool *pool, bool exempt);

#endif
