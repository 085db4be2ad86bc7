/*
 * WaitForCall: the condition itself is called. Calls are kept, armed or not, one firing each; the
 * binding makes the object callable and fires it by hand, so there is nothing to arm.
 */
#include "core/sched.h"
#include "wait/kinds.h"

static const struct tk_param params[] = {
    {.name = "return_value", .type = TK_VALUE, .option = true, .keep = 1},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "return_value", .type = TK_VALUE, .keep = 1, .writable = true},
    {.name = "args", .type = TK_VALUE, .keep = 2},
    {.type = TK_END},
};

const struct tk_kind tk_wait_call = {
    .name = "WaitForCall",
    .brief = "the condition is called",
    .params = params,
    .fields = fields,
    .size = sizeof(struct tk_wait),
    .values = 2,
    .payload = 2,
    .flags = TK_REPEATS | TK_STANDS | TK_KEEPS | TK_CALLED,
};
