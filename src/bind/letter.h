/*
 * A Message as the files of this room that make and send some see it: a userdata whose user values
 * are its attributes. Of the means that were measured this is the cheapest: a table costs twice as
 * much to make, and reading its fields does not save that.
 */
#ifndef TK_BIND_LETTER_H
#define TK_BIND_LETTER_H

#include "bind/bind.h"

/* The first four are the attributes; one that was sent by `call` has the rest, too. */
enum { UV_NAME = 1, UV_DEST, UV_VALUE, UV_SENDER, UV_ASKER, UV_SERIAL };
enum { PLAIN_LETTER = UV_SENDER, CALL_LETTER = UV_SERIAL }; /* how many it has */

struct letter {
    const void *brand; /* that it is one */
    const struct tk_bind *bind;
    bool called; /* has a serial number, and who asks */
    bool fields; /* has fields of its own: in the table of fields */
};

/* Upvalues of the functions that make messages, behind the binding. */
enum { UP_META = 2, UP_ANCHORS = 3 };

/* The message at `index`. */
RAISES struct letter *tk_check_letter(lua_State *L, int index);

/* Pushes the message that is made of dest, name and value at 1, 2 and 3; there may be more. It has
 * so many user values. For functions that make messages. */
RAISES void tk_push_sent(lua_State *L, struct tk_bind *bind, const struct tk_body *sender,
                         int values);

/* Gives the message at `index` to `dest`: as tk_mail_send, whose result it returns. */
RAISES int tk_message_deliver(lua_State *L, struct tk_bind *bind, int index, struct tk_body *dest,
                              struct tk_room *room);

/* The mailbox was full: the message at `index` goes outside, and `sender` waits. */
RAISES struct tk_room *tk_message_outside(lua_State *L, struct tk_bind *bind, int index,
                                          struct tk_body *dest, struct tk_body *sender);

/* Functions of scripts, in call.c: tasklet.call and message:reply. */
int tk_call(lua_State *L);
int tk_reply(lua_State *L);

#endif
