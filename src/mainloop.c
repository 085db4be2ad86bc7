/*
 * The main loop: tasklet_host_run, mainloop.run and quit, os.exit, interrupts - all that begins and
 * ends a program.
 *
 * In the host program the main chunk is a tasklet and mainloop.run parks it; in plain Lua
 * mainloop.run is the loop. A program ends when nothing is left, or by quit, by os.exit, or by an
 * interrupt.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "embed/embed.h"
#include "host.h"

#include <lauxlib.h>

/* What a program ends with whose tasklets wait for each other. */
#define STATUS_DEADLOCK 3

/* Where the registry has the error that mainloop.run raised for it last. */
static const char deadlock_key = 'D';

/* It waits for as long as it takes: if all wait for each other that is looked at, though a turn may
 * have left it at that. */
static void begin_run(struct tasklet_host *host)
{
    host->running = host->may_hang = true;
    host->loop.left = false;
}

/* Runs what is ready before the loop turns for the first time. */
static void run_batch(struct tasklet_host *host)
{
    struct tk_bind *bind = host->bind;

    bind->L = host->L;
    tk_sched_hand_over(bind->sched, NULL);
    tk_sched_tick(bind->sched, tk_loop_now(&host->loop));
    bind->sched->budget = INT_MAX; /* up to the first wait of all that they start */
    bind->sched->quota = (unsigned)tk_runq_count(&bind->sched->ready);
    tk_watchdog_enter(&host->loop.dog);
    tk_drive(bind);
    bind->sched->quota = 0;
    tk_watchdog_leave(&host->loop.dog);
    tk_loop_look(&host->loop);
    tk_report(bind);
}

static bool anything_left(const struct tasklet_host *host)
{
    return host->loop.sched.alive > 0 || uv_loop_alive(host->loop.uv);
}

/* Only daemons are left: kills them. Is there a reason to go on then? */
static bool end_daemons(struct tasklet_host *host)
{
    if (host->daemons_ended) {
        return false;
    }
    host->daemons_ended = true;
    tk_kill_all(host->bind, true);
    return host->loop.sched.alive > 0;
}

/* ---- mainloop.run and quit ---- */

RAISES void tk_mainloop_push_deadlock(lua_State *L, struct tasklet_host *host)
{
    host->stuck = false;
    tk_push_table(L, host->bind, TABLE_CORE);
    lua_getfield(L, -1, "deadlock");
    lua_replace(L, -2);
    lua_call(L, 0, 1);
}

