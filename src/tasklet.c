/*
 * The library's top: puts loop and binding together into a host, and takes them apart. The order of
 * teardown is in host.h.
 */
#include "tasklet.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "loop/signals.h"
#include "wait/kinds.h"

#define TEXT(x) #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

#define TK_WAIT_KIND(name) &tk_wait_##name,
static const struct tk_kind *const kinds[] = {
#include "wait_kinds.h"
    NULL,
};
#undef TK_WAIT_KIND

const char *tasklet_version(void)
{
    return VERSION(TASKLET_VERSION_MAJOR, TASKLET_VERSION_MINOR, TASKLET_VERSION_PATCH);
}

const char *tasklet_strerror(int code)
{
    switch (code) {
    case TASKLET_ENOMEM:
        return "not enough memory";
    case TASKLET_EINVAL:
        return "invalid argument";
    case TASKLET_ELOOP:
        return "the event loop refused";
    case TASKLET_ESTATE:
        return "not possible in this state";
    case TASKLET_ESYNTAX:
        return "the script does not compile";
    case TASKLET_EFILE:
        return "the file cannot be read";
    case TASKLET_ESCRIPT:
        return "an error in a script";
    case TASKLET_EENDED:
        return "the tasklet has ended";
    case TASKLET_ECLOSED:
        return "the host is closed";
    case TASKLET_ETIMEOUT:
        return "not in time";
    case TASKLET_EFULL:
        return "the mailbox is full";
    case TASKLET_ELIMIT:
        return "beyond a limit of the host";
    case TASKLET_EDENIED:
        return "the host is not allowed to do this";
    default:
        return code >= 0 ? "no error" : "unknown error";
    }
}

