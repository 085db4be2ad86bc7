/*
 * Kinds of wait conditions of the program's. From the program's row one of ours is made, so that
 * all that is made from rows - the constructor, the checks of arguments, tostring, reports - is the
 * same for both. It lives in a userdata that the class of the conditions keeps.
 *
 * For the program arming and disarming alternate: one that has fired is disarmed before it is armed
 * again. While one is armed the loop expects it to fire.
 */
#include <ctype.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/embed.h"
#include "embed/traffic.h"

/* The script values of a condition: what it has fired with, then arguments that are kept. */
enum { FIRED_WITH = 1, ARGUMENT = 2 };

/* As the constructor has it; one of them is the option `priority`. */
#define MAX_PARAMS 8

struct row {
    struct tk_kind kind; /* first */
    struct tk_list node; /* among the host's */
    const struct tasklet_kind *given;
    struct tasklet_host *host;
    int count; /* of parameters */
    struct tk_param params[MAX_PARAMS + 1];
    char name[]; /* a copy: the conditions may outlive the host, and what the program has */
};

struct tasklet_wait {
    struct tk_wait wait;       /* first */
    struct tk_list node;       /* among the host's conditions */
    struct tasklet_host *host; /* NULL: gone */
    struct tk_fault *fault;    /* of init or arm, while that runs; NULL: it does not */
    bool armed;                /* as the program knows it */
};

static const struct row *row_of(const struct tk_wait *wait)
{
    return (const struct row *)wait->kind;
}

static struct tasklet_wait *own(const struct tk_wait *wait)
{
    return (struct tasklet_wait *)wait;
}

/* ---- what the core calls ---- */

/* The code that the program has come back with, as one of the core's. */
static int fault_of(struct tk_fault *fault, int code)
{
    if (code >= 0) {
        return 0;
    }
    if (code == TASKLET_ENOMEM) {
        return tk_fault_memory(fault);
    }
    if (fault != NULL && fault->text[0] == '\0') {
        return tk_fault_set(fault, TK_ESTATE, "%s", tasklet_strerror(code));
    }
    return TK_ESTATE;
}

static void forget(struct tasklet_host *host, struct tasklet_value *values, int count)
{
    for (int i = 0; i < count; i++) {
        tk_value_done(host, &values[i]);
    }
}

/* The arguments as the program is given them; those that are any value lie on L's stack. False: no
 * memory. */
static bool lend_args(lua_State *L, const struct row *row, const struct tk_arg *args,
                      struct tasklet_value *values)
{
    for (int i = 0; i < row->count; i++) {
        if (!args[i].given) {
            continue;
        }
        switch (row->params[i].type) {
        case TK_BOOLEAN:
            values[i] = tasklet_boolean(args[i].as.boolean);
            break;
        case TK_INTEGER:
            values[i] = tasklet_integer(args[i].as.integer);
            break;
        case TK_NUMBER:
            values[i] = tasklet_number(args[i].as.number);
            break;
        case TK_STRING:
            values[i] = tasklet_bytes(args[i].as.string, args[i].as.length);
            break;
        default:
            if (!tk_value_try_lend(L, row->host, (int)args[i].as.integer, &values[i])) {
                return false;
            }
            break;
        }
    }
    return true;
}

static int call_init(struct tasklet_wait *wait, const struct tasklet_value *values,
                     struct tk_fault *fault)
{
    const struct row *row = row_of(&wait->wait);
    int code;

    if (row->given->init == NULL) {
        return 0;
    }
    wait->fault = fault;
    code = row->given->init(wait, values);
    wait->fault = NULL;
    return fault_of(fault, code);
}

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    const struct row *row = row_of(wait);
    struct tk_bind *bind = sched->binding;
    lua_State *L = bind->L;
    struct tasklet_value values[MAX_PARAMS];
    int rc;

    for (int i = 0; i < MAX_PARAMS; i++) {
        values[i] = tasklet_nil();
    }
    fault->code = fault->arg = 0;
    fault->text[0] = '\0';
    own(wait)->host = row->host;
    rc = lend_args(L, row, args, values) ? call_init(own(wait), values, fault)
                                         : tk_fault_memory(fault);
    bind->L = L;
    forget(row->host, values, row->count);
    if (rc == 0) {
        tk_list_push(&row->host->embed->traffic.conditions, &own(wait)->node);
    }
    return rc;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    const struct tasklet_kind *given = row_of(wait)->given;

    if (own(wait)->armed) {
        own(wait)->armed = false;
        tk_loop_of(sched)->awaited--;
        if (given->disarm != NULL) {
            given->disarm(own(wait));
        }
    }
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct tasklet_wait *self = own(wait);
    struct tk_bind *bind = sched->binding;
    lua_State *L = bind->L;
    int code;

    disarm(wait, sched);
    fault->code = fault->arg = 0;
    fault->text[0] = '\0';
    self->fault = fault;
    self->armed = true; /* it may fire at once */
    tk_loop_of(sched)->awaited++;
    code = row_of(wait)->given->arm(self);
    bind->L = L;
    self->fault = NULL;
    if (code < 0) {
        self->armed = false;
        tk_loop_of(sched)->awaited--;
    }
    return fault_of(fault, code);
}

