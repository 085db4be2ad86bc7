/*
 * WaitForIO: a descriptor is ready. The descriptor stays its owner's: it is never closed here, nor
 * are its flags changed. The watch is armed for one event at a time; see loop/fds.h.
 */
#include <stdio.h>

#include "loop/fds.h"
#include "wait/kinds.h"

struct io {
    struct tk_wait wait;
    struct tk_fd_watch watch;
    int fd;
    uint32_t wanted;
    uint32_t happened;
};

static void on_ready(struct tk_fd_watch *watch, struct tk_loop *loop, uint32_t events)
{
    struct io *io = tk_container_of(watch, struct io, watch);

    io->happened = events;
    tk_wait_fire(&io->wait, &loop->sched, NULL);
}

static int init(struct tk_wait *wait, struct tk_sched *sched, const struct tk_arg *args,
                struct tk_fault *fault)
{
    struct io *io = (struct io *)wait;
    int64_t wanted = args[1].given ? args[1].as.integer : TK_IO_IN;

    (void)sched;
    if (wanted <= 0 || (wanted & ~31) != 0) {
        tk_fault_set(fault, TK_EINVAL, "condition must be made of IO_* constants");
        fault->arg = 1;
        return fault->code;
    }
    io->fd = args[0].as.file;
    io->wanted = (uint32_t)wanted;
    io->watch.ready = on_ready;
    return 0;
}

static int arm(struct tk_wait *wait, struct tk_sched *sched, struct tk_fault *fault)
{
    struct io *io = (struct io *)wait;
    int rc = tk_fds_arm(tk_loop_of(sched), &io->watch, io->fd, io->wanted, fault);

    if (rc > 0) {
        uint32_t both = TK_IO_IN | TK_IO_OUT;

        io->happened = (io->wanted & both) != 0 ? io->wanted & both : TK_IO_IN;
        tk_wait_fire(wait, sched, NULL);
        rc = 0;
    }
    return rc;
}

static void disarm(struct tk_wait *wait, struct tk_sched *sched)
{
    tk_fds_detach(tk_loop_of(sched), &((struct io *)wait)->watch);
}

static void describe(const struct tk_wait *wait, char *text, size_t size)
{
    static const char *const names[] = {"IN", "PRI", "OUT", "ERR", "HUP"};
    const struct io *io = (const struct io *)wait;
    int used = snprintf(text, size, "descriptor %d", io->fd);

    for (unsigned i = 0; i < 5 && used > 0 && (size_t)used < size; i++) {
        if ((io->wanted >> i & 1) != 0) {
            used += snprintf(text + used, size - (size_t)used, " %s", names[i]);
        }
    }
}

static void get_condition(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->given = ((const struct io *)wait)->happened != 0;
    arg->as.integer = ((const struct io *)wait)->happened;
}

static void get_fd(const struct tk_wait *wait, struct tk_arg *arg)
{
    arg->as.integer = ((const struct io *)wait)->fd;
}

static const struct tk_param params[] = {
    {.name = "file", .type = TK_FILE, .keep = 1},
    {.name = "condition", .type = TK_INTEGER, .optional = true},
    {.type = TK_END},
};

static const struct tk_field fields[] = {
    {.name = "condition", .type = TK_INTEGER, .get = get_condition},
    {.name = "file", .type = TK_VALUE, .keep = 1},
    {.name = "filedes", .type = TK_INTEGER, .get = get_fd},
    {.type = TK_END},
};

const struct tk_kind tk_wait_io = {
    .name = "WaitForIO",
    .brief = "a descriptor is ready",
    .params = params,
    .fields = fields,
    .size = sizeof(struct io),
    .values = 1,
    .flags = TK_OUTSIDE,
    .needs = TK_NEEDS_FILES | TK_NEEDS_NETWORK,
    .init = init,
    .arm = arm,
    .verify = arm,
    .disarm = disarm,
    .describe = describe,
};
