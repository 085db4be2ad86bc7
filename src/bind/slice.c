/*
 * Preemption. Two things take the processor away from a tasklet that does not wait: time slices,
 * and the budget of `pump`. Both do it from a hook at an instruction of its own, where Lua lets a
 * coroutine yield; the tasklet goes on later as if nothing had been.
 *
 * A slice costs nothing until it runs late: then a signal handler sets the hook (tk_slice_late).
 * A tasklet that was preempted has no function of ours on its stack to raise what was thrown into
 * it meanwhile: a hook does it (tk_raise_hook).
 */
#include <string.h>

#include "bind/bind.h"

/* Resumptions between two looks at who is next. */
#define TURN 1024

/* Slices are no shorter: signals would take all the time. Milliseconds. */
#define SHORTEST 0.5

/* The most instructions between two looks at the budget of `pump`. */
#define STEP 1000

/* The watchdog barks after its period, and then four times in each further one. */
#define BARKS 4

void tk_raise_hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind = tk_bind_in(L);

    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    if (bind->pump != NULL) {
        tk_pump_watch(bind, L);
    }
    bind->raise_by_hook = false;
    tk_check_raise(L, bind);
}

/* The current tasklet gives way in the middle of a function; its state is set by then. To be called
 * last in a hook. */
static void preempt(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    lua_sethook(L, NULL, 0, 0);
    body->preempted = true;
    bind->gave_way = true;
    lua_yield(L, 0);
}

static bool can_preempt(lua_State *L, const struct tk_bind *bind, const struct tk_body *body)
{
    lua_Debug ar;

    if (body == NULL || body->atomic || body->library || !tk_can_give_way(L, bind)) {
        return false;
    }
    /* The library's own Lua is never cut in two. */
    return !lua_getstack(L, 0, &ar) || (lua_getinfo(L, "S", &ar), !tk_is_own_source(ar.source));
}

/* The current tasklet gives way to all others that are ready. */
static void preempt_for_others(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    bind->hooks->due(bind->context); /* whom a timer has woken by now comes first */
    tk_task_give_way(bind->sched, &body->task);
    bind->sched->budget = 0; /* the turn is over: the loop looks at timers and descriptors */
    preempt(L, bind, body);
}

/* ---- time slices ---- */

static void warn(lua_State *L, struct tk_bind *bind, struct tk_body *body, const char *name)
{
    lua_Number ms = (lua_Number)(bind->hooks->system_now(bind->context) - bind->late_since) / 1e6;

    tk_push_body(L, bind, body);
    tk_push_name(L, bind, lua_gettop(L));
    lua_pushfstring(L, "C function '%s' could not be interrupted for %d ms (tasklet '%s')", name,
                    (int)ms, lua_tostring(L, -1));
    tk_warn(L, bind, lua_tostring(L, -1));
    lua_pop(L, 3);
}

/*
 * A function returns, and the slice is late: is it the C function that was in the way for one slice
 * more? Not the clock says so but the watchdog, which is silent while the system runs other
 * programs. One without a name is none that a script has called.
 */
static void look_at_return(lua_State *L, lua_Debug *ar, struct tk_bind *bind, struct tk_body *body)
{
    int top = lua_gettop(L);

    lua_getinfo(L, "Snf", ar);
    if (*ar->what == 'C' && body != NULL && !body->atomic &&
        (bind->obstacle == NULL || bind->obstacle == lua_topointer(L, -1)) &&
        bind->late + BARKS > bind->slice && /* but for what is lost by dividing */
        (tk_push_global_name(L) || (ar->name != NULL && strcmp(ar->namewhat, "metamethod") != 0 &&
                                    lua_pushstring(L, ar->name) != NULL))) {
        warn(L, bind, body, lua_tostring(L, -1));
        bind->late_since = bind->hooks->system_now(bind->context);
        bind->late = 0;
        bind->obstacle = NULL;
    }
    lua_settop(L, top);
}

static void slice_hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind = tk_bind_in(L);
    struct tk_body *body = bind->sched == NULL ? NULL : tk_current(bind);

    if (bind->late_count != bind->resumes) {
        lua_sethook(L, NULL, 0, 0); /* it has waited meanwhile */
        return;
    }
    if (ar->event == LUA_HOOKRET) {
        look_at_return(L, ar, bind, body);
        return;
    }
    lua_sethook(L, NULL, 0, 0);
    if (bind->warns && body != NULL && bind->running == L) {
        bind->warns = false;
        tk_lint_tell(L, bind, body, "slow", (lua_Integer)(bind->ran / 1000000));
    }
    if (bind->slice == 0 || bind->ran < bind->slice) {
        return;
    }
    if (can_preempt(L, bind, body) && (bind->sched->depth == 0 || body->ignore_nesting)) {
        bind->obstacle = NULL;
        preempt_for_others(L, bind, body);
    } else if (body != NULL && !body->atomic && bind->running == L) {
        if (bind->obstacle == NULL) {
            bind->obstacle = tk_obstacle(L, bind); /* named when it returns */
        }
        if (bind->obstacle == NULL) {
            bind->obstacle = bind; /* none in this coroutine: nobody is to blame */
        }
        lua_sethook(L, slice_hook, LUA_MASKRET, 0);
    }
}

