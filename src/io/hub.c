/* What the room has of a loop: see io.h. */
#include "io/hub.h"

#include <stdlib.h>
#include <unistd.h>

#include "io/raw.h"
#include "loop/fds.h"

/* Descriptors after which those who waited for them run, and what they write is sent, though more
 * are ready; and streams after which what was written is sent, though more may be. What one
 * connection needs is still in the processor's caches then. */
#define AT_ONCE 64

/* False: there was nothing to send. */
static bool flush_all(struct tk_hub *hub)
{
    bool any = !tk_list_empty(&hub->dirty);
    struct tk_list *node;

    while ((node = tk_list_first(&hub->dirty)) != NULL) {
        struct tk_dirty *dirty = tk_container_of(node, struct tk_dirty, node);

        tk_list_remove(node);
        dirty->flush(dirty);
    }
    hub->soiled = 0;
    return any;
}

static bool flush_part(struct tk_loop_part *part)
{
    return flush_all(tk_container_of(part, struct tk_hub, part));
}

void tk_hub_soil(struct tk_hub *hub, struct tk_dirty *dirty)
{
    if (tk_list_linked(&dirty->node)) {
        return;
    }
    if (hub->soiled >= AT_ONCE) {
        flush_all(hub);
    }
    tk_list_push(&hub->dirty, &dirty->node);
    hub->soiled++;
}

void tk_hub_served(struct tk_hub *hub)
{
    if (++hub->served >= AT_ONCE) {
        hub->served = 0;
        tk_loop_run(hub->loop);
    }
}

void tk_hub_freed(struct tk_hub *hub)
{
    struct tk_list starved, *node;

    tk_list_init(&starved);
    tk_list_splice(&starved, &hub->starved);
    while ((node = tk_list_first(&starved)) != NULL) {
        struct tk_starved *one = tk_container_of(node, struct tk_starved, node);

        tk_list_remove(node);
        one->again(one);
    }
}

void tk_hub_close_descriptor(struct tk_hub *hub, int fd)
{
    tk_fds_closing(hub->loop, fd);
    close(fd);
    if (!tk_list_empty(&hub->starved)) {
        tk_hub_freed(hub);
    }
}

/* The loop is about to go: what is on its way is sent, all handles are closed. */
static void close_part(struct tk_loop_part *part)
{
    struct tk_hub *hub = tk_container_of(part, struct tk_hub, part);
    struct tk_list *node;

    flush_all(hub);
    while ((node = tk_list_first(&hub->handles)) != NULL) {
        struct tk_hub_handle *handle = tk_container_of(node, struct tk_hub_handle, node);

        tk_list_remove(node);
        handle->close(handle);
    }
}

static void free_part(struct tk_loop_part *part)
{
    struct tk_hub *hub = tk_container_of(part, struct tk_hub, part);

    hub->loop->hub = NULL;
    free(hub->buffer);
    free(hub);
}

static bool owns(const uv_handle_t *handle)
{
    return tk_raw_owns(handle) || tk_socket_owns(handle) || tk_dial_owns(handle) ||
           tk_lookup_owns(handle) || tk_watch_owns(handle);
}

struct tk_hub *tk_hub_of(struct tk_loop *loop)
{
    struct tk_hub *hub = loop->hub;

    if (hub != NULL) {
        return hub;
    }
    hub = calloc(1, sizeof *hub);
    if (hub == NULL) {
        return NULL;
    }
    hub->buffer = malloc(TK_HUB_BUFFER);
    if (hub->buffer == NULL) {
        free(hub);
        return NULL;
    }
    hub->loop = loop;
    tk_list_init(&hub->handles);
    tk_list_init(&hub->dirty);
    tk_list_init(&hub->starved);
    hub->part.owns = owns;
    hub->part.flush = flush_part;
    hub->part.close = close_part;
    hub->part.free = free_part;
    tk_list_push(&loop->parts, &hub->part.node);
    loop->hub = hub;
    return hub;
}