/* Lets go of what the program has with it. */
static void let_go(struct tasklet_wait *wait)
{
    const struct tasklet_kind *given = row_of(&wait->wait)->given;

    if (wait->host != NULL) {
        tk_list_remove(&wait->node);
        if (given->finish != NULL) {
            given->finish(wait);
        }
        wait->host = NULL;
    }
}

static void finish(struct tk_wait *wait, struct tk_sched *sched)
{
    (void)sched;
    let_go(own(wait));
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    text[0] = '\0';
    if (own(wait)->host != NULL) {
        row_of(wait)->given->describe(own(wait), text, size);
    }
}

void tk_conditions_close(struct tasklet_host *host)
{
    struct tk_list *node;

    while ((node = tk_list_first(&host->embed->traffic.conditions)) != NULL) {
        let_go(tk_container_of(node, struct tasklet_wait, node));
    }
    while ((node = tk_list_first(&host->embed->traffic.kinds)) != NULL) {
        tk_list_remove(node);
        tk_condition_forget(host->bind->main, &tk_container_of(node, struct row, node)->kind);
    }
}

/* ---- making one ---- */

static bool is_name(const char *name)
{
    if (name == NULL || !(isalpha((unsigned char)*name) || *name == '_')) {
        return false;
    }
    while (isalnum((unsigned char)*name) || *name == '_') {
        name++;
    }
    return *name == '\0';
}

/* What is wrong with a row; NULL: nothing. */
static const char *wrong_with(const struct tasklet_kind *given)
{
    const struct tasklet_param *param = given->params;
    bool optional = false, options = false;
    int count = 0;

    if (!is_name(given->name) || given->arm == NULL) {
        return "it has no name, or cannot be armed";
    }
    for (; param != NULL && param->name != NULL; param++) {
        bool option = (param->flags & TASKLET_OPTION) != 0;

        if (++count > MAX_PARAMS) {
            return "there are too many parameters";
        }
        if (param->type < TASKLET_NIL || param->type > TASKLET_STRING ||
            (param->flags & ~(unsigned)(TASKLET_OPTIONAL | TASKLET_OPTION)) != 0) {
            return "there is a parameter of no type that it may have";
        }
        if (!option && (options || (optional && (param->flags & TASKLET_OPTIONAL) == 0))) {
            return "a parameter that has to be given stands behind one that has not";
        }
        for (const struct tasklet_param *other = given->params; other != param; other++) {
            if (strcmp(other->name, param->name) == 0) {
                return "two parameters have the same name";
            }
        }
        if (!is_name(param->name) || strcmp(param->name, "priority") == 0) {
            return "a parameter has no name, or one that all kinds have";
        }
        options = options || option;
        optional = optional || option || (param->flags & TASKLET_OPTIONAL) != 0;
    }
    return NULL;
}

static enum tk_type type_of(int type)
{
    switch (type) {
    case TASKLET_BOOLEAN:
        return TK_BOOLEAN;
    case TASKLET_INTEGER:
        return TK_INTEGER;
    case TASKLET_NUMBER:
        return TK_NUMBER;
    case TASKLET_STRING:
        return TK_STRING;
    default:
        return TK_VALUE;
    }
}

static void set_params(struct row *row)
{
    const struct tasklet_param *given = row->given->params;
    uint8_t keep = ARGUMENT;

    for (; given != NULL && given->name != NULL; given++) {
        struct tk_param *param = &row->params[row->count++];

        param->name = given->name;
        param->type = type_of(given->type);
        param->option = (given->flags & TASKLET_OPTION) != 0;
        param->optional = (given->flags & TASKLET_OPTIONAL) != 0;
        param->keep = param->type == TK_VALUE ? keep++ : 0;
    }
    row->kind.values = (uint8_t)(keep - 1);
}

/* From where on the program's bytes may lie; they are aligned when it is known where the whole
 * does. */
static size_t state_offset(void)
{
    return sizeof(struct tasklet_wait);
}

