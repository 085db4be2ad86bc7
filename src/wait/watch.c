/* A watch of tasklet.fs, as a wait condition: something has happened, one event at a time; or it
 * was closed. */
#include <uv.h>

#include "io/watch.h"
#include "wait/kinds.h"

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    int rc = tk_fs_watch_open((struct tk_fs_watch *)wait, sched, args[0].as.string);

    return rc < 0 ? tk_fault_set(fault, TK_ESYS, "%s %s", uv_err_name(rc), uv_strerror(rc)) : 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    (void)fault;
    tk_fs_watch_await((struct tk_fs_watch *)wait, sched, true);
    return 0;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_fs_watch_await((struct tk_fs_watch *)wait, sched, false);
}

static void finish(struct tk_wait *wait, struct tk_sched *sched)
{
    (void)sched;
    tk_fs_watch_finish((struct tk_fs_watch *)wait);
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    tk_fs_watch_path((const struct tk_fs_watch *)wait, text, size);
}

static void get_name(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct tk_fs_watch *watch = (const struct tk_fs_watch *)wait;

    arg->given = watch->now.name != NULL;
    arg->as.string = watch->now.name;
}

static void get_kind(const struct tk_wait *wait, struct tk_arg *arg)
{
    const struct tk_fs_watch *watch = (const struct tk_fs_watch *)wait;

    arg->given = watch->now.kind != NULL;
    arg->as.string = watch->now.kind;
}

static const struct tk_param params[] = {
    {.name = "path", .type = TK_STRING},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "name", .type = TK_STRING, .get = get_name},
    {.name = "kind", .type = TK_STRING, .get = get_kind},
    {.type = TK_END},
};

const struct tk_kind tk_wait_watch = {
    .name = "watch",
    .brief = "something has happened to a file, or in a directory",
    .params = params,
    .fields = fields,
    .size = sizeof(struct tk_fs_watch),
    .flags = TK_OUTSIDE | TK_HIDDEN,
    .init = init,
    .arm = arm,
    .disarm = disarm,
    .finish = finish,
    .describe = describe,
};
