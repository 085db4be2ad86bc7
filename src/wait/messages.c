/*
 * WaitForMessages: an accepted message is there. The condition is a filter (core/mailbox.h): it
 * owns the names that it accepts, defers and discards; judging and delivering are the mailbox's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/mailbox.h"
#include "wait/kinds.h"

static int add(struct tk_filter *filter, const struct tk_arg *arg, enum tk_verdict verdict,
               struct tk_fault *fault)
{
    for (size_t i = 0; arg->given && i < arg->as.names.count; i++) {
        struct tk_atom *atom = arg->as.names.atom[i];
        enum tk_verdict old = tk_filter_verdict(filter, atom);

        if (old != TK_UNNAMED && old != verdict) {
            return tk_fault_set(fault, TK_EINVAL, "message '%.60s' is in two lists", atom->text);
        }
        if (old != TK_UNNAMED) {
            continue;
        }
        if (tk_map_set(&filter->verdicts, (uintptr_t)atom, (void *)(uintptr_t)verdict) < 0) {
            return tk_fault_memory(fault);
        }
        atom->refs++;
        filter->names[filter->count++] = atom;
        filter->accepts += verdict == TK_ACCEPT;
    }
    return 0;
}

static void finish(struct tk_wait *wait, struct tk_sched *sched)
{
    struct tk_filter *filter = (struct tk_filter *)wait;

    for (uint32_t i = 0; sched != NULL && i < filter->count; i++) {
        tk_atom_drop(&sched->atoms, filter->names[i]);
    }
    free(filter->names);
    filter->names = NULL;
    filter->count = filter->accepts = 0;
    tk_map_finish(&filter->verdicts);
}

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct tk_filter *filter = (struct tk_filter *)wait;
    size_t total = 0;
    int rc;

    for (int i = 0; i < 3; i++) {
        total += args[i].given ? args[i].as.names.count : 0;
    }
    filter->names = calloc(total + 1, sizeof(struct tk_atom *));
    if (filter->names == NULL) {
        return tk_fault_memory(fault);
    }
    rc = add(filter, &args[0], TK_ACCEPT, fault);
    if (rc == 0) {
        rc = add(filter, &args[1], TK_DEFER, fault);
    }
    if (rc == 0) {
        rc = add(filter, &args[2], TK_DISCARD, fault);
    }
    if (rc < 0) {
        finish(wait, sched);
    }
    return rc;
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    const struct tk_filter *filter = (const struct tk_filter *)wait;
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < filter->count && used + 1 < size; i++) {
        static const char *const verdicts[] = {"", "accept", "defer", "discard"};
        enum tk_verdict verdict = tk_filter_verdict(filter, filter->names[i]);
        bool same = i > 0 && tk_filter_verdict(filter, filter->names[i - 1]) == verdict;
        int more = snprintf(text + used, size - used, "%s%s%s",
                            i == 0 ? ""
                            : same ? ", "
                                   : "; ",
                            same ? "" : verdicts[verdict], same ? "" : " ");

        used += more > 0 ? (size_t)more : 0;
        if (used < size) {
            more = snprintf(text + used, size - used, "%s", filter->names[i]->text);
            used += more > 0 ? (size_t)more : 0;
        }
    }
}

static const struct tk_param params[] = {
    {.name = "accept", .type = TK_NAMES, .option = true},
    {.name = "defer", .type = TK_NAMES, .option = true},
    {.name = "discard", .type = TK_NAMES, .option = true},
    {.type = TK_END},
};

const struct tk_kind tk_wait_messages = {
    .name = "WaitForMessages",
    .brief = "an accepted message is there",
    .params = params,
    .size = sizeof(struct tk_filter),
    .payload = 1, /* the message; it is the event, and is not kept with the condition */
    .flags = TK_REPEATS | TK_STANDS | TK_MAIL,
    .init = init,
    .finish = finish,
    .describe = describe,
};
