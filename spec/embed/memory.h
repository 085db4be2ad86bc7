/*
 * What the tests share in which each allocation in turn fails: the allocators, and an attempt.
 *
 * Each attempt is a process of its own, so that one that breaks is seen, and the others go on. The
 * allocators are the program's: Lua's, of a borrowed state, and malloc, which is replaced here.
 * Checkers of memory have a malloc of their own: there that is left out (REPLACES), and of the
 * others fewer are tried.
 */
#ifndef TK_EMBED_MEMORY_H
#define TK_EMBED_MEMORY_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
#define REPLACES 0
#else
#define REPLACES 1
#endif

/* Each allocation in turn is tried; under a checker of memory, with which all of them would take
 * minutes, the first 20 and then one in so many. */
#define DENSE 20
#define STRIDE (REPLACES ? 1 : 97)

/* The allocation that fails, counted down; afterwards all go well again. Negative: none does. */
static long left = -1;

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

#if REPLACES
#define VISIBLE __attribute__((visibility("default")))
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
static bool replaced;

VISIBLE void *malloc(size_t size)
{
    if (replaced && fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_malloc(size);
}

VISIBLE void *calloc(size_t count, size_t size)
{
    if (replaced && fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}

VISIBLE void *realloc(void *block, size_t size)
{
    if (replaced && size > 0 && fails()) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(block, size);
}
#endif

/* Lua's allocator, of a state of the program's. Shrinking never fails: Lua counts on that. */
static void *allocate(void *context, void *block, size_t old_size, size_t size)
{
    static bool retried;

    (void)context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (block == NULL || size > old_size) {
        if (retried) { /* after a collection Lua asks once more */
            retried = false;
            return NULL;
        }
        if (fails()) {
            retried = true;
            return NULL;
        }
    }
    return realloc(block, size);
}

/* In a Lua state whose allocations count; making and closing it does not. */
static void with_lua(void (*body)(lua_State *L, uv_loop_t *loop))
{
    long own = left;
    lua_State *L;

    left = -1;
    L = lua_newstate(allocate, NULL);
    luaL_openlibs(L);
    left = own;
    body(L, NULL);
    own = left;
    left = -1;
    lua_close(L);
    left = own;
}

/* How many allocations were left over when allocation `count` was to fail: none of them has failed
 * if that is not negative. */
static bool attempt(long count, void (*body)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        alarm(60);
        left = count;
        body();
        _exit(left >= 0 ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        print_message("allocation %ld: signal %d\n", count, WTERMSIG(status));
        fail_msg("with allocation %ld failing: signal %d", count, WTERMSIG(status));
    }
    assert_true(WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 1;
}

static void attempt_some(void (*body)(void), int stride)
{
    long count = 0;

    while (!attempt(count, body)) {
        count += count < DENSE ? 1 : stride;
    }
    assert_true(count > 40); /* else it was not that that failed */
}

static inline void attempt_all(void (*body)(void))
{
    attempt_some(body, STRIDE);
}

#endif
