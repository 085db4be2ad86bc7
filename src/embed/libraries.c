/*
 * The libraries of a private Lua state: those that its program has given capabilities for. What a
 * script is not given is there by name and raises, so that it is told why; the function behind it
 * is not in the state at all, or is nowhere that a script can reach.
 *
 * Only with all capabilities is everything as luaL_openlibs makes it.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "host.h"

/* ---- what is refused ---- */

/* A function that is not given. Upvalue 2: what it would need. */
static int refuse(lua_State *L)
{
    tk_require_capability(L, tk_bind_of(L), (unsigned)lua_tointeger(L, lua_upvalueindex(2)));
    return 0;
}

/* Puts functions that refuse into the table on top, unless the program has given what they need. */
static void refuse_all(lua_State *L, const struct tk_bind *bind, unsigned need,
                       const char *const *names)
{
    if ((bind->capabilities & need) != 0) {
        return;
    }
    for (; *names != NULL; names++) {
        tk_push_table(L, bind, TABLE_BINDING);
        lua_pushinteger(L, need);
        lua_pushcclosure(L, refuse, 2);
        lua_setfield(L, -2, *names);
    }
}

static void refuse_in(lua_State *L, const struct tk_bind *bind, const char *library, unsigned need,
                      const char *const *names)
{
    if (lua_getglobal(L, library) == LUA_TTABLE) {
        refuse_all(L, bind, need, names);
    }
    lua_pop(L, 1);
}

/* ---- loading text alone ---- */

/* The mode without its `b`: at most what is asked for. */
static const char *text_mode(const char *mode)
{
    return strchr(mode, 't') != NULL ? "t" : "";
}

/* A loaded function, or nil and why not; `env` is the place of its environment, 0: the usual one.
 */
static int loaded(lua_State *L, int status, int env)
{
    if (status != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (env != 0) {
        lua_pushvalue(L, env);
        if (lua_setupvalue(L, -2, 1) == NULL) {
            lua_pop(L, 1);
        }
    }
    return 1;
}

/* Where the reader's piece is kept while the compiler looks at it. */
#define PIECE 5

static const char *read_piece(lua_State *L, void *context, size_t *size)
{
    (void)context;
    luaL_checkstack(L, 2, "too many nested functions");
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        *size = 0;
        return NULL;
    }
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "reader function must return a string");
    }
    lua_replace(L, PIECE);
    return lua_tolstring(L, PIECE, size);
}

/* load(chunk, name, mode, env), as Lua's own. */
static int load(lua_State *L)
{
    const char *mode = text_mode(luaL_optstring(L, 3, "bt")), *text, *name;
    int env = lua_isnone(L, 4) ? 0 : 4, status;
    size_t length;

    text = lua_tolstring(L, 1, &length);
    if (text != NULL) {
        name = luaL_optstring(L, 2, text);
        status = luaL_loadbufferx(L, text, length, name, mode);
    } else {
        name = luaL_optstring(L, 2, "=(load)");
        luaL_checktype(L, 1, LUA_TFUNCTION);
        lua_settop(L, PIECE);
        status = lua_load(L, read_piece, NULL, name, mode);
    }
    return loaded(L, status, env);
}

/* loadfile(name, mode, env), as Lua's own. */
static int loadfile(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);
    const char *mode = text_mode(luaL_optstring(L, 2, "bt"));
    int env = lua_isnone(L, 3) ? 0 : 3;

    return loaded(L, luaL_loadfilex(L, name, mode), env);
}

static int dofile_done(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L) - 1;
}

/* dofile(name), as Lua's own. */
static int dofile(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);

    lua_settop(L, 1);
    if (luaL_loadfilex(L, name, "t") != LUA_OK) {
        return lua_error(L);
    }
    lua_callk(L, 0, LUA_MULTRET, 0, dofile_done);
    return dofile_done(L, LUA_OK, 0);
}

/* The searcher for files of Lua, as Lua's own. Upvalues: package.searchpath, package. */
static int search_text(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *file;

    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    if (lua_getfield(L, lua_upvalueindex(2), "path") != LUA_TSTRING) {
        return luaL_error(L, "'package.path' must be a string");
    }
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) {
        return 1; /* where it was looked for */
    }
    lua_pop(L, 1);
    file = lua_tostring(L, -1);
    if (luaL_loadfilex(L, file, "t") != LUA_OK) {
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file,
                          lua_tostring(L, -1));
    }
    lua_insert(L, -2);
    return 2;
}

/* ---- the library `package` ---- */

/* The list of searchers: those for C go unless they are given, and the one for files of Lua. The
 * table package is on top. */