void tasklet_options_init(struct tasklet_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

static void free_now(struct tasklet_host *host);
static void release(struct tasklet_host *host);

/* ---- hooks ---- */

static void drop_payload(void *context, void *payload)
{
    struct tasklet_host *host = context;

    if (host->bind != NULL) {
        tk_unanchor(host->bind->L, host->bind, (int)(intptr_t)payload);
    }
}

static void *share_payload(void *context, void *payload)
{
    struct tasklet_host *host = context;
    lua_State *L = host->bind->L;

    tk_push_anchored(L, host->bind, (int)(intptr_t)payload);
    return tk_payload(tk_anchor(L, host->bind));
}

static void unnamed_message(void *context, struct tk_task *task, void *payload)
{
    struct tasklet_host *host = context;

    tk_warn_unnamed(host->bind->L, host->bind, task, payload);
}

static void alive(void *context, bool is)
{
    struct tasklet_host *host = context;

    tk_loop_hold(&host->loop, is);
}

static void resumed(void *context)
{
    struct tasklet_host *host = context;

    tk_loop_resumed(&host->loop);
}

static void run(void *context)
{
    struct tasklet_host *host = context;

    host->bind->L = host->bind->main;
    tk_drive_turn(host->bind);
}

static uint32_t looked(void *context)
{
    struct tasklet_host *host = context;

    return tk_looked(host->bind);
}

static void turned(void *context)
{
    tk_mainloop_turned(context);
    tk_traffic_tell(context);
}

static bool reachable(void *context)
{
    return tk_traffic_reachable(context);
}

static bool answered(void *context, lua_State *L, uint64_t serial)
{
    return tk_ask_answered(L, context, serial);
}

static bool stuck(void *context)
{
    return tk_mainloop_stuck(context);
}

/* The uv loop has come round, and is to free the host. */
static void summoned(void *context)
{
    struct tasklet_host *host = context;
    bool busy;

    host->loop.inside = false; /* but for this, is anything of it on the C stack? */
    busy = tk_host_is_busy(host);
    host->loop.inside = true;
    if (busy) {
        tk_loop_wake(&host->loop);
    } else {
        free_now(host);
    }
}

static void gone(void *context)
{
    release(context);
}

static void woken(void *context)
{
    tk_traffic_come(context);
    tk_mainloop_interrupt(context);
    tk_dump_woken(context);
    tk_testing_woken(context);
}

static void alarmed(void *context)
{
    tk_testing_alarm(context);
}

static const struct tk_loop_hooks loop_hooks = {
    .sched = {.drop = drop_payload,
              .share = share_payload,
              .unnamed = unnamed_message,
              .alive = alive,
              .resumed = resumed},
    .run = run,
    .looked = looked,
    .turned = turned,
    .stuck = stuck,
    .woken = woken,
    .alarm = alarmed,
    .summoned = summoned,
    .gone = gone,
    .reachable = reachable,
};

static void report_error(void *context, const char *text)
{
    struct tasklet_host *host = context;

    if (host->options.on_error != NULL && !host->freeing) {
        host->options.on_error(host->options.context, text);
    }
}

static uint64_t system_now(void *context)
{
    (void)context;
    return uv_hrtime();
}

static uint64_t now(void *context)
{
    struct tasklet_host *host = context;

    return tk_loop_now(&host->loop);
}

static bool sample(void *context, size_t index, struct tk_sample *sample)
{
    const struct tasklet_host *host = context;

    return tk_loop_sample(&host->loop, index, sample);
}

static void due(void *context)
{
    struct tasklet_host *host = context;

    tk_loop_fire(&host->loop);
}

/* In a signal handler. */
static void slice_late(void *context)
{
    struct tasklet_host *host = context;

    tk_slice_late(host->bind);
}

static const char *watch(void *context, uint64_t slice)
{
    struct tasklet_host *host = context;
    int rc;

    if (slice == 0) {
        tk_watchdog_stop(&host->loop.dog);
        return NULL;
    }
    if (host->options.no_signals) {
        return "the program does without signals";
    }
    rc = tk_watchdog_start(&host->loop.dog, slice, &host->bind->resumes, slice_late, host);
    return rc < 0 ? strerror(-rc) : NULL;
}

static bool warning(void *context, const char *text)
{
    struct tasklet_host *host = context;

    if (host->owns_lua || host->options.on_warning == NULL || host->freeing) {
        return false; /* Lua's way, which for a private state ends in on_warning */
    }
    host->options.on_warning(host->options.context, text);
    return true;
}

static void busy(void *context, bool is)
{
    struct tasklet_host *host = context;

    if (is) {
        tk_watchdog_enter(&host->loop.dog);
    } else {
        tk_watchdog_leave(&host->loop.dog);
    }
}

static const struct tk_bind_hooks bind_hooks = {.error = report_error,
                                                .warning = warning,
                                                .busy = busy,
                                                .now = now,
                                                .system_now = system_now,
                                                .sample = sample,
                                                .due = due,
                                                .watch = watch,
                                                .answered = answered,
                                                .interrupt = tk_mainloop_interrupt_hook};

/* ---- making ---- */

/* Steps 1 and 2 of the teardown. Idempotent. */
static void close_binding(struct tasklet_host *host)
{
    if (host->bind != NULL) {
        tk_testing_close(host);
        tk_report(host->bind);
        tk_close_all(host->bind);
        tk_watchdog_stop(&host->loop.dog);
        tk_embed_close(host);
        tk_bind_closed(host->bind);
        tk_groups_close(&host->groups);
        host->bind = NULL;
    }
}

/* Where the registry has the guard. */
static const char guard_key = 'G';

/* The last step of it. */
static void release(struct tasklet_host *host)
{
    free(host->warning);
    tk_embed_free(host->embed);
    free(host);
}

/* The Lua state goes first: all that needs it is done now. */
static int guard_gc(lua_State *L)
{
    struct tasklet_host **guard = lua_touserdata(L, 1);
    struct tasklet_host *host = *guard;

    *guard = NULL;
    if (host != NULL) {
        close_binding(host);
        if (host->in_lua && tk_loop_close(&host->loop)) {
            release(host);
        }
    }
    return 0;
}

static int push_module(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, lua_upvalueindex(1));

    tk_bind_patch(L, bind);
    tk_bind_push_module(L, bind);
    return 1;
}

/* Pushes the module tasklet.testing. */
static void push_testing(lua_State *L, struct tk_bind *bind)
{
    tk_push_table(L, bind, TABLE_CORE);
    lua_getfield(L, -1, "testing");
    lua_replace(L, -2);
    lua_call(L, 0, 1);
}

static int load_testing(lua_State *L)
{
    struct tk_bind *bind = lua_touserdata(L, lua_upvalueindex(1));

    tk_require_all(L, bind); /* it looks at the whole process */
    push_testing(L, bind);
    return 1;
}

/* A host that this state had before may have left its own. */
static void forget_modules(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    lua_setfield(L, -2, "tasklet");
    lua_pushnil(L);
    lua_setfield(L, -2, "tasklet.testing");
    lua_pop(L, 1);
}

