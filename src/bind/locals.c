/*
 * Locals: a table for each tasklet that asks for one; a key missing there is looked up in that of
 * the tasklet that started it. In the table of locals each tasklet stands with its own, or with the
 * nearest that it inherits; one that has neither costs nothing.
 */
#include "bind/bind.h"
#include "core/tree.h"

RAISES void tk_inherit_locals(lua_State *L, struct tk_bind *bind, struct tk_body *from,
                              struct tk_body *to)
{
    int ud = lua_gettop(L);

    tk_push_table(L, bind, TABLE_LOCALS);
    lua_pushvalue(L, ud);
    tk_push_body(L, bind, from);
    lua_rawget(L, ud + 1);
    lua_rawset(L, ud + 1);
    to->localised = true;
    lua_settop(L, ud);
}

/* The next below `top` in the tree; not below `task` if `over`. */
static struct tk_task *walk(const struct tk_task *top, struct tk_task *task, bool over)
{
    struct tk_task *next = over ? NULL : tk_tree_first(task);

    while (next == NULL && task != top) {
        next = tk_tree_next(task);
        task = task->parent;
    }
    return next;
}

/*
 * The table at `own` is new: those that it started earlier inherit it, too. At `table` lies the
 * table of locals, at `old` what it has inherited itself, or nil.
 */
static void hand_down(lua_State *L, struct tk_bind *bind, struct tk_body *body, int table, int own,
                      int old)
{
    struct tk_task *task = walk(&body->task, &body->task, false);

    while (task != NULL) {
        struct tk_body *heir = tk_container_of(task, struct tk_body, task);

        tk_push_body(L, bind, heir);
        if (heir->own_locals) {
            lua_rawget(L, table);
            lua_getmetatable(L, -1);
            lua_rawgeti(L, -1, 1);
            if (lua_rawequal(L, -1, old)) {
                lua_pushvalue(L, own);
                lua_rawseti(L, -3, 1);
            }
        } else if (!lua_isnil(L, -1)) {
            lua_pushvalue(L, own);
            lua_rawset(L, table);
            heir->localised = true;
        }
        lua_settop(L, old);
        task = walk(&body->task, task, heir->own_locals);
    }
}

/* The metamethod __index of a tasklet's table: looks in those that it inherits from. Their chain
 * may be longer than Lua follows by itself. */
static int look_up(lua_State *L)
{
    lua_settop(L, 2);
    while (lua_getmetatable(L, 1)) {
        lua_rawgeti(L, -1, 1);
        if (!lua_istable(L, -1)) {
            break;
        }
        lua_replace(L, 1);
        lua_settop(L, 2);
        lua_pushvalue(L, 2);
        if (lua_rawget(L, 1) != LUA_TNIL) {
            return 1;
        }
        lua_settop(L, 2);
    }
    lua_pushnil(L);
    return 1;
}

/* locals(): the table of the current tasklet. */
static int module_locals(lua_State *L)
{
    enum { TABLE = 1, SELF, OWN, OLD };
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_body *body = tk_current(bind);

    if (body == NULL) {
        return tk_raise(L, "no tasklet is running");
    }
    lua_settop(L, 0);
    tk_push_table(L, bind, TABLE_LOCALS);
    tk_push_body(L, bind, body);
    lua_pushvalue(L, SELF);
    if (lua_rawget(L, TABLE) == LUA_TTABLE && body->own_locals) {
        return 1;
    }
    lua_newtable(L);
    lua_insert(L, OWN);       /* what it inherits is at OLD */
    lua_createtable(L, 1, 1); /* its first element: the table to look in next */
    lua_pushvalue(L, OLD);
    lua_rawseti(L, -2, 1);
    lua_pushcfunction(L, look_up);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, OWN);
    lua_pushvalue(L, SELF);
    lua_pushvalue(L, OWN);
    lua_rawset(L, TABLE);
    body->own_locals = body->localised = true;
    hand_down(L, bind, body, TABLE, OWN, OLD);
    lua_settop(L, OWN);
    return 1;
}

/* The stack's top is the module's table. */
void tk_locals_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg functions[] = {{"locals", module_locals}, {NULL, NULL}};

    (void)bind;
    lua_getfield(L, -1, "Tasklet");
    tk_set_functions(L, functions);
    lua_pop(L, 1);
}
