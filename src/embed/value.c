/*
 * Values between C and Lua: the chapter "Values", but for tables.
 *
 * What the program has by reference lies in one table, by slot. A reference is a number that says
 * of which host it is, which slot it means, and which generation of that: when the slot is vacated
 * the generation is over, so a stale reference means nothing rather than another value. A slot
 * whose generations are used up is not used again.
 *
 * Bytes given through `out` arguments lie in another table, by place, until they are overwritten.
 */
#include <stdlib.h>

#include "embed/embed.h"

/* From the lowest: slot, generation, the number of the host modulo 2^16. The sign is never set. */
#define SLOT_BITS 27
#define GENERATION_BITS 20
#define HOST_BITS 16

#define TAKEN UINT32_MAX

RAISES void tk_values_open(lua_State *L, struct tasklet_host *host)
{
    lua_newtable(L);
    host->embed->values = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    host->embed->given = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* ---- references ---- */

/* The first reference of a slot, which is in its first generation. */
static long long first_reference(const struct tk_embed *embed, uint32_t slot)
{
    unsigned long long host = embed->number & ((1u << HOST_BITS) - 1);

    return (long long)(host << (SLOT_BITS + GENERATION_BITS) | slot);
}

/* The slot that a reference means; TAKEN: none. */
static inline uint32_t slot_of(const struct tk_embed *embed, long long reference)
{
    uint32_t slot = (uint32_t)reference & ((1u << SLOT_BITS) - 1);

    return slot < embed->slot_count && embed->slots[slot].reference == reference &&
                   embed->slots[slot].next == TAKEN
               ? slot
               : TAKEN;
}

/* Is it of its slot's last generation? */
static bool is_last(long long reference)
{
    return (reference >> SLOT_BITS & ((1 << GENERATION_BITS) - 1)) == (1 << GENERATION_BITS) - 1;
}

/* Sees to it that there is a vacant slot. */
static bool make_room(struct tk_embed *embed)
{
    uint32_t room = embed->slot_room == 0 ? 16 : embed->slot_room * 2;
    struct tk_slot *slots;

    if (embed->vacant != 0 || embed->slot_count < embed->slot_room) {
        return true;
    }
    slots = room > 1u << SLOT_BITS ? NULL : realloc(embed->slots, room * sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    embed->slots = slots;
    embed->slot_room = room;
    return true;
}

RAISES long long tk_reference_make(lua_State *L, struct tasklet_host *host)
{
    struct tk_embed *embed = host->embed;
    uint32_t slot;

    if (!make_room(embed)) {
        tk_no_memory(L);
    }
    slot = embed->vacant != 0 ? embed->vacant - 1 : embed->slot_count;
    lua_rawgeti(L, LUA_REGISTRYINDEX, embed->values);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)slot + 1);
    lua_pop(L, 1);
    if (embed->vacant != 0) {
        embed->vacant = embed->slots[slot].next;
    } else {
        embed->slots[slot].reference = first_reference(embed, slot);
        embed->slot_count++;
    }
    embed->slots[slot].next = TAKEN;
    return embed->slots[slot].reference;
}

bool tk_reference_push(lua_State *L, const struct tasklet_host *host, long long reference)
{
    uint32_t slot = slot_of(host->embed, reference);

    if (slot == TAKEN) {
        return false;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, host->embed->values);
    lua_rawgeti(L, -1, (lua_Integer)slot + 1);
    lua_replace(L, -2);
    return true;
}

void tk_reference_drop(struct tasklet_host *host, long long reference)
{
    struct tk_embed *embed = host->embed;
    uint32_t slot = slot_of(embed, reference);
    lua_State *L;

    if (host->bind == NULL || slot == TAKEN) {
        return;
    }
    L = host->bind->main;
    if (lua_checkstack(L, 2)) { /* else the value stays until the slot is used again */
        lua_rawgeti(L, LUA_REGISTRYINDEX, embed->values);
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, (lua_Integer)slot + 1);
        lua_pop(L, 1);
    }
    embed->slots[slot].next = 0;
    if (!is_last(reference)) {
        embed->slots[slot].reference += 1LL << SLOT_BITS;
        embed->slots[slot].next = embed->vacant;
        embed->vacant = slot + 1;
    }
}

/* ---- to and from Lua ---- */

