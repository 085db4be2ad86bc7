/*
 * TLS as scripts see it: configurations, which are objects that only the Lua part holds, and the
 * beginning of TLS on a stream. Options are the Lua part's.
 */
#include "io/tls.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "bind/stream.h"

#define CONFIG "tasklet.tls"

static struct tk_tls_config *config_at(lua_State *L, int index)
{
    return *(struct tk_tls_config **)luaL_checkudata(L, index, CONFIG);
}

static int config_gc(lua_State *L)
{
    tk_tls_config_drop(config_at(L, 1));
    return 0;
}

/* For the Lua part: tls_config(server, verify, ca, cert, key, alpn); or nil, message, code. */
static int tls_config(lua_State *L)
{
    struct tk_tls_config **config = lua_newuserdatauv(L, sizeof *config, 0);
    struct tk_tls_options options = {
        .server = lua_toboolean(L, 1),
        .verify = lua_toboolean(L, 2),
        .ca = luaL_optstring(L, 3, NULL),
        .cert = luaL_optstring(L, 4, NULL),
        .key = luaL_optstring(L, 5, NULL),
        .alpn = luaL_optlstring(L, 6, NULL, &options.alpn_length),
    };
    char reason[200];

    *config = NULL;
    if (luaL_newmetatable(L, CONFIG)) {
        lua_pushcfunction(L, config_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *config = tk_tls_config_new(&options, reason, sizeof reason);
    if (*config == NULL) {
        lua_pushnil(L);
        lua_pushstring(L, reason);
        lua_pushliteral(L, "tls");
        return 3;
    }
    return 1;
}

/* For the Lua part: file_stamp(path): a text that is another one when the file is; of nil, and of
 * what is no file, it is empty. */
static int file_stamp(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, "");
    char text[120] = "";
    struct stat at;

    if (stat(path, &at) == 0) {
        snprintf(text, sizeof text, "%ju %ju %jd %jd.%ld", (uintmax_t)at.st_dev,
                 (uintmax_t)at.st_ino, (intmax_t)at.st_size, (intmax_t)at.st_ctim.tv_sec,
                 at.st_ctim.tv_nsec);
    }
    lua_pushstring(L, text);
    return 1;
}

int tk_tls_accepted(lua_State *L, struct tk_stream *stream, int config)
{
    return tk_tls_start(stream, config_at(L, config), NULL, NULL);
}

/* ---- the handshake ---- */

/* Frame: the stream. */
static int shake(lua_State *L, struct tk_bind *bind, const struct tk_stream *stream)
{
    tk_gate_done(bind);
    if (tk_stream_in_error(stream) != 0) {
        return tk_push_stream_failure(L, stream, tk_stream_in_error(stream));
    }
    lua_settop(L, 1);
    return 1;
}

static int shaken(lua_State *L, int status, lua_KContext context)
{
    struct tk_bind *bind = tk_bind_of(L);
    const struct tk_stream *stream = tk_to_stream(L, 1);

    (void)status;
    (void)context;
    if (tk_gate_resumed(L, bind) == TK_GATE_LATE && stream->shakes) {
        tk_gate_done(bind);
        return tk_push_failure_of(L, TK_IO_TIMEOUT, NULL);
    }
    return shake(L, bind, stream);
}

/* For the Lua part: begin_tls(stream, config, name, session, seconds): the stream when the
 * handshake is over; or nil, message, code. */
static int begin_tls(lua_State *L)
{
    struct tk_bind *bind = tk_bind_of(L);
    struct tk_stream *stream = tk_check_stream(L, bind);
    struct tk_tls_config *config = config_at(L, 2);
    const char *name = luaL_optstring(L, 3, NULL), *session = luaL_optstring(L, 4, NULL);
    lua_Number seconds = luaL_optnumber(L, 5, stream->timeout);
    int rc = tk_stream_in_error(stream);

    tk_check_wait(L, bind);
    if (rc == 0) {
        rc = tk_stream_out_error(stream);
    }
    if (rc == 0) {
        rc = tk_tls_start(stream, config, name, session);
    }
    if (rc < 0) {
        return tk_push_stream_failure(L, stream, rc);
    }
    if (!stream->shakes) {
        return shake(L, bind, stream);
    }
    tk_gate_stand(L, bind, &stream->opening, 0, seconds, !lua_isnoneornil(L, 5));
    return tk_gate_block(L, bind, shaken, 0);
}

/* For the Lua part: can TLS begin on it? Is it one that was accepted? */
static int tls_side(lua_State *L)
{
    const struct tk_stream *stream = tk_check_stream(L, tk_bind_of(L));
    struct tk_tls_info info;

    lua_pushboolean(L, stream->accepted);
    lua_pushboolean(L, stream->shakes || tk_tls_info(stream, &info));
    return 2;
}

/* s:tls_info(): a table; nil if it does not speak TLS, or not yet. */
static int stream_tls_info(lua_State *L)
{
    struct tk_tls_info info;

    if (!tk_tls_info(tk_check_stream(L, tk_bind_of(L)), &info)) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 5);
    lua_pushstring(L, info.version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, info.cipher);
    lua_setfield(L, -2, "cipher");
    lua_pushboolean(L, info.resumed);
    lua_setfield(L, -2, "resumed");
    if (info.alpn_length > 0) {
        lua_pushlstring(L, info.alpn, info.alpn_length);
        lua_setfield(L, -2, "alpn");
    }
    if (info.server_name != NULL) {
        lua_pushstring(L, info.server_name);
        lua_setfield(L, -2, "server_name");
    }
    return 1;
}

void tk_tls_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {{"tls_info", stream_tls_info}, {NULL, NULL}};

    tk_set_functions(L, methods);
}

void tk_tls_open(lua_State *L, struct tk_bind *bind)
{
    static const luaL_Reg core[] = {{"tls_config", tls_config},
                                    {"file_stamp", file_stamp},
                                    {"begin_tls", begin_tls},
                                    {"tls_side", tls_side},
                                    {NULL, NULL}};

    tk_push_table(L, bind, TABLE_CORE);
    tk_set_functions(L, core);
    lua_pop(L, 1);
}
