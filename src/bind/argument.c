/*
 * The arguments of conditions' constructors: from the script's stack to what the core takes, as a
 * kind's row says.
 */
#include "bind/argument.h"

#include "bind/stream.h"

/* The number on top as a descriptor; -1 if it cannot be one. */
static int to_descriptor(lua_State *L)
{
    int is;
    lua_Integer fd = lua_tointegerx(L, -1, &is);

    return !is || fd < 0 || fd > INT32_MAX ? -1 : (int)fd;
}

/* The descriptor of an integer, a Lua file, or an object with fileno or getfd. The value is on top.
 */
static int check_file(lua_State *L, int arg)
{
    static const char *const methods[] = {"fileno", "getfd"};
    luaL_Stream *stream = luaL_testudata(L, -1, LUA_FILEHANDLE);
    int top = lua_gettop(L), fd;

    if (lua_isinteger(L, -1)) {
        return to_descriptor(L);
    }
    if (stream != NULL) {
        return stream->closef == NULL ? -1 : fileno(stream->f);
    }
    for (int i = 0; i < 2 && (lua_isuserdata(L, top) || lua_istable(L, top)); i++) {
        if (lua_istable(L, top) || luaL_getmetafield(L, top, "__index") != LUA_TNIL) {
            lua_settop(L, top);
            if (lua_getfield(L, top, methods[i]) != LUA_TNIL) {
                lua_pushvalue(L, top);
                lua_call(L, 1, 1);
                fd = to_descriptor(L);
                lua_settop(L, top);
                return fd;
            }
            lua_settop(L, top);
        }
    }
    luaL_typeerror(L, arg, "file");
    return -1;
}

/* Atoms of a name or a list of names on top; kept in a userdata that takes its place, and released
 * with it. */
struct names {
    struct tk_bind *bind;
    size_t count;
    struct tk_atom *atom[];
};

static int names_gc(lua_State *L)
{
    struct names *names = lua_touserdata(L, 1);

    for (size_t i = 0; names->bind->sched != NULL && i < names->count; i++) {
        tk_atom_drop(&names->bind->sched->atoms, names->atom[i]);
    }
    names->count = 0;
    return 0;
}

static void add_name(lua_State *L, struct names *names)
{
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    struct tk_atom *atom = tk_atom_take(&names->bind->sched->atoms, text, length);

    if (atom == NULL) {
        luaL_error(L, "not enough memory");
    }
    names->atom[names->count++] = atom;
}

static struct names *check_names(lua_State *L, struct tk_bind *bind, int arg, const char *option)
{
    bool list = lua_istable(L, -1);
    lua_Integer count = list ? (lua_Integer)lua_rawlen(L, -1) : 1;
    struct names *names;