static int push_status(lua_State *L, struct tasklet_host *host, bool by_quit)
{
    if (by_quit) {
        lua_pushinteger(L, host->status);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

/* The main tasklet was parked and goes on. */
static int unparked(lua_State *L, int status, lua_KContext context)
{
    struct tasklet_host *host = tk_check_host(L);

    (void)status;
    (void)context;
    tk_mainloop_unparked(L, host);
    return push_status(L, host, host->ending_by_quit);
}

RAISES void tk_mainloop_unparked(lua_State *L, struct tasklet_host *host)
{
    host->parked = false;
    if (!host->main->task.daemon) {
        tk_task_count(host->bind->sched, &host->main->task, true);
    }
    tk_check_raise(L, host->bind);
}

RAISES int tk_mainloop_park(lua_State *L, struct tasklet_host *host, lua_KFunction k)
{
    struct tk_task *main = &host->main->task;

    tk_check_wait(L, host->bind);
    host->parked = true;
    tk_task_count(host->bind->sched, main, false);
    tk_task_blocked(host->bind->sched, main);
    return tk_give_way(L, host->bind, k, 0);
}

static void unpark(struct tasklet_host *host)
{
    struct tk_task *main = &host->main->task;

    host->parked = false;
    tk_task_count(host->bind->sched, main, true);
    if (main->state == TK_BLOCKED && !tk_task_queued(main)) {
        tk_task_give_way(host->bind->sched, main);
    }
}

/* Nothing goes on: is it a test that hangs, which has been told and goes on? */
static bool passed_on(struct tasklet_host *host, lua_State *L)
{
    host->stuck = !tk_testing_deadlock(host, L);
    return !host->stuck;
}

/* run(): in the host's main tasklet, waits until the program could end; else runs the loop. */
static int mainloop_run(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);
    struct tk_bind *bind = host->bind;
    struct tk_body *body = tk_current(bind);
    bool by_quit, stopped;

    if (body != NULL && body == host->main) {
        return tk_mainloop_park(L, host, unparked);
    }
    if (host->running || body != NULL) {
        return tk_raise(L, "the main loop is running already");
    }
    begin_run(host);
    host->quit = false;
    host->daemons_ended = false;
    do {
        stopped = uv_run(host->loop.uv, UV_RUN_DEFAULT) != 0;
        bind->L = L;
    } while (!host->quit && (host->stuck ? passed_on(host, L) : !stopped && end_daemons(host)));
    host->running = host->may_hang = false;
    tk_report(bind);
    if (host->stuck) {
        tk_mainloop_push_deadlock(L, host);
        return lua_error(L);
    }
    by_quit = host->quit;
    host->quit = false;
    return push_status(L, host, by_quit);
}

/* quit(status): the loop returns; the program ends with that status, 0 if absent. */
static int mainloop_quit(lua_State *L)
{
    struct tasklet_host *host = tk_check_host(L);
    lua_Integer status = luaL_optinteger(L, 1, 0);

    host->status = (int)status;
    host->has_status = true;
    host->quit = true;
    if (host->running) {
        uv_stop(host->loop.uv); /* else libuv would remember it for a run to come */
    }
    return 0;
}

/* ---- os.exit ---- */

static int never(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return luaL_error(L, "the program has ended");
}

/*
 * The program ends, and the caller cannot be suspended: it is unwound to where it can be, and runs
 * no further.
 */
static int exit_from_inside(lua_State *L, struct tasklet_host *host, int status)
{
    struct tk_bind *bind = host->bind;

    host->status = status;
    host->has_status = true;
    host->exited = true;
    bind->halt |= HALT_EXIT;
    uv_stop(host->loop.uv);
    tk_runaway_tell(bind, TK_HALTED);
    return tk_raise_class(L, "TaskletExit", "the program has ended");
}

/*
 * os.exit(code): ends the program in good order, closing the state: nobody is resumed again, and
 * tasklet_host_run returns the status. Where the caller cannot be suspended Lua's own does it, with
 * the state closed. Upvalue 3: Lua's own os.exit.
 */
static int exit_program(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tasklet_host *host = lua_touserdata(L, lua_upvalueindex(2));
    struct tk_body *body = tk_current(bind);
    int status = EXIT_SUCCESS;

    if (bind->sched != NULL) { /* else the host is gone, and the state without it goes on */
        tk_check_open(L, bind);
    }
    if (lua_isboolean(L, 1)) {
        status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
        status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    }
    if (body == NULL || bind->running != L || bind->barrier > 0 || !lua_isyieldable(L) ||
        bind->sched->frame != NULL) {
        if (host->owns_lua) {
            return exit_from_inside(L, host, status);
        }
        lua_pushvalue(L, lua_upvalueindex(3));
        lua_pushinteger(L, status);
        lua_pushboolean(L, 1);
        lua_call(L, 2, 0);
        return 0;
    }
    host->status = status;
    host->has_status = true;
    host->exited = true;
    bind->halt |= HALT_EXIT;
    uv_stop(host->loop.uv);
    tk_task_blocked(bind->sched, &body->task);
    return tk_give_way(L, bind, never, 0);
}

/* ---- interrupts ---- */

/* Does a script run that the program has called, in no tasklet? */
static bool in_call(const struct tk_bind *bind)
{
    const struct tasklet_host *host = bind->context;

    return bind->sched != NULL && host->embed->depth > 0;
}

/* Runs at the next instruction of whatever ran when the interrupt came; or in one who runs first
 * after it, and does not wait. */
void tk_mainloop_interrupt_hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind = tk_bind_in(L);
    struct tk_body *body;

    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    if (bind->pump != NULL) {
        tk_pump_watch(bind, L);
    }
    body = bind->sched == NULL ? NULL : tk_current(bind);
    if ((body == NULL && !in_call(bind)) || atomic_exchange(&bind->interrupting, 0) == 0) {
        return; /* none is running, or the interrupt has been raised already */
    }
    if (body == NULL) {
        tk_push_error(L, bind, "TaskletExit", "interrupted");
        lua_error(L);
    }
    tk_task_kill(bind->sched, &body->task);
    body->interrupted = true;
    if (tk_limit_pending(&body->task) == TK_RAISE_EXIT) {
        tk_push_error(L, bind, "TaskletExit", "interrupted");
        lua_error(L);
    }
}

