/*
 * What files.c and input.c share: see files.c. Functions of Lua have three upvalues: the binding,
 * the host, Lua's own function. RAISES.
 */
#ifndef TK_FILES_H
#define TK_FILES_H

#include "host.h"

/* Lua's own function, in the frame of the caller. */
int tk_files_stock(lua_State *L);

/* Can the caller wait for this file? NULL is none. */
bool tk_files_waits(lua_State *L, const luaL_Stream *stream);

/* Waits for the descriptor of the file at 1; for use as `return`. `k` begins with tk_files_done,
 * and then tk_files_check, which raises what the tasklet is to raise, if it did not come in time,
 * and if the file was closed meanwhile. */
int tk_files_wait_for(lua_State *L, int fd, int events, lua_KFunction k, lua_KContext context);
void tk_files_check(lua_State *L, bool in_time, const char *what);

/* Would a read or write, as poll has them, not block? */
bool tk_files_is_ready(int fd, short events);

/* Pushes a default file of io's: "_IO_input". NULL: there is none. */
luaL_Stream *tk_files_push_default(lua_State *L, const char *key);

/* input.c */
int tk_input_file_read(lua_State *L);
int tk_input_file_lines(lua_State *L);
int tk_input_io_read(lua_State *L);
int tk_input_io_lines(lua_State *L);

#endif