    if (!list && lua_type(L, -1) != LUA_TSTRING) {
        tk_option_error(L, arg, option, "name or list of names");
    }
    names = lua_newuserdatauv(L, sizeof *names + (size_t)count * sizeof names->atom[0], 0);
    names->bind = bind;
    names->count = 0;
    if (luaL_newmetatable(L, "tasklet.names")) {
        lua_pushcfunction(L, names_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    lua_insert(L, -2);
    for (lua_Integer i = 1; list && i <= count; i++) {
        if (lua_rawgeti(L, -1, i) != LUA_TSTRING) {
            tk_option_error(L, arg, option, "list of names");
        }
        add_name(L, names);
        lua_pop(L, 1);
    }
    if (!list) {
        add_name(L, names);
    }
    lua_pop(L, 1);
    return names;
}

/* Raises that the value on top is not of the type wanted: as an argument or as an option. */
static void wrong(lua_State *L, int arg, const struct tk_param *param, const char *expected)
{
    if (param->option) {
        tk_option_error(L, arg, param->name, expected);
    }
    lua_pushvalue(L, -1);
    lua_replace(L, arg);
    luaL_typeerror(L, arg, expected);
}

/* Converts the value on top for a parameter; what must stay alive stays on the stack in its place.
 */
static void convert(lua_State *L, struct tk_bind *bind, int at, const struct tk_param *param,
                    struct tk_arg *arg)
{
    struct tk_body *body;
    struct names *names;
    int exact;

    arg->given = true;
    switch (param->type) {
    case TK_NUMBER:
        if (lua_type(L, -1) != LUA_TNUMBER) {
            wrong(L, at, param, "number");
        }
        arg->as.number = lua_tonumber(L, -1);
        break;
    case TK_INTEGER:
        arg->as.integer = lua_tointegerx(L, -1, &exact);
        if (!exact || lua_type(L, -1) != LUA_TNUMBER) {
            wrong(L, at, param, lua_type(L, -1) == LUA_TNUMBER ? "integer" : "number");
        }
        break;
    case TK_BOOLEAN:
        arg->as.boolean = lua_toboolean(L, -1);
        break;
    case TK_STRING:
        if (lua_type(L, -1) != LUA_TSTRING) {
            wrong(L, at, param, "string");
        }
        arg->as.string = lua_tolstring(L, -1, &arg->as.length);
        break;
    case TK_NAMES:
        names = check_names(L, bind, at, param->name);
        arg->as.names.atom = names->atom;
        arg->as.names.count = names->count;
        break;
    case TK_FILE:
        arg->as.file = check_file(L, at);
        break;
    case TK_TASK:
        body = tk_to_body(L, -1, bind);
        if (body == NULL) {
            wrong(L, at, param, "Tasklet");
        }
        arg->as.task = &body->task;
        break;
    case TK_CHANNEL:
        arg->as.channel = tk_to_channel(L, -1, bind);
        if (arg->as.channel == NULL) {
            wrong(L, at, param, "channel");
        }
        break;
    case TK_STREAM:
        arg->as.stream = tk_to_stream(L, -1);
        if (arg->as.stream == NULL) {
            wrong(L, at, param, "stream");
        }
        break;
    case TK_SOURCE:
        arg->as.source = tk_to_source(L, -1, bind);
        if (arg->as.source == NULL) {
            wrong(L, at, param, "Emitter or emitter class");
        }
        /* Those of the operating system are listened for. */
        tk_require_capability(L, bind, arg->as.source->listen != NULL ? TK_MAY_SIGNALS : 0);
        break;
    default:
        arg->as.integer = lua_gettop(L); /* TK_VALUE: anything */
        break;
    }
}

static bool is_option(const struct tk_param *params, const char *name)
{
    if (strcmp(name, "priority") == 0) {
        return true;
    }
    for (; params != NULL && params->type != TK_END; params++) {
        if (params->option && strcmp(params->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Raises if the options table at `at` has a name that no parameter has; names those there are. */
static void check_options(lua_State *L, int at, const struct tk_param *params)
{
    lua_pushnil(L);
    while (lua_next(L, at)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING || !is_option(params, lua_tostring(L, -1))) {
            const char *name = luaL_tolstring(L, -1, NULL);

            lua_pushfstring(L, "unknown option '%s' (known: ", name);
            for (; params != NULL && params->type != TK_END; params++) {
                if (params->option) {
                    lua_pushfstring(L, "%s, ", params->name);
                    lua_concat(L, 2);
                }
            }
            lua_pushliteral(L, "priority)");
            lua_concat(L, 2);
            luaL_argerror(L, at, lua_tostring(L, -1));
        }
    }
}

RAISES int32_t tk_read_priority(lua_State *L, int at, const struct tk_kind *kind)
{
    lua_Integer priority;
    int exact;

    if (!lua_istable(L, at) || lua_getfield(L, at, "priority") == LUA_TNIL) {
        return kind->priority;
    }
    priority = lua_tointegerx(L, -1, &exact);
    if (!exact || lua_type(L, -1) != LUA_TNUMBER) {
        tk_option_error(L, at, "priority", "integer");
    }
    if (priority < INT32_MIN || priority > INT32_MAX) {
        luaL_argerror(L, at, "option 'priority': out of range");
    }
    return (int32_t)priority;
}

RAISES void tk_read_args(lua_State *L, struct tk_bind *bind, const struct tk_kind *kind,
                         struct tk_arg *args, int *first, int *options)
{
    const struct tk_param *param = kind->params;
    int positional = 0, top = lua_gettop(L);

    for (; param != NULL && param->type != TK_END; param++) {
        positional += !param->option;
    }
    *options = positional + 1;
    if (top > 0 && top == positional && kind->params[positional - 1].optional &&
        kind->params[positional - 1].type != TK_VALUE && lua_istable(L, top)) {
        lua_pushnil(L); /* the optional one was left out */
        lua_insert(L, top);
    }
    lua_settop(L, *options);
    if (!lua_isnil(L, *options)) {
        luaL_checktype(L, *options, LUA_TTABLE);
        check_options(L, *options, kind->params);
    }
    *first = lua_gettop(L) + 1;
    param = kind->params;
    for (int i = 0; param != NULL && param->type != TK_END; param++, i++) {
        int at = param->option ? *options : i + 1;

        if (!param->option) {
            lua_pushvalue(L, at);
        } else if (lua_istable(L, at)) {
            lua_getfield(L, at, param->name);
        } else {
            lua_pushnil(L);
        }
        if (!lua_isnil(L, -1) || !(param->option || param->optional)) {
            convert(L, bind, at, param, &args[i]);
        }
    }
}