/* Pushes one that is neither by reference nor a string. */
static bool push_plain(lua_State *L, const struct tasklet_value *value)
{
    switch (value->type) {
    case TASKLET_NIL:
        lua_pushnil(L);
        return true;
    case TASKLET_BOOLEAN:
        lua_pushboolean(L, value->as.boolean);
        return true;
    case TASKLET_INTEGER:
        lua_pushinteger(L, value->as.integer);
        return true;
    case TASKLET_NUMBER:
        lua_pushnumber(L, value->as.number);
        return true;
    case TASKLET_POINTER:
        lua_pushlightuserdata(L, value->as.pointer);
        return true;
    default:
        return false;
    }
}

/* No bytes may be anywhere. */
static bool is_string(const struct tasklet_value *value)
{
    return value->type == TASKLET_STRING && (value->as.bytes != NULL || value->length == 0);
}

static bool is_reference(const struct tasklet_value *value)
{
    return value->type >= TASKLET_TABLE && value->type <= TASKLET_OBJECT;
}

RAISES bool tk_value_push(lua_State *L, struct tasklet_host *host,
                          const struct tasklet_value *value)
{
    if (value == NULL) {
        lua_pushnil(L);
        return true;
    }
    if (is_reference(value)) {
        return tk_reference_push(L, host, value->as.reference);
    }
    if (is_string(value)) {
        lua_pushlstring(L, value->as.bytes, value->length);
        return true;
    }
    return push_plain(L, value);
}

enum tk_pushed tk_value_push_lightly(lua_State *L, struct tasklet_host *host,
                                     const struct tasklet_value *value, int table)
{
    if (is_reference(value)) {
        uint32_t slot = slot_of(host->embed, value->as.reference);

        if (slot == TAKEN) {
            return TK_NONE;
        }
        lua_rawgeti(L, table, (lua_Integer)slot + 1);
        return TK_PUSHED;
    }
    return push_plain(L, value) ? TK_PUSHED : TK_HEAVY;
}

bool tk_value_take(lua_State *L, int index, struct tasklet_value *out)
{
    if (lua_isinteger(L, index)) {
        *out = tasklet_integer(lua_tointeger(L, index));
        return true;
    }
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        *out = tasklet_boolean(lua_toboolean(L, index));
        return true;
    case LUA_TNUMBER:
        *out = tasklet_number(lua_tonumber(L, index));
        return true;
    case LUA_TSTRING:
    case LUA_TTABLE:
    case LUA_TFUNCTION:
    case LUA_TUSERDATA:
    case LUA_TTHREAD:
        return false;
    case LUA_TLIGHTUSERDATA:
        *out = tasklet_pointer(lua_touserdata(L, index));
        return true;
    default:
        *out = tasklet_nil();
        return true;
    }
}

static int type_of(lua_State *L, const struct tasklet_host *host, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TTABLE:
        return TASKLET_TABLE;
    case LUA_TFUNCTION:
        return TASKLET_FUNCTION;
    default:
        return tk_to_body(L, index, host->bind) != NULL ? TASKLET_TASKLET : TASKLET_OBJECT;
    }
}

RAISES void tk_value_lend(lua_State *L, struct tasklet_host *host, int index,
                          struct tasklet_value *out)
{
    long long reference;

    if (tk_value_take(L, index, out)) {
        return;
    }
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *bytes = lua_tolstring(L, index, &length);

        *out = tasklet_bytes(bytes, length);
        return;
    }
    lua_pushvalue(L, index);
    reference = tk_reference_make(L, host);
    *out = tasklet_nil();
    out->as.reference = reference;
    out->type = type_of(L, host, index);
}

void tk_value_done(struct tasklet_host *host, struct tasklet_value *value)
{
    if (value->type >= TASKLET_TABLE) {
        tk_reference_drop(host, value->as.reference);
    }
    *value = tasklet_nil();
}

RAISES const char *tk_value_keep(lua_State *L, struct tasklet_host *host, int index, int place)
{
    struct tk_embed *embed = host->embed;

    index = lua_absindex(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, embed->given);
    if (place == 1) { /* a string that is long is not to stay for the sake of its place */
        for (; embed->places > 1; embed->places--) {
            lua_pushboolean(L, 0);
            lua_rawseti(L, -2, embed->places);
        }
    }
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, place);
    if (place > embed->places) {
        embed->places = place;
    }
    lua_pop(L, 1);
    return lua_tostring(L, index);
}

RAISES void tk_value_give(lua_State *L, struct tasklet_host *host, int index, int place,
                          struct tasklet_value *out)
{
    if (lua_type(L, index) == LUA_TSTRING) {
        tk_value_keep(L, host, index, place);
    }
    tk_value_lend(L, host, index, out);
}

/* ---- what the program calls ---- */

