/*
 * Reading as Lua's own files do it, without standing still: see files.c. What the formats mean is
 * as in liolib.c. A read that ends in the middle gives back what it has taken.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>

#include "files.h"

/* As liolib.c has it. */
#define LONGEST_NUMBER 200

/* As glibc has it inside: bytes that were given back are read now, others come after them. */
#define IN_BACKUP 0x100

enum taken { MORE, YES, NO }; /* there must be more first; a result; none, and that is the end */

enum phase {
    SPACE,
    SIGN,
    ZERO,
    HEX,
    INTEGER,
    POINT,
    FRACTION,
    EXPONENT,
    EXPONENT_SIGN,
    LAST,
    OVER
};

/*
 * A read under way. Its frame: the file, the formats, then at `context` this, the text that has
 * come (a userdata or nil), and the results so far.
 */
struct reading {
    FILE *f;
    int next, last; /* the indices of the present format and of the last one; none: a line */
    int offset;     /* of the formats' indices from those of the caller's arguments */
    bool woken;     /* the descriptor is ready */
    bool begun;     /* the present format */
    size_t start, used, room; /* of the text: where the present format's begins, the end */
    enum phase phase;         /* of a number */
    bool hex;
    int digits;
};

/* Are there bytes behind those that were given back? As gnulib's freadahead has it. */
static bool has_more(const FILE *f)
{
    return (f->_flags & IN_BACKUP) != 0 && f->_IO_save_base < f->_IO_save_end;
}

/* How much is in stdio's buffer; 0: nothing will be before the next wait; -1: the end or an error.
 */
static ssize_t available(struct reading *reading)
{
    FILE *f = reading->f;
    int c;

    if (f->_IO_read_ptr < f->_IO_read_end) {
        return f->_IO_read_end - f->_IO_read_ptr;
    }
    if (!has_more(f)) {
        if (feof(f) || ferror(f)) {
            return -1;
        }
        if (!reading->woken || !tk_files_is_ready(fileno(f), POLLIN)) {
            return 0;
        }
        reading->woken = false; /* others get their turn before the next one */
    }
    c = getc(f);
    if (c == EOF) {
        return -1;
    }
    ungetc(c, f);
    return f->_IO_read_end - f->_IO_read_ptr;
}

/* Moves bytes from stdio's buffer to the text. */
static void take(lua_State *L, int at, struct reading *reading, size_t count)
{
    char *text = lua_touserdata(L, at + 1);

    if (reading->room - reading->used < count) {
        size_t room = (reading->used + count) * 2 + 80;
        char *larger = lua_newuserdatauv(L, room, 0);

        if (reading->used > 0) {
            memcpy(larger, text, reading->used);
        }
        lua_replace(L, at + 1);
        text = larger;
        reading->room = room;
    }
    reading->used += fread(text + reading->used, 1, count, reading->f);
}

/* What has come for the present format. */
static size_t text_of(lua_State *L, int at, const struct reading *reading, const char **text)
{
    *text = reading->used > 0 ? (const char *)lua_touserdata(L, at + 1) + reading->start : "";
    return reading->used - reading->start;
}

static void push_text(lua_State *L, int at, const struct reading *reading, size_t less)
{
    const char *text;
    size_t count = text_of(L, at, reading, &text);

    lua_pushlstring(L, text, count - less);
}

/* The read ends without a result, but not with the file. */
static void give_back(lua_State *L, int at)
{
    const struct reading *reading = lua_touserdata(L, at);
    const char *text = lua_touserdata(L, at + 1);
    size_t count = reading->used;

    while (count > 0 && ungetc((unsigned char)text[count - 1], reading->f) != EOF) {
        count--;
    }
}

static enum taken take_line(lua_State *L, int at, struct reading *reading, bool chop)
{
    ssize_t count;

    while ((count = available(reading)) > 0) {
        const char *start = reading->f->_IO_read_ptr;
        const char *end = memchr(start, '\n', (size_t)count);

        take(L, at, reading, end != NULL ? (size_t)(end - start) + 1 : (size_t)count);
        if (end != NULL) {
            push_text(L, at, reading, chop);
            return YES;
        }
    }
    if (count == 0) {
        return MORE;
    }
    push_text(L, at, reading, 0);
    return reading->used > reading->start ? YES : NO;
}

static enum taken take_all(lua_State *L, int at, struct reading *reading)
{
    ssize_t count;

    while ((count = available(reading)) > 0) {
        take(L, at, reading, (size_t)count);
    }
    if (count == 0) {
        return MORE;
    }
    push_text(L, at, reading, 0);
    return YES;
}

static enum taken take_chars(lua_State *L, int at, struct reading *reading, size_t wanted)
{
    ssize_t count = 1;

    while ((reading->used - reading->start < wanted || wanted == 0) &&
           (count = available(reading)) > 0 && wanted > 0) {
        size_t left = wanted - (reading->used - reading->start);

        take(L, at, reading, left < (size_t)count ? left : (size_t)count);
    }
    if (count == 0) {
        return MORE;
    }
    push_text(L, at, reading, 0);
    return reading->used > reading->start || (wanted == 0 && count > 0) ? YES : NO;
}