static void restrict_searchers(lua_State *L, const struct tk_bind *bind)
{
    bool files = (bind->capabilities & TK_MAY_FILES) != 0;
    bool native = (bind->capabilities & TK_MAY_NATIVE) != 0;
    int package = lua_gettop(L), count = 1;

    lua_getfield(L, package, "searchers"); /* preload, Lua, C, all of one in C */
    lua_newtable(L);
    lua_rawgeti(L, package + 1, 1);
    lua_rawseti(L, -2, count++);
    if (files && (bind->capabilities & TK_MAY_BYTECODE) != 0) {
        lua_rawgeti(L, package + 1, 2);
        lua_rawseti(L, -2, count++);
    } else if (files) {
        lua_getfield(L, package, "searchpath");
        lua_pushvalue(L, package);
        lua_pushcclosure(L, search_text, 2);
        lua_rawseti(L, -2, count++);
    }
    for (int i = 3; native && i <= 4; i++) {
        lua_rawgeti(L, package + 1, i);
        lua_rawseti(L, -2, count++);
    }
    lua_setfield(L, package, "searchers");
    lua_settop(L, package);
}

/* ---- opening ---- */

void tk_libraries_open(lua_State *L, unsigned capabilities)
{
    static const luaL_Reg libraries[] = {
        {LUA_GNAME, luaopen_base},          {LUA_LOADLIBNAME, luaopen_package},
        {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
        {LUA_OSLIBNAME, luaopen_os},        {LUA_STRLIBNAME, luaopen_string},
        {LUA_MATHLIBNAME, luaopen_math},    {LUA_UTF8LIBNAME, luaopen_utf8},
        {LUA_DBLIBNAME, luaopen_debug},     {NULL, NULL}};

    for (const luaL_Reg *library = libraries; library->func != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    if ((capabilities & TK_MAY_FILES) != 0) {
        luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 1);
        lua_pop(L, 1);
    }
}

static void restrict_base(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg text_only[] = {
        {"load", load}, {"loadfile", loadfile}, {"dofile", dofile}, {NULL, NULL}};
    static const char *const files[] = {"loadfile", "dofile", NULL};

    lua_pushglobaltable(L);
    if ((bind->capabilities & TK_MAY_BYTECODE) == 0) {
        luaL_setfuncs(L, text_only, 0);
    }
    refuse_all(L, bind, TK_MAY_FILES, files);
    lua_pop(L, 1);
}

static void restrict_package(lua_State *L, struct tk_bind *bind)
{
    static const char *const files[] = {"searchpath", NULL};
    static const char *const native[] = {"loadlib", NULL};

    lua_getglobal(L, "package");
    restrict_searchers(L, bind);
    if ((bind->capabilities & TK_MAY_NATIVE) == 0) {
        refuse_all(L, bind, TK_MAY_FILES, files);
    }
    refuse_all(L, bind, TK_MAY_NATIVE, native);
    lua_pop(L, 1);
}

/* Of debug nothing but traceback stays; the rest refuses by the names that it has. */
static void restrict_debug(lua_State *L, struct tk_bind *bind)
{
    int debug;

    if ((bind->capabilities & TK_MAY_DEBUG) != 0) {
        return;
    }
    lua_getglobal(L, "debug");
    debug = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, debug)) {
        lua_pop(L, 1);
        if (strcmp(lua_tostring(L, -1), "traceback") != 0) {
            const char *const names[] = {lua_tostring(L, -1), NULL};

            lua_pushvalue(L, debug);
            refuse_all(L, bind, TK_MAY_DEBUG, names);
            lua_pop(L, 1);
        }
    }
    lua_settop(L, debug - 1);
}

static void restrict_io(lua_State *L, struct tk_bind *bind)
{
    static const char *const names[] = {"close", "flush", "input",   "lines", "open",  "output",
                                        "popen", "read",  "tmpfile", "type",  "write", NULL};
    static const char *const processes[] = {"popen", NULL};

    if ((bind->capabilities & TK_MAY_FILES) == 0) {
        luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, LUA_IOLIBNAME);
        lua_setglobal(L, LUA_IOLIBNAME);
        lua_pop(L, 1);
    }
    refuse_in(L, bind, LUA_IOLIBNAME, TK_MAY_FILES, names);
    refuse_in(L, bind, LUA_IOLIBNAME, TK_MAY_PROCESSES, processes);
}

RAISES void tk_libraries_restrict(lua_State *L, struct tk_bind *bind)
{
    static const char *const files[] = {"remove", "rename", "tmpname", NULL};
    static const char *const processes[] = {"execute", "getenv", "setlocale", NULL};

    if (bind->capabilities == TK_MAY_ALL) {
        return;
    }
    restrict_base(L, bind);
    restrict_package(L, bind);
    restrict_debug(L, bind);
    restrict_io(L, bind);
    refuse_in(L, bind, LUA_OSLIBNAME, TK_MAY_FILES, files);
    refuse_in(L, bind, LUA_OSLIBNAME, TK_MAY_PROCESSES, processes);
}