void tasklet_release(struct tasklet_host *host, struct tasklet_value *value)
{
    if (host != NULL) {
        tk_value_done(host, value);
    } else {
        *value = tasklet_nil();
    }
}

struct pair {
    struct tasklet_host *host;
    const struct tasklet_value *value;
    struct tasklet_value *out;
    bool is_one; /* `value` */
};

static int keep(lua_State *L)
{
    struct pair *pair = lua_touserdata(L, 1);

    pair->is_one = tk_value_push(L, pair->host, pair->value);
    if (pair->is_one) {
        tk_value_lend(L, pair->host, 2, pair->out);
    }
    return 0;
}

int tasklet_keep(struct tasklet_host *host, const struct tasklet_value *value,
                 struct tasklet_value *out)
{
    struct pair pair = {host, value, out, false};
    int rc;

    if (value == NULL || out == NULL) {
        return tk_missing(host);
    }
    if (value->type == TASKLET_STRING) {
        return tk_set_error(host, TASKLET_EINVAL, "bytes are not kept");
    }
    rc = tk_guarded(host, keep, &pair);
    return rc < 0 || pair.is_one ? rc : tk_set_error(host, TASKLET_EINVAL, TK_NO_VALUE);
}

static int to_string(lua_State *L)
{
    struct pair *pair = lua_touserdata(L, 1);

    pair->is_one = tk_value_push(L, pair->host, pair->value);
    if (pair->is_one) {
        luaL_tolstring(L, 2, NULL);
        tk_value_give(L, pair->host, 3, 1, pair->out);
    }
    return 0;
}

int tasklet_tostring(struct tasklet_host *host, const struct tasklet_value *value,
                     struct tasklet_value *out)
{
    struct pair pair = {host, value, out, false};
    int rc = out == NULL ? tk_missing(host) : tk_guarded(host, to_string, &pair);

    return rc < 0 || pair.is_one ? rc : tk_set_error(host, TASKLET_EINVAL, TK_NO_VALUE);
}

/* ---- with lua.h ---- */

static int keep_string(lua_State *L)
{
    struct pair *pair = lua_touserdata(L, 1);

    lua_pushlstring(L, pair->value->as.bytes, pair->value->length);
    tk_value_keep(L, pair->host, 2, 1);
    return 0;
}

int tasklet_push(struct tasklet_host *host, struct lua_State *L, const struct tasklet_value *value)
{
    struct pair pair = {host, value, NULL, false};
    bool is_bytes = value != NULL && is_string(value);
    int rc = is_bytes ? tk_guarded(host, keep_string, &pair) : 0;

    if (rc < 0) {
        return rc;
    }
    if (host->bind == NULL) {
        return tk_set_error(host, TASKLET_ECLOSED, "the Lua state is closed");
    }
    if (!lua_checkstack(L, 2)) {
        return tk_set_error(host, TASKLET_ENOMEM, NULL);
    }
    if (is_bytes) { /* what needs memory has been done: nothing here can raise */
        lua_rawgeti(L, LUA_REGISTRYINDEX, host->embed->given);
        lua_rawgeti(L, -1, 1);
        lua_replace(L, -2);
        return 0;
    }
    return tk_value_push(L, host, value) ? 0 : tk_set_error(host, TASKLET_EINVAL, TK_NO_VALUE);
}

static int give(lua_State *L)
{
    struct pair *pair = lua_touserdata(L, 1);

    tk_value_give(L, pair->host, 2, 1, pair->out);
    return 0;
}

int tasklet_at(struct tasklet_host *host, struct lua_State *L, int index, struct tasklet_value *out)
{
    struct pair pair = {host, NULL, out, true};
    struct tk_outer outer;
    lua_State *main;
    int status;

    if (host->bind == NULL) {
        return tk_set_error(host, TASKLET_ECLOSED, "the Lua state is closed");
    }
    if (out == NULL) {
        return tk_missing(host);
    }
    if (tk_value_take(L, index, out)) {
        return 0;
    }
    main = host->bind->main;
    if (!lua_checkstack(L, 1) || !lua_checkstack(main, 4)) {
        return tk_set_error(host, TASKLET_ENOMEM, NULL);
    }
    lua_pushvalue(L, index);
    if (L != main) {
        lua_xmove(L, main, 1);
    }
    tk_enter(host, &outer);
    lua_pushcfunction(main, give);
    lua_insert(main, -2);
    lua_pushlightuserdata(main, &pair);
    lua_insert(main, -2);
    status = lua_pcall(main, 2, 0, 0);
    tk_leave(host, &outer);
    return status == LUA_OK ? 0 : tk_failed(host, main, status);
}
