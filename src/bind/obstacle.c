/*
 * Obstacles: may the caller wait, and if not, what stands in the way.
 */
#include <string.h>

#include "bind/bind.h"

/* Is the function on top found in a loaded module? Pushes "table.sort", or nothing. */
bool tk_push_global_name(lua_State *L)
{
    int top = lua_gettop(L);

    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(L);
    while (lua_next(L, top + 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1)) {
            lua_pushnil(L);
            while (lua_next(L, -2)) {
                if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, top)) {
                    const char *module = lua_tostring(L, -4), *name = lua_tostring(L, -2);

                    if (strcmp(module, "_G") == 0) {
                        lua_pushstring(L, name);
                    } else {
                        lua_pushfstring(L, "%s.%s", module, name);
                    }
                    lua_replace(L, top);
                    lua_settop(L, top);
                    return true;
                }
                lua_pop(L, 1);
            }
        }
        lua_pop(L, 1);
    }
    lua_settop(L, top - 1);
    return false;
}

/* C functions through which a wait passes. */
static bool lets_through(const char *name)
{
    static const char *const names[] = {"pcall", "xpcall", "dofile", "require", "error"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "coroutine.", 10) == 0 || strncmp(name, "tasklet.", 8) == 0;
}

/* Pushes the C function that stops a wait at L, or nil; then its name, or nil: it may be one that
 * Lua itself calls. */
static void push_obstacle(lua_State *L, lua_State *at)
{
    lua_Debug ar;

    for (int level = 1; lua_getstack(at, level, &ar); level++) {
        lua_getinfo(at, "Snf", &ar);
        if (*ar.what != 'C') {
            lua_pop(at, 1);
            continue;
        }
        lua_xmove(at, L, 1);
        lua_pushvalue(L, -1);
        if (!tk_push_global_name(L)) {
            lua_pushstring(L, ar.name); /* nil if it has none */
        }
        if (lua_isnil(L, -1) || !lets_through(lua_tostring(L, -1))) {
            return;
        }
        lua_pop(L, 2);
    }
    lua_pushnil(L);
    lua_pushnil(L);
}

static lua_State *obstacle_at(lua_State *L, const struct tk_bind *bind)
{
    return lua_isyieldable(L) && bind->barrier > 0 ? bind->blocked_at : L;
}

const void *tk_obstacle(lua_State *L, const struct tk_bind *bind)
{
    const void *function = NULL;

    if (lua_checkstack(L, 20)) {
        push_obstacle(L, obstacle_at(L, bind));
        function = lua_topointer(L, -2);
        lua_pop(L, 2);
    }
    return function;
}

RAISES void tk_check_stopped(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    if (body->task.stopped) {
        tk_drop_raise(L, bind, body);
        tk_push_stop(L, bind, tk_limit_pending(&body->task));
        lua_error(L);
    }
}

/* Says why the caller cannot wait. */
static struct tk_body *refuse_wait(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body;

    tk_check_open(L, bind);
    body = tk_current(bind);
    if (body == NULL) {
        tk_raise(L, "cannot wait outside a tasklet");
    }
    if (bind->running != L) {
        tk_raise(L, "cannot wait in a coroutine that Lua's own coroutine.resume runs");
    }
    if (bind->barrier > 0 || !lua_isyieldable(L)) {
        luaL_checkstack(L, 20, NULL);
        push_obstacle(L, obstacle_at(L, bind));
        if (lua_isnil(L, -1)) {
            tk_raise(L, "cannot wait inside a hook, a message handler, a method of a condition or "
                        "a C function without a name");
        }
        tk_raise(L, "cannot wait inside the C function '%s'", lua_tostring(L, -1));
    }
    tk_check_stopped(L, bind, body);
    return body;
}

/* Could the current tasklet, `body`, be suspended at L? */
static bool is_suspendable(lua_State *L, struct tk_bind *bind, struct tk_body *body)
{
    return body != NULL && !tk_is_stopped(bind, body) && bind->running == L && bind->barrier == 0 &&
           !bind->closing && lua_isyieldable(L);
}

bool tk_may_wait(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    return is_suspendable(L, bind, body) && !body->block_trap;
}

RAISES struct tk_body *tk_check_wait(lua_State *L, struct tk_bind *bind)
{
    struct tk_body *body = tk_current(bind);

    if (!is_suspendable(L, bind, body)) {
        return refuse_wait(L, bind);
    }
    if (body->task.verbs != NULL) {
        tk_verb_done(bind, body); /* of a generator that was left in the middle of a verb */
    }
    return body;
}
