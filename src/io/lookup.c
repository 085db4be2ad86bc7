/*
 * Looking names up: see lookup.h. The request has memory of its own, for it may be under way in its
 * thread when nobody wants to know any more.
 */
#include "io/lookup.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/address.h"
#include "io/hub.h"

struct tk_lookup_request {
    struct tk_hub_handle handle;
    uv_getaddrinfo_t request;
    struct tk_loop *loop;
    struct tk_lookup *lookup; /* NULL: nobody wants to know */
};

static void on_found(uv_getaddrinfo_t *handle, int status, struct addrinfo *found)
{
    struct tk_lookup_request *request = tk_container_of(handle, struct tk_lookup_request, request);
    struct tk_lookup *lookup = request->lookup;

    tk_list_remove(&request->handle.node);
    request->loop->jobs--;
    free(request);
    if (lookup == NULL) {
        uv_freeaddrinfo(found);
        return;
    }
    lookup->request = NULL;
    lookup->error = status;
    lookup->found = found;
    tk_gate_fire(&lookup->done, lookup->sched);
}

static void leave(struct tk_hub_handle *handle)
{
    struct tk_lookup_request *request = tk_container_of(handle, struct tk_lookup_request, handle);

    if (request->lookup != NULL) {
        request->lookup->request = NULL;
        request->lookup = NULL;
    }
    uv_cancel((uv_req_t *)&request->request);
}

static void done_gone(struct tk_gate *gate, struct tk_sched *sched)
{
    (void)sched;
    tk_lookup_finish(tk_container_of(gate, struct tk_lookup, done));
}

static void describe(const struct tk_gate *gate, char *text, size_t size)
{
    const struct tk_lookup *lookup = tk_container_of(gate, const struct tk_lookup, done);

    snprintf(text, size, "looking up %s", lookup->text);
}

static const struct tk_gate_ops done_ops = {.gone = done_gone, .describe = describe};

int tk_lookup_start(struct tk_lookup *lookup, struct tk_sched *sched, const char *host, int family)
{
    struct tk_loop *loop = tk_loop_of(sched);
    struct tk_hub *hub = tk_hub_of(loop);
    struct tk_lookup_request *request = hub == NULL ? NULL : calloc(1, sizeof *request);
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
    int rc = request == NULL
                 ? UV_ENOMEM
                 : uv_getaddrinfo(loop->uv, &request->request, on_found, host, NULL, &hints);

    memset(lookup, 0, sizeof *lookup);
    lookup->sched = sched;
    tk_gate_init(&lookup->done, &done_ops);
    snprintf(lookup->text, sizeof lookup->text, "%s", host);
    if (rc < 0) {
        free(request);
        return rc;
    }
    request->loop = loop;
    loop->jobs++;
    request->lookup = lookup;
    request->handle.close = leave;
    tk_list_push(&hub->handles, &request->handle.node);
    lookup->request = request;
    return 0;
}

bool tk_lookup_get(const struct tk_lookup *lookup, size_t index, struct tk_address *address)
{
    for (const struct addrinfo *found = lookup->found; found != NULL; found = found->ai_next) {
        struct sockaddr_storage storage;

        if (index-- == 0) {
            memset(&storage, 0, sizeof storage);
            memcpy(&storage, found->ai_addr, found->ai_addrlen);
            return tk_address_from(&storage, found->ai_addrlen, address) == 0;
        }
    }
    return false;
}

void tk_lookup_finish(struct tk_lookup *lookup)
{
    if (lookup->request != NULL) {
        lookup->request->lookup = NULL;
        uv_cancel((uv_req_t *)&lookup->request->request);
        lookup->request = NULL;
    }
    if (lookup->found != NULL) {
        uv_freeaddrinfo(lookup->found);
        lookup->found = NULL;
    }
}
