/* Watches: see watch.h. libuv's handle lies in memory of its own, which goes when libuv has let go
 * of it. */
#include "io/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/hub.h"

struct tk_watch_handle {
    uv_fs_event_t event;
    struct tk_hub_handle handle;
    struct tk_loop *loop;
    struct tk_fs_watch *watch; /* NULL: closed */
};

static void keep(struct tk_fs_watch *watch, const char *name, const char *kind)
{
    struct tk_fs_event *event;

    if (watch->kept == NULL) {
        watch->kept = malloc(TK_WATCH_KEPT * sizeof *watch->kept);
        if (watch->kept == NULL) {
            return; /* no memory for events: there is none */
        }
    }
    if (watch->count > 0) {
        event = &watch->kept[(watch->first + watch->count - 1) % TK_WATCH_KEPT];
        if (event->kind == kind && event->name != NULL && name != NULL &&
            strcmp(event->name, name) == 0) {
            return; /* the same again, and nobody has asked in between */
        }
    }
    if (watch->count == TK_WATCH_KEPT) {
        event = &watch->kept[(watch->first + watch->count - 1) % TK_WATCH_KEPT];
        free(event->name);
        event->name = NULL;
        event->kind = "overflow";
        return;
    }
    event = &watch->kept[(watch->first + watch->count++) % TK_WATCH_KEPT];
    event->name = name == NULL ? NULL : strdup(name);
    event->kind = kind;
}

/* Whoever waits goes on: something has happened, or nothing will any more. */
static void tell(struct tk_fs_watch *watch, struct tk_sched *sched)
{
    if (watch->awaited) {
        tk_fs_watch_await(watch, sched, true);
    }
    if (watch->count > 0 || watch->handle == NULL) {
        tk_gate_fire(&watch->gate, sched);
    }
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct tk_watch_handle *own = tk_container_of(handle, struct tk_watch_handle, event);
    struct tk_fs_watch *watch = own->watch;

    if (watch == NULL || status < 0) {
        return;
    }
    if (events & UV_RENAME) {
        keep(watch, name, "rename");
    }
    if (events & UV_CHANGE) {
        keep(watch, name, "change");
    }
    tell(watch, &own->loop->sched);
}

bool tk_watch_owns(const uv_handle_t *handle)
{
    return handle->type == UV_FS_EVENT && ((const uv_fs_event_t *)handle)->cb == on_event;
}

static void on_closed(uv_handle_t *handle)
{
    struct tk_watch_handle *own =
        tk_container_of((uv_fs_event_t *)handle, struct tk_watch_handle, event);

    tk_loop_closed(own->loop);
    free(own);
}

static void close_handle(struct tk_watch_handle *own)
{
    tk_list_remove(&own->handle.node);
    if (own->watch != NULL) {
        own->watch->handle = NULL;
        own->watch = NULL;
    }
    uv_close((uv_handle_t *)&own->event, on_closed);
}

static void hub_goes(struct tk_hub_handle *handle)
{
    close_handle(tk_container_of(handle, struct tk_watch_handle, handle));
}

static void describe(const struct tk_gate *gate, char *text, size_t size)
{
    int used = snprintf(text, size, "watching ");

    tk_fs_watch_path(tk_container_of(gate, const struct tk_fs_watch, gate), text + used,
                     size - (size_t)used);
}

static const struct tk_gate_ops ops = {.describe = describe};

int tk_fs_watch_open(struct tk_fs_watch *watch, struct tk_sched *sched, const char *path)
{
    struct tk_loop *loop = tk_loop_of(sched);
    struct tk_hub *hub = tk_hub_of(loop);
    struct tk_watch_handle *own = hub == NULL ? NULL : calloc(1, sizeof *own);
    int rc;

    tk_gate_init(&watch->gate, &ops);
    if (own == NULL) {
        return UV_ENOMEM;
    }
    uv_fs_event_init(loop->uv, &own->event);
    own->event.data = NULL;
    own->loop = loop;
    own->handle.close = hub_goes;
    tk_list_push(&hub->handles, &own->handle.node);
    tk_loop_opened(loop);
    rc = uv_fs_event_start(&own->event, on_event, path, 0);
    if (rc < 0) {
        close_handle(own);
        return rc;
    }
    uv_unref((uv_handle_t *)&own->event); /* who waits keeps the loop going */
    own->watch = watch;
    watch->handle = own;
    return 0;
}

void tk_fs_watch_close(struct tk_fs_watch *watch, struct tk_sched *sched)
{
    if (watch->handle != NULL) {
        close_handle(watch->handle);
        tell(watch, sched);
    }
}

bool tk_fs_watch_take(struct tk_fs_watch *watch)
{
    free(watch->now.name);
    watch->now = (struct tk_fs_event){NULL, NULL};
    if (watch->count == 0) {
        return false;
    }
    watch->now = watch->kept[watch->first];
    watch->first = (watch->first + 1) % TK_WATCH_KEPT;
    watch->count--;
    return true;
}

void tk_fs_watch_finish(struct tk_fs_watch *watch)
{
    watch->awaited = false; /* nobody holds it */
    tk_fs_watch_close(watch, NULL);
    while (tk_fs_watch_take(watch)) {
    }
    free(watch->kept);
    watch->kept = NULL;
}

void tk_fs_watch_await(struct tk_fs_watch *watch, struct tk_sched *sched, bool on)
{
    bool fires = on && (tk_fs_watch_take(watch) || watch->handle == NULL);
    bool awaited = on && !fires;

    if (awaited != watch->awaited) {
        watch->awaited = awaited;
        tk_loop_of(sched)->awaited += awaited ? 1 : -1;
    }
    if (fires) {
        tk_wait_fire(&watch->wait, sched, NULL);
    }
}

void tk_fs_watch_path(const struct tk_fs_watch *watch, char *text, size_t size)
{
    size_t length = size;

    if (watch->handle == NULL) {
        snprintf(text, size, "closed");
    } else if (uv_fs_event_getpath(&watch->handle->event, text, &length) < 0) {
        snprintf(text, size, "a long path");
    }
}
