/*
 * What the limit programs share: a clock, the resident size, the line that a measurement is
 * printed as, and the way out when a result is wrong. Owns nothing.
 */

#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The same line that the Lua programs print: `name value unit`. */
static inline void report(const char *name, double value, const char *unit)
{
    printf("%s %.3f %s\n", name, value, unit);
}

/* A wrong result is not a measurement: no number, and a status that the runner sees. */
static inline void check(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "wrong: %s\n", what);
        exit(1);
    }
}

static inline double rss_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long size, resident;

    check(f && fscanf(f, "%ld %ld", &size, &resident) == 2, "/proc/self/statm is readable");
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static inline long count_argument(int argc, char **argv, int i)
{
    check(i < argc, "all arguments are given");
    long n = strtol(argv[i], NULL, 10);
    check(n > 0, "counts are positive");
    return n;
}

static inline lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();

    check(L != NULL, "there is memory for a Lua state");
    luaL_openlibs(L);
    return L;
}

/* [-0, +1] The value that the chunk returns. */
static inline void push_chunk(lua_State *L, const char *chunk)
{
    if (luaL_loadstring(L, chunk) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(1);
    }
}

/* [-0, +0] A coroutine that the registry keeps, about to run the function at `body`. */
static inline lua_State *new_coroutine(lua_State *L, int body)
{
    lua_pushvalue(L, body);
    lua_State *co = lua_newthread(L);
    lua_insert(L, -2);
    lua_xmove(L, co, 1);
    luaL_ref(L, LUA_REGISTRYINDEX);
    return co;
}

/* Resumes with `nargs` values on the coroutine's stack; says whether it yielded. */
static inline int resume(lua_State *co, lua_State *from, int nargs, int *nresults)
{
    int status = lua_resume(co, from, nargs, nresults);

    if (status != LUA_YIELD && status != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(co, -1));
        exit(1);
    }
    return status == LUA_YIELD;
}

#endif