/* From the host's own thread, perhaps in a signal handler: whatever runs is to call the hook. */
static void strike(struct tk_bind *bind)
{
    lua_State *running = bind->running;

    if (running == NULL && in_call(bind)) {
        running = bind->main;
    }
    if (running != NULL) {
        lua_sethook(running, tk_mainloop_interrupt_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT,
                    1);
    }
}

void tasklet_host_interrupt(struct tasklet_host *host, int status)
{
    atomic_store(&host->interrupted, status + 1);
    atomic_store(&host->bind->interrupting, 1);
    if (pthread_equal(pthread_self(), host->thread)) {
        strike(host->bind);
    }
    tk_loop_wake(&host->loop);
}

void tk_mainloop_interrupt(struct tasklet_host *host)
{
    int status = atomic_exchange(&host->interrupted, 0);

    atomic_store(&host->bind->interrupting, 0);
    if (status == 0) {
        return;
    }
    host->status = status - 1;
    host->has_status = true;
    host->ending = true;
    tk_kill_all(host->bind, false);
}

/* ---- the host's run ---- */

static bool main_ended(const struct tasklet_host *host)
{
    return host->main == NULL || host->main->task.state == TK_ENDED;
}

/* Somebody must be there who looks at `stuck`. Finalizers come first: they may wake somebody. */
bool tk_mainloop_stuck(struct tasklet_host *host)
{
    if (!host->may_hang) {
        return false;
    }
    lua_gc(host->bind->main, LUA_GCCOLLECT);
    if (tk_loop_is_stuck(&host->loop)) {
        host->stuck = true;
        uv_stop(host->loop.uv);
    }
    return true;
}

/* Has the main tasklet failed with the error that said so? */
static bool failed_by_deadlock(struct tasklet_host *host)
{
    lua_State *L = host->L;
    bool is = false;

    if (host->main != NULL && main_ended(host) && host->main->failed) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, host->main_anchor);
        tk_push_failure(L, lua_gettop(L), host->main);
        is =
            lua_rawgetp(L, LUA_REGISTRYINDEX, &deadlock_key) != LUA_TNIL && lua_rawequal(L, -1, -2);
        lua_pop(L, 3);
    }
    return is;
}

/* The main tasklet waits in mainloop.run, which raises the error on top, popped. It may catch that
 * and go on. */
static void tell_main(struct tasklet_host *host)
{
    lua_State *L = host->L;

    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &deadlock_key);
    unpark(host);
    tk_put_raise(L, host->bind, host->main);
}

