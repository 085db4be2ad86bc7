/* The world outside: see outside.h. It only looks. */
#include "loop/outside.h"

#include "loop/children.h"
#include "loop/fds.h"
#include "loop/signals.h"

struct look {
    const struct tk_loop *loop;
    bool found;
};

/* A handle of a room above. */
static bool is_of_part(const struct tk_loop *loop, const uv_handle_t *handle)
{
    for (struct tk_list *n = loop->parts.next; n != &loop->parts; n = n->next) {
        if (tk_container_of(n, struct tk_loop_part, node)->owns(handle)) {
            return true;
        }
    }
    return false;
}

static void look_at(uv_handle_t *handle, void *arg)
{
    struct look *look = arg;

    if (uv_is_active(handle) && !tk_loop_is_own(look->loop, handle) &&
        !tk_fds_is_own(look->loop, handle) && !tk_children_is_own(look->loop, handle) &&
        !tk_signals_is_own(look->loop, handle) && !is_of_part(look->loop, handle)) {
        look->found = true;
    }
}

/* Would the uv loop go on without `check`, the only handle of ours that ever keeps it going? */
static bool is_kept(struct tk_loop *loop)
{
    uv_handle_t *check = (uv_handle_t *)&loop->check;
    bool held = uv_has_ref(check), kept;

    uv_unref(check);
    kept = uv_loop_alive(loop->uv);
    if (held) {
        uv_ref(check);
    }
    return kept;
}

static bool has_active(const struct tk_loop *loop)
{
    struct look look = {loop, false};

    uv_walk(loop->uv, look_at, &look);
    return look.found;
}

bool tk_outside_pending(struct tk_loop *loop)
{
    return loop->awaited > 0 || is_kept(loop) || tk_fds_armed(loop) || tk_children_watched(loop);
}

bool tk_outside_possible(struct tk_loop *loop)
{
    return tk_outside_pending(loop) || tk_signals_watched(loop) || has_active(loop) ||
           loop->hooks->reachable(loop->context);
}