static bool is_digit(const struct reading *reading, int c)
{
    return reading->hex ? isxdigit(c) : isdigit(c);
}

static bool is_one_of(int c, const char *set)
{
    return c != '\0' && c != EOF && strchr(set, c) != NULL;
}

/* Says whether a numeral goes on with c, EOF for the end, and in which phase. */
static bool accepts(struct reading *reading, int c)
{
    const char point[2] = {localeconv()->decimal_point[0], '\0'};

    for (;;) {
        switch (reading->phase) {
        case SPACE:
            if (isspace(c)) return true;
            break;
        case SIGN:
            if (is_one_of(c, "-+")) return reading->phase++, true;
            break;
        case ZERO:
            if (c == '0') return reading->phase++, true;
            reading->phase++;
            break;
        case HEX:
            if (is_one_of(c, "xX")) return reading->hex = true, reading->phase++, true;
            reading->digits = 1;
            break;
        case INTEGER:
        case FRACTION:
            if (is_digit(reading, c)) return reading->digits++, true;
            break;
        case POINT:
            if (is_one_of(c, point)) return reading->phase++, true;
            reading->phase++;
            break;
        case EXPONENT:
            if (reading->digits > 0 && is_one_of(c, reading->hex ? "pP" : "eE"))
                return reading->phase++, true;
            reading->phase = OVER;
            return false;
        case EXPONENT_SIGN:
            if (is_one_of(c, "-+")) return reading->phase++, true;
            break;
        case LAST:
            if (isdigit(c)) return true;
            break;
        default:
            return false;
        }
        reading->phase++;
    }
}

static enum taken take_number(lua_State *L, int at, struct reading *reading)
{
    char number[LONGEST_NUMBER + 1];
    const char *text;
    size_t length;
    ssize_t count;

    while ((count = available(reading)) != 0 && reading->phase != OVER) {
        int c = count < 0 ? EOF : (unsigned char)*reading->f->_IO_read_ptr;

        if (!accepts(reading, c)) {
            reading->phase = OVER;
        } else if (reading->phase == SPACE) {
            take(L, at, reading, 1);
            reading->start = reading->used;
        } else if (reading->used - reading->start >= LONGEST_NUMBER) {
            reading->start = reading->used; /* too long: no number */
            reading->phase = OVER;
        } else {
            take(L, at, reading, 1);
        }
    }
    if (reading->phase != OVER) {
        return MORE;
    }
    length = text_of(L, at, reading, &text);
    memcpy(number, text, length);
    number[length] = '\0';
    if (lua_stringtonumber(L, number) != 0) {
        return YES;
    }
    lua_pushnil(L);
    return NO;
}

/* Takes what the present format says. On YES and NO a value is on top. */
static enum taken take_format(lua_State *L, int at, struct reading *reading)
{
    int index = reading->next;
    const char *format;

    if (reading->last < 2) {
        return take_line(L, at, reading, true);
    }
    if (lua_type(L, index) == LUA_TNUMBER) {
        return take_chars(L, at, reading, (size_t)luaL_checkinteger(L, index));
    }
    format = luaL_checkstring(L, index);
    switch (*format == '*' ? format[1] : format[0]) {
    case 'n':
        return take_number(L, at, reading);
    case 'l':
        return take_line(L, at, reading, true);
    case 'L':
        return take_line(L, at, reading, false);
    case 'a':
        return take_all(L, at, reading);
    default:
        luaL_argerror(L, index - reading->offset, "invalid format");
        return NO;
    }
}

static int read_on(lua_State *L, int status, lua_KContext context);

/* Takes results until there must be more first, or all are there: then they are returned by
 * `k`'s caller. Negative: it has to wait. */
static int take_results(lua_State *L, int at)
{
    struct reading *reading = lua_touserdata(L, at);
    int last = reading->last < 2 ? reading->next : reading->last;
    enum taken taken = YES;

    while (taken == YES && reading->next <= last) {
        if (!reading->begun) {
            reading->begun = true;
            reading->start = reading->used;
            reading->phase = SPACE;
            reading->hex = false;
            reading->digits = 0;
            luaL_checkstack(L, 10, "too many arguments");
        }
        taken = take_format(L, at, reading);
        if (taken == MORE) {
            return -1;
        }
        reading->begun = false;
        reading->next++;
    }
    if (ferror(reading->f)) {
        return luaL_fileresult(L, 0, NULL);
    }
    if (taken == NO) {
        lua_pop(L, 1);
        luaL_pushfail(L);
    }
    return lua_gettop(L) - at - 1;
}

static int read_or_wait(lua_State *L, int at, lua_KFunction k)
{
    int count = take_results(L, at);

    if (count < 0) {
        struct reading *reading = lua_touserdata(L, at);

        return tk_files_wait_for(L, fileno(reading->f), 1 /* IO_IN */, k, at);
    }
    return count;
}

