/*
 * Looking names up: see lookup.h. getaddrinfo cannot be interrupted, and takes as long as
 * nameservers are silent. So it is called in threads of our own, which nobody waits for: the end of
 * a loop, and of the process, would wait for those of libuv's pool. A request belongs to its thread
 * and to its loop, and goes with the last of them.
 */
#include "io/lookup.h"

#include <errno.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/address.h"
#include "io/hub.h"

/* Threads at the most; then requests stand in a line. */
#define MOST 64

struct tk_lookup_request {
    struct tk_hub_handle handle;
    uv_poll_t poll;
    struct tk_loop *loop;
    struct tk_lookup *lookup;       /* NULL: nobody wants to know */
    struct tk_lookup_request *next; /* in the line */
    atomic_int owners;
    atomic_bool abandoned;
    atomic_bool done; /* what has been found is the loop's */
    int event;        /* readable when it is done */
    int family;
    int error;
    struct addrinfo *found;
    char host[];
};

/* Those that wait for a thread, and how many threads there are. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tk_lookup_request *line, **last = &line;
static int threads;
static locale_t utf8; /* as scripts write names; NULL: not made yet, or there is none */

static void release(struct tk_lookup_request *request)
{
    if (atomic_fetch_sub(&request->owners, 1) == 1) {
        close(request->event);
        uv_freeaddrinfo(request->found);
        free(request);
    }
}

/* ---- in a thread ---- */

/* An error of getaddrinfo's as libuv numbers them. */
static int number_of(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case EAI_SYSTEM:
        return -errno;
    case EAI_ADDRFAMILY:
        return UV_EAI_ADDRFAMILY;
    case EAI_AGAIN:
        return UV_EAI_AGAIN;
    case EAI_FAMILY:
        return UV_EAI_FAMILY;
    case EAI_MEMORY:
        return UV_EAI_MEMORY;
    case EAI_NODATA:
        return UV_EAI_NODATA;
    case EAI_IDN_ENCODE: /* that cannot be a name */
    case EAI_NONAME:
        return UV_EAI_NONAME;
    default:
        return UV_EAI_FAIL;
    }
}

static void look_up(struct tk_lookup_request *request)
{
    struct addrinfo hints = {.ai_family = request->family,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_IDN}; /* names that are not written in ASCII */

    request->error = number_of(getaddrinfo(request->host, NULL, &hints, &request->found));
}

static struct tk_lookup_request *next_of_line(void)
{
    struct tk_lookup_request *request;

    pthread_mutex_lock(&mutex);
    request = line;
    if (request == NULL) {
        threads--;
    } else {
        line = request->next;
        last = line == NULL ? &line : last;
    }
    pthread_mutex_unlock(&mutex);
    return request;
}

static void *work(void *arg)
{
    struct tk_lookup_request *request = arg;

    if (utf8 != NULL) {
        uselocale(utf8);
    }
    do {
        if (!atomic_load(&request->abandoned)) {
            look_up(request);
            atomic_store(&request->done, true);
            eventfd_write(request->event, 1);
        }
        release(request);
    } while ((request = next_of_line()) != NULL);
    return NULL;
}

/* Signals are for the program's own threads. 0 or an error. */
static int start_thread(struct tk_lookup_request *request)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, old;
    int rc = pthread_attr_init(&attributes);

    if (rc != 0) {
        return -rc;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&thread, &attributes, work, request);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return -rc;
}

/* Hands it to a thread, or to the line. 0, or an error: then it is the caller's alone. */
static int hand_over(struct tk_lookup_request *request)
{
    int rc = -EAGAIN;

    pthread_mutex_lock(&mutex);
    if (threads == 0 && utf8 == NULL) {
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
    }
    if (threads < MOST) {
        rc = start_thread(request);
        threads += rc == 0;
    }
    if (rc < 0 && threads > 0) {
        *last = request;
        last = &request->next;
        rc = 0;
    }
    pthread_mutex_unlock(&mutex);
    return rc;
}

/* ---- in the loop ---- */

static void on_closed(uv_handle_t *handle)
{
    struct tk_lookup_request *request =
        tk_container_of((uv_poll_t *)handle, struct tk_lookup_request, poll);

    tk_loop_closed(request->loop);
    release(request);
}

/* The loop has no more to do with it. */
static void part(struct tk_lookup_request *request)
{
    if (request->lookup != NULL) {
        request->lookup->request = NULL;
        request->lookup = NULL;
    }
    atomic_store(&request->abandoned, true);
    tk_list_remove(&request->handle.node);
    uv_close((uv_handle_t *)&request->poll, on_closed);
}

static void on_done(uv_poll_t *handle, int status, int events)
{
    struct tk_lookup_request *request = tk_container_of(handle, struct tk_lookup_request, poll);
    struct tk_lookup *lookup = request->lookup;

    (void)status;
    (void)events;
    if (!atomic_load(&request->done)) {
        return;
    }
    lookup->error = request->error;
    lookup->found = request->found;
    request->found = NULL;
    part(request);
    tk_gate_fire(&lookup->done, lookup->sched);
}

bool tk_lookup_owns(const uv_handle_t *handle)
{
    return handle->type == UV_POLL && ((const uv_poll_t *)handle)->poll_cb == on_done;
}

static void leave(struct tk_hub_handle *handle)
{
    part(tk_container_of(handle, struct tk_lookup_request, handle));
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

/* One that is both sides', but in no list and with no poll yet. */
static struct tk_lookup_request *new_request(const char *host, int family)
{
    size_t size = strlen(host) + 1;
    struct tk_lookup_request *request = calloc(1, sizeof *request + size);

    if (request == NULL) {
        return NULL;
    }
    memcpy(request->host, host, size);
    request->family = family;
    request->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&request->owners, 2);
    atomic_init(&request->abandoned, false);
    atomic_init(&request->done, false);
    return request;
}

int tk_lookup_start(struct tk_lookup *lookup, struct tk_sched *sched, const char *host, int family)
{
    struct tk_loop *loop = tk_loop_of(sched);
    struct tk_hub *hub = tk_hub_of(loop);
    struct tk_lookup_request *request = hub == NULL ? NULL : new_request(host, family);
    int rc = request == NULL ? UV_ENOMEM : request->event < 0 ? -errno : 0;

    memset(lookup, 0, sizeof *lookup);
    lookup->sched = sched;
    tk_gate_init(&lookup->done, &done_ops);
    snprintf(lookup->text, sizeof lookup->text, "%s", host);
    if (rc < 0) {
        free(request);
        return rc;
    }
    rc = uv_poll_init(loop->uv, &request->poll, request->event);
    if (rc < 0) {
        close(request->event);
        free(request);
        return rc;
    }
    uv_unref((uv_handle_t *)&request->poll);
    tk_loop_opened(loop);
    request->loop = loop;
    request->handle.close = leave;
    tk_list_push(&hub->handles, &request->handle.node);
    rc = hand_over(request);
    if (rc < 0) {
        release(request); /* of the thread that there is none of */
        part(request);
        return rc;
    }
    request->lookup = lookup;
    lookup->request = request;
    uv_poll_start(&request->poll, UV_READABLE, on_done);
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
        part(lookup->request);
    }
    if (lookup->found != NULL) {
        uv_freeaddrinfo(lookup->found);
        lookup->found = NULL;
    }
}