static void fill(struct row *row, struct tasklet_host *host, const struct tasklet_kind *given)
{
    static const struct tk_field fields[] = {
        {.name = "value", .type = TK_VALUE, .keep = FIRED_WITH},
        {.type = TK_END},
    };

    memset(row, 0, sizeof *row);
    row->given = given;
    row->host = host;
    set_params(row);
    row->kind.name = strcpy(row->name, given->name);
    row->kind.brief = "a condition of the program's";
    row->kind.params = row->params;
    row->kind.fields = fields;
    row->kind.size = state_offset() + given->state_size + alignof(max_align_t) - 1;
    row->kind.payload = FIRED_WITH;
    row->kind.flags = TK_OUTSIDE;
    row->kind.init = init;
    row->kind.arm = arm;
    row->kind.disarm = disarm;
    row->kind.finish = finish;
    row->kind.describe = given->describe != NULL ? describe : NULL;
}

struct adding {
    struct tasklet_host *host;
    const struct tasklet_kind *kind;
    bool taken; /* there is something of that name */
};

static int add(lua_State *L)
{
    struct adding *adding = lua_touserdata(L, 1);
    struct tk_bind *bind = adding->host->bind;
    struct row *row;

    tk_bind_push_module(L, bind);
    adding->taken = lua_getfield(L, -1, adding->kind->name) != LUA_TNIL;
    if (!adding->taken) {
        row = lua_newuserdatauv(L, sizeof *row + strlen(adding->kind->name) + 1, 0);
        fill(row, adding->host, adding->kind);
        tk_condition_add(L, bind, &row->kind);
        tk_list_push(&adding->host->embed->traffic.kinds, &row->node);
    }
    return 0;
}

int tasklet_kind_add(struct tasklet_host *host, const struct tasklet_kind *kind)
{
    struct adding adding = {host, kind, false};
    const char *wrong;
    int rc;

    if (kind == NULL || kind->size != sizeof *kind) {
        return tk_set_error(host, TASKLET_EINVAL, NULL);
    }
    wrong = wrong_with(kind);
    if (wrong != NULL) {
        return tk_set_error(host, TASKLET_EINVAL, "the kind '%s': %s",
                            kind->name != NULL ? kind->name : "", wrong);
    }
    rc = tk_check_alive(host);
    if (rc == 0) {
        rc = tk_guarded(host, add, &adding);
    }
    if (rc == 0 && adding.taken) {
        return tk_set_error(host, TASKLET_EINVAL, "the module has a '%s' already", kind->name);
    }
    return rc;
}

/* ---- what the program calls ---- */

void *tasklet_wait_state(struct tasklet_wait *wait)
{
    uintptr_t from = (uintptr_t)wait + state_offset(), unit = alignof(max_align_t);

    return (void *)((from + unit - 1) / unit * unit);
}

const struct tasklet_kind *tasklet_wait_kind(struct tasklet_wait *wait)
{
    return row_of(&wait->wait)->given;
}

struct tasklet_host *tasklet_wait_host(struct tasklet_wait *wait)
{
    return wait->host;
}

int tasklet_wait_fail(struct tasklet_wait *wait, const char *text)
{
    if (wait->fault != NULL) {
        tk_fault_set(wait->fault, TK_ESTATE, "%s", text);
    }
    return TASKLET_ESCRIPT;
}

struct firing {
    struct tasklet_host *host;
    const struct tasklet_value *value;
    bool is_one; /* `value` */
    int anchor;
};

static int keep_value(lua_State *L)
{
    struct firing *firing = lua_touserdata(L, 1);

    firing->is_one = tk_value_push(L, firing->host, firing->value);
    if (firing->is_one) {
        firing->anchor = tk_anchor(L, firing->host->bind);
    }
    return 0;
}

int tasklet_wait_fire(struct tasklet_wait *wait, const struct tasklet_value *value)
{
    struct tasklet_host *host = wait->host;
    struct firing firing = {host, value, true, 0};
    int rc = 0;

    if (host == NULL || (wait->wait.flags & TK_ARMED) == 0) {
        return 0;
    }
    if (!tk_wait_provide(&host->loop.sched)) {
        return tk_set_error(host, TASKLET_ENOMEM, NULL);
    }
    if (value != NULL && value->type != TASKLET_NIL) {
        rc = tk_guarded(host, keep_value, &firing);
        if (rc == 0 && !firing.is_one) {
            rc = tk_set_error(host, TASKLET_EINVAL, "no value of this host");
        }
    }
    if (rc == 0) {
        tk_wait_fire(&wait->wait, &host->loop.sched, tk_payload(firing.anchor));
    }
    return rc;
}
