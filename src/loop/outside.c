/* The world outside: see outside.h. It only looks. */
#include "loop/outside.h"

#include "loop/children.h"
#include "loop/fds.h"
#include "loop/signals.h"

struct look {
    const struct tk_loop *loop;
    bool found;
};

static void look_at(uv_handle_t *handle, void *arg)
{
    struct look *look = arg;

    if (uv_is_active(handle) && !tk_loop_is_own(look->loop, handle) &&
        !tk_fds_is_own(look->loop, handle) && !tk_children_is_own(look->loop, handle) &&
        !tk_signals_is_own(look->loop, handle)) {
        look->found = true;
    }
}

/* Somebody else's handles or requests. Of ours only `check` ever keeps the uv loop going;
 * `keeping`: only what does so counts. */
static bool has_foreign(const struct tk_loop *loop, bool keeping)
{
    struct look look = {loop, false};

    if (loop->uv->active_reqs.count > 0 ||
        loop->uv->active_handles > (unsigned)uv_has_ref((const uv_handle_t *)&loop->check)) {
        return true;
    }
    if (keeping) {
        return false;
    }
    uv_walk(loop->uv, look_at, &look);
    return look.found;
}

bool tk_outside_pending(const struct tk_loop *loop)
{
    return tk_fds_armed(loop) || tk_children_watched(loop) || has_foreign(loop, true);
}

bool tk_outside_possible(const struct tk_loop *loop)
{
    return tk_fds_armed(loop) || tk_children_watched(loop) || tk_signals_watched(loop) ||
           has_foreign(loop, false);
}