/* Runs protected: makes the binding and what goes with it. Argument: the host. */
static int open_host(lua_State *L)
{
    struct tasklet_host *host = lua_touserdata(L, 1);
    struct tasklet_host **guard = lua_newuserdatauv(L, sizeof *guard, 0);
    bool collects = lua_gc(L, LUA_GCISRUNNING);

    if (host->owns_lua) {
        tk_libraries_open(L, host->options.capabilities);
    }
    lua_gc(L, LUA_GCSTOP); /* nearly all that is made here stays */
    *guard = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, guard_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &guard_key);
    host->bind = tk_bind_open(L, &host->loop.sched, kinds, tk_signals_source(&host->loop),
                              &bind_hooks, host, host->options.capabilities);
    tk_limits_open(L, host);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, push_module, 1);
    lua_setfield(L, -2, "tasklet");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, load_testing, 1);
    lua_setfield(L, -2, "tasklet.testing");
    lua_pop(L, 2);
    forget_modules(L);
    tk_embed_open(L, host);
    tk_mainloop_open(L, host);
    tk_virtual_open(L, host);
    tk_virtual_set(host);
    tk_process_open(L, host);
    if (host->options.waiting_io) {
        tk_files_open(L, host);
    }
    tk_testing_open(L, host);
    tk_luv_open(L, host);
    if (host->owns_lua) {
        tk_libraries_restrict(L, host->bind);
    }
    tk_bind_patch(L, host->bind);
    *guard = host;
    if (collects) {
        lua_gc(L, LUA_GCRESTART);
    }
    return 0;
}

/* The main state of a coroutine's, which may be gone before the host is; NULL: no memory. */
static lua_State *main_state(lua_State *L)
{
    lua_State *main;

    if (!lua_checkstack(L, 1)) {
        return NULL;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    main = lua_tothread(L, -1);
    lua_pop(L, 1);
    return lua_checkstack(main, 20) ? main : NULL;
}

/* Why a host could not be opened; the error on top is popped. What is no lack of memory is that of
 * the options: a borrowed state without Lua's libraries, a limit of time that cannot be had. */
static int code_of(lua_State *L, int status)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool memory = status == LUA_ERRMEM || strcmp(text, "not enough memory") == 0;

    lua_pop(L, 1);
    return memory ? TASKLET_ENOMEM : TASKLET_EINVAL;
}

/* Has the state a host, or one that is waiting for the state to close? */
static bool has_host(lua_State *L)
{
    struct tasklet_host **guard;

    if (!lua_checkstack(L, 2)) {
        return false;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &guard_key);
    guard = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return guard != NULL && *guard != NULL;
}

static int make_host(const struct tasklet_options *options, bool in_lua, uv_loop_t *uv,
                     struct tasklet_host **out)
{
    struct tasklet_host *host = calloc(1, sizeof *host);
    struct tk_fault fault;
    int rc;

    if (host == NULL) {
        return TASKLET_ENOMEM;
    }
    host->embed = tk_embed_new();
    if (host->embed == NULL) {
        free(host);
        return TASKLET_ENOMEM;
    }
    host->main_anchor = LUA_NOREF;
    host->idle = true;
    host->options = *options;
    host->in_lua = in_lua;
    host->L = options->lua != NULL ? main_state(options->lua) : NULL;
    host->groups.loop = &host->loop;
    host->thread = pthread_self();
    rc = tk_loop_init(&host->loop, uv != NULL ? uv : options->loop, &loop_hooks, host, &fault);
    if (rc < 0) {
        release(host);
        return rc == TK_ENOMEM ? TASKLET_ENOMEM : TASKLET_ELOOP;
    }
    if (options->lua == NULL) {
        host->L = tasklet_newstate();
        host->owns_lua = true;
    }
    rc = TASKLET_ENOMEM;
    if (host->L != NULL) {
        if (host->owns_lua) {
            tk_limits_own(host);
        }
        lua_pushcfunction(host->L, open_host);
        lua_pushlightuserdata(host->L, host);
        if (tk_signals_source(&host->loop) != NULL) {
            int status = lua_pcall(host->L, 1, 0, 0);

            if (status == LUA_OK) {
                *out = host;
                return 0;
            }
            rc = code_of(host->L, status);
        }
        if (host->bind != NULL) {
            tk_bind_closed(host->bind);
        }
        if (host->owns_lua) {
            lua_close(host->L);
        }
    }
    tk_loop_close(&host->loop);
    release(host);
    return rc;
}