/* Notes that the watchdog has barked. Is there anything to be done in a hook? */
static bool note_bark(struct tk_bind *bind)
{
    bool is_new = bind->late_count != bind->resumes;
    uint64_t before = is_new ? 0 : bind->ran;

    bind->ran = is_new ? bind->period : before + bind->period / BARKS;
    if (is_new) {
        bind->late_count = bind->resumes;
        bind->obstacle = NULL;
        bind->warns = false;
    }
    if (bind->slow > 0 && before < bind->slow && bind->ran >= bind->slow) {
        bind->warns = true;
    }
    if (bind->max_time > 0 && !bind->preempts && bind->ran >= bind->max_time) {
        tk_runaway_tell(bind, TK_TOO_LONG);
        return false;
    }
    if (bind->slice == 0 || bind->ran < bind->slice) {
        return bind->warns;
    }
    if (before < bind->slice) {
        bind->late_since = bind->hooks->system_now(bind->context) - bind->slice;
        bind->late = 0;
    } else {
        bind->late += bind->ran - before;
    }
    return true;
}

void tk_slice_late(struct tk_bind *bind)
{
    lua_State *running = bind->running;

    if (note_bark(bind) && running != NULL &&
        (lua_gethook(running) == NULL || lua_gethook(running) == slice_hook)) {
        lua_sethook(running, slice_hook, LUA_MASKCOUNT | (bind->slice > 0 ? LUA_MASKRET : 0), 1);
    }
}