/* Says so and ends the program: in good order if this is the first time. True: the loop goes on. */
static bool end_deadlock(struct tasklet_host *host)
{
    struct tk_bind *bind = host->bind;
    lua_State *L = bind->L = host->L;

    if (passed_on(host, L)) {
        return true;
    }
    if (host->reported) {
        host->stuck = false;
        return false; /* those who were killed wait again, for good */
    }
    tk_mainloop_push_deadlock(L, host);
    if (host->parked) {
        tell_main(host);
        return true;
    }
    host->reported = true;
    if (!failed_by_deadlock(host)) { /* which has been reported then */
        bind->hooks->error(bind->context, luaL_tolstring(L, -1, NULL));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    if (!host->has_status) {
        host->status = STATUS_DEADLOCK;
        host->has_status = true;
    }
    host->ending = true;
    tk_kill_all(bind, false);
    return true;
}

void tk_mainloop_turned(struct tasklet_host *host)
{
    tk_report(host->bind);
    host->loop.restless = tk_lint_turn(host->bind);
    host->stopped = host->loop.uv->stop_flag != 0; /* in a run by turns nothing else shows it */
    if ((host->ending && main_ended(host) && host->loop.sched.alive == 0) ||
        (host->ending_by_quit && main_ended(host))) {
        uv_stop(host->loop.uv);
    }
}

/* The loop has stopped: is there a reason to go on? */
static bool go_on(struct tasklet_host *host)
{
    if (host->exited) {
        return false;
    }
    tk_traffic_come(host);
    tk_traffic_tell(host);
    tk_mainloop_interrupt(host); /* it may have come when nothing was left to keep the loop going */
    tk_dump_woken(host);
    if (host->stuck) {
        return end_deadlock(host);
    }
    if (host->quit) {
        if (!host->parked) {
            return false;
        }
        host->quit = false;
        host->ending_by_quit = true;
        unpark(host);
        return true;
    }
    if (host->stopped && host->parked) {
        unpark(host);
        return true;
    }
    if (host->ending && host->loop.sched.alive == 0) {
        return end_daemons(host);
    }
    if (host->ending_by_quit && main_ended(host)) {
        return false;
    }
    if (anything_left(host)) {
        return true;
    }
    if (host->parked) {
        unpark(host);
        return true;
    }
    return end_daemons(host);
}

/* The status of the run. */
static int status_of(struct tasklet_host *host)
{
    if (host->has_status) {
        /* As the system has it: what is negative is an error of ours. */
        return host->status < 0 ? host->status & 0xff : host->status;
    }
    if (failed_by_deadlock(host)) {
        return STATUS_DEADLOCK;
    }
    return host->bind->failures > 0 ? 1 : 0;
}

/* The run is over. The next one begins with nothing of it, unless a script has ended all. */
static void end_run(struct tasklet_host *host)
{
    tk_report(host->bind);
    tk_traffic_tell(host);
    host->last = status_of(host);
    tk_forget_failures(host->bind);
    lua_pushnil(host->L);
    lua_rawsetp(host->L, LUA_REGISTRYINDEX, &deadlock_key);
    host->quit = host->ending = host->daemons_ended = host->ending_by_quit = false;
    host->stuck = host->reported = host->stopped = false;
    host->has_status = false;
    host->idle = true;
}

int tk_mainloop_timeout(struct tasklet_host *host)
{
    if (host->exited) {
        return -1;
    }
    if (host->quit || host->bind->reports > 0 || atomic_load(&host->interrupted) != 0 ||
        atomic_load(&host->dumping) != 0) {
        return 0;
    }
    if (host->idle && !anything_left(host) && !tk_loop_is_busy(&host->loop)) {
        return -1; /* the run is over, and has been said to be */
    }
    return tk_loop_timeout(&host->loop);
}

void tk_mainloop_run(struct tasklet_host *host)
{
    begin_run(host);
    host->idle = false;
    tk_clock_stand(&host->loop.clock); /* there may have been turns */
    run_batch(host);
    while (go_on(host)) {
        host->stopped = uv_run(host->loop.uv, UV_RUN_DEFAULT) != 0;
        if (host->ending_by_quit && main_ended(host)) {
            break;
        }
    }
    host->may_hang = false;
    end_run(host);
    host->running = false;
}

/* Is there anything that go_on is to look at? */
static bool may_be_over(struct tasklet_host *host)
{
    return host->exited || host->quit || host->stuck || (host->stopped && host->parked) ||
           (host->ending && host->loop.sched.alive == 0) ||
           (host->ending_by_quit && main_ended(host)) || !anything_left(host);
}

bool tk_mainloop_turn(struct tasklet_host *host, double seconds)
{
    bool over;

    host->running = true;
    host->idle = false;
    host->may_hang = seconds < 0;
    tk_traffic_come(host);
    tk_mainloop_interrupt(host); /* it may have come when nothing keeps the loop going */
    tk_dump_woken(host);
    if (!host->exited && !host->quit) {
        tk_loop_turn(&host->loop, seconds);
        tk_traffic_tell(host);
    }
    over = may_be_over(host) && (!go_on(host) || (host->ending_by_quit && main_ended(host)));
    host->stopped = host->may_hang = false;
    tk_report(host->bind);
    if (over) {
        end_run(host);
    }
    host->running = false;
    return !over;
}

void tk_mainloop_open(lua_State *L, struct tasklet_host *host)
{
    static const luaL_Reg functions[] = {
        {"run", mainloop_run}, {"quit", mainloop_quit}, {NULL, NULL}};

    tk_bind_push_module(L, host->bind);
    lua_getfield(L, -1, "mainloop");
    tk_set_host_functions(L, host, functions);
    lua_pop(L, 2);
    if (host->in_lua) {
        return; /* os.exit stays Lua's own */
    }
    if (lua_getglobal(L, "os") == LUA_TTABLE) {
        lua_getfield(L, LUA_REGISTRYINDEX, "tasklet.bind");
        lua_pushlightuserdata(L, host);
        lua_getfield(L, -3, "exit");
        if (lua_tocfunction(L, -1) == exit_program) { /* of a host that the state had before */
            lua_getupvalue(L, -1, 3);
            lua_replace(L, -2);
        }
        lua_pushcclosure(L, exit_program, 3);
        lua_setfield(L, -2, "exit");
    }
    lua_pop(L, 1);
}
