/*
 * A pool of small blocks: an allocator for Lua states with very many tasklets. Blocks of up to
 * 1,024 bytes are cut from chunks, without a header per block, in the order in which they are asked
 * for; larger ones come from malloc. Memory that was given back serves blocks of its size, and any
 * size again where a whole chunk has become empty. It goes back to the system when the last block
 * is freed, and the pool itself with it.
 */
#ifndef TK_CORE_POOL_H
#define TK_CORE_POOL_H

#include <stddef.h>

struct tk_pool;

/* A pool without blocks, owned by the caller until its first block is allocated. NULL: no memory.
 */
struct tk_pool *tk_pool_new(void);
void tk_pool_free(struct tk_pool *pool);

/* As Lua's allocator functions: `size` 0 frees. The pool is freed with its last block. */
void *tk_pool_realloc(struct tk_pool *pool, void *block, size_t old_size, size_t size);

#endif