static uint64_t shorter(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

const char *tk_slice_watch(struct tk_bind *bind, uint64_t slice, uint64_t slow)
{
    uint64_t limit = bind->by_counting ? 0 : bind->max_time, period;
    const char *why;

    if (limit > 0) { /* the watchdog begins anew */
        tk_stint_begin(bind);
        tk_stint_look(bind);
    }
    if (bind->preempts) { /* no longer slices than the program's limit */
        slice = shorter(slice, limit);
    }
    period = shorter(shorter(slice, slow), limit);
    why = bind->hooks->watch(bind->context, period);

    if (why == NULL) {
        bind->slice = slice;
        bind->slow = slow;
        bind->period = period;
    }
    return why;
}

/* set_timeslice(ms): tasklets that run longer without waiting are preempted; 0: none is. */
static int set_timeslice(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_Number ms = luaL_checknumber(L, 1);
    const char *why;

    tk_check_open(L, bind);
    luaL_argcheck(L, ms >= 0 && ms < 1e9, 1, "time must not be negative");
    ms = ms > 0 && ms < SHORTEST ? SHORTEST : ms;
    why = tk_slice_watch(bind, (uint64_t)(ms * 1e6), bind->slow);
    if (why != NULL) {
        return tk_raise(L, "time slices cannot be had: %s", why);
    }
    return 0;
}

/* ---- pump ---- */

static void pump_hook(lua_State *L, lua_Debug *ar);

/* How many instructions are left of a limit, or `over` if it is used up. 0: no limit. */
static uint64_t left_of(uint64_t limit, uint64_t used, uint64_t over)
{
    return limit == 0 ? STEP : used < limit ? limit - used : over;
}

/* The hook comes when the budget is used up; after `over` instructions if it is. Steps keep that
 * exact where Lua's count cannot be read. */
static void watch_step(const struct tk_bind *bind, lua_State *co, uint64_t over)
{
    const struct tk_pump *pump = bind->pump;
    uint64_t left = left_of(pump->budget, pump->used, over);
    uint64_t limit = left_of(bind->max_count, pump->used, bind->preempts ? over : 1);

    left = limit < left ? limit : left;
    if (bind->by_counting && pump->used - pump->looked < STEP &&
        left > STEP - (pump->used - pump->looked)) {
        left = STEP - (pump->used - pump->looked);
    }
    if (bind->runaway != 0) {
        left = 1;
    }
    lua_sethook(co, pump_hook, LUA_MASKCOUNT, left < STEP ? (int)left : STEP);
}

/* Has what runs used up the program's limits? */
static bool is_over(struct tk_bind *bind)
{
    uint64_t now;

    if (bind->max_count > 0 && bind->pump->used >= bind->max_count) {
        bind->runaway = TK_TOO_MANY;
    } else if (bind->by_counting && bind->max_time > 0) {
        now = bind->hooks->system_now(bind->context);
        bind->pump->looked = bind->pump->used;
        if (bind->late_count != bind->resumes) {
            bind->late_count = bind->resumes;
            bind->late_since = now;
        } else if (now - bind->late_since >= bind->max_time) {
            bind->runaway = TK_TOO_LONG;
        }
    }
    return bind->runaway != 0;
}

static void pump_hook(lua_State *L, lua_Debug *ar)
{
    struct tk_bind *bind = tk_bind_in(L);
    struct tk_body *body = tk_current(bind);
    struct tk_pump *pump = bind->pump;

    (void)ar;
    if (pump == NULL) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    pump->used += (uint64_t)lua_gethookcount(L);
    pump->total += (uint64_t)lua_gethookcount(L);
    if (is_over(bind) && !bind->preempts) {
        watch_step(bind, L, 1);
        tk_runaway_stop(L, bind);
        return;
    }
    watch_step(bind, L, STEP);
    if (bind->runaway != 0) {
        bind->runaway = 0;
        if (can_preempt(L, bind, body) && (bind->sched->depth == 0 || body->ignore_nesting)) {
            preempt_for_others(L, bind, body);
        }
        return;
    }
    if (pump->budget > 0 && pump->used >= pump->budget && can_preempt(L, bind, body)) {
        pump->over = body;
        bind->halt |= HALT_PUMP;
        tk_task_pause(bind->sched, &body->task);
        preempt(L, bind, body);
    }
}

void tk_pump_watch(struct tk_bind *bind, lua_State *co)
{
    if (lua_gethook(co) == NULL || lua_gethook(co) == pump_hook) {
        watch_step(bind, co, 1);
    }
}

void tk_pump_count(struct tk_bind *bind, lua_State *co)
{
    struct tk_pump *pump = bind->pump;

    if (pump->place >= 0 && lua_gethook(co) == pump_hook) {
        uint64_t done = (uint64_t)(lua_gethookcount(co) - tk_count_left(co, pump->place));

        pump->used += done;
        pump->total += done;
        watch_step(bind, co, 1);
    }
}

/* Runs all that is runnable, until nothing is or somebody has used up the budget. */
static void run_all(lua_State *L, struct tk_bind *bind)
{
    struct tk_sched *sched = bind->sched;

    while (bind->halt == 0) {
        if (sched->chain == NULL && !tk_sched_pull(sched) &&
            (!tk_runq_turn(&sched->ready) || !tk_sched_pull(sched))) {
            return;
        }
        bind->L = L;
        sched->budget = TURN;
        tk_drive_turn(bind);
    }
    tk_sched_cut(sched); /* the rest of the chain */
}

/* pump(instructions): returns the first tasklet that ran so long without waiting, or nil. */
static int module_pump(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    lua_State *running = bind->running;
    lua_Integer budget = luaL_optinteger(L, 1, 0);
    struct tk_pump own = {0}, *outer = bind->pump;
    uint64_t used = outer == NULL ? 0 : outer->used, total = outer == NULL ? 0 : outer->total;
    int barrier = bind->barrier;
    struct tk_frame frame;
    bool exempt;

    tk_check_open(L, bind);
    luaL_argcheck(L, lua_isnoneornil(L, 1) || budget >= 1, 1, "must be at least 1");
    luaL_checkstack(L, 20, NULL);
    if (bind->sched->depth > 60) {
        return tk_raise(L, "pumps are nested too deep");
    }
    if ((outer == NULL || outer == &bind->quota) && budget > 0) {
        own.budget = (uint64_t)budget;
        if (bind->count_place == 0) {
            bind->count_place = tk_count_place();
        }
        own.place = bind->count_place;
        bind->pump = &own;
        tk_look_closely(bind);
    }
    tk_stint_begin(bind);
    tk_sched_enter(bind->sched, &frame);
    bind->sched->current = NULL;
    bind->running = NULL;
    bind->barrier = 0;
    exempt = bind->memory != NULL && tk_pool_exempt(bind->memory, true);
    run_all(L, bind);
    if (bind->memory != NULL) {
        tk_pool_exempt(bind->memory, exempt);
    }
    bind->halt &= ~(unsigned)HALT_PUMP;
    tk_sched_leave(bind->sched);
    bind->running = running;
    bind->barrier = barrier;
    bind->L = L;
    if (bind->pump != NULL && bind->pump->over != NULL) {
        tk_push_body(L, bind, bind->pump->over);
        bind->pump->over = NULL;
    } else {
        lua_pushnil(L);
    }
    bind->pump = outer;
    tk_look_closely(bind);
    tk_stint_look(bind);
    tk_runaway_resume(bind);
    bind->gave_way = false;
    if (outer != NULL) {
        outer->used = used; /* what others have run is not the caller's */
        outer->total += own.total;
        if (outer == &bind->quota) {
            outer->used += outer->total - total; /* but the limit's */
        }
    }
    tk_check_raise(L, bind);
    return 1;
}

/* The stack's top is the module's table. */
void tk_slice_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {
        {"set_timeslice", set_timeslice}, {"pump", module_pump}, {NULL, NULL}};

    (void)bind;
    tk_set_functions(L, functions);
}