int tasklet_host_new(const struct tasklet_options *options, struct tasklet_host **out)
{
    struct tasklet_options defaults;

    if (options == NULL) {
        tasklet_options_init(&defaults);
        options = &defaults;
    }
    if (options->size != sizeof *options || out == NULL || !tk_limits_are_right(options)) {
        return TASKLET_EINVAL;
    }
    if (options->lua != NULL && has_host(options->lua)) {
        return TASKLET_ESTATE;
    }
    return make_host(options, false, NULL, out);
}

bool tk_host_is_busy(const struct tasklet_host *host)
{
    const struct tk_bind *bind = host->bind;

    return host->running || host->in_uv_run || host->loop.inside ||
           (bind != NULL && (bind->running != NULL || bind->outside > 0 || bind->closing ||
                             bind->sched->frame != NULL));
}

/*
 * It is freed later. What runs comes to its end, and nothing else is begun. Whoever runs the host
 * frees it then; if the program runs the loop itself, the loop.
 */
static void free_later(struct tasklet_host *host)
{
    struct tk_bind *bind = host->bind;

    if (host->freeing) {
        return;
    }
    host->freeing = host->exited = true;
    if (bind != NULL) {
        bind->halt |= HALT_EXIT | HALT_FREE;
        if (!bind->closing) {
            tk_runaway_tell(bind, TK_HALTED);
        }
    }
    if (host->running) {
        uv_stop(host->loop.uv);
    } else {
        tk_loop_summon(&host->loop);
    }
}

bool tk_host_settle(struct tasklet_host *host)
{
    if (!host->freeing || tk_host_is_busy(host)) {
        return false;
    }
    free_now(host);
    return true;
}

void tasklet_host_free(struct tasklet_host *host)
{
    if (host == NULL) {
        return;
    }
    if (tk_host_is_busy(host)) {
        free_later(host);
    } else {
        free_now(host);
    }
}

static void free_now(struct tasklet_host *host)
{
    if (host->bind != NULL) {
        close_binding(host);
        if (!host->owns_lua && host->has_luv && host->loop.owns) {
            host->in_lua = true; /* the guard does the rest */
            return;
        }
        lua_rawgetp(host->L, LUA_REGISTRYINDEX, &guard_key);
        *(struct tasklet_host **)lua_touserdata(host->L, -1) = NULL;
        lua_pop(host->L, 1);
    }
    if (host->owns_lua) {
        lua_close(host->L);
    }
    if (tk_loop_close(&host->loop)) {
        release(host);
    }
}

struct lua_State *tasklet_host_lua(struct tasklet_host *host)
{
    return host->L;
}

struct uv_loop_s *tasklet_host_loop(struct tasklet_host *host)
{
    return host->loop.uv;
}

void *tasklet_host_context(struct tasklet_host *host)
{
    return host->options.context;
}

/* ---- plain Lua ---- */

static void print_error(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "%s\n", text);
    fflush(stderr);
}

TASKLET_API int luaopen_tasklet(lua_State *L);

/* `require "tasklet"` in plain Lua: the host belongs to the state and goes with it. */
int luaopen_tasklet(lua_State *L)
{
    struct tasklet_options options;
    struct tasklet_host *host;
    lua_State *main;
    uv_loop_t *loaded;
    int rc;

    luaL_checkversion(L);
    if (lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind") == LUA_TUSERDATA) {
        struct tk_bind *bind = lua_touserdata(L, -1);

        tk_bind_patch(L, bind);
        tk_bind_push_module(L, bind);
        return 1;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    main = lua_tothread(L, -1);
    tasklet_options_init(&options);
    options.lua = main;
    options.on_error = print_error;
    options.capabilities = TASKLET_ALL;
    lua_checkstack(main, 20);
    loaded = tk_luv_loaded(L);
    rc = make_host(&options, true, loaded, &host);
    if (rc < 0) {
        return luaL_error(L, "cannot make a tasklet host: %s", tasklet_strerror(rc));
    }
    if (loaded != NULL) {
        tk_luv_adopt(L, host);
    }
    tk_bind_push_module(L, host->bind);
    return 1;
}

TASKLET_API int luaopen_tasklet_testing(lua_State *L);

/* `require "tasklet.testing"` where nobody has required "tasklet" before. */
int luaopen_tasklet_testing(lua_State *L)
{
    lua_pushcfunction(L, luaopen_tasklet);
    lua_call(L, 0, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
    push_testing(L, lua_touserdata(L, -1));
    return 1;
}