static void note_woken(lua_State *L, int at)
{
    bool in_time = tk_files_done(L);

    if (((luaL_Stream *)lua_touserdata(L, 1))->closef != NULL &&
        (!in_time || tk_current(tk_bind_of(L))->task.raise != TK_RAISE_NOTHING)) {
        give_back(L, at);
    }
    tk_files_check(L, in_time, "read");
    ((struct reading *)lua_touserdata(L, at))->woken = true;
}

static int read_on(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    note_woken(L, (int)context);
    return read_or_wait(L, (int)context, read_on);
}

/* The stack: a file, formats. Puts a reading on top of it; its index. */
static int begin(lua_State *L, int offset)
{
    int last = lua_gettop(L);
    luaL_Stream *stream = lua_touserdata(L, 1);
    struct reading *reading = lua_newuserdatauv(L, sizeof *reading, 0);

    memset(reading, 0, sizeof *reading);
    reading->f = stream->f;
    reading->next = 2;
    reading->last = last;
    reading->offset = offset;
    lua_pushnil(L);
    clearerr(stream->f);
    return last + 1;
}

/* Can the caller wait for what comes from this file? */
static bool waits(lua_State *L, const luaL_Stream *stream)
{
    return tk_files_waits(L, stream) && __freadable(stream->f);
}

/* file:read(...) */
int tk_input_file_read(lua_State *L)
{
    if (!waits(L, luaL_testudata(L, 1, LUA_FILEHANDLE))) {
        return tk_files_stock(L);
    }
    return read_or_wait(L, begin(L, 0), read_on);
}

/* io.read(...) */
int tk_input_io_read(lua_State *L)
{
    if (!waits(L, tk_files_push_default(L, "_IO_input"))) {
        lua_pop(L, 1);
        return tk_files_stock(L);
    }
    lua_insert(L, 1);
    return read_or_wait(L, begin(L, 1), read_on);
}

/* ---- lines ---- */

/* Upvalues of the iterator: the binding, the host, the file, the number of formats, those. */
enum { LINES_FILE = 3, LINES_COUNT, LINES_FORMATS };

/* The results of an iterator's read are on top. */
static int end_line(lua_State *L, int count)
{
    if (lua_toboolean(L, -count)) {
        return count;
    }
    if (count > 1) {
        return luaL_error(L, "%s", lua_tostring(L, -count + 1));
    }
    return 0;
}

static int line_on(lua_State *L, int status, lua_KContext context)
{
    int count;

    (void)status;
    note_woken(L, (int)context);
    count = take_results(L, (int)context);
    if (count < 0) {
        struct reading *reading = lua_touserdata(L, (int)context);

        return tk_files_wait_for(L, fileno(reading->f), 1, line_on, context);
    }
    return end_line(L, count);
}

static int next_line(lua_State *L)
{
    luaL_Stream *stream = lua_touserdata(L, lua_upvalueindex(LINES_FILE));
    int formats = (int)lua_tointeger(L, lua_upvalueindex(LINES_COUNT)), at, count;
    bool may_wait = waits(L, stream);

    if (stream->closef == NULL) {
        return luaL_error(L, "file is already closed");
    }
    lua_settop(L, 0);
    luaL_checkstack(L, formats + 10, "too many arguments");
    lua_pushvalue(L, lua_upvalueindex(LINES_FILE));
    for (int i = 0; i < formats; i++) {
        lua_pushvalue(L, lua_upvalueindex(LINES_FORMATS + i));
    }
    if (!may_wait) { /* here and now, it cannot be suspended */
        lua_getfield(L, 1, "read");
        lua_insert(L, 1);
        lua_call(L, formats + 1, LUA_MULTRET);
        return end_line(L, lua_gettop(L));
    }
    at = begin(L, 0);
    count = take_results(L, at);
    if (count < 0) {
        return tk_files_wait_for(L, fileno(stream->f), 1, line_on, at);
    }
    return end_line(L, count);
}

/* The stack: a file, formats. Pushes the iterator. */
static int push_lines(lua_State *L)
{
    int formats = lua_gettop(L) - 1;

    luaL_argcheck(L, formats <= 245, 246, "too many arguments");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_rotate(L, 1, 2);
    lua_pushinteger(L, formats);
    lua_insert(L, LINES_COUNT);
    lua_pushcclosure(L, next_line, formats + 4);
    return 1;
}

/* file:lines(...) */
int tk_input_file_lines(lua_State *L)
{
    if (!waits(L, luaL_testudata(L, 1, LUA_FILEHANDLE))) {
        return tk_files_stock(L);
    }
    return push_lines(L);
}

/* io.lines(name, ...): without a name, of the default input. */
int tk_input_io_lines(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) {
        return tk_files_stock(L);
    }
    if (!waits(L, tk_files_push_default(L, "_IO_input"))) {
        lua_pop(L, 1);
        return tk_files_stock(L);
    }
    if (lua_gettop(L) == 1) { /* no argument at all */
        lua_pushvalue(L, 1);
    }
    lua_replace(L, 1);
    return push_lines(L);
}
